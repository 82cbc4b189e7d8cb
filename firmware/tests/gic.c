// GIC: register masks, SGIs, pending and active state, priorities, preemption, end of interrupt. Two PEs.

#include "gic.h"

void gic_reset(void) {
  for (unsigned pe = 0; pe < 2; pe++) {
    u64 rd = GICR + pe * 0x20000;
    write32(rd + 0x14, 0);
    write32(rd + SGI_FRAME + ICENABLER, ~0u);
    write32(rd + SGI_FRAME + ICPENDR, ~0u);
    write32(rd + SGI_FRAME + ICACTIVER, ~0u);
    write32(rd + SGI_FRAME + IGROUPR, ~0u);
    for (unsigned i = 0; i < 32; i += 4) write32(rd + SGI_FRAME + IPRIORITYR + i, 0xa0a0a0a0);
  }
  write32(GICD, 0);
  for (unsigned n = 1; n < 9; n++) {
    write32(GICD + ICENABLER + n * 4, ~0u);
    write32(GICD + ICPENDR + n * 4, ~0u);
    write32(GICD + ICACTIVER + n * 4, ~0u);
    write32(GICD + IGROUPR + n * 4, ~0u);
    for (unsigned i = 0; i < 32; i += 4) write32(GICD + IPRIORITYR + n * 32 + i, 0xa0a0a0a0);
  }
  write32(GICD, 3);
  msr(ICC_PMR, 0xf8);
  msr(ICC_BPR0, 0);
  msr(ICC_BPR1, 0);
  msr(ICC_CTLR, 0);
  msr(ICC_AP0R0, 0);
  msr(ICC_AP1R0, 0);
  msr(ICC_IGRPEN0, 1);
  msr(ICC_IGRPEN1, 1);
  isb();
}

// ---- register masks ----------------------------------------------------------------------------------------------------------------

static void mask32(const char *name, u64 address) {
  u32 before = read32(address);
  write32(address, ~0u);
  u32 ones = read32(address);
  write32(address, 0);
  u32 zeros = read32(address);
  write32(address, before);
  line(name, before, ones, zeros);
}

