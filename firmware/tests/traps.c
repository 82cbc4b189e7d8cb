// System register and instruction traps: HCR_EL2, HCRX, HSTR, fine-grained traps, CPACR, CPTR, MDCR, SCTLR at EL0.

#include "tests.h"

struct op {
  const char *name;
  u32 word;
};
// biome-ignore format: table
static const struct op ops[] = {
  {"wr.sctlr_el1", MSR(3, 0, 1, 0, 0)},  {"wr.ttbr0_el1", MSR(3, 0, 2, 0, 0)}, {"rd.ttbr1_el1", MRS(3, 0, 2, 0, 1)}, {"rd.tcr_el1", MRS(3, 0, 2, 0, 2)},
  {"wr.afsr0_el1", MSR(3, 0, 5, 1, 0)},  {"wr.mair_el1", MSR(3, 0, 10, 2, 0)}, {"rd.far_el1", MRS(3, 0, 6, 0, 0)},   {"wr.contextidr", MSR(3, 0, 13, 0, 1)},
  {"rd.actlr_el1", MRS(3, 0, 1, 0, 1)},  {"rd.midr", MRS(3, 0, 0, 0, 0)},      {"rd.revidr", MRS(3, 0, 0, 0, 6)},    {"rd.aidr", MRS(3, 1, 0, 0, 7)},
  {"rd.pfr0", MRS(3, 0, 0, 4, 0)},       {"rd.id_c7_7", MRS(3, 0, 0, 7, 7)},   {"rd.id_c1_0", MRS(3, 0, 0, 1, 0)},   {"rd.ctr", MRS(3, 3, 0, 0, 1)},
  {"rd.dczid", MRS(3, 3, 0, 0, 7)},      {"rd.ccsidr", MRS(3, 1, 0, 0, 0)},    {"rd.clidr", MRS(3, 1, 0, 0, 1)},     {"rd.csselr", MRS(3, 2, 0, 0, 0)},
  {"wr.csselr", MSR(3, 2, 0, 0, 0)},     {"rd.lorid", MRS(3, 0, 10, 4, 7)},    {"rd.lorsa", MRS(3, 0, 10, 4, 0)},    {"rd.errselr", MRS(3, 0, 5, 3, 1)},
  {"rd.impdef_11", MRS(3, 0, 11, 0, 0)}, {"rd.impdef_15", MRS(3, 3, 15, 0, 0)}, {"sys.impdef", SYS(0, 11, 0, 0)},    {"rd.cpacr", MRS(3, 0, 1, 0, 2)},
  {"rd.tpidr_el0", MRS(3, 3, 13, 0, 2)}, {"rd.tpidrro", MRS(3, 3, 13, 0, 3)},  {"wr.tpidrro", MSR(3, 3, 13, 0, 3)},  {"rd.tpidr_el1", MRS(3, 0, 13, 0, 4)},
  {"rd.vbar_el1", MRS(3, 0, 12, 0, 0)},  {"rd.esr_el1", MRS(3, 0, 5, 2, 0)},   {"rd.elr_el1", MRS(3, 0, 4, 0, 1)},   {"rd.isr", MRS(3, 0, 12, 1, 0)},
  {"rd.hcr_el2", MRS(3, 4, 1, 1, 0)},    {"rd.esr_el2", MRS(3, 4, 5, 2, 0)},   {"rd.sctlr_el12", MRS(3, 5, 1, 0, 0)}, {"rd.scr_el3", MRS(3, 6, 1, 1, 0)},
  {"rd.mdscr", MRS(2, 0, 0, 2, 2)},      {"rd.dbgbvr0", MRS(2, 0, 0, 0, 4)},   {"rd.oslsr", MRS(2, 0, 1, 1, 4)},     {"wr.oslar", MSR(2, 0, 1, 0, 4)},
  {"rd.mdrar", MRS(2, 0, 1, 0, 0)},      {"rd.mdccsr", MRS(2, 3, 0, 1, 0)},    {"rd.pmcr", MRS(3, 3, 9, 12, 0)},     {"rd.pmccntr", 0xd503201f},
  {"rd.pmuserenr", MRS(3, 3, 9, 14, 0)}, {"rd.pmintenset", MRS(3, 0, 9, 14, 1)}, {"rd.cntfrq", MRS(3, 3, 14, 0, 0) & ~0u}, {"rd.cntkctl", MRS(3, 0, 14, 1, 0)},
  {"rd.cntp_ctl", MRS(3, 3, 14, 2, 1)},  {"rd.cntv_ctl", MRS(3, 3, 14, 3, 1)}, {"wr.cntfrq", MSR(3, 3, 14, 0, 0)},
  {"tlbi.vmalle1", SYS(0, 8, 7, 0)},     {"tlbi.vae1is", SYS(0, 8, 3, 1)},     {"tlbi.vae1os", SYS(0, 8, 1, 1)},     {"tlbi.rvae1", SYS(0, 8, 6, 1)},
  {"tlbi.alle1", SYS(4, 8, 7, 4)},       {"tlbi.alle2", SYS(4, 8, 7, 0)},      {"at.s1e1r", SYS(0, 7, 8, 0)},        {"at.s12e1r", SYS(4, 7, 8, 4)},
  {"ic.iallu", SYS(0, 7, 5, 0)},         {"ic.ialluis", SYS(0, 7, 1, 0)},      {"ic.ivau", SYS(3, 7, 5, 1)},         {"dc.cvac", SYS(3, 7, 10, 1)},
  {"dc.civac", SYS(3, 7, 14, 1)},        {"dc.cvau", SYS(3, 7, 11, 1)},        {"dc.ivac", SYS(0, 7, 6, 1)},         {"dc.isw", SYS(0, 7, 6, 2)},
  {"dc.csw", SYS(0, 7, 10, 2)},          {"dc.cvap", SYS(3, 7, 12, 1)},        {"dc.cvadp", SYS(3, 7, 13, 1)},       {"dc.zva", SYS(3, 7, 4, 1)},
  {"cfp.rctx", SYS(3, 7, 3, 4)},
  {"wfi", 0xd503207f},                   {"wfe", 0xd503205f},                  {"fmov", 0x1e260000},                 {"fadd", 0x1e622820},
  {"rd.fpcr", MRS(3, 3, 4, 4, 0)},       {"ldr.q", 0x3dc00020},                {"cntvct.isb", 0xd503201f},           {"hvc", 0xd4000022},
};
#define OPS (sizeof ops / sizeof ops[0])

