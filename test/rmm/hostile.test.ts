// Hosts and realms that mean harm: exact answers, nothing leaked, nothing lost, no memory used up.

import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { rmiCommands, rsi } from "../../src/rmm/commands.ts";
import { RecParams } from "../../src/rmm/layouts.ts";
import { EnterFlag, ExitReason, GRANULE } from "../../src/rmm/status.ts";
import { blank } from "../../src/rmm/struct.ts";
import { Access, Bench, RAM } from "./bench.ts";

const random = (seed: number) => {
  let s = seed;
  return (n: number): number => {
    s = (Math.imul(s, 1103515245) + 12345) >>> 0;
    return (s >>> 8) % n;
  };
};

/** An interrupt of the host ends the run, wherever its run page is. */
function leave(b: Bench): void {
  const { st } = b.pe();
  st.setLo(Off.LINES, st.lo(Off.LINES) | 1);
  b.pe().pollInterrupts();
  st.setLo(Off.LINES, st.lo(Off.LINES) & ~1);
  expect(b.atHost()).toBe(true);
}

describe("a host", () => {
  it("gives garbage to every command: a defined status, and the realm's granules stay out of its reach", () => {
    const b = new Bench();
    const r = b.active(2);
    const next = random(99);
    const own = [r.rd, ...r.rtts, ...r.tables.map((t) => t.rtt), ...r.recs];
    const values = (): bigint => {
      const kind = next(6);
      if (kind === 0) return BigInt(own[next(own.length)] as number);
      if (kind === 1) return BigInt(RAM.base + next(64) * GRANULE + 0x10_0000);
      if (kind === 2) return BigInt(next(8));
      if (kind === 3) return 1n << BigInt(next(64));
      if (kind === 4) return 0xffff_ffff_ffff_ffffn - BigInt(next(3) * GRANULE);
      return (BigInt(next(2 ** 24)) << 40n) | (BigInt(next(2 ** 24)) << 16n) | BigInt(next(65536));
    };
    const destroyers = ["REC_DESTROY", "DATA_DESTROY", "RTT_DESTROY", "GRANULE_UNDELEGATE", "RTT_FOLD"];
    for (let i = 0; i < 6000; i++) {
      const { name } = rmiCommands[i % rmiCommands.length]!;
      const x = b.call(name, [values(), values(), values(), values(), values()]);
      if (x === undefined) leave(b);
      else expect(Number(x[0]! & 0xffn), name).toBeLessThanOrEqual(4);
      expect(b.stops, name).toEqual([]);
      if (!destroyers.includes(name)) continue;
      for (const g of own) if (b.rmm.cx.granules.state(g) !== 0) expect(b.hostAccess(g), name).toBe("fault 7");
    }
  });

  it("fills parameter pages with noise: refused, or a realm that can be destroyed again", () => {
    const b = new Bench();
    const next = random(5);
    const [rd, rtt] = [b.delegated(), b.delegated()];
    const page = b.granule();
    for (let i = 0; i < 2000; i++) {
      const { params } = i % 2 === 0 ? { params: blank(RecParams) } : { params: b.params((p) => p.set("rtt_base", rtt)).params };
      for (let n = 0; n < 4; n++) params.raw[next(4096)] = next(256);
      b.write(page, params.raw);
      if (i % 2 === 0) expect([1, 2]).toContain(b.code("REC_CREATE", rd, rtt, page) & 0xff);
      else if (b.code("REALM_CREATE", rd, page) === 0) b.ok("REALM_DESTROY", rd);
      expect([b.rmm.cx.granules.state(rd), b.isZero(rd), b.isZero(rtt)]).toEqual([1, true, true]);
    }
    expect(b.rmm.cx.vmids.size).toBe(0);
  });

  it("10,000 round trips of delegation and of REC entry leave nothing behind", () => {
    const b = new Bench();
    const r = b.active();
    const g = b.granule();
    const state = (): string =>
      JSON.stringify([b.rmm.cx.vmids.size, [...Array(7).keys()].map((s) => [...b.rmm.cx.granules.inState(s as 1)].length)]);
    const before = [state(), b.phys.readBytes(r.rd, GRANULE)!.join()];
    for (let i = 0; i < 10_000; i++) {
      b.ok("GRANULE_DELEGATE", g);
      b.ok("GRANULE_UNDELEGATE", g);
      b.events.length = 0;
    }
    b.log.length = 0;
    for (let i = 0; i < 10_000; i++) {
      expect(b.enter(r)).toBe("running");
      b.interrupt(r);
      b.events.length = 0;
    }
    expect([state(), b.phys.readBytes(r.rd, GRANULE)!.join()]).toEqual(before);
    expect([b.log.length, b.stops]).toEqual([0, []]);
  }, 120_000);

  it("enters with what it may not: REC error, and the realm is as before", () => {
    const b = new Bench();
    const r = b.active();
    for (let i = 0; i < 200; i++) {
      expect(b.enter(r, (e) => e.set("flags", EnterFlag.EMUL_MMIO))).toBe(3);
      expect(b.enter(r, (e) => e.set("gicv3_hcr", 1n << 63n))).toBe(3);
    }
    expect(b.enter(r)).toBe("running");
    expect(b.pe().st.pc).toBe(0n);
  });
});

