// Effects of commands about Realm translation tables and unprotected mappings.

import { GRANULE } from "../../../src/rmm/status.ts";
import type { RmmBench, TestRealm } from "../bench-base.ts";
import { type Effects, effect, entryOf, rttError } from "./effects.ts";

const KiB4 = GRANULE;
const MiB2 = 2 ** 21;
const GiB = 2 ** 30;
const HALF = 2 ** 32;
const [UNASSIGNED, ASSIGNED, TABLE] = [0, 1, 2];
const [EMPTY, RAM, DESTROYED] = [0, 1, 2];
/** Attributes of unprotected mappings: Normal Write-Back, read-write; the same, read-only; Device. */
const [RW, RO, DEVICE] = [0xd8n, 0x58n, 0xc4n];

/** A realm with tables down to `level` for `ipa`. */
function realmWith(b: RmmBench, ipa: number, level = 3): TestRealm {
  const r = b.realm();
  b.tables(r, ipa, level);
  return r;
}
const map = (b: RmmBench, r: TestRealm, ipa: number, level: number, desc: bigint): bigint[] =>
  b.ok("RTT_MAP_UNPROTECTED", r.rd, ipa, level, desc);
/** All 512 pages of [0, 2 MiB) assigned, to contiguous granules that begin at the answer. */
function full(b: RmmBench, r: TestRealm): number {
  b.tables(r, 0);
  b.ok("RTT_INIT_RIPAS", r.rd, 0, MiB2);
  const pa = b.granule(512);
  for (let at = 0; at < MiB2; at += KiB4) {
    b.ok("GRANULE_DELEGATE", pa + at);
    b.ok("DATA_CREATE_UNKNOWN", r.rd, pa + at, at);
  }
  return pa;
}
const last = (r: TestRealm, level: number): number => r.tables.filter((t) => t.level === level).at(-1)?.rtt as number;

