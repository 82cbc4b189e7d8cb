// Isolation over a whole run of Debian in a realm, whoever plays the RMM, from REALM_CREATE to the last GRANULE_UNDELEGATE. While it runs, the
// host tries to read and write every granule that is not its own, by CPU and by DMA; at every REC exit it looks at all it can see; at the
// end it looks for what the guest kept to itself.

import { createHash } from "node:crypto";
import { expect } from "vitest";
import { Gpi } from "../../src/gpt/format.ts";
import { HostTries, type TryKind } from "../../src/harness/host-tries.ts";
import type { Machine, RealmOptions } from "../../src/harness/index.ts";
import { protectingCall } from "../../src/harness/vitest.ts";
import { RealmSoftware } from "../../src/machine/realms.ts";
import { virtMap } from "../../src/machine/virt-map.ts";
import { rmi } from "../../src/rmm/commands.ts";
import { GranuleState, granuleStateName } from "../../src/rmm/granules.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";
import { changed, excess, type HostView, hostRegisters, hostView } from "./observe.ts";

const GRANULE = 4096;
const MiB = 2 ** 20;
const BOTH: readonly TryKind[] = ["read", "write"];
/** The call behind a granule's protection: of the host, or the one that an RMM image makes to EL3 for it. */
const DELEGATION = /^(RMI_GRANULE_DELEGATE|RMM_GTSI_DELEGATE) /;
/** One of so many granules of an RMM image is tried. */
const SAMPLE = 32;
/** The host issues SMCs: x0 to x17 of the host change by that. */
const KEPT = 18 - 5;

export function softwareOf(machine: Machine): RealmSoftware {
  const { software } = machine.board;
  if (!(software instanceof RealmSoftware)) throw new Error("this machine has no realm");
  return software;
}

/** Looks at everything that the host can see at each exit. Complaints, and how often it looked. */
function watchExits(machine: Machine): { complaints: Set<string>; exits: () => number } {
  const { rmm, vmm, realm } = softwareOf(machine);
  const complaints = new Set<string>();
  const pes = machine.board.pes;
  const registers = hostRegisters(pes[0]!);
  const before: HostView[] = [];
  let exits = 0;
  // The world of the host is in place when its call comes in. The agent tells of that at less cost than a trace.
  const entered = (pe: number): void => {
    before[pe] = hostView(pes[pe]!, registers);
  };
  if (rmm) rmm.observers.add((e) => e.kind === "enter" && entered(e.pe));
  else machine.trace(["rmi"], (e) => e.kind === "rmi" && e.phase === "call" && e.fid === rmi.REC_ENTER && entered(e.pe));
  vmm.onExit((rec, exit) => {
    exits++;
    const was = before[rec] as HostView;
    const now = hostView(pes[rec]!, registers);
    const kept = { ...now, gprs: [...was.gprs.slice(0, KEPT), ...now.gprs.slice(KEPT)] };
    for (const c of [...changed(was, kept, registers), ...excess(exit, 2 ** (realm.config.ipaBits - 1))]) complaints.add(c);
    // x5 to x17: what the host passed to REC_ENTER, which has three arguments.
    for (const [i, v] of now.gprs.slice(0, KEPT).entries()) if (v !== was.gprs[i]) complaints.add(`x${i + 5} after the call`);
  });
  return { complaints, exits: () => exits };
}

/** Non-secure pages that contain `secret`, and how many granules of realms do. */
function search(machine: Machine, secret: Buffer): { host: string[]; realm: number } {
  const found = { host: [] as string[], realm: 0 };
  const { gpt } = softwareOf(machine).monitor;
  for (const { pa, data } of machine.board.ram()) {
    for (let at = 0; at < data.length; at += GRANULE) {
      if (!Buffer.from(data.buffer, data.byteOffset + at, GRANULE).includes(secret)) continue;
      if (gpt.gpi(pa + at) === Gpi.NonSecure) found.host.push(`0x${(pa + at).toString(16)}`);
      else found.realm++;
    }
  }
  return found;
}

/** A granule that is not the host's. */
interface Guarded {
  readonly pa: number;
  /** What it is, as far as can be known: its state in the agent; "given" to an RMM that is code; "firmware": never the host's. */
  readonly state: string;
}

const STATES = [GranuleState.DELEGATED, GranuleState.RD, GranuleState.REC, GranuleState.REC_AUX, GranuleState.DATA, GranuleState.RTT];

