// One instruction being disassembled: its word, row and what the operand printers ask of it.

import { bitmaskImmediate } from "../bitmask.ts";
import { fieldValue, type Row } from "../table.ts";

/** Resolves an address to a symbolic name. */
export type SymbolLookup = (address: bigint) => string | undefined;

export const signExtend = (value: number, bits: number): number => (value << (32 - bits)) >> (32 - bits);

export class Decoded {
  readonly insn: number;
  readonly row: Row;
  readonly pc: bigint;
  private readonly symbol: SymbolLookup | undefined;

  constructor(insn: number, row: Row, pc: bigint, symbol: SymbolLookup | undefined) {
    this.insn = insn;
    this.row = row;
    this.pc = pc;
    this.symbol = symbol;
  }
  has(name: string): boolean {
    return this.row.fields.has(name);
  }
  /** Field value; 0 when the row has no such field. */
  f(name: string): number {
    const f = this.row.fields.get(name);
    return f ? fieldValue(f, this.insn) : 0;
  }
  signed(name: string): number {
    return signExtend(this.f(name), this.row.fields.get(name)?.width ?? 32);
  }
  /** Number of register operand d, n, m, a, t, t2 or s: fields are named R* or, for tag instructions, X*. */
  register(operand: string): number {
    return this.f(this.has(`R${operand}`) ? `R${operand}` : `X${operand}`);
  }
  /** Mnemonic from the row's name: text before `_`, without the V that marks Advanced SIMD rows. */
  get mnemonic(): string {
    const head = this.row.name.split("_")[0] as string;
    const marked = this.isSimd && head.endsWith("V") && !this.row.name.includes("_FLOAT");
    return (marked ? head.slice(0, -1) : head).toLowerCase();
  }
  /** Advanced SIMD and floating point: op0 x111; structure loads and stores: op0 x110 with bit 31 clear. */
  private get isSimd(): boolean {
    const op0 = (this.insn >>> 25) & 15;
    return (op0 & 7) === 7 || op0 === 6;
  }
  /** Is the register size 64 bits (sf)? */
  get sf(): boolean {
    return this.f("sf") === 1;
  }
  /** log2 of the element size in bytes of an Advanced SIMD or floating-point row. */
  get lg(): number {
    if (this.row.name.endsWith("_h")) return 1;
    if (this.has("sz")) return 2 + this.f("sz");
    if (this.has("ftype")) return ([2, 3, 0, 1] as const)[this.f("ftype") as 0];
    if (this.has("immh")) return 31 - Math.clz32(this.f("immh"));
    if (this.has("imm5")) return 31 - Math.clz32(this.f("imm5") & -this.f("imm5"));
    return this.f("size");
  }
  /** log2 of the access size in bytes of a load or store. */
  get accessLg(): number {
    const { name } = this.row;
    if (/^(LD|ST)N?P_FPSIMD|^LDR_LIT_FPSIMD/.test(name)) return 2 + this.f("opc");
    if (name.includes("FPSIMD")) return this.f("opc") & 2 ? 4 : this.f("size");
    if (/^(LD|ST)N?P_GEN/.test(name)) return this.f("opc") === 2 ? 3 : 2;
    if (name.startsWith("LDPSW")) return 2;
    if (this.has("size")) return this.f("size");
    const suffix = /([BHW])(?:_|$)/.exec(name)?.[1];
    return suffix ? "BHW".indexOf(suffix) : 3;
  }
  /** Target of a PC-relative operand. */
  address(offset: bigint, page = false): string {
    const base = page ? this.pc & ~0xfffn : this.pc;
    const target = BigInt.asUintN(64, base + offset);
    const name = this.symbol?.(target);
    return `0x${target.toString(16)}${name === undefined ? "" : ` <${name}>`}`;
  }
  /** The logical immediate, in the register size. */
  get bitmask(): bigint {
    return BigInt.asUintN(this.sf ? 64 : 32, bitmaskImmediate((this.insn >>> 10) & 0x1fff));
  }
}
