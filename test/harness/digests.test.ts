// The digests that the harness provides are those of the library.

import { sha256, sha512 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { expect, it } from "vitest";
import "../../src/harness/digests.ts";
import { digest256, digest512 } from "../../src/util/digest.ts";

it("SHA-256 and SHA-512 of any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (data) => {
      expect([...digest256(data)]).toEqual([...sha256(data)]);
      expect([...digest512(data)]).toEqual([...sha512(data)]);
    }),
  );
});
