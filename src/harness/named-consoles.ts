// The four consoles of a machine with realms, as people who run such a stack call them. What each is depends on who plays its part:
//
//              virt                 realm (agents)               realm --rmm, or virt,secure=on with real firmware
//   firmware   EL3's log            log of EL3 and of the RMM    what EL3 and R-EL2 write to UART 0
//   secure     -                    -                            UART 1 (secure=on)
//   host       UART 0, or hvc0      log of the host              what the Non-secure world writes to UART 0, or hvc0
//   realm      -                    the guest's serial, or hvc0  the same; hvc1 with real firmware: give it to the realm's VMM

import { Security } from "../arch/security.ts";
import type { VirtMachine } from "../machine/virt.ts";
import { Console, type Receiver, type Writer } from "./console.ts";

export const consoleNames = ["firmware", "secure", "host", "realm"] as const;
export type ConsoleName = (typeof consoleNames)[number];

/** Devices behind the consoles. */
export interface ConsolePorts {
  /** UART 0, or the serial port of a realm's guest. */
  readonly main: Console;
  readonly secure: Console;
  readonly hvc1: Console;
}

export interface ConsoleOptions {
  /** The machine runs a realm by itself. */
  readonly realm: boolean;
  /** It has a Secure world: UART 1, and UART 0 may be shared. */
  readonly secure: boolean;
  /** Input of UART 0, or of the serial port of a realm's guest. */
  readonly receive: Receiver;
  /** Called after input was queued. */
  sent(): void;
}

export class NamedConsoles {
  readonly all: Readonly<Record<ConsoleName, Console>>;
  /** Consoles that are not those of devices. */
  readonly own: readonly Console[];
  private readonly realm: boolean;

  constructor(ports: ConsolePorts, o: ConsoleOptions) {
    const { sent } = o;
    const swallow: Receiver = (bytes) => bytes.length;
    const uart = (): Console => new Console(o.realm ? swallow : o.receive, sent);
    const firmware = uart();
    const host = o.realm || o.secure ? uart() : ports.main;
    const realm = o.realm ? new Console(o.receive, sent) : ports.hvc1;
    this.all = { firmware, secure: ports.secure, host, realm };
    this.own = [firmware, host, realm].filter((c) => c !== ports.main && c !== ports.hvc1);
    this.realm = o.realm;
  }

  /**
   * Something was written to UART 0 by `writer`, or to the serial port of a realm's guest by the host that emulates it. The console of
   * the whole port has it already.
   */
  uart0(bytes: Uint8Array, writer: Writer | undefined): void {
    const { firmware, host, realm } = this.all;
    const other = this.realm ? realm : host;
    if (writer !== undefined && isFirmware(writer)) firmware.output(bytes, writer);
    else if (this.own.includes(other)) other.output(bytes, writer);
  }
  /** A line of an agent's log. */
  say(who: "firmware" | "host", line: string): void {
    this.all[who].output(new TextEncoder().encode(`${line}\r\n`));
  }
}

/** EL3, the RMM at R-EL2, whatever runs in the Secure world. */
const isFirmware = (w: Writer): boolean => w.el === 3 || w.security === Security.Secure || w.security === Security.Realm;

/** Who executes an instruction now. */
export function writerOf(board: VirtMachine): Writer | undefined {
  const pe = board.executor.running;
  return pe && { el: pe.st.el, security: pe.security };
}
