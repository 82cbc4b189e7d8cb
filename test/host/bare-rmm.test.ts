// Bare-metal programs at Realm EL2 in place of an RMM: which version of the RMM-EL3 interface they are offered, what EL3 answers to them,
// and what becomes of a machine whose RMM does not fit. The programs are entered at their first byte, MMU off.

import { describe, expect, test } from "vitest";
import { Gpi } from "../../src/gpt/format.ts";
import { Machine } from "../../src/harness/index.ts";
import type { RealmSoftware } from "../../src/machine/realms.ts";
import { add, b, cbnz, mov, SMC, str64, WFI } from "../support/a64.ts";
import { HELLO } from "../support/realm-hello.ts";

const MiB = 2 ** 20;
/** What a program saw, in memory of the RMM: pairs of x0 and x1. */
const LOG = 0x4110_0000;
const GRANULE = 0x5000_0000;
const V2 = 0x2_0000n;
const V0_8 = 8n;
const REALM = Gpi.Realm;
const minus = (n: number): bigint => BigInt.asUintN(64, BigInt(-n));

/** sub xd, xn, xm */
const sub = (d: number, n: number, m: number): number => (0xcb00_0000 | (m << 16) | (n << 5) | d) >>> 0;
/** x0 and x1 into the next slot of the log (x20). */
const LOGGED = [str64(0, 20), str64(1, 20, 8), ...mov(9, 16), add(20, 20, 9)];
const call = (fid: number, ...args: (number | bigint)[]): number[] => [...mov(0, fid), ...args.flatMap((a, n) => mov(n + 1, a)), SMC];
const asked = (fid: number, ...args: (number | bigint)[]): number[] => [...call(fid, ...args), ...LOGGED];
const bootComplete = (code: number | bigint, token = 0): number[] => call(0xc400_01cf, code, token);

const bytes = (words: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);

/** Refuses every version but `version`, then does `body`, and answers each RMI call with `results`. */
function program(version: bigint, body: readonly number[], results: readonly (number | bigint)[]): Uint8Array {
  const refusal = bootComplete(minus(2));
  const serve = call(0xc400_018f, ...results);
  return bytes([
    ...mov(8, version),
    sub(8, 1, 8),
    cbnz(8, 2),
    b(refusal.length + 1),
    ...refusal, // does not come back
    ...mov(20, LOG),
    ...LOGGED, // x0 and x1 of the entry
    ...body,
    ...bootComplete(0, 0x77),
    ...serve, // entered behind the SMC above when the host has called
    b(-serve.length),
  ]);
}

async function run(rmm: Uint8Array) {
  const log: string[] = [];
  const machine = await Machine.create({ kernel: HELLO, memory: 512 * MiB, realm: { rmm }, log: (line) => log.push(line) });
  const stopped = await machine.run().then(
    (reason) => reason,
    (error: Error) => error.message,
  );
  const data = machine.board.phys.readBytes(LOG, 4096) as Uint8Array;
  const view = new DataView(data.buffer, data.byteOffset);
  const seen = Array.from({ length: 24 }, (_, n) => [view.getBigUint64(16 * n, true), view.getBigUint64(16 * n + 8, true)]);
  return { machine, stopped, log, seen, monitor: (machine.board.software as RealmSoftware).monitor };
}

test("an RMM that wants neither version ends the machine with one message", async () => {
  const { stopped, log } = await run(bytes([...bootComplete(minus(2)), WFI, b(-1)]));
  const why = "it supports none of the versions of the RMM-EL3 interface that this EL3 has: 2.0, 0.8";
  expect(stopped).toMatchObject({ kind: "error", message: `the RMM image did not boot: ${why}` });
  expect(log.filter((line) => line.includes("RMM"))).toEqual([`EL3: PE 0: RMM boot failed: ${why}`]);
});

describe.each([
  ["2.0", V2],
  ["0.8", V0_8],
] as const)("interface %s", (_name, version) => {
  test("services answer the program as they answer TF-RMM", async () => {
    const body = [
      ...asked(0xc400_01b4, 0), // features
      ...asked(0xc400_01bb, 0x3000, 14n << 56n), // memory, aligned to 16 KiB
      ...asked(0xc400_01bb, 0x1000, 2), // unknown flag
      ...asked(0xc400_01b0, GRANULE), // delegate
      ...asked(0xc400_01b0, GRANULE), // not Non-secure any more
      ...asked(0xc400_0400, 1), // FIRME granule management
      ...asked(0xc400_0402, GRANULE - 0x1000, 3, REALM),
      ...asked(0xc400_0402, GRANULE, 1, Gpi.Root),
    ];
    const { stopped, seen, monitor, log } = await run(program(version, body, [1, 0x3_0000, 0x3_0001]));
    expect(stopped).toContain("the RMM speaks RMI 3.0 to 3.1, the built-in host 1.0 and 2.0");
    expect(log).toContain("EL3: PE 0: RMM boot complete");
    const [entry, features, reserved, flag, delegated, again, firme, set, root] = seen as bigint[][];
    expect(entry).toEqual([0n, version]);
    expect(features).toEqual([0n, 1n]);
    expect([reserved?.[0], (reserved?.[1] ?? 1n) % 0x4000n]).toEqual([0n, 0n]);
    expect([flag?.[0], delegated?.[0], again?.[0]]).toEqual([minus(5), 0n, minus(3)]);
    const later = version === V2;
    expect(firme?.[0]).toBe(later ? 0x1_0000n : minus(1));
    expect(set?.slice(0, 1)).toEqual([later ? 0n : minus(1)]);
    if (later) expect(set?.[1]).toBe(3n);
    expect(root?.[0]).toBe(later ? minus(2) : minus(1));
    const gpis = [-1, 0, 1, 2].map((n) => monitor.gpt.gpi(GRANULE + n * 4096));
    const beside = later ? Gpi.Realm : Gpi.NonSecure;
    expect(gpis).toEqual([beside, Gpi.Realm, beside, Gpi.NonSecure]);
  });
});
