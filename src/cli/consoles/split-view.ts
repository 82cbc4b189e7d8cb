// Several consoles side by side in one terminal. Each pane is a terminal of its own (@xterm/headless); this file lays the panes out and
// draws what has changed, at most thirty times a second.

import type { IBufferCell, Terminal as XTerm } from "@xterm/headless";
import xterm from "@xterm/headless";

export interface PaneOptions {
  readonly title: string;
  /** What the pane's terminal answers to questions of the guest (where is the cursor?). */
  onReply(bytes: Uint8Array): void;
}

export interface SplitOptions {
  readonly panes: readonly PaneOptions[];
  /** Writes to the real terminal. */
  write(text: string): void;
  /** Its size in characters; undefined when it is unknown. */
  size(): { columns: number | undefined; rows: number | undefined };
}

/** A rectangle of characters, 0-based. The first row is the title's. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

interface Pane {
  readonly title: string;
  readonly terminal: XTerm;
  rect: Rect | undefined;
  /** Lines scrolled back. */
  back: number;
  /** Output that its terminal has not got yet, and the bytes in it. */
  pending: Uint8Array[];
  pendingBytes: number;
  /** Its terminal is working on output. */
  busy: boolean;
}

const FRAME_MS = 33;
const SCROLLBACK = 5000;
/** Output that waits to be drawn; of a guest that writes faster than that, the oldest is lost. */
const MAX_PENDING = 2 ** 20;
/** Panes need this many columns to stand side by side. */
const SIDE_BY_SIDE = 60;
const ESC = "\x1b";

/**
 * Places `count` panes on a screen: rows of two when it is wide enough, else one above the other. The first pane is the one that people
 * type into: of an odd number it has a row to itself.
 */
export function layout(count: number, columns: number, rows: number): Rect[] {
  const perRow = columns >= 2 * SIDE_BY_SIDE && count > 1 ? 2 : 1;
  const lines: number[] = [];
  for (let left = count; left > 0; ) {
    const n = lines.length === 0 && count % perRow === 1 ? 1 : Math.min(perRow, left);
    lines.push(n);
    left -= n;
  }
  const out: Rect[] = [];
  lines.forEach((n, line) => {
    const [y, end] = [line, line + 1].map((i) => Math.floor((rows * i) / lines.length)) as [number, number];
    for (let i = 0; i < n; i++) {
      const [x, right] = [i, i + 1].map((k) => Math.floor((columns * k) / n)) as [number, number];
      // A column between neighbours stays empty.
      out.push({ x, y, width: right - x - (i < n - 1 ? 1 : 0), height: end - y });
    }
  });
  return out;
}

export class SplitView {
  /** Number of the pane that gets what is typed. */
  focus = 0;
  private readonly o: SplitOptions;
  private readonly panes: Pane[];
  private zoomed = false;
  /** Rows as they are on the screen, by pane and row. */
  private readonly shown = new Map<string, string>();
  private timer: NodeJS.Timeout | undefined;
  private opened = false;

  constructor(o: SplitOptions) {
    this.o = o;
    this.panes = o.panes.map(({ title, onReply }) => {
      const terminal = new xterm.Terminal({ allowProposedApi: true, scrollback: SCROLLBACK, cols: 80, rows: 24 });
      terminal.onData((text) => onReply(new TextEncoder().encode(text)));
      return { title, terminal, rect: undefined, back: 0, pending: [], pendingBytes: 0, busy: false };
    });
  }

  /** Takes over the screen. */
  open(): void {
    this.opened = true;
    this.o.write(`${ESC}[?1049h`);
    this.resized();
  }
  /** Gives the screen back, and leaves the end of the pane in use on it. */
  close(): void {
    if (!this.opened) return;
    this.opened = false;
    clearTimeout(this.timer);
    const last = this.lastLines();
    this.o.write(`${ESC}[0m${ESC}[?25h${ESC}[?1049l${last}`);
    for (const { terminal } of this.panes) terminal.dispose();
  }
  private lastLines(): string {
    const pane = this.panes[this.focus];
    if (pane === undefined) return "";
    const buffer = pane.terminal.buffer.active;
    const lines = Array.from({ length: buffer.length }, (_, y) => buffer.getLine(y)?.translateToString(true) ?? "");
    return lines
      .join("\n")
      .trimEnd()
      .split("\n")
      .slice(-10)
      .map((line) => `${line}\r\n`)
      .join("")
      .concat(new TextDecoder().decode(Buffer.concat(pane.pending)));
  }

