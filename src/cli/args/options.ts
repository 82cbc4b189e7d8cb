// The command line: what can be typed, and the plain record it becomes.

import { Command } from "commander";
import { cpuHelp } from "../../arch/features.ts";
import type { MachineName, RealmOptions } from "../../harness/index.ts";
import { EmuError, usageError } from "../../util/errors.ts";
import { addExplainCommands, type ExplainCommand, type GptCommand } from "../explain-command.ts";
import { addFipCommand, type FipCommand } from "../fip-command.ts";
import { addLabCommand, type LabCommand } from "../lab-command.ts";
import { addVerifyTokenCommand, type VerifyTokenCommand } from "../verify-token-command.ts";
import { parseChardevs, separateVirtconsoles } from "./chardevs.ts";
import {
  addRunOptions,
  type CommonCommand,
  type CommonOptions,
  collect,
  commonCommand,
  parseWords,
  TRACE_KINDS_HELP,
  takesValue,
} from "./common.ts";
import { type ConsolePlan, parseConsoles } from "./consoles.ts";
import { type Drive, type PciKind, parseDrives, parsePciDevices } from "./drives.ts";
import { type FirmwareOptions, separateFirmware } from "./firmware.ts";
import { allowKeys, parseKeyValues, parseSwitch } from "./keyval.ts";
import { fromQemu } from "./qemu.ts";
import { parseCount, parseMemory } from "./sizes.ts";

/** The guest's consoles, by the names that Linux gives them. */
const CONSOLES = ["ttyAMA0", "hvc0"] as const;
export type GuestConsole = (typeof CONSOLES)[number];

/** A subcommand or a run. */
export type AnyCommand = RunCommand | FetchCommand | FipCommand | LabCommand | ExplainCommand | GptCommand | VerifyTokenCommand;

/** A machine to run. Paths are as typed. */
export interface RunCommand extends CommonCommand {
  readonly kind: "run";
  readonly machine: MachineName;
  readonly smp: number;
  /** Bytes. */
  readonly memory: number;
  readonly dtb: string | undefined;
  readonly drives: readonly Drive[];
  /** Devices on the PCI bus, from slot 1 on. */
  readonly pci?: readonly PciKind[];
  readonly consoles: ConsolePlan;
  /** Which of the guest's consoles is shown as its own: the PL011 or the virtio console. */
  readonly console: GuestConsole;
  /** The machine starts in flash; or what firmware would get. */
  readonly firmware?: FirmwareOptions | undefined;
  /** Run the guest in a realm. */
  readonly realm?: RealmOptions;
}

export interface FetchCommand {
  readonly kind: "fetch";
  readonly item: string;
  readonly refresh: boolean;
}

/** Help or version: text for standard output. */
export interface PrintCommand {
  readonly kind: "print";
  readonly text: string;
}

export const MAX_PES = 8;
const DEFAULT_MEMORY = "1G";

/** Parses the words after the program's name. Throws EmuError with exit code 2 for what cannot be meant. */
export function parseCommandLine(argv: readonly string[], version: string): AnyCommand | PrintCommand {
  let command: AnyCommand | undefined;
  const program = createProgram(version, (chosen) => {
    command = chosen;
  });
  const text = parseWords(
    program,
    fromQemu(argv, (word) => takesValue(program, word)),
  );
  if (text !== undefined) return { kind: "print", text };
  if (!command) throw new EmuError("internal", "the command line led to no command");
  if (command.kind === "run" && command.cpu === "help") return { kind: "print", text: cpuHelp() };
  return command;
}

function createProgram(version: string, choose: (command: AnyCommand) => void): Command {
  const program = new Command("rme-emu");
  program
    .description("An emulator of an AArch64 system. Without --kernel it boots a small program of its own that shows the machine.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this text")
    .option("--kernel <file>", "kernel: an arm64 Image (also gzip or EFI zboot), an ELF file, or debian[=VERSION], fetched when needed")
    .option("--initrd <file>", "initial file system")
    .option("--append <text>", "kernel command line")
    .option("--memory <size>", "memory of the machine, 2M to 8G", DEFAULT_MEMORY)
    .option("--smp <n>", `number of processors, 1 to ${MAX_PES}`, "1")
    .option("--cpu <name>", "processor type and features, such as max, cortex-a76 or max,lse=off; help lists them")
    .option("--machine <name>", "virt, or virt,secure=on: PEs start at EL3, in firmware or in the ELF file that --kernel names", "virt")
    .option("--bios <file>", "firmware, in flash; --kernel, --initrd and --append are handed to it")
    .option("--dtb <file>", "device tree to use instead of the machine's own")
    .option("--drive <spec>", "disk: file=NAME[,format=raw][,readonly=on]; flash: if=pflash,file=NAME[,unit=0|1]; may be repeated", collect)
    .option("--device <spec>", "virtio-blk-device,drive=ID; virtio-rng-device; loader,file=NAME[,addr=A]; may be repeated", collect)
    .option("--fw-cfg <spec>", "file for firmware: name=opt/NAME,string=TEXT or name=opt/NAME,file=FILE; may be repeated", collect)
    .option("--chardev <spec>", "place for --serial chardev:ID and --device virtconsole,chardev=ID: KIND,id=ID[,...] as on QEMU", collect)
    .option("--console <name>", "which of the guest's consoles to show: ttyAMA0 (serial) or hvc0 (virtio)", "ttyAMA0");
  addRunOptions(program, {
    serial: "; again: the second port",
    log: "what a guest asks for that is unknown or wrong",
    kinds: `, ${TRACE_KINDS_HELP}`,
  })
    .addHelpText("after", HELP_AFTER)
    .allowExcessArguments()
    .action((options: RawOptions, self: Command) => {
      refuseWord(self.args[0]);
      choose(runCommand(options));
    });
  program
    .command("fetch")
    .description(
      "fetch from Debian: an arm64 kernel, with an initramfs built for it, boot firmware, or a disk that UEFI firmware starts from",
    )
    .argument(
      "[item]",
      "debian-kernel, debian-kernel=VERSION such as debian-kernel=7.2, firmware (lists it), firmware=NAME, efi-disk=VERSION",
      "debian-kernel",
    )
    .option("--refresh", "look for a newer one even when one is cached")
    .allowExcessArguments(false)
    .action((item: string, options: { refresh?: true }) => choose({ kind: "fetch", item, refresh: options.refresh ?? false }));
  addFipCommand(program, choose);
  addLabCommand(program, choose);
  addExplainCommands(program, choose);
  addVerifyTokenCommand(program, choose);
  return program;
}

