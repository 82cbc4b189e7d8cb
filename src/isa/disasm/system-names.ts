// Names in system instructions: registers, SYS aliases, PSTATE fields, barriers, prefetch operations.

import { Features, featureNames } from "../../arch/features.ts";
import { encodingKey, registerName } from "../../arch/registers/index.ts";
import { systemInstructions } from "../../arch/registers/instructions.ts";
import type { Decoded } from "./decoded.ts";

const keyOf = (d: Decoded, op0: number): number => encodingKey(op0, d.f("op1"), d.f("CRn"), d.f("CRm"), d.f("op2"));

/** System register of MRS, MSR: its name, or S<op0>_<op1>_C<n>_C<m>_<op2>. */
export function systemRegister(d: Decoded): string {
  const op0 = 2 + d.f("o0");
  const name = registerName(keyOf(d, op0));
  return (name ?? `S${op0}_${d.f("op1")}_C${d.f("CRn")}_C${d.f("CRm")}_${d.f("op2")}`).toLowerCase();
}

const everything = new Features("all", new Set(featureNames), 52, 0n);
const instructions = new Map(systemInstructions(everything).map((i) => [i.key, i.name.toLowerCase()]));
/** SYS instructions that ignore Xt, which is then left out: VMALL*, ALL*, IALLU*, PAALL*. */
const withoutOperand = /all(e|s|os$|u|$)/;

const sysOperands = (d: Decoded): string => `#${d.f("op1")}, C${d.f("CRn")}, C${d.f("CRm")}, #${d.f("op2")}`;
const xt = (n: number): string => (n === 31 ? "xzr" : `x${n}`);

/** SYS with its alias: dc, ic, at, tlbi, cfp, dvp, cpp. */
export function sys(d: Decoded): string {
  const name = instructions.get(keyOf(d, 1));
  const t = d.f("Rt");
  if (name === undefined) return `sys ${sysOperands(d)}${t === 31 ? "" : `, ${xt(t)}`}`;
  return withoutOperand.test(name) ? name : `${name}, ${xt(t)}`;
}
export const sysp = (d: Decoded): string => {
  const t = d.f("Rt");
  return `sysp ${sysOperands(d)}${t === 31 ? "" : `, ${xt(t)}, ${xt(t + 1)}`}`;
};
export { sysOperands };

// PSTATE fields of MSR (immediate): op1, op2, CRm bits that select (or -1), name. For the last ones CRm<0> is the value.
const pstate = [
  [0, 3, -1, "uao"],
  [0, 4, -1, "pan"],
  [0, 5, -1, "spsel"],
  [1, 0, 0, "allint"],
  [1, 0, 2, "pm"],
  [3, 1, -1, "ssbs"],
  [3, 2, -1, "dit"],
  [3, 3, 2, "svcrsm"],
  [3, 3, 4, "svcrza"],
  [3, 3, 6, "svcrsmza"],
  [3, 4, -1, "tco"],
  [3, 6, -1, "daifset"],
  [3, 7, -1, "daifclr"],
] as const;
/** MSR (immediate); SVCR fields print as SMSTART and SMSTOP. */
export function msrImmediate(d: Decoded): string {
  const [op1, op2, crm] = [d.f("op1"), d.f("op2"), d.f("CRm")];
  const [, , select, name] = pstate.find(([a, b, c]) => a === op1 && b === op2 && (c < 0 || c === (crm & 14))) ?? [
    0,
    0,
    -1,
    `s0_${op1}_c4_cx_${op2}`,
  ];
  if (name.startsWith("svcr")) return `${crm & 1 ? "smstart" : "smstop"}${name === "svcrsmza" ? "" : ` ${name.slice(4)}`}`;
  return `msr ${name}, #0x${(select < 0 ? crm : crm & 1).toString(16)}`;
}

const domains = ["osh", "nsh", "ish", "sy"] as const;
const types = ["", "ld", "st", ""] as const;
/** Option of DMB and DSB: shareability domain CRm<3:2>, access types CRm<1:0>. */
export function barrier(crm: number): string {
  if ((crm & 3) === 0) return `#0x${crm.toString(16).padStart(2, "0")}`;
  const [domain, type] = [domains[crm >> 2] as string, types[crm & 3] as string];
  return domain === "sy" && type !== "" ? type : `${domain}${type}`;
}
export const barrierDomain = (imm2: number): string => domains[imm2] as string;

/** Prefetch operation: type, target level, policy. */
export function prefetch(op: number): string {
  const type = ["pld", "pli", "pst"][op >> 3];
  const level = ["l1", "l2", "l3", "slc"][(op >> 1) & 3] as string;
  return type === undefined ? `#0x${op.toString(16).padStart(2, "0")}` : `${type}${level}${op & 1 ? "strm" : "keep"}`;
}
/** Range prefetch operation of RPRFM: option<2>, option<0>, S and Rt<2:0>. */
export function rangePrefetch(d: Decoded): string {
  const option = d.f("option_name");
  const op = ((option & 4) << 3) | ((option & 1) << 4) | (d.f("S") << 3) | (d.insn & 7);
  return ({ 0: "pldkeep", 1: "pstkeep", 4: "pldstrm", 5: "pststrm" } as Record<number, string>)[op] ?? `#0x${op.toString(16)}`;
}
