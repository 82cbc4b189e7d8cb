// From what a person asks for to everything that is known about a realm before it runs.

import { BREAKPOINTS, WATCHPOINTS } from "../arch/features.ts";
import { computeRim } from "../rmm/measure.ts";
import { HashAlgorithm, RealmFlag } from "../rmm/status.ts";
import { usageError } from "../util/errors.ts";
import { virtioSlotsOf } from "./board.ts";
import { type BoardName, boardMaps, ipaBitsOf } from "./board-maps.ts";
import { guestTree } from "./board-tree.ts";
import { realmImage, rimEvents } from "./image.ts";
import { type RealmConfig, startLevelOf } from "./realm.ts";

const MiB = 2 ** 20;
export const RPV_BYTES = 64;

/** A realm as it is asked for. */
export interface RealmSetup {
  /** Default: virt. */
  board?: BoardName;
  /** An ordinary virtual machine instead of a realm: what is about RMI has no meaning. */
  normal?: boolean | undefined;
  /** Bytes of RAM, a multiple of 2 MiB. */
  memory: number;
  /** Number of RECs. */
  smp: number;
  /** Path or contents: arm64 Image, plain, compressed or EFI zboot. */
  kernel: string | Uint8Array;
  initrd?: string | Uint8Array | undefined;
  append?: string | undefined;
  /** Default: SHA-512 on virt, SHA-256 on kvmtool, as QEMU and kvmtool have it. */
  hash?: HashAlgorithm | undefined;
  /** Realm Personalization Value, at most 64 bytes; zeros follow. */
  rpv?: Uint8Array | undefined;
  breakpoints?: number | undefined;
  watchpoints?: number | undefined;
  /** Event counters of the realm's PMU; undefined: it has none. */
  pmuCounters?: number | undefined;
  /** Number of disks: they are in the device tree of the kvmtool board. */
  drives: number;
}

/** Reads the files and decides everything. Throws EmuError for what cannot be. */
export function planRealm(s: RealmSetup): RealmConfig {
  const map = boardMaps[s.board ?? "virt"];
  const rpv = s.rpv ?? new Uint8Array(0);
  if (rpv.length > RPV_BYTES) throw usageError("realm-rpv", `the personalization value has at most ${RPV_BYTES} bytes, not ${rpv.length}`);
  if (s.drives + 2 > map.virtioSlots) throw usageError("too-many-drives", `at most ${map.virtioSlots - 2} drives fit, not ${s.drives}`);
  if (s.memory % (2 * MiB) !== 0) throw usageError("bad-memory", `a realm's memory is a multiple of 2 MiB, not ${s.memory} bytes`);
  const padded = new Uint8Array(RPV_BYTES);
  padded.set(rpv);
  const tree = guestTree({
    map,
    memory: s.memory,
    pes: s.smp,
    pmu: s.pmuCounters !== undefined,
    conduit: s.normal ? "hvc" : "smc",
    virtioSlots: virtioSlotsOf(map, s.drives),
  });
  return {
    map,
    memory: s.memory,
    pes: s.smp,
    ipaBits: s.normal ? map.addressBits(s.memory) : ipaBitsOf(map, s.memory),
    hash: s.hash ?? (map.name === "virt" ? HashAlgorithm.SHA_512 : HashAlgorithm.SHA_256),
    rpv: padded,
    breakpoints: s.breakpoints ?? BREAKPOINTS,
    watchpoints: s.watchpoints ?? WATCHPOINTS,
    pmuCounters: s.pmuCounters,
    image: realmImage({ map, memory: s.memory, kernel: s.kernel, initrd: s.initrd, append: s.append, tree }),
  };
}

/** Generation of the interface by which a realm is made. */
export type RmiVersion = "1.0" | "2.0";

/** The Realm Initial Measurement that a realm of this plan reports: 32 or 64 bytes. RMI 2.0 does not measure RTT_INIT_RIPAS. */
export function expectedRim(c: RealmConfig, rmi: RmiVersion = "1.0"): Uint8Array {
  const { map, memory, image, pes } = c;
  return computeRim({
    hash: c.hash,
    s2sz: c.ipaBits,
    flags: c.pmuCounters === undefined ? 0 : RealmFlag.PMU,
    sveVl: 0,
    numBps: c.breakpoints - 1,
    numWps: c.watchpoints - 1,
    pmuCounters: c.pmuCounters ?? 0,
    events: [...rimEvents({ map, memory, image, pes, startLevel: startLevelOf(c.ipaBits) })].filter(
      (e) => rmi === "1.0" || e.kind !== "ripas",
    ),
  });
}
