// Stage 2: faults and HPFAR_EL2, permissions and XNX, FWB, walks of stage 1 through stage 2, IPA sizes, maintenance by IPA.

#include "tests.h"

#define IPA_HOLE 0x60000000ull // no RAM there, and stage 2 maps it where a test says
#define VTCR_BASE (1ull << 31 | 0x3500)

static struct space two;

/** Identity for the RAM that the code, tables and data of the tests use: 2 MiB blocks, then 4 KiB pages at IPA_HOLE. */
static void stage2(unsigned granule, unsigned tsz, int start, u64 vtcr) {
  static const u64 tg[] = {0, 0, 2, 0, 1};
  static const u64 sl4[] = {2, 1, 0}; // level 0, 1, 2
  static const u64 sl16[] = {3, 2, 1, 0};
  two = space_new2(granule, tsz, start, false);
  unsigned level = granule == 12 ? 2 : 3;
  u64 size = granule == 12 ? 2 << 20 : 1ull << granule;
  for (u64 a = 0x40000000; a < 0x46400000; a += size) {
    if (granule != 12 && a == 0x40400000) a = 0x44000000;
    map(&two, a, (int)level, a | (level == 3 ? PAGE : BLOCK) | AF | 3 << 6 | 0xf << 2);
  }
  u64 sl0 = granule == 12 ? sl4[start] : sl16[start];
  msr(vtcr_el2, VTCR_BASE | tsz | sl0 << 6 | tg[granule - 12] << 14 | 5 << 16 | vtcr);
  msr(vttbr_el2, (u64)two.root);
  HCR(1);
  flush_el1();
}

static void ipa_map(u64 ipa, int level, u64 descriptor) {
  map(&two, ipa, level, descriptor);
  flush_el1();
}
#define S2RW (AF | 3 << 6 | 0xf << 2)

