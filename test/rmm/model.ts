// A small model of RMI 1.0, written from the specification and not from the program: it imports nothing. It predicts status, index and
// results of each call, the state and owner of every granule, and every entry of every table.
//
// One shape of realm: IPAs of 33 bits, start level 1, one start-level table, 16 auxiliary granules per REC.

export type State = "UNDELEGATED" | "DELEGATED" | "RD" | "REC" | "REC_AUX" | "DATA" | "RTT";

/** HIPAS and RIPAS of an entry; "ns": the unprotected half. */
export type Entry =
  | { kind: "unassigned"; ripas: number }
  | { kind: "assigned"; ripas: number; pa: number }
  | { kind: "ns" }
  | { kind: "mapped"; desc: bigint }
  | { kind: "table"; table: Table };

export interface Table {
  readonly pa: number;
  readonly level: number;
  /** First IPA that it maps. */
  readonly base: number;
  readonly entries: Entry[];
  /** The same as descriptors, and how many of them are references: kept with each change. */
  readonly image: BigUint64Array;
  references: number;
}
export interface Rec {
  readonly pa: number;
  readonly aux: readonly number[];
  readonly runnable: boolean;
  /** A request to change RIPAS that the host may serve. */
  pending: { addr: number; top: number; ripas: number; destroyed: boolean } | undefined;
}
export interface Realm {
  readonly rd: number;
  readonly start: Table;
  readonly recs: Rec[];
  /** RECs ever created: the index of the next one. */
  created: number;
  state: "NEW" | "ACTIVE";
}
/** x0, and x1 up as far as the specification defines them. */
export type Answer = readonly (number | bigint)[];

const [EMPTY, RAM, DESTROYED] = [0, 1, 2];
const IPA_SIZE = 2 ** 33;
const HALF = 2 ** 32;
const START = 1;
const PAGE = 4096;
const GIB_ENTRIES = 8;
const OK: Answer = [0];
const INPUT: Answer = [1];
const REALM: Answer = [2];
const REC: Answer = [3];
const rtt = (level: number, ...results: number[]): Answer => [4 | (level << 8), ...results];

export const sizeAt = (level: number): number => 2 ** (12 + 9 * (3 - level));
const live = (e: Entry): boolean => e.kind !== "unassigned" && e.kind !== "ns";
/** Entries that count as references: tables, and what holds data. */
const counts = (e: Entry): boolean => e.kind === "table" || e.kind === "assigned";

function makeTable(pa: number, level: number, base: number, entries: Entry[]): Table {
  const image = new BigUint64Array(512);
  for (const [i, e] of entries.entries()) image[i] = encode(e, level);
  return { pa, level, base, entries, image, references: entries.filter(counts).length };
}
function put(t: Table, index: number, e: Entry): void {
  t.references += Number(counts(e)) - Number(counts(t.entries[index] as Entry));
  t.entries[index] = e;
  t.image[index] = encode(e, t.level);
}

interface Walk {
  readonly table: Table;
  readonly index: number;
  readonly level: number;
  readonly entry: Entry;
}

export class Model {
  readonly states = new Map<number, State>();
  readonly realms = new Map<number, Realm>();
  readonly recs = new Map<number, { rec: Rec; realm: Realm }>();

  constructor(pool: readonly number[]) {
    for (const pa of pool) this.states.set(pa, "UNDELEGATED");
  }
  is(pa: number, state: State): boolean {
    return this.states.get(pa) === state;
  }
  private all(pas: readonly number[], state: State): void {
    for (const pa of pas) this.states.set(pa, state);
  }

  // ---- tables -----------------------------------------------------------------------------------------------------------------

  walk(realm: Realm, ipa: number, level: number): Walk {
    for (let table = realm.start; ; ) {
      const index = Math.floor((ipa - table.base) / sizeAt(table.level));
      const entry = table.entries[index] as Entry;
      if (entry.kind !== "table" || table.level === level) return { table, index, level: table.level, entry };
      table = entry.table;
    }
  }
  *tables(realm: Realm): Generator<Table> {
    const visit = function* (t: Table): Generator<Table> {
      yield t;
      for (const e of t.entries) if (e.kind === "table") yield* visit(e.table);
    };
    yield* visit(realm.start);
  }
  /** End of what holds nothing, from an IPA on. */
  private top(w: Walk, ipa: number): number {
    if (live(w.table.entries[w.index] as Entry)) return ipa;
    let i = w.index + 1;
    while (i < 512 && !live(w.table.entries[i] ?? { kind: "ns" })) i++;
    return w.table.base + i * sizeAt(w.level);
  }

