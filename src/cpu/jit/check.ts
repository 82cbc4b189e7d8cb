// `--engine check`: every run of translated code is done again by the interpreter from the same state, and the results are compared.
//
// While a check is under way the L1 TLB for writes is hidden, so that each write asks for its address: what it covers is remembered
// before it changes. After the translated code has run, memory and PE are put back, and the interpreter executes as many instructions.
// The interpreter's result stands. Instructions that translated code leaves to the interpreter are executed once and not compared.

import { EMPTY_TLB, Off } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";
import { EmuError } from "../../util/errors.ts";
import { accessBytes, Kind } from "../emit/access.ts";
import { REDIRECT } from "../interp/page.ts";

/** Translated code; like a handler. */
export type Translated = (pe: number, ip: number, insn: number) => number;

/** What explains a difference. */
export interface Evidence {
  /** The code writes system registers. */
  readonly system: boolean;
  /** Guest code, one line per instruction. */
  listing(): string[];
  /** The translation: files by name. */
  files(): { readonly name: string; readonly data: string | Uint8Array }[];
}

/** A difference between engines; `files` hold the translation that is at fault. */
export class EngineDifference extends EmuError {
  readonly files: readonly { readonly name: string; readonly data: string | Uint8Array }[];

  constructor(message: string, files: EngineDifference["files"]) {
    super("engine-difference", message);
    this.files = files;
  }
}

/** Memory is compared in pieces of this many bytes. */
const GRANULE = 16;
interface Piece {
  readonly before: Uint8Array;
  translated: Uint8Array;
}

/** Part of a PE block that instructions may change; and the part without system registers. */
const STATE_BYTES = Off.SRMAP;
const PLAIN_BYTES = Off.GUARDED + 4;

export class Checker {
  /** Runs that were compared, and their instructions. */
  runs = 0;
  instructions = 0;
  private readonly plain: (pe: number, ip: number) => number;
  private readonly jump: (pe: number) => number;
  private readonly pieces = new Map<number, Piece>();
  private readonly before = new Uint8Array(STATE_BYTES);
  private readonly translated = new Uint8Array(STATE_BYTES);
  private readonly interpreted = new Uint8Array(STATE_BYTES);
  private active = false;

  constructor(plain: (pe: number, ip: number) => number, jump: (pe: number) => number) {
    this.plain = plain;
    this.jump = jump;
  }

  /** An access of `kind` is about to be made at `host`: told by the slow path, -1 meaning that it is not made there. */
  touched(st: PeState, kind: number, host: number): void {
    if (!this.active || host === -1 || (kind & (Kind.STORE | Kind.ATOMIC | Kind.ZVA)) === 0) return;
    const at = host >>> 0;
    const end = at + accessBytes(kind);
    for (let piece = at - (at % GRANULE); piece < end; piece += GRANULE) {
      if (this.pieces.has(piece)) continue;
      const before = st.u8.slice(piece, piece + GRANULE);
      this.pieces.set(piece, { before, translated: before });
    }
  }

  /** Runs translated code from the entry `ip` under check; continues at Off.PC. `run` must not execute what it leaves to the interpreter. */
  run(st: PeState, ip: number, run: Translated, evidence: Evidence): number {
    const { before, translated } = this;
    const bytes = evidence.system ? STATE_BYTES : PLAIN_BYTES;
    copyState(st, before, bytes);
    const start = (st.lo(Off.BUDGET) | 0) - (ip >>> 3);
    const [write, writeUser] = [st.lo(Off.TLB_W), st.lo(Off.TLB_UW)];
    const hide = () => {
      st.setLo(Off.TLB_W, EMPTY_TLB);
      st.setLo(Off.TLB_UW, EMPTY_TLB);
    };
    const reveal = () => {
      st.setLo(Off.TLB_W, write);
      st.setLo(Off.TLB_UW, writeUser);
    };
    this.pieces.clear();
    this.active = true;
    hide();
    settle(st, run(st.base, ip, st.u32[(ip + 4) >> 2] as number));
    reveal();
    const left = st.lo(Off.BUDGET) | 0;
    const retired = start - left;
    copyState(st, translated, bytes);
    this.rollBack(st, before, bytes);
    if (retired > 0) {
      hide();
      st.setLo(Off.BUDGET, retired + (ip >>> 3));
      this.interpret(st, ip);
      reveal();
      st.setLo(Off.BUDGET, left);
    } else settle(st, ip);
    this.active = false;
    copyState(st, this.interpreted, bytes);
    this.compare(st, evidence);
    this.runs++;
    this.instructions += retired;
    if (retired > 0) return REDIRECT;
    st.setLo(Off.BUDGET, start + (ip >>> 3));
    return this.plain(st.base, ip);
  }

  /** Executes until the budget is used up, or an exception is taken. */
  private interpret(st: PeState, ip: number): void {
    let at = ip;
    while (at >= 0 && (st.lo(Off.BUDGET) | 0) - (at >>> 3) > 0) {
      at = this.plain(st.base, at);
      // A region goes on in other pages.
      if (at === REDIRECT && (st.lo(Off.BUDGET) | 0) > 0) at = this.jump(st.base);
    }
    settle(st, at);
  }
  private rollBack(st: PeState, before: Uint8Array, bytes: number): void {
    for (const [at, piece] of this.pieces) {
      piece.translated = st.u8.slice(at, at + GRANULE);
      st.u8.set(piece.before, at);
    }
    st.u8.set(before.subarray(0, bytes), st.base);
  }

