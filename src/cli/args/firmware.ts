// Options of machines that start in flash: --bios, --drive if=pflash, --device loader, --fw-cfg.

import type { FwCfgEntry, LoaderEntry } from "../../harness/index.ts";
import { usageError } from "../../util/errors.ts";
import type { Drive } from "./drives.ts";
import { allowKeys, parseKeyValues, parseSwitch } from "./keyval.ts";

/** What the machine's firmware is and gets. */
export interface FirmwareOptions {
  /** File with the contents of flash bank 0, from its start on. */
  readonly bios: string | undefined;
  /** Files that are flash banks. */
  readonly pflash: readonly [Drive | undefined, Drive | undefined];
  readonly loaders: readonly LoaderEntry[];
  readonly fwCfg: readonly FwCfgEntry[];
}

interface RawFirmware {
  readonly bios?: string;
  readonly fwCfg?: readonly string[];
}

/** The firmware options among all; drives and devices that are none of them are left for others. */
export interface Separated {
  /** undefined: there are none. */
  readonly firmware: FirmwareOptions | undefined;
  readonly drives: string[];
  readonly devices: string[];
}

export function separateFirmware(raw: RawFirmware, drives: readonly string[], devices: readonly string[]): Separated {
  const isFlash = (option: string): boolean => parseKeyValues(option, "--drive").values.get("if") === "pflash";
  const isLoader = (option: string): boolean => parseKeyValues(option, "--device").head === "loader";
  const pflash = parseFlash(drives.filter(isFlash));
  const loaders = devices.filter(isLoader).map(parseLoader);
  const fwCfg = (raw.fwCfg ?? []).map(parseFwCfg);
  if (raw.bios !== undefined && pflash[0] !== undefined)
    throw usageError("two-firmwares", "--bios and --drive if=pflash,unit=0 both say what flash bank 0 holds");
  const given = raw.bios !== undefined || pflash[0] !== undefined;
  if (loaders.length > 0 && !given) throw usageError("loader-firmware", "--device loader needs firmware (--bios or --drive if=pflash)");
  const any = given || pflash[1] !== undefined || fwCfg.length > 0;
  return {
    firmware: any ? { bios: raw.bios, pflash, loaders, fwCfg } : undefined,
    drives: drives.filter((d) => !isFlash(d)),
    devices: devices.filter((d) => !isLoader(d)),
  };
}

const UNITS = ["0", "1"] as const;

/** Banks in the order given, or by unit. */
function parseFlash(options: readonly string[]): [Drive | undefined, Drive | undefined] {
  const banks: [Drive | undefined, Drive | undefined] = [undefined, undefined];
  for (const option of options) {
    const { values } = parseKeyValues(option, "--drive");
    allowKeys(values, ["file", "format", "readonly", "if", "unit", "index", "id"], "--drive if=pflash");
    const file = values.get("file");
    if (!file) throw usageError("bad-drive", "--drive if=pflash: file=NAME is missing");
    const format = values.get("format") ?? "raw";
    if (format !== "raw") throw usageError("bad-drive", `--drive if=pflash: format ${format} is not supported, only raw`);
    const text = values.get("unit") ?? values.get("index");
    const unit = text === undefined ? banks.indexOf(undefined) : (UNITS as readonly string[]).indexOf(text);
    if (unit < 0) throw usageError("bad-drive", "--drive if=pflash: there are two banks of flash, unit=0 and unit=1");
    if (banks[unit] !== undefined) throw usageError("bad-drive", `--drive if=pflash: flash bank ${unit} has two drives`);
    const readonly = parseSwitch(values.get("readonly") ?? "off", "--drive readonly");
    banks[unit] = { file, readonly, probe: false };
  }
  return banks;
}

function parseLoader(option: string): LoaderEntry {
  const { values } = parseKeyValues(option, "--device");
  allowKeys(values, ["file", "addr", "cpu-num", "force-raw", "data", "data-len", "data-be", "id"], "--device loader");
  const number = (key: string): bigint | undefined => {
    const text = values.get(key);
    if (text === undefined) return undefined;
    if (/^(0x[0-9a-f]{1,16}|\d{1,19})$/i.test(text)) return BigInt(text);
    throw usageError("bad-device", `--device loader: ${key}=${text} is not a number`);
  };
  const file = values.get("file");
  const [addr, pe, data] = [number("addr"), number("cpu-num"), number("data")];
  if (addr !== undefined && addr >= 1n << 52n) throw usageError("bad-device", "--device loader: addr has more than 52 bits");
  if (file === undefined && data === undefined && pe === undefined)
    throw usageError("bad-device", "--device loader: say file=NAME, or data=VALUE with data-len=1, 2, 4 or 8, or cpu-num=N");
  if (file !== undefined && data !== undefined) throw usageError("bad-device", "--device loader: file and data exclude each other");
  return {
    ...(file === undefined ? {} : { file }),
    ...(addr === undefined ? {} : { address: Number(addr) }),
    ...(pe === undefined ? {} : { pe: Number(pe) }),
    ...(data === undefined ? {} : { data: dataOf(data, values) }),
    raw: parseSwitch(values.get("force-raw") ?? "off", "--device loader force-raw"),
  };
}

function dataOf(value: bigint, values: ReadonlyMap<string, string>): { value: bigint; bytes: 1 | 2 | 4 | 8 } {
  const bytes = Number(values.get("data-len"));
  if (bytes !== 1 && bytes !== 2 && bytes !== 4 && bytes !== 8) throw usageError("bad-device", "--device loader: data-len is 1, 2, 4 or 8");
  if (!parseSwitch(values.get("data-be") ?? "off", "--device loader data-be")) return { value, bytes };
  let swapped = 0n;
  for (let i = 0; i < bytes; i++) swapped = (swapped << 8n) | ((value >> BigInt(8 * i)) & 0xffn);
  return { value: swapped, bytes };
}

/** "name=opt/x,string=text" or "name=opt/x,file=NAME" ("opt/x,..." too). */
function parseFwCfg(option: string): FwCfgEntry {
  const { head, values } = parseKeyValues(option, "--fw-cfg");
  allowKeys(values, ["name", "string", "file"], "--fw-cfg");
  const name = head ?? values.get("name");
  const [string, file] = [values.get("string"), values.get("file")];
  if (!name || (string === undefined) === (file === undefined))
    throw usageError("bad-fw-cfg", "--fw-cfg: say name=opt/NAME with string=TEXT or file=FILE");
  return string === undefined ? { name, file: file as string } : { name, data: new TextEncoder().encode(string) };
}
