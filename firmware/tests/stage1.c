// Stage 1 of EL1&0: granules, levels, sizes, faults, hardware access flag and dirty state, attributes, TLB maintenance.
// The code runs in the standard lower range; what is tested is in the upper range.

#include "tests.h"

static const struct granule {
  const char *name;
  unsigned shift;
} granules[] = {{"4k", 12}, {"16k", 14}, {"64k", 16}};
static const char *const levels[] = {"l-1", "l0", "l1", "l2", "l3"};
#define LEVEL(n) levels[(n) + 1]

static u64 top(unsigned tsz) { return ~0ull << (64 - tsz); }
static u64 size_at(unsigned granule, int level) { return 1ull << (granule + (unsigned)(3 - level) * (granule - 3)); }
static u64 leaf(int level) { return level == 3 ? PAGE : BLOCK; }

/** The VA of DATA_PA behind a leaf at `level` whose output is DATA_PA's block. */
static u64 place(struct space *s, int level, u64 attributes) {
  u64 size = size_at(s->granule, level);
  u64 output = DATA_PA & ~(size - 1);
  map(s, 0, level, output | leaf(level) | attributes);
  return top(s->tsz) + (DATA_PA & (size - 1));
}

static void leaves(void) {
  section("leaves of each level");
  for (unsigned g = 0; g < 3; g++) {
    for (unsigned ds = 0; ds < 2; ds++) {
      if (ds && g == 2) continue;
      unsigned tsz = ds ? 12 : 16;
      for (int level = start_level(granules[g].shift, tsz); level <= 3; level++) {
        standard_el1();
        struct space s = space_new(granules[g].shift, tsz, ds);
        u64 va = place(&s, level, RW);
        set_upper(&s, 0);
        const char *name = join("leaf.", granules[g].name, ds ? ".ds." : ".", LEVEL(level), NULL);
        load(EL1, va + 0x3000);
        report(join(name, ".ldr", NULL));
        line(join(name, ".at", NULL), translate("s1e1r", va + 0x3000));
      }
    }
  }
}

static void missing(void) {
  section("invalid, unaccessed and reserved entries of each level");
  static const struct {
    const char *name;
    u64 bits;
  } kinds[] = {{"invalid", 0}, {"af0", ~0ull}, {"reserved", 1}};
  for (unsigned g = 0; g < 3; g++) {
    for (unsigned k = 0; k < 3; k++) {
      for (int level = start_level(granules[g].shift, 16); level <= 3; level++) {
        standard_el1();
        struct space s = space_new(granules[g].shift, 16, false);
        u64 va = place(&s, level, RW & ~AF);
        if (kinds[k].bits == 0) map(&s, 0, level, DATA_PA | RW);
        if (kinds[k].bits == 1) map(&s, 0, level, (DATA_PA & ~(size_at(granules[g].shift, level) - 1)) | RW | (level == 3 ? 1 : 0) | 0);
        set_upper(&s, 0);
        const char *name = join("entry.", kinds[k].name, ".", granules[g].name, ".", LEVEL(level), NULL);
        load(EL1, va);
        report(name);
        store(EL0, va + 8);
        report(join(name, ".str.el0", NULL));
        fetch(EL1, va);
        report(join(name, ".fetch", NULL));
        line(join(name, ".at", NULL), translate("s1e1w", va), translate("s1e0r", va));
      }
    }
  }
}

static void sizes(void) {
  section("region sizes");
  static const unsigned tried[] = {11, 12, 13, 15, 16, 17, 21, 22, 24, 25, 27, 28, 33, 34, 35, 38, 39, 42, 43, 47, 48, 49};
  for (unsigned g = 0; g < 3; g++) {
    for (unsigned ds = 0; ds < 2; ds++) {
      for (unsigned i = 0; i < sizeof tried / sizeof tried[0]; i++) {
        standard_el1();
        unsigned tsz = tried[i];
        struct space s = {.root = pool_get(65536), .granule = granules[g].shift, .tsz = tsz, .ds = ds};
        set_upper(&s, 0);
        char digits[3] = {(char)('0' + tsz / 10), (char)('0' + tsz % 10), 0};
        // An empty table: the level of the fault is the first level. Then just below the range.
        u64 inside, below;
        load(EL1, ~0xfffull);
        inside = outcome();
        load(EL1, top(tsz) - 8);
        below = outcome();
        line(join("tsz.", granules[g].name, ds ? ".ds." : ".", digits, NULL), inside, below);
      }
    }
  }
}

