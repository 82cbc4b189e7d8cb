// Firmware calls that nobody here implements but real firmware does: names for traces and explanations. Those that are implemented have
// their names where their handlers are (arch-calls.ts, psci.ts, trng.ts, monitor-services.ts, monitor-firme.ts, rmm/commands.ts).

/** A call of firmware that the emulator runs but does not stand in for. */
export interface KnownCall {
  /** Function identifiers in both widths; 0 where the call does not exist in that width. */
  readonly id32: number;
  readonly id64: number;
  readonly name: string;
  /** Names of the arguments, x1 and up. */
  readonly args: readonly string[];
  /** Names of the results, x1 and up. */
  readonly results: readonly string[];
}

type Row = readonly [id32: number, id64: number, name: string, args?: string, results?: string];

const words = (s = ""): string[] => s.split(" ").filter((w) => w !== "");
const known = ([id32, id64, name, args, results]: Row): KnownCall => ({ id32, id64, name, args: words(args), results: words(results) });

// Firmware Framework for Arm A-profile (DEN0077) and Management Mode (DEN0060): Secure Partition Manager.
// biome-ignore format: table
const ffa: readonly Row[] = [
  [0x8400_0040, 0,           "MM_VERSION"],
  [0x8400_0041, 0xc400_0041, "MM_COMMUNICATE",             "cookie buffer size"],
  [0x8400_0060, 0xc400_0060, "FFA_ERROR",                  "target code"],
  [0x8400_0061, 0xc400_0061, "FFA_SUCCESS",                "target w2 w3"],
  [0x8400_0062, 0,           "FFA_INTERRUPT",              "target intid"],
  [0x8400_0063, 0,           "FFA_VERSION",                "version"],
  [0x8400_0064, 0,           "FFA_FEATURES",               "id properties"],
  [0x8400_0065, 0,           "FFA_RX_RELEASE"],
  [0x8400_0066, 0xc400_0066, "FFA_RXTX_MAP",               "tx rx pages"],
  [0x8400_0067, 0,           "FFA_RXTX_UNMAP"],
  [0x8400_0068, 0,           "FFA_PARTITION_INFO_GET",     "uuid0 uuid1 uuid2 uuid3 flags"],
  [0x8400_0069, 0,           "FFA_ID_GET"],
  [0x8400_006a, 0,           "FFA_MSG_POLL"],
  [0x8400_006b, 0,           "FFA_MSG_WAIT"],
  [0x8400_006c, 0,           "FFA_YIELD"],
  [0x8400_006d, 0,           "FFA_RUN",                    "target"],
  [0x8400_006e, 0,           "FFA_MSG_SEND"],
  [0x8400_006f, 0xc400_006f, "FFA_MSG_SEND_DIRECT_REQ",    "endpoints flags"],
  [0x8400_0070, 0xc400_0070, "FFA_MSG_SEND_DIRECT_RESP",   "endpoints flags"],
  [0x8400_0071, 0xc400_0071, "FFA_MEM_DONATE",             "length fragment buffer pages"],
  [0x8400_0072, 0xc400_0072, "FFA_MEM_LEND",               "length fragment buffer pages"],
  [0x8400_0073, 0xc400_0073, "FFA_MEM_SHARE",              "length fragment buffer pages"],
  [0x8400_0074, 0xc400_0074, "FFA_MEM_RETRIEVE_REQ",       "length fragment buffer pages"],
  [0x8400_0075, 0,           "FFA_MEM_RETRIEVE_RESP",      "length fragment"],
  [0x8400_0076, 0,           "FFA_MEM_RELINQUISH"],
  [0x8400_0077, 0,           "FFA_MEM_RECLAIM",            "handle_lo handle_hi flags"],
  [0x8400_007a, 0,           "FFA_MEM_FRAG_RX",            "handle_lo handle_hi offset"],
  [0x8400_007b, 0,           "FFA_MEM_FRAG_TX",            "handle_lo handle_hi length"],
  [0x8400_007c, 0,           "FFA_NORMAL_WORLD_RESUME"],
  [0x8400_007d, 0,           "FFA_NOTIFICATION_BITMAP_CREATE", "target count"],
  [0x8400_007e, 0,           "FFA_NOTIFICATION_BITMAP_DESTROY", "target"],
  [0x8400_007f, 0,           "FFA_NOTIFICATION_BIND",      "endpoints flags lo hi"],
  [0x8400_0080, 0,           "FFA_NOTIFICATION_UNBIND",    "endpoints flags lo hi"],
  [0x8400_0081, 0,           "FFA_NOTIFICATION_SET",       "endpoints flags lo hi"],
  [0x8400_0082, 0,           "FFA_NOTIFICATION_GET",       "target flags"],
  [0x8400_0083, 0xc400_0083, "FFA_NOTIFICATION_INFO_GET"],
  [0x8400_0084, 0,           "FFA_RX_ACQUIRE",             "target"],
  [0x8400_0085, 0,           "FFA_SPM_ID_GET"],
  [0x8400_0086, 0,           "FFA_MSG_SEND2",              "endpoint flags"],
  [0x8400_0087, 0xc400_0087, "FFA_SECONDARY_EP_REGISTER",  "entry"],
  [0x8400_0088, 0xc400_0088, "FFA_MEM_PERM_GET",           "base"],
  [0x8400_0089, 0xc400_0089, "FFA_MEM_PERM_SET",           "base pages permissions"],
  [0x8400_008a, 0xc400_008a, "FFA_CONSOLE_LOG",            "count"],
  [0,           0xc400_008b, "FFA_PARTITION_INFO_GET_REGS", "uuid_lo uuid_hi start"],
  [0x8400_008c, 0,           "FFA_EL3_INTR_HANDLE"],
  [0,           0xc400_008d, "FFA_MSG_SEND_DIRECT_REQ2",   "endpoints uuid_lo uuid_hi"],
  [0,           0xc400_008e, "FFA_MSG_SEND_DIRECT_RESP2",  "endpoints"],
];

