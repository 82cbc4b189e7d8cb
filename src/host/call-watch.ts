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

/** What a PE waits for. One object per PE: the host makes calls by the ten thousand. */
interface Waiting {
  readonly pe: Pe;
  /** Function identifier of the call; FIRMWARE: the host itself. NOTHING: it is at work. */
  fid: number;
  since: number;
}
const NOTHING = -1;
const FIRMWARE = -2;

export class CallWatch implements TimedDevice {
  private readonly port: WatchPort;
  private readonly waiting: readonly Waiting[];
  private next: number;

  constructor(port: WatchPort) {
    this.port = port;
    this.waiting = port.pes.map((pe) => ({ pe, fid: NOTHING, since: 0 }));
    this.next = port.clock.now() + INTERVAL;
    if (port.pes[0]) this.add(port.pes[0], FIRMWARE);
  }

  private of(pe: Pe): Waiting {
    return this.waiting[pe.index] as Waiting;
  }
  private add(pe: Pe, fid: number): void {
    const w = this.of(pe);
    w.fid = fid;
    w.since = this.port.retired();
  }
  /** The host is at work on this PE: nothing is waited for any more. */
  atHost(pe: Pe): void {
    this.of(pe).fid = NOTHING;
  }
  /** The host makes a call. */
  calls(pe: Pe, fid: number): void {
    if (fid !== REC_ENTER) this.add(pe, fid);
  }

  /** None: that time passes while nothing executes is no reason to look. */
  deadline(): number {
    return Number.POSITIVE_INFINITY;
  }
  update(): void {
    const { port } = this;
    if (port.clock.now() < this.next) return;
    this.next = port.clock.now() + INTERVAL;
    for (const w of this.waiting) {
      if (w.fid === NOTHING) continue;
      const spent = port.retired() - w.since;
      if (spent >= (w.fid === FIRMWARE ? BOOT_LIMIT : CALL_LIMIT))
        port.stop(`${whatOf(w.fid)} after ${(spent / 1e9).toFixed(1)}e9 instructions: ${whereabouts(w.pe)}`);
    }
  }
}

function whatOf(fid: number): string {
  if (fid === FIRMWARE) return "firmware has not reached the host";
  const name = rmiByFid.get(fid)?.name;
  return `firmware has not answered ${name === undefined ? `the SMC ${hex(fid)}` : `RMI_${name}`}`;
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
