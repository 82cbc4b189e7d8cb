// The registers that steer a walk, with the fields that matter to it.

import type { RegName } from "../arch/registers/encodings.ts";
import { securityName } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import { sizeName } from "../gpt/entry.ts";
import { gpccrFields } from "../gpt/registers.ts";
import { Regime } from "../mmu/regime.ts";
import { rangeOf, stage2For } from "./diagnose.ts";
import { protectionOf } from "./gpt.ts";
import { type FieldInfo, type Hex, hex64, hexPa } from "./model.ts";
import { type RecordedWalk, type Subject, securityOf } from "./recorder.ts";

interface RegisterInfo {
  name: string;
  value: Hex;
  fields: FieldInfo[];
}

const sctlr = ["SCTLR_EL1", "SCTLR_EL2", "SCTLR_EL2", "SCTLR_EL3"] as const;
const psBits = [32, 36, 40, 42, 44, 48, 52, 56] as const;

/** Builds one register's entry: fields are `[name, first bit, width, meaning]`. */
function register(subject: Subject, name: RegName, fields: readonly (readonly [string, number, number, string])[]): RegisterInfo {
  const value = subject.st.get(slot[name]);
  return {
    name,
    value: hex64(value),
    fields: fields.map(([field, first, width, meaning]) => ({
      name: field,
      bits: width === 1 ? `${first}` : `${first + width - 1}:${first}`,
      value: Number((value >> BigInt(first)) & ((1n << BigInt(width)) - 1n)),
      meaning,
    })),
  };
}

/** In the order in which the walk needs them. */
export function regimeRegisters(subject: Subject, walk: RecordedWalk): RegisterInfo[] {
  const { config: c } = walk;
  const out: RegisterInfo[] = [];
  if (c.regime !== Regime.EL3) {
    const security = `EL0 to EL2 are in ${securityName[securityOf(subject, 0)]} state`;
    out.push(
      register(subject, "SCR_EL3", [
        ["NSE", 62, 1, "and"],
        ["NS", 0, 1, security],
      ]),
    );
  }
  out.push(
    register(subject, sctlr[c.regime] as RegName, [
      ["M", 0, 1, c.stage1 ? "stage 1 is on" : "stage 1 is off"],
      ["WXN", 19, 1, c.wxn ? "writable memory is not executable" : "writable memory may be executable"],
    ]),
  );
  if (c.stage1) {
    const { n, range, tcr, ttbr } = rangeOf(walk);
    const two = c.twoRanges;
    const tg = n === 0 ? 14 : 30;
    const ps = two ? 32 : 16;
    out.push(
      register(subject, tcr as RegName, [
        [two ? `T${n}SZ` : "T0SZ", n === 0 ? 0 : 16, 6, `${range.iaBits}-bit addresses`],
        [`TG${n}`, tg, 2, `granule of ${sizeName(range.granule)}`],
        [two ? "IPS" : "PS", ps, 3, `output of ${Math.round(Math.log2(range.oaLimit))} bits`],
        ["HA", two ? 39 : 21, 1, c.ha ? "hardware sets access flags" : "software sets access flags"],
        ["HD", two ? 40 : 22, 1, c.hd ? "hardware keeps dirty state" : "software keeps dirty state"],
      ]),
    );
    out.push(register(subject, ttbr as RegName, []));
  }
  const s2 = stage2For(c, walk.result.ipaSpace) ?? c.stage2;
  if (s2 !== undefined) {
    const own: RegName = s2.ttbr === slot.VSTTBR_EL2 ? "VSTCR_EL2" : "VTCR_EL2";
    out.push(register(subject, "HCR_EL2", [["VM", 0, 1, "stage 2 is on"]]));
    out.push(
      register(subject, own, [
        ["T0SZ", 0, 6, `${s2.iaBits}-bit addresses`],
        ["SL0", 6, 2, `starts at level ${s2.startLevel}`],
        ["TG0", 14, 2, `granule of ${sizeName(s2.granule)}`],
        ...(own === "VTCR_EL2" ? ([["PS", 16, 3, `output of ${psBits[(subject.st.lo(slot.VTCR_EL2) >>> 16) & 7]} bits`]] as const) : []),
      ]),
    );
    out.push(register(subject, own === "VTCR_EL2" ? "VTTBR_EL2" : "VSTTBR_EL2", []));
  }
  const g = protectionOf(subject.mmu);
  if (g?.active) {
    const { config } = g;
    const gpccr = register(subject, "GPCCR_EL3", []);
    gpccr.fields.push(...gpccrFields(BigInt(gpccr.value), config, g.features).filter((f) => !/^(SH|ORGN|IRGN)$/.test(f.name)));
    out.push(gpccr);
    const base = register(subject, "GPTBR_EL3", []);
    base.fields.push({ name: "BADDR", bits: "39:0", value: hexPa(config.base), meaning: "level 0 table" });
    out.push(base);
  }
  return out;
}
