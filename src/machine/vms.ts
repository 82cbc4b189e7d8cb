// A `virt` machine whose software is a host of the emulator's own that runs one ordinary virtual machine: what a realm is compared with.
// Firmware is the EL3 agent that kernels have below them too.

import type { Pe } from "../cpu/pe.ts";
import type { El3Agent } from "../el3/agent.ts";
import { HostVm, type VmConfig } from "../host/vm.ts";
import { GuestHost, type GuestOptions, hostMemory } from "./guest-host.ts";
import type { VirtMachine } from "./virt.ts";
import { virtMap } from "./virt-map.ts";

export interface VmsOptions extends GuestOptions {
  /** The guest, planned by src/host/plan.ts. */
  readonly vm: VmConfig;
}

export class VmSoftware extends GuestHost<HostVm> {
  private readonly el3: El3Agent;

  constructor(m: VirtMachine, o: VmsOptions) {
    const memory = hostMemory(m, { base: virtMap.ram.base, size: m.config.memory });
    super(m, {
      ...o,
      memory,
      config: o.vm,
      guest: (gic) => new HostVm(memory, gic, m.features, o.vm),
      dma: (vm) => vm.dma,
      accessPlatform: false,
    });
    this.el3 = m.el3;
  }

  coldBoot(pe: Pe, entry: bigint, x0: bigint): void {
    this.el3.coldBoot(pe, entry, x0);
  }
}
