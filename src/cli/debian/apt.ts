// A private apt: lists, state and downloads of its own below the cache, for any suite and architecture.
// It needs no root and changes nothing on the system. apt verifies the archive's signature and every package's checksum.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { EmuError } from "../../util/errors.ts";
import { sha256File } from "./cache.ts";
import type { Progress } from "./progress.ts";
import { run } from "./run.ts";
import { findKeyring, findMirror } from "./sources.ts";

export type Architecture = "arm64" | "amd64";
/** What lists are fetched: packages of an architecture, or source packages. */
export type Lists = Architecture | "source";

/** A suite, and the suites it builds on (whose packages satisfy its dependencies). */
const SUITES: Record<string, readonly string[]> = {
  bookworm: ["bookworm"],
  trixie: ["trixie"],
  "trixie-backports": ["trixie", "trixie-backports"],
  sid: ["sid"],
};

export const suiteNames: readonly string[] = Object.keys(SUITES);

/** One package as the archive describes it. */
export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Names of the first alternative of each dependency. */
  readonly depends: readonly string[];
  readonly sha256: string;
}

/** A source package that was downloaded and verified. */
export interface DownloadedSource {
  readonly name: string;
  readonly version: string;
  readonly suite: string;
  /** Path of the .dsc file; the archives that it names are beside it. */
  readonly dsc: string;
  readonly sha256: string;
}

/** A package that was downloaded and verified. */
export interface DownloadedPackage extends PackageRecord {
  readonly suite: string;
  /** Path of the .deb file. */
  readonly file: string;
}

export class PrivateApt {
  readonly suite: string;
  readonly lists: Lists;
  private readonly dir: string;
  private readonly progress: Progress;
  private updated = false;

  constructor(cacheDir: string, suite: string, lists: Lists, progress: Progress) {
    if (!SUITES[suite]) throw new EmuError("unknown-suite", `unknown Debian suite "${suite}" (known: ${suiteNames.join(", ")})`);
    this.suite = suite;
    this.lists = lists;
    this.dir = join(cacheDir, "apt", `${suite}-${lists}`);
    this.progress = progress;
  }

  /** Fetches the lists of the suite, once per object. */
  async update(): Promise<void> {
    if (this.updated) return;
    await this.configure();
    this.progress.step(`Debian ${this.suite} ${this.lists}: package lists`);
    await this.apt("apt-get", ["update"]);
    this.updated = true;
  }

  /** The version that this suite offers; undefined when it has no such package. */
  async find(name: string): Promise<PackageRecord | undefined> {
    await this.update();
    // Two spellings of "this suite": a release target for apt-get, and the policy's candidate, which honours it.
    const policy = (await this.apt("apt-cache", ["policy", name])).toString();
    const version = /Candidate: (\S+)/.exec(policy)?.[1];
    if (!version || version === "(none)") return undefined;
    return this.show(name, version);
  }

  private async show(name: string, version: string): Promise<PackageRecord> {
    const text = (await this.apt("apt-cache", ["show", `${name}=${version}`])).toString();
    const record = parseRecords(text)[0];
    if (!record) throw new EmuError("package-missing", `Debian ${this.suite} has no ${name} ${version} for ${this.lists}`);
    return record;
  }

  /** Downloads exactly these packages, without their dependencies. */
  async download(names: readonly string[]): Promise<DownloadedPackage[]> {
    const records: PackageRecord[] = [];
    for (const name of names) {
      const record = await this.find(name);
      if (!record) throw new EmuError("package-missing", `Debian ${this.suite} has no package ${name} for ${this.lists}`);
      records.push(record);
    }
    const wanted = records.filter((r) => !this.archivePath(r));
    if (wanted.length > 0) {
      this.progress.step(`Debian ${this.suite}: ${names.join(", ")}`);
      const args = ["download", ...wanted.map((r) => `${r.name}=${r.version}`)];
      await this.apt("apt-get", args, this.archives);
    }
    return Promise.all(records.map((r) => this.downloaded(r)));
  }

