// GICv3: the distributor, this PE's redistributor, the CPU interface in system registers.

#include "hello.h"

enum { GICD_CTLR = 0x0, GICD_TYPER = 0x4, GICD_IGROUPR = 0x80, GICD_ISENABLER = 0x100, GICD_IPRIORITYR = 0x400, GICD_IROUTER = 0x6000, GICD_PIDR2 = 0xffe8 };
enum { CTLR_ENABLE_G1 = 1 << 1, CTLR_ARE = 1 << 4, CTLR_DS = 1 << 6, CTLR_RWP = 1u << 31 };
enum { GICR_TYPER = 0x8, GICR_WAKER = 0x14, GICR_SGI = 0x10000, GICR_FRAMES = 0x20000 };
enum { WAKER_PROCESSOR_SLEEP = 1 << 1, WAKER_CHILDREN_ASLEEP = 1 << 2 };

static uint64_t redistributor;

/** Aff3..Aff0 of this PE, as in GICR_TYPER bits 63:32. */
static uint32_t affinity(void) {
  uint64_t m = read_sysreg(mpidr_el1);
  return (uint32_t)((m & 0xffffff) | (m >> 8 & 0xff000000));
}

static void find_redistributor(void) {
  for (uint64_t at = board.redistributors; at < board.redistributors + board.redistributors_size; at += GICR_FRAMES) {
    uint64_t typer = read64(at + GICR_TYPER);
    if (typer >> 32 == affinity()) {
      redistributor = at;
      return;
    }
    if (typer & 1 << 4) return; // Last
  }
}

void gic_init(void) {
  if (current_el() == 2) {
    write_sysreg(S3_4_C12_C9_5, read_sysreg(S3_4_C12_C9_5) | 9); // ICC_SRE_EL2: SRE, Enable
    isb();
  }
  write_sysreg(S3_0_C12_C12_5, 1); // ICC_SRE_EL1.SRE
  isb();
  write32(board.distributor + GICD_CTLR, CTLR_ARE | CTLR_ENABLE_G1);
  while (read32(board.distributor + GICD_CTLR) & CTLR_RWP) {}

  find_redistributor();
  if (redistributor) {
    uint64_t waker = redistributor + GICR_WAKER;
    write32(waker, read32(waker) & ~WAKER_PROCESSOR_SLEEP);
    while (read32(waker) & WAKER_CHILDREN_ASLEEP) {}
  }
  write_sysreg(S3_0_C4_C6_0, 0xff); // ICC_PMR_EL1: every priority passes
  write_sysreg(S3_0_C12_C12_7, 1);  // ICC_IGRPEN1_EL1
  isb();
}

void gic_describe(void) {
  uint32_t typer = read32(board.distributor + GICD_TYPER);
  uint32_t spis = 32 * (typer & 31);
  bool one_state = read32(board.distributor + GICD_CTLR) & CTLR_DS;
  say("  GIC         version %u at 0x%lx, %u shared interrupts, %s\n", read32(board.distributor + GICD_PIDR2) >> 4 & 15, board.distributor, spis,
      one_state ? "one Security state" : "Non-secure view of two Security states");
}

void gic_enable(unsigned intid) {
  uint64_t base = intid < 32 ? redistributor + GICR_SGI : board.distributor;
  if (!base) return;
  uint64_t group = base + GICD_IGROUPR + 4 * (intid / 32), priority = base + GICD_IPRIORITYR + (intid & ~3u);
  unsigned shift = 8 * (intid & 3);
  write32(group, read32(group) | 1u << intid % 32);
  write32(priority, (read32(priority) & ~(0xffu << shift)) | 0xa0u << shift);
  if (intid >= 32) {
    uint64_t m = read_sysreg(mpidr_el1);
    write64(base + GICD_IROUTER + 8 * intid, m & 0xff00ffffff);
  }
  write32(base + GICD_ISENABLER + 4 * (intid / 32), 1u << intid % 32);
}

unsigned gic_acknowledge(void) {
  unsigned intid = read_sysreg(S3_0_C12_C12_0) & 0xffffff; // ICC_IAR1_EL1
  dsb();
  return intid;
}

void gic_end(unsigned intid) {
  write_sysreg(S3_0_C12_C12_1, intid); // ICC_EOIR1_EL1
  isb();
}
