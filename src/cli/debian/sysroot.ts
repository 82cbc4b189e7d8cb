// Programs of a newer Debian suite, run on this host from a folder of their own: all their libraries and their own
// dynamic linker are taken from that folder, so nothing of the host's libraries is used or changed.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { EmuError } from "../../util/errors.ts";
import { type Architecture, extract, PrivateApt } from "./apt.ts";
import { cacheRoot, type Manifest, readManifest, sha256File, verifyManifest, withCacheLock, writeAtomic } from "./cache.ts";
import type { Progress } from "./progress.ts";
import { run } from "./run.ts";

/** Change this when the layout below changes: cached sysroots are then built again. */
const RECIPE = "sysroot-3";

/** Where a host architecture keeps its dynamic linker and libraries. */
const HOSTS: Record<Architecture, { loader: string; libraries: string }> = {
  amd64: { loader: "usr/lib64/ld-linux-x86-64.so.2", libraries: "x86_64-linux-gnu" },
  arm64: { loader: "usr/lib/ld-linux-aarch64.so.1", libraries: "aarch64-linux-gnu" },
};

export interface Sysroot {
  readonly name: string;
  readonly suite: string;
  readonly packages: readonly string[];
  readonly programs: readonly {
    path: string;
    args?: (root: string) => readonly string[];
    env?: (root: string) => Record<string, string>;
  }[];
  /** How programs start: with the sysroot's own dynamic linker, or with the host's and only extra library folders. */
  readonly linker: "own" | "host";
}

export interface SysrootPrograms {
  readonly dir: string;
  readonly manifest: Manifest;
  /** Program name to the path of its wrapper script. */
  readonly programs: Readonly<Record<string, string>>;
}

const data = (root: string): string => join(root, "usr/share/qemu");

/** qemu-system-aarch64 and qemu-aarch64: what the emulator is compared with. */
export const QEMU: Sysroot = {
  name: "qemu",
  suite: "trixie-backports",
  packages: ["qemu-system-arm", "qemu-user"],
  programs: [
    { path: "usr/bin/qemu-system-aarch64", args: (root) => ["-L", data(root)], env: () => ({ QEMU_MODULE_DIR: "/nonexistent" }) },
    { path: "usr/bin/qemu-aarch64" },
  ],
  linker: "own",
};

/** The cross compiler that the bundled firmware is built with. One fixed suite: another compiler makes other bytes. */
export const CROSS_COMPILER: Sysroot = {
  name: "cross",
  suite: "bookworm",
  packages: ["gcc-aarch64-linux-gnu", "binutils-aarch64-linux-gnu"],
  programs: ["gcc", "ld", "as", "objcopy", "objdump", "nm", "readelf", "strip"].map((tool) => ({
    path: `usr/bin/aarch64-linux-gnu-${tool}`,
  })),
  linker: "host",
};

/** What disk images are made with: partition tables, and files in a FAT without mounting it. */
export const DISK_TOOLS: Sysroot = {
  name: "disk",
  suite: "trixie",
  packages: ["mtools", "fdisk"],
  programs: [{ path: "usr/bin/mtools" }, { path: "usr/sbin/sfdisk" }],
  linker: "own",
};

/** Fetches a sysroot (or finds it in the cache) and returns the wrappers of its programs. */
export async function fetchSysroot(
  sysroot: Sysroot,
  o: { cache?: string; refresh?: boolean; progress: Progress },
): Promise<SysrootPrograms> {
  const root = o.cache ?? cacheRoot();
  return withCacheLock(root, async () => {
    const dir = join(root, "sysroots", sysroot.name);
    const manifest = readManifest(dir);
    const complete = manifest?.recipe === RECIPE && !o.refresh && (await verifyManifest(dir, manifest));
    const final = complete ? manifest : await build(root, dir, sysroot, o.progress);
    return { dir, manifest: final, programs: writeWrappers(dir, sysroot, await hostArchitecture()) };
  });
}

/** Debian's name of the host's architecture. */
export async function hostArchitecture(): Promise<Architecture> {
  const name = (await run("dpkg", ["--print-architecture"])).toString().trim();
  if (name === "amd64" || name === "arm64") return name;
  throw new EmuError(
    "host-architecture",
    `this host's architecture (${name}) is not supported for reference programs (amd64 and arm64 are)`,
  );
}

async function build(root: string, dir: string, sysroot: Sysroot, progress: Progress): Promise<Manifest> {
  const apt = new PrivateApt(root, sysroot.suite, await hostArchitecture(), progress);
  const packages = await apt.downloadClosure(sysroot.packages);
  progress.step(`unpacking ${packages.length} packages`);
  const temporary = mkdtempSync(join(root, "build-"));
  try {
    const libc = new Set(sysroot.linker === "host" ? ["libc6", "libgcc-s1", "libstdc++6"] : []);
    await extract(
      packages.filter((p) => !libc.has(p.name)),
      temporary,
    );
    for (const useless of ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var", "etc"]) {
      rmSync(join(temporary, useless), { recursive: true, force: true });
    }
    if (sysroot.linker === "own")
      keepOnly(
        join(temporary, "usr/bin"),
        sysroot.programs.map(({ path }) => basename(path)),
      );
    const files = await Promise.all(
      sysroot.programs.map(async ({ path }) => ({
        path,
        size: statSync(join(temporary, path)).size,
        sha256: await sha256File(join(temporary, path)),
      })),
    );
    const manifest: Manifest = {
      item: sysroot.name,
      recipe: RECIPE,
      fetched: new Date().toISOString(),
      packages: packages.map(({ name, version, suite, architecture, sha256 }) => ({ name, version, suite, architecture, sha256 })),
      files,
    };
    writeAtomic(join(temporary, "manifest.json"), JSON.stringify(manifest, null, 2));
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(join(root, "sysroots"), { recursive: true });
    renameSync(temporary, dir);
    progress.done();
    return manifest;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Removes every file of a folder but the named ones. */
function keepOnly(dir: string, names: readonly string[]): void {
  for (const name of readdirSync(dir)) if (!names.includes(name)) rmSync(join(dir, name), { recursive: true });
}

/** One small shell script per program, in `<dir>/wrappers`. Rewritten every time: the cache may have been moved. */
function writeWrappers(dir: string, sysroot: Sysroot, architecture: Architecture): Record<string, string> {
  const host = HOSTS[architecture];
  const libraries = [`usr/lib/${host.libraries}`, `lib/${host.libraries}`, "usr/lib", "lib"]
    .map((p) => join(dir, p))
    .filter((p) => existsSync(p));
  const loader = [host.loader, host.loader.replace(/^usr\//, "")].map((p) => join(dir, p)).find((p) => existsSync(p));
  const wrappers: Record<string, string> = {};
  for (const program of sysroot.programs) {
    const name = basename(program.path);
    const target = quote(join(dir, program.path));
    const environment = Object.entries(program.env?.(dir) ?? {})
      .map(([key, value]) => `${key}=${quote(value)} `)
      .join("");
    const args = (program.args?.(dir) ?? []).map((arg) => ` ${quote(arg)}`).join("");
    const path = libraries.join(":");
    const start =
      sysroot.linker === "own"
        ? `${environment}exec ${quote(loader ?? "")} --library-path ${quote(path)} ${target}${args} "$@"`
        : `${environment}LD_LIBRARY_PATH=${quote(path)} exec ${target}${args} "$@"`;
    wrappers[name] = join(dir, "wrappers", name);
    writeAtomic(wrappers[name], `#!/bin/sh\n${start}\n`, 0o755);
  }
  return wrappers;
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
