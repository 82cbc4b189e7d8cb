// What consoles are called where several share a stream, and in which colour.

import { Security } from "../../arch/security.ts";
import type { ConsoleName, Writer } from "../../harness/index.ts";
import type { MarkColours } from "./line-marker.ts";

/** The firmware console by whoever wrote: EL3, the RMM at R-EL2, or the Secure world. */
const FIRMWARE: Readonly<Record<number, string>> = { [Security.Root]: "Root", [Security.Realm]: "RMM", [Security.Secure]: "Secure" };
const OTHERS: Readonly<Record<ConsoleName, string>> = { firmware: "Firmware", secure: "Secure", host: "Host", realm: "Realm" };

/** The longest of all. */
export const LABEL_WIDTH = 8;

/** Mark of a line that `writer` wrote to the console `name`. */
export function labelOf(name: ConsoleName, writer: Writer | undefined): string {
  if (name === "firmware" && writer !== undefined) return FIRMWARE[writer.security] ?? OTHERS.firmware;
  return OTHERS[name];
}

export const COLOURS: MarkColours = {
  Root: "\x1b[31m",
  Firmware: "\x1b[31m",
  RMM: "\x1b[35m",
  Secure: "\x1b[33m",
  Host: "\x1b[36m",
  Realm: "\x1b[32m",
};

/** Titles of panes. */
export const TITLES: Readonly<Record<ConsoleName, string>> = {
  firmware: "Firmware (Root)",
  secure: "Secure",
  host: "Host (Non-secure)",
  realm: "Realm",
};
