// Devices that do something by themselves at a later time.

/**
 * A device with a deadline. The board asks for `deadline()` when it plans how far to run or how far WFI may jump, and calls
 * `update()` once the clock has reached it. Registers are exact at every access whether or not the board does so: what
 * depends on it is only when the interrupt line changes.
 */
export interface TimedDevice {
  /** Clock time in nanoseconds of the next event; Infinity when there is none. */
  deadline(): number;
  /** Brings the device to the clock's present time. */
  update(): void;
}
