// Runs PEs: owns the generated interpreter, its imports, and slices of an exact number of instructions.

import { BITMASKS, CRC_TABLES, EMPTY_TLB, Off, PE_BASE, PE_STRIDE, TLB_EMPTY, TLB_ENTRIES, VISITS, VISITS_MASK } from "../arch/layout.ts";
import type { PeState } from "../arch/state.ts";
import { helpers } from "../isa/semantics/index.ts";
import { SysOp } from "../isa/sysops.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { Access } from "../mmu/access.ts";
import type { TlbDomain } from "../mmu/domain.ts";
import { type Fault, FaultType } from "../mmu/fault.ts";
import type { Saved } from "../util/stateful.ts";
import type { Agent } from "./agent.ts";
import { CodePages } from "./code-pages.ts";
import type { ExitCounters } from "./counters.ts";
import { DebugMode } from "./debug.ts";
import { bitmaskTable, crcTables } from "./emit/tables.ts";
import { branchAddress } from "./exceptions.ts";
import { interpreterModule } from "./interp/prebuilt.ts";
import type { DecodeContext } from "./interp/predecode.ts";
import { REGION_LIMIT } from "./jit/blocks.ts";
import { Checker } from "./jit/check.ts";
import { type JitStatistics, RegionEngine } from "./jit/engine.ts";
import type { Translation } from "./jit/job.ts";
import { JsEngine } from "./jit/js/engine.ts";
import { entryInTlb } from "./jit/nearby.ts";
import type { Pe } from "./pe.ts";
import { REDIRECTED, SlowPath } from "./slow-path.ts";

interface Exports {
  run(pe: number): number;
  step(pe: number): number;
  plain(pe: number, ip: number): number;
  interpret(pe: number, ip: number, budget: number): number;
  visit(pe: number, ip: number): void;
  jump(pe: number): number;
  pac(pe: number, pointer: bigint, modifier: bigint, key: number): bigint;
  table: WebAssembly.Table;
}

/** Tables that data accesses look into; while a watchpoint is armed they are replaced by one that always misses. */
const DATA_TABLES = [Off.TLB_R, Off.TLB_W, Off.TLB_UR, Off.TLB_UW] as const;

/** Most calls of an agent in a slice. Each may cost the host some 100 microseconds, and its event loop waits for the end of the slice. */
const MAX_AGENT_CALLS = 64;
/** Between two budget checks a translated region runs forward, and then straight-line code to the end of its page. */
const SLACK = 1100 + REGION_LIMIT;

/** What executes hot code. The last two compare each run of translated code with the interpreter (jit/check.ts). */
export type Engine = "interp" | "wasm" | "js" | "check" | "check-js";

/** Who writes memory: an instruction of the running PE, a table walk of it, the host; or a device or an agent, by name. */
export type MemoryWriter = "pe" | "walk" | "host" | `device:${string}` | `agent:${string}`;

export class Executor {
  readonly code: CodePages;
  /**
   * Told of writes to memory that do not go through an L1 TLB, by instructions before they are made, by walks afterwards. Writes to
   * a page are all seen while TlbDomain.allowWrite refuses it.
   */
  writeObserver: ((pa: number, length: number, by: MemoryWriter) => void) | undefined;
  private readonly pes: readonly Pe[];
  /** Translates hot code; undefined when the interpreter does everything. */
  readonly engine: RegionEngine | undefined;
  readonly blocks: JsEngine | undefined;
  readonly checker: Checker | undefined;
  /** Set while a profiler is attached. */
  counters: ExitCounters | undefined;
  /** Counters of ways to entries. */
  private readonly visits: Uint32Array;
  private readonly phys: PhysicalMemory;
  private readonly domain: TlbDomain;
  private readonly slow: SlowPath;
  private readonly exports: Exports;
  /** PE being run and the budget that its current call started with. */
  private current: Pe | undefined;
  private budget = 0;
  /** By PE: the instructions that it had retired when it took its last data abort. */
  private readonly faultedAt: number[] = [];
  /** Instructions that earlier calls of generated code and agents have retired in this slice. */
  private earlier = 0;
  /** Remaining budget when a helper asked to leave; -1: nobody did. */
  private stopped = -1;
  private stopRequested = false;
  /** The last slice ended before its time only because agents were called too often: what is left of it is to be run by another call. */
  cut = false;
  /** PE whose last instruction was executed as a software step (ISS.ISV of the next step exception). */
  private stepped: Pe | undefined;
  /** 4 KiB pages that hold another PE's exclusive reservation: writes to them clear it. */
  private readonly watched = new Map<number, Set<Pe>>();

