// The software of Non-secure EL2 on a `virt` machine of the emulator's own: a board for a guest, a VMM for it, and the host's interrupt
// controller below both. The guest is a realm (realms.ts) or an ordinary virtual machine (vms.ts).

import { Security } from "../arch/security.ts";
import type { Dma, Receiver } from "../devices/device.ts";
import { LIST_REGISTERS } from "../devices/gic/constants.ts";
import { SavedFields } from "../devices/saved.ts";
import type { TimedDevice } from "../devices/timed.ts";
import type { BlockBackend, SeededEntropy } from "../devices/virtio/index.ts";
import { type CallObserver, HostAgent } from "../host/agent.ts";
import { GuestBoard } from "../host/board.ts";
import type { BoardMap } from "../host/board-maps.ts";
import type { Guest } from "../host/guest.ts";
import { HostGic } from "../host/host-gic.ts";
import { HostMemory, type MemoryRange } from "../host/memory.ts";
import { Vmm } from "../host/run.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import type { VirtMachine } from "./virt.ts";
import { virtMap } from "./virt-map.ts";

/** What every host is told about its guest. */
export interface GuestOptions {
  readonly drives: readonly BlockBackend[];
  readonly entropy: SeededEntropy;
  /** Destroy the guest after it has ended, before power goes off. */
  readonly teardown: boolean;
}

/** The kinds of guest differ in these. */
export interface GuestHostOptions<G extends Guest> extends GuestOptions {
  memory: HostMemory;
  config: { map: BoardMap; pes: number };
  /** Makes the guest. */
  guest: (gic: HostGic) => G;
  /** Memory as the guest's devices reach it. */
  dma: (guest: G) => Dma;
  /** Virtio devices offer VIRTIO_F_ACCESS_PLATFORM. */
  accessPlatform: boolean;
  /** Told of the host's calls. */
  watch?: CallObserver & TimedDevice;
}

/** The memory of a host of `m`, from its first granule on. */
export const hostMemory = (m: VirtMachine, range: MemoryRange): HostMemory =>
  new HostMemory(
    {
      phys: m.phys,
      check: () => m.pes[0]?.mmu.granuleCheck,
      written: (pa, bytes) => m.executor.memoryWritten(pa, bytes, "agent:built-in host"),
    },
    range,
  );

export abstract class GuestHost<G extends Guest = Guest> implements Stateful {
  readonly host: HostAgent;
  readonly vmm: Vmm;
  readonly guest: G;
  readonly board: GuestBoard;
  /** Memory that the host loads and stores: what it may reach, and no more. */
  readonly memory: HostMemory;
  readonly timed: readonly TimedDevice[];
  private readonly m: VirtMachine;

  constructor(m: VirtMachine, o: GuestHostOptions<G>) {
    const { config } = m;
    const log = (line: string): void => {
      config.log(line);
      config.say?.("host", line);
    };
    this.m = m;
    this.memory = o.memory;
    const entry = o.memory.take();
    const gic = new HostGic(o.memory, { distributor: virtMap.gicDistributor.base, redistributors: virtMap.gicRedistributor.base });
    this.guest = o.guest(gic);
    this.board = new GuestBoard({
      map: o.config.map,
      pes: o.config.pes,
      listRegisters: LIST_REGISTERS,
      clock: m.clock,
      epoch: config.epoch,
      entropy: o.entropy,
      drives: o.drives,
      dma: o.dma(this.guest),
      accessPlatform: o.accessPlatform,
      serial: { write: (bytes) => config.output(bytes) },
      virtioConsole: { write: (bytes) => config.virtioOutput(bytes) },
      onRoom: () => config.inputRoom?.(),
      changed: (n) => this.vmm?.changed(n),
      log,
    });
    this.vmm = new Vmm({ gic, guest: this.guest, board: this.board, entry, teardown: o.teardown, log });
    this.timed = [...this.board.timed, ...(o.watch ? [o.watch] : [])];
    this.host = new HostAgent((pe, resumed) => this.vmm.program(pe, resumed), o.watch);
    this.vmm.started = (pe) => this.host.started(pe);
    for (const pe of m.pes) pe.setAgent(2, Security.NonSecure, this.host);
  }

  /** Where the console's input goes. */
  get serial(): Receiver {
    return this.board.uart;
  }
  get hvc(): Receiver {
    return this.board.hvc;
  }
  /** Presses the guest's power button; false: its board has none. */
  pressPowerKey(): boolean {
    this.board.powerKey?.press();
    return this.board.powerKey !== undefined;
  }

  /** Is no PE in the middle of the host's work? Only then it can be saved. */
  get settled(): boolean {
    return this.vmm.settled;
  }
  save(): Saved {
    const { memory, guest, board, vmm, host } = this;
    return { memory: memory.save(), guest: guest.save(), board: board.save(), vmm: vmm.save(), host: host.save() };
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "host software");
    this.memory.restore(s.part("memory"));
    this.guest.restore(s.part("guest"));
    this.vmm.forget(); // nothing is kicked by devices that are being restored
    this.board.restore(s.part("board"));
    this.vmm.restore(s.part("vmm"));
    this.host.restore(s.part("host"), this.m.pes);
  }
}
