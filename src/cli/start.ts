// Runs a machine at the terminal. The only file of the command line that talks to the harness.

import { closeSync, existsSync, openSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Machine, type MachineOptions, type StopReason } from "../harness/index.ts";
import { EmuError } from "../util/errors.ts";
import type { RunCommand } from "./args/options.ts";
import { type FileBlockBackend, openDrives } from "./block-file.ts";
import { Terminal } from "./terminal.ts";

/** The program that is booted when no kernel is given. */
const HELLO = new URL("../../firmware/hello/hello.img", import.meta.url);

/** Creates the machine, runs it until it ends, and returns the exit code. */
export async function runMachine(command: RunCommand): Promise<number> {
  const drives = openDrives(command.drives);
  const log = openLog(command);
  try {
    const options = { ...(await machineOptions(command, drives)), ...(log ? { log: log.write } : {}) };
    return await runLives(command, options);
  } finally {
    for (const drive of drives) {
      drive.flush();
      drive.close();
    }
    log?.close();
  }
}

/** From power-on to the end; after a reset of the guest, again. */
async function runLives(command: RunCommand, options: MachineOptions): Promise<number> {
  let machine = await Machine.create(options);
  let quit = false;
  const console = openConsole(command, {
    onInput: (bytes) => guestConsole(command, machine).send(bytes),
    onQuit: () => {
      quit = true;
      machine.stop();
    },
  });
  try {
    for (;;) {
      guestConsole(command, machine).onData((bytes) => console.write(bytes));
      const reason = await machine.run();
      if (quit) return 0;
      if (reason.kind !== "reset" || command.noReboot) return exitCode(reason);
      machine = await Machine.create(options);
    }
  } finally {
    console.close();
  }
}

const guestConsole = (command: RunCommand, machine: Machine): Machine["console"] =>
  command.console === "hvc0" ? machine.virtioConsole : machine.console;

/** Where --trace writes: a file, or standard error. */
function openLog(command: RunCommand): { write(line: string): void; close(): void } | undefined {
  if (command.trace.length === 0) return undefined;
  const path = command.traceFile;
  if (path === undefined) return { write: (line) => process.stderr.write(`${line}\r\n`), close: () => {} };
  const file = openOutput(path);
  return { write: (line) => writeSync(file, `${line}\n`), close: () => closeSync(file) };
}

async function machineOptions(command: RunCommand, drives: readonly FileBlockBackend[]): Promise<MachineOptions> {
  const boot = await bootFiles(command);
  return {
    machine: "virt",
    smp: command.smp,
    memory: command.memory,
    time: command.time,
    drives: drives.map((backend) => ({ backend })),
    ...boot,
    ...(command.cpu === undefined ? {} : { cpu: command.cpu }),
    ...(command.dtb === undefined ? {} : { dtb: command.dtb }),
  };
}

/** Kernel, initial file system and command line: as given, Debian's, or the bundled program. */
async function bootFiles(command: RunCommand): Promise<Pick<MachineOptions, "kernel" | "initrd" | "append">> {
  const append = command.append === undefined ? {} : { append: command.append };
  const initrd = command.initrd === undefined ? {} : { initrd: command.initrd };
  if (command.kernel === undefined) return { kernel: helloImage() };
  const isFile = existsSync(command.kernel) || !command.kernel.startsWith("debian");
  const debian = isFile ? undefined : await (await import("./fetch.ts")).debianKernel(command.kernel);
  if (!debian) return { kernel: command.kernel, ...initrd, ...append };
  return { kernel: debian.vmlinuz, initrd: debian.initrd, append: "console=ttyAMA0", ...initrd, ...append };
}

function helloImage(): string {
  const path = fileURLToPath(HELLO);
  if (existsSync(path)) return path;
  throw new EmuError("hello-missing", "the bundled program firmware/hello/hello.img is missing; give a kernel with --kernel");
}

interface Console {
  write(bytes: Uint8Array): void;
  close(): void;
}

function openConsole(command: RunCommand, handlers: { onInput(bytes: Uint8Array): void; onQuit(): void }): Console {
  const { serial } = command;
  const terminal = new Terminal(serial.kind === "stdio" ? handlers : { ...handlers, onInput: () => {} });
  terminal.open();
  if (serial.kind === "stdio") return terminal;
  const file = serial.kind === "file" ? openOutput(serial.path) : undefined;
  return {
    write: (bytes) => {
      if (file !== undefined) writeSync(file, bytes);
    },
    close: () => {
      terminal.close();
      if (file !== undefined) closeSync(file);
    },
  };
}

/** Appends: nothing that is in the file is lost. */
function openOutput(path: string): number {
  try {
    return openSync(path, "a");
  } catch (error) {
    throw new EmuError("output-unwritable", `cannot write to "${path}": ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

/** Power-off is the normal end; everything else that ends a machine by itself is told and counts as a failure. */
function exitCode(reason: StopReason): number {
  if (reason.kind === "poweroff" || reason.kind === "reset" || reason.kind === "stopped") return 0;
  if (reason.kind === "halted") throw new EmuError("halted", "all processors are off or wait for an event that cannot come");
  throw new EmuError("machine-error", reason.message);
}