// SDEI (DEN0054), DRTM (DEN0113), live activation (DEN0147), paravirtualised time (DEN0057), identification of hypervisors.
// biome-ignore format: table
const standard: readonly Row[] = [
  [0, 0xc400_0020, "SDEI_VERSION"],
  [0, 0xc400_0021, "SDEI_EVENT_REGISTER",       "event entry argument flags mpidr"],
  [0, 0xc400_0022, "SDEI_EVENT_ENABLE",         "event"],
  [0, 0xc400_0023, "SDEI_EVENT_DISABLE",        "event"],
  [0, 0xc400_0024, "SDEI_EVENT_CONTEXT",        "register"],
  [0, 0xc400_0025, "SDEI_EVENT_COMPLETE",       "status"],
  [0, 0xc400_0026, "SDEI_EVENT_COMPLETE_AND_RESUME", "address"],
  [0, 0xc400_0027, "SDEI_EVENT_UNREGISTER",     "event"],
  [0, 0xc400_0028, "SDEI_EVENT_STATUS",         "event"],
  [0, 0xc400_0029, "SDEI_EVENT_GET_INFO",       "event info"],
  [0, 0xc400_002a, "SDEI_EVENT_ROUTING_SET",    "event mode mpidr"],
  [0, 0xc400_002b, "SDEI_PE_MASK"],
  [0, 0xc400_002c, "SDEI_PE_UNMASK"],
  [0, 0xc400_002d, "SDEI_INTERRUPT_BIND",       "intid"],
  [0, 0xc400_002e, "SDEI_INTERRUPT_RELEASE",    "event"],
  [0, 0xc400_002f, "SDEI_EVENT_SIGNAL",         "event mpidr"],
  [0, 0xc400_0030, "SDEI_FEATURES",             "feature"],
  [0, 0xc400_0031, "SDEI_PRIVATE_RESET"],
  [0, 0xc400_0032, "SDEI_SHARED_RESET"],
  [0, 0xc400_0110, "DRTM_VERSION"],
  [0, 0xc400_0111, "DRTM_FEATURES",             "feature"],
  [0, 0xc400_0113, "DRTM_UNPROTECT_MEMORY"],
  [0, 0xc400_0114, "DRTM_DYNAMIC_LAUNCH",       "parameters"],
  [0, 0xc400_0115, "DRTM_CLOSE_LOCALITY",       "locality"],
  [0, 0xc400_0116, "DRTM_GET_ERROR"],
  [0, 0xc400_0117, "DRTM_SET_ERROR",            "code"],
  [0, 0xc400_0118, "DRTM_SET_TCB_HASH",         "table"],
  [0, 0xc400_0119, "DRTM_LOCK_TCB_HASHES"],
  [0, 0xc400_02e0, "LFA_VERSION"],
  [0, 0xc400_02e1, "LFA_FEATURES",              "fid"],
  [0, 0xc400_02e2, "LFA_GET_INFO",              "selector"],
  [0, 0xc400_02e3, "LFA_GET_INVENTORY",         "component"],
  [0, 0xc400_02e4, "LFA_PRIME",                 "component"],
  [0, 0xc400_02e5, "LFA_ACTIVATE",              "component flags entry context"],
  [0, 0xc400_02e6, "LFA_CANCEL",                "component"],
  [0, 0xc500_0020, "PV_TIME_FEATURES",          "fid"],
  [0, 0xc500_0021, "PV_TIME_ST"],
  [0x8600_0000, 0, "KVM_FEATURES"],
  [0x8600_0001, 0, "KVM_PTP",                   "counter"],
  [0x8600_ff01, 0, "VENDOR_HYP_CALL_UID"],
  [0x8400_ff01, 0, "STD_SECURE_CALL_UID"],
  [0x8400_ff03, 0, "STD_SECURE_REVISION"],
];