static void masks(void) {
  section("GIC: registers as found, after ones, after zeros");
  line("gicd.identification", read32(GICD + 4) & ~(1u << 9), read32(GICD + 0xc));
  for (u64 o = 0xffd0; o < 0x10000; o += 4) {
    if (o == 0xffe8) line("gicd.pidr2", read32(GICD + o) & 0xf0);
  }
  mask32("gicd.ctlr", GICD);
  static const struct {
    const char *name;
    u64 offset;
  } d[] = {{"statusr", 0x10}, {"igroupr0", 0x80}, {"igroupr1", 0x84}, {"igroupr8", 0xa0}, {"igroupr9", 0xa4}, {"isenabler0", 0x100}, {"isenabler1", 0x104}, {"icenabler1", 0x184},
           {"ispendr0", 0x200}, {"ispendr2", 0x208}, {"icpendr2", 0x288}, {"isactiver0", 0x300}, {"isactiver2", 0x308}, {"icactiver2", 0x388}, {"ipriorityr0", 0x400}, {"ipriorityr8", 0x420},
           {"itargetsr8", 0x820}, {"icfgr0", 0xc00}, {"icfgr1", 0xc04}, {"icfgr2", 0xc08}, {"igrpmodr1", 0xd04}, {"nsacr2", 0xe08}, {"sgir", 0xf00}, {"cpendsgir", 0xf10},
           {"irouter31", 0x60f8}, {"irouter32", 0x6100}, {"irouter32.high", 0x6104}, {"irouter287", 0x68f8}, {"irouter288", 0x6900}, {"reserved.3000", 0x3000}};
  for (unsigned i = 0; i < sizeof d / sizeof d[0]; i++) {
    mask32(join("gicd.", d[i].name, NULL), GICD + d[i].offset);
    gic_reset();
  }
  for (unsigned pe = 0; pe < 2; pe++) {
    u64 rd = GICR + pe * 0x20000;
    const char *name = pe ? "gicr1." : "gicr0.";
    line(join(name, "typer", NULL), read64(rd + 8) & ~(u64)0x3f000001, read32(rd + 0xc));
    static const struct {
      const char *label;
      u64 offset;
    } r[] = {{"waker", 0x14}, {"statusr", 0x10}, {"igroupr0", SGI_FRAME + IGROUPR}, {"isenabler0", SGI_FRAME + ISENABLER}, {"icenabler0", SGI_FRAME + ICENABLER}, {"ispendr0", SGI_FRAME + ISPENDR},
             {"icpendr0", SGI_FRAME + ICPENDR}, {"isactiver0", SGI_FRAME + ISACTIVER}, {"icactiver0", SGI_FRAME + ICACTIVER}, {"ipriorityr0", SGI_FRAME + IPRIORITYR},
             {"ipriorityr7", SGI_FRAME + IPRIORITYR + 28}, {"icfgr0", SGI_FRAME + ICFGR}, {"icfgr1", SGI_FRAME + ICFGR + 4}, {"igrpmodr0", SGI_FRAME + 0xd00}, {"nsacr", SGI_FRAME + 0xe00}};
    for (unsigned i = 0; i < sizeof r / sizeof r[0]; i++) {
      mask32(join(name, r[i].label, NULL), rd + r[i].offset);
      gic_reset();
    }
  }
  // Bytes of priorities.
  write32(GICD + IPRIORITYR + 40, 0);
  write8(GICD + IPRIORITYR + 41, 0xff);
  line("gicd.ipriorityr.byte", read32(GICD + IPRIORITYR + 40), read8(GICD + IPRIORITYR + 41), read8(GICD + IPRIORITYR + 42));
  write64(GICD + 0x6000 + 8 * 40, 0xff80ffffffull);
  line("gicd.irouter40.64", read64(GICD + 0x6000 + 8 * 40));
  write64(GICD + 0x6000 + 8 * 40, 0);
  section("GIC: CPU interface registers as found, after ones, after zeros");
  static const struct {
    const char *name;
    u32 word;
  } c[] = {{"pmr", MSR(3, 0, 4, 6, 0)}, {"bpr0", MSR(3, 0, 12, 8, 3)}, {"bpr1", MSR(3, 0, 12, 12, 3)}, {"ctlr", MSR(3, 0, 12, 12, 4)}, {"sre_el1", MSR(3, 0, 12, 12, 5)}, {"sre_el2", MSR(3, 4, 12, 9, 5)},
           {"igrpen0", MSR(3, 0, 12, 12, 6)}, {"igrpen1", MSR(3, 0, 12, 12, 7)}, {"ap0r0", MSR(3, 0, 12, 8, 4)}, {"ap1r0", MSR(3, 0, 12, 9, 0)}, {"ich_hcr", MSR(3, 4, 12, 11, 0)},
           {"ich_vmcr", MSR(3, 4, 12, 11, 7)}, {"ich_ap0r0", MSR(3, 4, 12, 8, 0)}, {"ich_ap1r0", MSR(3, 4, 12, 9, 0)}, {"ich_lr0", MSR(3, 4, 12, 12, 0)}, {"ich_lr3", MSR(3, 4, 12, 12, 3)}};
  for (unsigned i = 0; i < sizeof c / sizeof c[0]; i++) {
    // x0 = before, x2 = after ones (x4), x3 = after zeros
    u32 read = c[i].word | AS_READ, write = c[i].word;
    GO(EL2, WORDS(read, write | 4, 0xd5033fdf, read | 2, write | 31, 0xd5033fdf, read | 3, write, 0xd5033fdf), 0, 0, 0, 0, ~0ull);
    u64 v[3] = {last.x[0], last.x[2], last.x[3]};
    if (done()) values(join("icc.", c[i].name, NULL), v, 3);
    else report(join("icc.", c[i].name, NULL));
    gic_reset();
  }
  static const struct {
    const char *name;
    u32 word;
  } only[] = {{"rpr", MRS(3, 0, 12, 11, 3)}, {"iar0", MRS(3, 0, 12, 8, 0)}, {"iar1", MRS(3, 0, 12, 12, 0)}, {"hppir0", MRS(3, 0, 12, 8, 2)}, {"hppir1", MRS(3, 0, 12, 12, 2)}, {"ich_vtr", MRS(3, 4, 12, 11, 1)},
              {"ich_misr", MRS(3, 4, 12, 11, 2)}, {"ich_eisr", MRS(3, 4, 12, 11, 3)}, {"ich_elrsr", MRS(3, 4, 12, 11, 5)}, {"ap0r1", MRS(3, 0, 12, 8, 5)}, {"ap1r1", MRS(3, 0, 12, 9, 1)},
              {"ap1r3", MRS(3, 0, 12, 9, 3)}, {"ich_ap1r1", MRS(3, 4, 12, 9, 1)}, {"ich_lr4", MRS(3, 4, 12, 12, 4)}, {"ich_lr15", MRS(3, 4, 12, 13, 7)}, {"eoir1.read", MRS(3, 0, 12, 12, 1)},
              {"iar1.write", MSR(3, 0, 12, 12, 0)}, {"dir.read", MRS(3, 0, 12, 11, 1)}, {"sgi1r.read", MRS(3, 0, 12, 11, 5)}, {"ctlr_el3", MRS(3, 6, 12, 12, 4)}, {"ich_misr.write", MSR(3, 4, 12, 11, 2)}};
  for (unsigned i = 0; i < sizeof only / sizeof only[0]; i++) {
    TEST(join("icc.", only[i].name, ".el2", NULL), EL2, WORDS(only[i].word));
    TEST(join("icc.", only[i].name, ".el1", NULL), EL1, WORDS(only[i].word));
    TEST(join("icc.", only[i].name, ".el0", NULL), EL0, WORDS(only[i].word));
  }
}

