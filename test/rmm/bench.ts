// Two PEs with a GIC, EL3 monitor and RMM agent, and no executor: the test is the host's and the realm's software. It sets registers,
// executes one instruction (SMC, HVC, MRS, ...) or makes one access, and looks at what the other side then sees.

import { parseCpu } from "../../src/arch/features.ts";
import { PE_BASE, PE_STRIDE, RAM_POOL } from "../../src/arch/layout.ts";
import { Security } from "../../src/arch/security.ts";
import { PeState, slot } from "../../src/arch/state.ts";
import { mmuFeatures } from "../../src/cpu/feature-use.ts";
import { Pe } from "../../src/cpu/pe.ts";
import { Gic } from "../../src/devices/gic/index.ts";
import { El3Agent } from "../../src/el3/agent.ts";
import { MonitorAgent } from "../../src/el3/monitor.ts";
import { Gpi } from "../../src/gpt/format.ts";
import { PhysicalMemory } from "../../src/mem/physical.ts";
import { Access } from "../../src/mmu/access.ts";
import { TlbDomain } from "../../src/mmu/domain.ts";
import { Mmu } from "../../src/mmu/mmu.ts";
import { RmmAgent, type RmmEvent } from "../../src/rmm/agent.ts";
import type { GranuleState } from "../../src/rmm/granules.ts";
import { GRANULE } from "../../src/rmm/status.ts";
import { HOST_PC, RmmBench } from "./bench-base.ts";

export const RAM = { base: 0x4000_0000, size: 0x300_0000 };
const SECURE = { base: 0x0e00_0000, size: 0x100_0000 };
/** Granules that belong to EL3 or to the Secure world, inside DRAM: delegation must fail. */
export const SECURE_GRANULE = RAM.base + RAM.size - GRANULE;
export const ROOT_GRANULE = RAM.base + RAM.size - 2 * GRANULE;

const pages = (RAM_POOL + 0x500_0000) >>> 16;
const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });

export class Bench extends RmmBench {
  readonly phys = new PhysicalMemory(memory);
  readonly domain = new TlbDomain();
  readonly gic: Gic;
  readonly monitor: MonitorAgent;
  readonly rmm: RmmAgent;
  readonly clock = { now: 1000n };
  readonly events: RmmEvent[] = [];
  private static last: Bench | undefined;
  readonly ram = RAM;
  readonly secureGranule = SECURE_GRANULE;
  readonly rootGranule = ROOT_GRANULE;
  protected next = RAM.base + 0x10_0000;

  constructor(cpu = "max,rme=on") {
    super();
    // All benches share one memory; the one before is over.
    Bench.last?.phys.clear();
    new Uint8Array(memory.buffer).fill(0, PE_BASE, PE_BASE + 2 * PE_STRIDE);
    Bench.last = this;
    const features = parseCpu(cpu);
    this.phys.addRam(SECURE.base, SECURE.size, true);
    this.phys.addRam(RAM.base, RAM.size);
    const states = [0, 1].map((i) => new PeState(memory, i));
    this.gic = new Gic({ pes: states, spis: 32, singleSecurity: true, onLines: () => {} });
    for (const i of [0, 1]) this.pes.push(this.makePe(i, features));
    const el3 = new El3Agent({
      power: {
        isOn: () => true,
        powerOn: () => {},
        powerOff: () => {},
        suspend: () => {},
        systemOff: () => {},
        systemReset: () => {},
        isExecutable: () => true,
        panic: (_pe, line) => void this.stops.push(line),
      },
      affinities: [0, 1],
      has: (f) => features.has(f),
      frequency: 1_000_000_000,
      entropy: (n) => new Uint8Array(n),
    });
    this.monitor = new MonitorAgent({
      el3,
      phys: this.phys,
      pes: this.pes,
      gpt: {
        l0: 0x0eef_e000,
        l1: 0x0ef0_0000,
        l1Size: 0x10_0000,
        pps: 40,
        regions: [
          { base: SECURE.base, size: SECURE.size, gpi: Gpi.Root },
          { base: RAM.base, size: RAM.size, gpi: Gpi.NonSecure },
          { base: SECURE_GRANULE, size: GRANULE, gpi: Gpi.Secure },
          { base: ROOT_GRANULE, size: GRANULE, gpi: Gpi.Root },
        ],
      },
      seed: 42n,
      log: (line) => void this.log.push(line),
    });
    this.rmm = new RmmAgent({
      phys: this.phys,
      pes: this.pes,
      banks: [RAM],
      monitor: this.monitor,
      resources: { eventCounters: 6, listRegisters: 4 },
      written: () => {},
      log: (line) => void this.log.push(line),
    });
    this.rmm.observers.add((e) => void this.events.push(e));
    this.monitor.useAgent(this.rmm);
    for (const pe of this.pes) {
      pe.agents[3] = this.monitor;
      pe.setAgent(2, Security.Realm, this.rmm);
      pe.reset();
      this.monitor.coldBoot(pe, HOST_PC, 0n);
    }
  }

  private makePe(index: number, features: ReturnType<typeof parseCpu>): Pe {
    const st = new PeState(memory, index);
    return new Pe({
      memory,
      index,
      phys: this.phys,
      features,
      counter: { now: () => this.clock.now, hz: 1_000_000_000 },
      mmu: new Mmu(st, this.phys, mmuFeatures(features), this.domain),
      gic: this.gic.cpu(index),
      ppi: (intid) => this.gic.ppi(index, intid),
      hooks: {
        log: (m) => void this.log.push(m),
        wakeAll: () => {},
        requestStop: (r) => void this.stops.push(r),
        pac: () => 0n,
        retired: () => 0n,
      },
    });
  }
  isState(pa: number, state: GranuleState): boolean {
    return this.rmm.cx.granules.state(pa) === state;
  }
  count(state: GranuleState): number {
    return [...this.rmm.cx.granules.inState(state)].length;
  }
  census(): string {
    return [1, 2, 3, 4, 5, 6].map((s) => [...this.rmm.cx.granules.inState(s as GranuleState)].join()).join("|");
  }
}

export type { EnterView, ExitView, Params, TestRealm } from "./bench-base.ts";
export { Access, slot };
