// `rme-emu verify-token` on the command line.

import type { Command } from "commander";
import { usageError } from "../util/errors.ts";

const FORMATS = ["text", "json"] as const;

export interface VerifyTokenCommand {
  readonly kind: "verify-token";
  /** The token: CBOR, base64 or hexadecimal; "-": standard input. */
  readonly file: string;
  /** File with the platform attestation public key; absent: that of this emulator's machines. */
  readonly platformKey: string | undefined;
  readonly challenge: Uint8Array | undefined;
  readonly rim: Uint8Array | undefined;
  readonly personalizationValue: Uint8Array | undefined;
  readonly format: (typeof FORMATS)[number];
}

interface Raw {
  readonly platformKey?: string;
  readonly challenge?: string;
  readonly rim?: string;
  readonly personalizationValue?: string;
  readonly realmPv?: string;
  readonly format: string;
}

export function addVerifyTokenCommand(program: Command, choose: (command: VerifyTokenCommand) => void): void {
  program
    .command("verify-token")
    .description("verify the attestation token of a realm: signatures, and what is expected of it")
    .argument("<file>", "the token as the realm read it: CBOR, base64 or hexadecimal; - is standard input")
    .option("--rim <hex>", "expected Realm Initial Measurement, as rme-emu measure prints it")
    .option("--challenge <hex>", "expected challenge; zeros follow up to 64 bytes")
    .option("--personalization-value <hex>", "expected personalization value; zeros follow up to 64 bytes")
    .option("--realm-pv <text>", "the same as text")
    .option("--platform-key <file>", "public key of the platform: PEM, DER or COSE_Key (default: that of rme-emu's machines)")
    .option("--format <name>", "text or json", "text")
    .allowExcessArguments(false)
    .action((file: string, raw: Raw) => choose(verifyTokenCommand(file, raw)));
}

function verifyTokenCommand(file: string, raw: Raw): VerifyTokenCommand {
  const format = FORMATS.find((f) => f === raw.format);
  if (format === undefined) throw usageError("bad-choice", `--format: "${raw.format}" is neither ${FORMATS.join(" nor ")}`);
  return {
    kind: "verify-token",
    file,
    platformKey: raw.platformKey,
    challenge: bytes("--challenge", raw.challenge, 64),
    rim: measurement(bytes("--rim", raw.rim, 64)),
    personalizationValue:
      raw.realmPv === undefined
        ? bytes("--personalization-value", raw.personalizationValue, 64)
        : limited("--realm-pv", new TextEncoder().encode(raw.realmPv), 64),
    format,
  };
}

function bytes(option: string, text: string | undefined, most: number): Uint8Array | undefined {
  if (text === undefined) return undefined;
  if (!/^(0x)?([0-9a-fA-F]{2})+$/.test(text)) throw usageError("bad-hex", `${option}: "${text}" is not hexadecimal`);
  return limited(
    option,
    Uint8Array.from(text.replace(/^0x/, "").match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)),
    most,
  );
}
function limited(option: string, value: Uint8Array, most: number): Uint8Array {
  if (value.length > most) throw usageError("bad-hex", `${option}: at most ${most} bytes, not ${value.length}`);
  return value;
}
function measurement(rim: Uint8Array | undefined): Uint8Array | undefined {
  if (rim && rim.length !== 32 && rim.length !== 64)
    throw usageError("bad-hex", `--rim: a measurement has 32 or 64 bytes, not ${rim.length}`);
  return rim;
}
