// Consoles as QEMU's users type them.

import { describe, expect, it } from "vitest";
import { parseChardevs } from "../../../src/cli/args/chardevs.ts";
import { parseCommandLine, type RunCommand } from "../../../src/cli/args/options.ts";
import { parseRealmCommandLine } from "../../../src/cli/args/realm.ts";

const consoles = (...argv: string[]) => (parseCommandLine(argv, "0") as RunCommand).consoles;
const SECURE = ["-M", "virt,secure=on", "-bios", "flash.bin"];

describe("-chardev", () => {
  it.each([
    ["stdio,id=c,mux=on,signal=off", { kind: "stdio" }],
    ["null,id=c", { kind: "none" }],
    ["pty,id=c", { kind: "pty" }],
    ["file,id=c,path=a,,b", { kind: "file", path: "a,b" }],
    ["socket,id=c,port=5000,host=localhost", { kind: "tcp", host: "localhost", port: 5000, server: false, wait: false }],
    ["socket,id=c,host=0.0.0.0,port=5000,server=on,wait=off", { kind: "tcp", host: "0.0.0.0", port: 5000, server: true, wait: false }],
    ["socket,id=c,port=5000,server,nowait,nodelay=on", { kind: "tcp", host: "127.0.0.1", port: 5000, server: true, wait: false }],
  ])("%s", (text, endpoint) => expect(parseChardevs([text]).get("c")).toEqual(endpoint));

  it.each([
    ["stdio", /id=ID is missing/],
    ["vc,id=c", /"vc" is not supported \(stdio, null, pty, file, socket\)/],
    ["socket,id=c,path=/tmp/s", /type host=127\.0\.0\.1,port=PORT in place of path/],
    ["socket,id=c,port=1,telnet=on", /leave it out/],
    ["socket,id=c,host=h", /HOST\]:PORT is expected/],
    ["file,id=c", /file:.* is not supported/],
    ["stdio,id=c,path=x", /unknown "path"/],
  ])("refused: %s", (text, message) => expect(() => parseChardevs([text])).toThrow(message));

  it("an id stands for one place", () => expect(() => parseChardevs(["null,id=c", "pty,id=c"])).toThrow(/given twice/));
});

describe("what names one", () => {
  it("-serial chardev:ID, beside a monitor that there is not", () => {
    const words = ["-chardev", "stdio,id=c0,mux=on", "-mon", "chardev=c0,mode=readline", "-serial", "chardev:c0", "-nographic"];
    expect(consoles(...words)).toEqual({ kind: "serial", ports: [{ kind: "stdio" }] });
    const two = ["-chardev", "file,id=a,path=x", "-chardev", "null,id=b", "-serial", "chardev:a", "-serial", "chardev:b"];
    expect(consoles(...SECURE, ...two)).toEqual({ kind: "serial", ports: [{ kind: "file", path: "x" }, { kind: "none" }] });
  });
  it("the same for a realm", () => {
    const run = parseRealmCommandLine("realm", ["-chardev", "file,id=a,path=x", "-serial", "chardev:a"]) as RunCommand;
    expect(run.consoles).toEqual({ kind: "serial", ports: [{ kind: "file", path: "x" }] });
  });
  it("--consoles", () => {
    expect(consoles("--chardev", "file,id=a,path=x", "--consoles", "host=chardev:a")).toEqual({
      kind: "named",
      endpoints: { host: { kind: "file", path: "x" } },
    });
  });
  it.each(["virtio-serial-device", "virtio-serial-pci", "virtio-serial"])("a virtconsole on %s", (bus) => {
    const words = ["-device", `${bus},id=v`, "-chardev", "stdio,id=c0", "-device", "virtconsole,chardev=c0,id=console0,name=x"];
    expect(consoles(...words)).toEqual({ kind: "serial", ports: [{ kind: "none" }], virtio: [{ kind: "stdio" }] });
    expect(consoles(...words, "-serial", "file:log")).toMatchObject({
      ports: [{ kind: "file", path: "log" }],
      virtio: [{ kind: "stdio" }],
    });
  });
  it("two virtconsoles, where there are two", () => {
    const words = ["-chardev", "null,id=a", "-chardev", "pty,id=b", "-device", "virtconsole,chardev=a", "-device", "virtconsole,chardev=b"];
    expect(consoles(...SECURE, ...words)).toEqual({
      kind: "serial",
      ports: [{ kind: "stdio" }],
      virtio: [{ kind: "none" }, { kind: "pty" }],
    });
    expect(() => consoles(...words)).toThrow(/the machine has one; virt,secure=on has a second one/);
  });
  it.each([
    [["-serial", "chardev:x"], /--serial: no --chardev has id=x/],
    [["-device", "virtconsole,chardev=x"], /--device virtconsole: no --chardev has id=x/],
    [["-chardev", "null,id=a", "-device", "virtconsole,chardev=a", "--consoles", "marked"], /in two ways/],
  ])("refused: %j", (words, message) => expect(() => consoles(...words)).toThrow(message));
});
