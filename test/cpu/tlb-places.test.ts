// Pages that share an entry of the L1 TLB, used in turn: each has a second place there, and generated code exchanges the two.

import { describe, expect, it } from "vitest";
import { firstPlace, Off, secondPlace, TLB_ENTRIES } from "../../src/arch/layout.ts";
import { Machine } from "../../src/harness/index.ts";
import { Random } from "../isa/oracle/random.ts";
import * as a64 from "../support/a64.ts";
import { EAGER, tune } from "../support/tuning.ts";

const MEMORY = 128 * 2 ** 20;
const RAM = 0x4000_0000;
/** Level 1 table with one block, and the list of pages: offsets in the image. */
const [L1, LIST] = [0x3000, 0x4000];
const VISITS = 500;
const ROUNDS = 40;
/** Four entries, each shared by five pages, 4 MiB apart; as far behind each as this, in pages, is the function that belongs to it. */
const CODE = 0x100;
const PAGES = [0x1c0_0000, 0x1c0_1000, 0x1c0_7000, 0x1df_f000].flatMap((at) => [0, 1, 2, 3, 4].map((n) => RAM + at + n * 0x40_0000));
const RET = 0xd65f_03c0;
/** add xd, xn, #(imm * 4096) */
const addPages = (d: number, n: number, imm: number) => (a64.addImm(d, n, imm) | 0x40_0000) >>> 0;
const blr = (n: number) => (0xd63f_0000 | (n << 5)) >>> 0;

/** For each page of the list: X4 += the page's first doubleword, which goes into its second one; calls its function. */
function visitor(): Uint8Array {
  const set = (name: string, value: number) => [...a64.mov(0, value), a64.msr(name, 0)];
  const visit = [a64.ldr64(2, 1), a64.addImm(1, 1, 8), a64.ldr64(3, 2), a64.add(4, 4, 3), a64.str64(4, 2, 8), addPages(6, 2, CODE), blr(6)];
  const round = [...a64.mov(1, a64.ORIGIN + LIST), ...a64.repeat(10, VISITS, visit)];
  const code = [
    ...set("MAIR_EL2", 0xff),
    ...set("TCR_EL2", 25 | (1 << 8) | (1 << 10) | (3 << 12)),
    ...set("TTBR0_EL2", a64.ORIGIN + L1),
    a64.ISB,
    ...set("SCTLR_EL2", 0x30c5_1835),
    a64.ISB,
    ...a64.mov(4, 0),
    ...a64.mov(5, 0),
    ...a64.repeat(9, ROUNDS, round),
    ...a64.HALT,
  ];
  return a64.image(code, { [L1]: [0, 0, RAM + 0x741, 0] });
}

describe.each(["interp", "wasm", "js"] as const)("--engine %s", (engine) => {
  it("finds pages that share an entry, and rarely asks for them", async () => {
    const machine = await Machine.create({ kernel: visitor(), memory: MEMORY, engine });
    tune(machine, EAGER);
    const rng = new Random(5);
    const list = Array.from({ length: VISITS }, () => PAGES[rng.below(PAGES.length)] as number);
    machine.writeMemory(a64.ORIGIN + LIST, new Uint8Array(BigUint64Array.from(list, BigInt).buffer));
    PAGES.forEach((page, n) => {
      machine.writeMemory(page, new Uint8Array(BigUint64Array.of(BigInt(n + 1)).buffer));
      machine.writeMemory(page + 4096 * CODE, new Uint8Array(Uint32Array.of(a64.addImm(5, 5, n), RET).buffer));
    });
    await machine.runInstructions(VISITS * ROUNDS * 14);

    const pe = machine.pe();
    const of = (value: (n: number) => number) => BigInt(ROUNDS * list.reduce((sum, page) => sum + value(PAGES.indexOf(page)), 0));
    expect([pe.x(4), pe.x(5)]).toEqual([of((n) => n + 1), of((n) => n)]);
    expectTrue(machine);
    // Reads, writes and fetches of each visit; the JavaScript engine does not look at second places.
    if (engine !== "js") expect(machine.board.pes[0]?.mmu.hits).toBeLessThan((3 * VISITS * ROUNDS) / 10);
  });
});

/** What the L1 has for data leads where the flat mapping leads, and stands in one of its two places. */
function expectTrue({ board: { pes, phys } }: Machine): void {
  const { st } = pes[0] as NonNullable<(typeof pes)[0]>;
  let second = 0;
  for (const table of [Off.TLB_R, Off.TLB_W].map((off) => st.lo(off))) {
    for (let place = 0; place < TLB_ENTRIES; place++) {
      const [tag, hi, addend] = [0, 4, 8].map((at) => phys.view.getUint32(table + 16 * place + at, true)) as [number, number, number];
      if ((tag & 1) !== 0) continue;
      expect((tag + addend) >>> 0).toBe(phys.host(tag) >>> 0);
      if (place === firstPlace(tag)) continue;
      expect(place).toBe(secondPlace(tag, hi));
      second++;
    }
  }
  expect(second).toBeGreaterThan(PAGES.length / 4);
}
