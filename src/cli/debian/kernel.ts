// Debian's arm64 kernels with a busybox initramfs, fetched once and kept in the cache.

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { EmuError } from "../../util/errors.ts";
import { type DownloadedPackage, extract, listFiles, type PackageRecord, PrivateApt } from "./apt.ts";
import { cacheRoot, type Manifest, readManifest, sha256File, verifyManifest, withCacheLock, writeAtomic } from "./cache.ts";
import { AVAILABLE_MODULES, buildInitramfs, LOADED_MODULES } from "./initramfs.ts";
import { ModuleTree } from "./modules.ts";
import type { Progress } from "./progress.ts";

/** Change this when the initramfs or the layout below changes: cached kernels are then built again. */
const RECIPE = "kernel-2";

/** Where kernels are looked for, in this order. */
const KERNEL_SUITES: readonly string[] = ["trixie", "trixie-backports", "sid", "bookworm"];

/** The kernel that is fetched when no version is named: Debian stable's. */
export const DEFAULT_KERNEL = "6.12";

export interface DebianKernel {
  /** `uname -r` of the kernel, for example "6.12.107+deb13-arm64". */
  readonly release: string;
  readonly dir: string;
  /** Paths of the kernel (an arm64 Image as Debian ships it) and of its initramfs. */
  readonly vmlinuz: string;
  readonly initrd: string;
  readonly manifest: Manifest;
}

export interface FetchOptions {
  readonly cache?: string;
  /** Ask the archive even when a matching kernel is cached. */
  readonly refresh?: boolean;
  readonly progress: Progress;
}

/** A kernel whose version begins with `version` ("6.12", "7", "7.2.12"), from the cache or from Debian. */
export async function fetchKernel(version: string, options: FetchOptions): Promise<DebianKernel> {
  if (!/^\d+(\.\d+){0,2}$/.test(version)) throw new EmuError("bad-version", `"${version}" is not a kernel version (for example 6.12)`, 2);
  const root = options.cache ?? cacheRoot();
  return withCacheLock(root, async () => {
    const cached = options.refresh ? undefined : await cachedKernel(root, version);
    if (cached) return cached;
    const apt = await suiteWithKernel(root, version, options.progress);
    const kernel = await build(root, apt, options.progress);
    options.progress.done();
    return kernel;
  });
}

/** The newest complete kernel in the cache that matches, checked against its manifest; undefined when there is none. */
export async function cachedKernel(root: string, version: string): Promise<DebianKernel | undefined> {
  const parent = join(root, "kernels");
  const releases = existsSync(parent) ? readdirSync(parent).filter((r) => matches(r, version)) : [];
  for (const release of releases.sort(newestFirst)) {
    const kernel = describe(join(parent, release), release);
    if (kernel && kernel.manifest.recipe === RECIPE && (await verifyManifest(kernel.dir, kernel.manifest))) return kernel;
  }
  return undefined;
}

/** Does the release or package version `full` begin with the numbers of `wanted`? */
const matches = (full: string, wanted: string): boolean =>
  full === wanted || (full.startsWith(wanted) && /^[^0-9]/.test(full.slice(wanted.length)));

const newestFirst = (a: string, b: string): number => b.localeCompare(a, "en", { numeric: true });

function describe(dir: string, release: string): DebianKernel | undefined {
  const manifest = readManifest(dir);
  return manifest && { release, dir, vmlinuz: join(dir, "vmlinuz"), initrd: join(dir, "initrd.cpio.gz"), manifest };
}

async function suiteWithKernel(root: string, version: string, progress: Progress): Promise<PrivateApt> {
  const offered: string[] = [];
  for (const suite of KERNEL_SUITES) {
    const apt = new PrivateApt(root, suite, "arm64", progress);
    const record = await apt.find("linux-image-arm64");
    if (record && matches(record.version, version)) return apt;
    if (record) offered.push(`${suite} ${record.version}`);
  }
  throw new EmuError("kernel-not-offered", `Debian offers no arm64 kernel ${version} now; it offers ${offered.join(", ")}`);
}

async function build(root: string, apt: PrivateApt, progress: Progress): Promise<DebianKernel> {
  const kernelPackages = await apt.download(await kernelPackageNames(apt));
  const tools = await new PrivateApt(root, "trixie", "arm64", progress).download(["busybox-static"]);
  progress.step("initramfs");
  const temporary = mkdtempSync(join(root, "build-"));
  try {
    await extract([...kernelPackages, ...tools], join(temporary, "root"));
    const out = join(temporary, "out");
    mkdirSync(out);
    const release = await assemble(join(temporary, "root"), out);
    const packages = [...kernelPackages, ...tools];
    writeAtomic(join(out, "manifest.json"), JSON.stringify(await manifestOf(release, out, packages), null, 2));
    const dir = join(root, "kernels", release);
    mkdirSync(join(root, "kernels"), { recursive: true });
    rmSync(dir, { recursive: true, force: true });
    renameSync(out, dir);
    const kernel = describe(dir, release);
    if (!kernel) throw new EmuError("cache-broken", `cannot read back ${dir}`);
    return kernel;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** linux-image-arm64 leads to the package of the release, which since 6.19 is split into linux-binary, -modules and -base. */
async function kernelPackageNames(apt: PrivateApt): Promise<string[]> {
  const names = new Set<string>();
  const visit = async (record: PackageRecord | undefined): Promise<void> => {
    for (const name of record?.depends ?? []) {
      if (names.has(name) || !/^linux-(image|binary|modules|base)-\d/.test(name)) continue;
      names.add(name);
      await visit(await apt.find(name));
    }
  };
  await visit(await apt.find("linux-image-arm64"));
  return [...names];
}

/** Puts kernel, configuration and initramfs into `out`; returns the kernel release. */
async function assemble(tree: string, out: string): Promise<string> {
  const modulesParent = join(tree, "usr/lib/modules");
  const release = existsSync(modulesParent) ? readdirSync(modulesParent)[0] : undefined;
  if (!release) throw new EmuError("package-broken", "the kernel package has no folder usr/lib/modules");
  const modulesDir = join(modulesParent, release);
  copyFileSync(firstPresent([join(tree, `boot/vmlinuz-${release}`), join(modulesDir, "vmlinuz")]), join(out, "vmlinuz"));
  copyFileSync(firstPresent([join(tree, `boot/config-${release}`), join(modulesDir, "config")]), join(out, "config"));
  const modules = new ModuleTree(modulesDir);
  const loaded = await modules.closure(LOADED_MODULES);
  const available = await modules.closure(AVAILABLE_MODULES.filter((name) => modules.has(name)));
  const busybox = readFileSync(join(tree, "usr/bin/busybox"));
  writeAtomic(join(out, "initrd.cpio.gz"), buildInitramfs(release, busybox, loaded, available));
  return release;
}

function firstPresent(paths: readonly string[]): string {
  const found = paths.find((path) => existsSync(path));
  if (!found) throw new EmuError("package-broken", `the kernel package has none of ${paths.map((p) => p.split("/").pop()).join(", ")}`);
  return found;
}

async function manifestOf(release: string, dir: string, packages: readonly DownloadedPackage[]): Promise<Manifest> {
  const files = await Promise.all(
    listFiles(dir).map(async (path) => ({ path, size: statSync(join(dir, path)).size, sha256: await sha256File(join(dir, path)) })),
  );
  return {
    item: `debian-kernel=${release}`,
    recipe: RECIPE,
    fetched: new Date().toISOString(),
    packages: packages.map(({ name, version, suite, architecture, sha256 }) => ({ name, version, suite, architecture, sha256 })),
    files,
  };
}
