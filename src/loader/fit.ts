// Why a firmware file does not fit a machine, found by looking at it. What is certain is refused; the rest is worth a warning, since
// firmware can be built in more ways than are known here.

import { hex } from "../util/errors.ts";
import type { ImageInfo, ImagePart } from "./image-info.ts";

/** A range of the physical address space. */
export interface FactRange {
  readonly base: number;
  readonly size: number;
}

/** The machine, as far as firmware has to fit it. */
export interface MachineFacts {
  /** As it is typed: "virt,secure=on". */
  readonly name: string;
  /** The platform whose memory map it has (platforms.ts). */
  readonly platform: string;
  /** PEs start at EL3. */
  readonly secure: boolean;
  /** The CPU has FEAT_RME. */
  readonly rme: boolean;
  readonly ram: readonly FactRange[];
  readonly flash: readonly FactRange[];
  /** Windows of devices that firmware drives; none of those that software places devices into (PCI). */
  readonly devices: readonly FactRange[];
}

export interface Misfit {
  /** It cannot work. */
  readonly certain: boolean;
  readonly text: string;
}

const certain = (text: string): Misfit => ({ certain: true, text });
const doubtful = (text: string): Misfit => ({ certain: false, text });

const overlaps = (a: FactRange, b: FactRange): boolean => a.base < b.base + b.size && b.base < a.base + a.size;
const rangeText = (r: FactRange): string => `${hex(r.base)} to ${hex(r.base + r.size - 1)}`;

/** What belongs elsewhere, by kind of image: what to type instead. */
const elsewhere: Partial<Record<ImageInfo["kind"], string>> = {
  linux: "type --kernel for it",
  "tf-rmm": "type rme-emu realm --rmm for it, or put it into a firmware image package",
  trp: "type rme-emu realm --rmm for it, or put it into a firmware image package",
  "op-tee": "it is started by TF-A, from a firmware image package",
  "op-tee-header": "it is started by TF-A, from a firmware image package",
  "device-tree": "type --dtb for it",
  "efi-program": "put it on a disk for edk2 or U-Boot to start",
};

/** Why this cannot (or might not) be what the machine starts with in flash. */
export function misfitsInFlash(info: ImageInfo, m: MachineFacts): Misfit[] {
  const other = elsewhere[info.kind];
  if (info.kind === "fip")
    return [
      certain(
        "it is a firmware image package without BL1: flash begins with bl1.bin and has the package behind it (TF-A's qemu: at 0x40000)",
      ),
    ];
  if (info.elf)
    return [
      certain(
        `it is ${info.what}: flash holds a flat binary (the .bin file beside it); ${m.secure ? "or type --kernel for it" : "an ELF file is started with --kernel"}`,
      ),
    ];
  if (other !== undefined) return [certain(`it is ${info.what}: ${other}`)];
  if (info.kind === "foreign") return [certain(`it is ${info.what}`)];
  const first = info.kind === "flash" ? info.parts[0]?.info : info;
  const stages = info.kind === "flash" ? info.parts.filter((p) => p.name !== "fip") : [{ name: "", title: info.stage ?? info.what, info }];
  const noPackage = info.kind === "flash" && !info.parts.some((p) => p.name === "fip");
  const alone = noPackage ? [doubtful("there is no firmware image package behind BL1, or its header is damaged")] : [];
  return [...startMisfits(first, m), ...alone, ...stages.flatMap((p) => platformMisfits(p, m)).slice(0, 1), ...rmeMisfits(info, m)];
}

/** What is at the start of flash, where a PE begins. */
function startMisfits(first: ImageInfo | undefined, m: MachineFacts): Misfit[] {
  if (first?.kind === "foreign") return [certain(`at the start of flash there is ${first.what}`)];
  if (first?.kind === "unknown") return [doubtful(`at the start of flash there is ${first.what}`)];
  if (first?.kind !== "tf-a") return [];
  if (!m.secure) return [certain(`${first.what} starts at EL3, and this machine at EL2: type --machine virt,secure=on`)];
  if (first.stage !== undefined && first.stage !== "BL1")
    return [doubtful(`flash begins with ${first.what}: unless it was built to be started at reset, BL1 has to come first`)];
  return [];
}

function platformMisfits({ title, info }: Pick<ImagePart, "title" | "info">, m: MachineFacts): Misfit[] {
  if (info.kind !== "tf-a" && info.kind !== "op-tee") return [];
  const missing = info.maps.find((r) => r.device && ![...m.devices, ...m.ram, ...m.flash].some((d) => overlaps(r, d)));
  const built = info.platform === undefined ? "another platform" : info.platform;
  if (missing !== undefined && info.platform !== m.platform)
    return [certain(`${title} was built for ${built}: it maps devices at ${rangeText(missing)}, where this machine has none`)];
  if (info.platform !== undefined && info.platform !== m.platform)
    return [doubtful(`${title} was built for ${built}, by the addresses in it`)];
  return [];
}

function rmeMisfits(info: ImageInfo, m: MachineFacts): Misfit[] {
  const rmm = info.parts.find((p) => p.name === "rmm-fw");
  if (info.rme && !m.rme) return [doubtful("the firmware was built with RME, and the CPU has none: type --cpu max,rme=on")];
  if (rmm !== undefined && !info.rme)
    return [doubtful("the package has an RMM, but TF-A in it was built without RME (ENABLE_RME=1): nobody will start it")];
  return [];
}

/** Why an ELF file, or what was taken for a kernel, cannot be loaded into this machine; undefined: no reason is known. */
export function kernelMisfit(info: ImageInfo, m: MachineFacts): string | undefined {
  if (
    info.kind === "fip" ||
    info.kind === "flash" ||
    info.kind === "edk2" ||
    (!info.elf && (info.kind === "u-boot" || info.kind === "tf-a"))
  )
    return `it is ${info.what}: type --bios for ${info.kind === "fip" ? "a flash image that has it behind BL1" : "it"}`;
  const outside = info.loads.find((l) => !m.ram.some((r) => l.from >= r.base && l.to <= r.base + r.size));
  if (outside === undefined) return undefined;
  const built = info.platform === undefined || info.platform === m.platform ? "" : `, built for ${info.platform},`;
  return `it is ${info.what}${built} and lies at ${hex(outside.from)} to ${hex(outside.to - 1)}, where this machine has no memory`;
}