export const tableEffects: Effects = {
  RTT_CREATE: [
    effect("the new table says what the entry said: EMPTY, RAM, DESTROYED, unprotected", (b, f) => {
      const r = realmWith(b, 0, 2);
      b.ok("RTT_INIT_RIPAS", r.rd, MiB2, 2 * MiB2);
      b.tables(r, 2 * MiB2);
      b.ok("RTT_DESTROY", r.rd, 2 * MiB2, 3);
      b.tables(r, HALF, 2);
      for (const [ipa, ripas] of [
        [0, EMPTY],
        [MiB2, RAM],
        [2 * MiB2, DESTROYED],
        [HALF, EMPTY],
      ] as const) {
        const rtt = b.delegated();
        b.ok("RTT_CREATE", r.rd, rtt, ipa, 3);
        f.same("parent", entryOf(b, r, ipa, 2), [2, TABLE, rtt, 0]);
        for (const at of [ipa, ipa + MiB2 - KiB4]) f.same(at.toString(16), entryOf(b, r, at), [3, UNASSIGNED, 0, ripas]);
      }
      f.same("next", entryOf(b, r, 3 * MiB2), [2, UNASSIGNED, 0, EMPTY]);
    }),
    effect("an unprotected block becomes 512 pages with its attributes", (b, f) => {
      const r = realmWith(b, HALF, 2);
      map(b, r, HALF, 2, BigInt(GiB) | RO);
      b.ok("RTT_CREATE", r.rd, b.delegated(), HALF, 3);
      for (const i of [0, 1, 511]) f.same(`page ${i}`, entryOf(b, r, HALF + i * KiB4), [3, ASSIGNED, BigInt(GiB + i * KiB4) | RO, 0]);
    }),
    effect("an assigned block becomes 512 pages, and they can be taken away one by one", (b, f) => {
      const r = b.realm();
      const pa = full(b, r);
      b.ok("RTT_FOLD", r.rd, 0, 3);
      const rtt = b.delegated();
      b.ok("RTT_CREATE", r.rd, rtt, 0, 3);
      for (const i of [0, 1, 511]) f.same(`page ${i}`, entryOf(b, r, i * KiB4), [3, ASSIGNED, pa + i * KiB4, RAM]);
      f.same("destroy", b.code("RTT_DESTROY", r.rd, 0, 3), rttError(3));
      f.same("take away", b.ok("DATA_DESTROY", r.rd, KiB4), [pa + KiB4, 2 * KiB4]);
    }),
  ],
  RTT_DESTROY: [
    effect("what was below it is DESTROYED; top is where something is again", (b, f) => {
      const r = realmWith(b, 0);
      b.tables(r, 4 * MiB2);
      b.ok("RTT_INIT_RIPAS", r.rd, 0, KiB4);
      const table = last(r, 3);
      f.same("first", b.ok("RTT_DESTROY", r.rd, 0, 3)[1], 4 * MiB2);
      f.same("entry", entryOf(b, r, 0), [2, UNASSIGNED, 0, DESTROYED]);
      f.same("second", b.ok("RTT_DESTROY", r.rd, 4 * MiB2, 3), [table, GiB]);
      f.same("level 2", b.ok("RTT_DESTROY", r.rd, 0, 2), [last(r, 2), 2 ** 39]);
      f.same("all", entryOf(b, r, 0), [1, UNASSIGNED, 0, DESTROYED]);
    }),
    effect("a table of unprotected mappings goes with them", (b, f) => {
      const r = realmWith(b, HALF);
      map(b, r, HALF, 3, BigInt(b.granule()) | RW);
      f.same("code", b.code("RTT_DESTROY", r.rd, HALF, 3), 0);
      f.same("entry", entryOf(b, r, HALF), [2, UNASSIGNED, 0, EMPTY]);
    }),
    effect("of what is not there: how far it is to the next", (b, f) => {
      const r = realmWith(b, 0);
      b.tables(r, 2 * MiB2);
      const x = b.call("RTT_DESTROY", [r.rd, MiB2, 3]) as bigint[];
      f.same("result", x, [rttError(2), 0, 2 * MiB2]);
      b.data(r, 0);
      f.same("in use", b.call("RTT_DESTROY", [r.rd, 0, 3]) as bigint[], [rttError(3), 0, 0]);
      f.same("bad", b.call("RTT_DESTROY", [r.rd, 0, 4]) as bigint[], [1, 0, 0]);
    }),
  ],
  RTT_FOLD: [
    effect("512 equal entries become one: RAM, DESTROYED, unprotected", (b, f) => {
      const r = realmWith(b, 0);
      b.ok("RTT_INIT_RIPAS", r.rd, 0, MiB2);
      b.ok("RTT_FOLD", r.rd, 0, 3);
      f.same("RAM", entryOf(b, r, 0), [2, UNASSIGNED, 0, RAM]);
      b.tables(r, MiB2);
      b.ok("RTT_DESTROY", r.rd, MiB2, 3);
      b.ok("RTT_CREATE", r.rd, b.delegated(), MiB2, 3);
      b.ok("RTT_FOLD", r.rd, MiB2, 3);
      f.same("DESTROYED", entryOf(b, r, MiB2), [2, UNASSIGNED, 0, DESTROYED]);
      b.tables(r, HALF);
      b.ok("RTT_FOLD", r.rd, HALF, 3);
      f.same("unprotected", entryOf(b, r, HALF), [2, UNASSIGNED, 0, EMPTY]);
      b.ok("RTT_FOLD", r.rd, HALF, 2);
      f.same("level 2", entryOf(b, r, HALF), [1, UNASSIGNED, 0, EMPTY]);
    }),
    effect("512 pages that follow each other become a block; taken away, it is one", (b, f) => {
      const r = b.realm();
      const pa = full(b, r);
      const table = last(r, 3);
      f.same("table", b.ok("RTT_FOLD", r.rd, 0, 3), [table]);
      f.same("entry", entryOf(b, r, KiB4 * 5), [2, ASSIGNED, pa, RAM]);
      f.same("page", b.code("DATA_DESTROY", r.rd, 0), rttError(2));
    }),
    effect("512 unprotected pages become a block when attributes and addresses fit", (b, f) => {
      const r = realmWith(b, HALF);
      for (let i = 0; i < 512; i++) map(b, r, HALF + i * KiB4, 3, BigInt(GiB + i * KiB4) | (i === 7 ? RO : RW));
      f.same("one is read-only", b.code("RTT_FOLD", r.rd, HALF, 3), rttError(3));
      b.ok("RTT_UNMAP_UNPROTECTED", r.rd, HALF + 7 * KiB4, 3);
      f.same("one is missing", b.code("RTT_FOLD", r.rd, HALF, 3), rttError(3));
      map(b, r, HALF + 7 * KiB4, 3, BigInt(GiB + 7 * KiB4) | RW);
      b.ok("RTT_FOLD", r.rd, HALF, 3);
      f.same("block", entryOf(b, r, HALF), [2, ASSIGNED, BigInt(GiB) | RW, 0]);
    }),
    effect("pages in another order stay pages", (b, f) => {
      const r = realmWith(b, HALF);
      for (let i = 0; i < 512; i++) map(b, r, HALF + i * KiB4, 3, BigInt(GiB + ((i + 1) % 512) * KiB4) | RW);
      f.same("code", b.code("RTT_FOLD", r.rd, HALF, 3), rttError(3));
    }),
  ],
  RTT_READ_ENTRY: [
    effect("every state", (b, f) => {
      const r = realmWith(b, 0);
      b.ok("RTT_INIT_RIPAS", r.rd, KiB4, 2 * KiB4);
      const [assigned, unknown] = [b.data(r, 2 * KiB4), b.delegated()];
      b.ok("DATA_CREATE_UNKNOWN", r.rd, unknown, 3 * KiB4);
      b.data(r, 4 * KiB4);
      b.ok("DATA_DESTROY", r.rd, 4 * KiB4);
      f.same("UNASSIGNED, EMPTY", entryOf(b, r, 0), [3, UNASSIGNED, 0, EMPTY]);
      f.same("UNASSIGNED, RAM", entryOf(b, r, KiB4), [3, UNASSIGNED, 0, RAM]);
      f.same("ASSIGNED, RAM", entryOf(b, r, 2 * KiB4), [3, ASSIGNED, assigned, RAM]);
      f.same("ASSIGNED, EMPTY", entryOf(b, r, 3 * KiB4), [3, ASSIGNED, unknown, EMPTY]);
      f.same("UNASSIGNED, DESTROYED", entryOf(b, r, 4 * KiB4), [3, UNASSIGNED, 0, DESTROYED]);
      f.same("TABLE, level 2", entryOf(b, r, 0, 2), [2, TABLE, last(r, 3), 0]);
      f.same("TABLE, level 1", entryOf(b, r, 0, 1), [1, TABLE, last(r, 2), 0]);
      f.same("a walk that ends early", entryOf(b, r, GiB), [1, UNASSIGNED, 0, EMPTY]);
    }),
    effect("unprotected: the descriptor that the host gave", (b, f) => {
      const r = realmWith(b, HALF);
      for (const [i, attributes] of [RW, RO, DEVICE].entries()) {
        const desc = BigInt(b.granule()) | attributes;
        map(b, r, HALF + i * KiB4, 3, desc);
        f.same(`mapping ${i}`, entryOf(b, r, HALF + i * KiB4), [3, ASSIGNED, desc, 0]);
      }
      f.same("none", entryOf(b, r, HALF + 3 * KiB4), [3, UNASSIGNED, 0, 0]);
    }),
  ],
  RTT_MAP_UNPROTECTED: [
    effect("blocks of levels 1 and 2", (b, f) => {
      const r = realmWith(b, HALF, 2);
      map(b, r, HALF + MiB2, 2, BigInt(GiB + MiB2) | RW);
      f.same("level 2", entryOf(b, r, HALF + MiB2), [2, ASSIGNED, BigInt(GiB + MiB2) | RW, 0]);
      map(b, r, HALF + GiB, 1, BigInt(GiB) | RW);
      f.same("level 1", entryOf(b, r, HALF + GiB), [1, ASSIGNED, BigInt(GiB) | RW, 0]);
      f.same("address of no block", b.code("RTT_MAP_UNPROTECTED", r.rd, HALF, 2, BigInt(GiB + KiB4) | RW), 1);
      f.same("table there", b.code("RTT_MAP_UNPROTECTED", r.rd, HALF, 1, BigInt(GiB) | RW), rttError(1));
    }),
    effect("the realm reaches the page, also in a realm that runs, and no other", (b, f) => {
      const r = b.active();
      b.tables(r, HALF);
      const pa = b.granule();
      map(b, r, HALF, 3, BigInt(pa) | RW);
      b.enter(r);
      f.same("PA", b.realmPa(HALF + 0x20), pa + 0x20);
      f.same("next", b.realmPa(HALF + KiB4), -1);
    }),
    effect("one page may be mapped twice", (b, f) => {
      const r = realmWith(b, HALF);
      const desc = BigInt(b.granule()) | RW;
      map(b, r, HALF, 3, desc);
      map(b, r, HALF + KiB4, 3, desc);
      f.same("second", entryOf(b, r, HALF + KiB4), [3, ASSIGNED, desc, 0]);
    }),
  ],
  RTT_UNMAP_UNPROTECTED: [
    effect("top is the next mapping, or the end of the table", (b, f) => {
      const r = realmWith(b, HALF);
      for (const i of [0, 1, 9]) map(b, r, HALF + i * KiB4, 3, BigInt(b.granule()) | RW);
      const unmap = (i: number) => b.call("RTT_UNMAP_UNPROTECTED", [r.rd, HALF + i * KiB4, 3]) as bigint[];
      f.same("first", unmap(0), [0, HALF + KiB4]);
      f.same("second", unmap(1), [0, HALF + 9 * KiB4]);
      f.same("what is not mapped", unmap(2), [rttError(3), HALF + 9 * KiB4]);
      f.same("last", unmap(9), [0, HALF + MiB2]);
      f.same("nothing", unmap(0), [rttError(3), HALF + MiB2]);
    }),
    effect("the realm reaches it no more", (b, f) => {
      const r = b.active();
      b.tables(r, HALF);
      map(b, r, HALF, 3, BigInt(b.granule()) | RW);
      b.enter(r);
      b.realmPa(HALF);
      b.interrupt(r);
      b.ok("RTT_UNMAP_UNPROTECTED", r.rd, HALF, 3);
      b.enter(r);
      f.same("PA", b.realmPa(HALF), -1);
    }),
    effect("a block", (b, f) => {
      const r = realmWith(b, HALF, 2);
      map(b, r, HALF, 2, BigInt(GiB) | RW);
      f.same("as a page", b.call("RTT_UNMAP_UNPROTECTED", [r.rd, HALF, 3]) as bigint[], [rttError(2), HALF]);
      f.same("as a block", b.ok("RTT_UNMAP_UNPROTECTED", r.rd, HALF, 2), [HALF + GiB]);
    }),
  ],
};
