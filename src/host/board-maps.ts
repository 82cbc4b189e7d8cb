// What the two kinds of guest machine look like: addresses are in the lower, protected half of the guest's IPA space; a realm reaches
// devices at the same address in the upper half.
//
// virt: QEMU's machine of that name, as src/machine/virt-map.ts has it. kvmtool: `lkvm run` on arm64.

/** A window of the address map: base and size in bytes; `spi`: its interrupt, INTID 32 + spi. */
export interface Window {
  readonly base: number;
  readonly size: number;
  readonly spi?: number;
}

export type BoardName = "virt" | "kvmtool";

export interface BoardMap {
  readonly name: BoardName;
  readonly ram: number;
  readonly gicDistributor: Window;
  /** Base of the redistributors of a machine with that many PEs. */
  gicRedistributor(pes: number): number;
  readonly uarts: readonly Required<Window>[];
  readonly rtc: Window;
  /** General purpose I/O with the power button on one of its pins. */
  readonly gpio?: Required<Window> & { readonly powerKey: number };
  /** Slot `n` of virtio-mmio. */
  virtio(n: number): Required<Window>;
  readonly virtioSlots: number;
  /** Bits of an IPA that the machine uses, RAM of that many bytes included. */
  addressBits(memory: number): number;
  /** Name of the first serial port in Linux. */
  readonly console: string;
}

const VIRTIO_SIZE = 0x200;
const REDISTRIBUTOR = 0x2_0000;
const KVMTOOL_GICD = 0x3fff_0000;

/** Bits needed for addresses up to `last`. */
const bitsFor = (last: number): number => Math.ceil(Math.log2(last + 1));

// biome-ignore format: table
export const boardMaps: Readonly<Record<BoardName, BoardMap>> = {
  virt: {
    name: "virt",
    ram: 0x4000_0000,
    gicDistributor:     { base: 0x0800_0000, size: 0x1_0000 },
    gicRedistributor: () => 0x080a_0000,
    uarts:             [{ base: 0x0900_0000, size: 0x1000, spi: 1 }],
    rtc:                { base: 0x0901_0000, size: 0x1000, spi: 2 },
    gpio:               { base: 0x0903_0000, size: 0x1000, spi: 7, powerKey: 3 },
    virtio: (n) =>     ({ base: 0x0a00_0000 + n * VIRTIO_SIZE, size: VIRTIO_SIZE, spi: 16 + n }),
    virtioSlots: 32,
    // The window for 64-bit PCI memory ends at 2^40.
    addressBits: (memory) => Math.max(40, bitsFor(0x4000_0000 + memory - 1)),
    console: "ttyAMA0",
  },
  kvmtool: {
    name: "kvmtool",
    ram: 0x8000_0000,
    gicDistributor:     { base: KVMTOOL_GICD, size: 0x1_0000 },
    gicRedistributor: (pes) => KVMTOOL_GICD - pes * REDISTRIBUTOR,
    uarts: [0, 1, 2, 3].map((n) => ({ base: 0x0100_0000 + n * 0x1000, size: 8, spi: n })),
    rtc:                { base: 0x0101_0000, size: 2 },
    virtio: (n) =>     ({ base: 0x0300_0000 + n * VIRTIO_SIZE, size: VIRTIO_SIZE, spi: 4 + n }),
    virtioSlots: 8,
    addressBits: (memory) => Math.max(32, bitsFor(0x8000_0000 + memory - 1)),
    console: "ttyS0",
  },
};

/** IPA width of a realm on this board, in bits: twice the address space, the upper half for what is shared with the host. */
export const ipaBitsOf = (map: BoardMap, memory: number): number => map.addressBits(memory) + 1;

/** MPIDR affinity of PE `n`: 16 PEs in a cluster. RMI has Aff0 in 3:0. */
export const affinityOf = (n: number): number => ((n >>> 4) << 8) | (n & 15);
