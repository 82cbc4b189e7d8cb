// Why generated code was left, counted while a profiler is attached.

import { SysOp } from "../isa/sysops.ts";

/** Ways out of generated code into TypeScript. */
export type ExitCause = "data access" | "instruction fetch" | "decode" | "landing pad" | "helper" | `system ${string}`;

const systemNames = new Map<number, string>(Object.entries(SysOp).map(([name, op]) => [op as number, name]));

export class ExitCounters {
  readonly byCause = new Map<ExitCause, number>();
  /** First-level TLB misses of data accesses that translated code tried to repair itself. */
  refills = 0;

  count(cause: ExitCause): void {
    this.byCause.set(cause, (this.byCause.get(cause) ?? 0) + 1);
  }
  /** A system operation (isa/sysops.ts). */
  system(op: number): void {
    this.count(`system ${systemNames.get(op) ?? op}`);
  }
}
