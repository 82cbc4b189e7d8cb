// Data accesses with stage 1 translation off: Device-nGnRnE memory, at the speed of RAM, with the alignment faults that go with it.

import { describe, expect, it } from "vitest";
import { Machine } from "../../src/harness/index.ts";
import * as a64 from "../support/a64.ts";
import { image, mov, ORIGIN } from "../support/a64.ts";

const DATA = ORIGIN + 0x1_0000;
const DC_ZVA_X1 = 0xd50b_7421;
const LDP_X2_X3 = 0xa940_0c22; // ldp x2, x3, [x1]
const LDXR_X2 = 0xc85f_7c22; // ldxr x2, [x1]
const LDADD = 0xf820_0022; // ldadd x0, x2, [x1]
/** SCTLR_EL2.A */
const CHECKED = [a64.mrs(0, "SCTLR_EL2"), 0xb27f_0000, a64.msr("SCTLR_EL2", 0), a64.ISB]; // orr x0, x0, #2

async function run(code: readonly number[], cpu = "max"): Promise<Machine> {
  const start = [...a64.useVectors(2), ...mov(26, 0), ...mov(27, 0), ...mov(1, DATA), ...mov(0, 0x1122_3344_5566_7788n)];
  const machine = await Machine.create({
    kernel: image([...start, ...code, ...a64.POWER_OFF], { 2048: a64.skippingVectors(2) }),
    memory: 64 * 2 ** 20,
    cpu,
  });
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  return machine;
}

/** Loads and stores that bring the page into the L1 TLB. */
const TOUCH = [a64.str64(0, 1), a64.ldr64(2, 1)];
/** x1 += n */
const move = (n: number): number => a64.addImm(1, 1, n);

describe.each(["max", "max,rme=on"])("stage 1 off, --cpu %s", (cpu) => {
  // biome-ignore format: table
  const faults: [what: string, code: number[], esr: bigint, offset: number][] = [
    ["a misaligned load",                   [move(1), a64.ldr64(2, 1)],            0x9600_0021n, 1],
    ["a misaligned store",                  [move(4), a64.str64(0, 1)],            0x9600_0061n, 4],
    ["a halfword at an odd address",        [move(3), a64.str16(0, 1)],            0x9600_0061n, 3],
    ["a pair aligned to less than its elements", [move(4), LDP_X2_X3],             0x9600_0021n, 4],
    ["a misaligned exclusive",              [move(4), LDXR_X2],                    0x9600_0021n, 4],
    ["a misaligned atomic",                 [move(2), LDADD],                      0x9600_0021n, 2],
    ["DC ZVA",                              [move(8), DC_ZVA_X1],                  0x9600_0061n, 8],
    ["SCTLR_ELx.A changes nothing",         [...CHECKED, move(1), a64.ldr64(2, 1)], 0x9600_0021n, 1],
  ];
  it.each(faults)("%s: alignment fault, before and after the page is in the TLB", async (_what, code, esr, offset) => {
    for (const before of [[], TOUCH]) {
      const pe = (await run([...before, ...code], cpu)).pe();
      expect({ count: pe.x(28), esr: pe.x(26), far: pe.x(27) }).toEqual({ count: 1n, esr, far: BigInt(DATA + offset) });
    }
  });

  it("aligned accesses of every kind work", async () => {
    const pe = (await run([...TOUCH, LDXR_X2, LDADD, LDP_X2_X3], cpu)).pe();
    expect([pe.x(28), pe.x(2)]).toEqual([0n, 2n * 0x1122_3344_5566_7788n]);
  });

  it("stores take no walk each", async () => {
    const machine = await run(a64.repeat(9, 5000, [a64.str64(0, 1), a64.ldr64(2, 1)]), cpu);
    const mmu = machine.board.pes[0]?.mmu;
    expect((mmu?.hits ?? 0) + (mmu?.walks ?? 0)).toBeLessThan(100);
  });

  it("code that is written while it is in both TLBs is executed as written", async () => {
    // The routine at DATA returns in x3 what its first instruction sets; it is called, rewritten, called again.
    const [RET, BLR_X1] = [0xd65f_03c0, 0xd63f_0020];
    const put = (value: number) => [...mov(0, (BigInt(RET) << 32n) | BigInt(mov(3, value)[0] as number)), a64.str64(0, 1)];
    const pe = (await run([...put(5), BLR_X1, ...mov(4, 0), a64.add(4, 4, 3), ...put(7), BLR_X1, a64.add(4, 4, 3)], cpu)).pe();
    expect([pe.x(28), pe.x(4)]).toEqual([0n, 12n]);
  });
});
