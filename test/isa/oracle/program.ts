// Builds a static AArch64 Linux program, as an ELF file, that runs single instructions on given register states.
//
// For each record the program loads every register (and the data window) from it, executes the one instruction, and stores
// everything back into the same record; then it writes all records to standard output. A signal (SIGILL, SIGSEGV, ...) is noted
// in the record together with the registers and PC at that moment: a taken branch lands on zero words (UDF) and is reported so.
// No register is free while the instruction runs, so the way in is: X29 = stub address, X30 = record; the stub reloads both.
// The way out parks X30 in TPIDR_EL0, finds the record through a literal, and stores the rest.

/**
 * Offsets in a record, bytes. 64-bit fields except V. X, SP: the order of the kernel's sigcontext. ADDRESS: where the instruction
 * stands. PC: where execution went on. WINDOW: the data window, present in programs with memory only.
 */
export const Rec = {
  X: 0,
  SP: 248,
  V: 256,
  NZCV: 768,
  FPCR: 776,
  FPSR: 784,
  STUB: 792,
  SIGNAL: 800,
  PC: 808,
  ADDRESS: 816,
  SIZE: 832,
  WINDOW: 832,
  WINDOW_BYTES: 512,
} as const;

/** Virtual address of the data window, and of the page that holds it. */
export const WINDOW = 0x3c_0700;
export const DATA_PAGE = 0x3c_0000;

const BASE = 0x40_0000;
/** Segments without file contents: address, bytes. The data page, and zero words for branches to land on. */
const SEGMENTS = [
  { at: DATA_PAGE, bytes: 0x2000 },
  { at: 0x31_0000, bytes: 0x1_0000 },
  { at: 0x3f_8000, bytes: 0x8000 },
  { at: 0x7f0_0000, bytes: 0x1_0000 },
] as const;
/** Where the address of the present record stands: off the code pages, as a write to one makes the emulator translate it anew. */
const CURRENT = DATA_PAGE + 0x1000;
const HEADER = 64 + 56 * (1 + SEGMENTS.length);
/** Zero words between the stubs and the records. */
const GAP_BYTES = 0x3000;
/** Address ranges where branches may land (first byte, bytes): reachable from every stub by TBZ; by B.cond; by B. */
export const landings = { near: { at: 0x3f_e000, bytes: 0x2000 }, middle: SEGMENTS[1], far: SEGMENTS[3] } as const;
/** Stubs of a program for branches end below this distance from their start, so that `landings.near` is in reach. */
export const NEAR_STEPS = 512;

class Code {
  readonly words: number[] = [];
  readonly labels = new Map<string, number>();
  readonly fixups: { at: number; label: string; kind: "b26" | "imm19" }[] = [];

  emit(...words: number[]): void {
    for (const w of words) this.words.push(w >>> 0);
  }
  label(name: string): void {
    this.labels.set(name, this.words.length);
  }
  ref(word: number, label: string, kind: "b26" | "imm19"): void {
    this.fixups.push({ at: this.words.length, label, kind });
    this.emit(word);
  }
  data64(label: string, value: number): void {
    if (this.words.length & 1) this.emit(0xd503201f);
    this.label(label);
    this.emit(value, 0);
  }
  resolve(): void {
    for (const f of this.fixups) {
      const target = f.label === "cur" ? (CURRENT - BASE - HEADER) / 4 : this.labels.get(f.label);
      if (target === undefined) throw new Error(`no label ${f.label}`);
      const d = target - f.at;
      const field = f.kind === "b26" ? d & 0x3ff_ffff : (d & 0x7_ffff) << 5;
      this.words[f.at] = ((this.words[f.at] as number) | field) >>> 0;
    }
  }
}

