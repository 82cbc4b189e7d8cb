// Bitwise rows (no lanes) and the modified-immediate rows. Word by word, so registers may overlap without copies.

import type { Helper, HelperTable } from "../helper.ts";
import { vIndex } from "../lanes.ts";

const Q = 1 << 30;

/** Vd = op(Vn, Vm, Vd) on 32-bit words; the upper half becomes zero when Q = 0. */
const words =
  (op: (n: number, m: number, d: number) => number): Helper =>
  (st, insn) => {
    const w = st.u32;
    const n = vIndex(st, (insn >>> 5) & 31);
    const m = vIndex(st, (insn >>> 16) & 31);
    const d = vIndex(st, insn & 31);
    // `| 0` keeps the words in the range that needs no heap number.
    w[d] = op((w[n] as number) | 0, (w[m] as number) | 0, (w[d] as number) | 0);
    w[d + 1] = op((w[n + 1] as number) | 0, (w[m + 1] as number) | 0, (w[d + 1] as number) | 0);
    if (insn & Q) {
      w[d + 2] = op((w[n + 2] as number) | 0, (w[m + 2] as number) | 0, (w[d + 2] as number) | 0);
      w[d + 3] = op((w[n + 3] as number) | 0, (w[m + 3] as number) | 0, (w[d + 3] as number) | 0);
    } else {
      w[d + 2] = 0;
      w[d + 3] = 0;
    }
  };

/** Vd = op(Vd, immediate), the immediate expanded to 64 bits and used for both halves. */
const immediate =
  (op: (d: number, imm: number) => number): Helper =>
  (st, insn) => {
    const w = st.u32;
    const d = vIndex(st, insn & 31);
    const low = expandLow(insn);
    const high = byteMask(insn) ? expandHighMask(insn) : low;
    w[d] = op((w[d] as number) | 0, low);
    w[d + 1] = op((w[d + 1] as number) | 0, high);
    w[d + 2] = insn & Q ? op((w[d + 2] as number) | 0, low) : 0;
    w[d + 3] = insn & Q ? op((w[d + 3] as number) | 0, high) : 0;
  };

const imm8 = (insn: number): number => ((insn >>> 11) & 0xe0) | ((insn >>> 5) & 0x1f);
/** MOVI with op = 1, cmode = 1110: each bit of the immediate fills a byte. */
const byteMask = (insn: number): boolean => (insn & 0x2000_f000) === 0x2000_e000;

/** Low 32 bits of AdvSIMDExpandImm(op, cmode, imm8). */
function expandLow(insn: number): number {
  const imm = imm8(insn);
  const cmode = (insn >>> 12) & 15;
  if (cmode < 8) return imm << (8 * (cmode >> 1));
  if (cmode < 12) return Math.imul(imm << (cmode & 2 ? 8 : 0), 0x1_0001);
  if (cmode === 12) return (imm << 8) | 0xff;
  if (cmode === 13) return (imm << 16) | 0xffff;
  return byteMask(insn) ? spreadBits(imm) : Math.imul(imm, 0x0101_0101);
}

const expandHighMask = (insn: number): number => spreadBits(imm8(insn) >> 4);

/** Bits 3..0 to bytes of all ones or zero. */
function spreadBits(bits: number): number {
  return Math.imul((bits & 1) | ((bits & 2) << 7) | ((bits & 4) << 14) | ((bits & 8) << 21), 0xff);
}

// biome-ignore format: one row per line
export const bitwise: HelperTable = {
  ANDV:     words((n, m) => n & m),
  BICV_REG: words((n, m) => n & ~m),
  ORRV_REG: words((n, m) => n | m),
  ORNV:     words((n, m) => n | ~m),
  EORV:     words((n, m) => n ^ m),
  BSLV:     words((n, m, d) => m ^ ((m ^ n) & d)),
  BITV:     words((n, m, d) => d ^ ((d ^ n) & m)),
  BIFV:     words((n, m, d) => d ^ ((d ^ n) & ~m)),
  NOTV:     words((n) => ~n),
  MOVIV:    immediate((_d, imm) => imm),
  MVNIV:    immediate((_d, imm) => ~imm),
  ORRV_IMM: immediate((d, imm) => d | imm),
  BICV_IMM: immediate((d, imm) => d & ~imm),
};
