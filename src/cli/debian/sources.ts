// Where the machine gets its Debian packages: read from its own apt configuration, never from a built-in address.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EmuError } from "../../util/errors.ts";

/** One archive that apt is told to use. */
export interface AptSource {
  readonly types: readonly string[];
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/** Parses the one-line format of sources.list(5): `deb [options] uri suite component...`. */
export function parseSourcesList(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const raw of text.split("\n")) {
    const line = raw.replace(/#.*/, "").trim();
    const match = /^(deb|deb-src)\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*(.*)$/.exec(line);
    if (!match) continue;
    const [, type = "", uri = "", suite = "", rest = ""] = match;
    sources.push({ types: [type], uris: [uri], suites: [suite], components: words(rest) });
  }
  return sources;
}

/** Parses the deb822 format of sources.list(5): stanzas of `Field: values`, `#` comments, continuation lines. */
export function parseDeb822(text: string): AptSource[] {
  const sources: AptSource[] = [];
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  for (const stanza of lines.join("\n").split(/\n[ \t]*\n/)) {
    const fields = stanzaFields(stanza);
    if (/^(no|false|without|off|disable)$/i.test(fields.get("enabled") ?? "")) continue;
    const types = words(fields.get("types") ?? "");
    if (types.length === 0) continue;
    sources.push({
      types,
      uris: words(fields.get("uris") ?? ""),
      suites: words(fields.get("suites") ?? ""),
      components: words(fields.get("components") ?? ""),
    });
  }
  return sources;
}

function stanzaFields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let current = "";
  for (const line of stanza.split("\n")) {
    const match = /^([A-Za-z][A-Za-z0-9-]*):\s*(.*)$/.exec(line);
    if (match) {
      current = (match[1] ?? "").toLowerCase();
      fields.set(current, match[2] ?? "");
    } else if (/^\s/.test(line) && current) {
      fields.set(current, `${fields.get(current)} ${line.trim()}`);
    }
  }
  return fields;
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

/** Code names of the releases whose main archive has the suites we use. */
const DEBIAN_SUITE = /^(bullseye|bookworm|trixie|forky|duke|sid|unstable|testing|stable|oldstable)(-updates|-backports)?$/;

/** The address of a Debian main archive among the machine's sources; undefined when there is none (another distribution). */
export function debianArchive(sources: readonly AptSource[]): string | undefined {
  const usable = sources.filter((s) => s.types.includes("deb") && s.components.includes("main"));
  const main = usable.find((s) => s.suites.some((suite) => DEBIAN_SUITE.test(suite)));
  return main?.uris[0]?.replace(/\/+$/, "");
}

/** All sources of the machine, as apt would read them from its configuration folder. */
export function machineSources(etc: string): AptSource[] {
  const sources: AptSource[] = [];
  const list = join(etc, "sources.list");
  if (existsSync(list)) sources.push(...parseSourcesList(readFileSync(list, "utf8")));
  const parts = join(etc, "sources.list.d");
  for (const name of existsSync(parts) ? readdirSync(parts).sort() : []) {
    if (name.endsWith(".list")) sources.push(...parseSourcesList(readFileSync(join(parts, name), "utf8")));
    if (name.endsWith(".sources")) sources.push(...parseDeb822(readFileSync(join(parts, name), "utf8")));
  }
  return sources;
}

/** The Debian archive to use: `RME_EMU_DEBIAN_MIRROR`, else the machine's own. */
export function findMirror(env: NodeJS.ProcessEnv = process.env, etc = "/etc/apt"): string {
  const mirror = env["RME_EMU_DEBIAN_MIRROR"] || debianArchive(machineSources(etc));
  if (mirror) return mirror;
  throw new EmuError("no-debian-mirror", "this machine's apt configuration names no Debian archive; set RME_EMU_DEBIAN_MIRROR to one");
}

/** The keyring that Debian's archives are signed with. */
export function findKeyring(env: NodeJS.ProcessEnv = process.env): string {
  const path = env["RME_EMU_DEBIAN_KEYRING"] || "/usr/share/keyrings/debian-archive-keyring.gpg";
  if (existsSync(path)) return path;
  throw new EmuError(
    "no-debian-keyring",
    `${path} is missing (Debian package debian-archive-keyring); RME_EMU_DEBIAN_KEYRING names another`,
  );
}
