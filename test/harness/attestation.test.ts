// The verifier against tokens that are damaged, forged or no tokens at all.

import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { runCommandLine } from "../../src/cli/command.ts";
import { PlatformAttestation } from "../../src/el3/monitor-attest.ts";
import { EmuError, verifyToken } from "../../src/harness/index.ts";
import { encodeCbor } from "../../src/rmm/cbor.ts";
import { coseKey, sign1 } from "../../src/rmm/cose.ts";
import { ccaToken, platformChallenge } from "../../src/rmm/token.ts";

const platform = new PlatformAttestation(1n, [{ type: "RMM", version: "1.0", measured: Uint8Array.of(1) }]);
const bytes = (n: number, value: number): Uint8Array => new Uint8Array(n).fill(value);

/** A token as the RMM makes it; `later`: as one of the 2.0 generation does. */
function token(
  o: { size?: number; algorithm?: string; realmKey?: Uint8Array; platformChallenge?: Uint8Array; later?: { format: number } } = {},
): Uint8Array {
  const { size = 32, algorithm = "sha-256", realmKey = platform.realmKey } = o;
  const publicKey = coseKey(realmKey);
  const claims = encodeCbor({
    map: [
      [10, bytes(64, 1)],
      [44235, bytes(64, 2)],
      [44237, publicKey],
      [44236, algorithm],
      [44240, "sha-256"],
      [265, "tag:arm.com,2023:realm#1.0.0"],
      [44238, bytes(size, 3)],
      [44239, { array: [4, 5, 6, 7].map((v) => bytes(size, v)) }],
    ],
  });
  const ofPlatform = platform.token(o.platformChallenge ?? platformChallenge(publicKey));
  const ofRealm = sign1(realmKey, claims);
  if (o.later === undefined) return ccaToken(ofPlatform, ofRealm);
  const part = (bytes: Uint8Array) => ({ array: [o.later?.format ?? 0, bytes] });
  return encodeCbor({
    tag: 907,
    value: {
      map: [
        [44234, part(ofPlatform)],
        [44241, part(ofRealm)],
      ],
    },
  });
}
const failed = (t: Uint8Array, e: Parameters<typeof verifyToken>[1] = {}): string[] =>
  verifyToken(t, { platformKey: platform.platformPublicKey, ...e })
    .checks.filter((c) => !c.ok)
    .map((c) => c.name);

test("a good token", () => {
  const expected = { challenge: bytes(64, 1), rim: bytes(32, 3), personalizationValue: bytes(64, 2) };
  expect(failed(token(), expected)).toEqual([]);
  expect(failed(token({ size: 64, algorithm: "sha-512" }))).toEqual([]);
});

test("a good token of the 2.0 generation", () => {
  const expected = { challenge: bytes(64, 1), rim: bytes(32, 3) };
  expect(failed(token({ later: { format: 263 } }), expected)).toEqual([]);
  expect(() => verifyToken(token({ later: { format: 60 } }))).toThrow(/claim 44234 of the token is not an EAT/);
});

test("a token is not valid without a platform key, with another one, or with another realm key than the platform vouches for", () => {
  const other = new PlatformAttestation(2n, []);
  expect(failed(token(), { platformKey: undefined })).toEqual(["platform signature"]);
  expect(failed(token(), { platformKey: other.platformPublicKey })).toEqual(["platform signature"]);
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  expect(failed(token(), { platformKey: publicKey.export({ type: "spki", format: "pem" }) as string })).toEqual(["platform signature"]);
  expect(failed(token(), { platformKey: publicKey.export({ type: "spki", format: "der" }) })).toEqual(["platform signature"]);
  expect(failed(token({ realmKey: other.realmKey, platformChallenge: platformChallenge(coseKey(platform.realmKey)) }))).toEqual([
    "realm key bound to the platform",
  ]);
});

test("measurements of another size than the algorithm's", () => {
  expect(failed(token({ size: 64 }))).toEqual(["sizes of measurements"]);
});

test("no byte of a token can be changed", () => {
  const good = token();
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = good.slice();
      bad[at] = (bad[at] as number) ^ flip;
      let report: ReturnType<typeof verifyToken>;
      try {
        report = verifyToken(bad, { platformKey: platform.platformPublicKey });
      } catch (error) {
        return error instanceof EmuError && error.code === "token-malformed";
      }
      return !report.ok;
    }),
    { numRuns: 300 },
  );
});

test("what is no token is refused by name", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (garbage) => {
      try {
        verifyToken(garbage);
        return false;
      } catch (error) {
        return error instanceof EmuError && error.code === "token-malformed";
      }
    }),
  );
  expect(() => verifyToken(new Uint8Array(70_000))).toThrow(expect.objectContaining({ code: "token-malformed" }));
  expect(() => verifyToken(token(), { platformKey: "x" })).toThrow(expect.objectContaining({ code: "platform-key" }));
});

test("on the command line", async () => {
  const dir = mkdtempSync(join(tmpdir(), "rme-token-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const emu = async (content: string | Uint8Array, ...argv: string[]) => {
    writeFileSync(join(dir, "t"), content);
    let text = "";
    const out = { write: (chunk: string) => (text += chunk) };
    return { code: await runCommandLine(["verify-token", join(dir, "t"), ...argv], { stdout: out, stderr: out }), text };
  };
  const good = Buffer.from(token());
  for (const form of [good, good.toString("hex"), good.toString("base64").replace(/.{76}/g, "$&\n")])
    expect((await emu(form, "--rim", "03".repeat(32))).code).toBe(0);
  const json = JSON.parse((await emu(good, "--format", "json")).text);
  expect([json.ok, json.realm.rim, json.platform.lifecycle]).toEqual([true, "03".repeat(32), 0x3003]);
  expect((await emu("", "--format", "json")).code).toBe(2);
  expect(await emu("nothing")).toMatchObject({ code: 1, text: expect.stringContaining("no CCA attestation token") });
  for (const wrong of [
    ["--rim", "00"],
    ["--challenge", "x"],
    ["--realm-pv", "x".repeat(65)],
    ["--format", "xml"],
  ])
    expect((await emu(good, ...wrong)).code).toBe(2);
  expect((await emu(good, "--platform-key", join(dir, "none"))).code).toBe(1);
});
