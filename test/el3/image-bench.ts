// A machine whose RMM is an image, and the test plays that image: it sets registers at R-EL2 and executes SMC.

import { expect } from "vitest";
import { Off } from "../../src/arch/layout.ts";
import { Security } from "../../src/arch/security.ts";
import { Gpi } from "../../src/gpt/format.ts";
import { SysOp } from "../../src/isa/sysops.ts";
import { Bench, RAM } from "../rmm/bench.ts";

export const BASE = RAM.base + 0x200_0000;
export const SHARED = BASE + 0x1_0000;
export const RESERVE = { base: BASE + 0x2_0000, size: 0x4000 };
export const IMAGE = Uint8Array.of(1, 2, 3, 4);
export const V2 = 0x2_0000n;
export const V0_8 = 8n;

const BOOT_COMPLETE = 0xc400_01cf;
const VERSION_NOT_VALID = -2;

/** A register with a negative status. */
export const minus = (n: number): bigint => BigInt.asUintN(64, BigInt(-n));

/** PE 0 stands at the entry point of the image, where it has refused the versions of the RMM-EL3 interface that are not `version`. */
export function imageBench(version: bigint = V2): Bench {
  const b = new Bench();
  // Bench registers an agent and starts the PEs with it: start again without.
  b.monitor.useAgent(undefined as never);
  b.monitor.reset();
  b.monitor.gpt.layout.regions satisfies readonly object[];
  (b.monitor.gpt.layout.regions as { base: number; size: number; gpi: Gpi }[]).push({ base: BASE, size: 0x10_0000, gpi: Gpi.Realm });
  b.monitor.useImage({
    base: BASE,
    image: IMAGE,
    shared: SHARED,
    reserve: RESERVE,
    manifest: { banks: [RAM], consoles: [{ base: 0x0900_0000, pages: 1, clockHz: 1, baud: 115200 }] },
  });
  for (const pe of b.pes) pe.setAgent(2, Security.Realm, undefined);
  b.pe().reset();
  b.monitor.coldBoot(b.pe(), 0x4000_1000n, 0x77n);
  while (b.pe().st.x(1) !== version && !b.atHost()) smc(b, BOOT_COMPLETE, VERSION_NOT_VALID);
  return b;
}

/** An SMC of the image on a PE: x0..x7 afterwards. */
export function smcOn(b: Bench, n: number, fid: number, ...args: (number | bigint)[]): bigint[] {
  const pe = b.pe(n);
  const { st } = pe;
  expect([st.el, pe.security]).toEqual([2, Security.Realm]);
  st.setX(0, BigInt(fid));
  for (const [i, a] of args.entries()) st.setX(i + 1, BigInt.asUintN(64, BigInt(a)));
  pe.system(SysOp.SMC, 0xd400_0003);
  return Array.from({ length: 8 }, (_, i) => st.x(i));
}
/** The same on PE 0. */
export const smc = (b: Bench, fid: number, ...args: (number | bigint)[]): bigint[] => smcOn(b, 0, fid, ...args);

/** The image says that its boot has ended, with a status and its activation token. */
export const complete = (b: Bench, token: number | bigint = 0, n = 0, code = 0): void => void smcOn(b, n, BOOT_COMPLETE, code, token);

/** Starts a PE, which boots the image before it goes to the Non-secure world. */
export function start(b: Bench, n: number): bigint[] {
  b.pe(n).reset();
  b.monitor.coldBoot(b.pe(n), 0x4000_2000n, 0n);
  const { st } = b.pe(n);
  return [st.pc, ...Array.from({ length: 5 }, (_, i) => st.x(i)), BigInt(st.lo(Off.EL))];
}
