// What one PE currently has loaded for one translation regime in one security state: configuration, ASID, VMID, and the L1 set
// that holds translations made under them. Registers are compared, not trapped: any of them may change behind our back.

import type { Security } from "../arch/security.ts";
import { type PeState, slot } from "../arch/state.ts";
import type { MmuFeatures } from "./features.ts";
import type { L1Set } from "./l1.ts";
import { MAX_CONFIGS, tagOf } from "./l2.ts";
import { configRegisters, decodeRegime, Regime, type RegimeConfig } from "./regime.ts";

/** Distinct configurations by register contents. Shared by all contexts of a PE. */
export class ConfigCache {
  private readonly known = new Map<string, RegimeConfig>();
  private readonly onFull: () => void;

  /** `onFull`: called when identifiers start over; every TLB entry must go, and every context must look its configuration up again. */
  constructor(onFull: () => void) {
    this.onFull = onFull;
  }

  get(key: string, make: (id: number) => RegimeConfig): RegimeConfig {
    let c = this.known.get(key);
    if (c === undefined) {
      // A guest that writes ever new control values cannot make this grow.
      if (this.known.size === MAX_CONFIGS) {
        this.known.clear();
        this.onFull();
      }
      c = make(this.known.size);
      this.known.set(key, c);
    }
    return c;
  }
}

const asidRegisters = [[slot.TTBR0_EL1, slot.TTBR1_EL1], [slot.TTBR0_EL2, slot.TTBR1_EL2], undefined, undefined] as const;

export class Context {
  readonly regime: Regime;
  readonly security: Security;
  /** regime * 4 + security state: the context number in TLB tags. */
  readonly number: number;
  readonly l1: L1Set;
  config!: RegimeConfig;
  asid = 0;
  vmid = 0;
  /** Tag of L2 entries made now. */
  tag = -1;

  private readonly st: PeState;
  private readonly features: MmuFeatures;
  private readonly configs: ConfigCache;
  /** Absolute word indices, masks and last values of the registers that make the configuration. */
  private readonly word: Int32Array;
  private readonly mask: Int32Array;
  private readonly seen: Int32Array;
  private readonly i32: Int32Array;
  private known = false;
  private readonly asidWord0: number;
  private readonly asidWord1: number;
  private readonly vmidWord: number;

  constructor(st: PeState, features: MmuFeatures, configs: ConfigCache, regime: Regime, security: Security, l1: L1Set) {
    this.st = st;
    this.features = features;
    this.configs = configs;
    this.regime = regime;
    this.security = security;
    this.number = regime * 4 + security;
    this.l1 = l1;
    this.i32 = new Int32Array(st.u32.buffer);
    const watched = (configRegisters[regime] ?? []).flatMap(([offset, mask]) => [
      { at: (st.base + offset) >>> 2, mask: mask[0] },
      { at: (st.base + offset + 4) >>> 2, mask: mask[1] },
    ]);
    const used = watched.filter((w) => w.mask !== 0);
    this.word = Int32Array.from(used, (w) => w.at);
    this.mask = Int32Array.from(used, (w) => w.mask);
    this.seen = new Int32Array(used.length);
    const two = asidRegisters[regime];
    this.asidWord0 = two === undefined ? -1 : (st.base + two[0] + 4) >>> 2;
    this.asidWord1 = two === undefined ? -1 : (st.base + two[1] + 4) >>> 2;
    this.vmidWord = regime === Regime.EL10 ? (st.base + slot.VTTBR_EL2 + 4) >>> 2 : -1;
  }

  /** Forgets the configuration (identifiers started over). */
  forget(): void {
    this.known = false;
    this.tag = -1;
  }

  /** Brings configuration, ASID and VMID up to date with the registers, and purges from the L1 what no longer applies. */
  refresh(): void {
    if (!this.known || this.registersChanged()) this.reconfigure();
    const c = this.config;
    let asid = 0;
    if (this.asidWord0 >= 0) asid = ((this.i32[c.asidIn1 ? this.asidWord1 : this.asidWord0] as number) >>> 16) & c.asidMask;
    const vmid = this.vmidWord >= 0 ? ((this.i32[this.vmidWord] as number) >>> 16) & c.vmidMask : 0;
    if (vmid !== this.vmid) {
      this.vmid = vmid;
      this.tag = tagOf(c.id, this.number, vmid);
      this.l1.purge();
    }
    if (asid !== this.asid) {
      this.asid = asid;
      this.l1.purgeNotGlobal();
    }
  }

  private registersChanged(): boolean {
    const { word, mask, seen, i32 } = this;
    for (let k = 0; k < word.length; k++) if (((i32[word[k] as number] as number) & (mask[k] as number)) !== seen[k]) return true;
    return false;
  }

  private reconfigure(): void {
    const { word, mask, seen, i32 } = this;
    for (let k = 0; k < word.length; k++) seen[k] = (i32[word[k] as number] as number) & (mask[k] as number);
    const key = `${this.number}:${seen.join()}`;
    const c = this.configs.get(key, (id) => decodeRegime(this.st, this.features, this.regime, this.security, id));
    this.known = true;
    if (c === this.config && this.tag !== -1) return;
    this.config = c;
    this.tag = tagOf(c.id, this.number, this.vmid);
    this.l1.purge();
  }
}
