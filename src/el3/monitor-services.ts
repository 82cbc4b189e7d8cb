// Calls of an RMM image to EL3 (RMM-EL3 interface 0.8 and 2.0, which have the same), one row each. FIRME is in monitor-firme.ts.

import type { Pe } from "../cpu/pe.ts";
import { Gpi } from "../gpt/format.ts";
import { bufferError, RmmEl3, type Service, type ServiceContext, type ServiceRow } from "./monitor-context.ts";
import { firmeServices } from "./monitor-firme.ts";
import { tokenSign } from "./monitor-sign.ts";

/** Function identifiers that are not services: they end what EL3 asked of the RMM. */
export const RMI_REQ_COMPLETE = 0xc400_018f;
export const RMM_BOOT_COMPLETE = 0xc400_01cf;
const FIRST = 0xc400_01b0;
const LAST = 0xc400_01cf;
export const isRmmEl3 = (fid: number): boolean => fid >= FIRST && fid <= LAST;

const CURVE_P384 = 0n;

const delegate: Service = (c, pe, x) => [BigInt(c.gpt.transition(pe, x(1), Gpi.NonSecure, Gpi.Realm))];
const undelegate: Service = (c, pe, x) => [BigInt(c.gpt.transition(pe, x(1), Gpi.Realm, Gpi.NonSecure))];

const realmKey: Service = (c, _pe, x) => {
  const key = c.attestation.realmKey;
  const error = bufferError(c, x(1), x(2));
  if (error !== undefined) return [error];
  if (x(3) !== CURVE_P384 || x(2) < BigInt(key.length)) return [RmmEl3.INVALID];
  c.phys.writeBytes(Number(x(1)), key);
  return [RmmEl3.OK, BigInt(key.length)];
};

const CHALLENGES = [32n, 48n, 64n];

const platformToken: Service = (c, _pe, x) => {
  const [buffer, size, challenge] = [x(1), x(2), x(3)];
  const error = bufferError(c, buffer, size);
  if (error !== undefined) return [error];
  if (challenge !== 0n) {
    if (!CHALLENGES.includes(challenge) || challenge > size) return [RmmEl3.INVALID];
    const bytes = c.phys.readBytes(Number(buffer), Number(challenge));
    if (bytes === undefined) return [RmmEl3.BAD_ADDRESS];
    c.tokenLeft = c.attestation.token(bytes);
  } else if (c.tokenLeft.length === 0) return [RmmEl3.INVALID];
  const part = c.tokenLeft.slice(0, Number(size));
  c.phys.writeBytes(Number(buffer), part);
  c.tokenLeft = c.tokenLeft.slice(part.length);
  return [RmmEl3.OK, BigInt(part.length), BigInt(c.tokenLeft.length)];
};

/** Feature register 0: EL3 signs tokens. */
const TOKEN_SIGN = 1n;
const features: Service = (_c, _pe, x) => (x(1) === 0n ? [RmmEl3.OK, TOKEN_SIGN] : [RmmEl3.INVALID]);

/** Memory encryption contexts do not exist here: there is nothing to scrub but the one context 0. */
const mecRefresh: Service = (_c, _pe, x) => [((x(1) >> 32n) & 0xffffn) === 0n ? RmmEl3.OK : RmmEl3.INVALID];

/** RMM_RESERVE_MEMORY, x2: log2 of the alignment in 63:56, flags below. Bit 0 prefers memory near the PE; here all of it is. */
const LOCAL_CPU = 1n;
const FLAGS = (1n << 56n) - 1n;
const PAGE = 4096n;

const reserveMemory: Service = (c, _pe, x) => {
  if (x(1) === 0n || (x(2) & FLAGS & ~LOCAL_CPU) !== 0n) return [RmmEl3.INVALID];
  const unit = 1n << (x(2) >> 56n);
  const up = (v: bigint, to: bigint): bigint => ((v + to - 1n) / to) * to;
  const base = up(BigInt(c.reserve.next), unit > PAGE ? unit : PAGE);
  const end = base + up(x(1), PAGE);
  if (end > BigInt(c.reserve.end)) return [RmmEl3.NO_MEMORY];
  c.reserve.next = Number(end);
  return [RmmEl3.OK, base];
};

/** Known, and answered as unknown: no PCIe IDE. */
const absent: Service = () => [RmmEl3.UNKNOWN];

// biome-ignore format: table
export const services: readonly ServiceRow[] = [
  [0xc400_01b0, "RMM_GTSI_DELEGATE",         "addr",                        "",            delegate],
  [0xc400_01b1, "RMM_GTSI_UNDELEGATE",       "addr",                        "",            undelegate],
  [0xc400_01b2, "RMM_ATTEST_GET_REALM_KEY",  "buffer size curve",           "length",      realmKey],
  [0xc400_01b3, "RMM_ATTEST_GET_PLAT_TOKEN", "buffer size challenge",       "length left", platformToken],
  [0xc400_01b4, "RMM_EL3_FEATURES",          "index",                       "value",       features],
  [0xc400_01b5, "RMM_EL3_TOKEN_SIGN",        "operation buffer size curve", "length",      tokenSign],
  [0xc400_01b6, "RMM_MEC_REFRESH",           "mecid_reason",                "",            mecRefresh],
  [0xc400_01b7, "RMM_IDE_KEY_PROG",          "ecam port stream",            "",            absent],
  [0xc400_01b8, "RMM_IDE_KEY_SET_GO",        "ecam port stream",            "",            absent],
  [0xc400_01b9, "RMM_IDE_KEY_SET_STOP",      "ecam port stream",            "",            absent],
  [0xc400_01ba, "RMM_IDE_KM_PULL_RESPONSE",  "ecam port",                   "",            absent],
  [0xc400_01bb, "RMM_RESERVE_MEMORY",        "size flags",                  "addr",        reserveMemory],
];

const handlers = (rows: readonly ServiceRow[]): Map<number, Service> => new Map(rows.map(([fid, , , , handler]) => [fid, handler]));
const rmmCalls = handlers(services);
const firmeCalls = handlers(firmeServices);

/** Does EL3 take this call from an RMM that was booted with the interface of `c`? */
export const isService = (c: ServiceContext, fid: number): boolean => isRmmEl3(fid) || (c.interface.firme && firmeCalls.has(fid));

/** Carries out a service; x0, x1, ... for the RMM. */
export const serve = (c: ServiceContext, pe: Pe, fid: number, x: (n: number) => bigint): readonly bigint[] =>
  (rmmCalls.get(fid) ?? firmeCalls.get(fid))?.(c, pe, x) ?? [RmmEl3.UNKNOWN];
