// Random RMI sequences against a small model of granules and of one table of each realm; after every call the state of the RMM, the
// granule protection table and the model agree.

import { expect, it } from "vitest";
import { Gpi } from "../../src/gpt/format.ts";
import { GranuleState } from "../../src/rmm/granules.ts";
import { isAssigned, Kind, kindOf } from "../../src/rmm/rtt-entry.ts";
import { GRANULE, RmiStatus } from "../../src/rmm/status.ts";
import { Bench } from "./bench.ts";

const STEPS = Number(process.env["RMM_MODEL_STEPS"] ?? 2500);
const POOL = 48;
const { UNDELEGATED, DELEGATED, RD, REC, REC_AUX, DATA, RTT } = GranuleState;

class Random {
  private s: number;
  constructor(seed: number) {
    this.s = seed;
  }
  next(n: number): number {
    this.s ^= this.s << 13;
    this.s ^= this.s >>> 17;
    this.s ^= this.s << 5;
    return (this.s >>> 0) % n;
  }
  pick<T>(list: readonly T[]): T | undefined {
    return list[this.next(Math.max(1, list.length))];
  }
}

it.each([1, 7, 99])("seed %i", (seed) => {
  const b = new Bench();
  const rnd = new Random(seed);
  const pool = Array.from({ length: POOL }, () => b.granule());
  const src = b.granule();
  b.write(src, new Uint8Array(GRANULE).fill(0xee));
  /** What the model believes. */
  const model = new Map<number, number>(pool.map((g) => [g, UNDELEGATED]));
  const inState = (s: number): number[] => pool.filter((g) => model.get(g) === s);
  const { granules } = b.rmm.cx;

  const step = (): void => {
    // Mostly the right kind of granule, sometimes any.
    const of = (s: number): number => (rnd.next(8) === 0 ? rnd.pick(pool) : rnd.pick(inState(s))) ?? (pool[0] as number);
    const ipa = rnd.pick([0, 0x1000, 0x2000, 2 ** 21, 2 ** 30, 2 ** 32, 2 ** 32 + 0x1000]) as number;
    const level = 2 + rnd.next(2);
    const up = Math.floor(ipa / 2 ** (12 + 9 * (4 - level))) * 2 ** (12 + 9 * (4 - level));
    switch (rnd.next(14)) {
      case 0:
      case 1:
      case 2: {
        const g = of(UNDELEGATED);
        if (b.code("GRANULE_DELEGATE", g) === 0) move(g, UNDELEGATED, DELEGATED);
        break;
      }
      case 3: {
        const g = of(DELEGATED);
        if (b.code("GRANULE_UNDELEGATE", g) === 0) {
          move(g, DELEGATED, UNDELEGATED);
          expect(b.isZero(g)).toBe(true);
          // The host writes to its memory.
          b.write(g, new Uint8Array(64).fill(0xa5));
        }
        break;
      }
      case 4: {
        const [rd, rtt] = [of(DELEGATED), of(DELEGATED)];
        const { page } = b.params((p) => p.set("rtt_base", rtt));
        if (b.code("REALM_CREATE", rd, page) === 0) {
          move(rd, DELEGATED, RD);
          move(rtt, DELEGATED, RTT);
          starts.set(rd, rtt);
        }
        break;
      }
      case 5: {
        const rd = of(RD);
        if (b.code("REALM_DESTROY", rd) === 0) {
          move(rd, RD, DELEGATED);
          move(starts.get(rd) as number, RTT, DELEGATED);
          starts.delete(rd);
        }
        break;
      }
      case 6:
      case 7: {
        const rtt = of(DELEGATED);
        if (b.code("RTT_CREATE", of(RD), rtt, up, level) === 0) move(rtt, DELEGATED, RTT);
        break;
      }
      case 8: {
        const x = b.call(rnd.next(2) === 0 ? "RTT_DESTROY" : "RTT_FOLD", [of(RD), up, level]) as bigint[];
        if (x[0] === 0n) move(Number(x[1]), RTT, DELEGATED);
        break;
      }
      case 9:
      case 10: {
        const data = of(DELEGATED);
        const known = rnd.next(2) === 0;
        const code = known ? b.code("DATA_CREATE", of(RD), data, ipa, src, rnd.next(2)) : b.code("DATA_CREATE_UNKNOWN", of(RD), data, ipa);
        if (code === 0) move(data, DELEGATED, DATA);
        break;
      }
      case 11: {
        const x = b.call("DATA_DESTROY", [of(RD), ipa]) as bigint[];
        if (x[0] === 0n) move(Number(x[1]), DATA, DELEGATED);
        break;
      }
      case 12:
        b.code("RTT_INIT_RIPAS", of(RD), ipa, ipa + 0x2000);
        break;
      default:
        if (rnd.next(2) === 0) b.code("RTT_MAP_UNPROTECTED", of(RD), ipa, 3, BigInt(src) | 0xd8n);
        else b.code("RTT_UNMAP_UNPROTECTED", of(RD), ipa, 3);
    }
  };
  const starts = new Map<number, number>();
  const move = (g: number, from: number, to: number): void => {
    expect(model.get(g), `0x${g.toString(16)}`).toBe(from);
    model.set(g, to);
  };

  /** Live entries of a table, by the descriptors in memory: what its reference count must be. */
  const live = (table: number, level: number, seen: Map<number, number>): void => {
    let count = 0;
    for (let i = 0; i < 512; i++) {
      const d = b.read64(table + 8 * i);
      const k = kindOf(d, level);
      if (k === Kind.Table) {
        count++;
        live(Number(d & 0xffff_ffff_f000n), level + 1, seen);
      } else if (isAssigned(k)) {
        count++;
        seen.set(Number(d & 0xffff_ffff_f000n), DATA);
      }
    }
    expect(granules.references(table)).toBe(count);
    seen.set(table, RTT);
  };
  const check = (): void => {
    for (const [g, s] of model) {
      expect(granules.state(g)).toBe(s);
      expect(b.monitor.gpt.gpi(g)).toBe(s === UNDELEGATED ? Gpi.NonSecure : Gpi.Realm);
      if (s === DELEGATED) expect(b.isZero(g)).toBe(true);
    }
    const seen = new Map<number, number>();
    for (const rtt of starts.values()) live(rtt, 1, seen);
    expect([...seen.keys()].sort()).toEqual([...inState(RTT), ...inState(DATA)].sort());
    for (const [g, s] of seen) expect(model.get(g)).toBe(s);
    expect([...granules.inState(REC), ...granules.inState(REC_AUX)]).toEqual([]);
  };

  const succeeded = new Set<string>();
  b.rmm.observers.add((e) => {
    if (e.kind === "rmi" && Number((e.results[0] as bigint) & 0xffn) === RmiStatus.SUCCESS) succeeded.add(e.command.name);
  });
  for (let i = 0; i < STEPS; i++) {
    step();
    if (i % 10 === 0) check();
  }
  check();
  // Every command that is tried succeeds at some time; RTT_MAP_UNPROTECTED needs two tables in the upper half and may not.
  succeeded.delete("RTT_MAP_UNPROTECTED");
  succeeded.delete("RTT_UNMAP_UNPROTECTED");
  expect(succeeded.size).toBe(11);
});
