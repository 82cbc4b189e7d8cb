// Granule protection tables: two levels at fixed places, with one target whose protection is what a check asks for.

#include "matrix.h"

enum { L0_BLOCK = 1, L0_TABLE = 3, L1_CONTIGUOUS = 1 };

static const unsigned granule_bits[] = {[PGS_4K] = 12, [PGS_64K] = 16, [PGS_16K] = 14};

unsigned gpt_region_bits(void) { return 30 + (read_sysreg(GPCCR_EL3) >> 20 & 15); }

uint64_t gpt_target(enum form form) {
  unsigned s = gpt_region_bits();
  return form == FORM_BLOCK && s > 30 ? (1ull << s) + (TARGET & 0xfffffff) : TARGET;
}

volatile uint64_t *gpt_l0_entry(uint64_t pa) { return (volatile uint64_t *)(GPT_L0 + (pa >> gpt_region_bits()) * 8); }

volatile uint64_t *gpt_l1_entry(enum pgs pgs, uint64_t pa) {
  uint64_t in_region = pa & ((1ull << gpt_region_bits()) - 1);
  return (volatile uint64_t *)(GPT_L1 + (in_region >> (granule_bits[pgs] + 4)) * 8);
}

uint64_t gpt_granules(enum pgs pgs, uint64_t pa, unsigned gpi, unsigned others) {
  unsigned shift = (pa >> granule_bits[pgs] & 15) * 4;
  uint64_t all = others * 0x1111111111111111ull;
  return (all & ~(15ull << shift)) | (uint64_t)gpi << shift;
}

/** Contiguous entries for [pa, pa + size): all entries of the range must be equal. */
static void fill_contiguous(enum pgs pgs, uint64_t pa, uint64_t size, unsigned gpi) {
  unsigned contig = size == 2ull << 20 ? 1 : size == 32ull << 20 ? 2 : 3;
  uint64_t value = L1_CONTIGUOUS | gpi << 4 | contig << 8;
  volatile uint64_t *entry = gpt_l1_entry(pgs, pa), *end = entry + (size >> (granule_bits[pgs] + 4));
  while (entry < end) *entry++ = value;
}

void gpt_build(enum pgs pgs, enum form form, unsigned gpi) {
  volatile uint64_t *l0 = (volatile uint64_t *)GPT_L0;
  uint64_t target = gpt_target(form);
  static unsigned open; // PGS + 1 for which the level-1 table of a large region is open below the target
  if (gpt_region_bits() == 30) {
    l0[0] = l0[1] = L0_BLOCK | GPI_ANY << 4;
    l0[2] = GPT_L1 | L0_TABLE;
    l0[3] = L0_BLOCK | GPI_NONE << 4;
  } else {
    l0[0] = GPT_L1 | L0_TABLE;
    l0[1] = L0_BLOCK | GPI_NONE << 4;
    if (open != pgs + 1u)
      for (uint64_t pa = 0; pa < TARGET_REGION; pa += 512ull << 20) fill_contiguous(pgs, pa, 512ull << 20, GPI_ANY);
    open = pgs + 1u;
  }
  uint64_t l1 = target & ~((2ull << 20) - 1);
  switch (form) {
    case FORM_BLOCK: *gpt_l0_entry(target) = L0_BLOCK | gpi << 4; break;
    case FORM_GRANULES:
      // The neighbours say the opposite, so that a wrong index shows.
      *gpt_l1_entry(pgs, target) = gpt_granules(pgs, target, gpi, gpi == GPI_NONE ? GPI_ANY : GPI_NONE);
      break;
    case FORM_2M: fill_contiguous(pgs, l1, 2ull << 20, gpi); break;
    case FORM_32M: fill_contiguous(pgs, target & ~((32ull << 20) - 1), 32ull << 20, gpi); break;
    case FORM_512M: fill_contiguous(pgs, target & ~((512ull << 20) - 1), 512ull << 20, gpi); break;
  }
}

void tlbi_paall(void) {
  dsb();
  __asm__ volatile(".inst 0xd50e879f" : : : "memory"); // TLBI PAALL
  dsb();
  isb();
}

void gpc_on(uint64_t gpccr) {
  dsb();
  write_sysreg(GPCCR_EL3, gpccr | GPCCR_GPC);
  isb();
  tlbi_paall();
}

void gpc_off(void) {
  write_sysreg(GPCCR_EL3, GPCCR_BASE);
  isb();
  tlbi_paall();
}
