// Delegation wipes memory; memory that nobody has used yet is zero already and is not taken from the host for that.

import { expect, test } from "vitest";
import { RealmHost } from "../../src/harness/index.ts";

const GRANULE = 4096;
const COUNT = 64;

test("delegating unused memory touches none of it; used memory comes back zero", () => {
  const host = RealmHost.create({ memory: 16 * 2 ** 20 });
  const { phys } = host.board;
  const base = host.granule(COUNT);
  const touched = phys.touched;
  for (let i = 0; i < COUNT; i++) expect(host.rmi.GRANULE_DELEGATE(base + i * GRANULE).ok).toBe(true);
  expect(phys.touched).toBe(touched);
  expect(host.at(base).read()).toMatchObject({ ok: false });

  expect(host.rmi.GRANULE_UNDELEGATE(base).ok).toBe(true);
  expect(phys.isBlank(base + GRANULE)).toBe(true);
  host.memory.write(base, new Uint8Array(GRANULE).fill(0xa5));
  expect(phys.isBlank(base + GRANULE)).toBe(false);
  expect(host.rmi.GRANULE_DELEGATE(base).ok).toBe(true);
  expect(host.rmi.GRANULE_UNDELEGATE(base).ok).toBe(true);
  expect(host.memory.read(base, GRANULE)).toEqual(new Uint8Array(GRANULE));
});
