// Tries of a host to reach memory: by an instruction at Non-secure EL2 or EL1 of a PE, or by the DMA of a device. What becomes of a try
// is what the machine does with it, not what a table says.

import { Off } from "../arch/layout.ts";
import { Security } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import type { Agent, ExceptionInfo } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import { Status } from "../devices/virtio/constants.ts";
import { MmioReg } from "../devices/virtio/mmio.ts";
import type { HostMemory } from "../host/memory.ts";
import type { VirtMachine } from "../machine/virt.ts";
import { VIRTIO_MMIO_SLOTS, virtioWindow } from "../machine/virt-map.ts";
import { restorePe, savePe } from "../machine/virt-state.ts";
import { FaultExplainer } from "../teach/explainer.ts";
import { TableJournal } from "../teach/journal.ts";
import type { Explanation } from "../teach/model.ts";
import { EmuError, hex } from "../util/errors.ts";

export type TryKind = "read" | "write" | "fetch";

/** What came of one try. */
export interface Try {
  readonly pa: number;
  readonly kind: TryKind;
  /** An instruction of a PE at this level, or a device. */
  readonly by: "EL1" | "EL2" | "device";
  /** The access took place. */
  readonly ok: boolean;
  /** What a read loaded: 8 bytes of a PE; of a device only whether it read. */
  readonly value?: bigint;
  /** Syndrome of the exception that a PE took. */
  readonly esr?: bigint;
  readonly explanation?: Explanation;
}

const LDR_X0_X1 = 0xf940_0020;
const STR_X0_X1 = 0xf900_0020;
const BR_X1 = 0xd61f_0020;
const CODE: Readonly<Record<TryKind, number>> = { read: 0, write: 4, fetch: 8 };
/** PSTATE: EL1h and EL2h, everything masked. */
const SPSR_EL1H = 0x3c5n;
/** MMU and caches off; EL1 is AArch64, no stage 2. */
const SCTLR_OFF = 0x30d0_0980n;
const HCR_RW = 1n << 31n;

/** Catches the first exception and stops its PE. */
class Catcher implements Agent {
  readonly el: 1 | 2;
  caught: { esr: bigint } | undefined;
  constructor(el: 1 | 2) {
    this.el = el;
  }
  handle(pe: Pe, _e: ExceptionInfo): void {
    this.caught ??= { esr: pe.st.get(this.el === 1 ? slot.ESR_EL1 : slot.ESR_EL2) };
    pe.st.setLo(Off.HALT, 1);
  }
}

export class HostTries {
  private readonly board: VirtMachine;
  private readonly memory: HostMemory;
  private readonly journal: TableJournal;
  /** Explain tries (the default): it takes many times the time of the try. */
  explaining = true;
  private explanation: Explanation | undefined;
  /** A granule with one instruction of each kind; rings of virtio queues. Taken when needed. */
  private code = 0;
  private rings = 0;

  /** Records from now on who writes table entries: explanations name the writer. */
  constructor(board: VirtMachine, memory: HostMemory) {
    this.board = board;
    this.memory = memory;
    this.journal = TableJournal.of(board);
  }
  stop(): void {
    this.journal.release();
  }
  /** Collects explanations; the function that is returned ends it. */
  private listen(): () => void {
    if (!this.explaining) return () => {};
    const explainer = new FaultExplainer(this.board, { every: true });
    explainer.onFault((e) => {
      this.explanation = e;
    });
    return () => explainer.stop();
  }

  // ---- by a PE -------------------------------------------------------------------------------------------------------------

  /**
   * Makes each access with an instruction of PE `index` at Non-secure EL1 or EL2, MMU off. The PE must be at Non-secure EL2 now: parked,
   * or waiting; afterwards it is as before. A write stores `value` (default: all ones), a fetch executes what is there.
   */
  *byPe(
    index: number,
    el: 1 | 2,
    accesses: Iterable<readonly [pa: number, kind: TryKind]>,
    value = 0xffff_ffff_ffff_ffffn,
  ): Generator<Try> {
    const pe = this.board.pes[index];
    if (pe?.st.lo(Off.EL) !== 2 || pe.security !== Security.NonSecure)
      throw new EmuError("pe-busy", `PE ${index} does not run the host now`);
    const saved = savePe(pe);
    const agents = [1, 2].map((n) => pe.agentFor(n as 1 | 2, Security.NonSecure));
    const catcher = new Catcher(el);
    pe.setAgent(1, Security.NonSecure, el === 1 ? catcher : undefined);
    pe.setAgent(2, Security.NonSecure, new Catcher(2));
    if (el === 2) pe.setAgent(2, Security.NonSecure, catcher);
    const ignore = this.listen();
    try {
      for (const [pa, kind] of accesses) yield this.one(pe, catcher, pa, kind, value);
    } finally {
      ignore();
      for (const n of [1, 2] as const) pe.setAgent(n, Security.NonSecure, agents[n - 1]);
      restorePe(pe, saved, this.board.phys);
    }
  }

  /** One access. */
  tryOne(index: number, el: 1 | 2, pa: number, kind: TryKind, value?: bigint): Try {
    const [done] = [...this.byPe(index, el, [[pa, kind]], value)];
    return done as Try;
  }

