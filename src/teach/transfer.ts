// Explanations of transfers that a device was refused: there is no translation, only the granule protection check and the memory map.

import { Security, securityName } from "../arch/security.ts";
import type { RefusedTransfer } from "../machine/dma.ts";
import type { Board } from "../machine/observe.ts";
import type { Diagnosis } from "./diagnose.ts";
import { instructionAt, placeOf, type Sources, withWriters } from "./explain.ts";
import { describeCheck, diagnoseCheck } from "./gpt.ts";
import { memoryRanges } from "./gpt-map.ts";
import { type Explanation, FORMAT, hexPa, short, type TriggerInfo } from "./model.ts";
import { type RecordedCheck, type Subject, securityOf, stateName } from "./recorder.ts";
import { rule } from "./rules.ts";

/** Explains the transfer. The check in front of devices is that of PE 0. */
export function explainTransfer(board: Board, t: RefusedTransfer, sources: Sources = {}): Explanation {
  const subject = board.pes[0] as Subject;
  const check = checkAgain(subject, t.at);
  const gpt = check && withWriters(describeCheck(subject.mmu, check), sources);
  const refused = check !== undefined && check.result !== 0;
  const d = refused ? diagnoseCheck(subject.mmu, check, "the memory") : noMemory(subject, t);
  const { title, section } = rule(d.rule);
  const pe = board.executor.running;
  return {
    format: FORMAT,
    outcome: "fault",
    summary: `${t.device} cannot ${t.write ? "write" : "read"} ${t.length} bytes at ${short(t.pa)}: ${title} [${d.rule}]`,
    requester: {
      device: t.device,
      security: securityName[Security.NonSecure] as string,
      privilege: "privileged",
      access: t.write ? "write" : "read",
      ...(pe === undefined ? {} : { trigger: triggerOf(pe, sources) }),
      ...(sources.instructions === undefined ? {} : { instructions: sources.instructions }),
    },
    transfer: { address: hexPa(t.pa), length: t.length, refusedAt: hexPa(t.at) },
    regime: { name: "none", stage1: false, stage2: false, registers: [] },
    descriptors: [],
    ...(gpt === undefined ? {} : { gpt }),
    failure: {
      rule: d.rule,
      title,
      section,
      text: d.text,
      where: refused
        ? `granule protection, level ${check.result & 15}, of the transfer`
        : "the transfer, after the granule protection check",
      remedies: [...d.remedies],
    },
    notes: ["nothing of the transfer took place; no PE takes an exception: the device tells its driver, or nobody"],
    memory: memoryRanges(subject.mmu),
  };
}

/** The check of the byte that was refused, as memory and registers still are; undefined: nothing is checked. */
function checkAgain({ mmu }: Subject, pa: number): RecordedCheck | undefined {
  const g = mmu.granuleCheck;
  if (g?.active !== true) return undefined;
  const result = g.check(pa, Security.NonSecure, Security.NonSecure);
  return { pa, pas: Security.NonSecure, state: Security.NonSecure, result, entry: g.entry };
}

function noMemory({ mmu }: Subject, t: RefusedTransfer): Diagnosis {
  const hidden = mmu.phys.hidden(t.at, Security.NonSecure);
  const what = hidden ? "memory that answers Secure and Root accesses only, and the device is a Non-secure requester" : "no RAM";
  return {
    rule: "ACC-EXTERNAL",
    text: `at ${short(t.at)} there is ${what}`,
    remedies: ["let the driver give the device addresses of Non-secure RAM"],
  };
}

function triggerOf(pe: Subject, sources: Sources): TriggerInfo {
  const { el } = pe.st;
  return { pe: pe.st.index, el, security: stateName(pe, securityOf(pe, el)), ...placeOf(pe, instructionAt(pe), sources) };
}
