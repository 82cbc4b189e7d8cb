// The rules that an access can break. Identifiers are stable: lessons, tests and other tools refer to them.

/** Identifier, title, where the Arm ARM has it. */
type Row = readonly [id: string, title: string, section: string];

// biome-ignore format: table
const table = [
  // stage 1
  ["S1-TXSZ",          "the size of the address range is not allowed",             "D8.2.4, AArch64.S1TxSZFaults"],
  ["S1-VA-RANGE",      "the virtual address is outside both ranges",               "D8.2.4, AArch64.VAIsOutOfRange"],
  ["S1-E0PD",          "EL0 is shut out of this address range",                    "D8.2.4, TCR_ELx.E0PDn (FEAT_E0PD)"],
  ["S1-EPD",           "walks of this address range are disabled",                 "D8.2.4, TCR_ELx.EPDn"],
  ["S1-OFF-SIZE",      "the address is larger than physical addresses are",        "D8.2.9, AArch64.S1DisabledOutput"],
  ["S1-TTBR-SIZE",     "the first table lies beyond the output address size",      "D8.2.5, AArch64.S1Walk"],
  ["S1-INVALID",       "the descriptor is invalid",                                "D8.3, AArch64.DecodeDescriptorType"],
  ["S1-RESERVED",      "the descriptor type does not exist at this level",         "D8.3.2, AArch64.DecodeDescriptorType"],
  ["S1-CONTIGUOUS",    "the contiguous set is larger than the address range",      "D8.3.2, AArch64.ContiguousBitFaults"],
  ["S1-OA-SIZE",       "the descriptor's address is beyond the output address size", "D8.2.5, AArch64.OAOutOfRange"],
  ["S1-AF",            "the access flag is 0 and software manages it",             "D8.4.6, AArch64.S1Translate"],
  ["S1-PERMISSION",    "stage 1 does not permit the access",                       "D8.4, AArch64.S1CheckPermissions"],
  ["S1-EXTERNAL",      "the descriptor is not in memory",                          "D8.2, AArch64.FetchDescriptor"],
  ["S1-UPDATE",        "the descriptor kept changing under its update",            "D8.4.5, unsupported atomic hardware update"],
  // stage 2
  ["S2-CONFIG",        "T0SZ and SL0 of stage 2 do not fit each other",            "D8.2.12, AArch64.S2InvalidSL, S2InconsistentSL, S2TxSZFaults"],
  ["S2-IPA-RANGE",     "the intermediate physical address is outside stage 2's input range", "D8.2.12, AArch64.IPAIsOutOfRange"],
  ["S2-TTBR-SIZE",     "the first stage 2 table lies beyond the output address size", "D8.2.5, AArch64.S2Walk"],
  ["S2-INVALID",       "the stage 2 descriptor is invalid",                        "D8.3, AArch64.DecodeDescriptorType"],
  ["S2-RESERVED",      "the stage 2 descriptor type does not exist at this level", "D8.3.2, AArch64.DecodeDescriptorType"],
  ["S2-CONTIGUOUS",    "the contiguous set is larger than the address range",      "D8.3.2, AArch64.ContiguousBitFaults"],
  ["S2-OA-SIZE",       "the stage 2 descriptor's address is beyond the output address size", "D8.2.5, AArch64.OAOutOfRange"],
  ["S2-AF",            "the stage 2 access flag is 0 and software manages it",     "D8.4.6, AArch64.S2Translate"],
  ["S2-PERMISSION",    "stage 2 does not permit the access",                       "D8.4.2, AArch64.S2CheckPermissions"],
  ["S2-WALK-DEVICE",   "a stage 1 table lies in Device memory",                    "D8.4.2, HCR_EL2.PTW"],
  ["S2-WALK-SPACE",    "a realm's stage 1 table lies outside the Realm PA space",  "D8.4.2, AArch64.S2CheckPermissions (FEAT_RME)"],
  ["S2-EXTERNAL",      "the stage 2 descriptor is not in memory",                  "D8.2, AArch64.FetchDescriptor"],
  ["S2-UPDATE",        "the stage 2 descriptor kept changing under its update",    "D8.4.5, unsupported atomic hardware update"],
  // granule protection check, in the order in which it decides
  ["GPC-CONFIG",       "the control registers of granule protection are not valid", "D9.3, GPCRegistersConsistent()"],
  ["GPC-SPACE-OFF",    "the PA space is disabled",                                 "D9.3, GPCCR_EL3.{SPAD,NSPAD,RLPAD} (FEAT_RME_GPC2)"],
  ["GPC-ABOVE-PPS",    "only Non-secure accesses may go above the protected space", "D9.3, GranuleProtectionCheck(), GPCCR_EL3.PPS"],
  ["GPT-BASE-SIZE",    "the granule protection table lies beyond the protected space", "D9.3, GPTWalk(), GPTBR_EL3"],
  ["GPT-L0-EXTERNAL",  "the level 0 entry is not in memory",                       "D9.3, GPTWalk()"],
  ["GPT-L0-MALFORMED", "the level 0 entry is malformed",                           "D9.4, GPT level 0 entries"],
  ["GPT-L0-SIZE",      "the level 0 entry points beyond the protected space",      "D9.3, GPTWalk()"],
  ["GPT-L1-EXTERNAL",  "the level 1 entry is not in memory",                       "D9.3, GPTWalk()"],
  ["GPT-L1-MALFORMED", "the level 1 entry is malformed",                           "D9.4, GPT level 1 entries"],
  ["GPT-GPI",          "the granule does not belong to the PA space of the access", "D9.2, GPI encodings; GPICheck()"],
  // the access itself
  ["ACC-ALIGN",        "the address is not aligned as the access needs it",        "B2.7, AArch64.UnalignedAccessFaults"],
  ["ACC-DEVICE",       "Device memory takes no such access",                       "B2.7, AArch64.MemSingleGranule, DC ZVA"],
  ["ACC-EXTERNAL",     "nothing answers at the physical address",                  "D1.3, synchronous External abort"],
  ["ACC-EXCLUSIVE",    "the memory does not support exclusive or atomic accesses", "B2.9, unsupported Exclusive or atomic access"],
  ["ACC-CHANGED",      "the tables no longer hold what caused the fault",          "D8.13, TLB maintenance requirements"],
] as const satisfies readonly Row[];

export type RuleId = (typeof table)[number][0];

export interface Rule {
  readonly id: RuleId;
  readonly title: string;
  readonly section: string;
}

export const rules: ReadonlyMap<RuleId, Rule> = new Map(table.map(([id, title, section]) => [id, { id, title, section }]));
export const rule = (id: RuleId): Rule => rules.get(id) as Rule;
