// The command line with a real machine: what goes in and out, how it ends, and that the terminal is given back.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BIN, run, start } from "../support/cli.ts";
import { echoProgram } from "../support/programs.ts";

let dir: string;
let echo: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rme-emu-run-"));
  echo = join(dir, "echo.img");
  writeFileSync(echo, echoProgram);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("input and output that are no terminal", () => {
  it("standard input goes to the guest, its output to standard output, power-off exits 0", async () => {
    const { child, outcome, until } = start(["--kernel", echo, "--memory", "64M"]);
    await until(/ready/);
    child.stdin.write("hello q".replace("h", "H"));
    expect(await outcome).toMatchObject({ code: 0, stdout: "ready\r\nHello q", stderr: "" });
  });

  it("input that comes before the guest is ready is not lost", async () => {
    const { child, outcome } = start(["--kernel", echo, "--memory", "64M"]);
    child.stdin.end(`${"x".repeat(1000)}q`);
    expect(await outcome).toMatchObject({ code: 0, stdout: expect.stringMatching(/x{1000}q$/) });
  });

  it("there is no escape key: bytes are passed as they are", async () => {
    const { child, outcome } = start(["--kernel", echo, "--memory", "64M"]);
    child.stdin.end("\x01x\x01q");
    expect(await outcome).toMatchObject({ code: 0, stdout: "ready\r\n\x01x\x01q" });
  });

  it("the end of input does not end the machine", async () => {
    const { child, until } = start(["--kernel", echo, "--memory", "64M"]);
    child.stdin.end();
    await until(/ready/);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(child.exitCode).toBeNull();
    child.kill("SIGKILL");
  });

  it("works in deterministic time as well", async () => {
    const { child, outcome } = start(["--kernel", echo, "--memory", "64M", "--time", "deterministic"]);
    child.stdin.end("q");
    expect(await outcome).toMatchObject({ code: 0, stdout: "ready\r\nq" });
  });
});

describe("how a machine ends", () => {
  it("a reset starts it again", async () => {
    const { child, outcome, until } = start(["--kernel", echo, "--memory", "64M"]);
    await until(/ready/);
    child.stdin.write("r");
    await until(/ready\r\nrready/);
    child.stdin.write("q");
    expect(await outcome).toMatchObject({ code: 0, stdout: "ready\r\nrready\r\nq" });
  });

  it("a reset ends it with --no-reboot", async () => {
    const { child, outcome } = start(["-kernel", echo, "-m", "64M", "-no-reboot"]);
    child.stdin.end("r");
    expect(await outcome).toMatchObject({ code: 0, stdout: "ready\r\nr" });
  });

  it("processors that can never go on are told, with exit code 1", async () => {
    const { child, outcome } = start(["--kernel", echo, "--memory", "64M", "--time", "deterministic"]);
    child.stdin.end("h");
    expect(await outcome).toMatchObject({ code: 1, stderr: expect.stringMatching(/^rme-emu: all processors .*\n$/) });
  });

  it.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129],
  ] as const)("%s ends it with the usual code", async (signal, code) => {
    const { child, outcome, until } = start(["--kernel", echo, "--memory", "64M"]);
    await until(/ready/);
    child.kill(signal);
    expect((await outcome).code).toBe(code);
  });

  it("a reader that goes away ends it", async () => {
    const { child, outcome, until } = start(["--kernel", echo, "--memory", "64M"]);
    await until(/ready/);
    child.stdout.destroy();
    child.stdin.write("x".repeat(100));
    expect((await outcome).code).toBe(0);
  });
});

describe("where output goes", () => {
  it("to a file, which keeps what it held", async () => {
    const file = join(dir, "serial.log");
    writeFileSync(file, "before\n");
    const { child, outcome } = start(["--kernel", echo, "--memory", "64M", "--serial", `file:${file}`, "--no-reboot"]);
    await expect.poll(() => readFileSync(file, "utf8"), { timeout: 30_000 }).toBe("before\nready\r\n");
    child.kill("SIGTERM");
    expect((await outcome).stdout).toBe("");
  });

  it("nowhere with --serial none", async () => {
    const { child, outcome } = start(["--kernel", echo, "--memory", "64M", "--serial", "none"]);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    child.kill("SIGTERM");
    expect(await outcome).toMatchObject({ stdout: "", stderr: "" });
  });
});

const pty = await import("node-pty").catch(() => undefined);

describe.skipIf(!pty)("on a terminal", () => {
  /** Runs a shell command line in a new terminal; the size of what it printed is small. */
  function terminal(command: string) {
    if (!pty) throw new Error("node-pty is not installed");
    const shell = pty.spawn("/bin/sh", ["-c", command], {
      cols: 80,
      rows: 24,
      env: { ...process.env, EMU: `${process.execPath} ${BIN}`, ECHO: echo },
    });
    let output = "";
    shell.onData((data) => {
      output += data;
    });
    const ended = new Promise<number>((resolve) => shell.onExit(({ exitCode }) => resolve(exitCode)));
    const until = async (pattern: RegExp): Promise<void> => {
      const deadline = Date.now() + 20_000;
      while (!pattern.test(output)) {
        if (Date.now() > deadline) throw new Error(`no ${pattern} in ${JSON.stringify(output)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    return { shell, ended, until, output: () => output };
  }

  it("keys go to the guest one by one, Ctrl-C too, and the terminal does not echo", async () => {
    const t = terminal("$EMU --kernel $ECHO --memory 64M; echo exit=$?");
    await t.until(/ready/);
    t.shell.write("a\x03b");
    await t.until(/ready\r\na\x03b/);
    t.shell.write("q");
    await t.until(/exit=0/);
    expect(t.output()).toMatch(/^ready\r\na\x03bq[\r\n]*exit=0/);
  });

  it("Ctrl-A H helps, Ctrl-A A sends Ctrl-A, Ctrl-A X quits with exit code 0", async () => {
    const t = terminal("$EMU --kernel $ECHO --memory 64M; echo exit=$?");
    await t.until(/ready/);
    t.shell.write("\x01h");
    await t.until(/Ctrl-A X {2}quit/);
    t.shell.write("\x01a");
    await t.until(/\x01/);
    t.shell.write("\x01x");
    await t.until(/exit=0/);
  });

  it.each([
    ["the guest powers off", "q"],
    ["the person quits", "\x01x"],
  ])("is restored when %s", async (_how, keys) => {
    const t = terminal('before=$(stty -g); $EMU --kernel $ECHO --memory 64M; [ "$(stty -g)" = "$before" ] && echo restored');
    await t.until(/ready/);
    t.shell.write(keys);
    await t.until(/restored/);
  });

  it("is restored when the program is terminated", async () => {
    const t = terminal(
      'before=$(stty -g); $EMU --kernel $ECHO --memory 64M & wait_for=$!; fg 2>/dev/null; (sleep 2; kill $wait_for) & wait $wait_for; [ "$(stty -g)" = "$before" ] && echo restored',
    );
    await t.until(/restored/);
  });

  it("is restored when the input is bad", async () => {
    const t = terminal('before=$(stty -g); $EMU --kernel /nonexistent; echo exit=$?; [ "$(stty -g)" = "$before" ] && echo restored');
    await t.until(/exit=1[\s\S]*restored/);
  });
});

it("prints help and version", async () => {
  expect(await run(["--version"])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  expect(await run(["--help"])).toMatchObject({ code: 0, stdout: expect.stringContaining("--kernel <file>") });
});