static void address_sizes(void) {
  section("output sizes");
  standard_el1();
  for (u64 ips = 0; ips < 8; ips++) {
    static const char *const names[] = {"32", "36", "40", "42", "44", "48", "52", "7"};
    static const unsigned bits[] = {32, 36, 40, 42, 44, 48, 52, 52};
    standard_el1();
    struct space s = space_new(12, 16, false);
    u64 va = top(16);
    u64 high = bits[ips] < 48 ? 1ull << bits[ips] : 1ull << 47;
    map(&s, 0, 3, high | PAGE | RW);
    map(&s, 0x200000, 2, high | BLOCK | RW);
    map(&s, 0x40000000, 1, high | PAGE);
    map(&s, 0x1000, 3, (high >> 1) | PAGE | RW);
    set_upper(&s, 5ull << 32 ^ ips << 32);
    const char *name = join("ips.", names[ips], NULL);
    load(EL1, va);
    u64 page = outcome();
    load(EL1, va + 0x200000);
    u64 block = outcome();
    load(EL1, va + 0x40000000);
    u64 table = outcome();
    u64 below = translate("s1e1r", va + 0x1000);
    msr(ttbr1_el1, high);
    flush_el1();
    load(EL1, va);
    line(name, page, block, table, below, outcome());
  }
}

static void addresses(void) {
  section("address ranges and tags");
  standard_el1();
  fill_data();
  struct space s = space_new(12, 25, false);
  u64 va = place(&s, 3, RW);
  static const struct {
    const char *name;
    u64 extra;
  } modes[] = {{"plain", 0}, {"tbi0", 1ull << 37}, {"tbi1", 1ull << 38}, {"tbi01.tbid01", 3ull << 37 | 3ull << 51}};
  for (unsigned i = 0; i < 4; i++) {
    set_upper(&s, modes[i].extra);
    static const u64 flips[] = {0, 1ull << 63, 0xffull << 56, 1ull << 55, 1ull << 54, 1ull << 40, 1ull << 39};
    static const char *const names[] = {"0", "63", "tag", "55", "54", "40", "39"};
    for (unsigned f = 0; f < 7; f++) {
      load(EL1, va ^ flips[f]);
      u64 upper = outcome();
      load(EL0, DATA ^ flips[f]);
      u64 lower = outcome();
      line(join("va.", modes[i].name, ".flip", names[f], NULL), upper, lower);
    }
    map(&s, 0, 3, DATA_PA | PAGE | AF | AP(3) | ATTR(0));
    flush_el1();
    fetch(EL1, va ^ 0xffull << 56);
    report(join("va.", modes[i].name, ".fetch.tagged", NULL));
    TEST(join("va.", modes[i].name, ".fault.far", NULL), EL1, CODE("ldr x0, [x1]"), 0, (va + 0x100000) ^ 0xaull << 56);
    GO(EL1, CODE("adr x2, 1f\n eor x1, x2, x0\n br x1\n 1: adr x0, 1b\n eor x0, x0, x2"), 0xffull << 56);
    report(join("va.", modes[i].name, ".br.low.tagged", NULL));
    map(&s, 0, 3, DATA_PA | PAGE | RW);
  }
}

static void walk_controls(void) {
  section("EPD, E0PD, HPD and table attributes");
  standard_el1();
  struct space s = space_new(12, 25, false);
  u64 va = place(&s, 3, AF | AP(1) | ATTR(0) | PXN);
  set_upper(&s, 1ull << 23);
  load(EL1, va);
  report("epd1");
  set_upper(&s, 1ull << 56);
  load(EL0, va);
  report("e0pd1.el0.upper");
  load(EL0, va ^ 1ull << 50);
  report("e0pd1.el0.beyond");
  load(EL1, va);
  report("e0pd1.el1");
  GO(EL1, CODE("ldtr x0, [x1]"), 0, va);
  report("e0pd1.ldtr");
  line("e0pd1.at.s1e0r", translate("s1e0r", va));
  load(EL0, DATA);
  report("e0pd1.el0.lower");
  // Hierarchical permissions at two levels.
  static const struct {
    const char *name;
    u64 bits;
  } hierarchy[] = {{"none", 0}, {"apt01", 1ull << 61}, {"apt10", 2ull << 61}, {"apt11", 3ull << 61}, {"uxnt", 1ull << 60}, {"pxnt", 1ull << 59}, {"nst", 1ull << 63}};
  for (unsigned h = 0; h < 7; h++) {
    for (u64 hpd = 0; hpd < 2; hpd++) {
      standard_el1();
      struct space t = space_new(12, 25, false);
      t.table_bits = hierarchy[h].bits;
      place(&t, 3, AF | AP(1) | ATTR(0));
      map(&t, 0x1000, 3, DATA_PA | PAGE | AF | AP(3) | ATTR(0));
      set_upper(&t, hpd << 42);
      u64 v[8];
      load(EL0, va), v[0] = outcome();
      store(EL0, va), v[1] = outcome();
      load(EL1, va), v[2] = outcome();
      store(EL1, va), v[3] = outcome();
      fetch(EL0, va), v[4] = outcome();
      fetch(EL0, va + 0x1000), v[5] = outcome();
      fetch(EL1, va + 0x1000), v[6] = outcome();
      v[7] = translate("s1e0w", va);
      values(join("table.", hierarchy[h].name, hpd ? ".hpd1" : ".hpd0", NULL), v, 8);
    }
  }
}

