// Pointer authentication in translated code: the same codes as in the interpreter, nothing with a disabled key, NOPs without the feature.

import { describe, expect, it } from "vitest";
import { Off } from "../../../src/arch/layout.ts";
import { slot } from "../../../src/arch/state.ts";
import { handlerOf } from "../../../src/cpu/interp/handlers.ts";
import { type Entry, predecode } from "../../../src/cpu/interp/predecode.ts";
import { rowByName } from "../../../src/isa/table.ts";
import { BareInterpreter, bareContext } from "../../isa/bare-interpreter.ts";

const PACIASP = 0xd503_233f | 0;
const AUTIASP = 0xd503_23bf | 0;
const POINTER = 0x0000_5555_1234_5678n;
const engines = (["interp", "wasm"] as const).map((engine) => new BareInterpreter(engine));

function run(rig: BareInterpreter, word: number, lr: bigint, enabled: number): bigint {
  const { st } = rig;
  st.set(slot.APIAKEYLO_EL1, 0x0123_4567_89ab_cdefn);
  st.set(slot.APIAKEYHI_EL1, 0xfedc_ba98_7654_3210n);
  st.set(Off.PACMASK0, 0x007f_0000_0000_0000n);
  st.set(Off.X + 8 * 32, 0x7ff0_1230n);
  st.set(Off.X + 8 * 30, lr);
  st.setLo(Off.PAUTH, enabled);
  expect(rig.execute(word)).toBe(true);
  return BigInt.asUintN(64, st.get(Off.X + 8 * 30));
}

describe("pointer authentication in translated code", () => {
  it("signs and authenticates with enabled keys only", () => {
    const signed = engines.map((rig) => run(rig, PACIASP, POINTER, 1));
    expect(signed[1]).toBe(signed[0]);
    expect((signed[0] as bigint) & 0x007f_0000_0000_0000n).not.toBe(0n);
    for (const rig of engines) {
      expect(run(rig, AUTIASP, signed[0] as bigint, 1)).toBe(POINTER);
      expect(run(rig, PACIASP, POINTER, 14)).toBe(POINTER);
      expect(run(rig, AUTIASP, signed[0] as bigint, 14)).toBe(signed[0]);
    }
  });
  it("is a NOP without the feature", () => {
    const entry: Entry = { handler: 0, operand: 0 };
    const handler = (available: typeof bareContext.available) => {
      predecode(PACIASP, { ...bareContext, available }, entry);
      return entry.handler;
    };
    const nop = handlerOf(rowByName.get("NOP") as NonNullable<ReturnType<typeof rowByName.get>>, 0xd503_201f);
    expect(handler((row) => row.name !== "PACIA")).toBe(nop);
    expect(handler(() => true)).not.toBe(nop);
  });
});
