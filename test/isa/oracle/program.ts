// Builds a static AArch64 Linux program, as an ELF file, that runs single instructions on given register states.
//
// For each record the program loads every register from it, executes the one instruction, and stores every register back into the
// same record; then it writes all records to standard output. A signal (SIGILL, SIGSEGV, ...) is noted in the record instead.
// No register is free while the instruction runs, so the way in is: X29 = stub address, X30 = record; the stub reloads both.
// The way out parks X30 in TPIDR_EL0, finds the record through a literal, and stores the rest.

/** Offsets in a record, bytes. 64-bit fields except V. */
export const Rec = { X: 0, SP: 248, V: 256, NZCV: 768, FPCR: 776, FPSR: 784, STUB: 792, SIGNAL: 800, SIZE: 816 } as const;

const BASE = 0x40_0000;
const HEADER = 64 + 56;
const STUB_BYTES = 12;

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
      const target = this.labels.get(f.label);
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
const MOV_SP_X0 = 0x9100001f;
const MOV_X0_SP = 0x910003e0;
/** ADR and LDR (literal): word-aligned distances only, so ADR's immlo stays zero. */
const ADR = 0x10000000;
const LDR_LIT = 0x58000000;
const SIGNALS = [4, 5, 7, 8, 11];
/** pc in the ucontext that Linux passes to a handler: uc_mcontext at 176, then fault address, X0-X30, SP, PC. */
const UC_PC = 440;

function runtime(records: { at: number; end: number }): Code {
  const c = new Code();
  // Entry: alternate signal stack, handlers.
  c.ref(ADR, "altstack", "imm19"); // x0
  c.emit(movz(1, 0), movz(8, 132), SVC);
  for (const sig of SIGNALS) {
    c.emit(movz(0, sig));
    c.ref(ADR | 1, "sigaction", "imm19");
    c.emit(movz(2, 0), movz(3, 8), movz(8, 134), SVC);
  }
  c.label("load");
  c.ref(LDR_LIT | 30, "cur", "imm19");
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
  c.emit(0x91000000 | (Rec.SIZE << 10)); // ADD X0, X0, #SIZE
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
  // Handler(X0 = signal, X2 = ucontext): note the signal, continue at `next`.
  c.label("handler");
  c.ref(LDR_LIT | 3, "cur", "imm19");
  c.emit(str(0, 3, Rec.SIGNAL));
  c.ref(ADR | 4, "next", "imm19");
  c.emit(str(4, 2, UC_PC), 0xd65f03c0);
  c.label("restorer");
  c.emit(movz(8, 139), SVC);
  c.data64("cur", records.at);
  c.data64("start", records.at);
  c.data64("end", records.end);
  // struct sigaction { handler, flags = SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_NODEFER, restorer, mask }
  const here = (label: string): number => BASE + HEADER + 4 * (c.labels.get(label) as number);
  c.data64("sigaction", here("handler"));
  c.emit(0x4c000004, 0, here("restorer"), 0, 0, 0);
  // stack_t { sp, flags, size }
  c.data64("altstack", 0);
  c.emit(0, 0, 0x1_0000, 0);
  return c;
}

/** One instruction and the state it starts from; `record` has Rec.SIZE bytes laid out as `Rec`. */
export interface Step {
  readonly insn: number;
  readonly record: Uint8Array;
}

/** The ELF file that runs `steps` in order and writes their final records, Rec.SIZE bytes each, to standard output. */
export function buildProgram(steps: readonly Step[]): Uint8Array {
  const size = runtime({ at: 0, end: 0 }).words.length * 4;
  const stubs = HEADER + size;
  const records = (stubs + steps.length * STUB_BYTES + 15) & ~15;
  const end = records + steps.length * Rec.SIZE;
  const c = runtime({ at: BASE + records, end: BASE + end });
  const altstack = c.labels.get("altstack") as number;
  c.words[altstack] = BASE + ((end + 15) & ~15);
  steps.forEach((step, i) => {
    c.label(`stub${i}`);
    c.emit(ldp(29, 30, 30, 8 * 29), step.insn);
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
    const at = records + i * Rec.SIZE;
    file.set(step.record, at);
    view.setBigUint64(at + Rec.STUB, BigInt(BASE + stubs + i * STUB_BYTES), true);
    view.setBigUint64(at + Rec.SIGNAL, 0n, true);
  });
  return file;
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
  u16(56, 1);
  const ph = 64;
  view.setUint32(ph, 1, true); // PT_LOAD
  view.setUint32(ph + 4, 7, true); // RWX
  u64(ph + 8, 0);
  u64(ph + 16, BASE);
  u64(ph + 24, BASE);
  u64(ph + 32, fileSize);
  u64(ph + 40, fileSize + 0x2_0000); // + signal stack
  u64(ph + 48, 0x1_0000);
}