  private compare(st: PeState, evidence: Evidence): void {
    const { before, translated, interpreted } = this;
    const lines = sameState(interpreted, translated, evidence.system) ? [] : differences(interpreted, translated, before);
    for (const [at, { before: old, translated: data }] of this.pieces) {
      const ours = st.u8.subarray(at, at + GRANULE);
      if (ours.every((b, i) => b === data[i])) continue;
      lines.push(`  memory at ${at.toString(16)}: interpreter ${hexBytes(ours)}, translation ${hexBytes(data)}, before ${hexBytes(old)}`);
    }
    if (lines.length === 0) return;
    const message = ["translated code and the interpreter differ", ...lines, "code:", ...evidence.listing().map((l) => `  ${l}`)];
    const state = [...fieldsOf(before)].filter(([name]) => !name.startsWith("system")).map(([name, value]) => `  ${name} ${value}`);
    throw new EngineDifference([...message, "state before:", ...state].join("\n"), evidence.files());
  }
}

const copyState = (st: PeState, to: Uint8Array, bytes: number): void => to.set(st.u8.subarray(st.base, st.base + bytes));

/** JavaScript form: PC and remaining budget, whatever the answer was. */
function settle(st: PeState, answer: number): void {
  if (answer < 0) return;
  st.set(Off.PC, BigInt.asUintN(64, st.get(Off.PCBASE) + BigInt(answer >>> 1)));
  st.setLo(Off.BUDGET, (st.lo(Off.BUDGET) | 0) - (answer >>> 3));
}

/** Ranges whose bytes must be equal; where they are not, or outside, fieldsOf decides. */
const exact = [
  [Off.X, Off.NF],
  [Off.V, Off.FPTRAP],
  [Off.SYSREGS, STATE_BYTES],
] as const;
function sameState(a: Uint8Array, b: Uint8Array, system: boolean): boolean {
  const [x, y] = [new Uint32Array(a.buffer), new Uint32Array(b.buffer)];
  for (const [from, to] of system ? exact : exact.slice(0, 2)) for (let i = from >> 2; i < to >> 2; i++) if (x[i] !== y[i]) return false;
  for (const [, off] of words) if (x[off >> 2] !== y[off >> 2]) return false;
  const of = (w: Uint32Array, off: number) => w[off >> 2] as number;
  const zero = (w: Uint32Array) => (of(w, Off.ZF) | of(w, Off.ZF + 4)) === 0;
  const signs = [Off.NF + 4, Off.VF + 4].every((off) => (of(x, off) ^ of(y, off)) >>> 31 === 0);
  const carry = ((of(x, Off.CF) ^ of(y, Off.CF)) & 1) === 0;
  const monitor = of(x, Off.EXSIZE) === of(y, Off.EXSIZE) && (of(x, Off.EXSIZE) === 0 || of(x, Off.EXADDR) === of(y, Off.EXADDR));
  const pc = of(x, Off.PC) === of(y, Off.PC) && of(x, Off.PC + 4) === of(y, Off.PC + 4);
  return signs && carry && monitor && pc && zero(x) === zero(y);
}
function differences(ours: Uint8Array, theirs: Uint8Array, before: Uint8Array): string[] {
  const [a, b, c] = [fieldsOf(ours), fieldsOf(theirs), fieldsOf(before)];
  return [...a]
    .filter(([name, value]) => b.get(name) !== value)
    .map(([name, value]) => `  ${name}: interpreter ${value}, translation ${b.get(name)}, before ${c.get(name)}`);
}

/** What is compared, by name, in hexadecimal. NZCV has more than one form in memory. */
function fieldsOf(state: Uint8Array): Map<string, string> {
  const view = new DataView(state.buffer, state.byteOffset);
  const u64 = (off: number) => view.getBigUint64(off, true).toString(16).padStart(16, "0");
  const u32 = (off: number) => view.getUint32(off, true).toString(16).padStart(8, "0");
  const out = new Map<string, string>();
  for (let r = 0; r <= 32; r++) out.set(r === 31 ? "xzr" : r === 32 ? "sp" : `x${r}`, u64(Off.X + 8 * r));
  const z = view.getBigUint64(Off.ZF, true) === 0n;
  const sign = (off: number) => view.getInt32(off + 4, true) < 0;
  const bits = [sign(Off.NF), z, (view.getUint32(Off.CF, true) & 1) !== 0, sign(Off.VF)];
  out.set("nzcv", bits.map((b, i) => (b ? "NZCV"[i] : "-")).join(""));
  out.set("pc", u64(Off.PC));
  const exclusive = view.getUint32(Off.EXSIZE, true);
  out.set("exclusive", exclusive === 0 ? "none" : `${exclusive} at ${u32(Off.EXADDR)}`);
  for (const [name, off] of words) out.set(name, u32(off));
  for (let r = 0; r < 32; r++) out.set(`v${r}`, u64(Off.V + 16 * r + 8) + u64(Off.V + 16 * r));
  for (let at: number = Off.SYSREGS; at < STATE_BYTES; at += 8) out.set(`system register at ${at.toString(16)}`, u64(at));
  return out;
}
const words = [
  ["btype", Off.BTYPE],
  ["daif", Off.DAIF],
  ["el", Off.EL],
  ["halt", Off.HALT],
  ["event", Off.EVENT],
  ["fpcr", Off.FPCR],
  ["fpsr", Off.FPSR],
] as const;

const hexBytes = (b: Uint8Array) => [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
