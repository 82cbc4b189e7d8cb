// EL2: its own translation regimes (E2H = 0, E2H = 1 with and without TGE), VHE register redirection, EL12 names, routing of aborts.

#include "tests.h"

#define E2H (1ull << 34)
#define TGE (1ull << 27)

/** A space with the whole program: 2 MiB blocks that EL2 alone uses, the code for tests readable at every level, devices, DATA. */
static struct space el2_space(bool two_ranges) {
  pool_reset();
  struct space s = space_new(12, 25, false);
  u64 ap = two_ranges ? 0 : AP(1); // EL0 may execute the code, but neither reads nor writes it
  for (u64 a = 0x40400000; a < 0x47000000; a += 0x200000) map(&s, a, 2, a | BLOCK | AF | SH_INNER | ap | ATTR(0));
  for (u64 a = 0x40200000; a < 0x40400000; a += 4096) {
    map(&s, a, 3, a | PAGE | AF | SH_INNER | ap | ATTR(0));
  }
  map(&s, 0x08000000, 2, 0x08000000 | BLOCK | AF | ap | ATTR(1) | UXN);
  map(&s, 0x09000000, 2, 0x09000000 | BLOCK | AF | ap | ATTR(1) | UXN);
  for (u64 i = 0; i < 16; i++) map(&s, DATA + i * 4096, 3, (DATA_PA + i * 4096) | PAGE | AF | AP(1) | ATTR(0) | UXN);
  return s;
}

static void mmu_on(struct space *s, u64 hcr, u64 tcr, u64 sctlr) {
  HCR(hcr);
  msr(mair_el2, MAIR_VALUE);
  msr(tcr_el2, tcr);
  msr(ttbr0_el2, (u64)s->root);
  dsb();
  __asm__ volatile("tlbi alle2\n tlbi alle1\n dsb sy\n isb" : : : "memory");
  msr(sctlr_el2, sctlr);
  isb();
}

static void mmu_off(void) {
  msr(sctlr_el2, 0x30c50830);
  isb();
  reset_controls();
  __asm__ volatile("tlbi alle2\n tlbi alle1\n dsb sy\n isb" : : : "memory");
}

static void nonhost(void) {
  section("EL2 regime");
  fill_data();
  struct space s = el2_space(false);
  map(&s, TEST_VA, 3, DATA_PA | PAGE | AF | AP(3) | ATTR(0));           // read-only
  map(&s, TEST_VA + 0x1000, 3, DATA_PA | PAGE | AF | AP(1) | UXN | ATTR(0)); // no execute
  map(&s, TEST_VA + 0x2000, 3, DATA_PA | PAGE | AP(1) | ATTR(0));       // AF = 0
  map(&s, TEST_VA + 0x3000, 3, DATA_PA | PAGE | AF | AP(1) | PXN | ATTR(0)); // PXN is RES0 here
  map(&s, TEST_VA + 0x4000, 3, DATA_PA | PAGE | AF | AP(0) | ATTR(0));  // AP[1] is RES1 here
  mmu_on(&s, 0, 25 | 5 << 16 | 0x80803500, 0x30c51835);
  load(EL2, DATA);
  report("el2.ldr");
  load(EL2, TEST_VA + 0x100000);
  report("el2.missing");
  load(EL2T, TEST_VA + 0x100000);
  report("el2t.missing");
  fetch(EL2, TEST_VA + 0x100000);
  report("el2.missing.fetch");
  store(EL2, TEST_VA);
  report("el2.ro.str");
  load(EL2, TEST_VA);
  report("el2.ro.ldr");
  fetch(EL2, TEST_VA + 0x1000);
  report("el2.xn.fetch");
  load(EL2, TEST_VA + 0x2000);
  report("el2.af0");
  fetch(EL2, TEST_VA + 0x3000);
  report("el2.pxn.fetch");
  load(EL2 | PAN, TEST_VA + 0x4000);
  report("el2.ap0.pan.ldr");
  load(EL2, 1ull << 39);
  report("el2.beyond");
  load(EL2, 0x12ull << 56 | DATA);
  report("el2.tagged");
  load(EL2, ~0xfffull);
  report("el2.upper");
  GO(EL2, CODE("ldtr x0, [x1]"), 0, TEST_VA + 0x4000);
  report("el2.ldtr");
  line("el2.at", translate("s1e2r", DATA), translate("s1e2w", TEST_VA), translate("s1e2r", TEST_VA + 0x2000));
  msr(sctlr_el2, 0x30c51835 | 2);
  isb();
  load(EL2, DATA + 4);
  report("el2.a.ldr");
  mmu_off();
}

