import { expect, test } from "vitest";
import type { HostTask } from "../../src/host/agent.ts";
import { RmiClient } from "../../src/host/rmi.ts";

/** Runs a coroutine against answers of firmware; returns its result and the registers of each SMC. */
function drive<T>(task: HostTask<T>, answers: bigint[][]): { result: T; calls: (readonly bigint[])[] } {
  const calls: (readonly bigint[])[] = [];
  let step = task.next([]);
  while (!step.done) {
    if (typeof step.value === "string") throw new Error(step.value);
    calls.push(step.value);
    step = task.next(answers[calls.length - 1] ?? []);
  }
  return { result: step.value, calls };
}

test("a command sets x0 and its arguments, negative ones as 64 bits", () => {
  const rmi = new RmiClient();
  const { result, calls } = drive(rmi.call("RTT_READ_ENTRY", 0x1000, 2n ** 40n, -1), [[0n, 3n, 1n, 0xabc000n, 2n, 9n]]);
  expect(calls).toEqual([[0xc400_0161n, 0x1000n, 2n ** 40n, 2n ** 64n - 1n]]);
  expect(result).toMatchObject({ ok: true, status: 0, results: [3n, 1n, 0xabc000n, 2n] });
  expect(result.number(2)).toBe(0xabc000);
});

test("status and index of a failure, with a signed level", () => {
  const rmi = new RmiClient();
  expect(drive(rmi.call("GRANULE_DELEGATE", 0), [[0xff04n]]).result).toMatchObject({ ok: false, status: 4, index: -1 });
  expect(drive(rmi.call("REALM_DESTROY", 0), [[0x102n]]).result).toMatchObject({ status: 2, index: 1 });
  expect(drive(rmi.call("REALM_DESTROY", 0), [[2n ** 64n - 1n]]).result).toMatchObject({ ok: false, status: -1 });
});

test("must names the command, its arguments and the status", () => {
  const rmi = new RmiClient();
  expect(() => drive(rmi.must("DATA_DESTROY", 0x1000, 0x2000), [[0x304n]])).toThrow(
    "RMI_DATA_DESTROY(rd=0x1000, ipa=0x2000) returned RMI_ERROR_RTT 3",
  );
  expect(() => drive(rmi.must("VERSION", 0x10000), [[2n ** 64n - 1n]])).toThrow(/SMC_UNKNOWN; is there firmware that knows RMI/);
});

test("a wrong number of arguments is refused before anything is called", () => {
  expect(() => drive(new RmiClient().call("REC_ENTER", 1), [])).toThrow("RMI_REC_ENTER takes 2 arguments (rec, run), not 1");
});

test("observers see every command with its reply", () => {
  const rmi = new RmiClient();
  const seen: unknown[] = [];
  rmi.onCommand((name, args, reply) => seen.push([name, args, reply.x0]));
  drive(rmi.call("REALM_ACTIVATE", 7), [[2n]]);
  expect(seen).toEqual([["REALM_ACTIVATE", [7n], 2n]]);
});
