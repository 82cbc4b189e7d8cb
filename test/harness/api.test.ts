// The public interface: options, consoles, running, stopping, looking inside.

import { describe, expect, it } from "vitest";
import { EmuError, Machine, type MachineOptions } from "../../src/harness/index.ts";
import * as a64 from "../support/a64.ts";
import { echoProgram } from "../support/programs.ts";

const { image, mov, repeat, ORIGIN } = a64;
const MiB = 2 ** 20;
const boot = (kernel: Uint8Array, options: Partial<MachineOptions> = {}) => Machine.create({ kernel, memory: 64 * MiB, ...options });
/** Counts in x1 for ever. */
const counter = image([...mov(1, 0), a64.addImm(1, 1, 1), a64.b(-1)]);
const codeOf = (e: unknown): string => (e instanceof EmuError ? e.code : String(e));
const failure = (action: () => unknown): string => {
  try {
    action();
    return "no error";
  } catch (e) {
    return codeOf(e);
  }
};

describe("Machine.create", () => {
  // biome-ignore format: table
  const bad: [options: Record<string, unknown>, code: string, message: RegExp][] = [
    [{ memory: 0 },                      "bad-memory",      /16M to 8G/],
    [{ memory: 15 * MiB },               "bad-memory",      /16M to 8G/],
    [{ memory: 64 * MiB + 1 },           "bad-memory",      /whole MiB/],
    [{ memory: 8193 * MiB },             "bad-memory",      /16M to 8G/],
    [{ memory: Number.NaN },             "bad-memory",      /NaN/],
    [{ smp: 0 },                         "bad-smp",         /1 to 8/],
    [{ smp: 9 },                         "bad-smp",         /1 to 8/],
    [{ smp: 1.5 },                       "bad-smp",         /1\.5/],
    [{ cpu: "pentium" },                 "cpu-unknown",     /pentium/],
    [{ cpu: "max,frobnicate=on" },       "cpu-option", /frobnicate/],
    [{ machine: "raspberry" },           "unknown-machine", /raspberry.*virt/],
    [{ time: "fast" },                   "bad-time",        /fast/],
    [{ seed: 5 },                        "bad-seed",        /5/],
    [{ epoch: -1 },                      "bad-epoch",       /-1/],
    [{ kernel: undefined },              "no-kernel",       /kernel/],
    [{ kernel: new Uint8Array(0) },      "kernel-empty",    /empty/],
    [{ kernel: "/does/not/exist" },      "kernel-missing",  /\/does\/not\/exist/],
  ];
  it.each(bad)("%o", async (options, code, message) => {
    const error: unknown = await boot(counter, options as Partial<MachineOptions>).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(EmuError);
    expect((error as EmuError).message).toMatch(message);
    expect((error as EmuError).message).not.toContain("\n");
    expect((error as EmuError).code).toBe(code);
  });

  it("takes the smallest and the largest", async () => {
    await boot(counter, { memory: 16 * MiB });
    await boot(counter, { memory: 8192 * MiB, smp: 8 });
  });
});

