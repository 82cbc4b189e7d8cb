// What a machine can tell while it runs: typed events, and who receives them. Nothing is made where nobody listens.

import { securityName } from "../arch/security.ts";

/** When and where: PE, and instructions that all PEs had retired. */
interface Stamp {
  readonly pe: number;
  readonly at: number;
}

/** An exception was taken. */
export interface ExceptionEvent extends Stamp {
  readonly kind: "exc";
  /** "Data Abort", "IRQ", ... */
  readonly name: string;
  readonly from: { readonly el: number; readonly security: number };
  readonly to: { readonly el: number; readonly security: number };
  /** Preferred return address (ELR), and the vector. */
  readonly elr: bigint;
  readonly vector: bigint;
  /** Syndrome and fault address, for synchronous exceptions and SErrors. */
  readonly esr?: bigint;
  readonly far?: bigint;
}

/** An exception return was made. */
export interface ReturnEvent extends Stamp {
  readonly kind: "eret";
  readonly from: { readonly el: number; readonly security: number };
  readonly to: { readonly el: number; readonly security: number };
  readonly pc: bigint;
}

/** EL0 to EL2 of a PE came to be in another Security state. */
export interface WorldEvent extends Stamp {
  readonly kind: "world";
  readonly from: number;
  readonly to: number;
}

/** A call by SMC or HVC. */
export interface CallEvent extends Stamp {
  readonly kind: "smc";
  readonly conduit: "SMC" | "HVC";
  readonly name: string;
  readonly from: { readonly el: number; readonly security: number };
  readonly pc: bigint;
  /** x0 to x4. */
  readonly args: readonly bigint[];
}

/** An entry of the granule protection table is about to be written. */
export interface GptEvent extends Stamp {
  readonly kind: "gpt";
  /** Physical address of the 8-byte entry and its value before. */
  readonly entry: number;
  readonly before: bigint;
  readonly by: string;
}

export type TraceEvent = ExceptionEvent | ReturnEvent | WorldEvent | CallEvent | GptEvent;
export type TraceKind = TraceEvent["kind"];

/** Kinds with what they tell, for the command line. */
export const traceKinds: Readonly<Record<TraceKind, string>> = {
  exc: "exceptions taken",
  eret: "exception returns",
  world: "changes of Security state",
  smc: "calls by SMC and HVC",
  gpt: "writes to the granule protection table",
};

/** Hands the events of chosen kinds to a sink. */
export class Tracer {
  readonly kinds: ReadonlySet<TraceKind>;
  private readonly sink: (e: TraceEvent) => void;

  constructor(kinds: Iterable<TraceKind>, sink: (e: TraceEvent) => void) {
    this.kinds = new Set(kinds);
    this.sink = sink;
  }
  wants(kind: TraceKind): boolean {
    return this.kinds.has(kind);
  }
  emit(e: TraceEvent): void {
    if (this.kinds.has(e.kind)) this.sink(e);
  }
}

const hex = (v: bigint | number): string => `0x${v.toString(16)}`;
const place = (p: { el: number; security: number }): string => `${securityName[p.security]} EL${p.el}`;

/** One line of text for an event: fields in a fixed order, so that it can be searched. */
export function traceLine(e: TraceEvent): string {
  const head = `${String(e.at).padStart(12)} PE${e.pe} ${e.kind.padEnd(5)}`;
  switch (e.kind) {
    case "exc": {
      const syndrome = e.esr === undefined ? "" : ` ESR=${hex(e.esr)}`;
      const far = e.far === undefined ? "" : ` FAR=${hex(e.far)}`;
      return `${head} ${e.name}: ${place(e.from)} -> ${place(e.to)} ELR=${hex(e.elr)}${syndrome}${far} vector=${hex(e.vector)}`;
    }
    case "eret":
      return `${head} ${place(e.from)} -> ${place(e.to)} PC=${hex(e.pc)}`;
    case "world":
      return `${head} ${securityName[e.from]} -> ${securityName[e.to]}`;
    case "smc":
      return `${head} ${e.conduit} ${e.name} from ${place(e.from)} PC=${hex(e.pc)} (${e.args.map(hex).join(", ")})`;
    case "gpt":
      return `${head} entry ${hex(e.entry)} (was ${hex(e.before)}) by ${e.by}`;
  }
}
