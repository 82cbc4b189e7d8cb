// Effects of commands about the memory of realms: RIPAS and data granules.

import type { RimEvent } from "../../../src/rmm/measure.ts";
import { GRANULE } from "../../../src/rmm/status.ts";
import type { RmmBench, TestRealm } from "../bench-base.ts";
import { type Effects, effect, entryOf, measurement, RSI, rimOf, rttError } from "./effects.ts";

const KiB4 = GRANULE;
const MiB2 = 2 ** 21;
const GiB = 2 ** 30;
const [UNASSIGNED, ASSIGNED] = [0, 1];
const [EMPTY, RAM, DESTROYED] = [0, 1, 2];
const SUCCESS = 0;

/** A realm that runs and has asked for a RIPAS; the PE is the host's. */
function asks(b: RmmBench, r: TestRealm, base: number, top: number, ripas: number, flags = 0): void {
  b.enter(r);
  if (b.realmSmc(RSI.IPA_STATE_SET, [base, top, ripas, flags]) !== "exit") throw new Error("the request is answered at once");
}
const set = (b: RmmBench, r: TestRealm, base: number, top: number): bigint[] =>
  b.call("RTT_SET_RIPAS", [r.rd, r.recs[0] as number, base, top]) as bigint[];
/** Goes on with the realm: x1 and x2 of IPA_STATE_SET. */
function answer(b: RmmBench, r: TestRealm): bigint[] {
  b.enter(r);
  return [b.pe().st.x(0), b.pe().st.x(1), b.pe().st.x(2)];
}
/** The RIM that a realm reads with these events, and a runnable REC at the end. */
function measured(b: RmmBench, r: TestRealm): string {
  b.rec(r);
  b.ok("REALM_ACTIVATE", r.rd);
  b.enter(r);
  return measurement(b);
}
const REC: RimEvent = { kind: "rec", runnable: true, pc: 0n, gprs: [] };
const page = (v: number) => new Uint8Array(GRANULE).fill(v);

