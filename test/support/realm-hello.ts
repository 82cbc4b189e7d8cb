// The bundled program for realms, and what runs it.

import type { RealmOptions } from "../../src/harness/index.ts";

/** Path of its image. */
export const HELLO = new URL("../../firmware/realm-hello/realm-hello.img", import.meta.url).pathname;

/** Options of a machine that runs it in a realm of 32 MiB with `smp` RECs. */
export const helloRealm = (realm: RealmOptions, smp: number) => ({ kernel: HELLO, memory: 32 * 2 ** 20, smp, realm });
