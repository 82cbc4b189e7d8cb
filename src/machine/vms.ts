// A `virt` machine whose software is a host of the emulator's own that runs one ordinary virtual machine: what a realm is compared with.
// Firmware is the EL3 agent that kernels have below them too.

import type { Pe } from "../cpu/pe.ts";
import type { Receiver } from "../devices/device.ts";
import { LIST_REGISTERS } from "../devices/gic/constants.ts";
import type { TimedDevice } from "../devices/timed.ts";
import type { BlockBackend, SeededEntropy } from "../devices/virtio/index.ts";
import type { GuestBoard } from "../host/board.ts";
import { HostMemory } from "../host/memory.ts";
import type { Vmm } from "../host/run.ts";
import { HostVm, type VmConfig } from "../host/vm.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import { GuestHost } from "./guest-host.ts";
import type { VirtMachine } from "./virt.ts";
import { virtMap } from "./virt-map.ts";

export interface VmsOptions {
  /** The guest, planned by src/host/plan.ts. */
  vm: VmConfig;
  drives: readonly BlockBackend[];
  entropy: SeededEntropy;
  /** Give back the guest's memory after it has ended, before power goes off. */
  teardown: boolean;
}

export class VmSoftware implements Stateful {
  readonly memory: HostMemory;
  private readonly m: VirtMachine;
  private readonly guestHost: GuestHost;

  constructor(m: VirtMachine, o: VmsOptions) {
    this.m = m;
    const { config, phys, pes, features } = m;
    const written = (pa: number, bytes: number): void => m.executor.memoryWritten(pa, bytes, "agent:built-in host");
    const dram = { base: virtMap.ram.base, size: config.memory };
    const memory = new HostMemory({ phys, check: () => pes[0]?.mmu.granuleCheck, written }, dram);
    this.memory = memory;
    this.guestHost = new GuestHost(m, {
      ...o,
      memory,
      config: o.vm,
      guest: (gic) => new HostVm(memory, gic, features, LIST_REGISTERS, o.vm),
      dma: (guest) => (guest as HostVm).dma,
      accessPlatform: false,
      log: (line) => {
        config.log(line);
        config.say?.("host", line);
      },
    });
  }

  get vmm(): Vmm {
    return this.guestHost.vmm;
  }
  get board(): GuestBoard {
    return this.guestHost.board;
  }
  get timed(): readonly TimedDevice[] {
    return this.board.timed;
  }
  get serial(): Receiver {
    return this.board.uart;
  }
  get hvc(): Receiver {
    return this.board.hvc;
  }
  pressPowerKey(): boolean {
    return this.guestHost.pressPowerKey();
  }
  coldBoot(pe: Pe, entry: bigint, x0: bigint): void {
    this.m.el3.coldBoot(pe, entry, x0);
  }
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
