// An explanation as plain data: what JSON output holds, and what the text and the page are made from. Field names are stable; a
// change that is not an addition gets another FORMAT.
//
// Addresses and register values are strings ("0x0000000040201000"), because they do not fit a JSON number; bits and sizes are numbers.

export const FORMAT = "rme-emu explanation 2";

/** A 64-bit value as 0x and 16 digits, a physical address as 0x and 13. */
export type Hex = string;

/** What an access wants: "atomic" reads and writes; "maintain" is cache maintenance by VA, "translate" an AT instruction. */
export type AccessKind = "read" | "write" | "fetch" | "atomic" | "maintain" | "translate";

/** Who makes the access. */
export interface RequesterInfo {
  /** A device that reaches memory by itself, for example "virtio-blk at 0xa003e00". Absent: a PE makes the access. */
  device?: string;
  /** The instruction that made the device act; absent when there was none (time went by, or input came). */
  trigger?: TriggerInfo;
  /** Absent for a device, as is the Exception level, 0..3. */
  pe?: number;
  el?: number;
  /** Security state: "Secure", "Non-secure", "Root", "Realm". */
  security: string;
  /** The access is made with the permissions of EL0 (EL0 itself, LDTR, STTR), or privileged, or privileged with PSTATE.PAN. */
  privilege: "unprivileged" | "privileged" | "privileged, PAN";
  access: AccessKind;
  /** Present when the access was made by an instruction. */
  pc?: Hex;
  /** The function that holds the PC, with offset, when symbols are known. */
  symbol?: string;
  /** The instruction word and its text; absent when the fetch itself fails. */
  instruction?: { word: Hex; text: string };
  /** Instructions retired by this PE before the access. */
  instructions?: number;
}

/** An instruction of a PE. */
export interface TriggerInfo {
  pe: number;
  el: number;
  security: string;
  pc: Hex;
  symbol?: string;
  instruction?: { word: Hex; text: string };
}

/** One field of a descriptor, table entry or register. */
export interface FieldInfo {
  name: string;
  /** "54" or "47:12". */
  bits: string;
  /** Number for flags and codes, hexadecimal text for addresses. */
  value: number | Hex;
  /** What the value means here. */
  meaning: string;
}

/** Who wrote a table entry last. */
export interface WriterInfo {
  /** "PE 0", "hardware table update of PE 0", the name of a device, "built-in RMM" and its like, or "host". */
  by: string;
  el?: number;
  security?: string;
  pc?: Hex;
  symbol?: string;
  /** Firmware call that was being served, for example "RMI_GRANULE_DELEGATE (0xc4000151) from Non-secure EL2". */
  call?: string;
  /** Instructions that all PEs had retired. */
  at: number;
  /** What the entry was before. */
  before: Hex;
}

export type DescriptorKind = "table" | "block" | "page" | "invalid" | "reserved" | "unreadable";

/** One translation table descriptor that the walk read. */
export interface DescriptorInfo {
  stage: 1 | 2;
  /** -1..3. */
  level: number;
  /** Physical address and PA space it was read from; absent when stage 2 does not say. */
  address?: Hex;
  space?: string;
  /** Stage 1 under stage 2: the address before stage 2. */
  ipa?: Hex;
  /** Absent when the read itself failed. */
  value?: Hex;
  kind: DescriptorKind;
  fields: FieldInfo[];
  /** Stage 1 under stage 2: the stage 2 descriptors of this read. */
  stage2?: DescriptorInfo[];
  /** Stage 2 descriptors of its update by hardware, when that failed. */
  update?: DescriptorInfo[];
  /** Granule protection check of this read, when one applies. */
  gpt?: GptInfo;
  /** The step at which the access failed. */
  failed?: true;
  writer?: WriterInfo;
}

