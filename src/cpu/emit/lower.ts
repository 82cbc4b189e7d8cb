// Lowers the effects of one instruction to Wasm, with registers in the PE block.

import { Off, TLB_ENTRIES } from "../../arch/layout.ts";
import type { Effect } from "../../ir/builder.ts";
import { canonical, type Flags } from "../../ir/flags.ts";
import { F32, F64, I32, I64, Op, V128, Value } from "../../ir/value.ts";
import { Kind } from "./access.ts";
import { Emitter, flagSlots, INSN, IP, loadOp, PE } from "./emitter.ts";
import { W } from "./opcodes.ts";

export { INSN, IP, PE } from "./emitter.ts";

const storeOp = [0x3c, 0x3d, 0x3e, 0x37] as const;
/** v128.load{8..64}_lane-free zero-extending loads exist for 32 and 64 bits; smaller ones go through i64. */
const vectorLoad: Record<number, number> = { 2: 0xfd5c, 3: 0xfd5d, 4: 0xfd00 };

export class Lowering extends Emitter {
  // ---- memory ----------------------------------------------------------------------------------------------------
  /** The address of a current L1 TLB table (an offset of the PE block) on the stack. */
  protected tableAddress(off: number): void {
    this.loadState(off);
  }
  /** Adds to the table address on the stack what leads to the entry of the virtual address in local `va`. */
  protected tlbIndex(va: number): void {
    this.get(va);
    this.i64(8);
    this.op(W.i64ShrU, W.wrap);
    this.i32((TLB_ENTRIES - 1) << 4);
    this.op(W.i32And, W.i32Add);
  }
  /** The tag of the L1 TLB entry for an access at the address in local `va`, on the stack; the entry's address in local `entry`. */
  protected tlbTag(va: number, kind: number, entry: number): void {
    const unprivileged = (kind & Kind.UNPRIVILEGED) !== 0;
    const write = (kind & (Kind.STORE | Kind.ATOMIC | Kind.ZVA)) !== 0;
    this.tableAddress(write ? (unprivileged ? Off.TLB_UW : Off.TLB_W) : unprivileged ? Off.TLB_UR : Off.TLB_R);
    this.tlbIndex(va);
    this.tee(entry);
    this.mem(W.i64Load, 0);
  }
  /** Adds a constant to the i64 on the stack. */
  protected add64(by: number): void {
    if (by === 0) return;
    this.i64(by);
    this.op(W.i64Add);
  }
  /**
   * Leaves the tag of the L1 TLB entry for an access, and the tag that it must have; the entry's address in local `entry`. Only
   * aligned accesses have that tag; with `anywhere`, all that stay in one page.
   */
  protected tlbTags(va: number, kind: number, entry: number, anywhere = false): void {
    // Exclusive and atomic pairs are one access of twice the element size; other pairs are two accesses.
    const single = kind & (Kind.EXCLUSIVE | Kind.ATOMIC);
    const element = kind & Kind.ZVA ? 64 : (1 << (kind & Kind.LG)) << (kind & Kind.PAIR && single ? 1 : 0);
    this.tlbTag(va, kind, entry);
    this.get(va);
    const pair = kind & Kind.PAIR && !single;
    this.add64((pair ? element : 0) + (anywhere ? element - 1 : 0));
    this.i64(-4096 | (anywhere ? 0 : element - 1));
    this.op(W.i64And);
  }
  /** 1 on the stack when the L1 TLB has the page of the virtual address in local `va` for reads. */
  readable(va: number): void {
    this.tlbTags(va, 0, this.local(I32));
    this.op(W.i64Eq);
  }
  /**
   * Leaves in the returned local the address in linear memory of the access. The inline check covers aligned accesses
   * that hit the L1 TLB; the rest goes to the slow path, which answers an address or -1 (redirect).
   * For stores the address may be the PE's VAL buffer: then `commit` must follow (see store).
   */
  protected address(va: number, kind: number): number {
    const host = this.local(I32);
    const entry = this.local(I32);
    this.tlbTags(va, kind, entry);
    this.op(W.i64Eq);
    this.expect(true);
    this.block(W.if, I32);
    this.get(entry);
    this.mem(W.i32Load, 8);
    this.get(va);
    this.op(W.wrap, W.i32Add, W.else);
    this.get(PE);
    this.get(IP);
    this.get(va);
    this.i32(kind);
    this.call("slow");
    this.tee(host);
    this.i32(-1);
    this.op(W.i32Eq);
    this.expect(false);
    this.block(W.if);
    this.i32(-1);
    this.op(W.return, W.end);
    this.get(host);
    this.op(W.end);
    this.set(host);
    return host;
  }
  private kindOf(e: { lg: number; o: { unprivileged?: boolean; ordered?: boolean; exclusive?: boolean } }, count: number): number {
    const { o } = e;
    return (
      e.lg |
      (count === 2 ? Kind.PAIR : 0) |
      (o.unprivileged ? Kind.UNPRIVILEGED : 0) |
      (o.ordered ? Kind.ORDERED : 0) |
      (o.exclusive ? Kind.EXCLUSIVE : 0)
    );
  }
  private load(e: Extract<Effect, { e: "load" }>): void {
    const kind = this.kindOf(e, e.results.length);
    const host = this.address(this.toLocal(e.va), kind);
    e.results.forEach((r, i) => {
      this.get(host);
      const off = i << e.lg;
      if (r.type === V128) {
        const direct = vectorLoad[e.lg];
        if (direct !== undefined) this.mem(direct, off);
        else {
          this.mem(loadOp(e.lg, false), off);
          this.i64ToVector();
        }
      } else this.mem(loadOp(e.lg, e.signed), off);
      r.local = this.local(r.type);
      this.set(r.local);
    });
    if (e.o.exclusive) this.setMonitor(host, e.results.length << e.lg);
  }
  private setMonitor(host: number, size: number): void {
    this.get(PE);
    this.i32(size);
    this.mem(W.i32Store, Off.EXSIZE);
    this.get(PE);
    this.get(host);
    this.mem(W.i32Store, Off.EXADDR);
  }
  /** i64 on the stack becomes a v128 with the upper half zero. */
  private i64ToVector(): void {
    const t = this.local(I64);
    this.set(t);
    this.zeroVector();
    this.get(t);
    this.op(0xfd1e);
    this.out.u8(0);
  }
  private storeElements(host: number, values: readonly { value: Value; local: number }[], lg: number): void {
    values.forEach(({ value, local }, i) => {
      this.get(host);
      this.get(local);
      const off = i << lg;
      if (value.type !== V128) this.mem(storeOp[lg] as number, off);
      else if (lg === 4) this.mem(W.v128Store, off);
      else {
        this.op(0xfd1d);
        this.out.u8(0);
        this.mem(storeOp[lg] as number, off);
      }
    });
  }
  private store(e: Extract<Effect, { e: "store" }>): void {
    const kind = this.kindOf(e, e.values.length) | Kind.STORE;
    const va = this.toLocal(e.va);
    const values = e.values.map((value) => ({ value, local: this.toLocal(value) }));
    const host = this.address(va, kind);
    this.storeElements(host, values, e.lg);
    this.commit(host, kind);
  }
  /** A store that landed in the VAL buffer is completed by the slow path (device, page crossing). */
  protected commit(host: number, kind: number): void {
    this.get(host);
    this.get(PE);
    this.i32(Off.VAL);
    this.op(W.i32Add, W.i32Eq);
    this.expect(false);
    this.block(W.if);
    this.get(PE);
    this.get(IP);
    this.i32(kind);
    this.call("commit");
    this.returnIf(-1);
    this.op(W.end);
  }
  private atomic(e: Extract<Effect, { e: "atomic" }>): void {
    const kind = e.lg | Kind.ATOMIC | Kind.STORE | Kind.ORDERED | (e.results.length === 2 ? Kind.PAIR : 0);
    const host = this.address(this.toLocal(e.va), kind);
    e.results.forEach((r, i) => {
      this.get(host);
      this.mem(loadOp(e.lg, false), i << e.lg);
      r.local = this.local(I64);
      this.set(r.local);
    });
    this.storeElements(
      host,
      e.next.map((value) => ({ value, local: this.toLocal(value) })),
      e.lg,
    );
  }
  private storeExclusive(e: Extract<Effect, { e: "storex" }>): void {
    const size = e.values.length << e.lg;
    const kind = this.kindOf(e, e.values.length) | Kind.STORE | Kind.ATOMIC;
    const va = this.toLocal(e.va);
    const values = e.values.map((value) => ({ value, local: this.toLocal(value) }));
    const host = this.address(va, kind);
    e.status.local = this.local(I32);
    this.i32(0);
    this.set(e.status.local);
    this.loadState(Off.EXSIZE);
    this.i32(size);
    this.op(W.i32Eq);
    this.loadState(Off.EXADDR);
    this.get(host);
    this.op(W.i32Eq, W.i32And);
    this.expect(true);
    this.block(W.if);
    this.storeElements(host, values, e.lg);
    this.op(W.else);
    this.i32(1);
    this.set(e.status.local);
    this.op(W.end);
    this.get(PE);
    this.i32(0);
    this.mem(W.i32Store, Off.EXSIZE);
  }
  private zeroBlock(va: Value): void {
    const a = this.local(I64);
    this.value(va);
    this.i64(-64);
    this.op(W.i64And);
    this.set(a);
    const host = this.address(a, Kind.ZVA | Kind.STORE);
    for (let i = 0; i < 4; i++) {
      this.get(host);
      this.zeroVector();
      this.mem(W.v128Store, i * 16);
    }
  }

