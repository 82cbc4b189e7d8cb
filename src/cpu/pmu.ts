// Performance monitors (FEAT_PMUv3).

import type { RegName } from "../arch/registers/encodings.ts";
import type { Pe } from "./pe.ts";

export class Pmu {
  constructor(_pe: Pe) {}
  access(_reg: RegName): number {
    return -1;
  }
  read(_reg: RegName): bigint {
    return 0n;
  }
  write(_reg: RegName, _value: bigint): void {}
  reset(): void {}
}
