// --engine, --dump-js and --profile.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { parseCommandLine, type RunCommand } from "../../src/cli/args/options.ts";
import { explainDifference, watchEngine } from "../../src/cli/engine.ts";
import { reportError } from "../../src/cli/report.ts";
import { type Engine, EngineDifference, engines, Machine } from "../../src/harness/index.ts";
import { addImm, b, cbnz, image, ldr64, mov, str64, subImm } from "../support/a64.ts";
import { start } from "../support/cli.ts";
import { echoProgram } from "../support/programs.ts";

const directory = mkdtempSync(join(tmpdir(), "rme-engine-"));
afterAll(() => rmSync(directory, { recursive: true }));

const command = (...argv: string[]) => parseCommandLine(argv, "1") as RunCommand;

/** Adds up memory for ever, in a loop of 2000 rounds. */
const program = image([
  ...mov(0, 0x4060_0000),
  ...mov(1, 2000),
  ldr64(2, 0),
  addImm(2, 2, 1),
  str64(2, 0),
  subImm(1, 1, 1),
  cbnz(1, -4),
  b(-6),
]);

/** Enough for the engine that asks for most before it translates. */
const INSTRUCTIONS = 12_000_000;

async function run(engine: Engine, options: string[] = []): Promise<{ machine: Machine; finish(): void }> {
  const machine = await Machine.create({ kernel: program, memory: 64 * 2 ** 20, engine });
  const finish = watchEngine(command("--engine", engine, ...options), machine);
  await machine.runInstructions(INSTRUCTIONS);
  return { machine, finish };
}

describe("--engine", () => {
  it("takes the names of the engines", () => {
    for (const engine of engines) expect(command("--engine", engine).engine).toBe(engine);
    expect(command().engine).toBeUndefined();
    expect(() => command("--engine", "fast")).toThrow(/unknown engine "fast" \(known: interp, wasm, js, check, check-js\)/);
  });

  it("every engine leaves the same state; checks compare runs of translated code", async () => {
    const states = [];
    for (const engine of engines) {
      const { machine } = await run(engine);
      const pe = machine.pe();
      states.push([pe.pc, pe.x(1), pe.x(2), Buffer.from(machine.readMemory(0x4060_0000, 8)).toString("hex")]);
      const { checker } = machine.board.executor;
      if (!engine.startsWith("check")) continue;
      expect(checker?.runs).toBeGreaterThan(5);
      expect(checker?.instructions).toBeGreaterThan(1000);
    }
    for (const state of states) expect(state).toEqual(states[0]);
  });
});

describe("--dump-js", () => {
  it("writes each block, its instructions under their disassembly", async () => {
    const to = join(directory, "js");
    await run("js", ["--dump-js", to]);
    const files = readdirSync(to);
    expect(files.length).toBeGreaterThan(0);
    const text = files.map((f) => readFileSync(join(to, f), "utf8")).join("\n");
    expect(text).toMatch(/\/\/ [0-9a-f]{16}: ldr x2, \[x0\]\n/);
  });

  it("is refused by other engines", async () => {
    await expect(run("interp", ["--dump-js", directory])).rejects.toThrow(/only the engine "js"/);
  });
});

