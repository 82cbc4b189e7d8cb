// The device tree of the machine `virt`, equal in content to what QEMU generates for -M virt,virtualization=on,gic-version=3, with and
// without secure=on, and with firmware (then as with acpi=off).
//
// Nodes that QEMU has and this machine leaves out, because the hardware is not modelled yet:
//   platform-bus@c000000, its@8080000 (in intc@8000000), and with it the msi-map of pcie@10000000.
// What is Secure only has status "disabled" and secure-status "okay".
// /chosen gets bootargs and the initrd when the loader places them (src/loader/boot.ts).

import { cellsValue, type FdtNode, type FdtTree, fdtNode, numberCells, type PropertyValue } from "../loader/fdt.ts";
import { psciNode } from "../loader/fdt-patch.ts";
import {
  APB_CLOCK_HZ,
  affinityOf,
  POWER_KEY_PIN,
  ppi,
  SECURE_GPIO,
  VIRTIO_MMIO_SLOTS,
  virtioWindow,
  virtMap,
  type Window,
} from "./virt-map.ts";

/** Geometry of a level 1 cache as CCSIDR_EL1 tells it; bytes and counts. */
export interface CacheGeometry {
  size: number;
  sets: number;
  line: number;
}

export interface VirtTreeOptions {
  /** Bytes of RAM at virtMap.ram.base. */
  memory: number;
  /** Number of PEs, 1..8. */
  pes: number;
  /** `compatible` of the cpu nodes. QEMU says arm,cortex-a57 for -cpu max too. */
  cpuCompatible?: string;
  /** Whether the PEs have FEAT_PMUv3: the pmu node. */
  pmu: boolean;
  /** Whether EL2 is present: the maintenance interrupt of the GIC and the EL2 virtual timer. */
  el2?: boolean;
  /** 8 bytes for /chosen kaslr-seed; without it the kernel is not randomized. */
  kaslrSeed?: Uint8Array;
  /** Entropy for the kernel's random number generator, QEMU gives 32 bytes. */
  rngSeed?: Uint8Array;
  /** QEMU's secure=on: Secure memory and devices; no PSCI, since firmware in the guest has to offer it. */
  secure?: boolean;
  /** The machine starts in flash. */
  firmware?: boolean;
  l1i?: CacheGeometry;
  l1d?: CacheGeometry;
}

/** Phandles, assigned freely. */
const clockPhandle = 0x8000;
const gicPhandle = 0x8001;
const gpioPhandle = 0x8002;
const secureGpioPhandle = 0x8003;
const cpuPhandle = (index: number): number => 0x8100 + index;

/** Interrupt specifier (GIC binding): type, number, trigger. */
const spiCells = (n: number, trigger: number): number[] => [0, n, trigger];
const ppiCells = (intid: number): number[] => [1, intid - 16, LEVEL_HIGH];
const EDGE_RISING = 1;
const LEVEL_HIGH = 4;

const L1_DEFAULT: CacheGeometry = { size: 0x1_0000, sets: 0x100, line: 0x40 };
const LINUX_KEY_POWER = 116;

const reg = (...windows: Window[]): number[] => windows.flatMap((w) => [...numberCells(w.base, 2), ...numberCells(w.size, 2)]);
const unit = (name: string, base: number): string => `${name}@${base.toString(16)}`;

/** Builds the tree. The same options always give the same tree. */
export function virtTree(o: VirtTreeOptions): FdtTree {
  const el2 = o.el2 ?? true;
  const root = fdtNode(
    "",
    {
      "interrupt-parent": gicPhandle,
      "dma-coherent": true,
      model: "linux,dummy-virt",
      "#size-cells": 2,
      "#address-cells": 2,
      compatible: "linux,dummy-virt",
    },
    [
      ...(o.secure ? [] : [psciNode()]),
      fdtNode(unit("memory", virtMap.ram.base), { reg: reg({ base: virtMap.ram.base, size: o.memory }), device_type: "memory" }),
      fwCfgNode(),
      ...Array.from({ length: VIRTIO_MMIO_SLOTS }, (_, slot) => virtioNode(slot)),
      ...(o.secure ? secureGpioNodes() : []),
      ...powerKeyNodes(),
      pcieNode(),
      primecell("pl031", virtMap.rtc, { "clock-names": "apb_pclk", clocks: clockPhandle, compatible: ["arm,pl031", "arm,primecell"] }),
      ...(o.secure ? [secureRamNode(), secureUartNode()] : []),
      uartNode(),
      ...(o.pmu ? [fdtNode("pmu", { interrupts: ppiCells(ppi.pmu), compatible: "arm,armv8-pmuv3" })] : []),
      gicNode(el2),
      ...flashNodes(o.secure === true),
      cpusNode(o),
      timerNode(el2),
      fdtNode("apb-pclk", {
        phandle: clockPhandle,
        "clock-output-names": "clk24mhz",
        "clock-frequency": APB_CLOCK_HZ,
        "#clock-cells": 0,
        compatible: "fixed-clock",
      }),
      fdtNode("aliases", { serial1: o.secure ? uartPath(virtMap.secureUart1) : undefined, serial0: uartPath(virtMap.uart0) }),
      ...(o.secure ? [chosenNode("secure-chosen", virtMap.secureUart1, o)] : []),
      chosenNode("chosen", virtMap.uart0, o),
    ],
  );
  return { root, reservations: [], bootCpu: 0 };
}

