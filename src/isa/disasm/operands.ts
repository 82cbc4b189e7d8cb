// Operand printers: what stands in braces in formats.ts. `Xd`-like names are built from a width letter and a register operand.

import { type Decoded, signExtend } from "./decoded.ts";
import { floatImmediate, vectorOperand } from "./operands-simd.ts";
import * as system from "./system-names.ts";

export type Printer = (d: Decoded) => string;

const hex = (v: number | bigint): string => `#0x${v.toString(16)}`;
const dec = (v: number): string => `#${v}`;
const general = (wide: boolean, n: number, sp = false): string =>
  n === 31 ? (sp ? (wide ? "sp" : "wsp") : wide ? "xzr" : "wzr") : `${wide ? "x" : "w"}${n}`;
const conditions = ["eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"] as const;

/** Width of a general-purpose operand by its letter: 64 bits or not. */
const widths: Record<string, (d: Decoded) => boolean> = {
  X: () => true,
  W: () => false,
  R: (d) => d.sf,
  /** size (loads and stores, atomics): 3. */
  Z: (d) => d.f("size") === 3,
  /** sz: pairs of exclusives and compare-and-swap. */
  N: (d) => d.f("sz") === 1,
  /** opc<1>: load/store pair. */
  P: (d) => d.f("opc") === 2,
  /** opc<0>: literal. */
  C: (d) => d.f("opc") === 1,
  /** Single transfers: LDRS* by opc, others by size. */
  L: (d) => {
    const { name } = d.row;
    if (/SW(_|$)/.test(name)) return true;
    return d.has("opc") ? d.f("opc") === 2 : d.f("size") === 3;
  },
  /** Extended register: 64 bits for UXTX and SXTX of 64-bit forms. */
  E: (d) => d.sf && (d.f("option_name") & 3) === 3,
  /** DUP, INS (general): by element size. */
  Y: (d) => d.lg === 3,
};
function generalOperand(token: string): Printer | undefined {
  const m = /^([XWRZNPCLEY])(t2|[dnmats])(\|sp)?(\+1)?$/.exec(token);
  const wide = m && widths[m[1] as string];
  if (!m || !wide) return undefined;
  const [operand, sp, next] = [m[2] as string, m[3] !== undefined, m[4] !== undefined];
  return (d) => {
    const n = d.register(operand);
    // The second of a register pair; XZR pairs with XZR.
    return general(wide(d), next && n !== 31 ? n + 1 : n, sp);
  };
}

const shiftNames = ["lsl", "lsr", "asr", "ror"] as const;
const extendNames = ["uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"] as const;

/** Extension of ADD (extended register): LSL, left out when zero, when SP takes part and the operand is not narrowed. */
function extend(d: Decoded): string {
  const [option, amount] = [d.f("option_name"), d.f("imm3")];
  const setsFlags = /^(ADDS|SUBS)/.test(d.row.name);
  const sp = d.f("Rn") === 31 || (!setsFlags && d.f("Rd") === 31);
  if (sp && option === (d.sf ? 3 : 2)) return amount === 0 ? "" : `lsl #${amount}`;
  return `${extendNames[option]}${amount === 0 ? "" : ` #${amount}`}`;
}
/** Index extension of register-offset loads and stores. */
function indexExtend(d: Decoded): string {
  const [option, scaled] = [d.f("option_name"), d.f("S") === 1];
  if (option === 3) return scaled ? `lsl #${d.accessLg}` : "";
  return `${extendNames[option]}${scaled ? ` #${d.accessLg}` : ""}`;
}

const offsetOrNothing = (v: number): string => (v === 0 ? "" : dec(v));
const pairOffset = (d: Decoded): number => d.signed("imm7") << d.accessLg;
const tag9 = (d: Decoded): number => d.signed("imm9") * 16;
const tag7 = (d: Decoded): number => d.signed("simm7") * 16;
const simm10 = (d: Decoded): number => signExtend((d.f("S") << 9) | d.f("imm9"), 10) * 8;
const pairBytes = (d: Decoded): number => (d.f("size") === 3 ? 16 : 8);

function wide(d: Decoded): string {
  const value = BigInt(d.f("imm16")) << BigInt(16 * d.f("hw"));
  return hex(BigInt.asUintN(d.sf ? 64 : 32, d.row.name === "MOVN" ? ~value : value));
}
const acquireRelease = (d: Decoded): string => `${d.f("A") ? "a" : ""}${d.f("R") ? "l" : ""}`;
/** CAS: L (acquire) and o0 (release). */
const casOrder = (d: Decoded): string => `${d.f("L") ? "a" : ""}${d.f("o0") ? "l" : ""}`;
const sizeSuffix = (d: Decoded): string => (/[BH]$/.test(d.row.name) && !d.has("size") ? d.row.name.slice(-1).toLowerCase() : "");
const atomicName = (d: Decoded): string => d.row.name.replace(/^LD|[BH]$/g, "").toLowerCase();

/** PACIASP and so on: CRm 1: X17 with X16; 3: X30 with zero (op2 even) or SP. */
const hintForm = (d: Decoded): string => (d.f("CRm") === 1 ? "1716" : d.f("op2") & 1 ? "sp" : "z");
const mnemonicOf: Printer = (d) => d.mnemonic;

