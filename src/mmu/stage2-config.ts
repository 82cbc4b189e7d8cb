// Stage 2 controls: VTCR_EL2, VSTCR_EL2, HCR_EL2 (Arm ARM D8.2.12, D8.5).

import { type Pas, Security } from "../arch/security.ts";
import { type PeState, slot } from "../arch/state.ts";
import type { MmuFeatures } from "./features.ts";
import { granuleOf, maxTxsz, type TableShape, tableShape } from "./range.ts";

export interface Stage2Config extends TableShape {
  /** Offset of VTTBR_EL2 or VSTTBR_EL2 in the PE block. */
  readonly ttbr: number;
  readonly sh: number;
  /** PA space of the tables, and of the output where the descriptor does not choose (Realm: NS bit of the leaf). */
  readonly walkPas: Pas;
  readonly outPas: Pas;
  readonly realm: boolean;
  /** Tables are big-endian (SCTLR_EL2.EE). */
  readonly ee: boolean;
  /** A stage 1 walk to Device memory is a permission fault. */
  readonly ptw: boolean;
  readonly fwb: boolean;
  readonly xnx: boolean;
  readonly ha: boolean;
  readonly hd: boolean;
  /** HCR_EL2.CD: data accesses to Normal memory are Non-cacheable. */
  readonly cacheDisable: boolean;
  readonly xs: boolean;
}

/** Start level by granule and {SL2, SL0}; undefined: reserved (AArch64.S2StartLevel, S2InvalidSL). */
function startLevelOf(f: MmuFeatures, granule: number, sl0: number, sl2: number, ds: boolean): number | undefined {
  if (granule === 12) {
    switch ((sl2 << 2) | sl0) {
      case 0:
        return 2;
      case 1:
        return 1;
      case 2:
        return f.paBits < 44 ? undefined : 0;
      case 3:
        return f.ttst ? 3 : undefined;
      case 4:
        return -1;
      default:
        return undefined;
    }
  }
  if (granule === 14) {
    if (sl0 === 3) return ds ? 0 : undefined;
    return sl0 === 2 && f.paBits < 42 ? undefined : 3 - sl0;
  }
  if (sl0 === 3) return undefined;
  return sl0 === 2 && f.paBits < 44 ? undefined : 3 - sl0;
}

/** The start level does not fit the input size: more than 16 concatenated tables, or less than one entry (S2InconsistentSL). */
function inconsistent(granule: number, iaBits: number, startLevel: number): boolean {
  const stride = granule - 3;
  const min = (3 - startLevel) * stride + granule + 1;
  return iaBits < min || iaBits > min + (stride - 1) + 4;
}

/** Decodes stage 2 for the IPA space `ipaSpace` of a security state. */
export function decodeStage2(st: PeState, f: MmuFeatures, security: Security, ipaSpace: Pas): Stage2Config {
  const vtcr = st.lo(slot.VTCR_EL2);
  const vstcr = st.lo(slot.VSTCR_EL2);
  const secureIpa = security === Security.Secure && ipaSpace === Security.Secure;
  const own = secureIpa ? vstcr : vtcr;
  const ownHi = st.hi(secureIpa ? slot.VSTCR_EL2 : slot.VTCR_EL2);
  const granule = granuleOf(f, own >>> 14);
  const dsBit = f.lpa2 ? st.bit(slot.VTCR_EL2, 32) : 0;
  const ds = dsBit === 1 && granule !== 16;
  const ps = (vtcr >>> 16) & 7;
  const txsz = own & 63;
  const startLevel = startLevelOf(f, granule, (own >>> 6) & 3, granule === 12 ? (ownHi >>> 1) & dsBit : 0, ds);
  // S2MinTxSZ: the IPA is never larger than the implemented PA.
  const largest = Math.min(f.lpa && granule !== 16 && !ds ? 48 : 52, f.paBits);
  const invalid =
    txsz < 64 - largest || txsz > maxTxsz(f, granule) || startLevel === undefined || inconsistent(granule, 64 - txsz, startLevel);
  const hcr = st.lo(slot.HCR_EL2);
  const hcrHi = st.hi(slot.HCR_EL2);
  const ha = f.hafdbs >= 1 && (vtcr & (1 << 21)) !== 0;
  return {
    ...tableShape(
      f,
      invalid
        ? { granule, iaBits: 48, startLevel: 3 - Math.floor((47 - granule) / (granule - 3)), ps, ds, invalid }
        : { granule, iaBits: 64 - txsz, startLevel, ps, ds, invalid },
    ),
    ttbr: secureIpa ? slot.VSTTBR_EL2 : slot.VTTBR_EL2,
    sh: (vtcr >>> 12) & 3,
    ...spaces(security, ipaSpace, vstcr, vtcr),
    realm: security === Security.Realm,
    ee: (st.lo(slot.SCTLR_EL2) & (1 << 25)) !== 0,
    ptw: (hcr & (1 << 27)) === 0 && (hcr & (1 << 2)) !== 0,
    fwb: f.fwb && (hcrHi & (1 << 14)) !== 0,
    xnx: f.xnx,
    ha,
    hd: ha && f.hafdbs >= 2 && (vtcr & (1 << 22)) !== 0,
    cacheDisable: (hcrHi & 1) !== 0,
    xs: f.xs,
  };
}

/** PA spaces of tables and output (SS2InitialTTWState, SS2OutputPASpace): in Secure state SW, SA, NSW, NSA choose. */
function spaces(security: Security, ipaSpace: Pas, vstcr: number, vtcr: number): { walkPas: Pas; outPas: Pas } {
  if (security !== Security.Secure) return { walkPas: security, outPas: security };
  const swsa = vstcr & (3 << 29);
  const nswnsa = vtcr & (3 << 29);
  const pick = (zero: boolean): Pas => (zero ? Security.Secure : Security.NonSecure);
  return ipaSpace === Security.Secure
    ? { walkPas: pick((vstcr & (1 << 29)) === 0), outPas: pick(swsa === 0) }
    : { walkPas: pick((vtcr & (1 << 29)) === 0), outPas: pick(swsa === 0 && nswnsa === 0) };
}
