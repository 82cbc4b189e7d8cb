// What RSI 1.0 and PSCI in a realm demand of each call, as a table: every failure with its status, what success answers, which calls leave
// the realm, and which failure comes first where two could. Buffers are tried at every kind of IPA.

import { type RsiName, rsi, rsiCommands } from "../../../src/rmm/commands.ts";
import { ExitReason, Psci } from "../../../src/rmm/status.ts";
import type { RmmBench, TestRealm } from "../bench-base.ts";
import type { Conformance } from "./cases.ts";
import { Findings } from "./effects.ts";

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
export function running(b: RmmBench): TestRealm {
  const r = b.realm();
  b.data(r, 0);
  b.data(r, BUFFER, new Uint8Array(4096));
  b.ok("RTT_INIT_RIPAS", r.rd, MISSING, MISSING + 0x1000);
  b.data(r, TAKEN);
  b.rec(r);
  b.rec(r);
  b.ok("REALM_ACTIVATE", r.rd);
  b.ok("DATA_DESTROY", r.rd, TAKEN);
  b.enter(r);
  return r;
}

type Arg = number | bigint;
/** x0; or the realm leaves: "fault" is a fabricated stage 2 fault. */
type Gives = bigint | "fault" | keyof typeof ExitReason;
interface Row {
  readonly call: RsiName;
  readonly name: string;
  readonly args: readonly Arg[];
  readonly gives: Gives;
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

// ---- which failure comes first -----------------------------------------------------------------------------------------------------

/** A way in which a call fails: parts of its arguments take these values. In the order in which they are checked. */
type Failure = readonly [name: string, parts: Readonly<Record<string, Arg>>, gives: Gives];
interface Order {
  readonly call: RsiName | "CPU_ON" | "AFFINITY_INFO";
  /** Parts of a call that succeeds. */
  readonly base: Readonly<Record<string, Arg>>;
  args(p: Readonly<Record<string, bigint>>): readonly bigint[];
  readonly failures: readonly Failure[];
}
const address = (p: Readonly<Record<string, bigint>>): bigint => (p["page"] as bigint) + (p["low"] as bigint);
const PSCI_FIDS = { CPU_ON: 0xc400_0003, AFFINITY_INFO: 0xc400_0004 } as const;

// biome-ignore format: table
const orders: readonly Order[] = [
  { call: "ATTESTATION_TOKEN_CONTINUE", base: { page: BUFFER, low: 0, offset: 0, size: 0x1000, init: 1 },
    args: (p) => [address(p), p["offset"] as bigint, p["size"] as bigint],
    failures: [
      ["misaligned",       { low: 8 },         INPUT],
      ["offset too large", { offset: 0x1000 }, INPUT],
      ["unprotected",      { page: HALF },     INPUT],
      ["no INIT",          { init: 0 },        STATE],
      ["EMPTY",            { page: EMPTY },    INPUT],
      ["missing",          { page: MISSING },  "fault"],
    ] },
  { call: "REALM_CONFIG", base: { page: BUFFER, low: 0 }, args: (p) => [address(p)],
    failures: [
      ["misaligned",       { low: 8 },         INPUT],
      ["missing",          { page: MISSING },  "fault"],
      ["DESTROYED",        { page: TAKEN },    "fault"],
    ] },
  { call: "HOST_CALL", base: { page: BUFFER, low: 0 }, args: (p) => [address(p)],
    failures: [
      ["misaligned",       { low: 0x80 },      INPUT],
      ["missing",          { page: MISSING },  "fault"],
      ["DESTROYED",        { page: TAKEN },    "fault"],
    ] },
  { call: "CPU_ON", base: { mpidr: 1, entry: 0 }, args: (p) => [p["mpidr"] as bigint, p["entry"] as bigint, 0n],
    failures: [
      ["entry unprotected", { entry: HALF },   Psci.INVALID_ADDRESS],
      ["no such PE",        { mpidr: 7 },      Psci.INVALID_PARAMETERS],
      ["the caller",        { mpidr: 0 },      Psci.ALREADY_ON],
    ] },
  { call: "AFFINITY_INFO", base: { mpidr: 1, level: 0 }, args: (p) => [p["mpidr"] as bigint, p["level"] as bigint],
    failures: [
      ["level 1",           { level: 1 },      Psci.INVALID_PARAMETERS],
      ["no such PE",        { mpidr: 7 },      Psci.INVALID_PARAMETERS],
      ["the caller",        { mpidr: 0 },      Psci.AFFINITY_ON],
    ] },
];

// ---- cases -------------------------------------------------------------------------------------------------------------------------

/** A call: what it gave, and the exit when it left. */
function make(b: RmmBench, fid: number, args: readonly Arg[]): Gives {
  const got = b.realmSmc(fid, args);
  return got === "exit" ? "fault" : (got[0] as bigint);
}

function orderCases(o: Order): Conformance[] {
  const pairs = o.failures.flatMap((a, i) => o.failures.slice(i + 1).map((z) => [a, z] as const));
  return pairs
    .filter(([a, z]) => a[2] !== z[2] && !Object.keys(a[1]).some((k) => k in z[1]))
    .map(([[name, parts, gives], [later, more]]) => ({
      name: `checks ${name} before ${later}`,
      check: (b) => {
        running(b);
        const p = Object.fromEntries(Object.entries({ ...o.base, ...more, ...parts }).map(([k, v]) => [k, BigInt(v)]));
        if (p["init"] === 1n) b.realmSmc(rsi.ATTESTATION_TOKEN_INIT, [1, 2, 3, 4, 5, 6, 7, 8]);
        const fid = o.call === "CPU_ON" || o.call === "AFFINITY_INFO" ? PSCI_FIDS[o.call] : rsi[o.call];
        const f = new Findings();
        f.same("x0", make(b, fid, o.args(p)), gives);
        return f.result === true ? "" : f.result;
      },
    }));
}

function rowCase(row: Row): Conformance {
  return {
    name: row.name,
    check: (b) => {
      const f = new Findings();
      look(b, row, f);
      return f.result === true ? "" : f.result;
    },
  };
}

function look(b: RmmBench, row: Row, f: Findings): void {
  const r = running(b);
  const { st } = b.pe();
  for (const [call, ...args] of row.first ?? []) f.same("before", (b.realmSmc(rsi[call], args) as bigint[])[0], SUCCESS);
  const pc = st.pc;
  for (let n = 1; n < 31; n++) st.setX(n, 0x1111n * BigInt(n));
  const got = b.realmSmc(rsi[row.call], row.args);
  if (typeof row.gives === "bigint") {
    if (got === "exit") f.same("the realm", "left", "goes on");
    else answered(b, row, pc, f);
    return;
  }
  f.same("the realm", got === "exit", true);
  const exit = b.exit(r);
  if (row.gives !== "fault") {
    f.same("exit", exit.num("exit_reason"), ExitReason[row.gives]);
    f.same("enter", b.enter(r), "running");
    f.same("x0, pc", [st.x(0), st.pc], [0, pc + 4n]);
    return;
  }
  // A translation fault at the buffer, nothing else told; the realm makes the call again.
  const ipa = BigInt(row.args[0] ?? 0);
  f.same("exit", [exit.num("exit_reason"), exit.get("esr"), exit.get("far"), exit.get("hpfar")], [0, 0x9000_0007n, 0, (ipa >> 12n) << 4n]);
  b.ok("DATA_CREATE_UNKNOWN", r.rd, b.delegated(), ipa & ~0xfffn);
  f.same("enter", b.enter(r), "running");
  f.same("pc", st.pc, pc);
}

/** x0 to x3 are written always, x4 and up only when the command defines them, and has succeeded. */
function answered(b: RmmBench, row: Row, pc: bigint, f: Findings): void {
  const { st } = b.pe();
  f.same("x0", st.x(0), row.gives as bigint);
  f.same("pc", st.pc, pc + 4n);
  for (const [i, v] of (row.results ?? []).entries()) f.same(`x${i + 1}`, st.x(i + 1), v);
  const { results } = rsiCommands.find((c) => c.name === row.call) as { results: readonly string[] };
  for (let n = Math.max(4, 1 + results.length); n < 31; n++)
    f.same(`x${n}`, st.x(n), BigInt.asUintN(64, BigInt(row.args[n - 1] ?? 0x1111 * n)));
}

/** Cases by call. */
export const rsiCases: readonly (readonly [call: string, cases: readonly Conformance[]])[] = [
  ...rsiCommands.map(
    (c) =>
      [
        `RSI_${c.name}`,
        [...rows.filter((row) => row.call === c.name).map(rowCase), ...orders.filter((o) => o.call === c.name).flatMap(orderCases)],
      ] as const,
  ),
  ...orders.filter((o) => o.call in PSCI_FIDS).map((o) => [`PSCI_${o.call}`, orderCases(o)] as const),
];
