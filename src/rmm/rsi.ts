// The Realm Services Interface and PSCI as a realm calls them by SMC from EL1 (DEN0137 B5, B6).

import { Off } from "../arch/layout.ts";
import { type RsiName, rsiByFid } from "./commands.ts";
import { Exit, type RecEnter, RsiHostCall, RsiRealmConfig } from "./layouts.ts";
import { extendRem, hashSize } from "./measure.ts";
import { MEASUREMENT_BYTES, MEASUREMENTS } from "./realm.ts";
import { Rec } from "./rec.ts";
import { isPsciId, psciCall } from "./rsi-psci.ts";
import { emulateStage2Fault, type RsiHandler, type RsiResult, stage2Fault, toHost, toRealm } from "./rsi-result.ts";
import { tokenContinue, tokenInit } from "./rsi-token.ts";
import { ENTRIES } from "./rtt.ts";
import { kindOf, levelSize, ripasOf } from "./rtt-entry.ts";
import { isGranuleAligned, locate, Next, type Run } from "./run.ts";
import { ABI_VERSION, ExitReason, GRANULE, Response, Ripas, RsiStatus, SMC_UNKNOWN } from "./status.ts";
import { blank, type StructView, viewOf } from "./struct.ts";

const INPUT = toRealm(BigInt(RsiStatus.ERROR_INPUT));

const version: RsiHandler = (r) =>
  toRealm(BigInt(r.st.x(1) === ABI_VERSION ? RsiStatus.SUCCESS : RsiStatus.ERROR_INPUT), ABI_VERSION, ABI_VERSION);

/** Every feature register of RSI 1.0 is zero. */
const features: RsiHandler = () => toRealm(0n, 0n);

const measurementRead: RsiHandler = (r) => {
  const index = r.st.x(1);
  if (index >= BigInt(MEASUREMENTS)) return INPUT;
  const value = r.realm.measurement(Number(index));
  const words = new DataView(value.buffer, value.byteOffset, MEASUREMENT_BYTES);
  const used = hashSize(r.realm.hash);
  return toRealm(0n, ...Array.from({ length: MEASUREMENT_BYTES / 8 }, (_, i) => (8 * i < used ? words.getBigUint64(8 * i, true) : 0n)));
};

const measurementExtend: RsiHandler = (r) => {
  const [index, size] = [r.st.x(1), r.st.x(2)];
  if (index === 0n || index >= BigInt(MEASUREMENTS) || size > BigInt(MEASUREMENT_BYTES)) return INPUT;
  const rem = r.realm.measurement(Number(index));
  rem.set(extendRem(r.realm.hash, rem, registerBytes(r, 3).subarray(0, Number(size))));
  return toRealm(0n);
};

/** 64 bytes from eight registers, first one lowest. */
export function registerBytes(r: Run, first: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(64));
  for (let i = 0; i < 8; i++) view.setBigUint64(8 * i, r.st.x(first + i), true);
  return new Uint8Array(view.buffer);
}

const realmConfig: RsiHandler = (r) => {
  const ipa = r.st.x(1);
  if (!isGranuleAligned(ipa) || !r.realm.isProtected(ipa)) return INPUT;
  const at = locate(r.cx, r.realm, Number(ipa));
  if (!at.found) return at.ripas === Ripas.EMPTY ? INPUT : stage2Fault(at.level);
  const config = blank(RsiRealmConfig);
  config.set("ipa_width", r.realm.ipaBits);
  config.set("hash_algo", r.realm.hash);
  config.bytes("rpv").set(r.realm.view.bytes("rpv"));
  // The rest of the granule keeps what it held.
  r.cx.memory.put(at.pa, 0, config.raw.subarray(0, 9));
  r.cx.memory.put(at.pa, RsiRealmConfig.fields.rpv.offset, config.bytes("rpv"));
  return toRealm(0n);
};

const ipaStateSet: RsiHandler = (r) => {
  const [base, top, ripas, flags] = [r.st.x(1), r.st.x(2), r.st.x(3), r.st.x(4)];
  const valid = ripas <= BigInt(Ripas.RAM) && isGranuleAligned(base) && isGranuleAligned(top) && top > base;
  if (!valid || !r.realm.isProtected(base) || !r.realm.isProtected(top - 1n)) return INPUT;
  r.rec.set(Rec.ripas_base, base);
  r.rec.set(Rec.ripas_top, top);
  r.rec.set(Rec.ripas_addr, base);
  r.rec.set(Rec.ripas_value, ripas);
  r.rec.set(Rec.ripas_flags, flags);
  r.exit.set(Exit.ripas_base, base);
  r.exit.set(Exit.ripas_top, top);
  r.exit.set(Exit.ripas_value, ripas);
  // What the realm reads is written at the next entry.
  return toHost(ExitReason.RIPAS_CHANGE, [0n, top]);
};

