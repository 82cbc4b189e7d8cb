// Which rule an access broke, in words, and what software would have to do: from a recorded walk and the fault it ended in.

import { Security, securityName } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import { Access, Privilege } from "../mmu/access.ts";
import { stage2Device } from "../mmu/attributes.ts";
import { type Fault, FaultType, Gpc } from "../mmu/fault.ts";
import type { RangeConfig, TableShape } from "../mmu/range.ts";
import { Regime, type RegimeConfig } from "../mmu/regime.ts";
import type { Stage2Config } from "../mmu/stage2-config.ts";
import { addressIn, levelSize } from "../mmu/table.ts";
import { canonicalHi } from "../mmu/walker.ts";
import { bits, kindOf } from "./fields.ts";
import { short } from "./model.ts";
import { type Reason, stage1Reasons, stage2Reasons } from "./permission.ts";
import type { RecordedStep, RecordedWalk } from "./recorder.ts";
import type { RuleId } from "./rules.ts";

/** The rule that was broken, how, and what to do. */
export interface Diagnosis {
  readonly rule: RuleId;
  readonly text: string;
  readonly remedies: readonly string[];
}

const tcrName = ["TCR_EL1", "TCR_EL2", "TCR_EL2", "TCR_EL3"] as const;
const ttbrName = [
  ["TTBR0_EL1", "TTBR1_EL1"],
  ["TTBR0_EL2", "TTBR1_EL2"],
  ["TTBR0_EL2", "TTBR0_EL2"],
  ["TTBR0_EL3", "TTBR0_EL3"],
] as const;

/** The range of `va` in a regime: its number, configuration and register names. */
export function rangeOf(walk: Pick<RecordedWalk, "config" | "request">): { n: 0 | 1; range: RangeConfig; tcr: string; ttbr: string } {
  const { config, request } = walk;
  const n = config.twoRanges && ((request.va >> 55n) & 1n) === 1n ? 1 : 0;
  return { n, range: config.ranges[n], tcr: tcrName[config.regime], ttbr: ttbrName[config.regime][n] };
}

/** Stage 2 for an IPA in `space`. */
export function stage2For(c: RegimeConfig, space: number): Stage2Config | undefined {
  return c.stage2Ns !== undefined && space === Security.NonSecure ? c.stage2Ns : c.stage2;
}

/** Diagnosis of a fault of translation; granule protection is diagnosed elsewhere. */
export function diagnose(walk: RecordedWalk, f: Fault): Diagnosis {
  if (f.type === FaultType.Alignment || f.type === FaultType.External || f.type === FaultType.Exclusive) return ofAccess(walk, f);
  return f.stage === 2 ? ofStage2(walk, f) : ofStage1(walk, f);
}

// ---- stage 1 -----------------------------------------------------------------------------------------------------------

function ofStage1(walk: RecordedWalk, f: Fault): Diagnosis {
  const last = walk.steps.filter((s) => s.stage === 1).at(-1);
  const { range, ttbr } = rangeOf(walk);
  if (f.type === FaultType.HardwareUpdate) {
    return {
      rule: "S1-UPDATE",
      text: "hardware could not update the access flag or dirty state: another agent changed the descriptor each time",
      remedies: ["do not write the descriptor while hardware may update it, or let software manage it (TCR.HA, TCR.HD)"],
    };
  }
  if (last === undefined) return beforeStage1(walk, f);
  const what = `level ${last.level} descriptor ${shown(last)} at ${short(last.pa)}`;
  if (f.type === FaultType.ExternalOnWalk) {
    const link = last.level === range.startLevel ? ttbr : "the table descriptor above it";
    return {
      rule: "S1-EXTERNAL",
      text: `the level ${last.level} descriptor would be at ${short(last.pa)}, where there is no RAM`,
      remedies: [`let ${link} point to RAM`],
    };
  }
  if (f.type === FaultType.Permission) return permission1(walk, last);
  return ofDescriptor(
    "S1",
    f,
    last,
    what,
    range,
    `the descriptor at ${short(last.pa)}`,
    `${rangeOf(walk).tcr}.${walk.config.twoRanges ? "IPS" : "PS"}`,
  );
}

