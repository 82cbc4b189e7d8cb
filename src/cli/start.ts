// Runs a machine at the terminal. The only file of the command line that talks to the harness.

import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  type BlockBackend,
  Machine,
  type MachineOptions,
  MemoryBlockBackend,
  type PciDevice,
  type StopReason,
  type Stuck,
  stuckMessage,
  stuckText,
} from "../harness/index.ts";
import { EmuError } from "../util/errors.ts";
import type { PciKind } from "./args/drives.ts";
import type { RunCommand } from "./args/options.ts";
import { type FileBlockBackend, openDrives } from "./block-file.ts";
import { type Consoles, openConsoles } from "./consoles/index.ts";
import { explainDifference, watchEngine } from "./engine.ts";
import { readSymbols } from "./explain.ts";
import { noteOf, readSnapshotFile, told } from "./restore.ts";
import { type LogOutput, openLog } from "./tracing.ts";

const FLASH_BANK = 64 * 2 ** 20;
const SECTOR = 512;

/** Creates the machine, runs it until it ends, and returns the exit code. */
export async function runMachine(command: RunCommand): Promise<number> {
  const flash = [...(command.firmware?.pflash ?? [])];
  const files = flash.filter((drive) => drive !== undefined);
  const all = openDrives([...command.drives, ...files]);
  const drives = all.slice(0, command.drives.length);
  const pflash: (BlockBackend | undefined)[] = flash.map((drive) =>
    drive ? all[command.drives.length + files.indexOf(drive)] : undefined,
  );
  // UEFI variables outlive resets of the guest, though not this program.
  if (flash.length > 0) pflash[1] ??= new MemoryBlockBackend({ sectors: FLASH_BANK / SECTOR });
  const log = openLog(command);
  try {
    const options = {
      ...(await machineOptions(command, drives)),
      pflash,
      ...(log.log ? { log: log.log } : {}),
    };
    return await runLives(command, options, log);
  } finally {
    for (const drive of all) {
      drive.flush();
      drive.close();
    }
    log.close();
  }
}

/** From power-on to the end; after a reset of the guest, again. */
async function runLives(command: RunCommand, options: MachineOptions, log: LogOutput): Promise<number> {
  // Set below, before the machine runs.
  let consoles: Consoles | undefined;
  const watchdog = watchdogOf(command, (line) => consoles?.tell(line));
  options = { ...options, watchdog };
  let machine = await Machine.create(options);
  if (command.restore !== undefined) restoreFrom(command.restore, machine);
  for (const warning of machine.warnings) process.stderr.write(`rme-emu: warning: ${warning}\n`);
  let unwatch = log.watch(machine);
  let measured = watchEngine(command, machine);
  let quit: number | undefined;
  consoles = await openConsoles(command, (code) => {
    quit = code;
    machine.stop();
  });
  try {
    for (;;) {
      consoles.attach(machine);
      const reason = await machine.run();
      unwatch();
      measured();
      if (command.save !== undefined) saveTo(command.save, machine, command);
      if (quit !== undefined) return quit;
      if (reason.kind !== "reset" || command.noReboot) return exitCode(reason, machine, command);
      if (!bootsAgain(command)) {
        process.stderr.write(
          "rme-emu: the guest asks for a reset; without --kernel the restored machine has nothing to start again with\n",
        );
        return 0;
      }
      machine = await Machine.create(options);
      unwatch = log.watch(machine);
      measured = watchEngine(command, machine);
    }
  } catch (error) {
    throw explainDifference(error, command);
  } finally {
    consoles.close();
  }
}

/** `tell`: gets a line for the person at the terminal. */
function watchdogOf(command: RunCommand, tell: (line: string) => void): NonNullable<MachineOptions["watchdog"]> {
  const { mode, ...limits } = command.watchdog;
  if (mode === "off") return false;
  const told = (end: Stuck): void => tell(stuckMessage(end, readSymbols(command.symbols)?.lookup));
  return { ...limits, ...(mode === "tell" ? { tell: told } : {}) };
}

/** A restored machine was made without what it had booted from, unless that was given again. */
const bootsAgain = (c: RunCommand): boolean => c.restore === undefined || c.kernel !== undefined || c.firmware !== undefined;

function restoreFrom(path: string, machine: Machine): void {
  told(path, () => machine.restore(readSnapshotFile(path)));
  if (machine.ended) throw new EmuError("snapshot-ended", `cannot go on with "${path}": when it was saved the guest had powered off`);
  // What was on the screen then is not part of a machine.
  if (process.stdout.isTTY) process.stderr.write(`rme-emu: going on with "${path}"; press Enter for a prompt\n`);
}

