// Memory attributes: MAIR, stage 2 MemAttr, their combination (Arm ARM D8.6; AArch64.S2CombineS1MemAttrs, S2ApplyFWBMemAttrs).
//
// A MemAttr is a number: bits 7:0 as in PAR_EL1.ATTR for XS = 1 memory (0000dd00 Device, else outer:inner cacheability),
// bit 8 = XS. Cacheability nibble: 0100 Non-cacheable, x0hh Write-Through, x1hh Write-Back; bit 3 = not transient, hh = allocation.

/** Memory type, cacheability and XS; see the head of this file. */
export type MemAttr = number;

export const XS = 0x100;
/** Device-nGnRnE: data accesses with stage 1 off. */
export const DEVICE: MemAttr = XS;
/** Normal, inner and outer Non-cacheable. */
export const NORMAL_NC: MemAttr = 0x44 | XS;
/** Normal, Write-Back, Read- and Write-Allocate. */
export const NORMAL_WB: MemAttr = 0xff;
/** Normal, Write-Through, Read-Allocate: instruction fetches with stage 1 off and SCTLR.I = 1. */
export const NORMAL_WT: MemAttr = 0xaa | XS;

/** Shareability as in descriptors. 1 is reserved and treated as Outer. */
export const Share = { Non: 0, Outer: 2, Inner: 3 } as const;
export type Share = (typeof Share)[keyof typeof Share];

export const isDevice = (a: MemAttr): boolean => (a & 0xf0) === 0;

/** Shareability field of a descriptor or control register. */
export function decodeShare(sh: number): Share {
  return (sh & 3) === 1 ? Share.Outer : ((sh & 3) as Share);
}

/** One MAIR byte. Reserved values: XS forms without FEAT_XS and unallocated low bits are read as their nearest defined form. */
function decodeAttr(byte: number, xs: boolean): MemAttr {
  if ((byte & 0xf0) === 0) return (byte & 0x0c) | (xs && (byte & 1) !== 0 ? 0 : XS);
  if (byte === 0x40) return xs ? 0x44 : NORMAL_NC;
  if (byte === 0xa0) return xs ? 0xaa : NORMAL_WT;
  // Tagged memory without FEAT_MTE2: plain Write-Back.
  if (byte === 0xf0) return NORMAL_WB;
  const inner = (byte & 15) === 0 ? 4 : byte & 15;
  const attr = (byte & 0xf0) | inner;
  return isWriteBack(attr >>> 4) && isWriteBack(inner) ? attr : attr | XS;
}

/** The eight attributes of MAIR_ELx (low and high word). */
export function decodeMair(lo: number, hi: number, xs: boolean): readonly MemAttr[] {
  return Array.from({ length: 8 }, (_, i) => decodeAttr(((i < 4 ? lo : hi) >>> ((i & 3) * 8)) & 0xff, xs));
}

const NC = 4;
function isWriteBack(nibble: number): boolean {
  return (nibble & 4) !== 0 && nibble !== NC;
}

/** Weaker of two cacheabilities, with the allocation hints of stage 1. `s2` is 1 NC, 2 WT, 3 WB (0 is reserved: NC). */
function combineNibble(s1: number, s2: number): number {
  if (s1 === NC || s2 <= 1) return NC;
  if (s2 === 3) return s1;
  const wt = s1 & ~4;
  return (wt & 3) === 0 ? 8 : wt;
}

/** Stage 2 MemAttr[3:0] of the legacy (FWB = 0) form. */
function combineLegacy(s1: MemAttr, s2: number, fnxs: boolean): MemAttr {
  // nGnRnE < nGnRE < nGRE < GRE: the stricter wins.
  if ((s2 & 0xc) === 0) {
    const dd = (s2 & 3) << 2;
    return (isDevice(s1) ? Math.min(s1 & 0xc, dd) : dd) | (fnxs ? 0 : s1 & XS);
  }
  if (isDevice(s1)) return fnxs ? s1 & ~XS : s1;
  const attr = (combineNibble((s1 >>> 4) & 15, (s2 >>> 2) & 3) << 4) | combineNibble(s1 & 15, s2 & 3);
  if (isWriteBack(attr >>> 4) && isWriteBack(attr & 15)) return attr;
  return attr | (fnxs ? 0 : s1 & XS);
}

/** Stage 2 MemAttr[3:0] with FEAT_S2FWB: Device, or Normal NC, forced Write-Back, or what stage 1 says. */
function combineForced(s1: MemAttr, s2: number, fnxs: boolean): MemAttr {
  let attr: MemAttr;
  if ((s2 & 4) === 0) {
    const dd = (s2 & 3) << 2;
    attr = (isDevice(s1) ? Math.min(s1 & 0xc, dd) : dd) | (s1 & XS);
  } else if ((s2 & 3) === 3) attr = s1;
  else if ((s2 & 3) === 2) attr = (writeBackNibble(s1, 4) << 4) | writeBackNibble(s1, 0);
  else attr = isDevice(s1) ? s1 : 0x44 | (s1 & XS);
  return fnxs ? attr & ~XS : attr;
}
function writeBackNibble(s1: MemAttr, shift: number): number {
  const nibble = (s1 >>> shift) & 15;
  if (isDevice(s1) || nibble === NC) return 15;
  return (nibble & 3) === 0 ? 12 : nibble | 4;
}

/** Attributes of both stages together. `s2` = descriptor bits 5:2. */
export function combineAttr(s1: MemAttr, s2: number, fwb: boolean, fnxs: boolean): MemAttr {
  return fwb ? combineForced(s1, s2 & 15, fnxs) : combineLegacy(s1, s2 & 15, fnxs);
}

/** Memory type of the stage 2 descriptor alone is Device (for HCR_EL2.PTW). Under FWB it depends on stage 1, a walk being Normal. */
export function stage2Device(s2: number, fwb: boolean): boolean {
  return fwb ? (s2 & 4) === 0 : (s2 & 0xc) === 0;
}

/** Shareability of both stages together. */
export function combineShare(a: Share, b: Share): Share {
  return a === Share.Outer || b === Share.Outer ? Share.Outer : a === Share.Inner || b === Share.Inner ? Share.Inner : Share.Non;
}

/** Device and Non-cacheable memory is always Outer Shareable (EffectiveShareability). */
export function effectiveShare(a: MemAttr, sh: Share): Share {
  return isDevice(a) || (a & 0xff) === 0x44 ? Share.Outer : sh;
}

/** PAR_EL1.ATTR (EncodePARAttrs). */
export function parAttr(a: MemAttr): number {
  const attr = a & 0xff;
  if ((a & XS) !== 0) return attr;
  if (isDevice(a)) return attr | 1;
  return attr === 0xaa ? 0xa0 : attr === 0x44 ? 0x40 : attr;
}
