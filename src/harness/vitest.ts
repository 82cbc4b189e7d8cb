// Matchers for vitest: `import { realmMatchers } from "rme-emu/vitest"; expect.extend(realmMatchers);`. Nothing of vitest is loaded.

import type {} from "vitest";
import type { RmiReply } from "../host/rmi.ts";
import { rmiCodeName } from "../rmm/status.ts";
import { explanationText } from "../teach/text.ts";
import type { Try } from "./host-tries.ts";
import type { RealmExit } from "./hosted-realm.ts";
import type { ExitName, GranuleName, Place } from "./realm-host.ts";

/** What the matchers add to `expect(...)`. */
export interface RealmMatchers<R = unknown> {
  /** Of `host.at(pa)`: the state of the granule. */
  toBeGranule(state: GranuleName): R;
  /** Of `host.at(pa)`: a load by the host at EL2 is a granule protection fault; of a Try: it was one. */
  toFaultOnRead(): R;
  toFaultOnWrite(): R;
  /** Of `host.at(pa)`: neither a load nor a store by EL1 and EL2, nor a device, gets there, and the explanation names this RMI call. */
  toBeProtectedBy(call: `RMI_${string}`): R;
  /** Of an RMI reply: status and, where it has one, index: "RMI_SUCCESS", "RMI_ERROR_RTT 2". */
  toHaveStatus(code: `RMI_${string}`): R;
  /** Of a REC exit. */
  toExitWith(reason: ExitName): R;
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: vitest's own declaration
  interface Matchers<T = any> extends RealmMatchers<T> {}
}

interface Verdict {
  pass: boolean;
  message(): string;
}
const verdict = (pass: boolean, what: string): Verdict => ({ pass, message: () => what });

/** Granule protection fault of a PE's access: fault status codes 0b100011 to 0b101000, or of a device: it was refused. */
function isGpf(t: Try): boolean {
  if (t.ok) return false;
  if (t.by === "device") return true;
  const code = Number((t.esr ?? 0n) & 0x3fn);
  return code >= 0x23 && code <= 0x28;
}
function faults(t: Try): Verdict {
  const at = `0x${t.pa.toString(16)}`;
  const how = t.ok
    ? "took place"
    : isGpf(t)
      ? "is a granule protection fault"
      : `takes an exception with ESR 0x${(t.esr ?? 0n).toString(16)}`;
  const why = t.explanation === undefined ? "" : `\n${explanationText(t.explanation)}`;
  return verdict(isGpf(t), `the ${t.kind} of ${at} by ${t.by} ${how}${why}`);
}

/** RMI call that wrote the granule protection table entry behind a failed try. */
export function protectingCall(t: Try): string | undefined {
  return t.explanation?.gpt?.entries.at(-1)?.writer?.call;
}

export const realmMatchers = {
  toBeGranule(place: Place, state: GranuleName): Verdict {
    return verdict(place.state === state, `the granule at 0x${place.pa.toString(16)} is ${place.state}, expected ${state}`);
  },
  toFaultOnRead(place: Place | Try): Verdict {
    return faults("kind" in place ? place : place.read());
  },
  toFaultOnWrite(place: Place | Try): Verdict {
    return faults("kind" in place ? place : place.write());
  },
  toBeProtectedBy(place: Place, call: string): Verdict {
    const tries = [place.read(), place.write(), place.read({ el: 1 }), place.write({ el: 1 }), place.dma("read"), place.dma("write")];
    const through = tries.find((t) => !isGpf(t));
    if (through) return faults(through);
    const unnamed = tries.find((t) => !(protectingCall(t) ?? "").startsWith(`${call} `));
    if (unnamed === undefined) return verdict(true, `0x${place.pa.toString(16)} is protected by ${call}`);
    return verdict(false, `the ${unnamed.kind} by ${unnamed.by} is explained by ${protectingCall(unnamed) ?? "nothing"}, expected ${call}`);
  },
  toHaveStatus(reply: RmiReply, code: string): Verdict {
    return verdict(rmiCodeName(reply.x0) === code, `the call returned ${rmiCodeName(reply.x0)}, expected ${code}`);
  },
  toExitWith(exit: RealmExit, reason: ExitName): Verdict {
    return verdict(exit.reason === reason, `the REC exit is ${exit.reason ?? exit.status}, expected ${reason}`);
  },
};
