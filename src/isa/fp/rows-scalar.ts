// Scalar floating-point rows (the FLOAT group): arithmetic, moves, compares and conversions with general registers.

import { Off } from "../../arch/layout.ts";
import type { Helper, HelperTable } from "../helper.ts";
import * as arith from "./arith.ts";
import { flagsOf, relation, ZERO } from "./compare.ts";
import * as convert from "./convert.ts";
import { begin, end, Round } from "./env.ts";
import { F64, FType, type Lane1, type Lane2, type Lane3, type PerType, perType } from "./format.ts";
import { clearAboveScalar, conditionHolds, va, vd, vm, vn, writeX } from "./regs.ts";
import { toInt32JS } from "./softfloat-convert.ts";

/** Which bits of the instruction give the type: `ftype`, `sz`, or none (half precision rows). */
export interface TypeField {
  readonly mask: number;
  readonly or: number;
}
export const byFType: TypeField = { mask: 3, or: 0 };
export const bySz: TypeField = { mask: 1, or: 0 };
export const alwaysHalf: TypeField = { mask: 0, or: FType.Half };

export function scalar1(op: PerType<Lane1>, { mask, or }: TypeField): Helper {
  return (st, insn) => {
    begin(st);
    const t = (((insn >>> 22) & mask) | or) as FType;
    const d = vd(st, insn);
    op[t](st.view, d, vn(st, insn));
    clearAboveScalar(st, d, t);
    end(st);
  };
}
export function scalar2(op: PerType<Lane2>, { mask, or }: TypeField): Helper {
  return (st, insn) => {
    begin(st);
    const t = (((insn >>> 22) & mask) | or) as FType;
    const d = vd(st, insn);
    op[t](st.view, d, vn(st, insn), vm(st, insn));
    clearAboveScalar(st, d, t);
    end(st);
  };
}
function scalar3(op: PerType<Lane3>): Helper {
  return (st, insn) => {
    begin(st);
    const t = ((insn >>> 22) & 3) as FType;
    const d = vd(st, insn);
    op[t](st.view, d, vn(st, insn), vm(st, insn), va(st, insn));
    clearAboveScalar(st, d, t);
    end(st);
  };
}

/** FMOV between registers of one type. */
const move = perType<Lane1>(
  (dv, d, n) => dv.setUint32(d, dv.getUint32(n, true), true),
  (dv, d, n) => {
    dv.setUint32(d, dv.getUint32(n, true), true);
    dv.setUint32(d + 4, dv.getUint32(n + 4, true), true);
  },
  (dv, d, n) => dv.setUint16(d, dv.getUint16(n, true), true),
);

/** FCMP, FCMPE: bit 3 selects comparison with zero. */
function fcmp(signalQuiet: boolean): Helper {
  return (st, insn) => {
    begin(st);
    const t = ((insn >>> 22) & 3) as FType;
    st.nzcv = flagsOf(relation(st.view, t, vn(st, insn), (insn & 8) !== 0 ? ZERO : vm(st, insn), signalQuiet));
    end(st);
  };
}
/** FCCMP, FCCMPE: the comparison only when the condition holds, else the immediate flags. */
function fccmp(signalQuiet: boolean): Helper {
  return (st, insn) => {
    if (!conditionHolds((insn >>> 12) & 15, st.nzcv)) {
      st.nzcv = (insn & 15) << 28;
      return;
    }
    begin(st);
    st.nzcv = flagsOf(relation(st.view, ((insn >>> 22) & 3) as FType, vn(st, insn), vm(st, insn), signalQuiet));
    end(st);
  };
}
const fcsel: Helper = (st, insn) => {
  const t = ((insn >>> 22) & 3) as FType;
  const d = vd(st, insn);
  move[t](st.view, d, conditionHolds((insn >>> 12) & 15, st.nzcv) ? vn(st, insn) : vm(st, insn));
  clearAboveScalar(st, d, t);
};

