// The virtual CPU interface: list registers, ICV registers at EL1, maintenance conditions, traps of ICC registers.

#include "gic.h"

#define PENDING (1ull << 62)
#define ACTIVE (2ull << 62)
#define GROUP1 (1ull << 60)
#define HW (1ull << 61)
#define EOI_REQUEST (1ull << 41)
#define PRIO(p) ((u64)(p) << 48)
#define IMO_FMO (3ull << 3)
#define VMCR 0xf84c000bull // PMR f8, both groups on

static void start(u64 ich_hcr, u64 vmcr) {
  gic_reset();
  msr(ICH_LR0, 0);
  msr(ICH_LR1, 0);
  msr(ICH_LR2, 0);
  msr(ICH_LR3, 0);
  msr(ICH_AP0R0, 0);
  msr(ICH_AP1R0, 0);
  msr(ICH_VMCR, vmcr);
  msr(ICH_HCR, ich_hcr);
  HCR(IMO_FMO);
}

static void show(const char *name) {
  line(name, mrs(ICH_LR0), mrs(ICH_LR1), mrs(ICH_AP0R0), mrs(ICH_AP1R0), mrs(ICH_HCR), mrs(ICH_MISR), mrs(ICH_EISR), mrs(ICH_ELRSR));
}

/** At EL1: one read or write of an ICV register by its word. */
static u64 icv(u32 word, u64 value) {
  GO(EL1, WORDS(word, 0xd5033fdf), value);
  return done() ? last.x[0] : outcome() | 0xe0000000;
}
enum {
  IAR0 = 0, IAR1, HPPIR0, HPPIR1, EOIR0, EOIR1, DIR, RPR, PMR, BPR0, BPR1, CTLR, GRP0, GRP1, AP0, AP1,
};
static const u32 words[] = {MSR(3, 0, 12, 8, 0), MSR(3, 0, 12, 12, 0), MSR(3, 0, 12, 8, 2), MSR(3, 0, 12, 12, 2), MSR(3, 0, 12, 8, 1), MSR(3, 0, 12, 12, 1), MSR(3, 0, 12, 11, 1),
                            MSR(3, 0, 12, 11, 3), MSR(3, 0, 4, 6, 0), MSR(3, 0, 12, 8, 3), MSR(3, 0, 12, 12, 3), MSR(3, 0, 12, 12, 4), MSR(3, 0, 12, 12, 6), MSR(3, 0, 12, 12, 7),
                            MSR(3, 0, 12, 8, 4), MSR(3, 0, 12, 9, 0)};
static u64 rd(unsigned reg) { return icv(words[reg] | AS_READ, 0); }
static u64 wr(unsigned reg, u64 v) { return icv(words[reg], v); }

