// Exceptions that a realm takes to R-EL2: what the RMM settles itself, and what the host is told (DEN0137 A4.3).

import { slot } from "../arch/state.ts";
import { Ec } from "../arch/syndrome.ts";
import { type ExceptionInfo, Vector } from "../cpu/agent.ts";
import { injectSea, injectUndefined, runningState } from "./inject.ts";
import { realmSmc } from "./rsi.ts";
import { locate, Next, type Run } from "./run.ts";
import { ExitReason, GRANULE, Ripas } from "./status.ts";
import { decodeAccess, realmIdRegister } from "./sysreg-traps.ts";

/** Bits of ESR_EL2 that the host may see: EC, SET, FnV, EA, FSC; for emulatable aborts also ISV, SAS, SF, WnR. */
const ESR_NON_EMULATABLE = 0xfc00_1e3fn;
const ESR_EMULATABLE = ESR_NON_EMULATABLE | (1n << 24n) | (3n << 22n) | (1n << 15n) | (1n << 6n);
/** EC and TI[0] of a trapped WFI or WFE. */
const ESR_WFX = 0xfc00_0001n;
/** IDS, AET, EA, DFSC of an SError. */
const ESR_SERROR = (1n << 24n) | (7n << 10n) | (1n << 9n) | 0x3fn;
export const ESR_ISV = 1n << 24n;
const ISS_ISV = 1 << 24;
const ISS_WNR = 1 << 6;
/** SET of a synchronous External abort. */
const AbortSet = { UER: 0n, UC: 2n, UEO: 3n } as const;
/** AET of an SError. */
const Aet = { UC: 0n, UEU: 1n, UEO: 2n, UER: 3n, CE: 6n } as const;

/** The RMM meets something from which it cannot go on (TF-RMM: panic). */
export type Panic = (what: string) => void;

export const ecOf = (esr: bigint): number => Number((esr >> 26n) & 0x3fn);
/** Bytes of an access from ISS.SAS. */
export const accessBytes = (esr: bigint): number => 1 << Number((esr >> 22n) & 3n);
export const accessMask = (esr: bigint): bigint => (1n << BigInt(8 * accessBytes(esr))) - 1n;
/** IPA of the page that HPFAR_EL2 names. */
export const faultPage = (hpfar: bigint): bigint => ((hpfar >> 4n) & 0xff_ffff_ffffn) << 12n;

/** Handles an exception of the running REC; Next.HOST: `r.exit` says what the host is told. */
export function handleException(r: Run, e: ExceptionInfo, panic: Panic): Next {
  switch (e.vector) {
    case Vector.Irq:
      r.exit.set("exit_reason", ExitReason.IRQ);
      return Next.HOST;
    case Vector.Fiq:
      r.exit.set("exit_reason", ExitReason.FIQ);
      return Next.HOST;
    case Vector.SError:
      return remember(r, serror(r, panic), false);
    default:
      r.exit.set("exit_reason", ExitReason.SYNC);
      return remember(r, synchronous(r, panic), true);
  }
}

/** Keeps the syndrome of an exit: the next entry completes an emulated access by it, or is refused. */
function remember(r: Run, next: Next, sync: boolean): Next {
  if (next === Next.REALM) return next;
  const { st, rec } = r;
  let esr = st.lo(slot.ESR_EL2);
  // What the host was not shown as emulatable it cannot emulate.
  if (sync && (r.exit.lo("esr") & ISS_ISV) === 0) esr &= ~ISS_ISV;
  rec.setLoHi("last_esr", esr, st.hi(slot.ESR_EL2));
  rec.setLoHi("last_far", st.lo(slot.FAR_EL2), st.hi(slot.FAR_EL2));
  rec.setLoHi("last_hpfar", st.lo(slot.HPFAR_EL2), st.hi(slot.HPFAR_EL2));
  return next;
}

