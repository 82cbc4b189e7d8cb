// `rme-emu lab` on the command line.

import type { Command } from "commander";

/** A lab to show, to run, or to copy. */
export interface LabCommand {
  readonly kind: "lab";
  /** Absent: the list of labs. */
  readonly name: string | undefined;
  /** A changed source to build and run. */
  readonly source: string | undefined;
  /** A prepared answer to run. */
  readonly answer: string | undefined;
  /** Write the source into the current folder. */
  readonly copy: boolean;
}

/** Adds the subcommand. */
export function addLabCommand(program: Command, choose: (command: LabCommand) => void): void {
  program
    .command("lab")
    .description("exercises on granule protection: without a name, the list")
    .argument("[name]", "the exercise: its text, and a run of its program as it stands")
    .argument("[source]", "your changed copy of its program: built and run, and told whether the goal is reached")
    .option("--copy", "write the program's source into this folder, to change it")
    .option("--answer <choice>", "run a prepared answer instead (no cross compiler needed)")
    .allowExcessArguments(false)
    .action((name: string | undefined, source: string | undefined, o: { copy?: true; answer?: string }) =>
      choose({ kind: "lab", name, source, answer: o.answer, copy: o.copy ?? false }),
    );
}