static void list_registers(void) {
  section("virtual GIC (LR0 LR1 AP0 AP1 HCR MISR EISR ELRSR)");
  start(1, VMCR);
  show("v.idle");
  msr(ICH_LR0, PENDING | GROUP1 | PRIO(0xa0) | 0x21);
  msr(ICH_LR1, PENDING | GROUP1 | PRIO(0x80) | 0x22);
  isb();
  show("v.pending");
  line("v.icv", rd(HPPIR1), rd(HPPIR0), rd(RPR), rd(PMR), rd(BPR0), rd(BPR1), rd(CTLR), rd(GRP0), rd(GRP1));
  GO(EL1 ^ UNMASK_I, CODE("nop\n isb\n nop\n mov x0, #0"), 1);
  report("v.irq.el1");
  GO(EL0 ^ UNMASK_I, CODE("nop\n isb\n nop\n mov x0, #0"), 1);
  report("v.irq.el0");
  GO(EL2 ^ UNMASK_I, CODE("nop\n isb\n nop\n mov x0, #0"), 1);
  report("v.irq.el2");
  GO(EL1, CODE("mrs x0, isr_el1"));
  report("v.isr.el1");
  line("v.iar", rd(IAR1));
  show("v.active");
  line("v.iar.lower", rd(IAR1), rd(HPPIR1), rd(RPR));
  wr(EOIR1, 0x22);
  show("v.eoi");
  line("v.iar.second", rd(IAR1), rd(RPR));
  wr(EOIR1, 0x33);
  show("v.eoi.unknown");
  wr(EOIR1, 0x21);
  show("v.eoi.no.priority");
  wr(EOIR1, 1023);
  show("v.eoi.spurious");
  // Separate deactivation.
  start(1, VMCR | 1 << 9);
  msr(ICH_LR0, PENDING | GROUP1 | PRIO(0x90) | 0x40);
  isb();
  line("v.mode1.iar", rd(IAR1), rd(CTLR));
  wr(EOIR1, 0x40);
  show("v.mode1.eoi");
  wr(DIR, 0x41);
  show("v.mode1.dir.unknown");
  wr(DIR, 0x40);
  show("v.mode1.dir");
  wr(EOIR1, 0x50);
  show("v.mode1.eoi.idle");
  // Pending and active; group 0; end of interrupt maintenance.
  start(1, VMCR);
  msr(ICH_LR0, PENDING | ACTIVE | GROUP1 | PRIO(0x90) | 0x40);
  isb();
  line("v.both", rd(HPPIR1), rd(IAR1));
  msr(ICH_LR0, PENDING | PRIO(0x70) | EOI_REQUEST | 0x41);
  isb();
  line("v.group0", rd(HPPIR0), rd(HPPIR1));
  GO(EL1 ^ 0x40, CODE("nop\n isb\n nop\n mov x0, #0"), 1);
  report("v.fiq.el1");
  line("v.group0.iar", rd(IAR1), rd(IAR0));
  show("v.group0.active");
  wr(EOIR0, 0x41);
  show("v.group0.eoi");
  // Hardware interrupts: deactivation reaches the physical one.
  start(1, VMCR);
  write32(GICR + SGI_FRAME + ISACTIVER, 1 << 22);
  msr(ICH_LR0, PENDING | GROUP1 | HW | PRIO(0x90) | 22ull << 32 | 0x55);
  isb();
  line("v.hw.iar", rd(IAR1), read32(GICR + SGI_FRAME + ISACTIVER));
  wr(EOIR1, 0x55);
  line("v.hw.eoi", mrs(ICH_LR0), read32(GICR + SGI_FRAME + ISACTIVER));
  // Special and LPI numbers.
  start(1, VMCR);
  msr(ICH_LR0, PENDING | GROUP1 | PRIO(0x90) | 8200);
  isb();
  line("v.lpi", rd(HPPIR1), rd(IAR1));
  show("v.lpi.active");
  wr(EOIR1, 8200);
  show("v.lpi.eoi");
  start(1, VMCR);
  for (unsigned i = 0; i < 34; i++) {
    msr(ICH_AP1R0, 1 << 4);
    wr(EOIR1, 0x70);
    if (i == 0 || i == 30 || i == 31 || i == 33) line("v.eoicount", mrs(ICH_HCR), mrs(ICH_AP1R0));
  }
}

static void masks_and_priorities(void) {
  section("virtual GIC: ICV registers after ones and zeros, priorities");
  static const unsigned regs[] = {PMR, BPR0, BPR1, CTLR, GRP0, GRP1, AP0, AP1};
  static const char *const names[] = {"pmr", "bpr0", "bpr1", "ctlr", "igrpen0", "igrpen1", "ap0r0", "ap1r0"};
  for (unsigned i = 0; i < 8; i++) {
    start(1, VMCR);
    u64 found = rd(regs[i]);
    wr(regs[i], 0xffffffff);
    u64 ones = rd(regs[i]), vmcr = mrs(ICH_VMCR);
    wr(regs[i], 0);
    line(join("icv.", names[i], NULL), found, ones, vmcr, rd(regs[i]), mrs(ICH_VMCR), mrs(ICH_AP0R0), mrs(ICH_AP1R0));
  }
  for (u64 bpr = 0; bpr < 8; bpr++) {
    start(1, VMCR);
    wr(BPR1, bpr);
    msr(ICH_LR0, PENDING | GROUP1 | PRIO(0xb8) | 0x60);
    isb();
    u64 first = rd(IAR1);
    msr(ICH_LR1, PENDING | GROUP1 | PRIO(0xa8) | 0x61);
    msr(ICH_LR2, PENDING | GROUP1 | PRIO(0x80) | 0x62);
    isb();
    u64 second = rd(IAR1);
    char d[2] = {(char)('0' + bpr), 0};
    line(join("icv.preempt.bpr", d, NULL), rd(BPR1), first, second, rd(IAR1), rd(RPR), mrs(ICH_AP1R0));
  }
  start(1, VMCR | 1 << 4); // VCBPR
  wr(BPR0, 5);
  line("icv.cbpr", rd(BPR0), rd(BPR1), rd(CTLR));
  wr(BPR1, 2);
  line("icv.cbpr.bpr1", rd(BPR0), rd(BPR1));
  static const u64 pmrs[] = {0x90, 0x98, 0xa0, 0};
  for (unsigned i = 0; i < 4; i++) {
    start(1, (VMCR & 0xffffff) | pmrs[i] << 24);
    msr(ICH_LR0, PENDING | GROUP1 | PRIO(0x98) | 0x60);
    isb();
    line("icv.pmr", pmrs[i], rd(HPPIR1), rd(IAR1));
  }
  start(0, VMCR);
  msr(ICH_LR0, PENDING | GROUP1 | PRIO(0x98) | 0x60);
  isb();
  line("icv.en0", rd(HPPIR1), rd(IAR1));
}

