// RMI 2.0 from the side of a host that thinks in RMI 1.0. The RMM here is a model of what such an RMM may do, and checks what it is given.

import { describe, expect, test } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { Security } from "../../src/arch/security.ts";
import type { Pe } from "../../src/cpu/pe.ts";
import { HostAgent, type HostTask } from "../../src/host/agent.ts";
import type { HostMemory } from "../../src/host/memory.ts";
import { RmiClient } from "../../src/host/rmi.ts";
import { agreeOnVersion } from "../../src/host/rmi-version.ts";
import { type Granules, Rmi2 } from "../../src/host/rmi2.ts";
import { rmi } from "../../src/rmm/commands.ts";
import { rmi20 } from "../../src/rmm/later-commands.ts";

const GRANULE = 4096;
const BASE = 0x5000_0000;
const HANDLE = 0n; // a handle may be any number
const INCOMPLETE = 13n;
const BUSY = 10n;
const DONATE = INCOMPLETE | (1n << 8n);
const RECLAIM = INCOMPLETE | (2n << 8n);
const PAGE = 1n << 2n;
const nameOf = new Map<number, string>([
  ...Object.entries(rmi).map(([n, f]) => [f, n] as const),
  ...rmi20.map((c) => [c.fid, c.name] as const),
]);

/** The host's memory: granules from BASE on. */
class Pool implements Granules {
  readonly pages = new Map<number, Uint8Array>();
  readonly free: number[] = [];
  private next = BASE;
  take(): number {
    const pa = this.free.pop() ?? this.next;
    if (pa === this.next) this.next += GRANULE;
    return pa;
  }
  give(pa: number): void {
    this.free.push(pa);
  }
  read(pa: number, length: number): Uint8Array {
    return (this.pages.get(pa) ?? new Uint8Array(GRANULE)).slice(0, length);
  }
  write(pa: number, data: Uint8Array): boolean {
    this.pages.set(pa, data.slice());
    return true;
  }
}

/** An RMM: granules, and one REC that needs others. */
class Rmm {
  readonly delegated = new Set<bigint>();
  readonly aux: bigint[] = [];
  readonly calls: string[] = [];
  active = false;
  /** Arguments of the last call. */
  last: readonly bigint[] = [];
  /** Answers before its own, in order. */
  readonly first: bigint[][] = [];
  private readonly pool: Pool;
  private readonly needs: number;
  private readonly atOnce: number;

  constructor(pool: Pool, needs: number, atOnce: number) {
    this.pool = pool;
    this.needs = needs;
    this.atOnce = atOnce;
  }

  call(registers: readonly bigint[]): bigint[] {
    const [fid = 0n, a = 0n, b = 0n, c = 0n, d = 0n, e = 0n] = registers;
    const name = nameOf.get(Number(fid)) ?? "?";
    this.calls.push(name);
    this.last = registers.slice(1);
    const canned = this.first.shift();
    if (canned) return canned;
    switch (name) {
      case "RMM_ACTIVATE":
        if (this.active) return [11n];
        this.active = true;
        return [0n];
      case "FEATURES":
        return [0n, a === 0n ? 48n | (3n << 14n) : (1n << 3n) | (1n << 5n) | (9n << 6n)];
      case "GRANULE_RANGE_DELEGATE":
        if (b !== a + BigInt(GRANULE) || this.delegated.has(a)) return [1n];
        this.delegated.add(a);
        return [0n, b];
      case "GRANULE_RANGE_UNDELEGATE":
        return this.delegated.delete(a) && !this.aux.includes(a) ? [0n, b] : [1n];
      case "RTT_DATA_MAP":
        return c === b + BigInt(GRANULE) && d === 1n && (e & 0xfffn) === PAGE && this.delegated.has(e - PAGE) ? [0n, c] : [1n];
      case "REC_CREATE":
        return [DONATE, HANDLE, BigInt(this.needs) << 2n];
      case "OP_MEM_DONATE":
        return this.donated(a, b, Number(c));
      case "REC_DESTROY":
        return [RECLAIM, HANDLE];
      case "OP_MEM_RECLAIM":
        return this.reclaimed(a, b, Number(c));
      case "OP_CONTINUE":
        return a === HANDLE ? [0n] : [1n];
      default:
        return [2n ** 64n - 1n];
    }
  }

