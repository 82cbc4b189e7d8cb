// What a build puts by is what a start would generate.

import { expect, it } from "vitest";
import { interpreterBytes } from "../../src/cpu/interp/prebuilt.ts";

it("the interpreter is generated alike each time, and is a valid module", () => {
  const bytes = interpreterBytes();
  expect(WebAssembly.validate(bytes as BufferSource)).toBe(true);
  expect(Buffer.compare(bytes, interpreterBytes())).toBe(0);
});
