// A realm's code in the executor: from the host's SMC through the realm and back, with faults that the host resolves on the way.

import { expect, it } from "vitest";
import { Executor } from "../../src/cpu/executor.ts";
import { rowAvailable } from "../../src/cpu/feature-use.ts";
import { fastIndex } from "../../src/cpu/sysreg-map.ts";
import { defaultEngine } from "../../src/harness/engine.ts";
import type { Row } from "../../src/isa/table.ts";
import { rmi, rsi } from "../../src/rmm/commands.ts";
import { RecEnter } from "../../src/rmm/layouts.ts";
import { EnterFlag, ExitReason, GRANULE } from "../../src/rmm/status.ts";
import { blank } from "../../src/rmm/struct.ts";
import { Bench } from "./bench.ts";

const code = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
const page = (c: Uint8Array): Uint8Array<ArrayBuffer> => {
  const p = new Uint8Array(GRANULE);
  p.set(c);
  return p;
};
const movz = (rd: number, imm: number, shift = 0): number => (0xd280_0000 | ((shift / 16) << 21) | (imm << 5) | rd) >>> 0;
const movk = (rd: number, imm: number, shift: number): number => (0xf280_0000 | ((shift / 16) << 21) | (imm << 5) | rd) >>> 0;
const SMC = 0xd400_0003;
const LOOP = 0x1400_0000;

it("a realm stores to memory, to an emulated device, and makes a host call", () => {
  const b = new Bench();
  const context = { available: (row: Row) => rowAvailable(b.pe().features, row.features), fastIndex };
  const executor = new Executor(b.phys, b.domain, b.pes, context, defaultEngine());
  const r = b.realm();
  b.data(
    r,
    0,
    page(
      code(
        movz(1, 0x2000), // x1 = 0x2000: RAM, not there yet
        movz(2, 0x55),
        0xf900_0022, // STR X2, [X1]
        movz(3, 1, 32), // x3 = 2^32: unprotected, a device
        0xb940_0464, // LDR W4, [X3, #4]
        0xf900_0424, // STR X4, [X1, #8]
        0x7900_0024, // STRH W4, [X1]
        movz(0, rsi.HOST_CALL & 0xffff),
        movk(0, 0xc400, 16),
        movz(1, 0x2100),
        SMC,
        LOOP,
      ),
    ),
  );
  b.ok("RTT_INIT_RIPAS", r.rd, 0x2000, 0x3000);
  b.rec(r);
  b.ok("REALM_ACTIVATE", r.rd);

  const { st } = b.pe();
  const host = b.granule();
  b.write(host, code(SMC, LOOP));
  const enter = (flags = 0, value = 0n): void => {
    const e = blank(RecEnter);
    e.set("flags", flags);
    e.set("gprs", value, 0);
    b.write(r.run, e.raw);
    st.setX(0, BigInt(rmi.REC_ENTER));
    st.setX(1, BigInt(r.recs[0] as number));
    st.setX(2, BigInt(r.run));
    st.pc = BigInt(host);
    executor.slice(b.pe(), 60);
    expect([b.atHost(), st.x(0), st.pc]).toEqual([true, 0n, BigInt(host + 4)]);
  };

  enter();
  expect([b.exit(r).num("exit_reason"), b.exit(r).get("hpfar"), b.exit(r).get("esr") >> 26n]).toEqual([ExitReason.SYNC, 0x20n, 0x24n]);
  const data = b.delegated();
  b.ok("DATA_CREATE_UNKNOWN", r.rd, data, 0x2000);
  enter();
  expect([b.exit(r).get("hpfar"), b.exit(r).get("far")]).toEqual([0x100_0000n, 4n]);
  expect(b.read64(data)).toBe(0x55n);
  enter(EnterFlag.EMUL_MMIO, 0xcafe_f00dn);
  expect(b.exit(r).num("exit_reason")).toBe(ExitReason.HOST_CALL);
  expect(b.read64(data + 8)).toBe(0xcafe_f00dn);
  expect(b.read64(data)).toBe(0xf00dn);
  expect(b.stops).toEqual([]);
});
