// Pointer authentication (FEAT_PAuth2, FEAT_FPACCOMBINE) with an IMPLEMENTATION DEFINED cipher (Fn.Pac).
// The PE keeps, per address range, the mask of PAC bits (Off.PACMASK0/1) and which keys are enabled (Off.PAUTH).

import { Off } from "../../arch/layout.ts";
import { slot } from "../../arch/state.ts";
import type { Builder } from "../../ir/builder.ts";
import { add, and, bin, c32, c64, eqz, I64, lo32, not, or, select, sext, shl, shru, signed, type Value, xor } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import { brType } from "./branch.ts";
import { define, type Fields, type Variants } from "./define.ts";
import { base, writeBase } from "./memory.ts";

type Key = "IA" | "IB" | "DA" | "DB";
const enableBit: Record<Key, number> = { IA: 0, IB: 1, DA: 2, DB: 3 };
const keySlot: Record<Key | "GA", number> = {
  IA: slot.APIAKEYLO_EL1,
  IB: slot.APIBKEYLO_EL1,
  DA: slot.APDAKEYLO_EL1,
  DB: slot.APDBKEYLO_EL1,
  GA: slot.APGAKEYLO_EL1,
};
const BIT55 = c64(0, 1 << 23);
const bitOf = (x: Value, n: number) => lo32(and(shru(x, c64(n)), c64(1)));
const maskFor = (b: Builder, upper: Value) => select(upper, b.state(Off.PACMASK1, I64), b.state(Off.PACMASK0, I64));
const keyEnabled = (b: Builder, key: Key) => b.bit(b.state(Off.PAUTH), enableBit[key]);
const trap = (b: Builder, bit = 16) => b.systemIf(SysOp.PAUTH_TRAP, and(b.state(Off.PAUTH), c32(bit)));

/** All PAC bits (and bit 55) of `p` equal to the range selector: the pointer before signing. */
const extendTo = (p: Value, upper: Value, mask: Value) => select(upper, or(or(p, mask), BIT55), and(p, not(or(mask, BIT55))));

/** AddPAC: the signed pointer, or `p` when the key is disabled. */
function sign(b: Builder, p: Value, modifier: Value, key: Key): Value {
  const bit55 = bitOf(p, 55);
  const topByteIgnored = eqz(bitOf(maskFor(b, bit55), 63));
  const upper = select(topByteIgnored, bit55, bitOf(p, 63));
  const mask = maskFor(b, upper);
  const original = extendTo(p, upper, mask);
  const code = and(b.pac(original, modifier, c32(keySlot[key]), 1 << enableBit[key]), mask);
  const signedPointer = select(upper, or(xor(p, code), BIT55), and(xor(p, code), not(BIT55)));
  return select(keyEnabled(b, key), signedPointer, p);
}
/** Auth: the authenticated pointer; a mismatch raises a PAC fail exception. */
function authenticate(b: Builder, p: Value, modifier: Value, key: Key): Value {
  const upper = bitOf(p, 55);
  const mask = maskFor(b, upper);
  const original = extendTo(p, upper, mask);
  const code = and(b.pac(original, modifier, c32(keySlot[key]), 1 << enableBit[key]), mask);
  const enabled = keyEnabled(b, key);
  b.systemIf(SysOp.PAC_FAIL, and(enabled, bin("ne", xor(p, code), original)));
  return select(enabled, original, p);
}
const strip = (b: Builder, p: Value) => {
  const upper = bitOf(p, 55);
  return extendTo(p, upper, maskFor(b, upper));
};

// ---- register forms ------------------------------------------------------------------------------------------------
for (const key of ["IA", "IB", "DA", "DB"] as const) {
  const modifier = (b: Builder, f: Fields, v: Variants) => (v.Z ? c64(0) : v.Rn31 ? b.sp : b.x(f.Rn));
  define(`PAC${key}`, "Z Rn31", (b, f, v) => {
    trap(b);
    b.setX(f.Rd, sign(b, b.x(f.Rd), modifier(b, f, v), key));
  });
  define(`AUT${key}`, "Z Rn31", (b, f, v) => {
    trap(b);
    b.setX(f.Rd, authenticate(b, b.x(f.Rd), modifier(b, f, v), key));
  });
}
define("PACGA", "Rm31", (b, f, v) => {
  trap(b, 32);
  const code = b.pac(b.x(f.Rn), v.Rm31 ? b.sp : b.x(f.Rm), c32(keySlot.GA));
  b.setX(f.Rd, and(code, c64(0, -1)));
});
define("XPAC", "", (b, f) => b.setX(f.Rd, strip(b, b.x(f.Rd))));
define("XPACLRI", "", (b) => b.setX(c32(30), strip(b, b.x(c32(30)))));

// ---- hint forms: CRm 0001: X17 with X16; CRm 0011: X30 with zero (op2 even) or SP (op2 odd) -------------------------
function hint(b: Builder, v: Variants, act: (p: Value, modifier: Value) => Value): void {
  trap(b);
  const on17 = v.CRm === 1;
  const r = c32(on17 ? 17 : 30);
  b.setX(r, act(b.x(r), on17 ? b.x(c32(16)) : (v.op2 as number) & 1 ? b.sp : c64(0)));
}
for (const key of ["IA", "IB"] as const) {
  define(`PAC${key}_HINT`, "CRm op2", (b, _f, v) => hint(b, v, (p, m) => sign(b, p, m, key)));
  define(`AUT${key}_HINT`, "CRm op2", (b, _f, v) => hint(b, v, (p, m) => authenticate(b, p, m, key)));
}

// ---- combined branches and loads -----------------------------------------------------------------------------------
const branchModifier = (b: Builder, f: Fields, v: Variants) => (v.Z ? (v.Rm31 ? b.sp : b.x(f.Rm)) : c64(0));
const keyOf = (v: Variants): Key => (v.M ? "IB" : "IA");
define("BRA", "Z M Rm31", (b, f, v) => {
  trap(b);
  const target = authenticate(b, b.x(f.Rn), branchModifier(b, f, v), keyOf(v));
  b.jump(target, brType(b, f.Rn));
});
define("BLRA", "Z M Rm31", (b, f, v) => {
  trap(b);
  const target = authenticate(b, b.x(f.Rn), branchModifier(b, f, v), keyOf(v));
  b.setX(c32(30), b.nextPc());
  b.jump(target, c32(2));
});
define("RETA", "M", (b, _f, v) => {
  trap(b);
  b.jump(authenticate(b, b.x(c32(30)), b.sp, keyOf(v)));
});
/** LDRAA, LDRAB: the base is authenticated with a zero modifier; offset S:imm9 in units of 8 bytes. */
define("LDRA", "M S W Rn31", (b, f, v) => {
  trap(b);
  const pointer = authenticate(b, base(b, f, v), c64(0), v.M ? "DB" : "DA");
  const imm = or(shl(c32(v.S as number), c32(9)), f.imm9);
  const va = add(pointer, sext(shl(signed(imm, 10), c32(3))));
  const value = b.load(va, 3);
  if (v.W) writeBase(b, f, v, va);
  b.setX(f.Rt, value);
});