describe("running", () => {
  it.each([1, 2, 999, 1100, 2200, 2201, 99_999, 100_000, 100_001, 1_234_567])("runInstructions(%i) is exact", async (count) => {
    const machine = await boot(counter);
    expect(await machine.runInstructions(count)).toBeUndefined();
    expect(machine.instructions).toBe(count);
    // mov, then add and branch in turn; the branch over the header comes first.
    expect(machine.pe().x(1)).toBe(BigInt(Math.floor((count - 1) / 2)));
  });
  it("pieces make the whole", async () => {
    const [whole, pieces] = [await boot(counter), await boot(counter)];
    await whole.runInstructions(300_000);
    for (let left = 300_000, n = 1; left > 0; left -= n, n = Math.min(left, n * 3 + 1)) await pieces.runInstructions(n);
    expect(Buffer.from(pieces.save()).equals(whole.save())).toBe(true);
  });
  it("none is none, and nonsense is told", async () => {
    const machine = await boot(counter);
    expect(await machine.runInstructions(0)).toBeUndefined();
    expect(machine.instructions).toBe(0);
    for (const count of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(await machine.runInstructions(count).catch(codeOf)).toBe("bad-count");
    }
  });
  it("stop makes run return, and it can go on", async () => {
    const machine = await boot(counter);
    for (let i = 1; i <= 2; i++) {
      setTimeout(() => machine.stop(), 20);
      expect(await machine.run()).toEqual({ kind: "stopped" });
      expect(machine.instructions).toBeGreaterThan(1_000_000 * i);
    }
  });
  it("stop wakes a machine that sleeps in wall time", async () => {
    const machine = await boot(image([...a64.HALT]), { time: "wall" });
    const started = Date.now();
    setTimeout(() => machine.stop(), 50);
    expect(await machine.run()).toEqual({ kind: "stopped" });
    expect(Date.now() - started).toBeLessThan(5_000);
  });
  it("a machine that ended stays so", async () => {
    const machine = await boot(image([...a64.POWER_OFF]));
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    const count = machine.instructions;
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(await machine.runInstructions(100)).toEqual({ kind: "poweroff" });
    expect(machine.instructions).toBe(count);
  });
  it("cannot be run, saved or restored from what it calls", async () => {
    const machine = await boot(echoProgram);
    const snapshot = machine.save();
    const seen: string[] = [];
    machine.console.onData(() => {
      if (seen.length > 0) return;
      seen.push(
        failure(() => machine.save()),
        failure(() => machine.restore(snapshot)),
      );
      void machine.runInstructions(1).catch((e: unknown) => seen.push(codeOf(e)));
    });
    await machine.waitFor(/ready/);
    expect(seen).toEqual(["machine-running", "machine-running", "machine-running"]);
    machine.console.send("q");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
  });
});

