// The command lines of `rme-emu realm` and `rme-emu measure`: our options, QEMU's rme-guest object, kvmtool's spellings.

import { Command } from "commander";
import { BREAKPOINTS, WATCHPOINTS } from "../../arch/features.ts";
import { EVENT_COUNTERS } from "../../cpu/pmu.ts";
import type { RealmOptions } from "../../harness/index.ts";
import type { RmiVersion } from "../../host/index.ts";
import { EmuError, usageError } from "../../util/errors.ts";
import { parseChardevs } from "./chardevs.ts";
import { addRunOptions, type CommonOptions, collect, commonCommand, parseWords, takesValue } from "./common.ts";
import { parseConsoles } from "./consoles.ts";
import { parseDrives } from "./drives.ts";
import { allowKeys, parseKeyValues } from "./keyval.ts";
import { type PrintCommand, parseConsole, type RunCommand } from "./options.ts";
import { fromQemu } from "./qemu.ts";
import { fromVmms } from "./realm-words.ts";
import { parseCount, parseMemory } from "./sizes.ts";

/** A realm to measure without running it. */
export interface MeasureCommand {
  readonly kind: "measure";
  readonly run: RunCommand;
  /** Version of RMI by which the realm will be made. */
  readonly rmi: RmiVersion;
}

const DEFAULT_MEMORY = "512M";
const MAX_RECS = 8;
const RPV_BYTES = 64;
const BOARDS = ["virt", "kvmtool"] as const;
const ALGORITHMS = ["sha256", "sha512"] as const;
const RMI_VERSIONS = ["1.0", "2.0"] as const satisfies readonly RmiVersion[];

interface RawOptions extends CommonOptions {
  readonly board: string;
  readonly machine?: string;
  readonly teardown?: true;
  readonly normal?: true;
  readonly rmm?: string;
  readonly rmi?: string;
  readonly measurementAlgorithm?: string;
  readonly personalizationValue?: string;
  readonly realmPv?: string;
  readonly sveVectorLength?: string;
  readonly numBreakpoints?: string;
  readonly numWatchpoints?: string;
  readonly numPmuCounters?: string;
  readonly object?: string[];
  readonly chardev?: string[];
}

/** Parses the words after `realm` or `measure`. Throws EmuError with exit code 2 for what cannot be meant. */
export function parseRealmCommandLine(name: "realm" | "measure", argv: readonly string[]): RunCommand | MeasureCommand | PrintCommand {
  let raw: RawOptions | undefined;
  const program = createProgram(name, (options) => {
    raw = options;
  });
  const text = parseWords(
    program,
    fromQemu(fromVmms(argv), (word) => takesValue(program, word)),
  );
  if (text !== undefined) return { kind: "print", text };
  if (!raw) throw new EmuError("internal", "the command line led to no command");
  if (name === "measure" && raw.normal) throw usageError("realm-normal", "--normal: an ordinary virtual machine has no measurement");
  const run = realmCommand(raw);
  return name === "measure" ? { kind: "measure", run, rmi: oneOf("--rmi", raw.rmi ?? "1.0", RMI_VERSIONS) } : run;
}

