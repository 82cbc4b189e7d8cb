// Floating-point instructions by row name (isa/rows/simd-fp.ts).

import type { HelperTable } from "../helper.ts";
import { complexRows } from "./rows-complex.ts";
import { scalarRows } from "./rows-scalar.ts";
import { vectorRows } from "./rows-vector.ts";

/** Every scalar and vector floating-point row. MOVI, MVNI and the integer and cryptographic rows are isa/simd's. */
export const fpHelpers: HelperTable = { ...scalarRows, ...vectorRows, ...complexRows };
