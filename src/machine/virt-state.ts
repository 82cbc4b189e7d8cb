// What a snapshot of a `virt` machine says about its configuration and its PEs, and the checks when it is read back: a snapshot
// is a file, and somebody may have damaged it or taken it from another machine.

import { Off } from "../arch/layout.ts";
import type { Pe } from "../cpu/pe.ts";
import { SavedFields } from "../devices/saved.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";
import type { End, VirtConfig } from "./virt.ts";

const MiB = 2 ** 20;

/** The options that must be equal for a snapshot to be restored, each as a person reads it. */
export function configOf(c: VirtConfig): { [key: string]: string } {
  return {
    machine: c.secure ? "virt,secure=on" : c.software ? (c.guest ?? "virt with a realm") : "virt",
    cpu: c.cpu,
    smp: `${c.smp} PE${c.smp === 1 ? "" : "s"}`,
    memory: `${c.memory / MiB} MiB`,
    pci: (c.pci ?? []).map((d) => (d.kind === "block" ? `block of ${d.backend.sectors} sectors` : d.kind)).join(", "),
    drives: `${c.drives.length} [${c.drives.map((d) => `${d.sectors} sectors`).join(", ")}]`,
  };
}

/** Throws EmuError("snapshot-mismatch") that names every option in which the machine of the snapshot differs. */
export function checkSameConfig(saved: Saved, config: VirtConfig): void {
  const there = new SavedFields(saved, "machine options");
  const differences = Object.entries(configOf(config))
    .map(([key, value]) => ({ key, here: value, there: there.part(key) }))
    .filter((d) => d.here !== d.there)
    .map((d) => `${d.key}: ${String(d.there)} there, ${d.here} here`);
  if (differences.length === 0) return;
  throw new EmuError("snapshot-mismatch", `the snapshot is of a machine with other options: ${differences.join("; ")}`);
}

/** Why the saved machine had stopped by itself; undefined: it had not. */
export function readEnd(saved: Saved): End | undefined {
  if (saved === null) return undefined;
  const end = saved as { kind?: Saved; message?: Saved };
  if (end.kind === "poweroff" || end.kind === "reset") return { kind: end.kind };
  if (end.kind === "error" && typeof end.message === "string") return { kind: "error", message: end.message };
  throw new EmuError("snapshot-corrupt", "snapshot of machine: end is not a reason");
}

// ---- PEs -------------------------------------------------------------------------------------------------------------------------

/** Registers end where tables begin that are derived from them. */
const REGISTERS = Off.SRMAP;

/** Words of the block that belong to the run loop and the TLBs of this host: they say nothing about the guest. */
const HOST_WORDS = [
  ...[Off.PCBASE, Off.PCBASE + 4, Off.CURPRE, Off.IP, Off.BUDGET],
  ...Array.from({ length: (Off.EL - Off.VA) / 4 }, (_, i) => Off.VA + 4 * i), // of the last access that took the slow path
  ...[Off.TLB_R, Off.TLB_W, Off.TLB_X, Off.TLB_UR, Off.TLB_UW],
] as const;

/** Everything of a PE that is guest-visible. */
export function savePe(pe: Pe): { [key: string]: Saved } {
  pe.pmu.sync(); // counters lie behind while a turn is cut
  const registers = pe.st.u8.slice(pe.st.base, pe.st.base + REGISTERS);
  for (const at of HOST_WORDS) registers.fill(0, at, at + 4);
  return { registers, pe: pe.save() };
}

/** After RAM was restored. */
export function restorePe(pe: Pe, saved: Saved, phys: PhysicalMemory): void {
  const s = new SavedFields(saved, `PE ${pe.index}`);
  const registers = s.bytes("registers", REGISTERS);
  checkRegisters(registers, pe.index, phys);
  pe.mmu.reset();
  pe.st.u8.set(registers, pe.st.base);
  pe.restore(s.part("pe"));
  pe.contextChanged();
}

/** Fields with few values, which the rest of the program relies on: offset, largest value. */
// biome-ignore format: table
const LIMITS: readonly (readonly [keyof typeof Off, number])[] = [
  ["EL",     3],
  ["SPSEL",  1],
  ["DAIF",   15],
  ["BTYPE",  3],
  ["HALT",   2],
  ["EVENT",  1],
  ["EXSIZE", 16],
];

function checkRegisters(block: Uint8Array, index: number, phys: PhysicalMemory): void {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const word = (at: number): number => view.getUint32(at, true);
  const corrupt = (what: string): EmuError => new EmuError("snapshot-corrupt", `snapshot of PE ${index}: ${what}`);
  for (const [name, max] of LIMITS) if (word(Off[name]) > max) throw corrupt(`${name} is ${word(Off[name])}`);
  if (word(Off.INDEX) !== index) throw corrupt(`it is PE ${word(Off.INDEX)}`);
  if (word(Off.X + 8 * 31) !== 0 || word(Off.X + 8 * 31 + 4) !== 0) throw corrupt("the zero register is not zero");
  // The reserved address is kept as an offset into the pool, which is laid out again as it was.
  if (word(Off.EXSIZE) !== 0 && phys.paOf(word(Off.EXADDR)) === undefined) throw corrupt("the exclusive reservation is outside RAM");
}
