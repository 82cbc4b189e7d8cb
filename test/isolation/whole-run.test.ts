// Debian in a realm, from REALM_CREATE to the last GRANULE_UNDELEGATE. While it runs, the host tries to read and write every granule that is
// not its own, by CPU and by DMA; at every REC exit it looks at all it can see; at the end it looks for what the guest kept to itself.

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { Gpi } from "../../src/gpt/format.ts";
import { HostTries, type TryKind } from "../../src/harness/host-tries.ts";
import type { Machine } from "../../src/harness/index.ts";
import { protectingCall } from "../../src/harness/vitest.ts";
import { RealmSoftware } from "../../src/machine/realms.ts";
import { GranuleState, granuleStateName } from "../../src/rmm/granules.ts";
import { bootToShell, linuxMachine, shell } from "../support/linux.ts";
import { changed, excess, type HostView, hostRegisters, hostView } from "./observe.ts";

const GRANULE = 4096;
const MiB = 2 ** 20;
const BOTH: readonly TryKind[] = ["read", "write"];
/** The host issues SMCs: x0 to x17 of the host change by that. */
const KEPT = 18 - 5;

function softwareOf(machine: Machine): RealmSoftware {
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
  rmm?.observers.add((e) => {
    // The world of the host is in place when a call comes in.
    if (e.kind === "enter") before[e.pe] = hostView(pes[e.pe]!, registers);
  });
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

test("isolation over a whole run", async () => {
  const machine = await linuxMachine("7.2", {
    smp: 2,
    memory: 192 * MiB,
    append: "console=ttyAMA0 maxcpus=1", // the host's second PE stays with the host
    realm: { board: "virt", teardown: true },
  });
  const { rmm, memory, monitor } = softwareOf(machine);
  const tries = new HostTries(machine.board, memory);
  const { complaints, exits } = watchExits(machine);
  const delegated = new Set<number>();
  rmm?.cx.granules.observers.add((pa, _from, to) => void (to === GranuleState.DELEGATED && delegated.add(pa)));
  await bootToShell(machine);

  // A secret that is never on the console: the host knows how it was made, so that it can look for it.
  await shell(machine, "echo planted | sha256sum | cut -c1-64 > /tmp/text; xxd -r -p < /tmp/text > /tmp/raw; export S=$(cat /tmp/text)");
  await machine.runInstructions(1_234_567);
  const raw = createHash("sha256").update("planted\n").digest();
  const secrets = [raw, Buffer.from(raw.toString("hex"))];
  for (const secret of secrets) {
    const { host, realm } = search(machine, secret);
    expect(host).toEqual([]);
    expect(realm).toBeGreaterThan(0);
  }

  // Every granule that is not the host's, by every way.
  const { granules } = rmm!.cx;
  const kinds = [GranuleState.DELEGATED, GranuleState.RD, GranuleState.REC, GranuleState.REC_AUX, GranuleState.DATA, GranuleState.RTT];
  const all = kinds.flatMap((state) => [...granules.inState(state)].map((pa) => ({ pa, state })));
  expect(all.filter((g) => g.state === GranuleState.DATA).length).toBeGreaterThan(5_000);
  const before = all.map(({ pa }) => machine.board.phys.readBytes(pa, GRANULE) as Uint8Array);
  const wrong = new Set<string>();
  const judge = (ok: boolean, what: string, state: GranuleState): void => void (ok || wrong.add(`${what} of ${granuleStateName(state)}`));
  const stateOf = new Map(all.map((g) => [g.pa, g.state]));
  const accesses = all.flatMap(({ pa }) => BOTH.map((kind) => [pa + 8 * ((pa / GRANULE) % 512), kind] as const));
  for (const el of [2, 1] as const) {
    // Each try at EL2 with its explanation; those at EL1 meet the same table.
    tries.explaining = el === 2;
    for (const t of tries.byPe(1, el, accesses)) {
      const state = stateOf.get(t.pa - (t.pa % GRANULE)) as GranuleState;
      judge(!t.ok && ((t.esr ?? 0n) & 0x3fn) === 0x28n, `${t.kind} by ${t.by}`, state);
      if (el === 2) judge(protectingCall(t)?.startsWith("RMI_GRANULE_DELEGATE ") === true, `explanation of the ${t.kind}`, state);
    }
  }
  const printed = machine.virtioConsole.text;
  const seen = new Map<GranuleState, number>();
  for (const { pa, state } of all) {
    const nth = (seen.get(state) ?? 0) + 1;
    seen.set(state, nth);
    tries.explaining = nth <= 2;
    for (const kind of ["read", "write"] as const) {
      const t = tries.byDevice(pa, kind);
      judge(!t.ok, `${kind} by a device`, state);
      if (tries.explaining) judge(protectingCall(t)?.startsWith("RMI_GRANULE_DELEGATE ") === true, `explanation of the DMA ${kind}`, state);
    }
  }
  expect([...wrong]).toEqual([]);
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
}, 600_000);
