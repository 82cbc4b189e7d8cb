// Device trees of guest machines. Without seeds for randomness: they would make the measurement of every realm another one.

import { type FdtNode, type FdtTree, fdtNode, numberCells, type PropertyValue } from "../loader/fdt.ts";
import { psciNode } from "../loader/fdt-patch.ts";
import { affinityOf, type BoardMap, type Window } from "./board-maps.ts";

export interface TreeOptions {
  map: BoardMap;
  /** Bytes. */
  memory: number;
  pes: number;
  pmu: boolean;
  /** How the guest calls PSCI. */
  conduit: "smc" | "hvc";
  /** Number of virtio slots that are there. */
  virtioSlots: number;
}

const clockPhandle = 0x8000;
const gicPhandle = 0x8001;
const gpioPhandle = 0x8002;
const APB_CLOCK_HZ = 24_000_000;
const UART16550_HZ = 1_843_200;
const Trigger = { EDGE_RISING: 1, LEVEL_HIGH: 4, LEVEL_LOW: 8 } as const;
/** PPIs of the secure, physical, virtual and EL2 timers, less 16. */
const TIMER_PPIS = [13, 14, 11, 10];
const PMU_PPI = 7;

const reg = (...windows: Window[]): number[] => windows.flatMap((w) => [...numberCells(w.base, 2), ...numberCells(w.size, 2)]);
const unit = (name: string, base: number): string => `${name}@${base.toString(16)}`;
const spi = (n: number, trigger: number): number[] => [0, n, trigger];

/** Builds the tree. The same options always give the same tree. */
export function guestTree(o: TreeOptions): FdtTree {
  const { map } = o;
  const virtio = Array.from({ length: o.virtioSlots }, (_, n) => virtioNode(map.virtio(n)));
  const own = map.name === "virt" ? primecells(map) : pcDevices(map);
  const [first] = map.uarts;
  const serial = `/${unit(map.name === "virt" ? "pl011" : "U6_16550A", (first as Window).base)}`;
  const root = fdtNode(
    "",
    {
      "interrupt-parent": gicPhandle,
      compatible: "linux,dummy-virt",
      "dma-coherent": true,
      "#address-cells": 2,
      "#size-cells": 2,
    },
    [
      psciNode(o.conduit),
      fdtNode(unit("memory", map.ram), { device_type: "memory", reg: reg({ base: map.ram, size: o.memory }) }),
      cpusNode(o.pes),
      gicNode(map, o.pes),
      timerNode(map),
      ...(o.pmu ? [fdtNode("pmu", { compatible: "arm,armv8-pmuv3", interrupts: [1, PMU_PPI, Trigger.LEVEL_HIGH] })] : []),
      ...own,
      ...virtio,
      fdtNode("aliases", { serial0: serial }),
      fdtNode("chosen", { "stdout-path": map.name === "virt" ? serial : "serial0" }),
    ],
  );
  return { root, reservations: [], bootCpu: 0 };
}

function cpusNode(pes: number): FdtNode {
  const cpu = (n: number): FdtNode =>
    fdtNode(unit("cpu", affinityOf(n)), {
      device_type: "cpu",
      compatible: "arm,arm-v8",
      reg: affinityOf(n),
      "enable-method": pes > 1 ? "psci" : undefined,
    });
  return fdtNode(
    "cpus",
    { "#address-cells": 1, "#size-cells": 0 },
    Array.from({ length: pes }, (_, n) => cpu(n)),
  );
}

function gicNode(map: BoardMap, pes: number): FdtNode {
  return fdtNode(unit("intc", map.gicDistributor.base), {
    compatible: "arm,gic-v3",
    "#interrupt-cells": 3,
    "interrupt-controller": true,
    reg: reg(map.gicDistributor, { base: map.gicRedistributor(pes), size: pes * 0x2_0000 }),
    phandle: gicPhandle,
    "#address-cells": 2,
    "#size-cells": 2,
    ranges: true,
  });
}

function timerNode(map: BoardMap): FdtNode {
  const trigger = map.name === "virt" ? Trigger.LEVEL_HIGH : Trigger.LEVEL_LOW;
  return fdtNode("timer", {
    compatible: ["arm,armv8-timer", "arm,armv7-timer"],
    interrupts: TIMER_PPIS.flatMap((n) => [1, n, trigger]),
    "always-on": true,
  });
}

function virtioNode(w: Required<Window>): FdtNode {
  return fdtNode(unit("virtio_mmio", w.base), {
    compatible: "virtio,mmio",
    reg: reg(w),
    interrupts: spi(w.spi, Trigger.EDGE_RISING),
    "dma-coherent": true,
  });
}

function primecells(map: BoardMap): FdtNode[] {
  const node = (name: string, w: Window, clocks: Record<string, PropertyValue>): FdtNode =>
    fdtNode(unit(name, w.base), {
      compatible: [`arm,${name}`, "arm,primecell"],
      reg: reg(w),
      interrupts: spi(w.spi ?? 0, Trigger.LEVEL_HIGH),
      ...clocks,
    });
  const clock = fdtNode("apb-pclk", {
    compatible: "fixed-clock",
    "#clock-cells": 0,
    "clock-frequency": APB_CLOCK_HZ,
    "clock-output-names": "clk24mhz",
    phandle: clockPhandle,
  });
  return [
    clock,
    ...map.uarts.map((w) => node("pl011", w, { clocks: [clockPhandle, clockPhandle], "clock-names": ["uartclk", "apb_pclk"] })),
    node("pl031", map.rtc, { clocks: clockPhandle, "clock-names": "apb_pclk" }),
    ...(map.gpio ? powerKey(map.gpio.powerKey, node("pl061", map.gpio, gpioProperties)) : []),
  ];
}

const gpioProperties: Record<string, PropertyValue> = {
  "gpio-controller": true,
  "#gpio-cells": 2,
  clocks: clockPhandle,
  "clock-names": "apb_pclk",
  phandle: gpioPhandle,
};
const LINUX_KEY_POWER = 116;
/** The power button on a pin of a controller. */
function powerKey(pin: number, controller: FdtNode): FdtNode[] {
  const key = fdtNode("poweroff", { gpios: [gpioPhandle, pin, 0], "linux,code": LINUX_KEY_POWER, label: "GPIO Key Poweroff" });
  return [fdtNode("gpio-keys", { compatible: "gpio-keys" }, [key]), controller];
}

function pcDevices(map: BoardMap): FdtNode[] {
  const uart = (w: Required<Window>): FdtNode =>
    fdtNode(unit("U6_16550A", w.base), {
      compatible: "ns16550a",
      "clock-frequency": UART16550_HZ,
      reg: reg(w),
      interrupts: spi(w.spi, Trigger.LEVEL_HIGH),
    });
  return [...map.uarts.map(uart), fdtNode(unit("rtc", map.rtc.base), { compatible: "motorola,mc146818", reg: reg(map.rtc) })];
}
