// Progress for a person: one live line on a terminal, plain lines elsewhere.

import type { Ora } from "ora";

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
  let spinner: Ora | undefined;
  let loading: Promise<Ora> | undefined;
  let current = "";
  // Loaded with the first step: most starts have none, since they find all in the cache.
  const act = (what: (s: Ora) => void): void => {
    if (spinner !== undefined) what(spinner);
    else void loading?.then(what);
  };
  return {
    step(text) {
      loading ??= import("ora").then((m) => {
        spinner = m.default({ stream: process.stderr });
        return spinner;
      });
      act((s) => {
        if (s.isSpinning) s.succeed(current);
        current = text;
        s.start(text);
      });
    },
    percent(value) {
      act((s) => {
        if (process.stderr.isTTY) s.text = `${current} ${Math.floor(value)}%`;
      });
    },
    done(text) {
      act((s) => {
        if (s.isSpinning) s.succeed(text ?? current);
      });
    },
    fail() {
      act((s) => {
        if (s.isSpinning) s.fail(current);
      });
    },
  };
}

/** Says nothing. */
export const silentProgress: Progress = { step() {}, percent() {}, done() {}, fail() {} };
