// The coverage page (docs/coverage.md): what of the A64 instruction table is implemented, counted from the tables themselves.

import { fpHelpers } from "./fp/index.ts";
import { gapOf, missingFeatures, missingGroups } from "./gaps.ts";
import { branchSystem } from "./rows/branch-system.ts";
import { dpImmediate } from "./rows/dp-immediate.ts";
import { dpRegister } from "./rows/dp-register.ts";
import { loadStore } from "./rows/load-store.ts";
import type { RowData } from "./rows/row.ts";
import { simdFp } from "./rows/simd-fp.ts";
import { translatedOnly } from "./semantics/define.ts";
import { semantics } from "./semantics/index.ts";
import { simdHelpers } from "./simd/index.ts";
import { type Row, rowByName, rows } from "./table.ts";

const groups: readonly (readonly [string, readonly RowData[]])[] = [
  ["Data processing, immediate", dpImmediate],
  ["Branches, exceptions, system", branchSystem],
  ["Loads and stores", loadStore],
  ["Data processing, register", dpRegister],
  ["Advanced SIMD and floating point", simdFp],
];

/**
 * How a row is executed. "helper": a TypeScript function; "ir": generated code, perhaps calling the PE for system work; "translated": that
 * in translations, the function in the interpreter.
 */
export type Status = "ir" | "translated" | "helper" | "gap";

const helperRows = new Set(Object.keys({ ...fpHelpers, ...simdHelpers }));

/** Status of a row; undefined when it is neither implemented nor a known gap, which the tests forbid. */
export function statusOf(row: Row): Status | undefined {
  const s = semantics.get(row.name);
  if (!s) return gapOf(row) ? "gap" : undefined;
  // Rows that have a helper and IR run the IR: the helper is then their reference in the tests.
  if (translatedOnly.has(row.name)) return "translated";
  return helperRows.has(row.name) && s.variants.length === 0 ? "helper" : "ir";
}

function table(head: readonly string[], align: readonly ("l" | "r")[], lines: readonly (readonly (string | number)[])[]): string {
  const row = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [row(head), row(align.map((a) => (a === "r" ? "--:" : "---"))), ...lines.map(row)].join("\n");
}

function groupTable(): string {
  const counts = groups.map(([name, data]) => {
    const status = data.map(([row]) => statusOf(rowByName.get(row) as Row));
    const count = (s: Status): number => status.filter((x) => x === s).length;
    return [name, data.length, count("ir"), count("translated"), count("helper"), count("gap")] as const;
  });
  const sum = (i: 1 | 2 | 3 | 4 | 5): number => counts.reduce((n, c) => n + c[i], 0);
  const total = ["**Total**", sum(1), sum(2), sum(3), sum(4), sum(5)] as const;
  return table(
    ["Group", "Rows", "Generated code", "In translations", "TypeScript helper", "Gaps"],
    ["l", "r", "r", "r", "r", "r"],
    [...counts, total],
  );
}

function gapTable(): string {
  const gaps = rows.filter((r) => statusOf(r) === "gap");
  const lines = missingFeatures.map((gap) => {
    const names = gaps.filter((r) => gapOf(r) === gap).map((r) => r.name);
    const [feature, name, version, why] = gap;
    return [`FEAT_${feature}`, name, version, why, names.length, names.map((n) => `\`${n}\``).join(" ")];
  });
  return table(["Feature", "What", "Since", "Why not", "Rows", "Which"], ["l", "l", "l", "l", "r", "l"], lines);
}

/** Rows by the features that they need, implemented ones only. */
function featureTable(): string {
  const counts = new Map<string, number>();
  for (const row of rows) {
    if (statusOf(row) === "gap") continue;
    const key = row.features === "" ? "(base)" : row.features;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const lines = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([f, n]) => [f, n] as const);
  return table(["Needs", "Rows"], ["l", "r"], lines);
}

/** The page, in Markdown. */
export function coveragePage(): string {
  return `# Instruction coverage

Generated from the instruction table: \`npx vitest run test/isa/table-coverage.test.ts -u\` writes this page, and the same test
without \`-u\` fails when the page is out of date.

The table (\`src/isa/rows\`) holds ${rows.length} encoding rows: all of A64 of Armv9.4-A but SVE and SME. A row is implemented in
generated code (\`src/isa/semantics\`), implemented by a TypeScript helper (\`src/isa/fp\`, \`src/isa/simd\`), or a gap. Some are
generated code in translations, for the words of theirs that real programs use, and a helper in the interpreter.

${groupTable()}

## Gaps

No CPU profile announces these features in its ID registers, and their instructions are UNDEFINED in the guest.

${gapTable()}

No rows at all:

${table(["Group", "Encodings", "Why not"], ["l", "l", "l"], missingGroups)}

## Implemented rows by feature

\`A,B\`: needs both; \`A?\`: needed by some field values of the row only.

${featureTable()}
`;
}
