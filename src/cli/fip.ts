// Looks into firmware files: what they hold, what each part is, and its bytes as files.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FactRange } from "../loader/fit.ts";
import { type ImageInfo, type ImagePart, imageInfo } from "../loader/image-info.ts";
import { EmuError, hex, usageError } from "../util/errors.ts";
import type { Output } from "./command.ts";
import type { FipCommand } from "./fip-command.ts";

/** Runs the command; answers the exit code. */
export function runFip(c: FipCommand, output: Output): number {
  const data = read(c.file);
  const info = imageInfo(data, c.action !== "info");
  if (c.action === "extract") extract(c, data, info, output);
  else if (c.format === "json") output.stdout.write(`${JSON.stringify(c.action === "list" ? listing(info) : info, null, 2)}\n`);
  else output.stdout.write(c.action === "list" ? listText(info) : infoText(info).join(""));
  return 0;
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (e) {
    throw new EmuError("file-unreadable", `cannot read "${path}": ${(e as NodeJS.ErrnoException).code ?? String(e)}`);
  }
}

const listing = (info: ImageInfo): Pick<ImagePart, "name" | "title" | "offset" | "size">[] =>
  info.parts.map(({ name, title, offset, size }) => ({ name, title, offset, size }));

const address = (v: number): string => `0x${v.toString(16).padStart(8, "0")}`;

function listText(info: ImageInfo): string {
  if (info.parts.length === 0) return `${info.what}, ${info.size} bytes; there is nothing inside\n`;
  const row = (offset: string, size: string, name: string, title: string): string =>
    `${offset.padEnd(10)}  ${size.padStart(10)}  ${name.padEnd(18)}  ${title}\n`;
  return row("offset", "bytes", "name", "what") + info.parts.map((p) => row(address(p.offset), `${p.size}`, p.name, p.title)).join("");
}

const rangeText = (r: FactRange): string => `${address(r.base)} to ${address(r.base + r.size - 1)}`;

/** Lines about a file and everything in it. */
function infoText(info: ImageInfo, indent = ""): string[] {
  const line = (text: string): string => `${indent}${text}\n`;
  const out = [line(`${info.what}, ${info.size} bytes`)];
  const fact = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== "") out.push(line(`  ${name.padEnd(10)} ${value}`));
  };
  for (const version of info.versions) fact("version", version);
  fact("platform", info.platform);
  fact("entry", info.entry === undefined ? undefined : hex(info.entry));
  for (const { from, to } of info.loads) fact("loaded at", `${address(from)} to ${address(to - 1)}`);
  for (const r of info.maps) fact("maps", `${rangeText(r)}${r.device ? "  device" : ""}`);
  if (info.kind === "tf-a" || info.parts.length > 0)
    fact("RME", info.rme ? "yes: it switches granule protection checks on" : info.stage === "BL1" ? undefined : "no");
  for (const part of info.parts) {
    out.push(line(`  ${address(part.offset)}  ${part.name} (${part.title})`));
    if (part.name !== "fip") out.push(...infoText(part.info, `${indent}    `));
  }
  return out;
}

function extract(c: FipCommand, data: Uint8Array, info: ImageInfo, output: Output): void {
  if (info.parts.length === 0) throw new EmuError("fip-empty", `"${c.file}" is ${info.what}: there is nothing inside to extract`);
  const known = info.parts.map((p) => p.name);
  const unknown = c.names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw usageError("fip-names", `there is no image "${unknown}" in "${c.file}" (it has ${known.join(", ")})`);
  // Without names: the images of a package, but not the package as a whole.
  const wanted = info.parts.filter((p) => (c.names.length > 0 ? c.names.includes(p.name) : p.name !== "fip"));
  const files = wanted.map((part) => ({ part, path: join(c.output, `${part.name}.bin`) }));
  const there = c.force ? undefined : files.find(({ path }) => existsSync(path));
  if (there !== undefined) throw new EmuError("file-exists", `"${there.path}" is there already; --force replaces it`);
  for (const { part, path } of files) {
    write(c.output, path, data.subarray(part.offset, part.offset + part.size));
    output.stdout.write(`${path}  ${part.size} bytes, ${part.title}\n`);
  }
}

function write(folder: string, path: string, data: Uint8Array): void {
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, data);
  } catch (e) {
    throw new EmuError("output-unwritable", `cannot write to "${path}": ${(e as NodeJS.ErrnoException).code ?? String(e)}`);
  }
}
