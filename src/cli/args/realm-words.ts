// Words of other VMMs for realms: of `lkvm run` (kvmtool), and of QEMU on a host with KVM.

import { EVENT_COUNTERS } from "../../cpu/pmu.ts";
import { usageError } from "../../util/errors.ts";

interface Word {
  /** Our option with the same meaning; without it the word is dropped: it asks for what is so anyway. */
  readonly to?: string;
  readonly value?: boolean;
  /** The only values that can be had. With `to`: those that are dropped. */
  readonly only?: readonly string[];
  /** Why it cannot be had. */
  readonly tell?: string;
}

// biome-ignore format: table
const WORDS: Readonly<Record<string, Word>> = {
  "--realm":            {},
  "--nodefaults":       {},
  "--restricted_mem":   {},
  "--disable-sve":      {},
  "--measurement-algo": { to: "--measurement-algorithm", value: true },
  "--params":           { to: "--append", value: true },
  "--disk":             { to: "--drive", value: true },
  "--mem":              { to: "--memory", value: true },
  "--cpus":             { to: "--smp", value: true },
  "--pmu":              { to: `--num-pmu-counters=${EVENT_COUNTERS}` },
  "--pmu-counters":     { to: "--num-pmu-counters", value: true },
  "--sve-vl":           { to: "--sve-vector-length", value: true },
  "--sve-max-vl":       { to: "--sve-vector-length", value: true },
  "--irqchip":          { value: true, only: ["gicv3"] },
  "--network":          { value: true, only: ["mode=none"] },
  "--virtio-transport": { value: true, only: ["mmio"] },
  "--force-pci":        { tell: "the guest has virtio-mmio, no PCI" },
  "--9p":               { value: true, tell: "there is no 9p; share files in a disk (--drive) or in the initrd" },
  "--firmware":         { value: true, tell: "guests start from a kernel (--kernel); --bios is firmware of EL3" },
  "--loglevel":         { value: true },
  "-k":                 { to: "--kernel", value: true },
  "-i":                 { to: "--initrd", value: true },
  "-p":                 { to: "--append", value: true },
  "-c":                 { to: "--smp", value: true },
  "-object":            { to: "--object", value: true },
  // QEMU's, of the host that a realm needs there.
  "-enable-kvm":        {},
  "-accel":             { value: true, only: ["kvm", "tcg"] },
  "-cpu":               { to: "--cpu", value: true, only: ["host"] },
  "--cpu":              { to: "--cpu", value: true, only: ["host"] },
};

/** Replaces such words by ours. */
export function fromVmms(argv: readonly string[]): string[] {
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const [name, inline] = splitWord(argv[i] ?? "");
    const word = Object.hasOwn(WORDS, name) ? WORDS[name] : undefined;
    if (!word) {
      words.push(argv[i] ?? "");
      continue;
    }
    const value = word.value ? (inline ?? argv[++i]) : undefined;
    if (word.value && value === undefined) throw usageError("option-value-missing", `option ${name} needs a value`);
    const ours = translate(name, word, value);
    // What --pmu stands for gives way to a number that is named.
    if (name === "--pmu") words.unshift(...ours);
    else words.push(...ours);
  }
  return words;
}

function translate(name: string, word: Word, value: string | undefined): string[] {
  if (word.tell) throw usageError("kvmtool-option", `${name}: ${word.tell}`);
  const known = value === undefined || word.only?.includes(value);
  if (word.only && !word.to && !known) throw usageError("kvmtool-option", `${name} ${value}: only ${word.only.join(", ")} is supported`);
  if (!word.to || (word.only && known)) return [];
  return value === undefined ? [word.to] : [`${word.to}=${name === "--disk" ? `file=${value},format=raw` : value}`];
}

/** "--word=value" as its parts. */
function splitWord(word: string): [string, string | undefined] {
  const at = word.startsWith("--") ? word.indexOf("=") : -1;
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}
