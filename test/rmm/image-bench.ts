// Machines whose RMM is code: an image under our EL3 monitor, or firmware in flash. The host and the realms are the test's. The RMM boots
// once; every case takes fresh granules.

import { Off } from "../../src/arch/layout.ts";
import { Security } from "../../src/arch/security.ts";
import type { Agent } from "../../src/cpu/agent.ts";
import type { Pe } from "../../src/cpu/pe.ts";
import type { Receiver } from "../../src/devices/device.ts";
import { MonitorAgent } from "../../src/el3/monitor.ts";
import { RMM_REGION, readRmmImage } from "../../src/el3/rmm-image.ts";
import { dmaPermitted } from "../../src/gpt/dma.ts";
import { Gpi } from "../../src/gpt/format.ts";
import { defaultEngine } from "../../src/harness/engine.ts";
import type { RealmSoftware } from "../../src/machine/realms.ts";
import { rootMemory } from "../../src/machine/root-memory.ts";
import { VirtMachine } from "../../src/machine/virt.ts";
import { virtMap } from "../../src/machine/virt-map.ts";
import type { PhysicalMemory } from "../../src/mem/physical.ts";
import { GranuleState } from "../../src/rmm/granules.ts";
import { GRANULE } from "../../src/rmm/status.ts";
import { HOST_PC, RmmBench } from "./bench-base.ts";

const MiB = 2 ** 20;
const MEMORY = 1024 * MiB;
const DRAM = { base: RMM_REGION.base + RMM_REGION.size + 8 * MiB, size: 0 };
DRAM.size = virtMap.ram.base + MEMORY - DRAM.base;
const SHARED = RMM_REGION.base + RMM_REGION.size - GRANULE;
const RESERVE = { base: RMM_REGION.base + RMM_REGION.size, size: 8 * MiB };
/** Slices of code until the RMM must have answered. */
const PATIENCE = 400;
const SLICE = 1_000_000;
const CPU = "max,rme=on";

/** Where the test plays the software, nothing runs by itself. */
class Stand implements Agent {
  readonly el: 1 | 2;
  private readonly stop: () => void;
  constructor(el: 1 | 2, stop: () => void) {
    this.el = el;
    this.stop = stop;
  }
  execute(): void {
    this.stop();
  }
  handle(): void {}
}

/** What both have: code runs until it is the test's turn. */
export abstract class CodeBench extends RmmBench {
  abstract readonly machine: VirtMachine;
  /** What the firmware printed. */
  text = "";
  private waiting = false;

  /** What the machine and the bench have to do with each other. */
  protected get common() {
    const decoder = new TextDecoder();
    return {
      smp: 1,
      memory: MEMORY,
      time: "deterministic" as const,
      seed: 1n,
      epoch: 0,
      engine: defaultEngine(),
      drives: [],
      output: (bytes: Uint8Array) => {
        this.text += decoder.decode(bytes);
      },
      virtioOutput: () => {},
      log: (line: string) => void this.log.push(line),
    };
  }
  /** The test is the software of Non-secure EL2 and of realms. */
  protected stand(m: VirtMachine): void {
    const stop = (): void => {
      this.waiting = true;
      m.executor.requestStop();
    };
    for (const pe of m.pes) {
      pe.setAgent(2, Security.NonSecure, new Stand(2, stop));
      pe.setAgent(1, Security.Realm, new Stand(1, stop));
    }
  }
  /** Up to the Non-secure world. */
  protected boot(): void {
    this.pes.push(...this.machine.pes);
    this.settle(0);
    this.pe().st.pc = HOST_PC;
  }

  protected override settle(pe: number): void {
    this.waiting = false;
    for (let n = 0; n < PATIENCE && !this.waiting; n++) {
      this.machine.executor.slice(this.pe(pe), SLICE, false);
      if (this.machine.end !== undefined) throw new Error(`the machine stopped: ${JSON.stringify(this.machine.end)}`);
    }
    if (!this.waiting) throw new Error(`the RMM does not answer; it printed:\n${this.text.slice(-1000)}`);
  }

  /** The test left the PE in a realm: it leaves it, whatever it was about. */
  home(): void {
    const { st } = this.pe();
    if (this.inRealm()) {
      st.setLo(Off.LINES, st.lo(Off.LINES) | 1);
      this.pe().pollInterrupts();
      st.setLo(Off.LINES, st.lo(Off.LINES) & ~1);
      this.settle(0);
    }
    if (!this.atHost()) throw new Error("the PE is not at the host");
  }

  override write(pa: number, data: Uint8Array): void {
    this.machine.executor.memoryWritten(pa, data.length);
    super.write(pa, data);
  }
}

