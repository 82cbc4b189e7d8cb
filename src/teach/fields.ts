// Fields of translation table descriptors by their architectural names, with what each value means where it stands
// (Arm ARM D8.3: VMSAv8-64 descriptor formats).

import { Security, securityName } from "../arch/security.ts";
import { isDevice, type MemAttr, XS } from "../mmu/attributes.ts";
import { type TableShape, Wide } from "../mmu/range.ts";
import { Regime, type RegimeConfig } from "../mmu/regime.ts";
import type { Stage2Config } from "../mmu/stage2-config.ts";
import { addressIn, levelSize } from "../mmu/table.ts";
import type { DescriptorKind, FieldInfo } from "./model.ts";
import { hexPa } from "./model.ts";

/** A descriptor in two words, and where it stands. */
export interface Raw {
  readonly lo: number;
  readonly hi: number;
  readonly level: number;
}

/** Bits [first+width-1 : first] of a descriptor. */
export function bits(d: Raw, first: number, width = 1): number {
  const v = first >= 32 ? d.hi >>> (first - 32) : d.lo >>> first;
  return v & (2 ** width - 1);
}

/** What a valid-looking descriptor is at its level, as the walkers take it. */
export function kindOf(d: Raw, shape: TableShape): DescriptorKind {
  if ((d.lo & 1) === 0) return "invalid";
  if (d.level === 3) return (d.lo & 2) !== 0 ? "page" : "reserved";
  if ((d.lo & 2) !== 0) return "table";
  return d.level >= shape.minBlockLevel ? "block" : "reserved";
}

const field = (name: string, d: Raw, first: number, width: number, meaning: string | readonly string[]): FieldInfo => {
  const value = bits(d, first, width);
  const where = width === 1 ? `${first}` : `${first + width - 1}:${first}`;
  return { name, bits: where, value, meaning: typeof meaning === "string" ? meaning : (meaning[value] ?? "reserved") };
};

/** The output or next-level address, with the bits it is taken from. */
function address(name: string, d: Raw, shape: TableShape, size: number): FieldInfo {
  const pa = addressIn(d.lo, d.hi, size, shape.wide);
  const more = shape.wide === Wide.Lpa ? ", 15:12" : shape.wide === Wide.Ds ? ", 9:8" : "";
  const top = shape.wide === Wide.Ds ? 49 : 47;
  return {
    name,
    bits: `${top}:${size}${more}`,
    value: hexPa(pa),
    meaning: name === "NextTable" ? "table of the next level" : "output address",
  };
}

const TYPE: Readonly<Record<DescriptorKind, string>> = {
  table: "Table",
  block: "Block",
  page: "Page",
  invalid: "Invalid",
  reserved: "Reserved",
  unreadable: "Not read",
};

function typeField(d: Raw, kind: DescriptorKind): FieldInfo {
  return { name: "Type", bits: "1:0", value: d.lo & 3, meaning: TYPE[kind] };
}

// ---- stage 1 -----------------------------------------------------------------------------------------------------------

/** All fields of a stage 1 descriptor. */
export function stage1Fields(d: Raw, kind: DescriptorKind, shape: TableShape, c: RegimeConfig, hpd: boolean): FieldInfo[] {
  const type = typeField(d, kind);
  if (kind === "invalid" || kind === "reserved") return [type];
  if (kind === "table") return [type, address("NextTable", d, shape, shape.granule), ...tableAttributes(d, c, hpd)];
  return [type, address("OutputAddress", d, shape, levelSize(shape, d.level)), ...leafAttributes(d, shape, c)];
}

function tableAttributes(d: Raw, c: RegimeConfig, hpd: boolean): FieldInfo[] {
  const off = hpd ? " (ignored: hierarchical permissions are disabled)" : "";
  const out: FieldInfo[] = [];
  if (c.twoRanges) out.push(field("PXNTable", d, 59, 1, [`no effect${off}`, `nothing below executes at EL1 or above${off}`]));
  const xn = c.twoRanges ? "UXNTable" : "XNTable";
  out.push(field(xn, d, 60, 1, [`no effect${off}`, `nothing below executes${c.twoRanges ? " at EL0" : ""}${off}`]));
  const ap = ["no effect", "no access from EL0 below", "read-only below", "read-only and no access from EL0 below"];
  out.push(
    field(
      "APTable",
      d,
      61,
      2,
      ap.map((t) => t + off),
    ),
  );
  if (c.security === Security.Secure) out.push(field("NSTable", d, 63, 1, ["next table is Secure", "next table is Non-secure"]));
  return out;
}

const AP_TWO = ["EL1 read-write, EL0 none", "EL1 and EL0 read-write", "EL1 read-only, EL0 none", "EL1 and EL0 read-only"];
const AP_ONE = ["read-write (AP[1] is RES1)", "read-write", "read-only (AP[1] is RES1)", "read-only"];
const SH = ["Non-shareable", "reserved, treated as Outer Shareable", "Outer Shareable", "Inner Shareable"];

