// The report that a realm under an RMM image fetches, from the shell of Debian's kernel.

import { expect } from "vitest";
import { type Machine, type TokenReport, verifyToken } from "../../src/harness/index.ts";
import { expectedRim } from "../../src/host/index.ts";
import type { RealmSoftware } from "../../src/machine/realms.ts";
import { shell } from "./linux.ts";

const REPORT = "/sys/kernel/config/tsm/report/r";
const CHALLENGE = "0123456789abcdef".repeat(4);

/** Verified with the keys of our EL3 monitor and the measurement of the realm that its host has planned. */
export async function attested(machine: Machine, rmi?: "2.0"): Promise<TokenReport> {
  const ready = "modprobe arm_cca_guest && mount -t configfs none /sys/kernel/config && mkdir -p";
  expect(await shell(machine, `${ready} ${REPORT}; echo $?`)).toBe("0\n");
  expect(await shell(machine, `printf %s ${CHALLENGE} > ${REPORT}/inblob; cat ${REPORT}/provider`)).toBe("arm_cca_guest\n");
  const token = Buffer.from(await shell(machine, `base64 ${REPORT}/outblob`), "base64");
  const { realm, monitor } = machine.board.software as RealmSoftware;
  return verifyToken(token, {
    challenge: new TextEncoder().encode(CHALLENGE),
    rim: expectedRim(realm.config, rmi),
    platformKey: monitor.attestation.platformPublicKey,
  });
}
