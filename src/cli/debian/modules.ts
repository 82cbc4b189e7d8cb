// Kernel modules for the initramfs: which ones, what they depend on, and in which order to load them.

import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
// The package gives no types for its ES module entry; this is the same code.
import { Parser } from "binary-parser/dist/binary_parser.js";
import { EmuError } from "../../util/errors.ts";
import { listFiles } from "./apt.ts";
import { run } from "./run.ts";

/** One module of the kernel package, decompressed. */
export interface KernelModule {
  /** The kernel's name for it: underscores, no suffix. */
  readonly name: string;
  /** Path below `lib/modules/<release>`, without the compression suffix. */
  readonly path: string;
  readonly data: Uint8Array;
  readonly depends: readonly string[];
}

const canonical = (name: string): string => name.replaceAll("-", "_");

/** The modules below `modulesDir` (a folder `lib/modules/<release>`). */
export class ModuleTree {
  private readonly dir: string;
  private readonly paths = new Map<string, string>();
  private readonly builtin: Set<string>;

  constructor(modulesDir: string) {
    this.dir = modulesDir;
    for (const path of listFiles(modulesDir)) {
      const match = /^(.*\/)?([^/]+)\.ko(\.xz|\.zst|\.gz)?$/.exec(path);
      if (match) this.paths.set(canonical(match[2] ?? ""), path);
    }
    const builtin = readFileSync(join(modulesDir, "modules.builtin"), "utf8");
    this.builtin = new Set(builtin.split("\n").map((line) => canonical(basename(line, ".ko"))));
  }

  /** The wanted modules and all they depend on, in load order (a dependency stands before its user). Built-in ones are left out. */
  async closure(wanted: readonly string[]): Promise<KernelModule[]> {
    const order: KernelModule[] = [];
    const seen = new Set<string>();
    const visit = async (name: string): Promise<void> => {
      if (seen.has(name) || this.builtin.has(name)) return;
      seen.add(name);
      const module = await this.load(name);
      for (const dependency of module.depends) await visit(dependency);
      order.push(module);
    };
    for (const name of wanted) await visit(canonical(name));
    return order;
  }

  /** True when the kernel has this module or has it built in. */
  has(name: string): boolean {
    return this.paths.has(canonical(name)) || this.builtin.has(canonical(name));
  }

  private async load(name: string): Promise<KernelModule> {
    const path = this.paths.get(name);
    if (!path) throw new EmuError("module-missing", `the kernel package has no module ${name}`);
    const data = await decompress(path, readFileSync(join(this.dir, path)));
    return { name, path: path.replace(/\.(xz|zst|gz)$/, ""), data, depends: moduleDepends(data) };
  }
}

async function decompress(path: string, data: Buffer): Promise<Uint8Array> {
  if (path.endsWith(".xz")) return run("xz", ["-dc"], { input: data });
  if (path.endsWith(".zst")) return run("zstd", ["-dc"], { input: data });
  if (path.endsWith(".gz")) return gunzipSync(data);
  return data;
}

/** The `depends=` entry of a module's .modinfo section (ELF64, little-endian), as canonical names. */
export function moduleDepends(elf: Uint8Array): string[] {
  const info = elfSection(elf, ".modinfo");
  for (const entry of Buffer.from(info).toString("latin1").split("\0")) {
    if (entry.startsWith("depends="))
      return entry
        .slice(8)
        .split(",")
        .filter((d) => d !== "")
        .map(canonical);
  }
  return [];
}

/** Contents of a named section of an ELF64 little-endian file. */
function elfSection(elf: Uint8Array, wanted: string): Uint8Array {
  if (elf.length < 64 || Buffer.from(elf.subarray(0, 4)).toString("latin1") !== "\x7fELF") {
    throw new EmuError("module-broken", "a kernel module is not an ELF file");
  }
  const { table, count, names } = elfHeader.parse(Buffer.from(elf.subarray(0, 64)));
  const headers = new Parser().array("all", { type: sectionHeader, length: count }).parse(Buffer.from(elf.subarray(Number(table)))).all;
  const strings = headers[names];
  for (const section of headers) {
    const start = Number(strings?.offset ?? 0n) + section.name;
    const name = Buffer.from(elf.subarray(start, elf.indexOf(0, start))).toString("latin1");
    if (name === wanted) return elf.subarray(Number(section.offset), Number(section.offset + section.size));
  }
  throw new EmuError("module-broken", `a kernel module has no ${wanted} section`);
}

/** Elf64_Ehdr as far as it leads to the sections: e_shoff, e_shnum, e_shstrndx. */
const elfHeader = new Parser().endianness("little").seek(0x28).uint64("table").seek(0xc).uint16("count").uint16("names");

/** Elf64_Shdr: sh_name, sh_offset, sh_size; 64 bytes. */
const sectionHeader = new Parser().endianness("little").uint32("name").seek(20).uint64("offset").uint64("size").seek(24);