describe("--profile", () => {
  it("writes functions, mix, exits, misses and tiers as text, and a CPU profile", async () => {
    const { finish } = await run("wasm", ["--profile", join(directory, "p")]);
    finish();
    const text = readFileSync(join(directory, "p.txt"), "utf8");
    for (const part of ["Functions", "Instruction mix", "Exits from generated code", "First-level TLB misses", "Time per tier"])
      expect(text).toContain(part);
    expect(text).toMatch(/^12,000,000 instructions/);
    expect(text).toMatch(/100\.0 % +12,000,000 .* EL2 Non-secure +0x40200000/);
    expect(text).toMatch(/loads and stores/);
    expect(text).toMatch(/translated/);
    const profile = JSON.parse(readFileSync(join(directory, "p.cpuprofile"), "utf8"));
    expect(profile.samples.length).toBe(profile.timeDeltas.length);
    expect(profile.nodes.map((n: { callFrame: { functionName: string } }) => n.callFrame.functionName)).toContain("0x40200000");
    const ids = new Set(profile.nodes.map((n: { id: number }) => n.id));
    expect(profile.samples.every((id: number) => ids.has(id))).toBe(true);
  });

  it("is written when a signal ends the program", async () => {
    const kernel = join(directory, "echo.img");
    writeFileSync(kernel, echoProgram);
    const { child, outcome, until } = start(["--kernel", kernel, "--memory", "64M", "--profile", join(directory, "ended")]);
    await until(/ready/);
    child.kill("SIGTERM");
    expect(await outcome).toMatchObject({ code: 143, stderr: "" });
    expect(readFileSync(join(directory, "ended.txt"), "utf8")).toMatch(/ instructions in /);
  });

  it("names functions by symbols, and changes nothing for the guest", async () => {
    const machine = await Machine.create({ kernel: program, memory: 64 * 2 ** 20, engine: "wasm" });
    const finish = machine.profile((address) => (address >= 0x4020_0000n ? `work+0x${(address - 0x4020_0000n).toString(16)}` : undefined));
    await machine.runInstructions(INSTRUCTIONS);
    expect(new Set(finish().samples.map((s) => s.frames[2]))).toEqual(new Set(["work"]));
    const { machine: plain } = await run("wasm");
    expect([machine.pe().pc, machine.pe().x(1), machine.pe().x(2)]).toEqual([plain.pe().pc, plain.pe().x(1), plain.pe().x(2)]);
  });
});

describe("a difference between engines", () => {
  /** A machine whose translations leave X2 wrong. */
  async function broken(engine: Engine): Promise<Machine> {
    const machine = await Machine.create({ kernel: program, memory: 64 * 2 ** 20, engine });
    const checker = machine.board.executor.checker as NonNullable<typeof machine.board.executor.checker>;
    const check = checker.run.bind(checker);
    const x2 = Off.X + 16;
    checker.run = (st, ip, run, evidence) => {
      const wrong: typeof run = (pe, at, insn) => {
        const next = run(pe, at, insn);
        st.set(x2, st.get(x2) ^ 0x8000_0000n);
        return next;
      };
      return check(st, ip, wrong, evidence);
    };
    return machine;
  }

  it.each([
    ["check", /\.wasm$/],
    ["check-js", /\.js$/],
  ] as const)("%s stops with what differs, the code, the state, and the translation in files", async (engine, file) => {
    const machine = await broken(engine);
    const found = await machine.runInstructions(INSTRUCTIONS).catch((error: unknown) => error);
    expect(found).toBeInstanceOf(EngineDifference);
    const to = join(directory, engine);
    let printed = "";
    expect(reportError(explainDifference(found, command("--dump-js", to)), { write: (text) => (printed += text) })).toBe(1);
    const lines = printed.split("\n");
    expect(lines[0]).toBe("rme-emu: translated code and the interpreter differ");
    expect(lines[1]).toMatch(/^ {2}x2: interpreter (0{8}[0-9a-f]{8}), translation 00000000[0-9a-f]{8}, before /);
    expect(lines[2]).toBe("code:");
    expect(lines[3]).toMatch(/^ {2}0*40200048: ldr x2, \[x0\]$/);
    expect(lines[4]).toMatch(/^ {2}0*4020004c: add x2, x2, #0x1$/);
    expect(printed).toMatch(/\nstate before:\n {2}x0 0000000040600000\n/);
    const [, path = ""] = /^translation: (.*)$/m.exec(printed) ?? [];
    expect(path).toMatch(file);
    expect(readFileSync(path).length).toBeGreaterThan(100);
  });
});
