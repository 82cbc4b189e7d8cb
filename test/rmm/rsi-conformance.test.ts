// What RSI 1.0 demands of each call of a realm, as a table: every failure with its status, what success answers, and which calls leave
// the realm. Buffers are tried at every kind of IPA.

import { describe, expect, it } from "vitest";
import { type RsiName, rsi, rsiCommands } from "../../src/rmm/commands.ts";
import { ExitReason } from "../../src/rmm/status.ts";
import { Bench, type TestRealm } from "./bench.ts";

const BUFFER = 0x1000;
const MISSING = 0x3000; // RAM, no granule
const TAKEN = 0x4000; // DESTROYED
const EMPTY = 0x5000;
const HALF = 2 ** 32;
const SIZE = 2 ** 33;
const ONES = 0xffff_ffff_ffff_ffffn;
const SUCCESS = 0n;
const INPUT = 1n;
const STATE = 2n;
const INCOMPLETE = 3n;

/** A realm that runs, with a page of each kind. */
function running(): { b: Bench; r: TestRealm } {
  const b = new Bench();
  const r = b.realm();
  b.data(r, 0);
  b.data(r, BUFFER, new Uint8Array(4096));
  b.ok("RTT_INIT_RIPAS", r.rd, MISSING, MISSING + 0x1000);
  b.data(r, TAKEN);
  b.rec(r);
  b.ok("REALM_ACTIVATE", r.rd);
  b.ok("DATA_DESTROY", r.rd, TAKEN);
  b.enter(r);
  return { b, r };
}

type Arg = number | bigint;
interface Row {
  readonly call: RsiName;
  readonly name: string;
  readonly args: readonly Arg[];
  /** x0; or the realm leaves: "fault" is a fabricated stage 2 fault. */
  readonly gives: bigint | "fault" | keyof typeof ExitReason;
  /** x1 and up. */
  readonly results?: readonly Arg[];
  /** Calls before. */
  readonly first?: readonly (readonly [RsiName, ...Arg[]])[];
}

/** What every call with a buffer at `arg` 0 does with IPAs that are none. `align`: of the buffer. */
const buffers = (call: RsiName, align: number, rest: readonly Arg[] = [], first: Row["first"] = []): Row[] => [
  { call, name: "misaligned", args: [BUFFER + align / 2, ...rest], gives: INPUT, first },
  { call, name: "unprotected", args: [HALF, ...rest], gives: INPUT, first },
  { call, name: "beyond the IPA space", args: [SIZE, ...rest], gives: INPUT, first },
  { call, name: "at the end of the address space", args: [ONES - BigInt(align - 1), ...rest], gives: INPUT, first },
  { call, name: "all ones", args: [ONES, ...rest], gives: INPUT, first },
  { call, name: "EMPTY", args: [EMPTY, ...rest], gives: INPUT, first },
  { call, name: "RAM that is missing", args: [MISSING, ...rest], gives: "fault", first },
  { call, name: "DESTROYED", args: [TAKEN, ...rest], gives: "fault", first },
];
const range = (call: RsiName, rest: readonly Arg[]): Row[] => [
  { call, name: "base misaligned", args: [BUFFER + 1, 0x3000, ...rest], gives: INPUT },
  { call, name: "top misaligned", args: [BUFFER, 0x3001, ...rest], gives: INPUT },
  { call, name: "top at base", args: [BUFFER, BUFFER, ...rest], gives: INPUT },
  { call, name: "top below base", args: [0x3000, BUFFER, ...rest], gives: INPUT },
  { call, name: "unprotected", args: [HALF, HALF + 0x1000, ...rest], gives: INPUT },
  { call, name: "across the border", args: [HALF - 0x1000, HALF + 0x1000, ...rest], gives: INPUT },
  { call, name: "wrapping", args: [ONES - 0xfffn, 0x1000, ...rest], gives: INPUT },
];
const INIT = ["ATTESTATION_TOKEN_INIT", 1, 2, 3, 4, 5, 6, 7, 8] as const;

