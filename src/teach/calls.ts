// Names of firmware calls by function identifier (SMCCC, DEN0028; RMM, DEN0137; TF-A's RMM-EL3 interface).

import { callName } from "../el3/agent.ts";

// biome-ignore format: table
const rmi: Readonly<Record<number, string>> = {
  336: "RMI_VERSION", 337: "RMI_GRANULE_DELEGATE", 338: "RMI_GRANULE_UNDELEGATE", 339: "RMI_DATA_CREATE",
  340: "RMI_DATA_CREATE_UNKNOWN", 341: "RMI_DATA_DESTROY", 343: "RMI_REALM_ACTIVATE", 344: "RMI_REALM_CREATE",
  345: "RMI_REALM_DESTROY", 346: "RMI_REC_CREATE", 347: "RMI_REC_DESTROY", 348: "RMI_REC_ENTER", 349: "RMI_RTT_CREATE",
  350: "RMI_RTT_DESTROY", 351: "RMI_RTT_MAP_UNPROTECTED", 353: "RMI_RTT_READ_ENTRY", 354: "RMI_RTT_UNMAP_UNPROTECTED",
  356: "RMI_PSCI_COMPLETE", 357: "RMI_FEATURES", 358: "RMI_RTT_FOLD", 359: "RMI_REC_AUX_COUNT", 360: "RMI_RTT_INIT_RIPAS",
  361: "RMI_RTT_SET_RIPAS",
  400: "RSI_VERSION", 401: "RSI_FEATURES", 402: "RSI_MEASUREMENT_READ", 403: "RSI_MEASUREMENT_EXTEND",
  404: "RSI_ATTESTATION_TOKEN_INIT", 405: "RSI_ATTESTATION_TOKEN_CONTINUE", 406: "RSI_REALM_CONFIG", 407: "RSI_IPA_STATE_SET",
  408: "RSI_IPA_STATE_GET", 409: "RSI_HOST_CALL",
  399: "RMM_RMI_REQ_COMPLETE", 432: "RMM_GTSI_DELEGATE", 433: "RMM_GTSI_UNDELEGATE", 434: "RMM_ATTEST_GET_REALM_KEY",
  435: "RMM_ATTEST_GET_PLAT_TOKEN", 463: "RMM_BOOT_COMPLETE",
};

/** "RMI_GRANULE_DELEGATE (0xc4000151)". */
export function firmwareCall(fid: number): string {
  const plain = (fid & ~0x1_0000) >>> 0;
  const standard = plain >>> 16 === 0xc400 ? rmi[plain & 0xffff] : undefined;
  const name = standard ?? callName(plain);
  return name.startsWith("SMC ") ? `function 0x${plain.toString(16)}` : `${name} (0x${plain.toString(16)})`;
}
