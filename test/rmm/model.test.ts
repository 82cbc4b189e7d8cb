// Random RMI sequences against the model of model.ts. After every call: status and results are the predicted ones; every granule is in the
// predicted state, which the granule protection table agrees with; every table holds what the model's table says, and as many references;
// what is DELEGATED is zero, and what was given back reads as zero and is the host's again.
//
// RMM_MODEL_STEPS: number of calls over all seeds.

import { expect, it } from "vitest";
import { Gpi } from "../../src/gpt/format.ts";
import { rmiCommands, rsi } from "../../src/rmm/commands.ts";
import { RecParams } from "../../src/rmm/layouts.ts";
import { blank } from "../../src/rmm/struct.ts";
import { Bench } from "./bench.ts";
import { type Answer, Model, type Realm, type State, sizeAt, type Table } from "./model.ts";

const STEPS = Number(process.env["RMM_MODEL_STEPS"] ?? 20_000);
const SEEDS = [1, 7, 99, 2026];
const POOL = 84;
const PAGE = 4096;
const STATES: readonly State[] = ["UNDELEGATED", "DELEGATED", "RD", "REC", "REC_AUX", "DATA", "RTT"];
const ZERO = new Uint8Array(PAGE);
const IPAS = [
  0,
  0x1000,
  0x2000,
  0x1ff000,
  2 ** 21,
  2 ** 21 + 0x3000,
  2 ** 30,
  2 ** 32 - 0x1000,
  2 ** 32,
  2 ** 32 + 0x1000,
  2 ** 32 + 2 ** 21,
  2 ** 33,
];

/** xorshift32. */
class Random {
  private s: number;
  constructor(seed: number) {
    this.s = seed;
  }
  next(n: number): number {
    this.s ^= this.s << 13;
    this.s ^= this.s >>> 17;
    this.s ^= this.s << 5;
    return (this.s >>> 0) % n;
  }
  pick<T>(list: readonly T[]): T | undefined {
    return list[this.next(Math.max(1, list.length))];
  }
  chance(one: number): boolean {
    return this.next(one) === 0;
  }
}

class Walker {
  readonly b = new Bench();
  readonly rnd: Random;
  readonly pool: number[];
  readonly model: Model;
  /** Host memory: contents for DATA_CREATE, a block of 2 MiB to map, parameters, run page. */
  private readonly src: number;
  private readonly block: number;
  private readonly params: number;
  private readonly run: number;
  readonly done = new Map<string, number>();
  private vmid = 1;
  private filler = 1;

  constructor(seed: number) {
    this.rnd = new Random(seed);
    this.pool = Array.from({ length: POOL }, () => this.b.granule());
    this.model = new Model(this.pool);
    this.src = this.b.granule();
    this.block = 0x4020_0000 + 2 ** 22;
    this.params = this.b.granule();
    this.run = this.b.granule();
    this.b.write(this.src, new Uint8Array(PAGE).fill(0xee));
  }

  /** Mostly a granule in the state that is needed, sometimes any. */
  private of(state: State): number {
    const wanted = this.rnd.chance(10) ? this.pool : this.pool.filter((g) => this.model.is(g, state));
    return this.rnd.pick(wanted) ?? (this.pool[0] as number);
  }
  private call(name: Parameters<Bench["call"]>[0], args: readonly (number | bigint)[], expected: Answer): void {
    const got = this.b.call(name, args);
    if (got === undefined) throw new Error(`RMI_${name} did not return`);
    const what = `RMI_${name}(${args.map((a) => a.toString(16))})`;
    for (const [i, v] of expected.entries()) if (got[i] !== BigInt(v)) throw new Error(`${what}: x${i} is ${got[i]}, the model says ${v}`);
    if (expected[0] === 0) this.done.set(name, (this.done.get(name) ?? 0) + 1);
  }

