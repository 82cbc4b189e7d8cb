// A guest with a shell (Debian's, or firmware/bench), in QEMU or rme-emu, as the benchmarks drive it.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The shell may ask the terminal for the position of its cursor behind the prompt. */
export const PROMPT = /~ # (\x1b\[6n)?$/;

/** What a guest has used since its start. */
export interface Usage {
  /** Host seconds. */
  readonly seconds: number;
  /** Host CPU seconds, all threads. */
  readonly cpu: number;
  /** Largest resident memory, MiB. */
  readonly memory: number;
}

export interface Contestant {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

export const LAUNCHER = fileURLToPath(new URL("../bin/rme-emu.js", import.meta.url));

export class Guest {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly start = performance.now();
  private unread = "";
  private last = "";
  private wake: (() => void) | undefined;
  private ended = false;

  constructor(c: Contestant) {
    this.child = spawn(c.program, c.args, { stdio: "pipe" });
    this.child.stdout.on("data", (chunk: Buffer) => {
      this.unread += chunk.toString("latin1");
      this.last = this.unread.slice(-500);
      this.wake?.();
    });
    this.child.stderr.resume();
    this.child.on("close", () => {
      this.ended = true;
      this.wake?.();
    });
    this.child.on("error", () => this.child.emit("close"));
  }
  /** Waits until the shell asks for the next command; what was printed before. */
  prompt(): Promise<string> {
    return this.until(PROMPT);
  }
  /** Waits until the console has printed something that matches; it and what was before it are consumed, and answered. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.unread)) {
      if (this.ended) throw new Error(`${this.child.spawnfile} ended before ${pattern}; last output: ${this.last}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const text = this.unread;
    this.unread = "";
    return text;
  }
  /** Runs a command line to the next prompt; what that cost, and the last line that it printed. */
  async run(command: string): Promise<Omit<Usage, "memory"> & { answer: string }> {
    const before = this.usage();
    this.child.stdin.write(`${command}\n`);
    const text = await this.prompt();
    const after = this.usage();
    return { seconds: after.seconds - before.seconds, cpu: after.cpu - before.cpu, answer: text.trimEnd().split(/\r?\n/).at(-2) ?? "" };
  }
  /** From the process's start (Linux: /proc). */
  usage(): Usage {
    const { pid } = this.child;
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // from field 3 on: utime is field 14, stime 15, in 1/100 s
    return {
      seconds: (performance.now() - this.start) / 1000,
      cpu: (Number(fields[11]) + Number(fields[12])) / 100,
      memory: Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024,
    };
  }
  /** Resident memory now, MiB. */
  resident(): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
  }
  kill(): Promise<void> {
    if (this.ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.wake = resolve;
      this.child.kill("SIGKILL");
    });
  }
}

export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
