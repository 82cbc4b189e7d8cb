// Explanations: a recorded walk, read for a person. Nothing in the machine changes.

import { Off } from "../arch/layout.ts";
import { type Security, securityName } from "../arch/security.ts";
import type { SymbolLookup } from "../isa/disasm/index.ts";
import { disassemble } from "../isa/disasm/index.ts";
import { Access, Perm, Privilege } from "../mmu/access.ts";
import { decodeAt, privilegeOf } from "../mmu/at.ts";
import { type Fault, FaultType, faultStatusCode } from "../mmu/fault.ts";
import { Regime, type RegimeConfig } from "../mmu/regime.ts";
import { OK } from "../mmu/table.ts";
import { Purpose } from "../mmu/walker.ts";
import { changed, type Diagnosis, diagnose, rangeOf, stage2For } from "./diagnose.ts";
import { kindOf, memoryName, stage1Fields, stage2Fields } from "./fields.ts";
import { describeCheck, diagnoseCheck } from "./gpt.ts";
import {
  type AccessKind,
  type DescriptorInfo,
  type Explanation,
  FORMAT,
  type GptInfo,
  hex64,
  hexPa,
  type MemoryRange,
  type RequesterInfo,
  short,
  type TriggerInfo,
  type WriterInfo,
} from "./model.ts";
import {
  privilegeAt,
  type RecordedCheck,
  type RecordedStep,
  type RecordedWalk,
  recordWalk,
  type Subject,
  securityOf,
  stateName,
} from "./recorder.ts";
import { regimeRegisters } from "./registers.ts";
import { rule } from "./rules.ts";

/** What an explanation may use besides the PE. */
export interface Sources {
  readonly symbol?: SymbolLookup | undefined;
  /** Who last wrote the 8 bytes at a physical address. */
  readonly writer?: ((pa: number, granule?: number) => WriterInfo | undefined) | undefined;
  /** Physical memory as ranges, when the explanation is to hold it. */
  readonly memory?: (() => MemoryRange[]) | undefined;
  /** Instructions that the PE has retired. */
  readonly instructions?: number | undefined;
}

/** An access to ask about. What is left out is as the PE is now. */
export interface Question {
  readonly va: bigint;
  readonly el?: number | undefined;
  readonly security?: Security | undefined;
  /** Default: read. */
  readonly access?: Exclude<AccessKind, "translate"> | undefined;
  /** With the permissions of EL0, as LDTR and STTR. */
  readonly unprivileged?: boolean | undefined;
}

const accessOf = {
  read: Access.Read,
  write: Access.Write,
  fetch: Access.Fetch,
  atomic: Access.ReadWrite,
  maintain: Access.Maintain,
} as const;
const kindOfAccess: readonly AccessKind[] = ["read", "write", "fetch", "atomic", "maintain"];

/** Explains an access that somebody might make now. */
export function explainAccess(subject: Subject, q: Question, sources: Sources = {}): Explanation {
  const el = q.el ?? subject.st.el;
  const security = q.security ?? securityOf(subject, el);
  const regime = subject.mmu.regimeOf(el, security);
  const access = accessOf[q.access ?? "read"];
  const privilege = privilegeAt(subject, el, regime, q.unprivileged === true);
  const walk = recordWalk(subject, { va: q.va, regime, security, access, privilege, purpose: Purpose.Access });
  const requester = requesterInfo(subject, walk, el, q.access ?? "read", sources);
  return assemble(subject, walk, requester, walk.fault, sources);
}

/** Explains a fault of the current instruction; the PE must still be as it was when it made the access. */
export function explainFault(subject: Subject, fault: Fault, sources: Sources = {}): Explanation {
  const word = fault.fetch ? undefined : instructionAt(subject);
  const { walk, kind } = walkOfFault(subject, fault, word);
  const requester = requesterInfo(subject, walk, subject.st.el, kind, sources);
  Object.assign(requester, placeOf(subject, word, sources));
  return assemble(subject, walk, requester, fault, sources);
}

// ---- the access ----------------------------------------------------------------------------------------------------------

