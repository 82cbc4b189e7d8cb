// Generic timers: conditions, masks, TVAL, offsets, lines into the GIC, order of firing, WFI and WFIT.

#include "gic.h"

struct timer {
  const char *name;
  unsigned ppi;
  u32 tval, ctl, cval;
};
static const struct timer timers[] = {
  {"cntp", 30, MSR(3, 3, 14, 2, 0), MSR(3, 3, 14, 2, 1), MSR(3, 3, 14, 2, 2)},
  {"cntv", 27, MSR(3, 3, 14, 3, 0), MSR(3, 3, 14, 3, 1), MSR(3, 3, 14, 3, 2)},
  {"cnthp", 26, MSR(3, 4, 14, 2, 0), MSR(3, 4, 14, 2, 1), MSR(3, 4, 14, 2, 2)},
  {"cnthv", 28, MSR(3, 4, 14, 3, 0), MSR(3, 4, 14, 3, 1), MSR(3, 4, 14, 3, 2)},
};

static u64 rd(u32 word) {
  GO(EL2, WORDS(word | AS_READ));
  return last.x[0];
}
static void wr(u32 word, u64 v) { GO(EL2, WORDS(word, 0xd5033fdf), v); }
static u64 pending(const struct timer *t) { return read32(GICR + SGI_FRAME + ISPENDR) >> t->ppi & 1; }

static void all_off(void) {
  for (unsigned i = 0; i < 4; i++) {
    wr(timers[i].ctl, 0);
    wr(timers[i].cval, 0);
  }
  gic_reset();
}

static void conditions(void) {
  section("timers: CTL and line for past and future compare values");
  for (unsigned i = 0; i < 4; i++) {
    const struct timer *t = &timers[i];
    all_off();
    wr(t->cval, 0);
    line(join(t->name, ".off", NULL), rd(t->ctl), pending(t));
    wr(t->ctl, 1);
    line(join(t->name, ".on.past", NULL), rd(t->ctl), pending(t));
    wr(t->ctl, 3);
    line(join(t->name, ".masked", NULL), rd(t->ctl), pending(t));
    wr(t->ctl, ~0ull);
    line(join(t->name, ".ctl.ones", NULL), rd(t->ctl), pending(t));
    wr(t->ctl, 1);
    wr(t->cval, ~0ull);
    line(join(t->name, ".never", NULL), rd(t->ctl), pending(t), rd(t->cval));
    wr(t->tval, 0x7fffffff);
    u64 now = mrs(cntpct_el0);
    line(join(t->name, ".tval.future", NULL), rd(t->ctl), rd(t->cval) > now, rd(t->tval) <= 0x7fffffff, pending(t));
    wr(t->tval, 0xffffffff);
    line(join(t->name, ".tval.past", NULL), rd(t->ctl), rd(t->cval) < mrs(cntpct_el0), rd(t->tval) >> 31, pending(t));
    wr(t->tval, 0x1ffffff00);
    line(join(t->name, ".tval.33bits", NULL), rd(t->cval) < mrs(cntpct_el0));
    wr(t->cval, mrs(cntpct_el0) + 0x1234567800000000);
    line(join(t->name, ".far", NULL), rd(t->ctl), rd(t->tval) >> 32);
    wr(t->cval, 0);
    wr(t->ctl, 1);
    write32(GICR + SGI_FRAME + ICPENDR, 1u << t->ppi);
    u64 stays = pending(t);
    write32(GICR + SGI_FRAME + ISENABLER, 1u << t->ppi);
    isb();
    u64 id = mrs(ICC_IAR1), while_active = pending(t);
    wr(t->ctl, 0);
    u64 lowered = pending(t);
    msr(ICC_EOIR1, id);
    isb();
    line(join(t->name, ".gic", NULL), stays, id, while_active, lowered, mrs(ICC_HPPIR1));
  }
}

