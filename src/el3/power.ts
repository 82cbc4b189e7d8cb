// What firmware needs from the board to switch PEs and the system on and off. The machine implements it.

export interface PowerControl {
  /** Is the PE powered on (running or waiting)? */
  isOn(pe: number): boolean;
  /**
   * Resets the PE and lets the EL3 agent start it (`El3Agent.coldBoot(pe, entry, context)`), at once or at the PE's next turn.
   * Called for a PE that is off. `entry`: physical address; `context`: x0 of the started PE.
   */
  powerOn(pe: number, entry: bigint, context: bigint): void;
  /** The calling PE executes nothing more until it is powered on again. */
  powerOff(pe: number): void;
  /** The PE waits as after WFI, with its state kept: pending interrupts end the wait whatever PSTATE masks. */
  suspend(pe: number): void;
  /** Power of the whole system goes off: no PE executes anything more. */
  systemOff(): void;
  /** "cold": everything starts again. No PE executes anything more until then. */
  systemReset(kind: "cold"): void;
  /** Can a PE start executing at this physical address (is it Non-secure RAM)? */
  isExecutable(pa: bigint): boolean;
  /** Firmware met something that it has no way to go on from: the PE stops for good; the machine reports the line. */
  panic(pe: number, line: string): void;
}
