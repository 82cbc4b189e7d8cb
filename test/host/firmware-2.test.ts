// The 2.0 generation of RMM, in a flash image that whoever runs the tests brings: TF-A for PLAT=qemu (ENABLE_RME=1, RMM_V1_COMPAT=0) with
// TF-RMM v0.9 or later. A host at Non-secure EL2 asks what it is, activates it, and moves granules.

import { expect, test } from "vitest";
import { Security } from "../../src/arch/security.ts";
import { dmaPermitted } from "../../src/gpt/dma.ts";
import { Machine } from "../../src/harness/index.ts";
import { HostAgent, type HostTask } from "../../src/host/agent.ts";
import { broughtImage } from "../support/rmm-image.ts";

const flash = broughtImage("RME_TF_FLASH_2", "a flash image of TF-A for qemu with RME and a TF-RMM of v0.9 or later");

const HELLO = new URL("../../firmware/realm-hello/realm-hello.img", import.meta.url).pathname;
const GRANULE = 4096;
/** Non-secure memory, far from what firmware uses. */
const FIRST = 0x5000_0000;
const COUNT = 3;
// biome-ignore format: table
const fid = {
  VERSION:                  0xc400_0150n,
  FEATURES:                 0xc400_0165n,
  RMM_ACTIVATE:             0xc400_0202n,
  GRANULE_RANGE_DELEGATE:   0xc400_01f1n,
  GRANULE_RANGE_UNDELEGATE: 0xc400_01f2n,
  SYSTEM_OFF:               0x8400_0008n,
} as const;
/** SYSTEM_OFF of PSCI takes the machine away: nothing after it is executed. */
const V2 = 0x2_0000n;

test.skipIf(flash === undefined)("TF-RMM, RMI 2.0: version, features, granules", async () => {
  const machine = await Machine.create({ machine: "virt,secure=on", bios: flash as string, cpu: "max,rme=on", memory: 1 << 30 });
  const { board } = machine;
  const check = board.pes[0]!.mmu.granuleCheck;
  const reachable = (n: number): boolean => dmaPermitted(board.phys, check, FIRST + n * GRANULE, 8);
  const reach = (): boolean[] => [-1, 0, 1, 2, COUNT].map(reachable);
  const seen: Record<string, unknown> = {};

  function* range(function_: bigint): HostTask<bigint> {
    let at = BigInt(FIRST);
    const top = BigInt(FIRST + COUNT * GRANULE);
    for (let calls = 0; at < top && calls < 2 * COUNT; calls++) {
      const [status, next] = yield [function_, at, top];
      if (status !== 0n) return status ?? -1n;
      at = next ?? top;
    }
    return 0n;
  }
  function* program(): HostTask {
    seen["version"] = (yield [fid.VERSION, V2]).slice(0, 2);
    seen["old version"] = (yield [fid.VERSION, 0x1_0000n])[0];
    seen["features"] = (yield [fid.FEATURES, 0n]).slice(0, 2);
    seen["before activation"] = (yield [fid.GRANULE_RANGE_DELEGATE, BigInt(FIRST), BigInt(FIRST + GRANULE)])[0];
    seen["activate"] = (yield [fid.RMM_ACTIVATE])[0];
    board.phys.writeBytes(FIRST, new Uint8Array(GRANULE).fill(0x77));
    seen["at first"] = reach();
    seen["delegate"] = yield* range(fid.GRANULE_RANGE_DELEGATE);
    seen["delegated"] = reach();
    seen["undelegate"] = yield* range(fid.GRANULE_RANGE_UNDELEGATE);
    seen["undelegated"] = reach();
    seen["wiped"] = board.phys.readBytes(FIRST, GRANULE)?.every((b) => b === 0);
    yield [fid.SYSTEM_OFF];
  }
  const host = new HostAgent(program);
  for (const pe of board.pes) pe.setAgent(2, Security.NonSecure, host);
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  expect(machine.console.text).toContain("RMM-EL3 Interface v.2.0");
  expect(machine.console.text).toContain("RMI ABI revision v2.0");
  const ERROR_INPUT = 1n;
  const ERROR_GLOBAL = 11n;
  expect(seen).toMatchObject({
    version: [0n, V2],
    "old version": ERROR_INPUT,
    "before activation": ERROR_GLOBAL,
    activate: 0n,
    "at first": [true, true, true, true, true],
    delegate: 0n,
    delegated: [true, false, false, false, true],
    undelegate: 0n,
    undelegated: [true, true, true, true, true],
    wiped: true,
  });
  const [status, register0 = 0n] = seen["features"] as bigint[];
  expect(status).toBe(0n);
  expect(Number(register0 & 0xffn)).toBeGreaterThanOrEqual(40); // S2SZ
});

test.skipIf(flash === undefined)("our host, which speaks RMI 1.0, says that it does not fit", async () => {
  const machine = await Machine.create({ bios: flash as string, kernel: HELLO, memory: 32 << 20, realm: {} });
  await expect(machine.run()).rejects.toMatchObject({
    code: "rmi-version",
    message: expect.stringMatching(/RMI 2\.0 to 2\.\d, the built-in host 1\.0$/),
  });
});
