// RECs: REC_*, PSCI_COMPLETE.

import { GranuleState } from "../../../src/rmm/granules.ts";
import { RecEnter, RecParams } from "../../../src/rmm/layouts.ts";
import { EnterFlag } from "../../../src/rmm/status.ts";
import { blank } from "../../../src/rmm/struct.ts";
import type { EnterView, RmmBench } from "../bench-base.ts";
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
  ERROR_REC,
  input,
  isState,
  make,
  rdGroup,
  realmActive,
  setArg,
} from "./parts.ts";

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

/** REC 0 has called CPU_ON for REC 1. */
function psciCase(b: RmmBench): Case {
  const r = b.active(2);
  b.enter(r);
  b.realmSmc(0xc400_0003, [1, 0x1000, 0xc0de]);
  return make(b, r, { calling_rec: r.recs[0] as number, target_rec: r.recs[1] as number, status: 0 });
}

export const recSpecs: readonly CommandSpec[] = [
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
      realmActive,
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
