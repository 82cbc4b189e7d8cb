// Differential oracle: runs single instructions on chosen register states under qemu-aarch64 (user mode) and returns the states after.

import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Off } from "../../../src/arch/layout.ts";
import type { PeState } from "../../../src/arch/state.ts";
import { buildProgram, NEAR_STEPS, Rec, type Step } from "./program.ts";

export { Rec } from "./program.ts";

/** The user-mode emulator to ask: $RME_QEMU_AARCH64, else qemu-aarch64 on the path; undefined when there is none. */
export const qemu: string | undefined = findQemu();

function findQemu(): string | undefined {
  for (const name of [process.env.RME_QEMU_AARCH64, "qemu-aarch64", "qemu-aarch64-static"]) {
    if (!name) continue;
    try {
      execFileSync(name, ["--version"], { stdio: "ignore" });
      return name;
    } catch {
      // not installed: try the next name
    }
  }
  return undefined;
}

/** Registers of one PE as the oracle sees them: X0..X30, SP, V0..V31, NZCV (bits 31..28), FPCR, FPSR. A fresh one is all zero. */
export class Registers {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Contents of the data window after the instruction; only in results of cases with a window. */
  readonly window: Uint8Array | undefined;

  constructor(bytes: Uint8Array = new Uint8Array(Rec.SIZE), window?: Uint8Array) {
    this.bytes = bytes;
    this.window = window;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, Rec.SIZE);
  }
  /** Xn, n = 0..30; 31 is SP. */
  x(n: number): bigint {
    return this.view.getBigUint64(Rec.X + 8 * n, true);
  }
  setX(n: number, value: bigint): void {
    this.view.setBigUint64(Rec.X + 8 * n, value, true);
  }
  /** The 16 bytes of Vn, live. */
  v(n: number): Uint8Array {
    return this.bytes.subarray(Rec.V + 16 * n, Rec.V + 16 * n + 16);
  }
  get nzcv(): number {
    return this.view.getUint32(Rec.NZCV, true);
  }
  set nzcv(value: number) {
    this.view.setUint32(Rec.NZCV, value, true);
  }
  get fpcr(): number {
    return this.view.getUint32(Rec.FPCR, true);
  }
  set fpcr(value: number) {
    this.view.setUint32(Rec.FPCR, value, true);
  }
  get fpsr(): number {
    return this.view.getUint32(Rec.FPSR, true);
  }
  set fpsr(value: number) {
    this.view.setUint32(Rec.FPSR, value, true);
  }
  /** Linux signal the instruction raised (4 = SIGILL: UNDEFINED), 0 when it completed. Only in results. */
  get signal(): number {
    return this.pc === this.address ? this.view.getUint32(Rec.SIGNAL, true) : 0;
  }
  /** Address at which the instruction stood. Only in results. */
  get address(): number {
    return this.view.getUint32(Rec.ADDRESS, true);
  }
  /** Where execution went on after the instruction; `address` when it raised a signal. Only in results. */
  get pc(): number {
    return this.view.getUint32(Rec.PC, true);
  }
  copy(): Registers {
    return new Registers(this.bytes.slice());
  }
}

/** One question: instruction word and the state before it. */
export interface Case {
  readonly insn: number;
  /** Gives the word to run instead of `insn` for the address at which it will stand (Registers.address of the result). */
  readonly at?: (address: number) => number;
  /** Instruction executed directly before. */
  readonly prefix?: number | undefined;
  readonly before: Registers;
  /** Contents of the data window (program.ts: WINDOW), Rec.WINDOW_BYTES bytes. */
  readonly window?: Uint8Array | undefined;
}

/** The instruction word of a case that stood at `address`. */
export const wordOf = (c: Case, address: number): number => c.at?.(address) ?? c.insn;

/** Cases per run: bounds the size of the program, and how far branches must reach. */
const BATCH = 8192;

