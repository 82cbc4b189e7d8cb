// QEMU's spellings of options. Each is translated, accepted because it asks for what happens anyway, or answered with what to type.

import { usageError } from "../../util/errors.ts";

interface Spelling {
  /** Number of values that follow the option. */
  readonly values: 0 | 1;
  /** Our option with the same meaning; the value is handed on, behind `prefix`. */
  readonly to?: string;
  readonly prefix?: string;
  /** Values (all, when empty) that ask for nothing we would not do anyway: the option is dropped. */
  readonly drop?: readonly string[];
  /** What to tell when neither applies. */
  readonly tell?: string;
}

const NO_NETWORK = "the machine has no network device";
const NO_DISPLAY = "there is no display, only the serial console";

// biome-ignore format: aligned table
const SPELLINGS: Readonly<Record<string, Spelling>> = {
  // option         values
  "-kernel":        { values: 1, to: "--kernel" },
  "-initrd":        { values: 1, to: "--initrd" },
  "-append":        { values: 1, to: "--append" },
  "-dtb":           { values: 1, to: "--dtb" },
  "-m":             { values: 1, to: "--memory" },
  "-smp":           { values: 1, to: "--smp" },
  "-M":             { values: 1, to: "--machine" },
  "-machine":       { values: 1, to: "--machine" },
  "-cpu":           { values: 1, to: "--cpu" },
  "-drive":         { values: 1, to: "--drive" },
  "-device":        { values: 1, to: "--device" },
  "-serial":        { values: 1, to: "--serial" },
  "-d":             { values: 1, to: "--trace" },
  "-D":             { values: 1, to: "--trace-file" },
  "-no-reboot":     { values: 0, to: "--no-reboot" },
  "-version":       { values: 0, to: "--version" },
  "-help":          { values: 0, to: "--help" },
  "-nographic":     { values: 0, drop: [] },
  "-nodefaults":    { values: 0, drop: [] },
  "-no-user-config":{ values: 0, drop: [] },
  "-name":          { values: 1, drop: [] },
  "-display":       { values: 1, drop: ["none"], tell: NO_DISPLAY },
  "-vga":           { values: 1, drop: ["none"], tell: NO_DISPLAY },
  "-monitor":       { values: 1, drop: ["none"], tell: "there is no monitor; Ctrl-A H at the console lists the keys" },
  "-parallel":      { values: 1, drop: ["none"], tell: "the machine has no parallel port" },
  "-net":           { values: 1, drop: ["none"], tell: NO_NETWORK },
  "-nic":           { values: 1, drop: ["none"], tell: NO_NETWORK },
  "-netdev":        { values: 1, tell: NO_NETWORK },
  "-accel":         { values: 1, drop: ["tcg"], tell: "the guest is always emulated; leave the option out" },
  "-enable-kvm":    { values: 0, tell: "the guest is always emulated; leave the option out" },
  "-icount":        { values: 1, tell: "type --time deterministic" },
  "-hda":           { values: 1, tell: "type --drive file=FILE,format=raw" },
  "-snapshot":      { values: 0, tell: "type --drive file=FILE,format=raw,readonly=on, or work on a copy of the file" },
  "-bios":          { values: 1, to: "--bios" },
  "-pflash":        { values: 1, to: "--drive", prefix: "if=pflash,format=raw,file=" },
  "-fw_cfg":        { values: 1, to: "--fw-cfg" },
  "-chardev":       { values: 1, to: "--chardev" },
  "-mon":           { values: 1, drop: [] },
  "-object":        { values: 1, tell: "objects are not supported; virtio-rng takes its numbers from the host without one" },
  "-s":             { values: 0, tell: "there is no gdb server" },
  "-S":             { values: 0, tell: "there is no gdb server" },
  "-gdb":           { values: 1, tell: "there is no gdb server" },
  "-daemonize":     { values: 0, tell: "start it in the background with the shell (&)" },
};

/** Replaces QEMU's spellings in a command line by ours. Words that are values of an option are left alone. */
export function fromQemu(argv: readonly string[], takesValue: (option: string) => boolean): string[] {
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    const spelling = Object.hasOwn(SPELLINGS, word) ? SPELLINGS[word] : undefined;
    if (spelling) {
      const value = spelling.values === 1 ? argv[++i] : undefined;
      if (spelling.values === 1 && value === undefined) throw usageError("option-value-missing", `option ${word} needs a value`);
      words.push(...translate(word, spelling, value));
    } else if (takesValue(word) && i + 1 < argv.length) {
      words.push(word, argv[++i] ?? "");
    } else if (/^-[A-Za-z][A-Za-z0-9-]+$/.test(word)) {
      throw usageError("unknown-option", `unknown option ${word} (rme-emu --help lists what there is)`);
    } else words.push(word);
  }
  return words;
}

function translate(word: string, spelling: Spelling, value: string | undefined): string[] {
  // "--option=value" keeps a value that begins with a dash from being taken for an option
  if (spelling.to) return [value === undefined ? spelling.to : `${spelling.to}=${spelling.prefix ?? ""}${value}`];
  if (spelling.drop && (spelling.drop.length === 0 || spelling.drop.includes(value ?? ""))) return [];
  throw usageError("qemu-option", `${word}${value === undefined ? "" : ` ${value}`}: ${spelling.tell}`);
}
