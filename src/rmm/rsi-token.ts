// RSI_ATTESTATION_TOKEN_INIT and _CONTINUE: one token per REC at a time, kept in its auxiliary granules (DEN0137 B5.3.1, B5.3.2).
//
//         INIT                CONTINUE (signs)              CONTINUE until all is copied
//   NONE -------> CREATED ------------------------> SIGNED ------------------------------> NONE
//     any state: INIT starts again

import { isrValue } from "../cpu/interrupts.ts";
import { coseKey, sign1 } from "./cose.ts";
import { Aux, TokenState } from "./rec.ts";
import { type RsiResult, stage2Fault, toHost, toRealm } from "./rsi-result.ts";
import { isGranuleAligned, locate, type Run } from "./run.ts";
import { ExitReason, GRANULE, Ripas, RsiStatus } from "./status.ts";
import { ccaToken, platformChallenge, realmClaims } from "./token.ts";

const INPUT = toRealm(BigInt(RsiStatus.ERROR_INPUT));
const UNKNOWN = toRealm(BigInt(RsiStatus.ERROR_UNKNOWN));

/** The largest token: one granule. */
export const MAX_TOKEN = GRANULE;

export function tokenInit(r: Run, challenge: Uint8Array): RsiResult {
  r.rec.set("token_state", TokenState.NONE);
  r.rec.set("token_copied", 0n);
  const claims = realmClaims(r.realm, challenge, coseKey(r.cx.monitor.realmKey()));
  if (claims.length > MAX_TOKEN) return UNKNOWN;
  r.cx.memory.put(r.rec.num("aux", Aux.REALM_TOKEN), 0, claims);
  r.rec.set("token_length", claims.length);
  r.rec.set("token_state", TokenState.CREATED);
  return toRealm(0n, BigInt(MAX_TOKEN));
}

export function tokenContinue(r: Run): RsiResult {
  const [ipa, offset, size] = [r.st.x(1), r.st.x(2), r.st.x(3)];
  if (!isGranuleAligned(ipa) || offset >= BigInt(GRANULE) || offset + size > BigInt(GRANULE)) return INPUT;
  if (!r.realm.isProtected(ipa)) return INPUT;
  const state = r.rec.num("token_state");
  if (state === TokenState.NONE) return toRealm(BigInt(RsiStatus.ERROR_STATE));
  if (state === TokenState.CREATED) {
    if (!sign(r)) return UNKNOWN;
    // Signing takes long on a real machine; the host gets its turn before the copy.
    if (isrValue(r.pe) !== 0) return toHost(ExitReason.IRQ, [BigInt(RsiStatus.INCOMPLETE)]);
  }
  const at = locate(r.cx, r.realm, Number(ipa));
  if (!at.found) return at.ripas === Ripas.EMPTY ? INPUT : stage2Fault(at.level);
  if (size === 0n) return toRealm(BigInt(RsiStatus.INCOMPLETE));
  return copy(r, at.pa + Number(offset), Number(size));
}

/** Signs the claims and puts both tokens together; false: the result is larger than a granule. */
function sign(r: Run): boolean {
  const key = r.cx.monitor.realmKey();
  const claims = r.cx.memory.bytes(r.rec.num("aux", Aux.REALM_TOKEN)).slice(0, r.rec.num("token_length"));
  const token = ccaToken(r.cx.monitor.platformToken(platformChallenge(coseKey(key))), sign1(key, claims));
  if (token.length > MAX_TOKEN) return false;
  r.cx.memory.put(r.rec.num("aux", Aux.CCA_TOKEN), 0, token);
  r.rec.set("token_length", token.length);
  r.rec.set("token_state", TokenState.SIGNED);
  return true;
}

function copy(r: Run, pa: number, size: number): RsiResult {
  const copied = r.rec.num("token_copied");
  const length = Math.min(size, r.rec.num("token_length") - copied);
  const page = Math.floor(pa / GRANULE) * GRANULE;
  r.cx.memory.put(page, pa - page, r.cx.memory.bytes(r.rec.num("aux", Aux.CCA_TOKEN)).slice(copied, copied + length));
  r.rec.set("token_copied", copied + length);
  const done = copied + length === r.rec.num("token_length");
  if (done) r.rec.set("token_state", TokenState.NONE);
  return toRealm(BigInt(done ? RsiStatus.SUCCESS : RsiStatus.INCOMPLETE), BigInt(length));
}
