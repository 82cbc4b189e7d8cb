// A realm fills every register it has with values of its own and leaves in every way there is. None of them reaches the host: not in
// registers, not in the run page, not in any Non-secure memory, except what the ABI hands over.

import { expect, test } from "vitest";
import { Gpi } from "../../src/gpt/format.ts";
import type { HostedRealm, RealmExit } from "../../src/harness/index.ts";
import { RealmHost } from "../../src/harness/index.ts";
import { rsi } from "../../src/rmm/commands.ts";
import { b, ISB, ldr64, mov, msr, SMC, str16, str64, WFI } from "../support/a64.ts";
import { changed, excess, hostRegisters, hostView } from "./observe.ts";

/** Upper half of every planted value; the lower half tells which it is. */
const MARK = 0x5ec2_e75an;
const planted = (n: number): bigint => (MARK << 32n) | BigInt(n);
const MARK_BYTES = Buffer.from([0x5a, 0xe7, 0xc2, 0x5e]);
const code = (words: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);

/** System registers of EL1 and EL0 that hold any value without changing what the program does (MMU off, no breakpoints). Timers
 *  are for the host to see. */
const SYSTEM = [
  ...["TPIDR_EL0", "TPIDRRO_EL0", "TPIDR_EL1", "SP_EL0", "ELR_EL1", "FAR_EL1", "CONTEXTIDR_EL1", "TTBR0_EL1", "TTBR1_EL1", "MAIR_EL1"],
  ...["AMAIR_EL1", "AFSR0_EL1", "AFSR1_EL1", "ESR_EL1", "PAR_EL1", "APIAKEYLO_EL1", "APIAKEYHI_EL1", "APGAKEYLO_EL1"],
  ...["DBGBVR0_EL1", "DBGWVR0_EL1"],
];
const DUP_2D = (d: number, n: number): number => (0x4e08_0c00 | (n << 5) | d) >>> 0;

/** Plants x5 to x30, v0 to v31 and the system registers. x0 to x4 are for the calls. */
function plant(): number[] {
  const words = [...mov(9, 3 << 20), msr("CPACR_EL1", 9), ISB]; // FP and SIMD do not trap
  for (const [i, name] of SYSTEM.entries()) words.push(...mov(9, planted(0x100 + i)), msr(name, 9));
  for (let v = 0; v < 32; v++) words.push(...mov(9, planted(0x200 + v)), DUP_2D(v, 9));
  for (let n = 5; n < 31; n++) words.push(...mov(n, planted(n)));
  words.push(ISB);
  return words;
}

const DEVICE = 2 ** 32 + 0x9000;
/** Ways to leave, each once: what the realm does, what the exit is, which planted values the ABI hands over, how the host enters again. */
interface Way {
  name: string;
  words: number[];
  reason: string;
  disclosed?: readonly bigint[];
  /** What the host did before the entry that ends here, and does before the next one. */
  before?: Parameters<HostedRealm["enter"]>[0];
  after?: (realm: HostedRealm, exit: RealmExit) => Parameters<HostedRealm["enter"]>[0];
}
const ways: readonly Way[] = [
  { name: "load from RAM that is missing", words: [...mov(1, 0x8000), ldr64(2, 1)], reason: "SYNC", after: (r) => void r.provide(0x8000) },
  { name: "store to RAM that is missing", words: [...mov(1, 0x9000), str64(7, 1)], reason: "SYNC", after: (r) => void r.provide(0x9000) },
  { name: "load from a device", words: [...mov(1, DEVICE), ldr64(2, 1)], reason: "SYNC", after: () => ({ flags: ["EMUL_MMIO"] }) },
  {
    name: "store to a device",
    words: [...mov(1, DEVICE), str64(7, 1)],
    reason: "SYNC",
    disclosed: [planted(7)],
    after: () => ({ flags: ["EMUL_MMIO"] }),
  },
  {
    name: "store of a half-word to a device",
    words: [...mov(1, DEVICE), str16(7, 1)],
    reason: "SYNC",
    after: () => ({ flags: ["EMUL_MMIO"] }),
  },
  { name: "SGI", words: [msr("ICC_SGI1R_EL1", 8)], reason: "SYNC", disclosed: [planted(8)] },
  { name: "WFI", words: [WFI], reason: "SYNC", before: { flags: ["TRAP_WFI"] } },
  {
    name: "change of RIPAS",
    words: [...mov(0, rsi.IPA_STATE_SET), ...mov(1, 0xa000), ...mov(2, 0xb000), ...mov(3, 0), ...mov(4, 0), SMC],
    reason: "RIPAS_CHANGE",
  },
  {
    name: "CPU_SUSPEND",
    words: [...mov(0, 0xc400_0001), ...mov(1, planted(1)), ...mov(2, planted(2)), ...mov(3, planted(3)), SMC],
    reason: "PSCI",
  },
  { name: "host call", words: [...mov(0, rsi.HOST_CALL), ...mov(1, 0x2000), SMC], reason: "HOST_CALL" },
  { name: "SYSTEM_OFF", words: [...mov(0, 0x8400_0008), SMC], reason: "PSCI" },
];

