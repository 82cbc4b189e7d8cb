// Names of RMI and RSI commands that came after version 1.0, for traces of a real RMM. RMI 2.0 gave some numbers of 1.0 a new meaning.

type Row = readonly [fid: number, name: string, args?: string, results?: string];

/** A command of a later version. */
export interface LaterCommand {
  readonly fid: number;
  /** Name without RMI_ or RSI_. */
  readonly name: string;
  readonly args: readonly string[];
  readonly results: readonly string[];
}

const words = (s = ""): string[] => s.split(" ").filter((w) => w !== "");
const later = ([fid, name, args, results]: Row): LaterCommand => ({ fid, name, args: words(args), results: words(results) });

// biome-ignore format: table
const rmi11Rows: readonly Row[] = [
  [0xc400_0156, "PDEV_AUX_COUNT",       "flags",              "count"],
  [0xc400_0160, "VDEV_AUX_COUNT",       "pdev_flags vdev_flags", "count"],
  [0xc400_0163, "RTT_DEV_MEM_VALIDATE", "rd rec base top",    "out_top"],
  [0xc400_016a, "VSMMU_CREATE"],
  [0xc400_016b, "VSMMU_DESTROY"],
  [0xc400_016c, "VSMMU_MAP"],
  [0xc400_016d, "VSMMU_UNMAP"],
  [0xc400_016e, "PSMMU_MSI_CONFIG"],
  [0xc400_016f, "PSMMU_IRQ_NOTIFY"],
  [0xc400_0172, "DEV_MEM_MAP",          "rd ipa level pa"],
  [0xc400_0173, "DEV_MEM_UNMAP",        "rd ipa level",       "pa top"],
  [0xc400_0174, "PDEV_ABORT",           "pdev"],
  [0xc400_0175, "PDEV_COMMUNICATE",     "pdev data"],
  [0xc400_0176, "PDEV_CREATE",          "pdev params"],
  [0xc400_0177, "PDEV_DESTROY",         "pdev"],
  [0xc400_0178, "PDEV_GET_STATE",       "pdev",               "state"],
  [0xc400_0179, "PDEV_IDE_RESET",       "pdev"],
  [0xc400_017a, "PDEV_NOTIFY",          "pdev event"],
  [0xc400_017b, "PDEV_SET_PUBKEY",      "pdev params"],
  [0xc400_017c, "PDEV_STOP",            "pdev"],
  [0xc400_017d, "RTT_AUX_CREATE",       "rd rtt ipa level index"],
  [0xc400_017e, "RTT_AUX_DESTROY",      "rd ipa level index", "rtt top"],
  [0xc400_017f, "RTT_AUX_FOLD",         "rd ipa level index", "rtt"],
  [0xc400_0180, "RTT_AUX_MAP_PROTECTED",     "rd ipa index"],
  [0xc400_0181, "RTT_AUX_MAP_UNPROTECTED",   "rd ipa index"],
  [0xc400_0183, "RTT_AUX_UNMAP_PROTECTED",   "rd ipa index"],
  [0xc400_0184, "RTT_AUX_UNMAP_UNPROTECTED", "rd ipa index"],
  [0xc400_0185, "VDEV_ABORT",           "vdev"],
  [0xc400_0186, "VDEV_COMMUNICATE",     "pdev vdev data"],
  [0xc400_0187, "VDEV_CREATE",          "rd pdev vdev params"],
  [0xc400_0188, "VDEV_DESTROY",         "rd pdev vdev"],
  [0xc400_0189, "VDEV_GET_STATE",       "vdev",               "state"],
  [0xc400_018a, "VDEV_STOP",            "vdev"],
  [0xc400_018b, "RTT_SET_S2AP",         "rd rec base top",    "out_top"],
  [0xc400_018c, "MEC_SET_SHARED",       "mecid"],
  [0xc400_018d, "MEC_SET_PRIVATE",      "mecid"],
  [0xc400_018e, "VDEV_COMPLETE",        "rec vdev"],
];