static void host(u64 tge) {
  section(tge ? "EL2&0 regime, host" : "EL2&0 regime, TGE = 0");
  fill_data();
  struct space s = el2_space(true);
  map(&s, TEST_VA, 3, DATA_PA | PAGE | AF | AP(3) | ATTR(0) | PXN | UXN);
  map(&s, TEST_VA + 0x1000, 3, DATA_PA | PAGE | AF | AP(0) | ATTR(0));
  map(&s, TEST_VA + 0x2000, 3, DATA_PA | PAGE | AF | AP(3) | ATTR(0));
  struct space upper = space_new(14, 28, false);
  map(&upper, 0, 3, DATA_PA | PAGE | AF | AP(1) | ATTR(0));
  msr(S3_4_C2_C0_1, (u64)upper.root); // TTBR1_EL2
  u64 tcr = 25 | 28 << 16 | 1ull << 30 | 5ull << 32 | 0x35003500;
  mmu_on(&s, E2H | tge, tcr, 0x30d01805 | 1 << 23);
  msr(S3_4_C1_C0_0, 0x30d01805 | 1 << 23);
  msr(cptr_el2, 3 << 20);
  isb();
  const char *p = tge ? "host." : "e2h.";
#define NAME(text) join(p, text, NULL)
  load(EL2, DATA);
  report(NAME("ldr.user"));
  load(EL2 | PAN, DATA);
  report(NAME("ldr.user.pan"));
  GO(EL2 | PAN, CODE("ldtr x0, [x1]"), 0, DATA);
  report(NAME("ldtr.user.pan"));
  GO(EL2, CODE("ldtr x0, [x1]"), 0, TEST_VA + 0x1000);
  report(NAME("ldtr.kernel"));
  GO(EL2 | UAO, CODE("ldtr x0, [x1]"), 0, TEST_VA + 0x1000);
  report(NAME("ldtr.kernel.uao"));
  store(EL2, TEST_VA);
  report(NAME("ro.str"));
  fetch(EL2, TEST_VA);
  report(NAME("xn.fetch"));
  fetch(EL2, TEST_VA + 0x2000);
  report(NAME("x.fetch"));
  load(EL2, ~0ull << 36);
  report(NAME("upper.ldr"));
  load(EL2, (~0ull << 36) - 8);
  report(NAME("upper.below"));
  load(EL2, TEST_VA + 0x100000);
  report(NAME("missing"));
  line(NAME("at"), translate("s1e2r", DATA), translate("s1e2w", TEST_VA), translate("s1e1r", DATA), translate("s1e0r", DATA), translate("s1e0r", TEST_VA + 0x1000));
  if (tge) {
    load(EL0, DATA);
    report("host.el0.ldr");
    load(EL0, TEST_VA + 0x1000);
    report("host.el0.kernel");
    store(EL0, TEST_VA);
    report("host.el0.ro.str");
    fetch(EL0, TEST_VA);
    report("host.el0.xn.fetch");
    load(EL0, TEST_VA + 0x100000);
    report("host.el0.missing");
    TEST("host.el0.svc", EL0, CODE("svc #0x77"));
    TEST("host.el0.hvc", EL0, CODE("hvc #0x77"));
    TEST("host.el0.smc", EL0, CODE("smc #0x77"));
    TEST("host.el0.brk", EL0, CODE("brk #0x77"));
    TEST("host.el0.udf", EL0, WORDS(1));
    TEST("host.el0.mrs", EL0, CODE("mrs x0, sctlr_el1"));
    TEST("host.el0.wfi", EL0, CODE("wfi"));
    TEST("host.el0.ctr", EL0, CODE("mrs x0, ctr_el0"));
    TEST("host.el0.dc.zva", EL0, CODE("dc zva, x1"), 0, DATA);
    TEST("host.el0.dc.cvac", EL0, CODE("dc cvac, x1"), 0, DATA);
    TEST("host.el0.id", EL0, CODE("mrs x0, id_aa64pfr0_el1"));
    TEST("host.el0.daif", EL0, CODE("msr daifset, #1"));
    TEST("host.el0.cntvct", EL0, CODE("mrs x0, cntvct_el0\n mov x0, #1"));
    TEST("host.el0.cntp_ctl", EL0, CODE("mrs x0, cntp_ctl_el0"));
    TEST("host.el0.cntfrq", EL0, CODE("mrs x0, cntfrq_el0"));
    TEST("host.el0.pmcr", EL0, CODE("mrs x0, pmcr_el0"));
    TEST("host.el0.sp", EL0, CODE("mov sp, x1\n ldr x0, [sp]\n mov x0, #0"), 0, DATA + 8);
    TEST("host.to.el1", EL1, CODE("nop"));
    msr(cptr_el2, 1 << 20);
    isb();
    TEST("host.fpen=1.el0", EL0, CODE("fmov s0, w0"));
    TEST("host.fpen=1.el2", EL2, CODE("fmov s0, w0"));
    msr(cptr_el2, 0);
    isb();
    TEST("host.fpen=0.el0", EL0, CODE("fmov s0, w0"));
    TEST("host.fpen=0.el2", EL2, CODE("fmov s0, w0"));
    msr(cptr_el2, 3 << 20);
    msr(cnthctl_el2, 0x303);
    isb();
    TEST("host.el0.cntvct.on", EL0, CODE("mrs x0, cntvct_el0\n mov x0, #1"));
    TEST("host.el0.cntp_ctl.on", EL0, CODE("mrs x0, cntp_ctl_el0\n mov x0, #1"));
    TEST("host.el0.cntfrq.on", EL0, CODE("mrs x0, cntfrq_el0\n mov x0, #1"));
    // PAN at entry: SPAN = 0.
    msr(S3_4_C1_C0_0, 0x30501805);
    isb();
    TEST("host.span0", EL0, CODE("svc #1"));
  } else {
    // EL1&0 with E2H = 1, TGE = 0: CPTR_EL2 in the other format.
    msr(S3_5_C1_C0_0, SCTLR_OFF);
    msr(S3_5_C12_C0_0, mrs(S3_5_C12_C0_0));
    for (u64 fpen = 0; fpen < 4; fpen++) {
      static const char *const digits[] = {"0", "1", "2", "3"};
      msr(cptr_el2, fpen << 20);
      isb();
      TEST(join("e2h.fpen=", digits[fpen], ".el0", NULL), EL0, CODE("fmov s0, w0"));
      TEST(join("e2h.fpen=", digits[fpen], ".el1", NULL), EL1, CODE("fmov s0, w0"));
      TEST(join("e2h.fpen=", digits[fpen], ".el2", NULL), EL2, CODE("fmov s0, w0"));
    }
    TEST("e2h.el0.svc", EL0, CODE("svc #0x12"));
    TEST("e2h.el1.udf", EL1, WORDS(1));
  }
  mmu_off();
}

