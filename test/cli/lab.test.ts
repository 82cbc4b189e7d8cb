// rme-emu lab, as a learner uses it.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/command.ts";
import { choicesOf } from "../../src/cli/lab.ts";
import { labs } from "../../src/teach/labs.ts";

const FOLDER = fileURLToPath(new URL("../../firmware/labs/", import.meta.url));

async function lab(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const code = await runCommandLine(["lab", ...args], {
    stdout: { write: (t) => (out += t) },
    stderr: { write: (t) => (err += t) },
  });
  return { code, out, err };
}

describe("the texts", () => {
  it("without a name: the list", async () => {
    const { code, out } = await lab();
    expect(code).toBe(0);
    for (const l of labs) expect(out).toContain(`${l.title}\n`);
  });

  it.each(labs.map((l) => l.name))("%s: text, how to go on, and a run that has not reached the goal", async (name) => {
    const { code, out } = await lab(name);
    expect(code).toBe(0);
    expect(out).toContain(readFileSync(join(FOLDER, name, "README.md"), "utf8"));
    expect(out).toContain(`rme-emu lab ${name} --copy`);
    expect(out).toMatch(/--- the program as it stands\n.*EL\d: load: .*The goal is not reached\./s);
  });

  it("what is no lab, no answer, no file", async () => {
    expect(await lab("second-gpf")).toMatchObject({ code: 2, err: expect.stringMatching(/no lab "second-gpf" \(there are: first-gpf/) });
    expect(await lab("first-gpf", "--answer", "x")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/no prepared answer "x" .*any, none/),
    });
    expect(await lab("first-gpf", "nowhere.c")).toMatchObject({ code: 1, err: expect.stringMatching(/no file "nowhere.c"/) });
  });
});

describe("the prepared answers", () => {
  const right: Record<string, string[]> = {
    "first-gpf": ["realm"],
    "walk-vs-output": ["s2-l3"],
    "four-views": ["realm"],
    "missing-tlbi": ["rpaos", "paall"],
  };
  const all = labs.flatMap((l) => choicesOf(l).map((c) => [l.name, c.id] as const));

  it("are all built, and the first is the line that the source has", () => {
    for (const l of labs) {
      const choices = choicesOf(l);
      expect(readdirSync(join(FOLDER, l.name, "prebuilt")).sort()).toEqual(choices.map((c) => `${c.id}.elf`).sort());
      const source = readFileSync(join(FOLDER, l.name, `${l.name}.c`), "utf8");
      expect(source).toContain(`#define ANSWER ${choices[0]?.text}\n`);
      for (const c of choices) expect(source.match(/change this line: (.*?) -/)?.[1]).toContain(c.text);
    }
  });

  it.each(all)("%s --answer %s", async (name, id) => {
    const reached = right[name]?.includes(id) === true;
    const { code, out } = await lab(name, "--answer", id);
    expect(out).toContain(reached ? "The goal is reached." : "The goal is not reached.");
    expect(code).toBe(reached ? 0 : 1);
  });
});

describe("a changed source", () => {
  const prefix = [process.env["RME_CROSS_COMPILE"], "aarch64-linux-gnu-"].find(
    (p) => p && spawnSync(`${p}gcc`, ["--version"]).status === 0,
  );
  const before = process.cwd();
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rme-emu-test-"));
    process.chdir(folder);
    process.env["CROSS"] = prefix;
  });
  afterEach(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true });
    delete process.env["CROSS"];
  });

  it("--copy writes the source, and never over something", async () => {
    expect((await lab("four-views", "--copy")).code).toBe(0);
    expect(readFileSync("four-views.c", "utf8")).toBe(readFileSync(join(FOLDER, "four-views/four-views.c"), "utf8"));
    expect(await lab("four-views", "--copy")).toMatchObject({ code: 1, err: expect.stringMatching(/is there already/) });
  });

  it.skipIf(!prefix).each([
    ["first-gpf", "GPI_ANY", "GPI_REALM"],
    ["missing-tlbi", "nothing()", "tlbi_rpaos(PAGE)"],
  ])("%s with %s changed to %s reaches the goal", async (name, from, to) => {
    await lab(name, "--copy");
    expect((await lab(name, `${name}.c`)).code).toBe(1);
    writeFileSync(`${name}.c`, readFileSync(`${name}.c`, "utf8").replace(`#define ANSWER ${from}`, `#define ANSWER ${to}`));
    expect(await lab(name, `${name}.c`)).toMatchObject({ code: 0, out: expect.stringContaining("The goal is reached.") });
  });

  it.skipIf(!prefix)("what the compiler says about a mistake", async () => {
    writeFileSync("broken.c", '#include "lab.h"\nvoid lab(void) { look(&nobody, LOAD); }\n');
    expect(await lab("first-gpf", "broken.c")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/broken.c:2:24: error: 'nobody' undeclared.*\nrme-emu: broken.c does not compile\n/s),
    });
  });

  it.skipIf(!prefix)("a program that never ends is told so", async () => {
    writeFileSync("endless.c", '#include "lab.h"\nvoid lab(void) { for (;;) {} }\n');
    expect((await lab("first-gpf", "endless.c")).out).toMatch(/The program did not come to its end/);
  });

  it("without a cross compiler the prepared answers are named", async () => {
    process.env["CROSS"] = "/no/such/compiler-";
    await lab("first-gpf", "--copy");
    expect(await lab("first-gpf", "first-gpf.c")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/no \/no\/such\/compiler-gcc .*--answer any \| none/),
    });
    expect(existsSync("lab.elf")).toBe(false);
  });
});