  step(): void {
    const { rnd, model } = this;
    const choice = rnd.next(28);
    const unprotected = choice === 20 || choice === 21;
    const ipa = rnd.pick(unprotected && !rnd.chance(8) ? IPAS.filter((a) => a >= 2 ** 32) : IPAS) as number;
    const level = rnd.chance(20) ? rnd.next(6) : 2 + rnd.next(2);
    const up = level >= 1 && level <= 3 ? ipa - (ipa % sizeAt(level - 1)) : ipa;
    const at = level >= 1 && level <= 3 && !rnd.chance(20) ? ipa - (ipa % sizeAt(level)) : ipa;
    const rd = this.of("RD");
    switch (choice) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: {
        const g = this.of("UNDELEGATED");
        this.call("GRANULE_DELEGATE", [g], model.delegate(g));
        return;
      }
      case 5: {
        const g = this.of("DELEGATED");
        this.call("GRANULE_UNDELEGATE", [g], model.undelegate(g));
        // What comes back is zero, and the host's: it writes there.
        if (model.is(g, "UNDELEGATED") && this.b.monitor.gpt.gpi(g) === Gpi.NonSecure)
          this.b.write(g, new Uint8Array(64).fill(this.filler++));
        return;
      }
      case 6: {
        const table = this.of("DELEGATED");
        const target = this.of("DELEGATED");
        const { params } = this.b.params((p) => p.set("rtt_base", table));
        params.set("vmid", this.vmid++ & 0xffff);
        this.b.write(this.params, params.raw);
        this.call("REALM_CREATE", [target, this.params], model.realmCreate(target, table));
        return;
      }
      case 7:
        if (rnd.chance(2)) this.call("REALM_ACTIVATE", [rd], model.realmActivate(rd));
        return;
      case 8:
        this.call("REALM_DESTROY", [rd], model.realmDestroy(rd));
        return;
      case 9:
        this.recCreate(rd);
        return;
      case 10: {
        const rec = this.of("REC");
        if (rnd.chance(4)) this.call("REC_DESTROY", [rec], model.recDestroy(rec));
        return;
      }
      case 11:
      case 12:
        this.recEnter(this.of("REC"), ipa);
        return;
      case 13:
        this.setRipas(this.of("REC"), rd, ipa);
        return;
      case 14:
      case 15:
      case 16: {
        const table = this.of("DELEGATED");
        this.call("RTT_CREATE", [rd, table, up, level], model.rttCreate(rd, table, up, level));
        return;
      }
      case 17:
        this.call("RTT_DESTROY", [rd, up, level], model.rttDestroy(rd, up, level));
        return;
      case 18:
        this.call("RTT_FOLD", [rd, up, level], model.rttFold(rd, up, level));
        return;
      case 19:
        this.call("RTT_READ_ENTRY", [rd, at, level], model.rttReadEntry(rd, at, level));
        return;
      case 20: {
        const desc = BigInt(level === 2 && !rnd.chance(8) ? this.block : this.src) | 0xd8n;
        this.call("RTT_MAP_UNPROTECTED", [rd, at, level, desc], model.mapUnprotected(rd, at, level, desc));
        return;
      }
      case 21:
        this.call("RTT_UNMAP_UNPROTECTED", [rd, at, level], model.unmapUnprotected(rd, at, level));
        return;
      case 22: {
        const top = ipa + (rnd.pick([0x1000, 0x3000, 2 ** 21, 2 ** 30]) as number);
        this.call("RTT_INIT_RIPAS", [rd, ipa, top], model.initRipas(rd, ipa, top));
        return;
      }
      case 23: {
        const data = this.of("DELEGATED");
        this.call("DATA_CREATE", [rd, data, ipa, this.src, rnd.next(2)], model.dataCreate(rd, data, ipa, true));
        return;
      }
      case 24: {
        const data = this.of("DELEGATED");
        this.call("DATA_CREATE_UNKNOWN", [rd, data, ipa], model.dataCreate(rd, data, ipa, false));
        // The realm writes to its memory: none of it may be seen again.
        if (model.is(data, "DATA")) this.b.write(data, new Uint8Array(PAGE).fill(0xd0));
        return;
      }
      case 25:
        this.populate(ipa);
        return;
      case 26: {
        const ready = [...model.recs.values()].filter((f) => f.realm.state === "ACTIVE" && f.rec.runnable);
        const found = rnd.pick(ready);
        if (!found) return;
        const leaves = [...model.tables(found.realm)].filter((t) => t.level === 3);
        this.recEnter(found.rec.pa, (rnd.pick(leaves)?.base ?? ipa) + PAGE * rnd.next(4));
        return;
      }
      default:
        this.call("DATA_DESTROY", [rd, ipa], model.dataDestroy(rd, ipa));
    }
  }

  /** Tables and contents for a realm that is not active yet, as a host builds it: chance alone seldom gets so far. */
  private populate(ipa: number): void {
    const { rnd, model } = this;
    const realm = rnd.pick([...model.realms.values()].filter((r) => r.state === "NEW"));
    if (!realm) return;
    const { rd } = realm;
    for (const level of [2, 3]) {
      const table = this.of("DELEGATED");
      const base = ipa - (ipa % sizeAt(level - 1));
      this.call("RTT_CREATE", [rd, table, base, level], model.rttCreate(rd, table, base, level));
    }
    const top = ipa + PAGE * (1 + rnd.next(3));
    this.call("RTT_INIT_RIPAS", [rd, ipa, top], model.initRipas(rd, ipa, top));
    const data = this.of("DELEGATED");
    this.call("DATA_CREATE", [rd, data, ipa, this.src, rnd.next(2)], model.dataCreate(rd, data, ipa, true));
    if (rnd.chance(2)) return;
    this.recCreate(rd);
    this.call("REALM_ACTIVATE", [rd], model.realmActivate(rd));
  }

  private recCreate(rd: number): void {
    const { rnd, model } = this;
    const free = this.pool.filter((g) => model.is(g, "DELEGATED"));
    const rec = this.of("DELEGATED");
    const aux = Array.from({ length: 16 }, (_, i) =>
      rnd.chance(60) ? (this.pool[i] as number) : (free.filter((g) => g !== rec)[i] ?? rec),
    );
    const index = rnd.chance(8) ? rnd.next(3) : (model.realms.get(rd)?.created ?? 0);
    const p = blank(RecParams);
    const runnable = !rnd.chance(4);
    p.set("flags", runnable ? 1 : 0);
    p.set("mpidr", index);
    p.set("num_aux", 16);
    for (const [i, pa] of aux.entries()) p.set("aux", pa, i);
    this.b.write(this.params, p.raw);
    this.call("REC_CREATE", [rd, rec, this.params], model.recCreate(rd, rec, aux, index, runnable));
  }

  private setRipas(rec: number, rd: number, ipa: number): void {
    const { rnd, model } = this;
    const pending = model.recs.get(rec)?.rec.pending;
    const base = pending && !rnd.chance(4) ? pending.addr : ipa;
    const top = pending && !rnd.chance(4) ? pending.top : base + PAGE;
    const owner = rnd.chance(8) ? rd : (model.recs.get(rec)?.realm.rd ?? rd);
    this.call("RTT_SET_RIPAS", [owner, rec, base, top], model.setRipas(owner, rec, base, top));
  }

  /** Enters a REC; it leaves by an interrupt, or asks for a change of RIPAS. */
  private recEnter(pa: number, ipa: number): void {
    const { b, model, rnd } = this;
    b.write(this.run, ZERO);
    const expected = model.recEnter(pa);
    const got = b.call("REC_ENTER", [pa, this.run]);
    const what = `RMI_REC_ENTER(${pa.toString(16)})`;
    if (got !== undefined) {
      if (expected[0] === 0 || got[0] !== BigInt(expected[0] as number))
        throw new Error(`${what}: ${got[0]}, the model says ${expected[0]}`);
      return;
    }
    if (expected[0] !== 0) throw new Error(`${what} runs, the model says ${expected[0]}`);
    this.done.set("REC_ENTER", (this.done.get("REC_ENTER") ?? 0) + 1);
    const base = ipa - (ipa % PAGE);
    if (base < 2 ** 31 && rnd.chance(2)) {
      const [top, ripas, destroyed] = [base + PAGE * (1 + rnd.next(3)), rnd.next(2), rnd.next(2)];
      b.realmSmc(rsi.IPA_STATE_SET, [base, top, ripas, destroyed]);
      const found = model.recs.get(pa);
      if (found) found.rec.pending = { addr: base, top, ripas, destroyed: destroyed === 1 };
      if (rnd.chance(2)) this.setRipas(pa, this.of("RD"), ipa);
    } else b.interrupt({ rd: 0, rtts: [], tables: [], recs: [pa], run: this.run });
    if (!b.atHost()) throw new Error(`${what}: the REC did not leave`);
  }

  // ---- the invariants ---------------------------------------------------------------------------------------------------------

  check(): void {
    const { b, model } = this;
    const { granules } = b.rmm.cx;
    const named = new Map<number, string>();
    const name = (pa: number, as: State): void => {
      if (named.has(pa)) throw new Error(`granule ${pa.toString(16)} is ${named.get(pa)} and ${as}`);
      named.set(pa, as);
    };
    for (const realm of model.realms.values()) this.checkRealm(realm, name);
    for (const [pa, state] of model.states) {
      if (STATES[granules.state(pa)] !== state)
        throw new Error(`granule ${pa.toString(16)} is ${STATES[granules.state(pa)]}, not ${state}`);
      const gpi = b.monitor.gpt.gpi(pa);
      if (gpi !== (state === "UNDELEGATED" ? Gpi.NonSecure : Gpi.Realm))
        throw new Error(`granule ${pa.toString(16)} is ${state}, GPI ${gpi}`);
      if ((named.get(pa) ?? "") !== (state === "UNDELEGATED" || state === "DELEGATED" ? "" : state))
        throw new Error(`granule ${pa.toString(16)} is ${state}, and belongs to ${named.get(pa) ?? "nobody"}`);
      if (state === "DELEGATED" && Buffer.compare(this.bytes(pa), ZERO) !== 0)
        throw new Error(`DELEGATED granule ${pa.toString(16)} is not zero`);
    }
  }
  private bytes(pa: number): Uint8Array {
    const { phys } = this.b;
    const at = phys.host(pa);
    return phys.u8.subarray(at, at + PAGE);
  }
  private checkRealm(realm: Realm, name: (pa: number, as: State) => void): void {
    const { granules } = this.b.rmm.cx;
    name(realm.rd, "RD");
    if (granules.references(realm.rd) !== realm.recs.length) throw new Error(`RD ${realm.rd.toString(16)} counts its RECs wrong`);
    for (const rec of realm.recs) {
      name(rec.pa, "REC");
      for (const a of rec.aux) name(a, "REC_AUX");
    }
    for (const table of this.model.tables(realm)) {
      name(table.pa, "RTT");
      for (const e of table.entries) if (e.kind === "assigned") name(e.pa, "DATA");
      if (granules.references(table.pa) !== table.references) throw new Error(`table ${table.pa.toString(16)} counts wrong`);
      this.checkTable(table);
    }
  }
  private checkTable(table: Table): void {
    const image = new Uint8Array(table.image.buffer);
    if (Buffer.compare(this.bytes(table.pa), image) === 0) return;
    const bytes = this.bytes(table.pa);
    const at = bytes.findIndex((v, i) => v !== image[i]) >> 3;
    const found = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8 * at, true);
    throw new Error(`table ${table.pa.toString(16)}[${at}] is ${found.toString(16)}, the model says ${table.image[at]?.toString(16)}`);
  }
}

/** Successful calls of all seeds, by command. */
const done = new Map<string, number>();

/** Calls of one walk: longer ones run out of granules for new realms. */
const WALK = 5_000;
function walk(w: Walker, steps: number): void {
  for (let i = 0; i < steps; i++) {
    w.step();
    w.check();
  }
  for (const [name, n] of w.done) done.set(name, (done.get(name) ?? 0) + n);
  expect(w.b.stops).toEqual([]);
}

it.each(SEEDS)(
  "seed %i",
  (seed) => {
    for (let left = STEPS / SEEDS.length, part = 0; left > 0; left -= WALK, part++)
      walk(new Walker(seed + 1000 * part), Math.min(left, WALK));
  },
  300_000,
);

// A sequence that is refused proves little.
it("every command has succeeded many times", () => {
  const names = rmiCommands.map((c) => c.name).filter((n) => !["VERSION", "FEATURES", "PSCI_COMPLETE", "REC_AUX_COUNT"].includes(n));
  expect(names.filter((n) => (done.get(n) ?? 0) < STEPS / 10_000)).toEqual([]);
});
