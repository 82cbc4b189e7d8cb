// What a host sees of a realm at a REC exit, and what the ABI lets it see (DEN0137 A4.3, B3.66 RmiRecExit): everything else must be as it
// was before the entry.

import { Off } from "../../src/arch/layout.ts";
import type { Pe } from "../../src/cpu/pe.ts";
import type { RecExit } from "../../src/rmm/layouts.ts";
import { ExitReason, exitReasonName } from "../../src/rmm/status.ts";
import type { StructView } from "../../src/rmm/struct.ts";

type Exit = StructView<keyof typeof RecExit.fields>;

/** Registers that are not banked by the world switch itself, or that tell the time and the state of interrupts. */
const MOVING = /^(CNT|PM|IC[CHV]_|ISR_|DISR|RNDR|NZCV|DAIF|SPSel|PAN|UAO|DIT|SSBS|OSLSR|DBGDTR|MDCCSR|DBGCLAIM|OSLAR|CurrentEL|.*_EL3$)/;

/** Registers that software of EL0 to EL2 can write, by slot. */
export function hostRegisters(pe: Pe): { name: string; slot: number }[] {
  return pe.regs.all
    .filter((r) => !r.alias && r.record.writable !== 0n && !MOVING.test(r.name))
    .map((r) => ({ name: r.name, slot: r.slot }));
}

/** Registers of a PE at the host. x0 to x4 hold results. */
export interface HostView {
  readonly gprs: readonly bigint[];
  readonly simd: Uint8Array;
  readonly system: readonly bigint[];
}
export function hostView(pe: Pe, registers: readonly { slot: number }[]): HostView {
  const { st } = pe;
  return {
    gprs: Array.from({ length: 26 }, (_, n) => st.x(n + 5)),
    simd: st.u8.slice(st.base + Off.V, st.base + Off.V + 512),
    system: registers.map((r) => st.get(r.slot)),
  };
}
/** What differs: nothing may. */
export function changed(before: HostView, after: HostView, registers: readonly { name: string }[]): string[] {
  return [
    ...after.gprs.flatMap((v, i) => (v === before.gprs[i] ? [] : [`x${i + 5}`])),
    ...(Buffer.compare(before.simd, after.simd) === 0 ? [] : ["SIMD registers"]),
    ...after.system.flatMap((v, i) => (v === before.system[i] ? [] : [registers[i]?.name ?? ""])),
  ];
}

const Ec = { WFX: 0x01, SYSREG: 0x18, FETCH: 0x20, DATA: 0x24 } as const;
const bits = (...ranges: readonly (readonly [number, number])[]): bigint =>
  ranges.reduce((m, [hi, lo]) => m | (((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(lo)), 0n);
const NON_EMULATABLE = bits([31, 26], [12, 11], [10, 10], [9, 9], [5, 0]);
const EMULATABLE = NON_EMULATABLE | bits([24, 24], [23, 22], [15, 15], [6, 6]);
const ISV = 1n << 24n;
const WNR = 1n << 6n;

/** How many of gprs[] an exit may use, by its reason and syndrome. */
function allowedGprs(x: Exit): number {
  const esr = x.get("esr");
  switch (x.num("exit_reason")) {
    case ExitReason.HOST_CALL:
      return 31;
    case ExitReason.PSCI:
      return 4; // identifier and arguments of the call
    case ExitReason.SYNC:
      if (Number(esr >> 26n) === Ec.DATA) return (esr & ISV) !== 0n && (esr & WNR) !== 0n ? 1 : 0;
      return Number(esr >> 26n) === Ec.SYSREG && (esr & 1n) === 0n ? 1 : 0;
    default:
      return 0;
  }
}

/** What an exit says beyond the ABI: nothing may be in the list. `half`: first unprotected IPA. */
export function excess(x: Exit, half: number): string[] {
  const out: string[] = [];
  const zero = (name: keyof typeof RecExit.fields): void => {
    if (x.get(name) !== 0n) out.push(`${name} is 0x${x.get(name).toString(16)} at a ${exitReasonName(x.num("exit_reason"))} exit`);
  };
  const reason = x.num("exit_reason");
  for (let n = allowedGprs(x); n < 31; n++) if (x.get("gprs", n) !== 0n) out.push(`gprs[${n}] at a ${exitReasonName(reason)} exit`);
  if (reason !== ExitReason.HOST_CALL) zero("imm");
  if (reason !== ExitReason.RIPAS_CHANGE) for (const n of ["ripas_base", "ripas_top", "ripas_value"] as const) zero(n);
  if (reason === ExitReason.SYNC) synchronous(x, half, out);
  else if (reason !== ExitReason.SERROR) for (const n of ["esr", "far", "hpfar"] as const) zero(n);
  return [...out, ...gaps(x)];
}

function synchronous(x: Exit, half: number, out: string[]): void {
  const esr = x.get("esr");
  const ec = Number(esr >> 26n);
  const shared = Number(x.get("hpfar") >> 4n) * 4096 >= half;
  if (ec === Ec.DATA || ec === Ec.FETCH) {
    const mask = ec === Ec.DATA && shared ? EMULATABLE : NON_EMULATABLE;
    if ((esr & ~mask) !== 0n) out.push(`ESR 0x${esr.toString(16)} says more than an abort may`);
    if (x.get("far") > (shared && ec === Ec.DATA ? 0xfffn : 0n)) out.push(`FAR 0x${x.get("far").toString(16)}`);
    if (shared && (esr & WNR) !== 0n) {
      const size = 8 << Number((esr >> 22n) & 3n);
      if (x.get("gprs", 0) >> BigInt(size) !== 0n) out.push("more of the stored register than was stored");
    }
  } else if (ec !== Ec.WFX && ec !== Ec.SYSREG) out.push(`an exit with exception class 0x${ec.toString(16)}`);
  else if (x.get("far") !== 0n || x.get("hpfar") !== 0n) out.push("FAR or HPFAR without an abort");
}

/** Bytes of the page that belong to no field. */
function gaps(x: Exit): string[] {
  const free = new Uint8Array(x.raw);
  for (const f of Object.values(x.struct.fields)) free.fill(0, f.offset, f.offset + f.bytes * f.count);
  const at = free.findIndex((b) => b !== 0);
  return at < 0 ? [] : [`byte 0x${at.toString(16)} of the exit page, which belongs to no field`];
}
