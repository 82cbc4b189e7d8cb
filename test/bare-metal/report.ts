// What the program prints: one check a line, "name: values". A name may come again; then it counts.

/** Lines by name, in their order; the second "x" is "x#2". Titles ("# ...") and the final "end" are left out. */
export function parseReport(text: string): Map<string, string> {
  const lines = new Map<string, string>();
  const times = new Map<string, number>();
  for (const line of text.split(/\r?\n/)) {
    const name = /^([^#:]+): /.exec(line)?.[1];
    if (name === undefined) continue;
    const n = (times.get(name) ?? 0) + 1;
    times.set(name, n);
    lines.set(n === 1 ? name : `${name}#${n}`, line);
  }
  return lines;
}

/** A difference on purpose: our line (undefined: none) and why. */
export interface Difference {
  ours: string | undefined;
  reason: string;
}

/** Reads data/differences.txt: "# reason" and below it our lines. Lines of the same name stand in their order. */
export function parseDifferences(text: string): Map<string, Difference> {
  const found = new Map<string, Difference>();
  let reason = "";
  for (const line of text.split("\n").slice(1)) {
    if (line.startsWith("# ")) reason = line.slice(2);
    const name = /^([^#:]+(?:#\d+)?): /.exec(line)?.[1];
    if (name === undefined) continue;
    const absent = line.endsWith(": absent");
    found.set(name, { ours: absent ? undefined : line, reason });
  }
  return found;
}

/** The value of an "id." line. */
export const idValue = (lines: Map<string, string>, name: string): bigint => BigInt(`0x${lines.get(`id.${name}`)?.split(": ")[1] ?? ""}`);