function createProgram(name: string, choose: (options: RawOptions) => void): Command {
  const what =
    name === "realm" ? "Run a guest in a realm." : "Print the Realm Initial Measurement that the guest would report, in hexadecimal.";
  const program = new Command(`rme-emu ${name}`)
    .description(what)
    .helpOption("-h, --help", "print this text")
    .option(
      "--kernel <file>",
      "kernel: an arm64 Image (also gzip or EFI zboot), or debian[=VERSION], fetched when needed; default: a small program that shows the realm",
    )
    .option("--initrd <file>", "initial file system")
    .option("--append <text>", "kernel command line")
    .option("--memory <size>", "memory of the realm", DEFAULT_MEMORY)
    .option("--smp <n>", `number of RECs, 1 to ${MAX_RECS}`, "1")
    .option("--board <name>", `machine that the guest sees: ${BOARDS.join(" (QEMU's) or ")}`, "virt")
    .option("--measurement-algorithm <name>", `${ALGORITHMS.join(" or ")} (default: sha512 on virt, sha256 on kvmtool)`)
    .option("--personalization-value <value>", "64 bytes in base64, or up to 128 hexadecimal digits")
    .option("--realm-pv <text>", "the personalization value as text, at most 64 bytes")
    .option("--num-breakpoints <n>", `breakpoints of the realm; the CPU has ${BREAKPOINTS}, and a realm at least 2`)
    .option("--num-watchpoints <n>", `watchpoints of the realm; the CPU has ${WATCHPOINTS}, and a realm at least 2`)
    .option("--num-pmu-counters <n>", `event counters of the realm's PMU, 1 to ${EVENT_COUNTERS} (default: no PMU)`)
    .option("--sve-vector-length <bits>", "only 0: there is no SVE yet")
    .option("--object <spec>", "QEMU's rme-guest,id=ID[,measurement-algorithm=…][,personalization-value=…]", collect)
    .option("--machine <name>", "QEMU's -M virt,gic-version=3,confidential-guest-support=ID")
    .option("--cpu <name>", "processor of the machine below; it needs FEAT_RME")
    .option("--drive <spec>", "disk: file=NAME[,format=raw][,readonly=on]; may be repeated", collect)
    .option("--device <spec>", "device: virtio-blk-device,drive=ID; may be repeated", collect)
    .option("--chardev <spec>", "place for --serial chardev:ID: KIND,id=ID[,...] as on QEMU", collect)
    .option("--console <name>", "which of the guest's consoles to show: serial (ttyAMA0, ttyS0) or virtio (hvc0)", "serial");
  if (name === "measure")
    program.option("--rmi <version>", "version of RMI by which host and RMM make the realm: 1.0 or 2.0 (default: 1.0)");
  const ofRealm = program.options.length;
  addRunOptions(program, {
    serial: "",
    log: "RMI and RSI calls, what is unknown or wrong",
    kinds: " and those of rme-emu --help",
  })
    .option("--teardown", "destroy the realm when it has ended, before power goes off")
    .option("--rmm <file>", "RMM to run instead of the built-in one: TF-RMM for its qemu_virt platform (rmm.img), or an ELF file")
    .option("--bios <file>", "EL3 firmware and RMM to run instead of the built-in ones, as flash image (TF-A for PLAT=qemu, ENABLE_RME=1)")
    .option("--normal", "run the guest as an ordinary virtual machine instead")
    .addHelpText("after", name === "realm" ? AFTER_REALM : AFTER_MEASURE)
    .allowExcessArguments(false)
    .action(choose);
  if (name === "measure") for (const option of program.options.slice(ofRealm)) option.hideHelp();
  return program;
}

const AFTER_REALM = `
The words of QEMU and of kvmtool that describe a realm are understood (-object rme-guest,..., -enable-kvm, -m; --realm, --realm-pv,
--measurement-algo, -c, -k, ...); for kvmtool's machine add --board kvmtool.
At the console, Ctrl-A X quits and Ctrl-A H lists the other keys.

Examples:
  rme-emu realm
  rme-emu realm --kernel debian=7.2
  rme-emu realm --kernel Image --initrd rootfs.cpio.gz --append "console=ttyAMA0" --memory 1G --smp 2
  rme-emu realm --kernel debian=7.2 --save realm.snap; rme-emu --restore realm.snap`;
const AFTER_MEASURE = `
What is not about the guest, such as --trace, is accepted and has no effect: the words after "rme-emu realm" can stay as they are.`;

function realmCommand(typed: RawOptions): RunCommand {
  const object = parseObjects(typed.object ?? []);
  const raw = { ...object.counts, ...typed };
  if (raw.normal) checkNormal(raw);
  if (raw.sveVectorLength !== undefined && raw.sveVectorLength !== "0") {
    throw usageError("realm-sve", "--sve-vector-length: realms have no SVE yet; leave the option out, or say 0");
  }
  if (raw.kernel === undefined && (raw.initrd ?? raw.append) !== undefined) {
    throw usageError("kernel-not-given", "--initrd and --append need --kernel");
  }
  checkMachine(raw.machine, object.id);
  const virtio = raw.console === "virtio" || raw.console === "hvc0";
  const serial = ["serial", "ttyAMA0", "ttyS0"].includes(raw.console);
  return {
    ...commonCommand(raw, raw.bios !== undefined),
    kind: "run",
    machine: "virt",
    realm: realmOptions(raw, object),
    smp: parseCount(raw.smp, "--smp", 1, MAX_RECS),
    memory: parseMemory(raw.memory),
    dtb: undefined,
    firmware: raw.bios === undefined ? undefined : { bios: raw.bios, pflash: [undefined, undefined], loaders: [], fwCfg: [] },
    drives: parseDrives(raw.drive ?? [], raw.device ?? []),
    consoles: parseConsoles(raw.serial, raw.consoles, false, { chardevs: parseChardevs(raw.chardev ?? []) }),
    console: virtio ? "hvc0" : serial ? "ttyAMA0" : parseConsole(raw.console),
  };
}

/** Options that mean nothing to an ordinary virtual machine. */
const REALM_ONLY = ["measurementAlgorithm", "personalizationValue", "realmPv", "numBreakpoints", "numWatchpoints", "rmm"] as const;
function checkNormal(raw: RawOptions): void {
  const given = REALM_ONLY.find((key) => raw[key] !== undefined);
  if (given === undefined) return;
  const option = given.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
  throw usageError("realm-normal", `--normal runs no realm: --${option} has no meaning for an ordinary virtual machine`);
}

