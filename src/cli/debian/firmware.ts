// Boot firmware from Debian: fetched as a package, or built from Debian's source package with Debian's cross compiler. Each item is
// made once and kept in the cache with a manifest of what it came from.

import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { EmuError } from "../../util/errors.ts";
import { extract, PrivateApt } from "./apt.ts";
import { cacheRoot, type Manifest, readManifest, sha256File, verifyManifest, withCacheLock, writeAtomic } from "./cache.ts";
import type { Progress } from "./progress.ts";
import { run } from "./run.ts";
import { CROSS_COMPILER, fetchSysroot } from "./sysroot.ts";

/** Change this when a recipe below changes: cached firmware is then made again. */
const RECIPE = "firmware-1";
const SUITE = "trixie";

interface FirmwareItem {
  readonly package: string;
  /** Debian's architecture of the package (names of `all` packages are found in every list), or "source" to build it. */
  readonly from: "arm64" | "source";
  /** Files that are kept, by their path in the package or in the build. */
  readonly files: readonly string[];
  /** Arguments of make. */
  readonly make?: readonly string[];
  readonly about: string;
}

// TF-A is asked to look at run time (2) for every optional feature that its build can enable below EL3, so that one build fits every --cpu.
// biome-ignore format: list
const TF_A_FEATURES = ["AMU", "CSV2_3", "DEBUGV8P9", "FGT2", "GCS", "MTE2", "S1PIE", "S1POE", "S2PIE", "S2POE", "SCTLR2", "TCR2", "THE"]
  .map((feature) => `ENABLE_FEAT_${feature}=2`);
/** BL33 gets the address of the device tree, as the arm64 boot protocol of Linux wants it; INFO messages in a release build. */
const TF_A = ["PLAT=qemu", "QEMU_USE_GIC_DRIVER=QEMU_GICV3", "ARM_LINUX_KERNEL_AS_BL33=1", "DEBUG=0", "LOG_LEVEL=40", ...TF_A_FEATURES];
const TF_A_OUT = "build/qemu/release";
const tfaFiles = (...stages: string[]): string[] => stages.flatMap((s) => [`${TF_A_OUT}/${s}.bin`, `${TF_A_OUT}/${s}/${s}.elf`]);

/** Boards by the names of their folders. */
const BOARDS = ["rpi3", "rpi4", "imx8mm", "sun50i_a64", "sun50i_h6", "g12a", "k3"];
const boardFile = (board: string): string => `usr/lib/arm-trusted-firmware/${board}/bl31.bin`;
/** Files are kept by their name; those of boards, which have all the same, by "bl31-BOARD.bin". */
const keptName = (path: string): string =>
  path === boardFile(basename(dirname(path))) ? `bl31-${basename(dirname(path))}.bin` : basename(path);

const OPTEE = "usr/lib/optee/vexpress-qemu_armv8a";

/** What can be fetched, by name. */
export const FIRMWARE: Readonly<Record<string, FirmwareItem>> = {
  "tf-a-rme": {
    package: "arm-trusted-firmware",
    from: "source",
    files: tfaFiles("bl1", "bl2", "bl31", "rmm"),
    make: [...TF_A, "ENABLE_RME=1", "bl1", "bl2", "bl31", "rmm"],
    about: "TF-A with RME and its test RMM",
  },
  "tf-a-optee": {
    package: "arm-trusted-firmware",
    from: "source",
    files: tfaFiles("bl1", "bl2", "bl31"),
    make: [...TF_A, "SPD=opteed", "BL32_RAM_LOCATION=tdram", "bl1", "bl2", "bl31"],
    about: "TF-A without RME, for OP-TEE in Secure state",
  },
  "tf-a-boards": {
    package: "arm-trusted-firmware",
    from: "arm64",
    files: BOARDS.map(boardFile),
    about: "TF-A BL31 for other boards: what does not fit this machine",
  },
  optee: {
    package: "optee-os",
    from: "arm64",
    files: [`${OPTEE}/tee-header_v2.bin`, `${OPTEE}/tee-pager_v2.bin`, `${OPTEE}/tee-pageable_v2.bin`],
    about: "OP-TEE for QEMU's virt",
  },
  edk2: {
    package: "qemu-efi-aarch64",
    from: "arm64",
    files: ["usr/share/qemu-efi-aarch64/QEMU_EFI.fd"],
    about: "UEFI firmware",
  },
  "u-boot": {
    package: "u-boot-qemu",
    from: "arm64",
    files: ["usr/lib/u-boot/qemu_arm64/u-boot.bin"],
    about: "U-Boot",
  },
  grub: {
    package: "grub-efi-arm64-unsigned",
    from: "arm64",
    files: ["usr/lib/grub/arm64-efi/monolithic/grubaa64.efi"],
    about: "GRUB as an EFI application",
  },
};

