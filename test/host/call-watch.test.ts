// What the host waits for is watched: by instructions, not by time.

import { beforeEach, expect, test } from "vitest";
import { CallWatch } from "../../src/host/call-watch.ts";
import { Bench } from "../rmm/bench.ts";

const SECOND = 1e9;
const VERSION = 0xc400_0150;
const REC_ENTER = 0xc400_015c;
const SYSTEM_OFF = 0x8400_0008;

let now = 0;
let retired = 0;
const stops: string[] = [];
const b = new Bench();
const watch = (): CallWatch =>
  new CallWatch({ pes: b.pes, clock: { now: () => now }, retired: () => retired, stop: (reason) => void stops.push(reason) });
/** `seconds` pass, in which `instructions` retire. */
function pass(w: CallWatch, seconds: number, instructions: number): void {
  now += seconds * SECOND;
  retired += instructions;
  w.update();
}

beforeEach(() => {
  now = 0;
  retired = 0;
  stops.length = 0;
});

test("firmware that never reaches the host is named with its place", () => {
  const w = watch();
  pass(w, 2, 9.9e9);
  expect(stops).toEqual([]);
  pass(w, 2, 0.2e9);
  expect(stops.length).toBe(1);
  expect(stops[0]).toMatch(
    /^firmware has not reached the host after 10\.1e9 instructions: PE 0 is at EL2 in the Non-secure state, PC 0x40001000/,
  );
  expect(stops[0]).toMatch(/ESR_EL2 0x0, ELR_EL2 0x\w+, FAR_EL2 0x0$/);
});

test("a call that does not return is named; one that returns, or enters a realm, is not", () => {
  const w = watch();
  const pe = b.pe(1);
  w.atHost(b.pe(0));
  w.calls(pe, REC_ENTER);
  pass(w, 100, 50e9);
  w.calls(pe, VERSION);
  pass(w, 2, 1.9e9);
  w.atHost(pe);
  w.calls(pe, VERSION);
  pass(w, 2, 1.9e9);
  expect(stops).toEqual([]);
  pass(w, 2, 0.2e9);
  w.atHost(pe);
  w.calls(pe, SYSTEM_OFF);
  pass(w, 2, 3e9);
  expect(stops.map((s) => s.replace(/:.*/, ""))).toEqual([
    "firmware has not answered RMI_VERSION after 2.1e9 instructions",
    "firmware has not answered the SMC 0x84000008 after 3.0e9 instructions",
  ]);
});

test("time alone is no reason, and nothing is planned for it", () => {
  const w = watch();
  pass(w, 1e6, 0);
  expect(stops).toEqual([]);
  expect(w.deadline()).toBe(Number.POSITIVE_INFINITY);
});
