// Generated from conformance/specs.ts and the command table: every failure condition alone, pairs in both orders of preparation where
// the order of the checks decides, success and its effects; and what holds for every command.

import { describe, expect, it } from "vitest";
import { rmiByFid, rmiCommands } from "../../src/rmm/commands.ts";
import { Bench } from "./bench.ts";
import { preset } from "./bench-base.ts";
import { casesOf } from "./conformance/cases.ts";
import { specs } from "./conformance/specs.ts";

describe.each(specs.map((s) => [`RMI_${s.command}`, s] as const))("%s", (_name, spec) => {
  it.each(casesOf(spec).map((c) => [c.name, c] as const))("%s", (_n, c) => {
    expect(c.check(new Bench())).toBe("");
  });
});

describe("all commands", () => {
  it("are in the specification, but for two that cannot fail in a way of their own", () => {
    const covered = new Set<string>(specs.map((s) => s.command));
    expect(rmiCommands.map((c) => c.name).filter((n) => !covered.has(n))).toEqual(["VERSION", "FEATURES"]);
  });

  it("VERSION and FEATURES", () => {
    const b = new Bench();
    const X4 = preset(4);
    expect(b.call("VERSION", [0x1_0000])).toEqual([0n, 0x1_0000n, 0x1_0000n, 0n, X4]);
    expect(b.call("VERSION", [0x1_0001])).toEqual([1n, 0x1_0000n, 0x1_0000n, 0n, X4]);
    expect(b.call("FEATURES", [1])).toEqual([0n, 0n, 0n, 0n, X4]);
    const register = (b.call("FEATURES", [0]) as bigint[])[1] as bigint;
    expect(register & 0xffn).toBe(48n);
    expect((register >> 32n) & 3n).toBe(3n);
    expect((register >> 34n) & 15n).toBe(3n);
  });

  it("unknown function identifiers of the RMI range answer -1", () => {
    const b = new Bench();
    for (let fid = 0xc400_0150; fid < 0xc400_018f; fid++) {
      if (!rmiByFid.has(fid)) expect(b.smc(fid, [])?.[0]).toBe(0xffff_ffff_ffff_ffffn);
    }
    for (const fid of [0xc400_018f, 0xc400_0190, 0xc400_01b0, 0xc400_01cf, 0xc400_0202])
      expect(b.smc(fid, [])?.[0]).toBe(0xffff_ffff_ffff_ffffn);
  });

  it("take garbage for every argument", () => {
    const b = new Bench();
    const r = b.active();
    const values = [
      0n,
      1n,
      0xfffn,
      0x1000n,
      BigInt(r.rd),
      BigInt(r.run),
      BigInt(r.recs[0] as number),
      1n << 47n,
      1n << 52n,
      0x7fff_ffff_ffff_ffffn,
      0xffff_ffff_ffff_ffffn,
    ];
    let seed = 12345;
    const pick = (): bigint => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return values[(seed >>> 16) % values.length] as bigint;
    };
    for (let i = 0; i < 3000; i++) {
      const command = rmiCommands[i % rmiCommands.length]!;
      const x = b.call(command.name, [pick(), pick(), pick(), pick(), pick()]);
      if (x === undefined) b.interrupt(r);
      expect(b.stops).toEqual([]);
    }
  });
});