static void offsets(void) {
  section("timers: offsets");
  all_off();
  msr(cnthctl_el2, 3);
  u64 far = 1ull << 60;
  msr(cntvoff_el2, far);
  isb();
  wr(timers[1].cval, far);
  wr(timers[1].ctl, 1);
  line("cntvoff.cntv", rd(timers[1].ctl), pending(&timers[1]));
  line("cntvoff.cntvct.el2", mrs(cntvct_el0) > far, mrs(cntpct_el0) < far);
  GO(EL1, CODE("mrs x0, cntvct_el0\n mrs x1, cntpct_el0"));
  line("cntvoff.el1", last.x[0] > far, last.x[1] < far);
  HCR(1ull << 34);
  GO(EL2, CODE("isb\n mrs x0, cntvct_el0"));
  line("cntvoff.el2.e2h", last.x[0] < far);
  HCR(0);
  msr(cntvoff_el2, 0);
  wr(timers[1].cval, far);
  line("cntvoff.0", rd(timers[1].ctl), pending(&timers[1]));
  wr(timers[1].ctl, 0);
  // CNTPOFF_EL2: negative, so that the physical count of EL1 is ahead.
  msr(S3_4_C14_C0_6, 0 - far);
  isb();
  GO(EL1, CODE("mrs x0, cntpct_el0"));
  line("cntpoff.ecv0", last.x[0] < far);
  msr(cnthctl_el2, 3 | 1 << 12);
  isb();
  GO(EL1, CODE("mrs x0, cntpct_el0\n mrs x1, s3_3_c14_c0_5"));
  line("cntpoff.ecv1", last.x[0] > far, last.x[1] > far, mrs(cntpct_el0) < far);
  GO(EL1, CODE("msr cntp_cval_el0, x0\n mov x1, #1\n msr cntp_ctl_el0, x1\n isb\n mrs x0, cntp_ctl_el0"), far);
  line("cntpoff.cntp", last.x[0], pending(&timers[0]));
  msr(cnthctl_el2, 3);
  msr(S3_4_C14_C0_6, 0);
  isb();
  line("cntpoff.off", rd(timers[0].ctl), pending(&timers[0]));
  all_off();
}

static void order(void) {
  section("timers: order of firing (INTIDs)");
  all_off();
  for (unsigned i = 0; i < 4; i++) write32(GICR + SGI_FRAME + ISENABLER, 1u << timers[i].ppi);
  u64 unit = mrs(cntfrq_el0) / 50;
  u64 base = mrs(cntpct_el0) + unit;
  static const unsigned steps[] = {3, 1, 4, 2}; // cntp last but one ...
  for (unsigned i = 0; i < 4; i++) {
    wr(timers[i].cval, base + steps[i] * unit);
    wr(timers[i].ctl, 1);
  }
  u64 got[4];
  for (unsigned n = 0; n < 4; n++) {
    u64 id;
    do {
      __asm__ volatile("wfi" : : : "memory");
      id = mrs(ICC_IAR1);
    } while (id > 1019);
    got[n] = id;
    for (unsigned i = 0; i < 4; i++) if (timers[i].ppi == id) wr(timers[i].ctl, 0);
    msr(ICC_EOIR1, id);
    isb();
  }
  values("order", got, 4);
  bool late = mrs(cntpct_el0) >= base + 4 * unit;
  line("order.late", late);
  // WFIT wakes by itself, with everything masked.
  u64 until = mrs(cntvct_el0) + unit;
  GO(EL2, WORDS(0xd5031022), 0, 0, until);
  line("wfit", outcome(), mrs(cntvct_el0) >= until);
  GO(EL2, WORDS(0xd50320bf, 0xd503205f, 0xd5031002), 0, 0, until + unit);
  line("wfet", outcome(), mrs(cntvct_el0) >= until + unit);
  // An interrupt taken out of WFI at EL1, routed to EL2.
  HCR(1 << 4);
  wr(timers[2].cval, mrs(cntpct_el0) + unit);
  wr(timers[2].ctl, 1);
  GO(EL1 ^ UNMASK_I, CODE("1: wfi\n b 1b"));
  line("wfi.el1", last.vector, last.spsr2 & 0xffff, mrs(ICC_HPPIR1));
  all_off();
  HCR(0);
}

void test_timers(void) {
  gic_reset();
  line("cntfrq", mrs(cntfrq_el0));
  TEST("cntfrq.write.el2", EL2, CODE("mrs x0, cntfrq_el0\n msr cntfrq_el0, x0\n mov x0, #0"));
  conditions();
  offsets();
  order();
  reset_controls();
}