function synchronous(r: Run, panic: Panic): Next {
  const { st } = r;
  const esr = st.get(slot.ESR_EL2);
  switch (ecOf(esr)) {
    case Ec.Wfx:
      r.exit.set("esr", esr & ESR_WFX);
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

function systemRegister(r: Run, esr: bigint): Next {
  const access = decodeAccess(Number(esr & 0x1ff_ffffn));
  advance(r);
  if (access.forHost) {
    r.exit.set("esr", esr);
    if (access.write) r.exit.set("gprs", r.st.x(access.rt), 0);
    return Next.HOST;
  }
  // Registers that realms do not have read as zero and ignore writes.
  if (!access.write) r.st.setX(access.rt, access.id && access.name !== undefined ? realmIdRegister(r.pe, access.name) : 0n);
  if (!access.id)
    r.pe.nameOnce(Number(esr & 0x3f_fc1en), () => `RMM: realm access to S${access.text} (${access.name ?? "unknown"}) is RAZ/WI`);
  return Next.REALM;
}

// ---- aborts --------------------------------------------------------------------------------------------------------------------

const fscOf = (esr: bigint): number => Number(esr & 0x3fn);
const isExternal = (esr: bigint): boolean => fscOf(esr) === 0x10 || (fscOf(esr) >= 0x13 && fscOf(esr) <= 0x17);

/** A synchronous External abort of the hardware. */
function externalAbort(r: Run, esr: bigint, panic: Panic): Next {
  const set = (esr >> 11n) & 3n;
  if (set === AbortSet.UC) panic(`uncontainable External abort in a realm, ESR_EL2 0x${esr.toString(16)}`);
  if (set === AbortSet.UER) injectSea(runningState(r.st), esr, r.st.get(slot.FAR_EL2));
  r.exit.set("esr", esr & ESR_NON_EMULATABLE);
  return Next.HOST;
}

/** A protected IPA whose RIPAS is EMPTY, or one beyond the IPA space: the realm's own business. */
function isNowhere(r: Run, ipa: bigint): boolean {
  if (ipa >= BigInt(r.realm.ipaSize)) return true;
  if (!r.realm.isProtected(ipa)) return false;
  const at = locate(r.cx, r.realm, Number(ipa));
  return !at.found && at.ripas === Ripas.EMPTY;
}

function instructionAbort(r: Run, esr: bigint, panic: Panic): Next {
  if (isExternal(esr)) return externalAbort(r, esr, panic);
  const hpfar = r.st.get(slot.HPFAR_EL2);
  const ipa = faultPage(hpfar);
  if (isNowhere(r, ipa) || !r.realm.isProtected(ipa)) {
    injectSea(runningState(r.st), esr, r.st.get(slot.FAR_EL2));
    return Next.REALM;
  }
  // Other than a translation fault: nothing to tell.
  if (fscOf(esr) >> 2 !== 1) return Next.HOST;
  r.exit.set("hpfar", hpfar);
  r.exit.set("esr", esr & ESR_NON_EMULATABLE);
  return Next.HOST;
}

function dataAbort(r: Run, esr: bigint, panic: Panic): Next {
  if (isExternal(esr)) return externalAbort(r, esr, panic);
  const { st, exit } = r;
  // HPFAR_EL2.FIPA: IPA[51:12] in bits 43:4.
  const ipa = ((st.hi(slot.HPFAR_EL2) & 0xfff) * 2 ** 28 + (st.lo(slot.HPFAR_EL2) >>> 4)) * GRANULE;
  const inside = ipa < r.realm.ipaSize / 2;
  if ((inside || ipa >= r.realm.ipaSize) && isNowhere(r, BigInt(ipa))) {
    injectSea(runningState(st), esr, st.get(slot.FAR_EL2));
    return Next.REALM;
  }
  exit.setLoHi("hpfar", st.lo(slot.HPFAR_EL2), st.hi(slot.HPFAR_EL2));
  if (inside) {
    exit.set("esr", esr & ESR_NON_EMULATABLE);
    return Next.HOST;
  }
  const iss = st.lo(slot.ESR_EL2);
  exit.setLoHi("esr", (iss & Number(ESR_EMULATABLE)) >>> 0, 0);
  exit.setLoHi("far", st.lo(slot.FAR_EL2) & (GRANULE - 1), 0);
  if ((iss & ISS_WNR) !== 0 && (iss & ISS_ISV) !== 0) exit.set("gprs", st.x((iss >>> 16) & 31) & accessMask(esr), 0);
  return Next.HOST;
}

// ---- SError ----------------------------------------------------------------------------------------------------------------------

function serror(r: Run, panic: Panic): Next {
  const esr = r.st.get(slot.ESR_EL2);
  r.exit.set("exit_reason", ExitReason.SERROR);
  const aet = (esr >> 10n) & 7n;
  if ((esr & (1n << 24n)) !== 0n || fscOf(esr) !== 0x11 || aet === Aet.UC) {
    panic(`uncontainable or unknown SError in a realm, ESR_EL2 0x${esr.toString(16)}`);
  } else if (aet === Aet.UEU || aet === Aet.UER) {
    r.rec.set("serror", 1n);
    r.rec.set("vsesr", esr & 0x1ff_ffffn);
  }
  r.exit.set("esr", esr & ESR_SERROR);
  return Next.HOST;
}