/** FCVT between precisions: [source ftype][destination opc]. */
const precision: readonly (PerType<Lane1> | undefined)[] = [
  perType(move[0], convert.singleToDouble, convert.singleToHalf),
  perType(convert.doubleToSingle, move[1], convert.doubleToHalf),
  undefined,
  perType(convert.halfToSingle, convert.halfToDouble, move[3]),
];
const fcvt: Helper = (st, insn) => {
  begin(st);
  const to = ((insn >>> 15) & 3) as FType;
  const d = vd(st, insn);
  (precision[(insn >>> 22) & 3] as PerType<Lane1>)[to](st.view, d, vn(st, insn));
  clearAboveScalar(st, d, to);
  end(st);
};
const bfcvt: Helper = (st, insn) => {
  begin(st);
  const d = vd(st, insn);
  convert.singleToBF16(st.view, d, vn(st, insn));
  clearAboveScalar(st, d, FType.Half);
  end(st);
};

/** Fraction bits of the fixed-point forms: 64 - scale. */
function fractionBits(insn: number): number {
  return 64 - ((insn >>> 10) & 63);
}

/** FCVT* to a general register. */
function toGeneral(unsigned: boolean, mode: Round, isFixed: boolean): Helper {
  return (st, insn) => {
    begin(st);
    const wide = insn >>> 31 !== 0;
    convert.toFixed(st.view, vn(st, insn), ((insn >>> 22) & 3) as FType, isFixed ? fractionBits(insn) : 0, unsigned, mode, wide ? 64 : 32);
    writeX(st, insn & 31, convert.fixed.lo, wide ? convert.fixed.hi : 0);
    end(st);
  };
}
/** SCVTF, UCVTF from a general register. */
function fromGeneral(unsigned: boolean, isFixed: boolean): Helper {
  return (st, insn) => {
    begin(st);
    const t = ((insn >>> 22) & 3) as FType;
    const d = vd(st, insn);
    const x = Off.X + ((insn >>> 2) & 0xf8);
    convert.fromFixed(st.view, d, t, st.lo(x), st.hi(x), unsigned, isFixed ? fractionBits(insn) : 0, insn >>> 31 !== 0 ? 64 : 32);
    clearAboveScalar(st, d, t);
    end(st);
  };
}

/** FMOV between a general and a V register, unconverted: opcode bit 16 = to the V register, rmode bit 19 = its upper half. */
const fmovGeneral: Helper = (st, insn) => {
  const t = ((insn >>> 22) & 3) as FType;
  const upper = (insn & (1 << 19)) !== 0;
  if ((insn & (1 << 16)) === 0) {
    const n = (vn(st, insn) >>> 2) + (upper ? 2 : 0);
    const lo = st.u32[n] as number;
    writeX(st, insn & 31, !upper && t === FType.Half ? lo & 0xffff : lo, upper || t === FType.Double ? (st.u32[n + 1] as number) : 0);
    return;
  }
  const x = Off.X + ((insn >>> 2) & 0xf8);
  const d = vd(st, insn);
  const i = (d >>> 2) + (upper ? 2 : 0);
  st.u32[i] = st.lo(x);
  st.u32[i + 1] = st.hi(x);
  if (!upper) clearAboveScalar(st, d, t);
};

/** FJCVTZS: sets Z when the conversion was exact, clears N, C and V. */
const fjcvtzs: Helper = (st, insn) => {
  begin(st);
  const { value, exact } = toInt32JS(F64, st.view.getBigUint64(vn(st, insn), true));
  writeX(st, insn & 31, value, 0);
  st.nzcv = exact ? 0x4000_0000 : 0;
  end(st);
};

/** VFPExpandImm for the top 32 (single, double) or all 16 (half) bits of the format. */
export function expandImmediate(imm8: number, t: FType): number {
  const sign = imm8 >>> 7;
  const low = imm8 & 0x3f;
  const b = (imm8 & 0x40) !== 0;
  if (t === FType.Double) return ((sign << 31) | (b ? 0x3fc0_0000 : 0x4000_0000) | (low << 16)) >>> 0;
  if (t === FType.Single) return ((sign << 31) | (b ? 0x3e00_0000 : 0x4000_0000) | (low << 19)) >>> 0;
  return (sign << 15) | (b ? 0x3000 : 0x4000) | (low << 6);
}
const fmovImmediate: Helper = (st, insn) => {
  const t = ((insn >>> 22) & 3) as FType;
  const d = vd(st, insn);
  const value = expandImmediate((insn >>> 13) & 0xff, t);
  const i = d >>> 2;
  st.u32[i] = t === FType.Double ? 0 : value;
  st.u32[i + 1] = t === FType.Double ? value : 0;
  clearAboveScalar(st, d, t);
};

