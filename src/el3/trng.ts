// True Random Number Generator firmware interface 1.0 (Arm DEN0098).

import { arg, type Handler, Ret, type RowTuple } from "./smccc.ts";

const TRNG_1_0 = 0x0001_0000n;

/** Identity of this entropy source: w0..w3 of TRNG_GET_UUID. */
const uuid: readonly bigint[] = [0x6d2a_93c4n, 0x4be1_7f05n, 0x91d8_3ca6n, 0x2e57_b80fn];

const version: Handler = () => [TRNG_1_0];

const features: Handler = (s, call) => {
  const fid = Number(arg(call, 1) & 0xffff_ffffn);
  return [isTrng(fid) && s.implemented(fid) ? Ret.SUCCESS : Ret.NOT_SUPPORTED];
};

const getUuid: Handler = () => uuid;

/**
 * N bits of entropy in three registers of 32 or 64 bits each: the lowest bits in the third, zero above N. N is 1..96 or 1..192.
 */
const rnd: Handler = (s, call) => {
  const registerBits = call.wide ? 64 : 32;
  const bits = arg(call, 1);
  if (bits === 0n || bits > BigInt(3 * registerBits)) return [Ret.INVALID_PARAMETERS];
  let value = 0n;
  for (const byte of s.entropy(Math.ceil(Number(bits) / 8))) value = (value << 8n) | BigInt(byte);
  value = BigInt.asUintN(Number(bits), value);
  const part = (n: number): bigint => BigInt.asUintN(registerBits, value >> BigInt(n * registerBits));
  return [Ret.SUCCESS, part(2), part(1), part(0)];
};

// id32, id64, name, arguments, handler
// biome-ignore format: table
export const trngRows: readonly RowTuple[] = [
  [0x8400_0050, 0,           "TRNG_VERSION",  "",     version],
  [0x8400_0051, 0,           "TRNG_FEATURES", "fid",  features],
  [0x8400_0052, 0,           "TRNG_GET_UUID", "",     getUuid],
  [0x8400_0053, 0xc400_0053, "TRNG_RND",      "bits", rnd],
];

const isTrng = (fid: number): boolean => trngRows.some(([id32, id64]) => fid === id32 || (id64 !== 0 && fid === id64));
