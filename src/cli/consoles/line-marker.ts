// Several consoles in one stream: each line begins with the name of who wrote it.

/** Escape sequences that colour the names, by name; none when the stream is no terminal. */
export type MarkColours = Readonly<Record<string, string>>;

const CR = 0x0d;
const LF = 0x0a;

/**
 * Puts marks in front of lines. What is written appears at once: a line that is not finished when another console writes is broken,
 * and goes on under a mark of its own.
 */
export class LineMarker {
  private readonly write: (text: Uint8Array) => void;
  private readonly width: number;
  private readonly colours: MarkColours;
  /** Who wrote the line that is not finished. */
  private open: string | undefined;
  /** A carriage return came last: a line feed may follow, or the line is written again from its start. */
  private returned = false;

  /** `width`: of the longest name, in characters. */
  constructor(write: (bytes: Uint8Array) => void, width: number, colours: MarkColours = {}) {
    this.write = write;
    this.width = width;
    this.colours = colours;
  }

  /** `bytes` were written to the console `name`. */
  feed(name: string, bytes: Uint8Array): void {
    const out: number[] = [];
    if (this.open !== undefined && this.open !== name) this.endLine(out);
    for (const byte of bytes) this.byte(name, byte, out);
    if (out.length > 0) this.write(Uint8Array.from(out));
  }
  /** Ends the line that is not finished. */
  finish(): void {
    const out: number[] = [];
    if (this.open !== undefined) this.endLine(out);
    if (out.length > 0) this.write(Uint8Array.from(out));
  }

  private byte(name: string, byte: number, out: number[]): void {
    if (byte === LF) {
      if (this.open === undefined) this.mark(name, out);
      this.endLine(out);
    } else if (byte === CR) this.returned = this.open !== undefined;
    else {
      if (this.returned) {
        out.push(CR);
        this.open = undefined;
      }
      this.returned = false;
      if (this.open === undefined) this.mark(name, out);
      out.push(byte);
    }
  }
  private mark(name: string, out: number[]): void {
    const colour = this.colours[name] ?? "";
    const text = `${colour}${name.padEnd(this.width)} |${colour === "" ? "" : "\x1b[0m"} `;
    out.push(...new TextEncoder().encode(text));
    this.open = name;
  }
  private endLine(out: number[]): void {
    out.push(CR, LF);
    this.open = undefined;
    this.returned = false;
  }
}
