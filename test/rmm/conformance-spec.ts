// What RMI 1.0 demands of each command, as data: a call that succeeds, the conditions under which it fails, in the order in which they
// are checked, and what success changes. The tests are generated from it (conformance.test.ts).

import type { RmiName } from "../../src/rmm/commands.ts";
import { GranuleState } from "../../src/rmm/granules.ts";
import { RecEnter, RecParams } from "../../src/rmm/layouts.ts";
import { EnterFlag, GRANULE, RmiStatus } from "../../src/rmm/status.ts";
import { blank } from "../../src/rmm/struct.ts";
import type { EnterView, Params, RmmBench, TestRealm } from "./bench-base.ts";

const { ERROR_INPUT, ERROR_REALM, ERROR_REC, ERROR_RTT } = RmiStatus;

/** One call being prepared. Conditions change `args`, or the world. */
export interface Case {
  readonly b: RmmBench;
  readonly r: TestRealm;
  args: Record<string, bigint>;
  /** Notes of the setup for success(). */
  readonly note: Record<string, number>;
}

export interface Condition {
  /** Conditions of one group are checked at the same place; pairs take the first of each. */
  readonly group: string;
  readonly name: string;
  readonly status: number;
  readonly index?: number;
  /** Arguments or parts of the world that it changes: two conditions that touch the same thing make no pair. */
  readonly touches: readonly string[];
  apply(c: Case): void;
}

export interface CommandSpec {
  readonly command: RmiName;
  setup(b: RmmBench): Case;
  readonly conditions: readonly Condition[];
  /** Checks the effects of success; `x`: x1 and up. */
  success(c: Case, x: readonly bigint[]): boolean | string;
}

type Make = Omit<Condition, "touches" | "group"> & { group?: string; touches?: readonly string[] };
const condition = (c: Make): Condition => ({ group: c.name, touches: [c.name.split(" ")[0] as string], ...c });

const make = (b: RmmBench, r: TestRealm, args: Record<string, number | bigint>, note: Record<string, number> = {}): Case => ({
  b,
  r,
  args: Object.fromEntries(Object.entries(args).map(([k, v]) => [k, BigInt(v)])),
  note,
});

const isState = (c: Case, arg: string, state: GranuleState): boolean => c.b.isState(Number(c.args[arg]), state);

/** A granule in some other state than the one that is needed. */
const others: Readonly<Record<string, (c: Case) => number>> = {
  undelegated: (c) => c.b.granule(),
  delegated: (c) => c.b.delegated(),
  rd: (c) => c.b.realm().rd,
  rtt: (c) => c.r.rtts[0] as number,
  rec: (c) => c.r.recs[0] ?? c.b.rec(c.b.realm()),
  data: (c) => c.b.data(c.b.realm(), 0),
};

const setArg =
  (arg: string, value: (c: Case) => number | bigint) =>
  (c: Case): void => {
    c.args[arg] = BigInt(value(c));
  };
/** Addresses that are no granule in state `needed` (a key of `others`): all give ERROR_INPUT. */
function badGranule(arg: string, needed: keyof typeof others): Condition[] {
  const set = (name: string, value: (c: Case) => number | bigint): Condition =>
    condition({
      group: arg,
      name: `${arg} ${name}`,
      status: ERROR_INPUT,
      apply: (c) => {
        c.args[arg] = BigInt(value(c));
      },
    });
  return [
    set("misaligned", (c) => (c.args[arg] as bigint) + 0x80n),
    set("in a device", () => 0x0900_0000),
    set("beyond DRAM", (c) => c.b.ram.base + c.b.ram.size),
    set("with high bits", (c) => (c.args[arg] as bigint) | (1n << 52n)),
    set("all ones", () => 0xffff_ffff_ffff_ffffn),
    ...Object.entries(others)
      .filter(([name]) => name !== needed)
      .map(([name, value]) => set(name, value)),
  ];
}

/** A page of host memory that the command reads or writes. */
function badHostPage(arg: string): Condition[] {
  return [
    ...badGranule(arg, "undelegated"),
    condition({ group: arg, name: `${arg} Secure`, status: ERROR_INPUT, apply: setArg(arg, (c) => c.b.secureGranule) }),
    condition({ group: arg, name: `${arg} Root`, status: ERROR_INPUT, apply: setArg(arg, (c) => c.b.rootGranule) }),
  ];
}

