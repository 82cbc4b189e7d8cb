// How a call of a realm ends.

import { Ec } from "../arch/syndrome.ts";
import type { Run } from "./run.ts";
import { ExitReason } from "./status.ts";

export type RsiResult =
  /** Back to the realm with x0, x1, ... */
  | { readonly kind: "realm"; readonly results: readonly bigint[] }
  /** To the host; the realm's registers are written only when there are results. */
  | { readonly kind: "host"; readonly reason: ExitReason; readonly results: readonly bigint[] | undefined }
  /** To the host with a fabricated stage 2 fault of this level at the IPA in x1; the realm makes the call again. */
  | { readonly kind: "fault"; readonly level: number };
export type RsiHandler = (r: Run) => RsiResult;

export const toRealm = (...results: bigint[]): RsiResult & { kind: "realm" } => ({ kind: "realm", results });
export const toHost = (reason: ExitReason, results?: readonly bigint[]): RsiResult => ({ kind: "host", reason, results });
export const stage2Fault = (level: number): RsiResult => ({ kind: "fault", level });

/** FSC of a translation fault, level 0. */
const FSC_TRANSLATION = 4;

/** Tells the host of a Data Abort at the IPA in x1 of the call, as if the realm had made the access. */
export function emulateStage2Fault(r: Pick<Run, "exit"> & { ipa?: bigint; st?: Run["st"] }, level: number): void {
  const ipa = r.ipa ?? r.st?.x(1) ?? 0n;
  r.exit.set("exit_reason", ExitReason.SYNC);
  r.exit.set("esr", (BigInt(Ec.DataAbort) << 26n) | BigInt(FSC_TRANSLATION + level));
  r.exit.set("hpfar", (ipa >> 12n) << 4n);
}