  /** A guest wrote to pane `n`. */
  output(n: number, bytes: Uint8Array): void {
    const pane = this.panes[n];
    if (pane === undefined) return;
    pane.pending.push(bytes);
    pane.pendingBytes += bytes.length;
    while (pane.pendingBytes > MAX_PENDING) pane.pendingBytes -= pane.pending.shift()?.length ?? 0;
    this.later();
  }
  /** Gives a pane's terminal what was written since it was given something last. */
  private feed(pane: Pane): void {
    if (pane.busy || pane.pending.length === 0) return;
    const bytes = Buffer.concat(pane.pending);
    pane.pending = [];
    pane.pendingBytes = 0;
    pane.busy = true;
    pane.terminal.write(bytes, () => {
      pane.busy = false;
      this.later();
    });
  }
  /** A key after Ctrl-A. */
  key(key: string): void {
    const n = Number(key);
    if (n >= 1 && n <= this.panes.length) this.focus = n - 1;
    else if (key === "n") this.focus = (this.focus + 1) % this.panes.length;
    else if (key === "z") this.zoomed = !this.zoomed;
    else if (key === "[" || key === "]") this.scroll(key === "[" ? 1 : -1);
    this.resized();
  }
  private scroll(pages: number): void {
    const pane = this.panes[this.focus];
    if (pane?.rect === undefined) return;
    const limit = pane.terminal.buffer.active.baseY;
    pane.back = Math.max(0, Math.min(limit, pane.back + pages * Math.max(1, pane.rect.height - 2)));
  }

  /** The screen has another size, or panes are to be laid out anew. */
  resized(): void {
    const { columns = 80, rows = 24 } = this.o.size();
    const rects = layout(this.panes.length, columns, rows);
    for (const [n, pane] of this.panes.entries()) {
      const whole = { x: 0, y: 0, width: columns, height: rows };
      pane.rect = this.zoomed ? (n === this.focus ? whole : undefined) : rects[n];
      if (pane.rect) pane.terminal.resize(Math.max(2, pane.rect.width), Math.max(1, pane.rect.height - 1));
    }
    this.shown.clear();
    this.o.write(`${ESC}[0m${ESC}[2J`);
    this.draw();
  }

  private later(): void {
    if (!this.opened) return;
    this.timer ??= setTimeout(() => {
      for (const pane of this.panes) this.feed(pane);
      this.draw();
    }, FRAME_MS);
  }
  private draw(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.opened) return;
    let out = `${ESC}[?25l`;
    for (const [n, pane] of this.panes.entries()) if (pane.rect) out += this.drawPane(n, pane, pane.rect);
    this.o.write(out + this.cursor());
  }
  private drawPane(n: number, pane: Pane, rect: Rect): string {
    let out = this.row(n, -1, rect, this.title(n, pane, rect.width));
    const buffer = pane.terminal.buffer.active;
    const top = buffer.viewportY - Math.min(pane.back, buffer.viewportY);
    for (let y = 0; y < rect.height - 1; y++) {
      const line = buffer.getLine(top + y);
      out += this.row(n, y, rect, line === undefined ? " ".repeat(rect.width) : styled(line, rect.width));
    }
    return out;
  }
  /** Escape sequences that make row `y` of a pane say `text`; nothing when it does already. */
  private row(n: number, y: number, rect: Rect, text: string): string {
    const key = `${n}.${y}`;
    if (this.shown.get(key) === text) return "";
    this.shown.set(key, text);
    return `${ESC}[${rect.y + y + 2};${rect.x + 1}H${text}`;
  }
  private title(n: number, pane: Pane, width: number): string {
    const scrolled = pane.back > 0 ? ` [${pane.back} lines back]` : "";
    const text = ` ${n + 1} ${pane.title}${scrolled}${n === this.focus ? "  (Ctrl-A H: keys)" : ""}`.slice(0, width).padEnd(width);
    return `${ESC}[0;7${n === this.focus ? ";1" : ";2"}m${text}${ESC}[0m`;
  }
  private cursor(): string {
    const pane = this.panes[this.focus];
    if (pane?.rect === undefined || pane.back > 0) return "";
    const { cursorX, cursorY } = pane.terminal.buffer.active;
    const x = pane.rect.x + Math.min(cursorX, pane.rect.width - 1);
    return `${ESC}[${pane.rect.y + cursorY + 2};${x + 1}H${ESC}[?25h`;
  }
}

interface Line {
  getCell(x: number): IBufferCell | undefined;
}

/** One line of a pane's terminal with its attributes, `width` columns wide. */
function styled(line: Line, width: number): string {
  let out = "";
  let style = "";
  for (let x = 0; x < width; x++) {
    const cell = line.getCell(x);
    const next = cell === undefined ? "" : styleOf(cell);
    if (next !== style) out += `${ESC}[0${next}m`;
    style = next;
    if (cell?.getWidth() === 0) continue; // the second column of a wide character
    out += cell?.getChars() || " ";
  }
  return style === "" ? out : `${out}${ESC}[0m`;
}

/** Parameters of "select graphic rendition", each with a semicolon in front. */
function styleOf(cell: IBufferCell): string {
  let out = "";
  if (cell.isBold()) out += ";1";
  if (cell.isDim()) out += ";2";
  if (cell.isItalic()) out += ";3";
  if (cell.isUnderline()) out += ";4";
  if (cell.isInverse()) out += ";7";
  out += colour(38, cell.isFgRGB(), cell.isFgPalette(), cell.getFgColor());
  return out + colour(48, cell.isBgRGB(), cell.isBgPalette(), cell.getBgColor());
}
function colour(select: 38 | 48, rgb: boolean, palette: boolean, value: number): string {
  if (rgb) return `;${select};2;${value >> 16};${(value >> 8) & 255};${value & 255}`;
  return palette ? `;${select};5;${value}` : "";
}
