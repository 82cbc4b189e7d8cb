// `rme-emu fip` on the command line.

import type { Command } from "commander";
import { usageError } from "../util/errors.ts";

const ACTIONS = ["list", "info", "extract"] as const;

/** A firmware file to look into. */
export interface FipCommand {
  readonly kind: "fip";
  readonly action: (typeof ACTIONS)[number];
  readonly file: string;
  /** Images to extract; none: all. */
  readonly names: readonly string[];
  /** Folder that gets them. */
  readonly output: string;
  /** Replace files that are there. */
  readonly force: boolean;
  readonly format: "text" | "json";
}

/** Adds the subcommand. */
export function addFipCommand(program: Command, choose: (command: FipCommand) => void): void {
  program
    .command("fip")
    .description("look into firmware: packages (FIP), flash images, ELF files, kernels and flat binaries")
    .argument("<action>", "list: what is inside; info: what each part is, its version and platform; extract: write parts to files")
    .argument("<file>", "the firmware")
    .argument("[names...]", "for extract: the images, as list calls them (default: all)")
    .option("--output <folder>", "for extract: where files go", ".")
    .option("--force", "for extract: replace files that are there")
    .option("--format <name>", "text or json", "text")
    .allowExcessArguments(false)
    .action((word: string, file: string, names: string[], o: { output: string; force?: true; format: string }) => {
      const action = ACTIONS.find((a) => a === word);
      if (action === undefined) throw usageError("bad-choice", `fip: "${word}" is neither ${ACTIONS.join(" nor ")}`);
      if (action !== "extract" && names.length > 0) throw usageError("fip-names", `fip ${action}: only extract takes names of images`);
      if (o.format !== "text" && o.format !== "json") throw usageError("bad-choice", `--format: "${o.format}" is neither text nor json`);
      choose({ kind: "fip", action, file, names, output: o.output, force: o.force ?? false, format: o.format });
    });
}
