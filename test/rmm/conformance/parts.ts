// The parts that specifications of RMI commands are made of: a call that succeeds, conditions under which it fails, effects.

import type { RmiName } from "../../../src/rmm/commands.ts";
import type { GranuleState } from "../../../src/rmm/granules.ts";
import { RmiStatus } from "../../../src/rmm/status.ts";
import type { RmmBench, TestRealm } from "../bench-base.ts";

export const { ERROR_INPUT, ERROR_REALM, ERROR_REC, ERROR_RTT } = RmiStatus;

/** One call being prepared. Conditions change `args`, or the world. */
export interface Case {
  readonly b: RmmBench;
  readonly r: TestRealm;
  args: Record<string, bigint>;
  /** Notes of the setup for success(). */
  readonly note: Record<string, number>;
}

export interface Condition {
  /** Conditions of one group are checked at the same place; pairs take the first of each. */
  readonly group: string;
  readonly name: string;
  readonly status: number;
  readonly index?: number;
  /** Arguments or parts of the world that it changes: two conditions that touch the same thing make no pair. */
  readonly touches: readonly string[];
  apply(c: Case): void;
}

/** One more thing that success does; it prepares, calls, and looks by itself. */
export interface Effect {
  readonly name: string;
  /** true; or what is wrong, in words. */
  check(b: RmmBench): boolean | string;
}

export interface CommandSpec {
  readonly command: RmiName;
  setup(b: RmmBench): Case;
  readonly conditions: readonly Condition[];
  /** Checks the effects of success; `x`: x1 and up. */
  success(c: Case, x: readonly bigint[]): boolean | string;
  /** Further effects of success, and states that it depends on. */
  readonly effects?: readonly Effect[];
}

type Make = Omit<Condition, "touches" | "group"> & { group?: string; touches?: readonly string[] };
export const condition = (c: Make): Condition => ({ group: c.name, touches: [c.name.split(" ")[0] as string], ...c });

export const make = (b: RmmBench, r: TestRealm, args: Record<string, number | bigint>, note: Record<string, number> = {}): Case => ({
  b,
  r,
  args: Object.fromEntries(Object.entries(args).map(([k, v]) => [k, BigInt(v)])),
  note,
});

export const isState = (c: Case, arg: string, state: GranuleState): boolean => c.b.isState(Number(c.args[arg]), state);

/** A granule in some other state than the one that is needed. */
const others: Readonly<Record<string, (c: Case) => number>> = {
  undelegated: (c) => c.b.granule(),
  delegated: (c) => c.b.delegated(),
  rd: (c) => c.b.realm().rd,
  rtt: (c) => c.r.rtts[0] as number,
  rec: (c) => c.r.recs[0] ?? c.b.rec(c.b.realm()),
  data: (c) => c.b.data(c.b.realm(), 0),
};

export const setArg =
  (arg: string, value: (c: Case) => number | bigint) =>
  (c: Case): void => {
    c.args[arg] = BigInt(value(c));
  };
/** Addresses that are no granule in state `needed` (a key of `others`): all give ERROR_INPUT. */
export function badGranule(arg: string, needed: keyof typeof others): Condition[] {
  const set = (name: string, value: (c: Case) => number | bigint): Condition =>
    condition({
      group: arg,
      name: `${arg} ${name}`,
      status: ERROR_INPUT,
      apply: (c) => {
        c.args[arg] = BigInt(value(c));
      },
    });
  return [
    set("misaligned", (c) => (c.args[arg] as bigint) + 0x80n),
    set("in a device", () => 0x0900_0000),
    set("beyond DRAM", (c) => c.b.ram.base + c.b.ram.size),
    set("with high bits", (c) => (c.args[arg] as bigint) | (1n << 52n)),
    set("all ones", () => 0xffff_ffff_ffff_ffffn),
    ...Object.entries(others)
      .filter(([name]) => name !== needed)
      .map(([name, value]) => set(name, value)),
  ];
}

/** A page of host memory that the command reads or writes. */
export function badHostPage(arg: string): Condition[] {
  return [
    ...badGranule(arg, "undelegated"),
    condition({ group: arg, name: `${arg} Secure`, status: ERROR_INPUT, apply: setArg(arg, (c) => c.b.secureGranule) }),
    condition({ group: arg, name: `${arg} Root`, status: ERROR_INPUT, apply: setArg(arg, (c) => c.b.rootGranule) }),
  ];
}

export const input = (arg: string, name: string, value: (c: Case) => number | bigint, group = arg): Condition =>
  condition({ group, name: `${arg} ${name}`, status: ERROR_INPUT, apply: setArg(arg, value) });
export const rtt = (group: string, name: string, index: number, touches: readonly string[], apply: (c: Case) => void): Condition =>
  condition({ group, name, status: ERROR_RTT, index, touches, apply });

export const IPA_SIZE = 2 ** 33;
export const HALF = IPA_SIZE / 2;
export const MiB2 = 2 ** 21;
export const GiB = 2 ** 30;

/** ipa and level of structure commands: level 2..3 here (start level 1), aligned to what the parent's entry maps. */
export const structure: readonly Condition[] = [
  input("level", "of the start table", () => 1, "level-ipa"),
  input("level", "beyond 3", () => 4, "level-ipa"),
  input("level", "negative", () => -1, "level-ipa"),
  input("level", "with high bits", (c) => (c.args["level"] as bigint) | (1n << 32n), "level-ipa"),
  input("ipa", "misaligned", (c) => (c.args["ipa"] as bigint) + 4096n, "level-ipa"),
  input("ipa", "beyond the IPA space", () => IPA_SIZE, "level-ipa"),
];

/** A realm whose tables reach level 3 at IPA 0. */
export function withTables(b: RmmBench): TestRealm {
  const r = b.realm();
  b.tables(r, 0);
  return r;
}
export const rdGroup = badGranule("rd", "rd");
export const realmActive = condition({
  name: "realm active",
  status: ERROR_REALM,
  index: 0,
  touches: ["state"],
  apply: (c) => void c.b.ok("REALM_ACTIVATE", c.r.rd),
});
export const entry = (c: Case, ipa: number, level = 3): bigint[] => c.b.ok("RTT_READ_ENTRY", c.args["rd"] as bigint, ipa, level);
export const says = (got: readonly bigint[], want: readonly (number | bigint)[]): boolean | string =>
  want.every((w, i) => got[i] === BigInt(w)) || `got ${got.map((v) => v.toString(16))}, want ${want.map((v) => v.toString(16))}`;
export const all = (...checks: (boolean | string)[]): boolean | string => checks.find((c) => c !== true) ?? true;
