// Plays templates: fills in what differs from one instruction, and one region, to the next.

import type { Effect } from "../../ir/builder.ts";
import { I32, Op, type ValType, Value } from "../../ir/value.ts";
import { W } from "../emit/opcodes.ts";
import { type RuntimeFn, runtimeFuncs } from "../emit/runtime-abi.ts";
import { FIELD, FIRST, Step, type Template } from "../emit/steps.ts";
import { StructuredLowering } from "../emit/structured.ts";
import type { FlagTemplates } from "../emit/template.ts";

/** A local as a value. */
export const localOf = (type: ValType, index: number) => new Value(Op.Local, type, undefined, undefined, undefined, index);

/** A condition that is on the stack. */
export const STACKED = localOf(I32, -1);

export abstract class Player extends StructuredLowering {
  /** Locals of the temporaries of the templates that are being played. */
  private readonly temporaries: number[] = [];
  private top = 0;

  /** Word of the current instruction. */
  protected abstract get word(): number;
  /** The local of a general register. */
  abstract register(index: number): number;
  /** Address of the current instruction, on the stack. */
  protected abstract pcOfCurrent(): void;
  /** Is rounding plain (Op.RoundsPlainly)? On the stack. */
  protected abstract pushRounding(): void;
  /** Leaves for the interpreter at the current instruction. */
  abstract bail: () => void;
  /** The Helper does what a `fast` effect does otherwise. */
  protected abstract otherwise(helper: number): void;
  /** The locals that will keep the flags in the form that the current instruction leaves. */
  protected abstract newFlags(): readonly number[];
  /** The form of the flags that the current instruction leaves is in force: the locals that keep it. */
  protected abstract keepFlags(): readonly number[];
  /** Templates of the flags in their form, and the locals that keep it. */
  protected abstract flagForm(): { templates: FlagTemplates; kept: readonly number[] };

  /** Emits a template. `kept`: locals of the flags that it reads. */
  protected play({ steps, temporaries }: Template, kept: readonly number[] = []): void {
    const { out, temporaries: locals, top: base } = this;
    this.top += temporaries;
    for (let n = 0; n < steps.length; n++) {
      const s = steps[n] as number;
      if (s < 256) {
        out.u8(s);
        continue;
      }
      const x = s >>> 16;
      switch ((s >>> 8) & 255) {
        case Step.NEW:
          locals[base + x] = this.local((s & 255) as ValType);
          break;
        case Step.GET:
          this.get(locals[base + x] as number);
          break;
        case Step.SET:
          this.set(locals[base + x] as number);
          break;
        case Step.TEE:
          this.tee(locals[base + x] as number);
          break;
        case Step.GET_X:
          this.get(this.register(this.number(x)));
          break;
        case Step.SET_X:
          this.set(this.register(this.number(x)));
          break;
        case Step.PC:
          this.pcOfCurrent();
          break;
        case Step.ADDRESS: {
          const places = steps[++n] as number;
          locals[base + (places >>> 8)] = this.address(locals[base + (places & 255)] as number, x);
          break;
        }
        case Step.CONDITION: {
          const form = this.flagForm();
          this.play(form.templates.condition(x), form.kept);
          break;
        }
        case Step.COMPONENT: {
          const form = this.flagForm();
          this.play(form.templates.component(x), form.kept);
          break;
        }
        case Step.FLAG:
          this.get(kept[x] as number);
          break;
        case Step.WRITE_FLAGS: {
          const keep = this.keepFlags();
          for (let k = 0; k < x; k++) {
            this.get(locals[base + (steps[++n] as number)] as number);
            this.set(keep[k] as number);
          }
          break;
        }
        case Step.KEPT:
          locals[base + x] = this.newFlags()[s & 255] as number;
          break;
        case Step.BLOCK:
          this.block(s & 255, x);
          break;
        case Step.END:
          this.op(W.end);
          break;
        case Step.EXPECT:
          this.expect(x === 1);
          break;
        case Step.BAIL:
          this.bail();
          break;
        case Step.FALLBACK:
          this.otherwise(x);
          break;
        case Step.VECTOR: {
          const op = steps[++n] as number;
          this.mem(op, (steps[++n] as number) + 16 * this.number(FIELD + x));
          break;
        }
        case Step.ROUNDING:
          this.pushRounding();
          break;
        case Step.ZERO:
          this.zeroVector();
          break;
        case Step.CALL:
          this.call(runtimeFuncs[x] as RuntimeFn, s & 255);
          break;
      }
    }
    this.top = base;
  }
  /** A register of a template. */
  private number(x: number): number {
    return x < FIELD ? x : (this.word >>> (x - FIELD)) & 31;
  }
  /** The branch or jump at the end of the template that was played last, over locals. */
  protected last({ last, stacked }: Template): Effect | undefined {
    if (stacked && last?.e === "branch") return { ...last, cond: STACKED };
    const local = (n: Value) => localOf(n.type, this.temporaries[n.imm - FIRST] as number);
    if (last?.e === "branch" && last.cond) return { ...last, cond: local(last.cond) };
    if (last?.e === "jump") return { ...last, pc: local(last.pc), btype: last.btype && local(last.btype) };
    return last;
  }
}