/** Firmware in the cache. */
export interface Firmware {
  readonly name: string;
  readonly dir: string;
  readonly manifest: Manifest;
  /** Path of each file by its name ("bl1.bin"). */
  readonly files: Readonly<Record<string, string>>;
}

export interface FirmwareOptions {
  readonly cache?: string;
  /** Ask the archive even when the item is cached. */
  readonly refresh?: boolean;
  readonly progress: Progress;
}

/** Firmware from the cache, fetched or built first when it is not there. */
export async function fetchFirmware(name: string, o: FirmwareOptions): Promise<Firmware> {
  const item = firmwareItem(name);
  const root = o.cache ?? cacheRoot();
  const cached = o.refresh ? undefined : await cachedFirmware(name, root);
  if (cached) return cached;
  const cross = item.make ? await crossPrefix(o) : "";
  return withCacheLock(root, async () => {
    const now = o.refresh ? undefined : await cachedFirmware(name, root); // another process may have made it meanwhile
    if (now) return now;
    const made = await make(root, name, item, cross, o.progress);
    o.progress.done();
    return made;
  });
}

/** The item when it is complete in the cache. */
export async function cachedFirmware(name: string, root: string = cacheRoot()): Promise<Firmware | undefined> {
  const dir = join(root, "firmware", name);
  const manifest = readManifest(dir);
  if (!manifest || manifest.recipe !== RECIPE || !(await verifyManifest(dir, manifest))) return undefined;
  return { name, dir, manifest, files: Object.fromEntries(manifest.files.map(({ path }) => [path, join(dir, path)])) };
}

function firmwareItem(name: string): FirmwareItem {
  const item = Object.hasOwn(FIRMWARE, name) ? FIRMWARE[name] : undefined;
  if (item) return item;
  const known = Object.entries(FIRMWARE).map(([key, { about }]) => `${key} (${about})`);
  throw new EmuError("unknown-firmware", `no firmware is called "${name}"; there are: ${known.join(", ")}`, 2);
}

/** What comes before "gcc" in the names of the cross compiler's programs. */
async function crossPrefix(o: FirmwareOptions): Promise<string> {
  const { programs } = await fetchSysroot(CROSS_COMPILER, { ...(o.cache ? { cache: o.cache } : {}), progress: o.progress });
  return (programs["aarch64-linux-gnu-gcc"] ?? "").replace(/gcc$/, "");
}

async function make(root: string, name: string, item: FirmwareItem, cross: string, progress: Progress): Promise<Firmware> {
  const temporary = mkdtempSync(join(root, "build-"));
  try {
    const tree = join(temporary, "tree");
    const apt = new PrivateApt(root, SUITE, item.from, progress);
    const packages = item.from === "source" ? await built(apt, item, cross, tree, progress) : await unpacked(apt, item, tree);
    const out = join(temporary, "out");
    mkdirSync(out);
    for (const path of item.files) copyFileSync(join(tree, path), join(out, keptName(path)));
    const files = await Promise.all(
      item.files.map(async (from) => {
        const path = keptName(from);
        return { path, size: statSync(join(out, path)).size, sha256: await sha256File(join(out, path)) };
      }),
    );
    const manifest: Manifest = { item: `firmware=${name}`, recipe: RECIPE, fetched: new Date().toISOString(), packages, files };
    writeAtomic(join(out, "manifest.json"), JSON.stringify(manifest, null, 2));
    const dir = join(root, "firmware", name);
    mkdirSync(join(root, "firmware"), { recursive: true });
    rmSync(dir, { recursive: true, force: true });
    renameSync(out, dir);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  const made = await cachedFirmware(name, root);
  if (!made) throw new EmuError("cache-broken", `cannot read back firmware ${name} from ${root}`);
  return made;
}

async function unpacked(apt: PrivateApt, item: FirmwareItem, tree: string): Promise<Manifest["packages"]> {
  const packages = await apt.download([item.package]);
  await extract(packages, tree);
  return packages.map(({ name, version, suite, architecture, sha256 }) => ({ name, version, suite, architecture, sha256 }));
}

async function built(apt: PrivateApt, item: FirmwareItem, cross: string, tree: string, progress: Progress): Promise<Manifest["packages"]> {
  const source = await apt.downloadSource(item.package);
  progress.step(`building ${item.package} ${source.version}`);
  await run("dpkg-source", ["--no-check", "--no-copy", "-x", source.dsc, tree]);
  // The banner names the package instead of the time, so that equal sources print equal lines.
  const built = `BUILD_MESSAGE_TIMESTAMP="Debian ${source.version}"`;
  const { MAKEFLAGS: _, ...env } = process.env;
  await run("make", ["-j2", "-C", tree, `CROSS_COMPILE=${cross}`, built, ...(item.make ?? [])], { env: { ...env, LC_ALL: "C" } });
  const { name, version, suite, sha256 } = source;
  return [{ name, version, suite, architecture: "source", sha256 }];
}
