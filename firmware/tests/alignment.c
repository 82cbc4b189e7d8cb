// Alignment of data accesses: SCTLR_ELx.A, nAA, Device memory, exclusives, atomics, FEAT_LSE2.

#include "tests.h"

#define DEVICE (TEST_VA + 0x1000)
#define NONCACHED (TEST_VA + 0x2000)

struct access {
  const char *name;
  u32 word; // base X1, data X0/X2, status W3
};
// biome-ignore format: table
static const struct access accesses[] = {
  {"ldr.x", 0xf9400020},   {"str.x", 0xf9000020},   {"ldr.w", 0xb9400020},   {"ldrh", 0x79400020},    {"ldrb", 0x39400020},
  {"ldp.x", 0xa9400820},   {"stp.x", 0xa9000820},   {"ldp.w", 0x29400820},   {"ldr.q", 0x3dc00020},   {"str.q", 0x3d800020},
  {"ldnp.x", 0xa8400820},  {"ldtr.x", 0xf8400820},  {"sttr.x", 0xf8000820},
  {"ldar.x", 0xc8dffc20},  {"stlr.x", 0xc89ffc20},  {"ldar.w", 0x88dffc20},  {"ldarh", 0x48dffc20},   {"ldapr.x", 0xf8bfc020},
  {"ldapur.x", 0xd9400020}, {"stlur.x", 0xd9000020},
  {"ldxr.x", 0xc85f7c20},  {"ldaxr.w", 0x885ffc20}, {"ldxp.x", 0xc87f0820},  {"ldxp.w", 0x887f0820},  {"stxr.x", 0xc8037c20}, {"stxp.x", 0xc8230820},
  {"ldadd.x", 0xf8220020}, {"ldaddal.w", 0xb8e20020}, {"swp.h", 0x78228020}, {"cas.x", 0xc8a27c20},   {"casp.x", 0x48227c24},
};
#define ACCESSES (sizeof accesses / sizeof accesses[0])

static void all(const char *what, u32 mode, u64 base, unsigned offset) {
  static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"};
  for (unsigned i = 0; i < ACCESSES; i++) {
    u32 word = accesses[i].word;
    if (word == 0x48227c24) word = 0x48207c22 | 1 << 5; // CASP x0, x1, x2, x3, [x1]
    write64(DATA_PA, 0x1111111111111111);
    write64(DATA_PA + 8, 0x2222222222222222);
    write64(DATA_PA + 16, 0x3333333333333333);
    GO(mode, WORDS(word), 0, base + offset, 1, 0);
    if (word >> 21 == 0xc803 >> 5) last.x[0] = last.x[3];
    report(join(what, "+", digits[offset], ".", accesses[i].name, NULL));
  }
}

void test_alignment(void) {
  section("alignment");
  standard_el1();
  map(&std, DEVICE, 3, DATA_PA | PAGE | AF | AP(1) | UXN | PXN | ATTR(1));
  map(&std, NONCACHED, 3, DATA_PA | PAGE | AF | AP(1) | UXN | PXN | SH_INNER | ATTR(2));
  flush_el1();
  all("normal.el1", EL1, DATA, 0);
  all("normal.el1", EL1, DATA, 1);
  all("normal.el1", EL1, DATA, 9);
  all("normal.el1", EL1, DATA, 0xc);
  all("normal.el0", EL0, DATA, 4);
  all("device.el1", EL1, DEVICE, 0);
  all("device.el1", EL1, DEVICE, 4);
  all("device.el0", EL0, DEVICE, 1);
  all("noncached.el1", EL1, NONCACHED, 3);
  msr(sctlr_el1, SCTLR_ON | 1 << 6); // nAA
  isb();
  all("naa.el1", EL1, DATA, 1);
  all("naa.el1", EL1, DATA, 0xd);
  msr(sctlr_el1, SCTLR_ON | 2); // A
  isb();
  all("a.el1", EL1, DATA, 4);
  all("a.el0", EL0, DATA, 1);
  // Across a page: the second page missing.
  msr(sctlr_el1, SCTLR_ON);
  isb();
  map(&std, TEST_VA + 0x5000, 3, DATA_PA | PAGE | RW);
  flush_el1();
  u64 edge = TEST_VA + 0x6000;
  TEST("cross.ldr", EL1, WORDS(0xf9400020), 0, edge - 4);
  TEST("cross.str", EL1, WORDS(0xf9000020), 0, edge - 1);
  TEST("cross.ldp", EL1, WORDS(0xa9400820), 0, edge - 8);
  TEST("cross.stp", EL1, WORDS(0xa9000820), 0, edge - 12);
  TEST("cross.ldr.q", EL1, WORDS(0x3dc00020), 0, edge - 8);
  TEST("cross.ld4", EL1, WORDS(0x4c400020), 0, edge - 32);
  TEST("cross.before", EL1, WORDS(0xf9400020), 0, TEST_VA + 0x5000 - 4);
  TEST("cross.zva", EL1, CODE("dc zva, x1"), 0, edge - 4);
  TEST("cross.zva.missing", EL1, CODE("dc zva, x1"), 0, edge + 12);
  TEST("zva.device", EL1, CODE("dc zva, x1"), 0, DEVICE);
  TEST("zva.el0.dze0", EL0, CODE("dc zva, x1"), 0, DATA);
  msr(sctlr_el1, SCTLR_OFF);
  isb();
  write64(DATA_PA, 0x1111111111111111);
  write64(DATA_PA + 8, 0x2222222222222222);
  TEST("mmuoff.ldr+4", EL1, WORDS(0xf9400020), 0, DATA_PA + 4);
  TEST("mmuoff.ldr.w+4", EL1, WORDS(0xb9400020), 0, DATA_PA + 4);
  TEST("mmuoff.zva", EL1, CODE("dc zva, x1"), 0, DATA_PA);
  TEST("mmuoff.high", EL1, WORDS(0xb9400020), 0, 1ull << 52);
  TEST("mmuoff.high.fetch", EL1, CODE("br x1"), 0, 1ull << 53);
  TEST("mmuoff.hole", EL1, WORDS(0xb9400020), 0, 0x0a800000);
  TEST("mmuoff.el2.ldr+4", EL2, WORDS(0xf9400020), 0, DATA_PA + 4);
  TEST("mmuoff.el2.high", EL2, WORDS(0xb9400020), 0, 1ull << 52);
  HCR(1 << 12); // DC
  TEST("dc.ldr+4", EL1, WORDS(0xf9400020), 0, DATA_PA + 4);
  TEST("dc.at", EL1, CODE("at s1e1r, x1\n isb\n mrs x0, par_el1"), 0, DATA_PA);
  reset_controls();
}