const ldr = (t: number, n: number, off: number): number => 0xf9400000 | ((off / 8) << 10) | (n << 5) | t;
const str = (t: number, n: number, off: number): number => 0xf9000000 | ((off / 8) << 10) | (n << 5) | t;
const ldp = (t: number, t2: number, n: number, off: number): number => 0xa9400000 | ((off / 8) << 15) | (t2 << 10) | (n << 5) | t;
const stp = (t: number, t2: number, n: number, off: number): number => 0xa9000000 | ((off / 8) << 15) | (t2 << 10) | (n << 5) | t;
const ldpq = (t: number, n: number, off: number): number => 0xad400000 | ((off / 16) << 15) | ((t + 1) << 10) | (n << 5) | t;
const stpq = (t: number, n: number, off: number): number => 0xad000000 | ((off / 16) << 15) | ((t + 1) << 10) | (n << 5) | t;
const movz = (d: number, imm: number): number => 0xd2800000 | (imm << 5) | d;
const SVC = 0xd4000001;
const MSR = { NZCV: 0xd51b4200, FPCR: 0xd51b4400, FPSR: 0xd51b4420, TPIDR: 0xd51bd040 };
const MRS = { NZCV: 0xd53b4200, FPCR: 0xd53b4400, FPSR: 0xd53b4420, TPIDR: 0xd53bd040 };
const addImm = (d: number, n: number, imm: number): number => 0x91000000 | (imm << 10) | (n << 5) | d;
const MOV_SP_X0 = 0x9100001f;
const MOV_X0_SP = 0x910003e0;
/** ADR and LDR (literal): word-aligned distances only, so ADR's immlo stays zero. */
const ADR = 0x10000000;
const LDR_LIT = 0x58000000;
const SIGNALS = [4, 5, 7, 8, 11];
/** The ucontext that Linux passes to a handler: uc_mcontext at 176, then fault address, X0-X30, SP, PC, PSTATE. */
const Uc = { X: 184, PC: 440, PSTATE: 448 } as const;
/** AND X6, X6, #0xf0000000. */
const AND_X6_NZCV = 0x92400000 | (36 << 16) | (3 << 10) | (6 << 5) | 6;

/** Copies the data window: `source` and `target` are registers holding addresses; V0 and V1 are lost. */
function copyWindow(c: Code, source: number, target: number): void {
  for (let i = 0; i < Rec.WINDOW_BYTES; i += 32) c.emit(ldpq(0, source, i), stpq(0, target, i));
}

