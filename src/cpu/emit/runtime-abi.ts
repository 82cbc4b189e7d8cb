// The functions around generated code: imported from JavaScript or generated once per module, with their signatures.

import { I32, I64, type Signature } from "../../wasm/module.ts";

const i = I32;
const sig = (params: Signature["params"], results: Signature["results"]): Signature => ({ params, results });

/** Signature indices. */
export const Sig = {
  handler: 0,
  jump: 1,
  slow: 2,
  commit: 3,
  system: 4,
  pac: 5,
  crc32: 6,
  miss: 7,
  systemJs: 8,
  helper: 9,
  refill: 10,
  visit: 11,
  go: 12,
  onward: 13,
  help: 14,
} as const;

export const signatures: readonly Signature[] = [
  sig([i, i, i], [i]), // handler(pe, ip, insn) -> next ip, or -1 redirect, or -2.. exit; interpret(pe, ip, budget) -> the same
  sig([i], [i]), // jump(pe) -> ip: continues at Off.PC; fetch(pe)
  sig([i, i, I64, i], [i]), // slow(pe, ip, va, kind) -> address, or -1 redirect
  sig([i, i, i], [i]), // commit(pe, ip, kind) -> nonzero: redirect
  sig([i, i, i, i], [i]), // system(pe, ip, insn, op) -> nonzero: redirect
  sig([i, I64, I64, i], [I64]), // pac(pe, pointer, modifier, offset of the key)
  sig([i, I64, i], [i]), // crc32(accumulator, value, bytes | castagnoli << 8)
  sig([i, i], [i]), // miss(pe, kind), probe(pe, kind), commitJs(pe, kind), decode(pe, ip), landing(pe, ip), plain(pe, ip), block(pe, ip)
  sig([i, i, i], [i]), // systemJs(pe, op, insn)
  sig([i, i, i], []), // helper(pe, index, insn)
  sig([i, I64, i], [i]), // near(pe, va, kind), refill(pe, va, kind) -> address, or -1
  sig([i, i], []), // visit(pe, ip), hot(pe, ip)
  sig([i, I64, i], [i]), // go(pe, pc, left) -> answer of a handler
  sig([i, i, i, i], [i]), // onward(pe, ip, warm, budget) -> answer of a handler
  sig([i, i, i], [i]), // help(pe, index, insn) -> does rounding change nothing in FPSR (Op.RoundsPlainly) after it?
];

/** JavaScript functions that the module imports, in order. */
export const runtimeImports = [
  ["miss", Sig.miss],
  ["commitJs", Sig.miss],
  ["systemJs", Sig.systemJs],
  ["decode", Sig.miss],
  ["fetch", Sig.jump],
  ["landing", Sig.miss],
  ["helper", Sig.helper],
  ["probe", Sig.miss],
  ["hot", Sig.visit],
  ["block", Sig.miss],
] as const;

/** Functions generated at the start of the runtime module, in order. */
export const runtimeFuncs = [
  "near",
  "slow",
  "refill",
  "commit",
  "system",
  "pac",
  "crc32",
  "jump",
  "run",
  "step",
  "plain",
  "visit",
  "help",
  "enterBlock",
  "go",
  "onward",
  "interpret",
] as const;

export type RuntimeFn = (typeof runtimeImports)[number][0] | (typeof runtimeFuncs)[number];
