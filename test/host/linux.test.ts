// Unmodified Debian 7.2 in a realm, on both guest boards: shell, devices through shared memory, power off.

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { type Machine, MemoryBlockBackend } from "../../src/harness/index.ts";
import { bootToShell, linuxMachine, shell, toPrompt } from "../support/linux.ts";

const COMPLAINTS = /Unable to handle|WARNING|\bBUG\b|undefined instruction|Oops|Call trace|soft lockup|SError/i;

const MiB = 2 ** 20;

/** The input event that the guest reads when the power key is pressed: type EV_KEY, code KEY_POWER, value 1, in hexadecimal. */
async function powerKey(machine: Machine): Promise<string | undefined> {
  expect(await shell(machine, "modprobe evdev; modprobe gpio_keys; cat /sys/class/input/event0/device/name")).toContain("gpio-keys\n");
  machine.console.send("head -c 24 /dev/input/event0 | tail -c 8 | hexdump -C\n");
  await machine.waitFor(/hexdump -C\r\n/);
  await machine.runInstructions(20_000_000);
  machine.pressPowerKey();
  await toPrompt(machine);
  return /^00000000 {2}((?:[0-9a-f]{2} +){8})/m.exec(machine.console.text.slice(-400))?.[1]?.replace(/ +/g, " ").trim();
}

test.each([
  ["virt", "ttyAMA0", 1, 512, "wasm"],
  ["kvmtool", "ttyS0", 2, 512, "js"],
  ["virt", "ttyAMA0", 4, 2048, "wasm"],
] as const)(
  "%s with console %s, %i REC(s) and %i MiB, engine %s",
  async (board, console, smp, mib, engine) => {
    const disk = Uint8Array.from({ length: 2 ** 20 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
    const machine = await linuxMachine("7.2", {
      engine,
      smp,
      memory: mib * MiB,
      append: `console=${console}`,
      drives: [{ backend: MemoryBlockBackend.from(disk) }],
      realm: { board, personalizationValue: Uint8Array.of(1, 2, 3) },
    });
    await bootToShell(machine);
    expect(machine.console.text).toContain("RME: Using RSI version 1.0");
    expect(await shell(machine, "nproc")).toBe(`${smp}\n`);
    // The kernel keeps some 120 MiB for itself and for bounce buffers.
    const total = Number(/^MemTotal: +(\d+) kB$/m.exec(await shell(machine, "cat /proc/meminfo"))?.[1]) / 1024;
    expect(total).toBeGreaterThan(mib - 200);
    expect(total).toBeLessThan(mib);
    // virtio: source of entropy, console and disk bounce through memory that is shared with the host.
    expect(await shell(machine, "cat /sys/class/misc/hw_random/rng_current")).toMatch(/^virtio_rng/);
    expect(await shell(machine, "echo across > /dev/hvc0; echo done")).toBe("done\n");
    expect(machine.virtioConsole.text).toContain("across");
    const sum = createHash("sha256").update(disk).digest("hex");
    expect(await shell(machine, "modprobe virtio_blk; sha256sum /dev/vda")).toContain(sum);
    if (board === "virt" && smp === 1) expect(await powerKey(machine)).toBe("01 00 74 00 01 00 00 00");
    machine.console.send("poweroff\n");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(machine.console.text.split("\n").filter((line) => COMPLAINTS.test(line))).toEqual([]);
  },
  300_000,
);
