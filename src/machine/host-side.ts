// The part of a machine with a realm that plays the host: an agent at Non-secure EL2 that builds one realm by RMI and runs it. It does not
// matter to it who answers: agents (realms.ts), an RMM image under our EL3 monitor, or real firmware from flash that has reached the
// Non-secure world. Non-secure EL2 is the agent's from then on: of the payload that firmware starts, nothing is executed.

import { CallWatch } from "../host/call-watch.ts";
import type { MemoryRange } from "../host/memory.ts";
import { HostRealm, type RealmConfig } from "../host/realm.ts";
import { RmiClient } from "../host/rmi.ts";
import { SharedMemory } from "../host/shared-memory.ts";
import { GuestHost, type GuestOptions, hostMemory } from "./guest-host.ts";
import { hostLog } from "./host-log.ts";
import type { VirtMachine } from "./virt.ts";
import { virtMap } from "./virt-map.ts";

const MiB = 2 ** 20;
/** What a host needs beside its guest's memory: tables, RECs, run pages, shared pages not yet taken back. */
export const HOST_OVERHEAD = 64 * MiB;
/** A real RMM keeps more for each REC and realm than the agent. */
export const IMAGE_OVERHEAD = 2 * HOST_OVERHEAD;
/** DRAM at its start that is left to firmware from flash: the device tree, the RMM and what else it reserves. */
const FIRMWARE_DRAM = 64 * MiB;
/** The least memory of a machine that starts in flash: TF-A loads its Non-secure payload 512 MiB into DRAM. */
const FIRMWARE_MEMORY = 1024 * MiB;

/** Bytes of memory for a realm of `memory` bytes over firmware from flash. */
export const firmwareMemoryFor = (memory: number): number => Math.max(FIRMWARE_MEMORY, FIRMWARE_DRAM + memory + IMAGE_OVERHEAD);

/** Memory of the host on a machine that starts in flash. */
export const firmwareHostRange = (m: VirtMachine): MemoryRange => ({
  base: virtMap.ram.base + FIRMWARE_DRAM,
  size: m.config.memory - FIRMWARE_DRAM,
});

export interface HostOptions extends GuestOptions {
  /** The realm, planned by src/host/plan.ts. */
  readonly realm: RealmConfig;
}

export class HostSide extends GuestHost<HostRealm> {
  readonly rmi: RmiClient;

  constructor(m: VirtMachine, o: HostOptions, range: MemoryRange) {
    const { pes, clock, config } = m;
    const memory = hostMemory(m, range);
    const rmi = new RmiClient();
    const { map, ipaBits, memory: size } = o.realm;
    const shared = new SharedMemory(memory, { base: map.ram, size }, ipaBits);
    const stop = (reason: string): void => pes[0]?.hooks.requestStop(reason);
    super(m, {
      ...o,
      memory,
      config: o.realm,
      guest: () => new HostRealm(rmi, memory, shared, o.realm),
      dma: () => shared,
      accessPlatform: true,
      watch: new CallWatch({ pes, clock, retired: () => m.retired, stop }),
    });
    this.rmi = rmi;
    if (config.say) hostLog(rmi, (line) => config.say?.("host", line));
  }

  get realm(): HostRealm {
    return this.guest;
  }
}
