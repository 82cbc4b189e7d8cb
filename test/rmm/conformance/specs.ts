// What RMI 1.0 demands of each command, as data: a call that succeeds, the conditions under which it fails, in the order in which they
// are checked, and what success changes. The tests are generated from it (cases.ts).

import type { Effects } from "./effects.ts";
import { memoryEffects } from "./effects-memory.ts";
import { realmEffects } from "./effects-realms.ts";
import { recEffects } from "./effects-recs.ts";
import { tableEffects } from "./effects-tables.ts";
import { memorySpecs } from "./memory.ts";
import type { CommandSpec } from "./parts.ts";
import { realmSpecs } from "./realms.ts";
import { recSpecs } from "./recs.ts";
import { tableSpecs } from "./tables.ts";

const effects: Effects = { ...realmEffects, ...recEffects, ...tableEffects, ...memoryEffects };

export const specs: readonly CommandSpec[] = [...realmSpecs, ...recSpecs, ...tableSpecs, ...memorySpecs].map((spec) => ({
  ...spec,
  effects: effects[spec.command] ?? [],
}));
