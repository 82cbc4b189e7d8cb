// What success changes beyond the first case of each command: one file per subject, put together in specs.ts.

import type { RmiName } from "../../../src/rmm/commands.ts";
import { computeRim, type RimEvent } from "../../../src/rmm/measure.ts";
import type { HashAlgorithm } from "../../../src/rmm/status.ts";
import type { RmmBench, TestRealm } from "../bench-base.ts";
import type { Effect } from "./parts.ts";

export type Effects = Partial<Record<RmiName, readonly Effect[]>>;

type Value = number | bigint | string | boolean | undefined;
const text = (v: Value): string => (typeof v === "number" || typeof v === "bigint" ? BigInt(v).toString(16) : String(v));

/** Collects what is wrong. */
export class Findings {
  private readonly wrong: string[] = [];
  /** `got` must be what is wanted; lists are compared as far as `want` goes. */
  same(what: string, got: Value | readonly Value[], want: Value | readonly Value[]): void {
    const [g, w] = [[got].flat(), [want].flat()] as Value[][];
    if (w?.some((v, i) => text(v) !== text(g?.[i]))) this.wrong.push(`${what}: ${g?.map(text)}, not ${w.map(text)}`);
  }
  get result(): true | string {
    return this.wrong.length === 0 || this.wrong.join("; ");
  }
}

/** An effect that is looked at step by step. */
export const effect = (name: string, look: (b: RmmBench, f: Findings) => void): Effect => ({
  name,
  check: (b) => {
    const f = new Findings();
    look(b, f);
    return f.result;
  },
});

/** Level, state, descriptor, RIPAS of the entry for an IPA. */
export const entryOf = (b: RmmBench, r: TestRealm, ipa: number, level = 3): bigint[] => b.ok("RTT_READ_ENTRY", r.rd, ipa, level);
/** Return code of a call: status in bits 7:0, index in bits 15:8. */
export const rttError = (level: number): number => 4 | (level << 8);

/** The realm has the PE: an RSI call's x0 to x8. */
export const RSI = {
  MEASUREMENT_READ: 0xc400_0192,
  REALM_CONFIG: 0xc400_0196,
  IPA_STATE_SET: 0xc400_0197,
  IPA_STATE_GET: 0xc400_0198,
  HOST_CALL: 0xc400_0199,
} as const;
export const PSCI = {
  CPU_SUSPEND_32: 0x8400_0001,
  CPU_SUSPEND: 0xc400_0001,
  CPU_OFF: 0x8400_0002,
  CPU_ON: 0xc400_0003,
  AFFINITY_INFO: 0xc400_0004,
  SYSTEM_OFF: 0x8400_0008,
  SYSTEM_RESET: 0x8400_0009,
} as const;

/** Measurement of a slot as the running realm reads it, in hexadecimal. */
export function measurement(b: RmmBench, slot = 0): string {
  const x = b.realmSmc(RSI.MEASUREMENT_READ, [slot]) as bigint[];
  const view = new DataView(new ArrayBuffer(64));
  for (let i = 0; i < 8; i++) view.setBigUint64(8 * i, x[1 + i] as bigint, true);
  return Buffer.from(view.buffer).toString("hex");
}
/** The RIM of a realm of bench-base.ts with these events, as `measurement` shows it. */
export function rimOf(hash: HashAlgorithm, events: Iterable<RimEvent>, s2sz = 33): string {
  const rim = computeRim({ hash, s2sz, flags: 0, sveVl: 0, numBps: 1, numWps: 1, pmuCounters: 0, events });
  return Buffer.from(rim).toString("hex").padEnd(128, "0");
}
