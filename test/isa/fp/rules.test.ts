// Rules of the architecture that a reader can check by hand: one line each, through whole instructions.

import { expect, it } from "vitest";
import { Off, PE_BASE, PE_STRIDE } from "../../../src/arch/layout.ts";
import { PeState } from "../../../src/arch/state.ts";
import { Exc } from "../../../src/isa/fp/env.ts";
import { fpHelpers } from "../../../src/isa/fp/index.ts";
import { simdFp } from "../../../src/isa/rows/simd-fp.ts";

const st = new PeState(new WebAssembly.Memory({ initial: (PE_BASE + PE_STRIDE) / 0x1_0000 }), 0);
const { IOC, DZC, OFC, UFC, IXC, IDC } = Exc;
const FZ = 1 << 24;
const DN = 1 << 25;
const AHP = 1 << 26;
const [RP, RM, RZ] = [1 << 22, 2 << 22, 3 << 22];

// Instructions with Rd = 0, Rn = 1, Rm = 2, Ra = 3.
const FADD_S = 0x1e222820;
const FADD_D = 0x1e622820;
const FSUB_D = 0x1e623820;
const FMUL_S = 0x1e220820;
const FMUL_D = 0x1e620820;
const FDIV_D = 0x1e621820;
const FSQRT_D = 0x1e61c020;
const FMADD_D = 0x1f420c20;
const FMAX_D = 0x1e624820;
const FMAXNM_D = 0x1e626820;
const FMULX_D = 0x5e62dc20;
const FCVT_H_S = 0x1e23c020;
const FCVT_S_D = 0x1e624020;
const FRECPE_S = 0x5ea1d820;
const FRSQRTE_S = 0x7ea1d820;

