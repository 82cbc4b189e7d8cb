// The PA space of every physical access: of table walks and of outputs, in every regime, with the MMU on and off (facts sheet, section 6).

import { beforeEach, describe, expect, it } from "vitest";
import { Access, bit, LEAF, RAM, Rig, Tree, tcr, tcrOne, UXN } from "../mmu/rig.ts";

const VA = 0x12_3456_7000n;
const NS = bit(5);
const NSE = bit(11);
const NS_TABLE = bit(63);
const S2 = 0x7fcn;
const SCR = { Secure: bit(18), NonSecure: 1n, Realm: bit(62) | 1n, Root: 0n } as const;
type State = keyof typeof SCR;
const number: Record<State, number> = { Secure: 0, NonSecure: 1, Root: 2, Realm: 3 };

let rig: Rig;
let seen: { pa: number; pas: number; state: number }[];
beforeEach(() => {
  rig = new Rig();
  seen = [];
  rig.mmu.granuleCheck = {
    active: true,
    sizeLog2: 52,
    entry: -1,
    granuleLog2: 12,
    check: (pa, pas, state) => {
      seen.push({ pa, pas, state });
      return 0;
    },
  };
});

/** Spaces of the accesses of one translation: walk in order, then the output. "fault" ends it. */
function spaces(va: bigint, access: Access = Access.Read): string {
  rig.mmu.flushAll();
  seen = [];
  const outcome = rig.outcome(va, access);
  const list = seen.map((s) => s.pas).join("");
  return outcome === "ok" ? `${list} -> ${rig.mmu.pas}` : `${list} ${outcome}`;
}

type RegimeName = "EL3" | "EL2" | "EL2&0" | "EL1&0";
/** Turns stage 1 of a regime on for tree `t`. */
function stage1(regime: RegimeName, state: State, t: Tree, on = true): void {
  const m = on ? 1n : 0n;
  const scr = SCR[state];
  if (regime === "EL3") rig.set({ EL: 3, SCTLR_EL3: m, TCR_EL3: tcrOne(t), TTBR0_EL3: t.ttbr() });
  else if (regime === "EL2") rig.set({ EL: 2, SCR_EL3: scr, SCTLR_EL2: m, TCR_EL2: tcrOne(t), TTBR0_EL2: t.ttbr() });
  else if (regime === "EL2&0")
    rig.set({ EL: 2, SCR_EL3: scr, HCR_EL2: bit(34) | bit(27), SCTLR_EL2: m, TCR_EL2: tcr(t), TTBR0_EL2: t.ttbr() });
  else rig.set({ EL: 1, SCR_EL3: scr, SCTLR_EL1: m, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr() });
}

describe("stage 1", () => {
  // Regime, state, spaces with leaf NSE:NS = 00, 01, 10, 11 (walks are four levels of the state's own space), fetches from each.
  // biome-ignore format: table
  const rows: [RegimeName, State, [number, number, number, number], [boolean, boolean, boolean, boolean]][] = [
    ["EL3",   "Root",      [0, 1, 2, 3], [false, false, true, false]],
    ["EL2",   "Realm",     [3, 1, 3, 1], [true, false, true, false]],
    ["EL2&0", "Realm",     [3, 1, 3, 1], [true, false, true, false]],
    ["EL1&0", "Realm",     [3, 3, 3, 3], [true, true, true, true]],
    ["EL2",   "Secure",    [0, 1, 0, 1], [true, true, true, true]],
    ["EL2&0", "Secure",    [0, 1, 0, 1], [true, true, true, true]],
    ["EL1&0", "Secure",    [0, 1, 0, 1], [true, true, true, true]],
    ["EL2",   "NonSecure", [1, 1, 1, 1], [true, true, true, true]],
    ["EL2&0", "NonSecure", [1, 1, 1, 1], [true, true, true, true]],
    ["EL1&0", "NonSecure", [1, 1, 1, 1], [true, true, true, true]],
  ];
  for (const [regime, state, outputs, executable] of rows) {
    it(`${regime} in ${state} state`, () => {
      const t = new Tree(rig);
      stage1(regime, state, t);
      const own = `${number[state]}`.repeat(4);
      outputs.forEach((out, i) => {
        t.map(VA, RAM, LEAF | (i & 1 ? NS : 0n) | (i & 2 ? NSE : 0n));
        expect(spaces(VA), `leaf ${i}`).toBe(`${own}${out} -> ${out}`);
        expect(spaces(VA, Access.Fetch) === `${own}${out} -> ${out}`, `fetch ${i}`).toBe(executable[i]);
        if (!executable[i]) expect(spaces(VA, Access.Fetch)).toBe(`${own} s1 0x0f`);
      });
      expect(seen.every((s) => s.state === number[state])).toBe(true);
    });
    it(`${regime} in ${state} state, NSTable`, () => {
      const t = new Tree(rig);
      stage1(regime, state, t);
      t.map(VA, RAM, LEAF);
      t.put(t.slot(VA, 1), t.get(t.slot(VA, 1)) | NS_TABLE);
      const own = number[state];
      // Only Secure state looks at it: what follows is Non-secure.
      expect(spaces(VA)).toBe(state === "Secure" ? "00111 -> 1" : `${own}${own}${own}${own}${outputs[0]} -> ${outputs[0]}`);
    });
    it(`${regime} in ${state} state, MMU off`, () => {
      stage1(regime, state, new Tree(rig), false);
      const own = number[state];
      expect(spaces(BigInt(RAM))).toBe(`${own} -> ${own}`);
      expect(spaces(BigInt(RAM), Access.Fetch)).toBe(`${own} -> ${own}`);
    });
  }
  it("EL0 of Realm EL2&0 does not execute Non-secure memory either", () => {
    const t = new Tree(rig);
    stage1("EL2&0", "Realm", t);
    t.map(VA, RAM, LEAF | NS | bit(6));
    rig.set({ EL: 0 });
    expect(spaces(VA)).toBe("33331 -> 1");
    expect(spaces(VA, Access.Fetch)).toBe("3333 s1 0x0f");
    t.map(VA, RAM, LEAF | bit(6) | bit(53));
    expect(spaces(VA, Access.Fetch)).toBe("33333 -> 3");
  });
  it("SCR_EL3.SIF: Secure state does not execute Non-secure memory", () => {
    const t = new Tree(rig);
    stage1("EL1&0", "Secure", t);
    rig.set({ SCR_EL3: bit(18) | bit(9) });
    t.map(VA, RAM, LEAF | NS);
    expect(spaces(VA)).toBe("00001 -> 1");
    expect(spaces(VA, Access.Fetch)).toBe("0000 s1 0x0f");
    t.map(VA, RAM, LEAF | UXN);
    expect(spaces(VA, Access.Fetch)).toBe("00000 -> 0");
  });
});

