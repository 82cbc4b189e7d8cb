// Effects of commands about granules and realms.

import { GranuleState } from "../../../src/rmm/granules.ts";
import { GRANULE, HashAlgorithm } from "../../../src/rmm/status.ts";
import type { RmmBench, TestRealm } from "../bench-base.ts";
import { type Effects, effect, entryOf, measurement, PSCI, RSI, rimOf } from "./effects.ts";

const GiB = 2 ** 30;

/** A realm of 2^40 bytes: two start tables of level 1, concatenated. */
function wide(b: RmmBench): TestRealm {
  const base = b.delegated(2);
  const r = b.realm((p) => {
    p.set("s2sz", 40);
    p.set("rtt_num_start", 2);
    p.set("rtt_base", base);
  });
  return { ...r, rtts: [base, base + GRANULE] };
}

export const realmEffects: Effects = {
  GRANULE_DELEGATE: [
    effect("what the granule held does not come back", (b, f) => {
      const pa = b.granule();
      b.write(pa, new Uint8Array(GRANULE).fill(0x77));
      b.ok("GRANULE_DELEGATE", pa);
      b.ok("GRANULE_UNDELEGATE", pa);
      f.same("zero", b.isZero(pa), true);
    }),
    effect("one granule and no other", (b, f) => {
      const pa = b.granule(4);
      for (let i = 0; i < 4; i++) b.write(pa + i * GRANULE, new Uint8Array(GRANULE).fill(0x77));
      b.ok("GRANULE_DELEGATE", pa + GRANULE);
      f.same(
        "reach",
        [0, 1, 2, 3].map((i) => b.hostAccess(pa + i * GRANULE) === "ok"),
        [true, false, true, true],
      );
      f.same(
        "contents",
        [0, 2, 3].map((i) => b.read(pa + i * GRANULE).every((v) => v === 0x77)),
        [true, true, true],
      );
    }),
  ],
  GRANULE_UNDELEGATE: [
    effect("may be delegated again", (b, f) => {
      const pa = b.delegated();
      for (let i = 0; i < 3; i++) {
        b.ok("GRANULE_UNDELEGATE", pa);
        f.same("reach", b.hostAccess(pa), "ok");
        b.ok("GRANULE_DELEGATE", pa);
      }
      f.same("again", b.code("GRANULE_DELEGATE", pa), 1);
    }),
  ],
  REALM_CREATE: [
    effect("two start tables are one: protected below the middle, unprotected above", (b, f) => {
      const r = wide(b);
      f.same(
        "tables",
        r.rtts.map((pa) => b.isState(pa, GranuleState.RTT)),
        [true, true],
      );
      for (const ipa of [0, 2 ** 39 - GiB, 2 ** 39, 2 ** 40 - GiB]) f.same(ipa.toString(16), entryOf(b, r, ipa, 1), [1, 0, 0, 0]);
      b.ok("RTT_CREATE", r.rd, b.delegated(), 2 ** 39, 2);
      b.ok("RTT_CREATE", r.rd, b.delegated(), 2 ** 39 - GiB, 2);
      const desc = BigInt(GiB) | 0xd8n;
      f.same("map above", b.code("RTT_MAP_UNPROTECTED", r.rd, 2 ** 40 - GiB, 1, desc), 0);
      f.same("map below", b.code("RTT_MAP_UNPROTECTED", r.rd, 0, 1, desc), 1);
    }),
    effect("four levels with a start table of level 0", (b, f) => {
      const r = b.realm((p) => {
        p.set("s2sz", 48);
        p.set("rtt_level_start", 0);
      });
      f.same("entry", entryOf(b, r, 0, 0), [0, 0, 0, 0]);
      f.same("level 1", b.code("RTT_CREATE", r.rd, b.delegated(), 0, 1), 0);
      f.same("level 3 without level 2", b.code("RTT_CREATE", r.rd, b.delegated(), 0, 3), 4 | (1 << 8));
    }),
    effect("a realm of the smallest size, with its tables from level 2 on", (b, f) => {
      const base = b.delegated(4);
      const r = b.realm((p) => {
        p.set("s2sz", 32);
        p.set("rtt_level_start", 2);
        p.set("rtt_num_start", 4);
        p.set("rtt_base", base);
      });
      f.same("entry", entryOf(b, r, 2 ** 31, 2), [2, 0, 0, 0]);
      f.same("level 1", b.code("RTT_READ_ENTRY", r.rd, 0, 1), 1);
      f.same("level 3", b.code("RTT_CREATE", r.rd, b.delegated(), 0, 3), 0);
    }),
    effect("algorithm, personalization value and first measurement are as given", (b, f) => {
      for (const hash of [HashAlgorithm.SHA_256, HashAlgorithm.SHA_512]) {
        const r = b.realm((p) => {
          p.set("hash_algo", hash);
          p.bytes("rpv").fill(0x42);
        });
        const page = new Uint8Array(GRANULE).fill(0x11);
        const data = b.data(r, 0, page);
        b.rec(r);
        b.ok("REALM_ACTIVATE", r.rd);
        b.enter(r);
        f.same("REALM_CONFIG", (b.realmSmc(RSI.REALM_CONFIG, [0]) as bigint[])[0], 0);
        f.same("width", b.read64(data), 33);
        f.same("algorithm", b.read(data + 8, 1)[0], hash);
        f.same(
          "value",
          b.read(data + 0x200, 64).every((v) => v === 0x42),
          true,
        );
        f.same(
          "REMs",
          [1, 2, 3, 4].map((i) => /^0*$/.test(measurement(b, i))),
          [true, true, true, true],
        );
        const events = [
          { kind: "data", ipa: 0n, content: page, measured: true },
          { kind: "rec", runnable: true, pc: 0n, gprs: [] },
        ] as const;
        f.same("RIM", measurement(b), rimOf(hash, events));
        b.interrupt(r);
      }
    }),
  ],
  REALM_ACTIVATE: [
    effect("what a NEW realm may is over, what an ACTIVE one may begins", (b, f) => {
      const r = b.realm();
      b.data(r, 0);
      b.rec(r);
      f.same("enter before", b.enter(r), 2);
      b.ok("REALM_ACTIVATE", r.rd);
      f.same("INIT_RIPAS", b.code("RTT_INIT_RIPAS", r.rd, 0x1000, 0x2000), 2);
      f.same("DATA_CREATE", b.code("DATA_CREATE", r.rd, b.delegated(), 0x1000, b.granule(), 0), 2);
      f.same("DATA_CREATE_UNKNOWN", b.code("DATA_CREATE_UNKNOWN", r.rd, b.delegated(), 0x1000), 0);
      f.same("RTT_CREATE", b.code("RTT_CREATE", r.rd, b.delegated(), GiB, 2), 0);
      f.same("enter", b.enter(r), "running");
    }),
  ],
  REALM_DESTROY: [
    effect("its VMID is free again, from NEW, ACTIVE and SYSTEM_OFF", (b, f) => {
      for (const state of ["new", "active", "off"]) {
        const r = b.realm();
        const vmid = b.lastVmid;
        b.data(r, 0);
        const rec = b.rec(r);
        if (state !== "new") b.ok("REALM_ACTIVATE", r.rd);
        if (state === "off") {
          b.enter(r);
          f.same("SYSTEM_OFF", b.realmSmc(PSCI.SYSTEM_OFF), "exit");
          f.same("enter", b.enter(r), 2 | (1 << 8));
        }
        b.ok("REC_DESTROY", rec);
        b.ok("DATA_DESTROY", r.rd, 0);
        for (const t of [...r.tables].reverse()) b.ok("RTT_DESTROY", r.rd, t.ipa, t.level);
        f.same(`destroy ${state}`, b.code("REALM_DESTROY", r.rd), 0);
        const again = b.realm((p) => p.set("vmid", vmid));
        f.same("state", entryOf(b, again, 0, 1), [1, 0, 0, 0]);
      }
    }),
    effect("unprotected mappings do not keep it", (b, f) => {
      const r = b.realm();
      b.ok("RTT_MAP_UNPROTECTED", r.rd, 2 ** 32, 1, BigInt(GiB) | 0xd8n);
      f.same("destroy", b.code("REALM_DESTROY", r.rd), 0);
    }),
  ],
  REC_AUX_COUNT: [
    effect("the same in every state of the realm", (b, f) => {
      const r = b.active();
      const [active] = b.ok("REC_AUX_COUNT", r.rd);
      b.enter(r);
      b.realmSmc(PSCI.SYSTEM_OFF);
      f.same("off", b.ok("REC_AUX_COUNT", r.rd), [active]);
      f.same("new", b.ok("REC_AUX_COUNT", b.realm().rd), [active]);
    }),
  ],
};
