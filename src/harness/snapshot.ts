// Snapshot files: a header, then the saved state as CBOR (RFC 8949), gzip-compressed.

import { gunzipSync, gzipSync } from "node:zlib";
import { Decoder, Encoder } from "cbor-x";
import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";

const MAGIC = "rme-emu snapshot 1\n";

export function writeSnapshot(state: Saved): Uint8Array {
  const body = gzipSync(new Encoder({ largeBigIntToFloat: false }).encode(state), { level: 1 });
  return Buffer.concat([Buffer.from(MAGIC, "latin1"), body]);
}

/** Throws EmuError("snapshot-corrupt") when the bytes are not a whole snapshot. */
export function readSnapshot(bytes: Uint8Array): Saved {
  const head = Buffer.from(bytes.subarray(0, MAGIC.length)).toString("latin1");
  if (head !== MAGIC)
    throw new EmuError("snapshot-corrupt", `not a snapshot: it starts with "${head.slice(0, 18).trim()}", not "${MAGIC.trim()}"`);
  try {
    return new Decoder({ mapsAsObjects: true, useRecords: false }).decode(gunzipSync(bytes.subarray(MAGIC.length))) as Saved;
  } catch (e) {
    throw new EmuError("snapshot-corrupt", `the snapshot is damaged: ${(e as Error).message}`);
  }
}
