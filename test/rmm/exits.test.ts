import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import type { RegName } from "../../src/arch/registers/encodings.ts";
import { encodingKey, encodingOf } from "../../src/arch/registers/index.ts";
import { Ec } from "../../src/arch/syndrome.ts";
import { Vector } from "../../src/cpu/agent.ts";
import { enter } from "../../src/cpu/exceptions.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { rsi } from "../../src/rmm/commands.ts";
import { EnterFlag, ExitReason, GRANULE } from "../../src/rmm/status.ts";
import { Access, Bench, slot, type TestRealm } from "./bench.ts";

const SHARED = 2 ** 32;
/** LDR W3, [X1]; LDRSH W3, [X1]; STR W3, [X1]; LDRB W31, [X1]; LDP. */
const LDR_W3 = 0xb940_0023;
const LDRSH_W3 = 0x79c0_0023;
const LDRSB_X3 = 0x3980_0023;
const STR_H3 = 0x7900_0023;
const LDP = 0x2940_0823;

const word = (name: RegName, read: boolean, rt = 3): number => {
  const key = encodingKey(...encodingOf(name));
  return (0xd510_0000 | (read ? 1 << 21 : 0) | ((key & 0xffff) << 5) | rt) >>> 0;
};

function running(recs = 1): { b: Bench; r: TestRealm } {
  const b = new Bench();
  const r = b.active(recs);
  expect(b.enter(r)).toBe("running");
  b.pe().st.set(slot.VBAR_EL1, 0x1_0000n);
  return { b, r };
}

describe("aborts at unprotected IPAs", () => {
  it.each([
    ["a word", LDR_W3, 0xffff_ffff_8765_4321n, 0x8765_4321n],
    ["a signed half to 32 bits", LDRSH_W3, 0x8001n, 0xffff_8001n],
    ["a signed byte to 64 bits", LDRSB_X3, 0x180n, 0xffff_ffff_ffff_ff80n],
  ])("the host emulates a load of %s", (_n, insn, value, result) => {
    const { b, r } = running();
    b.pe().st.setX(3, 0x1111_2222_3333_4444n);
    expect(b.realmAccess(SHARED + 0x9000_123, Access.Read, insn)).toBe("abort");
    const x = b.exit(r);
    expect(x.num("exit_reason")).toBe(ExitReason.SYNC);
    expect(x.get("hpfar")).toBe(BigInt(SHARED + 0x9000_000) >> 8n);
    expect(x.get("far")).toBe(0x123n);
    expect(x.get("gprs", 0)).toBe(0n);
    // EC, ISV, SAS, SF, FSC only: neither SRT nor SSE nor IL
    expect(x.get("esr") & ~0xfdc0_803fn).toBe(0n);
    expect(
      b.enter(r, (e) => {
        e.set("flags", EnterFlag.EMUL_MMIO);
        e.set("gprs", value, 0);
      }),
    ).toBe("running");
    expect(b.pe().st.x(3)).toBe(result);
    expect(b.pe().st.pc).toBe(4n);
  });

  it("the host sees what a store wrote, no more than its size, and no load is made of it", () => {
    const { b, r } = running();
    b.pe().st.setX(3, 0x1111_2222_3333_4444n);
    b.realmAccess(SHARED + 0x10, Access.Write, STR_H3);
    expect(b.exit(r).get("gprs", 0)).toBe(0x4444n);
    expect(b.exit(r).get("esr") & (1n << 6n)).not.toBe(0n);
    b.enter(r, (e) => {
      e.set("flags", EnterFlag.EMUL_MMIO);
      e.set("gprs", 0x99n, 0);
    });
    expect(b.pe().st.x(3)).toBe(0x1111_2222_3333_4444n);
    expect(b.pe().st.pc).toBe(4n);
  });

  it("an access without syndrome discloses nothing and cannot be emulated", () => {
    const { b, r } = running();
    b.pe().st.setX(0, 0xabn);
    b.realmAccess(SHARED, Access.Write, LDP);
    expect(b.exit(r).get("gprs", 0)).toBe(0n);
    expect(b.enter(r, (e) => e.set("flags", EnterFlag.EMUL_MMIO))).toBe(3);
    expect(b.enter(r)).toBe("running");
    expect(b.pe().st.pc).toBe(0n);
  });

  it("the host injects a synchronous External abort", () => {
    const { b, r } = running();
    b.realmAccess(SHARED + 0x10, Access.Read, LDR_W3);
    expect(b.enter(r, (e) => e.set("flags", EnterFlag.INJECT_SEA))).toBe("running");
    const { st } = b.pe();
    expect(st.pc).toBe(0x1_0200n);
    expect(st.get(slot.ESR_EL1) >> 26n).toBe(0x25n);
    expect(st.get(slot.ESR_EL1) & 0x23fn).toBe(0x210n);
    expect(st.get(slot.FAR_EL1)).toBe(BigInt(SHARED + 0x10));
    expect(st.get(slot.ELR_EL1)).toBe(0n);
    expect(st.get(slot.SPSR_EL1)).toBe(0x3c5n);
    b.interrupt(r);
    expect(b.enter(r, (e) => e.set("flags", EnterFlag.INJECT_SEA))).toBe(3);
  });

  it("the host's memory is reached once mapped, with the Non-secure PA space; delegating it takes it away", () => {
    const { b, r } = running();
    b.interrupt(r);
    b.tables(r, SHARED);
    const ns = b.granule();
    b.ok("RTT_MAP_UNPROTECTED", r.rd, SHARED, 3, BigInt(ns) | 0xd8n);
    b.enter(r);
    expect(b.realmPa(SHARED + 0x20)).toBe(ns + 0x20);
    expect(b.realmAccess(SHARED, Access.Write)).toBe("ok");
    b.interrupt(r);
    b.ok("GRANULE_DELEGATE", ns);
    b.enter(r);
    expect(b.realmPa(SHARED)).toBe(-1);
  });

  it("instructions are not fetched from there", () => {
    const { b } = running();
    expect(b.realmAccess(SHARED, Access.Fetch)).toBe("abort");
    expect(b.inRealm()).toBe(true);
    expect(b.pe().st.get(slot.ESR_EL1) >> 26n).toBe(0x21n);
    expect(b.pe().st.get(slot.ESR_EL1) & 0x3fn).toBe(0x10n);
  });
});

