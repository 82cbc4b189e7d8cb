// Putting a REC on a PE and taking it off again: everything of EL1 and EL0, the virtual GIC interface, timers, and the EL2 controls
// of a realm. The host's share of those registers is kept meanwhile.

import { Off } from "../arch/layout.ts";
import { RegisterBlock } from "../arch/register-block.ts";
import { type PeState, slot } from "../arch/state.ts";
import type { Pe } from "../cpu/pe.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";
import type { RmmContext } from "./cx.ts";
import { Exit, type RecExit } from "./layouts.ts";
import { Rd, type Realm } from "./realm.ts";
import { CNTPMASK, CNTVMASK, contextRegisters, ICH_HCR_REALM, pmuRegisters, Rec, type RecView, timerAsserted } from "./rec.ts";
import { HCR_VSE, vtcrOf, vttbrOf } from "./stage2.ts";
import type { StructView } from "./struct.ts";

export type ExitView = StructView<keyof typeof RecExit.fields>;

const context = new RegisterBlock(contextRegisters.map((r) => slot[r]));
const pmu = new RegisterBlock(pmuRegisters.map((r) => slot[r]));
const gprs = new RegisterBlock(Array.from({ length: 31 }, (_, n) => Off.X + 8 * n));
/** Timers of EL1: their number in cpu/timers.ts, registers, fields of the REC. */
// biome-ignore format: table
const TIMERS = [
  { n: 0, ctl: slot.CNTP_CTL_EL0, cval: slot.CNTP_CVAL_EL0, mask: CNTPMASK, rec: [Rec.cntp_ctl, Rec.cntp_cval], exit: [Exit.cntp_ctl, Exit.cntp_cval] },
  { n: 1, ctl: slot.CNTV_CTL_EL0, cval: slot.CNTV_CVAL_EL0, mask: CNTVMASK, rec: [Rec.cntv_ctl, Rec.cntv_cval], exit: [Exit.cntv_ctl, Exit.cntv_cval] },
] as const;
const timers = new RegisterBlock([...TIMERS.flatMap((t) => [t.cval, t.ctl]), slot.CNTHCTL_EL2, slot.CNTVOFF_EL2, slot.CNTPOFF_EL2]);
/** Words of the host's state at which each part begins. */
const HOST = { context: 0, pmu: 2 * context.length, timers: 2 * (context.length + pmu.length) } as const;
const HOST_REGISTERS = context.length + pmu.length + timers.length;
const V_BYTES = 512;
const vectors = new RegisterBlock([...Array.from({ length: V_BYTES / 8 }, (_, n) => Off.V + 8 * n), Off.FPCR]);
/** Registers that are loaded from fields of the REC as they are: words in the block of a PE, and in the REC. */
const PLAIN = new Int32Array(
  (
    [
      [slot.CNTHCTL_EL2, Rec.cnthctl],
      [slot.CNTP_CVAL_EL0, Rec.cntp_cval],
      [slot.CNTV_CVAL_EL0, Rec.cntv_cval],
      [slot.HCR_EL2, Rec.hcr],
      [slot.VMPIDR_EL2, Rec.mpidr],
      [slot.ELR_EL2, Rec.pc],
      [slot.SPSR_EL2, Rec.pstate],
    ] as const
  ).flatMap(([at, field]) => [at >>> 2, field.offset >>> 2]),
);

/** Bits of ICH_HCR_EL2 that the host chooses: UIE, LRENPIE, NPIE, VGrp0EIE, VGrp0DIE, VGrp1EIE, VGrp1DIE, TDIR. */
export const ICH_HCR_HOST = 0x40fen;
/** The same and EOIcount. */
const ICH_HCR_REPORTED = 0xf800_0000 | Number(ICH_HCR_HOST);

/** CPTR_EL2 (E2H = 1): FPEN = 11, FP and SIMD are the realm's. */
const CPTR_REALM = 3 << 20;
/** MDCR_EL2: HPMD and HCCD (nothing counts at EL2), and for realms without PMU the traps TPM and TPMCR. */
const MDCR_REALM = (1 << 17) | (1 << 23);
const MDCR_NO_PMU = (1 << 6) | (1 << 5);

/** The host's EL1 state of one PE while a realm runs there. */
export class HostState {
  private readonly regs = new Uint32Array(2 * HOST_REGISTERS);
  /** V0 to V31, FPCR and FPSR. */
  private readonly v = new Uint32Array(2 * vectors.length);