static void maintenance(void) {
  section("virtual GIC: maintenance (MISR EISR ELRSR, physical PPI 25 pending)");
  static const struct {
    const char *name;
    u64 hcr, vmcr, lr0, lr1;
  } cases[] = {
    {"none", 1, VMCR, 0, 0}, {"eoi", 1, VMCR, EOI_REQUEST, 0}, {"eoi.en0", 0, VMCR, EOI_REQUEST, 0}, {"eoi.hw", 1, VMCR, EOI_REQUEST | HW, 0},
    {"u.0", 3, VMCR, 0, 0}, {"u.1", 3, VMCR, PENDING, 0}, {"u.2", 3, VMCR, PENDING, ACTIVE}, {"lrenp", 5 | 1ull << 27, VMCR, 0, 0}, {"lrenp.0", 5, VMCR, 0, 0},
    {"np", 9, VMCR, ACTIVE, 0}, {"np.pending", 9, VMCR, PENDING, 0}, {"np.both", 9, VMCR, PENDING | ACTIVE, 0},
    {"g0e", 0x11, VMCR, 0, 0}, {"g0e.off", 0x11, VMCR & ~1ull, 0, 0}, {"g0d", 0x21, VMCR & ~3ull, 0, 0}, {"g0d.on", 0x21, VMCR, 0, 0},
    {"g1e", 0x41, VMCR, 0, 0}, {"g1d", 0x81, VMCR & ~2ull, 0, 0}, {"g1d.on", 0x81, VMCR, 0, 0},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    start(0, cases[i].vmcr);
    msr(ICH_LR0, cases[i].lr0);
    msr(ICH_LR1, cases[i].lr1);
    msr(ICH_HCR, cases[i].hcr);
    isb();
    line(join("maint.", cases[i].name, NULL), mrs(ICH_MISR), mrs(ICH_EISR), mrs(ICH_ELRSR), read32(GICR + SGI_FRAME + ISPENDR) >> 25 & 1);
  }
  start(1, VMCR);
}

static void traps(void) {
  section("virtual GIC: traps of ICC registers from EL1");
  static const char *const names[] = {"iar0", "iar1", "hppir0", "hppir1", "eoir0", "eoir1", "dir", "rpr", "pmr", "bpr0", "bpr1", "ctlr", "grp0", "grp1", "ap0", "ap1"};
  static const struct {
    const char *name;
    u64 ich, hcr;
  } cases[] = {{"tall0", 1 << 11, 0}, {"tall1", 1 << 12, 0}, {"tc", 1 << 10, 0}, {"tdir", 1 << 14, 0}, {"tdir.imo", 1 << 14, IMO_FMO}, {"imo", 0, 1 << 4}, {"fmo", 0, 1 << 3}};
  for (unsigned c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    start(cases[c].ich, VMCR);
    HCR(cases[c].hcr);
    for (unsigned r = 0; r < 16; r++) {
      bool write_only = r >= EOIR0 && r <= DIR;
      GO(EL1, WORDS(write_only ? words[r] : words[r] | AS_READ), 1023);
      if (!done()) report(join("icc.trap.", cases[c].name, ".", names[r], NULL));
    }
    for (unsigned s = 5; s < 8; s++) {
      static const char *const sgis[] = {"sgi1r", "asgi1r", "sgi0r"};
      GO(EL1, WORDS(MSR(3, 0, 12, 11, 5) | (s - 5) << 5), 0);
      report(join("icc.trap.", cases[c].name, ".", sgis[s - 5], NULL));
    }
  }
  start(0, 0x4c0008);
  msr(S3_4_C1_C1_4, 1ull << 39);
  HCR(0);
  TEST("icc.fgt.igrpen0", EL1, WORDS(MRS(3, 0, 12, 12, 6)));
  TEST("icc.fgt.igrpen1", EL1, WORDS(MRS(3, 0, 12, 12, 7)));
  reset_controls();
  gic_reset();
}

void test_virtual_gic(void) {
  list_registers();
  masks_and_priorities();
  maintenance();
  traps();
}
