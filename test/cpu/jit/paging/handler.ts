// What the guest does with an exception: notes the whole register state, mends the table or leaves the instruction out, returns.

import * as a64 from "../../../support/a64.ts";
import * as m from "./map.ts";

const { Cond, Field, State } = m;
/** A page: valid, inner shareable, AttrIndx 0. AP stands from bit 6 on. */
const PAGE = 0x303;
const AF = 1 << 10;
const AP_EL0 = 1 << 6;
const AP_READ_ONLY = 1 << 7;
/** ESR_EL1.EC of a data abort from the same level. */
const DATA_ABORT = 0x25;

/** To be put at HANDLER; SP_EL1 = STATE. At most 2^`keep` pages are mapped at a time. */
export function handler(keep: number): number[] {
  const a = new m.Assembler();
  note(a);
  // X0: the record, X2: ESR. A data abort on the data pages? X1: the page, X3: its descriptor.
  a.add(m.ubfx(3, 2, 26, 6), m.cmpImm(3, DATA_ABORT)).to("skip", (d) => m.bCond(Cond.NE, d));
  a.add(a64.mrs(1, "FAR_EL1"), ...a64.mov(3, m.DATA_VA), m.subShifted(1, 1, 3), a64.lsr(3, 1, 18)).to("skip", (d) => a64.cbnz(3, d));
  a.add(a64.lsr(1, 1, 12), ...a64.mov(3, a64.ORIGIN + m.TABLES.l3), m.addShifted(3, 3, 1, 3));
  // DFSC without the level: 1 translation, 2 access flag, 3 permission.
  a.add(m.ubfx(4, 2, 2, 4), a64.subImm(4, 4, 1)).to("missing", (d) => a64.cbz(4, d));
  a.add(a64.subImm(4, 4, 1), m.cmpImm(4, 1)).to("skip", (d) => m.bCond(Cond.HI, d));
  allow(a);
  a.label("missing");
  map(a, keep);
  a.label("skip").add(a64.mrs(2, "ELR_EL1"), a64.addImm(2, 2, 4), a64.msr("ELR_EL1", 2));
  a.label("return");
  for (const r of [6, 4, 2, 0]) a.add(m.ldp(r, r + 1, 0, 8 * r));
  a.add(a64.ERET);
  a.label("full").add(...a64.HALT);
  return a.done();
}

function note(a: m.Assembler): void {
  a.add(m.stp(0, 1, 31, State.scratch), a64.ldr64(0, 31, State.next));
  for (let r = 2; r < 30; r += 2) a.add(m.stp(r, r + 1, 0, 8 * r));
  a.add(a64.str64(30, 0, 240), m.ldp(2, 3, 31, State.scratch), m.stp(2, 3, 0, 0));
  const registers = [
    [a64.mrs(2, "SP_EL0"), Field.SP],
    [a64.mrs(2, "ELR_EL1"), Field.ELR],
    [a64.mrs(2, "SPSR_EL1"), Field.SPSR],
    [a64.mrs(2, "FAR_EL1"), Field.FAR],
    [m.mrsFpsr(2), Field.FPSR],
    [a64.mrs(2, "ESR_EL1"), Field.ESR],
  ] as const;
  for (const [read, at] of registers) a.add(read, a64.str64(2, 0, at));
  for (let r = 0; r < 32; r += 2) a.add(m.stpQ(r, r + 1, 0, Field.V + 16 * r));
  a.add(a64.addImm(1, 0, m.RECORD), a64.str64(1, 31, State.next), ...a64.mov(3, m.LOG_END), m.subShifted(3, 3, 1));
  a.to("full", (d) => a64.cbz(3, d));
}

/** Invalidates the page whose number is in Xn; X5 is lost. */
const invalidate = (n: number): number[] => [m.DSB, ...a64.mov(5, m.DATA_VA / 4096), a64.add(5, 5, n), m.TLBI_VAAE1(5), m.DSB, a64.ISB];

/** The page is there: all permissions, access flag. */
function allow(a: m.Assembler): void {
  a.add(a64.ldr64(4, 3), ...a64.mov(5, AF | AP_EL0), m.orrShifted(4, 4, 5), ...a64.mov(5, AP_READ_ONLY), m.bic(4, 4, 5), a64.str64(4, 3));
  a.add(...invalidate(1)).to("return", a64.b);
}

/**
 * Another page goes, which was mapped 2^`keep` pages ago. Page n stands at 37 n modulo their number; permissions change from one to the
 * next, and every fourth group of four comes without its access flag.
 */
function map(a: m.Assembler, keep: number): void {
  a.add(a64.ldr64(4, 31, State.mapped), a64.addImm(5, 4, 1), a64.str64(5, 31, State.mapped)); // X4: how many before
  a.add(m.ubfx(6, 4, 0, keep), a64.addImm(7, 31, 0), m.addShifted(6, 7, 6, 3), a64.ldr64(7, 6, State.ring), a64.str64(1, 6, State.ring));
  a.add(...a64.mov(5, a64.ORIGIN + m.TABLES.l3), m.addShifted(5, 5, 7, 3), a64.str64(31, 5), ...invalidate(7));
  a.add(...a64.mov(5, 37), a64.mul(5, 5, 1), m.ubfx(5, 5, 0, 6), ...a64.mov(7, m.DATA | PAGE), m.addShifted(5, 7, 5, 12));
  a.add(m.ubfx(7, 4, 0, 2), m.orrShifted(5, 5, 7, 6), m.ubfx(6, 4, 2, 2), ...a64.mov(7, AF));
  a.to("written", (d) => a64.cbz(6, d)).add(m.orrShifted(5, 5, 7));
  a.label("written").add(a64.str64(5, 3), m.DSB, a64.ISB).to("return", a64.b);
}
