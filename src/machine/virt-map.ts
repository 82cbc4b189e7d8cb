// The memory map and interrupt numbers of the machine `virt`: those of QEMU's virt machine with gic-version=3, so that
// the same images and device trees run on both.
//
//   0x00_0000_0000  +-----------------------------+
//                   | flash 0       64 MiB   (S)  |  boot firmware
//   0x00_0400_0000  | flash 1       64 MiB        |  UEFI variables
//   0x00_0800_0000  | GIC distributor     64 KiB  |
//   0x00_0808_0000  | GIC ITS       128 KiB  (*)  |
//   0x00_080A_0000  | GIC redistributors          |  128 KiB for each PE: RD frame, SGI frame
//   0x00_0900_0000  | PL011 UART 0         4 KiB  |  SPI 1   console
//   0x00_0901_0000  | PL031 RTC            4 KiB  |  SPI 2
//   0x00_0902_0000  | fw_cfg             24 bytes |
//   0x00_0903_0000  | PL061 GPIO           4 KiB  |  SPI 7   pin 3 = power key
//   0x00_0904_0000  | PL011 UART 1  4 KiB    (S)  |  SPI 8
//   0x00_090B_0000  | PL061 GPIO    4 KiB    (S)  |          pin 0 = power off, pin 1 = reset
//   0x00_0A00_0000  | virtio-mmio, 32 x 512 bytes |  SPI 16..47, one each
//   0x00_0C00_0000  | platform bus  32 MiB   (*)  |
//   0x00_0E00_0000  | secure RAM    16 MiB   (S)  |
//   0x00_1000_0000  | PCIe windows                |  SPI 3..6 (INTA..INTD)
//   0x00_4000_0000  | RAM                         |
//                   | ...                         |
//   0x40_1000_0000  | PCIe ECAM     256 MiB       |
//   0x80_0000_0000  | PCIe memory   512 GiB       |
//                   +-----------------------------+
//
//   (*) address reserved, nothing modelled there yet      (S) Secure only, with secure=on
//
// An SPI n is INTID 32 + n; a PPI n is INTID 16 + n.

/** A window of the physical address map: base address and size in bytes, and the SPI of its (first) interrupt. */
export interface Window {
  readonly base: number;
  readonly size: number;
  /** SPI number n (INTID 32 + n), absent when the window raises no SPI. */
  readonly spi?: number;
}

/** Windows of the address map. Those marked "reserved" have no device behind them yet. */
// biome-ignore format: table
export const virtMap = {
  flash0:           { base: 0x0000_0000, size: 0x0400_0000 },            // Secure with secure=on
  flash1:           { base: 0x0400_0000, size: 0x0400_0000 },
  gicDistributor:   { base: 0x0800_0000, size: 0x0001_0000 },
  gicIts:           { base: 0x0808_0000, size: 0x0002_0000 },            // reserved
  gicRedistributor: { base: 0x080a_0000, size: 0x00f6_0000 },
  uart0:            { base: 0x0900_0000, size: 0x0000_1000, spi: 1 },
  rtc:              { base: 0x0901_0000, size: 0x0000_1000, spi: 2 },
  fwCfg:            { base: 0x0902_0000, size: 0x0000_0018 },
  gpio:             { base: 0x0903_0000, size: 0x0000_1000, spi: 7 },
  secureUart1:      { base: 0x0904_0000, size: 0x0000_1000, spi: 8 },    // secure=on
  secureGpio:       { base: 0x090b_0000, size: 0x0000_1000 },            // secure=on
  virtioMmio:       { base: 0x0a00_0000, size: 0x0000_4000, spi: 16 },   // 32 windows of VIRTIO_MMIO_SIZE
  platformBus:      { base: 0x0c00_0000, size: 0x0200_0000, spi: 112 },  // reserved
  secureRam:        { base: 0x0e00_0000, size: 0x0100_0000 },            // secure=on
  pcieMmio:         { base: 0x1000_0000, size: 0x2eff_0000, spi: 3 },    // INTA to INTD: SPIs 3 to 6
  pciePio:          { base: 0x3eff_0000, size: 0x0001_0000 },
  pcieEcamLow:      { base: 0x3f00_0000, size: 0x0100_0000 },            // reserved: the high one is used
  ram:              { base: 0x4000_0000, size: 0x3f_c000_0000 },         // the most that fits; the machine adds what -m asks for
  pcieEcam:         { base: 0x40_1000_0000, size: 0x1000_0000 },
  pcieMmioHigh:     { base: 0x80_0000_0000, size: 0x80_0000_0000 },
} as const satisfies Record<string, Window>;

/** Number of virtio-mmio windows and bytes in each. */
export const VIRTIO_MMIO_SLOTS = 32;
export const VIRTIO_MMIO_SIZE = 0x200;

/** Base address and SPI of virtio-mmio window `slot` (0..31). Devices are put in from slot 31 downward. */
export function virtioWindow(slot: number): Required<Window> {
  return { base: virtMap.virtioMmio.base + slot * VIRTIO_MMIO_SIZE, size: VIRTIO_MMIO_SIZE, spi: virtMap.virtioMmio.spi + slot };
}

/** Bytes of redistributor frames for each PE (RD_base and SGI_base, 64 KiB each). */
export const REDISTRIBUTOR_SIZE = 0x2_0000;

/** SPIs that the distributor implements (INTID 32..287). */
export const VIRT_SPIS = 256;

/** Private peripheral interrupts, as INTIDs (the device tree writes INTID - 16). */
// biome-ignore format: table
export const ppi = {
  secureHypVirtualTimer: 19,
  secureHypTimer:        20,
  pmu:                   23,
  gicMaintenance:        25,
  hypTimer:              26,
  virtualTimer:          27,
  hypVirtualTimer:       28,
  securePhysicalTimer:   29,
  physicalTimer:         30,
} as const;

/** Input pin of `gpio` that the power key drives. */
export const POWER_KEY_PIN = 3;

/** Output pins of `secureGpio` and what a rising edge does. */
export const SECURE_GPIO = { POWER_OFF: 0, RESET: 1 } as const;

/** Clock of the PrimeCell devices, in Hz (`apb-pclk`). */
export const APB_CLOCK_HZ = 24_000_000;

/** MPIDR affinity value (Aff3..Aff0 at bits 39:32, 23:0) of PE `index`: 16 PEs in a cluster, as with GICv3 on QEMU. */
export const affinityOf = (index: number): number => ((index >>> 4) << 8) | (index & 15);

/** The highest RAM size in bytes that this machine takes. */
export const MAX_RAM = 8 * 2 ** 30;
