// RMI 2.0 for a host that thinks in commands of RMI 1.0: each of those that this host issues, as the commands that version 2.0 has for it.
//
//   1.0                             2.0
//   GRANULE_(UN)DELEGATE            the same for a range
//   DATA_CREATE                     RTT_DATA_MAP_INIT
//   DATA_CREATE_UNKNOWN, _DESTROY   RTT_DATA_(UN)MAP of a range of one page
//   RTT_(UN)MAP_UNPROTECTED         RTT_UNPROT_(UN)MAP likewise; TF-RMM v0.9 has those of 1.0 still
//   REALM_DESTROY                   REALM_TERMINATE before it; TF-RMM v0.9 has none
//   REC_AUX_COUNT                   -: auxiliary granules are donated to REC_CREATE while it is under way, and taken back from REC_DESTROY
//   FEATURES                        register 0, and what has moved to register 1
//   others                          the same number, the same arguments
//
// Commands that need memory are Stateful RMI Operations: they return INCOMPLETE, a handle, and what they wait for. Commands on ranges may
// stop anywhere, before the start too when an interrupt is pending: the host takes it, and goes on from there.

import { rmi } from "../rmm/commands.ts";
import { decodeFeatures, featureRegister0 } from "../rmm/features.ts";
import { type LaterCommand, rmi20 } from "../rmm/later-commands.ts";
import { GRANULE, RmiStatus, rmiCode, SMC_UNKNOWN, unpackRmiCode } from "../rmm/status.ts";
import { EmuError, hex } from "../util/errors.ts";
import type { HostTask } from "./agent.ts";
import type { HostMemory } from "./memory.ts";

/** RMI_VERSION's argument. */
export const RMI_2_0 = 0x2_0000;

/** Status codes that version 1.0 has not. */
const Status2 = { BUSY: 10, GLOBAL: 11, INCOMPLETE: 13 } as const;
/** RmiResultDataIncomplete: what the operation waits for, bits 9:8 of x0. */
const MemReq = { NONE: 0, DONATE: 1, RECLAIM: 2 } as const;
/** RmiRttAddrType: no output addresses, or one RmiAddrRangeDesc. */
const ADDR_NONE = 0n;
const ADDR_SINGLE = 1n;
/** RmiAddrRangeDesc of 4 KiB granules: block size 1:0 (0: a page), count 11:2, address 51:12, state 63 (0: delegated). */
const ONE_PAGE = 1n << 2n;
const ADDRESS = ((1n << 40n) - 1n) << 12n;
const COUNT = 0x3ffn;
/** RmiRttUnprotMapFlags: address type 1:0, MemAttr 18:16, S2AP 22:19 (bit 0 write, bit 1 read). A descriptor of 1.0 has S2AP in 7:6. */
const unprotFlags = (desc: bigint): bigint =>
  ADDR_SINGLE | (((desc >> 2n) & 7n) << 16n) | (((desc >> 7n) & 1n) << 19n) | (((desc >> 6n) & 1n) << 20n);
/** RmiOpMemDonateReq: block size 1:0, count 15:2, contiguous 16, undelegated 17. */
const DONATE_COUNT = 0x3fffn;
const DONATE_OTHER = (3n << 16n) | 3n;
/** Entries of an address list: it does not cross a granule. */
const LIST_ENTRIES = GRANULE / 8;
/** Most steps of one operation. What needs more does not end. */
const STEPS = 1000;

const fids = new Map<string, number>([...Object.entries(rmi), ...rmi20.map((c: LaterCommand) => [c.name, c.fid] as const)]);
const fidOf = (name: string): bigint => BigInt(fids.get(name) as number);

const FEATURES = BigInt(rmi.FEATURES);
/** Not aligned: never a realm descriptor. */
const NO_REALM = 1n;

type Registers = readonly bigint[];
const status = (regs: Registers): number => (regs[0] === SMC_UNKNOWN ? -1 : unpackRmiCode(regs[0] ?? SMC_UNKNOWN).status);
const page = (pa: bigint): bigint => pa + BigInt(GRANULE);

/** A command of RMI 1.0 in RMI 2.0: its arguments, to the registers that 1.0 would have answered with. */
type Translation = (to: Rmi2, args: Registers) => HostTask<Registers>;

// biome-ignore format: table
const translations: Readonly<Record<string, Translation>> = {
  GRANULE_DELEGATE:      (to, [pa = 0n]) => to.issue("GRANULE_RANGE_DELEGATE", pa, page(pa)),
  GRANULE_UNDELEGATE:    (to, [pa = 0n]) => to.issue("GRANULE_RANGE_UNDELEGATE", pa, page(pa)),
  DATA_CREATE:           (to, args) => to.issue("RTT_DATA_MAP_INIT", ...args),
  DATA_CREATE_UNKNOWN:   (to, [rd = 0n, data = 0n, ipa = 0n]) => to.issue("RTT_DATA_MAP", rd, ipa, page(ipa), ADDR_SINGLE, data | ONE_PAGE),
  DATA_DESTROY:          (to, [rd = 0n, ipa = 0n]) => to.unmap(rd, ipa),
  RTT_MAP_UNPROTECTED:   (to, args) => to.share(args),
  RTT_UNMAP_UNPROTECTED: (to, args) => to.unshare(args),
  RTT_INIT_RIPAS:        (to, args) => to.issue("RTT_INIT_RIPAS", ...args),
  RTT_SET_RIPAS:         (to, args) => to.issue("RTT_SET_RIPAS", ...args),
  REALM_DESTROY:         (to, [rd = 0n]) => to.destroy(rd),
  REC_AUX_COUNT:         () => rmiNothing([0n, 0n]),
  FEATURES:              (to, [index = 0n]) => to.features(index),
};

