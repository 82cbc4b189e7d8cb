import { beforeEach, expect, test } from "vitest";
import { Vgic } from "../../src/host/vgic.ts";
import { RecEnter, RecExit } from "../../src/rmm/layouts.ts";
import { blank } from "../../src/rmm/struct.ts";

const who = { pas: 1, pe: 0 } as const;
const PENDING = 1n << 62n;
const ACTIVE = 1n << 63n;
const EOI = 1n << 41n;
const SGI_FRAME = 0x1_0000;

let vgic: Vgic;
let kicks: number[];
beforeEach(() => {
  kicks = [];
  vgic = new Vgic({ recs: 2, spis: 64, listRegisters: 2, affinity: (n) => n, changed: (n) => kicks.push(n) });
  vgic.distributor.write(0, 4, 2, who); // Group 1
  for (const rec of [0, 1]) {
    const base = rec * 0x2_0000;
    vgic.redistributor.write(base + 0x14, 4, 0, who); // awake
    vgic.redistributor.write(base + SGI_FRAME + 0x80, 4, 0xffff_ffff, who);
    vgic.redistributor.write(base + SGI_FRAME + 0x100, 4, 0xffff_ffff, who);
  }
  vgic.distributor.write(0x84, 4, 0xffff_ffff, who);
  vgic.distributor.write(0x104, 4, 0xffff_ffff, who);
  kicks = [];
});

function enter(rec: number): { lrs: bigint[]; hcr: bigint } {
  const e = blank(RecEnter);
  vgic.enter(rec, e);
  return { lrs: [0, 1].map((i) => e.get("gicv3_lrs", i)), hcr: e.get("gicv3_hcr") };
}
function exit(rec: number, lrs: bigint[], hcr = 0n): void {
  const x = blank(RecExit);
  for (const [i, lr] of lrs.entries()) x.set("gicv3_lrs", lr, i);
  x.set("gicv3_hcr", hcr);
  vgic.exit(rec, x);
}
const intid = (lr: bigint): number => Number(lr & 0xffff_ffffn);

test("a level interrupt: pending, active, and again while the line is high", () => {
  const line = vgic.spi(1);
  line.set(true);
  expect(kicks).toEqual([0]);
  const first = enter(0);
  expect(first.lrs.map(intid)).toEqual([33, 0]);
  expect(first.lrs[0]! & (PENDING | ACTIVE | EOI)).toBe(PENDING | EOI);
  exit(0, [(first.lrs[0]! & ~PENDING) | ACTIVE, 0n]);
  // Its handler has not run to the end: active only, although the line is high.
  const second = enter(0);
  expect(second.lrs[0]! & (PENDING | ACTIVE)).toBe(ACTIVE);
  exit(0, [second.lrs[0]! & ~ACTIVE, 0n]);
  expect(enter(0).lrs[0]! & (PENDING | ACTIVE)).toBe(PENDING);
  exit(0, [PENDING | 33n, 0n]);
  line.set(false);
  expect(enter(0).lrs).toEqual([0n, 0n]);
});

test("an edge that was not taken stays pending, one that was taken is gone", () => {
  vgic.distributor.write(0xc08, 4, 2 << 2, who); // SPI 1: edge
  vgic.spi(1).set(true);
  vgic.spi(1).set(false);
  const first = enter(0);
  expect(intid(first.lrs[0]!)).toBe(33);
  exit(0, first.lrs);
  const again = enter(0);
  expect(again.lrs[0]! & PENDING).toBe(PENDING);
  exit(0, [0n, 0n]);
  expect(enter(0).lrs).toEqual([0n, 0n]);
});

test("SGIs go to the PEs of the list, or to all others", () => {
  vgic.sendSgi(0, (3n << 24n) | 0b10n);
  expect(kicks).toEqual([1]);
  expect(intid(enter(1).lrs[0]!)).toBe(3);
  vgic.sendSgi(1, (5n << 24n) | (1n << 40n));
  expect(intid(enter(0).lrs[0]!)).toBe(5);
});

test("more than list registers: the most urgent ones, and a maintenance interrupt for the others", () => {
  for (const n of [20, 21, 22]) vgic.setPrivate(0, n, true);
  vgic.redistributor.write(SGI_FRAME + 0x400 + 22, 1, 0, who);
  for (const n of [20, 21]) vgic.redistributor.write(SGI_FRAME + 0x400 + n, 1, 0x80, who);
  const { lrs, hcr } = enter(0);
  expect(lrs.map(intid)).toEqual([22, 20]);
  expect(hcr).toBe(8n); // NPIE
});

test("EOIcount ends active interrupts without a list register", () => {
  for (const n of [20, 21, 22]) vgic.setPrivate(0, n, true);
  vgic.redistributor.write(SGI_FRAME + 0x300, 4, 7 << 20, who); // all three active
  expect(enter(0).hcr & 4n).toBe(4n); // LRENPIE
  exit(0, [ACTIVE | 20n, ACTIVE | 21n], 1n << 27n);
  expect(vgic.redistributor.read(SGI_FRAME + 0x300, 4, who)).toBe(3 << 20);
});

test("SPIs follow their route", () => {
  vgic.distributor.write(0x6000 + 8 * 33, 4, 1, who);
  kicks = [];
  vgic.spi(1).set(true);
  expect(kicks).toEqual([1]);
  expect(enter(0).lrs).toEqual([0n, 0n]);
  expect(vgic.pending(1)).toBe(true);
});
