// All Advanced SIMD rows that are not floating-point.

import type { HelperTable } from "../helper.ts";
import { aes } from "./aes.ts";
import { arithmetic } from "./arithmetic.ts";
import { bitwise } from "./bitwise.ts";
import { fast } from "./fast.ts";
import { permute } from "./permute.ts";
import { products } from "./products.ts";
import { sha } from "./sha.ts";
import { shifts } from "./shifts.ts";
import { sm } from "./sm.ts";

/** Helpers of the integer, permute and cryptographic SIMD rows, by row name. */
export const simdHelpers: HelperTable = { ...arithmetic, ...shifts, ...bitwise, ...permute, ...products, ...aes, ...sha, ...sm, ...fast };