  constructor(
    phys: PhysicalMemory,
    domain: TlbDomain,
    pes: readonly Pe[],
    context: DecodeContext,
    engine: Engine = "interp",
    translation?: Translation,
  ) {
    this.phys = phys;
    this.domain = domain;
    this.pes = pes;
    this.code = new CodePages(phys, domain, context);
    this.slow = new SlowPath(phys, this.code, (pa, bytes) => this.memoryWritten(pa, bytes, "pe"));
    domain.allowWrite = (pa) => !this.code.has(pa) && !this.watched.has(Math.floor(pa / 4096));
    domain.tableWritten = (pa) => this.memoryWritten(pa, 8, "walk");
    this.visits = new Uint32Array(phys.memory.buffer, VISITS, (VISITS_MASK >> 2) + 1);
    new BigUint64Array(phys.memory.buffer).set(bitmaskTable(), BITMASKS >> 3);
    new Uint32Array(phys.memory.buffer).set(crcTables(), CRC_TABLES >> 2);
    const empty = new BigUint64Array(phys.memory.buffer, EMPTY_TLB, 2 * TLB_ENTRIES);
    for (let i = 0; i < TLB_ENTRIES; i++) empty[2 * i] = BigInt(TLB_EMPTY);
    const pe = (base: number) => this.pes[(base - PE_BASE) / PE_STRIDE] as Pe;
    const instance = new WebAssembly.Instance(interpreterModule(), {
      e: {
        m: phys.memory,
        miss: (base: number, kind: number) => this.miss(pe(base), kind),
        commitJs: (base: number, kind: number) => this.commit(pe(base), kind),
        systemJs: (base: number, op: number, insn: number) => this.system(pe(base), op, insn),
        decode: (_base: number, ip: number) => {
          this.counters?.count("decode");
          return this.code.decode(ip) ? 0 : 1;
        },
        fetch: (base: number) => this.fetch(pe(base)),
        landing: (base: number, ip: number) => this.landing(pe(base), ip),
        probe: (base: number, kind: number) => this.probe(pe(base), kind),
        hot: (base: number, ip: number) => this.hot(pe(base), ip),
        block: (base: number, ip: number) => this.blocks?.run(base, ip) ?? (this.engine as RegionEngine).run(pe(base).st, ip),
        helper: (base: number, index: number, insn: number) => {
          this.counters?.count("helper");
          (helpers[index] as (typeof helpers)[number])(pe(base).st, insn);
        },
      },
    });
    this.exports = instance.exports as unknown as Exports;
    if (engine === "check" || engine === "check-js") this.checker = new Checker(this.exports.plain, this.exports.jump);
    if (engine === "wasm" || engine === "check") {
      const pages = phys.memory.buffer.byteLength / 65536;
      const { code, checker } = this;
      this.engine = new RegionEngine({
        code,
        context,
        memory: phys.memory,
        pages: { initial: pages, maximum: pages },
        exports: instance.exports,
        checker,
        translation,
      });
    }
    if (engine === "js" || engine === "check-js") {
      const { code, exports, checker } = this;
      this.blocks = new JsEngine({
        code,
        context,
        memory: phys.memory,
        exports: instance.exports,
        checker,
        hooks: {
          plain: exports.plain,
          interpret: checker ? (base, ip, budget) => this.stay(pe(base), ip, budget) : exports.interpret,
          visit: exports.visit,
          helper: (base, index, insn) => (helpers[index] as (typeof helpers)[number])(pe(base).st, insn),
          probe: (base, kind) => this.probe(pe(base), kind),
        },
      });
    }
  }
  /** Under check a translation does not execute what it leaves to the interpreter. */
  private stay({ st }: Pe, ip: number, budget: number): number {
    st.setLo(Off.BUDGET, budget);
    return ip;
  }
  /** Generated code reached the entry at `ip` often. */
  private hot(pe: Pe, ip: number): void {
    // Entries that share the counter start over with it: otherwise only the first of them would ever be noticed.
    this.visits[((ip >>> 1) & VISITS_MASK) >> 2] = 0;
    this.engine?.hot(pe.st, ip);
    this.blocks?.hot(ip, pe.st.get(Off.PCBASE) + BigInt(ip >>> 1));
  }

