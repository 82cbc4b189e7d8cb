// The places to which a console may go, beside the terminal: files, TCP connections, pseudoterminals.

import { spawnSync } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer, type Socket, connect as tcpConnect } from "node:net";
import { ReadStream } from "node:tty";
import { EmuError } from "../../util/errors.ts";
import type { Endpoint } from "../args/consoles.ts";
import { openOutput } from "../output-file.ts";

/** An open place. */
export interface Port {
  write(bytes: Uint8Array): void;
  close(): void;
}

export interface PortOptions {
  /** What the console is called in messages. */
  readonly name: string;
  /** Bytes for the guest. */
  onInput(bytes: Uint8Array): void;
  /** A line for the person. */
  tell(line: string): void;
}

/** Output that waits for somebody to connect or to read; beyond that it is dropped, as a serial line does. */
const KEEP = 64 * 1024;
const MAX_QUEUED = 2 ** 20;

/** Opens a place other than stdio. Resolves when the machine may start. Throws EmuError. */
export async function openPort(endpoint: Exclude<Endpoint, { kind: "stdio" }>, o: PortOptions): Promise<Port> {
  switch (endpoint.kind) {
    case "file":
      return openFile(endpoint.path, o);
    case "tcp":
      return endpoint.server ? await listen(endpoint, o) : await connect(endpoint, o);
    case "pty":
      return openPty(o);
    default:
      return { write: () => {}, close: () => {} };
  }
}

/** A file that can take no more (a full disk) loses output, and the machine goes on. */
function openFile(path: string, o: PortOptions): Port {
  const file = openOutput(path);
  let failed = false;
  const write = (bytes: Uint8Array): void => {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      failed = false;
    } catch (e) {
      if (!failed) o.tell(`what the console ${o.name} prints is lost: cannot write to "${path}": ${reason(e)}`);
      failed = true;
    }
  };
  return { write, close: () => closeSync(file) };
}

type Tcp = Extract<Endpoint, { kind: "tcp" }>;

const reason = (e: unknown): string => (e as NodeJS.ErrnoException).code ?? String(e);
const where = ({ host, port }: { host: string; port: number }): string => `${host.includes(":") ? `[${host}]` : host}:${port}`;

function connect(endpoint: Tcp, o: PortOptions): Promise<Port> {
  const { host, port } = endpoint;
  return new Promise((resolve, reject) => {
    const socket = tcpConnect({ host, port });
    socket.setNoDelay(true);
    socket.once("connect", () => {
      socket.on("data", (bytes) => o.onInput(bytes));
      resolve({ write: (bytes) => send(socket, bytes), close: () => socket.destroy() });
    });
    socket.on("error", (e) => {
      const what = `cannot connect the console ${o.name} to ${where(endpoint)}: ${reason(e)}`;
      reject(new EmuError("console-connect", `${what}; start a listener there first, or add ,server=on to be one`));
    });
  });
}

/** Waits for connections, one after the other. What was written before the first is kept for it. */
function listen(endpoint: Tcp, o: PortOptions): Promise<Port> {
  let client: Socket | undefined;
  let kept: Buffer = Buffer.alloc(0);
  let connected: () => void = () => {};
  const server = createServer((socket) => {
    if (client !== undefined) {
      socket.end("this console is in use\r\n");
      return;
    }
    client = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => o.onInput(bytes));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => {
      client = undefined;
    });
    send(socket, kept);
    kept = Buffer.alloc(0);
    connected();
  });
  const port: Port = {
    write: (bytes) => {
      if (client !== undefined) send(client, bytes);
      else kept = Buffer.concat([kept, bytes]).subarray(-KEEP);
    },
    close: () => {
      client?.end();
      server.close();
      server.unref();
    },
  };
  return new Promise((resolve, reject) => {
    server.once("error", (e) => {
      reject(new EmuError("console-listen", `the console ${o.name} cannot listen on ${where(endpoint)}: ${reason(e)}`));
    });
    server.listen(endpoint.port, endpoint.host, () => {
      const at = server.address();
      const bound = typeof at === "object" && at !== null ? { host: endpoint.host, port: at.port } : endpoint;
      o.tell(`console ${o.name} listens on ${where(bound)}${endpoint.wait ? "; the machine starts when somebody connects" : ""}`);
      if (!endpoint.wait) resolve(port);
      else connected = () => resolve(port);
    });
  });
}

/** A reader that does not keep up loses output, and the emulator does not grow. */
function send(socket: Socket | ReadStream, bytes: Uint8Array): void {
  if (bytes.length > 0 && !socket.destroyed && socket.writableLength < MAX_QUEUED) socket.write(bytes);
}

/** The part of node-pty that is used: both ends of a new pseudoterminal. */
interface PtyModule {
  readonly native?: { open(cols: number, rows: number): { master: number; slave: number; pty: string } };
}
/** The package is optional. */
function ptyModule(): PtyModule | undefined {
  try {
    return createRequire(import.meta.url)("node-pty") as PtyModule;
  } catch {
    return undefined;
  }
}

function openPty(o: PortOptions): Port {
  const native = ptyModule()?.native;
  if (native === undefined)
    throw new EmuError("no-pty", `a pty for the console ${o.name} needs the package node-pty (npm install node-pty); tcp:… needs nothing`);
  // Our copy of the slave stays open: without any, reading the master fails while nobody uses the terminal.
  const { master, slave, pty } = native.open(80, 25);
  // Every byte as it is, and no echo: what the guest writes would come back to it as input.
  spawnSync("stty", ["-F", pty, "raw", "-echo"], { stdio: "ignore" });
  const stream = new ReadStream(master);
  stream.on("data", (bytes: Buffer) => o.onInput(bytes));
  stream.on("error", () => {}); // the last user has gone; there may be another
  o.tell(`console ${o.name} is ${pty}`);
  return {
    write: (bytes) => send(stream, bytes),
    close: () => {
      stream.destroy();
      closeSync(slave);
    },
  };
}