function walkOfFault(subject: Subject, f: Fault, word: number | undefined): { walk: RecordedWalk; kind: AccessKind } {
  const { st, mmu } = subject;
  const el = st.el;
  const security = securityOf(subject, el);
  const at = f.maintenance && word !== undefined ? atOperation(word) : undefined;
  if (at !== undefined) {
    const state = at.el === 3 ? securityOf(subject, 3) : securityOf(subject, 0);
    const regime = at.el === 1 ? (at.bothStages ? Regime.EL10 : mmu.regimeOf(0, state)) : mmu.regimeOf(at.el, state);
    const privilege = privilegeOf(at, mmu.features.pan && st.lo(Off.PAN) !== 0);
    const purpose = at.bothStages ? Purpose.At : Purpose.AtStage1;
    return { walk: recordWalk(subject, { va: f.va, regime, security: state, access: at.access, privilege, purpose }), kind: "translate" };
  }
  const regime = mmu.regimeOf(el, security);
  const access = f.fetch ? Access.Fetch : f.maintenance ? (el === 0 ? Access.Read : Access.Maintain) : f.write ? Access.Write : Access.Read;
  const privilege = privilegeAt(subject, el, regime, word !== undefined && isUnprivileged(word));
  const kind: AccessKind = f.maintenance ? "maintain" : (kindOfAccess[access] as AccessKind);
  return { walk: recordWalk(subject, { va: f.va, regime, security, access, privilege, purpose: Purpose.Access }), kind };
}

/** SYS with CRn = 7 that is an AT instruction. */
function atOperation(word: number): ReturnType<typeof decodeAt> {
  if ((word & 0xfff8_f000) >>> 0 !== 0xd508_7000) return undefined;
  return decodeAt((word >>> 16) & 7, (word >>> 8) & 15, (word >>> 5) & 7);
}

/** LDTR, STTR and their kin: unscaled loads and stores with bits 11:10 = 0b10. */
const isUnprivileged = (word: number): boolean => (word & 0x3f20_0c00) >>> 0 === 0x3800_0800;

/** The instruction at `va` (default PC) for the current Exception level, undefined when it cannot be read. Nothing in the machine changes. */
export function instructionAt(subject: Subject, va = subject.st.pc): number | undefined {
  const { st, mmu } = subject;
  const el = st.el;
  const security = securityOf(subject, el);
  const regime = mmu.regimeOf(el, security);
  const privilege = privilegeAt(subject, el, regime, false);
  const { fault, result } = recordWalk(subject, { va, regime, security, access: Access.Fetch, privilege, purpose: Purpose.Access });
  const at = fault === undefined ? mmu.phys.host(result.pa - (result.pa % 4)) : 0;
  return at === 0 ? undefined : mmu.phys.view.getUint32(at, true);
}

/** PC, symbol and instruction `word` of a PE. */
export function placeOf(subject: Subject, word: number | undefined, sources: Sources): Pick<TriggerInfo, "pc" | "symbol" | "instruction"> {
  const { pc } = subject.st;
  const symbol = sources.symbol?.(pc);
  return {
    pc: hex64(pc),
    ...(symbol === undefined ? {} : { symbol }),
    ...(word === undefined
      ? {}
      : { instruction: { word: `0x${word.toString(16).padStart(8, "0")}`, text: disassemble(word, pc, sources.symbol) } }),
  };
}

function requesterInfo(subject: Subject, walk: RecordedWalk, el: number, access: AccessKind, sources: Sources): RequesterInfo {
  const { privilege, security } = walk.request;
  return {
    pe: subject.st.index,
    el,
    security: stateName(subject, access === "translate" ? securityOf(subject, el) : security),
    privilege: privilege === Privilege.User ? "unprivileged" : privilege === Privilege.PrivilegedPan ? "privileged, PAN" : "privileged",
    access,
    ...(sources.instructions === undefined ? {} : { instructions: sources.instructions }),
  };
}

// ---- assembling ------------------------------------------------------------------------------------------------------------

const regimeNames = ["EL1&0", "EL2&0", "EL2", "EL3"] as const;
/** "Non-secure EL1&0", "Root EL3". */
const regimeName = (subject: Subject, c: RegimeConfig): string => `${stateName(subject, c.security)} ${regimeNames[c.regime]}`;