const rows: readonly Row[] = [
  { call: "VERSION", name: "1.0", args: [0x1_0000], gives: SUCCESS, results: [0x1_0000, 0x1_0000] },
  { call: "VERSION", name: "0.0", args: [0], gives: INPUT, results: [0x1_0000, 0x1_0000] },
  { call: "VERSION", name: "2.0", args: [0x2_0000], gives: INPUT, results: [0x1_0000, 0x1_0000] },
  { call: "VERSION", name: "high bits", args: [1n << 40n], gives: INPUT, results: [0x1_0000, 0x1_0000] },
  { call: "FEATURES", name: "register 0", args: [0], gives: SUCCESS, results: [0, 0, 0] },
  { call: "FEATURES", name: "any other", args: [ONES], gives: SUCCESS, results: [0, 0, 0] },
  ...[0, 1, 2, 3, 4].map((i): Row => ({ call: "MEASUREMENT_READ", name: `slot ${i}`, args: [i], gives: SUCCESS })),
  { call: "MEASUREMENT_READ", name: "slot 5", args: [5], gives: INPUT, results: [0, 0, 0] },
  { call: "MEASUREMENT_READ", name: "slot with high bits", args: [1n << 32n], gives: INPUT },
  ...[1, 2, 3, 4].map((i): Row => ({ call: "MEASUREMENT_EXTEND", name: `slot ${i}`, args: [i, 64, 1], gives: SUCCESS })),
  { call: "MEASUREMENT_EXTEND", name: "nothing", args: [1, 0], gives: SUCCESS },
  { call: "MEASUREMENT_EXTEND", name: "slot 0", args: [0, 32], gives: INPUT },
  { call: "MEASUREMENT_EXTEND", name: "slot 5", args: [5, 32], gives: INPUT },
  { call: "MEASUREMENT_EXTEND", name: "slot with high bits", args: [(1n << 32n) + 1n, 32], gives: INPUT },
  { call: "MEASUREMENT_EXTEND", name: "size 65", args: [1, 65], gives: INPUT },
  { call: "MEASUREMENT_EXTEND", name: "size all ones", args: [1, ONES], gives: INPUT },
  { call: "ATTESTATION_TOKEN_INIT", name: "a challenge", args: INIT.slice(1) as number[], gives: SUCCESS, results: [0x1000] },
  { call: "ATTESTATION_TOKEN_INIT", name: "again", args: [0], gives: SUCCESS, results: [0x1000], first: [INIT] },
  { call: "ATTESTATION_TOKEN_CONTINUE", name: "without INIT", args: [BUFFER, 0, 0x1000], gives: STATE },
  { call: "ATTESTATION_TOKEN_CONTINUE", name: "all at once", args: [BUFFER, 0, 0x1000], gives: SUCCESS, first: [INIT] },
  { call: "ATTESTATION_TOKEN_CONTINUE", name: "a part", args: [BUFFER, 0x10, 0x20], gives: INCOMPLETE, results: [0x20], first: [INIT] },
  { call: "ATTESTATION_TOKEN_CONTINUE", name: "nothing", args: [BUFFER, 0, 0], gives: INCOMPLETE, results: [0], first: [INIT] },
  { call: "ATTESTATION_TOKEN_CONTINUE", name: "offset 4096", args: [BUFFER, 0x1000, 0], gives: INPUT, first: [INIT] },
  { call: "ATTESTATION_TOKEN_CONTINUE", name: "beyond the granule", args: [BUFFER, 0x10, 0xff1], gives: INPUT, first: [INIT] },
  { call: "ATTESTATION_TOKEN_CONTINUE", name: "size all ones", args: [BUFFER, 1, ONES], gives: INPUT, first: [INIT] },
  { call: "ATTESTATION_TOKEN_CONTINUE", name: "offset all ones", args: [BUFFER, ONES, 1], gives: INPUT, first: [INIT] },
  ...buffers("ATTESTATION_TOKEN_CONTINUE", 0x1000, [0, 0x1000], [INIT]),
  { call: "REALM_CONFIG", name: "a page", args: [BUFFER], gives: SUCCESS },
  ...buffers("REALM_CONFIG", 0x1000),
  { call: "IPA_STATE_SET", name: "to EMPTY", args: [BUFFER, 0x2000, 0, 0], gives: "RIPAS_CHANGE" },
  { call: "IPA_STATE_SET", name: "to RAM, also what is DESTROYED", args: [TAKEN, 0x5000, 1, 1], gives: "RIPAS_CHANGE" },
  { call: "IPA_STATE_SET", name: "to DESTROYED", args: [BUFFER, 0x2000, 2, 0], gives: INPUT },
  { call: "IPA_STATE_SET", name: "to what does not exist", args: [BUFFER, 0x2000, ONES, 0], gives: INPUT },
  ...range("IPA_STATE_SET", [1, 0]),
  { call: "IPA_STATE_GET", name: "RAM, to the next state", args: [BUFFER, 0x10000], gives: SUCCESS, results: [0x2000, 1] },
  { call: "IPA_STATE_GET", name: "EMPTY, to the end that was asked for", args: [EMPTY, 0x7000], gives: SUCCESS, results: [0x7000, 0] },
  { call: "IPA_STATE_GET", name: "DESTROYED", args: [TAKEN, 0x7000], gives: SUCCESS, results: [0x5000, 2] },
  ...range("IPA_STATE_GET", []),
  { call: "HOST_CALL", name: "a call", args: [BUFFER], gives: "HOST_CALL" },
  { call: "HOST_CALL", name: "at the end of a page", args: [BUFFER + 0xf00], gives: "HOST_CALL" },
  ...buffers("HOST_CALL", 0x100),
];

