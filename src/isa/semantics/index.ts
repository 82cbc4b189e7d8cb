// All semantics: importing this module fills the `semantics` map.

import "./integer.ts";
import "./memory.ts";
import "./atomic.ts";
import "./branch.ts";
import "./pauth.ts";
import "./structure.ts";
import "./vector.ts";
import "./fp.ts";
import "./fp-convert.ts";
import "./fp-fused.ts";
import "./fp-vector.ts";
import "./vector-shift.ts";
import "./vector-integer.ts";
import "./vector-more.ts";
import { fpHelpers } from "../fp/index.ts";
import type { Helper } from "../helper.ts";
import { simdHelpers } from "../simd/index.ts";
import { SysOp } from "../sysops.ts";
import { define, helperIndices, semantics } from "./define.ts";

export { allVariants, type Semantics, semantics, variantCount, variantOf, variantsFrom } from "./define.ts";

/** Helpers in the order of their index in the `helper` effect. */
export const helpers: Helper[] = [];
function addHelper(name: string, helper: Helper): void {
  const index = helpers.push(helper) - 1;
  helperIndices.set(name, index);
  if (semantics.has(name)) return; // written in IR: the helper is its reference in tests
  define(name, "", (b) => {
    b.requireFp(SysOp.FPTRAP);
    b.helper(index);
  });
}
for (const table of [fpHelpers, simdHelpers]) for (const name in table) addHelper(name, table[name] as Helper);
