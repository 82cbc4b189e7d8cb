// Translation in a thread of its own: while one core runs the guest, another translates what is hot.
//
// What the guest does never depends on when a translation comes: slices have the same length on every engine.

import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { Answer, Job, Target, Translation, TranslationService } from "../cpu/jit/job.ts";
import { Translator } from "../cpu/jit/translator.ts";
import type { Enlist } from "./translation-worker.ts";

const built = extname(fileURLToPath(import.meta.url)) === ".js";
/**
 * Sources that are run as they are have to be compiled again by each thread, which takes longer than a thread saves. On two cores the
 * translator and the host's compiler would wait for each other.
 */
const worthwhile = built && availableParallelism() > 2;
const program = new URL(built ? "./translation-worker.js" : "./translation-worker.ts", import.meta.url);

let thread: Worker | undefined;
/** Set when the thread has ended by itself: whoever needs something translates it alone. */
let broken = false;
/** One thread for the whole process, whatever the number of machines. It does not keep the process alive. */
function start(): Worker {
  if (thread) return thread;
  thread = new Worker(program, { execArgv: built ? [] : ["--import", "tsx"] });
  thread.unref();
  thread.once("error", () => {
    broken = true;
  });
  return thread;
}

/** Ports of machines that nobody holds any more. */
const gone = new FinalizationRegistry<MessagePort>((port) => port.close());

class ThreadTranslator implements TranslationService {
  readonly remote = true;
  private readonly target: Target;
  private readonly port: MessagePort;
  private readonly jobs: Job[] = [];
  private alone: Translator | undefined;

  constructor(target: Target) {
    this.target = target;
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    gone.register(this, port1);
    start().postMessage({ target, port: port2 } satisfies Enlist, [port2]);
    port1.unref();
  }

  post(job: Job): void {
    this.jobs.push(job);
    this.port.postMessage(job);
  }
  poll(): Answer | undefined {
    if (broken && !this.alone) this.alone = this.takeOver();
    const answer = this.alone ? this.alone.poll() : (receiveMessageOnPort(this.port)?.message as Answer | undefined);
    if (answer) this.jobs.shift();
    return answer;
  }
  private takeOver(): Translator {
    const alone = new Translator(this.target);
    for (const job of this.jobs) alone.post(job);
    return alone;
  }
}

/**
 * Who translates for a machine. `where`: "thread", "inline" (in the thread that runs the guest), or as it suits this process.
 */
export function translationIn(where: "thread" | "inline" | undefined): Translation {
  return (target) => ((where ?? (worthwhile ? "thread" : "inline")) === "thread" ? new ThreadTranslator(target) : undefined);
}
