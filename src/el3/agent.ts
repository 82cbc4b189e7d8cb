// The EL3 agent: stands in for TF-A's BL31 on a machine that boots a kernel directly. PSCI, SMCCC architecture calls, TRNG.

import { Off } from "../arch/layout.ts";
import type { RegName } from "../arch/registers/encodings.ts";
import { type PeState, slot } from "../arch/state.ts";
import { Ec, ecName } from "../arch/syndrome.ts";
import { type Agent, type ExceptionInfo, Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { EmuError, hex } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import { archRows } from "./arch-calls.ts";
import { bootGicRegisters, bootRegisters, type Has } from "./boot-state.ts";
import type { PowerControl } from "./power.ts";
import { isPsci, psciRows } from "./psci.ts";
import { type CallRow, FID_SMC64, FID_SVE_HINT, NO_RETURN, type Results, Ret, type Services, toRow } from "./smccc.ts";
import { trngRows } from "./trng.ts";

/** Every call known to this firmware. */
export const callTable: readonly CallRow[] = [...archRows, ...psciRows, ...trngRows].map(toRow);

const byId = new Map<number, CallRow>(callTable.flatMap((r) => [r.id32, r.id64].filter((id) => id !== 0).map((id) => [id, r] as const)));

/** Name of the call with this function identifier, for logs. */
export const callName = (fid: number): string => byId.get((fid & ~FID_SVE_HINT) >>> 0)?.name ?? `SMC ${hex(fid >>> 0)}`;

/** The part of a PE that the agent uses. */
export type AgentPe = Pick<Pe, "index" | "st" | "exceptionReturn" | "controlsChanged"> & {
  readonly gic?: { write(reg: RegName, value: bigint): void } | undefined;
};

export interface El3Options {
  power: PowerControl;
  /** MPIDR affinity fields of each PE, in order: Aff3 at 39:32, Aff2..Aff0 at 23:0. */
  affinities: readonly (number | bigint)[];
  /** Feature names as in arch/features.ts. */
  has: Has;
  /** Frequency of the system counter in Hz. */
  frequency: number;
  /** A source of `n` random bytes; seeded, so that runs repeat. */
  entropy(n: number): Uint8Array;
  /** Receives a line for each call with an unknown function identifier. */
  log?: (line: string) => void;
}

/** Firmware of EL3, for all PEs of the machine. */
export class El3Agent implements Agent, Stateful {
  readonly el = 3;
  private readonly options: El3Options;
  private readonly services: Services;
  /** PE whose call is being handled. */
  private current: AgentPe | undefined;

  constructor(options: El3Options) {
    this.options = options;
    this.services = {
      power: options.power,
      affinities: options.affinities.map(BigInt),
      pending: 0,
      entropy: (n) => options.entropy(n),
      standby: () => this.standby(),
      implemented: (fid) => byId.get(fid)?.handler !== undefined,
    };
  }

  /**
   * Starts a PE that has just been reset and is at EL3: leaves EL3 for `entry` (physical address) at EL2, Non-secure, MMU off, with
   * x0 = `x0` and the other general-purpose registers 0. For PE 0 at power-on and, through PowerControl.powerOn, for the others.
   */
  coldBoot(pe: AgentPe, entry: bigint, x0: bigint): void {
    const { has, frequency } = this.options;
    for (const [reg, value] of bootGicRegisters) pe.gic?.write(reg, value);
    for (const [reg, value] of bootRegisters(has, frequency)) pe.st.set(slot[reg], value);
    for (let n = 0; n < 31; n++) pe.st.setX(n, 0n);
    pe.st.setX(0, x0);
    pe.st.set(slot.ELR_EL3, entry);
    pe.controlsChanged();
    this.services.pending &= ~(1 << pe.index);
    pe.controlsChanged();
    pe.exceptionReturn();
  }

  handle(pe: Pe | AgentPe, e: ExceptionInfo): void {
    if (e.vector === Vector.Sync && e.ec === Ec.Smc) this.smc(pe);
    else this.unexpected(pe, e);
  }

  private smc(pe: AgentPe): void {
    const results = this.answer(pe);
    if (results !== NO_RETURN) this.finish(pe, results);
  }

  /** Decodes and carries out the call in x0, x1, ... */
  private answer(pe: AgentPe): Results | typeof NO_RETURN {
    const { st } = pe;
    const fid = (st.lo(Off.X) & ~FID_SVE_HINT) >>> 0;
    const row = byId.get(fid);
    if (!row) this.options.log?.(`EL3: PE ${pe.index}: unknown SMC function ${hex(fid)}`);
    if (!row?.handler || !this.mayCall(st, fid)) return [Ret.NOT_SUPPORTED];
    const wide = (fid & FID_SMC64) !== 0;
    const args = Array.from(row.args, (_, i) => (wide ? st.x(i + 1) : BigInt.asUintN(32, st.x(i + 1))));
    this.current = pe;
    const results = row.handler(this.services, { pe: pe.index, args, wide });
    this.current = undefined;
    return results;
  }

  /** PSCI serves the Non-secure world only. */
  private mayCall(st: PeState, fid: number): boolean {
    return !isPsci(fid) || (st.bit(slot.SCR_EL3, 0) === 1 && st.bit(slot.SCR_EL3, 62) === 0);
  }

  private finish(pe: AgentPe, results: readonly bigint[]): void {
    results.forEach((v, n) => {
      pe.st.setX(n, BigInt.asUintN(64, v));
    });
    pe.exceptionReturn();
  }

  private standby(): void {
    const pe = this.current as AgentPe;
    this.finish(pe, [Ret.SUCCESS]);
    this.options.power.suspend(pe.index);
  }

  /** Nothing else is routed to EL3 in the state that coldBoot sets up. TF-A panics here too. */
  private unexpected(pe: AgentPe, e: ExceptionInfo): void {
    const kind = { [Vector.Sync]: ecName(e.ec), [Vector.Irq]: "IRQ", [Vector.Fiq]: "FIQ", [Vector.SError]: "SError" }[e.vector];
    const [esr, elr, far] = [slot.ESR_EL3, slot.ELR_EL3, slot.FAR_EL3].map((off) => hex(pe.st.get(off)));
    this.options.power.panic(pe.index, `EL3: PE ${pe.index}: unexpected exception: ${kind}; ESR_EL3=${esr} ELR_EL3=${elr} FAR_EL3=${far}`);
  }

  /** Forgets everything, at a system reset. */
  reset(): void {
    this.services.pending = 0;
  }

  save(): Saved {
    return { pending: this.services.pending };
  }

  restore(state: Saved): void {
    const pending = typeof state === "object" && state !== null && "pending" in state ? state.pending : undefined;
    if (typeof pending !== "number") throw new EmuError("snapshot-corrupt", "the saved state of the EL3 agent has the wrong shape");
    this.services.pending = pending;
  }
}
