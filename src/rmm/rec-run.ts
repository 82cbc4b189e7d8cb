// Putting a REC on a PE and taking it off again: everything of EL1 and EL0, the virtual GIC interface, timers, and the EL2 controls
// of a realm. The host's share of those registers is kept meanwhile.

import { Off } from "../arch/layout.ts";
import { RegisterBlock } from "../arch/register-block.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { type PeState, slot } from "../arch/state.ts";
import type { Pe } from "../cpu/pe.ts";
import { TimerPart } from "../cpu/timers.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";
import type { RmmContext } from "./cx.ts";
import type { RecExit } from "./layouts.ts";
import type { Realm } from "./realm.ts";
import { CNTPMASK, CNTVMASK, contextRegisters, ICH_HCR_REALM, pmuRegisters, type RecView, timerAsserted } from "./rec.ts";
import { HCR_VSE, vtcrOf, vttbrOf } from "./stage2.ts";
import type { StructView } from "./struct.ts";

export type ExitView = StructView<keyof typeof RecExit.fields>;

const context = new RegisterBlock(contextRegisters.map((r) => slot[r]));
const pmu = new RegisterBlock(pmuRegisters.map((r) => slot[r]));
const gprs = new RegisterBlock(Array.from({ length: 31 }, (_, n) => Off.X + 8 * n));
/** Timers of EL1: their number in cpu/timers.ts, registers, fields of the REC. */
const TIMERS = [
  { n: 0, ctl: slot.CNTP_CTL_EL0, cval: slot.CNTP_CVAL_EL0, mask: CNTPMASK, recCtl: "cntp_ctl", recCval: "cntp_cval" },
  { n: 1, ctl: slot.CNTV_CTL_EL0, cval: slot.CNTV_CVAL_EL0, mask: CNTVMASK, recCtl: "cntv_ctl", recCval: "cntv_cval" },
] as const;
const timers = new RegisterBlock([...TIMERS.flatMap((t) => [t.cval, t.ctl]), slot.CNTHCTL_EL2, slot.CNTVOFF_EL2, slot.CNTPOFF_EL2]);
/** Words of the host's state at which each part begins. */
const HOST = { context: 0, pmu: 2 * context.length, timers: 2 * (context.length + pmu.length) } as const;
const HOST_REGISTERS = context.length + pmu.length + timers.length;
const V_BYTES = 512;

/** Bits of ICH_HCR_EL2 that the host chooses: UIE, LRENPIE, NPIE, VGrp0EIE, VGrp0DIE, VGrp1EIE, VGrp1DIE, TDIR. */
export const ICH_HCR_HOST = 0x40fen;
/** ICH_HCR_EL2.EOIcount. */
const ICH_HCR_EOICOUNT = 0xf800_0000n;
/** By number. */
const listRegisters = Array.from({ length: 16 }, (_, i) => `ICH_LR${i}_EL2` as RegName);
const listRegister = (i: number): RegName => listRegisters[i] as RegName;

/** CPTR_EL2 (E2H = 1): FPEN = 11, FP and SIMD are the realm's. */
const CPTR_REALM = 3n << 20n;
/** MDCR_EL2: HPMD and HCCD (nothing counts at EL2), and for realms without PMU the traps TPM and TPMCR. */
const MDCR_REALM = (1n << 17n) | (1n << 23n);
const MDCR_NO_PMU = (1n << 6n) | (1n << 5n);

/** The host's EL1 state of one PE while a realm runs there. */
export class HostState {
  private readonly regs = new Uint32Array(2 * HOST_REGISTERS);
  private readonly v = new Uint8Array(V_BYTES + 8);