/** Stage 1 faults that come before any descriptor is read. */
function beforeStage1(walk: RecordedWalk, f: Fault): Diagnosis {
  const { config: c, request } = walk;
  const { n, range: r, tcr, ttbr } = rangeOf(walk);
  const va = short(request.va);
  if (!c.stage1)
    return {
      rule: "S1-OFF-SIZE",
      text: `stage 1 is off, so ${va} is taken as an output address, and it has more bits than physical addresses have`,
      remedies: ["use an address below the physical address size (ID_AA64MMFR0_EL1.PARange), or switch stage 1 on first"],
    };
  if (f.type === FaultType.AddressSize)
    return {
      rule: "S1-TTBR-SIZE",
      text: `${ttbr} points beyond the output address size of ${outputBits(r)} bits`,
      remedies: [`put the table below 2^${outputBits(r)}, or raise the size in ${tcr}`],
    };
  if (r.invalid)
    return {
      rule: "S1-TXSZ",
      text: `${tcr}.T${n}SZ is outside what the granule and the PE allow`,
      remedies: [`set ${tcr}.T${n}SZ to a value from ${r.ds ? 12 : 16} to 39`],
    };
  const hi = canonicalHi(c, Number((request.va >> 32n) & 0xffff_ffffn) | 0, request.access === Access.Fetch);
  if (outside(r, Number(request.va & 0xffff_ffffn) | 0, hi, n === 1)) {
    const ignored = (request.access === Access.Fetch ? r.tbiFetch : r.tbiData) ? " (the top byte is ignored)" : "";
    const must = c.twoRanges ? `equal bit 55 of the address, which is ${n}` : "be 0";
    return {
      rule: "S1-VA-RANGE",
      text: `bits 63 to ${r.iaBits} of ${va} must ${must}${ignored}: the range has ${r.iaBits} bits (${tcr}.T${n}SZ = ${64 - r.iaBits})`,
      remedies: [
        "use a canonical address: a pointer was probably corrupted, or carries a tag or a PAC",
        `or enlarge the range by ${tcr}.T${n}SZ`,
      ],
    };
  }
  if (r.e0pd && request.privilege === Privilege.User)
    return {
      rule: "S1-E0PD",
      text: `${tcr}.E0PD${n} is 1: unprivileged accesses to this range fault before any table is read`,
      remedies: [`clear ${tcr}.E0PD${n} if EL0 is to see this range`],
    };
  return {
    rule: "S1-EPD",
    text: `${tcr}.EPD${n} is 1: nothing may be translated through ${ttbr}`,
    remedies: [`clear ${tcr}.EPD${n} once ${ttbr} is valid`],
  };
}

const outputBits = (s: TableShape): number => Math.round(Math.log2(s.oaLimit));

/** VA bits above the input size differ from what they must be. */
function outside(r: RangeConfig, lo: number, hi: number, upper: boolean): boolean {
  const value = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  const top = BigInt.asIntN(64, value) >> BigInt(r.iaBits);
  return top !== (upper ? -1n : 0n);
}

function permission1(walk: RecordedWalk, leaf: RecordedStep): Diagnosis {
  const { config: c, request } = walk;
  const { range } = rangeOf(walk);
  const tables = walk.steps.filter((s) => s.stage === 1 && s !== leaf);
  const reasons = stage1Reasons(leaf, tables, c, range, request.access, request.privilege, leafSpace(leaf, c));
  return fromReasons("S1-PERMISSION", reasons, leaf, request.access);
}

/** Output PA space that a stage 1 leaf names, for the words about execution. */
function leafSpace(leaf: RecordedStep, c: RegimeConfig): number {
  const ns = bits(leaf, 5);
  if (c.regime === Regime.EL3 && c.security === Security.Root) return (bits(leaf, 11) << 1) | ns;
  if (c.security === Security.NonSecure) return Security.NonSecure;
  return ns === 1 || leaf.pas === Security.NonSecure ? Security.NonSecure : c.security;
}

function fromReasons(rule: RuleId, reasons: readonly Reason[], leaf: RecordedStep, access: Access): Diagnosis {
  const verb = ["read", "written", "executed", "read and written", "maintained"][access] as string;
  const where = `stage ${leaf.stage} leaf ${shown(leaf)} at ${short(leaf.pa)}`;
  return {
    rule,
    text: `the memory may not be ${verb}: ${reasons.map((r) => r.text).join("; ")} (${where})`,
    remedies: [...new Set(reasons.map((r) => r.remedy))],
  };
}

/** Value of a descriptor. */
function shown(s: RecordedStep): string {
  return short((BigInt(s.hi >>> 0) << 32n) | BigInt(s.lo >>> 0));
}

