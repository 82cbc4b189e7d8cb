// Output in whole lines. A guest prints character by character, and one write of the host for each costs more than what the guest does
// for it. The end of a line, much output, or the next turn of the event loop brings out what there is.

const LF = 0x0a;
/** Bytes that are kept at most. */
const LENGTH = 4096;

export class LineOutput {
  private readonly put: (bytes: Uint8Array) => void;
  private readonly kept = new Uint8Array(LENGTH);
  private length = 0;
  private scheduled = false;

  /** `put` writes, and is done with its argument when it returns or keeps it: it is never changed afterwards. */
  constructor(put: (bytes: Uint8Array) => void) {
    this.put = put;
  }

  /** Bytes in the order in which they are to appear. */
  write(bytes: Uint8Array): void {
    if (this.length + bytes.length > LENGTH) this.flush();
    if (bytes.length > LENGTH) {
      this.put(bytes);
      return;
    }
    this.kept.set(bytes, this.length);
    this.length += bytes.length;
    if (bytes.includes(LF)) this.flush();
    else this.schedule();
  }
  /** Brings out what is kept. */
  flush(): void {
    if (this.length === 0) return;
    const bytes = this.kept.slice(0, this.length);
    this.length = 0;
    this.put(bytes);
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.flush();
    });
  }
}
