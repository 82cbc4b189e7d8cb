// The commands of RMI 1.0 and RSI 1.0, one row each. Everything that names or decodes a command reads these tables: the agent, traces,
// explanations, tests, a host that issues them. Handlers are in rmi.ts and rsi.ts, by the same names.

/** One command. */
export interface Command<N extends string = string> {
  /** SMC64 function identifier, W0. */
  readonly fid: number;
  /** Name without RMI_ or RSI_. */
  readonly name: N;
  /** Names of the arguments, x1 and up. */
  readonly args: readonly string[];
  /** Names of the results, x1 and up. */
  readonly results: readonly string[];
  /** Log each call; log calls that fail. */
  readonly logCall: boolean;
  readonly logError: boolean;
}

type Row<N extends string = string> = readonly [fid: number, name: N, args: string, results: string, log: "" | "e" | "ce"];

const command = <N extends string>([fid, name, args, results, log]: Row<N>): Command<N> => ({
  fid,
  name,
  args: words(args),
  results: words(results),
  logCall: log === "ce",
  logError: log !== "",
});
const words = (s: string): string[] => s.split(" ").filter((w) => w !== "");

// Function identifier, name, arguments, results, log: c = every call, e = calls that fail.
// biome-ignore format: table
const rmiRows = [
  [0xc400_0150, "VERSION",             "req",                       "lower higher",               "ce"],
  [0xc400_0151, "GRANULE_DELEGATE",    "addr",                      "",                           "e"],
  [0xc400_0152, "GRANULE_UNDELEGATE",  "addr",                      "",                           "e"],
  [0xc400_0153, "DATA_CREATE",         "rd data ipa src flags",     "",                           ""],
  [0xc400_0154, "DATA_CREATE_UNKNOWN", "rd data ipa",               "",                           ""],
  [0xc400_0155, "DATA_DESTROY",        "rd ipa",                    "data top",                   "e"],
  [0xc400_0157, "REALM_ACTIVATE",      "rd",                        "",                           "ce"],
  [0xc400_0158, "REALM_CREATE",        "rd params",                 "",                           "ce"],
  [0xc400_0159, "REALM_DESTROY",       "rd",                        "",                           "ce"],
  [0xc400_015a, "REC_CREATE",          "rd rec params",             "",                           "ce"],
  [0xc400_015b, "REC_DESTROY",         "rec",                       "",                           "ce"],
  [0xc400_015c, "REC_ENTER",           "rec run",                   "",                           "e"],
  [0xc400_015d, "RTT_CREATE",          "rd rtt ipa level",          "",                           "e"],
  [0xc400_015e, "RTT_DESTROY",         "rd ipa level",              "rtt top",                    "e"],
  [0xc400_015f, "RTT_MAP_UNPROTECTED", "rd ipa level desc",         "",                           ""],
  [0xc400_0161, "RTT_READ_ENTRY",      "rd ipa level",              "walk_level state desc ripas", "e"],
  [0xc400_0162, "RTT_UNMAP_UNPROTECTED", "rd ipa level",            "top",                        ""],
  [0xc400_0164, "PSCI_COMPLETE",       "calling_rec target_rec status", "",                       "ce"],
  [0xc400_0165, "FEATURES",            "index",                     "value",                      "ce"],
  [0xc400_0166, "RTT_FOLD",            "rd ipa level",              "rtt",                        ""],
  [0xc400_0167, "REC_AUX_COUNT",       "rd",                        "count",                      "ce"],
  [0xc400_0168, "RTT_INIT_RIPAS",      "rd base top",               "out_top",                    "e"],
  [0xc400_0169, "RTT_SET_RIPAS",       "rd rec base top",           "out_top",                    "e"],
] as const satisfies readonly Row[];

const value8 = "v0 v1 v2 v3 v4 v5 v6 v7";
// biome-ignore format: table
const rsiRows = [
  [0xc400_0190, "VERSION",                    "req",                       "lower higher",         "ce"],
  [0xc400_0191, "FEATURES",                   "index",                     "value",                "ce"],
  [0xc400_0192, "MEASUREMENT_READ",           "index",                     value8,                 "e"],
  [0xc400_0193, "MEASUREMENT_EXTEND",         `index size ${value8}`,      "",                     "e"],
  [0xc400_0194, "ATTESTATION_TOKEN_INIT",     value8,                      "max_size",             "e"],
  [0xc400_0195, "ATTESTATION_TOKEN_CONTINUE", "ipa offset size",           "len",                  "e"],
  [0xc400_0196, "REALM_CONFIG",               "ipa",                       "",                     "e"],
  [0xc400_0197, "IPA_STATE_SET",              "base top ripas flags",      "new_base response",    "e"],
  [0xc400_0198, "IPA_STATE_GET",              "base top",                  "top ripas",            "e"],
  [0xc400_0199, "HOST_CALL",                  "ipa",                       "",                     "e"],
] as const satisfies readonly Row[];

export type RmiName = (typeof rmiRows)[number][1];
export type RsiName = (typeof rsiRows)[number][1];

export const rmiCommands: readonly Command<RmiName>[] = rmiRows.map((r) => command<RmiName>(r));
export const rsiCommands: readonly Command<RsiName>[] = rsiRows.map((r) => command<RsiName>(r));

export const rmiByFid: ReadonlyMap<number, Command<RmiName>> = new Map(rmiCommands.map((c) => [c.fid, c]));
export const rsiByFid: ReadonlyMap<number, Command<RsiName>> = new Map(rsiCommands.map((c) => [c.fid, c]));

/** Number of arguments of an RMI command, in x1 and up; 0: there is no such command. */
export const rmiArguments = (fid: number): number => rmiByFid.get(fid)?.args.length ?? 0;

/** Function identifiers by name: `rmi.REALM_CREATE`. */
export const rmi = Object.fromEntries(rmiCommands.map((c) => [c.name, c.fid])) as Readonly<Record<RmiName, number>>;
export const rsi = Object.fromEntries(rsiCommands.map((c) => [c.name, c.fid])) as Readonly<Record<RsiName, number>>;

/** Ranges of function numbers that EL3 forwards to the RMM, first and last. The second is RMI 2.0's. */
const RMI_RANGES: readonly (readonly [first: number, last: number])[] = [
  [0xc400_0150, 0xc400_018f],
  [0xc400_01d0, 0xc400_02cf],
];
/** Is it a call of the RMI, known or not? EL3 asks at each SMC. */
export function isRmi(fid: number): boolean {
  for (const range of RMI_RANGES) if (fid >= range[0] && fid <= range[1]) return true;
  return false;
}
