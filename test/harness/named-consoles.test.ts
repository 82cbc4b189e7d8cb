// The four consoles by name: what each gets from a machine with real software and from one with agents.

import { expect, test } from "vitest";
import { Machine, type Writer } from "../../src/harness/index.ts";
import { ERET, HALT, ISB, mov, msr, ORIGIN, str8 } from "../support/a64.ts";

const MiB = 2 ** 20;
const UART0 = 0x900_0000;
const UART1 = 0x904_0000;

/** The text, byte by byte, to the UART. */
const print = (uart: number, text: string): number[] => [
  ...mov(1, uart),
  ...mov(2, 0x301),
  0xb900_3022, // str w2, [x1, #0x30]: UARTEN, TXE, RXE
  ...[...text].flatMap((c) => [...mov(3, c.charCodeAt(0)), str8(3, 1)]),
];
/** From EL3 to EL2 in the Security state that SCR_EL3 = `scr` selects, at the instruction after. */
function leave(at: number, scr: bigint): number[] {
  const code = (next: number): number[] => [
    ...mov(0, scr),
    msr("SCR_EL3", 0),
    ISB,
    ...mov(0, 0x3c9),
    msr("SPSR_EL3", 0),
    // as long as it takes, wherever it goes
    ...mov(0, 0xffff_0000 | (next & 0xffff)).slice(0, 1),
    ...mov(0, next).slice(-1),
    msr("ELR_EL3", 0),
    ERET,
  ];
  return code(at + 4 * code(at).length);
}

const NS = 0x501n;
const REALM = NS | (1n << 62n);
const SECURE = 0x4_0400n; // RW, EEL2

function firmware(...parts: ((at: number) => number[])[]): Uint8Array {
  const words: number[] = [];
  for (const part of parts) words.push(...part(ORIGIN + 4 * words.length));
  return new Uint8Array(Uint32Array.from([...words, ...HALT]).buffer);
}
const machineOf = (kernel: Uint8Array): Promise<Machine> =>
  Machine.create({ machine: "virt,secure=on", cpu: "max,rme=on", start: { el: 3, entry: ORIGIN }, kernel, memory: 64 * MiB });

test.each([
  ["Non-secure", NS, { firmware: "boot\n", host: "here\n" }],
  ["Realm", REALM, { firmware: "boot\nhere\n", host: "" }],
  ["Secure", SECURE, { firmware: "boot\nhere\n", host: "" }],
] as const)("UART 0 is shared by EL3 and %s EL2: each line goes to the console of who wrote it", async (_state, scr, expected) => {
  const machine = await machineOf(
    firmware(
      () => print(UART0, "boot\n"),
      (at) => leave(at, scr),
      () => print(UART0, "here\n"),
    ),
  );
  const writers: (Writer | undefined)[] = [];
  machine.console.onData((_bytes, writer) => writers.push(writer));
  await machine.runInstructions(400);
  const { consoles } = machine;
  expect({ firmware: consoles.firmware.text, host: consoles.host.text }).toEqual(expected);
  expect(machine.console.text).toBe("boot\nhere\n");
  const security = { [`${NS}`]: 1, [`${REALM}`]: 3, [`${SECURE}`]: 0 }[`${scr}`];
  expect([writers[0], writers.at(-1)]).toEqual([
    { el: 3, security: 2 },
    { el: 2, security },
  ]);
});

test("UART 1 is the Secure console, and takes input", async () => {
  const poll = [0xb940_1822, 0x3727_ffe2, 0xb940_0023, 0xb900_0023]; // ldr w2, [x1, #0x18]; tbnz w2, #4, .-4; ldr w3, [x1]; str w3, [x1]
  const machine = await machineOf(firmware(() => [...print(UART1, "secure"), ...poll]));
  machine.consoles.secure.send("!");
  await machine.consoles.secure.waitFor(/secure!/);
  expect(machine.consoles.firmware.text).toBe("");
});

test("what is typed into Firmware or Host reaches UART 0", async () => {
  const poll = [0xb940_1822, 0x3727_ffe2, 0xb940_0023, 0xb900_0023];
  const machine = await machineOf(firmware(() => [...print(UART0, ""), ...poll, ...poll]));
  machine.consoles.host.send("a");
  await machine.consoles.firmware.waitFor(/a/);
  machine.consoles.firmware.send("b");
  await machine.consoles.firmware.waitFor(/b/);
});

test("a machine of agents: firmware and host say what they do, the guest has the realm's console", async () => {
  const kernel = new URL("../../firmware/realm-hello/realm-hello.img", import.meta.url).pathname;
  const machine = await Machine.create({ kernel, memory: 32 * MiB, realm: { teardown: true } });
  expect(await machine.run()).toEqual({ kind: "poweroff" });
  const { firmware, secure, host, realm } = machine.consoles;
  expect(firmware.text).toMatch(/^SMC_RMI_REALM_CREATE +[0-9a-f]+ [0-9a-f]+ > RMI_SUCCESS\r$/m);
  expect(host.text).toMatch(/host: realm activated\r\n[\s\S]*host: realm at 0x[0-9a-f]+ destroyed\r\n$/);
  expect(realm.text).toBe(machine.console.text);
  expect(realm.text).toContain("realm-hello");
  expect([secure.text, firmware.text.includes("realm-hello")]).toEqual(["", false]);
});
