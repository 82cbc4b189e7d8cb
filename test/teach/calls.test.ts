// Names of firmware calls, and calls with their answers, over agents.

import { expect, test } from "vitest";
import { callTable } from "../../src/el3/agent.ts";
import { knownCalls } from "../../src/el3/known-calls.ts";
import { firmeServices } from "../../src/el3/monitor-firme.ts";
import { services } from "../../src/el3/monitor-services.ts";
import { type AnswerEvent, type CallEvent, Machine, type TraceEvent, TraceText, traceJson } from "../../src/harness/index.ts";
import { rmiCommands, rsiCommands } from "../../src/rmm/commands.ts";
import { rmi11, rmi20, rsi11 } from "../../src/rmm/later-commands.ts";
import { describeCall } from "../../src/teach/calls.ts";

test("a function identifier has one name", () => {
  const ids = [
    ...[...callTable, ...knownCalls].flatMap((c) => [c.id32, c.id64]),
    ...[...services, ...firmeServices].map(([fid]) => fid),
    ...[...rmiCommands, ...rmi11, ...rsiCommands, ...rsi11].map((c) => c.fid),
  ].filter((id) => id !== 0);
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(rmi20.map((c) => c.fid)).size).toBe(rmi20.length);
});

test.each([
  [0x8400_0000, 1, "PSCI_VERSION", "smc"],
  [0xc400_0003, 1, "PSCI_CPU_ON", "smc"],
  [0xc401_0003, 1, "PSCI_CPU_ON", "smc"], // with the SVE hint
  [0xc400_0153, 1, "RMI_DATA_CREATE", "rmi"],
  [0xc400_0153, 2, "RMI_RTT_DATA_MAP_INIT", "rmi"],
  [0xc400_01f1, 1, "RMI_GRANULE_RANGE_DELEGATE", "rmi"],
  [0xc400_0190, 2, "RSI_VERSION", "rsi"],
  [0xc400_01b0, 1, "RMM_GTSI_DELEGATE", "smc"],
  [0xc400_0402, 2, "FIRME_GM_GPI_SET", "smc"],
  [0x8400_0063, 1, "FFA_VERSION", "smc"],
  [0x8200_0010, 1, "SiP 0x82000010", "smc"],
  [0xb200_0055, 1, "trusted OS 0xb2000055", "smc"],
  [0x3200_0077, 1, "yielding call 0x32000077", "smc"],
  [3, 1, "private call 0x3", "smc"],
])("0x%s with RMI %i is %s", (fid, major, name, kind) => expect(describeCall(fid, major)).toMatchObject({ name, kind }));

test.each([
  [0x8400_0000, 0x1_0001n, "0x10001"],
  [0x8400_0005, 0xffff_ffffn, "NOT_SUPPORTED"],
  [0xc400_0003, 2n ** 64n - 4n, "ALREADY_ON"],
  [0xc400_0003, 0n, "SUCCESS"],
  [0xc400_0003, 2n ** 64n - 77n, "-77"],
  [0xc400_0158, 0n, "RMI_SUCCESS"],
  [0xc400_015d, 0x304n, "RMI_ERROR_RTT 3"],
  [0xc400_01f1, 10n, "RMI_BUSY"],
  [0xc400_0158, 2n ** 64n - 1n, "SMC_UNKNOWN"],
  [0xc400_0197, 1n, "RSI_ERROR_INPUT"],
  [0xc400_01b0, 2n ** 64n - 3n, "BAD_PAS"],
  [0xc400_0400, 0x1_0000n, "0x10000"],
  [0xc400_0400, 0xffff_ffffn, "NOT_SUPPORTED"],
  [0xc400_0402, 2n ** 64n - 5n, "DENIED"],
  [0x8400_0063, 0x1_0001n, "0x10001"],
  [0xc400_0066, 0x8400_0061n, "FFA_SUCCESS"],
  [0x8200_0010, 5n, "0x5"],
])("0x%s that returns %s says %s", (fid, x0, code) => expect(describeCall(fid).code(x0)).toBe(code));

