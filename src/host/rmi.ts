// RMI as host software uses it: commands by name, results by name, errors as values or as exceptions.

import { type Command, type RmiName, rmiCommands } from "../rmm/commands.ts";
import { RmiStatus, rmiCodeName, SMC_UNKNOWN, unpackRmiCode } from "../rmm/status.ts";
import { EmuError, hex } from "../util/errors.ts";
import type { HostTask } from "./agent.ts";
import type { Rmi2 } from "./rmi2.ts";

/** By name: the command, and what is in x0 of its call. */
const byName = new Map(rmiCommands.map((command) => [command.name, { command, x0: BigInt(command.fid) }] as const));
interface Named {
  readonly command: Command<RmiName>;
  readonly x0: bigint;
}
const named = (name: RmiName): Named => byName.get(name) as Named;

/** An argument: a 64-bit value. */
export type RmiArgument = bigint | number;

const SUCCEEDED = { status: RmiStatus.SUCCESS, index: 0 } as const;
const UNKNOWN = { status: -1, index: 0 } as const;

/** What a command returned. */
export class RmiReply {
  /** x0 as it came. */
  readonly x0: bigint;
  /** RmiStatus; -1: the function identifier is unknown. */
  readonly status: number;
  /** Index of the status: for ERROR_RTT the level, signed. */
  readonly index: number;
  readonly ok: boolean;
  /** x1 and up, as the command's row names them. */
  readonly results: readonly bigint[];

  constructor(x0: bigint, results: readonly bigint[]) {
    const { status, index } = x0 === 0n ? SUCCEEDED : x0 === SMC_UNKNOWN ? UNKNOWN : unpackRmiCode(x0);
    this.x0 = x0;
    this.status = status;
    this.index = index;
    this.ok = status === RmiStatus.SUCCESS;
    this.results = results;
  }
  /** Result `n` as a number: an address, a level, a count. */
  number(n: number): number {
    return Number(this.results[n] ?? 0n);
  }
}

/** Told of every command that returned, for traces and expectations. */
export type RmiObserver = (name: RmiName, args: readonly bigint[], reply: RmiReply) => void;

const NOTHING: readonly bigint[] = [];
/** A register of 64 bits: addresses come as numbers. */
const registerOf = (a: RmiArgument): bigint => (typeof a === "number" && a >= 0 ? BigInt(a) : BigInt.asUintN(64, BigInt(a)));

/** What x0 and up say after a command. */
export function rmiReply(command: Command<RmiName>, regs: readonly bigint[]): RmiReply {
  const results = command.results.length === 0 ? NOTHING : command.results.map((_, n) => regs[n + 1] ?? 0n);
  return new RmiReply(regs[0] ?? SMC_UNKNOWN, results);
}

/** The client. One for all PEs of a host. */
export class RmiClient {
  private readonly observers: RmiObserver[] = [];
  /** Set when the RMM speaks RMI 2.0: commands are then those of 2.0 that do the same. */
  later: Rmi2 | undefined;

  /** Calls `observer` after each command. */
  onCommand(observer: RmiObserver): void {
    this.observers.push(observer);
  }

  /** Issues a command and answers what it returned. Throws EmuError("rmi-arguments") for a wrong number of arguments. */
  call(name: RmiName, ...args: RmiArgument[]): HostTask<RmiReply> {
    return this.perform(name, args, false, false);
  }
  /** The same for a command that was issued before the machine was saved. */
  resume(name: RmiName, ...args: RmiArgument[]): HostTask<RmiReply> {
    return this.perform(name, args, true, false);
  }
  /** One coroutine and no more: what is between it and the PE is passed at each command. */
  private *perform(name: RmiName, args: readonly RmiArgument[], resumed: boolean, must: boolean): HostTask<RmiReply> {
    const { command, x0 } = named(name);
    if (args.length !== command.args.length) {
      throw new EmuError(
        "rmi-arguments",
        `RMI_${name} takes ${command.args.length} arguments (${command.args.join(", ")}), not ${args.length}`,
      );
    }
    const values = new Array<bigint>(1 + args.length).fill(x0);
    for (let n = 0; n < args.length; n++) values[n + 1] = registerOf(args[n] as RmiArgument);
    const answer = rmiReply(command, resumed ? yield "resume" : this.later ? yield* this.later.perform(name, values) : yield values);
    if (this.observers.length > 0) {
      const given = values.slice(1);
      for (const observer of this.observers) observer(name, given, answer);
    }
    if (must && !answer.ok) throw rmiFailed(name, args, answer);
    return answer;
  }

  /** The same for a command that must succeed. Throws EmuError("rmi-failed"), which names the command, its arguments and the status. */
  must(name: RmiName, ...args: RmiArgument[]): HostTask<RmiReply> {
    return this.perform(name, args, false, true);
  }
}

/** The error for a command that should have succeeded. */
export function rmiFailed(name: RmiName, args: readonly RmiArgument[], answer: RmiReply): EmuError {
  const { command } = named(name);
  const shown = args.map((a, n) => `${command.args[n]}=${hex(BigInt.asUintN(64, BigInt(a)))}`).join(", ");
  const none = answer.status === -1 ? "; is there firmware that knows RMI?" : "";
  return new EmuError("rmi-failed", `RMI_${name}(${shown}) returned ${rmiCodeName(answer.x0)}${none}`);
}
