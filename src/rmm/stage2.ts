// The EL2 registers under which a realm runs, and invalidation of what TLBs hold of its translations.

import type { Features } from "../arch/features.ts";
import { slot } from "../arch/state.ts";
import type { Pe } from "../cpu/pe.ts";
import type { Stage2 } from "./realm.ts";
import { levelSize } from "./rtt-entry.ts";

/**
 * HCR_EL2 while a realm runs: EnSCXT, FWB, API, APK, TEA, E2H, RW, TSC, TID3, BSU = Inner Shareable, AMO, IMO, FMO, PTW, SWIO, VM.
 * TWI and TWE are the host's choice at each entry.
 */
export const HCR_REALM = 0x0020_4324_800c_043fn;
export const HCR_TWI = 1n << 13n;
export const HCR_TWE = 1n << 14n;
export const HCR_VSE = 1n << 8n;

const SL0 = [2, 1, 0, 3] as const;
const psOf = new Map([
  [32, 0],
  [36, 1],
  [40, 2],
  [42, 3],
  [44, 4],
]);

/** What `vtcrOf` found last: it is asked at each entry into a realm, mostly about the same one. */
let vtcrFor: { readonly f: Features; readonly ipaBits: number; readonly startLevel: number; readonly value: bigint } | undefined;

/** VTCR_EL2: 4 KiB granule, Inner Shareable Write-Back walks, NSA, RES1; output size at most 48 bits (no LPA2). */
export function vtcrOf(s2: Stage2, f: Features): bigint {
  const known = vtcrFor;
  if (known?.f === f && known.ipaBits === s2.ipaBits && known.startLevel === s2.startLevel) return known.value;
  const walk = (1 << 8) | (1 << 10) | (3 << 12);
  const ps = psOf.get(f.paBits) ?? 5;
  const vs = f.has("VMID16") ? 1 << 19 : 0;
  const value = BigInt(((64 - s2.ipaBits) | ((SL0[s2.startLevel] as number) << 6) | walk | (ps << 16) | vs | (3 << 30)) >>> 0);
  vtcrFor = { f, ipaBits: s2.ipaBits, startLevel: s2.startLevel, value };
  return value;
}
export const vttbrOf = (s2: Stage2): bigint => BigInt(s2.base) | (BigInt(s2.vmid) << 48n);

/** SCR_EL3.NSE and NS. */
const SCR_REALM = (1n << 62n) | 1n;

/** TLBI by IPA, and by VMID for both stages; Inner Shareable, of the Realm EL1&0 regime of one realm. */
export class Stage2Tlb {
  private readonly features: Features;

  constructor(features: Features) {
    this.features = features;
  }

  /** One page, as DATA_DESTROY and unmapping need. */
  page(pe: Pe, s2: Stage2, ipa: number): void {
    this.inRealm(pe, s2, () => {
      pe.mmu.tlbi(4, 8, 0, 1, BigInt(ipa / 4096)); // IPAS2E1IS
      pe.mmu.tlbi(0, 8, 3, 0, 0n); // VMALLE1IS: stage 1 entries of walks through that page
    });
  }
  /** Everything that an entry of `level` at `ipa` covered, whatever the size of the entries cached for it. */
  range(pe: Pe, s2: Stage2, ipa: number, level: number): void {
    if (levelSize(level) === 4096) this.page(pe, s2, ipa);
    else this.all(pe, s2);
  }
  /** All of the realm. */
  all(pe: Pe, s2: Stage2): void {
    this.inRealm(pe, s2, () => pe.mmu.tlbi(4, 8, 3, 6, 0n)); // VMALLS12E1IS
  }

  /** The operations act on the Security state, regime and VMID in force: those of the realm, for the moment. */
  private inRealm(pe: Pe, s2: Stage2, act: () => void): void {
    const { st } = pe;
    const regs = [slot.SCR_EL3, slot.HCR_EL2, slot.VTCR_EL2, slot.VTTBR_EL2];
    const kept = regs.map((r) => st.get(r));
    st.set(slot.SCR_EL3, (kept[0] as bigint) | SCR_REALM);
    st.set(slot.HCR_EL2, HCR_REALM);
    st.set(slot.VTCR_EL2, vtcrOf(s2, this.features));
    st.set(slot.VTTBR_EL2, vttbrOf(s2));
    act();
    for (const [i, r] of regs.entries()) st.set(r, kept[i] as bigint);
    pe.mmu.contextChanged();
  }
}
