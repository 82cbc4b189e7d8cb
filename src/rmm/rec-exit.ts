// Exceptions that a realm takes to R-EL2: what the RMM settles itself, and what the host is told (DEN0137 A4.3).

import { slot } from "../arch/state.ts";
import { AbortIss, accessRegister, Ec, ecOf, storedData } from "../arch/syndrome.ts";
import { type ExceptionInfo, Vector } from "../cpu/agent.ts";
import { injectSea, injectUndefined, runningState } from "./inject.ts";
import { Exit } from "./layouts.ts";
import { Rec } from "./rec.ts";
import { realmSmc } from "./rsi.ts";
import { locate, Next, type Run } from "./run.ts";
import { ExitReason, GRANULE, Ripas } from "./status.ts";
import { decodeAccess, realmIdRegister } from "./sysreg-traps.ts";

/** Bits of ESR_EL2 that the host may see: EC, SET, FnV, EA, FSC; for emulatable aborts also ISV, SAS, SF, WnR. */
const ESR_NON_EMULATABLE = 0xfc00_1e3f;
const ESR_EMULATABLE = ESR_NON_EMULATABLE | AbortIss.ISV | AbortIss.SAS | AbortIss.SF | AbortIss.WnR;
/** EC and TI[0] of a trapped WFI or WFE. */
const ESR_WFX = 0xfc00_0001;
/** IDS, AET, EA, DFSC of an SError. */
const SERROR_IDS = 1 << 24;
const ESR_SERROR = SERROR_IDS | (7 << 10) | (1 << 9) | 0x3f;
/** SET of a synchronous External abort. */
const AbortSet = { UER: 0, UC: 2, UEO: 3 } as const;
/** AET of an SError. */
const Aet = { UC: 0, UEU: 1, UEO: 2, UER: 3, CE: 6 } as const;

/** The RMM meets something from which it cannot go on (TF-RMM: panic). */
export type Panic = (what: string) => void;

/** IPA of the page that HPFAR_EL2, given as words, names: FIPA = IPA[51:12] in bits 43:4. */
export const faultPage = (lo: number, hi: number): number => ((hi & 0xfff) * 2 ** 28 + (lo >>> 4)) * GRANULE;
/** The host sees these bits of ESR_EL2. */
const showSyndrome = (r: Run, mask: number): void => r.exit.setLoHi(Exit.esr, r.st.lo(slot.ESR_EL2) & mask, 0);
/** The realm takes the abort itself. */
const returnAbort = (r: Run): void => injectSea(runningState(r.st), r.st.get(slot.ESR_EL2), r.st.get(slot.FAR_EL2));

/** Handles an exception of the running REC; Next.HOST: `r.exit` says what the host is told. */
export function handleException(r: Run, e: ExceptionInfo, panic: Panic): Next {
  switch (e.vector) {
    case Vector.Irq:
      r.exit.set(Exit.exit_reason, ExitReason.IRQ);
      return Next.HOST;
    case Vector.Fiq:
      r.exit.set(Exit.exit_reason, ExitReason.FIQ);
      return Next.HOST;
    case Vector.SError:
      return remember(r, serror(r, panic), false);
    default:
      r.exit.set(Exit.exit_reason, ExitReason.SYNC);
      return remember(r, synchronous(r, panic), true);
  }
}

/** Keeps the syndrome of an exit: the next entry completes an emulated access by it, or is refused. */
function remember(r: Run, next: Next, sync: boolean): Next {
  if (next === Next.REALM) return next;
  const { st, rec } = r;
  let esr = st.lo(slot.ESR_EL2);
  // What the host was not shown as emulatable it cannot emulate.
  if (sync && (r.exit.lo(Exit.esr) & AbortIss.ISV) === 0) esr &= ~AbortIss.ISV;
  rec.setLoHi(Rec.last_esr, esr, st.hi(slot.ESR_EL2));
  rec.setLoHi(Rec.last_far, st.lo(slot.FAR_EL2), st.hi(slot.FAR_EL2));
  rec.setLoHi(Rec.last_hpfar, st.lo(slot.HPFAR_EL2), st.hi(slot.HPFAR_EL2));
  return next;
}

function synchronous(r: Run, panic: Panic): Next {
  const { st } = r;
  const esr = st.lo(slot.ESR_EL2);
  switch (ecOf(esr)) {
    case Ec.Wfx:
      showSyndrome(r, ESR_WFX);
      advance(r);
      return Next.HOST;
    case Ec.Hvc:
      // The preferred return address of HVC is the next instruction; UNDEFINED is about the HVC itself.
      st.set(slot.ELR_EL2, st.get(slot.ELR_EL2) - 4n);
      injectUndefined(runningState(st));
      return Next.REALM;
    case Ec.Smc:
      return realmSmc(r, () => advance(r));
    case Ec.SystemRegister:
      return systemRegister(r, esr);
    case Ec.InstructionAbort:
      return instructionAbort(r, esr, panic);
    case Ec.DataAbort:
      return dataAbort(r, esr, panic);
    case Ec.FpAccess:
      // FP and SIMD are enabled for every realm; a trap can only mean SVE or SME, which no realm has.
      injectUndefined(runningState(st));
      return Next.REALM;
    default:
      // The host learns only that something unexpected happened.
      return Next.HOST;
  }
}

