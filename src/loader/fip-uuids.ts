// The images that a Firmware Image Package may hold (TF-A, firmware_image_package.h), by the name that fiptool gives them.

// Name, UUID in stored byte order, what it is.
// biome-ignore format: table
const rows = [
  ["scp-fwu-cfg",      "659227032f74e6448dff579ac1ff0610", "SCP_BL2U"],
  ["ap-fwu-cfg",       "60b3eb37c1e5ea419df319eda11f6801", "BL2U"],
  ["fwu",              "4f511d112be54e49b4c583c2f715840a", "NS_BL2U"],
  ["fwu-cert",         "71408ab218d6874c8b2ec6dccd50f096", "certificate of the updater"],
  ["tb-fw",            "5ff9ec0b4d223e4da544c39d81c73f0a", "BL2"],
  ["scp-fw",           "9766fd3d89bee849ae5d78a140608213", "SCP_BL2"],
  ["soc-fw",           "47d4086d4cfe98469b952950cbbd5a00", "BL31"],
  ["tos-fw",           "05d0e18953dc13478d2b500a4b7a3e38", "BL32"],
  ["tos-fw-extra1",    "0b70c29b2a5a78409f650a5682738288", "BL32 extra 1"],
  ["tos-fw-extra2",    "8ea87bb1cfa23f4d85fde7bba50220d9", "BL32 extra 2"],
  ["nt-fw",            "d6d0eea7fcead54b97829934f234b6e4", "BL33"],
  ["rmm-fw",           "6c0762a612f24b5692cbba8f633606d9", "RMM"],
  ["fw-config",        "5807e16a845947be8ed5648e8dddab0e", "FW_CONFIG"],
  ["hw-config",        "08b8f1d9c9cf9349a9626fbc6b7265cc", "HW_CONFIG"],
  ["tb-fw-config",     "6c0458ffaf6b7d4f82edaa27bc69bfd2", "TB_FW_CONFIG"],
  ["soc-fw-config",    "9979814b0376fb468c8e8d267f7859e0", "SOC_FW_CONFIG"],
  ["tos-fw-config",    "26257c1adbc67f478d96c4c4b0248021", "TOS_FW_CONFIG"],
  ["nt-fw-config",     "28da981593e87e44ac661aaf801550f9", "NT_FW_CONFIG"],
  ["rot-cert",         "862d1d72f860e411920b8be762160f24", "certificate of the root of trust"],
  ["trusted-key-cert", "827ee890f860e411a1b4777a21b4f94c", "trusted key certificate"],
  ["scp-fw-key-cert",  "024221a1f860e4118d9bf33c0e15a014", "key certificate of SCP_BL2"],
  ["soc-fw-key-cert",  "8ab8beccf960e4119ad0eb4822d8dcf8", "key certificate of BL31"],
  ["tos-fw-key-cert",  "9477d603fb60e41185ddb7105b8cee04", "key certificate of BL32"],
  ["nt-fw-key-cert",   "8ad5832afb60e4118aafdf30bbc49859", "key certificate of BL33"],
  ["tb-fw-cert",       "d6e269ea5d63e4118d8c9fbabe9956a5", "certificate of BL2"],
  ["scp-fw-cert",      "44be6f045e63e411b28b73d8eaae9656", "certificate of SCP_BL2"],
  ["soc-fw-cert",      "e2b20c205e63e4119ce8abccf92bb666", "certificate of BL31"],
  ["tos-fw-cert",      "a49f44115e63e41187283f05722af33d", "certificate of BL32"],
  ["nt-fw-cert",       "8ec4c1f35d63e411a7a987ee40b23fa7", "certificate of BL33"],
  ["sip-sp-cert",      "776dfd4486974c3b91ebc13e025a2a6f", "certificate of secure partitions (SiP)"],
  ["plat-sp-cert",     "ddcbbf4acad611ea87d00242ac130003", "certificate of secure partitions (platform)"],
  ["cca-cert",         "36d83d85761d4daf96f1cd99d6569b00", "CCA certificate"],
  ["core-swd-cert",    "52222d31820f494d8bbcea6825d3c35a", "key certificate of the core Secure world"],
  ["plat-key-cert",    "d43cd9025b9f412e8ac692b6d18be60d", "platform key certificate"],
] as const satisfies readonly (readonly [name: string, uuid: string, title: string])[];

export type FipImage = (typeof rows)[number][0];

export interface FipKind {
  readonly name: FipImage;
  readonly uuid: string;
  /** "BL31", "RMM", "HW_CONFIG". */
  readonly title: string;
}

/** The kind of image that has this UUID (32 hexadecimal digits in stored order). */
export const fipKinds: ReadonlyMap<string, FipKind> = new Map(rows.map(([name, uuid, title]) => [uuid, { name, uuid, title }]));

/** UUIDs by name. */
export const fipUuids = Object.fromEntries(rows.map(([name, uuid]) => [name, uuid])) as Readonly<Record<FipImage, string>>;
