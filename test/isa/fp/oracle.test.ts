// Every floating-point row against qemu-aarch64: random words, operands, FPCR modes and FPSR. RME_ORACLE_STATES sets the states per
// row, RME_ORACLE_SEED the seed, RME_ORACLE_ROWS a pattern of row names.

import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { fpHelpers } from "../../../src/isa/fp/index.ts";
import { qemu } from "../oracle/oracle.ts";
import { compare } from "./differential.ts";

const states = Number(process.env.RME_ORACLE_STATES ?? 40);
const seed = Number(process.env.RME_ORACLE_SEED ?? 1);
/** Rows per program run. */
const GROUP = 32;
const pattern = new RegExp(process.env.RME_ORACLE_ROWS ?? "");
/** Rows that older versions of qemu get wrong: a flushed denormal sets PSTATE.Z; a half precision result is sign-extended to 32 bits. */
const wrongBefore11 = new Set(["FJCVTZS", "FCVTZSV_FIX_s"]);
const isOld = qemu !== undefined && qemuMajor(qemu) < 11;
if (qemu === undefined) process.stderr.write("skipped: no qemu-aarch64 to compare the floating-point rows with\n");

function qemuMajor(emulator: string): number {
  return Number(/version (\d+)/.exec(execFileSync(emulator, ["--version"], { encoding: "utf8" }))?.[1] ?? 0);
}

describe.skipIf(qemu === undefined)("floating-point rows against qemu-aarch64", () => {
  const names = Object.keys(fpHelpers).filter((name) => pattern.test(name) && !(isOld && wrongBefore11.has(name)));
  for (let i = 0; i < names.length; i += GROUP) {
    const part = names.slice(i, i + GROUP);
    it(`${part[0]} .. ${part.at(-1)}`, () => {
      const wrong = compare(part, states, seed * 1000 + i);
      expect(wrong.slice(0, 5), `${wrong.length} differences`).toEqual([]);
    }, 600_000);
  }
});