// biome-ignore format: table
const rmi20Rows: readonly Row[] = [
  [0xc400_0153, "RTT_DATA_MAP_INIT",    "rd data ipa src flags"],
  [0xc400_016e, "RMM_CONFIG_SET",       "config"],
  [0xc400_017a, "PDEV_STREAM_KEY_REFRESH"],
  [0xc400_018a, "VDEV_UNLOCK"],
  [0xc400_01d0, "VDEV_GET_INTERFACE_REPORT"],
  [0xc400_01d1, "VDEV_GET_MEASUREMENTS"],
  [0xc400_01d2, "VDEV_LOCK"],
  [0xc400_01d3, "VDEV_START"],
  [0xc400_01d7, "PSMMU_ACTIVATE"],
  [0xc400_01d8, "PSMMU_DEACTIVATE"],
  [0xc400_01db, "PSMMU_ST_L2_CREATE"],
  [0xc400_01dc, "PSMMU_ST_L2_DESTROY"],
  [0xc400_01e1, "GRANULE_TRACKING_GET", "base top",                 "category state out_top"],
  [0xc400_01e3, "GRANULE_TRACKING_SET", "base top category",        "out_top"],
  [0xc400_01ec, "RMM_CONFIG_GET",       "config"],
  [0xc400_01f1, "GRANULE_RANGE_DELEGATE",   "base top",             "out_top"],
  [0xc400_01f2, "GRANULE_RANGE_UNDELEGATE", "base top",             "out_top"],
  [0xc400_01f3, "GPT_L1_CREATE",        "addr"],
  [0xc400_01f4, "GPT_L1_DESTROY",       "addr"],
  [0xc400_01f5, "RTT_DATA_MAP",         "rd base top flags addr",   "out_top"],
  [0xc400_01f6, "RTT_DATA_UNMAP",       "rd base top flags list",   "out_top range count"],
  [0xc400_01f7, "RTT_DEV_MAP",          "rd base top flags addr",   "out_top"],
  [0xc400_01f8, "RTT_DEV_UNMAP",        "rd base top flags list",   "out_top range count"],
  [0xc400_01fb, "RTT_UNPROT_MAP",       "rd base top flags addr",   "out_top"],
  [0xc400_01fc, "RTT_UNPROT_UNMAP",     "rd base top flags list",   "out_top range count"],
  [0xc400_0201, "REALM_TERMINATE",      "rd"],
  [0xc400_0202, "RMM_ACTIVATE"],
  [0xc400_0203, "OP_CONTINUE",          "handle flags"],
  [0xc400_0204, "PDEV_STREAM_CONNECT"],
  [0xc400_0205, "PDEV_STREAM_DISCONNECT"],
  [0xc400_0206, "PDEV_STREAM_COMPLETE"],
  [0xc400_0207, "PDEV_STREAM_KEY_PURGE"],
  [0xc400_0208, "OP_MEM_DONATE",        "handle list count",        "consumed request"],
  [0xc400_0209, "OP_MEM_RECLAIM",       "handle list count",        "written"],
  [0xc400_020a, "OP_CANCEL",            "handle"],
];

// biome-ignore format: table
const rsi11Rows: readonly Row[] = [
  [0xc400_019a, "VSMMU_GET_INFO"],
  [0xc400_019b, "VSMMU_ACTIVATE"],
  [0xc400_019c, "RDEV_GET_INSTANCE_ID"],
  [0xc400_01a0, "MEM_GET_PERM_VALUE",   "plane index",              "value"],
  [0xc400_01a1, "MEM_SET_PERM_INDEX",   "base top index cookie",    "new_base response cookie"],
  [0xc400_01a2, "MEM_SET_PERM_VALUE",   "plane index value"],
  [0xc400_01a3, "PLANE_ENTER",          "plane run"],
  [0xc400_01a4, "RDEV_CONTINUE"],
  [0xc400_01a5, "RDEV_GET_INFO"],
  [0xc400_01a6, "RDEV_GET_INTERFACE_REPORT"],
  [0xc400_01a7, "RDEV_GET_MEASUREMENTS"],
  [0xc400_01a8, "RDEV_GET_STATE"],
  [0xc400_01a9, "RDEV_LOCK"],
  [0xc400_01aa, "RDEV_START"],
  [0xc400_01ab, "RDEV_STOP"],
  [0xc400_01ac, "RDEV_VALIDATE_MAPPING"],
  [0xc400_01ae, "PLANE_SYSREG_READ",    "plane encoding",           "value"],
  [0xc400_01af, "PLANE_SYSREG_WRITE",   "plane encoding value"],
];

/** RMI 1.1: what it adds to 1.0. */
export const rmi11: readonly LaterCommand[] = rmi11Rows.map(later);
/** RMI 2.0: what it adds, and numbers of 1.0 and 1.1 that mean something else in it. */
export const rmi20: readonly LaterCommand[] = rmi20Rows.map(later);
/** RSI 1.1. */
export const rsi11: readonly LaterCommand[] = rsi11Rows.map(later);