  /** The predecoded entry of the instruction that the PE executes next; undefined when its page is not in the first-level TLB. */
  entryOf(pe: Pe): number | undefined {
    const { st } = pe;
    return entryInTlb(st.u32, st.lo(Off.TLB_X), st.lo(Off.PC), st.hi(Off.PC));
  }
  /** Is the instruction at this entry part of a translation? */
  isTranslated(ip: number): boolean {
    return (this.engine ?? this.blocks)?.covers(ip) ?? false;
  }
  /** What the translator has done; undefined without one. */
  get translations(): JitStatistics | undefined {
    return (this.engine ?? this.blocks)?.statistics;
  }

  /** Instructions retired in the slice that is under way; exact inside helpers, devices and agents. */
  get progress(): number {
    return this.earlier + this.entered;
  }
  /** The part of it that the present call of generated code has retired. */
  private get entered(): number {
    return this.current ? this.budget - remaining(this.current.st) : 0;
  }
  /** The PE whose instruction is being executed; undefined between slices. */
  get running(): Pe | undefined {
    return this.current;
  }
  /** The pointer authentication function; `key`: offset of the key's low half in the PE block. */
  pac(pe: Pe, pointer: bigint, modifier: bigint, key: number): bigint {
    return BigInt.asUintN(64, this.exports.pac(pe.st.base, pointer, modifier, key));
  }
  /** Leaves generated code as soon as the current instruction is finished. Only system helpers and device writes notice at once. */
  requestStop(): void {
    this.stopRequested = true;
  }

  /**
   * Runs `pe` for exactly `count` instructions, fewer if it halts, a stop is requested or it is `cut`. Returns how many retired.
   * `fresh`: a new turn, interrupts are polled; otherwise the continuation of one that was cut.
   */
  slice(pe: Pe, count: number, fresh = true): number {
    const { st } = pe;
    this.code.quiesce();
    this.engine?.sample(st);
    this.engine?.work();
    this.blocks?.work();
    this.stopRequested = false;
    this.cut = false;
    this.unwatch(pe);
    if (fresh) pe.pollInterrupts();
    let left = count;
    let calls = 0;
    while (left > 0 && st.lo(Off.HALT) === 0 && !this.stopRequested) {
      this.earlier = count - left;
      const { mode } = pe.debug;
      const software = pe.resident;
      if (software !== undefined) {
        left -= this.runAgent(pe, software);
        if (++calls === MAX_AGENT_CALLS) {
          this.cut = left > 0;
          break;
        }
      } else if (mode !== 0) left -= this.debugged(pe, mode);
      else if (left <= 2 * SLACK) left -= this.enter(pe, this.exports.step, left);
      else left -= this.enter(pe, this.exports.run, left - SLACK);
    }
    this.earlier = 0;
    if (pe.contextStale) pe.contextChanged(); // for whoever looks at the PE now
    this.watch(pe);
    return count - left;
  }
  /** The PE is at a level whose software is an agent: it acts instead of code. Costs an instruction, so that time goes on. */
  private runAgent(pe: Pe, agent: Required<Agent>): number {
    agent.execute(pe);
    if (pe.st.lo(Off.HALT) === 0) pe.pollInterrupts();
    return 1;
  }
  private enter(pe: Pe, run: (base: number) => number, budget: number): number {
    const { st } = pe;
    this.current = pe;
    this.budget = budget;
    this.stopped = -1;
    st.setLo(Off.BUDGET, budget);
    try {
      run(st.base);
    } finally {
      this.current = undefined;
    }
    const retired = budget - (this.stopped >= 0 ? this.stopped : st.lo(Off.BUDGET) | 0);
    st.set(Off.ICOUNT, st.get(Off.ICOUNT) + BigInt(retired));
    return retired;
  }
  /** Instructions that `pe` has retired, the present one not counted. */
  retired(pe: Pe): bigint {
    return pe.st.get(Off.ICOUNT) + BigInt(this.current === pe ? this.entered : 0);
  }

