// Virtio: the transports and the devices a board can put behind it.

export { VirtioBlock, type VirtioBlockOptions } from "./block.ts";
export { type BlockBackend, type MemoryBackendOptions, MemoryBlockBackend, SECTOR } from "./block-backend.ts";
export { type ConfigField, constant } from "./config.ts";
export { VirtioConsole, type VirtioConsoleOptions } from "./console.ts";
export { DeviceId, Feature, Status } from "./constants.ts";
export type { VirtioDevice, VirtioTransport } from "./device.ts";
export { MmioReg, VirtioMmio, type VirtioMmioOptions } from "./mmio.ts";
export { VirtioPci, type VirtioPciOptions } from "./pci.ts";
export { type EntropyFunction, SeededEntropy, VirtioRng, type VirtioRngOptions } from "./rng.ts";
