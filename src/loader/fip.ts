// Reads a Firmware Image Package: header of 16 bytes, a table of contents with 40 bytes for each image (UUID, offset, size, flags), ended
// by an entry whose UUID is zero, then the images.

import { EmuError, hex } from "../util/errors.ts";
import { fipKinds } from "./fip-uuids.ts";
import { FIP_MAGIC } from "./fip-write.ts";

/** One image of a package. */
export interface FipEntry {
  /** Name that fiptool uses ("soc-fw"), or the UUID of an unknown image. */
  readonly name: string;
  /** "BL31", "RMM", "unknown image". */
  readonly title: string;
  /** As it is usually written: 8-4-4-4-12 digits in stored order. */
  readonly uuid: string;
  /** From the start of the package, in bytes. */
  readonly offset: number;
  readonly size: number;
  readonly flags: bigint;
  readonly data: Uint8Array;
}

export interface Fip {
  /** Of the package in the file. */
  readonly offset: number;
  readonly serial: number;
  readonly flags: bigint;
  readonly entries: readonly FipEntry[];
  /** End of the last image, from the start of the package. */
  readonly size: number;
}

const HEADER = 16;
const ENTRY = 40;
const MAX_ENTRIES = 256;
/** Flash layouts have packages at multiples of this. */
const STEP = 4096;

/** Does a package begin at byte `at`? */
export function isFip(data: Uint8Array, at = 0): boolean {
  if (at + HEADER + ENTRY > data.length) return false;
  const view = new DataView(data.buffer, data.byteOffset + at);
  return view.getUint32(0, true) === FIP_MAGIC && view.getUint32(4, true) !== 0;
}

/** Where in a flash image a package begins; undefined: nowhere. */
export function findFip(data: Uint8Array): number | undefined {
  for (let at = 0; at < data.length; at += STEP) if (isFip(data, at)) return at;
  return undefined;
}

/** Reads the package at byte `at`. Throws EmuError("fip-damaged") when its table contradicts itself or the file. */
export function readFip(data: Uint8Array, at = 0): Fip {
  const damaged = (what: string): EmuError => new EmuError("fip-damaged", `the firmware image package is damaged: ${what}`);
  if (!isFip(data, at)) throw new EmuError("fip-format", `this is no firmware image package: there is no FIP header at ${hex(at)}`);
  const fip = data.subarray(at);
  const view = new DataView(fip.buffer, fip.byteOffset, fip.length);
  const entries: FipEntry[] = [];
  let size = 0;
  for (let n = 0; ; n++) {
    const pos = HEADER + ENTRY * n;
    if (n > MAX_ENTRIES || pos + ENTRY > fip.length) throw damaged("its table of contents does not end");
    const digits = hexDigits(fip.subarray(pos, pos + 16));
    const [offset, length, flags] = [16, 24, 32].map((o) => view.getBigUint64(pos + o, true)) as [bigint, bigint, bigint];
    if (/^0+$/.test(digits)) break;
    const kind = fipKinds.get(digits);
    const name = kind?.name ?? uuidText(digits);
    const end = offset + length;
    if (offset < BigInt(HEADER)) throw damaged(`the image ${name} begins at ${hex(offset)}, inside the header`);
    if (end > BigInt(fip.length))
      throw damaged(`the image ${name} should end at ${hex(end)}, but the file ends at ${hex(fip.length)}: it is cut short`);
    const image = fip.subarray(Number(offset), Number(end));
    const uuid = uuidText(digits);
    entries.push({ name, title: kind?.title ?? "unknown image", uuid, offset: Number(offset), size: image.length, flags, data: image });
    size = Math.max(size, Number(end));
  }
  for (const [i, e] of entries.entries()) {
    const other = entries.slice(0, i).find((o) => e.size > 0 && o.offset < e.offset + e.size && e.offset < o.offset + o.size);
    if (other) throw damaged(`the images ${other.name} and ${e.name} overlap`);
  }
  return { offset: at, serial: view.getUint32(4, true), flags: view.getBigUint64(8, true), entries, size };
}

const hexDigits = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
const uuidText = (d: string): string => `${d.slice(0, 8)}-${d.slice(8, 12)}-${d.slice(12, 16)}-${d.slice(16, 20)}-${d.slice(20)}`;