/** One entry of the granule protection table. */
export interface GptEntryInfo {
  level: 0 | 1;
  address: Hex;
  /** Absent: it is not in memory. */
  value?: Hex;
  kind: "block" | "table" | "contiguous" | "granules" | "malformed" | "unreadable";
  fields: FieldInfo[];
  /** GPI of the address asked for: 0..15, and its name. */
  gpi?: number;
  gpiName?: string;
  failed?: true;
  writer?: WriterInfo;
}

/** A granule protection check. */
export interface GptInfo {
  /** What was checked. */
  address: Hex;
  space: string;
  result: "pass" | "address size fault" | "walk fault" | "granule protection fault" | "external abort";
  /** Level of a result that is a fault. */
  level?: number;
  /** Log2 of the physical granule in bytes, of what a level 0 entry covers, of the protected space. */
  granule: number;
  l0: number;
  pps: number;
  /** Empty when no table was read; `reason` says why. */
  entries: GptEntryInfo[];
  reason?: string;
}

/** Why the access failed. */
export interface FailureInfo {
  /** Stable identifier of the rule, for example "S1-INVALID". */
  rule: string;
  title: string;
  /** Chapter of the Arm ARM and pseudocode function. */
  section: string;
  /** The rule and how it was broken here. */
  text: string;
  /** "stage 1, level 3", "granule protection table, level 1". */
  where: string;
  /** Fault status code (6 bits) and its name; absent for a device, which reports failures in its own way. */
  status?: { code: number; name: string };
  /** What the PE reports: exception, level that takes it, syndrome. Absent for a translation that was only asked about. */
  reported?: { exception: string; to: number; esr: Hex; far: Hex; hpfar?: Hex; mfar?: Hex };
  /** What software would have to do, one sentence each. */
  remedies: string[];
}

/** A range of physical addresses with one answer of the granule protection table. */
export interface MemoryRange {
  from: Hex;
  /** Last byte. */
  to: Hex;
  /** 0..15; absent without granule protection or where the table cannot be read. */
  gpi?: number;
  /** "Non-secure", "Realm", "any", ..., "not checked", "malformed: ...". */
  space: string;
  /** What is there: "RAM", a device, or nothing. */
  holds?: string;
}

export interface Explanation {
  format: typeof FORMAT;
  outcome: "fault" | "translates";
  /** One sentence. */
  summary: string;
  requester: RequesterInfo;
  /** Virtual address; absent for a device, which uses physical ones. */
  va?: Hex;
  /** What a device wanted to move: from where, how many bytes, and the first byte that it may not access. */
  transfer?: { address: Hex; length: number; refusedAt: Hex };
  regime: {
    /** "Non-secure EL1&0", "Realm EL2", ..., "none" for a device. */
    name: string;
    stage1: boolean;
    stage2: boolean;
    /** Registers that steer the walk, with the fields that matter. */
    registers: { name: string; value: Hex; fields: FieldInfo[] }[];
  };
  /** In the order of the walk. Stage 2 descriptors of stage 1 reads are inside those; the others translate the result of stage 1. */
  descriptors: DescriptorInfo[];
  /** Output of stage 1, when it got so far and stage 2 is on. */
  ipa?: { address: Hex; space: string };
  /** Output of translation, when it got so far. */
  output?: { address: Hex; space: string; memory: string; permissions: string; block: number };
  /** Granule protection check of the output, or of nothing when none applies. */
  gpt?: GptInfo;
  failure?: FailureInfo;
  /** What the TLB of the PE holds for the address, when it is of the context asked about. */
  tlb?: { address: Hex; space: string; block: number; agrees: boolean };
  /** Everything else worth knowing. */
  notes: string[];
  memory: MemoryRange[];
}

export const hex64 = (v: bigint): Hex => `0x${BigInt.asUintN(64, v).toString(16).padStart(16, "0")}`;
export const hexPa = (v: number): Hex => `0x${v.toString(16).padStart(13, "0")}`;
/** Short form for sentences. */
export const short = (v: number | bigint): string => `0x${v.toString(16)}`;