  private donated(handle: bigint, list: bigint, count: number): bigint[] {
    if (handle !== HANDLE || this.delegated.has(list)) return [1n];
    const entries = new BigUint64Array(this.pool.read(Number(list), 8 * count).buffer);
    let used = 0;
    for (const entry of [...entries].slice(0, this.atOnce)) {
      if ((entry & 0xfffn) !== PAGE || !this.delegated.has(entry - PAGE) || this.aux.includes(entry - PAGE)) return [1n];
      this.aux.push(entry - PAGE);
      used++;
    }
    const left = this.needs - this.aux.length;
    return left === 0 ? [INCOMPLETE, BigInt(used), 0n] : [DONATE, BigInt(used), BigInt(left) << 2n];
  }
  private reclaimed(handle: bigint, list: bigint, room: number): bigint[] {
    if (handle !== HANDLE || room === 0) return [1n];
    const out = this.aux.splice(0, this.atOnce);
    const entries = new BigUint64Array(GRANULE / 8);
    // Neighbours in one entry, as an RMM may have them.
    let n = 0;
    for (const pa of out.sort()) {
      const last = n > 0 ? (entries[n - 1] as bigint) : 0n;
      const size = (last >> 2n) & 0x3ffn;
      if (n > 0 && (last & ~0xfffn) + size * BigInt(GRANULE) === pa) entries[n - 1] = last + PAGE;
      else entries[n++] = pa | PAGE;
    }
    this.pool.write(Number(list), new Uint8Array(entries.buffer));
    return [this.aux.length === 0 ? INCOMPLETE : RECLAIM, BigInt(n)];
  }
}

function drive<T>(rmm: Rmm, task: HostTask<T>): T {
  let step = task.next([]);
  while (!step.done) {
    if (step.value === "interrupts") rmm.calls.push("(interrupts)");
    else if (typeof step.value === "string") throw new Error(step.value);
    step = task.next(typeof step.value === "string" ? [] : rmm.call(step.value));
  }
  return step.value;
}

function setUp(needs = 16, atOnce = 100) {
  const pool = new Pool();
  const rmm = new Rmm(pool, needs, atOnce);
  const client = new RmiClient();
  client.later = new Rmi2(pool);
  return { pool, rmm, client };
}

/** With an RMM that came after v0.9. */
function revised() {
  const all = setUp();
  if (all.client.later) all.client.later.revised = true;
  return all;
}

