// Advanced SIMD floating-point rows, vector and scalar forms.

import type { Helper, HelperTable } from "../helper.ts";
import * as arith from "./arith.ts";
import { laneTest, type Test, tests, ZERO } from "./compare.ts";
import * as convert from "./convert.ts";
import { begin, end, Round } from "./env.ts";
import { recpe, rsqrte } from "./estimate.ts";
import { FType, type Lane1, type Lane2, type Lane3, type PerType, perType, sizeLog } from "./format.ts";
import { At, clearAboveScalar, clearAboveVector, copyElement, copyIn, copyOut, scratch, vd, vectorBytes, vm, vn } from "./regs.ts";
import { alwaysHalf, bySz, conversionModes, expandImmediate, scalar1, scalar2, type TypeField } from "./rows-scalar.ts";
import { recpx } from "./softfloat-ops.ts";

function vector1(op: PerType<Lane1>, { mask, or }: TypeField): Helper {
  return (st, insn) => {
    begin(st);
    const t = (((insn >>> 22) & mask) | or) as FType;
    const lane = op[t];
    const step = 1 << sizeLog[t];
    const d = vd(st, insn);
    const n = vn(st, insn);
    const bytes = vectorBytes(insn);
    for (let i = 0; i < bytes; i += step) lane(st.view, d + i, n + i);
    clearAboveVector(st, d, insn);
    end(st);
  };
}
/** `zero`: the second operand is +0.0, not Vm. */
function vector2(op: PerType<Lane2>, { mask, or }: TypeField, zero = false): Helper {
  return (st, insn) => {
    begin(st);
    const t = (((insn >>> 22) & mask) | or) as FType;
    const lane = op[t];
    const step = 1 << sizeLog[t];
    const d = vd(st, insn);
    const n = vn(st, insn);
    const m = vm(st, insn);
    const bytes = vectorBytes(insn);
    for (let i = 0; i < bytes; i += step) lane(st.view, d + i, n + i, zero ? ZERO : m + i);
    clearAboveVector(st, d, insn);
    end(st);
  };
}
/** FMLA, FMLS: accumulates into Vd. */
function vector3(op: PerType<Lane3>, { mask, or }: TypeField): Helper {
  return (st, insn) => {
    begin(st);
    const t = (((insn >>> 22) & mask) | or) as FType;
    const lane = op[t];
    const step = 1 << sizeLog[t];
    const d = vd(st, insn);
    const n = vn(st, insn);
    const m = vm(st, insn);
    const bytes = vectorBytes(insn);
    for (let i = 0; i < bytes; i += step) lane(st.view, d + i, n + i, m + i, d + i);
    clearAboveVector(st, d, insn);
    end(st);
  };
}
/** Compares with zero, scalar. */
function scalarZero(op: PerType<Lane2>, { mask, or }: TypeField): Helper {
  return (st, insn) => {
    begin(st);
    const t = (((insn >>> 22) & mask) | or) as FType;
    const d = vd(st, insn);
    op[t](st.view, d, vn(st, insn), ZERO);
    clearAboveScalar(st, d, t);
    end(st);
  };
}

/** By element: lanes of Vn with one lane of Vm, accumulating into Vd. Bit 28 set: scalar form. */
function element(op: PerType<Lane3>, { mask, or }: TypeField): Helper {
  return (st, insn) => {
    begin(st);
    const t = (((insn >>> 22) & mask) | or) as FType;
    const lane = op[t];
    const step = 1 << sizeLog[t];
    const d = vd(st, insn);
    const isScalar = (insn & (1 << 28)) !== 0;
    copyIn(st, vn(st, insn), At.N);
    copyIn(st, d, At.D);
    const m = copyElement(st, insn, t);
    const bytes = isScalar ? step : vectorBytes(insn);
    for (let i = 0; i < bytes; i += step) lane(scratch, At.D + i, At.N + i, m, At.D + i);
    copyOut(st, At.D, d);
    if (isScalar) clearAboveScalar(st, d, t);
    else clearAboveVector(st, d, insn);
    end(st);
  };
}
/** A two-operand operation as a three-operand one that ignores the old destination. */
function ignoringAddend(op: PerType<Lane2>): PerType<Lane3> {
  return perType<Lane3>(
    (dv, d, n, m) => op[0](dv, d, n, m),
    (dv, d, n, m) => op[1](dv, d, n, m),
    (dv, d, n, m) => op[3](dv, d, n, m),
  );
}

