import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EscapeKeys } from "../../src/cli/terminal.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Feeds chunks; data comes out as text, commands as <quit> and <help>. */
function typed(...chunks: string[]): string {
  const keys = new EscapeKeys();
  const out = chunks.flatMap((chunk) => keys.feed(bytes(chunk)));
  return out.map((key) => (key.kind === "data" ? new TextDecoder().decode(key.bytes) : `<${key.kind}>`)).join("");
}

describe("EscapeKeys", () => {
  it.each([
    ["passes text on", ["ls\r"], "ls\r"],
    ["passes Ctrl-C on", ["\x03"], "\x03"],
    ["quits on Ctrl-A X", ["\x01x"], "<quit>"],
    ["quits on Ctrl-A X in capitals", ["\x01X"], "<quit>"],
    ["helps on Ctrl-A H", ["a\x01hb"], "a<help>b"],
    ["sends Ctrl-A on Ctrl-A A", ["\x01a"], "\x01"],
    ["sends Ctrl-A on Ctrl-A Ctrl-A", ["\x01\x01z"], "\x01z"],
    ["remembers Ctrl-A from one chunk to the next", ["ab\x01", "x"], "ab<quit>"],
    ["ignores another key after Ctrl-A", ["\x01qz"], "z"],
  ])("%s", (_what, chunks, expected) => {
    expect(typed(...chunks)).toBe(expected);
  });

  it("does not depend on how the bytes are cut into chunks", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("\x01", "x", "h", "a", "q", "z")), fc.nat(), (keys, cut) => {
        const text = keys.join("");
        const at = text.length === 0 ? 0 : cut % text.length;
        expect(typed(text.slice(0, at), text.slice(at))).toBe(typed(text));
      }),
    );
  });
});
