// Numbers and sizes as people type them.

import { usageError } from "../../util/errors.ts";

const UNITS: Record<string, number> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Memory that a machine can have, in bytes. */
export const MIN_MEMORY = 2 * 2 ** 20;
export const MAX_MEMORY = 8 * 2 ** 30;

/**
 * A size in bytes: a number with K, M, G or T (powers of 1024; an added "B" or "iB" is understood), a fraction if it comes out
 * as whole bytes. A number without a unit counts in `plainUnit`.
 */
export function parseSize(text: string, option: string, plainUnit: keyof typeof UNITS): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?)?$/i.exec(text.trim());
  const bytes = match ? Number(match[1]) * (UNITS[(match[2] ?? plainUnit).toUpperCase()] ?? Number.NaN) : Number.NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw usageError("bad-size", `${option}: "${text}" is not a size (for example 512M or 2G)`);
}

/** The memory of a machine, in bytes. A number without a unit counts in MiB, as on QEMU. */
export function parseMemory(text: string): number {
  const bytes = parseSize(text, "--memory", "M");
  if (bytes < MIN_MEMORY || bytes > MAX_MEMORY) {
    throw usageError("bad-size", `--memory: "${text}" is out of range (2M to 8G)`);
  }
  if (bytes % 2 ** 20 !== 0) throw usageError("bad-size", `--memory: "${text}" is not a whole number of MiB`);
  return bytes;
}

/** A whole decimal number within a range, both ends included. */
export function parseCount(text: string, option: string, low: number, high: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= low && value <= high) return value;
  throw usageError("bad-number", `${option}: "${text}" is not a number from ${low} to ${high}`);
}