const advance = (r: Run): void => r.st.set(slot.ELR_EL2, BigInt.asUintN(64, r.st.get(slot.ELR_EL2) + 4n));

// ---- system registers --------------------------------------------------------------------------------------------------------

function systemRegister(r: Run, esr: number): Next {
  const access = decodeAccess(esr & 0x1ff_ffff);
  advance(r);
  if (access.forHost) {
    r.exit.setLoHi(Exit.esr, esr, r.st.hi(slot.ESR_EL2));
    if (access.write) r.exit.set(Exit.gprs, r.st.x(access.rt), 0);
    return Next.HOST;
  }
  // Registers that realms do not have read as zero and ignore writes.
  if (!access.write) r.st.setX(access.rt, access.id && access.name !== undefined ? realmIdRegister(r.pe, access.name) : 0n);
  if (!access.id) r.pe.nameOnce(esr & 0x3f_fc1e, () => `RMM: realm access to S${access.text} (${access.name ?? "unknown"}) is RAZ/WI`);
  return Next.REALM;
}

// ---- aborts --------------------------------------------------------------------------------------------------------------------

const fscOf = (esr: number): number => esr & 0x3f;
const isExternal = (esr: number): boolean => fscOf(esr) === 0x10 || (fscOf(esr) >= 0x13 && fscOf(esr) <= 0x17);

/** A synchronous External abort of the hardware. */
function externalAbort(r: Run, esr: number, panic: Panic): Next {
  const set = (esr >>> 11) & 3;
  if (set === AbortSet.UC) panic(`uncontainable External abort in a realm, ESR_EL2 0x${esr.toString(16)}`);
  if (set === AbortSet.UER) returnAbort(r);
  showSyndrome(r, ESR_NON_EMULATABLE);
  return Next.HOST;
}

/** A protected IPA whose RIPAS is EMPTY, or one beyond the IPA space: the realm's own business. */
function isNowhere(r: Run, ipa: number): boolean {
  if (ipa >= r.realm.ipaSize) return true;
  if (!r.realm.isProtected(ipa)) return false;
  const at = locate(r.cx, r.realm, ipa);
  return !at.found && at.ripas === Ripas.EMPTY;
}

function instructionAbort(r: Run, esr: number, panic: Panic): Next {
  if (isExternal(esr)) return externalAbort(r, esr, panic);
  const { st } = r;
  const ipa = faultPage(st.lo(slot.HPFAR_EL2), st.hi(slot.HPFAR_EL2));
  if (isNowhere(r, ipa) || !r.realm.isProtected(ipa)) {
    returnAbort(r);
    return Next.REALM;
  }
  // Other than a translation fault: nothing to tell.
  if (fscOf(esr) >> 2 !== 1) return Next.HOST;
  r.exit.setLoHi(Exit.hpfar, st.lo(slot.HPFAR_EL2), st.hi(slot.HPFAR_EL2));
  showSyndrome(r, ESR_NON_EMULATABLE);
  return Next.HOST;
}

function dataAbort(r: Run, esr: number, panic: Panic): Next {
  if (isExternal(esr)) return externalAbort(r, esr, panic);
  const { st, exit } = r;
  const ipa = faultPage(st.lo(slot.HPFAR_EL2), st.hi(slot.HPFAR_EL2));
  if (isNowhere(r, ipa)) {
    returnAbort(r);
    return Next.REALM;
  }
  exit.setLoHi(Exit.hpfar, st.lo(slot.HPFAR_EL2), st.hi(slot.HPFAR_EL2));
  if (r.realm.isProtected(ipa)) {
    showSyndrome(r, ESR_NON_EMULATABLE);
    return Next.HOST;
  }
  showSyndrome(r, ESR_EMULATABLE);
  exit.setLoHi(Exit.far, st.lo(slot.FAR_EL2) & (GRANULE - 1), 0);
  if ((esr & AbortIss.WnR) !== 0 && (esr & AbortIss.ISV) !== 0) exit.set(Exit.gprs, storedData(esr, st.x(accessRegister(esr))), 0);
  return Next.HOST;
}

// ---- SError ----------------------------------------------------------------------------------------------------------------------

function serror(r: Run, panic: Panic): Next {
  const esr = r.st.lo(slot.ESR_EL2);
  r.exit.set(Exit.exit_reason, ExitReason.SERROR);
  const aet = (esr >>> 10) & 7;
  if ((esr & SERROR_IDS) !== 0 || fscOf(esr) !== 0x11 || aet === Aet.UC) {
    panic(`uncontainable or unknown SError in a realm, ESR_EL2 0x${esr.toString(16)}`);
  } else if (aet === Aet.UEU || aet === Aet.UER) {
    r.rec.set(Rec.serror, 1n);
    r.rec.set(Rec.vsesr, esr & 0x1ff_ffff);
  }
  showSyndrome(r, ESR_SERROR);
  return Next.HOST;
}
