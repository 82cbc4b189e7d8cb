// RMI_REC_ENTER: the checks, and the completion of what the REC had left to the host (DEN0137 B4.3.19, A4.2).

import { AbortIss, accessRegister, Ec, ecOf, loadedValue } from "../arch/syndrome.ts";
import type { Pe } from "../cpu/pe.ts";
import { INPUT, REC_ERROR, type RmiResult, type RmmContext, realmError } from "./cx.ts";
import { GranuleState } from "./granules.ts";
import { injectSea, storedState } from "./inject.ts";
import { Enter, RecEnter } from "./layouts.ts";
import { Realm } from "./realm.ts";
import { Rec, type RecView, recAt } from "./rec.ts";
import { faultPage } from "./rec-exit.ts";
import { ICH_HCR_HOST } from "./rec-run.ts";
import { completeHostCall, completeRipas } from "./rsi.ts";
import { HCR_REALM, HCR_TWE, HCR_TWI } from "./stage2.ts";
import { EnterFlag, RealmState } from "./status.ts";
import { blank, type StructView } from "./struct.ts";

export type EnterView = StructView<keyof typeof RecEnter.fields>;

/** A REC that may run now, with the run page. */
export interface Admitted {
  readonly rec: RecView;
  readonly recPa: number;
  readonly realm: Realm;
  readonly run: number;
  /** A pending host call cannot be completed: its buffer is not mapped. The level of the missing entry. */
  readonly unmapped: number | undefined;
}

/** The RMM's copy of what the host says at an entry, for the time of the call. */
const entry = blank(RecEnter);

/** Performs the checks in order and the completions. A result: the REC does not run. */
export function admit(cx: RmmContext, pe: Pe, recAddress: bigint, runAddress: bigint): Admitted | RmiResult {
  const run = cx.granules.findIn(runAddress, GranuleState.UNDELEGATED);
  if (run < 0) return INPUT;
  const recPa = cx.granules.findIn(recAddress, GranuleState.REC);
  if (recPa < 0) return INPUT;
  if (cx.granules.references(recPa) !== 0) return REC_ERROR;
  const enter = entry;
  if (!cx.memory.readNonSecureInto(run, enter.raw)) return INPUT;
  const rec = recAt(cx.memory, recPa);
  const realm = new Realm(cx.memory, rec.num(Rec.rd));
  if (realm.state === RealmState.NEW) return realmError(0);
  if (realm.state === RealmState.SYSTEM_OFF) return realmError(1);
  if (!rec.flag(Rec.runnable) || rec.flag(Rec.psci_pending)) return REC_ERROR;
  if (!gicStateValid(cx, enter)) return REC_ERROR;
  const flags = enter.num(Enter.flags);
  const sea = (flags & EnterFlag.INJECT_SEA) !== 0;
  const mmio = (flags & EnterFlag.EMUL_MMIO) !== 0 && !sea;
  if (sea && !faultedOutside(rec, realm)) return REC_ERROR;
  if (mmio && !emulatable(rec)) return REC_ERROR;

  takeGicState(cx, rec, enter);
  if (sea) injectSea(storedState(rec), rec.get(Rec.last_esr), rec.get(Rec.last_far));
  if (mmio) completeMmio(rec, enter);
  completeRipas(rec, (flags & EnterFlag.RIPAS_RESPONSE) !== 0);
  completeSystemRegister(rec, enter);
  const unmapped = rec.flag(Rec.host_call) ? completeHostCall({ cx, pe, st: pe.st, rec, recPa, realm }, enter) : undefined;
  if (unmapped === undefined) {
    rec.set(Rec.host_call, 0n);
    rec.set(Rec.last_esr, 0n);
    const traps = flags & (EnterFlag.TRAP_WFI | EnterFlag.TRAP_WFE);
    rec.set(Rec.hcr, traps === 0 ? HCR_REALM : trapping(flags));
  }
  return { rec, recPa, realm, run, unmapped };
}

const trapping = (flags: number): bigint =>
  HCR_REALM | ((flags & EnterFlag.TRAP_WFI) !== 0 ? HCR_TWI : 0n) | ((flags & EnterFlag.TRAP_WFE) !== 0 ? HCR_TWE : 0n);

