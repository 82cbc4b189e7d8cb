// Generated from conformance-spec.ts and the command table: every failure condition alone, pairs in both orders of preparation where
// the order of the checks decides, success and its effects; and what holds for every command.

import { describe, expect, it } from "vitest";
import { rmiByFid, rmiCommands } from "../../src/rmm/commands.ts";
import { unpackRmiCode } from "../../src/rmm/status.ts";
import { Bench } from "./bench.ts";
import { type Case, type CommandSpec, type Condition, specs } from "./conformance-spec.ts";

/** Issues the call of a case. */
function issue(spec: CommandSpec, c: Case): bigint[] {
  const { args } = rmiCommands.find((r) => r.name === spec.command)!;
  const r = c.b.call(
    spec.command,
    args.map((a) => c.args[a] as bigint),
  );
  return r ?? [0n];
}

const expected = (c: Condition): { status: number; index: number } => ({ status: c.status, index: c.index ?? 0 });

/** Granules by state: a call that fails leaves all of them as they were. */
const census = (b: Bench): string => [1, 2, 3, 4, 5, 6].map((s) => [...b.rmm.cx.granules.inState(s as 1)].join()).join("|");

describe.each(specs.map((s) => [`RMI_${s.command}`, s] as const))("%s", (_name, spec) => {
  it("succeeds, and has its effects", () => {
    const c = spec.setup(new Bench());
    const x = issue(spec, c);
    expect(x[0]).toBe(0n);
    expect(spec.success(c, x.slice(1))).toBe(true);
  });

  it.each(spec.conditions.map((k) => [k.name, k] as const))("fails: %s", (_n, k) => {
    const c = spec.setup(new Bench());
    k.apply(c);
    const before = census(c.b);
    expect(unpackRmiCode(issue(spec, c)[0] as bigint)).toEqual(expected(k));
    expect(census(c.b)).toBe(before);
  });

  const groups = [...new Map(spec.conditions.map((k) => [k.group, k])).values()].map(
    (last) => spec.conditions.find((k) => k.group === last.group)!,
  );
  const pairs = groups
    .flatMap((a, i) => groups.slice(i + 1).map((b) => [a, b] as const))
    .filter(([a, b]) => !a.touches.some((t) => b.touches.includes(t)));
  it.each(pairs.map(([a, b]) => [a.name, b.name, a, b] as const))("checks %s before %s", (_a, _b, first, second) => {
    const c = spec.setup(new Bench());
    second.apply(c);
    first.apply(c);
    expect(unpackRmiCode(issue(spec, c)[0] as bigint)).toEqual(expected(first));
  });
});

describe("all commands", () => {
  it("are in the specification, but for two that cannot fail in a way of their own", () => {
    const covered = new Set<string>(specs.map((s) => s.command));
    expect(rmiCommands.map((c) => c.name).filter((n) => !covered.has(n))).toEqual(["VERSION", "FEATURES"]);
  });

  it("VERSION and FEATURES", () => {
    const b = new Bench();
    expect(b.call("VERSION", [0x1_0000])).toEqual([0n, 0x1_0000n, 0x1_0000n, 0n, 0n]);
    expect(b.call("VERSION", [0x1_0001])).toEqual([1n, 0x1_0000n, 0x1_0000n, 0n, 0n]);
    expect(b.call("FEATURES", [1])).toEqual([0n, 0n, 0n, 0n, 0n]);
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
