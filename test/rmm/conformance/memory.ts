// Memory of realms: RTT_INIT_RIPAS, RTT_SET_RIPAS, DATA_*.

import { GranuleState } from "../../../src/rmm/granules.ts";
import { GRANULE } from "../../../src/rmm/status.ts";
import type { RmmBench } from "../bench-base.ts";
import {
  all,
  badGranule,
  type Case,
  type CommandSpec,
  type Condition,
  condition,
  ERROR_INPUT,
  ERROR_REC,
  entry,
  HALF,
  IPA_SIZE,
  input,
  isState,
  MiB2,
  make,
  rdGroup,
  realmActive,
  rtt,
  says,
  setArg,
  withTables,
} from "./parts.ts";

/** `ipa` of a page that is to be made: protected, with a table, and nothing there. */
const newPage: readonly Condition[] = [
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
];

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

export const memorySpecs: readonly CommandSpec[] = [
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
      realmActive,
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
      realmActive,
      ...newPage,
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
    conditions: [...badGranule("data", "delegated"), ...rdGroup, ...newPage],
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
];