  keep(st: PeState, hasPmu: boolean): void {
    context.save(st, this.regs, HOST.context);
    if (hasPmu) pmu.save(st, this.regs, HOST.pmu);
    timers.save(st, this.regs, HOST.timers);
    vectors.save(st, this.v, 0);
  }
  /** Puts it back. Without a PMU of its own the realm left the host's counters running. */
  restore(st: PeState, hasPmu: boolean): void {
    context.load(st, this.regs, HOST.context);
    if (hasPmu) pmu.load(st, this.regs, HOST.pmu);
    timers.load(st, this.regs, HOST.timers);
    vectors.load(st, this.v, 0);
  }
  clear(): void {
    this.regs.fill(0);
    this.v.fill(0);
  }
  save(): Saved {
    return { regs: new Uint8Array(this.regs.slice().buffer), v: new Uint8Array(this.v.slice().buffer) };
  }
  restoreSaved(state: Saved): void {
    const s = state as { regs?: Saved; v?: Saved } | null;
    if (
      !(s?.regs instanceof Uint8Array) ||
      !(s.v instanceof Uint8Array) ||
      s.regs.length !== this.regs.byteLength ||
      s.v.length !== this.v.byteLength
    )
      throw new EmuError("snapshot-corrupt", "the saved host state of the RMM has the wrong shape");
    this.regs.set(new Uint32Array(s.regs.slice().buffer));
    this.v.set(new Uint32Array(s.v.slice().buffer));
  }
}

/** Loads a REC. The PE is at R-EL2; it enters the realm with `resume`. */
export function loadRec(cx: RmmContext, pe: Pe, rec: RecView, realm: Realm, host: HostState): void {
  const { st } = pe;
  pe.pmu.sync();
  const hasPmu = realm.view.flag(Rd.pmu);
  host.keep(st, hasPmu);
  const { u32 } = cx.memory;
  context.load(st, u32, rec.word(Rec.sysregs));
  if (hasPmu) pmu.load(st, u32, rec.word(Rec.pmu));
  gprs.load(st, u32, rec.word(Rec.gprs));
  const v = rec.at(Rec.v);
  st.u8.copyWithin(st.base + Off.V, v, v + V_BYTES); // PE and REC are in the same memory
  st.setLo(Off.FPCR, rec.num(Rec.fpcr));
  st.setLo(Off.FPSR, rec.num(Rec.fpsr));
  const [pe0, rec0] = [st.base >>> 2, rec.at(Rec.rd) >>> 2];
  for (let i = 0; i < PLAIN.length; i += 2) {
    const to = pe0 + (PLAIN[i] as number);
    const from = rec0 + (PLAIN[i + 1] as number);
    u32[to] = u32[from] as number;
    u32[to + 1] = u32[from + 1] as number;
  }
  st.setLoHi(slot.CNTVOFF_EL2, 0, 0);
  st.setLoHi(slot.CNTPOFF_EL2, 0, 0);
  for (const t of TIMERS) st.setLoHi(t.ctl, rec.lo(t.rec[0]) & 3, 0);
  st.set(slot.VTCR_EL2, vtcrOf(realm, cx.cpu));
  st.set(slot.VTTBR_EL2, vttbrOf(realm));
  st.setLoHi(slot.VPIDR_EL2, st.lo(slot.MIDR_EL1), st.hi(slot.MIDR_EL1));
  st.setLoHi(slot.CPTR_EL2, CPTR_REALM, 0);
  st.setLoHi(slot.MDCR_EL2, mdcrOf(realm, cx), 0);
  pe.gic?.loadVirtual(u32, rec.word(Rec.gic_hcr));
  pe.controlsWritten();
  settle(pe);
}
function mdcrOf(realm: Realm, cx: RmmContext): number {
  if (realm.view.flag(Rd.pmu)) return MDCR_REALM | realm.view.num(Rd.pmu_num_ctrs);
  return MDCR_REALM | MDCR_NO_PMU | cx.features.PMU_NUM_CTRS;
}
/** Timers and counters were written behind the PE's back. */
function settle(pe: Pe): void {
  pe.timers.refresh();
  pe.pmu.update();
}