function assemble(subject: Subject, walk: RecordedWalk, requester: RequesterInfo, fault: Fault | undefined, sources: Sources): Explanation {
  const { config, result, request } = walk;
  const stage2On = config.stage2 !== undefined;
  const descriptors = describeSteps(subject, walk, sources);
  const outputCheck = outputCheckOf(walk);
  const translated = walk.fault === undefined || walk.fault.type === FaultType.GranuleOnOutput;
  const reachedStage2 = translated || (walk.fault?.stage === 2 && !walk.fault.s1ptw);
  const e: Explanation = {
    format: FORMAT,
    outcome: fault === undefined ? "translates" : "fault",
    summary: "",
    requester,
    va: hex64(request.va),
    regime: { name: regimeName(subject, config), stage1: config.stage1, stage2: stage2On, registers: regimeRegisters(subject, walk) },
    descriptors,
    notes: [],
    memory: [],
  };
  if (stage2On && reachedStage2) e.ipa = { address: hexPa(result.ipa), space: securityName[result.ipaSpace] as string };
  if (translated)
    e.output = {
      address: hexPa(result.pa),
      space: securityName[result.pas] as string,
      memory: memoryName(result.attr),
      permissions: permissionText(result.perms, config),
      block: result.size,
    };
  const gpt = outputCheck && withWriters(describeCheck(subject.mmu, outputCheck), sources);
  if (gpt) e.gpt = gpt;
  if (fault !== undefined) fail(subject, e, walk, fault);
  noteTlb(subject, e, walk);
  if (sources.memory) e.memory = sources.memory();
  e.summary = summaryOf(e, walk);
  return e;
}

/** The check of the final address: the last one, when translation got that far. */
function outputCheckOf(walk: RecordedWalk): RecordedCheck | undefined {
  const last = walk.laterChecks.at(-1);
  if (last === undefined || walk.request.purpose !== Purpose.Access) return undefined;
  return walk.fault === undefined || walk.fault.type === FaultType.GranuleOnOutput ? last : undefined;
}

/** "EL0 r--, EL1 rw-". */
function permissionText(perms: number, c: RegimeConfig): string {
  const rwx = (r: number, w: number, x: number): string => `${perms & r ? "r" : "-"}${perms & w ? "w" : "-"}${perms & x ? "x" : "-"}`;
  const high = `${["EL1", "EL2", "EL2", "EL3"][c.regime]} ${rwx(Perm.PR, Perm.PW, Perm.PX)}`;
  return c.twoRanges ? `EL0 ${rwx(Perm.UR, Perm.UW, Perm.UX)}, ${high}` : high;
}

// ---- steps -----------------------------------------------------------------------------------------------------------------

function describeSteps(subject: Subject, walk: RecordedWalk, sources: Sources): DescriptorInfo[] {
  const out: DescriptorInfo[] = [];
  let inner: DescriptorInfo[] = [];
  let innerIpa = 0;
  let leaf: { info: DescriptorInfo; ipa: number } | undefined;
  for (const s of walk.steps) {
    const info = describeStep(subject, walk, s, sources);
    if (s.forWalk) {
      inner.push(info);
      innerIpa = s.ipa;
      continue;
    }
    if (s.stage === 1) {
      if (inner.length > 0) {
        info.stage2 = inner;
        info.ipa = hexPa(s.ipa);
        inner = [];
      }
      leaf = { info, ipa: s.ipa };
    } else inner = []; // stage 2 descriptors of an update that worked
    out.push(info);
  }
  const f = walk.fault;
  if (f?.s1ptw === true) {
    if (leaf && leaf.ipa === f.ipa) leaf.info.update = inner;
    else
      out.push({
        stage: 1,
        level: walk.result.level,
        ipa: hexPa(innerIpa || f.ipa),
        kind: "unreadable",
        fields: [],
        ...(inner.length > 0 ? { stage2: inner } : {}),
      });
  }
  markFailed(walk, out);
  return out;
}