/** An RMM image under our EL3 monitor. */
export class ImageBench extends CodeBench {
  readonly machine: VirtMachine;
  readonly monitor: MonitorAgent;
  readonly phys: PhysicalMemory;
  readonly ram = DRAM;
  readonly secureGranule = DRAM.base + DRAM.size - GRANULE;
  readonly rootGranule = DRAM.base + DRAM.size - 2 * GRANULE;
  protected next = DRAM.base;

  constructor(file: Uint8Array, cpu = CPU) {
    super();
    const holder: { monitor?: MonitorAgent } = {};
    this.machine = new VirtMachine({
      ...this.common,
      cpu,
      software: (m) => {
        const monitor = this.makeMonitor(m, file);
        holder.monitor = monitor;
        const none: Receiver | undefined = undefined;
        const software = { timed: [], serial: none, hvc: none, save: () => null, restore: () => {}, monitor };
        return {
          ...software,
          coldBoot: (pe: Pe, entry: bigint, x0: bigint) => monitor.coldBoot(pe, entry, x0),
        } as unknown as RealmSoftware;
      },
    });
    this.monitor = holder.monitor as MonitorAgent;
    this.phys = this.machine.phys;
    this.boot();
  }

  private makeMonitor(m: VirtMachine, file: Uint8Array): MonitorAgent {
    const one = (base: number, gpi: Gpi) => ({ base, size: GRANULE, gpi });
    const monitor = new MonitorAgent({
      el3: m.el3,
      phys: m.phys,
      pes: m.pes,
      seed: 42n,
      gpt: {
        ...rootMemory,
        regions: [
          { ...virtMap.secureRam, gpi: Gpi.Root },
          { base: virtMap.ram.base, size: MEMORY, gpi: Gpi.NonSecure },
          { ...RMM_REGION, gpi: Gpi.Realm },
          { ...RESERVE, gpi: Gpi.Realm },
          one(this.secureGranule, Gpi.Secure),
          one(this.rootGranule, Gpi.Root),
        ],
      },
      written: (pa, bytes) => m.executor.memoryWritten(pa, bytes),
      log: (line) => void this.log.push(line),
    });
    const consoles = [{ base: virtMap.uart0.base, pages: 1, clockHz: 1, baud: 115200 }];
    monitor.useImage({
      base: RMM_REGION.base,
      image: readRmmImage(file),
      shared: SHARED,
      reserve: RESERVE,
      manifest: { banks: [DRAM], consoles },
    });
    for (const pe of m.pes) pe.agents[3] = monitor;
    this.stand(m);
    return monitor;
  }

  /** Which granules are the host's is in the table in memory; what the others are, only the RMM knows. */
  isState(pa: number, state: GranuleState): boolean {
    return (this.monitor.gpt.gpi(pa) === Gpi.NonSecure) === (state === GranuleState.UNDELEGATED);
  }
  count(): undefined {
    return undefined;
  }
  census(): string {
    let text = "";
    for (let pa = this.ram.base; pa < this.next; pa += GRANULE) text += this.monitor.gpt.gpi(pa).toString(16);
    return text;
  }
}

/** DRAM as TF-A for PLAT=qemu describes it to the RMM, whatever memory there is. */
const TF_A_DRAM = { base: virtMap.ram.base, size: 3072 * MiB };
/** A granule of the RMM's own: DRAM to the RMM, not the host's to EL3. */
const NOT_THE_HOSTS = RMM_REGION.base;

/** EL3 firmware and RMM from flash. */
export class FlashBench extends CodeBench {
  readonly machine: VirtMachine;
  readonly phys: PhysicalMemory;
  readonly ram = TF_A_DRAM;
  readonly secureGranule = NOT_THE_HOSTS;
  readonly rootGranule = NOT_THE_HOSTS;
  protected next = virtMap.ram.base + 64 * MiB;

  constructor(flash: Uint8Array, cpu = CPU) {
    super();
    this.machine = new VirtMachine({ ...this.common, cpu, secure: true, flash: [{ image: flash }, undefined] });
    this.phys = this.machine.phys;
    this.stand(this.machine);
    this.boot();
  }

  private isHosts(pa: number): boolean {
    return dmaPermitted(this.phys, this.pe().mmu.granuleCheck, pa, 8);
  }
  isState(pa: number, state: GranuleState): boolean {
    return this.isHosts(pa) === (state === GranuleState.UNDELEGATED);
  }
  count(): undefined {
    return undefined;
  }
  census(): string {
    let text = "";
    for (let pa = virtMap.ram.base + 64 * MiB; pa < this.next; pa += GRANULE) text += this.isHosts(pa) ? "h" : ".";
    return text;
  }
}