const binary: readonly (readonly [string, PerType<Lane2>])[] = [
  ["FADD", arith.add],
  ["FSUB", arith.sub],
  ["FMUL", arith.mul],
  ["FNMUL", arith.nmul],
  ["FDIV", arith.div],
  ["FMAX", arith.max],
  ["FMIN", arith.min],
  ["FMAXNM", arith.maxnm],
  ["FMINNM", arith.minnm],
];
const unary: readonly (readonly [string, PerType<Lane1>])[] = [
  ["FMOV", move],
  ["FABS", arith.abs],
  ["FNEG", arith.neg],
  ["FSQRT", arith.sqrt],
  ["FRINTN", convert.laneRoundInt(Round.TieEven, false)],
  ["FRINTP", convert.laneRoundInt(Round.PosInf, false)],
  ["FRINTM", convert.laneRoundInt(Round.NegInf, false)],
  ["FRINTZ", convert.laneRoundInt(Round.Zero, false)],
  ["FRINTA", convert.laneRoundInt(Round.TieAway, false)],
  ["FRINTX", convert.laneRoundInt(convert.FPCR_MODE, true)],
  ["FRINTI", convert.laneRoundInt(convert.FPCR_MODE, false)],
  ["FRINT32Z", convert.laneRoundIntN(Round.Zero, 32)],
  ["FRINT32X", convert.laneRoundIntN(convert.FPCR_MODE, 32)],
  ["FRINT64Z", convert.laneRoundIntN(Round.Zero, 64)],
  ["FRINT64X", convert.laneRoundIntN(convert.FPCR_MODE, 64)],
];
const ternary: readonly (readonly [string, PerType<Lane3>])[] = [
  ["FMADD", arith.fmadd],
  ["FMSUB", arith.fmsub],
  ["FNMADD", arith.fnmadd],
  ["FNMSUB", arith.fnmsub],
];
/** Letter of FCVT<letter>S/U and its rounding mode. */
export const conversionModes: readonly (readonly [string, Round])[] = [
  ["N", Round.TieEven],
  ["P", Round.PosInf],
  ["M", Round.NegInf],
  ["Z", Round.Zero],
  ["A", Round.TieAway],
];

function conversions(): [string, Helper][] {
  const rows: [string, Helper][] = [];
  for (const [letter, mode] of conversionModes) {
    for (const unsigned of [false, true]) {
      const name = `FCVT${letter}${unsigned ? "U" : "S"}_FLOAT`;
      rows.push([letter === "Z" ? `${name}_INT` : name, toGeneral(unsigned, mode, false)]);
    }
  }
  for (const unsigned of [false, true]) {
    rows.push([`FCVTZ${unsigned ? "U" : "S"}_FLOAT_FIX`, toGeneral(unsigned, Round.Zero, true)]);
    rows.push([`${unsigned ? "U" : "S"}CVTF_FLOAT_INT`, fromGeneral(unsigned, false)]);
    rows.push([`${unsigned ? "U" : "S"}CVTF_FLOAT_FIX`, fromGeneral(unsigned, true)]);
  }
  return rows;
}

export const scalarRows: HelperTable = Object.fromEntries([
  ...binary.map(([name, op]) => [`${name}_FLOAT`, scalar2(op, byFType)] as const),
  ...unary.map(([name, op]) => [`${name}_FLOAT`, scalar1(op, byFType)] as const),
  ...ternary.map(([name, op]) => [`${name}_FLOAT`, scalar3(op)] as const),
  ...conversions(),
  ["FCMP_FLOAT", fcmp(false)],
  ["FCMPE_FLOAT", fcmp(true)],
  ["FCCMP_FLOAT", fccmp(false)],
  ["FCCMPE_FLOAT", fccmp(true)],
  ["FCSEL_FLOAT", fcsel],
  ["FCVT_FLOAT", fcvt],
  ["BFCVT_FLOAT", bfcvt],
  ["FMOV_FLOAT_GEN", fmovGeneral],
  ["FMOV_FLOAT_IMM", fmovImmediate],
  ["FJCVTZS", fjcvtzs],
]);
