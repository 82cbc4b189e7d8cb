// Looks at firmware before a machine is made of it: what cannot work is refused with its reason, what is doubtful is told.

import { closeSync, openSync, readSync } from "node:fs";
import { isElf } from "../loader/elf.ts";
import { readInput } from "../loader/files.ts";
import { kernelMisfit, type MachineFacts, misfitsInFlash } from "../loader/fit.ts";
import { type ImageInfo, imageInfo } from "../loader/image-info.ts";
import { EmuError } from "../util/errors.ts";

const MAX_FLASH = 64 * 2 ** 20;
const MAX_KERNEL = 2 ** 31;

/** Warnings about firmware for flash. Throws EmuError("bios-unfit") for what cannot work. */
export function checkFlash(source: string | Uint8Array, facts: MachineFacts): string[] {
  let info: ImageInfo;
  try {
    info = imageInfo(readInput("bios", source, MAX_FLASH), true);
  } catch (e) {
    // A damaged package is the firmware's to complain about.
    if (e instanceof EmuError && e.code === "fip-damaged") return [e.message];
    throw e;
  }
  const misfits = misfitsInFlash(info, facts);
  const fatal = misfits.find((m) => m.certain);
  if (fatal) throw new EmuError("bios-unfit", `this firmware does not fit the machine ${facts.name}: ${fatal.text}`);
  return misfits.map((m) => m.text);
}

const MAGICS: readonly (readonly [offset: number, magic: string])[] = [
  [56, "ARMd"],
  [0, "MZ"],
  [0, "\x1f\x8b"],
  [0, "\x28\xb5\x2f\xfd"],
];
/** A Linux Image, also compressed or as an EFI program, from its first bytes. */
const isKernel = (d: Uint8Array): boolean => MAGICS.some(([at, magic]) => [...magic].every((c, i) => d[at + i] === c.charCodeAt(0)));

/** Throws EmuError("kernel-unfit") for firmware that was given as a kernel, and for ELF files that belong to another machine. */
export function checkKernel(source: string | Uint8Array, facts: MachineFacts): void {
  const start = typeof source === "string" ? firstBytes(source) : source;
  if (isKernel(start)) return;
  const data = readInput("kernel", source, MAX_KERNEL);
  const why = kernelMisfit(imageInfo(data, true), facts);
  if (why !== undefined) throw new EmuError("kernel-unfit", `this does not fit the machine ${facts.name}: ${why}`);
}

/** What is plainly something else, although its first bytes look like a program. */
const NO_RMM = new Set<ImageInfo["kind"]>(["tf-a", "op-tee", "u-boot", "edk2", "flash", "foreign"]);

/** Throws EmuError("rmm-image") for firmware that is no RMM. */
export function checkRmm(source: string | Uint8Array): void {
  const data = readInput("rmm", source, MAX_FLASH);
  if (isElf(data)) return; // its loader tells what is wrong with it
  const { kind, what } = imageInfo(data, true);
  if (NO_RMM.has(kind))
    throw new EmuError("rmm-image", `the RMM image is ${what}; an RMM is expected: TF-RMM's rmm.img, or TF-A's test RMM`);
}

/** Text of every Linux that can be in a realm (since 6.13), and its version. */
const KNOWS_REALMS = "Using RSI version";
const VERSION = "Linux version ";

/** A warning about a Linux kernel, unpacked, that is to run in a realm and does not know realms: it stops before its first line. */
export function realmWarning(kernel: Uint8Array): string | undefined {
  const text = Buffer.from(kernel.buffer, kernel.byteOffset, kernel.length);
  if (text.includes(KNOWS_REALMS)) return undefined;
  const at = text.indexOf(VERSION);
  if (at < 0) return undefined;
  const version = /^[\w.+~-]{1,40}/.exec(text.toString("latin1", at + VERSION.length, at + VERSION.length + 40))?.[0] ?? "";
  return (
    `this Linux ${version} cannot run in a realm: it does not know the Realm Services Interface (upstream since 6.13), and will stop ` +
    "before it prints anything; take a newer one (--kernel debian=7.2), or run it as an ordinary virtual machine (--normal)"
  );
}

/** Enough to know a kernel; nothing of a file that cannot be read, which the loader tells in its own words. */
function firstBytes(path: string): Uint8Array {
  const out = new Uint8Array(64);
  try {
    const file = openSync(path, "r");
    try {
      return out.subarray(0, readSync(file, out));
    } finally {
      closeSync(file);
    }
  } catch {
    return new Uint8Array(0);
  }
}