describe("stateful operations", () => {
  test.each([100, 3])("REC_CREATE is given what it asks for, %i granules at once, and REC_DESTROY gives all of it back", (atOnce) => {
    const { pool, rmm, client } = setUp(16, atOnce);
    expect(drive(rmm, client.call("REC_CREATE", 1, 2, 3)).ok).toBe(true);
    expect(new Set(rmm.aux).size).toBe(16);
    expect([...rmm.delegated].sort()).toEqual([...rmm.aux].sort()); // what it did not want was taken back
    expect(drive(rmm, client.call("REC_DESTROY", 2)).ok).toBe(true);
    expect(rmm.delegated.size).toBe(0);
    expect(new Set(pool.free).size).toBe(pool.free.length);
    expect(pool.free.length).toBeGreaterThanOrEqual(16);
  });

  test("the end of an operation is the end of its command", () => {
    const { rmm, client } = setUp();
    rmm.first.push([INCOMPLETE, HANDLE], [0x201n]);
    expect(drive(rmm, client.call("REC_CREATE", 1, 2, 3))).toMatchObject({ ok: false, status: 1, index: 2 });
    expect(rmm.calls).toEqual(["REC_CREATE", "(interrupts)", "OP_CONTINUE"]);
  });

  test("a busy RMM is asked again: the command, or the operation that has begun", () => {
    const { rmm, client } = setUp();
    rmm.first.push([BUSY], [INCOMPLETE, HANDLE], [BUSY], [0n]);
    expect(drive(rmm, client.call("REC_DESTROY", 2)).ok).toBe(true);
    const between = "(interrupts)";
    expect(rmm.calls).toEqual(["REC_DESTROY", between, "REC_DESTROY", between, "OP_CONTINUE", between, "OP_CONTINUE"]);
  });

  test("one that never ends, or that wants contiguous memory, is an error with a name", () => {
    const { rmm, client } = setUp();
    rmm.first.push(...Array.from({ length: 2000 }, () => [BUSY]));
    expect(() => drive(rmm, client.call("REC_DESTROY", 2))).toThrow(/has not finished the operation 0xc400015b/);
    rmm.first.length = 0;
    rmm.first.push([DONATE, HANDLE, (16n << 2n) | (1n << 16n)]);
    expect(() => drive(rmm, client.call("REC_CREATE", 1, 2, 3))).toThrow(/asks for memory that this host does not give/);
  });
});

describe("commands of RMI 1.0", () => {
  test("granules are delegated as ranges of one", () => {
    const { rmm, client } = setUp();
    expect(drive(rmm, client.call("GRANULE_DELEGATE", BASE)).ok).toBe(true);
    expect([...rmm.delegated]).toEqual([BigInt(BASE)]);
    expect(drive(rmm, client.call("GRANULE_UNDELEGATE", BASE)).ok).toBe(true);
    expect(drive(rmm, client.call("GRANULE_UNDELEGATE", BASE)).status).toBe(1);
  });

  test("unknown content is a range of one page", () => {
    const { rmm, client } = setUp();
    expect(drive(rmm, client.call("DATA_CREATE_UNKNOWN", 1, BASE, 0x8000)).status).toBe(1);
    drive(rmm, client.must("GRANULE_DELEGATE", BASE));
    expect(drive(rmm, client.call("DATA_CREATE_UNKNOWN", 1, BASE, 0x8000)).ok).toBe(true);
  });

  test("features are those of register 0 and of register 1, at the places of 1.0", () => {
    const { rmm, client } = setUp();
    const value = drive(rmm, client.call("FEATURES", 0)).results[0];
    expect(value).toBe(48n | (3n << 14n) | (1n << 32n) | (1n << 33n) | (9n << 38n));
  });

  test("a page that is unmapped comes with its address; one that was not mapped is a failed walk", () => {
    const { rmm, client } = setUp();
    rmm.first.push([0n, 0x9000n, 0x1_2345_6000n | PAGE]);
    expect(drive(rmm, client.call("DATA_DESTROY", 1, 0x8000))).toMatchObject({ ok: true, results: [0x1_2345_6000n, 0x9000n] });
    rmm.first.push([0n, 0x20_0000n, 0n]);
    expect(drive(rmm, client.call("DATA_DESTROY", 1, 0x8000))).toMatchObject({ status: 4, index: 3, results: [0n, 0x20_0000n] });
    rmm.first.push([0x204n, 0x8000n, 0n]);
    expect(drive(rmm, client.call("DATA_DESTROY", 1, 0x8000))).toMatchObject({ status: 4, index: 2 });
  });

  test("auxiliary granules are not counted beforehand", () => {
    const { rmm, client } = setUp();
    expect(drive(rmm, client.call("REC_AUX_COUNT", 1)).number(0)).toBe(0);
    expect(rmm.calls).toEqual([]);
  });

  test("activation is done once, by whomever", () => {
    const { rmm, client } = setUp();
    drive(rmm, client.later?.activate() as HostTask);
    drive(rmm, client.later?.activate() as HostTask);
    rmm.first.push([1n]);
    expect(() => drive(rmm, client.later?.activate() as HostTask)).toThrow("RMI_RMM_ACTIVATE returned 0x1");
  });
});

