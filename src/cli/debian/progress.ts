// Progress for a person: one live line on a terminal, plain lines elsewhere.

import ora from "ora";

export interface Progress {
  /** Begins a step; the step before it is marked as done. */
  step(text: string): void;
  /** Percent (0..100) of the current step. */
  percent(value: number): void;
  /** Ends the last step. */
  done(text?: string): void;
  /** Marks the current step as failed. */
  fail(): void;
}

/** Progress on standard error, so that standard output stays usable in scripts. */
export function createProgress(): Progress {
  const spinner = ora({ stream: process.stderr });
  let current = "";
  return {
    step(text) {
      if (spinner.isSpinning) spinner.succeed(current);
      current = text;
      spinner.start(text);
    },
    percent(value) {
      if (process.stderr.isTTY) spinner.text = `${current} ${Math.floor(value)}%`;
    },
    done(text) {
      if (spinner.isSpinning) spinner.succeed(text ?? current);
    },
    fail() {
      if (spinner.isSpinning) spinner.fail(current);
    },
  };
}

/** Says nothing. */
export const silentProgress: Progress = { step() {}, percent() {}, done() {}, fail() {} };