/** Pairwise over the concatenation Vm:Vn. */
function pairwise(op: PerType<Lane2>, { mask, or }: TypeField): Helper {
  return (st, insn) => {
    begin(st);
    const t = (((insn >>> 22) & mask) | or) as FType;
    const lane = op[t];
    const step = 1 << sizeLog[t];
    const d = vd(st, insn);
    const bytes = vectorBytes(insn);
    copyIn(st, vn(st, insn), 0);
    copyIn(st, vm(st, insn), bytes);
    for (let i = 0; i < bytes; i += step) lane(scratch, At.D + i, 2 * i, 2 * i + step);
    copyOut(st, At.D, d);
    clearAboveVector(st, d, insn);
    end(st);
  };
}
/** Scalar pairwise: the two lowest lanes of Vn. */
function scalarPair(op: PerType<Lane2>, { mask, or }: TypeField): Helper {
  return (st, insn) => {
    begin(st);
    const t = (((insn >>> 22) & mask) | or) as FType;
    const d = vd(st, insn);
    const n = vn(st, insn);
    op[t](st.view, d, n, n + (1 << sizeLog[t]));
    clearAboveScalar(st, d, t);
    end(st);
  };
}
/** Across lanes: a tree of adjacent pairs (Reduce). */
function across(op: PerType<Lane2>, t: FType): Helper {
  const lane = op[t];
  const step = 1 << sizeLog[t];
  return (st, insn) => {
    begin(st);
    const d = vd(st, insn);
    copyIn(st, vn(st, insn), At.N);
    for (let bytes = vectorBytes(insn) / 2; bytes >= step; bytes /= 2) {
      for (let i = 0; i < bytes; i += step) lane(scratch, i, 2 * i, 2 * i + step);
    }
    copyOut(st, At.N, d);
    clearAboveScalar(st, d, t);
    end(st);
  };
}

/** FCVTL, FCVTL2: Q selects the upper half of Vn. */
const fcvtl: Helper = (st, insn) => {
  begin(st);
  const toDouble = (insn & (1 << 22)) !== 0;
  const from = At.N + ((insn & 0x4000_0000) !== 0 ? 8 : 0);
  copyIn(st, vn(st, insn), At.N);
  if (toDouble) for (let i = 0; i < 2; i++) convert.singleToDouble(scratch, At.D + 8 * i, from + 4 * i);
  else for (let i = 0; i < 4; i++) convert.halfToSingle(scratch, At.D + 4 * i, from + 2 * i);
  copyOut(st, At.D, vd(st, insn));
  end(st);
};
/** Narrowing conversions: Q writes the upper half of Vd and keeps the lower. `wide`: size of a source lane in bytes. */
function narrowing(pick: (insn: number) => { lane: Lane1; wide: number }): Helper {
  return (st, insn) => {
    begin(st);
    const { lane, wide } = pick(insn);
    const d = vd(st, insn);
    const upper = (insn & 0x4000_0000) !== 0;
    copyIn(st, vn(st, insn), At.N);
    copyIn(st, d, At.D);
    const to = At.D + (upper ? 8 : 0);
    for (let i = 0; i < 16; i += wide) lane(scratch, to + i / 2, At.N + i);
    copyOut(st, At.D, d);
    clearAboveVector(st, d, insn);
    end(st);
  };
}
const singleToHalf = { lane: convert.singleToHalf, wide: 4 };
const doubleToSingle = { lane: convert.doubleToSingle, wide: 8 };
const singleToBF16 = { lane: convert.singleToBF16, wide: 4 };
const doubleToSingleOdd = { lane: convert.doubleToSingleOdd, wide: 8 };

/** FCVTXN, scalar. */
const fcvtxnScalar: Helper = (st, insn) => {
  begin(st);
  const d = vd(st, insn);
  convert.doubleToSingleOdd(st.view, d, vn(st, insn));
  clearAboveScalar(st, d, FType.Single);
  end(st);
};

/** Vector fixed-point conversions: immh gives the size, immh:immb = 2 * esize - fbits. One lane table per number of fraction bits. */
function fixedPoint(make: (fbits: number) => PerType<Lane1>, isScalar: boolean): Helper {
  const lanes: (PerType<Lane1> | undefined)[] = [];
  return (st, insn) => {
    begin(st);
    const imm = (insn >>> 16) & 0x7f;
    const t = imm >= 64 ? FType.Double : imm >= 32 ? FType.Single : FType.Half;
    const step = 1 << sizeLog[t];
    const fbits = 16 * step - imm;
    const byType = lanes[fbits] ?? make(fbits);
    lanes[fbits] = byType;
    const lane = byType[t];
    const d = vd(st, insn);
    const n = vn(st, insn);
    const bytes = isScalar ? step : vectorBytes(insn);
    for (let i = 0; i < bytes; i += step) lane(st.view, d + i, n + i);
    if (isScalar) clearAboveScalar(st, d, t);
    else clearAboveVector(st, d, insn);
    end(st);
  };
}

