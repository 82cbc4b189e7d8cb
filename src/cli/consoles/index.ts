// The consoles of a run: which console of the machine goes where, and what is typed goes to which.

import { type Console, type ConsoleName, consoleNames, type Machine, type Writer } from "../../harness/index.ts";
import { usageError } from "../../util/errors.ts";
import type { Endpoint } from "../args/consoles.ts";
import type { RunCommand } from "../args/options.ts";
import { Terminal } from "../terminal.ts";
import { openPort, type Port } from "./endpoints.ts";
import { COLOURS, LABEL_WIDTH, labelOf, TITLES } from "./labels.ts";
import { LineMarker } from "./line-marker.ts";
import type { SplitView } from "./split-view.ts";

/** A console of the machine: a serial port as a whole, or by the part that it plays. */
type Source = "serial0" | "serial1" | "hvc0" | "hvc1" | ConsoleName;

/** The consoles, once for all lives of the machine. */
export interface Consoles {
  /** Connects a machine, in place of the one before. */
  attach(machine: Machine): void;
  /** Tells the person something, in one line. */
  tell(line: string): void;
  /** Gives everything back. */
  close(): void;
}

/** Opens what the command asks for. Resolves when the machine may start. Throws EmuError. `onQuit`: the run is to end, with this exit code. */
export async function openConsoles(command: RunCommand, onQuit: (code: number) => void): Promise<Consoles> {
  const set = new ConsoleSet(command, onQuit);
  try {
    await set.open();
  } catch (e) {
    set.close();
    throw e;
  }
  return set;
}

class ConsoleSet implements Consoles {
  private readonly command: RunCommand;
  private readonly terminal: Terminal;
  private readonly places: readonly (readonly [Source, Endpoint])[];
  private readonly outputs = new Map<Source, (bytes: Uint8Array, writer?: Writer) => void>();
  private readonly closers: (() => void)[] = [];
  /** Consoles at the terminal; the first gets what is typed. */
  private typed: Source[] = [];
  private split: SplitView | undefined;
  private machine: Machine | undefined;
  /** What was typed before the machine was there. */
  private early: { source: Source; bytes: Uint8Array }[] = [];

  constructor(command: RunCommand, onQuit: (code: number) => void) {
    this.command = command;
    this.places = placesOf(command);
    this.typed = this.places.filter(([, e]) => e.kind === "stdio").map(([source]) => source);
    const marked = this.typed.length > 1 && command.consoles.kind !== "split";
    const keys = command.consoles.kind === "split" ? SPLIT_KEYS : marked ? MARKED_KEYS : [];
    this.terminal = new Terminal({
      onInput: (bytes) => this.input(bytes),
      onQuit: () => onQuit(0),
      // A snapshot or a profile is written first.
      ...(command.save === undefined && command.profile === undefined ? {} : { onSignal: onQuit }),
      keys,
      onKey: (key) => this.key(key),
      // Signals end the program at once: the screen would stay as it is.
      onExit: () => this.split?.close(),
      ...(command.consoles.kind === "split" ? { onHelp: (text) => this.show(text) } : {}),
    });
  }

  async open(): Promise<void> {
    const tell = (line: string): void => void process.stderr.write(`rme-emu: ${line}\n`);
    for (const [source, endpoint] of this.places) {
      if (endpoint.kind === "stdio") continue;
      const port = await this.share(endpoint, { name: source, onInput: (bytes) => this.send(source, bytes), tell });
      this.outputs.set(source, this.writerFor(source, port, endpoint));
    }
    // The terminals inside the panes are much to load for those who have none.
    const view = this.command.consoles.kind === "split" ? await import("./split-view.ts") : undefined;
    this.openTerminal(view?.SplitView);
  }

  /** One file for several consoles is opened once, and its lines are marked. */
  private readonly files = new Map<string, { port: Port; marker: LineMarker | undefined }>();
  private async share(endpoint: Exclude<Endpoint, { kind: "stdio" }>, o: Parameters<typeof openPort>[1]): Promise<Port> {
    const path = endpoint.kind === "file" ? endpoint.path : undefined;
    const known = path === undefined ? undefined : this.files.get(path);
    if (known !== undefined) return known.port;
    const port = await openPort(endpoint, o);
    this.closers.push(() => port.close());
    const users = this.places.filter(([, e]) => e.kind === "file" && e.path === path).length;
    if (path !== undefined)
      this.files.set(path, { port, marker: users > 1 ? new LineMarker((b) => port.write(b), LABEL_WIDTH) : undefined });
    return port;
  }
  private writerFor(source: Source, port: Port, endpoint: Endpoint): (bytes: Uint8Array, writer?: Writer) => void {
    const marker = endpoint.kind === "file" ? this.files.get(endpoint.path)?.marker : undefined;
    if (marker === undefined) return (bytes) => port.write(bytes);
    return (bytes, writer) => marker.feed(label(source, writer), bytes);
  }

