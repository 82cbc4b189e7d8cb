// What the Arm architecture says must come of each check of firmware/rme-matrix: an independent reading of the rules, written from
// the names of the checks only. Numbers in brackets are steps of the granule protection check in priority order:
//   1 GPC off  2 invalid configuration  3 bypass window  4 space disabled  5 above PPS  6 table base above PPS  7 level 0  8 level 1  9 GPI

/** Physical address spaces and security states: {NSE, NS}. */
const spaces = { secure: 0, ns: 1, root: 2, realm: 3 } as const;
const NS = spaces.ns;

export interface Check {
  section: string;
  /** Label parts: granule size, form, GPI; or what the section says. */
  entry: string[];
  world: string;
  state: number;
  el: number;
  /** EL2 with E2H = 1; at EL0, TGE = 1. */
  host: boolean;
  /** PA space of the output. */
  pas: number;
  /** Table in the granule under test, "output" when it is the output. */
  place: string;
  access: string;
  scrGpf: boolean;
  hcrGpf: boolean;
  /** log2 of what a level-0 entry of the GPT covers. */
  regionBits: number;
  /** Of the TLBI sections: before, stale, after, open. */
  moment: string | undefined;
}

const places = /^(s1-l\d|s2-l\d|s2w-l\d)$/;

/** The check that a line's name describes, with level-0 regions of 2^`regionBits` bytes. */
export function parseCheck(name: string, regionBits = 30): Check {
  const parts = name.split("/");
  const at = parts.findIndex((p) => /^(root|realm-el|ns-el|secure-el|device)/.test(p));
  const [world = "", other] = (parts[at] as string).split(">");
  const state = world === "device" ? NS : spaces[world.split("-")[0] as keyof typeof spaces];
  const rest = parts.slice(at + 1);
  const place = places.test(rest[0] as string) ? (rest.shift() as string) : "output";
  return {
    section: parts[0] as string,
    regionBits,
    entry: parts.slice(1, at),
    world,
    state,
    el: world === "root" ? 3 : Number(/el(\d)/.exec(world)?.[1]),
    host: world.endsWith("h"),
    pas: other === undefined ? state : spaces[other as keyof typeof spaces],
    place,
    access: rest.shift() as string,
    scrGpf: rest.includes("scr.gpf"),
    hcrGpf: rest.includes("hcr.gpf"),
    moment: rest.find((r) => /^(before|stale|after|open)$/.test(r)),
  };
}

// ---- the granule protection check ------------------------------------------------------------------------------------------------

type Kind = "size" | "walk" | "fail" | "external";
interface Failure {
  kind: Kind;
  level: 0 | 1;
}
const fail = (kind: Kind, level: 0 | 1): Failure => ({ kind, level });

const usual = [0, 8, 9, 10, 11, 15];

/** What an entry with this GPI says to an access to `pas`. */
function byGpi(gpi: number, pas: number, level: 0 | 1): Failure | undefined {
  if (!usual.includes(gpi)) return fail("walk", level);
  return gpi === 15 || gpi === (8 | pas) ? undefined : fail("fail", level);
}

/** Level-1 tables are aligned to their size, 2^(s-p-1) bytes. */
const tableSize: Record<string, number> = { "alignment-4k": 2 ** 17, "alignment-64k": 2 ** 13, "alignment-16k": 2 ** 15 };
const malformedLevel0: Record<string, Failure> = {
  "table-above-pps": fail("size", 0),
  "table-above-pa": fail("size", 0),
  "table-nowhere": fail("external", 1),
};

