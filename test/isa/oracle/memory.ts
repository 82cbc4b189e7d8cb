// Cases for rows that access memory: random words whose base register is set so that the access falls into the data window.

import { fieldValue, type Row } from "../../../src/isa/table.ts";
import type { Case, Registers } from "./oracle.ts";
import { Rec, WINDOW } from "./program.ts";
import { type Random, randomRegisters, randomWord } from "./random.ts";

const field = (row: Row, name: string, insn: number, missing = 0): number => {
  const f = row.fields.get(name);
  return f ? fieldValue(f, insn) : missing;
};
const has = (row: Row, name: string): boolean => row.fields.has(name);
const signed = (value: number, bits: number): number => (value << (32 - bits)) >> (32 - bits);

/** log2 of the element size in bytes of a load or store. */
export function elementSize(row: Row, insn: number): number {
  const { name } = row;
  const opc = field(row, "opc", insn);
  if (/^(LD|ST)N?P_(FPSIMD)|^(LD|ST)NP_FPSIMD|LDR_LIT_FPSIMD/.test(name)) return opc + 2;
  if (/FPSIMD/.test(name)) return opc & 2 ? 4 : field(row, "size", insn);
  if (/^(LD|ST)N?P_GEN/.test(name)) return opc === 2 ? 3 : 2;
  if (/^LDR_LIT_GEN/.test(name)) return opc + 2;
  if (has(row, "sz")) return 2 + field(row, "sz", insn);
  const suffix = /(?:R|LR|AR|XR|UR|CAS|SWP|ADD|CLR|EOR|SET|MAX|MIN)S?([BHW])(?:_|$)/.exec(name)?.[1];
  return suffix ? "BHW".indexOf(suffix) : field(row, "size", insn);
}

/** ExtendReg of a 64-bit value, as the register-offset forms do. */
function extend(value: bigint, option: number): bigint {
  if (option === 2) return BigInt.asUintN(32, value);
  return option === 6 ? BigInt.asIntN(32, value) : value;
}

/** Distance from the base register to the address accessed. */
function offset(row: Row, insn: number, r: Registers): bigint {
  const lg = elementSize(row, insn);
  if (row.name.endsWith("_POST")) return 0n;
  if (has(row, "imm12")) return BigInt(field(row, "imm12", insn) << lg);
  if (has(row, "imm9")) return BigInt(signed(field(row, "imm9", insn), 9));
  if (has(row, "imm7")) return BigInt(signed(field(row, "imm7", insn), 7) << lg);
  if (!has(row, "option_name")) return 0n;
  const m = field(row, "Rm", insn);
  const index = extend(m === 31 ? 0n : r.x(m), field(row, "option_name", insn));
  return index << BigInt(field(row, "S", insn) ? lg : 0);
}

/** CONSTRAINED UNPREDICTABLE words: implementations may differ (Arm ARM K1.2, and the note in each instruction's page). */
export function unpredictable(row: Row, insn: number): boolean {
  const { name } = row;
  const [n, t, t2, s] = ["Rn", "Rt", "Rt2", "Rs"].map((f) => field(row, f, insn, -1)) as [number, number, number, number];
  const general = !/FPSIMD|V_/.test(name);
  if (/_(PRE|POST)$/.test(name) && general && n !== 31 && (t === n || t2 === n)) return true;
  if (/^LD(N?P|A?XP|PSW)/.test(name) && t === t2) return true;
  return /^STL?X/.test(name) && (s === t || s === t2 || (s === n && n !== 31));
}
/** The base register also gives the index: no base puts the access at a chosen place. */
const unplaceable = (row: Row, insn: number): boolean =>
  has(row, "option_name") && field(row, "Rm", insn) === field(row, "Rn", insn) && field(row, "Rm", insn) !== 31;

/** A random word of the row that can be compared; often with the stack pointer as base. */
function memoryWord(row: Row, rng: Random): number {
  for (;;) {
    let word = randomWord(row, rng);
    if (rng.below(8) === 0) word = (word | (31 << 5)) >>> 0;
    if (!unpredictable(row, word) && !unplaceable(row, word)) return word;
  }
}

/** Load-exclusive to pair with a store-exclusive: the same size, other registers. */
function loadExclusive(row: Row, insn: number, rng: Random): number {
  const bytes = elementSize(row, insn);
  const n = field(row, "Rn", insn);
  const used = ["Rn", "Rt", "Rt2", "Rs"].map((f) => field(row, f, insn));
  const free = (): number => {
    for (;;) {
      const r = rng.below(31);
      if (!used.includes(r)) return r;
    }
  };
  const t = free();
  if (!has(row, "Rt2")) return ((bytes << 30) | 0x085f_7c00 | (n << 5) | t) >>> 0;
  return (0x887f_0000 | ((bytes & 1) << 30) | (((t + 1) % 31 === n ? 31 : (t + 1) % 31) << 10) | (n << 5) | t) >>> 0;
}

/** Places the access: sets the base register. */
function place(row: Row, insn: number, r: Registers, address: number): void {
  r.setX(field(row, "Rn", insn), BigInt.asUintN(64, BigInt(address) - offset(row, insn, r)));
}

/** Compare-and-swap finds what it compares with in half the cases: the window is given the register's value. */
function matchCompare(row: Row, insn: number, r: Registers, window: Uint8Array, address: number): void {
  const s = field(row, "Rs", insn);
  const view = new DataView(window.buffer, window.byteOffset);
  const bytes = 1 << elementSize(row, insn);
  for (let i = 0; i < (row.name === "CASP" ? 2 : 1); i++) {
    const value = s + i === 31 ? 0n : r.x(s + i);
    for (let k = 0; k < bytes; k++) view.setUint8(address - WINDOW + i * bytes + k, Number((value >> BigInt(8 * k)) & 0xffn));
  }
}

/** `count` states of a load or store row; a new word every `perWord` states. */
export function memoryCases(row: Row, rng: Random, count: number, perWord: number): Case[] {
  const literal = has(row, "imm19");
  const out: Case[] = [];
  let insn = 0;
  let at: ((address: number) => number) | undefined;
  let prefix: number | undefined;
  for (let i = 0; i < count; i++) {
    const aligned = rng.below(3) > 0;
    if (i % perWord === 0) {
      insn = memoryWord(row, rng);
      prefix = /^STL?X/.test(row.name) && rng.below(3) > 0 ? loadExclusive(row, insn, rng) : undefined;
      const target = (WINDOW + rng.below(Rec.WINDOW_BYTES - 64)) & (aligned ? -16 : -4);
      const word = insn;
      at = literal ? (address) => ((word & 0xff00_001f) | ((((target - address) >> 2) & 0x7_ffff) << 5)) >>> 0 : undefined;
    }
    const before = randomRegisters(rng);
    const words = Uint32Array.from({ length: Rec.WINDOW_BYTES / 4 }, () => rng.u32());
    const window = new Uint8Array(words.buffer);
    const address = (WINDOW + rng.below(Rec.WINDOW_BYTES - 64)) & (aligned ? -1 << elementSize(row, insn) : -1);
    if (!literal) place(row, insn, before, address);
    if (row.name.startsWith("CAS") && rng.below(2) === 0) matchCompare(row, insn, before, window, address);
    out.push({ insn, prefix, before, window, ...(at ? { at } : {}) });
  }
  return out;
}
