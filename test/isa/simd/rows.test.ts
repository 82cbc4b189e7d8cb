// Facts that need no oracle: which rows have a helper, published algorithms done with the cryptographic rows, FPSR.QC, the zero register.

import { createCipheriv, createHash } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { Off, PE_BASE, PE_STRIDE } from "../../../src/arch/layout.ts";
import { PeState } from "../../../src/arch/state.ts";
import { simdFp } from "../../../src/isa/rows/simd-fp.ts";
import { simdHelpers } from "../../../src/isa/simd/index.ts";
import { decode, rowByName } from "../../../src/isa/table.ts";

const st = new PeState(new WebAssembly.Memory({ initial: (PE_BASE + PE_STRIDE) / 0x1_0000 }), 0);
beforeEach(() => st.u8.fill(0, st.base, st.base + 0x1000));

const v = (n: number): Uint8Array => st.u8.subarray(st.base + Off.V + 16 * n, st.base + Off.V + 16 * n + 16);
const setV = (n: number, bytes: Uint8Array): void => v(n).set(bytes);
const word = (n: number, i: number): number => st.lo(Off.V + 16 * n + 4 * i);

/** Runs the helper of a row on registers d, n, m plus other field bits. */
function run(name: string, d: number, n: number, m = 0, bits = 0): void {
  const row = rowByName.get(name);
  const insn = ((row?.value ?? 0) | d | (n << 5) | (m << 16) | bits) >>> 0;
  expect(decode(insn)?.name).toBe(name);
  (simdHelpers[name] as (st: PeState, insn: number) => void)(st, insn);
}

/** The message block of FIPS 180-4 for a message shorter than one block. */
function padded(message: string, block: number): Uint8Array {
  const b = new Uint8Array(block);
  b.set(new TextEncoder().encode(message));
  b[message.length] = 0x80;
  new DataView(b.buffer).setUint32(block - 4, 8 * message.length);
  return b;
}

const fractionBits = (x: number, root: (p: number) => number): number => Math.floor((root(x) % 1) * 2 ** 32) >>> 0;
const primes = Array.from({ length: 400 }, (_, i) => i + 2).filter((p) =>
  Array.from({ length: p - 2 }, (_, i) => i + 2).every((q) => p % q !== 0),
);
const Q = 1 << 30;

describe("coverage", () => {
  it("every row that is not floating-point has a helper", () => {
    const integer = simdFp.map(([name]) => name).filter((name) => !/^(F|BF|[SU]CVTF)/.test(name));
    expect(Object.keys(simdHelpers).sort()).toEqual([...integer].sort());
  });
});

