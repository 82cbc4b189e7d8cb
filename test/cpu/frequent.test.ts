// The list of instructions whose handlers stand in the central loop (src/cpu/interp/frequent.ts).

import { expect, it } from "vitest";
import { frequentWords } from "../../src/cpu/interp/frequent.ts";
import { handlerOf, inlined } from "../../src/cpu/interp/handlers.ts";
import { decode, type Row } from "../../src/isa/table.ts";

it("names each handler once, and these come first, most frequent first", () => {
  const handlers = frequentWords.map((word) => handlerOf(decode(word) as Row, word));
  expect(handlers).toEqual(frequentWords.map((_, i) => inlined.end - frequentWords.length + i));
});