/** Is the outcome the one without the controls? */
static bool same_outcome(const struct run *a, const struct run *b) { return a->vector == b->vector && a->esr2 == b->esr2 && a->esr1 == b->esr1; }

/** Timers and WFI: an interrupt must be pending for WFI to complete, else EL0 and EL1 would sleep. */
static struct run baseline[OPS][2];

static bool waits(u32 word) { return word == 0xd503207f || word == 0xd503205f; }

static void run_op(unsigned i, u32 mode, bool may_wait) {
  if (waits(ops[i].word) && !may_wait) {
    go(mode, WORDS(0xd503201f), NULL, 0);
    return;
  }
  // Writes store back what the register holds.
  u64 value = DATA;
  u32 word = ops[i].word;
  if ((word & 0xfff00000) == 0xd5100000 && (word >> 16 & 7) == 0 && word != MSR(2, 0, 1, 0, 4)) {
    GO(EL2, WORDS(word | AS_READ));
    value = last.x[0];
  }
  if (ops[i].word == MSR(2, 0, 1, 0, 4)) value = 0;
  u64 args[2] = {value, DATA};
  go(mode, WORDS(word), args, 2);
}

/** Prints what every operation does without traps; later only what differs from that. */
static void establish(void) {
  for (unsigned m = 0; m < 2; m++) {
    for (unsigned i = 0; i < OPS; i++) {
      run_op(i, m ? EL1 : EL0, false);
      if (done()) last.x[0] = 0; // the values of registers are the business of other tests
      baseline[i][m] = last;
      report(join("base.", m ? "el1." : "el0.", ops[i].name, NULL));
    }
  }
}

/** Bits 31..20 of the words that `changes` looks at (MRS, MSR or SYS); 0: all. */
static u32 only;

static void changes(const char *prefix, bool may_wait) {
  char what[64]; // the caller's name is in a buffer of join
  unsigned n = 0;
  for (; prefix[n] && n < sizeof what - 1; n++) what[n] = prefix[n];
  what[n] = 0;
  for (unsigned m = 0; m < 2; m++) {
    for (unsigned i = 0; i < OPS; i++) {
      if ((waits(ops[i].word) && !may_wait) || (only && ops[i].word >> 20 != only)) continue;
      run_op(i, m ? EL1 : EL0, may_wait);
      if (same_outcome(&last, &baseline[i][m])) continue;
      if (done()) last.x[0] = 0;
      report(join(what, m ? ".el1." : ".el0.", ops[i].name, NULL));
    }
  }
}

static void hcr(const char *name, unsigned bit, bool may_wait) {
  HCR(1ull << bit);
  changes(join("hcr.", name, NULL), may_wait);
  HCR(0);
}