// ---- delivery ------------------------------------------------------------------------------------------------------------------------

static void state(const char *name, unsigned sgi_or_ppi) {
  u64 f = GICR + SGI_FRAME;
  u32 bit = 1u << sgi_or_ppi;
  line(name, (read32(f + ISENABLER) & bit) != 0, (read32(f + ISPENDR) & bit) != 0, (read32(f + ISACTIVER) & bit) != 0, mrs(ICC_HPPIR1), mrs(ICC_RPR), mrs(ICC_AP1R0));
}

/** Executes with interrupts open until one comes (a few instructions are enough for one that is pending). */
static u64 open(u32 mode) {
  GO(mode ^ UNMASK_I ^ 0x40, CODE("nop\n nop\n nop\n nop\n isb\n nop\n nop\n mov x0, #0"), 1);
  return outcome();
}

static void sgis(void) {
  section("GIC: SGI to self (enabled, pending, active, HPPIR1, RPR, AP1R0)");
  gic_reset();
  HCR(3 << 3);
  state("sgi.idle", 3);
  msr(ICC_SGI1R, 1 | 3ull << 24);
  isb();
  state("sgi.pending.disabled", 3);
  line("sgi.iar.disabled", mrs(ICC_IAR1));
  write32(GICR + SGI_FRAME + ISENABLER, 1 << 3);
  isb();
  state("sgi.pending", 3);
  line("sgi.isr", mrs(isr_el1));
  line("sgi.taken", open(EL2), open(EL1), open(EL0));
  msr(ICC_PMR, 0xa0);
  isb();
  line("sgi.pmr.equal", open(EL1), mrs(ICC_HPPIR1), mrs(ICC_IAR1));
  msr(ICC_PMR, 0xa8);
  isb();
  line("sgi.pmr.above", open(EL1));
  msr(ICC_IGRPEN1, 0);
  isb();
  line("sgi.igrpen1.0", open(EL1), mrs(ICC_HPPIR1));
  msr(ICC_IGRPEN1, 1);
  write32(GICD, 0);
  isb();
  line("sgi.ctlr.0", open(EL1), mrs(ICC_HPPIR1));
  write32(GICD, 3);
  isb();
  line("sgi.iar0", mrs(ICC_IAR0));
  line("sgi.iar", mrs(ICC_IAR1));
  state("sgi.active", 3);
  line("sgi.active.taken", open(EL1));
  msr(ICC_SGI1R, 1 | 3ull << 24);
  isb();
  state("sgi.active.pending", 3);
  line("sgi.active.iar", mrs(ICC_IAR1));
  msr(ICC_EOIR0, 3);
  isb();
  state("sgi.eoir0", 3);
  msr(ICC_EOIR1, 3);
  isb();
  state("sgi.eoir1", 3);
  line("sgi.again", mrs(ICC_IAR1));
  msr(ICC_EOIR1, 3);
  isb();
  state("sgi.done", 3);
  msr(ICC_EOIR1, 3);
  isb();
  state("sgi.eoir.idle", 3);
  // EOImode 1
  msr(ICC_CTLR, 2);
  msr(ICC_SGI1R, 1 | 3ull << 24);
  isb();
  line("sgi.mode1.iar", mrs(ICC_IAR1));
  msr(ICC_DIR, 4);
  isb();
  state("sgi.mode1.dir.other", 3);
  msr(ICC_EOIR1, 3);
  isb();
  state("sgi.mode1.eoir", 3);
  msr(ICC_DIR, 3);
  isb();
  state("sgi.mode1.dir", 3);
  msr(ICC_CTLR, 0);
  // Group 0 is FIQ.
  write32(GICR + SGI_FRAME + IGROUPR, ~(1u << 3));
  msr(ICC_SGI1R, 1 | 3ull << 24);
  isb();
  state("sgi.group0.by.sgi1r", 3);
  msr(ICC_SGI0R, 1 | 3ull << 24);
  isb();
  state("sgi.group0.by.sgi0r", 3);
  line("sgi.group0.hppir", mrs(ICC_HPPIR0), mrs(ICC_HPPIR1), mrs(isr_el1));
  line("sgi.group0.taken", open(EL1), open(EL2));
  line("sgi.group0.iar1", mrs(ICC_IAR1));
  line("sgi.group0.iar0", mrs(ICC_IAR0), mrs(ICC_AP0R0), mrs(ICC_RPR));
  msr(ICC_EOIR0, 3);
  isb();
  line("sgi.group0.eoi", mrs(ICC_AP0R0), mrs(ICC_RPR), read32(GICR + SGI_FRAME + ISACTIVER));
  gic_reset();
  HCR(0);
}

