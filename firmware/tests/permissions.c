// The permission matrix of stage 1 of EL1&0, and what TLB maintenance makes visible.

#include "tests.h"

static u64 run_ldtr(u64 va, u32 pstate) {
  GO(EL1 | pstate, CODE("ldtr x0, [x1]"), 0, va);
  return outcome();
}
static u64 run_sttr(u64 va, u32 pstate) {
  GO(EL1 | pstate, CODE("sttr x0, [x1]"), 0, va);
  return outcome();
}

static void matrix(const char *prefix, u32 pstate) {
  static const char *const digits[] = {"0", "1", "2", "3"};
  for (u64 ap = 0; ap < 4; ap++) {
    for (u64 xn = 0; xn < 4; xn++) {
      map(&std, TEST_VA, 3, DATA_PA | PAGE | AF | AP(ap) | xn << 53 | ATTR(0));
      flush_el1();
      u64 v[14];
      load(EL0, TEST_VA), v[0] = outcome();
      store(EL0, TEST_VA), v[1] = outcome();
      fetch(EL0, TEST_VA), v[2] = outcome();
      load(EL1 | pstate, TEST_VA), v[3] = outcome();
      store(EL1 | pstate, TEST_VA), v[4] = outcome();
      fetch(EL1 | pstate, TEST_VA), v[5] = outcome();
      v[6] = run_ldtr(TEST_VA, pstate);
      v[7] = run_sttr(TEST_VA, pstate);
      GO(EL1 | pstate, CODE("ldr q0, [x1]"), 0, TEST_VA), v[8] = outcome();
      GO(EL1 | pstate, CODE("dc civac, x1"), 0, TEST_VA), v[9] = outcome();
      GO(EL1 | pstate, CODE("ic ivau, x1"), 0, TEST_VA), v[10] = outcome();
      GO(EL1 | pstate, CODE("dc zva, x1"), 0, TEST_VA + 0x200), v[11] = outcome();
      GO(EL1 | pstate, CODE("dc ivac, x1"), 0, TEST_VA + 0x200), v[12] = outcome();
      GO(EL1 | pstate, CODE("prfm pldl1keep, [x1]"), 0, TEST_VA), v[13] = outcome();
      const char *name = join(prefix, ".ap", digits[ap], ".xn", digits[xn], NULL);
      values(name, v, 14);
      GO(EL1 | pstate, CODE("at s1e1r, x1\n isb\n mrs x0, par_el1\n at s1e1w, x1\n isb\n mrs x2, par_el1\n at s1e0r, x1\n isb\n mrs x3, par_el1\n"
                            "at s1e0w, x1\n isb\n mrs x4, par_el1\n at s1e1rp, x1\n isb\n mrs x5, par_el1\n at s1e1wp, x1\n isb\n mrs x6, par_el1"), 0, TEST_VA);
      line(join(name, ".at", NULL), last.x[0] & 0xfff, last.x[2] & 0xfff, last.x[3] & 0xfff, last.x[4] & 0xfff, last.x[5] & 0xfff, last.x[6] & 0xfff);
    }
  }
}

void test_permissions(void) {
  section("permissions: EL0 r w x, EL1 r w x, LDTR, STTR, LDR Q, DC CIVAC, IC IVAU, DC ZVA, DC IVAC, PRFM");
  fill_data();
  standard_el1();
  matrix("perm", 0);
  matrix("perm.pan", PAN);
  matrix("perm.uao", UAO);
  matrix("perm.pan.uao", PAN | UAO);
  msr(sctlr_el1, SCTLR_ON | 1ull << 57);
  isb();
  matrix("perm.epan", PAN);
  msr(sctlr_el1, SCTLR_ON | 1 << 19);
  isb();
  matrix("perm.wxn", 0);
  msr(sctlr_el1, SCTLR_ON | 1 << 26 | 1 << 14);
  isb();
  section("cache maintenance at EL0");
  for (u64 ap = 0; ap < 4; ap++) {
    map(&std, TEST_VA, 3, DATA_PA | PAGE | AF | AP(ap) | ATTR(0));
    flush_el1();
    static const char *const names[] = {"0", "1", "2", "3"};
    TEST(join("el0.dc.cvac.ap", names[ap], NULL), EL0, CODE("dc cvac, x1"), 0, TEST_VA + 4);
    TEST(join("el0.dc.cvau.ap", names[ap], NULL), EL0, CODE("dc cvau, x1"), 0, TEST_VA + 4);
    TEST(join("el0.dc.civac.ap", names[ap], NULL), EL0, CODE("dc civac, x1"), 0, TEST_VA + 4);
    TEST(join("el0.ic.ivau.ap", names[ap], NULL), EL0, CODE("ic ivau, x1"), 0, TEST_VA + 4);
    TEST(join("el0.dc.zva.ap", names[ap], NULL), EL0, CODE("dc zva, x1"), 0, TEST_VA + 0x204);
  }
  TEST("el0.dc.cvac.missing", EL0, CODE("dc cvac, x1"), 0, TEST_VA + 0x100004);
  TEST("el0.ic.ivau.missing", EL0, CODE("ic ivau, x1"), 0, TEST_VA + 0x100004);
  TEST("el1.dc.civac.missing", EL1, CODE("dc civac, x1"), 0, TEST_VA + 0x100004);
  TEST("el1.dc.ivac.missing", EL1, CODE("dc ivac, x1"), 0, TEST_VA + 0x100004);
  TEST("el1.ic.ivau.missing", EL1, CODE("ic ivau, x1"), 0, TEST_VA + 0x100004);
  TEST("el1.ldr.reg.missing", EL1, CODE("ldr w5, [x1, x0]"), 8, TEST_VA + 0x100004);
  TEST("el1.ldp.missing", EL1, CODE("ldp x5, x6, [x1], #16"), 8, TEST_VA + 0x100004);
  TEST("el1.swp.missing", EL1, CODE("swp x5, x6, [x1]"), 8, TEST_VA + 0x100000);
  TEST("el1.ldxr.missing", EL1, CODE("ldxr x5, [x1]"), 8, TEST_VA + 0x100000);
  TEST("el1.stlr.missing", EL1, CODE("stlr x5, [x1]"), 8, TEST_VA + 0x100000);
  reset_controls();
}

