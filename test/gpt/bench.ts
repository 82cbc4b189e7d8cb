// Registers, memory and a granule protection check without anything around them.

import type { Pas, Security } from "../../src/arch/security.ts";
import { slot } from "../../src/arch/state.ts";
import { type BuiltGpt, buildGpt, type GptFeatures, type GptLayout, GranuleProtection } from "../../src/gpt/index.ts";
import { PhysicalMemory } from "../../src/mem/physical.ts";
import { Gpc } from "../../src/mmu/fault.ts";

const POOL = 0xa00_0000;
const memory = new WebAssembly.Memory({ initial: (POOL + 0x200_0000) >>> 16 });

export const allGpt: GptFeatures = { paBits: 52, gpc2: true, gpc3: true, secure: true, granule16: true, granule64: true };
const kinds = { [Gpc.AddressSize]: "size", [Gpc.Walk]: "walk", [Gpc.Fail]: "gpf", [Gpc.ExternalAbort]: "eabt" } as const;
/** A result of the check as text: "pass", "gpf1". */
export const resultText = (r: number): string => (r === 0 ? "pass" : `${kinds[(r >> 4) as Gpc]}${r & 15}`);

export class GptBench {
  readonly phys: PhysicalMemory;
  readonly gpt: GranuleProtection;
  private readonly values = new Map<number, bigint>();

  /** RAM is one region; all benches share the memory behind it: use one at a time. */
  constructor(o: { base: number; size: number; features?: GptFeatures }) {
    this.phys = new PhysicalMemory(memory);
    this.phys.addRam(o.base, o.size);
    const get = (at: number): bigint => this.values.get(at) ?? 0n;
    this.gpt = new GranuleProtection(
      { get, lo: (at) => Number(BigInt.asUintN(32, get(at))), hi: (at) => Number(get(at) >> 32n) },
      this.phys,
      o.features ?? allGpt,
    );
  }
  set(regs: { GPCCR_EL3?: bigint; GPTBR_EL3?: bigint; GPCBW_EL3?: bigint }): void {
    for (const [name, v] of Object.entries(regs)) this.values.set(slot[name as "GPCCR_EL3"], v as bigint);
  }
  get(name: "GPCCR_EL3" | "GPTBR_EL3" | "GPCBW_EL3"): bigint {
    return this.values.get(slot[name]) ?? 0n;
  }
  load(o: GptLayout): BuiltGpt {
    const built = buildGpt(o);
    for (const p of built.pieces) if (!this.phys.writeBytes(p.address, p.data)) throw new Error("GPT outside RAM");
    this.set({ GPCCR_EL3: built.gpccr, GPTBR_EL3: built.gptbr });
    return built;
  }
  check(pa: number, pas: number, state = pas): string {
    return resultText(this.gpt.check(pa, pas as Pas, state as Security));
  }
  read(pa: bigint): bigint | undefined {
    const at = pa < 2n ** 52n ? this.phys.host(Number(pa)) : 0;
    return at === 0 ? undefined : this.phys.view.getBigUint64(at, true);
  }
  write(pa: number, v: bigint): void {
    this.phys.view.setBigUint64(this.phys.host(pa), v, true);
  }
}