/** Marks the descriptor at which the walk ended: the last of its stage. Permission and granule faults of the output mark the leaf or none. */
function markFailed(walk: RecordedWalk, out: DescriptorInfo[]): void {
  const f = walk.fault;
  if (f === undefined || f.type === FaultType.GranuleOnOutput || f.type === FaultType.HardwareUpdate) return;
  const last = walk.steps.at(-1);
  const current = out.at(-1);
  if (current === undefined) return;
  if (f.s1ptw) {
    const inner = (current.update ?? current.stage2)?.at(-1);
    (last?.ipa === f.ipa && last.forWalk && inner ? inner : current).failed = true;
  } else if (last?.stage === f.stage) current.failed = true;
}

function describeStep(subject: Subject, walk: RecordedWalk, s: RecordedStep, sources: Sources): DescriptorInfo {
  const { config } = walk;
  const { range } = rangeOf(walk);
  const s2 = s.stage === 2 ? stage2For(config, s.ipaSpace) : undefined;
  const readable = s.result === OK;
  const kind = readable ? kindOf(s, s2 ?? range) : "unreadable";
  const fields = !readable ? [] : s2 ? stage2Fields(s, kind, s2) : stage1Fields(s, kind, range, config, range.hpd);
  const gpt = s.check && withWriters(describeCheck(subject.mmu, s.check), sources);
  const writer = sources.writer?.(s.pa);
  return {
    stage: s.stage,
    level: s.level,
    address: hexPa(s.pa),
    space: securityName[s.pas] as string,
    ...(readable ? { value: hex64((BigInt(s.hi >>> 0) << 32n) | BigInt(s.lo >>> 0)) } : {}),
    kind,
    fields,
    ...(gpt ? { gpt } : {}),
    ...(writer ? { writer } : {}),
  };
}

export function withWriters(gpt: GptInfo | undefined, sources: Sources): GptInfo | undefined {
  for (const e of gpt?.entries ?? []) {
    const granule = e.kind === "granules" ? Math.floor(Number(gpt?.address) / 2 ** (gpt?.granule ?? 12)) % 16 : undefined;
    const writer = sources.writer?.(Number(e.address), granule);
    if (writer) e.writer = writer;
  }
  return gpt;
}

// ---- failure ----------------------------------------------------------------------------------------------------------------

const typeNames: Readonly<Record<FaultType, string>> = {
  [FaultType.Translation]: "Translation fault",
  [FaultType.AddressSize]: "Address size fault",
  [FaultType.AccessFlag]: "Access flag fault",
  [FaultType.Permission]: "Permission fault",
  [FaultType.Alignment]: "Alignment fault",
  [FaultType.External]: "Synchronous External abort",
  [FaultType.ExternalOnWalk]: "Synchronous External abort on a table walk",
  [FaultType.GranuleOnOutput]: "Granule Protection Fault",
  [FaultType.GranuleOnWalk]: "Granule Protection Fault on a table walk",
  [FaultType.Exclusive]: "Unsupported Exclusive or atomic access",
  [FaultType.HardwareUpdate]: "Unsupported atomic hardware update",
};
const withLevel = new Set<FaultType>([
  FaultType.Translation,
  FaultType.AddressSize,
  FaultType.AccessFlag,
  FaultType.Permission,
  FaultType.ExternalOnWalk,
  FaultType.GranuleOnWalk,
]);
const isGranule = (f: Fault): boolean => f.type === FaultType.GranuleOnOutput || f.type === FaultType.GranuleOnWalk;
/** Faults that come after a translation that worked. */
const isLater = (f: Fault): boolean => f.type === FaultType.Alignment || f.type === FaultType.External || f.type === FaultType.Exclusive;

