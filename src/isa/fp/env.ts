// The floating-point environment of the instruction being executed: FPCR decoded, FPSR flags collected.
// One instruction runs at a time in a thread, so the environment is module state and nothing is allocated per instruction.

import { Off } from "../../arch/layout.ts";
import type { PeState } from "../../arch/state.ts";

/** FPSR cumulative exception bits (Arm ARM C5.2.9). */
export const Exc = { IOC: 1 << 0, DZC: 1 << 1, OFC: 1 << 2, UFC: 1 << 3, IXC: 1 << 4, IDC: 1 << 7 } as const;

/** Rounding modes: 0..3 are the values of FPCR.RMode. */
export const Round = { TieEven: 0, PosInf: 1, NegInf: 2, Zero: 3, TieAway: 4, Odd: 5 } as const;
export type Round = (typeof Round)[keyof typeof Round];

const RMODE_SHIFT = 22;
/** FPCR control bits (C5.2.8). AH, FIZ, NEP (FEAT_AFP) and EBF (FEAT_EBF16) are not implemented: RES0, ignored. */
export const Fpcr = { AHP: 1 << 26, DN: 1 << 25, FZ: 1 << 24, RMODE: 3 << RMODE_SHIFT, FZ16: 1 << 19 } as const;

export const env = {
  /** FPCR from which the fields below were derived. */
  fpcr: 0,
  mode: Round.TieEven as Round,
  /** Flush single and double precision, flush half precision, default NaN, alternative half precision. */
  fz: false,
  fz16: false,
  dn: false,
  ahp: false,
  /** Host arithmetic rounds as FPCR asks (to nearest, no flushing): for single and double, and for half precision. */
  near: true,
  near16: true,
  /** IXC is already set, so an inexact result needs no new flag. */
  inexact: false,
  /** Exceptions raised by this instruction. */
  flags: 0,
};

function decode(fpcr: number): void {
  env.fpcr = fpcr;
  env.mode = ((fpcr >>> RMODE_SHIFT) & 3) as Round;
  env.fz = (fpcr & Fpcr.FZ) !== 0;
  env.fz16 = (fpcr & Fpcr.FZ16) !== 0;
  env.dn = (fpcr & Fpcr.DN) !== 0;
  env.ahp = (fpcr & Fpcr.AHP) !== 0;
  env.near = env.mode === Round.TieEven && !env.fz;
  env.near16 = env.mode === Round.TieEven && !env.fz16;
}

/** Loads the environment of one instruction. */
export function begin(st: PeState): void {
  const fpcr = st.lo(Off.FPCR);
  if (fpcr !== env.fpcr) decode(fpcr);
  env.inexact = (st.lo(Off.FPSR) & Exc.IXC) !== 0;
  env.flags = 0;
}

/** Adds the exceptions of the instruction to FPSR. */
export function end(st: PeState): void {
  if (env.flags !== 0) st.setLo(Off.FPSR, st.lo(Off.FPSR) | env.flags);
}

/** Raises exceptions. Traps are not implemented (FPCR.IDE..IOE are RAZ), so only FPSR changes. */
export function raise(exceptions: number): void {
  env.flags |= exceptions;
  if ((exceptions & Exc.IXC) !== 0) env.inexact = true;
}
