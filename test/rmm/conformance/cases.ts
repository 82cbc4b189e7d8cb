// The cases that specs.ts stands for: success with its effects, every failure condition alone, and pairs of conditions where the
// order of the checks decides.

import { rmiCommands } from "../../../src/rmm/commands.ts";
import { unpackRmiCode } from "../../../src/rmm/status.ts";
import { preset, type RmmBench } from "../bench-base.ts";
import type { Case, CommandSpec, Condition } from "./parts.ts";

/**
 * Issues the call of a case: x0 and up; x0 = 0 when it has led into a realm. What the command does not define as result must be zero up
 * to x3, and as it was from x4 on: `wrong` says what is not.
 */
export function issue(spec: CommandSpec, c: Case): { x: readonly bigint[]; wrong: string } {
  const { args, results } = rmiCommands.find((r) => r.name === spec.command)!;
  const given = args.map((a) => c.args[a] as bigint);
  const x = c.b.call(spec.command, given);
  if (x === undefined) return { x: [0n], wrong: "" };
  const wrong: string[] = [];
  for (let n = 1 + results.length; n <= 17; n++) {
    const want = n < 4 ? 0n : BigInt.asUintN(64, given[n - 1] ?? preset(n));
    if (c.b.pe().st.x(n) !== want) wrong.push(`x${n} is ${c.b.pe().st.x(n).toString(16)}, not ${want.toString(16)}`);
  }
  return { x, wrong: wrong.join(", ") };
}

/** The first condition of each pair of groups that touch different things. */
export function pairsOf(spec: CommandSpec): (readonly [first: Condition, second: Condition])[] {
  const groups = [...new Set(spec.conditions.map((k) => k.group))].map((g) => spec.conditions.find((k) => k.group === g)!);
  return groups
    .flatMap((a, i) => groups.slice(i + 1).map((b) => [a, b] as const))
    .filter(([a, b]) => !a.touches.some((t) => b.touches.includes(t)));
}

/** One case: its name, and what is wrong with how the RMM of a bench behaves, in words; "": nothing. */
export interface Conformance {
  readonly name: string;
  check(b: RmmBench): string;
}

const differs = ({ x, wrong }: ReturnType<typeof issue>, want: Condition): string => {
  if (wrong) return wrong;
  const { status, index } = unpackRmiCode(x[0] as bigint);
  return status === want.status && index === (want.index ?? 0)
    ? ""
    : `status ${status} index ${index}, not ${want.status} index ${want.index ?? 0}`;
};

export function casesOf(spec: CommandSpec): Conformance[] {
  return [
    {
      name: "succeeds, and has its effects",
      check: (b) => {
        const c = spec.setup(b);
        const { x, wrong } = issue(spec, c);
        if (x[0] !== 0n) return `status ${x[0]}`;
        if (wrong) return wrong;
        const effects = spec.success(c, x.slice(1));
        return effects === true ? "" : `effects: ${effects}`;
      },
    },
    ...(spec.effects ?? []).map((e) => ({
      name: `success: ${e.name}`,
      check: (b: RmmBench) => {
        const effects = e.check(b);
        return effects === true ? "" : `effects: ${effects}`;
      },
    })),
    ...spec.conditions.map((k) => ({
      name: `fails: ${k.name}`,
      check: (b: RmmBench) => {
        const c = spec.setup(b);
        k.apply(c);
        const before = b.census();
        const wrong = differs(issue(spec, c), k);
        return wrong || (b.census() === before ? "" : "a call that failed changed granules");
      },
    })),
    ...pairsOf(spec).map(([first, second]) => ({
      name: `checks ${first.name} before ${second.name}`,
      check: (b: RmmBench) => {
        const c = spec.setup(b);
        second.apply(c);
        first.apply(c);
        return differs(issue(spec, c), first);
      },
    })),
  ];
}