/** Faults that a descriptor's own bits cause, in either stage. */
function ofDescriptor(
  stage: "S1" | "S2",
  f: Fault,
  d: RecordedStep,
  what: string,
  shape: TableShape,
  it: string,
  sizeField: string,
): Diagnosis {
  const kind = kindOf(d, shape);
  const tlb = stage === "S1" ? "TLBI by VA" : "TLBI IPAS2E1";
  switch (f.type) {
    case FaultType.Translation:
      if (kind === "invalid")
        return {
          rule: `${stage}-INVALID`,
          text: `bit 0 of the ${what} is 0: nothing is mapped there`,
          remedies: [
            `write a valid ${d.level === 3 ? "page" : "block or table"} descriptor at ${short(d.pa)} (no TLBI is needed after an invalid one)`,
          ],
        };
      if (kind === "reserved")
        return {
          rule: `${stage}-RESERVED`,
          text:
            d.level === 3
              ? `bits 1:0 of the ${what} are 0b01, which is reserved at level 3 (a page is 0b11)`
              : `the ${what} is a block, and this granule has blocks from level ${shape.minBlockLevel} on only`,
          remedies: [d.level === 3 ? "set bit 1 of the page descriptor" : "use a table descriptor here, or a larger level for the block"],
        };
      return {
        rule: `${stage}-CONTIGUOUS`,
        text: `the ${what} says Contiguous, and the set of such entries is larger than the input range of ${shape.iaBits} bits`,
        remedies: ["clear the Contiguous bit"],
      };
    case FaultType.AddressSize: {
      const table = kind === "table";
      const pa = addressIn(d.lo, d.hi, table ? shape.granule : levelSize(shape, d.level), shape.wide);
      return {
        rule: `${stage}-OA-SIZE`,
        text: `the ${what} ${table ? "points to a table" : "maps to memory"} at ${short(pa)}, beyond the output address size of ${outputBits(shape)} bits (${sizeField})`,
        remedies: [`put an address below 2^${outputBits(shape)} into ${it}`, `or raise ${sizeField} if the PE implements more`],
      };
    }
    default:
      return {
        rule: `${stage}-AF`,
        text: `AF of the ${what} is 0, and ${stage === "S1" ? "TCR.HA" : "VTCR_EL2.HA"} is 0, so the first access faults for software to note it`,
        remedies: [
          `set AF (bit 10) in ${it}; ${tlb} is not needed, entries with AF = 0 are not cached`,
          `or let hardware do it (${stage === "S1" ? "TCR.HA" : "VTCR_EL2.HA"})`,
        ],
      };
  }
}

// ---- stage 2 -----------------------------------------------------------------------------------------------------------

function ofStage2(walk: RecordedWalk, f: Fault): Diagnosis {
  const s2 = stage2For(walk.config, f.ipaSpace) as Stage2Config;
  const ttbr = s2.ttbr === slot.VSTTBR_EL2 ? "VSTTBR_EL2" : "VTTBR_EL2";
  const tcr = s2.ttbr === slot.VSTTBR_EL2 ? "VSTCR_EL2" : "VTCR_EL2";
  const last = lastStage2(walk, f);
  if (f.type === FaultType.HardwareUpdate) {
    return {
      rule: "S2-UPDATE",
      text: "hardware could not update the access flag or dirty state of stage 2: another agent changed the descriptor each time",
      remedies: ["do not write the descriptor while hardware may update it, or let software manage it (VTCR_EL2.HA, HD)"],
    };
  }
  if (last === undefined) {
    if (f.type === FaultType.AddressSize)
      return {
        rule: "S2-TTBR-SIZE",
        text: `${ttbr} points beyond the output address size of ${outputBits(s2)} bits`,
        remedies: [`put the table below 2^${outputBits(s2)}, or raise VTCR_EL2.PS`],
      };
    if (s2.invalid)
      return {
        rule: "S2-CONFIG",
        text: `${tcr}.T0SZ, SL0 and TG0 describe no possible table: the start level does not fit the input size`,
        remedies: [`choose ${tcr}.SL0 for the input size 64 - T0SZ (at most 16 concatenated tables at the start level)`],
      };
    return {
      rule: "S2-IPA-RANGE",
      text: `the intermediate physical address ${short(f.ipa)} is not below 2^${s2.iaBits} (${tcr}.T0SZ = ${64 - s2.iaBits})`,
      remedies: ["let stage 1 map to an address that the virtual machine has", `or enlarge stage 2 by ${tcr}.T0SZ`],
    };
  }
  const what = `level ${last.level} stage 2 descriptor ${shown(last)} at ${short(last.pa)} for IPA ${short(f.ipa)}`;
  if (f.type === FaultType.ExternalOnWalk) {
    return {
      rule: "S2-EXTERNAL",
      text: `the level ${last.level} stage 2 descriptor would be at ${short(last.pa)}, where there is no RAM`,
      remedies: [`let ${last.level === s2.startLevel ? ttbr : "the stage 2 table descriptor above it"} point to RAM`],
    };
  }
  if (f.type === FaultType.Permission) return permission2(walk, f, last, s2);
  return ofDescriptor("S2", f, last, what, s2, `the stage 2 descriptor at ${short(last.pa)}`, "VTCR_EL2.PS");
}

