// Granules and realms: GRANULE_*, REALM_*, REC_AUX_COUNT.

import { GranuleState } from "../../../src/rmm/granules.ts";
import { GRANULE } from "../../../src/rmm/status.ts";
import type { Params, RmmBench } from "../bench-base.ts";
import {
  all,
  badGranule,
  badHostPage,
  type Case,
  type CommandSpec,
  type Condition,
  condition,
  ERROR_INPUT,
  ERROR_REALM,
  entry,
  HALF,
  isState,
  make,
  rdGroup,
  realmActive,
  says,
  setArg,
} from "./parts.ts";

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
export const realmSpecs: readonly CommandSpec[] = [
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
    conditions: [...rdGroup, realmActive],
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
];
