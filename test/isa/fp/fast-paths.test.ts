// The host-arithmetic paths against the exact core: same bits, same FPSR, with IXC clear and with IXC set, in every FPCR mode.

import { describe, expect, it } from "vitest";
import { Off, PE_BASE, PE_STRIDE } from "../../../src/arch/layout.ts";
import { PeState } from "../../../src/arch/state.ts";
import * as arith from "../../../src/isa/fp/arith.ts";
import * as convert from "../../../src/isa/fp/convert.ts";
import { begin, Exc, end, env, Round } from "../../../src/isa/fp/env.ts";
import { F16, F32, F64, type Format, FType, formats, type Lane1, type PerType, readBits, writeBits } from "../../../src/isa/fp/format.ts";
import * as softConvert from "../../../src/isa/fp/softfloat-convert.ts";
import * as soft from "../../../src/isa/fp/softfloat-ops.ts";
import { Random } from "../oracle/random.ts";
import { nearProduct, operand, related } from "./operands.ts";

const st = new PeState(new WebAssembly.Memory({ initial: (PE_BASE + PE_STRIDE) / 0x1_0000 }), 0);
const dv = new DataView(new ArrayBuffer(64));
const types = [FType.Single, FType.Double, FType.Half] as const;
const FPCR_MODES = [0, 0, 0, 1 << 25, 1 << 22, 2 << 22, 3 << 22, 1 << 24, 1 << 19, 1 << 26];
const TRIES = 4000;

/** Bits and FPSR of `run`, which gets a result from the environment it finds. */
function observe(fpcr: number, fpsr: number, run: () => bigint): string {
  st.setLo(Off.FPCR, fpcr);
  st.setLo(Off.FPSR, fpsr);
  begin(st);
  const bits = run();
  end(st);
  return `${bits.toString(16)} FPSR ${st.lo(Off.FPSR).toString(16)}`;
}

function check(label: string, operands: (rng: Random) => bigint[], fast: (o: bigint[]) => bigint, exact: (o: bigint[]) => bigint): void {
  const rng = new Random(7);
  for (let i = 0; i < TRIES; i++) {
    const o = operands(rng);
    const fpcr = FPCR_MODES[rng.below(FPCR_MODES.length)] as number;
    const fpsr = rng.below(2) ? Exc.IXC : 0;
    const expected = observe(fpcr, fpsr, () => exact(o));
    const actual = observe(fpcr, fpsr, () => fast(o));
    if (actual !== expected) expect.fail(`${label} ${o.map((x) => x.toString(16))} fpcr ${fpcr.toString(16)}: ${actual}, not ${expected}`);
  }
}

/** Operands n, m, a: often close to each other, or a close to n * m. */
function operands(fmt: Format): (rng: Random) => bigint[] {
  return (rng) => {
    const n = operand(fmt, rng);
    const m = rng.below(4) === 0 ? related(fmt, n, rng) : operand(fmt, rng);
    return [n, m, rng.below(3) === 0 ? nearProduct(fmt, n, m, rng) : operand(fmt, rng)];
  };
}
function store(fmt: Format, o: bigint[]): void {
  o.forEach((bits, i) => {
    writeBits(dv, 8 * i, fmt, bits);
  });
}

const binary = {
  add: soft.add,
  sub: soft.sub,
  mul: soft.mul,
  mulx: soft.mulx,
  div: soft.div,
  max: soft.max,
  min: soft.min,
  maxnm: soft.maxnm,
  minnm: soft.minnm,
  recps: soft.recps,
  rsqrts: soft.rsqrts,
};

const { add, sub, mul, mulx, div, max, min, maxnm, minnm, recps, rsqrts } = arith;
const hostOps = { add, sub, mul, mulx, div, max, min, maxnm, minnm, recps, rsqrts };