export const memoryEffects: Effects = {
  RTT_INIT_RIPAS: [
    effect("as far as its table goes; the rest is another call", (b, f) => {
      const r = b.realm();
      b.tables(r, 0);
      b.tables(r, MiB2);
      f.same("first", b.ok("RTT_INIT_RIPAS", r.rd, MiB2 - 2 * KiB4, MiB2 + 2 * KiB4), [MiB2]);
      f.same("second", b.ok("RTT_INIT_RIPAS", r.rd, MiB2, MiB2 + 2 * KiB4), [MiB2 + 2 * KiB4]);
      f.same("before", entryOf(b, r, MiB2 - 3 * KiB4), [3, UNASSIGNED, 0, EMPTY]);
      for (const i of [-2, -1, 0, 1]) f.same(`page ${i}`, entryOf(b, r, MiB2 + i * KiB4), [3, UNASSIGNED, 0, RAM]);
      f.same("behind", entryOf(b, r, MiB2 + 2 * KiB4), [3, UNASSIGNED, 0, EMPTY]);
    }),
    effect("whole blocks, and no part of one", (b, f) => {
      const r = b.realm();
      b.tables(r, 0, 2);
      f.same("two and a half", b.ok("RTT_INIT_RIPAS", r.rd, MiB2, 3 * MiB2 + MiB2 / 2), [3 * MiB2]);
      f.same("the half", b.code("RTT_INIT_RIPAS", r.rd, 3 * MiB2, 3 * MiB2 + MiB2 / 2), rttError(2));
      f.same("block", entryOf(b, r, 2 * MiB2), [2, UNASSIGNED, 0, RAM]);
      f.same("level 1", b.ok("RTT_INIT_RIPAS", r.rd, GiB, 2 * GiB), [2 * GiB]);
    }),
    effect("stops at what is assigned, or below it", (b, f) => {
      const r = b.realm();
      b.data(r, 3 * KiB4);
      f.same("top", b.ok("RTT_INIT_RIPAS", r.rd, 0, 8 * KiB4), [3 * KiB4]);
      f.same("there", b.code("RTT_INIT_RIPAS", r.rd, 3 * KiB4, 8 * KiB4), rttError(3));
      b.tables(r, 2 * MiB2);
      b.ok("RTT_INIT_RIPAS", r.rd, 4 * KiB4, MiB2);
      f.same("table below", b.ok("RTT_INIT_RIPAS", r.rd, MiB2, 8 * MiB2), [2 * MiB2]);
    }),
    effect("each entry is measured, also when it is RAM already, and by its size", (b, f) => {
      const r = b.realm();
      b.tables(r, 0);
      b.ok("RTT_INIT_RIPAS", r.rd, 0, 2 * KiB4);
      b.ok("RTT_INIT_RIPAS", r.rd, KiB4, 2 * KiB4);
      b.ok("RTT_INIT_RIPAS", r.rd, MiB2, 3 * MiB2);
      const events: RimEvent[] = [
        { kind: "ripas", base: 0n, top: 0x2000n, level: 3 },
        { kind: "ripas", base: 0x1000n, top: 0x2000n, level: 3 },
        { kind: "ripas", base: 0x20_0000n, top: 0x60_0000n, level: 2 },
        { kind: "data", ipa: BigInt(8 * KiB4), content: page(1), measured: true },
        REC,
      ];
      b.data(r, 8 * KiB4, page(1));
      f.same("RIM", measured(b, r), rimOf(0, events));
    }),
  ],
  RTT_SET_RIPAS: [
    effect("EMPTY and back: the granule stays, its contents too", (b, f) => {
      const r = b.realm();
      b.data(r, 0);
      const pa = b.data(r, KiB4, page(0x3c));
      b.rec(r);
      b.ok("REALM_ACTIVATE", r.rd);
      asks(b, r, KiB4, 2 * KiB4, EMPTY);
      f.same("EMPTY", set(b, r, KiB4, 2 * KiB4), [SUCCESS, 2 * KiB4]);
      f.same("entry", entryOf(b, r, KiB4), [3, ASSIGNED, pa, EMPTY]);
      f.same("answer", answer(b, r), [0, 2 * KiB4, 0]);
      f.same("reach", b.realmPa(KiB4), -1);
      b.realmSmc(RSI.IPA_STATE_SET, [KiB4, 2 * KiB4, RAM, 0]);
      f.same("RAM", set(b, r, KiB4, 2 * KiB4), [SUCCESS, 2 * KiB4]);
      f.same("entry", entryOf(b, r, KiB4), [3, ASSIGNED, pa, RAM]);
      f.same("answer", answer(b, r), [0, 2 * KiB4, 0]);
      f.same("reach", b.realmPa(KiB4), pa);
      f.same(
        "contents",
        b.read(pa).every((v) => v === 0x3c),
        true,
      );
    }),
    effect("in parts; the realm reads how far it got", (b, f) => {
      const r = b.active();
      b.tables(r, MiB2);
      asks(b, r, MiB2 - 2 * KiB4, MiB2 + 2 * KiB4, RAM);
      f.same("first", set(b, r, MiB2 - 2 * KiB4, MiB2 + 2 * KiB4), [SUCCESS, MiB2]);
      f.same("where it was", set(b, r, MiB2 - 2 * KiB4, MiB2), [1]);
      f.same("where it is", set(b, r, MiB2, MiB2 + KiB4), [SUCCESS, MiB2 + KiB4]);
      f.same("answer", answer(b, r), [0, MiB2 + KiB4, 0]);
      f.same("over", b.realmSmc(RSI.IPA_STATE_GET, [MiB2 - 2 * KiB4, MiB2 + 4 * KiB4]) as bigint[], [0, MiB2, RAM]);
      b.interrupt(r);
      f.same("no request any more", set(b, r, MiB2 + KiB4, MiB2 + 2 * KiB4), [1]);
    }),
    effect("DESTROYED is left alone unless the realm lets it", (b, f) => {
      const r = b.active();
      b.ok("DATA_DESTROY", r.rd, KiB4);
      asks(b, r, KiB4, 2 * KiB4, RAM);
      f.same("without", set(b, r, KiB4, 2 * KiB4), [rttError(3)]);
      f.same("answer", answer(b, r), [0, KiB4, 0]);
      b.realmSmc(RSI.IPA_STATE_SET, [KiB4, 2 * KiB4, RAM, 1]);
      f.same("with", set(b, r, KiB4, 2 * KiB4), [SUCCESS, 2 * KiB4]);
      f.same("entry", entryOf(b, r, KiB4), [3, UNASSIGNED, 0, RAM]);
    }),
    effect("blocks as blocks; a part of one needs a table", (b, f) => {
      const r = b.active();
      asks(b, r, 2 * MiB2, 3 * MiB2 + KiB4, RAM);
      f.same("block", set(b, r, 2 * MiB2, 3 * MiB2 + KiB4), [SUCCESS, 3 * MiB2]);
      f.same("part", set(b, r, 3 * MiB2, 3 * MiB2 + KiB4), [rttError(2)]);
      b.tables(r, 3 * MiB2);
      f.same("page", set(b, r, 3 * MiB2, 3 * MiB2 + KiB4), [SUCCESS, 3 * MiB2 + KiB4]);
      f.same("entry", entryOf(b, r, 2 * MiB2), [2, UNASSIGNED, 0, RAM]);
    }),
  ],
  DATA_CREATE: [
    effect("measured or not: the measurement says which", (b, f) => {
      const r = b.realm();
      b.tables(r, 0);
      for (const [i, flags] of [0, 1].entries()) {
        const src = b.granule();
        b.write(src, page(0x60 + i));
        b.ok("DATA_CREATE", r.rd, b.delegated(), i * KiB4, src, flags);
      }
      const events: RimEvent[] = [
        { kind: "data", ipa: 0n, content: page(0x60), measured: false },
        { kind: "data", ipa: BigInt(KiB4), content: page(0x61), measured: true },
        REC,
      ];
      f.same("RIM", measured(b, r), rimOf(0, events));
    }),
    effect("RIPAS is RAM afterwards, whatever it was; the source stays the host's", (b, f) => {
      const r = b.realm();
      b.tables(r, 0);
      b.ok("RTT_INIT_RIPAS", r.rd, KiB4, 2 * KiB4);
      b.data(r, 2 * KiB4);
      b.ok("DATA_DESTROY", r.rd, 2 * KiB4);
      for (const ipa of [0, KiB4, 2 * KiB4]) {
        const src = b.granule();
        b.write(src, page(0x22));
        const data = b.delegated();
        b.ok("DATA_CREATE", r.rd, data, ipa, src, 1);
        f.same("entry", entryOf(b, r, ipa), [3, ASSIGNED, data, RAM]);
        f.same("source", [b.hostAccess(src), b.read(src).every((v) => v === 0x22)], ["ok", true]);
        f.same("reach", b.hostAccess(data) === "ok", false);
      }
    }),
  ],
  DATA_CREATE_UNKNOWN: [
    effect("leaves RIPAS as it is; the realm reaches it when that is RAM", (b, f) => {
      const r = b.realm();
      b.data(r, 0);
      b.ok("RTT_INIT_RIPAS", r.rd, KiB4, 2 * KiB4);
      b.data(r, 2 * KiB4);
      b.rec(r);
      b.ok("REALM_ACTIVATE", r.rd);
      b.ok("DATA_DESTROY", r.rd, 2 * KiB4);
      for (const [ipa, ripas] of [
        [KiB4, RAM],
        [2 * KiB4, DESTROYED],
        [3 * KiB4, EMPTY],
      ] as const) {
        const data = b.delegated();
        b.ok("DATA_CREATE_UNKNOWN", r.rd, data, ipa);
        f.same(`entry ${ripas}`, entryOf(b, r, ipa), [3, ASSIGNED, data, ripas]);
        b.enter(r);
        f.same(`reach ${ripas}`, b.realmPa(ipa), ripas === RAM ? data : -1);
        b.interrupt(r);
      }
    }),
    effect("nothing of what the host had there; no measurement", (b, f) => {
      const r = b.realm();
      b.tables(r, 0);
      b.ok("RTT_INIT_RIPAS", r.rd, 0, KiB4);
      const pa = b.granule();
      b.write(pa, page(0x99));
      b.ok("GRANULE_DELEGATE", pa);
      b.ok("DATA_CREATE_UNKNOWN", r.rd, pa, 0);
      f.same(
        "contents",
        b.read(pa).some((v) => v === 0x99),
        false,
      );
      f.same("RIM", measured(b, r), rimOf(0, [{ kind: "ripas", base: 0n, top: 0x1000n, level: 3 }, REC]));
    }),
  ],
  DATA_DESTROY: [
    effect("top is the next granule, or the end of the table", (b, f) => {
      const r = b.realm();
      const pa = [0, 1, 9].map((i) => b.data(r, i * KiB4));
      const destroy = (i: number) => b.call("DATA_DESTROY", [r.rd, i * KiB4]) as bigint[];
      f.same("first", destroy(0), [0, pa[0], KiB4]);
      f.same("second", destroy(1), [0, pa[1], 9 * KiB4]);
      f.same("what is none", destroy(2), [rttError(3), 0, 9 * KiB4]);
      f.same("last", destroy(9), [0, pa[2], MiB2]);
    }),
    effect("EMPTY stays EMPTY, RAM and DESTROYED become DESTROYED", (b, f) => {
      const r = b.active();
      b.ok("DATA_CREATE_UNKNOWN", r.rd, b.delegated(), 2 * KiB4);
      b.ok("DATA_DESTROY", r.rd, 2 * KiB4);
      f.same("EMPTY", entryOf(b, r, 2 * KiB4), [3, UNASSIGNED, 0, EMPTY]);
      b.ok("DATA_DESTROY", r.rd, KiB4);
      b.ok("DATA_CREATE_UNKNOWN", r.rd, b.delegated(), KiB4);
      b.ok("DATA_DESTROY", r.rd, KiB4);
      f.same("DESTROYED", entryOf(b, r, KiB4), [3, UNASSIGNED, 0, DESTROYED]);
    }),
    effect("the realm reaches it no more; the host gets zeros", (b, f) => {
      const r = b.active();
      b.enter(r);
      const pa = b.realmPa(KiB4);
      b.interrupt(r);
      b.ok("DATA_DESTROY", r.rd, KiB4);
      b.enter(r);
      f.same("reach", b.realmPa(KiB4), -1);
      b.interrupt(r);
      f.same("zero", b.givenBackZero(pa), true);
    }),
  ],
};
