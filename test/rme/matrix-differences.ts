// Where QEMU 11.1 and the architecture differ in the matrix, each with the reason why the architecture's reading (matrix-model.ts) is
// the one that the emulator follows. A line that differs must be explained by exactly one entry, in exactly this number of lines.

import type { Check } from "./matrix-model.ts";

export interface Difference {
  id: string;
  /** Lines of the matrix that it explains, with level-0 regions of 1 GiB. */
  lines: number;
  reason: string;
  explains(c: Check, qemu: string, expected: string): boolean;
}

const stage2World = (c: Check) => c.el < 2 && !c.host;
const withoutOffset = (s: string) => s.replace(/mfar=([0-9a-f]+)[0-9a-f]{3} /, "mfar=$1000 ");
/** GPCSC with level 1 instead of level 0. */
const levelOne = (s: string) => s.replace(/esr=([0-9a-f]+)/, (_, esr) => `esr=${(BigInt(`0x${esr}`) | (1n << 14n)).toString(16)}`);

export const differences: readonly Difference[] = [
  {
    id: "hpfar-of-permission-faults",
    lines: 20,
    reason:
      "QEMU writes HPFAR_EL2 at a stage 2 permission fault too; the architecture leaves it UNKNOWN there, the emulator leaves it alone.",
    explains: (_, qemu, expected) => / esr=8200000f /.test(expected) && qemu.replace(" hpfar=1000e090", "") === expected,
  },
  {
    id: "dc-by-va-unchecked",
    lines: 85,
    reason:
      "DC CIVAC does nothing in QEMU. The architecture lets an implementation check the address of cache maintenance by VA; the emulator does, as for translation faults.",
    explains: (c, qemu) => c.access === "dc-civac" && qemu === "ok",
  },
  {
    id: "stage1-table-fault-as-stage2",
    lines: 126,
    reason:
      "With stage 2 on, QEMU reports a granule protection fault of the stage 1 descriptor itself as one of the stage 2 walk (S1PTW or S2PTW set, HPFAR_EL2 written, taken to EL2). Stage 2 had given the address; the fault belongs to stage 1.",
    explains: (c, qemu) =>
      stage2World(c) && c.place.startsWith("s1") && (/EL2 esr=[89]2000[01][ae]5 .*hpfar=854320 /.test(qemu) || /esr=7a[23]/.test(qemu)),
  },
  {
    id: "hpfar-of-gpc-exceptions",
    lines: 30,
    reason: "A granule protection fault on a stage 2 walk writes HPFAR_EL2 also when EL3 takes it; QEMU writes it for EL2 only.",
    explains: (c, qemu, expected) =>
      c.place === "s2-l1" && withoutOffset(qemu) === expected.replace(" hpfar=480000", "") && qemu.startsWith("EL3"),
  },
  {
    id: "at-never-to-el3",
    lines: 19,
    reason:
      "In QEMU a granule protection fault of an AT instruction only ever ends in PAR_EL1 (at EL2 and EL3). A GPT walk fault, and a GPF with SCR_EL3.GPF = 1, is an exception to EL3.",
    explains: (c, qemu, expected) => c.access.startsWith("at-") && qemu === "par=84b" && expected.startsWith("EL3 esr=7a"),
  },
  {
    id: "par-ns-nse",
    lines: 24,
    reason:
      "PAR_EL1.NS of Realm EL2 is 0 for Realm PA space, PAR_EL1.{NSE,NS} of EL3 name the space of the output; QEMU sets NS for Realm and leaves NSE as RES1.",
    explains: (c, qemu, expected) =>
      /^par=ff/.test(qemu) && /^par=ff/.test(expected) && (c.world.startsWith("realm-el2") || c.world === "root"),
  },
  {
    id: "gpt-level-of-walks",
    lines: 30,
    reason: "On a table walk QEMU reports the level of the walk in GPCSC; it holds the level of the granule protection table.",
    explains: (c, qemu, expected) => c.place.startsWith("s1-l0") && qemu !== expected && levelOne(qemu) === expected,
  },
  {
    id: "mfar-offset",
    lines: 119,
    reason: "MFAR_EL3.FPA is PA[51:12]; at a granule protection check exception the bits below are zero. QEMU writes the whole address.",
    explains: (_, qemu, expected) => qemu !== expected && withoutOffset(qemu) === expected,
  },
  {
    id: "table-above-pps",
    lines: 10,
    reason: "A level-1 table address above PPS is a GPT address size fault; QEMU takes it for a malformed entry.",
    explains: (c, qemu, expected) =>
      /^table-above/.test(c.entry[0] as string) && qemu.replace("esr=7a01", "esr=7a00").replace("esr=7a11", "esr=7a10") === expected,
  },
  {
    id: "granules-entry-half-checked",
    lines: 25,
    reason: "An entry of sixteen GPIs is valid only if all are; QEMU looks at the one it needs.",
    explains: (c, qemu) => c.section === "malformed-l1" && /^granule-/.test(c.entry[0] as string) && qemu === "ok",
  },
  {
    id: "nso-from-secure",
    lines: 8,
    reason:
      "GPI NSO lets Non-secure and Root state through. QEMU takes Secure EL1 and EL0 for Non-secure when stage 2 outputs the Non-secure PA space.",
    explains: (c, qemu) => c.section === "nso" && /^secure-el[10]$/.test(c.world) && qemu === "ok",
  },
  {
    id: "dma-unchecked",
    lines: 424,
    reason:
      "Devices of QEMU reach memory without a granule protection check. Every requester is subject to it; a device of the Non-secure PA space reaches granules that are Non-secure or open to all.",
    explains: (c, qemu, expected) => c.world === "device" && expected === "refused" && qemu === "ok",
  },
];

/** What the payload leaves out on QEMU, because QEMU stops with a failed assertion there. */
export const notRunOnQemu = (c: Check): boolean =>
  (c.place !== "output" && !["s1-l0", "s1-l1", "s2-l1"].includes(c.place)) ||
  (c.section === "above-pps" && Number(c.entry[0]) <= c.regionBits);
