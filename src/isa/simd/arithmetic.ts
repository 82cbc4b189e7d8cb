// Integer arithmetic rows: three registers of one width, by element, one operand, pairwise, across lanes, widening and narrowing.

import type { Helper, HelperTable } from "../helper.ts";
import { D, loadV, N, R } from "../lanes.ts";
import {
  across,
  byElement,
  finish,
  long,
  longByElement,
  longShiftBySize,
  narrow,
  narrowHigh,
  pairwise,
  pairwiseLong,
  same,
  unary,
  wide,
} from "./drivers.ts";
import * as o from "./ops.ts";
import * as sh from "./shift-ops.ts";

/** ADDP (scalar): the two 64-bit lanes of Vn added. */
const addpScalar: Helper = (st, insn) => {
  loadV(st, (insn >>> 5) & 31, N);
  const low = (N.u32[0] as number) + (N.u32[2] as number);
  R.u32[0] = low;
  R.u32[1] = (N.u32[1] as number) + (N.u32[3] as number) + (low > 0xffff_ffff ? 1 : 0);
  finish(st, insn, 8);
};

/** RBIT: bits of each byte reversed. */
const rbit: Helper = (st, insn) => {
  loadV(st, (insn >>> 5) & 31, D);
  for (let i = 0; i < 4; i++) {
    let w = D.s32[i] as number;
    w = ((w >>> 1) & 0x5555_5555) | ((w & 0x5555_5555) << 1);
    w = ((w >>> 2) & 0x3333_3333) | ((w & 0x3333_3333) << 2);
    R.s32[i] = ((w >>> 4) & 0x0f0f_0f0f) | ((w & 0x0f0f_0f0f) << 4);
  }
  finish(st, insn, insn & (1 << 30) ? 16 : 8);
};

const sizeTwo = 2;