interface GuestObject {
  id?: string;
  algorithm?: string;
  rpv?: string;
  /** Options that older versions of the object have as properties, as typed. */
  counts: Pick<RawOptions, "sveVectorLength" | "numBreakpoints" | "numWatchpoints" | "numPmuCounters">;
}
const COUNTS = {
  "sve-vector-length": "sveVectorLength",
  "num-breakpoints": "numBreakpoints",
  "num-watchpoints": "numWatchpoints",
  "num-pmu-counters": "numPmuCounters",
} as const;

/** `-object rme-guest,…` as QEMU has it, in its newer and older property names. */
function parseObjects(objects: readonly string[]): GuestObject {
  const counts: { -readonly [K in keyof GuestObject["counts"]]: string } = {};
  const out: GuestObject = { counts };
  for (const text of objects) {
    const { head, values } = parseKeyValues(text, "--object");
    const kind = head ?? values.get("qom-type");
    if (kind !== "rme-guest") throw usageError("unknown-object", `--object: unknown object "${kind ?? ""}" (known: rme-guest)`);
    const known = ["qom-type", "id", "measurement-algorithm", "measurement-algo", "personalization-value", "measurement-log"];
    known.push(...Object.keys(COUNTS));
    allowKeys(values, known, "--object rme-guest");
    if ((values.get("measurement-log") ?? "off") !== "off")
      throw usageError("realm-log", "--object rme-guest: there is no measurement log yet");
    const [id, rpv] = [values.get("id"), values.get("personalization-value")];
    const algorithm = values.get("measurement-algorithm") ?? values.get("measurement-algo");
    if (id !== undefined) out.id = id;
    if (rpv !== undefined) out.rpv = rpv;
    if (algorithm !== undefined) out.algorithm = algorithm;
    for (const [property, option] of Object.entries(COUNTS)) {
      const value = values.get(property);
      if (value !== undefined) counts[option] = value;
    }
  }
  return out;
}

/** `-M virt,confidential-guest-support=ID` must name the object. */
function checkMachine(text: string | undefined, id: string | undefined): void {
  if (text === undefined) return;
  const { head, values } = parseKeyValues(text, "--machine");
  if ((head ?? values.get("type")) !== "virt") throw usageError("unknown-machine", `--machine: unknown machine "${text}" (known: virt)`);
  allowKeys(values, ["type", "gic-version", "confidential-guest-support", "acpi"], "--machine virt");
  const named = values.get("confidential-guest-support");
  if (named !== undefined && named !== id) throw usageError("unknown-object", `--machine: there is no object "${named}"`);
}

function realmOptions(raw: RawOptions, object: GuestObject): RealmOptions {
  const board = oneOf("--board", raw.board, BOARDS);
  const algorithm = raw.measurementAlgorithm ?? object.algorithm;
  const value = personalization(raw, object);
  return {
    board,
    ...(raw.normal ? { normal: true } : {}),
    teardown: raw.teardown === true,
    ...(raw.rmm === undefined ? {} : { rmm: raw.rmm }),
    ...(algorithm === undefined ? {} : { measurementAlgorithm: oneOf("--measurement-algorithm", algorithm, ALGORITHMS) }),
    ...(value === undefined ? {} : { personalizationValue: value }),
    ...count("breakpoints", "--num-breakpoints", raw.numBreakpoints, 2, 64),
    ...count("watchpoints", "--num-watchpoints", raw.numWatchpoints, 2, 64),
    ...count("pmuCounters", "--num-pmu-counters", raw.numPmuCounters, 1, 31),
  };
}

const count = <K extends string>(key: K, option: string, text: string | undefined, min: number, max: number): { [k in K]?: number } =>
  text === undefined ? {} : ({ [key]: parseCount(text, option, min, max) } as { [k in K]?: number });

function oneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((k) => k === text);
  if (found === undefined) throw usageError("bad-choice", `${option}: "${text}" is neither ${known.join(" nor ")}`);
  return found;
}

/** Base64 of 64 bytes, up to 128 hexadecimal digits, or with --realm-pv the bytes of a text. */
function personalization(raw: RawOptions, object: GuestObject): Uint8Array | undefined {
  if (raw.realmPv !== undefined) {
    if ((raw.personalizationValue ?? object.rpv) !== undefined)
      throw usageError("realm-rpv", "--realm-pv and the personalization value are the same thing: give one of them");
    const bytes = new TextEncoder().encode(raw.realmPv);
    if (bytes.length > RPV_BYTES) throw usageError("realm-rpv", `--realm-pv: at most ${RPV_BYTES} bytes, not ${bytes.length}`);
    return bytes;
  }
  const text = raw.personalizationValue ?? object.rpv;
  if (text === undefined) return undefined;
  if (/^[A-Za-z0-9+/]{86}==$/.test(text)) return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  if (/^(0x)?([0-9a-fA-F]{2}){1,64}$/.test(text))
    return Uint8Array.from(text.replace(/^0x/, "").match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  throw usageError("realm-rpv", "the personalization value is 64 bytes in base64 or up to 128 hexadecimal digits (text: --realm-pv)");
}