/** FMOV (vector, immediate): abc in bits 18:16, defgh in 9:5; op = 1 is double precision. */
const fmovVector =
  (isHalf: boolean): Helper =>
  (st, insn) => {
    const imm8 = ((insn >>> 11) & 0xe0) | ((insn >>> 5) & 0x1f);
    const isDouble = (insn & (1 << 29)) !== 0;
    const t = isHalf ? FType.Half : isDouble ? FType.Double : FType.Single;
    const value = expandImmediate(imm8, t);
    const word = isHalf ? (value << 16) | value : value;
    const d = vd(st, insn);
    const i = d >>> 2;
    st.u32[i] = isDouble ? 0 : word;
    st.u32[i + 1] = word;
    st.u32[i + 2] = isDouble ? 0 : word;
    st.u32[i + 3] = word;
    clearAboveVector(st, d, insn);
  };

type Rows = [string, Helper][];

const elementwise: readonly (readonly [string, PerType<Lane2>])[] = [
  ["FADDV", arith.add],
  ["FSUBV", arith.sub],
  ["FMULV_VEC", arith.mul],
  ["FMULXV_VEC", arith.mulx],
  ["FDIVV", arith.div],
  ["FABDV", arith.abd],
  ["FMAXV", arith.max],
  ["FMINV", arith.min],
  ["FMAXNMV", arith.maxnm],
  ["FMINNMV", arith.minnm],
  ["FRECPSV", arith.recps],
  ["FRSQRTSV", arith.rsqrts],
];
/** Those of them that also have a scalar form. */
const scalarToo = new Set(["FMULXV_VEC", "FABDV", "FRECPSV", "FRSQRTSV"]);
const pairs: readonly (readonly [string, PerType<Lane2>])[] = [
  ["FADDPV", arith.add],
  ["FMAXPV", arith.max],
  ["FMINPV", arith.min],
  ["FMAXNMPV", arith.maxnm],
  ["FMINNMPV", arith.minnm],
];
const reductions: readonly (readonly [string, PerType<Lane2>])[] = [
  ["FMAXVV", arith.max],
  ["FMINVV", arith.min],
  ["FMAXNMVV", arith.maxnm],
  ["FMINNMVV", arith.minnm],
];
const elementForms: readonly (readonly [string, PerType<Lane3>])[] = [
  ["FMLAV_ELT", arith.fmadd],
  ["FMLSV_ELT", arith.fmsub],
  ["FMULV_ELT", ignoringAddend(arith.mul)],
  ["FMULXV_ELT", ignoringAddend(arith.mulx)],
];
const unaryVector: readonly (readonly [string, PerType<Lane1>])[] = [
  ["FABSV", arith.abs],
  ["FNEGV", arith.neg],
  ["FSQRTV", arith.sqrt],
  ["FRINTNV", convert.laneRoundInt(Round.TieEven, false)],
  ["FRINTPV", convert.laneRoundInt(Round.PosInf, false)],
  ["FRINTMV", convert.laneRoundInt(Round.NegInf, false)],
  ["FRINTZV", convert.laneRoundInt(Round.Zero, false)],
  ["FRINTAV", convert.laneRoundInt(Round.TieAway, false)],
  ["FRINTXV", convert.laneRoundInt(convert.FPCR_MODE, true)],
  ["FRINTIV", convert.laneRoundInt(convert.FPCR_MODE, false)],
];
const roundToWidth: readonly (readonly [string, PerType<Lane1>])[] = [
  ["FRINT32ZV", convert.laneRoundIntN(Round.Zero, 32)],
  ["FRINT32XV", convert.laneRoundIntN(convert.FPCR_MODE, 32)],
  ["FRINT64ZV", convert.laneRoundIntN(Round.Zero, 64)],
  ["FRINT64XV", convert.laneRoundIntN(convert.FPCR_MODE, 64)],
];
const comparisons: readonly (readonly [string, Test])[] = [
  ["FCMEQV_REG", tests.eq],
  ["FCMGEV_REG", tests.ge],
  ["FCMGTV_REG", tests.gt],
  ["FACGEV", tests.absGe],
  ["FACGTV", tests.absGt],
];
const zeroComparisons: readonly (readonly [string, Test])[] = [
  ["FCMEQV_ZERO", tests.eq],
  ["FCMGEV_ZERO", tests.ge],
  ["FCMGTV_ZERO", tests.gt],
  ["FCMLEV", tests.le],
  ["FCMLTV", tests.lt],
];

