// The conformance cases over a real RMM, from an image that whoever runs the tests brings. Where it differs from our agent, the difference
// is listed here and decided in docs/rmm-differences.md; one that is not listed fails, and so does a listed one that is gone.

import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { type RmiName, rmiCommands } from "../../src/rmm/commands.ts";
import { GranuleState } from "../../src/rmm/granules.ts";
import { broughtImage } from "../support/rmm-image.ts";
import { casesOf } from "./conformance/cases.ts";
import { rsiCases } from "./conformance/rsi.ts";
import { specs } from "./conformance/specs.ts";
import { type CodeBench, FlashBench, ImageBench } from "./image-bench.ts";

const sources = [
  ["an image", broughtImage("RME_TF_RMM", "a TF-RMM rmm.img of v0.6 to v0.8 for qemu_virt"), (file: Uint8Array) => new ImageBench(file)],
  [
    "firmware in flash",
    broughtImage("RME_TF_FLASH", "a flash image of TF-A for qemu with RME and a TF-RMM of v0.6 to v0.8"),
    (file: Uint8Array) => new FlashBench(file),
  ],
] as const;

/** Differences: versions of TF-RMM that have it, case, and how it shows. */
// biome-ignore format: table
const decided: readonly (readonly [versions: RegExp, name: string, shows: string])[] = [
  [/./,     "REALM_CREATE fails: parameter LPA2 without support", "status 0 index 0, not 1 index 0"],
  [/^0\.6/, "REALM_CREATE fails: parameter tables misaligned",    "status 0 index 0, not 1 index 0"],
];

describe.each(sources)("RMI over %s", (_source, path, make) => {
  if (path === undefined) {
    it.skip("no image", () => {});
    return;
  }
  const image = readFileSync(path);
  let b: CodeBench = make(image);
  const version = /RMM v\.(\S+?)\(/.exec(b.text)?.[1] ?? "unknown";

  // A realm that a case left running is left; an RMM that does not come back is booted again.
  afterEach(() => {
    try {
      b.home();
    } catch {
      b = make(image);
    }
  });

  it("boots and says what it is", () => {
    expect(b.text).toMatch(/^Booting RMM v\./m);
    expect(b.call("VERSION", [0x1_0000])?.slice(0, 2)).toEqual([0n, 0x1_0000n]);
    expect((b.call("FEATURES", [0]) as bigint[])[0]).toBe(0n);
  });

  describe.each(specs.map((s) => [`RMI_${s.command}`, s] as const))("%s", (_name, spec) => {
    it.each(casesOf(spec).map((c) => [c.name, c] as const))("%s", (name, c) => {
      const known = decided.find(([versions, which]) => versions.test(version) && which === `${spec.command} ${name}`);
      expect(c.check(b)).toBe(known?.[2] ?? "");
    });
  });

  it("garbage for every argument of every command: a status that exists, and the realm stays out of reach", () => {
    const r = b.active();
    const own = [r.rd, ...r.rtts, ...r.tables.map((t) => t.rtt), ...r.recs];
    const values = [0n, 1n, 0xfffn, 0x1000n, ...own.map(BigInt), BigInt(r.run), 1n << 47n, 1n << 52n, (1n << 63n) - 1n, (1n << 64n) - 1n];
    let seed = 12345;
    const pick = (): bigint => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return values[(seed >>> 16) % values.length] as bigint;
    };
    for (let i = 0; i < 1500; i++) {
      const { name } = rmiCommands[i % rmiCommands.length] as { name: RmiName };
      const x = b.call(name, [pick(), pick(), pick(), pick(), pick()]);
      if (x === undefined) b.home();
      else expect(Number((x[0] as bigint) & 0xffn), name).toBeLessThanOrEqual(4);
      for (const pa of own) expect(b.hostAccess(pa) === "ok", name).toBe(b.isState(pa, GranuleState.UNDELEGATED));
    }
    expect(b.call("VERSION", [0x1_0000])?.[0]).toBe(0n);
  });

  describe.each(rsiCases)("%s", (call, cases) => {
    it.each(cases.map((c) => [c.name, c] as const))("%s", (name, c) => {
      const known = decided.find(([versions, which]) => versions.test(version) && which === `${call} ${name}`);
      expect(c.check(b)).toBe(known?.[2] ?? "");
    });
  });
});
