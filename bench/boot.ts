// `npm run bench`: boots one Debian kernel to its shell on QEMU and on rme-emu, in turn, and prints times and their ratio.
//   npm run bench -- --kernel 7.2 --runs 5 --cpu cortex-a76
// Both are started as a person starts them, and the time runs from the start of the process to the first shell prompt.

import { parseArgs } from "node:util";
import { bootOnce, bootTable, commonOptions, debianKernel, debianQemu, inTurn, machineArgs, program } from "./common.ts";
import { type Contestant, LAUNCHER } from "./guest.ts";

program(async () => {
  const { values } = parseArgs({
    options: { ...commonOptions, memory: { type: "string", default: "1G" }, smp: { type: "string", default: "1" } },
  });
  const kernel = await debianKernel(values.kernel);
  const args = [...machineArgs(values.cpu), ...kernel.args, "-m", values.memory, "-smp", values.smp, "-nographic"];
  const contestants: Contestant[] = [
    { name: "qemu-system-aarch64", program: await debianQemu(), args },
    { name: "rme-emu", program: process.execPath, args: [LAUNCHER, ...args] },
  ];
  const samples = await inTurn(Number(values.runs), contestants, bootOnce);
  process.stdout.write(`Debian ${kernel.release}, ${values.smp} PE, ${values.memory}, -cpu ${values.cpu}; median of ${values.runs}\n\n`);
  process.stdout.write(
    bootTable(
      contestants.map((c) => c.name),
      samples,
    ),
  );
});
