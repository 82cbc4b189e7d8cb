// What tidy may leave out of a template, and what not.

import { expect, it } from "vitest";
import { W } from "../../../src/cpu/emit/opcodes.ts";
import { FIRST, Step } from "../../../src/cpu/emit/steps.ts";
import { tidy } from "../../../src/cpu/emit/tidy.ts";
import type { Effect } from "../../../src/ir/builder.ts";
import { I32, I64, Op, Value } from "../../../src/ir/value.ts";

const step = (kind: number, number = 0, low = 0) => (number << 16) | (kind << 8) | low;
const made = (n: number) => step(Step.NEW, n, I64);
const [get, set, tee] = [Step.GET, Step.SET, Step.TEE].map((kind) => (n: number) => step(kind, n)) as [
  (n: number) => number,
  (n: number) => number,
  (n: number) => number,
];
const readX = step(Step.GET_X, 1);
const writeX = step(Step.SET_X, 2);
const after = (steps: readonly number[], temporaries: number, last?: Effect) => tidy({ steps, temporaries, last, stacked: false });

it("a temporary that is read where it is set stays on the stack", () => {
  expect(after([readX, made(0), set(0), get(0), writeX], 1).steps).toEqual([readX, writeX]);
  const twice = [readX, made(0), set(0), get(0), get(0), W.i64Add, writeX];
  expect(after(twice, 1).steps).toEqual([readX, made(0), tee(0), get(0), W.i64Add, writeX]);
});
it("a temporary that is read later, or set again, stays one", () => {
  const later = [readX, made(0), set(0), readX, get(0), W.i64Add, writeX];
  expect(after(later, 1).steps).toEqual(later);
  const again = [readX, made(0), set(0), get(0), set(0), get(0), writeX];
  expect(after(again, 1).steps).toEqual(again);
});
it("what nobody reads is dropped; what an access reads is not", () => {
  expect(after([readX, made(0), set(0)], 1).steps).toEqual([readX, W.drop]);
  const access = [readX, made(0), set(0), step(Step.ADDRESS, 3), 0 | (1 << 8), get(1), writeX];
  expect(after(access, 2).steps).toEqual(access);
});

const compare = [readX, made(0), tee(0), readX, made(1), tee(1), W.i64Sub, made(2), set(2), step(Step.WRITE_FLAGS, 3), 0, 1, 2];
const kept = (n: number, place: number) => step(Step.KEPT, n, place);
it("new flags are made where they are kept", () => {
  const direct = [readX, kept(0, 0), tee(0), readX, kept(1, 1), tee(1), W.i64Sub, kept(2, 2), set(2), step(Step.WRITE_FLAGS)];
  expect(after(compare, 3).steps).toEqual(direct);
});
it("unless somebody asks for the old ones, or may leave before", () => {
  for (const kind of [Step.CONDITION, Step.COMPONENT, Step.BAIL]) {
    const steps = [...compare.slice(0, 3), step(kind), ...compare.slice(3)];
    expect(after(steps, 3).steps).toEqual(steps);
  }
});
it("the condition of the branch at the end stays on the stack, if nothing else reads it", () => {
  const cond = new Value(Op.Local, I32, undefined, undefined, undefined, FIRST);
  const last = { e: "branch", cond, off: cond } as unknown as Effect;
  const condition = step(Step.CONDITION, 1);
  expect(after([condition, made(0), set(0)], 1, last)).toMatchObject({ steps: [condition], stacked: true });
  const read = [condition, made(0), tee(0), writeX];
  expect(after(read, 1, last)).toMatchObject({ steps: read, stacked: false });
});
