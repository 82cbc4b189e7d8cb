// The person's terminal: raw mode, the escape key Ctrl-A, and putting everything back at the end however it comes.

import { spawnSync } from "node:child_process";
import { LineOutput } from "./line-output.ts";

const CTRL_A = 0x01;

/** What a byte typed by the person means. */
export type Key =
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "quit" }
  | { readonly kind: "help" }
  | { readonly kind: "key"; readonly key: string };

/** Splits typed bytes into data for the guest and commands that begin with Ctrl-A, as on QEMU. Remembers a Ctrl-A at the end. */
export class EscapeKeys {
  private escaped = false;
  private readonly more: (key: string) => boolean;

  /** `more`: keys after Ctrl-A, in lower case, that mean something beside quit and help. */
  constructor(more: (key: string) => boolean = () => false) {
    this.more = more;
  }

  feed(input: Uint8Array): Key[] {
    const keys: Key[] = [];
    let data: number[] = [];
    const flush = (): void => {
      if (data.length > 0) keys.push({ kind: "data", bytes: Uint8Array.from(data) });
      data = [];
    };
    for (const byte of input) {
      if (!this.escaped) {
        if (byte === CTRL_A) this.escaped = true;
        else data.push(byte);
        continue;
      }
      this.escaped = false;
      const key = String.fromCharCode(byte).toLowerCase();
      if (byte === CTRL_A || key === "a") data.push(CTRL_A);
      else if (key === "x" || key === "h" || key === "?") {
        flush();
        keys.push({ kind: key === "x" ? "quit" : "help" });
      } else if (this.more(key)) {
        flush();
        keys.push({ kind: "key", key });
      } // any other key after Ctrl-A means nothing, as on QEMU
    }
    flush();
    return keys;
  }
}

const HELP = [
  ["H", "this help"],
  ["X", "quit the emulator"],
  ["A", "send Ctrl-A to the guest"],
] as const;
type KeyHelp = readonly (readonly [keys: string, what: string])[];

/** Is `key` one of these: "C", "[ ]", "1..4"? */
const isOneOf = (more: KeyHelp, key: string): boolean =>
  more.some(([keys]) => (keys === "1..4" ? /^[1-4]$/.test(key) : keys.toLowerCase().split(" ").includes(key)));

export interface TerminalHandlers {
  /** Bytes for the guest. */
  onInput(bytes: Uint8Array): void;
  /** The person quit with Ctrl-A X. */
  onQuit(): void;
  /** A signal asks the program to end, with this exit code: the first time. Without it, and the second time, it ends at once. */
  onSignal?(code: number): void;
  /** Something is to be given back before the program ends in a hurry. */
  onExit?(): void;
  /** Shows the help, where it may not go to standard output. */
  onHelp?(text: string): void;
  /** More keys after Ctrl-A, with what they do; "1..4" stands for four. */
  keys?: KeyHelp;
  /** One of them, in lower case. */
  onKey?(key: string): void;
}

/** Standard input and output connected to a guest's serial console. */
export class Terminal {
  private readonly keys: EscapeKeys;
  private readonly handlers: TerminalHandlers;
  private raw = false;
  private readonly output = new LineOutput((bytes) => void process.stdout.write(bytes));
  private readonly restore = (): void => {
    this.output.flush();
    this.leaveRaw();
  };
  private readonly reenter = (): void => {
    if (this.raw) enterRaw(); // the shell changed it while we were stopped
  };
  private readonly onData = (chunk: Uint8Array): void => this.input(chunk);
  private ending = false;
  private readonly onSignal = (signal: NodeJS.Signals): void => {
    this.handlers.onExit?.();
    this.output.flush();
    this.leaveRaw();
    const code = 128 + (SIGNAL_NUMBER[signal] ?? 0);
    if (this.ending || !this.handlers.onSignal) process.exit(code);
    this.ending = true;
    this.handlers.onSignal(code);
  };

  constructor(handlers: TerminalHandlers) {
    this.handlers = handlers;
    this.keys = new EscapeKeys((key) => isOneOf(handlers.keys ?? [], key));
  }

  /** Takes over standard input. A terminal goes to raw mode; anything else is read as it comes, without escape keys. */
  open(): void {
    if (process.stdin.isTTY) {
      enterRaw();
      this.raw = true;
      process.on("SIGCONT", this.reenter);
    }
    process.on("exit", this.restore);
    for (const signal of SIGNALS) process.on(signal, this.onSignal);
    process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
    process.stdin.on("data", this.onData);
    process.stdin.on("error", () => {}); // no more input; the guest goes on
  }

  /** Gives everything back. */
  close(): void {
    this.output.flush();
    this.leaveRaw();
    process.off("exit", this.restore);
    process.off("SIGCONT", this.reenter);
    for (const signal of SIGNALS) process.off(signal, this.onSignal);
    process.stdin.off("data", this.onData);
    process.stdin.pause();
    process.stdin.unref?.();
  }

  /** Bytes from the guest. */
  write(bytes: Uint8Array): void {
    this.output.write(bytes);
  }

  /** Brings out what the guest has begun of a line: something else is to be written after it. */
  flush(): void {
    this.output.flush();
  }

  private input(chunk: Uint8Array): void {
    if (!this.raw) {
      this.handlers.onInput(chunk);
      return;
    }
    for (const key of this.keys.feed(chunk)) {
      if (key.kind === "data") this.handlers.onInput(key.bytes);
      else if (key.kind === "quit") this.handlers.onQuit();
      else if (key.kind === "key") this.handlers.onKey?.(key.key);
      else this.help();
    }
  }

  private help(): void {
    const all = [...HELP, ...(this.handlers.keys ?? [])];
    const width = Math.max(...all.map(([keys]) => keys.length));
    const lines = all.map(([keys, what]) => `Ctrl-A ${keys.padEnd(width)}  ${what}\r\n`);
    const text = `\r\n${lines.join("")}`;
    if (this.handlers.onHelp) this.handlers.onHelp(text);
    else this.write(new TextEncoder().encode(text));
  }

  private leaveRaw(): void {
    if (!this.raw) return;
    this.raw = false;
    process.stdin.setRawMode(false);
  }
}

/**
 * Every key as it is, every byte of the guest as it is. Node's raw mode leaves output processing on (a line feed would become
 * carriage return and line feed); stty turns it off. Leaving raw mode restores both.
 */
function enterRaw(): void {
  process.stdin.setRawMode(true);
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;
const SIGNAL_NUMBER: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 };