/** The stage 2 descriptor that faulted: none when the walk of this IPA had not begun. */
function lastStage2(walk: RecordedWalk, f: Fault): RecordedStep | undefined {
  const last = walk.steps.at(-1);
  return last?.stage === 2 && last.ipa === f.ipa && last.forWalk === f.s1ptw ? last : undefined;
}

function permission2(walk: RecordedWalk, f: Fault, leaf: RecordedStep, s2: Stage2Config): Diagnosis {
  const { access, privilege } = walk.request;
  if (f.s1ptw && s2.realm && bits(leaf, 55) === 1) return special("S2-WALK-SPACE");
  if (f.s1ptw && s2.ptw && stage2Device(bits(leaf, 2, 4), s2.fwb)) return special("S2-WALK-DEVICE");
  return special("S2-PERMISSION");
  function special(rule: RuleId): Diagnosis {
    const reasons = stage2Reasons(leaf, s2, access, privilege, f.s1ptw, updating(walk));
    const d = fromReasons(rule, reasons, leaf, access);
    if (!f.s1ptw) return d;
    const how = updating(walk) ? "updated" : "read";
    return {
      ...d,
      text: `the stage 1 descriptor at IPA ${short(f.ipa)} may not be ${how}: ${reasons.map((r) => r.text).join("; ")} (stage 2 leaf ${shown(leaf)} at ${short(leaf.pa)})`,
    };
  }
}

/** The last stage 1 descriptor was read already: what stage 2 refused is its update by hardware. */
function updating(walk: RecordedWalk): boolean {
  const last = walk.steps.at(-1);
  return walk.steps.some((s) => s.stage === 1 && last?.forWalk === true && s.ipa === last.ipa);
}

// ---- the access itself -------------------------------------------------------------------------------------------------

function ofAccess(walk: RecordedWalk, f: Fault): Diagnosis {
  const { pa, pas, attr } = walk.result;
  const va = short(f.va);
  const device = (attr & 0xf0) === 0 && walk.fault === undefined;
  switch (f.type) {
    case FaultType.Alignment:
      if (device)
        return {
          rule: "ACC-DEVICE",
          text: `${va} is Device memory, which takes only aligned accesses and no DC ZVA`,
          remedies: ["align the access", "or map the memory as Normal (AttrIndx of the leaf; with stage 1 off all data is Device-nGnRnE)"],
        };
      return {
        rule: "ACC-ALIGN",
        text: `${va} is not aligned: SCTLR_ELx.A asks for alignment, or the access is an atomic, exclusive or ordered one that crosses 16 bytes`,
        remedies: [
          "align the address to the size of the access",
          "or clear SCTLR_ELx.A (ordinary accesses), set SCTLR_ELx.nAA (ordered ones)",
        ],
      };
    case FaultType.Exclusive:
      return {
        rule: "ACC-EXCLUSIVE",
        text: `an exclusive or atomic access went to ${short(pa)}, which is no ordinary memory`,
        remedies: ["use plain loads and stores for device registers"],
      };
    default:
      return {
        rule: "ACC-EXTERNAL",
        text: `there is neither RAM nor a device that accepts the access at ${short(pa)} (${securityName[pas]} PA space)`,
        remedies: ["map the address to RAM or to a device's registers, and use the access sizes that the device takes"],
      };
  }
}

/** The walk has no fault any more, or another one: what can be said about it. */
export const changed: Diagnosis = {
  rule: "ACC-CHANGED",
  text: "walking the tables again gives another result than the access had",
  remedies: ["after changing a valid descriptor: break before make, and TLBI with DSB"],
};

/** What a granule protection result is called. */
export const gpcResult = (kind: number): "pass" | "address size fault" | "walk fault" | "granule protection fault" | "external abort" => {
  switch (kind) {
    case 0:
      return "pass";
    case Gpc.AddressSize:
      return "address size fault";
    case Gpc.Walk:
      return "walk fault";
    case Gpc.Fail:
      return "granule protection fault";
    default:
      return "external abort";
  }
};