/** A row by sz and its half precision twin. */
function twins(name: string, make: (type: TypeField) => Helper): Rows {
  return [
    [name, make(bySz)],
    [`${name}_h`, make(alwaysHalf)],
  ];
}
/** A scalar row by sz and its half precision twin. */
function scalarTwins(name: string, make: (type: TypeField) => Helper): Rows {
  return [
    [`${name}_s`, make(bySz)],
    [`${name}_s_h`, make(alwaysHalf)],
  ];
}
/** Vector and scalar forms of a unary operation. */
function vectorAndScalar1(name: string, op: PerType<Lane1>): Rows {
  return [...twins(name, (t) => vector1(op, t)), ...scalarTwins(name, (t) => scalar1(op, t))];
}

function threeSame(): Rows {
  return [
    ...elementwise.flatMap(([name, op]) => twins(name, (t) => vector2(op, t))),
    ...elementwise.filter(([name]) => scalarToo.has(name)).flatMap(([name, op]) => scalarTwins(name, (t) => scalar2(op, t))),
    ...twins("FMLAV_VEC", (t) => vector3(arith.fmadd, t)),
    ...twins("FMLSV_VEC", (t) => vector3(arith.fmsub, t)),
    ...pairs.flatMap(([name, op]) => [
      ...twins(`${name}_VEC`, (t) => pairwise(op, t)),
      ...scalarTwins(`${name}_PAIR`, (t) => scalarPair(op, t)),
    ]),
    ...reductions.flatMap(
      ([name, op]): Rows => [
        [name, across(op, FType.Single)],
        [`${name}_h`, across(op, FType.Half)],
      ],
    ),
    ...elementForms.flatMap(([name, op]) => [...twins(name, (t) => element(op, t)), ...scalarTwins(name, (t) => element(op, t))]),
  ];
}

function compareRows(): Rows {
  return [
    ...comparisons.flatMap(([name, test]) => {
      const op = laneTest(test);
      return [...twins(name, (t) => vector2(op, t)), ...scalarTwins(name, (t) => scalar2(op, t))];
    }),
    ...zeroComparisons.flatMap(([name, test]) => {
      const op = laneTest(test);
      return [...twins(name, (t) => vector2(op, t, true)), ...scalarTwins(name, (t) => scalarZero(op, t))];
    }),
  ];
}

function conversionRows(): Rows {
  const rows: Rows = [];
  for (const unsigned of [false, true]) {
    for (const [letter, mode] of conversionModes) {
      const name = `FCVT${letter}${unsigned ? "U" : "S"}V${letter === "Z" ? "_INT" : ""}`;
      rows.push(...vectorAndScalar1(name, convert.laneToInt(unsigned, mode)));
    }
    rows.push(...vectorAndScalar1(`${unsigned ? "U" : "S"}CVTFV_INT`, convert.laneFromInt(unsigned)));
    const toInt = (fbits: number) => convert.laneToInt(unsigned, Round.Zero, fbits);
    const fromInt = (fbits: number) => convert.laneFromInt(unsigned, fbits);
    const letter = unsigned ? "U" : "S";
    rows.push([`FCVTZ${letter}V_FIX`, fixedPoint(toInt, false)], [`FCVTZ${letter}V_FIX_s`, fixedPoint(toInt, true)]);
    rows.push([`${letter}CVTFV_FIX`, fixedPoint(fromInt, false)], [`${letter}CVTFV_FIX_s`, fixedPoint(fromInt, true)]);
  }
  return rows;
}

export const vectorRows: HelperTable = Object.fromEntries([
  ...threeSame(),
  ...compareRows(),
  ...conversionRows(),
  ...unaryVector.flatMap(([name, op]) => twins(name, (t) => vector1(op, t))),
  ...roundToWidth.map(([name, op]): [string, Helper] => [name, vector1(op, bySz)]),
  ...vectorAndScalar1("FRECPEV", arith.exact1(recpe)),
  ...vectorAndScalar1("FRSQRTEV", arith.exact1(rsqrte)),
  ...twins("FRECPXV", (t) => scalar1(arith.exact1(recpx), t)),
  ["FCVTLV", fcvtl],
  ["FCVTNV", narrowing((insn) => ((insn & (1 << 22)) !== 0 ? doubleToSingle : singleToHalf))],
  ["FCVTXNV", narrowing(() => doubleToSingleOdd)],
  ["FCVTXNV_s", fcvtxnScalar],
  ["BFCVTNV", narrowing(() => singleToBF16)],
  ["FMOVV", fmovVector(false)],
  ["FMOVV_h", fmovVector(true)],
]);