describe("host arithmetic against the exact core", () => {
  for (const t of types) {
    const fmt = formats[t];
    const bits = `${8 * fmt.bytes} bits`;
    for (const [name, exact] of Object.entries(binary)) {
      it(`${name}, ${bits}`, () => {
        const lane = hostOps[name as keyof typeof binary][t];
        const fast = (o: bigint[]) => {
          store(fmt, o);
          lane(dv, 32, 0, 8);
          return readBits(dv, 32, fmt);
        };
        check(name, operands(fmt), fast, ([n, m]) => exact(fmt, n as bigint, m as bigint));
      });
    }
    it(`sqrt, ${bits}`, () => {
      check("sqrt", operands(fmt), unary(arith.sqrt, t), ([n]) => soft.sqrt(fmt, n as bigint));
    });
    it(`fused multiply-add, ${bits}`, () => {
      const fast = (o: bigint[]) => {
        store(fmt, o);
        arith.fmadd[t](dv, 32, 0, 8, 16);
        return readBits(dv, 32, fmt);
      };
      check("fmadd", operands(fmt), fast, ([n, m, a]) => soft.fma(fmt, a as bigint, n as bigint, m as bigint));
    });
  }
});

function unary(op: PerType<Lane1>, t: FType, to: Format = formats[t]): (o: bigint[]) => bigint {
  return (o) => {
    store(formats[t], o);
    op[t](dv, 32, 0);
    return readBits(dv, 32, to);
  };
}

const modes = [Round.TieEven, Round.PosInf, Round.NegInf, Round.Zero, Round.TieAway];

describe("host conversions against the exact core", () => {
  for (const t of types) {
    const fmt = formats[t];
    const bits = `${8 * fmt.bytes} bits`;
    it(`round to integral, ${bits}`, () => {
      for (const mode of modes) {
        const fast = unary(convert.laneRoundInt(mode, true), t);
        check(`mode ${mode}`, operands(fmt), fast, ([n]) => softConvert.roundInt(fmt, n as bigint, mode, true));
      }
    });
    it(`to integer, ${bits}`, () => {
      for (const mode of modes) {
        for (const [unsigned, width, fbits] of [
          [false, 32, 0],
          [true, 32, 5],
          [false, 64, 0],
          [true, 64, 0],
          [false, 64, 63],
        ] as const) {
          const fast = (o: bigint[]) => {
            store(fmt, o);
            convert.toFixed(dv, 0, t, fbits, unsigned, mode, width);
            const lo = BigInt(convert.fixed.lo >>> 0);
            return width === 32 ? lo : (BigInt(convert.fixed.hi >>> 0) << 32n) | lo;
          };
          const exact = ([n]: bigint[]) => softConvert.toFixed(fmt, n as bigint, fbits, unsigned, mode, width);
          check(`mode ${mode} unsigned ${unsigned} width ${width}`, operands(fmt), fast, exact);
        }
      }
    });
    it(`from integer, ${bits}`, () => {
      for (const [unsigned, width, fbits] of [
        [false, 32, 0],
        [true, 32, 32],
        [false, 64, 0],
        [true, 64, 0],
        [true, 64, 64],
      ] as const) {
        const integers = (rng: Random) => [width === 32 ? rng.lanes(64) & 0xffff_ffffn : rng.lanes(64)];
        const fast = ([x]: bigint[]) => {
          const lo = Number((x as bigint) & 0xffff_ffffn);
          convert.fromFixed(dv, 32, t, lo, Number((x as bigint) >> 32n), unsigned, fbits, width);
          return readBits(dv, 32, fmt);
        };
        const exact = ([x]: bigint[]) => {
          const value = unsigned ? BigInt.asUintN(width, x as bigint) : BigInt.asIntN(width, x as bigint);
          return softConvert.fromFixed(fmt, value, fbits, env.mode);
        };
        check(`unsigned ${unsigned} width ${width}`, integers, fast, exact);
      }
    });
  }
  it("between precisions", () => {
    const pairs: [Lane1, Format, Format][] = [
      [convert.singleToDouble, F32, F64],
      [convert.doubleToSingle, F64, F32],
      [convert.halfToSingle, F16, F32],
      [convert.halfToDouble, F16, F64],
      [convert.singleToHalf, F32, F16],
      [convert.doubleToHalf, F64, F16],
    ];
    for (const [lane, from, to] of pairs) {
      const fast = (o: bigint[]) => {
        store(from, o);
        lane(dv, 32, 0);
        return readBits(dv, 32, to);
      };
      check(`${from.bytes} to ${to.bytes}`, operands(from), fast, ([n]) => softConvert.convert(from, to, n as bigint, env.mode));
    }
  });
});
