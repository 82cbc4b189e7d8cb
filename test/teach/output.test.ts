// What explanations look like from outside: JSON field names, the page, the command line.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { slot } from "../../src/arch/state.ts";
import { runCommandLine } from "../../src/cli/command.ts";
import { buildGpt } from "../../src/gpt/build.ts";
import { Gpi } from "../../src/gpt/index.ts";
import { Machine, Symbols } from "../../src/harness/index.ts";
import { explanationPage } from "../../src/teach/html.ts";
import { b, image } from "../support/a64.ts";
import { richExplanation } from "../support/explanations.ts";
import { wellFormed } from "../support/xml.ts";

/** All paths of field names, list elements as []. */
function paths(value: unknown, at = "", out = new Set<string>()): Set<string> {
  if (Array.isArray(value)) for (const v of value) paths(v, `${at}[]`, out);
  else if (typeof value === "object" && value !== null)
    for (const [k, v] of Object.entries(value)) paths(v, at === "" ? k : `${at}.${k}`, out.add(at === "" ? k : `${at}.${k}`));
  return out;
}

describe("JSON", () => {
  it("has the documented field names: removing or renaming one needs another FORMAT", () => {
    const e = richExplanation();
    expect(e.format).toBe("rme-emu explanation 2");
    expect(JSON.parse(JSON.stringify(e))).toEqual(e);
    const top = [...paths(e)].filter((p) => !/descriptors\[\]\.(stage2|gpt)/.test(p) && !p.startsWith("regime.registers[].fields[]"));
    expect(top.sort()).toEqual(
      [
        ..."format outcome summary va requester requester.pe requester.el requester.security requester.privilege requester.access requester.instructions".split(
          " ",
        ),
        ..."regime regime.name regime.stage1 regime.stage2 regime.registers regime.registers[].name regime.registers[].value regime.registers[].fields".split(
          " ",
        ),
        ..."descriptors descriptors[].stage descriptors[].level descriptors[].address descriptors[].space descriptors[].ipa descriptors[].value descriptors[].kind".split(
          " ",
        ),
        ..."descriptors[].fields descriptors[].fields[].name descriptors[].fields[].bits descriptors[].fields[].value descriptors[].fields[].meaning".split(
          " ",
        ),
        ...["by", "el", "security", "pc", "symbol", "call", "at", "before"].flatMap((f) => [
          `descriptors[].writer.${f}`,
          `gpt.entries[].writer.${f}`,
        ]),
        ..."descriptors[].writer ipa ipa.address ipa.space output output.address output.space output.memory output.permissions output.block".split(
          " ",
        ),
        ..."gpt gpt.address gpt.space gpt.result gpt.level gpt.granule gpt.l0 gpt.pps gpt.entries gpt.entries[].level gpt.entries[].address".split(
          " ",
        ),
        ..."gpt.entries[].value gpt.entries[].kind gpt.entries[].gpi gpt.entries[].gpiName gpt.entries[].failed gpt.entries[].writer gpt.entries[].fields".split(
          " ",
        ),
        ..."gpt.entries[].fields[].name gpt.entries[].fields[].bits gpt.entries[].fields[].value gpt.entries[].fields[].meaning".split(" "),
        ..."failure failure.rule failure.title failure.section failure.text failure.where failure.status failure.status.code failure.status.name failure.remedies".split(
          " ",
        ),
        ..."notes memory memory[].from memory[].to memory[].gpi memory[].space memory[].holds".split(" "),
      ].sort(),
    );
  });
});

describe("the page", () => {
  it("is well-formed, needs nothing else, and has no way for names to become markup", () => {
    const page = explanationPage(richExplanation());
    wellFormed(page);
    expect(page.replace(/xmlns="[^"]*"/g, "")).not.toMatch(/https?:|<script|src=|href=|@import|url\((?!#)/);
    expect(page).toContain("a&lt;b&gt;&amp;&quot;c&quot;");
    expect(page).not.toContain("a<b>");
    for (const needed of ["FAILS HERE", "Granule protection, level 1", "Stage 2, level 2: block", "◀ the address", "url(#gpi-b)"])
      expect(page).toContain(needed);
  });
});

describe("symbols", () => {
  it("come from System.map text, with an offset", () => {
    const s = new Symbols();
    s.addFile(new TextEncoder().encode("ffff800080000000 T _text\nffff800080010000 t start_kernel\nffff800080010100 d data\n"), 0x1000n);
    expect(s.lookup(0xffff_8000_8001_1010n)).toBe("start_kernel+0x10");
    expect(s.lookup(0xffff_8000_8000_1000n)).toBe("_text");
    expect(s.lookup(0x1000n)).toBeUndefined();
  });
  it("of a file without any are an error", () => {
    expect(() => new Symbols().addFile(new TextEncoder().encode("nothing here"))).toThrow(/no symbols/);
    const placeholder = "ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n";
    expect(() => new Symbols().addFile(new TextEncoder().encode(placeholder), 0n, '"System.map"')).toThrow(
      /^"System.map" holds no symbols: .*nokaslr/,
    );
    expect(() => new Symbols().addFile(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1))).toThrow(/cut short/);
  });
});