const input = (arg: string, name: string, value: (c: Case) => number | bigint, group = arg): Condition =>
  condition({ group, name: `${arg} ${name}`, status: ERROR_INPUT, apply: setArg(arg, value) });
const rtt = (group: string, name: string, index: number, touches: readonly string[], apply: (c: Case) => void): Condition =>
  condition({ group, name, status: ERROR_RTT, index, touches, apply });

const IPA_SIZE = 2 ** 33;
const HALF = IPA_SIZE / 2;
const MiB2 = 2 ** 21;
const GiB = 2 ** 30;

/** ipa and level of structure commands: level 2..3 here (start level 1), aligned to what the parent's entry maps. */
const structure: readonly Condition[] = [
  input("level", "of the start table", () => 1, "level-ipa"),
  input("level", "beyond 3", () => 4, "level-ipa"),
  input("level", "negative", () => -1, "level-ipa"),
  input("level", "with high bits", (c) => (c.args["level"] as bigint) | (1n << 32n), "level-ipa"),
  input("ipa", "misaligned", (c) => (c.args["ipa"] as bigint) + 4096n, "level-ipa"),
  input("ipa", "beyond the IPA space", () => IPA_SIZE, "level-ipa"),
];

// ---- setups ---------------------------------------------------------------------------------------------------------------------

/** A realm whose tables reach level 3 at IPA 0. */
function withTables(b: RmmBench): TestRealm {
  const r = b.realm();
  b.tables(r, 0);
  return r;
}

const paramsCase = (b: RmmBench, change: (p: Params) => void = () => {}): Case => {
  const rtt_base = b.delegated();
  const rd = b.delegated();
  const { page } = b.params((p) => {
    p.set("rtt_base", rtt_base);
    change(p);
  });
  return make(b, { rd, rtts: [rtt_base], tables: [], recs: [], run: 0 }, { rd, params: page }, { rtt_base });
};

/** Changes a field of the parameters in host memory. */
const param = (name: string, apply: (p: Params, c: Case) => void): Condition =>
  condition({
    group: "parameters",
    name: `parameter ${name}`,
    status: ERROR_INPUT,
    touches: ["parameters"],
    apply: (c) => {
      const { params, page } = c.b.params((p) => {
        p.set("rtt_base", c.note["rtt_base"] as number);
        apply(p, c);
      });
      void params;
      c.args["params"] = BigInt(page);
    },
  });

const recParams = (c: Case, change: (p: ReturnType<typeof blankRec>) => void): void => {
  const p = blankRec();
  p.raw.set(c.b.read(Number(c.args["params"])));
  change(p);
  c.b.write(Number(c.args["params"]), p.raw);
};
const blankRec = () => blank(RecParams);

const enterPage = (c: Case, change: (e: EnterView) => void): void => {
  const e = blank(RecEnter);
  e.raw.set(c.b.read(Number(c.args["run"]), RecEnter.size));
  change(e);
  c.b.write(Number(c.args["run"]), e.raw);
};
const badEnter = (group: string, name: string, change: (e: EnterView) => void): Condition =>
  condition({ group, name, status: ERROR_REC, touches: ["enter"], apply: (c) => enterPage(c, change) });
const lr = (o: { state?: bigint; hw?: bigint; vintid?: bigint; priority?: bigint; pintid?: bigint }): bigint =>
  ((o.state ?? 1n) << 62n) |
  ((o.hw ?? 0n) << 61n) |
  (1n << 60n) |
  ((o.priority ?? 0xa0n) << 48n) |
  ((o.pintid ?? 0n) << 32n) |
  (o.vintid ?? 27n);

/** The realm has run, and asked for [0x10_0000, 0x10_2000) to become EMPTY. */
function ripasCase(b: RmmBench): Case {
  const r = b.realm();
  b.data(r, 0);
  b.ok("RTT_INIT_RIPAS", r.rd, 0x10_0000, 0x10_2000);
  b.rec(r);
  b.ok("REALM_ACTIVATE", r.rd);
  b.enter(r);
  b.realmSmc(0xc400_0197, [0x10_0000, 0x10_2000, 0, 0]);
  return make(b, r, { rd: r.rd, rec: r.recs[0] as number, base: 0x10_0000, top: 0x10_2000 });
}