/** The check of an access to the granule under test in PA space `pas`; undefined: it passes. */
function granuleCheck(c: Check, pas: number): Failure | undefined {
  const [a = "", b = ""] = c.entry;
  switch (c.section) {
    case "above-pps":
      return pas === NS ? undefined : fail("fail", 0); // [5]
    case "appsaa":
      return undefined;
    case "nothing-there":
      return a === "any" ? undefined : fail("fail", 0);
    case "malformed-l0":
      return malformedLevel0[a] ?? fail("walk", 0); // [7]
    case "malformed-l1":
      return fail("walk", 1); // [8] all sixteen fields of a granules entry must be valid
    case "alignment-4k":
    case "alignment-64k":
    case "alignment-16k":
      return (1024 * Number(/\d+/.exec(a))) % (tableSize[c.section] as number) === 0 ? undefined : fail("walk", 0);
    case "nso":
      return pas === NS && (c.state === NS || c.state === spaces.root) ? undefined : fail("fail", 1);
    case "space-disabled":
      if (pas === { rlpad: 3, nspad: 1, spad: 0 }[a]) return fail("fail", 0); // [4]
      return b === "any" ? undefined : fail("walk", 1);
    case "bypass":
      if (a !== "elsewhere" && a !== "off") return undefined; // [3]
      return b === "none" ? fail("fail", 1) : fail("walk", 1);
  }
  if (c.section.startsWith("tlbi")) return c.moment === "after" ? fail("fail", 1) : undefined;
  return byGpi(Number.parseInt(c.entry[2] as string, 16), pas, b === "block" ? 0 : 1);
}

// ---- addresses of the program ----------------------------------------------------------------------------------------------------

const VA = 0x80_8060_5000;
const TARGET = 0x8543_2000;
const OTHER_OUTPUT = 0x4900_0000;
const IPA_TARGET = 0x10_00e0_9000;
const IPA_TABLE = 0x20_0120_b000;
const LEVEL0_TABLE = 0x4800_0000;
/** Address of an access's first instruction in the page that all states share. */
const stubs = ["load", "store", "fetch", "atomic", "pair", "dc-zva", "ldtr", "dc-civac", "prfm"];
const stubAddress = (access: string) => 0x1_0000_07b0 + 8 * stubs.indexOf(access.replace("-cross", ""));

/** With large level-0 regions, the one whose block is under test is where no memory is. */
const otherRegion = (c: Check) => c.entry[1] === "block" && c.regionBits > 30;
const outputAddress = (c: Check): number => {
  if (otherRegion(c)) return 2 ** c.regionBits + (TARGET % 2 ** 28);
  if (c.section === "above-pps" || c.section === "appsaa") return 2 ** Number(c.entry[0]) + 0x43_2000;
  return c.section === "nothing-there" ? 0x3_0000_2000 : c.place === "output" ? TARGET : OTHER_OUTPUT;
};
const noMemory = (c: Check) => otherRegion(c) || ["above-pps", "appsaa", "nothing-there"].includes(c.section);

// ---- from a fault to what software sees ------------------------------------------------------------------------------------------

interface Fault {
  /** Fault status: the code of the abort, or the xFSC of a granule protection fault. */
  status: number;
  gpc?: Failure;
  /** PA and space of the access that failed, for MFAR_EL3. */
  pa?: number;
  pas?: number;
  stage2?: boolean;
  s1ptw?: boolean;
  /** IPA that stage 2 translated, for HPFAR_EL2. */
  ipa?: number;
  nsIpa?: boolean;
  va: number;
  fetch: boolean;
  write: boolean;
  maintenance?: boolean;
  /** Single-register load or store of X0 (ISV); of stage 2 only. */
  syndrome?: boolean;
}

const hex = (v: number | bigint) => v.toString(16);
const gpcsc: Record<Kind, number> = { size: 0, walk: 0b100, fail: 0b1100, external: 0b10100 };

/** Taken to EL3 as a granule protection check exception, or an abort to this Exception level. */
function route(c: Check, f: Fault): "gpc" | 1 | 2 | 3 {
  if (f.gpc && (f.gpc.kind !== "fail" || (c.scrGpf && c.el < 3))) return "gpc";
  if (c.el >= 2) return c.el as 2 | 3;
  if (f.stage2 || c.host || (f.gpc && c.hcrGpf)) return 2;
  return 1;
}