const SECURE_ONLY = { "secure-status": "okay", status: "disabled" } as const;

function secureRamNode(): FdtNode {
  const { secureRam } = virtMap;
  return fdtNode(unit("secram", secureRam.base), {
    ...SECURE_ONLY,
    reg: reg(secureRam),
    device_type: "memory",
  });
}

function virtioNode(slot: number): FdtNode {
  const window = virtioWindow(slot);
  return fdtNode(unit("virtio_mmio", window.base), {
    "dma-coherent": true,
    interrupts: spiCells(window.spi, EDGE_RISING),
    reg: reg(window),
    compatible: "virtio,mmio",
  });
}

function fwCfgNode(): FdtNode {
  const { fwCfg } = virtMap;
  return fdtNode(unit("fw-cfg", fwCfg.base), { "dma-coherent": true, reg: reg(fwCfg), compatible: "qemu,fw-cfg-mmio" });
}

const PCI_IO = 0x0100_0000;
const PCI_MEMORY32 = 0x0200_0000;
const PCI_MEMORY64 = 0x0300_0000;

/** Address cells of PCI are three: the kind of space, then 64 bits. INTx of four slots are given, the others repeat them. */
function pcieNode(): FdtNode {
  const { pcieEcam, pcieMmio, pciePio, pcieMmioHigh } = virtMap;
  const four = [0, 1, 2, 3];
  const interrupt = (slot: number, pin: number): number[] =>
    [slot << 11, 0, 0, pin + 1, gicPhandle, 0, 0].concat(spiCells(pcieMmio.spi + ((slot + pin) & 3), LEVEL_HIGH));
  const range = (space: number, bus: number, w: Window): number[] => [space, ...[bus, w.base, w.size].flatMap((n) => numberCells(n, 2))];
  return fdtNode(unit("pcie", pcieMmio.base), {
    "interrupt-map-mask": [3 << 11, 0, 0, 7],
    "interrupt-map": four.flatMap((slot) => four.flatMap((pin) => interrupt(slot, pin))),
    "#interrupt-cells": 1,
    ranges: [
      ...range(PCI_IO, 0, pciePio),
      ...range(PCI_MEMORY32, pcieMmio.base, pcieMmio),
      ...range(PCI_MEMORY64, pcieMmioHigh.base, pcieMmioHigh),
    ],
    reg: reg(pcieEcam),
    "dma-coherent": true,
    "bus-range": [0, 0xff],
    "linux,pci-domain": 0,
    "#size-cells": 2,
    "#address-cells": 3,
    device_type: "pci",
    compatible: "pci-host-ecam-generic",
  });
}

/** Both banks in one node, or, when bank 0 is Secure, one node each. */
function flashNodes(secure: boolean): FdtNode[] {
  const { flash0, flash1 } = virtMap;
  const flash = { "bank-width": 4, compatible: "cfi-flash" } as const;
  if (!secure) return [fdtNode(unit("flash", flash0.base), { ...flash, reg: reg(flash0, flash1) })];
  return [
    fdtNode(unit("flash", flash1.base), { ...flash, reg: reg(flash1) }),
    fdtNode(unit("secflash", flash0.base), { ...flash, ...SECURE_ONLY, reg: reg(flash0) }),
  ];
}

function primecell(name: string, window: Required<Window>, properties: Record<string, PropertyValue>): FdtNode {
  return fdtNode(unit(name, window.base), { ...properties, interrupts: spiCells(window.spi, LEVEL_HIGH), reg: reg(window) });
}

const UART = { "clock-names": ["uartclk", "apb_pclk"], clocks: [clockPhandle, clockPhandle], compatible: ["arm,pl011", "arm,primecell"] };
const uartNode = (): FdtNode => primecell("pl011", virtMap.uart0, UART);
const secureUartNode = (): FdtNode => primecell("pl011", virtMap.secureUart1, { ...SECURE_ONLY, ...UART });
const uartPath = (window: Window): string => `/${unit("pl011", window.base)}`;

