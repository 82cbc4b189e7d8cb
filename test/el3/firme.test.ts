// FIRME as the EL3 monitor has it for an RMM image: discovery, and changes of granules.

import { describe, expect, it } from "vitest";
import { slot } from "../../src/arch/state.ts";
import { Gpccr, Gpi } from "../../src/gpt/format.ts";
import { GRANULE } from "../../src/rmm/status.ts";
import { RAM, ROOT_GRANULE, SECURE_GRANULE } from "../rmm/bench.ts";
import { complete, imageBench, minus, smc, V0_8 } from "./image-bench.ts";

const VERSION = 0xc400_0400;
const FEATURES = 0xc400_0401;
const GPI_SET = 0xc400_0402;
const NOT_SUPPORTED = minus(1);
const INVALID = minus(2);
const DENIED = minus(5);
const NOT_FOUND = minus(9);
const FIRST = RAM.base + 0x40_0000;
const at = (n: number): number => FIRST + n * GRANULE;

describe("discovery", () => {
  it("has the base service and granule management, both of version 1.0, and no other", () => {
    const b = imageBench();
    expect([0, 1, 2, 3, 4, 5, 6, 255].map((id) => smc(b, VERSION, id)[0])).toEqual([
      0x1_0000n,
      0x1_0000n,
      ...Array.from({ length: 6 }, () => NOT_SUPPORTED),
    ]);
    expect(smc(b, VERSION, 0x101)[0]).toBe(0x1_0000n); // bits 7:0 name the service
  });

  it("says which calls and services there are, and how the table is laid out", () => {
    const b = imageBench();
    expect(smc(b, FEATURES, 0, 0).slice(0, 2)).toEqual([0n, 0b11n]);
    expect(smc(b, FEATURES, 0, 1).slice(0, 2)).toEqual([0n, 1n << 16n]);
    expect(smc(b, FEATURES, 1, 0).slice(0, 2)).toEqual([0n, 1n]);
    const gpccr = b.pe().st.get(slot.GPCCR_EL3);
    const field = (low: number, bits: number): bigint => (gpccr >> BigInt(low)) & ((1n << BigInt(bits)) - 1n);
    const layout = field(Gpccr.PGS, 2) | (field(Gpccr.L0GPTSZ, 4) << 2n) | (field(Gpccr.PPS, 3) << 6n);
    expect(layout >> 6n).toBe(2n); // 40 bits
    expect(smc(b, FEATURES, 1, 1).slice(0, 2)).toEqual([0n, layout]);
    for (const [service, index] of [
      [0, 2],
      [1, 2],
      [2, 0],
      [3, 0],
      [6, 0],
    ])
      expect(smc(b, FEATURES, service as number, index as number)[0]).toBe(NOT_SUPPORTED);
  });

  it("is not there for an RMM of interface 0.8", () => {
    const b = imageBench(V0_8);
    for (const fid of [VERSION, FEATURES, GPI_SET]) expect(smc(b, fid, 0, 1, 11)[0]).toBe(minus(1));
    expect(smc(b, GPI_SET, FIRST, 1, Gpi.Realm)[0]).toBe(minus(1));
    expect(b.monitor.gpt.gpi(FIRST)).toBe(Gpi.NonSecure);
  });

  it("calls of services that are not there are not supported", () => {
    const b = imageBench();
    for (let fid = 0xc400_0403; fid <= 0xc400_0412; fid++) expect(smc(b, fid, FIRST, 1, Gpi.Realm)[0]).toBe(NOT_SUPPORTED);
  });
});

describe("GPI_SET", () => {
  const bench = () => {
    const b = imageBench();
    const set = (pa: number | bigint, count: number | bigint, gpi: number): bigint[] => smc(b, GPI_SET, pa, count, gpi).slice(0, 2);
    const gpis = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => b.monitor.gpt.gpi(at(from + n)));
    return { b, set, gpis };
  };
  const { NonSecure, Realm } = Gpi;

  it("changes granules between Non-secure and Realm; what is there already stays", () => {
    const { b, set, gpis } = bench();
    const changes: string[] = [];
    b.monitor.gpt.onChange = (_pe, pa, from, to) => changes.push(`${(pa - FIRST) / GRANULE}: ${from} to ${to}`);
    expect(set(at(1), 2, Realm)).toEqual([0n, 2n]);
    expect(gpis(0, 4)).toEqual([NonSecure, Realm, Realm, NonSecure]);
    expect(set(at(0), 4, Realm)).toEqual([0n, 4n]);
    expect(set(at(1), 1, NonSecure)).toEqual([0n, 1n]);
    expect(gpis(0, 4)).toEqual([Realm, NonSecure, Realm, Realm]);
    expect(changes).toEqual(["1: 9 to 11", "2: 9 to 11", "0: 9 to 11", "3: 9 to 11", "1: 11 to 9"]);
    complete(b);
    expect(b.hostAccess(at(0))).not.toBe("ok");
    expect(b.hostAccess(at(1))).toBe("ok");
  });

  it("does at most 2 MiB at once and says how far it got", () => {
    const { set, gpis } = bench();
    expect(set(at(0), 600, Realm)).toEqual([0n, 512n]);
    expect(gpis(511, 513)).toEqual([Realm, NonSecure]);
    expect(set(at(512), 88, Realm)).toEqual([0n, 88n]);
    expect(gpis(599, 601)).toEqual([Realm, NonSecure]);
  });

  it.each([
    ["no granule", FIRST, 0, Realm],
    ["not aligned", FIRST + 8, 1, Realm],
    ["beyond the protected space", 2n ** 40n, 1, Realm],
    ["an end beyond the protected space", 2n ** 40n - 4096n, 2, Realm],
    ["a range that wraps", FIRST, 2n ** 63n, Realm],
    ["to Root", FIRST, 1, Gpi.Root],
    ["to Secure", FIRST, 1, Gpi.Secure],
    ["to any", FIRST, 1, Gpi.Any],
    ["to no access", FIRST, 1, Gpi.None],
    ["to Non-secure only", FIRST, 1, Gpi.NonSecureOnly],
    ["to a reserved encoding", FIRST, 1, 1],
  ] as const)("refuses %s", (_what, pa, count, gpi) => {
    const { set, gpis } = bench();
    expect(set(pa, count, gpi)).toEqual([INVALID, 0n]);
    expect(gpis(0, 1)).toEqual([NonSecure]);
  });

  it("refuses what is another world's, and says what it changed before it", () => {
    const { b, set } = bench();
    for (const other of [SECURE_GRANULE, ROOT_GRANULE]) {
      const before = b.monitor.gpt.gpi(other);
      for (const gpi of [Realm, NonSecure]) expect(set(other, 1, gpi)).toEqual([DENIED, 0n]);
      expect(b.monitor.gpt.gpi(other)).toBe(before);
    }
    expect(set(ROOT_GRANULE - 2 * GRANULE, 4, Realm)).toEqual([DENIED, 2n]);
    expect(b.monitor.gpt.gpi(ROOT_GRANULE - GRANULE)).toBe(Realm);
  });

  it("finds nothing where level 0 has a block", () => {
    const { set } = bench();
    expect(set(2 ** 39, 1, Realm)).toEqual([NOT_FOUND, 0n]);
  });
});
