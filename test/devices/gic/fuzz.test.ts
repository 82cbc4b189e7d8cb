// Random and hostile use. Whatever is written: nothing throws, the outputs equal those computed from scratch, and a saved
// controller restored into a new one is the same.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Off } from "../../../src/arch/layout.ts";
import type { RegName } from "../../../src/arch/registers/encodings.ts";
import { Pas } from "../../../src/arch/security.ts";
import { slot } from "../../../src/arch/state.ts";
import { gicRegisters } from "../../../src/devices/gic/access.ts";
import { D, Fixture, Hcr, Scr, type World } from "./fixture.ts";
import { expectedLines, expectedMaintenance, highestPending } from "./reference.ts";

const PES = 2;
const SPIS = 70;
const worlds: World[] = ["secure", "nonsecure", "realm"];

type Op =
  | { op: "mmio"; redistributor: boolean; offset: number; size: 1 | 2 | 4; value: number; pas: Pas; pe: number }
  | { op: "spi"; n: number; level: boolean }
  | { op: "ppi"; pe: number; intid: number; level: boolean }
  | { op: "run"; pe: number; el: 0 | 1 | 2 | 3; world: World; scr: bigint; hcr: bigint }
  | { op: "msr"; pe: number; reg: RegName; value: bigint; forced: boolean }
  | { op: "mrs"; pe: number; reg: RegName; forced: boolean };

/** All but the maintenance interrupt, which the virtual interface drives. */
const ppis = Array.from({ length: 16 }, (_, n) => 16 + n).filter((n) => n !== 25);
const pe = fc.nat(PES - 1);
const word = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 0xffff_ffff, 7),
  fc.nat(31).map((n) => (1 << n) >>> 0),
);
const perIrq = Object.values(D).filter((o) => o >= 0x80 && o < 0x6000);
const offset = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom(...perIrq), fc.nat(0x1f)).map(([base, n]) => base + 4 * n) },
  { weight: 2, arbitrary: fc.integer({ min: 32, max: 110 }).map((n) => D.IROUTER + 8 * n) },
  { weight: 1, arbitrary: fc.constant(D.CTLR as number) },
  { weight: 1, arbitrary: fc.nat(0x3fff).map((n) => 4 * n) },
);
const mmio = fc.record({
  op: fc.constant("mmio" as const),
  redistributor: fc.boolean(),
  offset,
  size: fc.constantFrom<(1 | 2 | 4)[]>(4, 4, 4, 1, 2),
  value: word,
  pas: fc.constantFrom(Pas.Root, Pas.Secure, Pas.NonSecure, Pas.Realm),
  pe,
});
const subset = (bits: readonly bigint[]) => fc.subarray([...bits]).map((s) => s.reduce((a, b) => a | b, 0n));
const sgiValue = fc.tuple(fc.nat(15), fc.nat(3), fc.boolean()).map(([id, list, irm]) => BigInt((id << 24) | list) | (irm ? 1n << 40n : 0n));
const lrValue = fc
  .tuple(fc.nat(120), fc.nat(255), fc.nat(15), fc.nat(1023), fc.boolean())
  .map(([id, p, top, hw, eoi]) => BigInt(id) | (BigInt(hw) << 32n) | (eoi ? 1n << 41n : 0n) | (BigInt(p) << 48n) | (BigInt(top) << 60n));
const value = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), word.map(BigInt), fc.nat(110).map(BigInt), sgiValue, lrValue);
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 5, arbitrary: mmio },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("spi" as const), n: fc.nat(SPIS - 1), level: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("ppi" as const), pe, intid: fc.constantFrom(...ppis), level: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("run" as const),
      pe,
      el: fc.constantFrom<(0 | 1 | 2 | 3)[]>(0, 1, 2, 3),
      world: fc.constantFrom(...worlds),
      scr: subset([Scr.IRQ, Scr.FIQ, Scr.FGTEn]),
      hcr: subset([Hcr.IMO, Hcr.FMO, Hcr.TGE, Hcr.E2H]),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ op: fc.constant("msr" as const), pe, reg: fc.constantFrom(...gicRegisters), value, forced: fc.boolean() }),
  },
  { weight: 5, arbitrary: fc.record({ op: fc.constant("mrs" as const), pe, reg: fc.constantFrom(...gicRegisters), forced: fc.boolean() }) },
);

function apply(f: Fixture, o: Op): void {
  switch (o.op) {
    case "mmio": {
      const window = o.redistributor ? f.gic.redistributor : f.gic.distributor;
      // Most registers of a redistributor are in its SGI frame; small offsets reach WAKER.
      const base = o.redistributor ? 0x2_0000 * o.pe + (o.offset >= 0x80 ? 0x1_0000 : 0x14) : 0;
      const at = base + o.offset;
      const who = { pas: o.pas, pe: o.pe };
      expect(window.write(at, o.size, o.value, who)).toBe(true);
      const read = window.read(at, o.size, who);
      expect(read >= 0 && read <= 2 ** (8 * o.size) - 1 && Number.isInteger(read)).toBe(true);
      return;
    }
    case "spi":
      f.gic.spi(o.n).set(o.level);
      return;
    case "ppi":
      f.gic.ppi(o.pe, o.intid).set(o.level);
      return;
    case "run":
      f.run(o.pe, o.el, o.world, o.scr, o.hcr);
      return;
    case "msr":
      if (o.forced || f.gic.cpu(o.pe).access(o.reg, true) === 0) f.gic.cpu(o.pe).write(o.reg, o.value);
      return;
    case "mrs":
      if (o.forced || f.gic.cpu(o.pe).access(o.reg, false) === 0) {
        const v = f.gic.cpu(o.pe).read(o.reg);
        expect(v >= 0n && v < 1n << 64n).toBe(true);
      }
      return;
  }
}