static void faults(void) {
  section("stage 2 faults");
  standard_el1();
  for (u64 i = 0; i < 16; i++) map(&std, TEST_VA + i * 4096, 3, (IPA_HOLE + i * 4096) | PAGE | AF | AP(1) | ATTR(0));
  stage2(12, 25, 1, 0);
  load(EL1, TEST_VA + 0x18);
  report("s2.missing.l1");
  ipa_map(IPA_HOLE + 0x4000, 3, DATA_PA | PAGE | S2RW);
  load(EL1, TEST_VA + 0x18);
  report("s2.missing.l3");
  load(EL1, TEST_VA + 0x4000);
  report("s2.mapped");
  load(EL0, TEST_VA + 0x1028);
  report("s2.missing.el0");
  store(EL1, TEST_VA + 0x1028);
  report("s2.missing.str");
  fetch(EL1, TEST_VA + 0x1000);
  report("s2.missing.fetch");
  ipa_map(IPA_HOLE, 3, DATA_PA | PAGE | (S2RW & ~AF));
  load(EL1, TEST_VA);
  report("s2.af0");
  ipa_map(IPA_HOLE, 3, 1ull << 48 | DATA_PA | PAGE | S2RW);
  load(EL1, TEST_VA);
  report("s2.output.size");
  ipa_map(IPA_HOLE, 3, DATA_PA | PAGE | (S2RW & ~(1ull << 7)));
  load(EL1, TEST_VA);
  report("s2.ro.ldr");
  store(EL1, TEST_VA + 0x20);
  report("s2.ro.str");
  GO(EL1, CODE("swp x0, x2, [x1]"), 0, TEST_VA);
  report("s2.ro.swp");
  GO(EL1, CODE("stp x0, x2, [x1]"), 0, TEST_VA);
  report("s2.ro.stp");
  ipa_map(IPA_HOLE, 3, DATA_PA | PAGE | (S2RW & ~(1ull << 6)));
  load(EL1, TEST_VA);
  report("s2.wo.ldr");
  store(EL1, TEST_VA);
  report("s2.wo.str");
  // Syndromes with ISV: one access of each shape.
  static const struct {
    const char *name;
    u32 word;
  } shapes[] = {
    {"ldr.x", 0xf9400025}, {"ldr.w", 0xb9400026}, {"ldrh", 0x79400027}, {"ldrb", 0x39400020}, {"ldrsw", 0xb9800023}, {"ldrsh.w", 0x79c00024},
    {"ldrsb.x", 0x39800025}, {"str.x", 0xf9000025}, {"strb", 0x39000026}, {"str.zr", 0xf900003f}, {"ldur", 0xf8404025}, {"ldr.reg", 0xf8626825},
    {"ldr.post", 0xf8408425}, {"ldr.pre", 0xf8408c25}, {"ldp", 0xa9400825}, {"stp", 0xa9000825}, {"ldar", 0xc8dffc25}, {"stlr", 0xc89ffc26},
    {"ldapr", 0xf8bfc025}, {"ldapur", 0xd9400025}, {"stlur", 0xd9000025}, {"ldxr", 0xc85f7c25}, {"stxr", 0xc8037c25}, {"ldadd", 0xf8220025},
    {"swp", 0xf8228025}, {"cas", 0xc8a27c25}, {"ldr.q", 0x3dc00025}, {"ldr.d", 0xfd400025}, {"ldtr", 0xf8400825}, {"sttr", 0xf8000825},
    {"dc.civac", 0xd50b7e21}, {"dc.zva", 0xd50b7421}, {"ic.ivau", 0xd50b7521}, {"ldnp", 0xa8400825}, {"ld1", 0x4c407020}, {"prfm", 0xf9800020},
  };
  for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    GO(EL1, WORDS(shapes[i].word), 0, TEST_VA + 0x8000, 0);
    report(join("s2.isv.", shapes[i].name, NULL));
  }
  GO(EL1, WORDS(0x58000005 | 0x7fff << 5), 0);
  // Stage 1 tables behind stage 2.
  u64 *table = pool_get(4096);
  table[0] = DATA_PA | PAGE | RW;
  (void)table;
  map(&std, TEST_VA + 0x40000000, 2, (IPA_HOLE + 0x9000) | 3);
  flush_el1();
  load(EL1, TEST_VA + 0x40000000);
  report("s2.s1ptw.missing");
  store(EL0, TEST_VA + 0x40000000);
  report("s2.s1ptw.missing.str.el0");
  fetch(EL1, TEST_VA + 0x40000000);
  report("s2.s1ptw.missing.fetch");
  line("s2.s1ptw.at", translate("s12e1r", TEST_VA + 0x40000000), translate("s1e1r", TEST_VA + 0x40000000));
  GO(EL1, CODE("at s1e1r, x0\n isb\n mrs x0, par_el1"), TEST_VA + 0x40000000);
  report("s2.s1ptw.at.el1");
  ipa_map(IPA_HOLE + 0x9000, 3, (DATA_PA + 0x1000) | PAGE | (S2RW & ~(1ull << 6)));
  load(EL1, TEST_VA + 0x40000000);
  report("s2.s1ptw.unreadable");
  write64(DATA_PA + 0x1000, DATA_PA | PAGE | (RW & ~AF));
  ipa_map(IPA_HOLE + 0x9000, 3, (DATA_PA + 0x1000) | PAGE | (S2RW & ~(1ull << 7)));
  msr(tcr_el1, mrs(tcr_el1) | 1ull << 39);
  isb();
  load(EL1, TEST_VA + 0x40000000);
  report("s2.s1ptw.af.readonly");
  ipa_map(IPA_HOLE + 0x9000, 3, (DATA_PA + 0x1000) | PAGE | AF | 3 << 6 | 1 << 2);
  msr(tcr_el1, mrs(tcr_el1) & ~(1ull << 39));
  write64(DATA_PA + 0x1000, DATA_PA | PAGE | RW);
  flush_el1();
  load(EL1, TEST_VA + 0x40000000);
  report("s2.s1ptw.device");
  HCR(1 | 1 << 2);
  load(EL1, TEST_VA + 0x40000000);
  report("s2.s1ptw.device.ptw");
  HCR(1);
  // Both stages by AT.
  ipa_map(IPA_HOLE, 3, DATA_PA | PAGE | S2RW);
  line("s2.at.ok", translate("s12e1r", TEST_VA), translate("s12e1w", TEST_VA), translate("s12e0r", TEST_VA), translate("s12e0w", TEST_VA), translate("s1e1r", TEST_VA));
  ipa_map(IPA_HOLE, 3, DATA_PA | PAGE | (S2RW & ~(1ull << 7)));
  line("s2.at.ro", translate("s12e1r", TEST_VA), translate("s12e1w", TEST_VA), translate("s12e0r", TEST_VA), translate("s12e0w", TEST_VA));
  line("s2.at.missing", translate("s12e1r", TEST_VA + 0x1000), translate("s12e0w", TEST_VA + 0x1000), translate("s12e1r", TEST_VA + 0x100000));
  HCR(1 | 1 << 12);
  msr(sctlr_el1, SCTLR_OFF);
  isb();
  TEST("s2.dc.ldr", EL1, CODE("ldr x0, [x1]"), 0, DATA_PA + 0x10000);
  TEST("s2.dc.missing", EL1, CODE("ldr x0, [x1]"), 0, IPA_HOLE + 0x1234560);
  HCR(1);
  TEST("s2.s1off.ldr", EL1, CODE("ldr x0, [x1]"), 0, DATA_PA + 0x10000);
  TEST("s2.s1off.missing", EL1, CODE("ldr w0, [x1]"), 0, IPA_HOLE + 0x1234560);
  TEST("s2.s1off.beyond", EL1, CODE("ldr w0, [x1]"), 0, 1ull << 40);
  msr(sctlr_el1, SCTLR_ON);
  isb();
}

