// Effects of commands about RECs.

import { GranuleState } from "../../../src/rmm/granules.ts";
import { EXIT_OFFSET, RecExit, RecParams } from "../../../src/rmm/layouts.ts";
import { EnterFlag, ExitReason, Psci } from "../../../src/rmm/status.ts";
import { blank } from "../../../src/rmm/struct.ts";
import { Access, preset, type RmmBench, slot, type TestRealm } from "../bench-base.ts";
import { type Effects, effect, type Findings, measurement, PSCI, RSI, rimOf } from "./effects.ts";

const SHARED = 2 ** 32;
/** LDR W3, [X1]; STRH W3, [X1]. */
const LDR_W3 = 0xb940_0023;
const STRH_W3 = 0x7900_0023;

/** REC_CREATE with this mpidr: its code. The REC is in `r.recs` when it was made. */
function create(b: RmmBench, r: TestRealm, mpidr: number, runnable = false): number {
  const p = blank(RecParams);
  p.set("flags", runnable ? 1 : 0);
  p.set("mpidr", mpidr);
  p.set("num_aux", 16);
  for (let i = 0; i < 16; i++) p.set("aux", b.delegated(), i);
  const page = b.granule();
  b.write(page, p.raw);
  const rec = b.delegated();
  const code = b.code("REC_CREATE", r.rd, rec, page);
  if (code === 0) r.recs.push(rec);
  return code;
}

/** The realm has left for that reason. */
const left = (b: RmmBench, r: TestRealm, f: Findings, reason: keyof typeof ExitReason): void =>
  f.same("exit", b.exit(r).num("exit_reason"), ExitReason[reason]);

