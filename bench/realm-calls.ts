// What calls of the RMM cost: pairs of RMI_GRANULE_DELEGATE and UNDELEGATE, and round trips of REC entry and exit. The host issues them by
// SMC as it does for any realm, so the same program measures the agent and an image at R-EL2.

import { readFileSync } from "node:fs";
import { Security } from "../src/arch/security.ts";
import type { Pe } from "../src/cpu/pe.ts";
import { HostAgent, type HostTask } from "../src/host/agent.ts";
import { planRealm } from "../src/host/plan.ts";
import { hostMemoryFor, RealmSoftware } from "../src/machine/realms.ts";
import { type VirtConfig, VirtMachine } from "../src/machine/virt.ts";
import { RecEnter } from "../src/rmm/layouts.ts";
import { EnterFlag } from "../src/rmm/status.ts";
import { blank } from "../src/rmm/struct.ts";

const MEMORY = 64 * 2 ** 20;
/** Instructions between two looks at whether the program has ended. */
const TURN = 100_000_000;

/** Microseconds of host CPU time for one of each. */
export interface CallCosts {
  /** A granule delegated and undelegated. */
  readonly pair: number;
  /** A REC entered, which loads from a device of its host's, and left. */
  readonly roundTrip: number;
}

/** A realm that does nothing but load from the UART of its board, again and again: every load is a REC exit. */
function loader(): Uint8Array {
  const image = new Uint8Array(4096);
  const view = new DataView(image.buffer);
  // b +64; text_offset 0, image_size 4096, flags: little-endian, 4 KiB pages, anywhere; magic
  const head = [0x1400_0010, 0, 0, 0, 4096, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0x644d_5241, 0];
  // movz x1, #0x900, lsl #16; movk x1, #0x100, lsl #32; ldr w0, [x1]; b -4
  const code = [0xd2a1_2001, 0xf2c0_2001, 0xb940_0020, 0x17ff_ffff];
  for (const [i, word] of [...head, ...code].entries()) view.setUint32(4 * i, word, true);
  return image;
}

/** Measures `count` of each; `rmm`: the path of an image, undefined: the agent. */
export function measureCalls(count: number, rmm: string | undefined): CallCosts {
  const realm = planRealm({ memory: MEMORY, smp: 1, kernel: loader(), drives: 0 });
  const costs = { pair: Number.NaN, roundTrip: Number.NaN };
  let done = false;
  const options = { realm, drives: [], teardown: false, rmm: rmm === undefined ? undefined : readFileSync(rmm) };
  const config: VirtConfig = {
    cpu: "max,rme=on",
    smp: 1,
    memory: hostMemoryFor(MEMORY, rmm !== undefined),
    time: "deterministic",
    engine: "wasm",
    seed: 1n,
    epoch: 0,
    drives: [],
    output: () => {},
    virtioOutput: () => {},
    log: () => {},
    software: (m, entropy) => new RealmSoftware(m, { ...options, entropy }),
  };
  const machine = new VirtMachine(config);
  const software = machine.software as RealmSoftware;
  function* program(pe: Pe): HostTask {
    yield* software.realm.create();
    costs.pair = yield* timed(count, () => delegateOnce(software));
    yield* enterOnce(software, pe, 0); // up to the first load
    costs.roundTrip = yield* timed(count, () => enterOnce(software, pe, EnterFlag.EMUL_MMIO));
    done = true;
    while (true) yield "wait";
  }
  for (const pe of machine.pes) pe.setAgent(2, Security.NonSecure, new HostAgent(program));
  while (!done) {
    machine.advance(TURN, () => done);
    if (machine.end) throw new Error(`the machine ended: ${JSON.stringify(machine.end)}`);
  }
  return costs;
}

/** Microseconds of CPU time per run of `action`, after some that warm the host's compiler up. */
function* timed(count: number, action: () => HostTask): HostTask<number> {
  for (let n = 0; n < count / 4; n++) yield* action();
  const start = process.cpuUsage();
  for (let n = 0; n < count; n++) yield* action();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / count;
}

function* delegateOnce({ rmi, memory }: RealmSoftware): HostTask {
  const pa = memory.take();
  yield* rmi.must("GRANULE_DELEGATE", pa);
  yield* rmi.must("GRANULE_UNDELEGATE", pa);
  memory.give(pa);
}

function* enterOnce({ realm }: RealmSoftware, pe: Pe, flags: number): HostTask {
  const enter = blank(RecEnter);
  enter.set("flags", flags);
  const exit = yield* realm.enter(pe, 0, enter, false);
  if (exit === undefined) throw new Error("the realm is off");
}
