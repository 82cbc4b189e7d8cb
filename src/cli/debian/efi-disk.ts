// A disk from which UEFI firmware starts a Debian kernel: a GUID partition table with one EFI System Partition (FAT32), and in that the
// kernel, its initramfs, and what leads to them. Made by Debian's sfdisk and mtools, once, and kept in the cache.

import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EmuError } from "../../util/errors.ts";
import { cacheRoot, type Manifest, readManifest, sha256File, verifyManifest, withCacheLock, writeAtomic } from "./cache.ts";
import { cachedFirmware, type Firmware, type FirmwareOptions, fetchFirmware } from "./firmware.ts";
import { cachedKernel, type DebianKernel, fetchKernel } from "./kernel.ts";
import { run } from "./run.ts";
import { DISK_TOOLS, fetchSysroot, type SysrootPrograms } from "./sysroot.ts";

/** Change this when the layout below changes: cached disks are then made again. */
const RECIPE = "efi-disk-1";
const IMAGE = "disk.img";
const APPEND = "console=ttyAMA0";

const MiB = 2 ** 20;
/** Before the partition, and after it for the second copy of the partition table. */
const MARGIN = MiB;
/** FAT32 has 65525 clusters or more; a cluster has two sectors here. */
const LEAST_PARTITION = 72 * MiB;
const CLUSTER_SECTORS = 2;
const SECTOR = 512;

/** What firmware starts: GRUB, which loads the kernel; or the kernel itself, by its EFI stub, from a script of the UEFI shell. */
export const efiLoaders = ["grub", "stub"] as const;
export type EfiLoader = (typeof efiLoaders)[number];

/** A file of the partition: its path, and the host's file or its text. */
type Entry = readonly [path: string, from: { readonly file: string } | { readonly text: string }];

/** Debian's GRUB reads its configuration there, on the disk that it was started from. */
const GRUB_CONFIG = "EFI/debian/grub.cfg";

function entries(kernel: DebianKernel, grub: Firmware | undefined): Entry[] {
  const common: Entry[] = [
    ["vmlinuz", { file: kernel.vmlinuz }],
    ["initrd.img", { file: kernel.initrd }],
  ];
  if (grub === undefined) return [["startup.nsh", { text: `fs0:\\vmlinuz ${APPEND} initrd=\\initrd.img\r\n` }], ...common];
  const menu = `set timeout=0\nmenuentry "Debian" {\n  linux /vmlinuz ${APPEND}\n  initrd /initrd.img\n}\n`;
  // The path of removable media: firmware finds it without having been told (UEFI 3.5.1.1).
  return [["EFI/BOOT/BOOTAA64.EFI", { file: grub.files["grubaa64.efi"] ?? "" }], [GRUB_CONFIG, { text: menu }], ...common];
}

/** The disk of a kernel whose version begins with `version`, made when it is not in the cache; its path. */
export async function fetchEfiDisk(version: string, loader: EfiLoader, o: FirmwareOptions): Promise<string> {
  const root = o.cache ?? cacheRoot();
  const kernel = await fetchKernel(version, o);
  const grub = loader === "grub" ? await fetchFirmware("grub", o) : undefined;
  const cached = await complete(root, loader, kernel, grub);
  if (cached !== undefined) return cached;
  const tools = await fetchSysroot(DISK_TOOLS, { cache: root, progress: o.progress });
  const path = await withCacheLock(root, () => make(root, loader, kernel, grub, tools));
  o.progress.done();
  return path;
}

/** The disk when it is in the cache and made of what is there now. */
export async function cachedEfiDisk(version: string, loader: EfiLoader, root: string = cacheRoot()): Promise<string | undefined> {
  const kernel = await cachedKernel(root, version);
  const grub = loader === "grub" ? await cachedFirmware("grub", root) : undefined;
  return kernel && (loader === "stub" || grub) ? complete(root, loader, kernel, grub) : undefined;
}

const folderOf = (root: string, loader: EfiLoader, kernel: DebianKernel): string => join(root, "disks", `${loader}-${kernel.release}`);

/** The recipe with what goes in: another kernel build or another GRUB makes another disk. */
function recipeOf(kernel: DebianKernel, grub: Firmware | undefined): string {
  const inputs = [...kernel.manifest.files, ...(grub?.manifest.files ?? [])].map((file) => file.sha256);
  return `${RECIPE}-${createHash("sha256").update(inputs.join()).digest("hex")}`;
}