describe("aborts that are the realm's own", () => {
  it.each([
    ["EMPTY", 0x4000],
    ["beyond the IPA space", 2 ** 33],
  ])("%s: synchronous External abort", (_n, ipa) => {
    const { b } = running();
    b.realmAccess(ipa, Access.Write);
    expect(b.inRealm()).toBe(true);
    expect(b.pe().st.get(slot.ESR_EL1) & 0x3fn).toBe(0x10n);
    expect(b.pe().st.pc).toBe(0x1_0200n);
  });

  it("DESTROYED: the host is told, and what it sees names no register", () => {
    const { b, r } = running();
    b.interrupt(r);
    b.ok("DATA_DESTROY", r.rd, 0x1000);
    b.enter(r);
    b.realmAccess(0x1000, Access.Write, STR_H3);
    const x = b.exit(r);
    expect(x.get("hpfar")).toBe(0x10n);
    expect(x.get("far")).toBe(0n);
    expect(x.get("esr") & ~0xfc00_1e3fn).toBe(0n);
    expect(b.enter(r, (e) => e.set("flags", EnterFlag.EMUL_MMIO))).toBe(3);
  });

  it("HVC is UNDEFINED", () => {
    const { b } = running();
    b.pe().system(SysOp.HVC, 0xd400_0002);
    expect(b.inRealm()).toBe(true);
    expect(b.pe().st.get(slot.ESR_EL1) >> 25n).toBe(1n);
    expect(b.pe().st.get(slot.ELR_EL1)).toBe(0n);
  });
});