  /** One instruction under self-hosted debug: step and breakpoint checks before it, watchpoints by the slow path. */
  private debugged(pe: Pe, mode: number): number {
    const { st, debug } = pe;
    const stepped = this.stepped === pe;
    this.stepped = undefined;
    if (mode & DebugMode.Step && debug.takeStep(stepped, st.lo(Off.EXSIZE) !== 0)) return 1;
    if (mode & DebugMode.Breakpoints && debug.takeBreakpoint()) return 1;
    const active = (mode & DebugMode.Step) !== 0 && st.lo(Off.SS) === 1;
    this.slow.watching = (mode & DebugMode.Watchpoints) !== 0;
    if (this.slow.watching) for (const table of DATA_TABLES) st.setLo(table, EMPTY_TLB);
    const el = st.lo(Off.EL);
    const retired = this.enter(pe, this.exports.step, 1);
    if (this.slow.watching) pe.mmu.contextChanged();
    this.slow.watching = false;
    if (active && st.lo(Off.EL) === el) {
      st.setLo(Off.SS, 0);
      this.stepped = pe;
    }
    return Math.max(1, retired);
  }
  /** Makes jump() exit; the remaining budget is kept aside. The caller of this helper retires one instruction. */
  private leave(pe: Pe): void {
    this.stopped = remaining(pe.st) - 1;
    pe.st.setLo(Off.BUDGET, 1);
    pe.st.setLo(Off.RESERVE, 0);
  }

  // ---- imports -----------------------------------------------------------------------------------------------------
  private miss(pe: Pe, kind: number): number {
    this.counters?.count("data access");
    const host = this.slow.access(pe, kind);
    if (host === REDIRECTED) this.faulted(pe);
    this.checker?.touched(pe.st, kind, host);
    return host;
  }
  /**
   * A data abort was taken. It retires nothing; but a handler whose first instruction takes it again would then never come to the end of a
   * slice: without an instruction since the last one it costs one.
   */
  private faulted(pe: Pe): void {
    const at = Number(this.retired(pe) & 0xffff_ffff_ffffn);
    const again = at === this.faultedAt[pe.index];
    if (again) spend(pe.st);
    this.faultedAt[pe.index] = again ? at + 1 : at;
  }
  private probe(pe: Pe, kind: number): number {
    if (this.counters) this.counters.refills++;
    const host = this.slow.probe(pe, kind, this.domain.allowWrite);
    this.checker?.touched(pe.st, kind, host);
    return host;
  }

  /** Completes a store. One that stops the machine ends the slice there: what runs up to the next branch is not counted. */
  private commit(pe: Pe, kind: number): number {
    if (this.slow.commit(pe, kind)) {
      this.faulted(pe);
      return 1;
    }
    if (this.stopRequested && this.stopped < 0) this.leave(pe);
    return 0;
  }

  private system(pe: Pe, op: number, insn: number): number {
    const { st } = pe;
    this.counters?.system(op);
    // The fast forms replaced the instruction word by their operand.
    const word = op === SysOp.MRS || op === SysOp.MSR ? this.code.word(st.lo(Off.IP)) : insn;
    if (pe.system(op, word) === 0) {
      if (!this.stopRequested) return 0;
      pe.redirectNext();
    }
    this.settle(pe);
    if (st.lo(Off.HALT) !== 0 || this.stopRequested || pe.debug.mode !== 0) this.leave(pe);
    return 1;
  }
  /** After a change of PSTATE or PC: illegal state first, then pending interrupts. */
  private settle(pe: Pe): void {
    if (pe.st.lo(Off.IL) !== 0) pe.system(SysOp.ILLEGAL, 0);
    if (pe.st.lo(Off.HALT) === 0) pe.pollInterrupts();
  }

  /** The fetch TLB missed at Off.PC. 0: try again (filled, or an exception was taken). */
  private fetch(pe: Pe): number {
    this.counters?.count("instruction fetch");
    const { st, mmu } = pe;
    if (pe.resident !== undefined) {
      // An exception return has led to a level that runs no code.
      this.stopped = remaining(st);
      st.setLo(Off.BUDGET, 0);
      st.setLo(Off.RESERVE, 0);
      return 0;
    }
    if (pe.contextStale) pe.contextChanged();
    const lo = st.lo(Off.PC);
    const hi = st.hi(Off.PC);
    if (lo & 3) {
      pe.takePcAlignment();
      spend(st);
      return 0;
    }
    branchAddress(pe, lo, hi); // a tagged PC loses its tag
    if (st.hi(Off.PC) !== hi) return 0;
    if (!mmu.translate(lo, hi, Access.Fetch, false)) {
      pe.takeAbort(mmu.fault as Fault, { fetch: true });
      spend(st);
      return 0;
    }
    if (this.phys.hostIn(mmu.pa, mmu.pas) === 0) {
      pe.takeAbort(
        {
          type: FaultType.External,
          level: 0,
          stage: 1,
          s1ptw: false,
          write: false,
          fetch: true,
          maintenance: false,
          va: st.pc,
          ipa: 0,
          ipaSpace: mmu.pas,
          ipaValid: false,
        },
        { fetch: true },
      );
      spend(st);
      return 0;
    }
    mmu.fillFetch(lo, hi, this.code.get(mmu.pa).offset);
    return 0;
  }