/** Saves the virtual interface into the REC and empties the hardware: nothing of it stays for the host to see. */
function saveGic(pe: Pe, rec: RecView, u32: Uint32Array): void {
  if (pe.gic === undefined) return;
  pe.gic.saveVirtual(u32, rec.word(Rec.gic_hcr));
  rec.setLoHi(Rec.gic_hcr, rec.lo(Rec.gic_hcr) | Number(ICH_HCR_REALM), 0);
  pe.gic.clearVirtual();
}

/**
 * Takes the REC off the PE, which is at R-EL2: saves its state, reports timers, virtual interface and PMU in `exit`, and gives the
 * host its EL1 state back. General-purpose and EL2 registers are EL3's to switch.
 */
export function saveRec(cx: RmmContext, pe: Pe, rec: RecView, realm: Realm, host: HostState, exit: ExitView): void {
  const { st } = pe;
  const hasPmu = realm.view.flag(Rd.pmu);
  const { u32 } = cx.memory;
  pe.pmu.sync();
  for (const t of TIMERS) {
    const ctl = pe.timers.control(t.n);
    const [lo, hi] = [st.lo(t.cval), st.hi(t.cval)];
    rec.setLoHi(t.rec[0], ctl, 0);
    rec.setLoHi(t.rec[1], lo, hi);
    exit.setLoHi(t.exit[0], ctl, 0);
    exit.setLoHi(t.exit[1], lo, hi); // offsets are 0 in realms
  }
  rec.setLoHi(Rec.cnthctl, st.lo(slot.CNTHCTL_EL2), st.hi(slot.CNTHCTL_EL2));
  // A virtual SError that the realm has not taken yet stays pending.
  if ((st.lo(slot.HCR_EL2) & Number(HCR_VSE)) !== 0) rec.set(Rec.serror, 1n);
  context.save(st, u32, rec.word(Rec.sysregs));
  gprs.save(st, u32, rec.word(Rec.gprs));
  if (hasPmu) {
    pmu.save(st, u32, rec.word(Rec.pmu));
    const overflow = st.lo(slot.PMOVSSET_EL0) & st.lo(slot.PMINTENSET_EL1) & st.lo(slot.PMCNTENSET_EL0);
    exit.set(Exit.pmu_ovf_status, (st.lo(slot.PMCR_EL0) & 1) !== 0 && overflow !== 0);
  }
  st.u8.copyWithin(rec.at(Rec.v), st.base + Off.V, st.base + Off.V + V_BYTES);
  rec.set(Rec.fpcr, st.lo(Off.FPCR));
  rec.set(Rec.fpsr, st.lo(Off.FPSR));
  rec.setLoHi(Rec.pc, st.lo(slot.ELR_EL2), st.hi(slot.ELR_EL2));
  rec.setLoHi(Rec.pstate, st.lo(slot.SPSR_EL2), st.hi(slot.SPSR_EL2));
  saveGic(pe, rec, u32);
  exit.setWords(Exit.gicv3_lrs, u32, rec.word(Rec.gic_lrs), 2 * (cx.features.GICV3_NUM_LRS + 1));
  exit.setLoHi(Exit.gicv3_misr, rec.lo(Rec.gic_misr), 0);
  exit.setLoHi(Exit.gicv3_vmcr, rec.lo(Rec.gic_vmcr), 0);
  exit.setLoHi(Exit.gicv3_hcr, (rec.lo(Rec.gic_hcr) & ICH_HCR_REPORTED) >>> 0, 0);
  host.restore(st, hasPmu);
  host.clear();
  settle(pe); // controls are for EL3, which switches them too
}

/**
 * The timer masks of the next stretch in the realm: an asserted timer must not interrupt the PE again and again. True: an output
 * differs from what the host was told at the last exit, so that it has to be told now.
 */
export function updateTimers(pe: Pe, rec: RecView): boolean {
  const { st } = pe;
  const before = st.lo(slot.CNTHCTL_EL2);
  let cnthctl = before;
  let changed = false;
  for (const t of TIMERS) {
    const asserted = timerAsserted(pe.timers.control(t.n));
    cnthctl = (asserted ? cnthctl | t.mask : cnthctl & ~t.mask) >>> 0;
    if (asserted !== timerAsserted(rec.lo(t.rec[0]))) changed = true;
  }
  if (cnthctl !== before) {
    st.setLo(slot.CNTHCTL_EL2, cnthctl);
    pe.controlsChanged();
    pe.timers.update();
  }
  return changed;
}
