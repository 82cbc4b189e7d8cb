// Code that maps another page over its own: behind TLBI, DSB and ISB it goes on in the new one. TLBI of other pages leaves it where it is.

import { describe, expect, it } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import * as a64 from "../support/a64.ts";
import { image, mov, ORIGIN } from "../support/a64.ts";
import { sysWord } from "./sys-helper.ts";

const DSB = 0xd503_3f9f;
const TLBI_VAE2 = sysWord(0, 1, 4, 8, 7, 1, 5);
const TLBI_ALLE2 = sysWord(0, 1, 4, 8, 7, 0, 5);
const register = (base: number) => (d: number, n: number, m: number) => (base | (m << 16) | (n << 5) | d) >>> 0;
const [sub, eor] = [register(0xcb00_0000), register(0xca00_0000)];
const blr = (n: number) => 0xd63f_0000 | (n << 5);

/** Offsets in the image. */
const [PAGE_A, PAGE_B, L1, L2, L3] = [0x1000, 0x2000, 0x3000, 0x4000, 0x5000];
const VA = 0x8000_0000;
/** Access flag, inner shareable, Normal memory by MAIR attribute 0. */
const PAGE = 0x743;
const BLOCK = 0x741;
const TABLE = 3;
const words = (...entries: number[]) => entries.flatMap((low) => [low, 0]);
const pageAt = (offset: number) => ORIGIN + offset + PAGE;

const ROUNDS = 30_000;

/** Each page writes the other's descriptor in its place and tells in X7 which of the two executes what is behind ISB. */
function kernel(tlbi: number): Uint8Array {
  const body = (n: number) => [a64.str64(4, 3), DSB, tlbi, DSB, a64.ISB, ...mov(7, n), a64.br(30)];
  const set = (name: string, value: number) => [...mov(0, value), a64.msr(name, 0)];
  return image(
    [
      ...set("MAIR_EL2", 0xff),
      ...set("TCR_EL2", 25 | (1 << 8) | (1 << 10) | (3 << 12)), // 39 bits, 4K, 32 bits of PA
      ...set("TTBR0_EL2", ORIGIN + L1),
      a64.ISB,
      ...set("SCTLR_EL2", 0x30c5_1835), // M, C, I and RES1
      a64.ISB,
      ...mov(3, ORIGIN + L3),
      ...mov(4, pageAt(PAGE_B)),
      ...mov(6, pageAt(PAGE_A) ^ pageAt(PAGE_B)),
      ...mov(5, VA / 4096),
      ...mov(8, VA),
      ...mov(10, 3),
      ...mov(11, 2),
      ...mov(12, 0),
      // X11 = 2, 1, 2, ...: X12 += X7 * X11
      ...a64.repeat(9, ROUNDS, [blr(8), a64.mul(13, 7, 11), a64.add(12, 12, 13), sub(11, 10, 11), eor(4, 4, 6)]),
      ...a64.POWER_OFF,
    ],
    {
      [PAGE_A]: body(1),
      [PAGE_B]: body(2),
      [L1]: words(0, 0x4000_0000 + BLOCK, ORIGIN + L2 + TABLE),
      [L2]: words(ORIGIN + L3 + TABLE),
      [L3]: words(pageAt(PAGE_A)),
    },
  );
}

describe.each(["interp", "wasm", "js"] as const)("--engine %s", (engine) => {
  it.each([
    ["its own address", TLBI_VAE2],
    ["everything", TLBI_ALLE2],
  ])("TLBI of %s", async (_, tlbi) => {
    const machine = await Machine.create({ kernel: kernel(tlbi), memory: 64 * 2 ** 20, engine });
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    // 2 * 2 and 1 * 1; a page that went on behind its own end would give 1 * 2 and 2 * 1.
    expect(machine.pe().x(12)).toBe(BigInt((ROUNDS / 2) * 5));
  });
});