// ---- GIC ------------------------------------------------------------------------------------------------------------------------

/** Fields of ICH_LR<n>_EL2. */
const LR = { HW: 1n << 61n, EOI: 1n << 41n, PINTID: 0x1fffn << 32n, VINTID: 0xffff_ffffn } as const;
/** The state, in the high word. */
const LR_STATE_SHIFT = 30;
const ICH_HCR_HOST_LO = Number(ICH_HCR_HOST);
/** Priority bits that this GIC does not implement (five are: constants.ts of the GIC). */
const LR_PRIORITY_RES0 = 7n << 48n;
/** INTIDs of virtual interrupts: SGI, PPI and SPI below 1020; LPIs from 8192 on, 24 bits. */
const vintidValid = (id: bigint): boolean => id <= 1019n || (id >= 8192n && id <= 0xff_ffffn);

/** Only the host's control bits; list registers in use: no HW, legal priority and INTID, none twice. */
function gicStateValid(cx: RmmContext, enter: EnterView): boolean {
  if (enter.hi(Enter.gicv3_hcr) !== 0 || (enter.lo(Enter.gicv3_hcr) & ~ICH_HCR_HOST_LO) !== 0) return false;
  let seen: bigint[] | undefined;
  for (let i = 0; i <= cx.features.GICV3_NUM_LRS; i++) {
    if (enter.hi(Enter.gicv3_lrs, i) >>> LR_STATE_SHIFT === 0) continue;
    const lr = enter.get(Enter.gicv3_lrs, i);
    seen ??= [];
    const vintid = lr & LR.VINTID;
    const bad = (lr & (LR.HW | LR_PRIORITY_RES0)) !== 0n || (lr & LR.PINTID & ~LR.EOI) !== 0n;
    if (bad || !vintidValid(vintid) || seen.includes(vintid)) return false;
    seen.push(vintid);
  }
  return true;
}

function takeGicState(cx: RmmContext, rec: RecView, enter: EnterView): void {
  for (let i = 0; i <= cx.features.GICV3_NUM_LRS; i++)
    rec.setLoHi(Rec.gic_lrs, enter.lo(Enter.gicv3_lrs, i), enter.hi(Enter.gicv3_lrs, i), i);
  rec.setLoHi(Rec.gic_hcr, ((rec.lo(Rec.gic_hcr) & ~ICH_HCR_HOST_LO) | enter.lo(Enter.gicv3_hcr)) >>> 0, 0);
}

// ---- completion of the last exit --------------------------------------------------------------------------------------------------

/** The last exit was a Data Abort at an unprotected IPA. */
const faultedOutside = (rec: RecView, realm: Realm): boolean =>
  ecOf(rec.lo(Rec.last_esr)) === Ec.DataAbort && !realm.isProtected(faultPage(rec.lo(Rec.last_hpfar), rec.hi(Rec.last_hpfar)));

/** The last exit was an access that the host can emulate. */
const emulatable = (rec: RecView): boolean => ecOf(rec.lo(Rec.last_esr)) === Ec.DataAbort && (rec.lo(Rec.last_esr) & AbortIss.ISV) !== 0;

/** The host has carried out the access: a load gets its value, PC moves on. */
function completeMmio(rec: RecView, enter: EnterView): void {
  const esr = rec.lo(Rec.last_esr);
  const rt = accessRegister(esr);
  if ((esr & AbortIss.WnR) === 0 && rt !== 31) rec.set(Rec.gprs, loadedValue(esr, enter.get(Enter.gprs, 0)), rt);
  rec.set(Rec.pc, rec.get(Rec.pc) + 4n);
}

/** A system register read that the host emulates: its value. PC has moved on already. */
function completeSystemRegister(rec: RecView, enter: EnterView): void {
  const esr = rec.lo(Rec.last_esr);
  const rt = (esr >>> 5) & 31;
  if (ecOf(esr) === Ec.SystemRegister && (esr & 1) === 1 && rt !== 31) rec.set(Rec.gprs, enter.get(Enter.gprs, 0), rt);
}