const gpioController = (phandle: number): Record<string, PropertyValue> => ({
  phandle,
  "clock-names": "apb_pclk",
  clocks: clockPhandle,
  "gpio-controller": true,
  "#gpio-cells": 2,
  compatible: ["arm,pl061", "arm,primecell"],
});

/** QEMU gives the interrupt of the secure GPIO as SPI 0, which nothing drives. */
function secureGpioNodes(): FdtNode[] {
  const output = (name: string, pin: number): FdtNode =>
    fdtNode(name, { ...SECURE_ONLY, gpios: [secureGpioPhandle, pin, 0], compatible: name });
  const controller = primecell("pl061", { ...virtMap.secureGpio, spi: 0 }, { ...SECURE_ONLY, ...gpioController(secureGpioPhandle) });
  return [output("gpio-restart", SECURE_GPIO.RESET), output("gpio-poweroff", SECURE_GPIO.POWER_OFF), controller];
}

function powerKeyNodes(): FdtNode[] {
  const key = fdtNode("poweroff", { gpios: [gpioPhandle, POWER_KEY_PIN, 0], "linux,code": LINUX_KEY_POWER, label: "GPIO Key Poweroff" });
  const controller = primecell("pl061", virtMap.gpio, gpioController(gpioPhandle));
  return [fdtNode("gpio-keys", { compatible: "gpio-keys" }, [key]), controller];
}

function gicNode(el2: boolean): FdtNode {
  return fdtNode(unit("intc", virtMap.gicDistributor.base), {
    phandle: gicPhandle,
    interrupts: el2 ? ppiCells(ppi.gicMaintenance) : undefined,
    reg: reg(virtMap.gicDistributor, virtMap.gicRedistributor),
    "#redistributor-regions": 1,
    compatible: "arm,gic-v3",
    ranges: true,
    "#size-cells": 2,
    "#address-cells": 2,
    "interrupt-controller": true,
    "#interrupt-cells": 3,
  });
}

function cpusNode(o: VirtTreeOptions): FdtNode {
  const indices = Array.from({ length: o.pes }, (_, i) => i);
  const cores = indices.map((i) => fdtNode(`core${i}`, { cpu: cpuPhandle(i) }));
  const map = fdtNode("cpu-map", {}, [fdtNode("socket0", {}, [fdtNode("cluster0", {}, cores)])]);
  return fdtNode("cpus", { "#size-cells": 0, "#address-cells": 1 }, [map, ...indices.map((i) => cpuNode(o, i))]);
}

function cpuNode(o: VirtTreeOptions, index: number): FdtNode {
  const [i, d] = [o.l1i ?? L1_DEFAULT, o.l1d ?? L1_DEFAULT];
  return fdtNode(unit("cpu", affinityOf(index)), {
    "next-level-cache": 0, // QEMU's tree names no second level either
    "i-cache-sets": i.sets,
    "i-cache-size": i.size,
    "i-cache-block-size": i.line,
    "d-cache-sets": d.sets,
    "d-cache-size": d.size,
    "d-cache-block-size": d.line,
    phandle: cpuPhandle(index),
    reg: affinityOf(index),
    // QEMU says so also where it offers no PSCI, unless firmware of the guest's will.
    "enable-method": o.pes > 1 && !(o.secure && o.firmware) ? "psci" : undefined,
    compatible: o.cpuCompatible ?? "arm,cortex-a57",
    device_type: "cpu",
  });
}

function timerNode(el2: boolean): FdtNode {
  // Order of the binding: secure physical, physical, virtual, EL2 physical, EL2 virtual.
  const intids = [ppi.securePhysicalTimer, ppi.physicalTimer, ppi.virtualTimer, ppi.hypTimer, ...(el2 ? [ppi.hypVirtualTimer] : [])];
  return fdtNode("timer", { interrupts: intids.flatMap(ppiCells), "always-on": true, compatible: ["arm,armv8-timer", "arm,armv7-timer"] });
}

function chosenNode(name: string, console: Window, o: VirtTreeOptions): FdtNode {
  return fdtNode(name, {
    "stdout-path": uartPath(console),
    "rng-seed": o.rngSeed,
    "kaslr-seed": o.kaslrSeed,
  });
}

/** Bytes from a seed, for the seeds above: a SplitMix64 sequence, the same for the same seed. Not for cryptography. */
export function seedBytes(seed: bigint, length: number): Uint8Array {
  const mask = 0xffff_ffff_ffff_ffffn;
  const words: number[] = [];
  for (let state = seed & mask; words.length * 4 < length; ) {
    state = (state + 0x9e37_79b9_7f4a_7c15n) & mask;
    let z = ((state ^ (state >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn) & mask;
    z ^= z >> 31n;
    words.push(Number(z >> 32n), Number(z & 0xffff_ffffn));
  }
  return cellsValue(...words).slice(0, length);
}
