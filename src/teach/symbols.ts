// Symbols for addresses: from ELF symbol tables and from System.map or /proc/kallsyms text.

import { EmuError } from "../util/errors.ts";

interface Entry {
  readonly address: bigint;
  readonly size: bigint;
  readonly name: string;
}

/** A symbol without a size covers at most this much. */
const REACH = 0x10_0000n;

/** Debian's kernel packages have one line in place of a System.map. */
const hint = (data: Uint8Array): string =>
  data.length < 1000 && /real System\.map/.test(new TextDecoder().decode(data))
    ? " (the real System.map is in Debian's -dbg package; /proc/kallsyms of the guest will do, booted with nokaslr)"
    : "";

/** A sorted table of functions and labels. */
export class Symbols {
  private readonly entries: Entry[] = [];
  private sorted = true;

  get count(): number {
    return this.entries.length;
  }

  /**
   * Adds the symbols of a file: ELF, or lines "address type name". `offset` is added to each address (KASLR, relocation). `name`: what
   * an error calls the file.
   */
  addFile(data: Uint8Array, offset = 0n, name = "the file"): void {
    const before = this.count;
    if (data[0] === 0x7f && data[1] === 0x45 && data[2] === 0x4c && data[3] === 0x46) this.addElf(data, offset);
    else this.addMap(new TextDecoder().decode(data), offset);
    if (this.count === before)
      throw new EmuError("no-symbols", `${name} holds no symbols: neither an ELF symbol table nor lines "address type name"${hint(data)}`);
  }

  add(address: bigint, size: bigint, name: string): void {
    this.entries.push({ address: BigInt.asUintN(64, address), size, name });
    this.sorted = false;
  }

  /** "name+0x10", or undefined. */
  readonly lookup = (address: bigint): string | undefined => {
    this.sort();
    const e = this.before(address);
    if (e === undefined) return undefined;
    const by = address - e.address;
    if (by >= (e.size === 0n ? REACH : e.size)) return undefined;
    return by === 0n ? e.name : `${e.name}+0x${by.toString(16)}`;
  };

  private sort(): void {
    if (this.sorted) return;
    // Of several names for an address the one with a size comes last and wins.
    this.entries.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : Number(a.size - b.size)));
    this.sorted = true;
  }
  private before(address: bigint): Entry | undefined {
    let [lo, hi] = [0, this.entries.length];
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if ((this.entries[mid] as Entry).address <= address) lo = mid + 1;
      else hi = mid;
    }
    return this.entries[lo - 1];
  }

  private addMap(text: string, offset: bigint): void {
    for (const line of text.split("\n")) {
      const m = /^([0-9a-fA-F]{8,16}) ([A-Za-z]) (\S+)/.exec(line);
      if (m && /[tTwW]/.test(m[2] as string)) this.add(BigInt(`0x${m[1]}`) + offset, 0n, m[3] as string);
    }
  }

  private addElf(data: Uint8Array, offset: bigint): void {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    try {
      const at = Number(view.getBigUint64(40, true));
      const [size, count] = [view.getUint16(58, true), view.getUint16(60, true)];
      for (let i = 0; i < count; i++) {
        const header = at + i * size;
        if (view.getUint32(header + 4, true) === SHT_SYMTAB)
          this.addSection(data, view, header, at + view.getUint32(header + 40, true) * size, offset);
      }
    } catch (e) {
      if (e instanceof RangeError) throw new EmuError("symbols-damaged", "the symbol table of the ELF file is cut short or damaged");
      throw e;
    }
  }

  private addSection(data: Uint8Array, view: DataView, header: number, strings: number, offset: bigint): void {
    const range = (h: number): [number, number] => [Number(view.getBigUint64(h + 24, true)), Number(view.getBigUint64(h + 32, true))];
    const [start, length] = range(header);
    const [names, namesLength] = range(strings);
    const text = data.subarray(names, names + namesLength);
    for (let at = start; at + SYMBOL <= start + length; at += SYMBOL) {
      const info = view.getUint8(at + 4);
      const name = cString(text, view.getUint32(at, true));
      const section = view.getUint16(at + 6, true);
      const defined = section !== SHN_UNDEF && section !== SHN_ABS;
      // Functions and labels; $x, $d mark code and data for disassemblers.
      if (defined && (info & 15) <= STT_FUNC && (info & 15) !== STT_OBJECT && name !== "" && !name.startsWith("$"))
        this.add(view.getBigUint64(at + 8, true) + offset, view.getBigUint64(at + 16, true), name);
    }
  }
}

const SHT_SYMTAB = 2;
const SHN_UNDEF = 0;
/** Constants of the assembler and the linker, not addresses. */
const SHN_ABS = 0xfff1;
const SYMBOL = 24;
const STT_OBJECT = 1;
const STT_FUNC = 2;

function cString(data: Uint8Array, at: number): string {
  const end = data.indexOf(0, at);
  return new TextDecoder().decode(data.subarray(at, end < 0 ? data.length : end));
}