// RMM-EL3 interface: ends of an RMI call and of the RMM's boot.
// biome-ignore format: table
const rmmEl3: readonly Row[] = [
  [0, 0xc400_018f, "RMM_RMI_REQ_COMPLETE", "x0 x1 x2 x3 x4"],
  [0, 0xc400_01cf, "RMM_BOOT_COMPLETE",    "code token"],
];

// OP-TEE as trusted OS: calls of its driver, and what it answers to the dispatcher at EL3.
// biome-ignore format: table
const optee: readonly Row[] = [
  [0x3200_0003, 0, "OPTEE_RETURN_FROM_RPC"],
  [0x3200_0004, 0, "OPTEE_CALL_WITH_ARG",      "arg_hi arg_lo"],
  [0x3200_0012, 0, "OPTEE_CALL_WITH_RPC_ARG",  "arg_hi arg_lo"],
  [0x3200_0013, 0, "OPTEE_CALL_WITH_REGD_ARG", "cookie_hi cookie_lo offset"],
  [0xb200_0000, 0, "OPTEE_GET_OS_UUID"],
  [0xb200_0001, 0, "OPTEE_GET_OS_REVISION"],
  [0xb200_0007, 0, "OPTEE_GET_SHM_CONFIG"],
  [0xb200_0009, 0, "OPTEE_EXCHANGE_CAPABILITIES", "capabilities"],
  [0xb200_000a, 0, "OPTEE_DISABLE_SHM_CACHE"],
  [0xb200_000b, 0, "OPTEE_ENABLE_SHM_CACHE"],
  [0xb200_0010, 0, "OPTEE_ENABLE_ASYNC_NOTIF"],
  [0xb200_0011, 0, "OPTEE_GET_ASYNC_NOTIF_VALUE"],
  [0xbf00_ff00, 0, "TRUSTED_OS_CALL_COUNT"],
  [0xbf00_ff01, 0, "TRUSTED_OS_CALL_UID"],
  [0xbf00_ff03, 0, "TRUSTED_OS_REVISION"],
  [0xbe00_0000, 0, "OPTEED_ENTRY_DONE",        "vectors"],
  [0xbe00_0001, 0, "OPTEED_ON_DONE",           "result"],
  [0xbe00_0002, 0, "OPTEED_OFF_DONE",          "result"],
  [0xbe00_0003, 0, "OPTEED_SUSPEND_DONE",      "result"],
  [0xbe00_0004, 0, "OPTEED_RESUME_DONE",       "result"],
  [0xbe00_0005, 0, "OPTEED_CALL_DONE",         "x0 x1 x2 x3"],
  [0xbe00_0006, 0, "OPTEED_FIQ_DONE"],
  [0xbe00_0007, 0, "OPTEED_SYSTEM_OFF_DONE",   "result"],
  [0xbe00_0008, 0, "OPTEED_SYSTEM_RESET_DONE", "result"],
];

/** Calls of other firmware. Every function identifier occurs once. */
export const knownCalls: readonly KnownCall[] = [...ffa, ...standard, ...rmmEl3, ...optee].map(known);

/** Calls by which firmware gives back control: what comes back to their caller later is another request, not a result. */
export const isHandBack = (name: string): boolean => /^(RMM_(RMI_REQ|BOOT)_COMPLETE|OPTEED_|FFA_MSG_(WAIT|SEND_DIRECT_RESP))/.test(name);