static void hcr_traps(void) {
  static const struct {
    const char *name;
    unsigned bit;
  } bits[] = {{"tid0", 15}, {"tid1", 16}, {"tid2", 17}, {"tid3", 18}, {"tidcp", 20}, {"tacr", 21}, {"tsw", 22}, {"tpcp", 23}, {"tpu", 24},
              {"ttlb", 25}, {"tvm", 26}, {"tdz", 28}, {"trvm", 30}, {"tlor", 35}, {"terr", 36}, {"tid4", 49}, {"ticab", 50}, {"tocu", 52},
              {"ttlbis", 54}, {"ttlbos", 55}};
  for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++) hcr(bits[i].name, bits[i].bit, false);
}

static void wait_traps(void) {
  section("WFI and WFE traps");
  static const struct {
    const char *name;
    u64 hcr, sctlr;
  } cases[] = {
    {"el0.ntw0", 0, SCTLR_ON}, {"hcr.twi", 1 << 13, SCTLR_ON | 1 << 16 | 1 << 18}, {"hcr.twe", 1 << 14, SCTLR_ON | 1 << 16 | 1 << 18},
    {"hcr.both", 3 << 13, SCTLR_ON},
  };
  u64 wfi = CODE("wfi");
  u64 wfe = CODE("sevl\n wfe\n wfe");
  for (unsigned i = 0; i < 4; i++) {
    msr(sctlr_el1, cases[i].sctlr);
    HCR(cases[i].hcr);
    bool i_traps = (cases[i].hcr & 1 << 13) || !(cases[i].sctlr & 1 << 16);
    bool e_traps = (cases[i].hcr & 1 << 14) || !(cases[i].sctlr & 1 << 18);
    if (i_traps) TEST(join("wfi.", cases[i].name, ".el0", NULL), EL0, wfi);
    if (e_traps) TEST(join("wfe.", cases[i].name, ".el0", NULL), EL0, wfe);
    if (cases[i].hcr & 1 << 13) TEST(join("wfi.", cases[i].name, ".el1", NULL), EL1, wfi);
    if (cases[i].hcr & 1 << 14) TEST(join("wfe.", cases[i].name, ".el1", NULL), EL1, wfe);
    if (i_traps) TEST(join("wfit.", cases[i].name, ".el0", NULL), EL0, WORDS(0xd5031022), 0, 0, ~0ull);
    if (e_traps) TEST(join("wfet.", cases[i].name, ".el0", NULL), EL0, WORDS(0xd50320bf, 0xd503205f, 0xd5031002), 0, 0, ~0ull);
    TEST(join("wfit.past.", cases[i].name, ".el0", NULL), EL0, WORDS(0xd5031022), 0, 0, 0);
    TEST(join("wfet.past.", cases[i].name, ".el0", NULL), EL0, WORDS(0xd5031002), 0, 0, 0);
  }
  msr(sctlr_el1, SCTLR_ON);
  HCR(0);
}

static void fp_traps(void) {
  section("FP traps");
  u64 fp = CODE("fmov s0, w0");
  u64 fpcr = CODE("mrs x0, fpcr\n mov x0, #1");
  static const char *const fields[] = {"0", "1", "2", "3"};
  for (u64 cpacr = 0; cpacr < 4; cpacr++) {
    for (u64 tfp = 0; tfp < 2; tfp++) {
      msr(cpacr_el1, cpacr << 20);
      msr(cptr_el2, 0x22ff | tfp << 10);
      isb();
      TEST(join("fpen=", fields[cpacr], ".tfp=", fields[tfp], ".el0", NULL), EL0, fp);
      TEST(join("fpen=", fields[cpacr], ".tfp=", fields[tfp], ".el1", NULL), EL1, fp);
      if (cpacr == 0) TEST(join("fpen=", fields[cpacr], ".tfp=", fields[tfp], ".fpcr.el1", NULL), EL1, fpcr);
      if (cpacr == 0) TEST(join("fpen=", fields[cpacr], ".tfp=", fields[tfp], ".el2", NULL), EL2, fp);
    }
  }
  msr(cpacr_el1, 0);
  HCR(1 << 27);
  msr(cptr_el2, 0x22ff | 1 << 10);
  TEST("fpen=0.tfp=1.tge.el0", EL0, fp);
  msr(cptr_el2, 0x22ff);
  TEST("fpen=0.tfp=0.tge.el0", EL0, fp);
  HCR(0);
  msr(cpacr_el1, 3 << 20);
  msr(cptr_el2, 0x22ff | 1u << 31);
  TEST("tcpac.el1", EL1, WORDS(MRS(3, 0, 1, 0, 2)));
  msr(cptr_el2, 0x22ff);
}