describe("cryptographic rows carry out the published algorithms", () => {
  it("SHA-256 of one block", () => {
    const k = primes.slice(0, 64).map((p) => fractionBits(p, Math.cbrt));
    const h = primes.slice(0, 8).map((p) => fractionBits(p, Math.sqrt));
    const words = (from: number[]): Uint8Array => new Uint8Array(Uint32Array.from(from).buffer);
    // V0, V1: state; V2, V3: its start; V4..V7: schedule.
    for (const r of [0, 2]) {
      setV(r, words(h.slice(0, 4)));
      setV(r + 1, words(h.slice(4)));
    }
    const block = padded("rme", 64);
    for (let i = 0; i < 4; i++) {
      setV(4 + i, block.subarray(16 * i, 16 * i + 16));
      run("REV32V", 4 + i, 4 + i, 0, Q);
    }
    for (let r = 0; r < 16; r++) {
      const [w0, w1, w2, w3] = [0, 1, 2, 3].map((i) => 4 + ((r + i) & 3)) as [number, number, number, number];
      setV(16, words(k.slice(4 * r, 4 * r + 4)));
      run("ADDV", 16, 16, w0, Q | (2 << 22));
      run("ORRV_REG", 17, 0, 0, Q);
      run("SHA256HV", 0, 1, 16);
      run("SHA256H2V", 1, 17, 16);
      run("SHA256SU0V", w0, w1);
      run("SHA256SU1V", w0, w2, w3);
    }
    run("ADDV", 0, 0, 2, Q | (2 << 22));
    run("ADDV", 1, 1, 3, Q | (2 << 22));
    run("REV32V", 0, 0, 0, Q);
    run("REV32V", 1, 1, 0, Q);
    expect(Buffer.concat([v(0), v(1)]).toString("hex")).toBe(createHash("sha256").update("rme").digest("hex"));
  });

  it("AES-128 of one block", () => {
    const key = Uint8Array.from({ length: 16 }, (_, i) => 17 * i);
    const text = Uint8Array.from({ length: 16 }, (_, i) => 255 - 3 * i);
    const keys = expandKey(key);
    setV(0, text);
    for (let r = 0; r < 10; r++) {
      setV(1, keys.subarray(16 * r, 16 * r + 16));
      run("AESEV", 0, 1);
      if (r < 9) run("AESMCV", 0, 0);
    }
    setV(1, keys.subarray(160, 176));
    run("EORV", 0, 0, 1, Q);
    const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
    expect(Buffer.from(v(0)).toString("hex")).toBe(cipher.update(text).toString("hex"));
  });

  /** FIPS 197 key schedule with SubWord done by AESE on a zero key: equal columns make ShiftRows vanish. */
  function expandKey(key: Uint8Array): Uint8Array {
    const w = new Uint8Array(176);
    w.set(key);
    let rcon = 1;
    for (let at = 16; at < 176; at += 4) {
      const t = w.slice(at - 4, at);
      if (at % 16 === 0) {
        setV(
          30,
          Uint8Array.from({ length: 16 }, (_, i) => t[((i & 3) + 1) & 3] as number),
        );
        setV(31, new Uint8Array(16));
        run("AESEV", 30, 31);
        t.set(v(30).subarray(0, 4));
        t[0] = (t[0] as number) ^ rcon;
        rcon = (rcon << 1) ^ (rcon & 0x80 ? 0x11b : 0);
      }
      for (let i = 0; i < 4; i++) w[at + i] = (w[at + i - 16] as number) ^ (t[i] as number);
    }
    return w;
  }

  it("PMULL multiplies by x", () => {
    setV(1, new Uint8Array(16).fill(0xff));
    setV(2, Uint8Array.of(2));
    run("PMULLV", 0, 1, 2, 3 << 22);
    expect(Buffer.from(v(0)).toString("hex")).toBe("feffffffffffffff0100000000000000");
  });
});

describe("architectural state around the lanes", () => {
  it("saturation sets FPSR.QC and nothing clears it", () => {
    st.setLo(Off.FPSR, 0x9f);
    run("UQADDV", 0, 1, 2, Q);
    expect(st.lo(Off.FPSR)).toBe(0x9f);
    setV(1, new Uint8Array(16).fill(0xff));
    run("UQADDV", 0, 1, 1);
    expect(st.lo(Off.FPSR)).toBe(0x0800_009f);
    run("UQADDV", 0, 3, 3);
    expect(st.lo(Off.FPSR)).toBe(0x0800_009f);
  });

  it("64-bit forms and scalars clear the rest of the register, even onto a source", () => {
    setV(1, new Uint8Array(16).fill(0x11));
    run("ADDV", 1, 1, 1);
    expect([word(1, 0), word(1, 1), word(1, 2), word(1, 3)]).toEqual([0x2222_2222, 0x2222_2222, 0, 0]);
    run("SQADDV_s", 1, 1, 1);
    expect([word(1, 0), word(1, 1)]).toEqual([0x44, 0]);
  });

  it("UMOV to XZR leaves the zero slot zero", () => {
    setV(1, new Uint8Array(16).fill(0xff));
    run("UMOVV", 31, 1, 8, Q);
    expect(st.x(31)).toBe(0n);
  });
});
