// The cache directory: everything that is fetched lives below it, and nothing outside it is ever changed.

import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { EmuError } from "../../util/errors.ts";

/** Absolute path of the cache: `RME_EMU_CACHE`, else `$XDG_CACHE_HOME/rme-emu`, else `~/.cache/rme-emu`. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env["RME_EMU_CACHE"]) return env["RME_EMU_CACHE"];
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "rme-emu");
}

/** Bytes read at a time: a stream in small pieces waits longer for its turns than it works, on every start of a fetched kernel. */
const PIECE = 2 ** 20;
/** Pieces between two turns of the event loop. */
const PIECES_PER_TURN = 64;

/** SHA-256 of a file, as 64 lower-case hexadecimal digits. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash("sha256");
  const piece = new Uint8Array(PIECE);
  const file = openSync(path, "r");
  try {
    for (let n = 1; ; n++) {
      const length = readSync(file, piece);
      if (length === 0) return hash.digest("hex");
      hash.update(piece.subarray(0, length));
      if (n % PIECES_PER_TURN === 0) await nextTurn();
    }
  } finally {
    closeSync(file);
  }
}

/** One file of a fetched item, relative to the folder of its manifest. */
export interface ManifestFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** What was fetched, from where in Debian, and what was made from it. Written last, so its presence means "complete". */
export interface Manifest {
  readonly item: string;
  /** Hash of the recipe (program version of the builder); another value means: build again from the cached packages. */
  readonly recipe: string;
  readonly fetched: string;
  readonly packages: readonly { name: string; version: string; suite: string; architecture: string; sha256: string }[];
  readonly files: readonly ManifestFile[];
}

/** Writes a file so that a reader never sees half of it. */
export function writeAtomic(path: string, data: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, data, { mode });
  renameSync(temporary, path);
}

/** Reads `dir/manifest.json`; undefined when the item is not there or was not finished. */
export function readManifest(dir: string): Manifest | undefined {
  const path = join(dir, "manifest.json");
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Manifest;
  } catch {
    return undefined;
  }
}

/** True when every file of the manifest is there with the recorded checksum. */
export async function verifyManifest(dir: string, manifest: Manifest): Promise<boolean> {
  for (const file of manifest.files) {
    const path = join(dir, file.path);
    if (!existsSync(path) || (await sha256File(path)) !== file.sha256) return false;
  }
  return true;
}

/** Runs `body` while no other process of ours changes the cache. A lock whose owner has died is taken over. */
export async function withCacheLock<T>(root: string, body: () => Promise<T>): Promise<T> {
  mkdirSync(root, { recursive: true });
  const lock = join(root, "lock");
  const deadline = Date.now() + 15 * 60_000;
  while (!tryLock(lock)) {
    if (Date.now() > deadline) throw new EmuError("cache-locked", `the cache is in use by another process (${lock})`);
    await sleep(200);
  }
  try {
    return await body();
  } finally {
    rmSync(lock, { force: true });
  }
}

function tryLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (!ownerAlive(lock)) rmSync(lock, { force: true });
    return false;
  }
}

function ownerAlive(lock: string): boolean {
  try {
    const pid = Number(readFileSync(lock, "utf8"));
    if (!Number.isInteger(pid) || pid <= 0) return true; // just being written
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
