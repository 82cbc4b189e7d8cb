import { describe, expect, it, test } from "vitest";
import { parseConsoles, parseEndpoint } from "../../../src/cli/args/consoles.ts";

describe("places, in QEMU's spelling", () => {
  it.each([
    ["stdio", { kind: "stdio" }],
    ["mon:stdio", { kind: "stdio" }],
    ["null", { kind: "none" }],
    ["pty", { kind: "pty" }],
    ["file:a,b", { kind: "file", path: "a,b" }],
    ["tcp:localhost:54320", { kind: "tcp", host: "localhost", port: 54320, server: false, wait: false }],
    ["tcp::5000,server", { kind: "tcp", host: "127.0.0.1", port: 5000, server: true, wait: true }],
    ["tcp::5000,server,nowait", { kind: "tcp", host: "127.0.0.1", port: 5000, server: true, wait: false }],
    ["tcp:[::1]:0,server=on,wait=off,nodelay=on", { kind: "tcp", host: "::1", port: 0, server: true, wait: false }],
    ["tcp:h:1,server=off,wait=on", { kind: "tcp", host: "h", port: 1, server: false, wait: false }],
  ])("%s", (text, endpoint) => expect(parseEndpoint(text, "--serial")).toEqual(endpoint));

  it.each([
    ["vc", /--consoles split/],
    ["telnet:localhost:1,server", /tcp:HOST:PORT,server=on/],
    ["unix:/tmp/s", /tcp:127\.0\.0\.1:PORT/],
    ["chardev:c0", /no --chardev has id=c0/],
    ["/dev/ttyS0", /pty/],
    ["tcp:5000", /HOST\]:PORT is expected/],
    ["tcp:h:70000", /HOST\]:PORT is expected/],
    ["tcp:h:1,loud", /"loud" is not known/],
    ["tcp:h:1,server=maybe", /on or off/],
    ["file:", /not supported/],
    ["", /not supported/],
  ])("refused: %s", (text, message) => expect(() => parseEndpoint(text, "--serial")).toThrow(message));
});

describe("--serial and --consoles", () => {
  it.each([
    [undefined, undefined, false, { kind: "serial", ports: [{ kind: "stdio" }] }],
    [["none"], undefined, false, { kind: "serial", ports: [{ kind: "none" }] }],
    [["stdio", "none"], undefined, false, { kind: "serial", ports: [{ kind: "stdio" }] }],
    [["stdio", "file:s"], undefined, true, { kind: "serial", ports: [{ kind: "stdio" }, { kind: "file", path: "s" }] }],
    [undefined, ["split"], false, { kind: "split" }],
    [undefined, ["marked"], true, { kind: "marked" }],
    [
      undefined,
      ["host=tcp::1,server=on,wait=off,realm=stdio", "firmware=file:f"],
      true,
      {
        kind: "named",
        endpoints: {
          host: { kind: "tcp", host: "127.0.0.1", port: 1, server: true, wait: false },
          realm: { kind: "stdio" },
          firmware: { kind: "file", path: "f" },
        },
      },
    ],
  ] as const)("%j %j", (serial, consoles, secure, plan) => expect(parseConsoles(serial, consoles, secure)).toEqual(plan));

  test.each([
    [["stdio"], ["split"], false, "consoles-twice"],
    [["stdio", "pty"], undefined, false, "too-many-serials"],
    [["stdio", "pty", "pty"], undefined, true, "too-many-serials"],
    [undefined, ["both"], false, "bad-consoles"],
    [undefined, ["guest=stdio"], false, "bad-consoles"],
    [undefined, ["host=stdio", "host=pty"], false, "bad-consoles"],
    [undefined, ["host"], false, "bad-consoles"],
    [undefined, ["host=loud"], false, "bad-serial"],
  ] as const)("refused: %j %j", (serial, consoles, secure, code) => {
    expect(() => parseConsoles(serial, consoles, secure)).toThrow(expect.objectContaining({ code, exitCode: 2 }));
  });
});
