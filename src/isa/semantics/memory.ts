// Loads and stores of general-purpose and SIMD&FP registers (Arm ARM C4.1.94), without atomics and structures.

import { Off } from "../../arch/layout.ts";
import type { AccessOptions, Builder } from "../../ir/builder.ts";
import { add, and, c32, c64, lo32, sext, shl, signed, V128, type Value, zext } from "../../ir/value.ts";
import { SysOp } from "../sysops.ts";
import type { Row } from "../table.ts";
import { define, type Fields, type Variants } from "./define.ts";
import { extend } from "./integer.ts";

/** Base register; SP must be 16-byte aligned when SP alignment checking is on (CheckSPAlignment). */
export function base(b: Builder, f: Fields, v: Variants): Value {
  if (!v.Rn31) return b.x(f.Rn);
  b.systemIf(SysOp.SP_ALIGNMENT, and(b.state(Off.SPALIGN), lo32(and(b.sp, c64(15)))));
  return b.sp;
}
/** The stored SPALIGN flag is 15 or 0, so that one AND answers. */
export const writeBase = (b: Builder, f: Fields, v: Variants, value: Value) => b.setX(v.Rn31 ? c32(32) : f.Rn, value);

/** What a general-purpose transfer does: log2 size, direction, sign extension and to which width. */
interface Transfer {
  lg: number;
  store: boolean;
  signed: boolean;
  to32: boolean;
  o: AccessOptions;
}

/** From the row name: LDRSB_IMM_POST, STTRH, LDUR_GEN, ... with opc and size as variants where the row has them. */
function transferOf(row: Row, v: Variants): Transfer {
  const m = /^(ST|LD)(AP|L)?([TU])?R(S?)([BHW]?)(?:_|$)/.exec(row.name);
  if (!m) throw new Error(`isa: ${row.name} is not a plain transfer`);
  const signedLoad = m[4] === "S";
  const lg = m[5] === "B" ? 0 : m[5] === "H" ? 1 : m[5] === "W" ? 2 : (v.size as number);
  const o = { unprivileged: m[3] === "T", ordered: m[2] !== undefined };
  return { lg, store: m[1] === "ST", signed: signedLoad, to32: signedLoad && lg < 2 && v.opc === 3, o };
}
function transfer(b: Builder, t: Transfer, rt: Value, va: Value): void {
  if (t.store) {
    b.store(va, t.lg, [b.x(rt)], t.o);
    return;
  }
  const value = b.load(va, t.lg, { ...t.o, signed: t.signed });
  b.setX(rt, t.to32 ? lo32(value) : value);
}
const simm9 = (f: Fields) => sext(signed(f.imm9, 9));
const scaled = (imm: Value, lg: number) => zext(shl(imm, c32(lg)));

type Address = (b: Builder, f: Fields, v: Variants, lg: number) => { va: Value; writeback?: Value };
const unsignedOffset: Address = (b, f, v, lg) => ({ va: add(base(b, f, v), scaled(f.imm12, lg)) });
const unscaled: Address = (b, f, v) => ({ va: add(base(b, f, v), simm9(f)) });
const postIndex: Address = (b, f, v) => {
  const va = base(b, f, v);
  return { va, writeback: add(va, simm9(f)) };
};
const preIndex: Address = (b, f, v) => {
  const va = add(base(b, f, v), simm9(f));
  return { va, writeback: va };
};
const registerOffset: Address = (b, f, v, lg) => ({
  va: add(base(b, f, v), shl(extend(b.x(f.Rm), v.option_name as number), c64(v.S ? lg : 0))),
});

const validOption = (v: Variants) => v.option_name === undefined || (v.option_name & 2) !== 0;

/** Defines integer transfers of one addressing form. */
function defineInteger(rows: string, address: Address): void {
  define(
    rows,
    "size opc option_name S Rn31",
    (b, f, v, row) => {
      const t = transferOf(row, v);
      const { va, writeback } = address(b, f, v, t.lg);
      transfer(b, t, f.Rt, va);
      if (writeback) writeBase(b, f, v, writeback);
    },
    validOption,
  );
}
defineInteger(
  "STRB_IMM_UOFF LDRB_IMM_UOFF LDRSB_IMM_UOFF STRH_IMM_UOFF LDRH_IMM_UOFF LDRSH_IMM_UOFF STR_IMM_GEN_UOFF LDR_IMM_GEN_UOFF LDRSW_IMM_UOFF",
  unsignedOffset,
);
defineInteger(
  "STURB LDURB LDURSB STURH LDURH LDURSH STUR_GEN LDUR_GEN LDURSW STTRB LDTRB LDTRSB STTRH LDTRH LDTRSH STTR LDTR LDTRSW",
  unscaled,
);
defineInteger("STLURB LDAPURB LDAPURSB STLURH LDAPURH LDAPURSH STLUR_GEN LDAPUR_GEN LDAPURSW", unscaled);
defineInteger(
  "STRB_IMM_POST LDRB_IMM_POST LDRSB_IMM_POST STRH_IMM_POST LDRH_IMM_POST LDRSH_IMM_POST STR_IMM_GEN_POST LDR_IMM_GEN_POST LDRSW_IMM_POST",
  postIndex,
);
defineInteger(
  "STRB_IMM_PRE LDRB_IMM_PRE LDRSB_IMM_PRE STRH_IMM_PRE LDRH_IMM_PRE LDRSH_IMM_PRE STR_IMM_GEN_PRE LDR_IMM_GEN_PRE LDRSW_IMM_PRE",
  preIndex,
);
defineInteger("STRB_REG LDRB_REG LDRSB_REG STRH_REG LDRH_REG LDRSH_REG STR_REG_GEN LDR_REG_GEN LDRSW_REG", registerOffset);

