// A REC on a PE, as the handlers of its exceptions see it.

import type { PeState } from "../arch/state.ts";
import type { Pe } from "../cpu/pe.ts";
import type { RmmContext } from "./cx.ts";
import type { Realm } from "./realm.ts";
import type { RecView } from "./rec.ts";
import type { ExitView } from "./rec-run.ts";
import { entryAddress, Kind, levelSize, ripasOf } from "./rtt-entry.ts";
import { GRANULE, Ripas } from "./status.ts";

export interface Run {
  readonly cx: RmmContext;
  readonly pe: Pe;
  readonly st: PeState;
  readonly rec: RecView;
  readonly recPa: number;
  readonly realm: Realm;
  /** What the host is told if this exception ends the run; zero at first. */
  readonly exit: ExitView;
}

/** How the handling of an exception ends: back to the realm, or to the host with what `exit` says. */
export const Next = { REALM: true, HOST: false } as const;
export type Next = (typeof Next)[keyof typeof Next];

/** Where an IPA of the realm is. */
export type Located =
  /** ASSIGNED, RAM: the PA of the granule. */
  | { found: true; pa: number }
  /** Anything else: the level at which the walk ended, and the RIPAS. */
  | { found: false; level: number; ripas: Ripas };

/** Looks up a protected, granule-aligned IPA. */
export function locate(cx: RmmContext, realm: Realm, ipa: number): Located {
  const w = cx.rtt.walk(realm, ipa, 3);
  if (w.kind === Kind.AssignedRam) {
    return { found: true, pa: entryAddress(w.entry, w.level, w.kind) + (ipa % levelSize(w.level)) };
  }
  return { found: false, level: w.level, ripas: ripasOf(w.kind) ?? Ripas.EMPTY };
}

export const isGranuleAligned = (a: bigint): boolean => a % BigInt(GRANULE) === 0n;
