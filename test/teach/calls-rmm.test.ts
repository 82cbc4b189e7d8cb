// Calls of a realm over the built-in RMM and over a real one that whoever runs the tests brings: traces tell the same.

import { describe, expect, test } from "vitest";
import { type AnswerEvent, type CallEvent, Machine, type TraceEvent } from "../../src/harness/index.ts";
import { broughtImage } from "../support/rmm-image.ts";

const rmm = broughtImage("RME_TF_RMM", "a TF-RMM rmm.img of v0.6 to v0.8 for qemu_virt");
const rmm2 = broughtImage("RME_TF_RMM_2", "a TF-RMM rmm.img of v0.9 or later for qemu_virt");
const kernel = new URL("../../firmware/realm-hello/realm-hello.img", import.meta.url).pathname;

async function eventsOf(realm: { rmm?: string }): Promise<TraceEvent[]> {
  const machine = await Machine.create({ kernel, memory: 2 ** 25, realm: { ...realm, teardown: true } });
  const events: TraceEvent[] = [];
  machine.trace(["smc", "gpt"], (e) => events.push(e));
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  return events;
}
/** Names and results of the calls that a caller at this level made, in order. */
function calls(events: readonly TraceEvent[], el: number, security: number): string[] {
  const answers = new Map(events.flatMap((e) => ("phase" in e && e.phase === "answer" ? [[e.call, e] as [number, AnswerEvent]] : [])));
  const made = events.filter((e): e is CallEvent => "phase" in e && e.phase === "call" && e.from.el === el && e.from.security === security);
  return made.map((c) => `${c.name} ${answers.get(c.call)?.code ?? "does not return"}`);
}

describe.skipIf(rmm === undefined)("over a real RMM", () => {
  test("the realm's calls and results are those over the agent; its own calls to EL3 are seen as well", async () => {
    const [ours, real] = [await eventsOf({}), await eventsOf({ rmm: rmm as string })];
    expect(calls(real, 1, 3)).toEqual(calls(ours, 1, 3));
    const host = (events: readonly TraceEvent[]) => [...new Set(calls(events, 2, 1))].filter((c) => c.endsWith("RMI_SUCCESS")).sort();
    expect(host(real)).toEqual(host(ours));
    const rmmCalls = calls(real, 2, 3);
    // Interface 2.0 is offered first, and refused.
    expect(rmmCalls.filter((c) => c === "RMM_BOOT_COMPLETE does not return").length).toBe(2);
    const delegated = calls(real, 2, 1).filter((c) => c === "RMI_GRANULE_DELEGATE RMI_SUCCESS").length;
    expect(rmmCalls.filter((c) => c === "RMM_GTSI_DELEGATE OK").length).toBe(delegated);
    const changed = real.flatMap((e) => (e.kind === "gpt" ? e.changes : [])).filter((c) => c.after === "Realm").length;
    expect(changed).toBe(delegated);
  }, 120_000);
});

describe.skipIf(rmm2 === undefined)("over a real RMM of the 2.0 generation", () => {
  test("the realm's calls and results are those over the agent; granules change by FIRME", async () => {
    const [ours, real] = [await eventsOf({}), await eventsOf({ rmm: rmm2 as string })];
    expect(calls(real, 1, 3)).toEqual(calls(ours, 1, 3));
    const host = calls(real, 2, 1);
    const rmmCalls = calls(real, 2, 3);
    expect(rmmCalls.filter((c) => c === "RMM_BOOT_COMPLETE does not return").length).toBe(1);
    expect(rmmCalls).toContain("FIRME_SERVICE_VERSION 0x10000");
    const delegated = host.filter((c) => c === "RMI_GRANULE_RANGE_DELEGATE RMI_SUCCESS").length;
    const undelegated = host.filter((c) => c === "RMI_GRANULE_RANGE_UNDELEGATE RMI_SUCCESS").length;
    expect(delegated).toBeGreaterThan(40);
    expect(rmmCalls.filter((c) => c === "FIRME_GM_GPI_SET SUCCESS").length).toBe(delegated + undelegated);
    const changed = real.flatMap((e) => (e.kind === "gpt" ? e.changes : []));
    expect(changed.filter((c) => c.after === "Realm").length).toBe(delegated);
    expect(changed.length).toBe(delegated + undelegated);
  }, 120_000);
});
