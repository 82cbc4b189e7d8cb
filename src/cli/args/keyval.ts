// QEMU's `first,key=value,key=value` notation. A comma inside a value is written twice.

import { usageError } from "../../util/errors.ts";

export interface KeyValues {
  /** A first word without "=", if there is one. */
  readonly head: string | undefined;
  readonly values: ReadonlyMap<string, string>;
}

/** Splits the text. Only the first word may stand without "="; a key may be given once. */
export function parseKeyValues(text: string, option: string): KeyValues {
  const words = splitAtCommas(text);
  const values = new Map<string, string>();
  let head: string | undefined;
  words.forEach((word, index) => {
    const equals = word.indexOf("=");
    if (equals < 0 && index === 0) {
      head = word;
      return;
    }
    const key = word.slice(0, Math.max(0, equals));
    if (key === "") throw usageError("bad-option-value", `${option}: "${word}" is not of the form key=value`);
    if (values.has(key)) throw usageError("bad-option-value", `${option}: "${key}" is given twice`);
    values.set(key, word.slice(equals + 1));
  });
  return { head, values };
}

function splitAtCommas(text: string): string[] {
  const words: string[] = [];
  let word = "";
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== ",") word += text[i];
    else if (text[i + 1] === ",") {
      word += ",";
      i++;
    } else {
      words.push(word);
      word = "";
    }
  }
  return [...words, word];
}

/** "on" or "off" (also yes/no, true/false, as QEMU takes them). */
export function parseSwitch(text: string, option: string): boolean {
  if (/^(on|yes|true)$/.test(text)) return true;
  if (/^(off|no|false)$/.test(text)) return false;
  throw usageError("bad-option-value", `${option}: "${text}" is neither on nor off`);
}

/** Complains about keys that nobody knows. */
export function allowKeys(values: ReadonlyMap<string, string>, known: readonly string[], option: string): void {
  for (const key of values.keys()) {
    if (!known.includes(key)) throw usageError("bad-option-value", `${option}: unknown "${key}" (known: ${known.join(", ")})`);
  }
}