  // ---- granules and realms --------------------------------------------------------------------------------------------------------

  delegate(pa: number): Answer {
    if (!this.is(pa, "UNDELEGATED")) return INPUT;
    this.states.set(pa, "DELEGATED");
    return OK;
  }
  undelegate(pa: number): Answer {
    if (!this.is(pa, "DELEGATED")) return INPUT;
    this.states.set(pa, "UNDELEGATED");
    return OK;
  }
  realmCreate(rd: number, table: number): Answer {
    if (rd === table || !this.is(rd, "DELEGATED") || !this.is(table, "DELEGATED")) return INPUT;
    const entries = Array.from({ length: GIB_ENTRIES }, (_, i): Entry => (i < 4 ? { kind: "unassigned", ripas: EMPTY } : { kind: "ns" }));
    this.realms.set(rd, { rd, start: makeTable(table, START, 0, entries), recs: [], created: 0, state: "NEW" });
    this.states.set(rd, "RD");
    this.states.set(table, "RTT");
    return OK;
  }
  realmActivate(rd: number): Answer {
    const realm = this.realms.get(rd);
    if (!realm) return INPUT;
    if (realm.state !== "NEW") return REALM;
    realm.state = "ACTIVE";
    return OK;
  }
  realmDestroy(rd: number): Answer {
    const realm = this.realms.get(rd);
    if (!realm) return INPUT;
    if (realm.recs.length > 0 || realm.start.references > 0) return REALM;
    this.realms.delete(rd);
    this.all([rd, realm.start.pa], "DELEGATED");
    return OK;
  }

  // ---- RECs ----------------------------------------------------------------------------------------------------------------------

  recCreate(rd: number, pa: number, aux: readonly number[], index: number, runnable: boolean): Answer {
    if (aux.some((a) => !this.is(a, "DELEGATED")) || new Set(aux).size !== aux.length) return INPUT;
    const realm = this.realms.get(rd);
    if (!this.is(pa, "DELEGATED") || aux.includes(pa) || !realm) return INPUT;
    if (realm.state !== "NEW") return REALM;
    if (index !== realm.created) return INPUT;
    realm.created++;
    const rec: Rec = { pa, aux: [...aux], runnable, pending: undefined };
    realm.recs.push(rec);
    this.recs.set(pa, { rec, realm });
    this.states.set(pa, "REC");
    this.all(aux, "REC_AUX");
    return OK;
  }
  recDestroy(pa: number): Answer {
    const found = this.recs.get(pa);
    if (!found) return INPUT;
    found.realm.recs.splice(found.realm.recs.indexOf(found.rec), 1);
    this.recs.delete(pa);
    this.all([pa, ...found.rec.aux], "DELEGATED");
    return OK;
  }
  /** OK: it runs. A pending request is over then. */
  recEnter(pa: number): Answer {
    const found = this.recs.get(pa);
    if (!found) return INPUT;
    if (found.realm.state === "NEW") return REALM;
    if (!found.rec.runnable) return REC;
    found.rec.pending = undefined;
    return OK;
  }

  // ---- translation tables -----------------------------------------------------------------------------------------------------------

  private structure(rd: number, ipa: number, level: number): Realm | undefined {
    const realm = this.realms.get(rd);
    const fits = level > START && level <= 3 && ipa % sizeAt(level - 1) === 0 && ipa < IPA_SIZE;
    return fits ? realm : undefined;
  }