static void matrix(void) {
  section("stage 2 permissions: EL0 r w x, EL1 r w x");
  standard_el1();
  map(&std, TEST_VA, 3, IPA_HOLE | PAGE | AF | AP(1) | ATTR(0));
  map(&std, TEST_VA + 0x1000, 3, IPA_HOLE | PAGE | AF | AP(3) | ATTR(0));
  stage2(12, 25, 1, 0);
  static const char *const digits[] = {"0", "1", "2", "3"};
  for (u64 ap = 0; ap < 4; ap++) {
    for (u64 xn = 0; xn < 4; xn++) {
      ipa_map(IPA_HOLE, 3, DATA_PA | PAGE | AF | ap << 6 | 0xf << 2 | xn << 53);
      u64 v[6];
      load(EL0, TEST_VA), v[0] = outcome();
      store(EL0, TEST_VA), v[1] = outcome();
      fetch(EL0, TEST_VA + 0x1000), v[2] = outcome();
      load(EL1, TEST_VA), v[3] = outcome();
      store(EL1, TEST_VA), v[4] = outcome();
      fetch(EL1, TEST_VA + 0x1000), v[5] = outcome();
      values(join("s2perm.ap", digits[ap], ".xn", digits[xn], NULL), v, 6);
    }
  }
}

static void attributes(void) {
  section("combined attributes: PAR_EL1 for stage 1 WB, NC, nGnRE, WT behind each MemAttr");
  static const char digits[] = "0123456789abcdef";
  for (u64 fwb = 0; fwb < 2; fwb++) {
    standard_el1();
    static const u64 first[] = {0, 2, 3, 4};
    for (u64 i = 0; i < 4; i++) map(&std, TEST_VA + i * 4096, 3, IPA_HOLE | PAGE | AF | AP(1) | SH_INNER | ATTR(first[i]));
    stage2(12, 25, 1, 0);
    HCR(1 | fwb << 46);
    for (u64 a = 0; a < 16; a++) {
      if (!fwb && (a == 4 || a == 8 || a == 12)) continue; // reserved
      if (fwb && a != 0 && a != 1 && a != 2 && a != 3 && a != 5 && a != 6 && a != 7) continue;
      for (u64 i = 0; i < 16; i++) write64((u64)two.root + 0x0, 0);
      ipa_map(IPA_HOLE, 3, DATA_PA | PAGE | AF | 3 << 6 | a << 2);
      char d[2] = {digits[a], 0};
      line(join(fwb ? "s2attr.fwb." : "s2attr.", d, NULL), translate("s12e1r", TEST_VA), translate("s12e1r", TEST_VA + 0x1000), translate("s12e1r", TEST_VA + 0x2000), translate("s12e1r", TEST_VA + 0x3000));
    }
  }
  HCR(0);
}

