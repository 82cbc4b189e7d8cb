// A saved machine to look at: registers and memory, without the devices and the software that it needs to run.

import { parseCpu } from "../arch/features.ts";
import { MAX_PES, Off, RAM_POOL } from "../arch/layout.ts";
import { Security } from "../arch/security.ts";
import { PeState } from "../arch/state.ts";
import { gptFeatures, mmuFeatures } from "../cpu/feature-use.ts";
import { SavedFields } from "../devices/saved.ts";
import { GranuleProtection } from "../gpt/check.ts";
import type { GptDescription } from "../gpt/describe.ts";
import { virtMap } from "../machine/virt-map.ts";
import { PhysicalMemory, type RamChunk } from "../mem/physical.ts";
import { TlbDomain } from "../mmu/domain.ts";
import { Mmu } from "../mmu/mmu.ts";
import { EmuError, usageError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";
import { explainAccess, type Question, type Sources } from "./explain.ts";
import { gptOf, memoryRanges } from "./gpt-map.ts";
import type { Explanation } from "./model.ts";
import type { Subject } from "./recorder.ts";

const MiB = 2 ** 20;
const FLASH = virtMap.flash0.size + virtMap.flash1.size;
const corrupt = (what: string): EmuError => new EmuError("snapshot-corrupt", `the snapshot is damaged: ${what}`);

/** What explanations need of a snapshot of any `virt` machine. */
export class SnapshotView {
  private readonly pes: Subject[];

  /** `state` and `ram` as harness/snapshot.ts reads them. */
  constructor(state: Saved, ram: Iterable<RamChunk>) {
    const fields = new SavedFields(state, "machine");
    const config = new SavedFields(fields.part("config"), "machine options");
    const features = parseCpu(text(config, "cpu"));
    const memory = Number.parseInt(text(config, "memory"), 10) * MiB;
    if (!(memory > 0 && memory <= 64 * 1024 * MiB)) throw corrupt("no size of memory");
    const phys = new PhysicalMemory(allocate(memory));
    phys.addRam(virtMap.ram.base, memory);
    phys.addRam(virtMap.secureRam.base, virtMap.secureRam.size, true);
    for (const bank of [virtMap.flash0, virtMap.flash1]) phys.addRom(bank.base, bank.size);
    for (const { pa, data } of ram)
      if (!phys.writeBytes(pa, data)) throw corrupt(`memory at 0x${pa.toString(16)}, where this machine has none`);
    const list = fields.list("pes");
    if (list.length < 1 || list.length > MAX_PES) throw corrupt("the number of PEs");
    const domain = new TlbDomain();
    this.pes = list.map((saved, i) => {
      const st = new PeState(phys.memory, i);
      st.u8.set(new SavedFields(saved, `PE ${i}`).bytes("registers", Off.SRMAP), st.base);
      if (st.lo(Off.EL) > 3) throw corrupt(`the Exception level of PE ${i}`);
      const mmu = new Mmu(st, phys, mmuFeatures(features), domain);
      if (features.has("RME")) mmu.granuleCheck = new GranuleProtection(st, phys, gptFeatures(features));
      return { st, mmu };
    });
  }

  /** Explains an access by PE `pe` (default 0). */
  explain(q: Question & { pe?: number | undefined }, sources: Sources = {}): Explanation {
    const pe = this.pe(q.pe ?? 0);
    const instructions = Number(pe.st.get(Off.ICOUNT));
    return explainAccess(pe, q, { instructions, memory: () => memoryRanges(pe.mmu), ...sources });
  }
  /** The granule protection table as PE `pe` has it; undefined: the CPU has no FEAT_RME. */
  gpt(pe = 0): GptDescription | undefined {
    return gptOf(this.pe(pe).mmu);
  }

  private pe(n: number): Subject {
    const pe = this.pes[n];
    if (!pe) throw usageError("no-such-pe", `there is no PE ${n}; the saved machine has ${this.pes.length}`);
    return pe;
  }
}

function text(fields: SavedFields, key: string): string {
  const v = fields.part(key);
  if (typeof v !== "string") throw corrupt(`the option ${key}`);
  return v;
}

function allocate(ram: number): WebAssembly.Memory {
  const pages = Math.min(65_536, Math.ceil((RAM_POOL + ram + virtMap.secureRam.size + FLASH) / 65_536));
  return new WebAssembly.Memory({ initial: pages, maximum: pages });
}

/** Security state by the names that people type. */
export function securityNamed(name: string): Security {
  const states: Readonly<Record<string, Security>> = {
    secure: Security.Secure,
    "non-secure": Security.NonSecure,
    ns: Security.NonSecure,
    root: Security.Root,
    realm: Security.Realm,
  };
  const found = states[name.toLowerCase()];
  if (found === undefined) throw usageError("bad-state", `"${name}" is no Security state (non-secure, secure, realm, root)`);
  return found;
}
