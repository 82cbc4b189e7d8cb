// Consoles of a process: files, marked lines, TCP, pseudoterminals, the split terminal.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { BIN, run, start } from "../../support/cli.ts";
import { echoProgram } from "../../support/programs.ts";

let dir: string;
let echo: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-consoles-"));
  echo = join(dir, "echo.img");
  writeFileSync(echo, echoProgram);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const machine = (...words: string[]): string[] => ["--kernel", echo, "--memory", "64M", ...words];
const realm = (...words: string[]): string[] => ["realm", "--memory", "32M", ...words];

/** Everything that the other side sends, until it ends or matches. */
function read(socket: Socket, until: RegExp): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const done = (): void => resolve(text);
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (until.test(text)) done();
    });
    socket.on("close", done);
  });
}
/** The rest of standard error once it matches. */
function told(child: ReturnType<typeof start>["child"], pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve) => {
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const match = pattern.exec(text);
      if (match) resolve(match);
    });
  });
}

describe("a realm's consoles", () => {
  it("marked: each line names its world", async () => {
    const { code, stdout } = await run(realm("--consoles", "marked"));
    expect(code).toBe(0);
    const lines = stdout.split("\r\n").filter((l) => l !== "");
    expect(lines.filter((l) => !/^(Firmware|Host {4}|Realm {3}) \| /.test(l))).toEqual([]);
    expect(lines).toContain("Host     | host: realm activated");
    expect(lines).toContain("Realm    | realm-hello");
    expect(lines.some((l) => /^Firmware \| SMC_RMI_REALM_CREATE /.test(l))).toBe(true);
  });
  it("in files: one alone as it is, two in one marked", async () => {
    const [alone, both] = [join(dir, "realm.log"), join(dir, "both.log")];
    const { code, stdout } = await run(realm("--consoles", `realm=file:${alone},host=file:${both},firmware=file:${both}`));
    expect([code, stdout]).toEqual([0, ""]);
    expect(readFileSync(alone, "utf8")).toMatch(/^realm-hello\n/);
    expect(readFileSync(both, "utf8")).toMatch(/^Firmware \| SMC_RMI_VERSION .*\r\nHost {5}\| host: /);
  });
  it.skipIf(!existsSync("/dev/full"))("in a file that takes no more: it is told once, and the machine goes on", async () => {
    const { code, stdout, stderr } = await run(realm("--consoles", "realm=file:/dev/full,host=stdio"));
    expect(code).toBe(0);
    expect(stdout).toMatch(/host: realm activated/);
    expect(stderr).toMatch(/^rme-emu: what the console realm prints is lost: cannot write to "\/dev\/full": ENOSPC\n$/m);
  });
  it("one that is not there is refused", async () => {
    expect(await run(realm("--consoles", "secure=stdio"))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no console "secure"'),
    });
  });
});

describe("TCP", () => {
  it("as a server, the machine waits for somebody, who can type and leave and come back", async () => {
    const { child, outcome } = start(machine("--serial", "tcp:127.0.0.1:0,server=on"));
    const [, port] = await told(child, /listens on 127\.0\.0\.1:(\d+); the machine starts when/);
    const first = connect(Number(port));
    expect(await read(first, /ready\r\n/)).toBe("ready\r\n");
    const late = connect(Number(port));
    expect(await read(late, /use/)).toBe("this console is in use\r\n");
    first.end();
    await new Promise((resolve) => first.on("close", resolve));
    const second = connect(Number(port));
    second.write("xyq");
    expect(await read(second, /q/)).toBe("xyq");
    expect((await outcome).code).toBe(0);
  });
  it("as a client of a listener", async () => {
    const server = createServer();
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const peer = new Promise<Socket>((resolve) => server.once("connection", resolve));
    const { outcome } = start(machine("-nographic", "-serial", `tcp:127.0.0.1:${(server.address() as { port: number }).port}`));
    const socket = await peer;
    await read(socket, /ready/);
    socket.write("q");
    expect(await outcome).toMatchObject({ code: 0, stdout: "" });
  });
  it("without a listener, and with a port that is taken", async () => {
    const server = createServer();
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const taken = await run(machine("--serial", `tcp:127.0.0.1:${port},server=on`));
    expect(taken).toMatchObject({ code: 1, stderr: expect.stringMatching(/cannot listen on 127\.0\.0\.1:\d+: EADDRINUSE\n$/) });
    await new Promise((resolve) => server.close(resolve));
    const refused = await run(machine("--serial", `tcp:127.0.0.1:${port}`));
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/ECONNREFUSED; start a listener there first/) });
  });
});

