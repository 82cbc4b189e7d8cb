// `npm run bench:realm`: what a realm costs. The same Debian guest, created and run to its shell, as an ordinary virtual machine (--normal)
// and in a realm, in turn; then single calls of the RMM. Over the built-in RMM and, where RME_TF_RMM names one, over an image of TF-RMM.
//   npm run bench:realm -- --runs 5 --memory 512M
//   npm run bench:realm -- --only calls --count 10000

import { parseArgs } from "node:util";
import { bootOnce, bootTable, commonOptions, debianKernel, inTurn, program } from "./common.ts";
import { type Contestant, LAUNCHER } from "./guest.ts";
import { type CallCosts, measureCalls } from "./realm-calls.ts";

/** The RMMs: name, and the image of those that are no agent. */
type Rmm = readonly [name: string, image: string | undefined];

// biome-ignore format: table
const rows: readonly (readonly [keyof CallCosts, string])[] = [
  ["pair",      "GRANULE_DELEGATE and UNDELEGATE"],
  ["roundTrip", "REC_ENTER and exit"],
];

program(async () => {
  const { values } = parseArgs({
    options: {
      kernel: { ...commonOptions.kernel, default: "7.2" },
      runs: commonOptions.runs,
      memory: { type: "string", default: "512M" },
      count: { type: "string", default: "10000" },
      only: { type: "string" },
    },
  });
  const image = process.env["RME_TF_RMM"];
  const rmms: Rmm[] = [["built-in RMM", undefined], ...(image ? [["TF-RMM", image] as const] : [])];
  if (values.only !== "calls") await boots(rmms, values);
  if (values.only !== "boot") calls(rmms, Number(values.count));
  if (!image) process.stdout.write("\nnot measured over TF-RMM: RME_TF_RMM names no image\n");
});

async function boots(rmms: readonly Rmm[], o: { kernel: string; runs: string; memory: string }): Promise<void> {
  const kernel = await debianKernel(o.kernel);
  const guest = ["realm", ...kernel.args, "--memory", o.memory];
  const contestant = (name: string, ...args: string[]): Contestant => ({
    name,
    program: process.execPath,
    args: [LAUNCHER, ...guest, ...args],
  });
  const contestants = [
    contestant("virtual machine", "--normal"),
    ...rmms.map(([name, image]) => contestant(`realm, ${name}`, ...(image ? ["--rmm", image] : []))),
  ];
  const samples = await inTurn(Number(o.runs), contestants, bootOnce);
  process.stdout.write(`Debian ${kernel.release} as a guest, 1 PE, ${o.memory}; median of ${o.runs}\n\n`);
  process.stdout.write(
    bootTable(
      contestants.map((c) => c.name),
      samples,
    ),
  );
  process.stdout.write("\n");
}

function calls(rmms: readonly Rmm[], count: number): void {
  const costs = rmms.map(([, image]) => measureCalls(count, image));
  const row = (cells: readonly string[]): string => `${cells.map((cell, i) => (i === 0 ? cell.padEnd(34) : cell.padStart(16))).join("")}\n`;
  process.stdout.write(`${count} of each, CPU microseconds for one (seconds for all)\n\n`);
  process.stdout.write(row(["", ...rmms.map(([name]) => name)]));
  for (const [key, what] of rows) {
    process.stdout.write(row([what, ...costs.map((c) => `${c[key].toFixed(1)} (${((c[key] * count) / 1e6).toFixed(2)})`)]));
  }
}
