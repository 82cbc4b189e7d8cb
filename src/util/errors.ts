// Errors for the person at the keyboard or in the test: bad input, impossible options, host limits.
// Guest faults are never errors: they are returned values that become architected exceptions.

/** An error with a stable code. The command line prints `message` as one line and exits with `exitCode`. */
export class EmuError extends Error {
  /** Stable identifier, for example "kernel-truncated". */
  readonly code: string;
  /** 1: the input or the machine is at fault; 2: the command line was used wrongly. */
  readonly exitCode: 1 | 2;

  constructor(code: string, message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.name = "EmuError";
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** A misuse of the command line or the API: exit code 2. */
export const usageError = (code: string, message: string): EmuError => new EmuError(code, message, 2);

/** Hexadecimal with 0x and no padding, for addresses in messages. */
export const hex = (v: number | bigint): string => `0x${v.toString(16)}`;
