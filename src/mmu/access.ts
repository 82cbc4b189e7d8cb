// What a memory access asks of address translation, and the classes of privilege under which it is judged.

/** Kind of access. Numbers index tables: keep them dense. */
export const Access = {
  Read: 0,
  Write: 1,
  Fetch: 2,
  /** Atomic read-modify-write, compare and swap, store exclusive: needs both permissions; a failing read wins (D8.4, WnR). */
  ReadWrite: 3,
  /** Cache maintenance by VA at EL1 and above: translated, but no permission is checked and no dirty state set (D8.4.7). */
  Maintain: 4,
} as const;
export type Access = (typeof Access)[keyof typeof Access];

/** Whose permissions apply: unprivileged, privileged, or privileged with PSTATE.PAN = 1. */
export const Privilege = { User: 0, Privileged: 1, PrivilegedPan: 2 } as const;
export type Privilege = (typeof Privilege)[keyof typeof Privilege];

/** Permission bits of a translation, both stages combined. N: what privileged data accesses keep while PSTATE.PAN = 1. */
export const Perm = { UR: 1, UW: 2, UX: 4, PR: 8, PW: 16, PX: 32, NR: 64, NW: 128 } as const;
/** All permissions: what the MMU grants while stage 1 is off. */
export const PERM_ALL = 0xff;
/** The permissions that let somebody read, and write. */
export const PERM_READS = Perm.UR | Perm.PR | Perm.NR;
export const PERM_WRITES = Perm.UW | Perm.PW | Perm.NW;

/** Permissions needed, indexed by privilege * 8 + access. */
// biome-ignore format: a table
export const needed = Uint8Array.from([
  // Read            Write    Fetch    ReadWrite          Maintain
  Perm.UR,           Perm.UW, Perm.UX, Perm.UR | Perm.UW, 0, 0, 0, 0,
  Perm.PR,           Perm.PW, Perm.PX, Perm.PR | Perm.PW, 0, 0, 0, 0,
  Perm.NR,           Perm.NW, Perm.PX, Perm.NR | Perm.NW, 0, 0, 0, 0,
]);