function leafAttributes(d: Raw, shape: TableShape, c: RegimeConfig): FieldInfo[] {
  const index = bits(d, 2, 3);
  const out = [
    field("AttrIndx", d, 2, 3, `MAIR attribute ${index}: ${memoryName(c.mair[index] as MemAttr)}`),
    nsField(d, c),
    field("AP[2:1]", d, 6, 2, c.twoRanges ? AP_TWO.map((t) => t.replace(/EL1/g, c.regime === Regime.EL20 ? "EL2" : "EL1")) : AP_ONE),
  ];
  if (!shape.ds) out.push(field("SH", d, 8, 2, SH));
  out.push(field("AF", d, 10, 1, [c.ha ? "not accessed yet: hardware sets it" : "not accessed yet: the first access faults", "accessed"]));
  if (c.regime === Regime.EL3) out.push(field("NSE", d, 11, 1, "with NS: output PA space"));
  else if (c.twoRanges) out.push(field("nG", d, 11, 1, ["global", "of this ASID only"]));
  out.push(field("GP", d, 50, 1, ["not guarded", "guarded: branch targets are checked (BTI)"]));
  out.push(
    field("DBM", d, 51, 1, [
      "no hardware dirty state",
      c.hd ? "writable; hardware clears AP[2] at the first write" : "ignored: TCR.HD is 0",
    ]),
  );
  out.push(field("Contiguous", d, 52, 1, ["single", "one of a contiguous set"]));
  if (c.twoRanges) out.push(field("PXN", d, 53, 1, ["executable when privileged", "not executable when privileged"]));
  out.push(
    field(
      c.twoRanges ? "UXN" : "XN",
      d,
      54,
      1,
      c.twoRanges ? ["executable at EL0", "not executable at EL0"] : ["executable", "not executable"],
    ),
  );
  return out;
}

function nsField(d: Raw, c: RegimeConfig): FieldInfo {
  switch (c.security) {
    case Security.Root: {
      const space = securityName[(bits(d, 11) << 1) | bits(d, 5)] as string;
      return field("NS", d, 5, 1, `with NSE: output is in the ${space} PA space`);
    }
    case Security.Secure:
      return field("NS", d, 5, 1, ["output is Secure", "output is Non-secure"]);
    case Security.Realm:
      return field(
        "NS",
        d,
        5,
        1,
        c.regime === Regime.EL10 ? "ignored: stage 2 decides in Realm EL1&0" : ["output is Realm", "output is Non-secure"],
      );
    default:
      return field("NS", d, 5, 1, "ignored: Non-secure state reaches only the Non-secure PA space");
  }
}

// ---- stage 2 -----------------------------------------------------------------------------------------------------------

const S2AP = ["no access", "read-only", "write-only", "read-write"];
const XN2 = ["executable", "executable at EL0 only", "not executable", "executable at EL1 only"];
const MEM = ["Device-nGnRnE", "Device-nGnRE", "Device-nGRE", "Device-GRE"];
const CACHE = ["reserved", "Non-cacheable", "Write-Through", "Write-Back"];

/** All fields of a stage 2 descriptor. */
export function stage2Fields(d: Raw, kind: DescriptorKind, c: Stage2Config): FieldInfo[] {
  const type = typeField(d, kind);
  if (kind === "invalid" || kind === "reserved") return [type];
  if (kind === "table") return [type, address("NextTable", d, c, c.granule)];
  const out = [
    type,
    address("OutputAddress", d, c, levelSize(c, d.level)),
    field("MemAttr", d, 2, 4, stage2Memory(bits(d, 2, 4), c.fwb)),
    field("S2AP", d, 6, 2, S2AP),
  ];
  if (!c.ds) out.push(field("SH", d, 8, 2, SH));
  out.push(field("AF", d, 10, 1, [c.ha ? "not accessed yet: hardware sets it" : "not accessed yet: the first access faults", "accessed"]));
  out.push(
    field("DBM", d, 51, 1, [
      "no hardware dirty state",
      c.hd ? "writable; hardware sets S2AP[1] at the first write" : "ignored: VTCR_EL2.HD is 0",
    ]),
  );
  out.push(field("Contiguous", d, 52, 1, ["single", "one of a contiguous set"]));
  out.push(c.xnx ? field("XN", d, 53, 2, XN2) : field("XN", d, 54, 1, ["executable", "not executable"]));
  if (c.realm) out.push(field("NS", d, 55, 1, ["output is Realm", "output is Non-secure"]));
  return out;
}

/** MemAttr[3:0] of a stage 2 leaf. */
function stage2Memory(m: number, fwb: boolean): string {
  if (fwb) {
    if ((m & 4) === 0) return MEM[m & 3] as string;
    return ["reserved", "Normal Non-cacheable unless stage 1 says Device", "Normal Write-Back, forced", "as stage 1 says"][m & 3] as string;
  }
  if ((m & 12) === 0) return MEM[m & 3] as string;
  return `Normal, outer ${CACHE[m >>> 2]}, inner ${CACHE[m & 3]}`;
}

// ---- attributes --------------------------------------------------------------------------------------------------------

const nibble = (n: number): string => {
  if (n === 4) return "Non-cacheable";
  return `${(n & 4) !== 0 ? "Write-Back" : "Write-Through"}${(n & 8) === 0 ? " transient" : ""}`;
};

/** "Device-nGnRE", "Normal Write-Back", ... */
export function memoryName(a: MemAttr): string {
  const xs = (a & XS) === 0 && (isDevice(a) || (a & 0xff) !== 0xff) ? ", XS = 0" : "";
  if (isDevice(a)) return `${MEM[(a >>> 2) & 3]}${xs}`;
  const [outer, inner] = [nibble((a >>> 4) & 15), nibble(a & 15)];
  return outer === inner ? `Normal ${inner}` : `Normal, outer ${outer}, inner ${inner}`;
}
