// What a firmware file is: packages, flash images, ELF files, kernels, and flat binaries by what is in them.

import { addressesIn, looksLikeA32, looksLikeA64, type MappedRange, mappedRanges, textIn, wideTextIn, writesGpccr } from "./a64-scan.ts";
import { isElf, readElf } from "./elf.ts";
import { type FipEntry, findFip, isFip, readFip } from "./fip.ts";
import { readKernel } from "./image.ts";
import { PE_AARCH64, peMachines, readPe } from "./pe-file.ts";
import { platformOf } from "./platforms.ts";

export type ImageKind =
  | "fip"
  | "flash"
  | "tf-a"
  | "tf-rmm"
  | "trp"
  | "op-tee"
  | "op-tee-header"
  | "u-boot"
  | "edk2"
  | "linux"
  | "device-tree"
  | "efi-program"
  | "a64"
  | "foreign"
  | "unknown";

/** A piece of memory that a file asks for: physical addresses [from, to). */
export interface LoadRange {
  readonly from: number;
  readonly to: number;
}

export interface ImageInfo {
  readonly kind: ImageKind;
  /** One line: "TF-A BL31", "a firmware image package (FIP)". */
  readonly what: string;
  readonly size: number;
  /** An ELF file wraps what `kind` says. */
  readonly elf: boolean;
  /** Entry point and addresses, of files that name them. */
  readonly entry?: number;
  readonly loads: readonly LoadRange[];
  /** Stage of TF-A: "BL1", "BL2", "BL31". */
  readonly stage?: string;
  /** Versions and build strings found in it. */
  readonly versions: readonly string[];
  /** Platform, as far as the addresses in it tell. */
  readonly platform?: string;
  /** Memory and devices that it maps (TF-A). */
  readonly maps: readonly MappedRange[];
  /** It switches granule protection checks on. */
  readonly rme: boolean;
  /** Images inside. */
  readonly parts: readonly ImagePart[];
}

export interface ImagePart {
  /** fiptool's name; "bl1" and "fip" in a flash image. */
  readonly name: string;
  readonly title: string;
  /** From the start of the file. */
  readonly offset: number;
  readonly size: number;
  readonly info: ImageInfo;
}

const MiB = 2 ** 20;
const PAGE = 4096;
/** Kernels are unpacked to look inside, up to this. */
const MAX_KERNEL = 512 * MiB;
const TEXT_LIMIT = 64 * MiB;

/**
 * Says what a file is. `quick`: kernels are not looked into for their versions, which takes a second or more. Throws EmuError for a
 * package or an ELF file that is damaged.
 */
export function imageInfo(data: Uint8Array, quick = false): ImageInfo {
  if (isFip(data)) return container(data, "fip", "a firmware image package (FIP)", fipParts(data, 0, quick));
  const at = findFip(data);
  return at === undefined ? (bl1Alone(data, quick) ?? partInfo(data, quick)) : flashInfo(data, at, quick);
}

/** Where TF-A's qemu expects the package behind BL1. */
const FIP_AT = 0x4_0000;

/** A flash image whose package cannot be recognised: what lies behind BL1 must not be taken for what the file is. */
function bl1Alone(data: Uint8Array, quick: boolean): ImageInfo | undefined {
  if (data.length <= FIP_AT || isElf(data)) return undefined;
  const first = partInfo(data.subarray(0, used(data, FIP_AT)), quick);
  if (first.stage !== "BL1") return undefined;
  const bl1: ImagePart = { name: "bl1", title: "BL1", offset: 0, size: first.size, info: first };
  return container(data, "flash", "a flash image: BL1, and no firmware image package behind it", [bl1]);
}

const EMPTY = { elf: false, loads: [], versions: [], maps: [], rme: false, parts: [] } as const;

function container(data: Uint8Array, kind: ImageKind, what: string, parts: readonly ImagePart[]): ImageInfo {
  const platform = parts.map((p) => p.info.platform).find((p) => p !== undefined);
  const rme = parts.some((p) => p.info.rme);
  return { ...EMPTY, kind, what, size: data.length, rme, parts, ...(platform === undefined ? {} : { platform }) };
}