describe("system registers", () => {
  it("identification registers are cleaned", () => {
    const { b } = running();
    const { st } = b.pe();
    b.pe().system(SysOp.MRS, word("ID_AA64PFR0_EL1", true));
    expect((st.x(3) >> 52n) & 15n).toBe(1n);
    expect((st.x(3) >> 12n) & 15n).toBe(1n);
    b.pe().system(SysOp.MRS, word("ID_AA64DFR0_EL1", true));
    expect((st.x(3) >> 28n) & 15n).toBe(0n);
    b.pe().system(SysOp.MRS, word("ID_AA64ISAR2_EL1", true));
    expect(st.x(3)).toBe(0n);
    expect(st.pc).toBe(12n);
  });

  it("SGIs are the host's to send", () => {
    const { b, r } = running();
    b.pe().st.setX(3, 0x1234n);
    b.pe().system(SysOp.MSR, word("ICC_SGI1R_EL1", false));
    const x = b.exit(r);
    expect(x.get("esr") >> 26n).toBe(0x18n);
    expect(x.get("gprs", 0)).toBe(0x1234n);
    b.enter(r);
    expect(b.pe().st.pc).toBe(4n);
  });

  it("a realm without PMU reads zero", () => {
    const { b } = running();
    b.pe().st.setX(3, 7n);
    b.pe().system(SysOp.MRS, word("PMCR_EL0", true));
    expect(b.pe().st.x(3)).toBe(0n);
    expect(b.inRealm()).toBe(true);
  });

  it("the host's EL1 and EL2 registers come back, the realm's stay its own", () => {
    const b = new Bench();
    const r = b.active();
    const { st } = b.pe();
    const names: RegName[] = [
      "TTBR0_EL1",
      "VBAR_EL1",
      "TPIDR_EL0",
      "SP_EL1",
      "APIAKEYLO_EL1",
      "TPIDR_EL2",
      "VTTBR_EL2",
      "TTBR0_EL2",
      "DBGBVR0_EL1",
      "CNTV_CVAL_EL0",
    ];
    for (const [i, n] of names.entries()) st.set(slot[n], 0x1000n + BigInt(i));
    st.setLo(Off.V + 16, 0x7777);
    b.enter(r);
    for (const n of names.slice(0, 5)) expect(st.get(slot[n]), n).toBe(0n);
    for (const n of names) if (!n.endsWith("EL2")) st.set(slot[n], 0xbadn);
    st.setLo(Off.V + 16, 0xbad);
    b.interrupt(r);
    for (const [i, n] of names.entries()) expect(st.get(slot[n]), n).toBe(0x1000n + BigInt(i));
    expect(st.lo(Off.V + 16)).toBe(0x7777);
    b.enter(r);
    expect(st.get(slot.VBAR_EL1)).toBe(0xbadn);
    expect(st.lo(Off.V + 16)).toBe(0xbad);
  });
});

describe("WFI and WFE", () => {
  it("trap only when the host asks for it", () => {
    const { b, r } = running();
    b.pe().system(SysOp.WFI, 0xd503_207f);
    expect(b.pe().st.lo(Off.HALT)).toBe(1);
    b.pe().st.setLo(Off.HALT, 0);
    b.interrupt(r);
    b.enter(r, (e) => e.set("flags", EnterFlag.TRAP_WFI));
    b.pe().system(SysOp.WFI, 0xd503_207f);
    expect(b.exit(r).get("esr")).toBe(0x0400_0000n);
    b.enter(r, (e) => e.set("flags", EnterFlag.TRAP_WFE));
    b.pe().st.setLo(Off.EVENT, 0);
    b.pe().system(SysOp.WFE, 0xd503_205f);
    expect(b.exit(r).get("esr")).toBe(0x0400_0001n);
    b.enter(r);
    expect(b.pe().st.pc).toBe(12n);
  });
});

