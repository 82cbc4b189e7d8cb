// The interrupt lines of a PE, computed from saved state alone, the slow and obvious way. The tests compare the controller,
// with its caches and bitmaps, against this.

import { Off } from "../../../src/arch/layout.ts";
import { type PeState, slot } from "../../../src/arch/state.ts";
import type { Saved } from "../../../src/util/stateful.ts";

type Obj = { [key: string]: Saved };
const obj = (v: Saved | undefined) => v as Obj;
const nums = (v: Saved | undefined) => v as number[];

interface Candidate {
  intid: number;
  priority: number;
  /** 0: Group 0, 1: Secure Group 1, 2: Non-secure Group 1. */
  group: number;
}

/** All interrupts of a bank that are pending, enabled, inactive and of an enabled group. */
function candidates(bank: Obj, base: number, ds: boolean, groups: number): Candidate[] {
  const out: Candidate[] = [];
  const priority = nums(bank["priority"]);
  for (let i = 0; i < priority.length; i++) {
    const bit = (name: string) => ((nums(bank[name])[i >> 5]! >>> (i & 31)) & 1) === 1;
    const pending = bit("latch") || (!bit("edge") && bit("line"));
    const group = bit("group") ? 2 : !ds && bit("modifier") ? 1 : 0;
    if (pending && bit("enable") && !bit("active") && groups & (1 << group)) out.push({ intid: base + i, priority: priority[i]!, group });
  }
  return out;
}

const runningOf = (aps: number[]): number => {
  for (let n = 0; n < 32; n++) if (aps.some((ap) => (ap >>> n) & 1)) return n * 8;
  return 0xff;
};
/** Keeps bits [7:from] of a priority. */
const top = (priority: number, from: number) => (from > 7 ? 0 : (priority >> from) << from);

const iccOf = (saved: Obj, pe: number) => obj(obj(obj((saved["pes"] as Saved[])[pe])["cpu"])["physical"]);
const affinitiesOf = (st: readonly PeState[]) =>
  st.map((s) => Number((s.get(slot.MPIDR_EL1) >> 32n) & 0xffn) * 2 ** 24 + Number(s.get(slot.MPIDR_EL1) & 0xff_ffffn));

/** The highest priority pending interrupt of PE `pe`. */
export function highestPending(state: Saved, pe: number, st: readonly PeState[]): Candidate | undefined {
  const saved = obj(state);
  const affinities = affinitiesOf(st);
  const gicd = obj(saved["distributor"]);
  const redistributor = obj(obj((saved["pes"] as Saved[])[pe])["redistributor"]);
  const icc = iccOf(saved, pe);
  const ds = gicd["ds"] === true;
  if (redistributor["awake"] !== true) return undefined;
  const groups = (gicd["enabled"] as number) & (icc["enabledGroups"] as number);
  const routed = (c: Candidate) => {
    const i = c.intid - 32;
    const affinity = nums(gicd["routeHigh"])[i]! * 2 ** 24 + (nums(gicd["routeLow"])[i]! & 0xff_ffff);
    return affinities.indexOf(affinity) === pe;
  };
  const all = [
    ...candidates(obj(redistributor["irqs"]), 0, ds, groups),
    ...candidates(obj(gicd["spis"]), 32, ds, groups).filter(routed),
  ].sort((a, b) => a.priority - b.priority || a.intid - b.intid);
  return all[0];
}

function physical(saved: Obj, pe: number, st: readonly PeState[]): string {
  const icc = iccOf(saved, pe);
  const best = highestPending(saved, pe, st);
  if (!best || best.priority >= (icc["pmr"] as number)) return "";
  const bpr = nums(icc["bpr"]);
  const common = best.group !== 0 && ((icc["cbpr"] as number) >> best.group) & 1;
  const from = best.group === 0 || common ? bpr[0]! + 1 : best.group === 1 ? bpr[1]! + 1 : bpr[2]!;
  const running = runningOf(nums(icc["ap"]));
  if (running !== 0xff && top(best.priority, from) >= top(running, from)) return "";
  return line(best.group, obj(saved["distributor"])["ds"] === true, st[pe]!);
}

function line(group: number, ds: boolean, st: PeState): "IRQ" | "FIQ" {
  if (group === 0) return "FIQ";
  if (ds) return "IRQ";
  if (st.lo(Off.EL) === 3) return "FIQ";
  return (st.get(slot.SCR_EL3) & 1n) === (group === 2 ? 1n : 0n) ? "IRQ" : "FIQ";
}

function virtual(saved: Obj, pe: number): string {
  const ich = obj(obj(obj((saved["pes"] as Saved[])[pe])["cpu"])["virtual"]);
  const hcr = BigInt(ich["hcr"] as number);
  const vmcr = BigInt(ich["vmcr"] as number);
  const field = (lsb: number, width: number) => Number((vmcr >> BigInt(lsb)) & ((1n << BigInt(width)) - 1n));
  const pending = nums(ich["lrHigh"])
    .map((high) => ({ state: high >>> 30, priority: (high >>> 16) & 0xff, group: (high >>> 28) & 1 }))
    .filter((lr) => lr.state === 1 && field(lr.group, 1) === 1)
    .sort((a, b) => a.priority - b.priority);
  const best = pending[0];
  if (!(hcr & 1n) || !best || best.priority >= field(24, 8)) return "";
  const from = best.group === 0 || field(4, 1) ? field(21, 3) + 1 : field(18, 3);
  const running = runningOf(nums(ich["ap"]));
  if (running !== 0xff && top(best.priority, from) >= top(running, from)) return "";
  return best.group ? "VIRQ" : "VFIQ";
}

/** Lines of PE `pe` by name, as Fixture.lines gives them. */
export function expectedLines(saved: Saved, pe: number, st: readonly PeState[]): string {
  return [physical(obj(saved), pe, st), virtual(obj(saved), pe)].filter((s) => s !== "").join(" ");
}

/** Whether the maintenance interrupt of PE `pe` must be high. */
export function expectedMaintenance(saved: Saved, pe: number): boolean {
  const ich = obj(obj(obj((obj(saved)["pes"] as Saved[])[pe])["cpu"])["virtual"]);
  const hcr = ich["hcr"] as number;
  const vmcr = ich["vmcr"] as number;
  const lrs = nums(ich["lrHigh"]);
  const used = lrs.filter((h) => h >>> 30 !== 0).length;
  const eoi = lrs.some((h) => h >>> 30 === 0 && (h & 0x2000_0200) === 0x200);
  const on = (bit: number) => (hcr & bit) !== 0;
  const reasons = [
    eoi,
    on(2) && used < 2,
    on(4) && hcr >>> 27 !== 0,
    on(8) && !lrs.some((h) => h >>> 30 === 1),
    on(0x10) && (vmcr & 1) !== 0,
    on(0x20) && (vmcr & 1) === 0,
    on(0x40) && (vmcr & 2) !== 0,
    on(0x80) && (vmcr & 2) === 0,
  ];
  return on(1) && reasons.includes(true);
}
