// Where consoles go: --serial as QEMU spells it, port by port, and --consoles by the part that each console plays.

import { type ConsoleName, consoleNames } from "../../harness/named-consoles.ts";
import { usageError } from "../../util/errors.ts";

/** One place to which a console may go. */
export type Endpoint =
  | { readonly kind: "stdio" | "none" | "pty" }
  | { readonly kind: "file"; readonly path: string }
  | {
      readonly kind: "tcp";
      readonly host: string;
      readonly port: number;
      /** Listen, instead of connecting to somebody who does. */
      readonly server: boolean;
      /** Start the machine when somebody has connected. */
      readonly wait: boolean;
    };

/** What --serial and --consoles ask for. */
export type ConsolePlan =
  /** The first and the second serial port. */
  | {
      readonly kind: "serial";
      readonly ports: readonly Endpoint[];
      /** The virtio consoles hvc0 and hvc1, where they are connected by themselves. */
      readonly virtio?: readonly Endpoint[];
    }
  | { readonly kind: "named"; readonly endpoints: Readonly<Partial<Record<ConsoleName, Endpoint>>> }
  /** All in one stream, each line marked; or each in a part of the terminal. */
  | { readonly kind: "marked" | "split" };

const SPELLINGS = "stdio, none, null, file:NAME, tcp:[HOST]:PORT[,server=on][,wait=off], pty";
/** Things that QEMU has beside these, and what to type instead. */
const INSTEAD: readonly (readonly [RegExp, string])[] = [
  [/^vc\b/, "there is no display; type --consoles split"],
  [/^telnet:/, "type tcp:HOST:PORT,server=on and connect with a raw client (nc, socat)"],
  [/^unix:/, "type tcp:127.0.0.1:PORT,server=on"],
  [/^(udp|websocket|con|msmouse|braille|ringbuf|pipe):?/, `type one of ${SPELLINGS}`],
  [/^\/dev\//, "type pty, or file:NAME"],
];

/** A console's place, in QEMU's spelling. Throws EmuError("bad-serial"). */
export function parseEndpoint(text: string, option: string, chardevs: ReadonlyMap<string, Endpoint> = new Map()): Endpoint {
  if (text.startsWith("chardev:")) {
    const place = chardevs.get(text.slice(8));
    if (place !== undefined) return place;
    throw usageError("bad-serial", `${option}: no --chardev has id=${text.slice(8)}`);
  }
  if (text === "stdio" || text === "mon:stdio") return { kind: "stdio" };
  if (text === "none" || text === "null") return { kind: "none" };
  if (text === "pty") return { kind: "pty" };
  if (text.startsWith("file:") && text.length > 5) return { kind: "file", path: text.slice(5) };
  if (text.startsWith("tcp:")) return parseTcp(text, option);
  const instead = INSTEAD.find(([pattern]) => pattern.test(text))?.[1];
  throw usageError("bad-serial", `${option}: "${text}" is not supported (${instead ?? SPELLINGS})`);
}

function parseTcp(text: string, option: string): Endpoint {
  const bad = (why: string): Error => usageError("bad-serial", `${option}: "${text}": ${why}`);
  const [address = "", ...flags] = text.slice(4).split(",");
  const match = /^(\[[0-9a-fA-F:]+\]|[^:]*):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (!match || port > 65535) throw bad("tcp:[HOST]:PORT is expected, with a number up to 65535 as PORT");
  let [server, wait] = [false, true];
  for (const flag of flags) {
    const [key = "", value = "on"] = flag.split("=");
    if (value !== "on" && value !== "off") throw bad(`${key} is on or off`);
    if (key === "server") server = value === "on";
    else if (key === "wait") wait = value === "on";
    else if (key === "nowait") wait = false;
    else if (key !== "nodelay" && !(key === "telnet" && value === "off")) throw bad(`"${flag}" is not known (server, wait, nodelay)`);
  }
  const host = (match[1] ?? "").replace(/^\[|\]$/g, "");
  return { kind: "tcp", host: host === "" ? "127.0.0.1" : host, port, server, wait: server && wait };
}

/**
 * --serial, once for each port, or --consoles. `secure`: the machine has the second port and the second virtio console. `virtio`: where
 * --device virtconsole connects these; if that is the terminal, the first port is not there as well unless --serial says so.
 */
export function parseConsoles(
  serial: readonly string[] | undefined,
  consoles: readonly string[] | undefined,
  secure: boolean,
  { chardevs, virtio = [] }: { chardevs?: ReadonlyMap<string, Endpoint>; virtio?: readonly Endpoint[] } = {},
): ConsolePlan {
  const limit = secure ? 2 : 1;
  if (virtio.length > limit)
    throw usageError(
      "too-many-consoles",
      `--device virtconsole: the machine has ${secure ? "two" : "one; virt,secure=on has a second one"}`,
    );
  if (consoles === undefined) {
    const first = virtio.some((e) => e.kind === "stdio") ? "none" : "stdio";
    return { kind: "serial", ports: parsePorts(serial ?? [first], secure, chardevs), ...(virtio.length > 0 ? { virtio } : {}) };
  }
  if (virtio.length > 0)
    throw usageError("consoles-twice", "--consoles and --device virtconsole say where consoles go in two ways; give one of them");
  if (serial !== undefined) throw usageError("consoles-twice", "--consoles and --serial say the same in two ways; give one of them");
  const [view] = consoles;
  if (consoles.length === 1 && (view === "split" || view === "marked")) return { kind: view };
  const endpoints: Partial<Record<ConsoleName, Endpoint>> = {};
  for (const item of consoles.flatMap(splitList)) {
    const at = item.indexOf("=");
    const name = consoleNames.find((n) => n === item.slice(0, Math.max(0, at)));
    if (name === undefined)
      throw usageError(
        "bad-consoles",
        `--consoles: "${item}" is neither split, marked nor NAME=WHERE with a name of ${consoleNames.join(", ")}`,
      );
    if (endpoints[name] !== undefined) throw usageError("bad-consoles", `--consoles: ${name} is given twice`);
    endpoints[name] = parseEndpoint(item.slice(at + 1), `--consoles ${name}`, chardevs);
  }
  return { kind: "named", endpoints };
}

/** Commas also belong to the places: an item begins with the name of a console. */
const splitList = (text: string): string[] => text.split(new RegExp(`,(?=(?:${consoleNames.join("|")})=)`));

function parsePorts(serial: readonly string[], secure: boolean, chardevs: ReadonlyMap<string, Endpoint> | undefined): Endpoint[] {
  const ports = serial.map((text) => parseEndpoint(text, "--serial", chardevs));
  const limit = secure ? 2 : 1;
  const extra = ports.slice(limit).find((port) => port.kind !== "none");
  if (extra !== undefined) {
    const why = secure ? "two serial ports" : "one serial port; virt,secure=on has a second one";
    throw usageError("too-many-serials", `--serial: the machine has ${why}`);
  }
  return ports.slice(0, limit);
}
