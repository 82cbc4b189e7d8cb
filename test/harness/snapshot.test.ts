// A machine that was saved and restored continues as if nothing had been; a snapshot that is damaged or of another machine is told.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { Decoder, Encoder } from "cbor-x";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { EmuError, Machine, type MachineOptions, MemoryBlockBackend } from "../../src/harness/index.ts";
import { TEST_KERNELS } from "../support/debian.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";
import { echoProgram } from "../support/programs.ts";

const MiB = 2 ** 20;
const TIMEOUT = 300_000;
const version = TEST_KERNELS[0] as string;
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe(`Debian's kernel ${version}`, () => {
  it.each([1, 2])(
    "%i PEs: saved in mid-boot and at the prompt",
    async (smp) => {
      const create = () => linuxMachine(version, { smp, drives: [{ backend: MemoryBlockBackend.from(new Uint8Array(MiB)) }] });
      const work = async (machine: Machine) => {
        const output = await shell(
          machine,
          "cat /proc/uptime; head -c 16 /dev/hwrng | hexdump; echo text | tee /dev/vda /dev/hvc0 > /dev/null; sync",
        );
        return { output, instructions: machine.instructions, hvc: machine.virtioConsole.text };
      };

      const whole = await create();
      await whole.runInstructions(400_000_123); // in the middle of a turn
      const middle = whole.save();
      const printed = whole.console.text.length;
      await bootToShell(whole);
      const atPrompt = whole.instructions;
      const prompt = whole.save();
      const worked = await work(whole);
      const end = whole.save();

      const fromMiddle = await create();
      fromMiddle.restore(middle);
      expect(fromMiddle.instructions).toBe(400_000_123);
      expect(same(fromMiddle.save(), middle)).toBe(true);
      await bootToShell(fromMiddle);
      expect(fromMiddle.instructions).toBe(atPrompt);
      expect(fromMiddle.console.text).toBe(whole.console.text.slice(printed, printed + fromMiddle.console.text.length));
      expect(await work(fromMiddle)).toEqual(worked);
      // Every register, device and byte of memory.
      expect(same(fromMiddle.save(), end)).toBe(true);

      const fromPrompt = await create();
      fromPrompt.restore(prompt);
      expect(same(fromPrompt.save(), prompt)).toBe(true);
      expect(await work(fromPrompt)).toEqual(worked);
      expect(same(fromPrompt.save(), end)).toBe(true);
    },
    TIMEOUT,
  );
});

// ---- small machines --------------------------------------------------------------------------------------------------------------

const hello = readFileSync(new URL("../../firmware/hello/hello.img", import.meta.url));
const small = (options: Partial<MachineOptions> = {}) => Machine.create({ kernel: hello, memory: 64 * MiB, ...options });
const failure = (action: () => unknown): EmuError => {
  try {
    action();
  } catch (e) {
    if (e instanceof EmuError) return e;
    throw e;
  }
  throw new Error("no error");
};

describe("saving and restoring", () => {
  it.each([1, 3])("the bundled program on %i PEs, at many places", async (smp) => {
    const whole = await small({ smp });
    const pieces = await small({ smp });
    for (const n of [0, 1, 17, 4_321, 100_000, 1_000_003, 3_000_000]) {
      await whole.runInstructions(n);
      await pieces.runInstructions(n);
      const next = pieces.save();
      pieces.restore(next); // into itself
      expect(same(whole.save(), pieces.save())).toBe(true);
    }
    for (const machine of [whole, pieces]) {
      machine.console.send("tc");
      await machine.runInstructions(200_000_000 * smp);
    }
    expect(pieces.console.text).toBe(whole.console.text);
    expect(same(whole.save(), pieces.save())).toBe(true);
  });

  it("back in time: a machine that went on, or ended, is where it was", async () => {
    const machine = await small();
    await machine.waitFor(/hello> $/);
    const prompt = machine.save();
    const count = machine.instructions;
    machine.console.send("q");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    const off = machine.save();
    machine.restore(prompt);
    expect(machine.instructions).toBe(count);
    machine.console.send("q");
    expect(await machine.run()).toEqual({ kind: "poweroff" });
    expect(same(machine.save(), off)).toBe(true);
    // One that had ended stays so.
    const other = await small();
    other.restore(off);
    expect(await other.run()).toEqual({ kind: "poweroff" });
    expect(other.instructions).toBe(machine.instructions);
  });

  it("what the snapshot is of decides, not what the machine was made from", async () => {
    const [one, two] = [await small(), await Machine.create({ kernel: echoProgram, memory: 64 * MiB, seed: 99n })];
    await one.waitFor(/hello> $/);
    await two.waitFor(/ready/);
    two.restore(one.save());
    two.console.send("q");
    expect(await two.run()).toEqual({ kind: "poweroff" });
    expect(two.console.text).toMatch(/Good bye/);
  });

  it("drives: what was written is part of it", async () => {
    const disk = () => MemoryBlockBackend.from(new Uint8Array(MiB));
    const [a, b] = [disk(), disk()];
    const one = await small({ drives: [{ backend: a }] });
    a.write(5, new Uint8Array(512).fill(7));
    const two = await small({ drives: [{ backend: b }] });
    two.restore(one.save());
    expect(b.read(5, 1)).toEqual(new Uint8Array(512).fill(7));
  });
});