describe("timers and the virtual GIC", () => {
  it("an expired timer is told once, masked until it is served, and told again", () => {
    const { b, r } = running();
    const { st } = b.pe();
    b.pe().writeSys("CNTV_CVAL_EL0", 5000n);
    b.pe().writeSys("CNTV_CTL_EL0", 1n);
    b.interrupt(r);
    expect(b.exit(r).get("cntv_ctl")).toBe(1n);
    expect(b.exit(r).get("cntv_cval")).toBe(5000n);
    expect(st.get(slot.CNTV_CTL_EL0)).toBe(0n);
    b.clock.now = 6000n;
    // It has expired while the realm did not run: the host is told before it runs.
    expect(b.enter(r)).toBe(0);
    expect(b.exit(r).num("exit_reason")).toBe(ExitReason.IRQ);
    expect(b.exit(r).get("cntv_ctl")).toBe(5n);
    expect(b.enter(r)).toBe("running");
    expect(st.bit(slot.CNTHCTL_EL2, 18)).toBe(1);
    expect(st.bit(slot.CNTHCTL_EL2, 19)).toBe(0);
    b.pe().writeSys("CNTV_CTL_EL0", 0n);
    b.interrupt(r);
    expect(b.exit(r).get("cntv_ctl")).toBe(0n);
    expect(b.enter(r)).toBe("running");
    expect(st.bit(slot.CNTHCTL_EL2, 18)).toBe(0);
  });

  it("list registers reach the realm and come back; nothing of them stays in the hardware", () => {
    const { b, r } = running();
    b.interrupt(r);
    const lr = (1n << 62n) | (1n << 60n) | (0x80n << 48n) | 27n;
    b.enter(r, (e) => e.set("gicv3_lrs", lr, 2));
    const { gic } = b.pe();
    expect(gic?.read("ICH_LR2_EL2")).toBe(lr);
    expect(gic?.read("ICH_HCR_EL2")).toBe(1n);
    gic?.write("ICC_PMR_EL1", 0xf0n);
    gic?.write("ICC_IGRPEN1_EL1", 1n);
    expect(gic?.read("ICC_IAR1_EL1")).toBe(27n);
    b.interrupt(r);
    expect(b.exit(r).get("gicv3_lrs", 2)).toBe((lr & ~(1n << 62n)) | (2n << 62n));
    expect(b.exit(r).get("gicv3_hcr")).toBe(0n);
    for (const n of ["ICH_LR2_EL2", "ICH_AP1R0_EL2", "ICH_HCR_EL2"] as const) expect(gic?.read(n), n).toBe(0n);
    b.enter(r, (e) => e.set("gicv3_lrs", (lr & ~(1n << 62n)) | (2n << 62n), 2));
    gic?.write("ICC_EOIR1_EL1", 27n);
    expect(gic?.read("ICH_LR2_EL2")).toBe(lr & ~(1n << 62n));
  });
});