describe("the command line", () => {
  const dir = mkdtempSync(join(tmpdir(), "rme-emu-explain-"));
  const file = join(dir, "machine.snap");
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  beforeAll(async () => {
    const machine = await Machine.create({ kernel: image([b(0)]), cpu: "max,rme=on", memory: 64 * 2 ** 20 });
    await machine.runInstructions(100);
    const table = 0x4100_0000;
    const built = buildGpt({
      pps: 36,
      l0: 30,
      granule: 12,
      table,
      otherwise: Gpi.Any,
      ranges: [{ base: 0x4300_0000, size: 0x1000, gpi: Gpi.Realm }],
    });
    for (const p of built.pieces) machine.writeMemory(p.address, p.data);
    const { st } = machine.board.pes[0] as NonNullable<(typeof machine.board.pes)[0]>;
    st.set(slot.GPTBR_EL3, built.gptbr);
    st.set(slot.GPCCR_EL3, built.gpccr);
    writeFileSync(file, machine.save());
  });
  async function cli(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
    let [out, err] = ["", ""];
    const code = await runCommandLine(argv, { stdout: { write: (t) => (out += t) }, stderr: { write: (t) => (err += t) } });
    return { code, out, err };
  }

  it("explains an access of a saved machine as text, JSON and HTML", async () => {
    const text = await cli("explain", file, "--va", "0x43000010");
    expect(text.err).toBe("");
    expect(text.out).toMatch(/^PE 0 at Non-secure EL2 cannot read 0x43000010: the granule does not belong/);
    const json = await cli("explain", file, "--va", "0x43000010", "--el", "1", "--state", "realm", "--access", "write", "--format", "json");
    expect(JSON.parse(json.out)).toMatchObject({
      outcome: "translates",
      requester: { el: 1, security: "Realm", access: "write", instructions: 100 },
      output: { space: "Realm" },
    });
    const page = join(dir, "page.html");
    expect((await cli("explain", file, "--va", "0x43000010", "--state", "root", "--format", "html", "-o", page)).code).toBe(0);
    wellFormed(readFileSync(page, "utf8"));
  });
  it("lists the granule protection table", async () => {
    const { out } = await cli("gpt", file);
    expect(out).toMatch(/^GPCCR_EL3 = 0x[0-9a-f]{16}\n/);
    expect(out.match(/^0x.*/gm)).toEqual([
      "0x000000000 to 0x042ffffff     1.0 GiB  any",
      "0x043000000 to 0x043000fff       4 KiB  Realm",
      "0x043001000 to 0xfffffffff    63.0 GiB  any",
    ]);
  });
  it.each([
    [["explain", "nothing.snap", "--va", "0"], 1, /cannot read "nothing\.snap": ENOENT/],
    [["explain", file], 2, /--va/],
    [["explain", file, "--va", "main"], 2, /"main" is not an address/],
    [["explain", file, "--va", "0", "--el", "4"], 2, /--el/],
    [["explain", file, "--va", "0", "--state", "moon"], 2, /"moon" is no Security state/],
    [["explain", file, "--va", "0", "--state", "root", "--el", "1"], 2, /EL3 only/],
    [["explain", file, "--va", "0", "--pe", "3"], 2, /there is no PE 3/],
    [["explain", file, "--va", "0", "--format", "pdf"], 2, /"pdf"/],
    [["explain", import.meta.filename, "--va", "0"], 1, /not a snapshot/],
    [["--trace", "everything"], 2, /unknown event "everything"/],
  ])("%j is refused in one line", async (argv, code, message) => {
    const r = await cli(...argv);
    expect(r.code).toBe(code);
    expect(r.err).toMatch(message);
    expect(r.err.split("\n").length).toBe(2);
  });
});
