// A region becomes one Wasm function with the signature of a handler. Structured control flow comes from the dominator tree (Ramsey,
// "Beyond Relooper"). Off.BUDGET keeps its page form (interp/page.ts) in a local; back edges look at it.

import { Off } from "../../arch/layout.ts";
import type { Effect } from "../../ir/builder.ts";
import { I32, I64 } from "../../ir/value.ts";
import { Bytes } from "../../wasm/bytes.ts";
import type { Func } from "../../wasm/module.ts";
import { PE } from "../emit/emitter.ts";
import { W } from "../emit/opcodes.ts";
import { Sig } from "../emit/runtime-abi.ts";
import type { Block, Edge, Region } from "./blocks.ts";
import { analyse, dirtyAfter, type FlagForm, type Flow } from "./flow.ts";
import { Check, type Instruction, type Registers } from "./instruction.ts";
import { STACKED } from "./player.ts";
import { prologue } from "./prologue.ts";
import { definesSp, keepsSpAligned, RegionLowering } from "./region-lowering.ts";
import { importIndex } from "./region-module.ts";
import { streamsOf } from "./streams.ts";

interface Label {
  block: Block;
  kind: "loop" | "follow";
  depth: number;
}

const noBlocks: readonly Block[] = [];

class Compiler {
  private readonly region: Region;
  private readonly flow: Flow;
  private readonly l: RegionLowering;
  private readonly labels: Label[] = [];
  private readonly budget: number;
  /** Who takes the shared way out, and where it leads: see leaveRarely. */
  private readonly way: number;
  private wayLabel = 0;
  /** Forms in which flags stand where the shared way out is taken. */
  private readonly forms: FlagForm[];
  /** Some way out leads on without the interpreter. */
  private leadsOn = false;
  private dirty: Registers = 0;
  /** Checks that were made on every path to the end of a block. */
  private readonly checked = new Map<Block, number>();

  constructor(region: Region, aligned: boolean, hot: boolean) {
    this.region = region;
    this.flow = analyse(region, true);
    this.l = new RegionLowering(importIndex, region.pages, streamsOf(region, hot), this.flow.mixed);
    // The numbers of those that mixed may be are the same everywhere.
    this.forms = [...this.flow.formIn.values()].includes("mixed") ? [...this.flow.mixed] : [];
    if (!aligned) this.l.unaligned = false;
    this.budget = this.l.permanent(I32);
    this.way = this.l.permanent(I32);
    this.l.bail = () => this.leaveRarely(this.l.ip(this.l.index), false);
    const moves = region.blocks.flatMap((b) => b.code.filter(definesSp));
    if (moves.every(keepsSpAligned)) this.l.lasting |= Check.SP;
  }

  compile(): Func {
    const { l } = this;
    l.block(W.block);
    this.wayLabel = l.depth;
    this.tree(this.region.entry);
    l.op(W.unreachable, W.end);
    this.rareTail();
    const body = l.out.view();
    const code = new Bytes(body.length + 512);
    const first = prologue(code, l, this.flow, this.budget, this.flow.formIn.get(this.region.entry) === "canonical");
    const start = code.length;
    code.bytes(body);
    const hints = [...first, ...l.hints.map(({ at, likely }) => ({ at: at + start, likely }))];
    return { type: Sig.handler, locals: l.locals, code, hints };
  }

