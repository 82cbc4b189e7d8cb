// The part of a machine with a realm that plays the host: an agent at Non-secure EL2 that builds one realm by RMI and runs it. It does not
// matter to it who answers: agents (realms.ts), an RMM image under our EL3 monitor, or real firmware from flash that has reached the
// Non-secure world. Non-secure EL2 is the agent's from then on: of the payload that firmware starts, nothing is executed.

import type { Receiver } from "../devices/device.ts";
import type { TimedDevice } from "../devices/timed.ts";
import type { BlockBackend, SeededEntropy } from "../devices/virtio/index.ts";
import type { HostAgent } from "../host/agent.ts";
import type { GuestBoard } from "../host/board.ts";
import { CallWatch } from "../host/call-watch.ts";
import { HostMemory, type MemoryRange } from "../host/memory.ts";
import { HostRealm, type RealmConfig } from "../host/realm.ts";
import { RmiClient } from "../host/rmi.ts";
import type { Vmm } from "../host/run.ts";
import { SharedMemory } from "../host/shared-memory.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import { GuestHost } from "./guest-host.ts";
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

export interface HostOptions {
  /** The realm, planned by src/host/plan.ts. */
  readonly realm: RealmConfig;
  readonly drives: readonly BlockBackend[];
  readonly entropy: SeededEntropy;
  /** Destroy the realm after it has ended, before power goes off. */
  readonly teardown: boolean;
}

export class HostSide implements Stateful {
  readonly rmi = new RmiClient();
  readonly realm: HostRealm;
  /** Memory that the host loads and stores: what it may reach, and no more. */
  readonly memory: HostMemory;
  readonly timed: readonly TimedDevice[];
  private readonly guestHost: GuestHost;

  constructor(m: VirtMachine, o: HostOptions, range: MemoryRange) {
    const { config, phys, pes } = m;
    const log = (line: string): void => {
      config.log(line);
      config.say?.("host", line);
    };
    const written = (pa: number, bytes: number): void => m.executor.memoryWritten(pa, bytes, "agent:built-in host");
    this.memory = new HostMemory({ phys, check: () => pes[0]?.mmu.granuleCheck, written }, range);
    const { map, ipaBits } = o.realm;
    const shared = new SharedMemory(this.memory, { base: map.ram, size: o.realm.memory }, ipaBits);
    const watch = new CallWatch({
      pes,
      clock: m.clock,
      retired: () => m.retired,
      stop: (reason) => pes[0]?.hooks.requestStop(reason),
    });
    this.realm = new HostRealm(this.rmi, this.memory, shared, o.realm);
    const { memory, realm } = this;
    this.guestHost = new GuestHost(m, { ...o, memory, config: o.realm, guest: () => realm, dma: shared, accessPlatform: true, watch, log });
    this.timed = [...this.board.timed, watch];
    if (config.say) hostLog(this.rmi, (line) => config.say?.("host", line));
  }

  get host(): HostAgent {
    return this.guestHost.host;
  }
  get vmm(): Vmm {
    return this.guestHost.vmm;
  }
  get board(): GuestBoard {
    return this.guestHost.board;
  }
  /** Where the console's input goes. */
  get serial(): Receiver {
    return this.board.uart;
  }
  get hvc(): Receiver {
    return this.board.hvc;
  }
  /** Asks the guest to power off; false: its board has no button for that. */
  pressPowerKey(): boolean {
    return this.guestHost.pressPowerKey();
  }

  /** Is no PE in the middle of the host's work? Only then it can be saved. */
  get settled(): boolean {
    return this.guestHost.settled;
  }
  save(): Saved {
    return this.guestHost.save();
  }
  restore(state: Saved): void {
    this.guestHost.restore(state);
  }
}
