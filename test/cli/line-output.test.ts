import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LineOutput } from "../../src/cli/line-output.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function collect(): { out: LineOutput; puts: string[] } {
  const puts: string[] = [];
  return { out: new LineOutput((bytes) => void puts.push(decode(bytes))), puts };
}

describe("LineOutput", () => {
  it("writes a line that comes character by character at once", () => {
    const { out, puts } = collect();
    for (const c of "one\r\ntwo\r\n") out.write(encode(c));
    expect(puts).toEqual(["one\r\n", "two\r\n"]);
  });

  it("writes what has no end of line in the next turn of the event loop", async () => {
    const { out, puts } = collect();
    for (const c of "~ # ") out.write(encode(c));
    expect(puts).toEqual([]);
    await nextTurn();
    expect(puts).toEqual(["~ # "]);
    out.write(encode("l"));
    await nextTurn();
    expect(puts).toEqual(["~ # ", "l"]);
  });

  it("writes nothing that has been written", async () => {
    const { out, puts } = collect();
    out.write(encode("a"));
    out.flush();
    out.flush();
    await nextTurn();
    expect(puts).toEqual(["a"]);
  });

  it("keeps a bounded amount, and every byte in its order", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 6000 }), { maxLength: 20 }), (pieces) => {
        const got: number[] = [];
        const out = new LineOutput((bytes) => {
          got.push(...bytes);
        });
        let given = 0;
        for (const piece of pieces) {
          out.write(piece);
          given += piece.length;
          expect(given - got.length).toBeLessThanOrEqual(4096);
        }
        out.flush();
        expect(got).toEqual(pieces.flatMap((p) => [...p]));
      }),
      { numRuns: 50 },
    );
  });
});