  private openTerminal(View: typeof SplitView | undefined): void {
    const { terminal, typed } = this;
    const [only] = typed;
    if (View !== undefined) {
      this.split = new View({
        panes: typed.map((source) => ({ title: TITLES[source as ConsoleName], onReply: (bytes) => this.send(source, bytes) })),
        write: (text) => terminal.write(new TextEncoder().encode(text)),
        size: () => ({ columns: process.stdout.columns, rows: process.stdout.rows }),
      });
      for (const [n, source] of typed.entries()) this.outputs.set(source, (bytes) => this.split?.output(n, bytes));
    } else if (typed.length > 1) {
      const marker = new LineMarker((bytes) => terminal.write(bytes), LABEL_WIDTH, process.stdout.isTTY ? COLOURS : {});
      for (const source of typed) this.outputs.set(source, (bytes, writer) => marker.feed(label(source, writer), bytes));
      this.closers.push(() => marker.finish());
    } else if (only !== undefined) this.outputs.set(only, (bytes) => terminal.write(bytes));
    terminal.open();
    if (this.split !== undefined) {
      const { split } = this;
      const resized = (): void => split.resized();
      process.stdout.on("resize", resized);
      this.closers.push(() => {
        process.stdout.off("resize", resized);
        split.close();
      });
      split.open();
    }
  }

  attach(machine: Machine): void {
    this.machine = machine;
    for (const [source, output] of this.outputs) consoleOf(machine, this.command, source)?.onData(output);
    for (const { source, bytes } of this.early.splice(0)) this.send(source, bytes);
  }
  tell(line: string): void {
    // The terminal is raw, and the guest may be in the middle of a line. What is written past the panes would spoil the screen.
    const text = `\r\nrme-emu: ${line}\r\n`;
    this.terminal.flush();
    if (this.split) this.show(text);
    else process.stderr.write(process.stderr.isTTY ? text : text.replaceAll("\r", "").slice(1));
  }
  /** Writes into the pane that is in use. */
  private show(text: string): void {
    this.split?.output(this.split.focus, new TextEncoder().encode(text));
  }
  close(): void {
    for (const close of this.closers.splice(0).reverse()) close();
    this.terminal.close();
  }

  private send(source: Source, bytes: Uint8Array): void {
    if (this.machine === undefined) this.early.push({ source, bytes });
    else consoleOf(this.machine, this.command, source)?.send(bytes);
  }
  private input(bytes: Uint8Array): void {
    const source = this.split === undefined ? this.typed[0] : this.typed[this.split.focus];
    if (source !== undefined) this.send(source, bytes);
  }
  /** A key after Ctrl-A that is not one of the terminal's own. */
  private key(key: string): void {
    if (this.split !== undefined) {
      this.split.key(key);
      return;
    }
    const [first, ...rest] = this.typed;
    if (first === undefined) return;
    this.typed = [...rest, first];
    this.terminal.flush();
    process.stderr.write(`\r\nrme-emu: what you type goes to the console ${this.typed[0]}\r\n`);
  }
}

const MARKED_KEYS = [["C", "type into the next console"]] as const;
const SPLIT_KEYS = [
  ["1..4", "go to a console"],
  ["N", "go to the next console"],
  ["Z", "show one console only, or all again"],
  ["[ ]", "scroll back and forth"],
] as const;

const PORTS = { serial0: "Serial 0", serial1: "Serial 1", hvc0: "hvc0", hvc1: "hvc1" } as const;
const isPort = (source: Source): source is keyof typeof PORTS => Object.hasOwn(PORTS, source);
const label = (source: Source, writer: Writer | undefined): string => (isPort(source) ? PORTS[source] : labelOf(source, writer));

/** Which consoles go where, with those of which a person would type into first in front. */
function placesOf(command: RunCommand): (readonly [Source, Endpoint])[] {
  const plan = command.consoles;
  if (plan.kind === "serial") {
    const virtio = (plan.virtio ?? []).map((place, n) => [n === 0 ? "hvc0" : "hvc1", place] as const);
    // A person who connects a virtio console by hand types into that.
    return [...virtio, ...plan.ports.map((port, n) => [n === 0 ? "serial0" : "serial1", port] as const)];
  }
  const stdio: Endpoint = { kind: "stdio" };
  const order: readonly ConsoleName[] =
    command.realm === undefined ? ["host", "realm", "firmware", "secure"] : ["realm", "host", "firmware", "secure"];
  if (plan.kind !== "named") {
    if (plan.kind === "split" && !(process.stdout.isTTY && process.stdin.isTTY))
      throw usageError("no-terminal", "--consoles split needs a terminal; --consoles marked does not");
    return order.filter((name) => exists(command, name)).map((name) => [name, stdio] as const);
  }
  for (const name of consoleNames) {
    if (plan.endpoints[name] !== undefined && !exists(command, name))
      throw usageError(
        "no-console",
        `--consoles: this machine has no console "${name}" (it has ${order.filter((n) => exists(command, n)).join(", ")})`,
      );
  }
  return order.flatMap((name) => {
    const endpoint = plan.endpoints[name];
    return endpoint === undefined ? [] : [[name, endpoint] as const];
  });
}

/** Does the machine have this console? */
function exists(command: RunCommand, name: ConsoleName): boolean {
  if (command.realm !== undefined) return name !== "secure" || command.firmware?.bios !== undefined;
  if (command.machine === "virt,secure=on") return true;
  return name === "host" || name === "firmware";
}

function consoleOf(machine: Machine, command: RunCommand, source: Source): Console | undefined {
  const virtio = command.console === "hvc0";
  if (source === "serial0") return virtio ? machine.virtioConsole : machine.console;
  if (source === "serial1") return machine.secureConsole;
  if (source === "hvc0") return machine.virtioConsole;
  if (source === "hvc1") return machine.virtioConsole1;
  if (!virtio) return machine.consoles[source];
  if (command.realm !== undefined) return source === "realm" ? machine.virtioConsole : machine.consoles[source];
  // Linux has hvc0: all of UART 0 is firmware's.
  return { ...machine.consoles, firmware: machine.console, host: machine.virtioConsole }[source];
}