const ipaStateGet: RsiHandler = (r) => {
  const [base, end] = [r.st.x(1), r.st.x(2)];
  if (!isGranuleAligned(base) || !isGranuleAligned(end) || base >= end) return INPUT;
  if (!r.realm.isProtected(base) || !r.realm.isProtected(end - 1n)) return INPUT;
  const start = Number(base);
  const w = r.cx.rtt.walk(r.realm, start, 3);
  const ripas = ripasOf(w.kind);
  if (ripas === undefined) return INPUT;
  const size = levelSize(w.level);
  let top = Math.floor(start / size) * size + size;
  for (let i = w.index + 1; i < ENTRIES && top < Number(end); i++, top += size) {
    if (ripasOf(kindOf(r.cx.rtt.read(w.table, i), w.level)) !== ripas) break;
  }
  return toRealm(0n, BigInt(Math.min(top, Number(end))), BigInt(ripas));
};

const HOST_CALL_BYTES = RsiHostCall.size;

const hostCall: RsiHandler = (r) => {
  const ipa = r.st.x(1);
  // A structure aligned to its size does not cross a granule.
  if (ipa % BigInt(HOST_CALL_BYTES) !== 0n || !r.realm.isProtected(ipa)) return INPUT;
  const offset = Number(ipa % BigInt(GRANULE));
  const at = locate(r.cx, r.realm, Number(ipa) - offset);
  if (!at.found) return at.ripas === Ripas.EMPTY ? INPUT : stage2Fault(at.level);
  const call = viewOf(RsiHostCall, r.cx.memory.bytes(at.pa).slice(offset, offset + HOST_CALL_BYTES));
  r.exit.set(Exit.imm, call.get("imm"));
  for (let i = 0; i < 31; i++) r.exit.set(Exit.gprs, call.get("gprs", i), i);
  r.rec.set(Rec.host_call, 1n);
  // The realm's registers are written when the host answers.
  return toHost(ExitReason.HOST_CALL);
};

/**
 * Completes a host call at REC_ENTER: the host's values go to the realm's buffer, which x1 of the (stored) REC names. Undefined:
 * done. Else the buffer is not mapped any more, and the host is told of a fault at this level.
 */
export function completeHostCall(r: Omit<Run, "exit">, enter: StructView<keyof typeof RecEnter.fields>): number | undefined {
  const ipa = r.rec.num(Rec.gprs, 1);
  const offset = ipa % GRANULE;
  const at = locate(r.cx, r.realm, ipa - offset);
  if (!at.found) {
    if (at.ripas !== Ripas.EMPTY) return at.level;
    // The realm gave the buffer away itself: its x0 stays, the call is over.
    return undefined;
  }
  r.cx.memory.put(at.pa, offset + RsiHostCall.fields.gprs.offset, enter.bytes("gprs"));
  r.rec.set(Rec.gprs, 0n, 0);
  return undefined;
}

const handlers: Readonly<Record<RsiName, RsiHandler>> = {
  VERSION: version,
  FEATURES: features,
  MEASUREMENT_READ: measurementRead,
  MEASUREMENT_EXTEND: measurementExtend,
  ATTESTATION_TOKEN_INIT: (r) => tokenInit(r, registerBytes(r, 1)),
  ATTESTATION_TOKEN_CONTINUE: tokenContinue,
  REALM_CONFIG: realmConfig,
  IPA_STATE_SET: ipaStateSet,
  IPA_STATE_GET: ipaStateGet,
  HOST_CALL: hostCall,
};

const SMCCC_VERSION = 0x8000_0000;
/** SMCCC 1.2. */
const SMCCC_1_2 = 0x1_0002n;
/** SVE hint of the caller (SMCCC 1.3). */
const SVE_HINT = 0x1_0000;

/** What the call in x0, x1, ... answers. */
function answer(r: Run): RsiResult {
  const fid = (r.st.lo(Off.X) & ~SVE_HINT) >>> 0;
  if (fid === SMCCC_VERSION) return toRealm(SMCCC_1_2);
  if (isPsciId(fid)) return psciCall(r, fid);
  const command = rsiByFid.get(fid);
  return command === undefined ? toRealm(SMC_UNKNOWN) : handlers[command.name](r);
}

/** An SMC of the realm. PC moves past it unless the host has to map something first. */
export function realmSmc(r: Run, advance: () => void): Next {
  const result = answer(r);
  if (result.kind === "fault") {
    emulateStage2Fault(r, result.level);
    return Next.HOST;
  }
  if (result.results !== undefined) {
    // x1 to x3 are always written, x4 and up only when the command defines them.
    for (let i = 0; i < Math.max(4, result.results.length); i++) r.st.setX(i, result.results[i] ?? 0n);
  }
  advance();
  if (result.kind === "realm") return Next.REALM;
  r.exit.set(Exit.exit_reason, result.reason);
  return Next.HOST;
}

/** At REC_ENTER: the answer to a RIPAS change that the realm had asked for. */
export function completeRipas(rec: Run["rec"], reject: boolean): void {
  if (rec.get(Rec.ripas_base) === rec.get(Rec.ripas_top)) return;
  const refused = rec.num(Rec.ripas_value) === Ripas.RAM && rec.get(Rec.ripas_addr) !== rec.get(Rec.ripas_top) && reject;
  rec.set(Rec.gprs, 0n, 0);
  rec.set(Rec.gprs, rec.get(Rec.ripas_addr), 1);
  rec.set(Rec.gprs, refused ? Response.REJECT : Response.ACCEPT, 2);
  rec.set(Rec.ripas_base, 0n);
  rec.set(Rec.ripas_top, 0n);
}
