// Unmodified Debian kernels boot to a shell, and what is done there gives what it should. Only the public interface is used.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Machine, MemoryBlockBackend } from "../../src/harness/index.ts";
import { TEST_KERNELS } from "../support/debian.ts";
import { bootToShell, linuxMachine, shell, toPrompt } from "../support/linux.ts";

const MiB = 2 ** 20;
const TIMEOUT = 300_000;
const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

/** Bytes that look random and are the same every time. */
function noise(length: number): Uint8Array {
  const out = new Uint32Array(length / 4);
  for (let i = 0, x = 1; i < out.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    out[i] = x;
  }
  return new Uint8Array(out.buffer);
}

/** What a kernel says when something is wrong with the machine under it. */
const COMPLAINTS =
  /Unable to handle|WARNING|\bBUG\b|undefined instruction|Oops|Call trace|rcu_\w+ (detected|self-detected) stall|soft lockup|SError/i;
const complaints = (text: string): string[] => text.split("\n").filter((line) => COMPLAINTS.test(line));

async function powerOff(machine: Machine): Promise<void> {
  machine.console.send("poweroff\n");
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  expect(machine.console.text).toMatch(/reboot: Power down/);
  expect(complaints(machine.console.text)).toEqual([]);
}

describe.each(TEST_KERNELS)("Debian's kernel %s", (version) => {
  it(
    "works on one PE",
    async () => {
      const disk = MemoryBlockBackend.from(noise(16 * MiB));
      const machine = await linuxMachine(version, { drives: [{ backend: disk }] });
      await bootToShell(machine);
      const run = (command: string): Promise<string> => shell(machine, command);

      expect(await run("uname -a")).toMatch(
        new RegExp(`^Linux rme-emu ${version.replaceAll(".", "\\.")}\\S*arm64 .* aarch64 GNU/Linux\\n$`),
      );
      expect(await run("nproc")).toBe("1\n");
      expect(await run("dmesg | grep -c 'VHE mode initialized successfully'")).toBe("1\n");

      // From the host to the guest: 16 MiB by the block device.
      expect(await run("sha256sum /dev/vda")).toBe(`${sha256(noise(16 * MiB))}  /dev/vda\n`);
      // From the guest to the host.
      expect(await run("seq 1 20000 > /tmp/seq; gzip -k /tmp/seq; gunzip -c /tmp/seq.gz | cmp - /tmp/seq && echo same")).toBe("same\n");
      await run("dd if=/tmp/seq of=/dev/vda bs=512 seek=3 conv=fsync 2>/dev/null");
      const sequence = Buffer.from(Array.from({ length: 20000 }, (_, i) => `${i + 1}\n`).join(""));
      const written = Buffer.from(disk.read(3, Math.ceil(sequence.length / 512)) as Uint8Array);
      expect(written.subarray(0, sequence.length).equals(sequence)).toBe(true);
      expect(
        await run("blockdev --flushbufs /dev/vda; dd if=/dev/vda bs=512 skip=3 2>/dev/null | head -c 108894 | cmp - /tmp/seq && echo same"),
      ).toBe("same\n");

      expect(await run("awk 'BEGIN { for (i = 0; i < 30000; i++) s += i * 1.5; printf \"%.1f %.6f\\n\", s, 2 / 3 }'")).toBe(
        `${(1.5 * 15000 * 29999).toFixed(1)} ${(2 / 3).toFixed(6)}\n`,
      );
      expect(await run("i=0; while [ $i -lt 100 ]; do /bin/true && i=$((i+1)); done; echo $i")).toBe("100\n");

      expect(await run("cat /sys/class/misc/hw_random/rng_current")).toMatch(/^virtio_rng\.0\n$/);
      expect(await run("head -c 1024 /dev/hwrng | gzip | wc -c")).toMatch(/^10\d\d\n$/); // random: does not get shorter
      await run("echo out by hvc0 > /dev/hvc0");
      await machine.waitFor(/^out by hvc0\r\n$/, {}, machine.virtioConsole);
      machine.virtioConsole.send("in by hvc0\n");
      expect(await run("read line < /dev/hvc0; echo got $line")).toBe("got in by hvc0\n");
      expect(await run("date -u +%F")).toBe("2026-01-01\n");

      // More input than FIFO and line buffer hold.
      machine.console.send("stty raw -echo; echo begin; head -c 102400 | sha256sum; stty sane\n");
      await machine.waitFor(/^begin\n/m);
      const typed = Uint8Array.from({ length: 102_400 }, (_, i) => 0x21 + (i % 89));
      machine.console.send(typed);
      await machine.waitFor(new RegExp(sha256(typed)), { timeout: 120_000 });
      await toPrompt(machine);

      await powerOff(machine);
    },
    TIMEOUT,
  );

  it.each([
    [2, "wasm"],
    [4, "js"],
  ] as const)(
    "works on %i PEs, engine %s",
    async (smp, engine) => {
      const machine = await linuxMachine(version, { smp, engine });
      await bootToShell(machine);
      expect(await shell(machine, "nproc")).toBe(`${smp}\n`);
      expect(await shell(machine, "dmesg | grep -c 'VHE mode initialized successfully'")).toBe("1\n");
      // All PEs at once.
      const jobs = Array.from({ length: smp }, (_, i) => `taskset ${(1 << i).toString(16)} sh -c 'seq 1 3000 | sha256sum' &`).join(" ");
      const digest = sha256(Buffer.from(Array.from({ length: 3000 }, (_, i) => `${i + 1}\n`).join("")));
      expect((await shell(machine, `{ ${jobs} wait; } | sort | uniq -c`)).trim()).toBe(`${smp} ${digest}  -`);
      await powerOff(machine);
    },
    TIMEOUT,
  );
});

describe("the bundled program", () => {
  it("prints, answers keys, powers off", async () => {
    const kernel = readFileSync(new URL("../../firmware/hello/hello.img", import.meta.url));
    const machine = await Machine.create({ kernel, memory: 64 * MiB });
    const prompt = /hello> $/;
    await machine.waitFor(prompt);
    expect(machine.console.text).toContain("Memory      64 MiB at 0x40000000");
    machine.console.send("m40200030\r");
    await machine.waitFor(/000040200030 {2}00000000 00000000 644d5241 00000000/);
    await machine.waitFor(prompt);
    machine.console.send("q");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
  });
});