/** CPY* and SET*: stage by op1 or op2<3:2>, then the options of the row's name. */
function mops(d: Decoded): string {
  const set = d.row.name.startsWith("SET");
  const stage = "pme"[set ? d.f("op2") >> 2 : d.f("op1")] as string;
  const [, head, options] = /^(CPYF?|SETG?)P(.*)$/.exec(d.row.name) as unknown as [string, string, string];
  return `${head.toLowerCase()}${stage}${options.toLowerCase()}`;
}

const printers: Record<string, Printer> = {
  base: mnemonicOf,
  // immediates
  imm12: (d) => hex(d.f("imm12")),
  sh12: (d) => (d.f("sh") ? "lsl #12" : ""),
  simm8: (d) => dec(d.signed("imm8")),
  uimm8: (d) => dec(d.f("imm8")),
  bitmask: (d) => hex(d.bitmask),
  wide,
  imm16: (d) => hex(d.f("imm16")),
  decImm16: (d) => dec(d.f("imm16")),
  hw: (d) => (d.f("hw") ? `lsl #${16 * d.f("hw")}` : ""),
  immr: (d) => dec(d.f("immr")),
  imms: (d) => dec(d.f("imms")),
  bfLsb: (d) => dec(-d.f("immr") & (d.sf ? 63 : 31)),
  bfWidth: (d) => dec(d.f("imms") + 1),
  bfxWidth: (d) => dec(d.f("imms") - d.f("immr") + 1),
  tagOffset: (d) => hex(d.f("uimm6") * 16),
  uimm4: (d) => hex(d.f("uimm4")),
  uimm5: (d) => hex(d.f("imm5")),
  nzcv: (d) => hex(d.f("nzcv")),
  mask: (d) => dec(d.f("mask")),
  imm6: (d) => dec(d.f("imm6")),
  imm2: (d) => String(d.f("imm2")),
  hint: (d) => hex((d.f("CRm") << 3) | d.f("op2")),
  CRm: (d) => hex(d.f("CRm")),
  // shifts, extensions, conditions
  shift: (d) => (d.f("imm6") || d.f("shift") ? `${shiftNames[d.f("shift")]} #${d.f("imm6")}` : ""),
  extend,
  cond: (d) => conditions[d.f("cond")] as string,
  notCond: (d) => conditions[d.f("cond") ^ 1] as string,
  // addresses
  adr: (d) => {
    const offset = (BigInt(d.signed("immhi")) << 2n) | BigInt(d.f("immlo"));
    return d.row.name === "ADRP" ? d.address(offset << 12n, true) : d.address(offset);
  },
  label14: (d) => d.address(BigInt(d.signed("imm14") * 4)),
  label19: (d) => d.address(BigInt(d.signed("imm19") * 4)),
  label26: (d) => d.address(BigInt(d.signed("imm26") * 4)),
  bitReg: (d) => general(d.f("b5") === 1, d.f("Rt")),
  bit: (d) => dec((d.f("b5") << 5) | d.f("b40")),
  simm9: (d) => offsetOrNothing(d.signed("imm9")),
  "simm9!": (d) => dec(d.signed("imm9")),
  uimm12: (d) => offsetOrNothing(d.f("imm12") * 2 ** d.accessLg),
  simm7: (d) => offsetOrNothing(pairOffset(d)),
  "simm7!": (d) => dec(pairOffset(d)),
  simm10: (d) => offsetOrNothing(simm10(d)),
  tagImm9: (d) => offsetOrNothing(tag9(d)),
  "tagImm9!": (d) => dec(tag9(d)),
  tagImm7: (d) => offsetOrNothing(tag7(d)),
  "tagImm7!": (d) => dec(tag7(d)),
  index: (d) => general((d.f("option_name") & 1) === 1, d.f("Rm")),
  indexExtend,
  negPair: (d) => dec(-pairBytes(d)),
  posPair: (d) => dec(pairBytes(d)),
  negZ: (d) => dec(d.f("size") === 3 ? -8 : -4),
  posZ: (d) => dec(d.f("size") === 3 ? 8 : 4),
  // parts of mnemonics
  crcSize: (d) => "bhwx"[d.f("sz")] as string,
  crcM: (d) => general(d.f("sz") === 3, d.f("Rm")),
  pacZ: (d) => `${d.mnemonic.slice(0, 3)}${d.mnemonic[3]}z${d.mnemonic[4]}`,
  keyM: (d) => (d.f("M") ? "b" : "a"),
  keyZ: (d) => (d.f("M") ? "bz" : "az"),
  order: acquireRelease,
  orderR: (d) => (d.f("R") ? "l" : ""),
  casOrder,
  sizeSuffix,
  atomicName,
  hintForm,
  mops,
  // system
  btiTarget: (d) => ["", "", "c", "", "j", "", "jc"][d.f("op2")] as string,
  barrier: (d) => system.barrier(d.f("CRm")),
  nxs: (d) => system.barrierDomain(d.f("imm2")),
  msrImmediate: system.msrImmediate,
  sysreg: system.systemRegister,
  sys: system.sys,
  sysp: system.sysp,
  sysOperands: system.sysOperands,
  prefetch: (d) => system.prefetch(d.f("Rt")),
  rangePrefetch: system.rangePrefetch,
  fpImm8: (d) => floatImmediate(d.f("imm8")),
};

/** The printer of a token; throws at load time when a format names an operand that does not exist. */
export function printerOf(token: string): Printer {
  const p = printers[token] ?? generalOperand(token) ?? vectorOperand(token);
  if (!p) throw new Error(`disasm: no operand {${token}}`);
  return p;
}