function report(c: Check, f: Fault, insn: number): string {
  const to = route(c, f);
  const el = to === "gpc" ? 3 : to;
  let iss = f.status | (f.s1ptw ? 1 << 7 : 0) | ((f.write && !f.fetch) || f.maintenance ? 1 << 6 : 0) | (f.maintenance ? 1 << 8 : 0);
  let ec: number;
  if (to === "gpc") {
    const { kind, level } = f.gpc as Failure;
    ec = 0x1e;
    iss |= (((gpcsc[kind] | level) << 14) | (f.fetch ? 1 << 20 : 0) | (f.stage2 ? 1 << 21 : 0)) >>> 0;
  } else {
    ec = (f.fetch ? 0x20 : 0x24) | (el === c.el ? 1 : 0);
    if (f.stage2 && !f.s1ptw && f.syndrome && !f.fetch) iss |= (1 << 24) | (3 << 22) | (1 << 15); // SAS = doubleword, SRT = 0, SF
  }
  const esr = (BigInt(ec) << 26n) | (1n << 25n) | BigInt(iss >>> 0);
  let text = `EL${el} esr=${hex(esr)} far=${hex(f.va)}`;
  if (f.ipa !== undefined) text += ` hpfar=${hex(BigInt(Math.floor(f.ipa / 4096) * 16) | (f.nsIpa ? 1n << 63n : 0n))}`;
  if (to === "gpc") {
    const mfar =
      BigInt(Math.floor((f.pa as number) / 4096) * 4096) | (BigInt((f.pas as number) & 1) << 63n) | (BigInt((f.pas as number) >> 1) << 62n);
    text += ` mfar=${hex(mfar)}`;
  }
  return `${text} elr=${f.fetch && f.va === VA ? hex(VA) : insn === f.va || !f.fetch ? "insn" : hex(f.va)}`;
}

// ---- one access ------------------------------------------------------------------------------------------------------------------

const hasStage2 = (c: Check) => c.el < 2 && !c.host;
const onOutput = (gpc: Failure, c: Check): Partial<Fault> => ({ status: 0x28, gpc, pa: outputAddress(c), pas: c.pas });

/** A fault on a descriptor of the table under test. */
function onTable(c: Check, gpc: Failure): Partial<Fault> {
  const level = Number(c.place.at(-1));
  const fault: Partial<Fault> = { status: 0x24 + level, gpc, pa: TARGET, pas: c.state };
  if (c.place.startsWith("s1")) return fault;
  // The first level of stage 2 is already needed for the level-0 table of stage 1.
  const ipa = c.place === "s2-l1" ? LEVEL0_TABLE : c.place.startsWith("s2w") ? IPA_TABLE : IPA_TARGET;
  return { ...fault, stage2: true, ipa, s1ptw: ipa !== IPA_TARGET };
}

/** What the translation and the granule protection check say to an access; undefined: nothing against it. */
function faultOf(c: Check): Partial<Fault> | undefined {
  if (c.place !== "output") {
    const gpc = granuleCheck(c, c.state);
    return gpc && onTable(c, gpc);
  }
  if (c.section === "space-disabled" && c.entry[0] === "nspad" && c.state === spaces.secure && hasStage2(c) && c.pas === NS) {
    // The stage-2 tables for Non-secure IPAs lie in the Non-secure PA space, which is off.
    return { status: 0x25, gpc: fail("fail", 0), stage2: true, ipa: IPA_TARGET, nsIpa: true, pa: TARGET, pas: NS };
  }
  if (c.access === "fetch" && c.pas !== c.state && (c.state === spaces.root || c.state === spaces.realm)) {
    // Root executes from Root, Realm from Realm memory only; at Realm EL1 and EL0 stage 2 objects.
    return { status: 0x0f, ...(hasStage2(c) ? { stage2: true } : {}) };
  }
  const gpc = granuleCheck(c, c.pas);
  if (gpc) return onOutput(gpc, c);
  return noMemory(c) ? { status: 0x10 } : undefined;
}

/** Hardware updates of descriptors: AF, then AP[2] of stage 1 or S2AP[1] of stage 2. */
function updates(c: Check, table: boolean): string {
  const [, stage, kind] = c.section.split("-") as [string, string, string];
  const done = !table; // an update happens when its table can be read; the check of the output comes after it
  const dirty = kind === "dirty";
  const writable = !dirty || (done && c.access === "store");
  return ` ${stage}:af=${done ? 1 : 0},${stage === "s1" ? `ap2=${writable ? 0 : 1}` : `s2ap1=${writable ? 1 : 0}`}`;
}

