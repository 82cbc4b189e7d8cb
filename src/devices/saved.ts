// Reading back what a device saved: every field is checked, because a snapshot is a file that somebody may have damaged.

import { EmuError } from "../util/errors.ts";
import type { Saved } from "../util/stateful.ts";

const corrupt = (what: string, why: string): EmuError => new EmuError("snapshot-corrupt", `snapshot of ${what}: ${why}`);

/** A checked view of the object that a device's `save()` returned. Every accessor throws EmuError("snapshot-corrupt") on a bad field. */
export class SavedFields {
  private readonly fields: { [key: string]: Saved };
  private readonly what: string;

  /** `what` names the part in messages, for example "pl011". */
  constructor(state: Saved, what: string) {
    if (typeof state !== "object" || state === null || Array.isArray(state) || state instanceof Uint8Array) {
      throw corrupt(what, "not an object");
    }
    this.fields = state;
    this.what = what;
  }

  has(key: string): boolean {
    return this.fields[key] !== undefined;
  }

  /** An unsigned integer in [0, max]; the default is 32 bits. */
  uint(key: string, max = 0xffff_ffff): number {
    const v = this.fields[key];
    if (typeof v !== "number" || !Number.isInteger(v) || v < 0 || v > max)
      throw corrupt(this.what, `${key} is not an integer in [0, ${max}]`);
    return v;
  }

  /** Any number that is not NaN (times in nanoseconds may be Infinity). */
  number(key: string): number {
    const v = this.fields[key];
    if (typeof v !== "number" || Number.isNaN(v)) throw corrupt(this.what, `${key} is not a number`);
    return v;
  }

  bool(key: string): boolean {
    const v = this.fields[key];
    if (typeof v !== "boolean") throw corrupt(this.what, `${key} is not a boolean`);
    return v;
  }

  /** Raw bytes, exactly `length` of them when a length is given. */
  bytes(key: string, length?: number): Uint8Array {
    const v = this.fields[key];
    if (!(v instanceof Uint8Array) || (length !== undefined && v.length !== length))
      throw corrupt(this.what, `${key} is not the expected bytes`);
    return v;
  }

  /** A list of any kind, of `length` elements when a length is given. */
  list(key: string, length?: number): Saved[] {
    const v = this.fields[key];
    if (!Array.isArray(v) || (length !== undefined && v.length !== length)) throw corrupt(this.what, `${key} is not the expected list`);
    return v;
  }

  /** A list of at most `maxLength` unsigned integers in [0, max]. */
  uints(key: string, maxLength: number, max: number): number[] {
    const list = this.list(key);
    if (list.length > maxLength) throw corrupt(this.what, `${key} has more than ${maxLength} elements`);
    return list.map((v) => {
      if (typeof v !== "number" || !Number.isInteger(v) || v < 0 || v > max) throw corrupt(this.what, `${key} has a bad element`);
      return v;
    });
  }

  /** Copies a list of unsigned integers of the target's width into it; it has as many. */
  uintsInto(key: string, target: Uint32Array | Uint8Array): void {
    const list = this.uints(key, target.length, 2 ** (8 * target.BYTES_PER_ELEMENT) - 1);
    if (list.length < target.length) throw corrupt(this.what, `${key} has ${list.length} elements, not ${target.length}`);
    target.set(list);
  }

  /** Whatever is stored under `key`, for the part that knows its shape. */
  part(key: string): Saved {
    const v = this.fields[key];
    if (v === undefined) throw corrupt(this.what, `${key} is missing`);
    return v;
  }
}