  rttCreate(rd: number, pa: number, ipa: number, level: number): Answer {
    const realm = this.structure(rd, ipa, level);
    if (!this.is(pa, "DELEGATED") || !realm) return INPUT;
    const w = this.walk(realm, ipa, level - 1);
    if (w.level < level - 1) return rtt(w.level);
    if (w.entry.kind === "table") return rtt(level - 1);
    const parent = w.entry;
    const entries = Array.from({ length: 512 }, (_, i): Entry => {
      if (parent.kind === "assigned") return { ...parent, pa: parent.pa + i * sizeAt(level) };
      return parent.kind === "mapped" ? { kind: "mapped", desc: parent.desc + BigInt(i * sizeAt(level)) } : { ...parent };
    });
    put(w.table, w.index, { kind: "table", table: makeTable(pa, level, ipa, entries) });
    this.states.set(pa, "RTT");
    return OK;
  }
  rttDestroy(rd: number, ipa: number, level: number): Answer {
    const realm = this.structure(rd, ipa, level);
    if (!realm) return [1, 0, 0];
    const w = this.walk(realm, ipa, level - 1);
    if (w.level < level - 1 || w.entry.kind !== "table") return rtt(w.level, 0, this.top(w, ipa));
    if (w.entry.table.references > 0) return rtt(level, 0, ipa);
    const { pa } = w.entry.table;
    put(w.table, w.index, ipa < HALF ? { kind: "unassigned", ripas: DESTROYED } : { kind: "ns" });
    this.states.set(pa, "DELEGATED");
    return [0, pa, this.top(w, ipa)];
  }
  rttFold(rd: number, ipa: number, level: number): Answer {
    const realm = this.structure(rd, ipa, level);
    if (!realm) return INPUT;
    const w = this.walk(realm, ipa, level - 1);
    if (w.level < level - 1) return rtt(w.level);
    if (w.entry.kind !== "table") return rtt(level - 1);
    const { table } = w.entry;
    const folded = fold(table, level);
    if (!folded) return rtt(level);
    put(w.table, w.index, folded);
    this.states.set(table.pa, "DELEGATED");
    return [0, table.pa];
  }
  rttReadEntry(rd: number, ipa: number, level: number): Answer {
    const realm = this.realms.get(rd);
    if (!realm || level < START || level > 3 || ipa % sizeAt(level) !== 0 || ipa >= IPA_SIZE) return INPUT;
    const { entry: e, level: at } = this.walk(realm, ipa, level);
    switch (e.kind) {
      case "unassigned":
        return [0, at, 0, 0, e.ripas];
      case "assigned":
        return [0, at, 1, e.pa, e.ripas];
      case "ns":
        return [0, at, 0, 0, 0];
      case "mapped":
        return [0, at, 1, e.desc, 0];
      case "table":
        return [0, at, 2, e.table.pa, 0];
    }
  }

  private unprotected(rd: number, ipa: number, level: number): Realm | undefined {
    const realm = this.realms.get(rd);
    return level >= 1 && level <= 3 && ipa % sizeAt(level) === 0 && ipa >= HALF && ipa < IPA_SIZE ? realm : undefined;
  }
  /** `desc` is valid for the level. */
  mapUnprotected(rd: number, ipa: number, level: number, desc: bigint): Answer {
    const realm = this.unprotected(rd, ipa, level);
    if (!realm || desc % BigInt(sizeAt(level)) >= BigInt(PAGE)) return INPUT;
    const w = this.walk(realm, ipa, level);
    if (w.level < level) return rtt(w.level);
    if (w.entry.kind !== "ns") return rtt(level);
    put(w.table, w.index, { kind: "mapped", desc });
    return OK;
  }
  unmapUnprotected(rd: number, ipa: number, level: number): Answer {
    const realm = this.unprotected(rd, ipa, level);
    if (!realm) return INPUT;
    const w = this.walk(realm, ipa, level);
    if (w.level < level || w.entry.kind !== "mapped") return rtt(w.level, this.top(w, ipa));
    put(w.table, w.index, { kind: "ns" });
    return [0, this.top(w, ipa)];
  }

  // ---- RIPAS and data -----------------------------------------------------------------------------------------------------------------

