// Who wrote table entries last. It knows of writes to
//
//   the granule protection table as GPTBR_EL3 names it, and translation tables from their first use on;
//   whatever software of EL3 stores (tables are built before they are switched on), up to a limit;
//   single entries that agents store.
//
// While it runs, these stores take the slow path; everything else runs at full speed.

import { securityName } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import type { MemoryWriter } from "../cpu/executor.ts";
import type { Pe } from "../cpu/pe.ts";
import { EntryKind } from "../gpt/format.ts";
import { type Board, instructionsOf, observe } from "../machine/observe.ts";
import { CallStack } from "./call-stack.ts";
import { protectionOf } from "./gpt.ts";
import { hex64, type WriterInfo } from "./model.ts";

interface Note {
  readonly by: string;
  readonly pc: bigint | undefined;
  readonly el: number;
  readonly security: number;
  readonly call: string | undefined;
  readonly at: number;
  readonly before: bigint;
  /** What was written, known at the next look. */
  after?: bigint;
}

/** Entries remembered, pages of translation tables watched, level 1 granule protection tables looked for. */
const MAX_NOTES = 200_000;
const MAX_PAGES = 65_536;
const MAX_L0 = 65_536;
/** Stores of EL3 that are followed: firmware that copies images makes millions. */
const MAX_EL3_STORES = 4_000_000;
/** Bytes of a table entry. */
const ENTRY = 8;

/** Told before a granule protection table entry is written by (or while) PE `pe` runs. */
export type GptListener = (entry: number, before: bigint, by: string, pe: number) => void;

/** A granule protection table entry: its level, and the physical addresses [pa, pa + size) that it is about. */
export interface GptCover {
  readonly level: 0 | 1;
  readonly pa: number;
  readonly size: number;
}

/** A board has one journal, however many use it. */
const journals = new WeakMap<Board, { journal: TableJournal; users: number }>();

export class TableJournal {
  private readonly board: Board;
  private readonly calls = new CallStack();
  private readonly notes = new Notes();
  /** Of memory that is in no known table: it may become one. Others may write there unseen, so a note holds while its value does. */
  private readonly others = new Notes();
  /** Notes of the last write there, whose values are still to be looked at. */
  /** Of level 1 entries of the granule protection table, by granule: earlier writers, as far as a later one left their field alone. */
  private readonly granules = new Map<number, (Note | undefined)[]>();
  private unsettled: [at: number, note: Note][] = [];
  private el3Stores = MAX_EL3_STORES;
  private readonly pages = new Set<number>();
  /** The granule protection table: [first, last) byte addresses, what the first entry covers. Level 0 first. */
  private gpt: (readonly [number, number, GptCover])[] = [];
  private gptKey = "";
  private readonly stops: (() => void)[] = [];
  /** PE that took or left an exception last: while no instruction is executed, its agents act. */
  private acting: Pe | undefined;
  private readonly listeners = new Set<GptListener>();

