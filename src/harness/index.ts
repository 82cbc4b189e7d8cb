// The public API: create a machine, run it, talk to its consoles, look inside.

export { type BlockBackend, MemoryBlockBackend } from "../devices/virtio/index.ts";
export { EmuError } from "../util/errors.ts";
export { Console, type WaitOptions } from "./console.ts";
export { Machine, type MachineOptions, type StopReason } from "./machine.ts";
