// `rme-emu verify-token`: judges the attestation report of a realm, as a relying party does.

import { readFileSync, statSync } from "node:fs";
import { PlatformAttestation } from "../el3/monitor-attest.ts";
import { type TokenReport, verifyToken } from "../harness/attestation.ts";
import { EmuError, usageError } from "../util/errors.ts";
import type { Output } from "./command.ts";
import type { VerifyTokenCommand } from "./verify-token-command.ts";

/** Larger files are no tokens. */
const MAX_FILE = 1 << 20;
/** Machines of the command line are made with this seed: their platform attestation key is always the same. */
const SEED = 1n;
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");

/** Prints the report; returns the exit code: 0 when every check holds. */
export function runVerifyToken(command: VerifyTokenCommand, output: Output): number {
  const { challenge, rim, personalizationValue } = command;
  const platformKey =
    command.platformKey === undefined ? new PlatformAttestation(SEED, []).platformPublicKey : readBytes(command.platformKey);
  const report = verifyToken(tokenBytes(readBytes(command.file)), { platformKey, challenge, rim, personalizationValue });
  output.stdout.write(command.format === "json" ? `${JSON.stringify(report, jsonBytes, 2)}\n` : reportText(report));
  return report.ok ? 0 : 1;
}

function readBytes(path: string): Buffer {
  try {
    if (path !== "-" && statSync(path).size > MAX_FILE) throw new EmuError("file-too-large", `"${path}" is too large for a token or a key`);
    return readFileSync(path === "-" ? 0 : path);
  } catch (error) {
    if (error instanceof EmuError) throw error;
    throw new EmuError("file-unreadable", `cannot read "${path}": ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

/** The bytes of a token; text from a guest's console, in base64 or hexadecimal, is decoded. */
function tokenBytes(file: Buffer): Uint8Array {
  const text = file.toString("latin1").replace(/\s/g, "");
  if (text.length === 0) throw usageError("token-empty", "the file with the token is empty");
  if (/^([0-9a-fA-F]{2})+$/.test(text)) return Buffer.from(text, "hex");
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return Buffer.from(text, "base64");
  return file;
}

const jsonBytes = (_key: string, value: unknown): unknown => (value instanceof Uint8Array ? hex(value) : value);

function reportText({ ok, checks, realm, platform }: TokenReport): string {
  const rows: (readonly [string, string])[] = [
    ["challenge", hex(realm.challenge)],
    ["RPV", hex(realm.personalizationValue)],
    ["hash", realm.hashAlgorithm],
    ["RIM", hex(realm.rim)],
    ...realm.rems.map((m, i) => [`REM ${i + 1}`, hex(m)] as const),
    ["platform", `implementation ${hex(platform.implementationId)}, lifecycle 0x${platform.lifecycle.toString(16)}`],
    ...platform.components.map((c) => ["component", `${c.type} ${c.version} ${hex(c.measurement)}`] as const),
  ];
  const lines = [
    ...rows.map(([name, value]) => `${name.padEnd(10)} ${value}`),
    ...checks.map((c) => `${c.ok ? "ok    " : "FAILED"}     ${c.name}${c.detail === undefined ? "" : `: ${c.detail}`}`),
    ok ? "the token is valid" : "the token is NOT valid",
  ];
  return `${lines.join("\n")}\n`;
}