  /** Branch to a guarded page with BTYPE != 0: is the target compatible? (Arm ARM, BranchTargetCheck) */
  private landing(pe: Pe, ip: number): number {
    const insn = this.code.word(ip) >>> 0;
    const btype = pe.st.lo(Off.BTYPE);
    const compatible = compatibleTarget(insn, btype, pe.bt === 0);
    const isBrk = (insn & 0xffe0_001f) >>> 0 === 0xd420_0000;
    if (compatible && !isBrk) return 0;
    // BRK is one of the exceptions whose SPSR keeps BTYPE, so it is taken here, before PSTATE.BTYPE is cleared.
    pe.system(compatible ? SysOp.BRK : SysOp.BRANCH_TARGET, insn);
    return 1;
  }

  // ---- memory coherence --------------------------------------------------------------------------------------------
  /** Memory changed behind the PEs' back: DMA, agents, page table updates, the debugger. */
  memoryWritten(pa: number, length: number, by: MemoryWriter = "host"): void {
    this.writeObserver?.(pa, length, by);
    this.code.written(pa, length);
    if (this.watched.size === 0) return;
    for (let page = Math.floor(pa / 4096); page * 4096 < pa + length; page++) this.clearReservations(page);
  }
  private clearReservations(page: number): void {
    for (const owner of this.watched.get(page) ?? []) {
      owner.st.setLo(Off.EXSIZE, 0);
      owner.st.setLo(Off.EVENT, 1); // losing the reservation of the global monitor is an event for WFE
    }
    this.watched.delete(page);
  }
  /** The slice of `pe` ends with a reservation: other PEs' stores to that page must be seen (global monitor). */
  private watch(pe: Pe): void {
    const { st } = pe;
    if (st.lo(Off.EXSIZE) === 0 || this.pes.length === 1) return;
    const pa = this.reservationPage(pe);
    if (pa === undefined) return;
    const owners = this.watched.get(pa) ?? new Set<Pe>();
    owners.add(pe);
    this.watched.set(pa, owners);
    this.domain.dropWrites(pa * 4096);
  }
  private unwatch(pe: Pe): void {
    for (const [page, owners] of this.watched) if (owners.delete(pe) && owners.size === 0) this.watched.delete(page);
  }
  private reservationPage(pe: Pe): number | undefined {
    const pa = this.phys.paOf(pe.st.lo(Off.EXADDR));
    return pa === undefined ? undefined : Math.floor(pa / 4096);
  }

  // ---- snapshots ---------------------------------------------------------------------------------------------------
  save(): Saved {
    return { stepped: this.stepped?.index ?? null, faulted: this.pes.map((pe) => this.faultedAt[pe.index] ?? -1) };
  }
  /** After RAM and all PEs were restored. */
  restore(state: Saved): void {
    const s = state as { stepped?: Saved; faulted?: Saved } | null;
    this.stepped = typeof s?.stepped === "number" ? this.pes[s.stepped] : undefined;
    const faulted = Array.isArray(s?.faulted) ? s.faulted : [];
    for (const pe of this.pes) this.faultedAt[pe.index] = Number(faulted[pe.index] ?? -1);
    this.watched.clear();
    for (const pe of this.pes) this.watch(pe);
  }
}

/** Instructions left of the budget with which generated code was entered. */
const remaining = (st: PeState): number => (st.lo(Off.BUDGET) + st.lo(Off.RESERVE)) | 0;

/** What faults costs one instruction where it is fetched, or in vain: a guest whose vectors fault must not hold the host for ever. */
const spend = (st: PeState): void => st.setLo(Off.BUDGET, (st.lo(Off.BUDGET) | 0) - 1);

/** BTI, PACIxSP, BRK and HLT as landing instructions. */
function compatibleTarget(insn: number, btype: number, pacForJump: boolean): boolean {
  if (insn >>> 21 === 0x6a1 || insn >>> 21 === 0x6a2) return (insn & 0x1f) === 0; // BRK, HLT
  switch (insn) {
    case 0xd503233f: // PACIASP
    case 0xd503237f: // PACIBSP
      return btype !== 3 || pacForJump;
    case 0xd503245f: // BTI c
      return btype !== 3;
    case 0xd503249f: // BTI j
      return btype !== 2;
    case 0xd50324df: // BTI jc
      return true;
    default:
      return false;
  }
}