describe("ranges", () => {
  const GRANULES = BigInt(BASE);
  test.each([
    ["GRANULE_DELEGATE", [BASE], "GRANULE_RANGE_DELEGATE", GRANULES],
    ["GRANULE_UNDELEGATE", [BASE], "GRANULE_RANGE_UNDELEGATE", GRANULES],
    ["DATA_CREATE_UNKNOWN", [1, BASE, 0x8000], "RTT_DATA_MAP", 0x8000n],
    ["DATA_DESTROY", [1, 0x8000], "RTT_DATA_UNMAP", 0x8000n],
    ["RTT_MAP_UNPROTECTED", [1, 0x8000, 3, BASE], "RTT_UNPROT_MAP", 0x8000n],
    ["RTT_UNMAP_UNPROTECTED", [1, 0x8000, 3], "RTT_UNPROT_UNMAP", 0x8000n],
    ["RTT_INIT_RIPAS", [1, 0x8000, 0x9000], "RTT_INIT_RIPAS", 0x8000n],
    ["RTT_SET_RIPAS", [1, 2, 0x8000, 0x9000], "RTT_SET_RIPAS", 0x8000n],
  ] as const)("%s: where the RMM did nothing because of an interrupt, the host takes it and asks again", (name, args, later, at) => {
    const { rmm, client } = revised();
    rmm.first.push([0n, at, 0n], [0n, at, 0n], [0n, at + 4096n, 0x1_2345_6000n]);
    expect(drive(rmm, client.call(name, ...args)).ok).toBe(true);
    expect(rmm.calls).toEqual([later, "(interrupts)", later, "(interrupts)", later]);
  });

  test("one that never gets anywhere is an error with a name", () => {
    const { rmm, client } = setUp();
    rmm.first.push(...Array.from({ length: 2000 }, () => [0n, 0x8000n, 0n]));
    expect(() => drive(rmm, client.call("DATA_DESTROY", 1, 0x8000))).toThrow("RMI_RTT_DATA_UNMAP has not moved from 0x8000 in 1000 steps");
  });
});

