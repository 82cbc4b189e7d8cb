// Flattened device trees (Devicetree Specification, chapter 5): a tree of nodes in memory, and the writer. The reader is in
// fdt-reader.ts.

import { EmuError } from "../util/errors.ts";

/** A node: its name with unit address ("" for the root), properties in order, and children in order. */
export interface FdtNode {
  name: string;
  properties: Map<string, Uint8Array>;
  children: FdtNode[];
}

/** A whole tree: what a .dtb file holds. */
export interface FdtTree {
  root: FdtNode;
  /** Memory reservation block: addresses and sizes in bytes. */
  reservations: { address: bigint; size: bigint }[];
  /** boot_cpuid_phys. */
  bootCpu: number;
}

/** Constants of the format. */
export const Fdt = {
  MAGIC: 0xd00dfeed,
  VERSION: 17,
  LAST_COMPATIBLE: 16,
  HEADER_SIZE: 40,
  BEGIN_NODE: 1,
  END_NODE: 2,
  PROP: 3,
  NOP: 4,
  END: 9,
} as const;

/** What a property may be given as: a cell, cells, a string, strings, raw bytes, or true for an empty property. */
export type PropertyValue = number | readonly number[] | string | readonly string[] | Uint8Array | true;

const encoder = new TextEncoder();

/** Strings as a property value: UTF-8, each with its terminating NUL. */
export function stringValue(...strings: string[]): Uint8Array {
  return encoder.encode(strings.map((s) => `${s}\0`).join(""));
}

/** 32-bit cells, big-endian. */
export function cellsValue(...cells: number[]): Uint8Array {
  const out = new Uint8Array(cells.length * 4);
  const view = new DataView(out.buffer);
  for (const [i, c] of cells.entries()) view.setUint32(i * 4, c >>> 0);
  return out;
}

/** An exact integer below 2^53 as `n` cells (1 or 2), most significant first. */
export function numberCells(value: number, n: number): number[] {
  return n === 1 ? [value >>> 0] : [Math.floor(value / 2 ** 32) >>> 0, value >>> 0];
}

function encodeValue(value: PropertyValue): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (typeof value === "number") return cellsValue(value);
  if (typeof value === "string") return stringValue(value);
  if (value instanceof Uint8Array) return value;
  if (value.length > 0 && typeof value[0] === "string") return stringValue(...(value as readonly string[]));
  return cellsValue(...(value as readonly number[]));
}

/** A node from a record of properties (undefined ones are left out) and children. */
export function fdtNode(name: string, properties: Record<string, PropertyValue | undefined>, children: FdtNode[] = []): FdtNode {
  const map = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(properties)) if (value !== undefined) map.set(key, encodeValue(value));
  return { name, properties: map, children };
}

/** Sets one property of a node. */
export function setProperty(node: FdtNode, name: string, value: PropertyValue): void {
  node.properties.set(name, encodeValue(value));
}

/** The node at an absolute path ("/" or "/cpus/cpu@0"), or undefined. */
export function findNode(root: FdtNode, path: string): FdtNode | undefined {
  let node: FdtNode | undefined = root;
  for (const part of path.split("/")) if (part !== "") node = node?.children.find((c) => c.name === part);
  return node;
}

/** The child of that name, made (last) when it is not there. */
export function ensureChild(node: FdtNode, name: string): FdtNode {
  const found = node.children.find((c) => c.name === name);
  if (found) return found;
  const made: FdtNode = { name, properties: new Map(), children: [] };
  node.children.push(made);
  return made;
}

/** A property as cells; undefined when absent or not a multiple of four bytes. */
export function propertyCells(node: FdtNode, name: string): number[] | undefined {
  const value = node.properties.get(name);
  if (!value || value.length % 4 !== 0) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  return Array.from({ length: value.length / 4 }, (_, i) => view.getUint32(i * 4));
}

/** A property as a list of strings; undefined when absent or not NUL-terminated. */
export function propertyStrings(node: FdtNode, name: string): string[] | undefined {
  const value = node.properties.get(name);
  if (!value || value.length === 0 || value[value.length - 1] !== 0) return undefined;
  return new TextDecoder().decode(value.subarray(0, -1)).split("\0");
}

/** A growing byte buffer with the alignment rules of the structure block. */
class Bytes {
  private data = new Uint8Array(4096);
  length = 0;

  private room(n: number): void {
    if (this.length + n <= this.data.length) return;
    const bigger = new Uint8Array(Math.max(this.data.length * 2, this.length + n));
    bigger.set(this.data);
    this.data = bigger;
  }
  u32(v: number): void {
    this.room(4);
    new DataView(this.data.buffer).setUint32(this.length, v >>> 0);
    this.length += 4;
  }
  u64(v: bigint): void {
    this.u32(Number(v >> 32n));
    this.u32(Number(v & 0xffff_ffffn));
  }
  put(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.data.set(bytes, this.length);
    this.length += bytes.length;
  }
  align(n: number): void {
    const pad = -this.length & (n - 1);
    this.room(pad);
    this.length += pad;
  }
  bytes(): Uint8Array {
    return this.data.slice(0, this.length);
  }
}

/** The tree as a version 17 blob. `slack` bytes of free space are added at the end (totalsize covers them). */
export function writeFdt(tree: FdtTree, slack = 0): Uint8Array {
  const structure = new Bytes();
  const strings = new Bytes();
  const offsets = new Map<string, number>();
  const nameOffset = (name: string): number => {
    const known = offsets.get(name);
    if (known !== undefined) return known;
    const at = strings.length;
    offsets.set(name, at);
    strings.put(stringValue(name));
    return at;
  };
  const writeNode = (node: FdtNode): void => {
    structure.u32(Fdt.BEGIN_NODE);
    structure.put(stringValue(node.name));
    structure.align(4);
    for (const [name, value] of node.properties) {
      structure.u32(Fdt.PROP);
      structure.u32(value.length);
      structure.u32(nameOffset(name));
      structure.put(value);
      structure.align(4);
    }
    for (const child of node.children) writeNode(child);
    structure.u32(Fdt.END_NODE);
  };
  writeNode(tree.root);
  structure.u32(Fdt.END);
  return assemble(tree, structure.bytes(), strings.bytes(), slack);
}

function assemble(tree: FdtTree, structure: Uint8Array, strings: Uint8Array, slack: number): Uint8Array {
  const reservationsAt = Fdt.HEADER_SIZE; // already 8-byte aligned
  const structureAt = reservationsAt + 16 * (tree.reservations.length + 1);
  const stringsAt = structureAt + structure.length;
  const total = (stringsAt + strings.length + slack + 7) & ~7;
  if (total > 0x7fff_ffff) throw new EmuError("dtb-too-large", "the device tree is larger than 2 GiB");
  const out = new Bytes();
  for (const v of [
    Fdt.MAGIC,
    total,
    structureAt,
    stringsAt,
    reservationsAt,
    Fdt.VERSION,
    Fdt.LAST_COMPATIBLE,
    tree.bootCpu,
    strings.length,
    structure.length,
  ])
    out.u32(v);
  for (const r of [...tree.reservations, { address: 0n, size: 0n }]) {
    out.u64(r.address);
    out.u64(r.size);
  }
  out.put(structure);
  out.put(strings);
  const blob = new Uint8Array(total);
  blob.set(out.bytes());
  return blob;
}
