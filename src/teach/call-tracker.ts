// Calls by SMC and HVC with their answers, found at the border between Exception levels: whoever implements them, agents or firmware.
//
// An answer is the return to the instruction after the SMC or HVC, in the caller's context. Software at EL2 and EL3 belongs to its PE;
// a guest's EL1 may go on on another PE, and is known by VTTBR_EL2 and VMPIDR_EL2 instead.

import { Off } from "../arch/layout.ts";
import { slot } from "../arch/state.ts";
import { Ec } from "../arch/syndrome.ts";
import { type ExceptionInfo, Vector } from "../cpu/agent.ts";
import type { Pe } from "../cpu/pe.ts";
import type { PhysicalMemory } from "../mem/physical.ts";
import { EXIT_OFFSET, RecExit } from "../rmm/layouts.ts";
import { ExitReason, exitReasonName } from "../rmm/status.ts";
import { viewOf } from "../rmm/struct.ts";
import type { AnswerEvent, CallEvent, NamedValue, Place } from "../trace/events.ts";
import { cameFrom } from "./call-stack.ts";
import { describeCall, type FirmwareCall } from "./calls.ts";

interface Pending {
  readonly call: FirmwareCall;
  readonly number: number;
  /** Address of the SMC or HVC. */
  readonly pc: bigint;
  readonly args: readonly bigint[];
}

const ELR = [0, slot.ELR_EL1, slot.ELR_EL2, slot.ELR_EL3] as const;
/** Contexts that wait for an answer; beyond that the oldest are forgotten (guests that were destroyed in a call). */
const MAX_PENDING = 4096;
/** Registers shown of a call that nobody knows. */
const UNKNOWN_ARGS = ["x1", "x2", "x3", "x4"];
const FID = { RMI_VERSION: 0xc400_0150, RMI_REC_ENTER: 0xc400_015c } as const;

type CallPart = Omit<CallEvent, "pe" | "at">;
type AnswerPart = Omit<AnswerEvent, "pe" | "at">;

export class CallTracker {
  private readonly phys: PhysicalMemory;
  private readonly pending = new Map<string, Pending>();
  private count = 0;
  /** Major version of RMI, as the last RMI_VERSION that succeeded said. */
  private rmiMajor = 1;

  constructor(phys: PhysicalMemory) {
    this.phys = phys;
  }

  /** An exception was taken: the call that it is. */
  exception(pe: Pe, e: ExceptionInfo): CallPart | undefined {
    if (e.vector !== Vector.Sync || (e.ec !== Ec.Smc && e.ec !== Ec.Hvc)) return undefined;
    const { st } = pe;
    const from = cameFrom(pe, e);
    const call = describeCall(st.lo(Off.X), this.rmiMajor);
    const names = call.args ?? UNKNOWN_ARGS;
    const args = names.map((_, i) => st.x(i + 1));
    const pc = BigInt.asUintN(64, st.get(ELR[e.target] as number) - BigInt(e.next));
    const number = this.count++;
    if (!call.handsBack) this.remember(contextOf(pe, from), { call, number, pc, args });
    const about =
      names.length === 1 && names[0] === "fid" ? describeCall(Number((args[0] ?? 0n) & 0xffff_ffffn), this.rmiMajor) : undefined;
    return {
      kind: call.kind,
      phase: "call",
      call: number,
      conduit: e.ec === Ec.Smc ? "SMC" : "HVC",
      fid: call.fid,
      name: call.name,
      from,
      pc,
      args: pair(names, args),
      ...(about?.args === undefined ? {} : { about: about.name }),
    };
  }

  /** An exception return was made: the answer that it is. */
  returned(pe: Pe): AnswerPart | undefined {
    const { st } = pe;
    const el = st.lo(Off.EL);
    const to = { el, security: pe.security };
    const key = contextOf(pe, to);
    const p = this.pending.get(key);
    if (p === undefined) return undefined;
    // An SMC that was trapped and is executed again, when its fault is resolved, is a new call.
    if (st.pc === p.pc) this.pending.delete(key);
    if (st.pc !== p.pc + 4n) return undefined;
    this.pending.delete(key);
    const { call } = p;
    const x0 = st.x(0);
    const code = call.code(x0);
    const succeeded = x0 === 0n;
    if (call.fid === FID.RMI_VERSION && succeeded) this.rmiMajor = Number((st.x(1) >> 16n) & 0x7fffn);
    const results =
      succeeded || call.fid === FID.RMI_VERSION
        ? pair(
            call.results,
            Array.from(call.results, (_, i) => st.x(i + 1)),
          )
        : [];
    const detail = call.fid === FID.RMI_REC_ENTER && succeeded ? this.recExit(p.args[1] ?? 0n) : undefined;
    const { kind, fid, name } = call;
    return { kind, phase: "answer", call: p.number, fid, name, to, code, x0, results, ...(detail === undefined ? {} : { detail }) };
  }

  private remember(key: string, p: Pending): void {
    this.pending.delete(key);
    if (this.pending.size >= MAX_PENDING) this.pending.delete(this.pending.keys().next().value as string);
    this.pending.set(key, p);
  }

  /** Why the realm exited, from the run page. */
  private recExit(run: bigint): string | undefined {
    const at = Number(run) + EXIT_OFFSET;
    const bytes = Number.isSafeInteger(at) && this.phys.isRam(at) ? this.phys.readBytes(at, RecExit.size) : undefined;
    if (bytes === undefined) return undefined;
    const exit = viewOf(RecExit, bytes);
    const reason = exit.num("exit_reason");
    const shown = (exitFields[reason] ?? []).map((f) => `${f}=0x${exit.get(f).toString(16)}`);
    const call = reason === ExitReason.PSCI ? [describeCall(Number(exit.get("gprs") & 0xffff_ffffn)).name] : [];
    return ["exit", exitReasonName(reason), ...call, ...shown].join(" ");
  }
}

/** Fields of RmiRecExit that say more about an exit. */
const exitFields: Readonly<Record<number, readonly (keyof typeof RecExit.fields)[]>> = {
  [ExitReason.SYNC]: ["esr", "far", "hpfar"],
  [ExitReason.RIPAS_CHANGE]: ["ripas_base", "ripas_top", "ripas_value"],
  [ExitReason.HOST_CALL]: ["imm"],
  [ExitReason.SERROR]: ["esr"],
};

function contextOf(pe: Pe, p: Place): string {
  if (p.el >= 2) return `${pe.index}.${p.el}.${p.security}`;
  return `guest ${p.security} ${pe.st.get(slot.VTTBR_EL2)} ${pe.st.get(slot.VMPIDR_EL2)}`;
}

const pair = (names: readonly string[], list: readonly bigint[]): NamedValue[] => names.map((n, i) => [n, list[i] ?? 0n]);
