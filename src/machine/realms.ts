// A `virt` machine whose software is the emulator's: EL3 monitor, RMM and a host that runs one realm. Nothing of it is in the Non-secure
// memory of the machine; the realm's guest is the only code that PEs execute.
//
//   0x0E00_0000   Root memory: granule protection table
//   0x4000_0000   DRAM: all of it is the host's, to use or to give to the realm; with an RMM image, what follows the image's memory

import { Security } from "../arch/security.ts";
import type { Pe } from "../cpu/pe.ts";
import { EVENT_COUNTERS } from "../cpu/pmu.ts";
import { LIST_REGISTERS } from "../devices/gic/constants.ts";
import { SavedFields } from "../devices/saved.ts";
import { MonitorAgent } from "../el3/monitor.ts";
import { SHARED_BUFFER } from "../el3/monitor-boot.ts";
import { RMM_REGION, readRmmImage } from "../el3/rmm-image.ts";
import { Gpi } from "../gpt/format.ts";
import { RmmAgent } from "../rmm/agent.ts";
import type { Saved } from "../util/stateful.ts";
import { HOST_OVERHEAD, type HostOptions, HostSide, IMAGE_OVERHEAD } from "./host-side.ts";
import { rootMemory } from "./root-memory.ts";
import type { VirtMachine } from "./virt.ts";
import { virtMap } from "./virt-map.ts";

const MiB = 2 ** 20;

/** Memory of an RMM image, as TF-A lays it out: image, data and stacks, then the shared buffer. Behind it what RMM_RESERVE_MEMORY hands out. */
const RMM_SHARED = RMM_REGION.base + RMM_REGION.size - SHARED_BUFFER;
const RMM_RESERVE = { base: RMM_REGION.base + RMM_REGION.size, size: 31 * MiB };
/** Of DRAM, from its start: not the host's. */
const RMM_CARVE_OUT = RMM_RESERVE.base + RMM_RESERVE.size - virtMap.ram.base;
/** As TF-A describes the console to an RMM on this board. */
const RMM_CONSOLE = { base: virtMap.uart0.base, pages: 1, clockHz: 1, baud: 115200 };

/** Bytes of memory that a machine needs for a realm of `memory` bytes. */
export const hostMemoryFor = (memory: number, rmmImage = false): number =>
  memory + (rmmImage ? RMM_CARVE_OUT + IMAGE_OVERHEAD : HOST_OVERHEAD);

export interface RealmsOptions extends HostOptions {
  /** An RMM to run at R-EL2 (flat binary or ELF file) instead of the agent. */
  readonly rmm?: Uint8Array | undefined;
}

/** Software of a machine in place of a kernel. */
export class RealmSoftware extends HostSide {
  readonly monitor: MonitorAgent;
  /** The agent; undefined: an image plays its part. */
  readonly rmm: RmmAgent | undefined;

  constructor(m: VirtMachine, o: RealmsOptions) {
    const { config, phys, pes } = m;
    const image = o.rmm && readRmmImage(o.rmm);
    const taken = image ? RMM_CARVE_OUT : 0;
    const dram = { base: virtMap.ram.base + taken, size: config.memory - taken };
    super(m, o, dram);
    const written = (who: string) => {
      const by = `agent:built-in ${who}` as const;
      return (pa: number, bytes: number): void => m.executor.memoryWritten(pa, bytes, by);
    };
    const log = (line: string): void => {
      config.log(line);
      config.say?.("firmware", line);
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
      log,
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
        log,
      });
      this.monitor.useAgent(this.rmm);
    } else {
      const manifest = { banks: [dram], consoles: [RMM_CONSOLE] };
      this.monitor.useImage({ base: RMM_REGION.base, image, shared: RMM_SHARED, reserve: RMM_RESERVE, manifest });
    }
    for (const pe of pes) {
      pe.agents[3] = this.monitor;
      if (this.rmm) pe.setAgent(2, Security.Realm, this.rmm);
    }
  }

  /** Starts a PE that was reset, in the Non-secure world. */
  coldBoot(pe: Pe, entry: bigint, x0: bigint): void {
    this.monitor.coldBoot(pe, entry, x0);
  }

  override save(): Saved {
    return { monitor: this.monitor.save(), rmm: this.rmm?.save() ?? null, host: super.save() };
  }
  override restore(state: Saved): void {
    const s = new SavedFields(state, "realm software");
    this.monitor.restore(s.part("monitor"));
    this.rmm?.restore(s.part("rmm"));
    super.restore(s.part("host"));
  }
}
