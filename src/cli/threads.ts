// Beside the thread that runs the guest, the host's compiler and garbage collector work in threads of their own. Where cores are few,
// they would take turns with the guest as equals: on two cores that makes a boot a quarter slower.

import { readdirSync } from "node:fs";
import { getPriority, setPriority } from "node:os";

/** How much lower the priority of those threads is, in nice values. */
const STEP = 10;

/** Gives the calling thread, which is to run the guest, a higher priority than the others that there are now. Linux only. */
export function guestFirst(): void {
  if (process.platform !== "linux") return;
  try {
    const nice = Math.min(19, getPriority() + STEP);
    // On Linux a thread number serves where a process number is asked for (setpriority(2)).
    for (const thread of readdirSync("/proc/self/task")) if (Number(thread) !== process.pid) setPriority(Number(thread), nice);
  } catch {
    // No /proc, or a thread that has just ended: they stay as they are.
  }
}