describe("commands that came after v0.9", () => {
  const UNKNOWN = 2n ** 64n - 1n;
  const DONE = [0n, 0x9000n];
  const DESCRIPTOR = BigInt(BASE) | (0b110n << 2n);
  const WRITE = 1n << 19n;
  const READ = 1n << 20n;

  test.each([
    ["read and write", 3n, READ | WRITE],
    ["read", 1n, READ],
    ["write", 2n, WRITE],
    ["nothing", 0n, 0n],
  ])("RTT_UNPROT_MAP has memory type and access (%s) in its flags", (_what, s2ap, access) => {
    const { rmm, client } = revised();
    rmm.first.push(DONE);
    expect(drive(rmm, client.call("RTT_MAP_UNPROTECTED", 1, 0x8000, 3, DESCRIPTOR | (s2ap << 6n))).ok).toBe(true);
    expect(rmm.last).toEqual([1n, 0x8000n, 0x9000n, 1n | (6n << 16n) | access, BigInt(BASE) | PAGE]);
  });

  const rounds = (client: RmiClient) => [
    client.must("RTT_MAP_UNPROTECTED", 1, 0x8000, 3, DESCRIPTOR),
    client.must("RTT_UNMAP_UNPROTECTED", 1, 0x8000, 3),
    client.must("REALM_DESTROY", 1),
  ];

  test("are used where REALM_TERMINATE is known, which is asked once with what cannot be a realm", () => {
    const { rmm, client } = setUp();
    rmm.first.push([0n], [1n]);
    drive(rmm, client.later?.activate() as HostTask);
    expect([rmm.last, client.later?.revised]).toEqual([[1n], true]);
    rmm.calls.length = 0;
    rmm.first.push(DONE, DONE, [0n], [0n]);
    for (const task of rounds(client)) drive(rmm, task);
    expect(rmm.calls).toEqual(["RTT_UNPROT_MAP", "RTT_UNPROT_UNMAP", "REALM_TERMINATE", "REALM_DESTROY"]);
  });

  test("unmapping wants no addresses back", () => {
    const { rmm, client } = revised();
    rmm.first.push(DONE);
    drive(rmm, client.must("RTT_UNMAP_UNPROTECTED", 1, 0x8000, 3));
    expect(rmm.last).toEqual([1n, 0x8000n, 0x9000n, 0n, 0n]);
  });

  test("where it is unknown, those of 1.0 are used as they are", () => {
    const { rmm, client } = setUp();
    rmm.first.push([0n], [UNKNOWN]);
    drive(rmm, client.later?.activate() as HostTask);
    rmm.calls.length = 0;
    rmm.first.push([0n], [0n, 0x9000n], [0n]);
    for (const task of rounds(client)) drive(rmm, task);
    expect(rmm.calls).toEqual(["RTT_MAP_UNPROTECTED", "RTT_UNMAP_UNPROTECTED", "REALM_DESTROY"]);
    rmm.first.push([0n]);
    drive(rmm, client.must("RTT_MAP_UNPROTECTED", 1, 0x8000, 3, DESCRIPTOR));
    expect(rmm.last).toEqual([1n, 0x8000n, 3n, DESCRIPTOR]);
  });

  test("a realm that cannot be terminated is not destroyed", () => {
    const { rmm, client } = revised();
    rmm.first.push([2n]);
    expect(drive(rmm, client.call("REALM_DESTROY", 1)).status).toBe(2);
    expect(rmm.calls).toEqual(["REALM_TERMINATE"]);
  });
});

test("a host that takes its interrupts acknowledges and finishes each, and goes on", () => {
  const pending = [0n, 26n];
  const finished: bigint[] = [];
  let waits = 0;
  const pe = {
    index: 0,
    st: { lo: (offset: number) => (offset === Off.EL ? 2 : 0) },
    security: Security.NonSecure,
    gic: { read: () => pending.shift() ?? 1023n, write: (_name: string, intid: bigint) => finished.push(intid) },
    startWait: () => waits++,
  } as unknown as Pe;
  let after = false;
  function* program(): HostTask {
    yield "interrupts";
    after = true;
    while (true) yield "wait";
  }
  new HostAgent(program).execute(pe);
  expect(finished).toEqual([0n, 26n]);
  expect([after, waits > 0]).toEqual([true, true]);
});

describe("versions", () => {
  const agree = (...answers: bigint[][]) => {
    const { pool, rmm, client } = setUp();
    rmm.first.push(...answers);
    drive(rmm, agreeOnVersion(client, pool as unknown as HostMemory));
    return { later: client.later !== undefined, calls: rmm.calls };
  };
  test("1.0 is preferred", () => {
    expect(agree([0n, 0x1_0000n, 0x2_0000n])).toEqual({ later: false, calls: ["VERSION"] });
  });
  test("2.0 where 1.0 is not spoken; the RMM is activated", () => {
    expect(agree([1n, 0x2_0000n, 0x2_0000n], [0n, 0x2_0000n, 0x2_0000n])).toEqual({
      later: true,
      calls: ["VERSION", "VERSION", "RMM_ACTIVATE", "REALM_TERMINATE"],
    });
  });
  test("others are named", () => {
    const both = [1n, 0x3_0000n, 0x3_0001n];
    expect(() => agree(both, both)).toThrow("the RMM speaks RMI 3.0 to 3.1, the built-in host 1.0 and 2.0");
    expect(() => agree([2n ** 64n - 1n])).toThrow(/SMC_UNKNOWN/);
  });
});
