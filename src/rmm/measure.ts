// Measurements (DEN0137 A7.1, B4.4): the Realm Initial Measurement as a chain of descriptors, the extensible ones.

import { digest256, digest512 } from "../util/digest.ts";
import { MeasurementData, MeasurementRec, MeasurementRipas, MeasurementType, RealmParams, RecParams } from "./layouts.ts";
import { MEASUREMENT_BYTES } from "./realm.ts";
import { DataFlag, GRANULE, HashAlgorithm, RecFlag } from "./status.ts";
import { blank, type StructView } from "./struct.ts";

/** Bytes of a measurement. */
export const hashSize = (a: HashAlgorithm): number => (a === HashAlgorithm.SHA_256 ? 32 : 64);
export const hashName = (a: HashAlgorithm): string => (a === HashAlgorithm.SHA_256 ? "sha-256" : "sha-512");
export const digest = (a: HashAlgorithm, data: Uint8Array): Uint8Array => (a === HashAlgorithm.SHA_256 ? digest256(data) : digest512(data));

/** A digest in the 64 bytes that a measurement occupies. */
function padded(value: Uint8Array): Uint8Array {
  const out = new Uint8Array(MEASUREMENT_BYTES);
  out.set(value.subarray(0, MEASUREMENT_BYTES));
  return out;
}

type RealmParamsView = StructView<keyof typeof RealmParams.fields>;
type RecParamsView = StructView<keyof typeof RecParams.fields>;

/** The fields of RmiRealmParams that are measured. */
const measuredRealm = ["flags", "s2sz", "sve_vl", "num_bps", "num_wps", "pmu_num_ctrs", "hash_algo"] as const;

/** First value of the RIM: the hash of the realm parameters, the others zero. 64 bytes. */
export function rimOfRealm(a: HashAlgorithm, params: RealmParamsView): Uint8Array {
  const p = blank(RealmParams);
  for (const name of measuredRealm) p.set(name, params.get(name));
  return padded(digest(a, p.raw));
}

/** Written anew for each granule: realms have them by the ten thousand. */
const dataDescriptor = blank(MeasurementData);

/** RIM after DATA_CREATE of `content` (4 KiB) at `ipa`. */
export function extendData(a: HashAlgorithm, rim: Uint8Array, ipa: bigint, flags: bigint, content: Uint8Array): Uint8Array {
  const d = dataDescriptor;
  d.raw.fill(0);
  d.set("type", MeasurementType.DATA);
  d.set("length", d.struct.size);
  d.bytes("rim").set(rim);
  d.set("ipa", ipa);
  d.set("flags", flags);
  if ((flags & BigInt(DataFlag.MEASURE)) !== 0n) d.bytes("content").set(digest(a, content));
  return padded(digest(a, d.raw));
}

/** RIM after REC_CREATE of a runnable REC. */
export function extendRec(a: HashAlgorithm, rim: Uint8Array, params: RecParamsView): Uint8Array {
  const p = blank(RecParams);
  p.set("flags", params.get("flags"));
  p.set("pc", params.get("pc"));
  p.bytes("gprs").set(params.bytes("gprs"));
  const d = blank(MeasurementRec);
  d.set("type", MeasurementType.REC);
  d.set("length", d.struct.size);
  d.bytes("rim").set(rim);
  d.bytes("content").set(digest(a, p.raw));
  return padded(digest(a, d.raw));
}

/** RIM after RTT_INIT_RIPAS of one RTT entry that covers [base, top). */
export function extendRipas(a: HashAlgorithm, rim: Uint8Array, base: bigint, top: bigint): Uint8Array {
  const d = blank(MeasurementRipas);
  d.set("type", MeasurementType.RIPAS);
  d.set("length", d.struct.size);
  d.bytes("rim").set(rim);
  d.set("base", base);
  d.set("top", top);
  return padded(digest(a, d.raw));
}

/** REM after MEASUREMENT_EXTEND with `value` (at most 64 bytes). */
export function extendRem(a: HashAlgorithm, rem: Uint8Array, value: Uint8Array): Uint8Array {
  const size = hashSize(a);
  const data = new Uint8Array(size + value.length);
  data.set(rem.subarray(0, size));
  data.set(value, size);
  return padded(digest(a, data));
}

/** One event that the RIM records, in order. */
export type RimEvent =
  /** RTT_INIT_RIPAS: entries of level `level` (3: 4 KiB, 2: 2 MiB, ...) over [base, top). */
  | { kind: "ripas"; base: bigint; top: bigint; level: number }
  /** DATA_CREATE of whole granules from `ipa` on; the last one is filled up with zeros. */
  | { kind: "data"; ipa: bigint; content: Uint8Array; measured: boolean }
  /** REC_CREATE; only runnable RECs are measured. */
  | { kind: "rec"; runnable: boolean; pc: bigint; gprs: readonly bigint[] };

/** What a realm is made of, as its owner knows it: enough to compute the RIM without running it. */
export interface RimParams {
  hash: HashAlgorithm;
  /** IPA width in bits. */
  s2sz: number;
  /** RealmFlag bits. */
  flags: number;
  sveVl: number;
  /** Breakpoints and watchpoints minus 1. */
  numBps: number;
  numWps: number;
  pmuCounters: number;
  /** In the order in which the host issues them. */
  events: Iterable<RimEvent>;
}

/** The Realm Initial Measurement, 32 or 64 bytes, that a realm created with these parameters and events reports. */
export function computeRim(o: RimParams): Uint8Array {
  const p = blank(RealmParams);
  p.set("flags", o.flags);
  p.set("s2sz", o.s2sz);
  p.set("sve_vl", o.sveVl);
  p.set("num_bps", o.numBps);
  p.set("num_wps", o.numWps);
  p.set("pmu_num_ctrs", o.pmuCounters);
  p.set("hash_algo", o.hash);
  let rim = rimOfRealm(o.hash, p);
  for (const e of o.events) rim = afterEvent(o.hash, rim, e);
  return rim.slice(0, hashSize(o.hash));
}

function afterEvent(a: HashAlgorithm, before: Uint8Array, e: RimEvent): Uint8Array {
  let rim = before;
  if (e.kind === "ripas") {
    const size = 1n << BigInt(12 + 9 * (3 - e.level));
    for (let at = e.base; at + size <= e.top; at += size) rim = extendRipas(a, rim, at, at + size);
  } else if (e.kind === "data") {
    const flags = BigInt(e.measured ? DataFlag.MEASURE : 0);
    for (let at = 0; at < e.content.length; at += GRANULE) {
      const page = new Uint8Array(GRANULE);
      page.set(e.content.subarray(at, at + GRANULE));
      rim = extendData(a, rim, e.ipa + BigInt(at), flags, page);
    }
  } else if (e.runnable) {
    const p = blank(RecParams);
    p.set("flags", RecFlag.RUNNABLE);
    p.set("pc", e.pc);
    for (let i = 0; i < 8; i++) p.set("gprs", e.gprs[i] ?? 0n, i);
    rim = extendRec(a, rim, p);
  }
  return rim;
}
