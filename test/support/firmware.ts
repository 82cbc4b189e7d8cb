// Boot firmware in tests: Debian's, from the cache (`npm test` puts it there), on our machine and on QEMU.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedFirmware, type Firmware } from "../../src/cli/debian/firmware.ts";
import { type FlashParts, packFlash, stackParts } from "../../src/cli/debian/flash.ts";
import { silentProgress } from "../../src/cli/debian/progress.ts";
import { Machine, type MachineOptions } from "../../src/harness/index.ts";
import { debianKernel, referenceProgram } from "./debian.ts";

/** Where the initial file system is put, and the memory of the machine, in bytes. */
const INITRD_AT = 0x7000_0000;
const MEMORY_MIB = 1024;

/** Firmware from the cache. Throws when it was not fetched: a test that cannot run has failed. */
export async function debianFirmware(name: string): Promise<Firmware> {
  const firmware = await cachedFirmware(name);
  if (!firmware) throw new Error(`firmware ${name} is not in the cache: run "npm test" or "npx rme-emu fetch firmware=${name}"`);
  return firmware;
}

/** BL1 and what the FIP holds, with `bl33`. The builds must be in the cache. */
export async function firmwareParts(stack: "tf-a-rme" | "tf-a-optee", bl33: Uint8Array): Promise<FlashParts> {
  await debianFirmware(stack);
  if (stack === "tf-a-optee") await debianFirmware("optee");
  return stackParts(stack, bl33, { progress: silentProgress });
}

/** A stack of firmware with a Debian kernel as its BL33, and what the kernel gets. */
export interface KernelStack {
  readonly flash: Uint8Array;
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
}

export async function kernelStack(stack: "tf-a-rme" | "tf-a-optee", version: string, append = "console=ttyAMA0"): Promise<KernelStack> {
  const { vmlinuz, initrd } = await debianKernel(version);
  const flash = packFlash(await firmwareParts(stack, readFileSync(vmlinuz)));
  return { flash, kernel: vmlinuz, initrd, append: `${append} initrd=${INITRD_AT},${statSync(initrd).size}` };
}

/** Our machine with that in its flash, at reset. The kernel is in the FIP; naming it puts the command line into the device tree. */
export function stackMachine(s: KernelStack, options: Partial<MachineOptions> = {}): Promise<Machine> {
  return Machine.create({
    machine: "virt,secure=on",
    memory: MEMORY_MIB * 2 ** 20,
    bios: s.flash,
    kernel: s.kernel,
    append: s.append,
    loaders: [{ file: s.initrd, address: INITRD_AT }],
    ...options,
  });
}

/** Consoles of a run. */
export interface Consoles {
  readonly normal: string;
  readonly secure: string;
}

/** The same on QEMU, up to a match of `until` or the end; `type` is typed at the first shell prompt. */
export async function stackOnQemu(s: KernelStack, o: { cpu: string; smp: number; until: RegExp; type?: string }): Promise<Consoles> {
  const dir = mkdtempSync(join(tmpdir(), "rme-emu-firmware-"));
  try {
    const bios = join(dir, "flash.bin");
    const secure = join(dir, "secure.log");
    writeFileSync(bios, s.flash);
    const loader = `loader,file=${s.initrd},addr=${INITRD_AT},force-raw=on`;
    // biome-ignore format: pairs
    const args = ["-M", "virt,secure=on,virtualization=on,gic-version=3", "-cpu", o.cpu, "-smp", String(o.smp), "-m", `${MEMORY_MIB}M`,
      "-display", "none", "-nic", "none", "-monitor", "none", "-serial", "stdio", "-serial", `file:${secure}`,
      "-bios", bios, "-kernel", s.kernel, "-append", s.append, "-device", loader];
    const normal = await runQemu(args, o.until, { typed: o.type === undefined ? [] : [[/^~ # /m, o.type]] });
    return { normal, secure: readFileSync(secure, "utf8") };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * Runs QEMU until its first serial port has printed `until`, and `linger` host milliseconds more; what it has printed. Each text of `typed`
 * is typed once its pattern has matched what was printed since the one before.
 */
export function runQemu(
  args: readonly string[],
  until: RegExp,
  { typed = [], linger = 0 }: { typed?: readonly (readonly [after: RegExp, text: string])[]; linger?: number } = {},
): Promise<string> {
  const child = spawn(referenceProgram("qemu-system-aarch64"), args, { stdio: ["pipe", "pipe", "pipe"] });
  let out = "";
  let errors = "";
  const left = [...typed];
  let seen = 0;
  child.stdin.on("error", () => {});
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => child.kill("SIGKILL"), 120_000);
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      if (left[0]?.[0].test(out.slice(seen))) {
        seen = out.length;
        child.stdin.write(left.shift()?.[1] ?? "");
      }
      if (until.test(out) && linger === 0) child.kill("SIGKILL");
      else if (until.test(out)) setTimeout(() => child.kill("SIGKILL"), linger);
    });
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(limit);
      if (until.test(out)) resolve(out);
      else reject(new Error(`QEMU did not print ${until}: ${errors}${out.slice(-1000)}`));
    });
  });
}

/** What a shell asks the terminal for, unless somebody has typed already. */
const CURSOR_QUERY = "\x1b[6n";

/** A difference between two consoles that has a reason. */
export interface Difference {
  readonly line: RegExp;
  /** ours, theirs: only one side prints such lines; both: both do, with other values or at another time. */
  readonly side: "ours" | "theirs" | "both";
  /** Ends in "yet" for what the machine will have: then it may be gone already. */
  readonly why: string;
}

/**
 * Lines of two consoles without time stamps and without the differences that have a reason, to be compared; and the reasons that no
 * line had.
 */
export function comparable(
  ours: string,
  theirs: string,
  differences: readonly Difference[],
): { ours: string[]; theirs: string[]; unused: string[] } {
  const used = new Set<Difference>();
  const lines = (text: string, side: "ours" | "theirs"): string[] => {
    const out: string[] = [];
    for (const raw of text.replaceAll("\r", "").split("\n")) {
      const line = raw.replace(/^\[ *\d+\.\d+\] /, "").replace(CURSOR_QUERY, "");
      const reason = differences.find((d) => d.line.test(line) && (d.side === "both" || d.side === side));
      if (reason) used.add(reason);
      else out.push(line);
    }
    return out;
  };
  return {
    ours: lines(ours, "ours"),
    theirs: lines(theirs, "theirs"),
    unused: differences.filter((d) => !used.has(d) && !d.why.endsWith(" yet")).map((d) => `${d.line} (${d.why})`),
  };
}

/** Up to the line that matches, without it. */
export function before(text: string, line: RegExp): string {
  const at = text.search(line);
  return at < 0 ? text : text.slice(0, at);
}