export const recEffects: Effects = {
  REC_CREATE: [
    effect("where it starts, x0 to x7 and its MPIDR are as given; the rest is zero", (b, f) => {
      const r = b.realm();
      b.data(r, 0x4000);
      b.rec(r, { runnable: false });
      b.rec(r, { pc: 0x4010, gprs: [1n, 2n, 3n, 4n, 5n, 6n, 7n, 0xffff_ffff_ffff_ffffn], runnable: true });
      b.ok("REALM_ACTIVATE", r.rd);
      f.same("enter", b.enter(r, undefined, 1), "running");
      const { st } = b.pe();
      f.same("pc", st.pc, 0x4010);
      f.same(
        "registers",
        Array.from({ length: 9 }, (_, n) => st.x(n)),
        [1, 2, 3, 4, 5, 6, 7, 0xffff_ffff_ffff_ffffn, 0],
      );
      f.same(
        "others",
        Array.from({ length: 22 }, (_, n) => st.x(n + 9)).every((v) => v === 0n),
        true,
      );
      f.same("MPIDR", st.get(slot.VMPIDR_EL2), 0x8000_0001n);
      f.same("SCTLR.M, C, I", st.get(slot.SCTLR_EL1) & 0x1005n, 0);
    }),
    effect("the seventeenth has Aff1 1, Aff0 0", (b, f) => {
      const r = b.realm();
      for (let i = 0; i < 16; i++) f.same(`REC ${i}`, create(b, r, i), 0);
      f.same("Aff0 16", create(b, r, 16), 1);
      f.same("REC 16", create(b, r, 0x100), 0);
    }),
    effect("only a runnable one is measured, in the order in which they come", (b, f) => {
      const r = b.realm();
      const page = new Uint8Array(4096).fill(9);
      b.data(r, 0, page);
      b.rec(r, { runnable: false, pc: 0x7000 });
      b.rec(r, { runnable: true, gprs: [5n] });
      b.rec(r, { runnable: true, pc: 0x8000 });
      b.ok("REALM_ACTIVATE", r.rd);
      b.enter(r, undefined, 1);
      const events = [
        { kind: "data", ipa: 0n, content: page, measured: true },
        { kind: "rec", runnable: true, pc: 0n, gprs: [5n] },
        { kind: "rec", runnable: true, pc: 0x8000n, gprs: [] },
      ] as const;
      f.same("RIM", measurement(b), rimOf(0, events));
    }),
  ],
  REC_DESTROY: [
    effect("its index is not given again: the next REC has the next one", (b, f) => {
      const r = b.realm();
      create(b, r, 0);
      create(b, r, 1);
      b.ok("REC_DESTROY", r.recs[1] as number);
      f.same("index 1", create(b, r, 1), 1);
      f.same("index 2", create(b, r, 2), 0);
    }),
    effect("one that never ran, in a realm that runs; what is left goes on", (b, f) => {
      const r = b.active(2);
      b.enter(r);
      b.interrupt(r);
      b.ok("REC_DESTROY", r.recs[1] as number);
      f.same("state", b.isState(r.recs[1] as number, GranuleState.DELEGATED), true);
      f.same("enter", b.enter(r), "running");
    }),
    effect("a PE that is gone can neither be turned on nor asked about", (b, f) => {
      const r = b.active(2);
      b.ok("REC_DESTROY", r.recs[1] as number);
      b.enter(r);
      f.same("CPU_ON", b.realmSmc(PSCI.CPU_ON, [1, 0, 0]), "exit");
      f.same("PSCI_COMPLETE", b.code("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0), 1);
    }),
  ],
  REC_ENTER: [
    effect("a run that an interrupt ends tells that and no more; the REC goes on where it was", (b, f) => {
      const r = b.active();
      b.write(r.run, new Uint8Array(4096).fill(0xee));
      b.enter(r);
      const { st } = b.pe();
      for (let n = 0; n < 31; n++) st.setX(n, 0x1234_5678_0000_0000n + BigInt(n));
      st.pc = 0x444n;
      b.interrupt(r);
      f.same("x0 to x4", b.results(), [0, 0, 0, 0, preset(4)]);
      const exit = b.exit(r);
      for (const name of ["esr", "far", "hpfar", "ripas_base", "ripas_top", "ripas_value", "imm"] as const) f.same(name, exit.get(name), 0);
      for (let n = 0; n < 31; n++) f.same(`gprs ${n}`, exit.get("gprs", n), 0);
      b.enter(r);
      for (let n = 0; n < 31; n++) f.same(`x${n}`, st.x(n), 0x1234_5678_0000_0000n + BigInt(n));
      f.same("pc", st.pc, 0x444);
    }),
    effect("an entry that is refused leaves the exit half of the page alone", (b, f) => {
      const r = b.active(2);
      b.write(r.run, new Uint8Array(4096).fill(0xee));
      f.same("code", b.enter(r, undefined, 1), 3);
      f.same(
        "page",
        b.read(r.run + EXIT_OFFSET, RecExit.size).every((v) => v === 0xee),
        true,
      );
    }),
    effect("EMUL_MMIO: a load gets the host's value, a store shows its own", (b, f) => {
      const r = b.active();
      b.enter(r);
      const { st } = b.pe();
      st.setX(3, 0x1111_2222_3333_4444n);
      b.realmAccess(SHARED + 0x900_0120, Access.Read, LDR_W3);
      left(b, r, f, "SYNC");
      f.same("where", [b.exit(r).get("hpfar"), b.exit(r).get("far")], [(BigInt(SHARED) + 0x900_0000n) >> 8n, 0x120]);
      f.same("value of a load", b.exit(r).get("gprs", 0), 0);
      b.enter(r, (e) => {
        e.set("flags", EnterFlag.EMUL_MMIO);
        e.set("gprs", 0xffff_ffff_8765_4321n, 0);
      });
      f.same("after the load", [st.x(3), st.pc], [0x8765_4321n, 4]);
      st.setX(3, 0x1111_2222_3333_4444n);
      b.realmAccess(SHARED + 0x900_0120, Access.Write, STRH_W3);
      f.same("value of a store", b.exit(r).get("gprs", 0), 0x4444);
      b.enter(r, (e) => e.set("flags", EnterFlag.EMUL_MMIO));
      f.same("after the store", [st.x(3), st.pc], [0x1111_2222_3333_4444n, 8]);
    }),
    effect("without EMUL_MMIO the access is made again", (b, f) => {
      const r = b.active();
      b.enter(r);
      b.realmAccess(SHARED, Access.Read, LDR_W3);
      b.enter(r);
      f.same("pc", b.pe().st.pc, 0);
      f.same("access", b.realmAccess(SHARED, Access.Read, LDR_W3), "abort");
      left(b, r, f, "SYNC");
    }),
    effect("INJECT_SEA: the realm takes an External abort at the address", (b, f) => {
      const r = b.active();
      b.enter(r);
      const { st } = b.pe();
      st.set(slot.VBAR_EL1, 0x1_0000n);
      b.realmAccess(SHARED + 0x18, Access.Read, LDR_W3);
      b.enter(r, (e) => e.set("flags", EnterFlag.INJECT_SEA));
      f.same("pc", st.pc, 0x1_0200);
      f.same("ESR: class and status", [st.get(slot.ESR_EL1) >> 26n, st.get(slot.ESR_EL1) & 0x23fn], [0x25, 0x210]);
      f.same("FAR, ELR", [st.get(slot.FAR_EL1), st.get(slot.ELR_EL1)], [SHARED + 0x18, 0]);
    }),
    effect("a RIPAS change that the host left: REJECT for RAM only when it says so", (b, f) => {
      const r = b.active();
      b.enter(r);
      const { st } = b.pe();
      for (const [ripas, flag, response] of [
        [1, 0, 0],
        [1, EnterFlag.RIPAS_RESPONSE, 1],
        [0, EnterFlag.RIPAS_RESPONSE, 0],
      ] as const) {
        f.same("call", b.realmSmc(RSI.IPA_STATE_SET, [0x10_0000, 0x10_4000, ripas, 0]), "exit");
        left(b, r, f, "RIPAS_CHANGE");
        const exit = b.exit(r);
        f.same("request", [exit.get("ripas_base"), exit.get("ripas_top"), exit.get("ripas_value")], [0x10_0000, 0x10_4000, ripas]);
        b.enter(r, (e) => e.set("flags", flag));
        f.same(`answer to ${ripas}, ${flag}`, [st.x(0), st.x(1), st.x(2), st.x(3)], [0, 0x10_0000, response, 0]);
      }
    }),
    effect("a host call gets there and back", (b, f) => {
      const r = b.realm();
      const page = new Uint8Array(4096);
      const call = new DataView(page.buffer, 0x300);
      call.setUint16(0, 0x1234, true);
      for (let i = 0; i < 31; i++) call.setBigUint64(8 + 8 * i, BigInt(i + 100), true);
      const data = b.data(r, 0, page);
      b.rec(r);
      b.ok("REALM_ACTIVATE", r.rd);
      b.enter(r);
      f.same("call", b.realmSmc(RSI.HOST_CALL, [0x300]), "exit");
      left(b, r, f, "HOST_CALL");
      f.same("to the host", [b.exit(r).get("imm"), b.exit(r).get("gprs", 0), b.exit(r).get("gprs", 30)], [0x1234, 100, 130]);
      b.enter(r, (e) => {
        for (let i = 0; i < 31; i++) e.set("gprs", 0xfeed_0000n + BigInt(i), i);
      });
      f.same("x0", b.pe().st.x(0), 0);
      f.same(
        "to the realm",
        Array.from({ length: 31 }, (_, i) => b.read64(data + 0x308 + 8 * i)),
        Array.from({ length: 31 }, (_, i) => 0xfeed_0000 + i),
      );
      f.same("imm", b.read64(data + 0x300), 0x1234);
    }),
    effect("list registers come back as the realm left them", (b, f) => {
      const r = b.active();
      const lr = (1n << 62n) | (1n << 60n) | (0xa0n << 48n) | 27n;
      b.enter(r, (e) => e.set("gicv3_lrs", lr, 1));
      b.interrupt(r);
      f.same(
        "list registers",
        [0, 1, 2, 3].map((i) => b.exit(r).get("gicv3_lrs", i)),
        [0, lr, 0, 0],
      );
    }),
    effect("PSCI calls about others wait; CPU_SUSPEND and CPU_OFF are told", (b, f) => {
      const r = b.active(2);
      b.enter(r);
      const { st } = b.pe();
      for (const [call, args] of [
        [PSCI.CPU_SUSPEND, [0, 0x1000, 5]],
        [PSCI.CPU_SUSPEND_32, [0x1_0000, 0, 0]],
      ] as const) {
        const pc = st.pc;
        f.same("call", b.realmSmc(call, args), "exit");
        left(b, r, f, "PSCI");
        f.same("told", [b.exit(r).get("gprs", 0), b.exit(r).get("gprs", 1), b.exit(r).get("gprs", 2)], [call, 0, 0]);
        f.same("enter", b.enter(r), "running");
        f.same("answer", [st.x(0), st.pc], [0, pc + 4n]);
      }
      f.same("CPU_OFF", b.realmSmc(PSCI.CPU_OFF), "exit");
      left(b, r, f, "PSCI");
      f.same("told", b.exit(r).get("gprs", 0), PSCI.CPU_OFF);
      f.same("enter", b.enter(r), 3);
    }),
    effect("SYSTEM_OFF and SYSTEM_RESET end the realm", (b, f) => {
      for (const call of [PSCI.SYSTEM_OFF, PSCI.SYSTEM_RESET]) {
        const r = b.active();
        b.enter(r);
        b.realmSmc(call);
        left(b, r, f, "PSCI");
        f.same("told", b.exit(r).get("gprs", 0), call);
        f.same("enter", b.enter(r), 2 | (1 << 8));
      }
    }),
  ],
  PSCI_COMPLETE: [
    effect("CPU_ON denied: the caller is told, the other stays off", (b, f) => {
      const r = b.active(2);
      request(b, r, PSCI.CPU_ON, [1, 0x1000, 7]);
      f.same("code", b.code("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, Psci.DENIED), 0);
      f.same("target", b.enter(r, undefined, 1), 3);
      b.enter(r);
      f.same(
        "caller",
        [0, 1, 2, 3].map((n) => b.pe().st.x(n)),
        [Psci.DENIED, 0, 0, 0],
      );
    }),
    effect("CPU_ON of one that is on: ALREADY_ON, whatever the host says", (b, f) => {
      for (const [status, code] of [
        [Psci.SUCCESS, 0],
        [Psci.DENIED, 1],
      ] as const) {
        const r = b.realm();
        b.data(r, 0);
        b.rec(r);
        b.rec(r, { runnable: true });
        b.ok("REALM_ACTIVATE", r.rd);
        request(b, r, PSCI.CPU_ON, [1, 0, 0]);
        f.same("code", b.code("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, status), code);
        b.enter(r);
        f.same(
          "caller",
          [0, 1, 2, 3].map((n) => b.pe().st.x(n)),
          [Psci.ALREADY_ON, 0, 0, 0],
        );
        b.interrupt(r);
      }
    }),
    effect("AFFINITY_INFO tells on and off; the host cannot deny it", (b, f) => {
      const r = b.active(2);
      request(b, r, PSCI.AFFINITY_INFO, [1, 0]);
      f.same("denied", b.code("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, Psci.DENIED), 1);
      b.ok("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0);
      b.enter(r);
      f.same("off", b.pe().st.x(0), 1);
      b.realmSmc(PSCI.CPU_ON, [1, 0, 0]);
      b.ok("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0);
      b.enter(r);
      b.realmSmc(PSCI.AFFINITY_INFO, [1, 0]);
      b.ok("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0);
      b.enter(r);
      f.same("on", b.pe().st.x(0), 0);
    }),
    effect("once: the request is over", (b, f) => {
      const r = b.active(2);
      request(b, r, PSCI.CPU_ON, [1, 0, 0]);
      b.ok("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0);
      f.same("again", b.code("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0), 1);
    }),
    effect("CPU_OFF, and on again", (b, f) => {
      const r = b.active(2);
      request(b, r, PSCI.CPU_ON, [1, 0x1000, 7]);
      b.ok("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0);
      b.enter(r, undefined, 1);
      b.realmSmc(PSCI.CPU_OFF);
      f.same("off", b.enter(r, undefined, 1), 3);
      b.enter(r);
      b.realmSmc(PSCI.CPU_ON, [1, 0, 9]);
      b.ok("PSCI_COMPLETE", r.recs[0] as number, r.recs[1] as number, 0);
      f.same("on", b.enter(r, undefined, 1), "running");
      f.same("starts anew", [b.pe().st.pc, b.pe().st.x(0)], [0, 9]);
    }),
  ],
};

/** REC 0 runs and calls PSCI about another; the PE is the host's then. */
function request(b: RmmBench, r: TestRealm, call: number, args: readonly number[]): void {
  b.enter(r);
  if (b.realmSmc(call, args) !== "exit") throw new Error("the request is answered at once");
}
