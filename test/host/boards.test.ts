import { describe, expect, test } from "vitest";
import { boardMaps, ipaBitsOf } from "../../src/host/board-maps.ts";
import { guestTree } from "../../src/host/board-tree.ts";
import { ripasSpans } from "../../src/host/image.ts";
import { startLevelOf } from "../../src/host/realm.ts";
import { findNode, propertyCells, propertyStrings } from "../../src/loader/fdt.ts";
import { virtioWindow, virtMap } from "../../src/machine/virt-map.ts";

const MiB = 2 ** 20;
const GiB = 2 ** 30;

describe("virt", () => {
  const map = boardMaps.virt;
  test("is the machine `virt`", () => {
    expect(map.ram).toBe(virtMap.ram.base);
    expect(map.gicDistributor).toEqual(virtMap.gicDistributor);
    expect(map.gicRedistributor(4)).toBe(virtMap.gicRedistributor.base);
    expect(map.uarts).toEqual([virtMap.uart0]);
    expect(map.rtc).toEqual(virtMap.rtc);
    for (const n of [0, 7, 31]) expect(map.virtio(n)).toEqual(virtioWindow(n));
  });
  test("IPAs of 41 bits: the UART's alias is 0x100_0900_0000", () => {
    expect(ipaBitsOf(map, 512 * MiB)).toBe(41);
    expect(map.uarts[0]!.base + 2 ** 40).toBe(0x100_0900_0000);
    expect(startLevelOf(41)).toBe(1);
  });
});

describe("kvmtool", () => {
  const map = boardMaps.kvmtool;
  test("addresses of lkvm", () => {
    expect(map.ram).toBe(0x8000_0000);
    expect(map.uarts.map((u) => [u.base, u.spi])).toEqual([0, 1, 2, 3].map((n) => [0x0100_0000 + n * 0x1000, n]));
    expect(map.gicRedistributor(2)).toBe(0x3ffb_0000);
  });
  test("IPAs of 33 bits up to 2 GiB, of 34 above: the UART's alias is 0x1_0100_0000", () => {
    expect([ipaBitsOf(map, 16 * MiB), ipaBitsOf(map, 2 * GiB), ipaBitsOf(map, 2 * GiB + 2 * MiB)]).toEqual([33, 33, 34]);
    expect(map.uarts[0]!.base + 2 ** 32).toBe(0x1_0100_0000);
    expect(startLevelOf(33)).toBe(2);
  });
});

test.each(["virt", "kvmtool"] as const)("the device tree of %s names what is there", (name) => {
  const map = boardMaps[name];
  const { root } = guestTree({ map, memory: 64 * MiB, pes: 2, pmu: false, conduit: "smc", virtioSlots: 3 });
  expect(propertyStrings(findNode(root, "/psci")!, "method")).toEqual(["smc"]);
  expect(propertyCells(findNode(root, `/memory@${map.ram.toString(16)}`)!, "reg")).toEqual([0, map.ram, 0, 64 * MiB]);
  const gic = findNode(root, `/intc@${map.gicDistributor.base.toString(16)}`)!;
  expect(propertyCells(gic, "reg")).toEqual([0, map.gicDistributor.base, 0, 0x10000, 0, map.gicRedistributor(2), 0, 0x40000]);
  expect(root.children.filter((c) => c.name.startsWith("virtio_mmio"))).toHaveLength(3);
  expect(findNode(root, "/cpus")!.children).toHaveLength(2);
  const serial = propertyStrings(findNode(root, "/aliases")!, "serial0")![0]!;
  expect(propertyCells(findNode(root, serial)!, "reg")!.slice(0, 2)).toEqual([0, map.uarts[0]!.base]);
});

describe("RIPAS spans", () => {
  test("largest entries that fit", () => {
    expect(ripasSpans(GiB, GiB + 512 * MiB, 1)).toEqual([{ base: GiB, top: GiB + 512 * MiB, level: 2 }]);
    expect(ripasSpans(GiB, 2 * GiB + 4 * MiB, 1)).toEqual([
      { base: GiB, top: 2 * GiB, level: 1 },
      { base: 2 * GiB, top: 2 * GiB + 4 * MiB, level: 2 },
    ]);
    expect(ripasSpans(GiB, 2 * GiB, 2)).toEqual([{ base: GiB, top: 2 * GiB, level: 2 }]);
    expect(ripasSpans(0x1000, 0x3000, 1)).toEqual([{ base: 0x1000, top: 0x3000, level: 3 }]);
  });
});