static void routing(void) {
  section("GIC: routing of a pending interrupt by HCR_EL2 (from EL0, EL1, EL2)");
  gic_reset();
  write32(GICR + SGI_FRAME + ISENABLER, 1 << 5);
  msr(ICC_SGI1R, 1 | 5ull << 24);
  isb();
  static const struct {
    const char *name;
    u64 hcr;
  } cases[] = {{"none", 0}, {"imo", 1 << 4}, {"fmo", 1 << 3}, {"tge", 1 << 27}, {"e2h", 1ull << 34}, {"e2h.imo", 1ull << 34 | 1 << 4}, {"host", 1ull << 34 | 1 << 27}};
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    HCR(cases[i].hcr);
    msr(S3_4_C1_C1_2, cases[i].hcr >> 34 & 1 ? 3 << 20 : 0x22ff);
    isb();
    u64 zero = open(EL0);
    u64 one = cases[i].hcr & 1 << 27 ? 0 : open(EL1);
    line(join("route.irq.", cases[i].name, NULL), zero, one, open(EL2));
    HCR(0);
    msr(cptr_el2, 0x22ff);
  }
  // Virtual interrupts by HCR_EL2.VI, VF, VSE.
  gic_reset();
  for (unsigned i = 0; i < 2; i++) {
    HCR(7 << 3 | 1 << (i ? 6 : 7));
    line(i ? "route.vf" : "route.vi", open(EL0), open(EL1), open(EL2), mrs(isr_el1));
    GO(EL1, CODE("mrs x0, isr_el1"));
    line(i ? "route.vf.isr" : "route.vi.isr", last.x[0]);
  }
  HCR(7 << 3 | 1 << 8);
  GO(EL1 ^ 0x100, CODE("nop\n isb\n mov x0, #0"));
  report("route.vse");
  line("route.vse.cleared", mrs(hcr_el2) >> 8 & 1);
  HCR(0);
}