describe("snapshots of other machines", () => {
  // biome-ignore format: table
  const others: [what: string, options: Partial<MachineOptions>, message: RegExp][] = [
    ["memory",  { memory: 128 * MiB },  /memory: 64 MiB there, 128 MiB here/],
    ["PEs",     { smp: 2 },             /smp: 1 PE there, 2 PEs here/],
    ["CPU",     { cpu: "cortex-a53" },  /cpu: max there, cortex-a53 here/],
    ["drives",  { drives: [{ backend: MemoryBlockBackend.from(new Uint8Array(512)) }] }, /drives: 0 \[\] there, 1 \[1 sectors\] here/],
  ];
  it.each(others)("other %s: told, and the machine goes on as before", async (_what, options, message) => {
    const snapshot = (await small()).save();
    const machine = await small(options);
    await machine.runInstructions(10_000);
    const before = machine.save();
    const error = failure(() => machine.restore(snapshot));
    expect(error.code).toBe("snapshot-mismatch");
    expect(error.message).toMatch(message);
    expect(same(machine.save(), before)).toBe(true);
    await machine.waitFor(/hello> $/);
  });
  it("several differences are all named", async () => {
    const machine = await small({ smp: 2, memory: 32 * MiB });
    expect(failure(() => machine.restore(SNAPSHOT)).message).toMatch(/smp: .*; memory: /);
  });
});

let SNAPSHOT: Uint8Array;
beforeAll(async () => {
  const machine = await small();
  await machine.runInstructions(200_000);
  SNAPSHOT = machine.save();
});

const HEAD = "rme-emu snapshot 2\n".length;
/** Where the first section begins: its packed and its unpacked length, then its contents. */
const FIRST = HEAD + 32;

/** With a checksum that is right, as from somebody who means harm. */
function sealed(bytes: Uint8Array): Uint8Array {
  const out = Buffer.from(bytes);
  createHash("sha256").update(out.subarray(FIRST)).digest().copy(out, HEAD);
  return out;
}
type State = Record<string, unknown>;
function section(content: unknown): Buffer {
  const raw = new Encoder({ largeBigIntToFloat: false }).encode(content);
  const packed = gzipSync(raw);
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(packed.length, 0);
  lengths.writeUInt32LE(raw.length, 4);
  return Buffer.concat([lengths, packed]);
}
/** The unpacked sections: the state, then lists of pieces of RAM. */
function sectionsOf(snapshot: Uint8Array): unknown[] {
  const bytes = Buffer.from(snapshot);
  const sections: unknown[] = [];
  for (let at = FIRST; at < bytes.length; at += 8 + bytes.readUInt32LE(at)) {
    const body = gunzipSync(bytes.subarray(at + 8, at + 8 + bytes.readUInt32LE(at)));
    sections.push(new Decoder({ mapsAsObjects: true, useRecords: false }).decode(body));
  }
  return sections;
}
const stateOf = (snapshot: Uint8Array): State => sectionsOf(snapshot)[0] as State;
type Pieces = { pa: unknown; data: unknown }[];
/** The snapshot with its state, or its pieces of RAM, changed in place or replaced by what the function returns. */
function changed(change: (state: State) => unknown, ram: (pieces: Pieces) => unknown = () => undefined): Uint8Array {
  const [state, ...pieces] = sectionsOf(SNAPSHOT);
  const or = (value: unknown, unchanged: unknown) => (value === undefined ? unchanged : value);
  const parts = [or(change(state as State), state), ...pieces.map((p) => or(ram(p as Pieces), p))];
  return sealed(Buffer.concat([SNAPSHOT.subarray(0, FIRST), ...parts.map(section)]));
}

