// A guest whose data is hardly ever all there: random loops at EL1 over pages of which few are mapped at a time. Any access may fault, in
// code that is translated by then; every exception leaves a record of all registers.

import { type Engine, Machine } from "../../../../src/harness/index.ts";
import { disassemble } from "../../../../src/isa/disasm/index.ts";
import { Rec } from "../../../isa/oracle/program.ts";
import { Random, randomRegisters } from "../../../isa/oracle/random.ts";
import * as a64 from "../../../support/a64.ts";
import { EAGER, tune } from "../../../support/tuning.ts";
import { handler } from "./handler.ts";
import { BASE, INDICES, LoopWriter, POINTERS, ROUNDS } from "./loops.ts";
import * as m from "./map.ts";

const { Field } = m;
/** Exceptions that the end of a loop takes on purpose: UDF. */
const EC_UNKNOWN = 0;
export const EC_DATA_ABORT = 0x25;

export interface Guest {
  readonly image: Uint8Array;
  readonly loops: number;
  /** Address of the branch to itself at the very end. */
  readonly end: number;
}

// ---- the image --------------------------------------------------------------------------------------------------------------------

const at = (offset: number) => a64.ORIGIN + offset;
const words64 = (values: ReadonlyMap<number, bigint>, size: number): number[] => {
  const view = new DataView(new ArrayBuffer(size));
  for (const [index, value] of values) view.setBigUint64(8 * index, value, true);
  return Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 * i, true));
};

/** From EL2 with the MMU off to EL1t with it on; `strict`: every access must be aligned. */
function start(strict: boolean, entry: number): number[] {
  const set = (name: string, value: number | bigint) => [...a64.mov(0, value), a64.msr(name, 0)];
  const EL1T_MASKED = 0x3c4;
  return [
    ...set("HCR_EL2", (1n << 31n) | (3n << 40n)), // RW, no traps of pointer authentication
    ...set("CPTR_EL2", 0x33ff),
    ...set("CPACR_EL1", 3 << 20),
    ...set("MAIR_EL1", 0xff),
    ...set("TCR_EL1", 25n | (1n << 23n) | (1n << 32n)), // 39 bits, 4K, TTBR0 only, 36 bits of PA
    ...set("TTBR0_EL1", at(m.TABLES.l1)),
    ...set("SCTLR_EL1", 0x30d0_198d | (strict ? 2 : 0)), // M, C, I, SA, SPAN and RES1
    ...set("VBAR_EL1", at(m.VECTORS)),
    ...set("SP_EL1", at(m.STATE)),
    ...set("SPSR_EL2", EL1T_MASKED),
    ...set("ELR_EL2", entry),
    a64.ISB,
    a64.ERET,
  ];
}

/** Code in front of a loop: its register state, then X27 rounds. */
function prepare(index: number, rounds: number): number[] {
  const out = a64.mov(0, at(m.STARTS) + 1024 * index);
  for (let v = 0; v < 32; v += 2) out.push(m.ldpQ(v, v + 1, 0, Rec.V + 16 * v));
  out.push(a64.ldr64(1, 0, Rec.NZCV), m.msrNzcv(1), a64.ldr64(1, 0, Rec.FPCR), m.msrFpcr(1), m.msrFpsr(31));
  out.push(a64.ldr64(1, 0, Rec.SP), a64.addImm(31, 1, 0));
  for (let r = 30; r >= 0; r -= 2) out.push(r === 30 ? a64.ldr64(30, 0, 240) : m.ldp(r, r + 1, 0, 8 * r));
  return [...out, ...a64.mov(ROUNDS, rounds)];
}

function startState(rng: Random): Uint8Array {
  const r = randomRegisters(rng);
  for (const p of POINTERS) r.setX(p, BigInt(m.POINTERS_VA + (rng.below(0x1_0000) & -16)));
  for (const i of INDICES) r.setX(i, BigInt(rng.below(4) > 0 ? rng.below(64) : 8 * rng.below(2000)));
  r.setX(BASE, BigInt(m.POINTERS_VA));
  // DN, FZ and the rounding mode in some.
  if (rng.below(2) === 0) r.fpcr = rng.below(16) << 22;
  return r.bytes;
}

export function pagingGuest(seed: number, loops: number, rounds: number): Guest {
  const rng = new Random(seed);
  const writer = new LoopWriter(rng);
  const keep = 1 + rng.below(3);
  const l1 = new Map([
    [1, 0x4000_0000n | 0x701n], // the gigabyte with the RAM: itself
    [2, BigInt(at(m.TABLES.l2)) | 3n],
  ]);
  const place = (index: number) => m.LOOPS + index * m.LOOP_BYTES;
  const vectors = Array.from({ length: 512 }, () => a64.b(0));
  vectors[0] = a64.b((m.HANDLER - m.VECTORS) / 4);
  const pieces: Record<number, readonly number[]> = {
    [m.VECTORS]: vectors,
    [m.TABLES.l1]: words64(l1, 4096),
    [m.TABLES.l2]: words64(new Map([[0, BigInt(at(m.TABLES.l3)) | 3n]]), 4096),
    [m.TABLES.l3]: words64(new Map(), 4096),
    [m.STATE]: words64(new Map([[m.State.next / 8, BigInt(m.LOG)]]), 256),
    [m.HANDLER]: handler(keep),
    [place(loops)]: [a64.b(0)],
  };
  for (let index = 0; index < loops; index++) {
    const before = prepare(index, rounds);
    const { body, callee } = writer.loop(before.length);
    const code = [...before, ...body, a64.UDF];
    pieces[place(index)] = [...code, a64.b(m.LOOP_BYTES / 4 - code.length)];
    pieces[place(index) + 4096] = callee;
    pieces[m.STARTS + 1024 * index] = [...new Uint32Array(startState(rng).slice().buffer)];
  }
  const image = a64.image(start(rng.below(4) === 0, at(place(0))), pieces);
  return { image, loops, end: at(place(loops)) };
}

