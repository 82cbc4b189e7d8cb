// Calls that an ordinary virtual machine makes by HVC: PSCI 1.1, as KVM offers it. What concerns the board is left to the VMM by an exit
// with the reason PSCI, in the form in which an RMM reports it.

import { Off } from "../arch/layout.ts";
import type { PeState } from "../arch/state.ts";
import { ExitReason, Psci } from "../rmm/status.ts";
import { affinityOf } from "./board-maps.ts";
import type { Vcpu } from "./vm.ts";

const SMC64 = 0x4000_0000;
const PSCI_1_1 = 0x1_0001n;
const SMCCC_1_1 = 0x1_0001n;
const SMCCC_VERSION = 0x8000_0000;
const MIGRATION_NOT_REQUIRED = 2n;
const AFFINITY = 0xff_00ff_ffffn;

interface HypervisorCall {
  readonly st: PeState;
  readonly v: Vcpu;
  readonly all: readonly Vcpu[];
}
/** x0 for the guest; "exit" as well: the VMM is told. */
type Answer = { readonly x0: bigint; readonly exit?: true };
const answer = (x0: bigint): Answer => ({ x0 });
const told = (x0: bigint): Answer => ({ x0, exit: true });

const targetOf = ({ st, all }: HypervisorCall): Vcpu | undefined => all.find((v) => BigInt(affinityOf(v.index)) === (st.x(1) & AFFINITY));

function cpuOn(c: HypervisorCall): Answer {
  const target = targetOf(c);
  if (target === undefined) return answer(Psci.INVALID_PARAMETERS);
  if (target.on) return answer(Psci.ALREADY_ON);
  target.on = true;
  target.start = { pc: c.st.x(2), x0: c.st.x(3) };
  return told(Psci.SUCCESS);
}
function cpuOff({ v }: HypervisorCall): Answer {
  v.on = false;
  return told(Psci.SUCCESS);
}
function affinityInfo(c: HypervisorCall): Answer {
  const target = targetOf(c);
  if (target === undefined || c.st.x(2) !== 0n) return answer(Psci.INVALID_PARAMETERS);
  return answer(target.on ? Psci.AFFINITY_ON : Psci.AFFINITY_OFF);
}
const features = ({ st }: HypervisorCall): Answer => answer(calls.has((st.lo(Off.X + 8) & ~SMC64) >>> 0) ? 0n : Psci.NOT_SUPPORTED);

// biome-ignore format: table
const calls = new Map<number, (c: HypervisorCall) => Answer>([
  [SMCCC_VERSION, () => answer(SMCCC_1_1)],
  [0x8400_0000,   () => answer(PSCI_1_1)],                // PSCI_VERSION
  [0x8400_0001,   () => told(Psci.SUCCESS)],              // CPU_SUSPEND
  [0x8400_0002,   cpuOff],
  [0x8400_0003,   cpuOn],
  [0x8400_0004,   affinityInfo],
  [0x8400_0006,   () => answer(MIGRATION_NOT_REQUIRED)],  // MIGRATE_INFO_TYPE
  [0x8400_0008,   () => told(Psci.SUCCESS)],              // SYSTEM_OFF
  [0x8400_0009,   () => told(Psci.SUCCESS)],              // SYSTEM_RESET
  [0x8400_000a,   features],
]);

/** Carries out the call of `v` in x0, x1, ...; true: `v.exit` tells the VMM of it. The return address is behind the HVC already. */
export function callHypervisor(st: PeState, v: Vcpu, all: readonly Vcpu[]): boolean {
  const fid = st.lo(Off.X);
  const [own, target] = [st.x(0), st.x(1)];
  const { x0, exit } = calls.get((fid & ~SMC64) >>> 0)?.({ st, v, all }) ?? answer(Psci.NOT_SUPPORTED);
  st.setX(0, x0);
  if (!exit) return false;
  v.exit.set("exit_reason", ExitReason.PSCI);
  v.exit.set("gprs", own, 0);
  v.exit.set("gprs", target, 1);
  return true;
}
