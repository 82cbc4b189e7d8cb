// Why a permission check failed: the bits that withhold what the access needs (Arm ARM D8.4). The verdict itself is the walker's.

import { Security } from "../arch/security.ts";
import { Access, Privilege } from "../mmu/access.ts";
import { stage2Device } from "../mmu/attributes.ts";
import type { RangeConfig } from "../mmu/range.ts";
import { Regime, type RegimeConfig } from "../mmu/regime.ts";
import type { Stage2Config } from "../mmu/stage2-config.ts";
import { bits, type Raw } from "./fields.ts";

/** One cause, and what removes it. */
export interface Reason {
  readonly text: string;
  readonly remedy: string;
}

const wantsRead = (a: Access): boolean => a === Access.Read || a === Access.ReadWrite;
const wantsWrite = (a: Access): boolean => a === Access.Write || a === Access.ReadWrite;

/** What stage 1 withholds. `tables`: the table descriptors above the leaf, first level first. */
export function stage1Reasons(
  leaf: Raw,
  tables: readonly Raw[],
  c: RegimeConfig,
  range: RangeConfig,
  access: Access,
  privilege: Privilege,
  outputSpace: number,
): Reason[] {
  const out: Reason[] = [];
  const add = (text: string, remedy: string): void => void out.push({ text, remedy });
  const above = range.hpd ? [] : tables;
  const user = privilege === Privilege.User;
  const high = c.twoRanges ? (c.regime === Regime.EL20 ? "EL2" : "EL1") : c.regime === Regime.EL3 ? "EL3" : "EL2";
  const dirty = c.hd && bits(leaf, 51) === 1;
  const readOnly = bits(leaf, 7) === 1 && !dirty;
  const tableRo = above.find((t) => bits(t, 62) === 1);
  const tableNoUser = above.find((t) => bits(t, 61) === 1);
  const userAp = c.twoRanges && bits(leaf, 6) === 1;
  const userMapped = userAp && tableNoUser === undefined;
  const userWritable = userMapped && !readOnly && tableRo === undefined;

  if (wantsWrite(access)) {
    if (readOnly) add("AP[2] of the leaf is 1: the memory is read-only", "clear AP[2] in the leaf (TLBI by VA afterwards)");
    if (tableRo)
      add(
        `APTable[1] of the level ${tableRo.level} table descriptor is 1: everything below is read-only`,
        "clear APTable[1] in that table descriptor",
      );
  }
  if ((wantsRead(access) || wantsWrite(access)) && user && c.twoRanges) {
    if (!userAp) add("AP[1] of the leaf is 0: EL0 has no access", "set AP[1] in the leaf, or make the access at a higher Exception level");
    if (tableNoUser)
      add(
        `APTable[0] of the level ${tableNoUser.level} table descriptor is 1: EL0 has no access below`,
        "clear APTable[0] in that table descriptor",
      );
  }
  if ((wantsRead(access) || wantsWrite(access)) && privilege === Privilege.PrivilegedPan) {
    const why = userMapped ? "AP[1] is 1" : "SCTLR.EPAN is 1 and EL0 may execute it";
    if (userMapped || (c.epan && bits(leaf, 54) === 0 && !above.some((t) => bits(t, 60) === 1)))
      add(
        `PSTATE.PAN is 1 and EL0 has access to the memory (${why}): ${high} may not touch it`,
        "clear PSTATE.PAN around the access, or use LDTR and STTR",
      );
  }
  if (access === Access.Fetch) {
    const uxn = c.twoRanges ? "UXN" : "XN";
    const tableXn = above.find((t) => bits(t, 60) === 1);
    const tablePxn = above.find((t) => bits(t, 59) === 1);
    if (user || !c.twoRanges) {
      if (bits(leaf, 54) === 1) add(`${uxn} of the leaf is 1: not executable${user ? " at EL0" : ""}`, `clear ${uxn} in the leaf`);
      if (tableXn) add(`${uxn}Table of the level ${tableXn.level} table descriptor is 1`, `clear ${uxn}Table in that table descriptor`);
    } else {
      if (bits(leaf, 53) === 1) add(`PXN of the leaf is 1: not executable at ${high}`, "clear PXN in the leaf");
      if (tablePxn) add(`PXNTable of the level ${tablePxn.level} table descriptor is 1`, "clear PXNTable in that table descriptor");
      if (userWritable)
        add(
          `EL0 may write the memory (AP[2:1] = 0b01): ${high} never executes it`,
          "map it read-only or without EL0 access before executing it",
        );
    }
    const writable = user ? userWritable : !readOnly && tableRo === undefined;
    if (c.wxn && writable) add("SCTLR.WXN is 1 and the memory is writable", "map it read-only before executing it");
    out.push(...spaceReasons(c, outputSpace));
  }
  return out;
}