/** REC 0 has called CPU_ON for REC 1. */
function psciCase(b: RmmBench): Case {
  const r = b.active(2);
  b.enter(r);
  b.realmSmc(0xc400_0003, [1, 0x1000, 0xc0de]);
  return make(b, r, { calling_rec: r.recs[0] as number, target_rec: r.recs[1] as number, status: 0 });
}

const rdGroup = badGranule("rd", "rd");
const entry = (c: Case, ipa: number, level = 3): bigint[] => c.b.ok("RTT_READ_ENTRY", c.args["rd"] as bigint, ipa, level);
const says = (got: readonly bigint[], want: readonly (number | bigint)[]): boolean | string =>
  want.every((w, i) => got[i] === BigInt(w)) || `got ${got.map((v) => v.toString(16))}, want ${want.map((v) => v.toString(16))}`;
const all = (...checks: (boolean | string)[]): boolean | string => checks.find((c) => c !== true) ?? true;

// ---- the commands ---------------------------------------------------------------------------------------------------------------------

export const specs: readonly CommandSpec[] = [
  {
    command: "GRANULE_DELEGATE",
    setup: (b) => make(b, b.realm(), { addr: b.granule() }),
    conditions: badHostPage("addr"),
    success: (c) => all(isState(c, "addr", GranuleState.DELEGATED), c.b.hostAccess(Number(c.args["addr"])) !== "ok"),
  },
  {
    command: "GRANULE_UNDELEGATE",
    setup: (b) => make(b, b.realm(), { addr: b.delegated() }),
    conditions: badGranule("addr", "delegated"),
    success: (c) => all(isState(c, "addr", GranuleState.UNDELEGATED), c.b.hostAccess(Number(c.args["addr"])) === "ok"),
  },
  {
    command: "REALM_CREATE",
    setup: (b) => paramsCase(b),
    conditions: [
      ...badHostPage("params"),
      param("LPA2 without support", (p) => p.set("flags", 1)),
      param("SVE without support", (p) => p.set("flags", 2)),
      param("PMU without counters", (p) => p.set("flags", 4)),
      param("PMU with too many counters", (p) => {
        p.set("flags", 4);
        p.set("pmu_num_ctrs", 7);
      }),
      param("s2sz too small", (p) => p.set("s2sz", 31)),
      param("s2sz too large", (p) => p.set("s2sz", 49)),
      param("num_bps 0", (p) => p.set("num_bps", 0)),
      param("num_bps too large", (p) => p.set("num_bps", 2)),
      param("num_wps 0", (p) => p.set("num_wps", 0)),
      param("num_wps too large", (p) => p.set("num_wps", 2)),
      param("start level too high for the size", (p) => p.set("rtt_level_start", 3)),
      param("start level too low for the size", (p) => p.set("rtt_level_start", 0)),
      param("start level negative", (p) => p.set("rtt_level_start", -1)),
      param("too few tables", (p) => p.set("rtt_num_start", 0)),
      param("too many tables", (p) => p.set("rtt_num_start", 2)),
      param("hash algorithm unknown", (p) => p.set("hash_algo", 2)),
      param("VMID in use", (p, c) => {
        c.b.realm();
        p.set("vmid", c.b.lastVmid);
      }),
      param("tables misaligned", (p, c) => {
        p.set("s2sz", 40);
        p.set("rtt_num_start", 2);
        const at = c.b.delegated(4);
        p.set("rtt_base", at + GRANULE);
      }),
      param("table undelegated", (p, c) => p.set("rtt_base", c.b.granule())),
      param("table in use", (p, c) => p.set("rtt_base", c.b.realm().rtts[0] as number)),
      condition({
        group: "rd alias",
        name: "rd is the table",
        status: ERROR_INPUT,
        touches: ["rd"],
        apply: setArg("rd", (c) => c.note["rtt_base"] as number),
      }),
      ...badGranule("rd", "delegated"),
    ],
    success: (c) =>
      all(
        isState(c, "rd", GranuleState.RD),
        c.b.isState(c.note["rtt_base"] as number, GranuleState.RTT),
        says(entry(c, 0, 1), [1, 0, 0, 0]),
        says(entry(c, HALF, 1), [1, 0, 0, 0]),
        c.b.code("REALM_ACTIVATE", c.args["rd"] as bigint) === 0,
      ),
  },
  {
    command: "REALM_ACTIVATE",
    setup: (b) => {
      const r = b.realm();
      return make(b, r, { rd: r.rd });
    },
    conditions: [
      ...rdGroup,
      condition({
        name: "realm active",
        status: ERROR_REALM,
        index: 0,
        touches: ["state"],
        apply: (c) => void c.b.ok("REALM_ACTIVATE", c.r.rd),
      }),
    ],
    success: (c) => c.b.code("REALM_ACTIVATE", c.args["rd"] as bigint) === 2,
  },
  {
    command: "REALM_DESTROY",
    setup: (b) => {
      const r = b.realm();
      return make(b, r, { rd: r.rd });
    },
    conditions: [
      ...rdGroup,
      condition({ name: "REC exists", status: ERROR_REALM, index: 0, touches: ["world"], apply: (c) => void c.b.rec(c.r) }),
      condition({ name: "table exists", status: ERROR_REALM, index: 0, touches: ["world"], apply: (c) => c.b.tables(c.r, 0, 2) }),
    ],
    success: (c) => all(isState(c, "rd", GranuleState.DELEGATED), c.b.givenBackZero(c.r.rd), c.b.givenBackZero(c.r.rtts[0] as number)),
  },
  {
    command: "REC_AUX_COUNT",
    setup: (b) => {
      const r = b.realm();
      return make(b, r, { rd: r.rd });
    },
    conditions: rdGroup,
    success: (_c, x) => says(x, [16]),
  },
  {
    command: "REC_CREATE",
    setup: (b) => {
      const r = b.realm();
      const p = blank(RecParams);
      p.set("flags", 1);
      p.set("num_aux", 16);
      for (let i = 0; i < 16; i++) p.set("aux", b.delegated(), i);
      const params = b.granule();
      b.write(params, p.raw);
      return make(b, r, { rd: r.rd, rec: b.delegated(), params });
    },
    conditions: [
      ...badHostPage("params"),
      condition({
        group: "aux",
        name: "more aux granules than exist",
        status: ERROR_INPUT,
        touches: ["parameters"],
        apply: (c) => recParams(c, (p) => p.set("num_aux", 17)),
      }),
      condition({
        group: "aux",
        name: "aux granule undelegated",
        status: ERROR_INPUT,
        touches: ["parameters"],
        apply: (c) => recParams(c, (p) => p.set("aux", c.b.granule(), 3)),
      }),
      condition({
        group: "aux",
        name: "aux granule misaligned",
        status: ERROR_INPUT,
        touches: ["parameters"],
        apply: (c) => recParams(c, (p) => p.set("aux", p.get("aux", 5) + 8n, 5)),
      }),
      condition({
        group: "aux",
        name: "aux granule twice",
        status: ERROR_INPUT,
        touches: ["parameters"],
        apply: (c) => recParams(c, (p) => p.set("aux", p.get("aux", 0), 15)),
      }),
      condition({
        group: "rec",
        name: "rec is an aux granule",
        status: ERROR_INPUT,
        touches: ["rec"],
        apply: (c) => recParams(c, (p) => setArg("rec", () => p.get("aux", 2))(c)),
      }),
      ...badGranule("rec", "delegated"),
      ...rdGroup,
      condition({
        name: "realm active",
        status: ERROR_REALM,
        index: 0,
        touches: ["state"],
        apply: (c) => void c.b.ok("REALM_ACTIVATE", c.r.rd),
      }),
      condition({
        group: "mpidr",
        name: "mpidr with other bits",
        status: ERROR_INPUT,
        touches: ["mpidr"],
        apply: (c) => recParams(c, (p) => p.set("mpidr", (1n << 31n) << 1n)),
      }),
      condition({
        group: "mpidr",
        name: "mpidr with Aff0 16",
        status: ERROR_INPUT,
        touches: ["mpidr"],
        apply: (c) => recParams(c, (p) => p.set("mpidr", 16)),
      }),
      condition({
        group: "mpidr",
        name: "mpidr out of turn",
        status: ERROR_INPUT,
        touches: ["mpidr"],
        apply: (c) => recParams(c, (p) => p.set("mpidr", 1)),
      }),
      condition({
        group: "count",
        name: "fewer aux granules than needed",
        status: ERROR_INPUT,
        touches: ["parameters"],
        apply: (c) => recParams(c, (p) => p.set("num_aux", 15)),
      }),
    ],
    success: (c) => all(isState(c, "rec", GranuleState.REC), (c.b.count(GranuleState.REC_AUX) ?? 16) === 16),
  },
  {
    command: "REC_DESTROY",
    setup: (b) => {
      const r = b.realm();
      return make(b, r, { rec: b.rec(r) });
    },
    conditions: badGranule("rec", "rec"),
    success: (c) =>
      all(
        isState(c, "rec", GranuleState.DELEGATED),
        c.b.givenBackZero(Number(c.args["rec"])),
        (c.b.count(GranuleState.REC_AUX) ?? 0) === 0,
      ),
  },
  {
    command: "REC_ENTER",
    setup: (b) => {
      const r = b.active(2);
      return make(b, r, { rec: r.recs[0] as number, run: r.run });
    },
    conditions: [
      ...badHostPage("run"),
      ...badGranule("rec", "rec"),
      condition({
        group: "new",
        name: "realm not active",
        status: ERROR_REALM,
        index: 0,
        touches: ["rec"],
        apply: setArg("rec", (c) => c.b.rec(c.b.realm())),
      }),
      condition({
        group: "off",
        name: "realm switched off",
        status: ERROR_REALM,
        index: 1,
        touches: ["rec"],
        apply: (c) => {
          c.b.enter(c.r);
          c.b.realmSmc(0x8400_0008);
        },
      }),
      condition({ name: "rec not runnable", status: ERROR_REC, touches: ["rec"], apply: setArg("rec", (c) => c.r.recs[1] as number) }),
      condition({
        group: "psci",
        name: "PSCI request pending",
        status: ERROR_REC,
        touches: ["rec", "enter"],
        apply: (c) => {
          c.b.enter(c.r);
          c.b.realmSmc(0xc400_0003, [1, 0, 0]);
        },
      }),
      badEnter("gic", "gicv3_hcr.En", (e) => e.set("gicv3_hcr", 1)),
      badEnter("gic", "gicv3_hcr.TC", (e) => e.set("gicv3_hcr", 1 << 10)),
      badEnter("gic", "list register with HW", (e) => e.set("gicv3_lrs", lr({ hw: 1n }), 0)),
      badEnter("gic", "list register with a priority that does not exist", (e) => e.set("gicv3_lrs", lr({ priority: 0xa4n }), 1)),
      badEnter("gic", "list register with a physical INTID", (e) => e.set("gicv3_lrs", lr({ pintid: 5n }), 2)),
      badEnter("gic", "list register with INTID 1020", (e) => e.set("gicv3_lrs", lr({ vintid: 1020n }), 3)),
      badEnter("gic", "list register with INTID 8191", (e) => e.set("gicv3_lrs", lr({ vintid: 8191n }), 0)),
      badEnter("gic", "one INTID twice", (e) => {
        e.set("gicv3_lrs", lr({}), 0);
        e.set("gicv3_lrs", lr({ state: 2n }), 3);
      }),
      badEnter("sea", "INJECT_SEA without an abort", (e) => e.set("flags", EnterFlag.INJECT_SEA)),
      badEnter("mmio", "EMUL_MMIO without an abort", (e) => e.set("flags", EnterFlag.EMUL_MMIO)),
    ],
    success: (c) => c.b.inRealm(),
  },
  {
    command: "RTT_CREATE",
    setup: (b) => {
      const r = b.realm();
      return make(b, r, { rd: r.rd, rtt: b.delegated(), ipa: 0, level: 2 });
    },
    conditions: [
      ...badGranule("rtt", "delegated"),
      ...rdGroup,
      ...structure,
      rtt(
        "walk",
        "parent table missing",
        1,
        ["level", "ipa"],
        setArg("level", () => 3),
      ),
      rtt("exists", "table exists", 1, ["world", "level"], (c) => c.b.tables(c.r, 0, 2)),
    ],
    success: (c) =>
      all(
        isState(c, "rtt", GranuleState.RTT),
        says(entry(c, 0, 1), [1, 2, c.args["rtt"] as bigint, 0]),
        says(entry(c, 0, 2), [2, 0, 0, 0]),
      ),
  },
  {
    command: "RTT_DESTROY",
    setup: (b) => {
      const r = withTables(b);
      return make(b, r, { rd: r.rd, ipa: 0, level: 3 });
    },
    conditions: [
      ...rdGroup,
      ...structure,
      rtt(
        "walk",
        "no table there",
        2,
        ["ipa", "level"],
        setArg("ipa", () => MiB2),
      ),
      rtt(
        "walk",
        "parent table missing",
        1,
        ["ipa", "level"],
        setArg("ipa", () => GiB),
      ),
      rtt("live", "entries in use", 3, ["world"], (c) => void c.b.data(c.r, 0x1000)),
    ],
    success: (c, x) => {
      const table = c.r.tables.find((t) => t.level === 3)?.rtt as number;
      return all(says(x, [table, GiB]), c.b.givenBackZero(table), says(entry(c, 0), [2, 0, 0, 2]));
    },
  },
  {
    command: "RTT_FOLD",
    setup: (b) => {
      const r = withTables(b);
      return make(b, r, { rd: r.rd, ipa: 0, level: 3 });
    },
    conditions: [
      ...rdGroup,
      ...structure,
      rtt(
        "walk",
        "parent table missing",
        1,
        ["ipa", "level"],
        setArg("ipa", () => GiB),
      ),
      rtt(
        "walk",
        "no table there",
        2,
        ["ipa", "level"],
        setArg("ipa", () => MiB2),
      ),
      rtt("mixed", "one entry assigned", 3, ["world"], (c) => void c.b.data(c.r, 0x1000)),
      rtt("mixed", "entries of two RIPAS", 3, ["world"], (c) => void c.b.ok("RTT_INIT_RIPAS", c.r.rd, 0, 0x1000)),
      rtt(
        "mixed",
        "a table below",
        2,
        ["ipa", "level", "world"],
        setArg("level", () => 2),
      ),
    ],
    success: (c, x) => {
      const table = c.r.tables.find((t) => t.level === 3)?.rtt as number;
      return all(says(x, [table]), c.b.givenBackZero(table), says(entry(c, 0), [2, 0, 0, 0]));
    },
  },
  {
    command: "RTT_READ_ENTRY",
    setup: (b) => {
      const r = withTables(b);
      const data = b.data(r, 0x3000);
      return make(b, r, { rd: r.rd, ipa: 0x3000, level: 3 }, { data });
    },
    conditions: [
      ...rdGroup,
      input("level", "above the start table", () => 0, "level-ipa"),
      input("level", "beyond 3", () => 4, "level-ipa"),
      input("level", "negative", () => -1, "level-ipa"),
      input("ipa", "misaligned", () => 0x3800, "level-ipa"),
      input("ipa", "beyond the IPA space", () => IPA_SIZE, "level-ipa"),
    ],
    success: (c, x) => says(x, [3, 1, c.note["data"] as number, 1]),
  },
  {
    command: "RTT_MAP_UNPROTECTED",
    setup: (b) => {
      const r = b.realm();
      b.tables(r, HALF);
      const ns = b.granule();
      return make(b, r, { rd: r.rd, ipa: HALF, level: 3, desc: BigInt(ns) | 0xd8n }, { ns });
    },
    conditions: [
      input("level", "0", () => 0, "level"),
      input("level", "4", () => 4, "level"),
      ...rdGroup,
      input("desc", "valid bit", (c) => (c.args["desc"] as bigint) | 1n),
      input("desc", "AF", (c) => (c.args["desc"] as bigint) | (1n << 10n)),
      input("desc", "NS", (c) => (c.args["desc"] as bigint) | (1n << 55n)),
      input("desc", "address above 48 bits", (c) => (c.args["desc"] as bigint) | (1n << 48n)),
      input("desc", "reserved MemAttr", (c) => ((c.args["desc"] as bigint) & ~0x1cn) | 0x10n),
      input("ipa", "misaligned", () => HALF + 0x800),
      input("ipa", "beyond the IPA space", () => IPA_SIZE),
      input("ipa", "protected", () => 0),
      rtt(
        "walk",
        "table missing",
        2,
        ["ipa", "level"],
        setArg("ipa", () => HALF + MiB2),
      ),
      rtt("exists", "mapped already", 3, ["world"], (c) => void c.b.ok("RTT_MAP_UNPROTECTED", c.r.rd, HALF, 3, c.args["desc"] as bigint)),
    ],
    success: (c) => says(entry(c, HALF), [3, 1, c.args["desc"] as bigint, 0]),
  },
  {
    command: "RTT_UNMAP_UNPROTECTED",
    setup: (b) => {
      const r = b.realm();
      b.tables(r, HALF);
      b.ok("RTT_MAP_UNPROTECTED", r.rd, HALF, 3, BigInt(b.granule()) | 0xd8n);
      return make(b, r, { rd: r.rd, ipa: HALF, level: 3 });
    },
    conditions: [
      input("level", "0", () => 0, "level"),
      input("level", "4", () => 4, "level"),
      ...rdGroup,
      input("ipa", "misaligned", () => HALF + 0x800),
      input("ipa", "beyond the IPA space", () => IPA_SIZE),
      input("ipa", "protected", () => 0),
      rtt(
        "walk",
        "table missing",
        2,
        ["ipa", "level"],
        setArg("ipa", () => HALF + MiB2),
      ),
      rtt(
        "walk",
        "not mapped",
        3,
        ["ipa", "level"],
        setArg("ipa", () => HALF + 0x1000),
      ),
    ],
    success: (c, x) => all(says(x, [HALF + MiB2]), says(entry(c, HALF), [3, 0, 0, 0])),
  },
  {
    command: "RTT_INIT_RIPAS",
    setup: (b) => {
      const r = withTables(b);
      return make(b, r, { rd: r.rd, base: 0x1000, top: 0x3000 });
    },
    conditions: [
      condition({
        name: "top at base",
        status: ERROR_INPUT,
        touches: ["top", "base"],
        apply: setArg("top", (c) => c.args["base"] as bigint),
      }),
      ...rdGroup,
      input("base", "misaligned", () => 0x1800, "range"),
      input("top", "misaligned", () => 0x2800, "range"),
      input("top", "beyond the IPA space", () => IPA_SIZE + GRANULE, "range"),
      input("top", "unprotected", () => HALF + GRANULE, "range"),
      condition({
        name: "realm active",
        status: ERROR_REALM,
        index: 0,
        touches: ["state"],
        apply: (c) => void c.b.ok("REALM_ACTIVATE", c.r.rd),
      }),
      rtt("walk", "base inside a block entry", 2, ["base", "top"], (c) => {
        c.args["base"] = BigInt(MiB2 + GRANULE);
        c.args["top"] = BigInt(MiB2 + 2 * GRANULE);
      }),
      rtt("walk", "entry crosses top", 2, ["base", "top"], (c) => {
        c.args["base"] = BigInt(MiB2);
        c.args["top"] = BigInt(MiB2 + GRANULE);
      }),
      rtt("entry", "first entry assigned", 3, ["world"], (c) => void c.b.data(c.r, 0x1000)),
    ],
    success: (c, x) =>
      all(
        says(x, [0x3000]),
        says(entry(c, 0x1000), [3, 0, 0, 1]),
        says(entry(c, 0x2000), [3, 0, 0, 1]),
        says(entry(c, 0x3000), [3, 0, 0, 0]),
      ),
  },
  {
    command: "RTT_SET_RIPAS",
    setup: ripasCase,
    conditions: [
      condition({
        name: "top at base",
        status: ERROR_INPUT,
        touches: ["top", "base"],
        apply: setArg("top", (c) => c.args["base"] as bigint),
      }),
      ...rdGroup,
      ...badGranule("rec", "rec"),
      condition({
        group: "owner",
        name: "rec of another realm",
        status: ERROR_REC,
        touches: ["rec", "rd"],
        apply: setArg("rec", (c) => c.b.rec(c.b.realm())),
      }),
      input("base", "not where the request stands", () => 0x10_1000, "request"),
      input("top", "beyond the request", () => 0x10_3000, "request"),
    ],
    success: (c, x) => all(says(x, [0x10_2000]), says(entry(c, 0x10_0000), [3, 0, 0, 0]), says(entry(c, 0x10_1000), [3, 0, 0, 0])),
  },
  {
    command: "DATA_CREATE",
    setup: (b) => {
      const r = withTables(b);
      const src = b.granule();
      b.write(src, new Uint8Array(GRANULE).fill(0xc3));
      return make(b, r, { rd: r.rd, data: b.delegated(), ipa: 0x5000, src, flags: 1 });
    },
    conditions: [
      input("flags", "2", () => 2),
      input("flags", "high bits", () => 1n << 40n),
      ...badGranule("src", "undelegated"),
      ...badGranule("data", "delegated"),
      ...rdGroup,
      condition({
        name: "realm active",
        status: ERROR_REALM,
        index: 0,
        touches: ["state"],
        apply: (c) => void c.b.ok("REALM_ACTIVATE", c.r.rd),
      }),
      input("ipa", "unprotected", () => HALF),
      input("ipa", "misaligned", () => 0x5800),
      input("ipa", "beyond the IPA space", () => IPA_SIZE),
      rtt(
        "walk",
        "table missing",
        2,
        ["ipa"],
        setArg("ipa", () => MiB2),
      ),
      rtt("entry", "assigned already", 3, ["world"], (c) => void c.b.data(c.r, 0x5000)),
      condition({
        group: "copy",
        name: "src Secure",
        status: ERROR_INPUT,
        touches: ["src"],
        apply: setArg("src", (c) => c.b.secureGranule),
      }),
    ],
    success: (c) =>
      all(
        isState(c, "data", GranuleState.DATA),
        says(entry(c, 0x5000), [3, 1, c.args["data"] as bigint, 1]),
        c.b.read(Number(c.args["data"])).every((v) => v === 0xc3),
      ),
  },
  {
    command: "DATA_CREATE_UNKNOWN",
    setup: (b) => {
      const r = withTables(b);
      return make(b, r, { rd: r.rd, data: b.delegated(), ipa: 0x5000 });
    },
    conditions: [
      ...badGranule("data", "delegated"),
      ...rdGroup,
      input("ipa", "unprotected", () => HALF),
      input("ipa", "misaligned", () => 0x5800),
      input("ipa", "beyond the IPA space", () => IPA_SIZE),
      rtt(
        "walk",
        "table missing",
        2,
        ["ipa"],
        setArg("ipa", () => MiB2),
      ),
      rtt("entry", "assigned already", 3, ["world"], (c) => void c.b.data(c.r, 0x5000)),
    ],
    success: (c) => all(isState(c, "data", GranuleState.DATA), says(entry(c, 0x5000), [3, 1, c.args["data"] as bigint, 0])),
  },
  {
    command: "DATA_DESTROY",
    setup: (b) => {
      const r = withTables(b);
      const data = b.data(r, 0x5000);
      return make(b, r, { rd: r.rd, ipa: 0x5000 }, { data });
    },
    conditions: [
      ...rdGroup,
      input("ipa", "unprotected", () => HALF),
      input("ipa", "misaligned", () => 0x5800),
      input("ipa", "beyond the IPA space", () => IPA_SIZE),
      rtt(
        "walk",
        "table missing",
        2,
        ["ipa"],
        setArg("ipa", () => MiB2),
      ),
      rtt(
        "walk",
        "not assigned",
        3,
        ["ipa"],
        setArg("ipa", () => 0x6000),
      ),
    ],
    success: (c, x) =>
      all(says(x, [c.note["data"] as number, MiB2]), c.b.givenBackZero(c.note["data"] as number), says(entry(c, 0x5000), [3, 0, 0, 2])),
  },
  {
    command: "PSCI_COMPLETE",
    setup: psciCase,
    conditions: [
      ...badGranule("calling_rec", "rec"),
      ...badGranule("target_rec", "rec"),
      input("target_rec", "the caller itself", (c) => c.args["calling_rec"] as bigint),
      input("calling_rec", "without a request", (c) => c.b.rec(c.b.realm()), "request"),
      condition({
        group: "owner",
        name: "target of another realm",
        status: ERROR_INPUT,
        touches: ["target_rec", "calling_rec"],
        apply: setArg("target_rec", (c) => c.b.rec(c.b.realm())),
      }),
      input("status", "not a PSCI answer to CPU_ON", () => -1),
      input("status", "ALREADY_ON is for the RMM to say", () => -4),
    ],
    success: (c) => all(c.b.enter(c.r, undefined, 1) === "running", c.b.pe().st.pc === 0x1000n, c.b.pe().st.x(0) === 0xc0den),
  },
];