static void redirection(void) {
  section("VHE: EL1 names at EL2 and EL12 names (value through the EL12 name, the EL1 name, the EL2 name)");
  static const struct {
    const char *name;
    u32 el12, el1, el2;
    u64 value;
  } regs[] = {
    {"cpacr", MSR(3, 5, 1, 0, 2), MSR(3, 0, 1, 0, 2), MSR(3, 4, 1, 1, 2), 1 << 20},
    {"ttbr0", MSR(3, 5, 2, 0, 0), MSR(3, 0, 2, 0, 0), MSR(3, 4, 2, 0, 0), 0x1000},
    {"ttbr1", MSR(3, 5, 2, 0, 1), MSR(3, 0, 2, 0, 1), MSR(3, 4, 2, 0, 1), 0x3000},
    {"tcr", MSR(3, 5, 2, 0, 2), MSR(3, 0, 2, 0, 2), MSR(3, 4, 2, 0, 2), 0x19},
    {"spsr", MSR(3, 5, 4, 0, 0), MSR(3, 0, 4, 0, 0), MSR(3, 4, 4, 0, 0), 0x3c5},
    {"elr", MSR(3, 5, 4, 0, 1), MSR(3, 0, 4, 0, 1), MSR(3, 4, 4, 0, 1), 0x1234},
    {"afsr0", MSR(3, 5, 5, 1, 0), MSR(3, 0, 5, 1, 0), MSR(3, 4, 5, 1, 0), 0},
    {"esr", MSR(3, 5, 5, 2, 0), MSR(3, 0, 5, 2, 0), MSR(3, 4, 5, 2, 0), 0x5678},
    {"far", MSR(3, 5, 6, 0, 0), MSR(3, 0, 6, 0, 0), MSR(3, 4, 6, 0, 0), 0x9abc},
    {"mair", MSR(3, 5, 10, 2, 0), MSR(3, 0, 10, 2, 0), MSR(3, 4, 10, 2, 0), 0x44ff},
    {"vbar", MSR(3, 5, 12, 0, 0), MSR(3, 0, 12, 0, 0), MSR(3, 4, 12, 0, 0), 0x40200800},
    {"contextidr", MSR(3, 5, 13, 0, 1), MSR(3, 0, 13, 0, 1), MSR(3, 4, 13, 0, 1), 0x77},
    {"cntkctl", MSR(3, 5, 14, 1, 0), MSR(3, 0, 14, 1, 0), MSR(3, 4, 14, 1, 0), 0x3},
    {"cntp_ctl", MSR(3, 5, 14, 2, 1), MSR(3, 3, 14, 2, 1), MSR(3, 4, 14, 2, 1), 0x2},
    {"cntp_cval", MSR(3, 5, 14, 2, 2), MSR(3, 3, 14, 2, 2), MSR(3, 4, 14, 2, 2), 0x123456},
    {"cntv_ctl", MSR(3, 5, 14, 3, 1), MSR(3, 3, 14, 3, 1), MSR(3, 4, 14, 3, 1), 0x2},
    {"cntv_cval", MSR(3, 5, 14, 3, 2), MSR(3, 3, 14, 3, 2), MSR(3, 4, 14, 3, 2), 0x654321},
    {"tpidr", MSR(3, 0, 13, 0, 4), MSR(3, 0, 13, 0, 4), MSR(3, 0, 13, 0, 4), 0x99},
  };
  for (unsigned i = 0; i < sizeof regs / sizeof regs[0]; i++) {
    bool vbar = i == 10;
    u32 read12 = regs[i].el12 | AS_READ, read1 = regs[i].el1 | AS_READ, read2 = regs[i].el2 | AS_READ;
    HCR(0);
    TEST(join("vhe.", regs[i].name, ".el12.e2h0", NULL), EL2, WORDS((read12 & ~0x1fu) | 1));
    HCR(E2H);
    // x3 = EL2 value, x4 = EL12 value: write both, read three names, restore EL2's.
    u32 keep = (read2 & ~0x1fu) | 7, back = (regs[i].el2 & ~0x1fu) | 7;
    GO(EL2, WORDS(keep, vbar ? 0xd503201f : ((regs[i].el2 & ~0x1fu) | 3), (regs[i].el12 & ~0x1fu) | 4, 0xd5033fdf, (read12 & ~0x1fu) | 0, (read1 & ~0x1fu) | 1, (read2 & ~0x1fu) | 2, back, 0xd5033fdf),
       0, 0, 0, regs[i].value, regs[i].value ^ (i == 0 ? 2 << 20 : i == 4 ? 0x40000000 : i >= 13 && i < 17 ? 0 : 0x4000));
    if (done() && !vbar) line(join("vhe.", regs[i].name, NULL), last.x[0], last.x[1], last.x[2]);
    else if (done()) line(join("vhe.", regs[i].name, NULL), last.x[0], last.x[1] == last.x[2]);
    else report(join("vhe.", regs[i].name, NULL));
    reset_controls();
    TEST(join("vhe.", regs[i].name, ".el12.at.el1", NULL), EL1, WORDS(read12));
  }
}

void test_host(void) {
  nonhost();
  redirection();
  host(0);
  host(TGE);
}
