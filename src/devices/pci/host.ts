// A PCI Express host bridge as firmware and kernels take it generically (pci-host-ecam-generic): configuration space in memory, one
// memory window for each part of the bus's memory space, one for its I/O space, and four interrupt lines.

import type { Saved, Stateful } from "../../util/stateful.ts";
import type { IrqLine, MmioDevice } from "../device.ts";
import { IrqOutput } from "../irq-output.ts";
import { SavedFields } from "../saved.ts";
import { type Bar, CONFIG_SIZE, PciFunction } from "./function.ts";

/** Slots (device numbers) of a bus; slot 0 is the bridge's own function. */
export const PCI_SLOTS = 32;
const BUS_BYTES = PCI_SLOTS * 8 * CONFIG_SIZE;

const REDHAT = 0x1b36;
const REDHAT_PCIE_HOST = 0x0008;
const QUMRANET = 0x1af4;
const QEMU_SUBSYSTEM = 0x1100;
const CLASS_HOST_BRIDGE = 0x06_0000;

export interface PciHostOptions {
  /** INTA to INTD as they leave the bridge. */
  lines: readonly [IrqLine, IrqLine, IrqLine, IrqLine];
  /** Number of buses that the ECAM window has room for. */
  buses: number;
}

/** All bits of an access that nobody answers. */
const ones = (size: number): number => (size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1);

/** Several functions share a line: it is high while any of them drives it. */
class SharedLine {
  private readonly output: IrqOutput;
  private readonly drivers = new Set<number>();
  constructor(line: IrqLine) {
    this.output = new IrqOutput(line);
  }
  input(driver: number): IrqLine {
    return {
      set: (level) => {
        if (level) this.drivers.add(driver);
        else this.drivers.delete(driver);
        this.output.set(this.drivers.size > 0);
      },
    };
  }
  /** After a restore. */
  force(): void {
    this.output.force(this.drivers.size > 0);
  }
}

export class PciHost implements Stateful {
  private readonly functions = new Map<number, PciFunction>();
  private readonly lines: SharedLine[];
  private readonly buses: number;

  constructor(o: PciHostOptions) {
    this.lines = o.lines.map((line) => new SharedLine(line));
    this.buses = o.buses;
    this.functions.set(
      0,
      new PciFunction({
        name: "pcie host bridge",
        identity: {
          vendor: REDHAT,
          device: REDHAT_PCIE_HOST,
          revision: 0,
          classCode: CLASS_HOST_BRIDGE,
          subsystemVendor: QUMRANET,
          subsystem: QEMU_SUBSYSTEM,
        },
      }),
    );
  }

  /** INTA of the function in `slot`: pins are rotated by slots. */
  intA(slot: number): IrqLine {
    return (this.lines[slot & 3] as SharedLine).input(slot);
  }
  /** Puts a function into a slot of bus 0. */
  add(slot: number, f: PciFunction): void {
    this.functions.set(slot, f);
  }

  // ---- windows -------------------------------------------------------------------------------------------------------

  /** Configuration space: 4 KiB a function, 8 functions a slot, 32 slots a bus. */
  ecam(): MmioDevice {
    // Only functions numbered 0, and bus 0, are there.
    const at = (offset: number): PciFunction | undefined => {
      const n = Math.floor(offset / CONFIG_SIZE);
      return n < PCI_SLOTS * 8 && n % 8 === 0 ? this.functions.get(n / 8) : undefined;
    };
    return {
      name: "pcie ecam",
      size: this.buses * BUS_BYTES,
      read: (offset, size) => at(offset)?.readConfig(offset % CONFIG_SIZE, size) ?? ones(size),
      write: (offset, size, value) => {
        at(offset)?.writeConfig(offset % CONFIG_SIZE, size, value);
        return true;
      },
    };
  }

  /** A window onto `space`: its first byte is bus address `base`. */
  window(space: "io" | "memory", base: number, size: number): MmioDevice {
    return {
      name: `pcie ${space}`,
      size,
      read: (offset, width) => this.access(space, base + offset, (bar, at) => bar.read(at, width)) ?? ones(width),
      write: (offset, width, value) => {
        this.access(space, base + offset, (bar, at) => bar.write(at, width, value));
        return true;
      },
    };
  }
  private access<T>(space: "io" | "memory", address: number, f: (bar: Bar, at: number) => T): T | undefined {
    for (const fn of this.functions.values()) {
      const hit = fn.barAt(space, address);
      if (hit) return f(hit.bar, hit.offset);
    }
    return undefined;
  }

  save(): Saved {
    return Object.fromEntries([...this.functions].map(([slot, f]) => [String(slot), f.save()]));
  }
  restore(state: Saved): void {
    const s = new SavedFields(state, "pcie host bridge");
    for (const [slot, f] of this.functions) f.restore(s.part(String(slot)));
    for (const line of this.lines) line.force();
  }
}
