// Watches over what the host waits for: firmware that has to reach the Non-secure world, and calls that have to return. Guest code can loop
// for ever; without this, nothing would say where.

import { securityName } from "../arch/security.ts";
import { slot } from "../arch/state.ts";
import type { Pe } from "../cpu/pe.ts";
import type { TimedDevice } from "../devices/timed.ts";
import { rmiByFid } from "../rmm/commands.ts";
import { hex } from "../util/errors.ts";

/** Instructions, of all PEs together: many times what any call takes that is no entry into a realm. */
const CALL_LIMIT = 2e9;
/** The same from power-on to the host's first instruction: loading a large payload from flash is a part of it. */
const BOOT_LIMIT = 10e9;
/** How often to look, in nanoseconds of the machine's clock. */
const INTERVAL = 1e9;
/** A realm runs as long as it likes. */
const REC_ENTER = 0xc400_015c;

/** What the watch needs of the machine. */
export interface WatchPort {
  readonly pes: readonly Pe[];
  readonly clock: { now(): number };
  /** Instructions retired since power-on. */
  retired(): number;
  /** Ends the machine, with the reason. */
  stop(reason: string): void;
}

interface Waiting {
  readonly pe: Pe;
  readonly what: string;
  readonly since: number;
  readonly limit: number;
}

export class CallWatch implements TimedDevice {
  private readonly port: WatchPort;
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;

  constructor(port: WatchPort) {
    this.port = port;
    const pe = port.pes[0];
    if (pe) this.add(pe, "firmware has not reached the host", BOOT_LIMIT);
  }

  private add(pe: Pe, what: string, limit: number): void {
    const { port } = this;
    if (this.waiting.size === 0) this.next = port.clock.now() + INTERVAL;
    this.waiting.set(pe.index, { pe, what, since: port.retired(), limit });
  }
  /** The host is at work on this PE: nothing is waited for any more. */
  atHost(pe: Pe): void {
    this.waiting.delete(pe.index);
  }
  /** The host makes a call. */
  calls(pe: Pe, fid: number): void {
    if (fid === REC_ENTER) return;
    const name = rmiByFid.get(fid)?.name;
    this.add(pe, `firmware has not answered ${name === undefined ? `the SMC ${hex(fid)}` : `RMI_${name}`}`, CALL_LIMIT);
  }

  /** None: that time passes while nothing executes is no reason to look. */
  deadline(): number {
    return Number.POSITIVE_INFINITY;
  }
  update(): void {
    const { port } = this;
    if (this.waiting.size === 0 || port.clock.now() < this.next) return;
    this.next = port.clock.now() + INTERVAL;
    for (const w of this.waiting.values()) {
      const spent = port.retired() - w.since;
      if (spent >= w.limit) port.stop(`${w.what} after ${(spent / 1e9).toFixed(1)}e9 instructions: ${whereabouts(w.pe)}`);
    }
  }
}

/** Where a PE is, and which exception led there last. */
function whereabouts(pe: Pe): string {
  const { st } = pe;
  const el = st.el;
  const place = `PE ${pe.index} is at EL${el} in the ${securityName[pe.security]} state, PC ${hex(st.pc)}`;
  if (el !== 2 && el !== 3) return place;
  const [esr, elr, far] = el === 2 ? [slot.ESR_EL2, slot.ELR_EL2, slot.FAR_EL2] : [slot.ESR_EL3, slot.ELR_EL3, slot.FAR_EL3];
  return `${place}, ESR_EL${el} ${hex(st.get(esr))}, ELR_EL${el} ${hex(st.get(elr))}, FAR_EL${el} ${hex(st.get(far))}`;
}