function saveTo(path: string, machine: Machine, command: RunCommand): void {
  try {
    writeFileSync(path, machine.save({ note: noteOf(command) }));
  } catch (error) {
    if (error instanceof EmuError) throw error;
    throw new EmuError("output-unwritable", `cannot write to "${path}": ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

/** What the harness needs for a command, with the files that it names looked up. */
export async function machineOptions(command: RunCommand, drives: readonly FileBlockBackend[]): Promise<MachineOptions> {
  const boot = await bootFiles(command);
  return {
    machine: command.machine,
    smp: command.smp,
    memory: command.memory,
    time: command.time,
    ...(command.engine === undefined ? {} : { engine: command.engine }),
    ...storage(command, drives),
    ...boot,
    ...firmwareOptions(command),
    ...(command.realm === undefined ? {} : { realm: command.realm }),
    ...(command.cpu === undefined ? {} : { cpu: command.cpu }),
    ...(command.dtb === undefined ? {} : { dtb: command.dtb }),
  };
}

/** Drives by the bus that they are on. */
function storage(command: RunCommand, drives: readonly FileBlockBackend[]): Pick<MachineOptions, "drives" | "pci"> {
  const on = (pci: boolean) => drives.filter((_, i) => (command.drives[i]?.pci === true) === pci);
  const disks = on(true).values();
  const device = (kind: PciKind): PciDevice => (kind === "block" ? { kind, backend: disks.next().value as FileBlockBackend } : { kind });
  return { drives: on(false).map((backend) => ({ backend })), pci: (command.pci ?? []).map(device) };
}

/** Firmware and what is put beside it; drives that are flash are the caller's to open. */
function firmwareOptions(command: RunCommand): Pick<MachineOptions, "bios" | "loaders" | "fwCfg"> {
  if (command.firmware === undefined) return {};
  const { bios, loaders, fwCfg } = command.firmware;
  return { ...(bios === undefined ? {} : { bios }), loaders, fwCfg };
}

/** Kernel, initial file system and command line: as given, Debian's, or the bundled program. */
async function bootFiles(command: RunCommand): Promise<Pick<MachineOptions, "kernel" | "initrd" | "append">> {
  const append = command.append === undefined ? {} : { append: command.append };
  const initrd = command.initrd === undefined ? {} : { initrd: command.initrd };
  const { firmware } = command;
  const inFlash = firmware?.bios !== undefined || firmware?.pflash[0] !== undefined;
  if (command.kernel === undefined && inFlash && command.realm === undefined) return { ...initrd, ...append };
  if (command.kernel === undefined) return { kernel: bundledImage(command.realm ? "realm-hello" : "hello") };
  const isFile = existsSync(command.kernel) || !command.kernel.startsWith("debian");
  const debian = isFile ? undefined : await (await import("./fetch.ts")).debianKernel(command.kernel);
  if (!debian) return { kernel: command.kernel, ...initrd, ...append };
  return { kernel: debian.vmlinuz, initrd: debian.initrd, append: `console=${consoleName(command)}`, ...initrd, ...append };
}

/** Linux's name of the first serial port. */
const consoleName = (command: RunCommand): string => (command.realm?.board === "kvmtool" ? "ttyS0" : "ttyAMA0");

function bundledImage(name: "hello" | "realm-hello"): string {
  const path = fileURLToPath(new URL(`../../firmware/${name}/${name}.img`, import.meta.url));
  if (existsSync(path)) return path;
  throw new EmuError("hello-missing", `the bundled program firmware/${name}/${name}.img is missing; give a kernel with --kernel`);
}

/** Power-off is the normal end; everything else that ends a machine by itself is told and counts as a failure. */
function exitCode(reason: StopReason, machine: Machine, command: RunCommand): number {
  if (reason.kind === "poweroff" || reason.kind === "reset" || reason.kind === "stopped") return 0;
  if (reason.kind === "stuck") throw new EmuError("machine-stuck", stuckMessage(reason, readSymbols(command.symbols)?.lookup));
  if (reason.kind === "halted") {
    const where = stuckText(machine.whereabouts, readSymbols(command.symbols)?.lookup);
    throw new EmuError("halted", `all processors are off or wait for an event that cannot come: ${where}`);
  }
  throw new EmuError("machine-error", reason.message);
}
