import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  cacheRoot,
  type Manifest,
  readManifest,
  sha256File,
  verifyManifest,
  withCacheLock,
  writeAtomic,
} from "../../../src/cli/debian/cache.ts";
import { cachedKernel, fetchKernel } from "../../../src/cli/debian/kernel.ts";
import { silentProgress } from "../../../src/cli/debian/progress.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-cache-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("the cache folder can be chosen in three ways", () => {
  expect(cacheRoot({ RME_EMU_CACHE: "/a", XDG_CACHE_HOME: "/b" })).toBe("/a");
  expect(cacheRoot({ XDG_CACHE_HOME: "/b" })).toBe("/b/rme-emu");
  expect(cacheRoot({})).toMatch(/\.cache\/rme-emu$/);
});

/** A finished item with one file. */
async function item(folder: string, recipe: string): Promise<Manifest> {
  writeAtomic(join(folder, "vmlinuz"), "kernel");
  const manifest: Manifest = {
    item: "test",
    recipe,
    fetched: "2026-01-01T00:00:00.000Z",
    packages: [],
    files: [{ path: "vmlinuz", size: 6, sha256: await sha256File(join(folder, "vmlinuz")) }],
  };
  writeAtomic(join(folder, "manifest.json"), JSON.stringify(manifest));
  return manifest;
}

describe("manifests", () => {
  it("hold what was written", async () => {
    const manifest = await item(dir, "r");
    expect(readManifest(dir)).toEqual(manifest);
    expect(await verifyManifest(dir, manifest)).toBe(true);
  });

  it("notice a changed and a missing file", async () => {
    const manifest = await item(dir, "r");
    writeFileSync(join(dir, "vmlinuz"), "kernel!");
    expect(await verifyManifest(dir, manifest)).toBe(false);
    rmSync(join(dir, "vmlinuz"));
    expect(await verifyManifest(dir, manifest)).toBe(false);
  });

  it("an unfinished or broken one counts as none", () => {
    expect(readManifest(dir)).toBeUndefined();
    writeFileSync(join(dir, "manifest.json"), "{");
    expect(readManifest(dir)).toBeUndefined();
  });
});

describe("cached kernels", () => {
  const put = (release: string, recipe = "kernel-2") => item(join(dir, "kernels", release), recipe);

  it("the newest that matches is taken", async () => {
    for (const release of ["6.12.9+deb13-arm64", "6.12.107+deb13-arm64", "7.2.12+deb13-arm64"]) await put(release);
    expect((await cachedKernel(dir, "6.12"))?.release).toBe("6.12.107+deb13-arm64");
    expect((await cachedKernel(dir, "7"))?.release).toBe("7.2.12+deb13-arm64");
  });

  it("6.1 does not match 6.12", async () => {
    await put("6.12.107+deb13-arm64");
    expect(await cachedKernel(dir, "6.1")).toBeUndefined();
  });

  it("one with a wrong checksum or an older recipe is not taken", async () => {
    await put("6.12.107+deb13-arm64");
    writeFileSync(join(dir, "kernels/6.12.107+deb13-arm64/vmlinuz"), "other");
    await put("7.2.12+deb13-arm64", "kernel-0");
    expect(await cachedKernel(dir, "6.12")).toBeUndefined();
    expect(await cachedKernel(dir, "7.2")).toBeUndefined();
  });

  it("needs no network once cached", async () => {
    await put("6.12.107+deb13-arm64");
    const kernel = await fetchKernel("6.12", { cache: dir, progress: silentProgress });
    expect(kernel.vmlinuz).toBe(join(dir, "kernels/6.12.107+deb13-arm64/vmlinuz"));
    expect(existsSync(join(dir, "apt"))).toBe(false);
  });

  it.each(["", "latest", "6.12; rm", "../x", "6.", "1.2.3.4"])("refuses %j as a version", async (version) => {
    await expect(fetchKernel(version, { cache: dir, progress: silentProgress })).rejects.toThrowError(/not a kernel version/);
  });
});

describe("withCacheLock", () => {
  it("lets one at a time in", async () => {
    const log: string[] = [];
    const job = (name: string) =>
      withCacheLock(dir, async () => {
        log.push(`${name} in`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        log.push(`${name} out`);
      });
    await Promise.all([job("a"), job("b")]);
    expect(log[0]?.slice(0, 1)).toBe(log[1]?.slice(0, 1));
    expect(log).toHaveLength(4);
  });

  it("is released when the body fails", async () => {
    await expect(withCacheLock(dir, () => Promise.reject(new Error("x")))).rejects.toThrow("x");
    expect(await withCacheLock(dir, async () => "in")).toBe("in");
  });

  it("takes over the lock of a dead process", async () => {
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "lock"), "4194304"); // above Linux's largest process number
    expect(await withCacheLock(dir, async () => readFileSync(join(dir, "lock"), "utf8"))).toBe(String(process.pid));
  });
});
