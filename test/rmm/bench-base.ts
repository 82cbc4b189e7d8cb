// What benches of an RMM have in common: granules, RMI calls, realms, and the running of a realm by hand. The test is the host's and the
// realm's software: it sets registers, executes one instruction (SMC, HVC, MRS, ...) or makes one access, and looks at what the other
// side then sees. Who plays the RMM is the bench's: bench.ts (the agent), image-bench.ts (an image).

import { Off } from "../../src/arch/layout.ts";
import { Security } from "../../src/arch/security.ts";
import { slot } from "../../src/arch/state.ts";
import type { Pe } from "../../src/cpu/pe.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import type { PhysicalMemory } from "../../src/mem/physical.ts";
import { Access } from "../../src/mmu/access.ts";
import { type RmiName, rmi } from "../../src/rmm/commands.ts";
import type { GranuleState } from "../../src/rmm/granules.ts";
import { EXIT_OFFSET, RealmParams, RecEnter, RecExit, RecParams } from "../../src/rmm/layouts.ts";
import { ExitReason, GRANULE } from "../../src/rmm/status.ts";
import { blank, type StructView, viewOf } from "../../src/rmm/struct.ts";

/** Xn of the host before a call, where the call has no argument. */
export const preset = (n: number): bigint => 0xb0b0_0000_0000_0000n + BigInt(n);
/** Where the host is. */
export const HOST_PC = 0x4000_1000n;

export type ExitView = StructView<keyof typeof RecExit.fields>;
export type EnterView = StructView<keyof typeof RecEnter.fields>;
export type Params = StructView<keyof typeof RealmParams.fields>;

/** A realm under construction or running. */
export interface TestRealm {
  rd: number;
  /** Start-level tables. */
  rtts: number[];
  /** RTTs created, deepest last: address, IPA, level. */
  tables: { rtt: number; ipa: number; level: number }[];
  recs: number[];
  run: number;
}

export abstract class RmmBench {
  abstract readonly phys: PhysicalMemory;
  readonly pes: Pe[] = [];
  readonly log: string[] = [];
  /** Reasons for which the machine wanted to stop. */
  readonly stops: string[] = [];
  /** DRAM that the RMM knows. */
  abstract readonly ram: { readonly base: number; readonly size: number };
  /** Granules of DRAM that belong to the Secure world or to EL3: delegation must fail. */
  abstract readonly secureGranule: number;
  abstract readonly rootGranule: number;
  /** The next granule that nobody has used. */
  protected abstract next: number;

  /** Is the granule in that state, as far as can be seen? */
  abstract isState(pa: number, state: GranuleState): boolean;
  /** Number of granules in a state; undefined: that cannot be seen. */
  abstract count(state: GranuleState): number | undefined;
  /** States of all granules, to compare. */
  abstract census(): string;
  /** Software that is code runs, until it is the test's turn. */
  protected settle(_pe: number): void {}

  pe(i = 0): Pe {
    return this.pes[i] as Pe;
  }

  // ---- memory -------------------------------------------------------------------------------------------------------------

  /** Address of a fresh granule of Non-secure memory, or the first of `count`, aligned to their size. */
  granule(count = 1): number {
    const size = count * GRANULE;
    const at = Math.ceil(this.next / size) * size;
    this.next = at + size;
    return at;
  }
  /** Fresh granules, delegated. */
  delegated(count = 1): number {
    const at = this.granule(count);
    for (let i = 0; i < count; i++) this.ok("GRANULE_DELEGATE", at + i * GRANULE);
    return at;
  }
  read(pa: number, length = GRANULE): Uint8Array {
    return this.phys.readBytes(pa, length) as Uint8Array;
  }
  read64(pa: number): bigint {
    return this.phys.view.getBigUint64(this.phys.host(pa), true);
  }
  write(pa: number, data: Uint8Array): void {
    this.phys.writeBytes(pa, data);
  }
  isZero(pa: number): boolean {
    return this.read(pa).every((b) => b === 0);
  }
  /** The host gets a DELEGATED granule back: nothing is in it. */
  givenBackZero(pa: number): boolean {
    this.ok("GRANULE_UNDELEGATE", pa);
    return this.isZero(pa);
  }
  /** What an access of Non-secure EL2 (MMU off) meets: "ok" or the kind of fault. */
  hostAccess(pa: number, access: Access = Access.Read): string {
    const { mmu } = this.pe();
    return mmu.translate(pa | 0, Math.floor(pa / 2 ** 32), access, false) ? "ok" : `fault ${mmu.fault?.type}`;
  }

