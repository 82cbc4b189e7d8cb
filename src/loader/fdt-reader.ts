// Reads a flattened device tree from a file that nobody vouches for: every offset, size and name is checked before use.

import { EmuError, hex } from "../util/errors.ts";
import { Fdt, type FdtNode, type FdtTree } from "./fdt.ts";

/** Deeper nesting than any real tree; keeps a hostile file from exhausting the stack. */
const MAX_DEPTH = 64;
/** Longest node or property name accepted (the specification says 31, trees in use go beyond). */
const MAX_NAME = 255;

interface Header {
  structureAt: number;
  structureSize: number;
  stringsAt: number;
  stringsSize: number;
  reservationsAt: number;
  bootCpu: number;
}

const bad = (code: string, what: string): EmuError => new EmuError(code, `bad device tree: ${what}`);

/**
 * Parses a blob of version 16 or 17. Throws EmuError: dtb-empty, dtb-magic, dtb-truncated, dtb-version, dtb-bounds, dtb-structure, dtb-depth.
 * The tree's property values are copies.
 */
export function readFdt(blob: Uint8Array): FdtTree {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  const header = readHeader(view);
  const structure = blob.subarray(header.structureAt, header.structureAt + header.structureSize);
  const strings = blob.subarray(header.stringsAt, header.stringsAt + header.stringsSize);
  return { root: new StructureReader(structure, strings).read(), reservations: readReservations(view, header), bootCpu: header.bootCpu };
}

function readHeader(view: DataView): Header {
  if (view.byteLength === 0) throw new EmuError("dtb-empty", "the device tree file is empty");
  if (view.byteLength < 4 || view.getUint32(0) !== Fdt.MAGIC) {
    const first = view.byteLength < 4 ? "fewer than 4 bytes" : hex(view.getUint32(0));
    throw bad("dtb-magic", `it starts with ${first} instead of ${hex(Fdt.MAGIC)} (is it a compiled .dtb, not a .dts?)`);
  }
  if (view.byteLength < Fdt.HEADER_SIZE) throw bad("dtb-truncated", `the file ends inside the ${Fdt.HEADER_SIZE}-byte header`);
  const word = (i: number): number => view.getUint32(i * 4);
  const [total, structureAt, stringsAt, reservationsAt] = [word(1), word(2), word(3), word(4)];
  const [version, lastCompatible, bootCpu, stringsSize, structureSize] = [word(5), word(6), word(7), word(8), word(9)];
  if (lastCompatible > Fdt.VERSION || version < Fdt.VERSION) {
    throw bad("dtb-version", `version ${version} (compatible back to ${lastCompatible}); this emulator reads version ${Fdt.VERSION}`);
  }
  if (total > view.byteLength) throw bad("dtb-truncated", `the header says ${total} bytes, the file has ${view.byteLength}`);
  if (total < Fdt.HEADER_SIZE) throw bad("dtb-bounds", `total size ${total} is smaller than the header`);
  const inside = (what: string, at: number, size: number, align: number): void => {
    if (at < Fdt.HEADER_SIZE || at % align !== 0 || at + size > total) {
      throw bad("dtb-bounds", `the ${what} block (offset ${hex(at)}, ${size} bytes) is misaligned or outside the ${total}-byte tree`);
    }
  };
  inside("structure", structureAt, structureSize, 4);
  inside("strings", stringsAt, stringsSize, 1);
  inside("memory reservation", reservationsAt, 16, 8);
  return { structureAt, structureSize, stringsAt, stringsSize, reservationsAt, bootCpu };
}

function readReservations(view: DataView, header: Header): FdtTree["reservations"] {
  const list: FdtTree["reservations"] = [];
  const end = view.getUint32(4);
  for (let at = header.reservationsAt; ; at += 16) {
    if (at + 16 > end) throw bad("dtb-bounds", "the memory reservation block has no end");
    const [address, size] = [view.getBigUint64(at), view.getBigUint64(at + 8)];
    if (address === 0n && size === 0n) return list;
    list.push({ address, size });
  }
}

class StructureReader {
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly strings: Uint8Array;
  private at = 0;

  constructor(structure: Uint8Array, strings: Uint8Array) {
    this.bytes = structure;
    this.view = new DataView(structure.buffer, structure.byteOffset, structure.length);
    this.strings = strings;
  }

  read(): FdtNode {
    if (this.token() !== Fdt.BEGIN_NODE) throw bad("dtb-structure", "the structure block does not begin with a node");
    const root = this.node(0);
    if (root.name !== "") throw bad("dtb-structure", `the root node is named "${root.name}"`);
    if (this.token() !== Fdt.END) throw bad("dtb-structure", "something follows the root node");
    return root;
  }

  private word(): number {
    if (this.at + 4 > this.bytes.length) throw bad("dtb-structure", "the structure block ends inside a node");
    const v = this.view.getUint32(this.at);
    this.at += 4;
    return v;
  }
  private token(): number {
    let t: number;
    do t = this.word();
    while (t === Fdt.NOP);
    return t;
  }

  /** The node whose BEGIN_NODE has just been read. */
  private node(depth: number): FdtNode {
    if (depth > MAX_DEPTH) throw bad("dtb-depth", `nodes are nested deeper than ${MAX_DEPTH}`);
    const node: FdtNode = { name: this.nodeName(), properties: new Map(), children: [] };
    const childNames = new Set<string>();
    for (;;) {
      const at = this.at;
      const t = this.token();
      if (t === Fdt.END_NODE) return node;
      if (t === Fdt.PROP) this.property(node);
      else if (t === Fdt.BEGIN_NODE) {
        const child = this.node(depth + 1);
        if (child.name === "" || childNames.has(child.name))
          throw bad("dtb-structure", `node "${child.name}" is unnamed or there twice in "${node.name}"`);
        childNames.add(child.name);
        node.children.push(child);
      } else throw bad("dtb-structure", `unknown token ${hex(t)} at offset ${hex(at)} of the structure block`);
    }
  }

  private nodeName(): string {
    const name = cString(this.bytes, this.at, "node name");
    this.at = (this.at + name.length + 1 + 3) & ~3;
    return name;
  }

  private property(node: FdtNode): void {
    if (node.children.length > 0) throw bad("dtb-structure", `node "${node.name}" has a property after a child node`);
    const length = this.word();
    const name = cString(this.strings, this.word(), "property name");
    if (name === "" || node.properties.has(name))
      throw bad("dtb-structure", `property "${name}" of node "${node.name}" is unnamed or there twice`);
    if (length > this.bytes.length - this.at)
      throw bad("dtb-bounds", `property "${name}" of node "${node.name}" (${length} bytes) runs past the end`);
    node.properties.set(name, this.bytes.slice(this.at, this.at + length));
    this.at = (this.at + length + 3) & ~3;
  }
}

/** The NUL-terminated printable ASCII string at an offset. */
function cString(bytes: Uint8Array, at: number, what: string): string {
  if (at >= bytes.length) throw bad("dtb-bounds", `a ${what} lies outside its block`);
  let text = "";
  for (let i = at; i < bytes.length && text.length <= MAX_NAME; i++) {
    const c = bytes[i] as number;
    if (c === 0) return text;
    if (c < 0x20 || c > 0x7e) throw bad("dtb-structure", `a ${what} has the byte ${hex(c)}`);
    text += String.fromCharCode(c);
  }
  throw bad("dtb-bounds", `a ${what} has no end`);
}
