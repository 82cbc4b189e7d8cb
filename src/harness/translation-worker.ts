// The thread that translates hot code (harness/translation.ts starts it). One translator for each machine, on a port of its own.

import { getPriority, setPriority } from "node:os";
import { type MessagePort, parentPort } from "node:worker_threads";
import type { Job, Target } from "../cpu/jit/job.ts";
import { Translator } from "../cpu/jit/translator.ts";

// The guest goes first, the host's compiler comes behind (cli/threads.ts). On Linux, 0 is the calling thread.
if (process.platform === "linux") setPriority(0, Math.min(19, getPriority(0) + 5));

export interface Enlist {
  readonly target: Target;
  readonly port: MessagePort;
}

parentPort?.on("message", ({ target, port }: Enlist) => {
  const translator = new Translator(target);
  port.on("message", (job: Job) => {
    const { funcs, ...answer } = translator.translate(job);
    port.postMessage(answer);
  });
});