function refuseWord(word: string | undefined): void {
  if (word !== undefined) throw usageError("unknown-word", `unknown word "${word}" (a kernel is given with --kernel, a disk with --drive)`);
}

const HELP_AFTER = `
QEMU's spellings (-kernel, -m, -smp, -append, -initrd, -drive, -nographic, ...) are understood.
At the console, Ctrl-A X quits and Ctrl-A H lists the other keys.

Examples:
  rme-emu
  rme-emu --kernel debian
  rme-emu --kernel Image --initrd initrd.cpio.gz --append "console=ttyAMA0" --memory 2G --smp 2
  rme-emu realm --kernel debian`;

/** What commander hands over: the options as typed. */
interface RawOptions extends CommonOptions {
  readonly machine: string;
  readonly dtb?: string;
  readonly fwCfg?: string[];
  readonly chardev?: string[];
}

function runCommand(raw: RawOptions): RunCommand {
  const chardevs = parseChardevs(raw.chardev ?? []);
  const { virtio, devices: others } = separateVirtconsoles(raw.device ?? [], chardevs);
  const { firmware, drives, devices } = separateFirmware(raw, raw.drive ?? [], others);
  const inFlash = firmware?.bios !== undefined || firmware?.pflash[0] !== undefined;
  if (raw.kernel === undefined && !inFlash) {
    const needsKernel = (["initrd", "append", "dtb"] as const).find((option) => raw[option] !== undefined);
    if (needsKernel) throw usageError("kernel-not-given", `--${needsKernel} needs --kernel`);
  }
  const machine = parseMachine(raw.machine);
  if (machine === "virt,secure=on" && raw.kernel === undefined && !inFlash)
    throw usageError("kernel-not-given", "--machine virt,secure=on needs --bios FILE, or --kernel FILE: the program to enter at EL3");
  return {
    ...commonCommand(raw, inFlash || machine === "virt,secure=on"),
    kind: "run",
    machine,
    smp: parseSmp(raw.smp),
    memory: parseMemory(memoryText(raw.memory)),
    dtb: raw.dtb,
    drives: parseDrives(drives, devices, true),
    pci: parsePciDevices(devices),
    firmware,
    consoles: parseConsoles(raw.serial, raw.consoles, machine === "virt,secure=on", { chardevs, virtio }),
    console: parseConsole(raw.console),
  };
}

/** `virt`, with the properties of QEMU's virt machine: those that describe what this one is anyway, and `secure`. */
function parseMachine(text: string): MachineName {
  const { head, values } = parseKeyValues(text, "--machine");
  const name = head ?? values.get("type");
  if (name !== "virt") throw usageError("unknown-machine", `--machine: unknown machine "${name ?? ""}" (known: virt)`);
  for (const [key, value] of values) {
    const possible = MACHINE_PROPERTIES[key];
    if (!possible)
      throw usageError(
        "machine-property",
        `--machine virt: unknown property "${key}" (known: ${Object.keys(MACHINE_PROPERTIES).join(", ")})`,
      );
    if (possible.length > 0 && !possible.includes(value))
      throw usageError("machine-property", `--machine virt: ${key}=${value} is not supported (${possible.join(", ")})`);
  }
  return parseSwitch(values.get("secure") ?? "off", "--machine virt: secure") ? "virt,secure=on" : "virt";
}

/** Properties that may be given, with the values that they may have; none: it is parsed. */
const MACHINE_PROPERTIES: Readonly<Record<string, readonly string[]>> = {
  type: ["virt"],
  "gic-version": ["3", "max"],
  virtualization: ["on", "true"],
  secure: [],
  accel: ["tcg"],
  acpi: ["off"],
};

/** "4", or QEMU's "cpus=4" and "4,sockets=1,cores=4,threads=1" as far as they describe separate processors. */
function parseSmp(text: string): number {
  const { head, values } = parseKeyValues(text, "--smp");
  allowKeys(values, ["cpus", "sockets", "clusters", "cores", "threads", "maxcpus"], "--smp");
  return parseCount(head ?? values.get("cpus") ?? text, "--smp", 1, MAX_PES);
}

/** "2G", or QEMU's "size=2G". */
function memoryText(text: string): string {
  const { head, values } = parseKeyValues(text, "--memory");
  allowKeys(values, ["size"], "--memory");
  return head ?? values.get("size") ?? text;
}

export function parseConsole(text: string): GuestConsole {
  const console = CONSOLES.find((name) => name === text);
  if (console) return console;
  throw usageError("bad-console", `--console: "${text}" is neither ${CONSOLES.join(" nor ")}`);
}