type Line = [name: string, row: string, insn: number, fpcr: number, operands: bigint[], result: bigint, flags: number];
const lines: Line[] = [
  ["1 + 2 = 3", "FADD_FLOAT", FADD_D, 0, [0x3ff0000000000000n, 0x4000000000000000n], 0x4008000000000000n, 0],
  ["1/3 rounds to nearest", "FDIV_FLOAT", FDIV_D, 0, [0x3ff0000000000000n, 0x4008000000000000n], 0x3fd5555555555555n, IXC],
  ["1/3 rounds up", "FDIV_FLOAT", FDIV_D, RP, [0x3ff0000000000000n, 0x4008000000000000n], 0x3fd5555555555556n, IXC],
  ["1/0 divides by zero", "FDIV_FLOAT", FDIV_D, 0, [0x3ff0000000000000n, 0n], 0x7ff0000000000000n, DZC],
  ["0/0 is invalid", "FDIV_FLOAT", FDIV_D, 0, [0n, 0n], 0x7ff8000000000000n, IOC],
  ["x - x is +0", "FSUB_FLOAT", FSUB_D, 0, [0x3ff0000000000000n, 0x3ff0000000000000n], 0n, 0],
  ["x - x is -0 towards -inf", "FSUB_FLOAT", FSUB_D, RM, [0x3ff0000000000000n, 0x3ff0000000000000n], 0x8000000000000000n, 0],
  ["overflow to infinity", "FMUL_FLOAT", FMUL_S, 0, [0x7f000000n, 0x40800000n], 0x7f800000n, OFC | IXC],
  ["overflow towards zero", "FMUL_FLOAT", FMUL_S, RZ, [0x7f000000n, 0x40800000n], 0x7f7fffffn, OFC | IXC],
  // The product 2^-126 * (1 - 2^-46) rounds up to the smallest normal number, but it was tiny before rounding.
  ["tininess before rounding", "FMUL_FLOAT", FMUL_S, 0, [0x00fffffen, 0x3f000001n], 0x00800000n, UFC | IXC],
  ["tininess, double", "FMUL_FLOAT", FMUL_D, 0, [0x001ffffffffffffen, 0x3fe0000000000001n], 0x0010000000000000n, UFC | IXC],
  ["tininess, narrowing", "FCVT_FLOAT", FCVT_S_D, 0, [0x380fffffffffe000n], 0x00800000n, UFC | IXC],
  ["an exact denormal raises nothing", "FMUL_FLOAT", FMUL_S, 0, [0x00800000n, 0x3f000000n], 0x00400000n, 0],
  ["a tiny result is flushed: UFC only", "FMUL_FLOAT", FMUL_S, FZ, [0x00800000n, 0xbf000000n], 0x80000000n, UFC],
  ["a denormal input is flushed: IDC", "FADD_FLOAT", FADD_S, FZ, [0x00000001n, 0x3f800000n], 0x3f800000n, IDC],
  ["first quiet NaN wins", "FADD_FLOAT", FADD_D, 0, [0x7ff8000000000001n, 0xfff8000000000002n], 0x7ff8000000000001n, 0],
  ["signalling NaN wins over quiet", "FADD_FLOAT", FADD_D, 0, [0x7ff8000000000001n, 0xfff0000000000002n], 0xfff8000000000002n, IOC],
  ["default NaN", "FADD_FLOAT", FADD_D, DN, [0xfff8000000000001n, 0n], 0x7ff8000000000000n, 0],
  ["sqrt of -1 is invalid", "FSQRT_FLOAT", FSQRT_D, 0, [0xbff0000000000000n], 0x7ff8000000000000n, IOC],
  ["sqrt of -0 is -0", "FSQRT_FLOAT", FSQRT_D, 0, [0x8000000000000000n], 0x8000000000000000n, 0],
  // (1 + 2^-52)^2 - (1 + 2^-51) = 2^-104: lost unless fused.
  ["fused", "FMADD_FLOAT", FMADD_D, 0, [0x3ff0000000000001n, 0x3ff0000000000001n, 0xbff0000000000002n], 0x3970000000000000n, 0],
  ["inf * 0 + quiet NaN is invalid", "FMADD_FLOAT", FMADD_D, 0, [0x7ff0000000000000n, 0n, 0x7ff8000000000009n], 0x7ff8000000000000n, IOC],
  ["max of zeros", "FMAX_FLOAT", FMAX_D, 0, [0x8000000000000000n, 0n], 0n, 0],
  ["max with a NaN", "FMAX_FLOAT", FMAX_D, 0, [0x7ff8000000000001n, 0n], 0x7ff8000000000001n, 0],
  ["maxnm with a quiet NaN", "FMAXNM_FLOAT", FMAXNM_D, 0, [0x7ff8000000000001n, 0n], 0n, 0],
  ["maxnm with a signalling NaN", "FMAXNM_FLOAT", FMAXNM_D, 0, [0x7ff0000000000001n, 0n], 0x7ff8000000000001n, IOC],
  ["inf * 0 is invalid", "FMUL_FLOAT", FMUL_D, 0, [0x7ff0000000000000n, 0n], 0x7ff8000000000000n, IOC],
  ["mulx: -inf * 0 is -2", "FMULXV_VEC_s", FMULX_D, 0, [0xfff0000000000000n, 0n], 0xc000000000000000n, 0],
  ["65520 overflows half precision", "FCVT_FLOAT", FCVT_H_S, 0, [0x477ff000n], 0x7c00n, OFC | IXC],
  ["65520 is a number in the alternative format", "FCVT_FLOAT", FCVT_H_S, AHP, [0x477ff000n], 0x7c00n, IXC],
  ["infinity is invalid in the alternative format", "FCVT_FLOAT", FCVT_H_S, AHP, [0x7f800000n], 0x7fffn, IOC],
  ["narrowing keeps the top of a payload", "FCVT_FLOAT", FCVT_S_D, 0, [0xfff4000020000000n], 0xffe00001n, IOC],
  ["reciprocal estimate of 1", "FRECPEV_s", FRECPE_S, 0, [0x3f800000n], 0x3f7f8000n, 0],
  ["reciprocal square root estimate of 4", "FRSQRTEV_s", FRSQRTE_S, 0, [0x40800000n], 0x3eff8000n, 0],
];

it.each(lines)("%s", (_, row, insn, fpcr, operands, result, flags) => {
  for (const before of [0, IXC]) {
    st.setLo(Off.FPCR, fpcr);
    st.setLo(Off.FPSR, before);
    // A scalar result replaces the whole register.
    st.set(Off.V, -1n);
    st.set(Off.V + 8, -1n);
    operands.forEach((bits, i) => {
      st.set(Off.V + 16 * (i + 1), bits);
    });
    fpHelpers[row]?.(st, insn);
    expect([st.get(Off.V).toString(16), st.get(Off.V + 8), st.lo(Off.FPSR)]).toEqual([result.toString(16), 0n, before | flags]);
  }
});

it("has a helper for every floating-point row, and for nothing else", () => {
  const rows = simdFp.map(([name]) => name).filter((name) => /^(F|BF|[SU]CVTF)/.test(name));
  expect(Object.keys(fpHelpers).sort()).toEqual(rows.sort());
});