static void other_controls(void) {
  section("other traps");
  msr(hstr_el2, 1 << 5);
  changes("hstr.t5", false);
  msr(hstr_el2, 0);
  u64 mdcr = mrs(mdcr_el2);
  static const struct {
    const char *name;
    unsigned bit;
  } debug[] = {{"tpmcr", 5}, {"tpm", 6}, {"tde", 8}, {"tda", 9}, {"tdosa", 10}, {"tdra", 11}, {"tdcc", 27}};
  for (unsigned i = 0; i < sizeof debug / sizeof debug[0]; i++) {
    msr(mdcr_el2, mdcr | 1ull << debug[i].bit);
    isb();
    changes(join("mdcr.", debug[i].name, NULL), false);
  }
  msr(mdcr_el2, mdcr);
  msr(mdscr_el1, 1 << 12);
  isb();
  changes("mdscr.tdcc", false);
  msr(mdscr_el1, 0);
  static const struct {
    const char *name;
    unsigned bit;
  } sctlr[] = {{"dze", 14}, {"uct", 15}, {"uci", 26}, {"uma", 9}, {"enrctx", 10}};
  for (unsigned i = 0; i < sizeof sctlr / sizeof sctlr[0]; i++) {
    msr(sctlr_el1, SCTLR_ON | 1ull << sctlr[i].bit);
    isb();
    changes(join("sctlr.", sctlr[i].name, NULL), false);
  }
  msr(sctlr_el1, SCTLR_ON | 1ull << 63);
  isb();
  changes("sctlr.tidcp", false);
  msr(sctlr_el1, SCTLR_ON);
  static const u64 kctl[] = {1, 2, 0x100, 0x200};
  static const char *const knames[] = {"pct", "vct", "vt", "pt"};
  for (unsigned i = 0; i < 4; i++) {
    msr(cntkctl_el1, kctl[i]);
    isb();
    changes(join("cntkctl.", knames[i], NULL), false);
  }
  msr(cntkctl_el1, 0);
  static const u64 hctl[] = {0, 1, 2, 3 | 1 << 13, 3 | 1 << 14};
  static const char *const hnames[] = {"none", "pct", "pce", "tvt", "tvct"};
  for (unsigned i = 0; i < 5; i++) {
    msr(cnthctl_el2, hctl[i]);
    isb();
    changes(join("cnthctl.", hnames[i], NULL), false);
    TEST(join("cnthctl.", hnames[i], ".cntpct", NULL), EL1, CODE("mrs x0, cntpct_el0\n mov x0, #1"));
    TEST(join("cnthctl.", hnames[i], ".cntvct", NULL), EL1, CODE("mrs x0, cntvct_el0\n mov x0, #1"));
    TEST(join("cnthctl.", hnames[i], ".cntp_tval", NULL), EL1, CODE("mrs x0, cntp_tval_el0\n mov x0, #1"));
    TEST(join("cnthctl.", hnames[i], ".cntpctss", NULL), EL1, CODE("mrs x0, s3_3_c14_c0_5\n mov x0, #1"));
  }
  msr(cnthctl_el2, 3);
}

static void fine_grained(void) {
  section("fine-grained traps");
  static const struct {
    const char *name;
    u32 reg;
    unsigned end;
    u32 only;
  } groups[] = {
    {"hfgrtr", MSR(3, 4, 1, 1, 4), 50, 0xd53}, {"hfgwtr", MSR(3, 4, 1, 1, 5), 50, 0xd51}, {"hfgitr", MSR(3, 4, 1, 1, 6), 51, 0xd50}, // ERET and SVC: below
    {"hdfgrtr", MSR(3, 4, 3, 1, 4), 31, 0xd53}, {"hdfgwtr", MSR(3, 4, 3, 1, 5), 31, 0xd51},
  };
  for (unsigned g = 0; g < sizeof groups / sizeof groups[0]; g++) {
    only = groups[g].only;
    for (unsigned bit = 0; bit < groups[g].end; bit++) {
      char digits[3] = {(char)('0' + bit / 10), (char)('0' + bit % 10), 0};
      GO(EL2, WORDS(groups[g].reg), 1ull << bit);
      changes(join(groups[g].name, ".", digits, NULL), false);
    }
    GO(EL2, WORDS(groups[g].reg), 0);
  }
  only = 0;
  GO(EL2, WORDS(MSR(3, 4, 1, 1, 6)), 3ull << 52);
  TEST("hfgitr.svc.el0", EL0, CODE("svc #0x33"));
  TEST("hfgitr.svc.el1", EL1, CODE("svc #0x34"));
  GO(EL2, WORDS(MSR(3, 4, 1, 1, 6)), 1ull << 51);
  TEST("hfgitr.eret", EL1, CODE("eret"));
  GO(EL2, WORDS(MSR(3, 4, 1, 1, 6)), 0);
}

void test_traps(void) {
  section("system registers without traps");
  standard_el1();
  msr(sctlr_el1, SCTLR_ON);
  establish();
  section("HCR_EL2 traps");
  hcr_traps();
  wait_traps();
  fp_traps();
  other_controls();
  fine_grained();
  reset_controls();
}