/** A device is a Non-secure requester; nobody takes an exception for it. */
function expectedTransfer(c: Check): string {
  if (c.section === "dma") return granuleCheck(c, NS) ? "refused" : "ok";
  return c.entry[0] === "nspad" ? "refused" : "ok"; // [4]; NSO and "any" let Non-secure requesters through
}

/** The result that the line of this check must show. */
export function expectedResult(c: Check): string {
  if (c.world === "device") return expectedTransfer(c);
  if (c.access.startsWith("at-")) return expectedAt(c);
  const found = c.access === "prfm" ? undefined : faultOf(c);
  let text = "ok";
  // When the first table is out of reach, so is the code of the access.
  const atStub = c.place === "s1-l0" || c.place === "s2-l1";
  const insn = stubAddress(c.access);
  const cross = c.access === "load-cross" ? 0xffc : c.access === "load-pair-cross" ? 0xff8 : 0;
  const how = {
    va: atStub ? insn : VA + cross,
    fetch: atStub || c.access === "fetch",
    write: ["store", "dc-zva"].includes(c.access),
    maintenance: c.access === "dc-civac",
    syndrome: ["load", "store", "ldtr"].includes(c.access),
  };
  if (found) text = report(c, { ...how, ...found } as Fault, insn);
  else if (cross) text = report(c, { ...how, va: VA + 0x1000, ...onOutput(fail("fail", 1), c) } as Fault, insn); // the next granule is closed
  return c.section.startsWith("update") ? text + updates(c, found !== undefined && c.place !== "output") : text;
}

/** Address translation instructions walk, but do not access what they find: the output is not checked. */
function expectedAt(c: Check): string {
  const walked = c.place.startsWith("s1") || c.place.startsWith("s2w");
  const gpc = walked ? granuleCheck(c, c.state) : undefined;
  if (!gpc) {
    const address = hasStage2(c) ? IPA_TARGET : c.place === "output" ? TARGET : OTHER_OUTPUT;
    // NS and NSE: the output space for EL3's regime; else NS alone, where the state has two spaces
    const space = c.state === spaces.root ? ((c.pas & 1) << 9) | ((c.pas >> 1) << 11) : c.pas === NS ? 1 << 9 : 0;
    return `par=${hex((0xffn << 56n) | BigInt(address) | 0x180n | BigInt(space))}`;
  }
  const fault = { ...onTable(c, gpc), va: VA, fetch: false, write: false, maintenance: true } as Fault;
  const exception = route(c, fault) === "gpc" || fault.s1ptw || (c.hcrGpf && c.el === 1);
  if (exception) return report(c, fault, 0);
  return `par=${hex(0x801 | (fault.status << 1))}`;
}

/** Bits of a result that the architecture leaves UNKNOWN become zero. */
export function normalize(c: Check, result: string): string {
  const par = /^par=([0-9a-f]+)$/.exec(result);
  if (!par || c.state === spaces.root) return result;
  const value = BigInt(`0x${par[1]}`);
  if (value & 1n) return result;
  // PAR_EL1.NSE means something only for EL3's regime; NS not for Non-secure state and Realm EL1&0.
  const unknown = (1n << 11n) | (c.state === NS || (c.state === spaces.realm && c.el < 2) ? 1n << 9n : 0n);
  return `par=${hex(value & ~unknown)}`;
}

/** The checks of a payload's output: name to result. Throws on a line that is none, and on a name that comes twice. */
export function readOutput(text: string): Map<string, string> {
  const lines = text.replaceAll("\r", "").trimEnd().split("\n");
  const results = new Map<string, string>();
  for (const line of lines.slice(1, -1)) {
    const colon = line.indexOf(": ");
    if (colon < 0 || results.has(line.slice(0, colon))) throw new Error(`not a check of its own: ${line}`);
    results.set(line.slice(0, colon), line.slice(colon + 2));
  }
  if (lines.at(-1) !== `${results.size} checks done`) throw new Error(`the output ends with: ${lines.at(-1)}`);
  return results;
}
