// The thread that translates hot code (harness/translation.ts starts it). One translator for each machine, on a port of its own.

import { type MessagePort, parentPort } from "node:worker_threads";
import type { Job, Target } from "../cpu/jit/job.ts";
import { Translator } from "../cpu/jit/translator.ts";

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
