// A virtio entropy device as a requester: one queue with one buffer, which the device reads (the queue) and writes (the buffer).

#include "matrix.h"

enum { SLOTS = 0x0a000000, SLOT = 0x200, COUNT = 32, MAGIC = 0x74726976, VERSION = 2, ENTROPY = 4 };
enum { DEVICE_ID = 8, VERSION_OF = 4, FEATURES_SEL = 0x24, FEATURES = 0x20, QUEUE_SEL = 0x30, QUEUE_NUM = 0x38, QUEUE_READY = 0x44,
  NOTIFY = 0x50, STATUS = 0x70, DESC = 0x80, DRIVER = 0x90, DEVICE = 0xa0 };
enum { ACKNOWLEDGE = 1, HAS_DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 0x40 };

static uint64_t slot;
static uint64_t reg(unsigned r) { return slot + r; }

bool device_find(void) {
  for (slot = SLOTS; slot < SLOTS + COUNT * SLOT; slot += SLOT)
    if (read32(slot) == MAGIC && read32(reg(VERSION_OF)) == VERSION && read32(reg(DEVICE_ID)) == ENTROPY) return true;
  return false;
}

static void set_area(unsigned r, uint64_t pa) {
  write32(reg(r), pa);
  write32(reg(r) + 4, pa >> 32);
}

/** Resets the device and gives it the queue: descriptors at `table`, the rings in memory that is open to it. */
static void device_start(uint64_t table) {
  write32(reg(STATUS), 0);
  write32(reg(STATUS), ACKNOWLEDGE | HAS_DRIVER);
  write32(reg(FEATURES_SEL), 1);
  write32(reg(FEATURES), 1); // VERSION_1
  write32(reg(STATUS), ACKNOWLEDGE | HAS_DRIVER | FEATURES_OK);
  write32(reg(QUEUE_SEL), 0);
  write32(reg(QUEUE_NUM), 1);
  set_area(DESC, table);
  set_area(DRIVER, DEVICE_RINGS);
  set_area(DEVICE, DEVICE_RINGS + 0x100);
  write32(reg(QUEUE_READY), 1);
  write32(reg(STATUS), ACKNOWLEDGE | HAS_DRIVER | FEATURES_OK | DRIVER_OK);
}

bool device_transfer(uint64_t table, uint64_t buffer, void (*closed)(void), void (*open)(void)) {
  volatile uint16_t *available = (volatile uint16_t *)DEVICE_RINGS, *used = (volatile uint16_t *)(DEVICE_RINGS + 0x100);
  write64(DEVICE_RINGS, 0); // flags, index, the one entry
  write64(DEVICE_RINGS + 0x100, 0);
  write64(buffer, DEVICE_PATTERN);
  write64(table, buffer);
  write64(table + 8, 2ull << 32 | 8); // one device-writable buffer of 8 bytes
  device_start(table);
  available[1] = 1;
  dsb();
  closed();
  write32(reg(NOTIFY), 0);
  // A second is enough for any device; the emulator's and QEMU's answer in microseconds.
  uint64_t end = read_sysreg(cntpct_el0) + read_sysreg(cntfrq_el0);
  while (!used[1] && !(read32(reg(STATUS)) & NEEDS_RESET) && read_sysreg(cntpct_el0) < end) {}
  bool done = used[1] != 0;
  open();
  write32(reg(STATUS), 0);
  return done;
}
