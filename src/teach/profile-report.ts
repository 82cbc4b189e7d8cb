// A profile as text, and as a CPU profile that speedscope and the developer tools of Chrome open.

import type { Profile, Sample } from "./profiler.ts";

/** Name of the function that holds an address at an Exception level, if it is known. */
export type SymbolNames = (address: bigint, el: number) => string | undefined;

/** Lines of a table at most. */
const TOP = 40;

const percent = (part: number, whole: number): string => `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(1).padStart(5)} %`;
const count = (n: number): string => Math.round(n).toLocaleString("en-US").padStart(15);
const milliseconds = (n: number): string => `${n.toFixed(0).padStart(8)} ms`;

function ranked<K extends string>(map: ReadonlyMap<K, number>): [K, number][] {
  return [...map].sort((a, b) => b[1] - a[1]);
}

/** The report: hot functions, instruction mix, exits by cause, TLB misses, time per tier. */
export function profileText(p: Profile): string {
  const functions = new Map<string, { instructions: number; ms: number }>();
  for (const s of p.samples) {
    const key = `${s.frames[1].padEnd(14)}  ${s.frames[2]}`;
    const sum = functions.get(key) ?? { instructions: 0, ms: 0 };
    functions.set(key, { instructions: sum.instructions + s.instructions, ms: sum.ms + s.ms });
  }
  const hot = [...functions].sort((a, b) => b[1].instructions - a[1].instructions).slice(0, TOP);
  const mips = p.ms === 0 ? 0 : p.instructions / p.ms / 1000;
  return [
    `${Math.round(p.instructions).toLocaleString("en-US")} instructions in ${(p.ms / 1000).toFixed(2)} s of host time (${mips.toFixed(0)} MIPS), ${p.samples.length} samples`,
    "",
    "Functions, by instructions",
    ...hot.map(([name, s]) => `${percent(s.instructions, p.instructions)} ${count(s.instructions)} ${milliseconds(s.ms)}  ${name}`),
    "",
    "Instruction mix (estimated from samples)",
    ...ranked(p.groups).map(([name, n]) => `${percent(n, p.instructions)} ${count(n)}  ${name}`),
    "",
    "Instructions of the table (estimated from samples)",
    ...ranked(p.rows)
      .slice(0, TOP / 2)
      .map(([name, n]) => `${percent(n, p.instructions)} ${count(n)}  ${name}`),
    "",
    "Exits from generated code, by cause",
    ...ranked(p.exits).map(([name, n]) => `${count(n)}  ${name}`),
    "",
    "First-level TLB misses of data accesses",
    `${count(p.misses.slow)}  served by the slow path`,
    `${count(p.misses.refills)}  looked up for translated code`,
    "",
    "Time per tier (a sample counts for the tier of its last instruction)",
    ...[...p.tiers].map(([name, t]) => `${percent(t.ms, p.ms)} ${milliseconds(t.ms)} ${count(t.instructions)}  ${name}`),
    ...(p.translation ? [translating(p.translation)] : []),
    "",
  ].join("\n");
}

function translating({ translateMs, compileMs, regions, elsewhere }: NonNullable<Profile["translation"]>): string {
  const where = elsewhere ? "in another thread" : "of it";
  return `${milliseconds(translateMs + compileMs).padStart(19)}  ${where} translating ${regions} pieces of code`;
}

interface Node {
  readonly id: number;
  readonly callFrame: { functionName: string; scriptId: string; url: string; lineNumber: number; columnNumber: number };
  hitCount: number;
  readonly children: number[];
}

/** The samples in V8's format for CPU profiles (JSON; Profiler.Profile of the DevTools protocol), with host time in microseconds. */
export function cpuProfile(p: Profile): string {
  const nodes: Node[] = [];
  const byPath = new Map<string, Node>();
  const node = (path: readonly string[]): Node => {
    const key = path.join("\0");
    const known = byPath.get(key);
    if (known) return known;
    const functionName = path.at(-1) ?? "(root)";
    const made = { id: nodes.length + 1, callFrame: frameOf(functionName), hitCount: 0, children: [] };
    nodes.push(made);
    byPath.set(key, made);
    if (path.length > 0) node(path.slice(0, -1)).children.push(made.id);
    return made;
  };
  node([]);
  const leaf = (s: Sample): number => {
    const n = node(s.frames);
    n.hitCount++;
    return n.id;
  };
  const samples = p.samples.map(leaf);
  // Readers take a sample to last from its own time to that of the next one: ours are taken at the end of what they stand for, so
  // they move to its start, and one more sample, outside of everything, ends the last.
  const timeDeltas = [0];
  let [measured, written] = [0, 0];
  for (const s of p.samples) {
    measured += s.ms * 1000;
    const delta = Math.round(measured) - written;
    timeDeltas.push(delta);
    written += delta;
  }
  samples.push(1);
  // Chrome takes a start time of 0 for none, and then shows nothing.
  const startTime = 1;
  return JSON.stringify({ nodes, startTime, endTime: startTime + written, samples, timeDeltas });
}
const frameOf = (functionName: string): Node["callFrame"] => ({ functionName, scriptId: "0", url: "", lineNumber: -1, columnNumber: -1 });
