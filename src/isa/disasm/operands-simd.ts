// Operand printers of Advanced SIMD and floating point: vectors with arrangements, elements, scalars, lists, immediates.

import type { Decoded } from "./decoded.ts";
import type { Printer } from "./operands.ts";

const letters = ["b", "h", "s", "d", "q"] as const;
/** Arrangement: elements of 2^lg bytes in 8 or 16 bytes. */
const arrangement = (lg: number, q: boolean): string => `${(q ? 16 : 8) >> lg}${letters[lg]}`;
const q = (d: Decoded): boolean => d.f("Q") === 1;

/** What stands behind the dot of a vector operand. */
const arrangements: Record<string, (d: Decoded) => string> = {
  T: (d) => arrangement(d.lg, q(d)),
  /** Twice the element size, all of the register. */
  W: (d) => arrangement(d.lg + 1, true),
  /** Twice the element size, as many bytes as the source. */
  P: (d) => arrangement(d.lg + 1, q(d)),
  B: (d) => arrangement(0, q(d)),
  iH: (d) => arrangement(1, q(d)),
  iS: (d) => arrangement(2, q(d)),
  E: (d) => letters[d.lg] as string,
  /** FMLAL: as many halfwords as the result has words. */
  halfH: (d) => (q(d) ? "4h" : "2h"),
  narrow: (d) => arrangement(narrowLg(d), q(d)),
  wide: (d) => arrangement(narrowLg(d) + 1, true),
  pair: (d) => `2${letters[d.lg]}`,
  d1: () => "d[1]",
};
/** XTN: size is that of the narrow elements; FCVTN, FCVTL: sz = 0 for half and single precision. */
const narrowLg = (d: Decoded): number => (d.has("sz") ? 1 + d.f("sz") : d.f("size"));

/** Index fields of by-element rows: H:L:M for halfwords (M:Rm is then Rm alone), H:L for words, H for doublewords. */
const elementRegister = (d: Decoded): number => (d.f("M") << 4) | d.f("Rm");
function byElement(d: Decoded): string {
  const { lg } = d;
  if (lg === 1) return `v${d.f("Rm")}.h[${(d.f("H") << 2) | (d.f("L") << 1) | d.f("M")}]`;
  const index = lg === 2 ? (d.f("H") << 1) | d.f("L") : d.f("H");
  return `v${elementRegister(d)}.${letters[lg]}[${index}]`;
}

/** VFPExpandImm, as a number. */
export function floatImmediate(imm8: number): string {
  const sign = imm8 & 0x80 ? -1 : 1;
  const exponent = ((imm8 & 0x70) >> 4) ^ 4;
  const value = sign * (1 + (imm8 & 15) / 16) * 2 ** (exponent - 3);
  return `#${value.toExponential(18).replace(/e([+-])(\d)$/, "e$10$2")}`;
}
const imm8Of = (d: Decoded): number => (d.f("a") << 7) | (d.f("b") << 6) | (d.f("c") << 5) | ((d.insn >>> 5) & 31);
function byteMask(d: Decoded): string {
  let mask = 0n;
  for (let i = 7; i >= 0; i--) mask = (mask << 8n) | ((imm8Of(d) >> i) & 1 ? 0xffn : 0n);
  return `#0x${mask.toString(16)}`;
}
function immLsl(d: Decoded): string {
  const cmode = d.f("cmode");
  const amount = 8 * ((cmode >> 1) & (cmode & 8 ? 1 : 3));
  return amount === 0 ? "" : `lsl #${amount}`;
}

/** `{v0.8b-v3.8b}`; lists of up to two registers, and those that wrap from v31 to v0, are written out. */
function list(first: number, count: number, suffix: string): string {
  const name = (i: number): string => `v${(first + i) & 31}${suffix}`;
  if (count > 2 && first + count <= 32) return `{${name(0)}-${name(count - 1)}}`;
  return `{${Array.from({ length: count }, (_, i) => name(i)).join(", ")}}`;
}
/** Registers of a structure instruction: by name (LD3R) or, for LD1 and ST1 multiple, by opcode. */
function structCount(d: Decoded): number {
  const n = Number(/^(?:LD|ST)(\d)/.exec(d.row.name)?.[1]);
  return n === 1 && d.row.name.includes("MULT") ? (({ 7: 1, 10: 2, 6: 3, 2: 4 } as Record<number, number>)[d.f("opcode")] as number) : n;
}
const isReplicate = (d: Decoded): boolean => d.row.name.includes("RV_");
/** Element size and lane of LD1..LD4, ST1..ST4 (single structure). */
function lane(d: Decoded): { lg: number; index: number } {
  const scale = d.f("opcode") >> 1;
  const qs = (d.f("Q") << 1) | d.f("S");
  const size = d.f("size");
  if (scale === 0) return { lg: 0, index: (qs << 2) | size };
  if (scale === 1) return { lg: 1, index: (qs << 1) | (size >> 1) };
  return size & 1 ? { lg: 3, index: d.f("Q") } : { lg: 2, index: qs };
}
const immhb = (d: Decoded): number => (d.f("immh") << 3) | d.f("immb");

