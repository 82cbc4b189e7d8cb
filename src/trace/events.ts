// What a machine can tell while it runs: typed events, and who receives them. Nothing is made where nobody listens.

/** When and where: PE, and instructions that all PEs had retired. */
interface Stamp {
  readonly pe: number;
  readonly at: number;
}

/** Exception level and Security state (arch/security.ts). */
export interface Place {
  readonly el: number;
  readonly security: number;
}

/** An exception was taken. */
export interface ExceptionEvent extends Stamp {
  readonly kind: "exc";
  /** "Data Abort", "IRQ", ... */
  readonly name: string;
  readonly from: Place;
  readonly to: Place;
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
  readonly from: Place;
  readonly to: Place;
  readonly pc: bigint;
}

/** EL0 to EL2 of a PE came to be in another Security state: seen when EL3 leaves for them. */
export interface WorldEvent extends Stamp {
  readonly kind: "world";
  readonly from: number;
  readonly to: number;
  /** Where the PE goes on. */
  readonly el: number;
  readonly pc: bigint;
}

/** A register by the name that the interface of the call gives it. */
export type NamedValue = readonly [name: string, value: bigint];

/** Calls of RMI and of RSI are told apart from all others. */
export type CallKind = "smc" | "rmi" | "rsi";

/** A call by SMC or HVC, when it is made. */
export interface CallEvent extends Stamp {
  readonly kind: CallKind;
  readonly phase: "call";
  /** Numbers the calls of a machine since tracing began; its answer has the same number. */
  readonly call: number;
  readonly conduit: "SMC" | "HVC";
  /** Function identifier (W0 without the SVE hint), and its name. */
  readonly fid: number;
  readonly name: string;
  readonly from: Place;
  /** Address of the SMC or HVC. */
  readonly pc: bigint;
  readonly args: readonly NamedValue[];
  /** Name of the call that an argument `fid` is the identifier of (PSCI_FEATURES and the like). */
  readonly about?: string;
}

/** The caller goes on after its SMC or HVC. */
export interface AnswerEvent extends Stamp {
  readonly kind: CallKind;
  readonly phase: "answer";
  readonly call: number;
  readonly fid: number;
  readonly name: string;
  /** The caller. */
  readonly to: Place;
  /** What x0 says: "RMI_SUCCESS", "NOT_SUPPORTED", a number. */
  readonly code: string;
  readonly x0: bigint;
  readonly results: readonly NamedValue[];
  /** What the call left in memory: of RMI_REC_ENTER why the realm exited. */
  readonly detail?: string;
}

/** Granules whose protection an entry of the granule protection table changed. */
export interface GptChange {
  /** Physical addresses [from, to). */
  readonly from: number;
  readonly to: number;
  /** Granule protection information, as names. */
  readonly before: string;
  readonly after: string;
}

/** An entry of the granule protection table was written. */
export interface GptEvent extends Stamp {
  readonly kind: "gpt";
  /** Physical address of the 8-byte entry, its level, its value before and after. */
  readonly entry: number;
  readonly level: number;
  readonly before: bigint;
  readonly after: bigint;
  readonly changes: readonly GptChange[];
  readonly by: string;
}

export type TraceEvent = ExceptionEvent | ReturnEvent | WorldEvent | CallEvent | AnswerEvent | GptEvent;
export type TraceKind = TraceEvent["kind"];

/** Kinds with what they tell, for the command line. */
export const traceKinds: Readonly<Record<TraceKind, string>> = {
  exc: "exceptions taken",
  eret: "exception returns",
  world: "changes of Security state",
  smc: "all calls by SMC and HVC with their results",
  rmi: "those to the RMM",
  rsi: "those of realms to the RMM",
  gpt: "changes of the granule protection table",
};

/** Hands the events of chosen kinds to a sink. "smc" stands for rmi and rsi too. */
export class Tracer {
  readonly kinds: ReadonlySet<TraceKind>;
  private readonly sink: (e: TraceEvent) => void;

  constructor(kinds: Iterable<TraceKind>, sink: (e: TraceEvent) => void) {
    const chosen = new Set(kinds);
    if (chosen.has("smc")) for (const kind of ["rmi", "rsi"] as const) chosen.add(kind);
    this.kinds = chosen;
    this.sink = sink;
  }
  wants(...kinds: TraceKind[]): boolean {
    return kinds.some((k) => this.kinds.has(k));
  }
  emit(e: TraceEvent): void {
    if (this.kinds.has(e.kind)) this.sink(e);
  }
}