/** Commands on a range that answer in x1 how far they got: which argument is its start. */
// biome-ignore format: table
const rangeStart: Readonly<Record<string, number>> = {
  GRANULE_RANGE_DELEGATE: 0, GRANULE_RANGE_UNDELEGATE: 0, RTT_DATA_MAP: 1, RTT_DATA_UNMAP: 1, RTT_UNPROT_MAP: 1, RTT_UNPROT_UNMAP: 1,
  RTT_INIT_RIPAS: 1, RTT_SET_RIPAS: 2,
};

// biome-ignore lint/correctness/useYield: an answer without a call, as a coroutine like the others
function* rmiNothing(regs: Registers): HostTask<Registers> {
  return regs;
}

/** The host's pool of granules, and its loads and stores. */
export type Granules = Pick<HostMemory, "take" | "give" | "read" | "write">;

export class Rmi2 {
  private readonly memory: Granules;
  /** PA of the host's granule for address lists. */
  readonly list: number;
  /** The RMM has the commands that came after TF-RMM v0.9: RTT_UNPROT_MAP, RTT_UNPROT_UNMAP, REALM_TERMINATE. */
  revised: boolean;

  /** `list`, `revised`: of a host that was saved. */
  constructor(memory: Granules, list: number = memory.take(), revised = false) {
    this.memory = memory;
    this.list = list;
    this.revised = revised;
  }

  /**
   * Brings the RMM to life: 2.0 has commands of set-up before all others. Nothing of its configuration is changed. Its version does not
   * tell which commands it has: one that cannot succeed is refused, or unknown.
   */
  *activate(): HostTask {
    const regs = yield* this.issue("RMM_ACTIVATE");
    if (![RmiStatus.SUCCESS, Status2.GLOBAL].some((s) => s === status(regs)))
      // GLOBAL: somebody has done it
      throw new EmuError("rmi-failed", `RMI_RMM_ACTIVATE returned ${hex(regs[0] ?? 0n)}`);
    this.revised = (yield* this.issue("REALM_TERMINATE", NO_REALM))[0] !== SMC_UNKNOWN;
  }

  /** Performs a command of RMI 1.0, of which `call` has function identifier and arguments. */
  perform(name: string, call: Registers): HostTask<Registers> {
    const translation = Object.hasOwn(translations, name) ? translations[name] : undefined;
    return translation ? translation(this, call.slice(1)) : this.complete(call);
  }

  /** A command of RMI 2.0. One on a range gets at least one step further, or fails. */
  *issue(name: string, ...args: bigint[]): HostTask<Registers> {
    const start = args[rangeStart[name] ?? -1];
    for (let step = 0; step < STEPS; step++) {
      const regs = yield* this.complete([fidOf(name), ...args]);
      if (start === undefined || regs[0] !== 0n || regs[1] !== start) return regs;
      yield "interrupts";
    }
    throw new EmuError("rmi-failed", `RMI_${name} has not moved from ${hex(start ?? 0n)} in ${STEPS} steps`);
  }

  *share(args: Registers): HostTask<Registers> {
    if (!this.revised) return yield* this.issue("RTT_MAP_UNPROTECTED", ...args);
    const [rd = 0n, ipa = 0n, , desc = 0n] = args;
    return yield* this.issue("RTT_UNPROT_MAP", rd, ipa, page(ipa), unprotFlags(desc), (desc & ADDRESS) | ONE_PAGE);
  }
  *unshare(args: Registers): HostTask<Registers> {
    if (!this.revised) return yield* this.issue("RTT_UNMAP_UNPROTECTED", ...args);
    const [rd = 0n, ipa = 0n] = args;
    return yield* this.issue("RTT_UNPROT_UNMAP", rd, ipa, page(ipa), ADDR_NONE, 0n);
  }
  /** A realm is terminated before it is destroyed. */
  *destroy(rd: bigint): HostTask<Registers> {
    const regs = this.revised ? yield* this.issue("REALM_TERMINATE", rd) : [0n];
    return regs[0] === 0n ? yield* this.issue("REALM_DESTROY", rd) : regs;
  }