interface Pty {
  onData(listener: (text: string) => void): void;
  onExit(listener: (e: { exitCode: number }) => void): void;
  write(text: string): void;
  resize(cols: number, rows: number): void;
  kill(signal?: string): void;
}
const nodePty = (await import("node-pty").catch(() => undefined)) as
  | { spawn(file: string, args: string[], options: { cols: number; rows: number }): Pty }
  | undefined;

describe.skipIf(nodePty === undefined)("terminals", () => {
  it("a pty carries bytes both ways, and nothing is echoed", async () => {
    const { child, outcome } = start(machine("--serial", "pty"));
    const [, path] = await told(child, /console serial0 is (\/dev\/\S+)/);
    const user = nodePty?.spawn("sh", ["-c", `stty raw -echo; cat ${path} & cat > ${path}`], { cols: 80, rows: 24 }) as Pty;
    onTestFinished(() => user.kill());
    let text = "";
    const seen = new Promise<void>((resolve) => {
      user.onData((chunk) => {
        text += chunk;
        if (/ready\r\n$/.test(text)) user.write("ab");
        if (/ab$/.test(text)) resolve();
      });
    });
    await seen;
    expect(text).toBe("ready\r\nab");
    user.write("q");
    expect((await outcome).code).toBe(0);
  });
  it("--consoles split gives each console a pane, types into one, and gives the screen back", async () => {
    const user = nodePty?.spawn(process.execPath, [BIN, ...machine("--consoles", "split")], { cols: 124, rows: 24 }) as Pty;
    onTestFinished(() => user.kill());
    let text = "";
    const ended = new Promise<number>((resolve) => user.onExit(({ exitCode }) => resolve(exitCode)));
    let typed = 0;
    user.onData((chunk) => {
      text += chunk;
      if (typed === 0 && /ready/.test(text)) {
        typed = 1;
        user.write("typed");
      } else if (typed === 1 && /typed/.test(text)) {
        typed = 2;
        user.write("\x01x");
      }
    });
    expect(await ended).toBe(0);
    expect(text).toMatch(/ 1 Host \(Non-secure\)/);
    expect(text).toMatch(/ 2 Firmware \(Root\)/);
    expect(text).toMatch(/\x1b\[\?1049l(?:.*\r\n)*typed\r\n$/);
  });
  it("a split terminal follows its size, shows the help in a pane, and is given back when a signal ends the program", async () => {
    const user = nodePty?.spawn(process.execPath, [BIN, ...machine("--consoles", "split")], { cols: 124, rows: 24 }) as Pty;
    onTestFinished(() => user.kill("SIGKILL"));
    let text = "";
    const ended = new Promise<number>((resolve) => user.onExit(({ exitCode }) => resolve(exitCode)));
    // The panes stand side by side, then one above the other.
    const steps: readonly (readonly [after: RegExp, act: () => void])[] = [
      [/\x1b\[1;63H[^\r\n]* 2 Firmware.*ready/s, () => user.resize(80, 20)],
      [/\x1b\[11;1H[^\r\n]* 2 Firmware/, () => user.write("\x01h")],
      [/Ctrl-A Z +show one console only/, () => user.kill("SIGTERM")],
    ];
    let step = 0;
    user.onData((chunk) => {
      text += chunk;
      if (steps[step]?.[0].test(text)) steps[step++]?.[1]();
    });
    expect(await ended).toBe(143);
    expect(step).toBe(3);
    expect(text).toMatch(/\x1b\[\?25h\x1b\[\?1049l[^\x1b]*ready/);
  });
});
