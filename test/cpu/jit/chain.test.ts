// From one translation to the next without the central loop: go() and onward(), and a program that takes every kind of way out.

import { describe, expect, it } from "vitest";
import { Off, PREDECODE_BASE, VISITS, VISITS_LIMIT, VISITS_MASK } from "../../../src/arch/layout.ts";
import { Special } from "../../../src/cpu/interp/handlers.ts";
import { REDIRECT } from "../../../src/cpu/interp/page.ts";
import { type Engine, Machine } from "../../../src/harness/index.ts";
import { BareInterpreter } from "../../isa/bare-interpreter.ts";
import * as a64 from "../../support/a64.ts";
import { PC } from "./blocks.ts";

const BTI_C = 0xd503_245f | 0;
const entryOf = (pc: number) => PREDECODE_BASE + (pc & 0xfff) * 2;
interface Way {
  readonly pc?: number;
  readonly left?: number;
  readonly btype?: number;
  readonly guarded?: boolean;
  readonly translated?: boolean;
}

/** ADD X0, X0, #1 twice, translated or not, behind which nothing is; or those with BTI c before them. */
class Rig extends BareInterpreter {
  constructor() {
    super("wasm");
  }
  private prepare(words: readonly number[], way: Way): void {
    const { st, i32 } = this;
    const first = (PC & 0xfff) >> 2;
    const at = entryOf(PC) >> 2;
    this.map(2, (PC & ~0xfff) >>> 0, PREDECODE_BASE);
    st.u32[(st.base + Off.TLBS + 2 * 0x4000 + ((PC >>> 8) & 0x3ff0) + 12) >> 2] = way.guarded ? 1 : 0;
    words.forEach((word, i) => {
      i32[at + 2 * i] = 1000;
      i32[at + 2 * i + 1] = word;
    });
    i32[at + 2 * words.length] = Special.UNDEFINED;
    if (way.translated !== false) expect(this.install(words, first, at)).toBe(true);
    st.set(Off.X, 0n);
    st.setLo(Off.BTYPE, way.btype ?? 0);
  }
  private outcome(answer: number) {
    const { st } = this;
    const left = (st.lo(Off.BUDGET) | 0) - (answer >= 0 ? answer >>> 3 : 0);
    return { answer, added: Number(st.get(Off.X)), left, btype: st.lo(Off.BTYPE) };
  }
  go(words: readonly number[], way: Way) {
    this.prepare(words, way);
    const { st } = this;
    st.pc = 0n;
    const answer = (this.exports.go as (pe: number, pc: bigint, left: number) => number)(st.base, BigInt(way.pc ?? PC), way.left ?? 10);
    return { ...this.outcome(answer), pc: Number(st.pc) };
  }
  onward(words: readonly number[], way: Way, warm = 0) {
    this.prepare(words, way);
    const { st, i32 } = this;
    const ip = entryOf(PC);
    st.set(Off.PCBASE, BigInt((PC & ~0xfff) - (PREDECODE_BASE >>> 1)));
    i32[VISITS_LIMIT >> 2] = 1000;
    const visits = (VISITS + ((warm >>> 1) & VISITS_MASK)) >> 2;
    i32[visits] = 0;
    const onward = this.exports.onward as (pe: number, ip: number, warm: number, budget: number) => number;
    const answer = onward(st.base, ip, warm, (way.left ?? 10) + (ip >>> 3));
    return { ...this.outcome(answer), visits: warm === 0 ? 0 : i32[visits] };
  }
}

describe("from translation to translation", () => {
  const rig = new Rig();
  const add = a64.addImm(0, 0, 1) | 0;
  const behind = (n: number) => entryOf(PC) + 8 * n;
  const runs = { answer: behind(2), added: 2, left: 8, btype: 0 };

  it("runs what is translated at the address", () => {
    expect(rig.go([add, add], {})).toMatchObject(runs);
  });
  it.each<[string, Way]>([
    ["without budget", { left: 0 }],
    ["for a page that is not in the fetch TLB", { pc: PC + 0x1000 }],
    ["for a misaligned address", { pc: PC + 2 }],
    ["for code that is not translated", { translated: false }],
    ["for a branch to a guarded page that does not land on BTI", { btype: 2, guarded: true }],
  ])("leaves to jump() %s", (_, way) => {
    const { pc = PC, left = 10, btype = 0 } = way;
    expect(rig.go([add, add], way)).toEqual({ answer: REDIRECT, added: 0, left, btype, pc });
  });
  it("clears BTYPE where the branch may land", () => {
    expect(rig.go([add, add], { btype: 2 })).toMatchObject(runs);
    expect(rig.go([BTI_C, add, add], { btype: 2, guarded: true })).toMatchObject({ ...runs, answer: behind(3), left: 7 });
    expect(rig.go([BTI_C, add, add], { btype: 3, guarded: true })).toMatchObject({ answer: REDIRECT, btype: 3 });
  });
  it("goes onward within the page", () => {
    expect(rig.onward([add, add], {})).toMatchObject(runs);
    expect(rig.onward([add, add], { left: 0 })).toMatchObject({ answer: REDIRECT, added: 0, left: 0 });
    expect(rig.onward([add, add], { left: -3 })).toMatchObject({ answer: REDIRECT, added: 0, left: -3 });
  });
  it("counts ways to code that is not translated", () => {
    const warm = entryOf(PC);
    expect(rig.onward([add, add], { translated: false }, warm)).toMatchObject({ answer: behind(0), added: 0, left: 10, visits: 1 });
    expect(rig.onward([add, add], {}, warm)).toMatchObject({ ...runs, visits: 0 });
  });
});

const F = 0x1000;
const G = 0x2000;
const H = 0x3000;
const BLR_X20 = 0xd63f_0280;
const RET = 0xd65f_03c0;
/** Through a pointer to f, which branches on to g; g jumps into h by a pointer; h returns. X0 counts all of it. */
function program(): Uint8Array {
  const pointers = [...a64.mov(20, a64.ORIGIN + F), ...a64.mov(21, a64.ORIGIN + H), ...a64.mov(0, 0), ...a64.mov(1, 0)];
  const body = [BLR_X20, a64.addImm(1, 1, 1), a64.cbz(1, 2), a64.addImm(0, 0, 1)];
  return a64.image([...pointers, ...a64.repeat(4, 0x4000_0000, body), ...a64.HALT], {
    [F]: [a64.addImm(0, 0, 1), a64.b((G - F - 4) / 4)],
    [G]: [a64.addImm(0, 0, 2), a64.br(21)],
    [H]: [a64.addImm(0, 0, 3), a64.addImm(1, 1, 1), RET],
  });
}
describe("every way out", () => {
  it("keeps to the budget of each turn", async () => {
    const machines = await Promise.all(
      (["interp", "wasm"] as Engine[]).map((engine) => Machine.create({ engine, kernel: program(), memory: 64 * 2 ** 20 })),
    );
    const state = (m: Machine) => ({ pc: m.pe().pc, x0: m.pe().x(0), x1: m.pe().x(1), x30: m.pe().x(30), n: m.instructions });
    for (let turn = 0; turn < 120; turn++) {
      for (const m of machines) await m.runInstructions(turn === 0 ? 1_000_000 : 100_000 + turn);
      const [interp, wasm] = machines.map(state);
      expect(wasm, `turn ${turn}`).toEqual(interp);
    }
    expect(machines[1]?.board.executor.engine?.statistics.regions).toBeGreaterThan(3);
  });
});