function check(f: Fixture): void {
  const saved = f.gic.save();
  for (let n = 0; n < PES; n++) {
    expect(f.gic.cpu(n).physical.hppi.intid).toBe(highestPending(saved, n, f.st)?.intid ?? -1);
    expect(f.lines(n)).toBe(expectedLines(saved, n, f.st));
  }
}

describe.each([
  ["two Security states", false],
  ["one Security state", true],
])("%s", (_name, singleSecurity) => {
  it("outputs equal those computed from scratch after every operation", () => {
    let busy = 0;
    fc.assert(
      fc.property(fc.array(op, { minLength: 30, maxLength: 80, size: "max" }), (ops) => {
        const f = new Fixture({ pes: PES, spis: SPIS, singleSecurity }).openUp();
        // Everything enabled: random writes then meet interrupts that can be delivered.
        for (let w = 0; w < 4; w++) f.setD(D.ISENABLER + 4 * w, 0xffff_ffff);
        for (let n = 0; n < PES; n++) f.setSgi(n, D.ISENABLER, 0xffff_ffff);
        for (let intid = 16; intid < 32 + SPIS; intid++) f.configure(intid, { priority: (intid * 0x48) & 0xff });
        for (const o of ops) {
          apply(f, o);
          check(f);
          if (f.lines(0) || f.lines(1)) busy++;
        }
        const saved = f.gic.save() as { pes: { redistributor: { irqs: { line: number[] } } }[] };
        for (let n = 0; n < PES; n++) {
          expect((saved.pes[n]!.redistributor.irqs.line[0]! & (1 << 25)) !== 0).toBe(expectedMaintenance(saved, n));
        }
      }),
      { numRuns: 100 },
    );
    // The property is worth something only when interrupts were signalled.
    expect(busy).toBeGreaterThan(1000);
  });

  it("save and restore", () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), fc.array(op, { maxLength: 20 }), (before, after) => {
        const f = new Fixture({ pes: PES, spis: SPIS, singleSecurity }).openUp();
        for (const o of before) apply(f, o);
        const g = new Fixture({ pes: PES, spis: SPIS, singleSecurity });
        for (let n = 0; n < PES; n++) {
          g.st[n]!.setLo(Off.EL, f.st[n]!.el);
          for (const s of [slot.SCR_EL3, slot.HCR_EL2]) g.st[n]!.set(s, f.st[n]!.get(s));
        }
        // As a snapshot file would give it back.
        g.gic.restore(JSON.parse(JSON.stringify(f.gic.save())));
        expect(g.gic.save()).toEqual(f.gic.save());
        for (const o of after) {
          apply(f, o);
          apply(g, o);
        }
        expect(g.gic.save()).toEqual(f.gic.save());
        expect([0, 1].map((n) => g.lines(n))).toEqual([0, 1].map((n) => f.lines(n)));
      }),
      { numRuns: 60 },
    );
  });
});

it("reset forgets everything but the levels of the inputs", () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
      const f = new Fixture({ pes: PES, spis: SPIS }).openUp();
      for (const o of ops) apply(f, o);
      for (let n = 0; n < SPIS; n++) f.gic.spi(n).set(false);
      for (let n = 0; n < PES; n++) for (const i of ppis) f.gic.ppi(n, i).set(false);
      f.gic.reset();
      expect(f.gic.save()).toEqual(new Fixture({ pes: PES, spis: SPIS }).gic.save());
      expect([f.lines(0), f.lines(1)]).toEqual(["", ""]);
    }),
    { numRuns: 40 },
  );
});

it("1-of-N routing never loses an interrupt that some PE would take", () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
      const f = new Fixture({ pes: PES, spis: SPIS, oneOfN: true }).openUp();
      for (const o of ops) apply(f, o);
      // Afterwards: one interrupt, to anybody, with everybody ready.
      f.openUp();
      for (let n = 0; n < PES; n++) {
        for (const reg of ["ICC_AP0R0_EL1", "ICC_AP1R0_EL1"] as const) {
          for (const world of worlds) {
            f.run(n, 3, world);
            f.w(n, reg, 0);
          }
        }
        f.run(n, 1, "nonsecure");
      }
      f.setD(D.CTLR, 7);
      f.configure(33, { priority: 0, edge: true });
      f.setD(D.IROUTER + 8 * 33, 0x8000_0000);
      f.setD(D.ICACTIVER + 4, 0xffff_ffff);
      f.gic.spi(1).set(false);
      f.gic.spi(1).set(true);
      const takers = [0, 1].filter((n) => Number(f.gic.cpu(n).read("ICC_HPPIR1_EL1")) === 33);
      const busy = [0, 1].filter((n) => f.lines(n).includes("IRQ"));
      expect(takers.length + busy.length).toBeGreaterThan(0);
      expect(takers.length).toBeLessThan(2);
    }),
    { numRuns: 40 },
  );
});