  // ---- structure ---------------------------------------------------------------------------------------------------
  private tree(b: Block): void {
    const { l } = this;
    const merges = b.children.length > 0 ? b.children.filter((c) => c.merge).sort((x, y) => y.order - x.order) : noBlocks;
    if (b.loop) {
      l.block(W.loop);
      this.labels.push({ block: b, kind: "loop", depth: l.depth });
    }
    this.within(b, merges, 0);
    if (b.loop) {
      l.op(W.end);
      this.labels.pop();
    }
  }
  /** The merge points that `b` dominates follow its code, the last in order outermost. */
  private within(b: Block, merges: readonly Block[], n: number): void {
    const { l } = this;
    const next = merges[n];
    if (!next) {
      this.block(b);
      return;
    }
    l.block(W.block);
    this.labels.push({ block: next, kind: "follow", depth: l.depth });
    this.within(b, merges, n + 1);
    l.op(W.end);
    this.labels.pop();
    this.tree(next);
  }
  private block(b: Block): void {
    const { l } = this;
    l.form = this.flow.formIn.get(b) as FlagForm;
    this.dirty = this.flow.dirtyIn.get(b) as Registers;
    l.checked = this.checked.get(b.dominator as Block) ?? 0;
    let last: Effect | undefined;
    for (let n = 0; n < b.code.length; n++) {
      const i = b.code[n] as Instruction;
      l.dirty = this.dirty;
      last = l.translate(i);
      this.dirty = dirtyAfter(i, this.dirty);
      if (!last) l.freeTemporaries();
    }
    this.checked.set(b, l.checked);
    this.leave(b, last);
  }
  private leave(b: Block, last: Effect | undefined): void {
    const { l } = this;
    const i = b.code.at(-1) as Instruction;
    if (last?.e === "jump") {
      this.jump(b, i, last);
      return;
    }
    if (last?.e === "branch" && last.cond) {
      if (last.cond !== STACKED) l.value(last.cond);
      l.freeTemporaries();
      this.when(b, i, b.taken as Edge);
      this.edge(b, i, b.fall as Edge);
      return;
    }
    l.freeTemporaries();
    this.edge(b, i, (b.taken ?? b.fall) as Edge);
  }
  private jump(b: Block, i: Instruction, to: Extract<Effect, { e: "jump" }>): void {
    const { l } = this;
    // The operands are in locals, which nothing overwrites on the way to where they are needed.
    l.freeTemporaries();
    if (b.back?.to) {
      l.value(to.pc);
      l.pcOf(b.back.index, i.index);
      l.op(W.i64Eq);
      this.when(b, i, b.back);
    }
    this.go(i, () => l.target(to));
  }
  /** Takes the edge when the condition on the stack holds. */
  private when(b: Block, i: Instruction, e: Edge): void {
    const { l } = this;
    l.block(W.if);
    const { form } = l;
    const { dirty } = this;
    this.edge(b, i, e);
    l.op(W.end);
    l.form = form;
    this.dirty = dirty;
  }