describe("stage 2", () => {
  /** VTCR or VSTCR of a tree of 40 bits from level 1. */
  const vtcr = (t: Tree, more = 0n): bigint => t.tsz | (1n << 6n) | (5n << 16n) | more;
  function only(state: State, hcr = 1n): { s: Tree; n: Tree } {
    const s = new Tree(rig, { ia: 40, start: 1 });
    const n = new Tree(rig, { ia: 40, start: 1 });
    rig.set({ EL: 1, SCR_EL3: SCR[state], HCR_EL2: hcr, VTCR_EL2: vtcr(n), VTTBR_EL2: n.ttbr(), VSTCR_EL2: vtcr(s), VSTTBR_EL2: s.ttbr() });
    for (const t of [s, n]) t.map(0n, RAM, S2);
    return { s, n };
  }
  it("Non-secure: everything Non-secure, whatever bit 55 and NSW, NSA say", () => {
    const { n } = only("NonSecure");
    expect(spaces(0n)).toBe("1111 -> 1");
    n.map(0n, RAM, S2 | bit(55));
    rig.set({ VTCR_EL2: vtcr(n, bit(29) | bit(30)) });
    expect(spaces(0n)).toBe("1111 -> 1");
  });
  it("Realm: tables Realm, output by bit 55, NSW and NSA without meaning; no fetch from Non-secure memory", () => {
    const { n } = only("Realm");
    rig.set({ VTCR_EL2: vtcr(n, bit(29) | bit(30)) });
    expect(spaces(0n)).toBe("3333 -> 3");
    expect(spaces(0n, Access.Fetch)).toBe("3333 -> 3");
    n.map(0n, RAM, S2 | bit(55));
    expect(spaces(0n)).toBe("3331 -> 1");
    expect(spaces(0n, Access.Fetch)).toBe("333 s2 0x0f");
  });
  for (let c = 0; c < 16; c++) {
    const [sw, sa, nsw, nsa] = [c & 1, c & 2, c & 4, c & 8];
    it(`Secure: SW ${sw ? 1 : 0}, SA ${sa ? 1 : 0}, NSW ${nsw ? 1 : 0}, NSA ${nsa ? 1 : 0}`, () => {
      const { s, n } = only("Secure");
      const t = new Tree(rig);
      // Stage 1 in Secure memory: its tables are reached through VSTTBR; the leaf picks the IPA space.
      for (let off = 0; off < 0x400_0000; off += 0x20_0000) s.map(BigInt(RAM + off), RAM + off, S2, 2);
      rig.set({
        SCTLR_EL1: 0n,
        VSTCR_EL2: vtcr(s, (sw ? bit(29) : 0n) | (sa ? bit(30) : 0n)),
        VTCR_EL2: vtcr(n, (nsw ? bit(29) : 0n) | (nsa ? bit(30) : 0n)),
      });
      const walk = sw ? 1 : 0;
      const out = sw || sa ? 1 : 0;
      expect(spaces(0n)).toBe(`${walk}${walk}${walk}${out} -> ${out}`);
      // A Non-secure IPA.
      rig.set({ SCTLR_EL1: 1n, TCR_EL1: tcr(t), TTBR0_EL1: t.ttbr() });
      t.map(VA, 0, LEAF | NS);
      const nwalk = nsw ? 1 : 0;
      const nout = sw || sa || nsw || nsa ? 1 : 0;
      // The end of the walk: stage 2 of the leaf's output, then the output.
      expect(spaces(VA).slice(-9)).toBe(`${nwalk}${nwalk}${nwalk}${nout} -> ${nout}`);
      expect(rig.mmu.pas).toBe(nout);
    });
  }
  it("EL2 disabled in Secure state, or stage 2 off: IPA space = PA space", () => {
    only("Secure");
    rig.set({ SCR_EL3: 0n });
    expect(spaces(BigInt(RAM))).toBe("0 -> 0");
    only("Realm", 0n);
    expect(spaces(BigInt(RAM))).toBe("3 -> 3");
  });
});
