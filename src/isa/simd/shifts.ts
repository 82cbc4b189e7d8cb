// Shift rows: by register and by immediate, rounding, saturating, accumulating, inserting, widening, narrowing.

import type { HelperTable } from "../helper.ts";
import { longShift, narrowShift, same, shiftLeft, shiftRight } from "./drivers.ts";
import * as sh from "./shift-ops.ts";

// biome-ignore format: one row per line
export const shifts: HelperTable = {
  // By register
  SSHLV: same(sh.sshl),               SSHLV_s: same(sh.sshl),
  USHLV: same(sh.ushl),               USHLV_s: same(sh.ushl),
  SRSHLV: same(sh.srshl),             SRSHLV_s: same(sh.srshl),
  URSHLV: same(sh.urshl),             URSHLV_s: same(sh.urshl),
  SQSHLV_REG: same(sh.sqshl),         SQSHLV_REG_s: same(sh.sqshl),
  UQSHLV_REG: same(sh.uqshl),         UQSHLV_REG_s: same(sh.uqshl),
  SQRSHLV: same(sh.sqrshl),           SQRSHLV_s: same(sh.sqrshl),
  UQRSHLV: same(sh.uqrshl),           UQRSHLV_s: same(sh.uqrshl),

  // Left by immediate
  SQSHLV_IMM: shiftLeft(sh.sqshl),    SQSHLV_IMM_s: shiftLeft(sh.sqshl),
  UQSHLV_IMM: shiftLeft(sh.uqshl),    UQSHLV_IMM_s: shiftLeft(sh.uqshl),
  SQSHLUV: shiftLeft(sh.sqshlu),      SQSHLUV_s: shiftLeft(sh.sqshlu),
  SLIV: shiftLeft(sh.sli),            SLIV_s: shiftLeft(sh.sli),
  SSHLLV: longShift(sh.sshl),         USHLLV: longShift(sh.ushl),

  // Right by immediate
  SSHRV: shiftRight(sh.sshl),         SSHRV_s: shiftRight(sh.sshl),
  SRSHRV: shiftRight(sh.srshl),       SRSHRV_s: shiftRight(sh.srshl),
  URSHRV: shiftRight(sh.urshl),       URSHRV_s: shiftRight(sh.urshl),
  SSRAV: shiftRight(sh.ssra),         SSRAV_s: shiftRight(sh.ssra),
  USRAV: shiftRight(sh.usra),         USRAV_s: shiftRight(sh.usra),
  SRSRAV: shiftRight(sh.srsra),       SRSRAV_s: shiftRight(sh.srsra),
  URSRAV: shiftRight(sh.ursra),       URSRAV_s: shiftRight(sh.ursra),
  SRIV: shiftRight(sh.sri),           SRIV_s: shiftRight(sh.sri),

  // Right by immediate, narrowing
  SHRNV: narrowShift(sh.shrn),        RSHRNV: narrowShift(sh.rshrn),
  SQSHRNV: narrowShift(sh.sqshrn),    SQSHRNV_s: narrowShift(sh.sqshrn),
  UQSHRNV: narrowShift(sh.uqshrn),    UQSHRNV_s: narrowShift(sh.uqshrn),
  SQRSHRNV: narrowShift(sh.sqrshrn),  SQRSHRNV_s: narrowShift(sh.sqrshrn),
  UQRSHRNV: narrowShift(sh.uqrshrn),  UQRSHRNV_s: narrowShift(sh.uqrshrn),
  SQSHRUNV: narrowShift(sh.sqshrun),  SQSHRUNV_s: narrowShift(sh.sqshrun),
  SQRSHRUNV: narrowShift(sh.sqrshrun), SQRSHRUNV_s: narrowShift(sh.sqrshrun),
};
