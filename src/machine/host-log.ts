// What the built-in host says on its console: the commands that make, start and end a realm, as it issues them by RMI.

import type { RmiClient, RmiObserver } from "../host/rmi.ts";
import type { RmiName } from "../rmm/commands.ts";
import { rmiCodeName } from "../rmm/status.ts";
import { hex } from "../util/errors.ts";

type Told = (args: readonly bigint[], results: readonly bigint[]) => string;

const version = (v: bigint): string => `${(v >> 16n) & 0x7fffn}.${v & 0xffffn}`;

/** What a command that succeeded means for the realm; the others are not worth a line. */
const told: Partial<Record<RmiName, Told>> = {
  VERSION: (_args, [, higher = 0n]) => `the RMM has RMI ${version(higher)}`,
  REALM_CREATE: ([rd = 0n]) => `realm created, descriptor at ${hex(rd)}`,
  REC_CREATE: ([, rec = 0n]) => `REC created at ${hex(rec)}`,
  REALM_ACTIVATE: () => "realm activated",
  PSCI_COMPLETE: ([, target = 0n]) => `the realm starts its REC at ${hex(target)}`,
  REC_DESTROY: ([rec = 0n]) => `REC at ${hex(rec)} destroyed`,
  REALM_DESTROY: ([rd = 0n]) => `realm at ${hex(rd)} destroyed`,
};
/** Commands whose failure is part of finding out: tables that are not there yet. */
const probing: readonly RmiName[] = ["RTT_INIT_RIPAS", "DATA_CREATE", "DATA_CREATE_UNKNOWN", "RTT_READ_ENTRY", "RTT_SET_RIPAS"];

/** Tells `say` of the realm's life. */
export function hostLog(rmi: RmiClient, say: (line: string) => void): void {
  const observer: RmiObserver = (name, args, reply) => {
    if (reply.ok) {
      const line = told[name]?.(args, reply.results);
      if (line !== undefined) say(`host: ${line}`);
    } else if (!probing.includes(name) && !name.startsWith("RTT_")) say(`host: RMI_${name} returned ${rmiCodeName(reply.x0)}`);
  };
  rmi.onCommand(observer);
}