  initRipas(rd: number, base: number, top: number): Answer {
    const realm = this.realms.get(rd);
    if (top <= base || !realm || base % PAGE !== 0 || top % PAGE !== 0 || top > HALF) return INPUT;
    if (realm.state !== "NEW") return REALM;
    const w = this.walk(realm, base, 3);
    if (base % sizeAt(w.level) !== 0) return rtt(w.level);
    const end = this.each(w, base, top, (e) => (e.kind === "unassigned" && e.ripas !== DESTROYED ? { ...e, ripas: RAM } : undefined));
    return end === base ? rtt(w.level) : [0, end];
  }
  setRipas(rd: number, recPa: number, base: number, top: number): Answer {
    const realm = this.realms.get(rd);
    const found = this.recs.get(recPa);
    if (top <= base || !realm || !found) return INPUT;
    if (found.realm !== realm) return REC;
    const p = found.rec.pending;
    if (base !== (p?.addr ?? 0) || top > (p?.top ?? 0)) return INPUT;
    const w = this.walk(realm, base, 3);
    if (base % sizeAt(w.level) !== 0) return rtt(w.level);
    const end = this.each(w, base, top, (e) => {
      if ((e.kind !== "unassigned" && e.kind !== "assigned") || !p || (e.ripas === DESTROYED && !p.destroyed)) return undefined;
      return { ...e, ripas: p.ripas };
    });
    if (end === base) return rtt(w.level);
    if (p) p.addr = end;
    return [0, end];
  }
  /** Changes entries of one table as long as they end by `top` and `change` answers one; where that stopped. */
  private each(w: Walk, base: number, top: number, change: (e: Entry) => Entry | undefined): number {
    let at = base;
    for (let i = w.index; i < w.table.entries.length && at + sizeAt(w.level) <= top; i++) {
      const next = change(w.table.entries[i] as Entry);
      if (!next) break;
      put(w.table, i, next);
      at += sizeAt(w.level);
    }
    return at;
  }

  /** `known`: DATA_CREATE, with contents; its source is Non-secure memory. */
  dataCreate(rd: number, pa: number, ipa: number, known: boolean): Answer {
    const realm = this.realms.get(rd);
    if (!this.is(pa, "DELEGATED") || !realm) return INPUT;
    if (known && realm.state !== "NEW") return REALM;
    if (ipa >= HALF || ipa % PAGE !== 0) return INPUT;
    const w = this.walk(realm, ipa, 3);
    if (w.level < 3) return rtt(w.level);
    if (w.entry.kind !== "unassigned") return rtt(3);
    put(w.table, w.index, { kind: "assigned", ripas: known ? RAM : w.entry.ripas, pa });
    this.states.set(pa, "DATA");
    return OK;
  }
  dataDestroy(rd: number, ipa: number): Answer {
    const realm = this.realms.get(rd);
    if (!realm || ipa >= HALF || ipa % PAGE !== 0) return [1, 0, 0];
    const w = this.walk(realm, ipa, 3);
    if (w.level < 3) return rtt(w.level, 0, this.top(w, ipa));
    if (w.entry.kind !== "assigned") return rtt(3, 0, this.top(w, ipa));
    const { pa, ripas } = w.entry;
    put(w.table, w.index, { kind: "unassigned", ripas: ripas === EMPTY ? EMPTY : DESTROYED });
    this.states.set(pa, "DELEGATED");
    return [0, pa, this.top(w, ipa)];
  }
}

/** The entry of `level` - 1 that says what all entries of a table say, or undefined. */
function fold(table: Table, level: number): Entry | undefined {
  const [first] = table.entries;
  if (!first || first.kind === "table") return undefined;
  const step = sizeAt(level);
  const alike = table.entries.every((e, i) => {
    if (first.kind === "assigned") return e.kind === "assigned" && e.ripas === first.ripas && e.pa === first.pa + i * step;
    if (first.kind === "mapped") return e.kind === "mapped" && e.desc === first.desc + BigInt(i * step);
    return e.kind === first.kind && (first.kind === "ns" || (e.kind === "unassigned" && e.ripas === first.ripas));
  });
  const at = first.kind === "assigned" ? first.pa : first.kind === "mapped" ? Number(first.desc) - (Number(first.desc) % PAGE) : 0;
  return alike && at % sizeAt(level - 1) === 0 ? { ...first } : undefined;
}

/** The descriptor of an entry as TF-RMM 0.6 writes it, so that memory can be compared with the model. */
export function encode(e: Entry, level: number): bigint {
  const leaf = level === 3 ? 3n : 1n;
  switch (e.kind) {
    case "unassigned":
      return BigInt(e.ripas) << 5n;
    case "assigned": // Normal Write-Back under FWB, read-write, Inner Shareable, AF; or invalid with HIPAS 1 and the address
      return e.ripas === RAM ? BigInt(e.pa) | 0x18n | 0xc0n | 0x300n | 0x400n | leaf : BigInt(e.pa) | (1n << 2n) | (BigInt(e.ripas) << 5n);
    case "ns":
      return 1n << 55n;
    case "mapped":
      return e.desc | 0x300n | 0x400n | (3n << 54n) | leaf;
    case "table":
      return BigInt(e.table.pa) | 3n;
  }
}