  /** Downloads packages with everything they depend on, as if into an empty system. */
  async downloadClosure(names: readonly string[]): Promise<DownloadedPackage[]> {
    await this.update();
    this.progress.step(`Debian ${this.suite} ${this.lists}: ${names.join(", ")} and dependencies`);
    const install = ["install", "--yes", "--no-install-recommends", ...names];
    const plan = (await this.apt("apt-get", ["--simulate", ...install])).toString();
    const chosen = [...plan.matchAll(/^Inst (\S+) \((\S+) /gm)].map((m) => `${m[1]}=${m[2]}`);
    await this.apt("apt-get", ["--download-only", ...install]);
    const records = parseRecords((await this.apt("apt-cache", ["show", ...chosen])).toString());
    return Promise.all(records.map((record) => this.downloaded(record)));
  }

  /** Downloads a source package. For objects made with the lists "source". */
  async downloadSource(name: string): Promise<DownloadedSource> {
    await this.update();
    this.progress.step(`Debian ${this.suite}: source of ${name}`);
    const source = ["--download-only", "source", name];
    const plan = (await this.apt("apt-get", ["--print-uris", ...source])).toString();
    const files = [...plan.matchAll(/^'[^']*' (\S+) \d+ SHA256:([0-9a-f]{64})/gm)].map((m) => ({ name: m[1] ?? "", sha256: m[2] ?? "" }));
    const dsc = files.find((file) => file.name.endsWith(".dsc"));
    const version = /_(.*)\.dsc$/.exec(dsc?.name ?? "")?.[1];
    if (!dsc || !version) throw new EmuError("package-missing", `Debian ${this.suite} has no source package ${name}`);
    if (files.some((file) => !existsSync(join(this.archives, file.name)))) await this.apt("apt-get", source, this.archives);
    for (const file of files) await this.verify(join(this.archives, file.name), file.sha256);
    return { name, version, suite: this.suite, dsc: join(this.archives, dsc.name), sha256: dsc.sha256 };
  }

  private async downloaded(record: PackageRecord): Promise<DownloadedPackage> {
    const file = this.archivePath(record);
    if (!file) throw new EmuError("package-missing", `${record.name} ${record.version} was not downloaded`);
    await this.verify(file, record.sha256);
    return { ...record, suite: this.suite, file };
  }

  private async verify(file: string, expected: string): Promise<void> {
    const sha256 = await sha256File(file);
    if (sha256 === expected) return;
    rmSync(file);
    throw new EmuError("checksum", `${basename(file)} had checksum ${sha256}, expected ${expected}; removed, run again`);
  }

  private archivePath(record: PackageRecord): string | undefined {
    const name = `${record.name}_${record.version.replaceAll(":", "%3a")}_${record.architecture}.deb`;
    const path = join(this.archives, name);
    return existsSync(path) ? path : undefined;
  }

  private get archives(): string {
    return join(this.dir, "archives");
  }

  private async configure(): Promise<void> {
    for (const sub of ["etc/preferences.d", "etc/sources.list.d", "lists/partial", "archives/partial"]) {
      mkdirSync(join(this.dir, sub), { recursive: true });
    }
    if (!existsSync(join(this.dir, "status"))) writeFileSync(join(this.dir, "status"), "");
    const source = this.lists === "source";
    const origin = `[${source ? "" : `arch=${this.lists} `}signed-by=${findKeyring()}] ${findMirror()}`;
    const lines = (SUITES[this.suite] ?? []).map((suite) => `${source ? "deb-src" : "deb"} ${origin} ${suite} main\n`);
    writeFileSync(join(this.dir, "etc/sources.list"), lines.join(""));
    writeFileSync(join(this.dir, "apt.conf"), this.configuration(await acquireSettings()));
  }

  private configuration(acquire: string): string {
    const d = this.dir;
    const architecture = this.lists === "source" ? "arm64" : this.lists;
    return `${acquire}
Dir::State "${d}"; Dir::State::lists "${d}/lists/"; Dir::State::status "${d}/status"; Dir::State::extended_states "${d}/extended_states";
Dir::Cache "${d}"; Dir::Cache::archives "${d}/archives/"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
Dir::Etc "${d}/etc"; Dir::Etc::netrc "/etc/apt/auth.conf"; Dir::Etc::netrcparts "/etc/apt/auth.conf.d"; Dir::Log "${d}";
APT::Architecture "${architecture}"; APT::Architectures { "${architecture}"; };
APT::Default-Release "${this.suite}"; APT::Sandbox::User ""; APT::Install-Recommends "false"; APT::Get::List-Cleanup "true";
Acquire::Languages "none"; Debug::NoLocking "true"; Binary::apt::APT::Keep-Downloaded-Packages "true";
`;
  }

  private apt(program: "apt-get" | "apt-cache", args: readonly string[], cwd?: string): Promise<Buffer> {
    // APT_CONFIG is read before, and because of Dir::Etc instead of, the system's apt.conf: no hook of the system runs.
    const env = { ...process.env, APT_CONFIG: join(this.dir, "apt.conf"), LC_ALL: "C" };
    const status = program === "apt-get" ? ["-q", "-o", "APT::Status-Fd=3"] : [];
    const onStatus = (line: string): void => {
      const percent = /^dlstatus:[^:]*:([0-9.]+):/.exec(line)?.[1];
      if (percent) this.progress.percent(Number(percent));
    };
    return run(program, [...status, ...args], { env, onStatus, ...(cwd ? { cwd } : {}) });
  }
}

/** The machine's own settings on how to reach archives (proxies, retries, time-outs), as configuration text. */
async function acquireSettings(): Promise<string> {
  const dump = (await run("apt-config", ["dump"])).toString();
  const keep = dump
    .split("\n")
    .filter((line) => /^Acquire::/.test(line) && !/^Acquire::(IndexTargets|Languages|CompressionTypes)\b/.test(line));
  return keep.join("\n");
}

/** Parses package records (deb822 stanzas of `apt-cache show` or `dpkg-deb -f`). */
export function parseRecords(text: string): PackageRecord[] {
  const records: PackageRecord[] = [];
  for (const stanza of text.split(/\n\s*\n/)) {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1] ?? "";
    if (!field("Package")) continue;
    const depends = `${field("Pre-Depends")},${field("Depends")}`.split(",").map((d) => d.trim().split(/[\s(:|]/)[0] ?? "");
    records.push({
      name: field("Package"),
      version: field("Version"),
      architecture: field("Architecture"),
      depends: depends.filter((d) => d !== ""),
      sha256: field("SHA256"),
    });
  }
  return records;
}

/** Extracts packages one after the other into `target`. */
export async function extract(packages: readonly DownloadedPackage[], target: string): Promise<void> {
  mkdirSync(target, { recursive: true });
  for (const pkg of packages) await run("dpkg-deb", ["-x", pkg.file, target]);
}

/** All files below a folder, as paths relative to it. Symbolic links are listed, not followed. */
export function listFiles(root: string, prefix = ""): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(root, prefix), { withFileTypes: true })) {
    const path = prefix ? `${prefix}/${entry.name}` : entry.name;
    if (entry.isDirectory()) found.push(...listFiles(root, path));
    else found.push(path);
  }
  return found;
}

/** Reads a text file; the empty string when it does not exist. */
export const readIfPresent = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");