function fipParts(data: Uint8Array, at: number, quick: boolean): ImagePart[] {
  const part = ({ name, title, offset, size, data: image }: FipEntry): ImagePart => ({
    name,
    title,
    offset: at + offset,
    size,
    info: partInfo(image, quick),
  });
  return readFip(data, at).entries.map(part);
}
/** A package inside a package is told, not opened: files made to nest without end. */
function partInfo(image: Uint8Array, quick: boolean): ImageInfo {
  if (isFip(image)) return { ...EMPTY, kind: "fip", what: "a firmware image package (FIP)", size: image.length };
  return isElf(image) ? elfInfo(image, quick) : flatInfo(image, quick);
}

/** TF-A's flash image: BL1 at the start, a package behind it. */
function flashInfo(data: Uint8Array, at: number, quick: boolean): ImageInfo {
  const first = partInfo(data.subarray(0, used(data, at)), quick);
  const parts = fipParts(data, at, quick);
  const fip = container(data.subarray(at), "fip", "a firmware image package (FIP)", []);
  const all: ImagePart[] = [
    { name: "bl1", title: first.stage ?? "start of flash", offset: 0, size: first.size, info: first },
    { name: "fip", title: "FIP", offset: at, size: data.length - at, info: fip },
    ...parts,
  ];
  return container(data, "flash", "a flash image: what the processor starts with, and a firmware image package", all);
}
/** Bytes before `end` that are not padding. */
function used(data: Uint8Array, end: number): number {
  let last = end;
  const padding = (b: number | undefined): boolean => b === 0 || b === 0xff;
  while (last > 0 && padding(data[last - 1])) last--;
  return Math.min(end, Math.ceil(last / 8) * 8);
}

function elfInfo(data: Uint8Array, quick: boolean): ImageInfo {
  const { entry, segments } = readElf(data);
  const loads = segments.map((s) => ({ from: s.address, to: s.address + s.size }));
  const inside = flatInfo(joined(segments.map((s) => s.data)), quick);
  return { ...inside, what: `${inside.what} (ELF)`, size: data.length, elf: true, entry, loads };
}

/** Code and data one after the other: where they lie does not matter to what is looked for. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const p of pieces) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

function flatInfo(data: Uint8Array, quick: boolean): ImageInfo {
  const info = (kind: ImageKind, what: string, versions: readonly string[] = []): ImageInfo => ({
    ...EMPTY,
    kind,
    what,
    size: data.length,
    versions,
  });
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const u32 = (at: number): number => (at + 4 <= data.length ? view.getUint32(at, true) : -1);
  if (data.length === 0) return info("unknown", "nothing");
  if (u32(0) === 0xedfe_0dd0) return info("device-tree", "a device tree");
  if (u32(0) === 0x4554_504f) return info("op-tee-header", `the header of OP-TEE (${data.length} bytes; the image is in tee-pager_v2.bin)`);
  if (u32(56) === 0x644d_5241 || u32(4) === 0x676d_697a || isCompressed(data))
    return quick ? info("linux", "an arm64 Linux Image") : linuxInfo(data, info);
  if (isFirmwareVolume(data)) return { ...info("edk2", "edk2 (EFI firmware)", edk2Versions(data)), ...codeFacts(data) };
  const pe = readPe(data);
  if (pe !== undefined) {
    const machine = peMachines[pe.machine] ?? `machine 0x${pe.machine.toString(16)}`;
    return info(pe.machine === PE_AARCH64 ? "efi-program" : "foreign", `an EFI program for ${machine}`);
  }
  const text = textIn(data, TEXT_LIMIT);
  if (looksLikeA32(data)) return info("foreign", "32-bit Arm code", uBootVersions(text));
  const known = byText(text);
  if (!looksLikeA64(data))
    return info(known ? "foreign" : "unknown", known ? `${known.what}, but not for AArch64` : "no A64 code", known?.versions ?? []);
  const { kind, what, versions, stage } = known ?? { kind: "a64" as const, what: "A64 code", versions: [], stage: undefined };
  return { ...info(kind, what, versions), ...codeFacts(data), ...(stage === undefined ? {} : { stage }) };
}

function codeFacts(data: Uint8Array): Pick<ImageInfo, "platform" | "maps" | "rme"> {
  const platform = platformOf(addressesIn(data));
  return { maps: mappedRanges(data), rme: writesGpccr(data), ...(platform === undefined ? {} : { platform }) };
}

const isCompressed = (d: Uint8Array): boolean =>
  (d[0] === 0x1f && d[1] === 0x8b) || (d[0] === 0x28 && d[1] === 0xb5 && d[2] === 0x2f && d[3] === 0xfd);

function linuxInfo(data: Uint8Array, info: (kind: ImageKind, what: string, versions: readonly string[]) => ImageInfo): ImageInfo {
  const kernel = readKernel(data, MAX_KERNEL);
  if (kernel.kind === "elf") return { ...info("a64", "a compressed ELF file", []), elf: true, entry: kernel.entry };
  const versions = matches(textIn(kernel.data, TEXT_LIMIT), /Linux version \d[^\n]* #\d[^\n]*/g);
  const packed = kernel.data === data ? "" : ", compressed";
  const pages = kernel.pageKiB === undefined ? "" : `, ${kernel.pageKiB} KiB pages`;
  return info("linux", `an arm64 Linux Image${packed} (${kernel.size} bytes in memory${pages})`, versions);
}

