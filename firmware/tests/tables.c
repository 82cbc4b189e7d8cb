// Translation tables for any granule, size and first level.

#include "tests.h"

#define POOL 0x44000000ull
#define POOL_END 0x46000000ull

static u64 pool = POOL;

void pool_reset(void) { pool = POOL; }

/** Zeroed memory, aligned to its size (a power of two). */
u64 *pool_get(u64 size) {
  pool = (pool + size - 1) & ~(size - 1);
  u64 *at = (u64 *)pool;
  pool += size;
  if (pool > POOL_END) say("pool exhausted\n");
  for (u64 i = 0; i < size / 8; i++) at[i] = 0;
  return at;
}

int start_level(unsigned granule, unsigned tsz) {
  unsigned stride = granule - 3;
  unsigned bits = 64 - tsz - granule;
  return 4 - (int)((bits + stride - 1) / stride);
}

struct space space_new2(unsigned granule, unsigned tsz, int start, bool ds) {
  unsigned stride = granule - 3;
  int top = (int)(64 - tsz - granule) - (3 - start) * (int)stride; // bits of the first index
  u64 size = 1ull << granule;
  if (top > (int)stride) size <<= top - (int)stride;
  return (struct space){.root = pool_get(size), .granule = granule, .start = start, .tsz = tsz, .ds = ds};
}

struct space space_new(unsigned granule, unsigned tsz, bool ds) { return space_new2(granule, tsz, start_level(granule, tsz), ds); }

u64 *map(struct space *s, u64 va, int level, u64 descriptor) {
  unsigned stride = s->granule - 3;
  u64 *table = s->root;
  va &= (1ull << (64 - s->tsz)) - 1;
  for (int l = s->start;; l++) {
    unsigned shift = s->granule + (unsigned)(3 - l) * stride;
    u64 index = va >> shift;
    if (l > s->start) index &= (1ull << stride) - 1;
    if (l == level) {
      table[index] = descriptor;
      dsb();
      return &table[index];
    }
    if ((table[index] & 3) != 3) table[index] = (u64)pool_get(1ull << s->granule) | 3 | s->table_bits;
    table = (u64 *)(table[index] & 0xfffffffff000ull & ~((1ull << s->granule) - 1));
  }
}

struct space std;
extern char _snip[], _snip_end[];

void flush_el1(void) {
  dsb();
  __asm__ volatile("tlbi alle1\n dsb sy\n isb" : : : "memory");
}

void standard_el1(void) {
  pool_reset();
  std = space_new(12, 25, false);
  for (u64 a = (u64)_snip; a < (u64)_snip_end; a += 4096) map(&std, a, 3, a | PAGE | AF | AP(3) | ATTR(0));
  for (u64 i = 0; i < 16; i++) map(&std, DATA + i * 4096, 3, (DATA_PA + i * 4096) | PAGE | RW);
  msr(mair_el1, MAIR_VALUE);
  msr(tcr_el1, 25 | 25 << 16 | 2ull << 30 | 1ull << 23 | 5ull << 32 | 0x35003500); // 39 bits each, EPD1, 48-bit output
  msr(ttbr0_el1, (u64)std.root);
  msr(ttbr1_el1, 0);
  msr(sctlr_el1, SCTLR_ON);
  start_sp0 = DATA + 0x8000;
  start_sp1 = DATA + 0x9000;
  flush_el1();
}

void fill_data(void) {
  for (u64 k = 0; k < 64; k++) {
    write64(DATA_PA + k * 4096, 0xda7a0000 + k);
    write32(DATA_PA + k * 4096 + 0x100, 0xd401e001); // svc #0xf00
  }
  dsb();
  __asm__ volatile("ic ialluis\n dsb sy\n isb" : : : "memory");
}

void set_upper(const struct space *upper, u64 extra) {
  static const u64 tg1[] = {2, 0, 1, 0, 3};
  u64 tcr = 25 | (u64)upper->tsz << 16 | tg1[upper->granule - 12] << 30 | 5ull << 32 | 0x35003500;
  if (upper->ds) tcr |= 1ull << 59;
  msr(tcr_el1, tcr ^ extra);
  msr(ttbr1_el1, (u64)upper->root);
  flush_el1();
}

void load(u32 mode, u64 va) { GO(mode, CODE("ldr x0, [x1]"), 0, va); }
void store(u32 mode, u64 va) { GO(mode, CODE("str x0, [x1]"), 0x5701ed, va); }
void fetch(u32 mode, u64 va) { GO(mode, CODE("br x1"), 0, va + 0x100); }

u64 translate(const char *what, u64 va) {
  static const struct {
    const char *name;
    u32 word;
  } ats[] = {{"s1e1r", SYS(0, 7, 8, 0)}, {"s1e1w", SYS(0, 7, 8, 1)}, {"s1e0r", SYS(0, 7, 8, 2)}, {"s1e0w", SYS(0, 7, 8, 3)},
             {"s1e1rp", SYS(0, 7, 9, 0)}, {"s1e1wp", SYS(0, 7, 9, 1)}, {"s1e2r", SYS(4, 7, 8, 0)}, {"s1e2w", SYS(4, 7, 8, 1)},
             {"s12e1r", SYS(4, 7, 8, 4)}, {"s12e1w", SYS(4, 7, 8, 5)}, {"s12e0r", SYS(4, 7, 8, 6)}, {"s12e0w", SYS(4, 7, 8, 7)}};
  for (unsigned i = 0; i < sizeof ats / sizeof ats[0]; i++) {
    const char *a = ats[i].name, *b = what;
    while (*a && *a == *b) a++, b++;
    if (*a || *b) continue;
    // at <what>, x0; isb; mrs x0, par_el1
    GO(EL2, WORDS(ats[i].word, 0xd5033fdf, MRS(3, 0, 7, 4, 0)), va);
    return last.x[0];
  }
  return ~0ull;
}
