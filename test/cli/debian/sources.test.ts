import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { debianArchive, findMirror, machineSources, parseDeb822, parseSourcesList } from "../../../src/cli/debian/sources.ts";

describe("parseSourcesList", () => {
  it("reads lines with and without options, and skips comments", () => {
    const text =
      "# deb http://no.example/debian x main\ndeb [arch=amd64 signed-by=/k.gpg] http://a.example/debian trixie main contrib # why\ndeb-src http://b.example/debian sid main\n";
    expect(parseSourcesList(text)).toEqual([
      { types: ["deb"], uris: ["http://a.example/debian"], suites: ["trixie"], components: ["main", "contrib"] },
      { types: ["deb-src"], uris: ["http://b.example/debian"], suites: ["sid"], components: ["main"] },
    ]);
  });
});

describe("parseDeb822", () => {
  it("reads stanzas with comments and continuation lines", () => {
    const text =
      "Types: deb\n# a comment\nURIs: http://a.example/debian\nSuites: bookworm\n bookworm-updates\nComponents: main\n\nTypes: deb deb-src\nURIs: http://b.example/x\nSuites: y\nComponents: z\n";
    expect(parseDeb822(text)).toEqual([
      { types: ["deb"], uris: ["http://a.example/debian"], suites: ["bookworm", "bookworm-updates"], components: ["main"] },
      { types: ["deb", "deb-src"], uris: ["http://b.example/x"], suites: ["y"], components: ["z"] },
    ]);
  });

  it("skips a disabled stanza", () => {
    expect(parseDeb822("Enabled: no\nTypes: deb\nURIs: http://a.example/debian\nSuites: sid\nComponents: main\n")).toEqual([]);
  });
});

describe("debianArchive", () => {
  const source = (uri: string, suite: string, components = ["main"], types = ["deb"]) => ({
    types,
    uris: [uri],
    suites: [suite],
    components,
  });

  it("takes the main archive, not the security archive or other vendors", () => {
    const sources = [
      source("http://s.example/security", "bookworm-security"),
      source("http://v.example/x", "nodistro"),
      source("http://a.example/debian/", "bookworm"),
    ];
    expect(debianArchive(sources)).toBe("http://a.example/debian");
  });

  it("finds none on another distribution, without main, or among sources only", () => {
    expect(debianArchive([source("http://u.example/ubuntu", "noble")])).toBeUndefined();
    expect(debianArchive([source("http://a.example/debian", "trixie", ["contrib"])])).toBeUndefined();
    expect(debianArchive([source("http://a.example/debian", "trixie", ["main"], ["deb-src"])])).toBeUndefined();
  });
});

describe("findMirror", () => {
  const withEtc = (files: Record<string, string>, body: (etc: string) => void): void => {
    const etc = mkdtempSync(join(tmpdir(), "rme-emu-etc-"));
    mkdirSync(join(etc, "sources.list.d"));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(etc, name), text);
    try {
      body(etc);
    } finally {
      rmSync(etc, { recursive: true });
    }
  };

  it("reads both formats from apt's folder", () => {
    const deb822 = "Types: deb\nURIs: http://a.example/debian\nSuites: trixie\nComponents: main\n";
    withEtc(
      {
        "sources.list": "deb http://v.example/x y main\n",
        "sources.list.d/debian.sources": deb822,
        "sources.list.d/old.bak": "deb x sid main",
      },
      (etc) => {
        expect(machineSources(etc)).toHaveLength(2);
        expect(findMirror({}, etc)).toBe("http://a.example/debian");
      },
    );
  });

  it("can be told another one", () => {
    withEtc({}, (etc) => expect(findMirror({ RME_EMU_DEBIAN_MIRROR: "http://m.example/debian" }, etc)).toBe("http://m.example/debian"));
  });

  it("says what to do when there is none", () => {
    withEtc({ "sources.list": "deb http://u.example/ubuntu noble main\n" }, (etc) => {
      expect(() => findMirror({}, etc)).toThrowError(/RME_EMU_DEBIAN_MIRROR/);
    });
  });
});
