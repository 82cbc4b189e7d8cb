// Digests by the cryptography of Node.js: a realm of Debian is 50 MB of pages to be measured.

import { hash } from "node:crypto";
import { provideDigests } from "../util/digest.ts";

provideDigests({ sha256: (data) => hash("sha256", data, "buffer"), sha512: (data) => hash("sha512", data, "buffer") });
