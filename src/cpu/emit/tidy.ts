// Templates without detours: temporaries that are read where they are set, or never, and copies into the locals that keep the flags.

import type { Effect } from "../../ir/builder.ts";
import { Op } from "../../ir/value.ts";
import { W } from "./opcodes.ts";
import { FIRST, Step, type Template } from "./steps.ts";

const kindOf = (step: number): number => (step < 256 ? 0 : (step >>> 8) & 255);
const isStep = (step: number | undefined, kind: number, number: number): boolean =>
  step !== undefined && kindOf(step) === kind && step >>> 16 === number;

/** Steps behind this one that belong to it. */
function operands(step: number): number {
  const kind = kindOf(step);
  return kind === Step.ADDRESS ? 1 : kind === Step.VECTOR ? 2 : kind === Step.WRITE_FLAGS ? step >>> 16 : 0;
}
/** Steps that may read the flags from before the instruction, or may leave with them. */
const needsOldFlags = new Set<number>([
  Step.CONDITION,
  Step.COMPONENT,
  Step.FLAG,
  Step.ADDRESS,
  Step.BAIL,
  Step.FALLBACK,
  Step.CALL,
  Step.BLOCK,
]);

/** What a template does with its temporaries. */
class Survey {
  readonly reads: number[];
  readonly writes: number[];
  /** Temporaries of the new flags. */
  readonly flags: number[] = [];
  needsOldFlags = false;
  private readonly template: Template;

  constructor(template: Template) {
    this.template = template;
    this.reads = new Array<number>(template.temporaries).fill(0);
    this.writes = new Array<number>(template.temporaries).fill(0);
    this.count();
  }
  private read(temporary: number): void {
    this.reads[temporary] = (this.reads[temporary] as number) + 1;
  }
  private count(): void {
    const { steps, last } = this.template;
    for (let n = 0; n < steps.length; n++) {
      const s = steps[n] as number;
      const kind = kindOf(s);
      const x = s >>> 16;
      if (kind === Step.GET) this.read(x);
      if (kind === Step.SET || kind === Step.TEE) this.writes[x] = (this.writes[x] as number) + 1;
      if (kind === Step.ADDRESS) this.read((steps[n + 1] as number) & 255);
      if (kind === Step.WRITE_FLAGS) for (let k = 1; k <= x; k++) this.flag(steps[n + k] as number);
      if (needsOldFlags.has(kind)) this.needsOldFlags = true;
      n += operands(s);
    }
    for (const t of operandsOf(last)) this.read(t);
  }
  private flag(temporary: number): void {
    this.flags.push(temporary);
    this.read(temporary);
  }
  once(temporary: number): boolean {
    return this.writes[temporary] === 1;
  }
  /** New flags may be computed in the locals that keep them: each is set once, and nobody asks for the old ones. */
  get keepsFlags(): boolean {
    const { flags } = this;
    return flags.length > 0 && !this.needsOldFlags && flags.every((t) => this.once(t)) && new Set(flags).size === flags.length;
  }
}
/** Temporaries that the branch or jump at the end uses. */
function operandsOf(last: Effect | undefined): number[] {
  const values = last?.e === "branch" ? [last.cond] : last?.e === "jump" ? [last.pc, last.btype] : [];
  return values.flatMap((v) => (v?.op === Op.Local ? [v.imm - FIRST] : []));
}

/** The same template with fewer steps. */
export function tidy(template: Template): Template {
  const survey = new Survey(template);
  const { steps, last } = template;
  const kept = survey.keepsFlags ? survey.flags : [];
  const out: number[] = [];
  let stacked = false;
  for (let n = 0; n < steps.length; n++) {
    const s = steps[n] as number;
    const kind = kindOf(s);
    const x = s >>> 16;
    const next = steps[n + 1];
    const place = kept.indexOf(x);
    if (kind === Step.NEW && place >= 0) out.push((x << 16) | (Step.KEPT << 8) | place);
    else if (kind === Step.NEW && survey.once(x) && isStep(next, Step.SET, x)) {
      const [reads, atOnce] = [survey.reads[x], isStep(steps[n + 2], Step.GET, x)];
      const ends = n + 2 === steps.length && last?.e === "branch" && operandsOf(last)[0] === x;
      if (reads === 0) out.push(W.drop);
      else if (reads === 1 && ends) stacked = true;
      else if (reads === 1 && atOnce) n++;
      else if (atOnce) {
        out.push(s, (x << 16) | (Step.TEE << 8));
        n++;
      } else out.push(s, next as number);
      n++;
    } else if (kind === Step.WRITE_FLAGS && kept.length > 0) {
      out.push(Step.WRITE_FLAGS << 8);
      n += x;
    } else {
      for (let end = n + operands(s); n < end; n++) out.push(steps[n] as number);
      out.push(steps[n] as number);
    }
  }
  return { steps: out, temporaries: template.temporaries, last, stacked };
}
