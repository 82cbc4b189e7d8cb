// A device's end of an interrupt line: tells the line only when the level changes.

import type { IrqLine } from "./device.ts";

/** A level output. Repeating a level is not passed on, so that an edge-configured interrupt sees edges only. */
export class IrqOutput {
  private readonly line: IrqLine;
  private level = false;

  constructor(line: IrqLine) {
    this.line = line;
  }

  set(level: boolean): void {
    if (level === this.level) return;
    this.level = level;
    this.line.set(level);
  }

  /** Sends the level even if it did not change: after a restore, the other end may hold anything. */
  force(level: boolean): void {
    this.level = level;
    this.line.set(level);
  }
}
