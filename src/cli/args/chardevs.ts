// -chardev as QEMU spells it, and the consoles that name one: -serial chardev:ID, -device virtconsole,chardev=ID.

import { usageError } from "../../util/errors.ts";
import { type Endpoint, parseEndpoint } from "./consoles.ts";
import { allowKeys, parseKeyValues, parseSwitch } from "./keyval.ts";

/** Places by the id that was given to them. */
export type Chardevs = ReadonlyMap<string, Endpoint>;

/** Keys that ask for nothing we would not do anyway, beside those of each kind. */
const COMMON = ["id", "mux", "signal"];
// biome-ignore format: table
const KINDS: Readonly<Record<string, { readonly keys: readonly string[]; place(v: ReadonlyMap<string, string>): Endpoint }>> = {
  stdio:  { keys: [],                                     place: () => ({ kind: "stdio" }) },
  null:   { keys: [],                                     place: () => ({ kind: "none" }) },
  pty:    { keys: [],                                     place: () => ({ kind: "pty" }) },
  file:   { keys: ["path", "append"],                     place: (v) => parseEndpoint(`file:${v.get("path") ?? ""}`, "--chardev file") },
  socket: { keys: ["host", "port", "server", "wait", "nodelay", "ipv4", "ipv6", "telnet", "path"], place: socket },
};

function socket(v: ReadonlyMap<string, string>): Endpoint {
  if (v.has("path")) throw usageError("bad-chardev", "--chardev socket: type host=127.0.0.1,port=PORT in place of path");
  if (parseSwitch(v.get("telnet") ?? "off", "--chardev socket telnet"))
    throw usageError("bad-chardev", "--chardev socket: telnet=on is not supported; leave it out and connect with a raw client (nc, socat)");
  const flags = ["server", "wait"].filter((key) => v.has(key)).map((key) => `,${key}=${v.get(key)}`);
  return parseEndpoint(`tcp:${v.get("host") ?? ""}:${v.get("port") ?? ""}${flags.join("")}`, "--chardev socket");
}

/** All --chardev options. Throws EmuError for what cannot be meant. */
export function parseChardevs(options: readonly string[]): Chardevs {
  const all = new Map<string, Endpoint>();
  for (const option of options) {
    // "server" and "wait" may stand for themselves, as in QEMU's older spelling ("server,nowait").
    const text = option.replace(/,server(?=,|$)/, ",server=on").replace(/,nowait(?=,|$)/, ",wait=off");
    const { head = "", values } = parseKeyValues(text, "--chardev");
    const kind = Object.hasOwn(KINDS, head) ? KINDS[head] : undefined;
    if (kind === undefined) throw usageError("bad-chardev", `--chardev: "${head}" is not supported (${Object.keys(KINDS).join(", ")})`);
    allowKeys(values, [...COMMON, ...kind.keys], `--chardev ${head}`);
    const id = values.get("id");
    if (!id) throw usageError("bad-chardev", `--chardev ${head}: id=ID is missing`);
    if (all.has(id)) throw usageError("bad-chardev", `--chardev: "${id}" is given twice`);
    all.set(id, kind.place(values));
  }
  return all;
}

/** The virtio consoles that --device virtconsole connects, in their order; other devices are left for others. */
export function separateVirtconsoles(devices: readonly string[], chardevs: Chardevs): { virtio: Endpoint[]; devices: string[] } {
  const isConsole = (option: string): boolean => parseKeyValues(option, "--device").head === "virtconsole";
  const virtio = devices.filter(isConsole).map((option) => {
    const { values } = parseKeyValues(option, "--device");
    allowKeys(values, ["chardev", "id", "name", "bus", "nr"], "--device virtconsole");
    const id = values.get("chardev");
    if (!id) throw usageError("bad-device", "--device virtconsole: chardev=ID is missing (or type --console hvc0)");
    return parseEndpoint(`chardev:${id}`, "--device virtconsole", chardevs);
  });
  return { virtio, devices: devices.filter((d) => !isConsole(d)) };
}
