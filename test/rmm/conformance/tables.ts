// Realm translation tables and unprotected mappings: RTT_CREATE, _DESTROY, _FOLD, _READ_ENTRY, _MAP_UNPROTECTED, _UNMAP_UNPROTECTED.

import { GranuleState } from "../../../src/rmm/granules.ts";
import {
  all,
  badGranule,
  type CommandSpec,
  entry,
  GiB,
  HALF,
  IPA_SIZE,
  input,
  isState,
  MiB2,
  make,
  rdGroup,
  rtt,
  says,
  setArg,
  structure,
  withTables,
} from "./parts.ts";

const noTable = rtt(
  "walk",
  "no table there",
  2,
  ["ipa", "level"],
  setArg("ipa", () => MiB2),
);
const noParent = rtt(
  "walk",
  "parent table missing",
  1,
  ["ipa", "level"],
  setArg("ipa", () => GiB),
);

export const tableSpecs: readonly CommandSpec[] = [
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
      noTable,
      noParent,
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
      noParent,
      noTable,
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
];