/** The bundled realm, with events of these kinds. */
async function realmEvents(kinds: Parameters<Machine["trace"]>[0], smp = 2): Promise<TraceEvent[]> {
  const kernel = new URL("../../firmware/realm-hello/realm-hello.img", import.meta.url).pathname;
  const machine = await Machine.create({ kernel, memory: 2 ** 25, smp, realm: { teardown: true } });
  const events: TraceEvent[] = [];
  machine.trace(kinds, (e) => events.push(e));
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  return events;
}
const isCall = (e: TraceEvent): e is CallEvent => "phase" in e && e.phase === "call";
const isAnswer = (e: TraceEvent): e is AnswerEvent => "phase" in e && e.phase === "answer";

test("a realm from its creation to its end: every call has its answer, but those that do not return", async () => {
  const events = await realmEvents(["smc", "world", "gpt"]);
  const calls = events.filter(isCall);
  const answers = new Map(events.filter(isAnswer).map((e) => [e.call, e]));
  const open = calls.filter((c) => !answers.has(c.call)).map((c) => c.name);
  expect(open.sort()).toEqual(["PSCI_SYSTEM_OFF", "PSCI_SYSTEM_OFF"]); // the realm's and the host's
  for (const c of calls) if (answers.has(c.call)) expect(answers.get(c.call)).toMatchObject({ name: c.name, fid: c.fid, to: c.from });
  expect(calls.map((c) => c.call)).toEqual(calls.map((_, n) => n));

  // The realm's own PSCI call, which the host completes, comes back in the same REC.
  const cpuOn = calls.find((c) => c.name === "PSCI_CPU_ON" && c.from.security === 3) as CallEvent;
  expect(cpuOn).toMatchObject({
    from: { el: 1 },
    args: [
      ["target", 1n],
      ["entry", expect.any(BigInt)],
      ["context", expect.any(BigInt)],
    ],
  });
  expect(answers.get(cpuOn.call)).toMatchObject({ code: "SUCCESS" });
  const between = events.slice(events.indexOf(cpuOn), events.indexOf(answers.get(cpuOn.call) as AnswerEvent));
  expect(between.filter(isCall).map((c) => c.name)).toContain("RMI_PSCI_COMPLETE");

  // Why realms exit is read from memory.
  const exits = new Set(events.filter(isAnswer).flatMap((e) => /^exit (\w+)( PSCI_\w+)?/.exec(e.detail ?? "")?.[0] ?? []));
  for (const exit of ["exit HOST_CALL", "exit PSCI PSCI_CPU_ON", "exit PSCI PSCI_SYSTEM_OFF", "exit RIPAS_CHANGE", "exit SYNC"])
    expect(exits).toContain(exit);

  // Each delegation changes one granule of the table, each undelegation changes it back.
  const delegated = calls.filter((c) => c.name === "RMI_GRANULE_DELEGATE" && answers.get(c.call)?.code === "RMI_SUCCESS");
  const gpt = events.flatMap((e) => (e.kind === "gpt" ? e.changes : []));
  expect(gpt.filter((c) => c.after === "Realm").map((c) => BigInt(c.from))).toEqual(delegated.map((c) => c.args[0]?.[1]));
  expect(gpt.filter((c) => c.after === "Non-secure").length).toBe(delegated.length);
  expect(gpt.every((c) => c.to - c.from === 4096)).toBe(true);

  // The world of each PE alternates, once it has left the state that reset gives to EL0 to EL2.
  for (const pe of [0, 1]) {
    const worlds = events.flatMap((e) => (e.kind === "world" && e.pe === pe ? [e] : []));
    if (pe === 1) expect(worlds.shift()).toMatchObject({ from: 0, to: 1 });
    expect(worlds.length).toBeGreaterThan(10);
    for (const [n, w] of worlds.entries()) expect([w.from, w.to]).toEqual(n % 2 === 0 ? [1, 3] : [3, 1]);
  }
  // Time never goes back on a PE.
  const at = events.filter((e) => e.pe === 0).map((e) => e.at);
  expect(at).toEqual([...at].sort((a, b) => a - b));
});

