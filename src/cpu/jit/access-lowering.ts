// Memory accesses of regions: what misses the L1 TLB, what shares a look at it, and what keeps what a look has found.

import { Off } from "../../arch/layout.ts";
import { I32, I64 } from "../../ir/value.ts";
import { Kind } from "../emit/access.ts";
import { PE } from "../emit/emitter.ts";
import { W } from "../emit/opcodes.ts";
import type { RuntimeFn } from "../emit/runtime-abi.ts";
import type { Instruction } from "./instruction.ts";
import { Player } from "./player.ts";
import type { Stream } from "./streams.ts";

export abstract class AccessLowering extends Player {
  /** The instruction that is being lowered. */
  protected current: Instruction | undefined;
  /** Has an access that may be misaligned; undefined: each is checked, as SCTLR_ELx.A or a disabled MMU demands. */
  unaligned: boolean | undefined;
  private readonly tlb = new Map<number, number>();
  /** Accesses that share a look at the TLB. */
  private readonly streams: ReadonlyMap<Instruction, Stream>;

  constructor(runtime: (fn: RuntimeFn) => number, streams: ReadonlyMap<Instruction, Stream>) {
    super(runtime, 3);
    this.streams = streams;
  }

  /** The locals that hold the current L1 TLB tables' addresses; a region cannot change which tables are current. */
  get tables(): ReadonlyMap<number, number> {
    return this.tlb;
  }
  protected override tableAddress(off: number): void {
    let local = this.tlb.get(off);
    if (local === undefined) {
      local = this.permanent(I32);
      this.tlb.set(off, local);
    }
    this.get(local);
  }

  /** Address of the fetch TLB's entry for the virtual address in local `va`, on the stack. */
  fetchEntry(va: number): void {
    this.tableAddress(Off.TLB_X);
    this.tlbIndex(va);
  }

  /** As in the interpreter, but what does not hit the L1 TLB even after a refill is left to the interpreter. */
  protected override address(va: number, kind: number): number {
    const host = this.local(I32);
    const strict = kind & (Kind.EXCLUSIVE | Kind.ATOMIC | Kind.ORDERED | Kind.ZVA);
    const anywhere = !strict && (kind & Kind.LG) > 0 && this.unaligned !== undefined;
    if (anywhere) this.unaligned = true;
    const stream = strict || this.unaligned === undefined ? undefined : this.streams.get(this.current as Instruction);
    const follows = stream !== undefined && (stream.first !== this.current || stream === this.opened);
    if (follows) {
      this.followStream(stream, va, kind, host);
      return host;
    }
    if (stream?.kept) {
      this.openKept(stream, va, kind, host, anywhere);
      return host;
    }
    if (stream) this.openStream(stream);
    this.tlbTags(va, kind, host, anywhere);
    this.op(W.i64Ne);
    this.expect(false);
    this.block(W.if);
    this.refill(va, kind, host);
    this.op(W.else);
    this.get(host);
    this.mem(W.i32Load, 8);
    if (stream) this.tee(stream.delta);
    this.get(va);
    this.op(W.wrap, W.i32Add);
    this.set(host);
    if (stream) this.checkStream(stream, va);
    this.op(W.end);
    return host;
  }
  /** The stream that the present instruction has opened: by its first access alone, when it makes several (structures of vectors). */
  protected opened: Stream | undefined;
  private openStream(stream: Stream): void {
    this.opened = stream;
    stream.delta = this.permanent(I32);
    stream.valid = this.permanent(I32);
    this.i32(0);
    this.set(stream.valid);
  }
  /** As for others, but first the access is looked for where the last one was: see Stream.kept. */
  private openKept(stream: Stream, va: number, kind: number, host: number, anywhere: boolean): void {
    this.opened = stream;
    stream.delta = this.permanent(I32);
    stream.valid = this.permanent(I64);
    stream.base = this.permanent(I64);
    const { delta, valid, base, from, to } = stream;
    this.get(va);
    this.get(base);
    this.op(W.i64Sub);
    this.get(valid);
    this.op(W.i64LtU);
    this.expect(true);
    this.block(W.if);
    this.hostAddress(delta, va, host);
    this.op(W.else);
    this.tlbTags(va, kind, host, anywhere);
    this.op(W.i64Ne);
    this.block(W.if);
    this.refill(va, kind, host);
    this.i64(0);
    this.set(valid);
    this.op(W.else);
    this.get(host);
    this.mem(W.i32Load, 8);
    this.set(delta);
    this.hostAddress(delta, va, host);
    this.get(va);
    this.i64(-4096);
    this.op(W.i64And);
    this.add64(-from);
    this.set(base);
    this.i64(4096 - (to - from) + 1);
    this.i64(0);
    this.withinPage(stream, va);
    this.op(W.select);
    this.set(valid);
    this.op(W.end, W.end);
  }
  private hostAddress(delta: number, va: number, host: number): void {
    this.get(delta);
    this.get(va);
    this.op(W.wrap, W.i32Add);
    this.set(host);
  }
  /** Are all accesses of the stream in the page of its first one, at `va`? */
  private checkStream(stream: Stream, va: number): void {
    this.withinPage(stream, va);
    this.set(stream.valid);
  }
  private withinPage({ from, to }: Stream, va: number): void {
    this.get(va);
    this.op(W.wrap);
    this.i32(4095);
    this.op(W.i32And);
    if (from !== 0) {
      this.i32(from);
      this.op(W.i32Add);
    }
    this.i32(4096 - (to - from));
    this.op(W.i32LeU);
  }
  private followStream({ delta, valid, kept }: Stream, va: number, kind: number, host: number): void {
    this.get(valid);
    if (kept) this.op(W.i64Eqz, W.i32Eqz);
    this.expect(true);
    this.block(W.if);
    this.hostAddress(delta, va, host);
    this.op(W.else);
    this.refill(va, kind, host);
    this.op(W.end);
  }
  /** The address in linear memory, whatever the L1 TLB has; bails when only the interpreter can make the access. */
  private refill(va: number, kind: number, host: number): void {
    this.get(PE);
    this.get(va);
    this.i32(kind);
    this.call("refill");
    this.tee(host);
    this.i32(-1);
    this.op(W.i32Eq);
    this.expect(false);
    this.block(W.if);
    this.bail();
    this.op(W.end);
  }
  /** What a refill finds is RAM: nothing is left to complete. */
  protected override commit(): void {}
}