// ---- a run ------------------------------------------------------------------------------------------------------------------------

export interface Run {
  /** Records of all exceptions. */
  readonly log: Uint8Array;
  readonly data: Uint8Array;
  /** At the end of each slice: PC, retired instructions, registers. */
  readonly slices: readonly string[];
  readonly translations: number;
}

/** Runs the guest to its end, in slices of random lengths, the same for the same seed. */
export async function runPaging(guest: Guest, engine: Engine, seed: number): Promise<Run> {
  const machine = await Machine.create({ engine, kernel: guest.image, memory: m.MEMORY });
  tune(machine, EAGER);
  const rng = new Random(seed);
  machine.writeMemory(m.DATA, new Uint8Array(Uint32Array.from({ length: m.DATA_PAGES * 1024 }, () => rng.u32()).buffer));
  const pe = machine.pe();
  const slices: string[] = [];
  for (let n = 0; n < 20_000 && pe.pc !== BigInt(guest.end); n++) {
    await machine.runInstructions(1 + rng.below(rng.below(8) === 0 ? 100_000 : 3000));
    const x = Array.from({ length: 31 }, (_, i) => pe.x(i).toString(16)).join(" ");
    const v = Array.from({ length: 32 }, (_, i) => Buffer.from(pe.v(i)).toString("hex")).join(" ");
    slices.push(
      `${pe.pc.toString(16)} ${machine.instructions} ${pe.sp.toString(16)} ${pe.nzcv.toString(16)} ${x} ${v} ${pe.sysreg("FPSR")}`,
    );
  }
  const next = new DataView(machine.readMemory(at(m.STATE) + m.State.next, 8).buffer).getUint32(0, true);
  return {
    log: machine.readMemory(m.LOG, next - m.LOG),
    data: machine.readMemory(m.DATA, m.DATA_PAGES * 4096),
    slices,
    translations: machine.board.executor.translations?.regions ?? 0,
  };
}

// ---- records ----------------------------------------------------------------------------------------------------------------------

const value = (log: Uint8Array, n: number, field: number): bigint =>
  new DataView(log.buffer, log.byteOffset + n * m.RECORD).getBigUint64(field, true);
const exceptionClass = (log: Uint8Array, n: number): number => Number(value(log, n, Field.ESR) >> 26n);

export const recordsOf = (run: Run): number => run.log.length / m.RECORD;
/** Data aborts by fault status without the level: 1 translation, 2 access flag, 3 permission, 8 alignment. */
export function aborts(run: Run): Map<number, number> {
  const out = new Map<number, number>();
  for (let n = 0; n < recordsOf(run); n++) {
    if (exceptionClass(run.log, n) !== EC_DATA_ABORT) continue;
    const status = Number((value(run.log, n, Field.ESR) >> 2n) & 15n);
    out.set(status, (out.get(status) ?? 0) + 1);
  }
  return out;
}
/** Loops that have come to their end. */
export function finished(run: Run, guest: Guest): boolean {
  const last = recordsOf(run) - 1;
  return last >= 0 && exceptionClass(run.log, last) === EC_UNKNOWN && value(run.log, last, Field.ELR) > BigInt(guest.end - m.LOOP_BYTES);
}

/** What differs between two runs, with the code around; empty when nothing does. */
export function differencesOf(guest: Guest, expected: Run, got: Run): string[] {
  const count = Math.min(recordsOf(expected), recordsOf(got));
  for (let n = 0; n < count; n++) {
    const [ours, theirs] = [expected.log, got.log].map((l) => l.subarray(n * m.RECORD, (n + 1) * m.RECORD)) as [Uint8Array, Uint8Array];
    if (Buffer.compare(ours, theirs) !== 0) return [`exception ${n}:`, ...recordDifferences(ours, theirs), ...listing(guest, ours)];
  }
  const out: string[] = [];
  if (recordsOf(expected) !== recordsOf(got)) out.push(`${recordsOf(got)} exceptions, not ${recordsOf(expected)}`);
  const slice = expected.slices.findIndex((s, i) => s !== got.slices[i]);
  if (slice >= 0) out.push(`end of slice ${slice}:`, expected.slices[slice] as string, got.slices[slice] ?? "none");
  if (Buffer.compare(expected.data, got.data) !== 0) out.push("memory differs");
  return out;
}

function recordDifferences(ours: Uint8Array, theirs: Uint8Array): string[] {
  const out: string[] = [];
  const names = new Map<number, string>(Object.entries(Field).map(([name, off]) => [off, name]));
  for (let r = 0; r < 31; r++) names.set(8 * r, `X${r}`);
  for (let r = 0; r < 32; r++) names.set(Field.V + 16 * r, `V${r}`).set(Field.V + 16 * r + 8, `V${r} high`);
  for (const [off, name] of names) {
    const [a, b] = [ours, theirs].map((l) => value(l, 0, off).toString(16));
    if (a !== b) out.push(`  ${name} ${b}, not ${a}`);
  }
  return out;
}
/** The loop in which the exception was taken. */
function listing(guest: Guest, record: Uint8Array): string[] {
  const elr = Number(value(record, 0, Field.ELR));
  const code = new DataView(guest.image.buffer, guest.image.byteOffset);
  const from = Math.max(0, elr - a64.ORIGIN - 160) & -4;
  return Array.from({ length: 60 }, (_, i) => {
    const pc = from + 4 * i;
    return `${pc + a64.ORIGIN === elr ? "> " : "  "}${disassemble(code.getUint32(pc, true), BigInt(pc + a64.ORIGIN))}`;
  });
}