/** Non-secure memory that holds the mark. */
function leaks(host: RealmHost): string[] {
  const found: string[] = [];
  for (const { pa, data } of host.board.ram()) {
    for (let at = 0; at < data.length; at += 4096) {
      if (host.software.monitor.gpt.gpi(pa + at) !== Gpi.NonSecure) continue;
      const hit = Buffer.from(data.buffer, data.byteOffset + at, 4096).indexOf(MARK_BYTES);
      if (hit >= 0) found.push(`0x${(pa + at + hit).toString(16)}`);
    }
  }
  return found;
}

test("nothing of a realm's registers crosses at any exit, beyond the ABI", () => {
  const host = RealmHost.create();
  const words = [...plant(), ...ways.flatMap((w) => w.words), b(0)];
  const realm = host.createRealm({
    contents: [
      { ipa: 0, bytes: code(words) },
      { ipa: 0x2000, bytes: new Uint8Array(256) },
    ],
    ram: [{ ipa: 0x8000, size: 0x4000 }],
  });
  const pe = host.board.pes[0]!;
  const registers = hostRegisters(pe);
  expect(registers.length).toBeGreaterThan(70);
  let next: Parameters<HostedRealm["enter"]>[0] = {};
  for (const way of ways) {
    const before = hostView(pe, registers);
    // The SMC itself sets x0 to x17 of the host.
    const gprs = before.gprs.map((v, i) => (i + 5 < 18 ? 0n : v));
    const exit = realm.enter({ ...next, ...way.before });
    expect(exit.reason, `${way.name}: ${exit.esr.toString(16)}`).toBe(way.reason);
    expect(changed({ ...before, gprs }, hostView(pe, registers), registers), way.name).toEqual([]);
    expect(excess(exit.fields, realm.half), way.name).toEqual([]);
    const handed = exit.gprs.filter((v) => v >> 32n === MARK);
    expect(handed, way.name).toEqual(way.disclosed ?? []);
    // The page and its field are the only places.
    if (handed.length > 0) host.memory.write(realm.runs[0] as number, new Uint8Array(4096));
    expect(leaks(host), way.name).toEqual([]);
    next = way.after?.(realm, exit) ?? {};
  }
  // The values were really there: the store went to the realm's granule, and its registers are in its REC.
  expect([...host.board.ram()].some(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.length).includes(MARK_BYTES))).toBe(true);
});

test("an interrupt of the host leaves the realm's registers where they are", () => {
  const host = RealmHost.create({ smp: 2 });
  const realm = host.createRealm({ contents: [{ ipa: 0, bytes: code([...plant(), b(0)]) }] });
  const pe = host.board.pes[1]!;
  const registers = hostRegisters(pe);
  const before = hostView(pe, registers);
  realm.begin({ pe: 1 });
  for (let round = 0; round < 5; round++) {
    host.advance(50_000);
    expect(pe.st.x(30)).toBe(planted(30));
    host.interrupt(1);
    host.advance(50_000);
    expect(realm.lastExit().reason).toBe("IRQ");
    expect(changed({ ...before, gprs: before.gprs.map((v, i) => (i + 5 < 18 ? 0n : v)) }, hostView(pe, registers), registers)).toEqual([]);
    expect(excess(realm.lastExit().fields, realm.half)).toEqual([]);
    expect(leaks(host)).toEqual([]);
    realm.begin({ pe: 1 });
  }
});
