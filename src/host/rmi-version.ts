// Which version of RMI host and RMM speak with each other.

import { ABI_VERSION, RmiStatus } from "../rmm/status.ts";
import { EmuError } from "../util/errors.ts";
import type { HostTask } from "./agent.ts";
import type { HostMemory } from "./memory.ts";
import { type RmiClient, rmiFailed } from "./rmi.ts";
import { RMI_2_0, Rmi2 } from "./rmi2.ts";

/** Version as RMI encodes it: major in 30:16, minor in 15:0. */
const versionName = (v: bigint | number): string => `${(Number(v) >> 16) & 0x7fff}.${Number(v) & 0xffff}`;

/** This host speaks RMI 1.0, and 2.0 where an RMM wants that. Throws EmuError("rmi-version") when it wants another. */
export function* agreeOnVersion(rmi: RmiClient, memory: HostMemory): HostTask {
  rmi.later = undefined;
  const answer = yield* rmi.call("VERSION", ABI_VERSION);
  if (answer.ok) return;
  if (answer.status !== RmiStatus.ERROR_INPUT) throw rmiFailed("VERSION", [ABI_VERSION], answer);
  const [lower = 0n, higher = 0n] = answer.results;
  if (!(yield* rmi.call("VERSION", RMI_2_0)).ok) {
    const ours = [ABI_VERSION, RMI_2_0].map(versionName).join(" and ");
    throw new EmuError("rmi-version", `the RMM speaks RMI ${versionName(lower)} to ${versionName(higher)}, the built-in host ${ours}`);
  }
  rmi.later = new Rmi2(memory);
  yield* rmi.later.activate();
}
