// Runs the command line as a person does: a process of its own, by way of bin/rme-emu.js.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const BIN = fileURLToPath(new URL("../../bin/rme-emu.js", import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Run {
  readonly child: ChildProcessWithoutNullStreams;
  /** Resolves when the process has ended. */
  readonly outcome: Promise<Outcome>;
  /** Resolves when standard output matches; fails when the process ends first. */
  until(pattern: RegExp): Promise<void>;
}

/** Starts rme-emu. Nothing is typed until the test writes to `child.stdin`. The process ends with the test at the latest. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Run {
  const child = spawn(process.execPath, [BIN, ...args], { env: { ...process.env, RME_EMU_DEBUG: "", ...env } });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  let stdout = "";
  let stderr = "";
  const watchers = new Set<() => void>();
  child.stdin.on("error", () => {}); // the process may have ended
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    for (const watch of watchers) watch();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const outcome = new Promise<Outcome>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const until = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const watch = (): void => {
        if (!pattern.test(stdout)) return;
        watchers.delete(watch);
        resolve();
      };
      watchers.add(watch);
      watch();
      void outcome.then((o) => reject(new Error(`ended with ${o.code} before ${pattern}: ${o.stdout}${o.stderr}`)));
    });
  return { child, outcome, until };
}

/** Runs rme-emu to its end with nothing on standard input. */
export function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const { child, outcome } = start(args, env);
  child.stdin.end();
  return outcome;
}