// ---- TLB maintenance: after it, the new translation ----------------------------------------------------------------------------

/** Maps TEST_VA to another page, does the operation, and reads: 1 = the new page is seen. */
static u64 after(u32 word, u64 operand) {
  u64 *entry = map(&std, TEST_VA, 3, DATA_PA | PAGE | RW | NG);
  flush_el1();
  load(EL1, TEST_VA);
  u64 old = last.x[0];
  *entry = (DATA_PA + 0x1000) | PAGE | RW | NG;
  dsb();
  GO(EL2, WORDS(word, 0xd5033f9f, 0xd5033fdf), operand);
  load(EL1, TEST_VA);
  return last.x[0] - old;
}

void test_tlbi(void) {
  section("TLB maintenance");
  fill_data();
  standard_el1();
  u64 page = TEST_VA >> 12;
  static const struct {
    const char *name;
    u32 word;
    int kind; // 0 no operand, 1 page, 2 range
  } ops[] = {
    {"vmalle1", SYS(0, 8, 7, 0), 0}, {"vae1", SYS(0, 8, 7, 1), 1}, {"aside1", SYS(0, 8, 7, 2), 0}, {"vaae1", SYS(0, 8, 7, 3), 1}, {"vale1", SYS(0, 8, 7, 5), 1},
    {"vaale1", SYS(0, 8, 7, 7), 1}, {"vmalle1is", SYS(0, 8, 3, 0), 0}, {"vae1is", SYS(0, 8, 3, 1), 1}, {"aside1is", SYS(0, 8, 3, 2), 0}, {"vaae1is", SYS(0, 8, 3, 3), 1},
    {"vale1is", SYS(0, 8, 3, 5), 1}, {"vaale1is", SYS(0, 8, 3, 7), 1}, {"vmalle1os", SYS(0, 8, 1, 0), 0}, {"vae1os", SYS(0, 8, 1, 1), 1}, {"vaae1os", SYS(0, 8, 1, 3), 1},
    {"vale1os", SYS(0, 8, 1, 5), 1}, {"rvae1", SYS(0, 8, 6, 1), 2}, {"rvaae1", SYS(0, 8, 6, 3), 2}, {"rvale1", SYS(0, 8, 6, 5), 2}, {"rvaale1", SYS(0, 8, 6, 7), 2},
    {"rvae1is", SYS(0, 8, 2, 1), 2}, {"rvae1os", SYS(0, 8, 5, 1), 2}, {"vae1nxs", SYS(0, 9, 7, 1), 1}, {"vmalle1isnxs", SYS(0, 9, 3, 0), 0}, {"rvae1isnxs", SYS(0, 9, 2, 1), 2},
    {"alle1", SYS(4, 8, 7, 4), 0}, {"alle1is", SYS(4, 8, 3, 4), 0}, {"alle1os", SYS(4, 8, 1, 4), 0}, {"vmalls12e1", SYS(4, 8, 7, 6), 0}, {"vmalls12e1is", SYS(4, 8, 3, 6), 0},
    {"vmalls12e1os", SYS(4, 8, 1, 6), 0},
  };
  for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++) {
    u64 operand = ops[i].kind == 0 ? 0 : ops[i].kind == 1 ? page : page | 1ull << 46;
    line(join("tlbi.", ops[i].name, NULL), after(ops[i].word, operand));
  }
  line("tlbi.vae1.ttl3", after(SYS(0, 8, 7, 1), page | 7ull << 44));
  line("tlbi.rvae1.wide", after(SYS(0, 8, 6, 1), (page & ~0xfffull) | 1ull << 46 | 1ull << 44 | 31ull << 39 | 0));
  // ASIDs: a non-global page of ASID 5 belongs to ASID 5 only.
  struct space other = space_new(12, 25, false);
  extern char _snip[], _snip_end[];
  for (u64 a = (u64)_snip; a < (u64)_snip_end; a += 4096) map(&other, a, 3, a | PAGE | AF | AP(3) | ATTR(0));
  map(&std, TEST_VA, 3, DATA_PA | PAGE | RW | NG);
  map(&other, TEST_VA, 3, (DATA_PA + 0x2000) | PAGE | RW | NG);
  flush_el1();
  u64 seen_[4];
  for (unsigned i = 0; i < 4; i++) {
    msr(ttbr0_el1, (u64)(i & 1 ? other.root : std.root) | (i & 1 ? 0x105ull : 1ull) << 48);
    isb();
    load(EL0, TEST_VA);
    seen_[i] = last.x[0];
  }
  line("asid.8bit", seen_[0], seen_[1], seen_[2], seen_[3]);
  msr(tcr_el1, mrs(tcr_el1) | 1ull << 36);
  flush_el1();
  for (unsigned i = 0; i < 4; i++) {
    msr(ttbr0_el1, (u64)(i & 1 ? other.root : std.root) | (i & 1 ? 0x101ull : 1ull) << 48);
    isb();
    load(EL0, TEST_VA);
    seen_[i] = last.x[0];
  }
  line("asid.16bit", seen_[0], seen_[1], seen_[2], seen_[3]);
  reset_controls();
}