/** Execution that the output PA space forbids (rme-cpu facts, section 6). */
function spaceReasons(c: RegimeConfig, outputSpace: number): Reason[] {
  const fix = "put the code into memory of the PE's own PA space and map it as such (NS, NSE of the leaf)";
  if (c.security === Security.Root && c.regime === Regime.EL3 && outputSpace !== Security.Root)
    return [{ text: "Root state executes from the Root PA space only", remedy: fix }];
  if (c.security === Security.Realm && c.regime !== Regime.EL10 && outputSpace !== Security.Realm)
    return [{ text: "Realm EL2 executes from the Realm PA space only", remedy: fix }];
  if (c.security === Security.Secure && c.sif && outputSpace === Security.NonSecure)
    return [
      {
        text: "SCR_EL3.SIF is 1: Secure state does not execute from Non-secure memory",
        remedy: "clear SCR_EL3.SIF, or execute from Secure memory",
      },
    ];
  return [];
}

/** What stage 2 withholds. `forWalk`: from a stage 1 descriptor access, which reads, or writes for a hardware update. */
export function stage2Reasons(
  leaf: Raw,
  c: Stage2Config,
  access: Access,
  privilege: Privilege,
  forWalk: boolean,
  updates: boolean,
): Reason[] {
  const out: Reason[] = [];
  const add = (text: string, remedy: string): void => void out.push({ text, remedy });
  const foreign = c.realm && bits(leaf, 55) === 1;
  if (forWalk && foreign)
    add(
      "NS of the leaf is 1: a Realm's stage 1 tables must lie in the Realm PA space",
      "keep the realm's translation tables at protected IPAs",
    );
  if (forWalk && c.ptw && stage2Device(bits(leaf, 2, 4), c.fwb))
    add("HCR_EL2.PTW is 1 and the leaf says Device: stage 1 tables may not lie there", "map memory that holds stage 1 tables as Normal");
  const read = forWalk || wantsRead(access);
  const write = forWalk ? updates : wantsWrite(access);
  if (read && bits(leaf, 6) === 0) add("S2AP[0] of the leaf is 0: not readable", "set S2AP[0] in the leaf");
  if (write && bits(leaf, 7) === 0 && !(c.hd && bits(leaf, 51) === 1))
    add("S2AP[1] of the leaf is 0: not writable", "set S2AP[1] in the leaf");
  if (!forWalk && access === Access.Fetch) {
    const xn = bits(leaf, 54) === 1;
    const xn0 = c.xnx && bits(leaf, 53) === 1;
    const user = privilege === Privilege.User;
    if (user ? xn : xn !== xn0) {
      const value = c.xnx ? `XN[1:0] of the leaf is 0b${bits(leaf, 54)}${bits(leaf, 53)}` : "XN of the leaf is 1";
      add(`${value}: not executable at ${user ? "EL0" : "EL1"}`, `let XN permit execution at ${user ? "EL0" : "EL1"}`);
    }
    if (foreign) add("NS of the leaf is 1: a Realm executes from the Realm PA space only", "keep the realm's code at protected IPAs");
  }
  return out;
}
