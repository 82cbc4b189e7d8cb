// IEEE 754 interchange formats, and lanes of them in memory.

/** A format; `e` exponent bits, `f` fraction bits. Masks are 64-bit unsigned. */
export interface Format {
  readonly bytes: 2 | 4 | 8;
  readonly f: number;
  /** All ones exponent field. */
  readonly expMax: number;
  readonly bias: number;
  readonly sign: bigint;
  readonly fracMask: bigint;
  /** Most significant fraction bit: set in quiet NaNs. */
  readonly quiet: bigint;
  /** Positive infinity; also the exponent mask. */
  readonly inf: bigint;
  /** FPSR.IDC is set when an input of this format is flushed, and flushing is governed by FZ (else by FZ16). */
  readonly usesFz: boolean;
}

function format(bytes: 2 | 4 | 8, e: number, f: number, usesFz: boolean): Format {
  const expMax = 2 ** e - 1;
  return {
    bytes,
    f,
    expMax,
    bias: 2 ** (e - 1) - 1,
    sign: 1n << BigInt(e + f),
    fracMask: (1n << BigInt(f)) - 1n,
    quiet: 1n << BigInt(f - 1),
    inf: BigInt(expMax) << BigInt(f),
    usesFz,
  };
}

export const F16 = format(2, 5, 10, false);
export const F32 = format(4, 8, 23, true);
export const F64 = format(8, 11, 52, true);
export const BF16 = format(2, 8, 7, true);

/** Value of an `ftype` field; vector rows use 0 and 1 as `sz`. */
export const FType = { Single: 0, Double: 1, Half: 3 } as const;
export type FType = (typeof FType)[keyof typeof FType];

/** One thing per ftype; the reserved value 2 repeats half precision so that indexing needs no check. */
export type PerType<T> = readonly [single: T, double: T, reserved: T, half: T];
export function perType<T>(single: T, double: T, half: T): PerType<T> {
  return [single, double, half, half];
}
export const formats: PerType<Format> = perType(F32, F64, F16);
/** log2 of the element size in bytes, by ftype. */
export const sizeLog: PerType<number> = perType(2, 3, 1);

/** Lane operations: read source lanes at byte offsets of `dv`, write the destination lane. Sources are read before the write. */
export type Lane1 = (dv: DataView, d: number, n: number) => void;
export type Lane2 = (dv: DataView, d: number, n: number, m: number) => void;
/** Multiply-add: d = a + n * m. */
export type Lane3 = (dv: DataView, d: number, n: number, m: number, a: number) => void;

/** Raw bits of a lane, unsigned. */
export function readBits(dv: DataView, off: number, fmt: Format): bigint {
  if (fmt.bytes === 8) return dv.getBigUint64(off, true);
  return BigInt(fmt.bytes === 4 ? dv.getUint32(off, true) : dv.getUint16(off, true));
}
export function writeBits(dv: DataView, off: number, fmt: Format, bits: bigint): void {
  if (fmt.bytes === 8) dv.setBigUint64(off, bits, true);
  else if (fmt.bytes === 4) dv.setUint32(off, Number(bits), true);
  else dv.setUint16(off, Number(bits), true);
}