  // ---- register writes -------------------------------------------------------------------------------------------
  /** Leaves a full v128 whose bytes above 2^lg are zero. */
  private vectorValue(n: Value, lg: number): void {
    if (n.type === V128) {
      this.value(n);
      if (lg < 4) {
        this.i64(0);
        this.op(0xfd1e);
        this.out.u8(1);
      }
      return;
    }
    this.zeroVector();
    this.value(n);
    this.op(n.type === F64 ? 0xfd22 : n.type === F32 ? 0xfd20 : n.type === I64 ? 0xfd1e : 0xfd1c);
    this.out.u8(0);
  }
  /** All register and flag writes of an instruction: every value is computed before the first write. */
  private writes(list: readonly Effect[]): void {
    const single = list.length === 1;
    const ready = list.map((e) => {
      if (single) return -1;
      if (e.e === "setX") return this.toLocal(e.v);
      if (e.e === "setLane") return this.toLocal(e.v);
      if (e.e === "setV") {
        this.vectorValue(e.v, e.lg);
        const l = this.local(V128);
        this.set(l);
        return l;
      }
      return -1;
    });
    // Flags may read register values and old flags: computed before any write, stored last.
    const flags = list.flatMap((e) => (e.e === "setFlags" ? [e.f.values.map((n) => this.toLocal(n))] : []));
    for (const [i, e] of list.entries()) this.write(e, ready[i] as number);
    for (const f of flags) this.writeFlags(f);
  }
  /** What is kept of new flags: their canonical form. */
  protected flagsToKeep(f: Flags): Flags {
    return { kind: "canonical", values: canonical(f) };
  }
  /** Stores flags whose values (as flagsToKeep gave them) stand in `locals`. */
  protected writeFlags(locals: readonly number[]): void {
    flagSlots.forEach((slot, i) => {
      this.get(PE);
      this.get(locals[i] as number);
      this.mem(i === 2 ? W.i32Store : W.i64Store, slot);
    });
  }
  protected write(e: Effect, ready: number): void {
    switch (e.e) {
      case "setX": {
        if (e.r.op === Op.Const && e.r.imm === 31) return;
        const at = this.registerAddress(e.r.op === Op.Const ? undefined : e.r, e.r.imm, 3);
        if (ready >= 0) this.get(ready);
        else this.value(e.v);
        this.mem(W.i64Store, Off.X + at);
        if (e.r.op !== Op.Const) this.clearZr();
        return;
      }
      case "setV": {
        const at = this.registerAddress(e.r.op === Op.Const ? undefined : e.r, e.r.imm, 4);
        if (ready >= 0) this.get(ready);
        else this.vectorValue(e.v, e.lg);
        this.mem(W.v128Store, Off.V + at);
        return;
      }
      case "setLane": {
        const at = this.laneAddress(new Value(Op.Lane, I64, e.r.op === Op.Const ? undefined : e.r, e.index, undefined, e.r.imm, e.lg));
        if (ready >= 0) this.get(ready);
        else this.value(e.v);
        this.mem(storeOp[e.lg] as number, at);
        return;
      }
    }
  }
  /** A dynamic destination may have been 31: the ZR slot goes back to zero. */
  private clearZr(): void {
    this.get(PE);
    this.i64(0);
    this.mem(W.i64Store, Off.X + 31 * 8);
  }

