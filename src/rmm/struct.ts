// Structures in memory as tables of fields, and views of them. All values are little-endian.

import { EmuError } from "../util/errors.ts";

/** Field: name, offset in bytes, width in bytes (1, 2, 4, 8: a number; anything else: bytes), number of elements (default 1). */
export type FieldRow = readonly [name: string, offset: number, bytes: number, count?: number];

/** One of the fields of a structure with the fields `N`. */
export interface Field<N extends string = string> {
  readonly name: N;
  readonly offset: number;
  readonly bytes: number;
  readonly count: number;
}

/** A structure: `size` bytes, fields by name. */
export interface Struct<N extends string = string> {
  readonly name: string;
  readonly size: number;
  readonly fields: Readonly<Record<N, Field<N>>>;
}

/** Makes a structure from its rows; fields must lie inside it and not overlap. */
export function struct<const R extends readonly FieldRow[]>(name: string, size: number, rows: R): Struct<R[number][0]> {
  const list = rows.map(([n, offset, bytes, count = 1]) => ({ name: n, offset, bytes, count }));
  let end = 0;
  for (const f of [...list].sort((a, b) => a.offset - b.offset)) {
    if (f.offset < end || f.offset + f.bytes * f.count > size) throw new EmuError("bad-structure", `${name}.${f.name} does not fit`);
    end = f.offset + f.bytes * f.count;
  }
  return { name, size, fields: Object.fromEntries(list.map((f) => [f.name, f])) as unknown as Record<R[number][0], Field<R[number][0]>> };
}

/**
 * One structure at a place in memory. A field is given by its name, or itself (`RecExit.fields.esr`): what each exit of a realm does takes
 * it so, since to look up a name costs twenty times the access.
 */
export class StructView<N extends string> {
  readonly struct: Struct<N>;
  readonly view: DataView;
  /** Offset of the structure in `view`. */
  readonly base: number;
  private all: Uint8Array | undefined;

  constructor(s: Struct<N>, view: DataView, base = 0) {
    this.struct = s;
    this.view = view;
    this.base = base;
  }

  private offset(name: N | Field<N>): number {
    return typeof name === "string" ? this.struct.fields[name].offset : name.offset;
  }

  /** Value of a number field, element `i`. */
  get(name: N | Field<N>, i = 0): bigint {
    const f = typeof name === "string" ? this.struct.fields[name] : name;
    const at = this.base + f.offset + i * f.bytes;
    if (f.bytes === 8) return this.view.getBigUint64(at, true);
    return BigInt(f.bytes === 4 ? this.view.getUint32(at, true) : f.bytes === 2 ? this.view.getUint16(at, true) : this.view.getUint8(at));
  }
  /** The same as a number; for values known to be below 2^53. */
  num(name: N | Field<N>, i = 0): number {
    const f = typeof name === "string" ? this.struct.fields[name] : name;
    const at = this.base + f.offset + i * f.bytes;
    if (f.bytes === 8) return this.view.getUint32(at + 4, true) * 2 ** 32 + this.view.getUint32(at, true);
    return f.bytes === 4 ? this.view.getUint32(at, true) : f.bytes === 2 ? this.view.getUint16(at, true) : this.view.getUint8(at);
  }
  /** High word of a field of 8 bytes. */
  hi(name: N | Field<N>, i = 0): number {
    return this.view.getUint32(this.base + this.offset(name) + 8 * i + 4, true);
  }
  /** Low word of a field of 8 bytes. */
  lo(name: N | Field<N>, i = 0): number {
    return this.view.getUint32(this.base + this.offset(name) + 8 * i, true);
  }
  /** Writes a field of 8 bytes as words. */
  setLoHi(name: N | Field<N>, lo: number, hi: number, i = 0): void {
    const at = this.base + this.offset(name) + 8 * i;
    this.view.setUint32(at, lo, true);
    this.view.setUint32(at + 4, hi, true);
  }
  /** Writes `count` words of a field of 8 bytes, from element 0 on, which are in `from` from `at` on. */
  setWords(name: N | Field<N>, from: Uint32Array, at: number, count: number): void {
    const to = this.base + this.offset(name);
    for (let i = 0; i < count; i++) this.view.setUint32(to + 4 * i, from[at + i] as number, true);
  }
  flag(name: N | Field<N>): boolean {
    return this.num(name) !== 0;
  }
  /** Offset of a field in the buffer that `view` shows. */
  at(name: N | Field<N>): number {
    return this.view.byteOffset + this.base + this.offset(name);
  }
  /** Index of a field of 8 bytes, element 0, among the words of 32 bits of the memory that `view` shows. */
  word(name: N | Field<N>): number {
    return (this.view.byteOffset + this.base + this.offset(name)) >>> 2;
  }
  /** Writes a number field; higher bits are cut off. */
  set(name: N | Field<N>, value: bigint | number | boolean, i = 0): void {
    const f = typeof name === "string" ? this.struct.fields[name] : name;
    const at = this.base + f.offset + i * f.bytes;
    if (f.bytes === 8 && typeof value === "bigint") {
      this.view.setBigUint64(at, value, true); // modulo 2^64
      return;
    }
    if (f.bytes === 8 && typeof value === "number" && value >= 0) {
      this.view.setUint32(at, value >>> 0, true);
      this.view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
      return;
    }
    const v = BigInt.asUintN(64, BigInt(value));
    if (f.bytes === 8) this.view.setBigUint64(at, v, true);
    else if (f.bytes === 4) this.view.setUint32(at, Number(v & 0xffff_ffffn), true);
    else if (f.bytes === 2) this.view.setUint16(at, Number(v & 0xffffn), true);
    else this.view.setUint8(at, Number(v & 0xffn));
  }
  /** The bytes of a field, all elements: a view, not a copy. */
  bytes(name: N | Field<N>): Uint8Array {
    const f = typeof name === "string" ? this.struct.fields[name] : name;
    return new Uint8Array(this.view.buffer, this.view.byteOffset + this.base + f.offset, f.bytes * f.count);
  }
  /** All bytes of the structure: a view. */
  get raw(): Uint8Array {
    this.all ??= new Uint8Array(this.view.buffer, this.view.byteOffset + this.base, this.struct.size);
    return this.all;
  }
}

/** A zeroed structure of its own. */
export function blank<N extends string>(s: Struct<N>): StructView<N> {
  return new StructView(s, new DataView(new ArrayBuffer(s.size)));
}
/** A structure read from a copy of memory. */
export function viewOf<N extends string>(s: Struct<N>, data: Uint8Array): StructView<N> {
  return new StructView(s, new DataView(data.buffer, data.byteOffset, data.byteLength));
}
