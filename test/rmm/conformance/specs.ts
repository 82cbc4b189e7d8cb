// What RMI 1.0 demands of each command, as data: a call that succeeds, the conditions under which it fails, in the order in which they
// are checked, and what success changes. The tests are generated from it (cases.ts).

import { memorySpecs } from "./memory.ts";
import type { CommandSpec } from "./parts.ts";
import { realmSpecs } from "./realms.ts";
import { recSpecs } from "./recs.ts";
import { tableSpecs } from "./tables.ts";

export const specs: readonly CommandSpec[] = [...realmSpecs, ...recSpecs, ...tableSpecs, ...memorySpecs];
