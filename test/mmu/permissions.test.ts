// Permissions against a specification written from the Arm ARM's prose (D8.4), independently of src/mmu/permissions.ts: every
// rule is a separate predicate over the raw descriptor bits.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Access, bit, DBM, LEAF, PXN, RAM, Rig, RO, Tree, tcr, tcrOne, USER, UXN } from "./rig.ts";

const VA = 0x12_3456_7000n;
const HA_HD = bit(39) | bit(40);

interface Case {
  ap: number;
  uxn: boolean;
  pxn: boolean;
  apTable: number;
  uxnTable: boolean;
  pxnTable: boolean;
  dbm: boolean;
  hd: boolean;
  hpd: boolean;
  wxn: boolean;
  epan: boolean;
  pan: boolean;
  /** 0: EL0, 1: EL1, 2: EL1 with LDTR/STTR. */
  who: number;
  uao: boolean;
  access: number;
}

const cases = fc.record<Case>({
  ap: fc.integer({ min: 0, max: 3 }),
  uxn: fc.boolean(),
  pxn: fc.boolean(),
  apTable: fc.integer({ min: 0, max: 3 }),
  uxnTable: fc.boolean(),
  pxnTable: fc.boolean(),
  dbm: fc.boolean(),
  hd: fc.boolean(),
  hpd: fc.boolean(),
  wxn: fc.boolean(),
  epan: fc.boolean(),
  pan: fc.boolean(),
  who: fc.integer({ min: 0, max: 2 }),
  uao: fc.boolean(),
  access: fc.integer({ min: 0, max: 3 }),
});

/** Outcome by the rules of the Arm ARM. */
function specified(c: Case): string {
  const table = (n: number): boolean => !c.hpd && n !== 0;
  const writableLeaf = (c.ap & 2) === 0 || (c.dbm && c.hd);
  const noWrite = !writableLeaf || table(c.apTable & 2);
  const el0Data = (c.ap & 1) === 1 && !table(c.apTable & 1);
  const asEl0 = c.who === 0 || (c.who === 2 && !c.uao);
  const uxn = c.uxn || table(Number(c.uxnTable));
  const pxn = c.pxn || table(Number(c.pxnTable));
  // R_WKRWP and following: EL0-writable is never privileged executable; WXN.
  const el0Writes = el0Data && !noWrite;
  const panBlocks = c.pan && (el0Data || (c.epan && !uxn));
  const reads = asEl0 ? el0Data : !panBlocks;
  const writes = asEl0 ? el0Writes : !noWrite && !panBlocks;
  const executes = asEl0 ? !uxn && !(c.wxn && el0Writes) : !pxn && !el0Writes && !(c.wxn && !noWrite);
  switch (c.access) {
    case Access.Read:
      return reads ? "ok" : "s1 0x0f";
    case Access.Write:
      return writes ? "ok" : "s1 0x0f w";
    case Access.Fetch:
      return executes ? "ok" : "s1 0x0f";
    default:
      return !reads ? "s1 0x0f" : writes ? "ok" : "s1 0x0f w";
  }
}

describe("stage 1 permissions", () => {
  const rig = new Rig();
  const t = new Tree(rig);
  t.map(VA, RAM, LEAF);
  rig.set({ TTBR0_EL1: t.ttbr() });

  it("equal the specification, from the tables and from the TLB", () => {
    fc.assert(
      fc.property(cases, (c) => {
        if (c.who === 2 && c.access === Access.Fetch) return;
        const flag = (on: boolean, v: bigint): bigint => (on ? v : 0n);
        const upper = t.slot(VA, 1);
        t.put(upper, (t.get(upper) & ~(31n << 59n)) | (BigInt(c.apTable) << 61n) | flag(c.uxnTable, bit(60)) | flag(c.pxnTable, bit(59)));
        const leaf = (): void => {
          t.map(VA, RAM, LEAF | (BigInt(c.ap) << 6n) | flag(c.uxn, UXN) | flag(c.pxn, PXN) | flag(c.dbm, DBM));
        };
        leaf();
        rig.mmu.flushAll();
        rig.set({
          EL: c.who === 0 ? 0 : 1,
          PAN: Number(c.pan),
          UAO: Number(c.uao),
          SCTLR_EL1: 1n | flag(c.wxn, bit(19)) | flag(c.epan, bit(57)),
          TCR_EL1: tcr(t, t, flag(c.hd, HA_HD) | flag(c.hpd, bit(41))),
        });
        const expected = specified(c);
        expect(rig.outcome(VA, c.access as Access, c.who === 2)).toBe(expected);
        // Again, from whatever the TLBs cached; and after another access kind filled them.
        expect(rig.outcome(VA, c.access as Access, c.who === 2)).toBe(expected);
        for (const other of [Access.Read, Access.Write, Access.Fetch]) rig.outcome(VA, other);
        expect(rig.outcome(VA, c.access as Access, c.who === 2)).toBe(expected);
      }),
      { numRuns: 3000 },
    );
  });

  it("the L1 holds a page in the table of a class exactly when that class may access it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.boolean(), fc.integer({ min: 0, max: 1 }), (ap, pan, el) => {
        t.map(VA, RAM, LEAF | (BigInt(ap) << 6n));
        rig.mmu.flushAll();
        rig.set({ EL: el, PAN: Number(pan), UAO: 0, SCTLR_EL1: 1n, TCR_EL1: tcr(t) });
        const read = rig.outcome(VA, Access.Read) === "ok";
        const write = rig.outcome(VA, Access.Write) === "ok";
        const userRead = rig.outcome(VA, Access.Read, true) === "ok";
        expect(rig.l1("TLB_R", VA) >= 0).toBe(read || (el === 0 && userRead));
        expect(rig.l1("TLB_W", VA) >= 0).toBe(write);
        expect(rig.l1("TLB_UR", VA) >= 0).toBe(userRead || (el === 0 && read));
        if (el === 1) expect(rig.st.lo(0x1e4)).not.toBe(rig.st.lo(0x1f0));
      }),
      { numRuns: 200 },
    );
  });
});

describe("one-range regimes", () => {
  it("look at AP[2] and XN only", () => {
    const rig = new Rig();
    const t = new Tree(rig);
    for (let bits = 0; bits < 16; bits++) {
      const attrs = (bits & 1 ? USER : 0n) | (bits & 2 ? RO : 0n) | (bits & 4 ? UXN : 0n) | (bits & 8 ? PXN : 0n);
      t.map(VA, RAM, LEAF | attrs);
      rig.mmu.flushAll();
      rig.set({ EL: 2, PAN: 1, SCTLR_EL2: 1n, TCR_EL2: tcrOne(t), TTBR0_EL2: t.ttbr() });
      expect(rig.outcome(VA)).toBe("ok");
      expect(rig.outcome(VA, Access.Write)).toBe(bits & 2 ? "s1 0x0f w" : "ok");
      expect(rig.outcome(VA, Access.Fetch)).toBe(bits & 4 ? "s1 0x0f" : "ok");
      // WXN: writable implies not executable.
      rig.set({ SCTLR_EL2: 1n | bit(19) });
      expect(rig.outcome(VA, Access.Fetch)).toBe(bits & 4 || !(bits & 2) ? "s1 0x0f" : "ok");
      rig.set({ SCTLR_EL2: 1n });
    }
  });
});