describe("a realm", () => {
  it("that touches addresses that are nothing takes External aborts itself: the host learns nothing", () => {
    const b = new Bench();
    const r = b.active();
    b.enter(r);
    const { st } = b.pe();
    const exits = b.events.filter((e) => e.kind === "exit").length;
    for (const ipa of [0x5000, 2 ** 32 - 0x1000, 2 ** 31]) {
      for (const access of [Access.Read, Access.Write, Access.Fetch]) {
        st.pc = 0x40n;
        expect(b.realmAccess(ipa, access)).toBe("abort");
        expect([b.inRealm(), st.pc]).toEqual([true, 0x200n]);
      }
    }
    expect(b.events.filter((e) => e.kind === "exit").length).toBe(exits);
  });

  it("that ignores RIPAS: what it gave away is gone, and what comes back is zero", () => {
    const b = new Bench();
    const r = b.active();
    b.enter(r);
    expect(b.realmSmc(rsi.IPA_STATE_SET, [0x1000, 0x2000, 0, 0])).toBe("exit");
    b.ok("RTT_SET_RIPAS", r.rd, r.recs[0] as number, 0x1000, 0x2000);
    b.enter(r);
    expect([b.realmAccess(0x1000), b.inRealm()]).toEqual(["abort", true]);
    b.interrupt(r);
    const [pa] = b.ok("DATA_DESTROY", r.rd, 0x1000);
    b.ok("GRANULE_UNDELEGATE", pa as bigint);
    expect(b.isZero(Number(pa))).toBe(true);
  });

  it("that calls with noise: never an exit that RSI does not define, never a stop", () => {
    const b = new Bench();
    const r = b.active();
    b.enter(r);
    const next = random(77);
    const values = (): bigint =>
      [0n, 0x1000n, 0x1004n, 2n ** 32n, 2n ** 33n, 2n ** 63n, 0xffff_ffff_ffff_f000n, BigInt(next(2 ** 24))][next(8)] as bigint;
    const fids = [...Object.values(rsi), 0x8400_0001, 0xc400_0003, 0xc400_0004, 0x8400_000a, 0xc400_0150];
    for (let i = 0; i < 5000; i++) {
      const got = b.realmSmc(fids[next(fids.length)] as number, [values(), values(), values(), values()]);
      if (got !== "exit") continue;
      const reason = b.exit(r).num("exit_reason");
      expect([ExitReason.SYNC, ExitReason.PSCI, ExitReason.RIPAS_CHANGE, ExitReason.HOST_CALL]).toContain(reason);
      const code = b.enter(r);
      if (code === "running") continue;
      expect(code).toBe(3); // a request about another PE, which only PSCI_COMPLETE ends
      break;
    }
    expect(b.stops).toEqual([]);
  });
});