  // ---- RMI ------------------------------------------------------------------------------------------------------------------

  /** RMI call by SMC from Non-secure EL2 of a PE: x0..x4, or undefined while a realm runs there now. */
  call(name: RmiName, args: readonly (number | bigint)[], pe = 0): bigint[] | undefined {
    return this.smc(rmi[name], args, pe);
  }
  smc(fid: number, args: readonly (number | bigint)[], pe = 0): bigint[] | undefined {
    const { st } = this.pe(pe);
    if (st.el !== 2 || this.pe(pe).security !== Security.NonSecure) throw new Error("the PE is not the host's");
    for (let n = 1; n < 18; n++) st.setX(n, preset(n));
    st.setX(0, BigInt(fid));
    for (const [i, a] of args.entries()) st.setX(i + 1, BigInt.asUintN(64, BigInt(a)));
    st.pc = HOST_PC;
    this.pe(pe).system(SysOp.SMC, 0xd400_0003);
    this.settle(pe);
    return this.atHost(pe) ? this.results(pe) : undefined;
  }
  atHost(pe = 0): boolean {
    return this.pe(pe).st.el === 2 && this.pe(pe).security === Security.NonSecure;
  }
  results(pe = 0): bigint[] {
    return [0, 1, 2, 3, 4].map((n) => this.pe(pe).st.x(n));
  }
  /** Calls that must succeed: x1..x4. */
  ok(name: RmiName, ...args: (number | bigint)[]): bigint[] {
    const r = this.call(name, args);
    if (r?.[0] !== 0n) throw new Error(`RMI_${name}(${args.map((a) => a.toString(16))}): ${r?.map((v) => v.toString(16))}`);
    return r.slice(1);
  }
  /** x0 of a call. */
  code(name: RmiName, ...args: (number | bigint)[]): number {
    return Number((this.call(name, args) as bigint[])[0]);
  }

  // ---- realms -----------------------------------------------------------------------------------------------------------------

  /** Realm parameters that are accepted: 40-bit IPAs... here 33 bits, level 1, one table. */
  params(change: (p: Params) => void = () => {}): { page: number; params: Params } {
    const params = blank(RealmParams);
    params.set("s2sz", 33);
    params.set("num_bps", 1);
    params.set("num_wps", 1);
    params.set("rtt_level_start", 1);
    params.set("rtt_num_start", 1);
    params.set("vmid", this.nextVmid++);
    params.bytes("rpv").set(Uint8Array.from({ length: 64 }, (_, i) => i + 1));
    change(params);
    const page = this.granule();
    this.write(page, params.raw);
    return { page, params };
  }
  private nextVmid = 5;
  /** VMID of the last parameters. */
  get lastVmid(): number {
    return this.nextVmid - 1;
  }