function fail(subject: Subject, e: Explanation, walk: RecordedWalk, f: Fault): void {
  // Nobody changes a descriptor under the walk that is recorded: a lost race does not show again.
  const same = isLater(f) || f.type === FaultType.HardwareUpdate || sameFault(walk.fault, f);
  const d = same ? diagnosisOf(subject, walk, f) : changed;
  const r = rule(d.rule);
  const name = typeNames[f.type] + (withLevel.has(f.type) ? `, level ${f.level}` : "");
  e.failure = {
    rule: d.rule,
    title: r.title,
    section: r.section,
    text: d.text,
    where: whereOf(f, walk),
    status: { code: faultStatusCode(f), name },
    remedies: [...d.remedies],
  };
  if (!same) e.notes.push(`the access failed with: ${name}; the tables now give ${walk.fault ? typeNames[walk.fault.type] : "no fault"}`);
  if (isLater(f) && walk.fault !== undefined) e.notes.push("the tables do not translate the address any more: the TLB did");
}

const sameFault = (a: Fault | undefined, b: Fault): boolean =>
  a !== undefined && a.type === b.type && a.stage === b.stage && a.s1ptw === b.s1ptw && (!withLevel.has(a.type) || a.level === b.level);

function diagnosisOf(subject: Subject, walk: RecordedWalk, f: Fault): Diagnosis {
  if (!isGranule(f)) return diagnose(walk, f);
  const check = f.type === FaultType.GranuleOnOutput ? walk.laterChecks.at(-1) : (walk.laterChecks.at(-1) ?? walk.steps.at(-1)?.check);
  return check ? diagnoseCheck(subject.mmu, check, whatOf(f)) : changed;
}

/** What a granule check was about. */
function whatOf(f: Fault): string {
  if (f.type === FaultType.GranuleOnOutput) return "the memory";
  const level = `the stage ${f.stage} level ${f.level} descriptor`;
  return f.s1ptw ? `${level} (read to find a stage 1 descriptor)` : level;
}

function whereOf(f: Fault, walk: RecordedWalk): string {
  if (isLater(f)) return "the access, after translation";
  const on = f.s1ptw ? `, for the stage 1 level ${walk.result.level} descriptor` : "";
  if (f.type === FaultType.GranuleOnOutput) return `granule protection, level ${f.gpcLevel ?? 0}, of the output`;
  if (f.type === FaultType.GranuleOnWalk)
    return `granule protection, level ${f.gpcLevel ?? 0}, of the stage ${f.stage} level ${f.level} descriptor${on}`;
  if (walk.steps.length === 0) return `stage ${f.stage}, before any descriptor was read`;
  return `stage ${f.stage}, level ${f.level}${on}`;
}

// ---- the rest ---------------------------------------------------------------------------------------------------------------

function noteTlb(subject: Subject, e: Explanation, walk: RecordedWalk): void {
  const { va, regime, security } = walk.request;
  const t = subject.mmu.inspect(Number(va & 0xffff_ffffn) | 0, Number((va >> 32n) & 0xffff_ffffn) | 0);
  if (t === undefined || t.regime !== regime || t.security !== security) return;
  const now = walk.fault === undefined ? walk.result : undefined;
  const unit = 2 ** t.size;
  const agrees = now !== undefined && now.pas === t.pas && now.pa - (now.pa % unit) === t.pa;
  e.tlb = { address: hexPa(t.pa), space: securityName[t.pas] as string, block: t.size, agrees };
  if (!agrees && e.outcome === "translates") e.notes.push("the TLB still holds another translation: it is used until a TLBI removes it");
  if (!agrees && walk.fault !== undefined)
    e.notes.push(
      `the TLB still holds a translation to ${short(t.pa)}: accesses that it permits do not see the tables until a TLBI removes it`,
    );
}

const verbs: Readonly<Record<AccessKind, string>> = {
  read: "read",
  write: "write",
  fetch: "execute",
  atomic: "read and write",
  maintain: "maintain caches for",
  translate: "translate (AT)",
};

function summaryOf(e: Explanation, walk: RecordedWalk): string {
  const { requester: r } = e;
  const who = `PE ${r.pe} at ${r.security} EL${r.el}`;
  const va = short(walk.request.va);
  if (e.failure) return `${who} cannot ${verbs[r.access]} ${va}: ${e.failure.title} [${e.failure.rule}]`;
  const to = e.output ? `${short(BigInt(e.output.address))} in the ${e.output.space} PA space` : "its output";
  return `${who} can ${verbs[r.access]} ${va}: it is ${to}`;
}