describe.each(rsiCommands.map((c) => c.name))("RSI_%s", (name) => {
  it.each(rows.filter((row) => row.call === name).map((row) => [row.name, row] as const))("%s", (_name, row) => {
    const { b, r } = running();
    const { st } = b.pe();
    for (const [call, ...args] of row.first ?? []) expect((b.realmSmc(rsi[call], args) as bigint[])[0]).toBe(0n);
    const pc = st.pc;
    for (let n = 5; n < 31; n++) st.setX(n, 0x1111n * BigInt(n));
    const got = b.realmSmc(rsi[name], row.args);
    if (typeof row.gives === "bigint") {
      expect((got as bigint[])[0]).toBe(row.gives);
      expect(st.pc).toBe(pc + 4n);
      for (const [i, v] of (row.results ?? []).entries()) expect(st.x(i + 1), `x${i + 1}`).toBe(BigInt(v));
      // A call that fails leaves everything from x4 on alone.
      if (row.gives !== SUCCESS && row.gives !== INCOMPLETE)
        for (let n = 12; n < 31; n++) expect(st.x(n), `x${n}`).toBe(0x1111n * BigInt(n));
      return;
    }
    expect(got).toBe("exit");
    const exit = b.exit(r);
    if (row.gives !== "fault") {
      expect(exit.num("exit_reason")).toBe(ExitReason[row.gives]);
      expect(b.enter(r)).toBe("running");
      expect([st.x(0), st.pc]).toEqual([0n, pc + 4n]);
      return;
    }
    // A translation fault at the buffer, nothing else told; the realm makes the call again.
    const ipa = BigInt(row.args[0] ?? 0);
    expect([exit.num("exit_reason"), exit.get("esr"), exit.get("far"), exit.get("hpfar")]).toEqual([
      0,
      0x9000_0007n,
      0n,
      (ipa >> 12n) << 4n,
    ]);
    b.ok("DATA_CREATE_UNKNOWN", r.rd, b.delegated(), ipa & ~0xfffn);
    expect(b.enter(r)).toBe("running");
    expect(st.pc).toBe(pc);
  });
});

it("every call of RSI 1.0 is in the table", () => {
  for (const { name } of rsiCommands) expect(rows.filter((row) => row.call === name).length, name).toBeGreaterThan(1);
});

it("what is neither RSI, PSCI nor SMCCC_VERSION answers -1 and changes nothing else", () => {
  const { b } = running();
  const known = new Set(rsiCommands.map((c) => c.fid));
  for (let fid = 0xc400_0190; fid <= 0xc400_01cf; fid++) {
    if (known.has(fid)) continue;
    expect((b.realmSmc(fid, [1, 2, 3]) as bigint[])[0], fid.toString(16)).toBe(ONES);
  }
  for (const fid of [0, 1, 0x8000_0001, 0x8000_8000, 0xc400_0150, 0xc500_0020, 0xffff_ffff, 0x8400_0015, 0x8400_0050])
    expect((b.realmSmc(fid, [1, 2, 3]) as bigint[])[0], fid.toString(16)).toBe(ONES);
  expect(b.stops).toEqual([]);
});
