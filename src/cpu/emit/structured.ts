// Lowering of many instructions into one function: blocks are left by label, and temporaries of one instruction serve the next.

import { V128, type ValType } from "../../ir/value.ts";
import { Lowering } from "./lower.ts";
import { W } from "./opcodes.ts";

export class StructuredLowering extends Lowering {
  /** Open blocks; a label is the depth just after its block was opened. */
  depth = 0;
  /** By type, the least of which is V128. */
  private readonly pool: (number[] | undefined)[] = [];
  private readonly used: number[] = [];
  private readonly usedTypes: ValType[] = [];

  override block(op: number, type?: number): void {
    super.block(op, type);
    this.depth++;
  }
  protected override opcode(o: number): void {
    if (o === W.end) this.depth--;
    super.opcode(o);
  }
  branchTo(label: number, op?: number): void {
    this.br(this.depth - label, op);
  }

  /** A temporary: reused after freeTemporaries. */
  override local(type: ValType): number {
    const local = this.free(type).pop() ?? this.permanent(type);
    this.used.push(local);
    this.usedTypes.push(type);
    return local;
  }
  permanent(type: ValType): number {
    return super.local(type);
  }
  freeTemporaries(): void {
    const { used, usedTypes } = this;
    for (let n = 0; n < used.length; n++) this.free(usedTypes[n] as ValType).push(used[n] as number);
    used.length = 0;
    usedTypes.length = 0;
  }
  /** Temporaries of a type that may be used again. */
  private free(type: ValType): number[] {
    const list = this.pool[type - V128];
    if (list) return list;
    const made: number[] = [];
    this.pool[type - V128] = made;
    return made;
  }
}
