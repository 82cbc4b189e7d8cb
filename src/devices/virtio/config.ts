// Device configuration space (2.5), described as a list of fields.

/** One field; its offset is the sum of the sizes before it, so gaps are fields too. Values are unsigned, at most 2^53. */
export interface ConfigField {
  readonly name: string;
  readonly bytes: 1 | 2 | 4 | 8;
  read(): number;
  /** Absent: read-only, writes are ignored. */
  write?(value: number): void;
}

/** A field whose value never changes. */
export const constant = (name: string, bytes: ConfigField["bytes"], value: number): ConfigField => ({ name, bytes, read: () => value });

const byteOf = (value: number, index: number): number => Math.floor(value / 2 ** (8 * index)) % 256;

/** The fields laid out one after the other. */
export class ConfigSpace {
  private readonly placed: { field: ConfigField; start: number }[] = [];
  /** Size in bytes. */
  readonly length: number;

  constructor(fields: readonly ConfigField[]) {
    let at = 0;
    for (const field of fields) {
      this.placed.push({ field, start: at });
      at += field.bytes;
    }
    this.length = at;
  }

  /** Reads `size` bytes at `offset`, little-endian. All ones when any of them is outside. */
  read(offset: number, size: 1 | 2 | 4): number {
    if (offset + size > this.length) return 2 ** (8 * size) - 1;
    let value = 0;
    for (let i = 0; i < size; i++) value += this.byte(offset + i) * 2 ** (8 * i);
    return value;
  }

  private byte(offset: number): number {
    const p = this.placed.find(({ field, start }) => offset < start + field.bytes);
    return p === undefined ? 0xff : byteOf(p.field.read(), offset - p.start);
  }

  /** Writes `size` bytes at `offset`: each writable field that is touched keeps its other bytes. Outside: ignored. */
  write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset + size > this.length) return;
    for (const { field, start } of this.placed) {
      if (field.write === undefined || start + field.bytes <= offset || start >= offset + size) continue;
      const old = field.read();
      let merged = 0;
      for (let i = 0; i < field.bytes; i++) {
        const from = start + i - offset;
        merged += (from >= 0 && from < size ? byteOf(value, from) : byteOf(old, i)) * 2 ** (8 * i);
      }
      field.write(merged);
    }
  }
}
