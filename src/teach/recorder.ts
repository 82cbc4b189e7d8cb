// A walk that leaves no trace in the machine and remembers every step: the MMU's own walker, observed.

import { Off } from "../arch/layout.ts";
import { type Pas, Security, securityName } from "../arch/security.ts";
import type { PeState } from "../arch/state.ts";
import { Access, Privilege } from "../mmu/access.ts";
import { type Fault, makeFault } from "../mmu/fault.ts";
import type { Mmu } from "../mmu/mmu.ts";
import { decodeRegime, inHost, lowerSecurity, Regime, type RegimeConfig } from "../mmu/regime.ts";
import { type GranuleCheck, OK } from "../mmu/table.ts";
import { canonicalHi, Purpose, Walker } from "../mmu/walker.ts";

/** A PE as far as translation goes. */
export interface Subject {
  readonly st: PeState;
  readonly mmu: Mmu;
}

/** A granule protection check that was made. */
export interface RecordedCheck {
  readonly pa: number;
  readonly pas: Pas;
  readonly state: Security;
  /** 0: passed; else kind (`Gpc`) * 16 + level. */
  readonly result: number;
  /** Address of the entry that decided, -1: none was read. */
  readonly entry: number;
}

/** A descriptor that was read. */
export interface RecordedStep {
  readonly stage: 1 | 2;
  readonly level: number;
  readonly pa: number;
  readonly pas: Pas;
  /** OK, or the type of the fault. */
  readonly result: number;
  readonly lo: number;
  readonly hi: number;
  /** Stage 2: this read is part of a stage 1 descriptor access. */
  readonly forWalk: boolean;
  /** Stage 2: the address being translated. Stage 1 under stage 2: the descriptor's address before stage 2. */
  readonly ipa: number;
  readonly ipaSpace: Pas;
  readonly check: RecordedCheck | undefined;
}

/** What is to be translated. */
export interface WalkRequest {
  readonly va: bigint;
  readonly regime: Regime;
  readonly security: Security;
  readonly access: Access;
  readonly privilege: Privilege;
  readonly purpose: Purpose;
}

export interface RecordedWalk {
  readonly request: WalkRequest;
  readonly config: RegimeConfig;
  readonly steps: readonly RecordedStep[];
  /** Undefined: the translation succeeded. */
  readonly fault: Fault | undefined;
  /** Checks of hardware updates of descriptors, and last, when it got so far, of the output. */
  readonly laterChecks: readonly RecordedCheck[];
  /** The walker after the walk: results hold as far as it got. */
  readonly result: Readonly<Pick<Walker, "pa" | "pas" | "ipa" | "ipaSpace" | "perms" | "size" | "attr" | "sh" | "level">>;
}

/** Passes checks on and remembers them. */
class RecordingCheck implements GranuleCheck {
  readonly made: RecordedCheck[] = [];
  private readonly inner: GranuleCheck;

  constructor(inner: GranuleCheck) {
    this.inner = inner;
  }
  get active(): boolean {
    return this.inner.active;
  }
  get sizeLog2(): number {
    return this.inner.sizeLog2;
  }
  get entry(): number {
    return this.inner.entry;
  }
  get granuleLog2(): number {
    return this.inner.granuleLog2;
  }
  check(pa: number, pas: Pas, state: Security): number {
    const result = this.inner.check(pa, pas, state);
    if (this.inner.active) this.made.push({ pa, pas, state, result, entry: this.inner.entry });
    return result;
  }
}

/** Walks the tables as they stand in memory now; nothing in the machine changes. */
export function recordWalk(subject: Subject, request: WalkRequest): RecordedWalk {
  const { st, mmu } = subject;
  const config = decodeRegime(st, mmu.features, request.regime, request.security, 0);
  const walker = new Walker(st, mmu.phys, mmu.features);
  const recorder = mmu.granuleCheck === undefined ? undefined : new RecordingCheck(mmu.granuleCheck);
  const { table } = walker;
  table.granuleCheck = recorder;
  table.dry = true;
  const steps: RecordedStep[] = [];
  const checks = recorder?.made ?? [];
  table.observer = {
    descriptor(stage, level, pa, pas, result) {
      const { ipa, ipaSpace, s1ptw } = walker.fault;
      const [lo, hi] = result === OK ? [table.lo, table.hi] : [0, 0];
      steps.push({ stage, level, pa, pas, result, lo, hi, forWalk: stage === 2 && s1ptw, ipa, ipaSpace, check: checks.pop() });
      checks.length = 0;
    },
  };
  const { va, access, privilege, purpose } = request;
  const lo = Number(va & 0xffff_ffffn) | 0;
  const hi = Number((va >> 32n) & 0xffff_ffffn) | 0;
  const fetch = access === Access.Fetch;
  const ok = walker.run(config, lo, canonicalHi(config, hi, fetch), access, privilege, purpose);
  const maintenance = access === Access.Maintain || purpose !== Purpose.Access;
  const fault = ok ? undefined : makeFault(walker.fault, lo, hi, { fetch, maintenance });
  return { request, config, steps, fault, laterChecks: [...checks], result: walker };
}

/** Security state of an Exception level as SCR_EL3 has it now; EL3 is Root (Secure without FEAT_RME). */
export function securityOf(subject: Subject, el: number): Security {
  const { features } = subject.mmu;
  if (el === 3) return Security.Root;
  return lowerSecurity(subject.st, features);
}

/** Name of a Security state. EL3 of a PE without FEAT_RME is in Secure state, which the MMU's contexts call Root. */
export function stateName(subject: Subject, security: Security): string {
  return securityName[security === Security.Root && !subject.mmu.features.rme ? Security.Secure : security] as string;
}

/** Whose permissions an access of `el` has: LDTR and STTR (`unprivileged`) have those of EL0 where that means anything. */
export function privilegeAt(subject: Subject, el: number, regime: Regime, unprivileged: boolean): Privilege {
  const { st } = subject;
  const { features } = subject.mmu;
  if (el === 0) return Privilege.User;
  const demoted = (el === 1 || (el === 2 && inHost(st, features))) && st.lo(Off.UAO) === 0;
  if (unprivileged && demoted) return Privilege.User;
  return regime <= Regime.EL20 && features.pan && st.lo(Off.PAN) !== 0 ? Privilege.PrivilegedPan : Privilege.Privileged;
}
