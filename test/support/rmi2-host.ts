// A host at Non-secure EL2 that asks an RMM of the 2.0 generation what it is, activates it, and moves three granules.

import type { HostTask } from "../../src/host/agent.ts";
import type { PhysicalMemory } from "../../src/mem/physical.ts";

const GRANULE = 4096;
const COUNT = 3;
/** Non-secure memory, far from what firmware uses. */
const FIRST = 0x5000_0000;
const V2 = 0x2_0000n;
// biome-ignore format: table
const fid = {
  VERSION:                  0xc400_0150n,
  FEATURES:                 0xc400_0165n,
  RMM_ACTIVATE:             0xc400_0202n,
  GRANULE_RANGE_DELEGATE:   0xc400_01f1n,
  GRANULE_RANGE_UNDELEGATE: 0xc400_01f2n,
  SYSTEM_OFF:               0x8400_0008n,
} as const;
const ERROR_INPUT = 1n;
const ERROR_GLOBAL = 11n;

/** The granules, and what the host must have seen: which of them and of their neighbours it reached is a row of booleans. */
export const delegation = {
  first: FIRST,
  expected: {
    version: [0n, V2],
    "old version": ERROR_INPUT,
    "before activation": ERROR_GLOBAL,
    activate: 0n,
    "at first": [true, true, true, true, true],
    delegate: 0n,
    "delegate again": false,
    delegated: [true, false, false, false, true],
    undelegate: 0n,
    "undelegate again": false,
    undelegated: [true, true, true, true, true],
    wiped: true,
  },
};

function* range(function_: bigint): HostTask<bigint> {
  let at = BigInt(FIRST);
  const top = BigInt(FIRST + COUNT * GRANULE);
  for (let calls = 0; at < top && calls < 2 * COUNT; calls++) {
    const [status, next] = yield [function_, at, top];
    if (status !== 0n) return status ?? -1n;
    at = next ?? top;
  }
  return 0n;
}

/** Fills `seen`, then switches the machine off. `reachable`: may Non-secure software access what is at this PA? */
export function* seenOfRmi2(phys: PhysicalMemory, reachable: (pa: number) => boolean, seen: Record<string, unknown>): HostTask {
  const reach = (): boolean[] => [-1, 0, 1, 2, COUNT].map((n) => reachable(FIRST + n * GRANULE));
  const one = [BigInt(FIRST), BigInt(FIRST + GRANULE)] as const;
  seen["version"] = (yield [fid.VERSION, V2]).slice(0, 2);
  seen["old version"] = (yield [fid.VERSION, 0x1_0000n])[0];
  seen["features"] = (yield [fid.FEATURES, 0n]).slice(0, 2);
  seen["before activation"] = (yield [fid.GRANULE_RANGE_DELEGATE, ...one])[0];
  seen["activate"] = (yield [fid.RMM_ACTIVATE])[0];
  phys.writeBytes(FIRST, new Uint8Array(GRANULE).fill(0x77));
  seen["at first"] = reach();
  seen["delegate"] = yield* range(fid.GRANULE_RANGE_DELEGATE);
  seen["delegate again"] = (yield [fid.GRANULE_RANGE_DELEGATE, ...one])[0] === 0n;
  seen["delegated"] = reach();
  seen["undelegate"] = yield* range(fid.GRANULE_RANGE_UNDELEGATE);
  seen["undelegate again"] = (yield [fid.GRANULE_RANGE_UNDELEGATE, ...one])[0] === 0n;
  seen["undelegated"] = reach();
  seen["wiped"] = phys.readBytes(FIRST, GRANULE)?.every((b) => b === 0);
  yield [fid.SYSTEM_OFF];
}