  realm(change: (p: Params) => void = () => {}): TestRealm {
    const rtt = this.delegated();
    const rd = this.delegated();
    const { page } = this.params((p) => {
      p.set("rtt_base", rtt);
      change(p);
    });
    this.ok("REALM_CREATE", rd, page);
    return { rd, rtts: [rtt], tables: [], recs: [], run: this.granule() };
  }
  /** Creates the tables down to `level` for an IPA. */
  tables(r: TestRealm, ipa: number, level = 3): void {
    for (let l = 2; l <= level; l++) {
      const size = 2 ** (12 + 9 * (4 - l));
      const base = Math.floor(ipa / size) * size;
      if (r.tables.some((t) => t.level === l && t.ipa === base)) continue;
      const rtt = this.delegated();
      this.ok("RTT_CREATE", r.rd, rtt, base, l);
      r.tables.push({ rtt, ipa: base, level: l });
    }
  }
  /** A data granule with content, measured, at `ipa`; RIPAS is RAM then. */
  data(r: TestRealm, ipa: number, content = new Uint8Array(GRANULE).fill(0x5a)): number {
    this.tables(r, ipa);
    const src = this.granule();
    this.write(src, content);
    const data = this.delegated();
    this.ok("DATA_CREATE", r.rd, data, ipa, src, 1);
    return data;
  }
  rec(r: TestRealm, o: { pc?: number; runnable?: boolean; gprs?: readonly bigint[] } = {}): number {
    const p = blank(RecParams);
    const index = r.recs.length;
    p.set("flags", (o.runnable ?? index === 0) ? 1 : 0);
    p.set("mpidr", index);
    p.set("pc", o.pc ?? 0);
    for (const [i, v] of (o.gprs ?? []).entries()) p.set("gprs", v, i);
    p.set("num_aux", 16);
    for (let i = 0; i < 16; i++) p.set("aux", this.delegated(), i);
    const page = this.granule();
    this.write(page, p.raw);
    const rec = this.delegated();
    this.ok("REC_CREATE", r.rd, rec, page);
    r.recs.push(rec);
    return rec;
  }
  /** An active realm with one REC and data granules at IPA 0 and 0x1000. */
  active(recs = 1): TestRealm {
    const r = this.realm();
    this.data(r, 0);
    this.data(r, 0x1000);
    for (let i = 0; i < recs; i++) this.rec(r);
    this.ok("REALM_ACTIVATE", r.rd);
    return r;
  }

  // ---- running ------------------------------------------------------------------------------------------------------------------

  /** REC_ENTER: "running" when the realm has the PE now, else x0. */
  enter(r: TestRealm, fill: (e: EnterView) => void = () => {}, rec = 0, pe = 0): number | "running" {
    const e = blank(RecEnter);
    fill(e);
    this.write(r.run, e.raw);
    const results = this.call("REC_ENTER", [r.recs[rec] as number, r.run], pe);
    return results === undefined ? "running" : Number(results[0]);
  }
  /** The exit half of the run page. */
  exit(r: TestRealm): ExitView {
    return viewOf(RecExit, this.read(r.run + EXIT_OFFSET, RecExit.size));
  }
  /** An SMC of the running realm: x0.. afterwards when it runs on, or its exit. */
  realmSmc(fid: number | bigint, args: readonly (number | bigint)[] = [], pe = 0): bigint[] | "exit" {
    const { st } = this.pe(pe);
    st.setX(0, BigInt(fid));
    for (const [i, a] of args.entries()) st.setX(i + 1, BigInt.asUintN(64, BigInt(a)));
    this.pe(pe).system(SysOp.SMC, 0xd400_0003);
    this.settle(pe);
    return this.inRealm(pe) ? Array.from({ length: 11 }, (_, n) => st.x(n)) : "exit";
  }
  inRealm(pe = 0): boolean {
    return this.pe(pe).st.el < 2 && this.pe(pe).security === Security.Realm;
  }
  /** A load or store of the realm at an IPA (stage 1 is off): "ok", or the abort is taken. `insn`: LDR or STR word of the access. */
  realmAccess(ipa: number, access: Access = Access.Read, insn = 0xb940_0020, pe = 0): "ok" | "abort" {
    const p = this.pe(pe);
    if (p.mmu.translate(ipa | 0, Math.floor(ipa / 2 ** 32), access, false)) return "ok";
    if (p.mmu.fault === undefined) throw new Error("no fault");
    p.takeAbort(p.mmu.fault, access === Access.Fetch ? { fetch: true } : { fetch: false, insn });
    this.settle(pe);
    return "abort";
  }
  /** Where a realm's IPA is, as the MMU of the PE that runs it sees it. */
  realmPa(ipa: number, pe = 0): number {
    const { mmu } = this.pe(pe);
    return mmu.translate(ipa | 0, Math.floor(ipa / 2 ** 32), Access.Read, false) ? mmu.pa : -1;
  }
  /** Ends the run of a realm: an IRQ for the host. */
  interrupt(r: TestRealm, pe = 0): void {
    const { st } = this.pe(pe);
    st.setLo(Off.LINES, st.lo(Off.LINES) | 1);
    this.pe(pe).pollInterrupts();
    st.setLo(Off.LINES, st.lo(Off.LINES) & ~1);
    this.settle(pe);
    if (this.exit(r).num("exit_reason") !== ExitReason.IRQ) throw new Error("no IRQ exit");
  }
}

export { Access, slot };
