// `rme-emu fip`, and what --bios and --kernel say to files that do not fit.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/command.ts";
import { flash, package_, stages, UUID } from "../support/firmware-image.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-fip-"));
  const fip = package_([
    { uuid: UUID.BL31, data: stages.bl31 },
    { uuid: UUID.RMM, data: stages.rmm },
  ]);
  writeFileSync(join(dir, "fip.bin"), fip);
  writeFileSync(join(dir, "flash.bin"), flash(stages.bl1, fip));
  writeFileSync(join(dir, "fvp.bin"), flash(stages.fvpBl1, fip));
  writeFileSync(join(dir, "cut.bin"), fip.subarray(0, fip.length - 1));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const code = await runCommandLine(
    words.map((w) => w.replace(/^@/, `${dir}/`)),
    {
      stdout: { write: (text) => (out += text) },
      stderr: { write: (text) => (err += text) },
    },
  );
  return { code, out, err };
}

describe("rme-emu fip", () => {
  it("list", async () => {
    expect(await run("fip", "list", "@fip.bin")).toEqual({
      code: 0,
      err: "",
      out: [
        "offset           bytes  name                what",
        `0x00000088  ${`${stages.bl31.length}`.padStart(10)}  soc-fw              BL31`,
        `0x${(0x88 + ((stages.bl31.length + 7) & ~7)).toString(16).padStart(8, "0")}  ${`${stages.rmm.length}`.padStart(10)}  rmm-fw              RMM`,
        "",
      ].join("\n"),
    });
    expect(JSON.parse((await run("fip", "list", "@flash.bin", "--format", "json")).out)).toMatchObject([
      { name: "bl1", offset: 0 },
      { name: "fip", offset: 0x4_0000 },
      { name: "soc-fw" },
      { name: "rmm-fw" },
    ]);
  });
  it("info", async () => {
    const { out } = await run("fip", "info", "@flash.bin");
    expect(out).toMatch(/^a flash image: .*\n {2}platform +QEMU virt\n {2}RME +yes/);
    expect(out).toMatch(/ {2}0x00000000 {2}bl1 \(BL1\)\n {4}TF-A BL1, \d+ bytes\n {6}version +v2\.12\.0\(release\):abc\n/);
    expect(out).toMatch(/ {6}maps +0x09000000 to 0x09bfffff {2}device\n/);
    expect(out).toMatch(/rmm-fw \(RMM\)\n {4}TF-RMM, \d+ bytes\n {6}version +0\.8\.0\n/);
  });
  it("extract: chosen ones, all, not over files that are there, none of what is not there", async () => {
    const output = join(dir, "out");
    expect(await run("fip", "extract", "@fip.bin", "rmm-fw", "--output", output)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/rmm-fw\.bin {2}\d+ bytes, RMM\n$/),
    });
    expect(readFileSync(join(output, "rmm-fw.bin")).equals(stages.rmm)).toBe(true);
    expect(await run("fip", "extract", "@flash.bin", "--output", output)).toMatchObject({
      code: 1,
      err: expect.stringContaining("--force"),
    });
    expect((await run("fip", "extract", "@flash.bin", "--output", output, "--force")).code).toBe(0);
    expect(readFileSync(join(output, "soc-fw.bin")).equals(stages.bl31)).toBe(true);
    expect(readFileSync(join(output, "bl1.bin")).subarray(0, stages.bl1.length).equals(stages.bl1)).toBe(true);
    expect(await run("fip", "extract", "@fip.bin", "tos-fw")).toMatchObject({
      code: 2,
      err: expect.stringContaining("it has soc-fw, rmm-fw"),
    });
  });
  it.each([
    [["fip", "show", "@fip.bin"], 2, /neither list nor info nor extract/],
    [["fip", "list", "@nothing"], 1, /cannot read/],
    [["fip", "list", "@cut.bin"], 1, /damaged.*cut short/],
    [["fip", "list", "@fip.bin", "soc-fw"], 2, /only extract/],
    [["fip", "extract", "@cut.bin"], 1, /damaged/],
  ] as const)("%j is refused", async (words, code, message) => {
    const result = await run(...words);
    expect([result.code, result.out]).toEqual([code, ""]);
    expect(result.err).toMatch(message);
  });
});

describe("a machine says why a file does not fit", () => {
  it.each([
    [["--machine", "virt,secure=on", "--bios", "@fvp.bin"], /does not fit the machine virt,secure=on: BL1 was built for Arm FVP Base/],
    [["-bios", "@flash.bin"], /does not fit the machine virt: TF-A BL1 starts at EL3/],
    [["-M", "virt,secure=on", "-bios", "@fip.bin"], /package without BL1/],
    [["--kernel", "@flash.bin"], /type --bios for it/],
  ])("%j", async (words, message) => {
    const { code, out, err } = await run(...words);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(message);
  });
});