// biome-ignore format: one row per line
export const arithmetic: HelperTable = {
  // Three registers, one width
  MULV_VEC: same(o.mul),                MULV_ELT: byElement(o.mul),
  MLAV_VEC: same(o.mla),                MLAV_ELT: byElement(o.mla),
  MLSV_VEC: same(o.mls),                MLSV_ELT: byElement(o.mls),
  PMULV: same(o.pmul),
  SHADDV: same(o.shadd),                UHADDV: same(o.uhadd),
  SRHADDV: same(o.srhadd),              URHADDV: same(o.urhadd),
  SHSUBV: same(o.shsub),                UHSUBV: same(o.uhsub),
  SMAXV: same(o.smax),                  UMAXV: same(o.umax),
  SMINV: same(o.smin),                  UMINV: same(o.umin),
  SABDV: same(o.sabd),                  UABDV: same(o.uabd),
  SABAV: same(o.saba),                  UABAV: same(o.uaba),
  SQADDV: same(o.sqadd),                SQADDV_s: same(o.sqadd),
  UQADDV: same(o.uqadd),                UQADDV_s: same(o.uqadd),
  SQSUBV: same(o.sqsub),                SQSUBV_s: same(o.sqsub),
  UQSUBV: same(o.uqsub),                UQSUBV_s: same(o.uqsub),

  // Compare
  CMGTV_REG: same(o.cmgt),              CMGTV_REG_s: same(o.cmgt),
  CMGEV_REG: same(o.cmge),              CMGEV_REG_s: same(o.cmge),
  CMHIV: same(o.cmhi),                  CMHIV_s: same(o.cmhi),
  CMHSV: same(o.cmhs),                  CMHSV_s: same(o.cmhs),
  CMTSTV: same(o.cmtst),                CMTSTV_s: same(o.cmtst),
  CMGTV_ZERO: unary(o.cmgt),            CMGTV_ZERO_s: unary(o.cmgt),
  CMGEV_ZERO: unary(o.cmge),            CMGEV_ZERO_s: unary(o.cmge),
  CMLTV: unary(o.cmlt),                 CMLTV_s: unary(o.cmlt),
  CMLEV: unary(o.cmle),                 CMLEV_s: unary(o.cmle),

  // Saturating doubling multiplies
  SQDMULHV_VEC: same(o.sqdmulh),        SQDMULHV_VEC_s: same(o.sqdmulh),
  SQDMULHV_ELT: byElement(o.sqdmulh),   SQDMULHV_ELT_s: byElement(o.sqdmulh),
  SQRDMULHV_VEC: same(o.sqrdmulh),      SQRDMULHV_VEC_s: same(o.sqrdmulh),
  SQRDMULHV_ELT: byElement(o.sqrdmulh), SQRDMULHV_ELT_s: byElement(o.sqrdmulh),
  SQRDMLAHV_VEC: same(o.sqrdmlah),      SQRDMLAHV_VEC_s: same(o.sqrdmlah),
  SQRDMLAHV_ELT: byElement(o.sqrdmlah), SQRDMLAHV_ELT_s: byElement(o.sqrdmlah),
  SQRDMLSHV_VEC: same(o.sqrdmlsh),      SQRDMLSHV_VEC_s: same(o.sqrdmlsh),
  SQRDMLSHV_ELT: byElement(o.sqrdmlsh), SQRDMLSHV_ELT_s: byElement(o.sqrdmlsh),

  // One operand
  ABSV: unary(o.absolute),              ABSV_s: unary(o.absolute),
  NEGV: unary(o.neg),                   NEGV_s: unary(o.neg),
  SQABSV: unary(o.sqabs),               SQABSV_s: unary(o.sqabs),
  SQNEGV: unary(o.sqneg),               SQNEGV_s: unary(o.sqneg),
  SUQADDV: unary(o.suqadd),             SUQADDV_s: unary(o.suqadd),
  USQADDV: unary(o.usqadd),             USQADDV_s: unary(o.usqadd),
  CLSV: unary(o.cls),                   CLZV: unary(o.clz),
  CNTV: unary(o.cnt),                   RBITV: rbit,
  URECPEV: unary(o.urecpe, sizeTwo),    URSQRTEV: unary(o.ursqrte, sizeTwo),

  // Pairwise and across lanes
  ADDPV_VEC: pairwise(o.add),           ADDPV_PAIR_s: addpScalar,
  SMAXPV: pairwise(o.smax),             UMAXPV: pairwise(o.umax),
  SMINPV: pairwise(o.smin),             UMINPV: pairwise(o.umin),
  SADDLPV: pairwiseLong(o.saddlp),      UADDLPV: pairwiseLong(o.uaddlp),
  SADALPV: pairwiseLong(o.sadalp),      UADALPV: pairwiseLong(o.uadalp),
  ADDVV: across(o.ssum, 0),
  SMAXVV: across(o.smax, 0),            UMAXVV: across(o.umax, 0),
  SMINVV: across(o.smin, 0),            UMINVV: across(o.umin, 0),
  SADDLVV: across(o.ssum, 1),           UADDLVV: across(o.usum, 1),

  // Long and wide
  SADDLV: long(o.add),                  UADDLV: long(o.uadd),
  SSUBLV: long(o.sub),                  USUBLV: long(o.usub),
  SADDWV: wide(o.add),                  UADDWV: wide(o.uadd),
  SSUBWV: wide(o.sub),                  USUBWV: wide(o.usub),
  SABDLV: long(o.sabd),                 UABDLV: long(o.uabd),
  SABALV: long(o.saba),                 UABALV: long(o.uaba),
  SMULLV_VEC: long(o.mul),              SMULLV_ELT: longByElement(o.mul),
  UMULLV_VEC: long(o.umul),             UMULLV_ELT: longByElement(o.umul),
  SMLALV_VEC: long(o.mla),              SMLALV_ELT: longByElement(o.mla),
  UMLALV_VEC: long(o.umla),             UMLALV_ELT: longByElement(o.umla),
  SMLSLV_VEC: long(o.mls),              SMLSLV_ELT: longByElement(o.mls),
  UMLSLV_VEC: long(o.umls),             UMLSLV_ELT: longByElement(o.umls),
  SQDMULLV_VEC: long(o.sqdmull),        SQDMULLV_VEC_s: long(o.sqdmull),
  SQDMULLV_ELT: longByElement(o.sqdmull), SQDMULLV_ELT_s: longByElement(o.sqdmull),
  SQDMLALV_VEC: long(o.sqdmlal),        SQDMLALV_VEC_s: long(o.sqdmlal),
  SQDMLALV_ELT: longByElement(o.sqdmlal), SQDMLALV_ELT_s: longByElement(o.sqdmlal),
  SQDMLSLV_VEC: long(o.sqdmlsl),        SQDMLSLV_VEC_s: long(o.sqdmlsl),
  SQDMLSLV_ELT: longByElement(o.sqdmlsl), SQDMLSLV_ELT_s: longByElement(o.sqdmlsl),
  SHLLV: longShiftBySize(sh.ushl),

  // Narrowing
  ADDHNV: narrowHigh(o.add, false),     RADDHNV: narrowHigh(o.add, true),
  SUBHNV: narrowHigh(o.sub, false),     RSUBHNV: narrowHigh(o.sub, true),
  XTNV: narrow(sh.shrn),
  SQXTNV: narrow(sh.sqshrn),            SQXTNV_s: narrow(sh.sqshrn),
  SQXTUNV: narrow(sh.sqshrun),          SQXTUNV_s: narrow(sh.sqshrun),
  UQXTNV: narrow(sh.uqshrn),            UQXTNV_s: narrow(sh.uqshrn),
};
