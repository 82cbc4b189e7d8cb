import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LineMarker } from "../../../src/cli/consoles/line-marker.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What pieces, "console:text", become. */
function marked(...pieces: string[]): string {
  const out: Uint8Array[] = [];
  const marker = new LineMarker((b) => out.push(b), 4);
  for (const piece of pieces) marker.feed(piece.slice(0, piece.indexOf(":")), bytes(piece.slice(piece.indexOf(":") + 1)));
  marker.finish();
  return Buffer.concat(out).toString();
}

describe("lines of several consoles in one stream", () => {
  it.each([
    ["a line", ["a:one\r\n"], "a    | one\r\n"],
    ["a line without carriage return", ["a:one\ntwo\n"], "a    | one\r\na    | two\r\n"],
    ["an empty line", ["a:\r\n\n"], "a    | \r\na    | \r\n"],
    ["pieces of a line", ["a:on", "a:e\r", "a:\n"], "a    | one\r\n"],
    ["a line that is broken by another console", ["a:# ", "b:x\r\n", "a:ls\r\n"], "a    | # \r\nb    | x\r\na    | ls\r\n"],
    ["a line that is written again from its start", ["a:10%\r20%\r\n"], "a    | 10%\ra    | 20%\r\n"],
    ["a prompt", ["a:# "], "a    | # \r\n"],
    ["bytes of a character that come one by one", ["a:\u00e9"], "a    | \u00e9\r\n"],
  ])("%s", (_what, pieces, text) => expect(marked(...pieces)).toBe(text));

  it("nothing is lost and nothing gets another's mark, however pieces are cut", () => {
    const piece = fc.tuple(fc.constantFrom("a", "b"), fc.stringMatching(/^[xyz\n]{0,6}$/));
    fc.assert(
      fc.property(fc.array(piece), (list) => {
        const lines = marked(...list.map(([name, text]) => `${name}:${text}`)).split("\r\n");
        for (const name of ["a", "b"]) {
          const said = lines.filter((l) => l.startsWith(`${name}    | `)).map((l) => l.slice(7));
          const wanted = list.filter(([n]) => n === name).map(([, text]) => text);
          expect(said.join("").replace(/\n/g, "")).toBe(wanted.join("").replace(/\n/g, ""));
        }
        expect(lines.every((l) => l === "" || /^[ab] {4}\| [xyz]*$/.test(l))).toBe(true);
      }),
    );
  });
});