static void preemption(void) {
  section("GIC: priorities and preemption");
  for (unsigned bpr = 0; bpr < 8; bpr++) {
    gic_reset();
    char digit[2] = {(char)('0' + bpr), 0};
    msr(ICC_BPR1, bpr);
    isb();
    write32(GICR + SGI_FRAME + IPRIORITYR, 0xc8b8b0a0); // SGI 0: a0, 1: b0, 2: b8, 3: c8
    write32(GICR + SGI_FRAME + ISENABLER, 0xf);
    u64 v[8];
    v[0] = mrs(ICC_BPR1);
    msr(ICC_SGI1R, 1 | 3ull << 24);
    isb();
    v[1] = mrs(ICC_IAR1);
    for (unsigned i = 0; i < 3; i++) {
      msr(ICC_SGI1R, 1 | (u64)(2 - i) << 24);
      isb();
      v[2 + i] = mrs(ICC_IAR1);
    }
    v[5] = mrs(ICC_AP1R0);
    v[6] = mrs(ICC_RPR);
    v[7] = mrs(ICC_HPPIR1);
    values(join("preempt.bpr", digit, NULL), v, 8);
    for (unsigned i = 0; i < 4; i++) {
      msr(ICC_EOIR1, v[4 - i] < 16 ? v[4 - i] : 3);
      isb();
    }
    line(join("preempt.bpr", digit, ".after", NULL), mrs(ICC_AP1R0), mrs(ICC_RPR), read32(GICR + SGI_FRAME + ISACTIVER), read32(GICR + SGI_FRAME + ISPENDR));
  }
  gic_reset();
  msr(ICC_CTLR, 1); // CBPR
  msr(ICC_BPR0, 5);
  isb();
  line("cbpr", mrs(ICC_CTLR), mrs(ICC_BPR0), mrs(ICC_BPR1));
  msr(ICC_BPR1, 2);
  isb();
  line("cbpr.bpr1.written", mrs(ICC_BPR0), mrs(ICC_BPR1));
  gic_reset();
  // Equal priorities: the lowest INTID first.
  write32(GICR + SGI_FRAME + ISENABLER, 0xffff);
  for (u64 i = 12; i > 8; i--) msr(ICC_SGI1R, 1 | i << 24);
  isb();
  u64 order[4];
  for (unsigned i = 0; i < 4; i++) {
    order[i] = mrs(ICC_IAR1);
    msr(ICC_EOIR1, order[i]);
    isb();
  }
  values("equal.priorities", order, 4);
}

static void shared(void) {
  section("GIC: SPIs");
  gic_reset();
  u64 word = GICD + 4 * 2; // INTID 64..95
  write32(GICD + ISENABLER + 8, 1 << 6); // INTID 70
  write64(GICD + 0x6000 + 8 * 70, 0);
  write32(GICD + ISPENDR + 8, 1 << 6);
  line("spi.pending", read32(word + ISPENDR), mrs(ICC_HPPIR1), open(EL2 & ~0u));
  line("spi.iar", mrs(ICC_IAR1), read32(word + ISPENDR), read32(word + ISACTIVER));
  msr(ICC_EOIR1, 70);
  isb();
  line("spi.eoi", read32(word + ISPENDR), read32(word + ISACTIVER));
  write64(GICD + 0x6000 + 8 * 70, 5); // no such PE
  write32(GICD + ISPENDR + 8, 1 << 6);
  line("spi.nowhere", mrs(ICC_HPPIR1), read32(word + ISPENDR));
  write64(GICD + 0x6000 + 8 * 70, 0);
  isb();
  line("spi.rerouted", mrs(ICC_HPPIR1));
  write32(GICD + ICENABLER + 8, 1 << 6);
  line("spi.disabled", mrs(ICC_HPPIR1), read32(word + ISPENDR));
  write32(GICD + ICPENDR + 8, 1 << 6);
  write32(GICD + ISENABLER + 8, 1 << 6);
  line("spi.cleared", mrs(ICC_HPPIR1), read32(word + ISPENDR));
  write32(GICD + ISACTIVER + 8, 1 << 6);
  write32(GICD + ISPENDR + 8, 1 << 6);
  line("spi.active.by.write", mrs(ICC_HPPIR1), mrs(ICC_RPR), read32(word + ISACTIVER));
  write32(GICD + ICACTIVER + 8, 1 << 6);
  line("spi.inactive.by.write", mrs(ICC_HPPIR1));
  // A level-sensitive line: the UART's interrupt (INTID 33) through its mask register.
  gic_reset();
  write32(GICD + ISENABLER + 4, 1 << 1);
  write32(UART + 0x38, 1 << 5); // transmit interrupt
  u64 raised[4] = {read32(GICD + ISPENDR + 4) & 2, mrs(ICC_HPPIR1), 0, 0};
  write32(GICD + ICPENDR + 4, 2);
  raised[2] = read32(GICD + ISPENDR + 4) & 2;
  write32(UART + 0x38, 0);
  raised[3] = read32(GICD + ISPENDR + 4) & 2;
  values("spi.level", raised, 4);
  gic_reset();
}

