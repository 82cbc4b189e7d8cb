// The software of Non-secure EL2 on a `virt` machine of the emulator's own: a board for a guest, a VMM for it, and the host's interrupt
// controller below both. The guest is a realm (realms.ts) or an ordinary virtual machine (vms.ts).

import { Security } from "../arch/security.ts";
import type { Dma } from "../devices/device.ts";
import { LIST_REGISTERS } from "../devices/gic/constants.ts";
import { SavedFields } from "../devices/saved.ts";
import type { BlockBackend, SeededEntropy } from "../devices/virtio/index.ts";
import { type CallObserver, HostAgent } from "../host/agent.ts";
import { GuestBoard } from "../host/board.ts";
import type { BoardMap } from "../host/board-maps.ts";
import type { Guest } from "../host/guest.ts";
import { HostGic } from "../host/host-gic.ts";
import type { HostMemory } from "../host/memory.ts";
import { Vmm } from "../host/run.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import type { VirtMachine } from "./virt.ts";
import { virtMap } from "./virt-map.ts";

export interface GuestHostOptions {
  memory: HostMemory;
  config: { map: BoardMap; pes: number };
  /** Makes the guest. */
  guest: (gic: HostGic) => Guest;
  drives: readonly BlockBackend[];
  entropy: SeededEntropy;
  /** Memory as the guest's devices reach it. */
  dma: Dma | ((guest: Guest) => Dma);
  /** Virtio devices offer VIRTIO_F_ACCESS_PLATFORM. */
  accessPlatform: boolean;
  /** Destroy the guest after it has ended, before power goes off. */
  teardown: boolean;
  /** Told of the host's calls. */
  watch?: CallObserver;
  log(line: string): void;
}

export class GuestHost implements Stateful {
  readonly host: HostAgent;
  readonly vmm: Vmm;
  readonly guest: Guest;
  readonly board: GuestBoard;
  private readonly memory: HostMemory;
  private readonly m: VirtMachine;

  constructor(m: VirtMachine, o: GuestHostOptions) {
    const { config } = m;
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
      dma: typeof o.dma === "function" ? o.dma(this.guest) : o.dma,
      accessPlatform: o.accessPlatform,
      serial: { write: (bytes) => config.output(bytes) },
      virtioConsole: { write: (bytes) => config.virtioOutput(bytes) },
      onRoom: () => config.inputRoom?.(),
      changed: (n) => this.vmm?.changed(n),
      log: o.log,
    });
    this.vmm = new Vmm({ gic, guest: this.guest, board: this.board, entry, teardown: o.teardown, log: o.log });
    this.host = new HostAgent((pe, resumed) => this.vmm.program(pe, resumed), o.watch);
    this.vmm.started = (pe) => this.host.started(pe);
    for (const pe of m.pes) pe.setAgent(2, Security.NonSecure, this.host);
  }

  /** Presses the guest's power button; false: its board has none. */
  pressPowerKey(): boolean {
    this.board.powerKey?.press();
    return this.board.powerKey !== undefined;
  }

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
