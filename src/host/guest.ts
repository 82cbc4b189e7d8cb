// What the VMM runs: a realm, reached by RMI (realm.ts), or an ordinary virtual machine, run by the host itself (vm.ts). Both take what
// an entry brings and report exits in the layouts of RMI, so that devices, interrupts and PSCI are done once (run.ts).

import type { Pe } from "../cpu/pe.ts";
import type { RecEnter } from "../rmm/layouts.ts";
import type { StructView } from "../rmm/struct.ts";
import type { Saved } from "../util/stateful.ts";
import type { HostTask } from "./agent.ts";
import type { RecExitView } from "./exits.ts";

export type RecEnterView = StructView<keyof typeof RecEnter.fields>;

/** What the host can do about an access of the guest: memory is there now; a device at this address of the board; nothing. */
export type Resolution = "memory" | { device: number } | undefined;

export interface Guest {
  /** Number of virtual PEs. */
  readonly pes: number;
  /** From nothing to a guest whose virtual PE 0 can run. */
  create(): HostTask;
  /**
   * Runs virtual PE `n`, on the host's PE `pe`, until it exits; undefined: the guest is off. `resumed`: it runs already, in a machine that
   * was restored.
   */
  enter(pe: Pe, n: number, enter: RecEnterView, resumed: boolean): HostTask<RecExitView | undefined>;
  /** Address on the board of what `ipa` can only be: no memory of the guest's, so that nothing needs to be done before a device is asked. */
  deviceAddress(ipa: number): number | undefined;
  /** The guest made an access to `ipa` that has no translation. */
  resolve(ipa: number): HostTask<Resolution>;
  /** Virtual PE `n` asks for a RIPAS over [base, top). False: it is refused. */
  changeRipas(n: number, base: number, top: number, ram: boolean): HostTask<boolean>;
  /** Completes CPU_ON or AFFINITY_INFO of virtual PE `n`, which are about `target`. */
  completePsci(n: number, target: number): HostTask;
  /** Takes everything back; no virtual PE may be running. */
  destroy(): HostTask;
  save(): Saved;
  restore(state: Saved): void;
}
