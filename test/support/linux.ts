// A Debian kernel on a machine, up to its shell, and commands given to that shell.

import { Machine, type MachineOptions } from "../../src/harness/index.ts";
import { debianKernel } from "./debian.ts";

/** The prompt of the busybox shell; before it reads a line it asks the terminal for the cursor's position. */
const PROMPT = /^~ # \x1b\[6n$/m;
/** Host milliseconds for a boot: many times what it takes, for a busy machine. */
const BOOT_TIMEOUT = 240_000;

/** A machine with the kernel whose version begins with `version`, not started yet. */
export async function linuxMachine(version: string, options: Partial<MachineOptions> = {}): Promise<Machine> {
  const { vmlinuz, initrd } = await debianKernel(version);
  return Machine.create({ memory: 512 * 2 ** 20, kernel: vmlinuz, initrd, append: "console=ttyAMA0", ...options });
}

/** Runs up to the next prompt. */
export async function toPrompt(machine: Machine): Promise<void> {
  await machine.waitFor(PROMPT, { timeout: BOOT_TIMEOUT });
}

/** Boots, up to a shell that does not break the lines it echoes. */
export async function bootToShell(machine: Machine): Promise<void> {
  await toPrompt(machine);
  machine.console.send("stty columns 1000\n");
  await toPrompt(machine);
}

/** Types a command and returns what it printed, with lines as "\n". */
export async function shell(machine: Machine, command: string): Promise<string> {
  machine.console.send(`${command}\n`);
  await machine.waitFor(/\r\n/); // the echo
  const before = machine.console.text.length;
  await machine.waitFor(PROMPT, { timeout: BOOT_TIMEOUT });
  const text = machine.console.text.slice(before).replaceAll("\r\n", "\n");
  return text.slice(0, text.lastIndexOf("~ # "));
}
