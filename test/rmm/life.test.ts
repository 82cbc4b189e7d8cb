import { describe, expect, it } from "vitest";
import { Security } from "../../src/arch/security.ts";
import { slot } from "../../src/arch/state.ts";
import { Gpi } from "../../src/gpt/format.ts";
import { rsi } from "../../src/rmm/commands.ts";
import { GranuleState } from "../../src/rmm/granules.ts";
import { ExitReason, GRANULE } from "../../src/rmm/status.ts";
import { Access, Bench, SECURE_GRANULE } from "./bench.ts";

describe("delegation", () => {
  it("moves a granule between PA spaces, wiped, and the table in memory says so", () => {
    const b = new Bench();
    const g = b.granule();
    b.write(g, new Uint8Array(GRANULE).fill(0x77));
    expect(b.hostAccess(g)).toBe("ok");
    b.ok("GRANULE_DELEGATE", g);
    expect(b.monitor.gpt.gpi(g)).toBe(Gpi.Realm);
    expect(b.hostAccess(g)).toBe("fault 7");
    expect(b.hostAccess(g, Access.Write)).toBe("fault 7");
    b.ok("GRANULE_UNDELEGATE", g);
    expect(b.monitor.gpt.gpi(g)).toBe(Gpi.NonSecure);
    expect(b.hostAccess(g)).toBe("ok");
    expect(b.isZero(g)).toBe(true);
  });

  it("refuses what EL3 keeps for others, without changing anything", () => {
    const b = new Bench();
    expect(b.code("GRANULE_DELEGATE", SECURE_GRANULE)).toBe(1);
    expect(b.monitor.gpt.gpi(SECURE_GRANULE)).toBe(Gpi.Secure);
    expect(b.rmm.cx.granules.state(SECURE_GRANULE)).toBe(GranuleState.UNDELEGATED);
  });
});

describe("a realm runs", () => {
  it("enters at its PC with its registers, maps its memory, and exits to the host", () => {
    const b = new Bench();
    const r = b.active();
    expect(b.enter(r)).toBe("running");
    const { st } = b.pe();
    expect(b.pe().security).toBe(Security.Realm);
    expect(st.el).toBe(1);
    expect(st.pc).toBe(0n);
    expect(st.get(slot.VMPIDR_EL2)).toBe(0x8000_0000n);
    expect(b.realmAccess(0)).toBe("ok");
    expect(b.realmAccess(0x1000, Access.Fetch)).toBe("ok");
    st.setX(5, 0x1234n);
    b.interrupt(r);
    expect(b.atHost()).toBe(true);
    expect(b.results()).toEqual([0n, 0n, 0n, 0n, 0xb0b0_0000_0000_0004n]);
    expect(st.x(5)).toBe(0xb0b0_0000_0000_0005n);
    expect(st.pc).toBe(0x4000_1004n);
    expect(b.enter(r)).toBe("running");
    expect(st.x(5)).toBe(0x1234n);
  });

  it("answers RSI", () => {
    const b = new Bench();
    const r = b.active();
    b.enter(r);
    expect(b.realmSmc(rsi.VERSION, [0x1_0000])?.slice(0, 3)).toEqual([0n, 0x1_0000n, 0x1_0000n]);
    expect(b.realmSmc(rsi.VERSION, [0x2_0000])?.slice(0, 3)).toEqual([1n, 0x1_0000n, 0x1_0000n]);
    expect(b.realmSmc(rsi.REALM_CONFIG, [0x1000])[0]).toBe(0n);
    expect(b.pe().st.pc).toBe(12n);
    const pa = b.realmPa(0x1000);
    expect(b.read64(pa)).toBe(33n);
    expect([...b.read(pa + 0x200, 4)]).toEqual([1, 2, 3, 4]);
    expect(b.realmSmc(0x8400_0000)[0]).toBe(0x1_0001n);
    expect(b.realmSmc(0x8000_0000)[0]).toBe(0x1_0002n);
    expect(b.realmSmc(0xdead)[0]).toBe(0xffff_ffff_ffff_ffffn);
  });

  it("reports a fault on memory that is missing, and the host maps it", () => {
    const b = new Bench();
    const r = b.realm();
    b.data(r, 0);
    b.ok("RTT_INIT_RIPAS", r.rd, 0x1000, 0x3000);
    b.rec(r);
    b.ok("REALM_ACTIVATE", r.rd);
    b.enter(r);
    expect(b.realmAccess(0x2000)).toBe("abort");
    const exit = b.exit(r);
    expect(exit.num("exit_reason")).toBe(ExitReason.SYNC);
    expect(exit.get("esr") >> 26n).toBe(0x24n);
    expect(exit.get("esr") & 0x3fn).toBe(7n);
    expect(exit.get("hpfar")).toBe(0x20n);
    const data = b.delegated();
    b.ok("DATA_CREATE_UNKNOWN", r.rd, data, 0x2000);
    b.enter(r);
    expect(b.realmAccess(0x2000)).toBe("ok");
    expect(b.realmPa(0x2000)).toBe(data);
  });

  it("gives everything back at the end", () => {
    const b = new Bench();
    const r = b.active();
    b.enter(r);
    b.realmSmc(0x8400_0008);
    expect(b.exit(r).num("exit_reason")).toBe(ExitReason.PSCI);
    expect(b.enter(r)).toBe(2 | (1 << 8));
    const data = [0, 0x1000].map((ipa) => Number(b.ok("DATA_DESTROY", r.rd, ipa)[0]));
    for (const t of r.tables.reverse()) expect(b.ok("RTT_DESTROY", r.rd, t.ipa, t.level)[0]).toBe(BigInt(t.rtt));
    expect(b.code("REALM_DESTROY", r.rd)).toBe(2);
    b.ok("REC_DESTROY", r.recs[0] as number);
    b.ok("REALM_DESTROY", r.rd);
    const all = [...b.rmm.cx.granules.inState(GranuleState.DELEGATED)];
    expect(all).toEqual(expect.arrayContaining([r.rd, ...r.rtts, ...r.recs, ...data]));
    for (const g of all) expect(b.isZero(g), `0x${g.toString(16)}`).toBe(true);
    for (const s of [GranuleState.RD, GranuleState.REC, GranuleState.REC_AUX, GranuleState.DATA, GranuleState.RTT]) {
      expect([...b.rmm.cx.granules.inState(s)]).toEqual([]);
    }
    for (const g of all) b.ok("GRANULE_UNDELEGATE", g);
  });
});