/** By their states when the agent is the RMM, else by the table in memory. `delegated`: what ever was the host's and was given away. */
function guardedGranules(machine: Machine, delegated: ReadonlySet<number>): Guarded[] {
  const { rmm, monitor } = softwareOf(machine);
  if (rmm) return STATES.flatMap((state) => [...rmm.cx.granules.inState(state)].map((pa) => ({ pa, state: granuleStateName(state) })));
  const all = Array.from({ length: machine.board.config.memory / GRANULE }, (_, i) => virtMap.ram.base + i * GRANULE);
  // Of what was the RMM's from the start, tens of MiB, some.
  return all
    .filter((pa) => monitor.gpt.gpi(pa) !== Gpi.NonSecure)
    .map((pa) => ({ pa, state: delegated.has(pa) ? "given" : "firmware" }))
    .filter(({ pa, state }) => state === "given" || (pa / GRANULE) % SAMPLE === 0);
}

/** Every granule, by every way: what went through, or was explained by anything but its delegation. Contents stay as they were. */
function tryAll(tries: HostTries, all: readonly Guarded[]): string[] {
  const wrong = new Set<string>();
  const judge = (ok: boolean, what: string, state: string): void => void (ok || wrong.add(`${what} of ${state}`));
  const explained = (t: Parameters<typeof protectingCall>[0], state: string): boolean =>
    state === "firmware" ? t.explanation !== undefined : DELEGATION.test(protectingCall(t) ?? "");
  const stateOf = new Map(all.map((g) => [g.pa, g.state]));
  const accesses = all.flatMap(({ pa }) => BOTH.map((kind) => [pa + 8 * ((pa / GRANULE) % 512), kind] as const));
  for (const el of [2, 1] as const) {
    // Each try at EL2 with its explanation; those at EL1 meet the same table.
    tries.explaining = el === 2;
    for (const t of tries.byPe(1, el, accesses)) {
      const state = stateOf.get(t.pa - (t.pa % GRANULE)) as string;
      judge(!t.ok && ((t.esr ?? 0n) & 0x3fn) === 0x28n, `${t.kind} by ${t.by}`, state);
      if (el === 2) judge(explained(t, state), `explanation of the ${t.kind}`, state);
    }
  }
  const seen = new Map<string, number>();
  for (const { pa, state } of all) {
    const nth = (seen.get(state) ?? 0) + 1;
    seen.set(state, nth);
    tries.explaining = nth <= 2;
    for (const kind of ["read", "write"] as const) {
      const t = tries.byDevice(pa, kind);
      judge(!t.ok, `${kind} by a device`, state);
      if (tries.explaining) judge(explained(t, state), `explanation of the DMA ${kind}`, state);
    }
  }
  return [...wrong];
}

/** The whole run, with everything that is expected of it. */
export async function wholeRun(realm: RealmOptions): Promise<void> {
  const machine = await linuxMachine("7.2", {
    smp: 2,
    memory: 192 * MiB,
    append: "console=ttyAMA0 maxcpus=1", // the host's second PE stays with the host
    realm: { board: "virt", teardown: true, ...realm },
  });
  const { memory, monitor } = softwareOf(machine);
  const tries = new HostTries(machine.board, memory);
  const { complaints, exits } = watchExits(machine);
  const delegated = new Set<number>();
  monitor.gpt.onChange = (_pe, pa, _from, to) => void (to === Gpi.Realm && delegated.add(pa));
  await bootToShell(machine);

  // A secret that is never on the console: the host knows how it was made, so that it can look for it.
  await shell(machine, "echo planted | sha256sum | cut -c1-64 > /tmp/text; xxd -r -p < /tmp/text > /tmp/raw; export S=$(cat /tmp/text)");
  await machine.runInstructions(1_234_567);
  const raw = createHash("sha256").update("planted\n").digest();
  const secrets = [raw, Buffer.from(raw.toString("hex"))];
  for (const secret of secrets) {
    const found = search(machine, secret);
    expect(found.host).toEqual([]);
    expect(found.realm).toBeGreaterThan(0);
  }

  const all = guardedGranules(machine, delegated);
  expect(all.filter((g) => g.state === "DATA" || g.state === "given").length).toBeGreaterThan(5_000);
  const before = all.map(({ pa }) => machine.board.phys.readBytes(pa, GRANULE) as Uint8Array);
  const printed = machine.virtioConsole.text;
  expect(tryAll(tries, all)).toEqual([]);
  expect(machine.virtioConsole.text).toBe(printed);
  expect(all.findIndex(({ pa }, i) => Buffer.compare(machine.board.phys.readBytes(pa, GRANULE) as Uint8Array, before[i]!) !== 0)).toBe(-1);

  // The realm goes on as if nothing had been; then everything comes back, wiped.
  expect(await shell(machine, "[ $(sha256sum < /tmp/raw | wc -c) = 68 ] && echo alive")).toBe("alive\n");
  machine.console.send("poweroff\n");
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  expect([...complaints]).toEqual([]);
  expect(exits()).toBeGreaterThan(1_000);
  expect([...delegated].filter((pa) => monitor.gpt.gpi(pa) !== Gpi.NonSecure)).toEqual([]);
  for (const secret of secrets) expect(search(machine, secret)).toEqual({ host: [], realm: 0 });
}
