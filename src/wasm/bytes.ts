// A growable byte buffer with WebAssembly's variable-length integers.

export class Bytes {
  private buffer: Uint8Array;
  length = 0;

  /** `room`: bytes that are expected. */
  constructor(room = 256) {
    this.buffer = new Uint8Array(room);
  }
  private reserve(extra: number): void {
    if (this.length + extra <= this.buffer.length) return;
    const bigger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + extra));
    bigger.set(this.buffer.subarray(0, this.length));
    this.buffer = bigger;
  }
  u8(value: number): void {
    if (this.length === this.buffer.length) this.reserve(1);
    this.buffer[this.length++] = value;
  }
  bytes(data: ArrayLike<number>): void {
    this.reserve(data.length);
    this.buffer.set(data, this.length);
    this.length += data.length;
  }
  /** Unsigned LEB128 of a 32-bit value. */
  uleb(value: number): void {
    let v = value >>> 0;
    while (v > 127) {
      this.u8((v & 127) | 128);
      v >>>= 7;
    }
    this.u8(v);
  }
  /** Signed LEB128 of a 32-bit value. */
  sleb(value: number): void {
    let v = value | 0;
    for (;;) {
      const b = v & 127;
      v >>= 7;
      if ((v === 0 && !(b & 64)) || (v === -1 && b & 64)) {
        this.u8(b);
        return;
      }
      this.u8(b | 128);
    }
  }
  /** Signed LEB128 of a 64-bit value given in halves. */
  sleb64(low: number, high: number): void {
    let lo = low | 0;
    let hi = high | 0;
    for (;;) {
      const b = lo & 127;
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
      if ((lo === 0 && hi === 0 && !(b & 64)) || (lo === -1 && hi === -1 && b & 64)) {
        this.u8(b);
        return;
      }
      this.u8(b | 128);
    }
  }
  /** A name: length and ASCII bytes. */
  name(text: string): void {
    this.uleb(text.length);
    for (let i = 0; i < text.length; i++) this.u8(text.charCodeAt(i));
  }
  /** The bytes written so far; valid until the next write. */
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }
}