test("the first lines of a realm's life, word for word", async () => {
  const lines: string[] = [];
  const text = new TraceText(
    (line) => lines.push(line.slice(line.indexOf("PE"))),
    (pc) => (pc === 0xf00_0000n ? "host" : undefined),
  );
  for (const e of await realmEvents(["rmi", "rsi", "world"], 1)) text.event(e);
  text.flush();
  const host = "SMC from Non-secure EL2 PC=0xf000000 <host>";
  expect(lines.slice(0, 4)).toEqual([
    `PE0 rmi   RMI_VERSION(req=0x10000) = RMI_SUCCESS lower=0x10000 higher=0x10000   ${host}`,
    expect.stringMatching(/^PE0 rmi {3}RMI_FEATURES\(index=0x0\) = RMI_SUCCESS value=0x[0-9a-f]+ {3}SMC from/),
    `PE0 rmi   RMI_GRANULE_DELEGATE(addr=0x40003000) = RMI_SUCCESS   ${host}`,
    expect.stringMatching(/^PE0 rmi {3}RMI_GRANULE_DELEGATE\(addr=0x[0-9a-f]+\) = RMI_SUCCESS {3}/),
  ]);
  const enter = lines.findIndex((l) => l.includes("RMI_REC_ENTER"));
  expect(lines.slice(enter, enter + 4)).toEqual([
    expect.stringMatching(/^PE0 rmi {3}RMI_REC_ENTER\(rec=0x[0-9a-f]+, run=0x[0-9a-f]+\) {3}SMC from Non-secure EL2 PC=0xf000000 <host>$/),
    expect.stringMatching(/^PE0 world Non-secure -> Realm EL2 PC=0x/),
    expect.stringMatching(/^PE0 world Realm -> Non-secure EL2 PC=0xf000004$/),
    expect.stringMatching(
      /^PE0 rmi {3}<- RMI_REC_ENTER = RMI_SUCCESS \[exit SYNC esr=0x90000007 far=0x0 hpfar=0x[0-9a-f]+\] {3}to Non-secure EL2$/,
    ),
  ]);
  expect(lines).toContainEqual(
    expect.stringMatching(
      /^PE0 rsi {3}RSI_VERSION\(req=0x10000\) = RSI_SUCCESS lower=0x10000 higher=0x10000 {3}SMC from Realm EL1 PC=0x[0-9a-f]+$/,
    ),
  );
});

test("JSON: one object in a line, numbers as hexadecimal text, states as names", async () => {
  const events = await realmEvents(["smc", "world", "exc", "eret"], 1);
  const lines = events.map((e) => traceJson(e, (pc) => (pc === 0xf00_0000n ? "host" : undefined)));
  expect(lines.every((l) => !l.includes("\n"))).toBe(true);
  const parsed = lines.map((l) => JSON.parse(l) as Record<string, unknown>);
  expect(parsed.find((e) => e["name"] === "RMI_VERSION" && e["phase"] === "call")).toEqual({
    kind: "rmi",
    phase: "call",
    call: 0,
    pe: 0,
    at: expect.any(Number),
    conduit: "SMC",
    fid: 0xc400_0150,
    name: "RMI_VERSION",
    from: { el: 2, security: "Non-secure" },
    pc: "0xf000000",
    pc_symbol: "host",
    args: { req: "0x10000" },
  });
  expect(parsed.find((e) => e["kind"] === "world")).toMatchObject({ from: "Non-secure", to: "Realm", el: 2 });
  expect(new Set(parsed.map((e) => e["kind"]))).toEqual(new Set(["rmi", "rsi", "smc", "world", "exc", "eret"]));
});

test("smc includes RMI and RSI; rmi and rsi are only themselves; without listeners no hook is set", async () => {
  const kinds = async (...wanted: ("smc" | "rmi" | "rsi")[]) => new Set((await realmEvents(wanted, 1)).map((e) => e.kind));
  expect(await kinds("smc")).toEqual(new Set(["smc", "rmi", "rsi"]));
  expect(await kinds("rsi")).toEqual(new Set(["rsi"]));
  expect(await kinds("rmi")).toEqual(new Set(["rmi"]));
  const kernel = new URL("../../firmware/realm-hello/realm-hello.img", import.meta.url).pathname;
  const machine = await Machine.create({ kernel, memory: 2 ** 25, realm: {} });
  machine.trace(["smc", "world"], () => {})();
  for (const { hooks } of machine.board.pes)
    expect([hooks.exception, hooks.returned, hooks.abort]).toEqual([undefined, undefined, undefined]);
});