/** Runs every case under qemu (`-cpu max` or as given) and returns the registers after each, in order. */
export function runOracle(cases: readonly Case[], cpu = "max"): Registers[] {
  if (qemu === undefined) throw new Error("qemu-aarch64 is not installed");
  const dir = mkdtempSync(join(tmpdir(), "rme-oracle-"));
  try {
    const after: Registers[] = [];
    for (let i = 0; i < cases.length; ) {
      const some = batchAt(cases, i);
      i += some.length;
      const steps = some.map((c): Step => ({ insn: c.at ?? c.insn, prefix: c.prefix, record: c.before.bytes, window: c.window }));
      after.push(...runBatch(qemu, join(dir, "program"), steps, cpu));
    }
    return after;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** The next cases that fit in one program: all with or all without a window; few words when they depend on their address. */
function batchAt(cases: readonly Case[], start: number): readonly Case[] {
  const withWindow = cases[start]?.window !== undefined;
  let placed = 0;
  let end = start;
  for (; end < cases.length && end - start < BATCH; end++) {
    const c = cases[end] as Case;
    if ((c.window !== undefined) !== withWindow) break;
    if (c.at && cases[end - 1]?.at !== c.at && ++placed > NEAR_STEPS) break;
  }
  return cases.slice(start, end);
}

function runBatch(emulator: string, path: string, steps: readonly Step[], cpu: string): Registers[] {
  const { file, stride } = buildProgram(steps);
  writeFileSync(path, file);
  chmodSync(path, 0o755);
  const size = steps.length * stride;
  const run = spawnSync(emulator, ["-cpu", cpu, path], { maxBuffer: size + 4096, timeout: 60_000 });
  if (run.status !== 0 || run.stdout.length !== size)
    throw new Error(
      `oracle run failed: status ${run.status} ${run.signal} ${run.stdout?.length} of ${size} bytes, ${run.error ?? run.stderr}`,
    );
  return steps.map((_, i) => {
    const record = run.stdout.subarray(i * stride, (i + 1) * stride);
    return new Registers(record.subarray(0, Rec.SIZE), stride > Rec.SIZE ? record.subarray(Rec.WINDOW) : undefined);
  });
}

/** Copies the registers into a PE. */
export function toPe(r: Registers, st: PeState): void {
  st.u8.set(r.bytes.subarray(Rec.X, Rec.X + 31 * 8), st.base + Off.X);
  st.sp = r.x(31);
  st.u8.set(r.bytes.subarray(Rec.V, Rec.V + 512), st.base + Off.V);
  st.nzcv = r.nzcv;
  st.setLo(Off.FPCR, r.fpcr);
  st.setLo(Off.FPSR, r.fpsr);
}

/** Reads the registers of a PE. */
export function fromPe(st: PeState): Registers {
  const r = new Registers();
  r.bytes.set(st.u8.subarray(st.base + Off.X, st.base + Off.X + 31 * 8), Rec.X);
  r.setX(31, st.sp);
  r.bytes.set(st.u8.subarray(st.base + Off.V, st.base + Off.V + 512), Rec.V);
  r.nzcv = st.nzcv;
  r.fpcr = st.lo(Off.FPCR);
  r.fpsr = st.lo(Off.FPSR);
  return r;
}

/** Differences between two register sets, as text like "V3 00..01 != 00..02"; empty when equal. */
export function differences(expected: Registers, actual: Registers): string[] {
  const out: string[] = [];
  const hex = (r: Registers, at: number, n: number): string =>
    Buffer.from(r.bytes.subarray(at, at + n))
      .reverse()
      .toString("hex");
  const check = (name: string, at: number, n: number): void => {
    const a = hex(expected, at, n);
    const b = hex(actual, at, n);
    if (a !== b) out.push(`${name} expected ${a} got ${b}`);
  };
  if (Buffer.compare(expected.bytes.subarray(0, Rec.STUB), actual.bytes.subarray(0, Rec.STUB)) === 0) return out;
  for (let i = 0; i < 31; i++) check(`X${i}`, Rec.X + 8 * i, 8);
  check("SP", Rec.SP, 8);
  for (let i = 0; i < 32; i++) check(`V${i}`, Rec.V + 16 * i, 16);
  check("NZCV", Rec.NZCV, 8);
  check("FPCR", Rec.FPCR, 8);
  check("FPSR", Rec.FPSR, 8);
  return out;
}