const literalOffset = (f: Fields) => sext(shl(signed(f.imm19, 19), c32(2)));
define("LDR_LIT_GEN", "opc", (b, f, v) => b.setX(f.Rt, b.load(add(b.pc, literalOffset(f)), v.opc ? 3 : 2)));
define("LDRSW_LIT", "", (b, f) => b.setX(f.Rt, b.load(add(b.pc, literalOffset(f)), 2, { signed: true })));
/** Prefetch has no architectural effect. */
define("PRFM_LIT PRFM_IMM PRFM_REG PRFUM RPRFM_REG", "", () => {});

// ---- acquire, release ----------------------------------------------------------------------------------------------
const ordered = { ordered: true } as const;
const orderedSize = (name: string, v: Variants) => (name.endsWith("B") ? 0 : name.endsWith("H") ? 1 : (v.size as number));
define("LDARB LDARH LDAR LDLARB LDLARH LDLAR LDAPRB LDAPRH LDAPR", "size Rn31", (b, f, v, row) =>
  b.setX(f.Rt, b.load(base(b, f, v), orderedSize(row.name, v), ordered)),
);
define("STLRB STLRH STLR STLLRB STLLRH STLLR", "size Rn31", (b, f, v, row) =>
  b.store(base(b, f, v), orderedSize(row.name, v), [b.x(f.Rt)], ordered),
);

// ---- pairs ---------------------------------------------------------------------------------------------------------
const simm7 = (f: Fields, lg: number) => sext(shl(signed(f.imm7, 7), c32(lg)));
function pairAddress(b: Builder, f: Fields, v: Variants, name: string, lg: number): { va: Value; writeback: Value | undefined } {
  const n = base(b, f, v);
  const moved = add(n, simm7(f, lg));
  if (name.endsWith("_POST")) return { va: n, writeback: moved };
  return { va: moved, writeback: name.endsWith("_PRE") ? moved : undefined };
}
define(
  "STP_GEN_POST STP_GEN_OFF STP_GEN_PRE STNP_GEN LDP_GEN_POST LDP_GEN_OFF LDP_GEN_PRE LDNP_GEN LDPSW_POST LDPSW_OFF LDPSW_PRE",
  "opc Rn31",
  (b, f, v, row) => {
    const signedLoad = row.name.startsWith("LDPSW");
    const lg = !signedLoad && v.opc === 2 ? 3 : 2;
    const { va, writeback } = pairAddress(b, f, v, row.name, lg);
    if (row.name.startsWith("ST")) b.store(va, lg, [b.x(f.Rt), b.x(f.Rt2)]);
    else {
      const [first, second] = b.loadMany(va, lg, 2, { signed: signedLoad }) as [Value, Value];
      b.setX(f.Rt, first);
      b.setX(f.Rt2, second);
    }
    if (writeback) writeBase(b, f, v, writeback);
  },
  (v) => v.opc === undefined || (v.opc & 1) === 0,
);

define(
  "STP_FPSIMD_POST STP_FPSIMD_OFF STP_FPSIMD_PRE STNP_FPSIMD LDP_FPSIMD_POST LDP_FPSIMD_OFF LDP_FPSIMD_PRE LDNP_FPSIMD",
  "opc Rn31",
  (b, f, v, row) => {
    b.requireFp(SysOp.FPTRAP);
    const lg = (v.opc as number) + 2;
    const { va, writeback } = pairAddress(b, f, v, row.name, lg);
    if (row.name.startsWith("ST")) b.store(va, lg, [b.v(f.Rt), b.v(f.Rt2)]);
    else {
      const [first, second] = b.loadMany(va, lg, 2, { type: V128 }) as [Value, Value];
      b.setV(f.Rt, first);
      b.setV(f.Rt2, second);
    }
    if (writeback) writeBase(b, f, v, writeback);
  },
  (v) => v.opc !== 3,
);

// ---- SIMD&FP registers ---------------------------------------------------------------------------------------------
/** opc<1>:size is the log2 size: B H S D Q. */
const vectorSize = (v: Variants) => ((v.opc as number) & 2 ? 4 : (v.size as number));
const validVector = (v: Variants) => ((v.opc as number) < 2 || v.size === 0) && validOption(v);
function defineVector(rows: string, address: Address): void {
  define(
    rows,
    "size opc option_name S Rn31",
    (b, f, v, row) => {
      b.requireFp(SysOp.FPTRAP);
      const lg = vectorSize(v);
      const { va, writeback } = address(b, f, v, lg);
      if (row.name.startsWith("ST")) b.store(va, lg, [b.v(f.Rt)]);
      else b.setV(f.Rt, b.load(va, lg, { type: V128 }));
      if (writeback) writeBase(b, f, v, writeback);
    },
    validVector,
  );
}
defineVector("STR_IMM_FPSIMD_UOFF LDR_IMM_FPSIMD_UOFF", unsignedOffset);
defineVector("STUR_FPSIMD LDUR_FPSIMD", unscaled);
defineVector("STR_IMM_FPSIMD_POST LDR_IMM_FPSIMD_POST", postIndex);
defineVector("STR_IMM_FPSIMD_PRE LDR_IMM_FPSIMD_PRE", preIndex);
defineVector("STR_REG_FPSIMD LDR_REG_FPSIMD", registerOffset);
define(
  "LDR_LIT_FPSIMD",
  "opc",
  (b, f, v) => {
    b.requireFp(SysOp.FPTRAP);
    b.setV(f.Rt, b.load(add(b.pc, literalOffset(f)), (v.opc as number) + 2, { type: V128 }));
  },
  (v) => v.opc !== 3,
);