  keep(st: PeState): void {
    context.save(st, this.regs, HOST.context);
    pmu.save(st, this.regs, HOST.pmu);
    timers.save(st, this.regs, HOST.timers);
    this.v.set(st.u8.subarray(st.base + Off.V, st.base + Off.V + V_BYTES));
    this.v.set(st.u8.subarray(st.base + Off.FPCR, st.base + Off.FPCR + 8), V_BYTES);
  }
  /** Puts it back. Without a PMU of its own the realm left the host's counters running. */
  restore(st: PeState, hasPmu: boolean): void {
    context.load(st, this.regs, HOST.context);
    if (hasPmu) pmu.load(st, this.regs, HOST.pmu);
    timers.load(st, this.regs, HOST.timers);
    st.u8.set(this.v.subarray(0, V_BYTES), st.base + Off.V);
    st.u8.set(this.v.subarray(V_BYTES), st.base + Off.FPCR);
  }
  clear(): void {
    this.regs.fill(0);
    this.v.fill(0);
  }
  save(): Saved {
    return { regs: new Uint8Array(this.regs.slice().buffer), v: this.v.slice() };
  }
  restoreSaved(state: Saved): void {
    const s = state as { regs?: Saved; v?: Saved } | null;
    if (
      !(s?.regs instanceof Uint8Array) ||
      !(s.v instanceof Uint8Array) ||
      s.regs.length !== this.regs.byteLength ||
      s.v.length !== this.v.length
    )
      throw new EmuError("snapshot-corrupt", "the saved host state of the RMM has the wrong shape");
    this.regs.set(new Uint32Array(s.regs.slice().buffer));
    this.v.set(s.v);
  }
}

/** Loads a REC. The PE is at R-EL2; it enters the realm with `resume`. */
export function loadRec(cx: RmmContext, pe: Pe, rec: RecView, realm: Realm, host: HostState): void {
  const { st } = pe;
  pe.pmu.sync();
  host.keep(st);
  const { u32 } = cx.memory;
  context.load(st, u32, rec.word("sysregs"));
  if (realm.view.flag("pmu")) pmu.load(st, u32, rec.word("pmu"));
  gprs.load(st, u32, rec.word("gprs"));
  st.u8.set(rec.bytes("v"), st.base + Off.V);
  st.setLo(Off.FPCR, rec.num("fpcr"));
  st.setLo(Off.FPSR, rec.num("fpsr"));
  st.set(slot.CNTVOFF_EL2, 0n);
  st.set(slot.CNTPOFF_EL2, 0n);
  st.set(slot.CNTHCTL_EL2, rec.get("cnthctl"));
  for (const t of TIMERS) {
    st.set(t.cval, rec.get(t.recCval));
    st.set(t.ctl, rec.get(t.recCtl) & 3n);
  }
  st.set(slot.HCR_EL2, rec.get("hcr"));
  st.set(slot.VTCR_EL2, vtcrOf(realm, cx.cpu));
  st.set(slot.VTTBR_EL2, vttbrOf(realm));
  st.set(slot.VMPIDR_EL2, rec.get("mpidr"));
  st.set(slot.VPIDR_EL2, st.get(slot.MIDR_EL1));
  st.set(slot.CPTR_EL2, CPTR_REALM);
  st.set(slot.MDCR_EL2, mdcrOf(realm, cx));
  st.set(slot.ELR_EL2, rec.get("pc"));
  st.set(slot.SPSR_EL2, rec.get("pstate"));
  loadGic(cx, pe, rec);
  pe.controlsWritten();
  settle(pe);
}
function mdcrOf(realm: Realm, cx: RmmContext): bigint {
  if (realm.view.flag("pmu")) return MDCR_REALM | realm.view.get("pmu_num_ctrs");
  return MDCR_REALM | MDCR_NO_PMU | BigInt(cx.features.PMU_NUM_CTRS);
}
/** Timers and counters were written behind the PE's back. */
function settle(pe: Pe): void {
  pe.timers.refresh();
  pe.pmu.update();
}

