// Numbers of the virtio specification (OASIS virtio 1.2) that transport, rings and devices share.

/** Device status bits (2.1). */
export const Status = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 0x40,
  FAILED: 0x80,
} as const;

/** Feature bit numbers that belong to the transport and the rings (6). */
export const Feature = {
  INDIRECT_DESC: 28,
  EVENT_IDX: 29,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  RING_PACKED: 34,
  RING_RESET: 40,
} as const;

/** Device types (5). */
export const DeviceId = { NONE: 0, BLOCK: 2, CONSOLE: 3, RNG: 4 } as const;

/** Descriptor flags, split and packed (2.7.5, 2.8). AVAIL and USED exist in packed rings only. */
export const DescFlag = { NEXT: 1, WRITE: 2, INDIRECT: 4, AVAIL: 1 << 7, USED: 1 << 15 } as const;

/** Size in bytes of a descriptor, in both ring formats. */
export const DESC_SIZE = 16;
/** Largest queue the specification allows (2.6). */
export const MAX_QUEUE_SIZE = 32768;
/** Most descriptors taken from one indirect table. A driver may exceed the queue size there; this device does not follow it further. */
export const MAX_INDIRECT = 1024;
