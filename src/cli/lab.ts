// Runs the labs: shows the text, builds what the learner has changed, runs it, tells what happened and whether the goal is reached.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Security } from "../arch/security.ts";
import { abortTarget, isGpcException } from "../cpu/exceptions-aborts.ts";
import { Machine } from "../harness/index.ts";
import { type Fault, FaultType } from "../mmu/fault.ts";
import { explainFault } from "../teach/explain.ts";
import { type Lab, type LabFault, type LabRun, labs } from "../teach/labs.ts";
import { EmuError, usageError } from "../util/errors.ts";
import type { Output } from "./command.ts";
import type { LabCommand } from "./lab-command.ts";

const FOLDER = fileURLToPath(new URL("../../firmware/labs/", import.meta.url));
/** The programs use memory up to 0xC0000000. */
const MEMORY = 2 ** 31;
/** A program that runs longer does not end. */
const LIMIT = 50_000_000;

/** A prepared answer: its name, and the text of the marked line. */
export interface Choice {
  readonly id: string;
  readonly text: string;
}

/** The prepared answers of a lab; the first is the program as it stands. */
export function choicesOf(lab: Lab): Choice[] {
  const lines = readFileSync(join(FOLDER, lab.name, "CHOICES"), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => {
    const [, id = "", text = ""] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    return { id, text };
  });
}

/** Runs an ELF file as a lab's program; `show` gets its output as it comes. */
export async function runLabProgram(elf: string | Uint8Array, show: (text: string) => void = () => {}): Promise<LabRun> {
  const machine = await Machine.create({ machine: "virt,secure=on", cpu: "max,rme=on", memory: MEMORY, kernel: elf });
  const faults: LabFault[] = [];
  const decoder = new TextDecoder();
  machine.console.onData((bytes) => show(decoder.decode(bytes, { stream: true }).replaceAll("\r", "")));
  for (const pe of machine.board.pes) {
    const before = pe.hooks.abort;
    pe.hooks.abort = (who, fault, context) => {
      before?.(who, fault, context);
      faults.push(describe(who, fault));
    };
  }
  const reason = await machine.runInstructions(LIMIT);
  return { console: machine.console.text.replaceAll("\r", ""), faults, ended: reason?.kind === "poweroff" };
}

type Pe = Machine["board"]["pes"][number];
const names: Readonly<Record<number, string>> = {
  [Security.Secure]: "Secure",
  [Security.NonSecure]: "Non-secure",
  [Security.Root]: "Root",
  [Security.Realm]: "Realm",
};

function describe(pe: Pe, fault: Fault): LabFault {
  const { failure } = explainFault(pe, fault);
  return {
    security: names[pe.security] as string,
    el: pe.st.el,
    target: isGpcException(pe, fault) ? 3 : abortTarget(pe, fault),
    granule: fault.type === FaultType.GranuleOnOutput || fault.type === FaultType.GranuleOnWalk,
    walk: fault.type === FaultType.GranuleOnWalk,
    stage: fault.stage,
    level: fault.level,
    text: failure ? `In ${failure.where}: ${failure.text}.` : `fault at ${fault.va.toString(16)}`,
  };
}

/** The command. Resolves to the exit code: 1 when a goal was tried and missed. */
export async function runLab(command: LabCommand, output: Output): Promise<number> {
  const say = (text: string) => output.stdout.write(text);
  if (command.name === undefined) {
    say(list());
    return 0;
  }
  const lab = labs.find((l) => l.name === command.name);
  if (!lab) throw usageError("unknown-lab", `there is no lab "${command.name}" (there are: ${labs.map((l) => l.name).join(", ")})`);
  if (command.copy) {
    say(copySource(lab));
    return 0;
  }
  const tried = command.source !== undefined || command.answer !== undefined;
  if (!tried) say(`${readFileSync(join(FOLDER, lab.name, "README.md"), "utf8")}\n${howTo(lab)}\n--- the program as it stands\n`);
  const run = await runLabProgram(programOf(lab, command, output), say);
  say(tellFaults(run));
  const { reached, text } = lab.judge(run);
  say(`\n${reached ? "The goal is reached." : "The goal is not reached."} ${text}\n`);
  return tried && !reached ? 1 : 0;
}

function list(): string {
  const width = Math.max(...labs.map((l) => l.name.length));
  const rows = labs.map((l) => `  ${l.name.padEnd(width)}  ${l.title}\n  ${" ".repeat(width)}  Goal: ${l.goal}.`);
  return `Labs, easiest first:\n\n${rows.join("\n\n")}\n\nrme-emu lab NAME shows one of them.\n`;
}

function howTo(lab: Lab): string {
  const choices = choicesOf(lab);
  const width = Math.max(...choices.map((c) => c.id.length));
  const rows = choices.map((c) => `    rme-emu lab ${lab.name} --answer ${c.id.padEnd(width)}   ${c.text}`);
  return `--- how to

    rme-emu lab ${lab.name} --copy
        writes ${lab.name}.c into this folder; change its marked line
    rme-emu lab ${lab.name} ${lab.name}.c
        builds it, runs it, tells whether the goal is reached

That needs aarch64-linux-gnu-gcc. Without it, these are built already:

${rows.join("\n")}
`;
}

function copySource(lab: Lab): string {
  const name = `${lab.name}.c`;
  if (existsSync(name)) throw new EmuError("lab-copy-exists", `${name} is there already; it is not overwritten`);
  copyFileSync(join(FOLDER, lab.name, name), name);
  return `${name} is written: change the marked line, then: rme-emu lab ${lab.name} ${name}\n`;
}

function programOf(lab: Lab, command: LabCommand, output: Output): string | Uint8Array {
  if (command.source !== undefined) return build(lab, command.source, output);
  const choices = choicesOf(lab);
  const id = command.answer ?? choices[0]?.id;
  if (!choices.some((c) => c.id === id)) {
    throw usageError("unknown-answer", `lab ${lab.name} has no prepared answer "${id}" (it has: ${choices.map((c) => c.id).join(", ")})`);
  }
  return join(FOLDER, lab.name, "prebuilt", `${id}.elf`);
}

/** Builds a changed source. CROSS sets the prefix of the tools. What the compiler says goes to standard error. */
function build(lab: Lab, source: string, output: Output): Uint8Array {
  if (!existsSync(source)) throw new EmuError("lab-source-missing", `there is no file "${source}"`);
  const gcc = `${process.env["CROSS"] ?? "aarch64-linux-gnu-"}gcc`;
  const folder = mkdtempSync(join(tmpdir(), "rme-emu-lab-"));
  try {
    const elf = join(folder, "lab.elf");
    const result = spawnSync(gcc, [resolve(source), "@lib/build", "-o", elf], {
      cwd: FOLDER,
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C" },
    });
    if (result.error) {
      const answers = choicesOf(lab).map((c) => c.id);
      throw new EmuError("no-cross-compiler", `there is no ${gcc} to build ${source}; prepared answers: --answer ${answers.join(" | ")}`);
    }
    output.stderr.write(result.stderr);
    if (result.status !== 0) throw new EmuError("lab-build-failed", `${source} does not compile`);
    return readFileSync(elf);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function tellFaults(run: LabRun): string {
  if (run.faults.length === 0) return "\n--- the machine saw no fault\n";
  const rows = run.faults.map((f, i) => `  ${i + 1}. ${f.security} EL${f.el}, taken to EL${f.target}. ${f.text}`);
  return `\n--- the machine saw ${run.faults.length === 1 ? "one fault" : `${run.faults.length} faults`}\n${rows.join("\n")}\n`;
}
