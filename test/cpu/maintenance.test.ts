// Cache maintenance by address does nothing to memory: where nothing traps it, and the L1 TLB has the page, it takes no slow path.
// What does trap it, or cannot be translated, must be noticed all the same.

import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { slot } from "../../src/arch/state.ts";
import { Machine } from "../../src/harness/index.ts";
import * as a64 from "../support/a64.ts";
import { image, mov, ORIGIN } from "../support/a64.ts";
import { at, HCR_E2H, HCR_TGE, run, sysWord } from "./sys-helper.ts";

const DC_CVAU = sysWord(0, 1, 3, 7, 11, 1, 1);
const DC_CIVAC = sysWord(0, 1, 3, 7, 14, 1, 1);
const IC_IVAU = sysWord(0, 1, 3, 7, 5, 1, 1);
const DATA = ORIGIN + 0x1_0000;
const ENGINES = ["interp", "wasm", "js"] as const;

describe("who may do without the slow path", () => {
  // biome-ignore format: table
  const rows: [what: string, el: 0 | 1 | 2, hcr: bigint, hfgitr: bigint, allowed: number][] = [
    ["EL0: each operation has rules of its own", 0, 0n,                0n,       0],
    ["host EL0",                                 0, HCR_E2H | HCR_TGE, 0n,       0],
    ["EL1",                                      1, 0n,                0n,       1],
    ["HCR_EL2.TPCP",                             1, 1n << 23n,         0n,       0],
    ["HCR_EL2.TPU",                              1, 1n << 24n,         0n,       0],
    ["HCR_EL2.TOCU",                             1, 1n << 52n,         0n,       0],
    ["HFGITR_EL2.ICIVAU",                        1, 0n,                1n << 2n, 0],
    ["HFGITR_EL2.DCIVAC",                        1, 0n,                1n << 3n, 0],
    ["HFGITR_EL2.DCCVAU",                        1, 0n,                1n << 7n, 0],
    ["HFGITR_EL2.DCCIVAC",                       1, 0n,               1n << 10n, 0],
    ["HFGITR_EL2.DCCVAC",                        1, 0n,               1n << 54n, 0],
    ["HFGITR_EL2: others",                       1, 0n,               1n << 11n, 1],
    ["EL2",                                      2, 3n << 23n,         0n,       1],
  ];
  it.each(rows)("%s", (_what, el, hcr, hfgitr, allowed) => {
    const b = at(el, hcr);
    b.st.set(slot.HFGITR_EL2, hfgitr);
    b.pe.controlsChanged();
    expect(b.st.lo(Off.CMO_VA)).toBe(allowed);
  });
  it("what is allowed does not trap", () => {
    for (const [, el, hcr, hfgitr, allowed] of rows) {
      if (allowed === 0) continue;
      const b = at(el, hcr);
      b.st.set(slot.HFGITR_EL2, hfgitr);
      b.st.set(Off.X + 8, 0x4000_0000n);
      b.pe.controlsChanged();
      for (const word of [DC_CVAU, DC_CIVAC, IC_IVAU]) expect(run(b, 12, word)).toBe("ok");
    }
  });
});

describe.each(ENGINES)("--engine %s", (engine) => {
  async function boot(code: readonly number[]): Promise<Machine> {
    const start = [...a64.useVectors(2), ...mov(26, 0), ...mov(27, 0), ...mov(1, DATA), a64.str64(1, 1)];
    const kernel = image([...start, ...code, ...a64.POWER_OFF], { 2048: a64.skippingVectors(2) });
    const machine = await Machine.create({ kernel, memory: 64 * 2 ** 20, engine });
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    return machine;
  }

  it("takes few walks and changes nothing", async () => {
    const machine = await boot(a64.repeat(9, 200_000, [DC_CIVAC, DC_CVAU, IC_IVAU]));
    const pe = machine.pe();
    const mmu = machine.board.pes[0]?.mmu;
    expect((mmu?.hits ?? 0) + (mmu?.walks ?? 0)).toBeLessThan(100);
    expect([pe.x(28), pe.x(1)]).toEqual([0n, BigInt(DATA)]);
  });

  it("a device is no reason to stay out of the slow path, nor an error", async () => {
    const machine = await boot([...mov(1, 0x0900_0000), ...a64.repeat(9, 20_000, [DC_CIVAC])]);
    expect(machine.pe().x(28)).toBe(0n);
  });

  it.each([
    ["DC CIVAC", DC_CIVAC],
    ["IC IVAU", IC_IVAU],
  ])("%s: an address that cannot be translated faults, with ISS.CM", async (_, word) => {
    // Stage 1 is off: VA[63:52] must be zero.
    const bad = 0x0010_0000_0000_0000n;
    const machine = await boot([...a64.repeat(9, 20_000, [word]), ...mov(1, bad), word]);
    const pe = machine.pe();
    expect({ count: pe.x(28), esr: pe.x(26), far: pe.x(27) }).toEqual({ count: 1n, esr: 0x9600_0140n, far: bad });
  });
});
