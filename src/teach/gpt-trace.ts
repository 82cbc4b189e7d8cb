// Writes to the granule protection table as events: which granules got which protection.

import { EntryKind, gpiName } from "../gpt/format.ts";
import { type Board, instructionsOf } from "../machine/observe.ts";
import type { GptChange, GptEvent } from "../trace/events.ts";
import { TableJournal } from "./journal.ts";

/** GPIs in a level 1 entry. */
const PER_ENTRY = 16;

/** A write that was announced; what it wrote is known only afterwards. */
interface Announced {
  readonly pe: number;
  readonly at: number;
  readonly entry: number;
  readonly before: bigint;
  readonly by: string;
}

export class GptTrace {
  private readonly board: Board;
  private readonly journal: TableJournal;
  private readonly sink: (e: GptEvent) => void;
  private readonly unlisten: () => void;
  private waiting: Announced | undefined;

  constructor(board: Board, sink: (e: GptEvent) => void) {
    this.board = board;
    this.sink = sink;
    this.journal = TableJournal.of(board);
    this.unlisten = this.journal.onGpt((entry, before, by, pe) => {
      this.flush();
      this.waiting = { entry, before, by, pe, at: instructionsOf(board) };
    });
  }

  /** Tells of the last write. To be called before anything that comes after it is told. */
  flush(): void {
    const w = this.waiting;
    if (w === undefined) return;
    this.waiting = undefined;
    const host = this.board.phys.host(w.entry);
    const after = host === 0 ? 0n : this.board.phys.view.getBigUint64(host, true);
    if (after === w.before) return;
    this.sink({ kind: "gpt", ...w, after, level: this.journal.covered(w.entry)?.level ?? 1, changes: this.changes(w, after) });
  }
  stop(): void {
    this.flush();
    this.unlisten();
    this.journal.release();
  }

  /** Neighbouring granules with the same change make one. */
  private changes({ entry, before }: Announced, after: bigint): GptChange[] {
    const cover = this.journal.covered(entry);
    if (cover === undefined) return [];
    const [old, now] = [gpis(before, cover.level), gpis(after, cover.level)];
    if (old === undefined || now === undefined) return [];
    const granule = cover.size / PER_ENTRY;
    const out: GptChange[] = [];
    for (let i = 0; i < PER_ENTRY; i++) {
      if (old[i] === now[i]) continue;
      const one = {
        from: cover.pa + i * granule,
        to: cover.pa + (i + 1) * granule,
        before: gpiName(old[i] ?? 0),
        after: gpiName(now[i] ?? 0),
      };
      const last = out.at(-1);
      if (last?.to === one.from && last.before === one.before && last.after === one.after) out[out.length - 1] = { ...last, to: one.to };
      else out.push(one);
    }
    return out;
  }
}

/** GPI of each sixteenth of what an entry covers; undefined: the entry is a pointer to a table. */
function gpis(entry: bigint, level: 0 | 1): number[] | undefined {
  const kind = Number(entry & 15n);
  if (level === 0 && kind === EntryKind.Table) return undefined;
  const block = level === 0 || kind === EntryKind.Contiguous;
  return Array.from({ length: PER_ENTRY }, (_, i) => Number((entry >> BigInt(block ? 4 : 4 * i)) & 15n));
}
