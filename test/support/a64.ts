// Guest programs for tests, without an assembler: a few instructions as functions, and the arm64 Image around them.
// Programs run at EL2 with the MMU off, at ORIGIN + 64.

import { encodings } from "../../src/arch/registers/encodings.ts";

/** Where the machine puts an Image: RAM base + 2 MiB. Offset in the Image + ORIGIN = physical address. */
export const ORIGIN = 0x4020_0000;
const HEADER = 64;

/**
 * An Image with `code` behind its header, and further pieces of code at the given offsets (a vector table at 0x800, for example).
 * It begins with a branch over the header.
 */
export function image(code: readonly number[], pieces: Readonly<Record<number, readonly number[]>> = {}): Uint8Array {
  const all = [[HEADER, code] as const, ...Object.entries(pieces).map(([at, words]) => [Number(at), words] as const)];
  const size = Math.max(4096, ...all.map(([at, words]) => at + 4 * words.length));
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  view.setUint32(0, b(HEADER / 4), true);
  view.setBigUint64(16, BigInt(size), true); // image_size
  view.setBigUint64(24, 0xan, true); // 4K pages, anywhere
  view.setUint32(56, 0x644d5241, true); // magic
  for (const [at, words] of all) for (const [i, word] of words.entries()) view.setUint32(at + 4 * i, word, true);
  return data;
}

// ---- instructions: registers are numbers, branches count in instructions from themselves ---------------------------------------

const u32 = (word: number): number => word >>> 0;

/** mov xd, #value: one to four instructions. */
export function mov(d: number, value: number | bigint): number[] {
  const v = BigInt.asUintN(64, BigInt(value));
  const part = (i: number): number => Number((v >> BigInt(16 * i)) & 0xffffn);
  const used = [0, 1, 2, 3].filter((i) => part(i) !== 0);
  if (used.length === 0) used.push(0);
  return used.map((i, n) => u32((n === 0 ? 0xd280_0000 : 0xf280_0000) | (i << 21) | (part(i) << 5) | d));
}
const access =
  (opcode: number, scale: number) =>
  (t: number, n: number, offset = 0) =>
    u32(opcode | ((offset >> scale) << 10) | (n << 5) | t);
/** str and ldr [xn, #offset], by size in bits. */
export const str8 = access(0x3900_0000, 0);
export const str16 = access(0x7900_0000, 1);
export const str32 = access(0xb900_0000, 2);
export const str64 = access(0xf900_0000, 3);
export const ldr8 = access(0x3940_0000, 0);
export const ldr32 = access(0xb940_0000, 2);
export const ldr64 = access(0xf940_0000, 3);

/** b, cbz, cbnz */
export const b = (offset: number): number => u32(0x1400_0000 | (offset & 0x3ff_ffff));
export const cbz = (t: number, offset: number): number => u32(0xb400_0000 | ((offset & 0x7_ffff) << 5) | t);
export const cbnz = (t: number, offset: number): number => u32(0xb500_0000 | ((offset & 0x7_ffff) << 5) | t);
/** add and sub xd, xn, #imm (12 bits); add, mul, eor */
export const addImm = (d: number, n: number, imm: number): number => u32(0x9100_0000 | (imm << 10) | (n << 5) | d);
export const subImm = (d: number, n: number, imm: number): number => u32(0xd100_0000 | (imm << 10) | (n << 5) | d);
export const add = (d: number, n: number, m: number): number => u32(0x8b00_0000 | (m << 16) | (n << 5) | d);
export const mul = (d: number, n: number, m: number): number => u32(0x9b00_7c00 | (m << 16) | (n << 5) | d);
/** lsr xd, xn, #shift */
export const lsr = (d: number, n: number, shift: number): number => u32(0xd340_fc00 | (shift << 16) | (n << 5) | d);
/** br xn */
export const br = (n: number): number => u32(0xd61f_0000 | (n << 5));

const system = new Map<string, readonly number[]>(encodings.map(([name, ...fields]) => [name, fields]));
function systemWord(base: number, name: string, t: number): number {
  const [op0, op1, crn, crm, op2] = system.get(name) as [number, number, number, number, number];
  return u32(base | (op0 << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5) | t);
}
/** msr name, xt; mrs xt, name */
export const msr = (name: string, t: number): number => systemWord(0xd500_0000, name, t);
export const mrs = (t: number, name: string): number => systemWord(0xd520_0000, name, t);

export const NOP = 0xd503_201f;
export const WFI = 0xd503_207f;
export const WFE = 0xd503_205f;
export const ISB = 0xd503_3fdf;
export const ERET = 0xd69f_03e0;
export const SMC = 0xd400_0003;
/** udf #0 */
export const UDF = 0x0000_0000;
/** msr daifset, #15; msr daifclr, #15 */
export const MASK_ALL = 0xd503_4fdf;
export const UNMASK_ALL = 0xd503_4fff;

// ---- pieces of programs -----------------------------------------------------------------------------------------------------------

/** A PSCI call by SMC: function identifier in x0, arguments in x1 and up. */
export const psci = (fid: number): number[] => [...mov(0, fid), SMC];
export const POWER_OFF: readonly number[] = psci(0x8400_0008);

/** Masks every interrupt and waits for ever. */
export const HALT: readonly number[] = [MASK_ALL, WFI, b(-1)];

/** Runs `body` `count` times; xn counts and must be left alone. */
export function repeat(n: number, count: number, body: readonly number[]): number[] {
  return [...mov(n, count), ...body, subImm(n, n, 1), cbnz(n, -(body.length + 1))];
}

/**
 * A vector table of `level` in which every exception counts in x28, keeps ESR in x26 and FAR in x27, and goes on behind the
 * instruction that it came from. To be put at an offset that is a multiple of 0x800.
 */
export function skippingVectors(level: 1 | 2): number[] {
  const el = `EL${level}`;
  const handler = [
    addImm(28, 28, 1),
    mrs(26, `ESR_${el}`),
    mrs(27, `FAR_${el}`),
    mrs(25, `ELR_${el}`),
    addImm(25, 25, 4),
    msr(`ELR_${el}`, 25),
    ERET,
  ];
  const entry = [...handler, ...Array<number>(32 - handler.length).fill(NOP)];
  return Array.from({ length: 16 }, () => entry).flat();
}
/** VBAR of `level` = ORIGIN + offset; x28 = 0. Uses x0. */
export const useVectors = (level: 1 | 2, offset = 0x800): number[] => [
  ...mov(0, ORIGIN + offset),
  msr(`VBAR_EL${level}`, 0),
  ISB,
  ...mov(28, 0),
];
