// Which platform firmware was built for, as far as the device addresses in it tell.

interface Platform {
  readonly name: string;
  /** Base addresses that its firmware has to mention: consoles, interrupt controllers, power control. */
  readonly addresses: readonly number[];
}

// biome-ignore format: table
const platforms: readonly Platform[] = [
  { name: "QEMU virt",          addresses: [0x0800_0000, 0x080a_0000, 0x0900_0000, 0x0904_0000, 0x090b_0000, 0x0902_0000, 0x0e00_0000] },
  { name: "QEMU sbsa-ref",      addresses: [0x4006_0000, 0x4008_0000, 0x6000_0000, 0x6003_0000, 0x5010_0000, 0x100_0000_0000] },
  { name: "Arm FVP Base",       addresses: [0x1c09_0000, 0x1c0a_0000, 0x1c01_0000, 0x1c10_0000, 0x2f00_0000, 0x2f10_0000, 0x0400_0000] },
  { name: "Arm Juno",           addresses: [0x7ff8_0000, 0x7ff7_0000, 0x2c01_0000, 0x1c01_0000, 0x2b1f_0000] },
  { name: "Raspberry Pi 4",     addresses: [0xfe20_1000, 0xfe21_5040, 0xff84_1000, 0xff80_0000, 0xfc00_0000] },
  { name: "Raspberry Pi 3",     addresses: [0x3f20_1000, 0x3f21_5040, 0x3f00_b880, 0x3f98_0000] },
  { name: "Rockchip RK3399",    addresses: [0xff1a_0000, 0xfee0_0000, 0xfef0_0000, 0xff77_0000] },
  { name: "Allwinner A64",      addresses: [0x01c2_8000, 0x01c8_1000, 0x01f0_1400, 0x01c2_0000] },
  { name: "Allwinner H6",       addresses: [0x0500_0000, 0x0302_1000, 0x0302_2000, 0x0701_0000, 0x0702_2000, 0x0708_3000] },
  { name: "Amlogic G12",        addresses: [0xff80_3000, 0xffc0_1000, 0xffc0_2000, 0xffd0_0000, 0xff62_0000] },
  { name: "TI K3",              addresses: [0x0280_0000, 0x0180_0000, 0x4d00_8000, 0x4a60_8000, 0x00a9_0000] },
  { name: "NXP i.MX 8M",        addresses: [0x3086_0000, 0x3880_0000, 0x3888_0000, 0x3039_0000] },
  { name: "AMD Zynq UltraScale+", addresses: [0xff00_0000, 0xf901_0000, 0xf902_0000, 0xfd1a_0000] },
];
/** Fewer could be chance. */
const ENOUGH = 2;

/** The platform most of whose addresses occur, when it is clearly ahead of the others. */
export function platformOf(addresses: ReadonlySet<number>): string | undefined {
  const ranked = platforms
    .map(({ name, addresses: own }) => ({ name, hits: own.filter((a) => addresses.has(a)).length }))
    .sort((a, b) => b.hits - a.hits);
  const [first, second] = ranked;
  return first !== undefined && first.hits >= ENOUGH && first.hits > (second?.hits ?? 0) ? first.name : undefined;
}