describe("calls of the realm that the host completes", () => {
  it("RIPAS change: progress, refusal, and the result", () => {
    const { b, r } = running();
    b.realmSmc(rsi.IPA_STATE_SET, [0x10_0000, 0x10_4000, 1, 0]);
    const x = b.exit(r);
    expect([x.num("exit_reason"), x.num("ripas_base"), x.num("ripas_top"), x.num("ripas_value")]).toEqual([
      ExitReason.RIPAS_CHANGE,
      0x10_0000,
      0x10_4000,
      1,
    ]);
    expect(b.ok("RTT_SET_RIPAS", r.rd, r.recs[0] as number, 0x10_0000, 0x10_2000)[0]).toBe(0x10_2000n);
    b.enter(r, (e) => e.set("flags", EnterFlag.RIPAS_RESPONSE));
    const { st } = b.pe();
    expect([st.x(0), st.x(1), st.x(2)]).toEqual([0n, 0x10_2000n, 1n]);
    expect(b.realmSmc(rsi.IPA_STATE_GET, [0x10_0000, 0x10_4000]).slice(0, 3)).toEqual([0n, 0x10_2000n, 1n]);
    expect(b.realmSmc(rsi.IPA_STATE_GET, [0x10_2000, 0x10_4000]).slice(0, 3)).toEqual([0n, 0x10_4000n, 0n]);
  });

  it("RIPAS EMPTY takes the page away, with the TLB entry for it; RAM brings it back", () => {
    const { b, r } = running();
    const pa = b.realmPa(0x1000);
    expect(pa).toBeGreaterThan(0);
    b.realmSmc(rsi.IPA_STATE_SET, [0x1000, 0x2000, 0, 0]);
    b.ok("RTT_SET_RIPAS", r.rd, r.recs[0] as number, 0x1000, 0x2000);
    b.enter(r);
    expect(b.realmPa(0x1000)).toBe(-1);
    b.realmSmc(rsi.IPA_STATE_SET, [0x1000, 0x2000, 1, 0]);
    b.ok("RTT_SET_RIPAS", r.rd, r.recs[0] as number, 0x1000, 0x2000);
    b.enter(r);
    expect(b.realmPa(0x1000)).toBe(pa);
  });

  it("DESTROYED changes only with the flag", () => {
    const { b, r } = running();
    b.interrupt(r);
    b.ok("DATA_DESTROY", r.rd, 0x1000);
    for (const [flags, code] of [
      [0, 4 | (3 << 8)],
      [1, 0],
    ] as const) {
      b.enter(r);
      b.realmSmc(rsi.IPA_STATE_SET, [0x1000, 0x2000, 1, flags]);
      expect(b.code("RTT_SET_RIPAS", r.rd, r.recs[0] as number, 0x1000, 0x2000)).toBe(code);
    }
  });

  it("host call", () => {
    const { b, r } = running();
    const pa = b.realmPa(0x1000) + 0x100;
    const call = new DataView(new ArrayBuffer(256));
    call.setUint16(0, 0x1234, true);
    for (let i = 0; i < 31; i++) call.setBigUint64(8 + 8 * i, BigInt(i + 100), true);
    b.write(pa, new Uint8Array(call.buffer));
    expect(b.realmSmc(rsi.HOST_CALL, [0x1180])[0]).toBe(1n);
    expect(b.realmSmc(rsi.HOST_CALL, [SHARED])[0]).toBe(1n);
    expect(b.realmSmc(rsi.HOST_CALL, [0x1100])).toBe("exit");
    const x = b.exit(r);
    expect([x.num("exit_reason"), x.get("imm"), x.get("gprs", 0), x.get("gprs", 30)]).toEqual([ExitReason.HOST_CALL, 0x1234n, 100n, 130n]);
    b.enter(r, (e) => e.set("gprs", 0xfeedn, 7));
    expect(b.pe().st.x(0)).toBe(0n);
    expect(b.read64(pa + 8 + 56)).toBe(0xfeedn);
    expect(b.read64(pa + 8)).toBe(0n);
  });

  it("host call: the buffer went away meanwhile", () => {
    const { b, r } = running();
    b.realmSmc(rsi.HOST_CALL, [0x1100]);
    b.ok("DATA_DESTROY", r.rd, 0x1000);
    expect(b.enter(r)).toBe(0);
    expect(b.exit(r).get("esr")).toBe((0x24n << 26n) | 7n);
    expect(b.exit(r).get("hpfar")).toBe(0x10n);
    b.ok("DATA_CREATE_UNKNOWN", r.rd, b.delegated(), 0x1000);
    // RIPAS is DESTROYED: still not there.
    expect(b.enter(r)).toBe(0);
  });

  it("PSCI: CPU_ON, AFFINITY_INFO, CPU_OFF, SYSTEM_OFF", () => {
    const { b, r } = running(2);
    const { st } = b.pe();
    expect(b.realmSmc(0xc400_0003, [1, SHARED, 0])[0]).toBe(BigInt.asUintN(64, -9n));
    expect(b.realmSmc(0xc400_0003, [2, 0, 0])[0]).toBe(BigInt.asUintN(64, -2n));
    expect(b.realmSmc(0xc400_0003, [0, 0, 0])[0]).toBe(BigInt.asUintN(64, -4n));
    expect(b.realmSmc(0xc400_0003, [1, 0x1000, 77])).toBe("exit");
    expect([b.exit(r).get("gprs", 0), b.exit(r).get("gprs", 1), b.exit(r).get("gprs", 2)]).toEqual([0xc400_0003n, 1n, 0n]);
    expect(b.enter(r)).toBe(3);
    b.ok("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0);
    b.enter(r);
    expect([st.x(0), st.x(1), st.x(2), st.x(3), st.pc]).toEqual([0n, 0n, 0n, 0n, 16n]);
    // The second REC on the other PE, at the same time.
    r.run = b.granule();
    expect(b.enter(r, undefined, 1, 1)).toBe("running");
    expect([b.pe(1).st.pc, b.pe(1).st.x(0), b.pe(1).st.get(slot.VMPIDR_EL2)]).toEqual([0x1000n, 77n, 0x8000_0001n]);
    expect(b.inRealm(0)).toBe(true);
    expect(b.realmSmc(0x8400_0002, [], 1)).toBe("exit");
    expect(b.exit(r).num("exit_reason")).toBe(ExitReason.PSCI);
    b.realmSmc(0xc400_0004, [1, 0]);
    b.ok("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0);
    b.enter(r);
    expect(st.x(0)).toBe(1n);
  });

  it("a REC that runs is neither entered again nor destroyed", () => {
    const { b, r } = running();
    expect(b.call("REC_ENTER", [r.recs[0] as number, b.granule()], 1)?.[0]).toBe(3n);
    expect(b.call("REC_DESTROY", [r.recs[0] as number], 1)?.[0]).toBe(3n);
    expect(b.call("RTT_SET_RIPAS", [r.rd, r.recs[0] as number, 0, GRANULE], 1)?.[0]).toBe(3n);
    expect(b.inRealm()).toBe(true);
  });
});

describe("folding and unfolding", () => {
  it("a full table becomes a block and the block a table again", () => {
    const b = new Bench();
    const r = b.realm();
    const ipa = 0x20_0000;
    b.tables(r, ipa);
    const block = b.delegated(512);
    for (let i = 0; i < 512; i++) b.ok("DATA_CREATE_UNKNOWN", r.rd, block + i * GRANULE, ipa + i * GRANULE);
    expect(b.code("DATA_CREATE_UNKNOWN", r.rd, b.delegated(), ipa)).toBe(4 | (3 << 8));
    const table = r.tables.find((t) => t.level === 3)?.rtt as number;
    expect(b.ok("RTT_FOLD", r.rd, ipa, 3)[0]).toBe(BigInt(table));
    expect(b.ok("RTT_READ_ENTRY", r.rd, ipa, 2)).toEqual([2n, 1n, BigInt(block), 0n]);
    expect(b.code("DATA_DESTROY", r.rd, ipa)).toBe(4 | (2 << 8));
    expect(b.code("RTT_DESTROY", r.rd, 0, 2)).toBe(4 | (2 << 8));
    b.ok("RTT_CREATE", r.rd, table, ipa, 3);
    expect(b.ok("RTT_READ_ENTRY", r.rd, ipa + 5 * GRANULE, 3)).toEqual([3n, 1n, BigInt(block + 5 * GRANULE), 0n]);
    for (let i = 0; i < 512; i++) b.ok("DATA_DESTROY", r.rd, ipa + i * GRANULE);
    expect(b.ok("RTT_DESTROY", r.rd, ipa, 3)[0]).toBe(BigInt(table));
  });

  it("unprotected mappings fold with their attributes, and a table of them can be destroyed", () => {
    const b = new Bench();
    const r = b.realm();
    b.tables(r, SHARED);
    const block = b.granule(512);
    for (let i = 0; i < 512; i++) b.ok("RTT_MAP_UNPROTECTED", r.rd, SHARED + i * GRANULE, 3, BigInt(block + i * GRANULE) | 0xd8n);
    b.ok("RTT_FOLD", r.rd, SHARED, 3);
    expect(b.ok("RTT_READ_ENTRY", r.rd, SHARED, 2)).toEqual([2n, 1n, BigInt(block) | 0xd8n, 0n]);
    b.ok("RTT_CREATE", r.rd, r.tables.find((t) => t.level === 3)?.rtt as number, SHARED, 3);
    expect(b.ok("RTT_READ_ENTRY", r.rd, SHARED + 0x7000, 3)[2]).toBe(BigInt(block + 0x7000) | 0xd8n);
    b.ok("RTT_DESTROY", r.rd, SHARED, 3);
    expect(b.ok("RTT_READ_ENTRY", r.rd, SHARED, 3)).toEqual([2n, 0n, 0n, 0n]);
  });
});

describe("snapshots", () => {
  it("a realm that runs goes on after save and restore", () => {
    const { b, r } = running();
    const { st } = b.pe();
    const [rmm, monitor] = [b.rmm.save(), b.monitor.save()];
    b.rmm.reset();
    b.monitor.reset();
    b.rmm.restore(rmm);
    b.monitor.restore(monitor);
    st.setX(9, 0x99n);
    b.interrupt(r);
    expect(b.atHost()).toBe(true);
    b.enter(r);
    expect(st.x(9)).toBe(0x99n);
  });
});

describe("performance monitors and SErrors", () => {
  it("a realm with a PMU has its own, with as many counters as asked for", () => {
    const b = new Bench();
    const { st } = b.pe();
    const r = b.realm((p) => {
      p.set("flags", 4);
      p.set("pmu_num_ctrs", 3);
    });
    b.rec(r);
    b.ok("REALM_ACTIVATE", r.rd);
    st.set(slot.PMCCFILTR_EL0, 0x8000_0000n);
    st.set(slot.PMEVCNTR1_EL0, 0x1234n);
    b.enter(r);
    expect(st.get(slot.PMEVCNTR1_EL0)).toBe(0n);
    b.pe().system(SysOp.MRS, word("PMCR_EL0", true));
    expect((st.x(3) >> 11n) & 31n).toBe(3n);
    st.set(slot.PMEVCNTR1_EL0, 0xbadn);
    st.set(slot.PMCR_EL0, 1n);
    for (const n of ["PMOVSSET_EL0", "PMINTENSET_EL1", "PMCNTENSET_EL0"] as const) st.set(slot[n], 2n);
    b.interrupt(r);
    expect(b.exit(r).get("pmu_ovf_status")).toBe(1n);
    expect(st.get(slot.PMEVCNTR1_EL0)).toBe(0x1234n);
    b.enter(r);
    expect(st.get(slot.PMEVCNTR1_EL0)).toBe(0xbadn);
  });

  it.each([
    ["recoverable: reported, and pended to the realm", 3, 1],
    ["corrected: reported only", 6, 0],
  ] as const)("SError, %s", (_n, aet, pended) => {
    const { b, r } = running();
    const { st } = b.pe();
    enter(b.pe(), 2, Vector.SError, Ec.SError, (aet << 10) | 0x11, 0);
    expect(b.exit(r).num("exit_reason")).toBe(ExitReason.SERROR);
    expect(b.exit(r).get("esr")).toBe(BigInt((aet << 10) | 0x11));
    b.enter(r);
    expect(st.bit(slot.HCR_EL2, 8)).toBe(pended);
    b.interrupt(r);
    expect(st.bit(slot.HCR_EL2, 8)).toBe(0);
    b.enter(r);
    expect(st.bit(slot.HCR_EL2, 8)).toBe(pended);
    expect(b.stops).toEqual([]);
  });

  it("an uncontainable SError stops the machine", () => {
    const { b } = running();
    enter(b.pe(), 2, Vector.SError, Ec.SError, 0x11, 0);
    expect(b.stops).toEqual([expect.stringContaining("uncontainable")]);
  });
});