function runtime(records: { at: number; end: number; stride: number }): Code {
  const memory = records.stride > Rec.SIZE;
  const c = new Code();
  // Entry: alternate signal stack, handlers.
  c.ref(ADR, "altstack", "imm19"); // x0
  c.emit(movz(1, 0), movz(8, 132), SVC);
  for (const sig of SIGNALS) {
    c.emit(movz(0, sig));
    c.ref(ADR | 1, "sigaction", "imm19");
    c.emit(movz(2, 0), movz(3, 8), movz(8, 134), SVC);
  }
  c.ref(LDR_LIT | 0, "start", "imm19");
  c.ref(ADR | 1, "cur", "imm19");
  c.emit(str(0, 1, 0));
  c.label("load");
  c.ref(LDR_LIT | 30, "cur", "imm19");
  if (memory) {
    c.emit(addImm(1, 30, Rec.WINDOW));
    c.ref(LDR_LIT | 2, "window", "imm19");
    copyWindow(c, 1, 2);
  }
  c.emit(ldr(0, 30, Rec.SP), MOV_SP_X0);
  c.emit(ldr(0, 30, Rec.FPCR), MSR.FPCR, ldr(0, 30, Rec.FPSR), MSR.FPSR);
  for (let i = 0; i < 32; i += 2) c.emit(ldpq(i, 30, Rec.V + 16 * i));
  c.emit(ldr(0, 30, Rec.NZCV), MSR.NZCV);
  for (let i = 0; i < 28; i += 2) c.emit(ldp(i, i + 1, 30, 8 * i));
  c.emit(ldr(28, 30, 8 * 28), ldr(29, 30, Rec.STUB), 0xd61f0000 | (29 << 5)); // BR X29
  c.label("save");
  c.emit(MSR.TPIDR | 30);
  c.ref(LDR_LIT | 30, "cur", "imm19");
  for (let i = 0; i < 30; i += 2) c.emit(stp(i, i + 1, 30, 8 * i));
  c.emit(MRS.TPIDR, str(0, 30, 8 * 30), MRS.NZCV, str(0, 30, Rec.NZCV), MOV_X0_SP, str(0, 30, Rec.SP));
  for (let i = 0; i < 32; i += 2) c.emit(stpq(i, 30, Rec.V + 16 * i));
  c.emit(MRS.FPCR, str(0, 30, Rec.FPCR), MRS.FPSR, str(0, 30, Rec.FPSR));
  c.label("next");
  c.ref(LDR_LIT | 0, "cur", "imm19");
  if (memory) {
    c.emit(addImm(1, 0, Rec.WINDOW));
    c.ref(LDR_LIT | 2, "window", "imm19");
    copyWindow(c, 2, 1);
  }
  c.emit(addImm(0, 0, records.stride));
  c.ref(ADR | 1, "cur", "imm19");
  c.emit(str(0, 1, 0));
  c.ref(LDR_LIT | 2, "end", "imm19");
  c.emit(0xeb02001f); // CMP X0, X2
  c.ref(0x54000003, "load", "imm19"); // B.LO
  // write(1, records, length) until all is written, then exit_group(0).
  c.ref(LDR_LIT | 9, "start", "imm19");
  c.label("write");
  c.ref(LDR_LIT | 10, "end", "imm19");
  c.emit(movz(0, 1), 0xaa0903e1, 0xcb090142, movz(8, 64), SVC); // MOV X1, X9; SUB X2, X10, X9
  c.emit(0x8b000129, 0xeb0a013f); // ADD X9, X9, X0; CMP X9, X10
  c.ref(0x54000003, "write", "imm19");
  c.emit(movz(0, 0), movz(8, 94), SVC);
  // Handler(X0 = signal, X2 = ucontext): note signal, X0-X30, SP, PC and NZCV, continue at `next`.
  c.label("handler");
  c.ref(LDR_LIT | 3, "cur", "imm19");
  c.emit(str(0, 3, Rec.SIGNAL), addImm(5, 2, Uc.X));
  for (let i = 0; i < 32; i += 2) c.emit(ldp(6, 7, 5, 8 * i), stp(6, 7, 3, Rec.X + 8 * i));
  c.emit(ldr(6, 2, Uc.PC), str(6, 3, Rec.PC), ldr(6, 2, Uc.PSTATE), AND_X6_NZCV, str(6, 3, Rec.NZCV));
  c.ref(ADR | 4, "next", "imm19");
  c.emit(str(4, 2, Uc.PC), 0xd65f03c0);
  c.label("restorer");
  c.emit(movz(8, 139), SVC);
  c.data64("start", records.at);
  c.data64("end", records.end);
  c.data64("window", WINDOW);
  // struct sigaction { handler, flags = SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_NODEFER, restorer, mask }
  const here = (label: string): number => BASE + HEADER + 4 * (c.labels.get(label) as number);
  c.data64("sigaction", here("handler"));
  c.emit(0x4c000004, 0, here("restorer"), 0, 0, 0);
  // stack_t { sp, flags, size }
  c.data64("altstack", 0);
  c.emit(0, 0, 0x1_0000, 0);
  return c;
}

/** One instruction and the state it starts from. */
export interface Step {
  /** The word, or the word for the address it will stand at. */
  readonly insn: number | ((address: number) => number);
  /** An instruction to execute directly before. */
  readonly prefix?: number | undefined;
  /** Rec.SIZE bytes laid out as `Rec`. */
  readonly record: Uint8Array;
  /** Rec.WINDOW_BYTES bytes of the data window; all steps of a program have one or none has. */
  readonly window?: Uint8Array | undefined;
}

/** The program, and the address of each step's instruction. */
export interface Program {
  readonly file: Uint8Array;
  readonly stride: number;
  readonly addresses: readonly number[];
}

