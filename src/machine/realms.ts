// A `virt` machine whose software is the emulator's: EL3 monitor, RMM and a host that runs one realm. Nothing of it is in the Non-secure
// memory of the machine; the realm's guest is the only code that PEs execute.
//
//   0x0E00_0000   Root memory: granule protection table
//   0x4000_0000   DRAM: all of it is the host's, to use or to give to the realm; with an RMM image, what follows the image's memory

import { Security } from "../arch/security.ts";
import type { Pe } from "../cpu/pe.ts";
import { EVENT_COUNTERS } from "../cpu/pmu.ts";
import type { Receiver } from "../devices/device.ts";
import { LIST_REGISTERS } from "../devices/gic/constants.ts";
import type { TimedDevice } from "../devices/timed.ts";
import type { BlockBackend, SeededEntropy } from "../devices/virtio/index.ts";
import { MonitorAgent } from "../el3/monitor.ts";
import { SHARED_BUFFER } from "../el3/monitor-boot.ts";
import { RMM_REGION, readRmmImage } from "../el3/rmm-image.ts";
import { Gpi } from "../gpt/format.ts";
import { HostAgent } from "../host/agent.ts";
import { GuestBoard } from "../host/board.ts";
import { HostGic } from "../host/host-gic.ts";
import { HostMemory } from "../host/memory.ts";
import { HostRealm, type RealmConfig } from "../host/realm.ts";
import { RmiClient } from "../host/rmi.ts";
import { Vmm } from "../host/run.ts";
import { SharedMemory } from "../host/shared-memory.ts";
import { RmmAgent } from "../rmm/agent.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import { hostLog } from "./host-log.ts";
import { rootMemory } from "./root-memory.ts";
import type { VirtMachine } from "./virt.ts";
import { virtMap } from "./virt-map.ts";

const MiB = 2 ** 20;
/** What a host needs beside its guest's memory: tables, RECs, run pages, shared pages not yet taken back. */
const OVERHEAD = 64 * MiB;

/** Memory of an RMM image, as TF-A lays it out: image, data and stacks, then the shared buffer. Behind it what RMM_RESERVE_MEMORY hands out. */
const RMM_SHARED = RMM_REGION.base + RMM_REGION.size - SHARED_BUFFER;
const RMM_RESERVE = { base: RMM_REGION.base + RMM_REGION.size, size: 31 * MiB };
/** Of DRAM, from its start: not the host's. */
const RMM_CARVE_OUT = RMM_RESERVE.base + RMM_RESERVE.size - virtMap.ram.base;
/** An RMM image keeps more for each REC and realm than the agent, and knows no sharing of granules. */
const IMAGE_OVERHEAD = 2 * OVERHEAD + RMM_CARVE_OUT;
/** As TF-A describes the console to an RMM on this board. */
const RMM_CONSOLE = { base: virtMap.uart0.base, pages: 1, clockHz: 1, baud: 115200 };

/** Bytes of memory that a machine needs for a realm of `memory` bytes. */
export const hostMemoryFor = (memory: number, rmmImage = false): number => memory + (rmmImage ? IMAGE_OVERHEAD : OVERHEAD);

export interface RealmsOptions {
  /** The realm, planned by src/host/plan.ts. */
  realm: RealmConfig;
  drives: readonly BlockBackend[];
  entropy: SeededEntropy;
  /** Destroy the realm after it has ended, before power goes off. */
  teardown: boolean;
  /** An RMM to run at R-EL2 (flat binary or ELF file) instead of the agent. */
  rmm?: Uint8Array | undefined;
}

/** Software of a machine in place of a kernel. */
export class RealmSoftware implements Stateful {
  readonly monitor: MonitorAgent;
  /** The agent; undefined: an image plays its part. */
  readonly rmm: RmmAgent | undefined;
  readonly host: HostAgent;
  readonly rmi = new RmiClient();
  readonly vmm: Vmm;
  readonly realm: HostRealm;
  readonly board: GuestBoard;
  /** Memory that the host loads and stores: what it may reach, and no more. */
  readonly memory: HostMemory;
  readonly timed: readonly TimedDevice[];

  constructor(m: VirtMachine, o: RealmsOptions) {
    const { config, phys, pes } = m;
    const image = o.rmm && readRmmImage(o.rmm);
    const taken = image ? RMM_CARVE_OUT : 0;
    const dram = { base: virtMap.ram.base + taken, size: config.memory - taken };
    const written = (who: string) => {
      const by = `agent:built-in ${who}` as const;
      return (pa: number, bytes: number): void => m.executor.memoryWritten(pa, bytes, by);
    };
    const tell = (who: "firmware" | "host") => (line: string) => {
      config.log(line);
      config.say?.(who, line);
    };
    this.monitor = new MonitorAgent({
      el3: m.el3,
      phys,
      pes,
      seed: config.seed,
      gpt: {
        ...rootMemory,
        regions: [
          { ...virtMap.secureRam, gpi: Gpi.Root },
          { base: virtMap.ram.base, size: config.memory, gpi: Gpi.NonSecure },
          ...(image ? [RMM_REGION, RMM_RESERVE].map((r) => ({ ...r, gpi: Gpi.Realm })) : []),
        ],
      },
      written: written("EL3 monitor"),
      log: tell("firmware"),
      rmmFailed: (why) => pes[0]?.hooks.requestStop(`the RMM image did not boot: ${why}`),
    });
    const resources = { eventCounters: EVENT_COUNTERS, listRegisters: LIST_REGISTERS };
    if (image === undefined) {
      this.rmm = new RmmAgent({
        phys,
        pes,
        banks: [dram],
        monitor: this.monitor,
        resources,
        written: written("RMM"),
        log: tell("firmware"),
      });
      this.monitor.useAgent(this.rmm);
    } else {
      const manifest = { banks: [dram], consoles: [RMM_CONSOLE] };
      this.monitor.useImage({ base: RMM_REGION.base, image, shared: RMM_SHARED, reserve: RMM_RESERVE, manifest });
    }

    this.memory = new HostMemory({ phys, check: () => pes[0]?.mmu.granuleCheck, written: written("host") }, dram);
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
      log: tell("host"),
    });
    this.timed = this.board.timed;
    this.realm = new HostRealm(this.rmi, this.memory, shared, o.realm);
    const gic = new HostGic(this.memory, { distributor: virtMap.gicDistributor.base, redistributors: virtMap.gicRedistributor.base });
    const { rmi, memory, realm, board } = this;
    this.vmm = new Vmm({ rmi, memory, gic, realm, board, entry, teardown: o.teardown, log: tell("host") });
    if (config.say) hostLog(rmi, (line) => config.say?.("host", line));
    this.host = new HostAgent((pe) => this.vmm.program(pe));
    for (const pe of pes) {
      pe.agents[3] = this.monitor;
      if (this.rmm) pe.setAgent(2, Security.Realm, this.rmm);
      pe.setAgent(2, Security.NonSecure, this.host);
    }
  }

  /** Where the console's input goes. */
  get serial(): Receiver {
    return this.board.uart;
  }
  get hvc(): Receiver {
    return this.board.hvc;
  }
  /** Starts a PE that was reset, in the Non-secure world. */
  coldBoot(pe: Pe, entry: bigint, x0: bigint): void {
    this.monitor.coldBoot(pe, entry, x0);
  }

  save(): Saved {
    return this.host.save();
  }
  restore(): void {
    this.host.restore();
  }
}
