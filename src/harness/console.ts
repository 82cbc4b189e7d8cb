// A console as a test or a terminal sees it: bytes out, bytes in, and waiting for text.

import { EmuError, usageError } from "../util/errors.ts";

/** Takes input as far as there is room; returns how many bytes it took. */
export type Receiver = (bytes: Uint8Array) => number;

/** Exception level and Security state (arch/security.ts) of the software that wrote something. */
export interface Writer {
  readonly el: number;
  readonly security: number;
}
/** Gets each piece of output, with who wrote it where that is known. */
export type OutputListener = (bytes: Uint8Array, writer?: Writer) => void;

/** How much output is kept for waitFor and `text`, in characters. */
const KEEP = 4 * 2 ** 20;
/** Matches that begin in the last NEAR characters are seen as soon as their last byte is printed, others when a turn ends. */
const NEAR = 2048;

/** Bytes that are gathered before they become text. */
const PENDING = 4096;

export interface WaitOptions {
  /** Host milliseconds before the wait fails; 60 000 by default. */
  timeout?: number;
}

interface Waiter {
  pattern: RegExp;
  found(match: RegExpExecArray): void;
}

export class Console {
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  private readonly listeners: OutputListener[] = [];
  private readonly receive: Receiver;
  private readonly sent: () => void;
  private queue: Uint8Array[] = [];
  private waiter: Waiter | undefined;
  /** Output not yet consumed by waitFor, and the end of it: what is looked at for each byte must not grow with the output. */
  private unread = "";
  private recent = "";
  /** Output that is in none of the texts yet: bytes come one by one, and are joined when somebody asks or waits. */
  private readonly pending = new Uint8Array(PENDING);
  private pendingLength = 0;
  /** Output came since all of it was looked at. */
  private fresh = false;
  private all = "";
  /** Set when a waiter was satisfied: the machine stops at the end of the turn so that the answer is deterministic. */
  matched = false;

  /** `sent` is called after input was queued. */
  constructor(receive: Receiver, sent: () => void = () => {}) {
    this.receive = receive;
    this.sent = sent;
  }

  /** Everything the guest has written (the last 4 MiB), as text. */
  get text(): string {
    this.join();
    return this.all;
  }
  /**
   * Runs the machine until the console has printed something that matches; the match and all output before it are consumed.
   * Throws EmuError("wait-failed") with the last output when the time is up or the machine stops first.
   */
  waitFor(pattern: RegExp, options: WaitOptions = {}): Promise<RegExpExecArray> {
    if (!this.run) throw new EmuError("console-detached", "this console belongs to no machine");
    return this.run(pattern, options);
  }
  /** Set by the machine that the console belongs to. */
  run: ((pattern: RegExp, options: WaitOptions) => Promise<RegExpExecArray>) | undefined;

  /** Calls `listener` with each piece of output. */
  onData(listener: OutputListener): void {
    this.listeners.push(listener);
  }
  /** Types `data`; what the device has no room for follows later. */
  send(data: string | Uint8Array): void {
    this.queue.push(typeof data === "string" ? new TextEncoder().encode(data) : data);
    this.pump();
    this.sent();
  }

  /** Output from the device. */
  output(bytes: Uint8Array, writer?: Writer): void {
    for (const listener of this.listeners) listener(bytes, writer);
    this.fresh = true;
    if (this.pendingLength + bytes.length > PENDING) this.join();
    if (bytes.length > PENDING) this.append(bytes);
    else {
      this.pending.set(bytes, this.pendingLength);
      this.pendingLength += bytes.length;
    }
    if (!this.waiter) return;
    this.join();
    this.search(this.recent, this.recent.length === this.unread.length ? 0 : this.recent.length - NEAR);
  }
  private join(): void {
    if (this.pendingLength === 0) return;
    const bytes = this.pending.subarray(0, this.pendingLength);
    this.pendingLength = 0;
    this.append(bytes);
  }
  private append(bytes: Uint8Array): void {
    const text = this.decoder.decode(bytes, { stream: true });
    this.all = (this.all + text).slice(-KEEP);
    this.unread = (this.unread + text).slice(-KEEP);
    this.recent = (this.recent + text).slice(-2 * NEAR);
  }
  /** At the end of a turn: is the wait over? */
  settled(): boolean {
    if (this.fresh) this.searchAll();
    return this.matched;
  }
  /** Offers queued input to the device again. */
  pump(): void {
    while (this.queue.length > 0) {
      const first = this.queue[0] as Uint8Array;
      const taken = this.receive(first);
      if (taken < first.length) {
        this.queue[0] = first.subarray(taken);
        return;
      }
      this.queue.shift();
    }
  }

  /** Registers what the next wait looks for; the match and all output before it are consumed. */
  expect(pattern: RegExp): Promise<RegExpExecArray> {
    if (this.waiter) throw usageError("console-busy", "another waitFor on this console is still pending");
    // "g" for a place to begin at: what is before it is still seen by ^, \b and lookbehind.
    const flags = `${pattern.flags.replace(/[gy]/g, "")}g`;
    return new Promise((found) => {
      this.matched = false;
      this.waiter = { pattern: new RegExp(pattern.source, flags), found };
      this.searchAll();
    });
  }
  /** Gives up the pending wait. */
  abandon(): void {
    this.waiter = undefined;
  }
  private searchAll(): void {
    this.join();
    this.fresh = false;
    this.search(this.unread, 0);
  }
  /** Looks for the pattern in `text`, which ends where the output ends, from character `from` on. */
  private search(text: string, from: number): void {
    const { waiter } = this;
    if (!waiter) return;
    waiter.pattern.lastIndex = from;
    const match = waiter.pattern.exec(text);
    if (!match) return;
    const rest = text.length - (match.index + match[0].length);
    this.unread = rest === 0 ? "" : this.unread.slice(-rest);
    this.recent = this.unread.slice(-2 * NEAR);
    this.waiter = undefined;
    this.matched = true;
    waiter.found(match);
  }
}