/**
 * The ELF file that runs `steps` in order and writes their final records, `stride` bytes each, to standard output. Neighbouring
 * steps with the same `insn` and prefix share a stub, which saves the emulator translations.
 */
export function buildProgram(steps: readonly Step[]): Program {
  const stride = Rec.SIZE + (steps[0]?.window ? Rec.WINDOW_BYTES : 0);
  const stubs = runtime({ at: 0, end: 0, stride }).words.length;
  const at = placeStubs(steps, stubs);
  const records = (HEADER + 4 * at.end + GAP_BYTES + 15) & ~15;
  const end = records + steps.length * stride;
  const c = runtime({ at: BASE + records, end: BASE + end, stride });
  const altstack = c.labels.get("altstack") as number;
  c.words[altstack] = BASE + ((end + 15) & ~15);
  const addresses = steps.map((s, i) => BASE + HEADER + 4 * ((at.stubs[i] as number) + (s.prefix === undefined ? 1 : 2)));
  steps.forEach((step, i) => {
    if (at.stubs[i] !== c.words.length) return;
    c.emit(ldp(29, 30, 30, 8 * 29));
    if (step.prefix !== undefined) c.emit(step.prefix);
    c.emit(typeof step.insn === "number" ? step.insn : step.insn(addresses[i] as number));
    c.ref(0x14000000, "save", "b26");
  });
  c.resolve();
  const file = new Uint8Array(end);
  const view = new DataView(file.buffer);
  elfHeader(view, end);
  c.words.forEach((w, i) => {
    view.setUint32(HEADER + 4 * i, w, true);
  });
  steps.forEach((step, i) => {
    const record = records + i * stride;
    file.set(step.record, record);
    if (step.window) file.set(step.window, record + Rec.WINDOW);
    const set = (off: number, value: number): void => view.setUint32(record + off, value, true); // upper halves are zero
    set(Rec.STUB, BASE + HEADER + 4 * (at.stubs[i] as number));
    set(Rec.SIGNAL, 0);
    set(Rec.ADDRESS, addresses[i] as number);
    set(Rec.PC, (addresses[i] as number) + 4);
  });
  return { file, stride, addresses };
}

/** Word index of each step's stub, from `first`. */
function placeStubs(steps: readonly Step[], first: number): { stubs: number[]; end: number } {
  const stubs: number[] = [];
  let at = first;
  let start = first;
  steps.forEach((step, i) => {
    const before = steps[i - 1];
    if (before?.insn !== step.insn || before.prefix !== step.prefix) {
      start = at;
      at += step.prefix === undefined ? 3 : 4;
    }
    stubs.push(start);
  });
  return { stubs, end: at };
}

function elfHeader(view: DataView, fileSize: number): void {
  const u16 = (at: number, v: number): void => view.setUint16(at, v, true);
  const u64 = (at: number, v: number): void => view.setBigUint64(at, BigInt(v), true);
  view.setUint32(0, 0x7f454c46); // magic
  view.setUint32(4, 0x02010100); // 64-bit, little-endian, version 1
  u16(16, 2); // ET_EXEC
  u16(18, 183); // EM_AARCH64
  view.setUint32(20, 1, true);
  u64(24, BASE + HEADER);
  u64(32, 64); // program headers
  u16(52, 64);
  u16(54, 56);
  u16(56, 1 + SEGMENTS.length);
  const load = (ph: number, at: number, fileBytes: number, bytes: number): void => {
    view.setUint32(ph, 1, true); // PT_LOAD
    view.setUint32(ph + 4, 7, true); // RWX
    u64(ph + 8, 0);
    u64(ph + 16, at);
    u64(ph + 24, at);
    u64(ph + 32, fileBytes);
    u64(ph + 40, bytes);
    u64(ph + 48, 0x1000);
  };
  load(64, BASE, fileSize, fileSize + 0x2_0000); // + signal stack
  SEGMENTS.forEach((s, i) => {
    load(64 + 56 * (i + 1), s.at, 0, s.bytes);
  });
}