  /** The journal of a board, which runs until everybody who asked for it has called `release`. */
  static of(board: Board): TableJournal {
    const j = journals.get(board) ?? { journal: new TableJournal(board), users: 0 };
    j.users++;
    journals.set(board, j);
    return j.journal;
  }
  release(): void {
    const j = journals.get(this.board);
    if (j?.journal !== this || --j.users > 0) return;
    journals.delete(this.board);
    for (const s of this.stops.splice(0)) s();
  }
  /** Adds a listener for writes to the granule protection table; the function that is returned removes it. */
  onGpt(listener: GptListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private constructor(board: Board) {
    this.board = board;
    const { domain, executor } = board;
    const allowed = domain.allowWrite;
    domain.allowWrite = (pa) => allowed(pa) && !this.pages.has(Math.floor(pa / 4096)) && !this.inGpt(pa, 4096) && !this.followsEl3();
    executor.writeObserver = (pa, length, by) => this.written(pa, length, by);
    for (const pe of board.pes) {
      pe.mmu.walkObserver = { descriptor: (_stage, _level, pa) => this.watch(pa) };
      const check = protectionOf(pe.mmu);
      if (check) check.onConfig = () => this.findGpt();
    }
    this.stops.push(
      () => {
        domain.allowWrite = allowed;
        executor.writeObserver = undefined;
        for (const pe of board.pes) {
          pe.mmu.walkObserver = undefined;
          const check = protectionOf(pe.mmu);
          if (check) check.onConfig = undefined;
        }
      },
      observe(board, {
        exception: (pe, e) => {
          this.acting = pe;
          this.calls.exception(pe, e);
        },
        returned: (pe) => {
          this.acting = pe;
          this.settle();
          this.calls.returned(pe);
        },
      }),
    );
    this.findGpt();
    for (const p of board.pes) p.mmu.flushL1();
  }

  /**
   * Last writer of the 8-byte entry at `pa`; undefined: it was not written since somebody looks. `granule`, 0..15: of this field of a
   * level 1 entry of the granule protection table.
   */
  writer(pa: number, granule?: number): WriterInfo | undefined {
    const n = (granule === undefined ? undefined : this.writerOfGranule(pa, granule)) ?? this.notes.get(pa) ?? this.holding(pa);
    if (n === undefined) return undefined;
    return {
      by: n.by,
      ...(n.pc === undefined ? {} : { el: n.el, security: securityName[n.security] as string, pc: hex64(n.pc) }),
      ...(n.call === undefined ? {} : { call: n.call }),
      at: n.at,
      before: hex64(n.before),
    };
  }

  private writerOfGranule(pa: number, granule: number): Note | undefined {
    const last = this.notes.get(pa);
    const now = this.entry(pa);
    if (last && now !== undefined && fieldOf(last.before ^ now, granule) !== 0n) return last;
    return this.granules.get(pa)?.[granule];
  }
  /** A level 1 entry that was `value` until now is written again: what the write before has changed stays known. */
  private keepGranules(at: number, value: bigint): void {
    const last = this.notes.get(at);
    if (last === undefined) return;
    const fields = this.granules.get(at) ?? [];
    for (let i = 0; i < 16; i++) if (fieldOf(last.before ^ value, i) !== 0n) fields[i] = last;
    this.granules.delete(at);
    if (this.granules.size >= MAX_NOTES) this.granules.delete(this.granules.keys().next().value as number);
    this.granules.set(at, fields);
  }

  private holding(pa: number): Note | undefined {
    this.settle();
    const n = this.others.get(pa);
    return n?.after === this.entry(pa) ? n : undefined;
  }
  private settle(): void {
    for (const [at, note] of this.unsettled.splice(0)) note.after = this.entry(at) as bigint;
  }
  /** The 8 bytes at `pa`; undefined: no memory. */
  private entry(pa: number): bigint | undefined {
    const host = this.board.phys.host(pa);
    return host === 0 ? undefined : this.board.phys.view.getBigUint64(host, true);
  }

  /** A translation table was used. */
  private watch(pa: number): void {
    const page = Math.floor(pa / 4096);
    if (this.pages.has(page) || this.pages.size >= MAX_PAGES) return;
    this.pages.add(page);
    this.board.domain.dropWrites(pa);
  }

  /** What the granule protection table entry at `entry` covers; undefined: there is none. */
  covered(entry: number): GptCover | undefined {
    const t = this.gpt.find(([from, to]) => entry >= from && entry < to);
    return t && { ...t[2], pa: t[2].pa + Math.floor((entry - t[0]) / 8) * t[2].size };
  }
  private inGpt(pa: number, length: number): boolean {
    for (const [from, to] of this.gpt) if (pa < to && pa + length > from) return true;
    return false;
  }

  /** Looks where the granule protection table is, when its registers changed. */
  private findGpt(): void {
    const pe = this.board.pes[0];
    const check = pe && protectionOf(pe.mmu);
    if (!pe || !check) return;
    const key = `${pe.st.get(slot.GPCCR_EL3)}:${pe.st.get(slot.GPTBR_EL3)}`;
    if (key === this.gptKey) return;
    this.gptKey = key;
    this.gpt = [];
    const c = check.config;
    if (!c.enabled || c.invalid !== undefined) return;
    const count = Math.max(1, 2 ** (c.pps - c.l0));
    this.gpt.push([c.base, c.base + 8 * count, { level: 0, pa: 0, size: 2 ** c.l0 }]);
    const { phys } = this.board;
    for (let i = 0; i < Math.min(count, MAX_L0); i++) {
      const host = phys.host(c.base + 8 * i);
      if (host === 0) break;
      const v = phys.view.getBigUint64(host, true);
      const table = Number(v & 0xf_ffff_ffff_f000n);
      const cover = { level: 1, pa: i * 2 ** c.l0, size: 16 * 2 ** c.granule } as const;
      if (Number(v & 15n) === EntryKind.Table) this.gpt.push([table, table + 2 ** (c.l0 - c.granule - 1), cover]);
    }
    for (const p of this.board.pes) p.mmu.flushL1();
  }

  /** Is EL3's software running whose stores are followed? */
  private followsEl3(): boolean {
    return this.el3Stores > 0 && this.board.executor.running?.st.el === 3;
  }
  /** Where a write is remembered; undefined: nowhere. */
  private notesFor(pa: number, length: number, by: MemoryWriter): Notes | undefined {
    const table = this.inGpt(pa, length) || this.pages.has(Math.floor(pa / 4096)) || this.pages.has(Math.floor((pa + length - 1) / 4096));
    if (table) return this.notes;
    if (by.startsWith("agent:") && length === ENTRY) return this.others;
    if (by !== "pe" || !this.followsEl3()) return undefined;
    if (--this.el3Stores === 0) for (const p of this.board.pes) p.mmu.flushL1();
    return this.others;
  }

  /** Memory is written that is not in anybody's L1 TLB. */
  private written(pa: number, length: number, by: MemoryWriter): void {
    const notes = this.notesFor(pa, length, by);
    if (notes === undefined) return;
    const gpt = this.inGpt(pa, length);
    const { note: common, pe } = this.noteOf(by);
    this.settle();
    for (let at = pa - (pa % ENTRY); at < pa + length; at += ENTRY) {
      const before = this.entry(at);
      if (before === undefined) continue;
      const note: Note = { ...common, before };
      if (gpt) this.keepGranules(at, before);
      notes.add(at, note);
      if (notes === this.others) this.unsettled.push([at, note]);
      if (gpt && this.inGpt(at, ENTRY)) for (const l of this.listeners) l(at, before, note.by, pe?.index ?? 0);
    }
    // A level 0 entry may name another table.
    const l0 = this.gpt[0];
    if (gpt && l0 && pa < l0[1] && pa + length > l0[0]) this.gptKey = "";
  }

  private noteOf(by: MemoryWriter): { note: Omit<Note, "before">; pe: Pe | undefined } {
    // Agents that call each other (a host, the EL3 monitor, the RMM) do so while no instruction is executed.
    const agent = by.startsWith("agent:");
    const pe = this.board.executor.running ?? (agent ? this.acting : undefined);
    const name = by === "pe" ? `PE ${pe?.index}` : by === "walk" ? `hardware table update of PE ${pe?.index}` : by.replace(/^\w+:/, "");
    return {
      note: {
        by: name,
        pc: by === "pe" ? pe?.st.pc : undefined,
        el: pe?.st.el ?? 0,
        security: pe?.security ?? 0,
        call: pe && (by === "pe" || agent) ? this.calls.text(pe) : undefined,
        at: instructionsOf(this.board),
      },
      pe,
    };
  }
}

const fieldOf = (entry: bigint, granule: number): bigint => (entry >> BigInt(4 * granule)) & 15n;

/** Notes by address of the entry; the oldest go when there are too many. */
class Notes {
  private readonly notes = new Map<number, Note>();

  get(at: number): Note | undefined {
    return this.notes.get(at);
  }
  add(at: number, note: Note): void {
    this.notes.delete(at);
    if (this.notes.size >= MAX_NOTES) this.notes.delete(this.notes.keys().next().value as number);
    this.notes.set(at, note);
  }
}
