// What crosses the border between host and realm: nothing but what the ABI says. Every register and every granule is tried.

import { expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { GranuleState } from "../../src/rmm/granules.ts";
import { Access, Bench } from "./bench.ts";

/** Registers that EL1 or EL0 can write, stored in the PE's block. The GIC's are ICV_* there; PMU registers of a realm without PMU trap. */
function writableAtEl1(b: Bench): { name: string; slot: number; mask: bigint }[] {
  return b
    .pe()
    .regs.all.filter((r) => r.writeEl <= 1 && !r.alias && r.record.writable !== 0n && !["gic", "pmu"].includes(r.record.effect))
    .filter(
      (r) =>
        !["NZCV", "DAIF", "SPSel", "PAN", "UAO", "DIT", "SSBS", "FPCR", "FPSR", "OSLAR_EL1", "DBGCLAIMCLR_EL1", "PMUSERENR_EL0"].includes(
          r.name,
        ),
    )
    .filter((r) => !/TVAL|^CNTPS/.test(r.name)) // TVAL is a view of CVAL; CNTPS is UNDEFINED outside Secure state
    .map((r) => ({ name: r.name, slot: r.slot, mask: r.record.writable & 0xffff_ffff_ffff_ffffn }));
}

it("registers of EL1 and EL0: the realm sees none of the host's, the host none of the realm's", () => {
  const b = new Bench();
  const r = b.active();
  const { st } = b.pe();
  const regs = writableAtEl1(b);
  expect(regs.length).toBeGreaterThan(40);
  const host = (slot: number): bigint => 0x1357_9bdf_0246_8ace_1111n ^ (BigInt(slot) * 0x0101_0101_0101n);
  const realm = (slot: number): bigint => 0xfedc_ba98_7654_3210n ^ (BigInt(slot) * 0x0303_0303n);
  // Bits that would stop the PE or change what it is are left alone: debug, timers on.
  const keep = (name: string): boolean => /^(MDSCR|DBG|CNT.*CTL|OSDLR|DBGPRCR)/.test(name);
  for (const { slot, mask } of regs) st.set(slot, BigInt.asUintN(64, host(slot)) & mask);
  for (const { name, slot } of regs) if (keep(name)) st.set(slot, 0n);
  for (let i = 0; i < 128; i++) st.setLo(Off.V + 4 * i, 0xa000_0000 + i);
  b.enter(r);
  for (const { name, slot, mask } of regs) {
    if (!keep(name))
      expect(st.get(slot) === (BigInt.asUintN(64, host(slot)) & mask) && st.get(slot) !== 0n, `the realm sees ${name}`).toBe(false);
  }
  for (let i = 0; i < 128; i++) expect(st.lo(Off.V + 4 * i)).toBe(0);
  for (let n = 0; n < 31; n++) expect(st.x(n)).toBe(0n);
  for (const { name, slot, mask } of regs) if (!keep(name)) st.set(slot, realm(slot) & mask);
  for (let i = 0; i < 128; i++) st.setLo(Off.V + 4 * i, 0xdead_0000 + i);
  for (let n = 0; n < 31; n++) st.setX(n, 0xdead_dead_0000_0000n + BigInt(n));
  b.interrupt(r);
  for (const { name, slot, mask } of regs) {
    if (!keep(name)) expect(st.get(slot), `the host gets ${name} back`).toBe(BigInt.asUintN(64, host(slot)) & mask);
  }
  for (let i = 0; i < 128; i++) expect(st.lo(Off.V + 4 * i)).toBe(0xa000_0000 + i);
  for (let n = 5; n < 18; n++) expect(st.x(n)).toBe(0xb0b0_0000_0000_0000n + BigInt(n));
  // Nothing of the realm's registers is in the run page either.
  const page = b.read(r.run);
  for (let at = 0; at < page.length; at += 8) expect(new DataView(page.buffer).getBigUint64(at, true) >> 32n).not.toBe(0xdead_deadn);
});

it("memory: every granule of a realm is out of the host's reach, for reading, writing and fetching", () => {
  const b = new Bench();
  const r = b.active(2);
  b.enter(r);
  b.interrupt(r);
  const states = [GranuleState.DELEGATED, GranuleState.RD, GranuleState.REC, GranuleState.REC_AUX, GranuleState.DATA, GranuleState.RTT];
  let tried = 0;
  for (const state of states) {
    for (const g of b.rmm.cx.granules.inState(state)) {
      for (const access of [Access.Read, Access.Write, Access.Fetch]) {
        expect(b.hostAccess(g + 0x40, access), `0x${g.toString(16)}`).toBe("fault 7");
        tried++;
      }
    }
  }
  expect(tried).toBeGreaterThan(100);
});