  // ---- instructions ----------------------------------------------------------------------------------------------
  /** Calls Pe.system; nonzero answers redirect. */
  system(op: number): void {
    this.get(PE);
    this.get(IP);
    this.get(INSN);
    this.i32(op);
    this.call("system");
    this.returnIf(-1);
  }
  protected helper(index: number): void {
    this.get(PE);
    this.i32(index);
    this.get(INSN);
    this.call("helper");
  }
  /** The other way to do the instruction of a `fast` effect. */
  protected fallback(e: Extract<Effect, { e: "fast" }>): void {
    this.helper(e.index);
  }
  /** Emits all effects; the control effect that ends the instruction, if any, is returned with its operands in locals. */
  instruction(effects: readonly Effect[]): Effect | undefined {
    for (const e of effects) this.countEffect(e);
    const writes: Effect[] = [];
    let last: Effect | undefined;
    for (const e of effects) {
      switch (e.e) {
        case "load":
          this.load(e);
          break;
        case "store":
          this.store(e);
          break;
        case "atomic":
          this.atomic(e);
          break;
        case "storex":
          this.storeExclusive(e);
          break;
        case "zva":
          this.zeroBlock(e.va);
          break;
        case "system":
          if (e.cond) {
            this.value(e.cond);
            this.expect(false);
            this.block(W.if);
            this.system(e.op);
            this.op(W.end);
          } else this.system(e.op);
          break;
        case "helper":
          this.helper(e.index);
          break;
        case "fast":
          this.value(e.ok);
          this.expect(true);
          this.block(W.if);
          this.writes(e.writes);
          this.op(W.else);
          this.fallback(e);
          this.op(W.end);
          break;
        case "setState":
          this.get(PE);
          this.value(e.v);
          this.mem(e.v.type === I64 ? W.i64Store : W.i32Store, e.off);
          break;
        case "branch":
          last = e;
          if (e.cond) last = { ...e, cond: this.pinned(e.cond) };
          break;
        case "jump":
          last = { ...e, pc: this.pinned(e.pc), btype: e.btype && this.pinned(e.btype) };
          break;
        default:
          writes.push(e);
      }
    }
    if (writes.length > 0) this.writes(writes);
    return last;
  }
  /** Stores where a jump leads, and PSTATE.BTYPE when it changes that. */
  jumpTarget(e: Extract<Effect, { e: "jump" }>): void {
    this.get(PE);
    this.value(e.pc);
    this.mem(W.i64Store, Off.PC);
    this.branchType(e);
  }
  protected branchType(e: Extract<Effect, { e: "jump" }>): void {
    if (!e.btype) return;
    this.get(PE);
    this.value(e.btype);
    this.mem(W.i32Store, Off.BTYPE);
  }
  private pinned(n: Value): Value {
    const l = this.toLocal(n);
    const v = new Value(Op.Local, n.type, undefined, undefined, undefined, l);
    return v;
  }
  private countEffect(e: Effect): void {
    switch (e.e) {
      case "load":
      case "zva":
        this.count(e.va);
        break;
      case "store":
      case "storex":
        this.count(e.va);
        for (const v of e.values) this.count(v);
        break;
      case "atomic":
        this.count(e.va);
        for (const v of e.next) this.count(v);
        break;
      case "setX":
      case "setV":
        this.count(e.v);
        break;
      case "setLane":
        this.count(e.v);
        this.count(e.index);
        break;
      case "setFlags":
        // What gets written shares its nodes with the rest: it replaces the flags.
        e.f = this.flagsToKeep(e.f);
        for (const v of e.f.values) this.count(v);
        break;
      case "setState":
        this.count(e.v);
        break;
      case "branch":
        this.count(e.off);
        if (e.cond) this.count(e.cond);
        break;
      case "jump":
        this.count(e.pc);
        if (e.btype) this.count(e.btype);
        break;
      case "system":
        if (e.cond) this.count(e.cond);
        break;
      case "fast":
        this.count(e.ok);
        for (const w of e.writes) this.countEffect(w);
        break;
    }
  }
}
