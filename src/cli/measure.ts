// `rme-emu measure`: the Realm Initial Measurement that a guest will report, without running it.

import { realmSetup } from "../harness/machine.ts";
import { expectedRim, planRealm } from "../host/index.ts";
import type { MeasureCommand } from "./args/realm.ts";
import type { Output } from "./command.ts";
import { machineOptions } from "./start.ts";

/** Prints the measurement in hexadecimal; returns the exit code. */
export async function runMeasure(command: MeasureCommand, output: Output): Promise<number> {
  const { run } = command;
  const options = await machineOptions(run, []);
  const setup = { ...realmSetup(options), memory: run.memory, drives: run.drives.length };
  const rim = expectedRim(planRealm(setup), command.rmi);
  output.stdout.write(`${Array.from(rim, (b) => b.toString(16).padStart(2, "0")).join("")}\n`);
  return 0;
}
