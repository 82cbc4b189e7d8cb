// `rme-emu realm --normal`: the guest of a realm as an ordinary virtual machine, from the command line to its shell and its power-off.

import { expect, it } from "vitest";
import { start } from "../support/cli.ts";
import { debianKernel, TEST_KERNELS } from "../support/debian.ts";

it("Debian as an ordinary virtual machine: shell, no RSI, power-off ends the run", async () => {
  const version = TEST_KERNELS.at(-1) ?? "";
  const { release } = await debianKernel(version);
  const { child, outcome, until } = start(["realm", "--normal", "--kernel", `debian=${version}`, "--memory", "256M", "--smp", "2"]);
  await until(/~ # /);
  child.stdin.write("uname -sr; nproc; dmesg | grep -c 'RME: Using RSI'; echo done=$?\n");
  await until(/done=1/);
  child.stdin.write("poweroff\n");
  const { code, stdout, stderr } = await outcome;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(new RegExp(`Linux ${release.replaceAll(".", "\\.").replaceAll("+", "\\+")}\r\n2\r\n0\r\ndone=1`));
  expect(stdout).toContain("reboot: Power down");
}, 300_000);