  // ---- edges -------------------------------------------------------------------------------------------------------
  private edge(from: Block, last: Instruction, e: Edge): void {
    const { l } = this;
    const { to } = e;
    if (!to) {
      this.exit(from, last, e);
      return;
    }
    if (e.crosses) this.cross(last, e);
    this.spend(e.index, last);
    if (to.order <= from.order) this.backEdge(to);
    l.convertFlags(this.flow.formIn.get(to) as FlagForm);
    const label = this.label(to, to.order <= from.order ? "loop" : "follow");
    if (label) l.branchTo(label.depth);
    else this.tree(to);
  }
  private label(block: Block, kind: Label["kind"]): Label | undefined {
    for (let n = 0; n < this.labels.length; n++)
      if (this.labels[n]?.block === block && this.labels[n]?.kind === kind) return this.labels[n];
    return undefined;
  }
  /** Off.BUDGET follows the entry: page form minus the instruction that retires. */
  private spend(index: number, last: Instruction): void {
    const { l } = this;
    const delta = ((l.ip(index) - l.ip(last.index)) >> 3) - 1;
    if (delta === 0) return;
    l.get(this.budget);
    l.i32(delta);
    l.op(W.i32Add);
    l.set(this.budget);
  }
  /**
   * Another page becomes the current one, if it is still mapped as it was when the region was made: the fetch TLB knows. A return
   * goes to a page that the region came through; nothing in a region changes the TLB.
   */
  private cross(last: Instruction, e: Edge): void {
    const { l } = this;
    const page = l.pageAddress(e.index);
    const first = e.index & ~1023;
    if (e.kind !== "return") this.mapped(last, e, first, page);
    l.get(PE);
    l.pcOf(first, last.index);
    l.i64(page >>> 1);
    l.op(W.i64Sub);
    l.mem(W.i64Store, Off.PCBASE);
    l.get(PE);
    l.i32(page);
    l.mem(W.i32Store, Off.CURPRE);
  }
  private mapped(last: Instruction, e: Edge, first: number, page: number): void {
    const { l } = this;
    const va = l.local(I64);
    const entry = l.local(I32);
    l.pcOf(first, last.index);
    l.set(va);
    l.fetchEntry(va);
    l.tee(entry);
    l.mem(W.i64Load, 0);
    l.get(va);
    l.op(W.i64Ne);
    l.get(entry);
    l.mem(W.i32Load, 8);
    l.i32(page);
    l.op(W.i32Ne, W.i32Or);
    // BTI: pages of a region are alike.
    l.get(entry);
    l.mem(W.i32Load, 12);
    l.i32(1);
    l.op(W.i32And);
    l.loadState(Off.GUARDED);
    l.op(W.i32Ne, W.i32Or);
    l.freeTemporaries();
    l.expect(false);
    l.block(W.if);
    this.leaveTo(last, e.index);
    l.op(W.end);
  }
  /** A loop goes on while there is budget: interrupts are taken between slices. */
  private backEdge(to: Block): void {
    const { l } = this;
    l.get(this.budget);
    l.i32(l.ip(to.index) >>> 3);
    l.op(W.i32LeS);
    l.expect(false);
    l.block(W.if);
    this.leaveRarely(l.ip(to.index), true);
    l.op(W.end);
  }
  private exit(from: Block, last: Instruction, e: Edge): void {
    const { l } = this;
    if (e.kind === "fall") {
      // Behind an instruction that only the interpreter executes, code may become a region of its own. Straight-line code may run
      // into the entry behind the page, which leads to the next one.
      const at = l.ip(last.index) + 8;
      const warm = from.stop ? at + 8 : at;
      this.leaveAt(at, warm < l.pageAddress(last.index) + 8192 ? warm : 0);
    } else if (e.crosses) this.leaveTo(last, e.index);
    else {
      this.spend(e.index, last);
      if (e.cold) this.leaveRarely(l.ip(e.index), true);
      else this.leaveAt(l.ip(e.index), l.ip(e.index));
    }
  }
  /** Continues at an entry of this page. `warm`: the entry to count, 0 for none. */
  private leaveAt(ip: number, warm: number): void {
    const { l } = this;
    l.storeFlags(l.form);
    l.storeRegisters(this.dirty);
    this.onward(
      () => l.i32(ip),
      () => l.i32(warm),
    );
  }
  private onward(ip: () => void, warm: () => void): void {
    const { l } = this;
    l.get(PE);
    ip();
    warm();
    l.get(this.budget);
    l.call("onward", W.returnCall);
  }
  /** Continues at the instruction with this index, in another page. */
  private leaveTo(last: Instruction, index: number): void {
    this.go(last, () => this.l.pcOf(index, last.index));
  }
  /** `last` retires, and the PE goes on at the address that `target` puts on the stack. */
  private go(last: Instruction, target: () => void): void {
    const { l } = this;
    // The operands are on the stack before temporaries, in which they may stand, are used again.
    l.get(PE);
    target();
    l.get(this.budget);
    l.i32((l.ip(last.index) >>> 3) + 1);
    l.op(W.i32Sub);
    l.storeFlags(l.form);
    l.storeRegisters(this.dirty);
    l.call("go", W.returnCall);
  }
  /**
   * Leaves by the code that all rare ways out share, for an entry: `on` to go on there, else the interpreter executes that
   * instruction. They differ in one number: distance from the region's entry, 1 for `on`, and 3 bits for the form of the flags.
   */
  private leaveRarely(ip: number, on: boolean): void {
    const { l } = this;
    if (on) this.leadsOn = true;
    const to = 2 * (ip - this.first) + (on ? 8 : 0);
    if (l.form === "mixed") {
      l.i32(to);
      l.whichForm();
      l.op(W.i32Add);
    } else {
      if (!this.forms.includes(l.form)) this.forms.push(l.form);
      l.i32(to + this.forms.indexOf(l.form));
    }
    l.set(this.way);
    l.branchTo(this.wayLabel);
  }
  /** Predecoded entry of the region. */
  private get first(): number {
    return this.l.ip(this.region.entry.index);
  }

  // ---- shared code -------------------------------------------------------------------------------------------------
  private rareTail(): void {
    const { l } = this;
    this.forms.forEach((form, n) => {
      if (form === "memory") return;
      const only = this.forms.length === 1;
      if (!only) {
        l.get(this.way);
        l.i32(7);
        l.op(W.i32And);
        l.i32(n);
        l.op(W.i32Eq);
        l.block(W.if);
      }
      l.storeFlags(form);
      if (!only) l.op(W.end);
    });
    l.storeRegisters(this.flow.bail);
    const ip = l.local(I32);
    l.get(this.way);
    l.i32(1);
    l.op(W.i32ShrS);
    l.i32(-8);
    l.op(W.i32And);
    l.i32(this.first);
    l.op(W.i32Add);
    l.set(ip);
    if (this.leadsOn) {
      l.get(this.way);
      l.i32(8);
      l.op(W.i32And);
      l.block(W.if);
      this.onward(
        () => l.get(ip),
        () => l.get(ip),
      );
      l.op(W.end);
    }
    l.get(PE);
    l.get(ip);
    l.get(this.budget);
    l.call("interpret", W.returnCall);
  }
}

/**
 * The function of a region. `aligned`: it is run where accesses must be aligned (SCTLR_ELx.A, or a disabled MMU); otherwise it runs
 * in the interpreter there. `hot`: it may be larger. A region can be compiled once: its effects are used up.
 */
export const compileRegion = (region: Region, aligned: boolean, hot: boolean): Func => new Compiler(region, aligned, hot).compile();
