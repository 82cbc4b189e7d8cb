// What a boot loader writes into a device tree before it hands it to a kernel: /chosen, and for a given tree also /memory and /psci.

import { EmuError } from "../util/errors.ts";
import { ensureChild, type FdtNode, type FdtTree, fdtNode, numberCells, propertyCells, setProperty } from "./fdt.ts";

/** A range of physical addresses: base and size in bytes. */
export interface Range {
  base: number;
  size: number;
}

/** The PSCI node, with the function numbers that PSCI 0.1 drivers want. `method`: firmware is called by SMC, a hypervisor by HVC. */
export function psciNode(method: "smc" | "hvc" = "smc"): FdtNode {
  return fdtNode("psci", {
    migrate: 0xc400_0005,
    cpu_on: 0xc400_0003,
    cpu_off: 0x8400_0002,
    cpu_suspend: 0xc400_0001,
    method,
    compatible: ["arm,psci-1.0", "arm,psci-0.2", "arm,psci"],
  });
}

/** #address-cells and #size-cells of the root node. Throws EmuError("dtb-cells") when they cannot describe `ram`. */
function rootCells(root: FdtNode, ram: Range): { address: number; size: number } {
  const cells = (name: string, otherwise: number): number => {
    if (!root.properties.has(name)) return otherwise; // the specification's defaults
    const value = propertyCells(root, name);
    if (value?.length !== 1 || (value[0] !== 1 && value[0] !== 2))
      throw new EmuError("dtb-cells", `bad device tree: ${name} of the root node must be 1 or 2`);
    return value[0];
  };
  const found = { address: cells("#address-cells", 2), size: cells("#size-cells", 1) };
  if ((found.address === 1 && ram.base + ram.size > 2 ** 32) || (found.size === 1 && ram.size >= 2 ** 32)) {
    throw new EmuError("dtb-cells", "the given device tree has 32-bit addresses or sizes: too few for this much memory");
  }
  return found;
}

/** Writes bootargs and the place of the initrd into /chosen. An empty `bootargs` leaves what is there. */
export function patchChosen(tree: FdtTree, ram: Range, bootargs: string, initrd: Range | undefined): void {
  const chosen = ensureChild(tree.root, "chosen");
  if (bootargs.includes("\0")) throw new EmuError("bootargs-nul", "the kernel command line has a NUL character", 2);
  if (bootargs !== "") setProperty(chosen, "bootargs", bootargs);
  if (!initrd) return;
  const { address } = rootCells(tree.root, ram);
  setProperty(chosen, "linux,initrd-start", numberCells(initrd.base, address));
  setProperty(chosen, "linux,initrd-end", numberCells(initrd.base + initrd.size, address));
}

/** Makes a tree from a file fit this machine: the memory nodes are replaced by one for `ram`; /psci is added when it has none. */
export function patchGivenTree(tree: FdtTree, ram: Range): void {
  const { root } = tree;
  const cells = rootCells(root, ram);
  root.children = root.children.filter((c) => c.name !== "memory" && !c.name.startsWith("memory@"));
  const reg = [...numberCells(ram.base, cells.address), ...numberCells(ram.size, cells.size)];
  root.children.push(fdtNode(`memory@${ram.base.toString(16)}`, { reg, device_type: "memory" }));
  if (!root.children.some((c) => c.name === "psci")) root.children.push(psciNode());
}
