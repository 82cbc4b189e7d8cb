// Snapshot files:
//
//   "rme-emu snapshot 2\n" | SHA-256 of all that follows, 32 bytes | section | section | ...
//
// A section is two little-endian 32-bit numbers, its packed and its unpacked length, and then CBOR (RFC 8949) packed with gzip.
// The first section is the state of the machine without RAM; each of the others is a list of pieces of RAM, so that no more than a
// little of it is unpacked at a time.

import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import type { RamChunk } from "../mem/physical.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";

const VERSION = 2;
const MAGIC = Buffer.from(`rme-emu snapshot ${VERSION}\n`, "latin1");
const DIGEST = 32;
/** Pieces of RAM in a section: 16 MiB. */
const PIECES = 256;
/** The most that sections may unpack to, in bytes. The first one holds the contents of memory-backed drives. */
const MAX_STATE = 2 ** 31 - 1;
const MAX_RAM = 2 ** 25;

const encoder = new Encoder({ largeBigIntToFloat: false });
const decoder = new Decoder({ mapsAsObjects: true, useRecords: false });
const corrupt = (why: string): EmuError => new EmuError("snapshot-corrupt", `the snapshot is damaged: ${why}`);

/** The whole state of a machine. */
export interface Snapshot {
  state: Saved;
  ram: Iterable<RamChunk>;
}

export function writeSnapshot({ state, ram }: Snapshot): Uint8Array {
  const parts = [...section(state)];
  for (const pieces of groups(ram, PIECES)) parts.push(...section(pieces as unknown as Saved));
  const hash = createHash("sha256");
  for (const p of parts) hash.update(p);
  const file = Buffer.concat([MAGIC, hash.digest(), ...parts]);
  return new Uint8Array(file.buffer, file.byteOffset, file.length); // no Buffer, whose slice() is no copy
}

function section(content: Saved): [Uint8Array, Uint8Array] {
  const raw = encoder.encode(content);
  const packed = gzipSync(raw, { level: 1 });
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(packed.length, 0);
  lengths.writeUInt32LE(raw.length, 4);
  return [lengths, packed];
}

function* groups<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let group: T[] = [];
  for (const item of items) {
    if (group.push(item) < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** What whoever saved the machine has noted in the snapshot; null: nothing. Throws as readSnapshot. */
export function snapshotNote(file: Uint8Array): Saved {
  const { state } = readSnapshot(file);
  return (state as { note?: Saved } | null)?.note ?? null;
}

/**
 * Checks the whole file and unpacks the state; RAM is unpacked while it is iterated. Throws EmuError("snapshot-corrupt"), at once
 * for every accidental damage.
 */
export function readSnapshot(file: Uint8Array): Snapshot {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  const start = MAGIC.length + DIGEST;
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    const version = /^rme-emu snapshot (\d{1,9})\n/.exec(bytes.subarray(0, 32).toString("latin1"))?.[1];
    if (version !== undefined)
      throw new EmuError("snapshot-version", `the snapshot has format ${version}; this version of rme-emu reads format ${VERSION}`);
    const head = JSON.stringify(bytes.subarray(0, MAGIC.length - 1).toString("latin1"));
    throw new EmuError("snapshot-corrupt", `not a snapshot: it starts with ${head}, not with "${MAGIC.toString("latin1").trim()}"`);
  }
  const digest = createHash("sha256").update(bytes.subarray(start)).digest();
  if (!digest.equals(bytes.subarray(MAGIC.length, start))) throw corrupt("its checksum does not match, or it is cut short");
  const { content, end } = readSection(bytes, start, MAX_STATE);
  return { state: content as Saved, ram: readRam(bytes, end) };
}

function* readRam(bytes: Buffer, start: number): Generator<RamChunk> {
  for (let at = start; at < bytes.length; ) {
    const { content, end } = readSection(bytes, at, MAX_RAM);
    if (!Array.isArray(content)) throw corrupt("a section is not a list of pieces of RAM");
    for (const piece of content as (Partial<RamChunk> | null)[]) {
      if (typeof piece?.pa !== "number" || !(piece.data instanceof Uint8Array)) throw corrupt("a piece of RAM has the wrong shape");
      yield piece as RamChunk;
    }
    at = end;
  }
}

function readSection(bytes: Buffer, at: number, max: number): { content: unknown; end: number } {
  if (at + 8 > bytes.length) throw corrupt("a section is cut short");
  const [packed, raw] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
  const end = at + 8 + packed;
  if (end > bytes.length) throw corrupt(`a section of ${packed} bytes goes beyond the end`);
  if (raw > max) throw corrupt(`a section unpacks to ${raw} bytes, more than the ${max} that there may be`);
  try {
    const content: unknown = decoder.decode(gunzipSync(bytes.subarray(at + 8, end), { maxOutputLength: Math.max(1, raw) }));
    return { content, end };
  } catch (e) {
    throw corrupt((e as Error).message);
  }
}