async function complete(root: string, loader: EfiLoader, kernel: DebianKernel, grub: Firmware | undefined): Promise<string | undefined> {
  const dir = folderOf(root, loader, kernel);
  const manifest = readManifest(dir);
  if (manifest?.recipe !== recipeOf(kernel, grub) || !(await verifyManifest(dir, manifest))) return undefined;
  return join(dir, IMAGE);
}

async function make(root: string, loader: EfiLoader, kernel: DebianKernel, grub: Firmware | undefined, tools: SysrootPrograms) {
  const temporary = mkdtempSync(join(root, "build-"));
  try {
    const out = join(temporary, "out");
    mkdirSync(out);
    const image = join(out, IMAGE);
    const recipe = recipeOf(kernel, grub);
    await writeDisk(image, entries(kernel, grub), recipe, tools, temporary);
    const manifest: Manifest = {
      item: `efi-disk=${loader},${kernel.release}`,
      recipe,
      fetched: new Date().toISOString(),
      packages: [...kernel.manifest.packages, ...(grub?.manifest.packages ?? []), ...tools.manifest.packages],
      files: [{ path: IMAGE, size: statSync(image).size, sha256: await sha256File(image) }],
    };
    writeAtomic(join(out, "manifest.json"), JSON.stringify(manifest, null, 2));
    const dir = folderOf(root, loader, kernel);
    mkdirSync(join(root, "disks"), { recursive: true });
    rmSync(dir, { recursive: true, force: true });
    renameSync(out, dir);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  const made = await complete(root, loader, kernel, grub);
  if (made === undefined) throw new EmuError("cache-broken", `cannot read back the disk of ${kernel.release} from ${root}`);
  return made;
}

/** Writes partition table, file system and files. Equal inputs give equal bytes. */
async function writeDisk(image: string, list: readonly Entry[], seed: string, tools: SysrootPrograms, scratch: string): Promise<void> {
  const files = list.map(([path, from], n) => {
    if ("file" in from) return { path, file: from.file };
    const file = join(scratch, `text-${n}`);
    writeFileSync(file, from.text);
    return { path, file };
  });
  const payload = files.reduce((sum, { file }) => sum + statSync(file).size, 0);
  const partition = Math.max(LEAST_PARTITION, Math.ceil((payload * 1.02) / MiB + 4) * MiB);
  writeFileSync(image, "");
  truncateSync(image, MARGIN + partition + MARGIN); // the rest is a hole
  await partitionTable(image, partition, seed, tools);

  const mtools = (name: string, ...args: string[]): Promise<Buffer> =>
    // A fixed time for the files, and none of the host's own settings of drives.
    run(tools.programs["mtools"] ?? "", ["-c", name, "-i", `${image}@@${MARGIN}`, ...args], {
      env: { ...process.env, SOURCE_DATE_EPOCH: "0", TZ: "UTC", MTOOLSRC: "/dev/null", MTOOLS_SKIP_CHECK: "1" },
    });
  const geometry = ["-T", String(partition / SECTOR), "-c", String(CLUSTER_SECTORS), "-H", String(MARGIN / SECTOR)];
  await mtools("mformat", "-F", ...geometry, "-N", digits(seed, 8), "::");
  const folders = new Set(files.flatMap(({ path }) => parents(path)));
  for (const folder of folders) await mtools("mmd", `::${folder}`);
  for (const { path, file } of files) await mtools("mcopy", file, `::${path}`);
}

async function partitionTable(image: string, partition: number, seed: string, tools: SysrootPrograms): Promise<void> {
  const script = `label: gpt
label-id: ${guid(`${seed}disk`)}
first-lba: ${MARGIN / SECTOR}
start=${MARGIN / SECTOR}, size=${partition / SECTOR}, type=uefi, uuid=${guid(`${seed}partition`)}, name="EFI System"
`;
  await run(tools.programs["sfdisk"] ?? "", ["--quiet", image], { input: Buffer.from(script) });
}

/** The folders above a path, outermost first. */
function parents(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, n) => parts.slice(0, n + 1).join("/"));
}

const digits = (seed: string, count: number): string => createHash("sha256").update(seed).digest("hex").slice(0, count);

/** A GUID of version 8: its digits mean what we like, and here they follow from the inputs. */
function guid(seed: string): string {
  const d = digits(seed, 32);
  return `${d.slice(0, 8)}-${d.slice(8, 12)}-8${d.slice(13, 16)}-8${d.slice(17, 20)}-${d.slice(20)}`;
}