// ---- the second PE ---------------------------------------------------------------------------------------------------------------------

/** What the second PE saw; only it writes this. */
static volatile u64 second_seen[8], second_count, second_ready, second_stop;

void second_pe(void);
void second_main(u64 context);
void second_main(u64 context) {
  second_seen[7] = context;
  msr(ICC_PMR, 0xf8);
  msr(ICC_IGRPEN1, 1);
  write32(GICR + 0x20000 + SGI_FRAME + ISENABLER, 0xffff);
  write32(GICD + ISENABLER + 8, 1 << 7);
  dsb();
  second_ready = 1;
  while (!second_stop) {
    __asm__ volatile("wfi" : : : "memory");
    u64 id = mrs(ICC_IAR1);
    if (id > 1019) continue;
    second_seen[second_count & 3] = id;
    msr(ICC_EOIR1, id);
    dsb();
    second_count++;
  }
  smc(0x84000002, 0, 0, 0);
}

static bool wait_for(volatile u64 *what, u64 value) {
  for (u64 start = mrs(cntpct_el0); mrs(cntpct_el0) - start < mrs(cntfrq_el0) * 5;) if (*what == value) return true;
  return false;
}

static void second(void) {
  section("GIC: SGIs to the other PE");
  gic_reset();
  line("cpu_on", smc(0xc4000003, 1, (u64)second_pe, 0x1234), wait_for(&second_ready, 1), second_seen[7]);
  msr(ICC_SGI1R, 2 | 4ull << 24);
  line("sgi.to.other", wait_for(&second_count, 1), second_seen[0], mrs(ICC_HPPIR1));
  msr(ICC_SGI1R, 1ull << 40 | 6ull << 24); // all but self
  line("sgi.to.others", wait_for(&second_count, 2), second_seen[1], mrs(ICC_HPPIR1));
  write32(GICR + SGI_FRAME + ISENABLER, 0xffff);
  msr(ICC_SGI1R, 3 | 7ull << 24);
  isb();
  line("sgi.to.both", wait_for(&second_count, 3), second_seen[2], mrs(ICC_IAR1));
  msr(ICC_EOIR1, 7);
  write64(GICD + 0x6000 + 8 * 71, 1);
  write32(GICD + ISPENDR + 8, 1 << 7);
  line("spi.to.other", wait_for(&second_count, 4), second_seen[3], read32(GICD + ISPENDR + 8));
  msr(ICC_SGI1R, 1ull << 16 | 1 | 8ull << 24); // Aff1 = 1: nobody
  isb();
  line("sgi.to.nobody", mrs(ICC_HPPIR1));
  line("affinity.on", smc(0xc4000004, 1, 0, 0), smc(0xc4000003, 1, (u64)second_pe, 0));
  second_stop = 1;
  msr(ICC_SGI1R, 2 | 9ull << 24);
  u64 off = 0;
  for (u64 start = mrs(cntpct_el0); mrs(cntpct_el0) - start < mrs(cntfrq_el0) * 5 && off != 1;) off = smc(0xc4000004, 1, 0, 0);
  line("affinity.off", off);
  gic_reset();
}

void test_gic(void) {
  gic_reset();
  masks();
  sgis();
  routing();
  preemption();
  shared();
  second();
}
