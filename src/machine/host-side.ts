// The part of a machine with a realm that plays the host: an agent at Non-secure EL2 that builds one realm by RMI and runs it. It does not
// matter to it who answers: agents (realms.ts), an RMM image under our EL3 monitor, or real firmware from flash that has reached the
// Non-secure world. Non-secure EL2 is the agent's from then on: of the payload that firmware starts, nothing is executed.

import { Security } from "../arch/security.ts";
import type { Receiver } from "../devices/device.ts";
import { LIST_REGISTERS } from "../devices/gic/constants.ts";
import type { TimedDevice } from "../devices/timed.ts";
import type { BlockBackend, SeededEntropy } from "../devices/virtio/index.ts";
import { HostAgent } from "../host/agent.ts";
import { GuestBoard } from "../host/board.ts";
import { CallWatch } from "../host/call-watch.ts";
import { HostGic } from "../host/host-gic.ts";
import { HostMemory, type MemoryRange } from "../host/memory.ts";
import { HostRealm, type RealmConfig } from "../host/realm.ts";
import { RmiClient } from "../host/rmi.ts";
import { Vmm } from "../host/run.ts";
import { SharedMemory } from "../host/shared-memory.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
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
  readonly host: HostAgent;
  readonly rmi = new RmiClient();
  readonly vmm: Vmm;
  readonly realm: HostRealm;
  readonly board: GuestBoard;
  /** Memory that the host loads and stores: what it may reach, and no more. */
  readonly memory: HostMemory;
  readonly timed: readonly TimedDevice[];

  constructor(m: VirtMachine, o: HostOptions, range: MemoryRange) {
    const { config, phys, pes } = m;
    const log = (line: string): void => {
      config.log(line);
      config.say?.("host", line);
    };
    const written = (pa: number, bytes: number): void => m.executor.memoryWritten(pa, bytes, "agent:built-in host");
    this.memory = new HostMemory({ phys, check: () => pes[0]?.mmu.granuleCheck, written }, range);
    const entry = this.memory.take();
    const { map, ipaBits } = o.realm;
    const shared = new SharedMemory(this.memory, { base: map.ram, size: o.realm.memory }, ipaBits);
    this.board = new GuestBoard({
      map,
      pes: o.realm.pes,
      listRegisters: LIST_REGISTERS,
      clock: m.clock,
      epoch: config.epoch,
      entropy: o.entropy,
      drives: o.drives,
      dma: shared,
      serial: { write: (bytes) => config.output(bytes) },
      virtioConsole: { write: (bytes) => config.virtioOutput(bytes) },
      onRoom: () => config.inputRoom?.(),
      changed: (rec) => this.vmm?.changed(rec),
      log,
    });
    const watch = new CallWatch({
      pes,
      clock: m.clock,
      retired: () => m.retired,
      stop: (reason) => pes[0]?.hooks.requestStop(reason),
    });
    this.timed = [...this.board.timed, watch];
    this.realm = new HostRealm(this.rmi, this.memory, shared, o.realm);
    const gic = new HostGic(this.memory, { distributor: virtMap.gicDistributor.base, redistributors: virtMap.gicRedistributor.base });
    const { rmi, memory, realm, board } = this;
    this.vmm = new Vmm({ rmi, memory, gic, realm, board, entry, teardown: o.teardown, log });
    if (config.say) hostLog(rmi, (line) => config.say?.("host", line));
    this.host = new HostAgent((pe) => this.vmm.program(pe), watch);
    for (const pe of pes) pe.setAgent(2, Security.NonSecure, this.host);
  }

  /** Where the console's input goes. */
  get serial(): Receiver {
    return this.board.uart;
  }
  get hvc(): Receiver {
    return this.board.hvc;
  }

  save(): Saved {
    return this.host.save();
  }
  restore(): void {
    this.host.restore();
  }
}