function loadGic(cx: RmmContext, pe: Pe, rec: RecView): void {
  const gic = pe.gic;
  if (gic === undefined) return;
  gic.write("ICH_AP0R0_EL2", rec.get("gic_ap0r0"));
  gic.write("ICH_AP1R0_EL2", rec.get("gic_ap1r0"));
  for (let i = 0; i <= cx.features.GICV3_NUM_LRS; i++) gic.write(listRegister(i), rec.get("gic_lrs", i));
  gic.write("ICH_VMCR_EL2", rec.get("gic_vmcr"));
  gic.write("ICH_HCR_EL2", rec.get("gic_hcr"));
}
/** Saves the virtual interface into the REC and empties the hardware: nothing of it stays for the host to see. */
function saveGic(cx: RmmContext, pe: Pe, rec: RecView): void {
  const gic = pe.gic;
  if (gic === undefined) return;
  rec.set("gic_hcr", gic.read("ICH_HCR_EL2") | ICH_HCR_REALM);
  rec.set("gic_vmcr", gic.read("ICH_VMCR_EL2"));
  rec.set("gic_misr", gic.read("ICH_MISR_EL2"));
  rec.set("gic_ap0r0", gic.read("ICH_AP0R0_EL2"));
  rec.set("gic_ap1r0", gic.read("ICH_AP1R0_EL2"));
  for (let i = 0; i <= cx.features.GICV3_NUM_LRS; i++) rec.set("gic_lrs", gic.read(listRegister(i)), i);
  gic.write("ICH_HCR_EL2", 0n);
  gic.write("ICH_VMCR_EL2", 0n);
  gic.write("ICH_AP0R0_EL2", 0n);
  gic.write("ICH_AP1R0_EL2", 0n);
  for (let i = 0; i <= cx.features.GICV3_NUM_LRS; i++) gic.write(listRegister(i), 0n);
}

/**
 * Takes the REC off the PE, which is at R-EL2: saves its state, reports timers, virtual interface and PMU in `exit`, and gives the
 * host its EL1 state back. General-purpose and EL2 registers are EL3's to switch.
 */
export function saveRec(cx: RmmContext, pe: Pe, rec: RecView, realm: Realm, host: HostState, exit: ExitView): void {
  const { st } = pe;
  const hasPmu = realm.view.flag("pmu");
  const { u32 } = cx.memory;
  pe.pmu.sync();
  for (const t of TIMERS) {
    const ctl = pe.timers.read(t.n, TimerPart.CTL);
    rec.set(t.recCtl, ctl);
    rec.set(t.recCval, st.get(t.cval));
    exit.set(t.recCtl, ctl);
    exit.set(t.recCval, st.get(t.cval)); // offsets are 0 in realms
  }
  rec.set("cnthctl", st.get(slot.CNTHCTL_EL2));
  // A virtual SError that the realm has not taken yet stays pending.
  if ((st.get(slot.HCR_EL2) & HCR_VSE) !== 0n) rec.set("serror", 1n);
  context.save(st, u32, rec.word("sysregs"));
  gprs.save(st, u32, rec.word("gprs"));
  if (hasPmu) {
    pmu.save(st, u32, rec.word("pmu"));
    const overflow = st.get(slot.PMOVSSET_EL0) & st.get(slot.PMINTENSET_EL1) & st.get(slot.PMCNTENSET_EL0);
    exit.set("pmu_ovf_status", (st.get(slot.PMCR_EL0) & 1n) !== 0n && overflow !== 0n);
  }
  rec.bytes("v").set(st.u8.subarray(st.base + Off.V, st.base + Off.V + V_BYTES));
  rec.set("fpcr", st.lo(Off.FPCR));
  rec.set("fpsr", st.lo(Off.FPSR));
  rec.set("pc", st.get(slot.ELR_EL2));
  rec.set("pstate", st.get(slot.SPSR_EL2));
  saveGic(cx, pe, rec);
  exit.bytes("gicv3_lrs").set(rec.bytes("gic_lrs"));
  exit.set("gicv3_misr", rec.get("gic_misr"));
  exit.set("gicv3_vmcr", rec.get("gic_vmcr"));
  exit.set("gicv3_hcr", rec.get("gic_hcr") & (ICH_HCR_EOICOUNT | ICH_HCR_HOST));
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
  let cnthctl = st.get(slot.CNTHCTL_EL2);
  let changed = false;
  for (const t of TIMERS) {
    const asserted = timerAsserted(pe.timers.read(t.n, TimerPart.CTL));
    cnthctl = asserted ? cnthctl | t.mask : cnthctl & ~t.mask;
    if (asserted !== timerAsserted(rec.get(t.recCtl))) changed = true;
  }
  if (cnthctl !== st.get(slot.CNTHCTL_EL2)) {
    st.set(slot.CNTHCTL_EL2, cnthctl);
    pe.controlsChanged();
    pe.timers.update();
  }
  return changed;
}