static void hardware_updates(void) {
  section("access flag and dirty state by hardware");
  static const struct {
    const char *name;
    u64 tcr;
  } modes[] = {{"none", 0}, {"ha", 1ull << 39}, {"hahd", 3ull << 39}, {"hd", 1ull << 40}};
  for (unsigned m = 0; m < 4; m++) {
    static const struct {
      const char *name;
      u64 bits;
    } leaves_[] = {{"af0", AP(1)}, {"af1.dbm.ro", AF | AP(3) | DBM}, {"af0.dbm.ro", AP(3) | DBM}, {"af0.ro", AP(3)}, {"af0.dbm.rw", AP(1) | DBM}};
    for (unsigned l = 0; l < 5; l++) {
      static const char *const ops[] = {"ldr", "str", "fetch", "cas", "at.r", "at.w", "ldr.el0", "str.el0", "stxr"};
      for (unsigned o = 0; o < 9; o++) {
        standard_el1();
        struct space s = space_new(12, 25, false);
        u64 bits = leaves_[l].bits | (o == 2 ? 0 : UXN | PXN);
        if (o == 2 && (bits & AP(3)) == AP(1)) bits ^= AP(1);
        u64 *entry = map(&s, 0, 3, DATA_PA | PAGE | ATTR(0) | bits);
        set_upper(&s, modes[m].tcr);
        u64 va = top(25);
        u64 result;
        if (o == 4) result = translate("s1e1r", va);
        else if (o == 5) result = translate("s1e1w", va);
        else {
          if (o == 0) load(EL1, va);
          if (o == 1) store(EL1, va);
          if (o == 2) fetch(EL1, va);
          if (o == 3) GO(EL1, CODE("mov x2, #-1\n cas x2, x3, [x1]"), 0, va); // compares unequal: no write
          if (o == 6) load(EL0, va);
          if (o == 7) store(EL0, va);
          if (o == 8) GO(EL1, CODE("ldxr x0, [x1]\n stxr w2, x0, [x1]"), 0, va);
          result = outcome();
        }
        line(join("hw.", modes[m].name, ".", leaves_[l].name, ".", ops[o], NULL), result, *entry);
      }
    }
  }
}

static void attributes(void) {
  section("memory attributes");
  standard_el1();
  struct space s = space_new(12, 25, false);
  for (u64 a = 0; a < 8; a++) {
    for (u64 sh = 0; sh < 4; sh++) map(&s, (a * 4 + sh) * 4096, 3, DATA_PA | PAGE | AF | AP(1) | ATTR(a) | sh << 8);
  }
  set_upper(&s, 0);
  for (u64 a = 0; a < 8; a++) {
    char digit[2] = {(char)('0' + a), 0};
    u64 at = top(25) + a * 4 * 4096;
    line(join("attr.", digit, NULL), translate("s1e1r", at), translate("s1e1r", at + 0x2000), translate("s1e1r", at + 0x3000));
  }
  msr(mair_el1, 0xeea0408cf4bb4f01);
  isb();
  for (u64 a = 0; a < 8; a++) {
    char digit[2] = {(char)('0' + a), 0};
    line(join("attr.more.", digit, NULL), translate("s1e1r", top(25) + a * 4 * 4096));
  }
  section("contiguous entries");
  for (unsigned g = 0; g < 3; g++) {
    static const unsigned pages[] = {16, 128, 32};
    standard_el1();
    fill_data();
    struct space t = space_new(granules[g].shift, 16, false);
    u64 size = 1ull << granules[g].shift;
    u64 base = 0x45000000;
    for (u64 i = 0; i < pages[g]; i++) {
      write64(base + i * size, 0xc0de0000 + i);
      map(&t, i * size, 3, (base + i * size) | PAGE | RW | CONTIG);
    }
    set_upper(&t, 0);
    load(EL1, top(16) + 3 * size);
    u64 third = last.x[0];
    load(EL1, top(16) + (pages[g] - 1) * size);
    line(join("contiguous.", granules[g].name, NULL), third, last.x[0]);
  }
}

static void endianness(void) {
  section("endianness");
  standard_el1();
  write64(DATA_PA, 0x1122334455667788);
  msr(sctlr_el1, SCTLR_ON | 1 << 24);
  isb();
  GO(EL0, CODE("ldr x0, [x1]\n ldr w2, [x1]\n ldrh w3, [x1]\n ldrb w4, [x1]\n ldp w5, w6, [x1]\n str w0, [x1, #8]"), 0, DATA);
  line("e0e.el0", last.x[0], last.x[2], last.x[3], last.x[4], last.x[5], last.x[6], read64(DATA_PA + 8));
  GO(EL1, CODE("ldr x0, [x1]\n ldtr x2, [x1]"), 0, DATA);
  line("e0e.el1", last.x[0], last.x[2]);
  msr(sctlr_el1, SCTLR_ON);
  isb();
}

void test_stage1(void) {
  fill_data();
  leaves();
  missing();
  sizes();
  address_sizes();
  addresses();
  walk_controls();
  hardware_updates();
  attributes();
  endianness();
  reset_controls();
}
