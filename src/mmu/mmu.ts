// The memory management unit of one PE (first version of the interface; the implementation follows).

import { type Pas, Security } from "../arch/security.ts";
import type { PeState } from "../arch/state.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { EmuError } from "../util/errors.ts";
import type { Access } from "./access.ts";
import type { TlbDomain } from "./domain.ts";
import type { Fault } from "./fault.ts";
import type { MmuFeatures } from "./features.ts";

export class Mmu {
  readonly st: PeState;
  readonly phys: PhysicalMemory;
  readonly features: MmuFeatures;
  readonly domain: TlbDomain;
  /** Result of the last successful `translate`. */
  pa = 0;
  pas: Pas = Security.NonSecure;
  device = false;
  guarded = false;
  /** Result of the last failed `translate`. */
  fault: Fault | undefined;

  constructor(st: PeState, phys: PhysicalMemory, features: MmuFeatures, domain: TlbDomain) {
    this.st = st;
    this.phys = phys;
    this.features = features;
    this.domain = domain;
    domain.mmus.push(this);
  }

  contextChanged(): void {
    missing();
  }
  translate(_vaLo: number, _vaHi: number, _access: Access, _unprivileged: boolean): boolean {
    return missing();
  }
  fillFetch(_vaLo: number, _vaHi: number, _page: number): void {
    missing();
  }
  dropWrites(_pa: number): void {
    missing();
  }
  dropFetch(_page: number): void {
    missing();
  }
  tlbi(_op1: number, _CRn: number, _CRm: number, _op2: number, _value: bigint): void {
    missing();
  }
  at(_op1: number, _CRm: number, _op2: number, _va: bigint): Fault | undefined {
    return missing();
  }
  reset(): void {
    missing();
  }
}

function missing(): never {
  throw new EmuError("mmu-missing", "the MMU is not implemented yet");
}
