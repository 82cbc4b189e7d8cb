// A `virt` machine with EL3 monitor and RMM whose host is whoever holds the machine: PEs of the Non-secure world are parked at EL2 until
// a call is made for them. Tests and tools build realms with it command by command.

import { Security } from "../arch/security.ts";
import { type Agent, type ExceptionInfo, Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { EVENT_COUNTERS } from "../cpu/pmu.ts";
import type { Receiver } from "../devices/device.ts";
import { LIST_REGISTERS } from "../devices/gic/constants.ts";
import type { TimedDevice } from "../devices/timed.ts";
import { MonitorAgent } from "../el3/monitor.ts";
import { Gpi } from "../gpt/format.ts";
import { HostGic } from "../host/host-gic.ts";
import { HostMemory } from "../host/memory.ts";
import { RmmAgent } from "../rmm/agent.ts";
import { EmuError } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import { rootMemory } from "./root-memory.ts";
import type { VirtMachine } from "./virt.ts";
import { virtMap } from "./virt-map.ts";

/** Software of Non-secure EL2 that does nothing: it waits for an interrupt, again and again. */
class ParkedHost implements Agent {
  readonly el = 2;
  execute(pe: Pe): void {
    pe.startWait(false, undefined);
  }
  handle(pe: Pe, e: ExceptionInfo): void {
    if (e.vector === Vector.Irq || e.vector === Vector.Fiq) return; // masked at EL2; only here to be complete
    pe.hooks.requestStop(`the host of PE ${pe.index} met an exception of class 0x${e.ec.toString(16)}`);
  }
}

export class HostSoftware implements Stateful {
  readonly monitor: MonitorAgent;
  readonly rmm: RmmAgent;
  /** Memory of the host: its loads and stores, and granules not used yet. */
  readonly memory: HostMemory;
  readonly gic: HostGic;
  readonly timed: readonly TimedDevice[] = [];
  readonly serial: Receiver | undefined = undefined;
  readonly hvc: Receiver | undefined = undefined;

  constructor(m: VirtMachine) {
    const { config, phys, pes, el3 } = m;
    const dram = { base: virtMap.ram.base, size: config.memory };
    const written = (who: string) => {
      const by = `agent:built-in ${who}` as const;
      return (pa: number, bytes: number): void => m.executor.memoryWritten(pa, bytes, by);
    };
    const regions = [
      { ...virtMap.secureRam, gpi: Gpi.Root },
      { ...dram, gpi: Gpi.NonSecure },
    ];
    this.monitor = new MonitorAgent({
      el3,
      phys,
      pes,
      seed: config.seed,
      gpt: { ...rootMemory, regions },
      written: written("EL3 monitor"),
      log: config.log,
    });
    const resources = { eventCounters: EVENT_COUNTERS, listRegisters: LIST_REGISTERS };
    this.rmm = new RmmAgent({ phys, pes, banks: [dram], monitor: this.monitor, resources, written: written("RMM"), log: config.log });
    this.monitor.useAgent(this.rmm);
    this.memory = new HostMemory({ phys, check: () => pes[0]?.mmu.granuleCheck, written: written("host") }, dram);
    this.gic = new HostGic(this.memory, { distributor: virtMap.gicDistributor.base, redistributors: virtMap.gicRedistributor.base });
    const parked = new ParkedHost();
    for (const pe of pes) {
      pe.agents[3] = this.monitor;
      pe.setAgent(2, Security.Realm, this.rmm);
      pe.setAgent(2, Security.NonSecure, parked);
    }
  }

  coldBoot(pe: Pe, entry: bigint, x0: bigint): void {
    this.monitor.coldBoot(pe, entry, x0);
  }

  save(): Saved {
    throw new EmuError("snapshot-realm", "a machine whose host is outside of it cannot be saved");
  }
  restore(): void {
    this.save();
  }
}