static void shapes(void) {
  section("sizes and first levels of stage 2");
  static const struct {
    const char *name;
    unsigned granule, tsz;
    int start;
  } cases[] = {
    {"4k.25.l1", 12, 25, 1}, {"4k.24.l1", 12, 24, 1}, {"4k.22.l1", 12, 22, 1}, {"4k.21.l1", 12, 21, 1}, {"4k.20.l0", 12, 20, 0}, {"4k.16.l0", 12, 16, 0},
    {"4k.33.l2", 12, 33, 2}, {"4k.30.l2", 12, 30, 2}, {"4k.20.l1", 12, 20, 1}, {"4k.26.l0", 12, 26, 0},
    {"16k.28.l2", 14, 28, 2}, {"16k.24.l2", 14, 24, 2}, {"16k.18.l1", 14, 18, 1}, {"16k.16.l1", 14, 16, 1}, {"64k.24.l2", 16, 24, 2}, {"64k.22.l2", 16, 22, 2},
    {"64k.16.l1", 16, 16, 1}, {"64k.30.l2", 16, 30, 2},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    standard_el1();
    map(&std, TEST_VA, 3, IPA_HOLE | PAGE | AF | AP(1) | ATTR(0));
    map(&std, TEST_VA + 0x1000, 3, 0x7fffffff000 | PAGE | AF | AP(1) | ATTR(0));
    stage2(cases[i].granule, cases[i].tsz, cases[i].start, 0);
    HCR(1);
    // The code itself runs through it, so a malformed shape shows at the first instruction.
    load(EL1, DATA + 0x2000);
    u64 here = outcome();
    load(EL1, TEST_VA);
    u64 there = outcome();
    u64 hp = last.hpfar;
    load(EL1, TEST_VA + 0x1000);
    line(join("s2.shape.", cases[i].name, NULL), here, there, hp, outcome());
  }
  HCR(0);
}

static void updates(void) {
  section("access flag and dirty state at stage 2");
  static const char *const modes[] = {"none", "ha", "hd", "hahd"};
  for (u64 m = 0; m < 4; m++) {
    static const struct {
      const char *name;
      u64 bits;
    } kinds[] = {{"af0", 3 << 6}, {"dbm.ro", AF | 1 << 6 | DBM}, {"af0.dbm.ro", 1 << 6 | DBM}};
    for (unsigned k = 0; k < 3; k++) {
      for (unsigned op = 0; op < 2; op++) {
        standard_el1();
        map(&std, TEST_VA, 3, IPA_HOLE | PAGE | AF | AP(1) | ATTR(0));
        stage2(12, 25, 1, m << 21);
        u64 *entry = map(&two, IPA_HOLE, 3, DATA_PA | PAGE | 0xf << 2 | kinds[k].bits);
        flush_el1();
        if (op) store(EL1, TEST_VA);
        else load(EL1, TEST_VA);
        line(join("s2hw.", modes[m], ".", kinds[k].name, op ? ".str" : ".ldr", NULL), outcome(), *entry);
      }
    }
  }
  HCR(0);
}

static void maintenance(void) {
  section("TLB maintenance by IPA");
  standard_el1();
  map(&std, TEST_VA, 3, IPA_HOLE | PAGE | AF | AP(1) | ATTR(0));
  stage2(12, 25, 1, 0);
  static const struct {
    const char *name;
    u32 word;
    bool range;
  } ops[] = {{"ipas2e1", SYS(4, 8, 4, 1), false}, {"ipas2le1", SYS(4, 8, 4, 5), false}, {"ipas2e1is", SYS(4, 8, 0, 1), false}, {"ipas2le1is", SYS(4, 8, 0, 5), false},
             {"ipas2e1os", SYS(4, 8, 4, 0), false}, {"ripas2e1", SYS(4, 8, 4, 2), true}, {"ripas2le1is", SYS(4, 8, 0, 6), true}, {"ripas2e1os", SYS(4, 8, 4, 3), true}};
  for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++) {
    ipa_map(IPA_HOLE, 3, DATA_PA | PAGE | S2RW);
    load(EL1, TEST_VA);
    u64 old = last.x[0];
    map(&two, IPA_HOLE, 3, (DATA_PA + 0x3000) | PAGE | S2RW);
    GO(EL2, WORDS(ops[i].word, 0xd5033f9f, SYS(0, 8, 7, 0), 0xd5033f9f, 0xd5033fdf), ops[i].range ? IPA_HOLE >> 12 | 1ull << 46 : IPA_HOLE >> 12);
    load(EL1, TEST_VA);
    line(join("tlbi.", ops[i].name, NULL), last.x[0] - old);
  }
  // VMIDs.
  struct space second = two;
  stage2(12, 25, 1, 0);
  ipa_map(IPA_HOLE, 3, (DATA_PA + 0x1000) | PAGE | S2RW);
  u64 v[4];
  for (unsigned i = 0; i < 4; i++) {
    msr(vttbr_el2, i & 1 ? (u64)second.root | 1ull << 48 : (u64)two.root | 2ull << 48);
    isb();
    load(EL1, TEST_VA);
    v[i] = last.x[0];
  }
  values("vmid", v, 4);
  HCR(0);
}

void test_stage2(void) {
  fill_data();
  faults();
  matrix();
  fill_data();
  attributes();
  shapes();
  updates();
  fill_data();
  maintenance();
  reset_controls();
}