/** A firmware volume's header has "_FVH" at byte 40; before the first one there may be a branch into it. */
function isFirmwareVolume(data: Uint8Array): boolean {
  for (let at = 0; at < Math.min(data.length - 44, MiB); at += PAGE)
    if (data[at + 40] === 0x5f && data[at + 41] === 0x46 && data[at + 42] === 0x56 && data[at + 43] === 0x48) return true;
  return false;
}
/** Debian and others put their version there as UTF-16; edk2's own is stable202502 or a date. */
const edk2Versions = (data: Uint8Array): string[] =>
  matches(wideTextIn(data, TEXT_LIMIT), /^(?:edk2-stable\d{6}\S*|20\d\d\.\d\d[-+~.\w]*)$/gm);

interface Recognised {
  readonly kind: ImageKind;
  readonly what: string;
  readonly versions: readonly string[];
  readonly stage?: string | undefined;
}

const uBootVersions = (text: string): string[] => matches(text, /U-Boot (?:SPL )?20\d\d\.\d\d[^\n]*/g);

/** What flat binaries print says what they are. */
function byText(text: string): Recognised | undefined {
  const tfa = matches(text, /v\d+\.\d+(?:\.\d+)?\((?:release|debug)\):[-.\w]*/g).map((v) => v.replace(/:$/, ""));
  const built = matches(text, /Built : [^\n]+/g);
  if (/^\W*TRP: /m.test(text)) return { kind: "trp", what: "TF-A's test RMM (TRP)", versions: tfa };
  if (/RMM-EL3 Interface v/.test(text) && /\bRSI\b.*ABI|RMI.RSI ABI/.test(text))
    return { kind: "tf-rmm", what: "TF-RMM", versions: rmmVersions(text) };
  if (/OP-TEE version: /.test(text))
    return { kind: "op-tee", what: "OP-TEE", versions: matches(text, /^\d+\.\d+\.\d+[^\n]* \(gcc version [^\n]*/gm) };
  const uBoot = uBootVersions(text);
  if (uBoot.length > 0) return { kind: "u-boot", what: "U-Boot", versions: uBoot };
  if (tfa.length > 0 || /BL\d+: /.test(text)) {
    const stage = stageOf(text);
    return { kind: "tf-a", what: stage === undefined ? "TF-A" : `TF-A ${stage}`, versions: [...tfa, ...built], stage };
  }
  return undefined;
}
/** The stage that a binary speaks of most is itself. */
function stageOf(text: string): string | undefined {
  const count = new Map<string, number>();
  for (const [, stage = ""] of text.matchAll(/\b(BL1|BL2U|BL2|BL31|BL32): /g)) count.set(stage, (count.get(stage) ?? 0) + 1);
  return [...count].sort((a, b) => b[1] - a[1])[0]?.[0];
}
const rmmVersions = (text: string): string[] => matches(text, /^v?\d+\.\d+\.\d+(?:[-+][-.\w]+)?$/gm).slice(0, 1);

function matches(text: string, pattern: RegExp): string[] {
  return [...new Set(Array.from(text.matchAll(pattern), ([m]) => m.trim()))];
}
