// Sixteen granules share an entry of the granule protection table: the explanation names who wrote the field of this one.

import { expect, test } from "vitest";
import { RealmHost } from "../../src/harness/index.ts";
import { protectingCall } from "../../src/harness/vitest.ts";

test("the writer of a granule's field, not of its neighbours'", () => {
  const host = RealmHost.create();
  const pas = Array.from({ length: 48 }, () => host.granule());
  for (const pa of pas) host.rmi.GRANULE_DELEGATE(pa);
  for (const [i, pa] of pas.entries()) if (i % 3 === 0) host.rmi.GRANULE_UNDELEGATE(pa);
  for (const [i, pa] of pas.entries()) {
    const t = host.at(pa).read();
    expect(t.ok).toBe(i % 3 === 0);
    if (!t.ok) expect(protectingCall(t)).toMatch(/^RMI_GRANULE_DELEGATE /);
  }
});