  *unmap(rd: bigint, ipa: bigint): HostTask<Registers> {
    const [x0 = SMC_UNKNOWN, top = 0n, range = 0n] = yield* this.issue("RTT_DATA_UNMAP", rd, ipa, page(ipa), ADDR_SINGLE, 0n);
    // Success, and nothing was there.
    if (x0 === 0n && range === 0n) return [rmiCode(RmiStatus.ERROR_RTT, 3), 0n, top];
    return [x0, range & ADDRESS, top];
  }

  /** In 2.0, register 1 has the algorithms and the number of RECs. What is not told there (list registers) is 0. */
  *features(index: bigint): HostTask<Registers> {
    const first = yield [FEATURES, index];
    if (index !== 0n || first[0] !== 0n) return first;
    const [, r1 = 0n] = yield [FEATURES, 1n];
    const low = (first[1] ?? 0n) & 0xffff_ffffn;
    const features = {
      ...decodeFeatures(low),
      HASH_SHA_256: Number((r1 >> 3n) & 1n),
      HASH_SHA_512: Number((r1 >> 5n) & 1n),
      MAX_RECS_ORDER: Number((r1 >> 6n) & 0xfn),
    };
    return [0n, featureRegister0(features)];
  }

  // ---- stateful operations -------------------------------------------------------------------------------------------

  /** Issues a command and goes on with the operation that it may begin, to its end. */
  private *complete(call: Registers): HostTask<Registers> {
    let regs: Registers = yield call;
    let handle: bigint | undefined; // any number, 0 too
    for (let step = 0; step < STEPS; step++) {
      const now = status(regs);
      if (now !== Status2.INCOMPLETE && now !== Status2.BUSY) return regs;
      if (now === Status2.BUSY) {
        yield "interrupts";
        regs = yield handle === undefined ? call : [fidOf("OP_CONTINUE"), handle, 0n];
        continue;
      }
      handle ??= regs[1] ?? 0n;
      regs = yield* this.step(regs, handle);
    }
    throw new EmuError("rmi-failed", `the RMM has not finished the operation ${hex(call[0] ?? 0n)} in ${STEPS} steps`);
  }

  private *step(regs: Registers, handle: bigint): HostTask<Registers> {
    switch (Number(((regs[0] ?? 0n) >> 8n) & 3n)) {
      case MemReq.DONATE:
        return yield* this.donate(handle, regs[2] ?? 0n);
      case MemReq.RECLAIM:
        return yield* this.takeBack(handle);
      default:
        yield "interrupts"; // one is why operations stop in the middle
        return yield [fidOf("OP_CONTINUE"), handle, 0n];
    }
  }

  /** Gives the operation what it asks for: delegated granules, in any places. */
  private *donate(handle: bigint, request: bigint): HostTask<Registers> {
    if ((request & DONATE_OTHER) !== 0n)
      throw new EmuError("rmi-donation", `the RMM asks for memory that this host does not give (${hex(request)}): blocks, or one range`);
    const count = Math.min(Number((request >> 2n) & DONATE_COUNT), LIST_ENTRIES);
    const granules: number[] = [];
    for (let n = 0; n < count; n++) {
      const pa = this.memory.take();
      const [x0 = 0n] = yield* this.issue("GRANULE_RANGE_DELEGATE", BigInt(pa), page(BigInt(pa)));
      if (x0 !== 0n) throw new EmuError("rmi-failed", `RMI_GRANULE_RANGE_DELEGATE(${hex(pa)}) returned ${hex(x0)}`);
      granules.push(pa);
    }
    const list = new DataView(new ArrayBuffer(GRANULE));
    for (const [n, pa] of granules.entries()) list.setBigUint64(8 * n, BigInt(pa) | ONE_PAGE, true);
    this.memory.write(this.list, new Uint8Array(list.buffer));
    const regs: Registers = yield [fidOf("OP_MEM_DONATE"), handle, BigInt(this.list), BigInt(count)];
    for (const pa of granules.slice(Number(regs[1] ?? 0n))) yield* this.free(pa); // not wanted
    return regs;
  }

  /** Takes back what the operation has no more use for. */
  private *takeBack(handle: bigint): HostTask<Registers> {
    const regs: Registers = yield [fidOf("OP_MEM_RECLAIM"), handle, BigInt(this.list), BigInt(LIST_ENTRIES)];
    const written = this.memory.read(this.list, GRANULE);
    if (written === undefined) throw new EmuError("host-memory-lost", `the host cannot read its own page ${hex(this.list)}`);
    const list = new DataView(written.buffer, written.byteOffset, written.byteLength);
    const entries = status(regs) === Status2.INCOMPLETE ? Math.min(Number(regs[1] ?? 0n), LIST_ENTRIES) : 0;
    for (let n = 0; n < entries; n++) {
      const entry = list.getBigUint64(8 * n, true);
      const first = Number(entry & ADDRESS);
      for (let i = 0; i < Number((entry >> 2n) & COUNT); i++) yield* this.free(first + i * GRANULE);
    }
    return regs;
  }
  private *free(pa: number): HostTask {
    yield* this.issue("GRANULE_RANGE_UNDELEGATE", BigInt(pa), page(BigInt(pa)));
    this.memory.give(pa);
  }
}
