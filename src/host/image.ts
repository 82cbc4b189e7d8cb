// What a realm holds when it starts, and its Realm Initial Measurement: one plan, which the builder carries out by RMI and which
// `rme-emu measure` only adds up.

import { type BootOptions, loadBoot, type Piece } from "../loader/boot.ts";
import type { FdtTree } from "../loader/fdt.ts";
import { writeFdt } from "../loader/fdt.ts";
import { patchChosen, type Range } from "../loader/fdt-patch.ts";
import { FileContents, readInput } from "../loader/files.ts";
import { readKernel } from "../loader/image.ts";
import type { RimEvent } from "../rmm/measure.ts";
import { levelSize } from "../rmm/rtt-entry.ts";
import { GRANULE } from "../rmm/status.ts";
import { EmuError, hex } from "../util/errors.ts";
import type { BoardMap } from "./board-maps.ts";

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const PAGE_LEVEL = 3;

/** Whole granules of a realm's initial contents, at an IPA. */
export interface Region {
  readonly ipa: number;
  readonly content: Uint8Array;
}

export interface RealmImage {
  readonly entry: number;
  readonly dtbAddress: number;
  /** By ascending IPA, in whole granules, none in two regions. */
  readonly regions: readonly Region[];
}

export interface ImageOptions {
  map: BoardMap;
  memory: number;
  kernel: string | Uint8Array;
  initrd?: string | Uint8Array | undefined;
  append?: string | undefined;
  tree: FdtTree;
}

/** Reads the files and places them as the board's VMM does. Throws EmuError for bad input, as loadBoot. */
export function realmImage(o: ImageOptions): RealmImage {
  const ram = { base: o.map.ram, size: o.memory };
  const boot = { kernel: o.kernel, initrd: o.initrd, bootargs: o.append, tree: o.tree, ram };
  const { entry, dtbAddress, pieces } = o.map.name === "virt" ? loadBoot(boot) : loadKvmtool(boot);
  const inMemory = pieces.map((p) => ({ ...p, data: p.data instanceof FileContents ? p.data.bytes() : p.data }));
  return { entry, dtbAddress, regions: granules(inMemory) };
}

/** kvmtool: the kernel at text_offset, the device tree 2 MiB below the end of the first 256 MiB, the initrd just below it. */
function loadKvmtool(o: BootOptions): { entry: number; dtbAddress: number; pieces: Piece[] } {
  const { ram } = o;
  const limit = ram.base + Math.min(ram.size, 256 * MiB);
  const kernel = readKernel(readInput("kernel", o.kernel, 2 ** 31), Math.min(512 * MiB, ram.size));
  if (kernel.kind !== "image") throw new EmuError("kernel-format", "the kvmtool board boots arm64 Images, not ELF files");
  const entry = ram.base + kernel.textOffset;
  const pieces: Piece[] = [{ name: "kernel", address: entry, data: kernel.data, size: kernel.size }];
  const dtbAddress = Math.ceil((limit - 64 * KiB - 2 * MiB) / (2 * MiB)) * 2 * MiB;
  let initrd: Range | undefined;
  if (o.initrd !== undefined) {
    const data = readInput("initrd", o.initrd, ram.size);
    const address = Math.floor((dtbAddress - data.length) / 4) * 4;
    pieces.push({ name: "initrd", address, data, size: data.length });
    initrd = { base: address, size: data.length };
  }
  const tree = structuredClone(o.tree);
  patchChosen(tree, ram, o.bootargs ?? "", initrd);
  const dtb = writeFdt(tree);
  pieces.push({ name: "device tree", address: dtbAddress, data: dtb, size: dtb.length });
  const sorted = [...pieces].sort((a, b) => a.address - b.address);
  const bad = sorted.find((p, i) => p.address < ram.base || p.address + p.size > (sorted[i + 1]?.address ?? ram.base + ram.size));
  if (bad) {
    const room = `memory is ${hex(ram.base)} to ${hex(ram.base + ram.size)}, of which kvmtool uses the first 256 MiB`;
    const more = ram.size < 256 * MiB ? "; give the realm more with --memory" : "";
    throw new EmuError(
      "kernel-too-large",
      `the ${bad.name} would occupy ${hex(bad.address)} to ${hex(bad.address + bad.size)} beside what else has to be there: ${room}${more}`,
    );
  }
  return { entry, dtbAddress, pieces };
}

/** Pieces rounded out to granules; pieces that share a granule become one region. */
function granules(pieces: readonly Piece<Uint8Array>[]): Region[] {
  const down = (v: number): number => Math.floor(v / GRANULE) * GRANULE;
  const up = (v: number): number => Math.ceil(v / GRANULE) * GRANULE;
  const groups: Piece<Uint8Array>[][] = [];
  let end = -1;
  for (const p of [...pieces].filter((p) => p.data.length > 0).sort((a, b) => a.address - b.address)) {
    if (down(p.address) < end) groups.at(-1)?.push(p);
    else groups.push([p]);
    end = up(p.address + p.data.length);
  }
  return groups.flatMap((group) => {
    const [first, ...others] = group as [Piece<Uint8Array>, ...Piece<Uint8Array>[]];
    const ipa = down(first.address);
    const whole = ipa === first.address && others.length === 0 ? down(first.data.length) : 0;
    // What a kernel has of whole granules is not copied: it may have 50 MB.
    const regions: Region[] = whole > 0 ? [{ ipa, content: first.data.subarray(0, whole) }] : [];
    const last = others.at(-1) ?? first;
    const rest = new Uint8Array(up(last.address + last.data.length) - ipa - whole);
    if (rest.length === 0) return regions;
    for (const p of group) rest.set(p.data.subarray(whole), p.address - ipa);
    return [...regions, { ipa: ipa + whole, content: rest }];
  });
}

/** The IPA ranges and levels at which RTT_INIT_RIPAS covers [base, top): the largest entries that fit, as KVM makes its tables. */
export function ripasSpans(base: number, top: number, startLevel: number): { base: number; top: number; level: number }[] {
  const spans: { base: number; top: number; level: number }[] = [];
  for (let at = base; at < top; ) {
    let level = startLevel;
    while (level < PAGE_LEVEL && (at % levelSize(level) !== 0 || at + levelSize(level) > top)) level++;
    const size = levelSize(level);
    const last = spans.at(-1);
    if (last && last.level === level) spans[spans.length - 1] = { ...last, top: at + size };
    else spans.push({ base: at, top: at + size, level });
    at += size;
  }
  return spans;
}

/** Everything that the RIM of a realm records, in the order of the builder (realm.ts). */
export function* rimEvents(o: { map: BoardMap; memory: number; startLevel: number; image: RealmImage; pes: number }): Generator<RimEvent> {
  for (const s of ripasSpans(o.map.ram, o.map.ram + o.memory, o.startLevel)) {
    yield { kind: "ripas", base: BigInt(s.base), top: BigInt(s.top), level: s.level };
  }
  for (const r of o.image.regions) yield { kind: "data", ipa: BigInt(r.ipa), content: r.content, measured: true };
  for (let n = 0; n < o.pes; n++) {
    const gprs = n === 0 ? [BigInt(o.image.dtbAddress)] : [];
    yield { kind: "rec", runnable: n === 0, pc: n === 0 ? BigInt(o.image.entry) : 0n, gprs };
  }
}
