// Which firmware calls a PE is in: SMC and HVC that were made and have not returned to their caller yet.

import { Off } from "../arch/layout.ts";
import { Security, securityName } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import { Ec } from "../arch/syndrome.ts";
import type { ExceptionInfo } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { firmwareCall } from "./calls.ts";

interface Entry {
  readonly el: number;
  readonly security: Security;
  readonly name: string;
}

/** Calls nest as far as there are worlds and levels. */
const MAX_DEPTH = 8;

const SPSR = [0, slot.SPSR_EL1, slot.SPSR_EL2, slot.SPSR_EL3] as const;

/** Fast calls have bit 31 set and bits 23:17 clear (SMCCC, DEN0028 2.5). */
const isFastCall = (fid: number): boolean => fid >>> 31 === 1 && ((fid >>> 17) & 0x7f) === 0;

/** Exception level and Security state that an exception just taken came from. */
export function cameFrom(pe: Pe, e: ExceptionInfo): { el: number; security: Security } {
  const el = (pe.st.lo(SPSR[e.target] as number) >>> 2) & 3;
  return { el, security: el === 3 ? pe.security : lowerState(pe) };
}
/** Security state of EL0 to EL2 of a PE. */
export function lowerState(pe: Pe): Security {
  if (!pe.ns) return Security.Secure;
  return pe.nse ? Security.Realm : Security.NonSecure;
}

/** The calls of all PEs. Tell it of every exception and return. */
export class CallStack {
  private readonly stacks: Entry[][] = [];

  exception(pe: Pe, e: ExceptionInfo): void {
    if (e.vector !== 0 || (e.ec !== Ec.Smc && e.ec !== Ec.Hvc)) return;
    const { el, security } = cameFrom(pe, e);
    const stack = this.of(pe);
    this.leave(stack, el, security);
    // Programs also use SMC and HVC for what is no call and never returns (a switch of levels, say): x0 is then no fast call identifier.
    if (stack.length < MAX_DEPTH && isFastCall(pe.st.lo(Off.X))) stack.push({ el, security, name: firmwareCall(pe.st.lo(Off.X)) });
  }
  returned(pe: Pe): void {
    const el = pe.st.lo(Off.EL);
    if (el < 3) this.leave(this.of(pe), el, pe.security);
  }

  /** "RMM_GTSI_DELEGATE (0x...) from Realm EL2, in RMI_GRANULE_DELEGATE (0x...) from Non-secure EL2"; undefined: in none. */
  text(pe: Pe): string | undefined {
    const stack = this.of(pe);
    if (stack.length === 0) return undefined;
    return [...stack]
      .reverse()
      .map((c) => `${c.name} from ${securityName[c.security]} EL${c.el}`)
      .join(", in ");
  }

  private of(pe: Pe): Entry[] {
    let s = this.stacks[pe.index];
    if (s === undefined) {
      s = [];
      this.stacks[pe.index] = s;
    }
    return s;
  }
  /** The caller runs again: its call, and those made on its behalf, are over. */
  private leave(stack: Entry[], el: number, security: Security): void {
    const at = stack.findIndex((c) => c.el === el && c.security === security);
    if (at >= 0) stack.length = at;
  }
}
