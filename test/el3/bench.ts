// An EL3 agent on a board of plain numbers: which PEs are on, what was asked of the power control.

import { Off, PE_BASE, PE_STRIDE } from "../../src/arch/layout.ts";
import { PeState, slot } from "../../src/arch/state.ts";
import { Ec } from "../../src/arch/syndrome.ts";
import { Vector } from "../../src/cpu/agent.ts";
import { type AgentPe, El3Agent } from "../../src/el3/agent.ts";

export const RAM = { base: 0x4000_0000n, size: 0x1000_0000n };

export class Bench {
  readonly memory = new WebAssembly.Memory({ initial: (PE_BASE + 4 * PE_STRIDE) >>> 16 });
  /** Everything asked of PowerControl, in order. */
  readonly asked: string[] = [];
  readonly logged: string[] = [];
  readonly on = [true, false, false, false];
  /** When set, powerOn only takes note; the PE starts later. */
  slowStart = false;
  /** Number of ERETs executed by the agent. */
  returns = 0;
  readonly pes: AgentPe[];
  readonly agent: El3Agent;

  constructor(has: (feature: string) => boolean = () => true) {
    this.pes = Array.from({ length: 4 }, (_, index) => ({
      index,
      st: new PeState(this.memory, index),
      controlsChanged: () => {},
      exceptionReturn: () => {
        this.returns++;
      },
      gic: { write: (reg: string, value: bigint) => void this.asked.push(`${reg}=${value}`) },
    }));
    this.agent = new El3Agent({
      power: {
        isOn: (pe) => this.on[pe] as boolean,
        powerOn: (pe, entry, context) => {
          this.asked.push(`on ${pe} 0x${entry.toString(16)} ${context}`);
          if (!this.slowStart) this.start(pe, entry, context);
        },
        powerOff: (pe) => {
          this.asked.push(`off ${pe}`);
          this.on[pe] = false;
        },
        suspend: (pe) => void this.asked.push(`suspend ${pe} x0=${this.pes[pe]?.st.x(0)}`),
        systemOff: () => void this.asked.push("system off"),
        systemReset: (kind) => void this.asked.push(`system reset ${kind}`),
        isExecutable: (pa) => pa >= RAM.base && pa < RAM.base + RAM.size,
        panic: (pe, line) => void this.asked.push(`panic ${pe} ${line}`),
      },
      affinities: [0, 1, 0x100, 0x1_0000_0000],
      has,
      frequency: 1_000_000_000,
      entropy: (n) => Uint8Array.from({ length: n }, (_, i) => 0xa0 + i),
      log: (line) => void this.logged.push(line),
    });
    for (const pe of this.pes) pe.st.set(slot.SCR_EL3, 1n);
  }

  start(pe: number, entry: bigint, context: bigint): void {
    this.on[pe] = true;
    this.agent.coldBoot(this.pes[pe] as AgentPe, entry, context);
    this.returns--; // only the ERETs of callers are counted
  }

  /** Makes an SMC from PE `pe`; x registers given, others hold a pattern. Returns x0..x17 afterwards. */
  smc(args: readonly (number | bigint)[], pe = 0): bigint[] {
    const { st } = this.pes[pe] as AgentPe;
    for (let n = 0; n < 31; n++) st.setX(n, BigInt.asUintN(64, BigInt(args[n] ?? 0xdead_0000_0000_0000n + BigInt(n))));
    st.setLo(Off.EL, 3);
    st.set(slot.SPSR_EL3, 0x3c9n);
    this.agent.handle(this.pes[pe] as AgentPe, { vector: Vector.Sync, ec: Ec.Smc, iss: 0, target: 3, next: 4 });
    return Array.from({ length: 18 }, (_, n) => st.x(n));
  }

  /** x0 after an SMC, as a signed number. */
  call(...args: (number | bigint)[]): bigint {
    return BigInt.asIntN(64, this.smc(args)[0] as bigint);
  }
}