  private one(pe: Pe, catcher: Catcher, pa: number, kind: TryKind, value: bigint): Try {
    const { st } = pe;
    catcher.caught = undefined;
    this.explanation = undefined;
    this.toCode(pe, catcher.el, this.codePage() + CODE[kind]);
    st.setX(0, kind === "write" ? value : 0n);
    st.setX(1, BigInt(pa));
    st.setLo(Off.HALT, 0);
    this.board.executor.slice(pe, kind === "fetch" ? 2 : 1, false);
    const caught = catcher.caught as { esr: bigint } | undefined;
    return {
      pa,
      kind,
      by: catcher.el === 1 ? "EL1" : "EL2",
      ok: caught === undefined,
      ...(caught === undefined ? (kind === "read" ? { value: st.x(0) } : {}) : { esr: caught.esr }),
      ...(this.explanation === undefined ? {} : { explanation: this.explanation }),
    };
  }

  /** Brings the PE to an instruction of the code page, at EL1 or EL2 with the MMU off. */
  private toCode(pe: Pe, el: 1 | 2, pc: number): void {
    const { st } = pe;
    st.setLo(Off.EL, 2);
    st.set(slot.HCR_EL2, HCR_RW);
    st.set(slot.SCTLR_EL1, SCTLR_OFF);
    st.set(slot.SPSR_EL2, el === 1 ? SPSR_EL1H : SPSR_EL1H + 4n);
    st.set(slot.ELR_EL2, BigInt(pc));
    pe.contextChanged();
    pe.controlsChanged();
    pe.exceptionReturn();
  }

  private codePage(): number {
    if (this.code !== 0) return this.code;
    this.code = this.memory.take();
    const words = new Uint8Array(Uint32Array.of(LDR_X0_X1, STR_X0_X1, BR_X1).buffer);
    if (!this.memory.write(this.code, words))
      throw new EmuError("host-memory-lost", `the host cannot write its own page ${hex(this.code)}`);
    return this.code;
  }

  // ---- by a device ---------------------------------------------------------------------------------------------------------

  /**
   * Makes a device of the machine transfer: the virtio console reads `length` bytes at `pa` (and prints them), the virtio entropy source
   * writes there. The devices are reset before and afterwards.
   */
  byDevice(pa: number, kind: "read" | "write", length = 64): Try {
    this.explanation = undefined;
    const ignore = this.listen();
    const ok = kind === "read" ? this.transfer(CONSOLE, pa, length, 0) : this.transfer(ENTROPY, pa, length, DESC_WRITE);
    ignore();
    return { pa, kind, by: "device", ok, ...(this.explanation === undefined ? {} : { explanation: this.explanation }) };
  }

  /** One buffer through one queue; true: the device used it without failing. */
  private transfer(on: { slot: number; queue: number }, pa: number, length: number, flags: number): boolean {
    const device = this.board.phys.deviceAt(virtioWindow(on.slot).base)?.device;
    if (!device) throw new EmuError("host-device", "this machine has no virtio devices");
    const who = { pas: Security.NonSecure, pe: 0 } as const;
    const write = (register: number, value: number): void => void device.write(register, 4, value, who);
    if (this.rings === 0) this.rings = this.memory.take();
    const [desc, avail, used] = [this.rings, this.rings + 0x100, this.rings + 0x200];
    const page = new Uint8Array(4096);
    const view = new DataView(page.buffer);
    view.setBigUint64(0, BigInt(pa), true);
    view.setUint32(8, length, true);
    view.setUint16(12, flags, true);
    view.setUint16(0x100 + 2, 1, true); // available: one buffer, descriptor 0
    if (!this.memory.write(this.rings, page))
      throw new EmuError("host-memory-lost", `the host cannot write its own page ${hex(this.rings)}`);
    write(MmioReg.Status, 0);
    write(MmioReg.Status, Status.ACKNOWLEDGE | Status.DRIVER);
    write(MmioReg.DriverFeaturesSel, 1);
    write(MmioReg.DriverFeatures, 1); // VERSION_1
    write(MmioReg.Status, Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
    write(MmioReg.QueueSel, on.queue);
    write(MmioReg.QueueNum, 8);
    for (const [register, value] of [
      [MmioReg.QueueDescLow, desc],
      [MmioReg.QueueDriverLow, avail],
      [MmioReg.QueueDeviceLow, used],
    ] as const)
      write(register, value);
    write(MmioReg.QueueReady, 1);
    write(MmioReg.Status, Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK);
    write(MmioReg.QueueNotify, on.queue);
    const failed = (device.read(MmioReg.Status, 4, who) & Status.NEEDS_RESET) !== 0;
    const index = this.memory.read(used + 2, 2);
    const count = this.memory.read(used + 8, 4);
    write(MmioReg.Status, 0);
    // A device that could not write says that it wrote nothing.
    const wrote = flags === 0 || new DataView((count as Uint8Array).buffer).getUint32(0, true) > 0;
    return !failed && index?.[0] === 1 && wrote;
  }
}

/** Devices of the board by slot, see VirtMachine: the console's transmit queue, the only queue of the entropy source. */
const CONSOLE = { slot: VIRTIO_MMIO_SLOTS - 1, queue: 1 };
const ENTROPY = { slot: VIRTIO_MMIO_SLOTS - 2, queue: 0 };
/** VIRTQ_DESC_F_WRITE. */
const DESC_WRITE = 2;
