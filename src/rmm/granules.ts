// The state of every granule of DRAM (DEN0137 A2.2, B2.5).
//
//                      REALM_CREATE            RTT_CREATE, REALM_CREATE       DATA_CREATE, DATA_CREATE_UNKNOWN
//                    +------------> RD       +------------> RTT             +------------> DATA
//  UNDELEGATED --> DELEGATED --------------------------------------------------
//              <--     |      <------------ REALM_DESTROY, RTT_DESTROY, RTT_FOLD, DATA_DESTROY, REC_DESTROY (wiped)
//                      +------------> REC, REC_AUX
//                         REC_CREATE
//
// A granule that is not UNDELEGATED has GPI Realm in the granule protection table; a DELEGATED one is all zero.
// Reference counts: RD = its RECs; RTT = live entries (tables, and entries that hold a data granule); REC = 1 while it runs.
// All RMM calls run to their end on one thread, so there are no locks; where TF-RMM would refuse for want of one (the same address
// given twice), the state says it: the first use changes it or the two required states differ.

import { EmuError, hex } from "../util/errors.ts";
import type { Saved, Stateful } from "../util/stateful.ts";
import { GRANULE } from "./status.ts";

export const GranuleState = { UNDELEGATED: 0, DELEGATED: 1, RD: 2, REC: 3, REC_AUX: 4, DATA: 5, RTT: 6 } as const;
export type GranuleState = (typeof GranuleState)[keyof typeof GranuleState];
export const granuleStateName = (s: number): string => Object.entries(GranuleState).find(([, v]) => v === s)?.[0] ?? `state ${s}`;

/** A range of DRAM that realms may use: base and size, multiples of 4 KiB. */
export interface DramBank {
  readonly base: number;
  readonly size: number;
}

/** No physical address is as high. */
const PA_LIMIT = 1n << 52n;

/** A granule at `pa` has changed its state. */
export type TransitionHook = (pa: number, from: GranuleState, to: GranuleState) => void;

export class Granules implements Stateful {
  readonly banks: readonly DramBank[];
  /** Told of every change of state. */
  readonly observers = new Set<TransitionHook>();
  private readonly states: Uint8Array;
  private readonly refs: Uint16Array;

  constructor(banks: readonly DramBank[]) {
    this.banks = [...banks].sort((a, b) => a.base - b.base);
    const count = banks.reduce((n, b) => n + b.size / GRANULE, 0);
    this.states = new Uint8Array(count);
    this.refs = new Uint16Array(count);
  }

  private index(pa: number): number {
    let first = 0;
    for (const b of this.banks) {
      if (pa >= b.base && pa < b.base + b.size) return first + (pa - b.base) / GRANULE;
      first += b.size / GRANULE;
    }
    return -1;
  }

  /** The granule at an address given by the host: its PA, or -1 when it is not 4 KiB aligned or not in DRAM. */
  find(address: bigint): number {
    if (address >= PA_LIMIT) return -1;
    const pa = Number(address);
    return pa % GRANULE !== 0 || this.index(pa) < 0 ? -1 : pa;
  }
  /** The same, and -1 also when it is in another state. */
  findIn(address: bigint, state: GranuleState): number {
    const pa = this.find(address);
    return pa < 0 || this.state(pa) !== state ? -1 : pa;
  }

  state(pa: number): GranuleState {
    return this.states[this.index(pa)] as GranuleState;
  }
  /** Changes the state of a granule, which must be `from`. */
  transition(pa: number, from: GranuleState, to: GranuleState): void {
    const i = this.index(pa);
    if (i < 0 || this.states[i] !== from) throw new EmuError("rmm-granule-state", `granule ${hex(pa)} is not ${granuleStateName(from)}`);
    if (this.refs[i] !== 0) throw new EmuError("rmm-granule-state", `granule ${hex(pa)} changes state while it is in use`);
    this.states[i] = to;
    for (const told of this.observers) told(pa, from, to);
  }

  /** Number of references to a granule. */
  references(pa: number): number {
    return this.refs[this.index(pa)] as number;
  }
  take(pa: number, n = 1): void {
    const i = this.index(pa);
    this.refs[i] = (this.refs[i] as number) + n;
  }
  drop(pa: number, n = 1): void {
    const i = this.index(pa);
    if ((this.refs[i] as number) < n) throw new EmuError("rmm-granule-state", `granule ${hex(pa)} has lost a reference`);
    this.refs[i] = (this.refs[i] as number) - n;
  }

  /** Every granule in a state, for checks and maps. */
  *inState(state: GranuleState): Generator<number> {
    let first = 0;
    for (const b of this.banks) {
      const count = b.size / GRANULE;
      for (let i = 0; i < count; i++) if (this.states[first + i] === state) yield b.base + i * GRANULE;
      first += count;
    }
  }

  reset(): void {
    this.states.fill(0);
    this.refs.fill(0);
  }
  save(): Saved {
    return { states: this.states.slice(), refs: new Uint8Array(this.refs.slice().buffer) };
  }
  restore(state: Saved): void {
    const s = state as { states?: Saved; refs?: Saved } | null;
    const { states, refs } = { states: s?.states, refs: s?.refs };
    if (!(states instanceof Uint8Array) || !(refs instanceof Uint8Array) || states.length !== this.states.length)
      throw new EmuError("snapshot-corrupt", "the saved granule states have the wrong shape");
    if (refs.length !== 2 * states.length || states.some((v) => v > GranuleState.RTT))
      throw new EmuError("snapshot-corrupt", "the saved granule states are damaged");
    this.states.set(states);
    this.refs.set(new Uint16Array(refs.slice().buffer));
  }
}
