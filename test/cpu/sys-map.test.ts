// The fast register map agrees with the slow path; hostile register contents never throw.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { encodings, type RegName } from "../../src/arch/registers/encodings.ts";
import { encodingKey, encodingOf } from "../../src/arch/registers/record.ts";
import { slot } from "../../src/arch/state.ts";
import { fastIndex } from "../../src/cpu/sysreg-map.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { at, type Bench, HCR_E2H, HCR_TGE, mrs, msr } from "./sys-helper.ts";

const fastNames = encodings.map(([n]) => n as RegName).filter((n) => fastIndex(encodingKey(...encodingOf(n))) !== 0);
const entry = (b: Bench, name: RegName): { read: number; write: number } => {
  const at = b.st.base + Off.SRMAP + b.st.el * 512 + fastIndex(encodingKey(...encodingOf(name))) * 4;
  return { read: b.st.view.getUint16(at, true), write: b.st.view.getUint16(at + 2, true) };
};

describe("fast register map", () => {
  it("has at most 127 entries, each with its own index", () => {
    const all = fastNames.map((n) => fastIndex(encodingKey(...encodingOf(n))));
    expect(new Set(all).size).toBe(all.length);
    expect(Math.max(...all)).toBeLessThan(128);
  });
  const bit = (n: number): bigint => 1n << BigInt(n);
  const configs: [string, bigint][] = [
    ["plain", 0n],
    ["E2H", HCR_E2H],
    ["host", HCR_E2H | HCR_TGE],
    ["TVM", bit(26)],
    ["TRVM", bit(30)],
    ["TID1 TID2 TID3", bit(16) | bit(17) | bit(18)],
    ["TACR TID4", bit(21) | bit(49)],
    ["TDZ", bit(28)],
  ];
  for (const [name, hcr] of configs) {
    it(`agrees with MRS and MSR: ${name}`, () => {
      for (const el of [0, 1, 2, 3] as const) {
        const b = at(el, hcr);
        for (const reg of fastNames) {
          if (b.pe.regs.byName.get(reg) === undefined) continue;
          const e = entry(b, reg);
          const value = mrs(b, reg);
          if (e.read !== 0) expect(value, `MRS ${reg} EL${el}`).toBe(b.st.get(e.read));
          if (typeof value === "string") {
            expect(e.read, `MRS ${reg} EL${el}`).toBe(0);
            Object.assign(b, at(el, hcr));
          }
          if (e.write !== 0) {
            expect(msr(b, reg, 0x1234_5678n), `MSR ${reg} EL${el}`).toBe("ok");
            expect(b.st.get(e.write) & 0xffffn, `MSR ${reg} EL${el}`).toBe(b.st.get(e.read) & 0xffffn);
          }
        }
      }
    });
  }
  it("follows HFGRTR_EL2, and a change of HCR_EL2 by MSR", () => {
    const b = at(1);
    expect(entry(b, "TPIDR_EL1").read).toBe(slot.TPIDR_EL1);
    b.pe.writeSys("HFGRTR_EL2", bit(33));
    expect(entry(b, "TPIDR_EL1")).toEqual({ read: 0, write: slot.TPIDR_EL1 });
    b.pe.writeSys("HFGRTR_EL2", 0n);
    expect(entry(b, "TPIDR_EL1").read).toBe(slot.TPIDR_EL1);
    const host = at(2, HCR_E2H);
    expect(entry(host, "ELR_EL1").read).toBe(slot.ELR_EL2);
    host.pe.writeSys("HCR_EL2", bit(31));
    expect(entry(host, "ELR_EL1").read).toBe(slot.ELR_EL1);
  });
  it("SP_EL0 follows PSTATE.SP", () => {
    const b = at(1);
    expect(entry(b, "SP_EL0").read).toBe(slot.SP_EL0);
    b.pe.system(SysOp.MSR_IMM, 0xd500_40bf);
    expect(entry(b, "SP_EL0").read).toBe(0);
    b.pe.system(SysOp.MSR_IMM, 0xd500_41bf);
    expect(entry(b, "SP_EL0").read).toBe(slot.SP_EL0);
  });
  it("the guest sees VPIDR_EL2 as MIDR_EL1", () => {
    expect(entry(at(1), "MIDR_EL1").read).toBe(slot.VPIDR_EL2);
    expect(entry(at(2), "MIDR_EL1").read).toBe(slot.MIDR_EL1);
  });
});

describe("hostile guests", () => {
  it("random writes of every register and random system operations never throw", () => {
    const ops = [
      SysOp.MRS,
      SysOp.MSR,
      SysOp.SYS,
      SysOp.SYSL,
      SysOp.MSR_IMM,
      SysOp.ERET,
      SysOp.WFIT,
      SysOp.SVC,
      SysOp.HVC,
      SysOp.SMC,
      SysOp.ESB,
    ];
    const names = encodings.map(([n]) => n as RegName);
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 3),
        fc.array(fc.tuple(fc.constantFrom(...ops), fc.nat(0xffff), fc.constantFrom(...names), fc.bigInt(0n, (1n << 64n) - 1n)), {
          minLength: 20,
          maxLength: 60,
        }),
        (el, steps) => {
          const b = at(el as 1 | 2 | 3, 0n, "max,rme=on");
          for (const [op, key, name, value] of steps) {
            b.st.set(Off.X, value);
            b.clock.count += value & 0xffffn;
            if (op === SysOp.MSR || op === SysOp.MRS) {
              const k = value & 1n ? encodingKey(...encodingOf(name)) : key | 0x8000;
              b.pe.system(op, (0xd510_0000 | ((k & 0xffff) << 5)) >>> 0);
            } else b.pe.system(op, (0xd500_0000 | (key << 5)) >>> 0);
            b.pe.timers.update();
            b.pe.timers.nextDeadline();
            b.pe.pollInterrupts();
            b.st.setLo(Off.HALT, 0);
            expect(b.st.el).toBeLessThan(4);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
