// Assembles a WebAssembly module from function bodies (WebAssembly core specification, binary format).

import { Bytes } from "./bytes.ts";

/** Value types. */
export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export type ValType = typeof I32 | typeof I64 | typeof F32 | typeof F64 | typeof V128;

export interface Signature {
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
}
export interface Import {
  readonly name: string;
  readonly type: number;
}
export interface Func {
  /** Index into the module's signatures. */
  readonly type: number;
  /** Types of the locals after the parameters. */
  readonly locals: readonly ValType[];
  /** Body without the final `end`. */
  readonly code: Bytes;
  /** Branches whose outcome is foreseen, in the order of the code. */
  readonly hints?: readonly Hint[];
}
/** The `if` or `br_if` at this offset of a body: is its condition usually true? */
export interface Hint {
  readonly at: number;
  readonly likely: boolean;
}
export interface ModuleSpec {
  readonly memory: { readonly min: number; readonly max: number; readonly shared: boolean };
  readonly signatures: readonly Signature[];
  readonly imports: readonly Import[];
  readonly funcs: readonly Func[];
  /** Export name to index into `funcs`. */
  readonly exports: readonly (readonly [name: string, func: number])[];
  /** Functions (indices into `funcs`) placed into an exported table "table" from index 0. */
  readonly table?: { readonly elements: readonly number[]; readonly max: number };
}

/** Serialises the module. It imports memory "e"."m" and functions "e".<name>. */
export function assemble(spec: ModuleSpec): Uint8Array {
  const bodies = spec.funcs.reduce((n, f) => n + f.code.length + 64, 0);
  const out = new Bytes(bodies + 1024);
  const nImports = spec.imports.length;
  out.bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const section = (id: number, fill: (s: Bytes) => void) => {
    const s = new Bytes();
    fill(s);
    out.u8(id);
    out.uleb(s.length);
    out.bytes(s.view());
  };
  section(1, (s) => {
    s.uleb(spec.signatures.length);
    for (const { params, results } of spec.signatures) {
      s.u8(0x60);
      s.uleb(params.length);
      s.bytes(params);
      s.uleb(results.length);
      s.bytes(results);
    }
  });
  section(2, (s) => {
    s.uleb(nImports + 1);
    s.name("e");
    s.name("m");
    s.u8(2);
    s.u8(spec.memory.shared ? 3 : 1);
    s.uleb(spec.memory.min);
    s.uleb(spec.memory.max);
    for (const i of spec.imports) {
      s.name("e");
      s.name(i.name);
      s.u8(0);
      s.uleb(i.type);
    }
  });
  section(3, (s) => {
    s.uleb(spec.funcs.length);
    for (const f of spec.funcs) s.uleb(f.type);
  });
  const { table } = spec;
  if (table) {
    section(4, (s) => {
      s.uleb(1);
      s.u8(0x70);
      s.u8(1);
      s.uleb(table.elements.length);
      s.uleb(table.max);
    });
  }
  section(7, (s) => {
    s.uleb(spec.exports.length + (table ? 1 : 0));
    for (const [name, f] of spec.exports) {
      s.name(name);
      s.u8(0);
      s.uleb(f + nImports);
    }
    if (table) {
      s.name("table");
      s.u8(1);
      s.uleb(0);
    }
  });
  if (table) {
    section(9, (s) => {
      s.uleb(1);
      s.u8(0);
      s.bytes([0x41, 0, 0x0b]);
      s.uleb(table.elements.length);
      for (const f of table.elements) s.uleb(f + nImports);
    });
  }
  const hinted = spec.funcs.flatMap((f, i) => (f.hints?.length ? [{ f, index: nImports + i }] : []));
  if (hinted.length > 0) {
    section(0, (s) => {
      s.name("metadata.code.branch_hint");
      s.uleb(hinted.length);
      for (const { f, index } of hinted) writeHints(s, f, index);
    });
  }
  writeBodies(out, spec.funcs);
  return out.view().slice();
}

/** Offsets count from the declarations of the locals, where a body starts. */
function writeHints(s: Bytes, f: Func, index: number): void {
  const locals = new Bytes();
  writeLocals(locals, f);
  const hints = f.hints ?? [];
  s.uleb(index);
  s.uleb(hints.length);
  for (const { at, likely } of hints) {
    s.uleb(locals.length + at);
    s.uleb(1);
    s.u8(likely ? 1 : 0);
  }
}
function writeLocals(b: Bytes, f: Func): void {
  const { locals } = f;
  let runs = 0;
  for (let n = 0; n < locals.length; n++) if (n === 0 || locals[n] !== locals[n - 1]) runs++;
  b.uleb(runs);
  for (let n = 0, first = 0; n < locals.length; n++) {
    if (n + 1 < locals.length && locals[n + 1] === locals[n]) continue;
    b.uleb(n + 1 - first);
    b.u8(locals[n] as number);
    first = n + 1;
  }
}
/** The code section, which is most of a module, without copies in between. */
function writeBodies(out: Bytes, funcs: readonly Func[]): void {
  const locals = funcs.map((f) => {
    const b = new Bytes(64);
    writeLocals(b, f);
    return b;
  });
  const count = new Bytes(8);
  count.uleb(funcs.length);
  const sizes = funcs.map((f, i) => (locals[i] as Bytes).length + f.code.length + 1);
  out.u8(10);
  out.uleb(sizes.reduce((n, size) => n + size + lengthOf(size), count.length));
  out.bytes(count.view());
  funcs.forEach((f, i) => {
    out.uleb(sizes[i] as number);
    out.bytes((locals[i] as Bytes).view());
    out.bytes(f.code.view());
    out.u8(0x0b);
  });
}
/** Bytes of a number as unsigned LEB128. */
const lengthOf = (value: number): number => Math.max(1, Math.ceil((32 - Math.clz32(value)) / 7));
