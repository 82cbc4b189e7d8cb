// Firmware files for tests, made by hand: flat binaries that look like those of TF-A, and packages by a writer of their own.

import { mov, NOP } from "./a64.ts";

export interface Program {
  /** Constants that the code makes. */
  readonly addresses?: readonly number[];
  /** Entries of a table of mapped regions: base, size, device. */
  readonly maps?: readonly (readonly [base: number, size: number, device: boolean])[];
  readonly text?: readonly string[];
  /** Writes GPCCR_EL3. */
  readonly rme?: boolean;
}

const MSR_GPCCR_EL3 = 0xd51e_21c1; // msr s3_6_c2_c1_6, x1
/** Instructions that stand for all the others: most of a program is code. */
const BODY = 200;
const DEVICE = 0x28;
const MEMORY = 0x2a;

/** Code, then tables, then text. */
export function program(p: Program): Uint8Array {
  const words = [
    ...(p.addresses ?? []).flatMap((a, i) => mov(i % 8, a)),
    ...(p.rme ? [MSR_GPCCR_EL3] : []),
    ...new Array<number>(BODY).fill(NOP),
  ];
  if (words.length % 2 === 1) words.push(NOP);
  const maps = (p.maps ?? []).flatMap(([base, size, device]) => [base, base, size, device ? DEVICE : MEMORY, 2 ** 30].map(BigInt));
  const text = new TextEncoder().encode((p.text ?? []).map((t) => `\0${t}\0`).join(""));
  return Buffer.concat([new Uint8Array(Uint32Array.from(words).buffer), new Uint8Array(BigUint64Array.from(maps).buffer), text]);
}

/** Stages of TF-A for QEMU's virt, and for Arm's FVP. */
export const stages = {
  bl1: program({
    addresses: [0x0800_0000, 0x0900_0000, 0x0e00_0000],
    maps: [
      [0, 0x400_0000, false],
      [0x900_0000, 0xc0_0000, true],
    ],
    text: ["v2.12.0(release):abc", "Built : today", "BL1: Booting BL2"],
  }),
  bl31: program({ addresses: [0x0800_0000, 0x080a_0000], text: ["v2.12.0(release):", "BL31: Initializing RMM"], rme: true }),
  fvpBl1: program({
    addresses: [0x1c09_0000, 0x2f00_0000, 0x0400_0000],
    maps: [[0x1c00_0000, 0x300_0000, true]],
    text: ["v2.9.0(debug):v2.9.0", "BL1: Booting BL2"],
  }),
  rmm: program({ addresses: [0x900_0000, 0x800_0000], text: ["0.8.0", "RMM-EL3 Interface v.%u.%u", "RSI ABI revision v%lu.%lu"] }),
} as const;

export interface Image {
  /** 32 hexadecimal digits in stored order. */
  readonly uuid: string;
  readonly data: Uint8Array;
}
export const UUID = {
  BL2: "5ff9ec0b4d223e4da544c39d81c73f0a",
  BL31: "47d4086d4cfe98469b952950cbbd5a00",
  BL33: "d6d0eea7fcead54b97829934f234b6e4",
  RMM: "6c0762a612f24b5692cbba8f633606d9",
} as const;

/** A package, byte by byte: the images lie on 8-byte boundaries, as fiptool --align 8 puts them. */
export function package_(images: readonly Image[]): Uint8Array {
  const le = (value: number | bigint, bytes: number): number[] =>
    Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n));
  const bytes: number[] = [];
  bytes.push(...le(0xaa640001, 4), ...le(0x12345678, 4), ...le(0n, 8));
  let offset = 16 + 40 * (images.length + 1);
  const bodies: { at: number; data: Uint8Array }[] = [];
  for (const { uuid, data } of images) {
    offset = (offset + 7) & ~7;
    bytes.push(...(uuid.match(/../g) ?? []).map((h) => Number.parseInt(h, 16)), ...le(offset, 8), ...le(data.length, 8), ...le(0, 8));
    bodies.push({ at: offset, data });
    offset += data.length;
  }
  bytes.push(...new Array<number>(16).fill(0), ...le(offset, 8), ...le(0, 16));
  const out = new Uint8Array(offset);
  out.set(bytes);
  for (const { at, data } of bodies) out.set(data, at);
  return out;
}

/** A flash image: BL1 at the start, the package at 256 KiB. */
export function flash(bl1: Uint8Array, fip: Uint8Array): Uint8Array {
  const out = new Uint8Array(0x4_0000 + fip.length);
  out.set(bl1);
  out.set(fip, 0x4_0000);
  return out;
}