describe("waitFor", () => {
  it("a time-out says what was printed last", async () => {
    const machine = await boot(echoProgram);
    const started = Date.now();
    const error: unknown = await machine.waitFor(/never/, { timeout: 300 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "wait-failed", message: expect.stringMatching(/^300 ms passed before .*\/never\/; .*\nready/) });
    expect(Date.now() - started).toBeLessThan(5_000);
    // Nothing was consumed, and the console can be waited for again.
    expect((await machine.waitFor(/ready/)).index).toBe(0);
  });
  it("a time-out in wall time, while the machine sleeps", async () => {
    const machine = await boot(image([...a64.HALT]), { time: "wall" });
    const started = Date.now();
    expect(await machine.waitFor(/x/, { timeout: 100 }).catch(codeOf)).toBe("wait-failed");
    expect(Date.now() - started).toBeLessThan(5_000);
  });
  it("the end of the machine ends it", async () => {
    const machine = await boot(echoProgram);
    machine.console.send("q");
    await expect(machine.waitFor(/never/)).rejects.toThrow(/the machine stopped \(poweroff\) before the console printed \/never\//);
  });
  it("output of the last instructions before power-off still counts", async () => {
    const machine = await boot(echoProgram);
    machine.console.send("bye q");
    expect((await machine.waitFor(/ready\r\n[\s\S]*q/))[0]).toBe("ready\r\nbye q");
  });
  it("consumes up to the match, in order", async () => {
    const machine = await boot(echoProgram);
    machine.console.send("one two one fifty");
    await machine.waitFor(/one/);
    expect((await machine.waitFor(/one|two/))[0]).toBe("two");
    expect((await machine.waitFor(/(o)ne (?<next>\w{5})/)).groups).toEqual({ next: "fifty" });
    expect(await machine.waitFor(/one/, { timeout: 50 }).catch(codeOf)).toBe("wait-failed");
    expect(machine.console.text).toBe("ready\r\none two one fifty");
  });
  it("a pattern that ends in $ is seen before the next byte comes; g and y keep no position", async () => {
    const machine = await boot(echoProgram);
    const pattern = /\w:$/gy;
    for (const _time of [1, 2]) {
      machine.console.send("a:b:c:");
      expect((await machine.waitFor(/\w:$/g))[0]).toBe("a:"); // the turn goes on and prints the others
      expect((await machine.waitFor(pattern))[0]).toBe("c:");
    }
  });
  it("patterns are matched over all that was printed, however long it is", async () => {
    const machine = await boot(echoProgram);
    machine.console.send(`<${"x".repeat(20_000)}>`);
    expect((await machine.waitFor(/<x*>/))[0]).toHaveLength(20_002);
    machine.console.send(`mint ${"y".repeat(1000)} peppermint ${"y".repeat(10_000)}`);
    // Not the end of "peppermint", wherever the search begins.
    expect(await machine.waitFor(/y[\s\S]*\bmint/, { timeout: 300 }).catch(codeOf)).toBe("wait-failed");
    expect((await machine.waitFor(/^mint/)).index).toBe(0);
  });
  it("one at a time on a console", async () => {
    const machine = await boot(echoProgram);
    const first = machine.waitFor(/ready/);
    expect(await machine.waitFor(/ready/).catch(codeOf)).toBe("console-busy");
    await first;
  });
});

describe("consoles", () => {
  it("100 KiB of input wait for the guest, none is lost", async () => {
    const machine = await boot(echoProgram);
    const sent = Uint8Array.from({ length: 100 * 1024 }, (_, i) => 0x20 + ((i * 7 + (i >> 8)) % 64)); // none of the commands
    const got: Uint8Array[] = [];
    machine.console.onData((bytes) => got.push(bytes.slice()));
    machine.console.send(sent);
    machine.console.send("q");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    const all = Buffer.concat(got);
    expect(all.subarray(0, 7).toString()).toBe("ready\r\n");
    expect(all.subarray(7).equals(Buffer.concat([sent, Buffer.from("q")]))).toBe(true);
  });
  it("many small pieces come in order", async () => {
    const machine = await boot(echoProgram);
    for (let i = 0; i < 2000; i++) machine.console.send(`${i},`);
    await machine.waitFor(/1999,$/);
    expect(machine.console.text.slice(7)).toBe(Array.from({ length: 2000 }, (_, i) => `${i},`).join(""));
  });
  it("UTF-8 over the edges of writes", async () => {
    const machine = await boot(echoProgram);
    machine.console.send("süß 日本 🙂.");
    expect((await machine.waitFor(/s.*\./))[0]).toBe("süß 日本 🙂.");
  });
  it("the virtio console is another one: emergency writes, and input that nobody takes", async () => {
    // Slot 31 holds the console when there is no drive; emerg_wr is at 8 in its configuration.
    const write = (c: string) => [...mov(2, c.charCodeAt(0)), a64.str32(2, 1, 0x108)];
    const machine = await boot(image([...mov(1, 0x0a00_0000 + 31 * 0x200), ...write("o"), ...write("k"), ...a64.HALT]));
    machine.virtioConsole.send("x".repeat(100_000));
    expect((await machine.waitFor(/ok/, {}, machine.virtioConsole))[0]).toBe("ok");
    expect(machine.console.text).toBe("");
    expect(await machine.run()).toEqual({ kind: "halted" });
  });
});

describe("looking inside", () => {
  it("memory: bounds", async () => {
    const machine = await boot(counter);
    const [base, end] = [0x4000_0000, 0x4000_0000 + 64 * MiB];
    machine.writeMemory(end - 3, Uint8Array.of(1, 2, 3));
    expect([...machine.readMemory(end - 4, 4)]).toEqual([0, 1, 2, 3]);
    expect(machine.readMemory(base, 0)).toHaveLength(0);
    // biome-ignore format: table
    const bad: [pa: number, length: number, code: string][] = [
      [base - 1,     1,          "not-ram"],
      [end - 3,      4,          "not-ram"],
      [end,          1,          "not-ram"],
      [0x0900_0000,  4,          "not-ram"],
      [base,         2 ** 52,    "not-ram"],
      [-4,           4,          "bad-range"],
      [base,         -1,         "bad-range"],
      [base + 0.5,   1,          "bad-range"],
      [Number.NaN,   1,          "bad-range"],
    ];
    for (const [pa, length, code] of bad) expect([pa, length, failure(() => machine.readMemory(pa, length))]).toEqual([pa, length, code]);
    expect(failure(() => machine.writeMemory(end - 3, Uint8Array.of(9, 9, 9, 9)))).toBe("not-ram");
    expect([...machine.readMemory(end - 3, 3)]).toEqual([1, 2, 3]);
  });
  it("memory: over many pieces, and code that runs already", async () => {
    const machine = await boot(counter);
    const data = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
    machine.writeMemory(0x4100_ffff, data);
    expect(Buffer.from(machine.readMemory(0x4100_ffff, data.length)).equals(data)).toBe(true);
    await machine.runInstructions(1000);
    const patch = new Uint8Array(new Uint32Array([...mov(7, 0x77), ...a64.POWER_OFF]).buffer);
    machine.writeMemory(ORIGIN + 64, patch);
    machine.writeMemory(ORIGIN + 68, patch); // over the loop itself
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(machine.pe().x(7)).toBe(0x77n);
  });
  it("registers", async () => {
    const code = [...mov(3, 0x1234_5678_9abc_def0n), a64.msr("TPIDR_EL1", 3), ...mov(4, 0x8000_0000), a64.msr("NZCV", 4), ...a64.HALT];
    const machine = await boot(image(code), { smp: 2 });
    expect(machine.pe().pc).toBe(BigInt(ORIGIN));
    await machine.run();
    const pe = machine.pe();
    expect([pe.x(3), pe.x(31), pe.el, pe.nzcv]).toEqual([0x1234_5678_9abc_def0n, 0n, 2, 0x8000_0000]);
    expect(pe.v(31)).toHaveLength(16);
    // biome-ignore format: table
    const values: [name: string, value: bigint][] = [
      ["TPIDR_EL1", 0x1234_5678_9abc_def0n],
      ["CurrentEL", 8n],
      ["NZCV",      0x8000_0000n],
      ["DAIF",      0x3c0n],
      ["MPIDR_EL1", 0x8000_0000n],
      ["CNTFRQ_EL0", 1_000_000_000n],
      ["SCR_EL3",   pe.sysreg("SCR_EL3") | 1n],
    ];
    for (const [name, value] of values) expect([name, pe.sysreg(name)]).toEqual([name, value]);
    expect(machine.pe(1).sysreg("MPIDR_EL1")).toBe(0x8000_0001n);
    for (const name of ["", "x0", "tpidr_el1", "toString", "constructor"]) expect(failure(() => pe.sysreg(name))).toBe("no-such-register");
    expect(failure(() => pe.sysreg("ICC_IAR1_EL1"))).toBe("register-read-acts");
    for (const n of [-1, 32, 1.5]) expect([failure(() => pe.x(n)), failure(() => pe.v(n))]).toEqual(Array(2).fill("no-such-register"));
    for (const n of [-1, 2, 0.5]) expect(failure(() => machine.pe(n))).toBe("no-such-pe");
  });
  it("looking changes nothing", async () => {
    const [looked, left] = [await boot(counter), await boot(counter)];
    for (const machine of [looked, left]) await machine.runInstructions(1000);
    looked.pe().sysreg("CNTPCT_EL0");
    looked.pe().v(0)[0] = 1;
    looked.readMemory(ORIGIN, 4096)[0] = 1;
    for (const machine of [looked, left]) await machine.runInstructions(1000);
    expect(Buffer.from(looked.save()).equals(left.save())).toBe(true);
  });
  it("the power key", async () => {
    const machine = await boot(image([...repeat(1, 10, [a64.NOP]), ...a64.HALT]));
    machine.pressPowerKey();
    expect(await machine.run()).toEqual({ kind: "halted" });
    // Released again, after 100 ms of virtual time.
    expect(machine.board.clock.now()).toBeGreaterThanOrEqual(100e6);
  });
});