const printers: Record<string, Printer> = {
  "2": (d) => (q(d) ? "2" : ""),
  bt: (d) => (q(d) ? "t" : "b"),
  Ve: byElement,
  indexS: (d) => String((d.f("H") << 1) | d.f("L")),
  indexH: (d) => String((d.f("H") << 2) | (d.f("L") << 1) | d.f("M")),
  indexComplex: (d) => String(d.f("size") === 1 ? (d.f("H") << 1) | d.f("L") : d.f("H")),
  imm5Index: (d) => String(d.f("imm5") >> (d.lg + 1)),
  imm4Index: (d) => String(d.f("imm4") >> d.lg),
  imm4: (d) => `#${d.f("imm4")}`,
  rot90: (d) => `#${90 * d.f("rot")}`,
  rotAdd: (d) => (d.f("rot") ? "#270" : "#90"),
  rightShift: (d) => `#${(16 << d.lg) - immhb(d)}`,
  leftShift: (d) => `#${immhb(d) - (8 << d.lg)}`,
  esize: (d) => `#${8 << d.lg}`,
  fbits: (d) => `#${64 - d.f("scale")}`,
  fpImm: (d) => floatImmediate(imm8Of(d)),
  imm8: (d) => `#0x${imm8Of(d).toString(16)}`,
  immLsl,
  immMsl: (d) => `msl #${d.f("cmode") & 1 ? 16 : 8}`,
  byteMask,
  cvtD: (d) => `${["s", "d", "", "h"][d.f("opc")]}${d.f("Rd")}`,
  tableList: (d) => list(d.f("Rn"), d.f("len") + 1, ".16b"),
  structT: (d) => list(d.f("Rt"), structCount(d), `.${arrangement(d.f("size"), q(d))}`),
  structBytes: (d) => `#${isReplicate(d) ? structCount(d) << d.f("size") : structCount(d) * (q(d) ? 16 : 8)}`,
  structLane: (d) => `${list(d.f("Rt"), structCount(d), `.${letters[lane(d).lg]}`)}[${lane(d).index}]`,
  laneBytes: (d) => `#${structCount(d) << lane(d).lg}`,
  structD: (d) => `{v${d.f("Rt")}.d}[${d.f("Q")}]`,
  "Wq.d": (d) => {
    const n = d.f("Rd");
    // SMOV: Q gives the width; UMOV: 64 bits for doublewords only, where Q is 1.
    return n === 31 ? (q(d) ? "xzr" : "wzr") : `${q(d) ? "x" : "w"}${n}`;
  },
};

const scalarSize: Record<string, (d: Decoded) => number> = {
  F: (d) => (d.has("Rt") ? d.accessLg : d.lg),
  G: (d) => d.lg + 1,
  H: () => 1,
  S: () => 2,
  D: () => 3,
  Q: () => 4,
};
/** The printer of a SIMD token; undefined when it is none. */
export function vectorOperand(token: string): Printer | undefined {
  const scalar = /^([FGHSDQ])(t2|[dnmat])$/.exec(token);
  const size = scalar && scalarSize[scalar[1] as string];
  if (scalar && size) return (d) => `${letters[size(d)]}${d.register(scalar[2] as string)}`;
  const vector = /^V([dnmaxy])\.(\w+)$/.exec(token);
  if (!vector) return printers[token];
  const [operand, dot] = [vector[1] as string, vector[2] as string];
  const after = arrangements[dot] ?? (/^\d*[bhsd]$/.test(dot) ? () => dot : undefined);
  if (!after) return undefined;
  // x: M:Rm; y: Rm of four bits.
  const register = (d: Decoded): number => (operand === "x" ? elementRegister(d) : operand === "y" ? d.f("Rm") : d.register(operand));
  return (d) => `v${register(d)}.${after(d)}`;
}
