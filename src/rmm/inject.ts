// Exceptions that the RMM makes a realm take at EL1: synchronous External aborts and UNDEFINED (DEN0137 A4.5, A6.1).

import { type PeState, slot } from "../arch/state.ts";
import { Ec, esr as esrOf } from "../arch/syndrome.ts";
import { PSTATE_START, type RecView, recSys, setRecSys } from "./rec.ts";

/** The registers involved, of a REC on a PE or of one in memory. */
export interface ExceptionState {
  pc: bigint;
  pstate: bigint;
  readonly vbar: bigint;
  /** ELR_EL1, SPSR_EL1, ESR_EL1 and, unless undefined, FAR_EL1. */
  setSyndrome(elr: bigint, spsr: bigint, esr: bigint, far: bigint | undefined): void;
}

/** A REC that was running on this PE: PC and PSTATE are in ELR_EL2 and SPSR_EL2. */
export const runningState = (st: PeState): ExceptionState => ({
  get pc() {
    return st.get(slot.ELR_EL2);
  },
  set pc(v) {
    st.set(slot.ELR_EL2, v);
  },
  get pstate() {
    return st.get(slot.SPSR_EL2);
  },
  set pstate(v) {
    st.set(slot.SPSR_EL2, v);
  },
  get vbar() {
    return st.get(slot.VBAR_EL1);
  },
  setSyndrome(elr, spsr, esr, far) {
    st.set(slot.ELR_EL1, elr);
    st.set(slot.SPSR_EL1, spsr);
    st.set(slot.ESR_EL1, esr);
    if (far !== undefined) st.set(slot.FAR_EL1, far);
  },
});

export const storedState = (rec: RecView): ExceptionState => ({
  get pc() {
    return rec.get("pc");
  },
  set pc(v) {
    rec.set("pc", v);
  },
  get pstate() {
    return rec.get("pstate");
  },
  set pstate(v) {
    rec.set("pstate", v);
  },
  get vbar() {
    return recSys(rec, "VBAR_EL1");
  },
  setSyndrome(elr, spsr, esr, far) {
    setRecSys(rec, "ELR_EL1", elr);
    setRecSys(rec, "SPSR_EL1", spsr);
    setRecSys(rec, "ESR_EL1", esr);
    if (far !== undefined) setRecSys(rec, "FAR_EL1", far);
  },
});

/** Fields of the ISS of an abort. */
const FNV = 1n << 10n;
const EA = 1n << 9n;
const S1PTW = 1n << 7n;
const FSC = 0x3fn;
const FSC_SEA = 0x10n;
const EC_SHIFT = 26n;
const EC_MASK = 0x3fn << EC_SHIFT;

const fromEl0 = (pstate: bigint): boolean => (pstate & 0xcn) === 0n;
/** Group of the vector: from EL0, from EL1 with SP_EL0, from EL1 with SP_EL1. */
const vectorGroup = (pstate: bigint): bigint => (fromEl0(pstate) ? 0x400n : (pstate & 1n) !== 0n ? 0x200n : 0n);

function enterEl1(s: ExceptionState, esr: bigint, far: bigint | undefined): void {
  const { pc, pstate } = s;
  s.setSyndrome(pc, pstate, esr, far);
  s.pc = (s.vbar & ~0x7ffn) + vectorGroup(pstate);
  s.pstate = PSTATE_START;
}

/** A synchronous External abort in place of the abort that ESR_EL2 and FAR_EL2 describe. */
export function injectSea(s: ExceptionState, esrEl2: bigint, farEl2: bigint): void {
  let ec = (esrEl2 & EC_MASK) >> EC_SHIFT;
  if (!fromEl0(s.pstate)) ec += 1n;
  const iss = (esrEl2 & ~(EC_MASK | FSC | FNV | S1PTW)) | FSC_SEA | EA;
  enterEl1(s, iss | (ec << EC_SHIFT), farEl2);
}

/** The instruction at PC is UNDEFINED. */
export const injectUndefined = (s: ExceptionState): void => enterEl1(s, BigInt(esrOf(Ec.Unknown, 0)), undefined);