describe("damaged snapshots", () => {
  const corrupt = (bytes: Uint8Array, machine: Machine): EmuError => {
    const error = failure(() => machine.restore(bytes));
    expect(error.code).toBe("snapshot-corrupt");
    expect(error.message).not.toContain("\n");
    return error;
  };
  /** The machine is as before, or has clearly ended; a good snapshot brings it back in any case. */
  const usableOrOver = async (machine: Machine, before: Uint8Array): Promise<void> => {
    const reason = await machine.runInstructions(0).then(() => machine.runInstructions(1));
    if (reason === undefined) expect(machine.instructions).toBe(1);
    else expect(reason).toEqual({ kind: "error", message: "a damaged snapshot was restored into this machine" });
    machine.restore(before);
    await machine.waitFor(/hello> $/);
  };

  const flipped = (at: number): Uint8Array => {
    const out = SNAPSHOT.slice();
    out[at] = (out[at] as number) ^ 0x10;
    return out;
  };
  // biome-ignore format: table
  const accidents: [what: string, bytes: () => Uint8Array, message: RegExp][] = [
    ["empty",                        () => new Uint8Array(0),                      /not a snapshot: it starts with ""/],
    ["another file",                 () => hello,                                  /not a snapshot: it starts with/],
    ["another version",              () => flipped(HEAD - 2),                      /not with "rme-emu snapshot 2"/],
    ["only the name",                () => SNAPSHOT.slice(0, HEAD),                /checksum|cut short/],
    ["cut in the checksum",          () => SNAPSHOT.slice(0, HEAD + 9),            /checksum|cut short/],
    ["cut in half",                  () => SNAPSHOT.slice(0, SNAPSHOT.length / 2), /cut short/],
    ["its last byte missing",        () => SNAPSHOT.slice(0, -1),                  /cut short/],
    ["a byte more",                  () => Buffer.concat([SNAPSHOT, new Uint8Array(1)]), /checksum/],
    ["a bit flipped in the checksum", () => flipped(HEAD + 3),                     /checksum/],
    ["a bit flipped in the state",   () => flipped(FIRST + 100),                   /checksum/],
    ["a bit flipped at the end",     () => flipped(SNAPSHOT.length - 1),           /checksum/],
  ];
  it.each(accidents)("%s: the machine is not touched", async (_what, bytes, message) => {
    const machine = await small();
    const before = machine.save();
    expect(corrupt(bytes(), machine).message).toMatch(message);
    expect(same(machine.save(), before)).toBe(true);
    await usableOrOver(machine, before);
  });

  const lengths = (packed: number, raw: number): Uint8Array => {
    const out = Buffer.from(SNAPSHOT);
    out.writeUInt32LE(packed, FIRST);
    out.writeUInt32LE(raw, FIRST + 4);
    return sealed(out);
  };
  const bytesOf = (...parts: (number[] | Buffer)[]): Uint8Array => {
    const raw = Buffer.concat(parts.map((p) => Buffer.from(p)));
    const packed = gzipSync(raw);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(packed.length, 0);
    head.writeUInt32LE(raw.length, 4);
    return sealed(Buffer.concat([Buffer.from(SNAPSHOT).subarray(0, FIRST), head, packed]));
  };
  /** A section that says it is small and unpacks to 1 GiB. */
  const bomb = (): Uint8Array => {
    const packed = gzipSync(Buffer.alloc(2 ** 26), { level: 9 });
    const head = Buffer.alloc(8);
    head.writeUInt32LE(packed.length, 0);
    head.writeUInt32LE(1000, 4);
    return sealed(Buffer.concat([Buffer.from(SNAPSHOT).subarray(0, FIRST), head, packed]));
  };
  const pe = (s: State): State & { registers: Uint8Array; pe: State } =>
    (s["pes"] as (State & { registers: Uint8Array; pe: State })[])[0] as never;
  const register = (offset: number, value: number) => (s: State) => {
    const { registers } = pe(s);
    new DataView(registers.buffer, registers.byteOffset).setUint32(offset, value, true);
  };
  // With a right checksum: made, not damaged.
  // biome-ignore format: table
  const made: [what: string, bytes: () => Uint8Array][] = [
    ["no section",                       () => sealed(SNAPSHOT.slice(0, FIRST))],
    ["a section beyond the end",         () => lengths(0xffff_ffff, 1000)],
    ["a section said to be huge",        () => lengths(100, 0xffff_ffff)],
    ["an empty section",                 () => lengths(0, 0)],
    ["a bomb",                           bomb],
    ["a byte string of 2^60 bytes",      () => bytesOf([0x5b, 0x10, 0, 0, 0, 0, 0, 0, 0])],
    ["a list of 2^32 - 1 elements",      () => bytesOf([0x9a, 0xff, 0xff, 0xff, 0xff])],
    ["a map of 2^32 - 1 elements",       () => bytesOf([0xba, 0xff, 0xff, 0xff, 0xff])],
    ["lists in lists in lists",          () => bytesOf(Buffer.alloc(1_000_000, 0x81))],
    ["nothing",                          () => changed(() => null)],
    ["a number",                         () => changed(() => 5)],
    ["no clock",                         () => changed((s) => { delete s["clock"]; })],
    ["no PEs",                           () => changed((s) => { s["pes"] = []; })],
    ["two PEs",                          () => changed((s) => { s["pes"] = [pe(s), pe(s)]; })],
    ["a PE of nothing",                  () => changed((s) => { s["pes"] = [null]; })],
    ["few registers",                    () => changed((s) => { pe(s).registers = new Uint8Array(8); })],
    ["no timers",                        () => changed((s) => { delete pe(s).pe["timers"]; })],
    ["Exception level 5",                () => changed(register(0x1a0, 5))],
    ["PE 7",                             () => changed(register(0x1fc, 7))],
    ["a zero register that is 1",        () => changed(register(0xf8, 1))],
    ["a reservation in no memory",       () => changed((s) => { register(0x1dc, 8)(s); register(0x1e0, 0xffff_fff0)(s); })],
    ["a turn of a PE that is not there", () => changed((s) => { s["turn"] = { pe: 1, left: 0, retired: 0 }; })],
    ["a turn of a year",                 () => changed((s) => { s["turn"] = { pe: 0, left: 1e15, retired: 0 }; })],
    ["few virtio slots",                 () => changed((s) => { s["virtio"] = []; })],
    ["an end that is none",              () => changed((s) => { s["end"] = { kind: "never" }; })],
    ["a GIC of text",                    () => changed((s) => { s["gic"] = "GIC"; })],
    ["RAM that is no list",              () => changed(() => {}, () => ({}))],
    ["RAM of nothing",                   () => changed(() => {}, () => [null])],
    ["RAM outside RAM",                  () => changed(() => {}, (p) => { (p[0] as { pa: unknown }).pa = 0x0900_0000; })],
    ["RAM at no address",                () => changed(() => {}, (p) => { (p[0] as { pa: unknown }).pa = Number.NaN; })],
    ["RAM at half a piece",              () => changed(() => {}, (p) => { (p[0] as { pa: unknown }).pa = 0x4000_8000; })],
    ["a short piece of RAM",             () => changed(() => {}, (p) => { (p[0] as { data: unknown }).data = new Uint8Array(10); })],
    ["a piece of RAM that is a number",  () => changed(() => {}, (p) => { (p[0] as { data: unknown }).data = 7; })],
  ];
  it.each(made)("%s", async (_what, bytes) => {
    const machine = await small();
    const before = machine.save();
    corrupt(bytes(), machine);
    await usableOrOver(machine, before);
  });

  it("unchanged, it is taken", async () => {
    const machine = await small();
    machine.restore(changed(() => {}));
    expect(same(machine.save(), SNAPSHOT)).toBe(true);
  });

  /** Restores, and runs what was taken: nothing but an EmuError comes out. */
  const takenOrTold = async (machine: Machine, bytes: Uint8Array): Promise<void> => {
    try {
      machine.restore(bytes);
    } catch (e) {
      expect(e).toBeInstanceOf(EmuError);
      expect((e as EmuError).code).toMatch(/^snapshot-(corrupt|mismatch)$/);
      return;
    }
    await machine.runInstructions(20_000).catch((e: unknown) => expect(e).toBeInstanceOf(EmuError));
  };

  it("any value anywhere: taken or told, never anything else", async () => {
    const machine = await small();
    /** Replaces the value at a random place of the tree. */
    const put = (node: unknown, path: number[], value: unknown): void => {
      const [first = 0, ...rest] = path;
      const keys = Object.keys(node as object);
      const key = keys[first % keys.length] as string;
      const child = (node as State)[key];
      const deeper =
        rest.length > 0 && typeof child === "object" && child !== null && !(child instanceof Uint8Array) && Object.keys(child).length > 0;
      if (deeper) put(child, rest, value);
      else (node as State)[key] = value;
    };
    const value = fc.oneof(
      fc.constantFrom(
        null,
        true,
        "",
        "text",
        -1,
        2 ** 32,
        2 ** 53,
        0.5,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        -(2n ** 63n),
        2n ** 64n - 1n,
      ),
      fc.constantFrom([], {}, [[]], new Uint8Array(3)),
      fc.nat(),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(1000), { minLength: 1, maxLength: 6 }), value, async (path, v) => {
        await takenOrTold(
          machine,
          changed((s) => put(s, path, v)),
        );
      }),
      { numRuns: 300 },
    );
  });

  it("any register", async () => {
    const machine = await small();
    const words = pe(stateOf(SNAPSHOT)).registers.length / 4;
    await fc.assert(
      fc.asyncProperty(fc.nat(words - 1), fc.oneof(fc.nat(), fc.nat(255), fc.constant(0xffff_ffff)), async (word, v) => {
        await takenOrTold(machine, changed(register(4 * word, v)));
      }),
      { numRuns: 300 },
    );
  });
});
