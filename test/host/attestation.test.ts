// The attestation report that Debian's kernel fetches in a realm, judged by the verifier: what a relying party gets to see.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runCommandLine } from "../../src/cli/command.ts";
import { type MachineOptions, verifyToken } from "../../src/harness/index.ts";
import { debianKernel } from "../support/debian.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";

const REPORT = "/sys/kernel/config/tsm/report/r";
const CHALLENGE = Uint8Array.from({ length: 48 }, (_, i) => 0x40 + i);
const RPV = "a realm of mine";
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");

/** Runs rme-emu in this process. */
async function emu(...argv: string[]): Promise<{ code: number; text: string }> {
  let text = "";
  const out = { write: (chunk: string) => (text += chunk) };
  return { code: await runCommandLine(argv, { stdout: out, stderr: out }), text };
}

test("a report read from configfs verifies, and says what it was asked and what runs", async () => {
  const options: Partial<MachineOptions> = {
    memory: 256 * 2 ** 20,
    append: "console=ttyAMA0",
    realm: { board: "virt", measurementAlgorithm: "sha512", personalizationValue: new TextEncoder().encode(RPV) },
  };
  const machine = await linuxMachine("7.2", options);
  await bootToShell(machine);
  expect(
    await shell(
      machine,
      "modprobe arm_cca_guest && mount -t configfs none /sys/kernel/config && mkdir -p /sys/kernel/config/tsm/report/r; echo $?",
    ),
  ).toBe("0\n");
  expect(await shell(machine, `cat ${REPORT}/provider`)).toBe("arm_cca_guest\n");
  const octal = [...CHALLENGE].map((b) => `\\0${b.toString(8)}`).join("");
  expect(await shell(machine, `printf '%b' '${octal}' > ${REPORT}/inblob; cat ${REPORT}/generation`)).toBe("1\n");
  const text = await shell(machine, `base64 ${REPORT}/outblob`);
  const token = Buffer.from(text, "base64");

  // The realm's measurement, computed without running it.
  const { vmlinuz, initrd } = await debianKernel("7.2");
  const realm = ["--memory", "256M", "--measurement-algorithm", "sha512", "--realm-pv", RPV];
  const measured = await emu("measure", "--kernel", vmlinuz, "--initrd", initrd, "--append", "console=ttyAMA0", ...realm);
  expect(measured.code).toBe(0);
  const rim = measured.text.trim();
  expect(rim).toMatch(/^[0-9a-f]{128}$/);

  const dir = mkdtempSync(join(tmpdir(), "rme-token-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "token");
  writeFileSync(file, text); // base64, as it was on the console
  const expected = ["--rim", rim, "--challenge", hex(CHALLENGE), "--realm-pv", RPV];
  const verified = await emu("verify-token", file, ...expected);
  expect(verified.text).toContain("the token is valid\n");
  expect(verified.text).not.toContain("FAILED");
  expect(verified.text.match(/^ok /gm)?.length).toBe(9);
  expect(verified.code).toBe(0);

  // Each expectation is compared, and each signature is over all of its bytes.
  for (const [wrong, check] of [
    [["--rim", rim.replace(/^../, (b) => (b === "00" ? "01" : "00"))], "realm initial measurement"],
    [["--challenge", "00"], "challenge"],
    [["--realm-pv", "another"], "personalization value"],
  ] as const) {
    const refused = await emu("verify-token", file, ...wrong);
    expect([refused.code, refused.text.includes(`FAILED     ${check}: `)]).toEqual([1, true]);
  }
  // A new challenge makes a new report; the old one is a replay.
  await shell(machine, `printf '%064d' 7 > ${REPORT}/inblob`);
  const second = Buffer.from(await shell(machine, `base64 ${REPORT}/outblob`), "base64");
  expect(
    verifyToken(second, { challenge: new TextEncoder().encode("7".padStart(64, "0")) }).checks.find((c) => c.name === "challenge"),
  ).toMatchObject({ ok: true });
  expect(verifyToken(token, { challenge: CHALLENGE }).checks.find((c) => c.name === "challenge")).toMatchObject({ ok: true });
  expect(verifyToken(second, { challenge: CHALLENGE }).checks.find((c) => c.name === "challenge")).toMatchObject({ ok: false });
}, 300_000);
