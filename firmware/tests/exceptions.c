// Exception generating instructions, illegal returns, stack and PC alignment, BTI, pointer authentication, PSTATE bits.

#include "tests.h"

struct mode {
  const char *name;
  u32 spsr;
};
static const struct mode modes[] = {{"el0", EL0}, {"el1t", EL1T}, {"el1", EL1}, {"el2t", EL2T}, {"el2", EL2}};
#define MODES (sizeof modes / sizeof modes[0])

static void everywhere(const char *name, u64 code) {
  for (unsigned i = 0; i < MODES; i++) TEST(join(name, ".", modes[i].name, NULL), modes[i].spsr, code);
}

static void generating(void) {
  section("exception generating instructions");
  everywhere("udf", WORDS(1));
  everywhere("svc", CODE("svc #0x123"));
  everywhere("hvc", CODE("hvc #0x45"));
  everywhere("brk", CODE("brk #0xabcd"));
  everywhere("hlt", CODE("hlt #1"));
  everywhere("dcps1", WORDS(0xd4a00001));
  everywhere("drps", WORDS(0xd6bf03e0));
  everywhere("unallocated.0", WORDS(0x00000010));
  everywhere("unallocated.ldst", WORDS(0x0c1f0000));
  everywhere("unallocated.sysreg", WORDS(MRS(3, 0, 15, 15, 7) & ~0u));
  everywhere("unallocated.msrimm", WORDS(0xd500419f));
  everywhere("sys.unallocated", WORDS(SYS(0, 7, 0, 7)));
  everywhere("hint.127", WORDS(0xd5032fff));
  everywhere("currentel", CODE("mrs x0, currentel"));
  HCR(1 << 29);
  TEST("hvc.hcd.el2", EL2, CODE("hvc #0x45"));
  HCR(1 << 19);
  TEST("smc.tsc.el1", EL1, CODE("smc #0x77"));
  TEST("smc.tsc.el0", EL0, CODE("smc #0x77"));
  HCR(0);
  TEST("smc.el0", EL0, CODE("smc #0x77"));
  TEST("eret.at.el0", EL0, CODE("eret"));
  msr(mdcr_el2, mrs(mdcr_el2) | 1 << 8);
  TEST("brk.tde.el0", EL0, CODE("brk #0x11"));
  TEST("brk.tde.el1", EL1, CODE("brk #0x12"));
  reset_controls();
  HCR(1 << 27);
  TEST("svc.tge.el0", EL0, CODE("svc #0x9"));
  TEST("brk.tge.el0", EL0, CODE("brk #0x9"));
  TEST("udf.tge.el0", EL0, WORDS(1));
  HCR(0);
}

static void returns(void) {
  section("exception returns");
  // An ERET from EL2 with these SPSR values: what comes of it.
  static const u32 bad[] = {0x3c1, 0x3c2, 0x3c3, 0x3c6, 0x3c7, 0x3ca, 0x3cb, 0x3cc, 0x3cd, 0x3ce, 0x3cf, 0x1d6, 0x1db, 0x1d4};
  static const char *const names[] = {"1", "2", "3", "6", "7", "a", "b", "c", "d", "e", "f", "a32.6", "a32.b", "a32.4"};
  u64 code = CODE("nop");
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) TEST(join("eret.from.el2.m=", names[i], NULL), bad[i], code);
  TEST("eret.from.el2.flags", 0xf0000000 | EL1, code);
  TEST("eret.il.el1", EL1 | IL, code);
  TEST("eret.il.el0", EL0 | IL, code);
  TEST("eret.il.el2", EL2 | IL, code);
  TEST("eret.illegal.flags", 0x60000000 | PAN | DIT | SSBS | UAO | 0x3cd, code);
  HCR(1 << 27);
  TEST("eret.tge.to.el1", EL1, code);
  HCR(0);
  // From EL1: SPSR_EL1 = x0, ELR_EL1 = x1.
  static const u32 from1[] = {0x3c0, 0x3c4, 0x3c5, 0x3c8, 0x3c9, 0x3cd, 0x3c1, 0x1d0, 0x5003c4, 0xf00003c0, 0x1c00fc0};
  static const char *const names1[] = {"0", "4", "5", "8", "9", "d", "1", "a32.0", "pan.il", "flags", "pstate"};
  u64 eret = CODE("msr spsr_el1, x0\n adr x1, 1f\n msr elr_el1, x1\n isb\n eret\n 1: mov x0, #7");
  for (unsigned i = 0; i < sizeof from1 / sizeof from1[0]; i++) TEST(join("eret.from.el1.m=", names1[i], NULL), EL1, eret, from1[i]);
  TEST("eret.pc.misaligned", EL1, CODE("mov x0, #0x3c5\n msr spsr_el1, x0\n adr x1, 1f\n add x1, x1, #2\n msr elr_el1, x1\n isb\n eret\n 1: nop"));
  // Software writes of SPSR are kept.
  msr(spsr_el1, ~0ull);
  line("spsr_el1.readback", mrs(spsr_el1) & 0xfdffdfffull);
  msr(elr_el1, 0x123456789abcdef3ull);
  line("elr_el1.readback", mrs(elr_el1));
}

static void alignment_of_pc_and_sp(void) {
  section("PC and SP alignment");
  u64 branch = CODE("adr x0, 1f\n add x0, x0, #2\n br x0\n 1: nop");
  u64 branch1 = CODE("adr x0, 1f\n add x0, x0, #1\n blr x0\n 1: nop");
  everywhere("pc.2", branch);
  everywhere("pc.1", branch1);
  u64 load = CODE("mov x1, #9\n sub sp, sp, #8\n ldr x0, [sp]\n mov x0, #5");
  u64 update = CODE("sub sp, sp, #8\n add x0, sp, #8\n add sp, sp, #8\n mov x0, #6");
  u64 pair = CODE("sub sp, sp, #4\n stp x0, x1, [sp, #-16]!");
  u64 prfm = CODE("sub sp, sp, #8\n prfm pldl1keep, [sp]\n add sp, sp, #8\n mov x0, #3");
  msr(sctlr_el2, mrs(sctlr_el2) | 1 << 3);
  static const u32 sa[] = {0, 1 << 3, 1 << 4, 3 << 3};
  static const char *const names[] = {"none", "sa", "sa0", "both"};
  for (unsigned i = 0; i < 4; i++) {
    msr(sctlr_el1, (SCTLR_OFF & ~0x18ull) | sa[i]);
    isb();
    for (unsigned m = 0; m < 2; m++) {
      const char *at = m ? ".el1" : ".el0";
      TEST(join("sp.ldr.", names[i], at, NULL), m ? EL1 : EL0, load);
      TEST(join("sp.stp.", names[i], at, NULL), m ? EL1 : EL0, pair);
      TEST(join("sp.update.", names[i], at, NULL), m ? EL1 : EL0, update);
    }
  }
  TEST("sp.prfm.both.el0", EL0, prfm);
  TEST("sp.ldr.el2t", EL2T, load);
  msr(sctlr_el2, mrs(sctlr_el2) & ~8ull);
  isb();
  TEST("sp.ldr.el2t.off", EL2T, load);
  reset_controls();
}

static void pstate(void) {
  section("PSTATE");
  static const struct {
    const char *name;
    u32 read, ones;
  } fields[] = {
    {"nzcv", MRS(3, 3, 4, 2, 0), MSR(3, 3, 4, 2, 0)},   {"daif", MRS(3, 3, 4, 2, 1), MSR(3, 3, 4, 2, 1)},
    {"ssbs", MRS(3, 3, 4, 2, 6), MSR(3, 3, 4, 2, 6)},   {"dit", MRS(3, 3, 4, 2, 5), MSR(3, 3, 4, 2, 5)},
    {"pan", MRS(3, 0, 4, 2, 3), MSR(3, 0, 4, 2, 3)},    {"uao", MRS(3, 0, 4, 2, 4), MSR(3, 0, 4, 2, 4)},
    {"currentel", MRS(3, 0, 4, 2, 2), MSR(3, 0, 4, 2, 2)}, {"spsel", MRS(3, 0, 4, 2, 0), 0xd503201f},
  };
  for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    for (unsigned m = 0; m < MODES; m++) {
      if (m == 1 || m == 3) continue;
      TEST(join("pstate.", fields[i].name, ".read.", modes[m].name, NULL), modes[m].spsr, WORDS(fields[i].read));
      TEST(join("pstate.", fields[i].name, ".write.", modes[m].name, NULL), modes[m].spsr, WORDS(fields[i].ones, fields[i].read), ~0ull);
    }
  }
  static const struct {
    const char *name;
    u32 word;
  } immediate[] = {
    {"daifset", 0xd5034fdf}, {"daifclr", 0xd5034bff}, {"pan1", 0xd500419f}, {"uao1", 0xd500417f}, {"ssbs1", 0xd503413f},
    {"dit1", 0xd503415f}, {"spsel0", 0xd50040bf}, {"cfinv", 0xd500401f}, {"xaflag", 0xd500403f}, {"axflag", 0xd500405f},
  };
  for (unsigned i = 0; i < sizeof immediate / sizeof immediate[0]; i++) {
    for (unsigned m = 0; m < MODES; m++) {
      if (m == 1 || m == 3) continue;
      TEST(join("msrimm.", immediate[i].name, ".", modes[m].name, NULL), modes[m].spsr, WORDS(immediate[i].word));
    }
  }
  msr(sctlr_el1, SCTLR_OFF | 1 << 9); // UMA
  TEST("uma.daifset.el0", EL0, CODE("msr daifset, #2"));
  TEST("uma.daifclr.el0", EL0, CODE("msr daifclr, #8"));
  TEST("uma.daif.el0", EL0, CODE("mrs x0, daif"));
  // PAN and SSBS at exception entry.
  msr(sctlr_el1, (SCTLR_OFF & ~(1ull << 23)) | 1ull << 44);
  isb();
  TEST("entry.span0.dssbs1", EL0, CODE("svc #1"));
  TEST("entry.span0.pstate", EL1, CODE("adr x1, 1f\n msr vbar_el1, x1\n isb\n svc #2\n .balign 2048\n 1: .skip 512\n"
                                      "mrs x0, s3_0_c4_c2_3\n mrs x1, s3_3_c4_c2_6\n orr x0, x0, x1\n mrs x1, daif\n orr x0, x0, x1\n mrs x1, spsel\n orr x0, x0, x1\n"
                                      "mrs x1, s3_0_c4_c2_4\n orr x0, x0, x1\n mrs x1, s3_3_c4_c2_5\n orr x0, x0, x1\n hvc #1"));
  line("entry.span0.value", last.x[0]);
  reset_controls();
  TEST("entry.uao.dit", EL1 | UAO | DIT, CODE("adr x1, 1f\n msr vbar_el1, x1\n isb\n svc #2\n .balign 2048\n 1: .skip 512\n"
                                             "mrs x0, s3_0_c4_c2_4\n mrs x1, s3_3_c4_c2_5\n orr x0, x0, x1\n mrs x1, s3_0_c4_c2_3\n orr x0, x0, x1\n hvc #1"));
  line("entry.uao.dit.value", last.x[0]);
  msr(vbar_el1, 0x1234567890abcdefull);
  line("vbar_el1.readback", mrs(vbar_el1));
  reset_controls();
}

static void branch_targets(void) {
  section("branch targets");
  standard_el1();
  for (u64 a = 0; a < 0x10; a++) {
    extern char _snip[];
    u64 pa = (u64)_snip + a * 4096;
    map(&std, TEST_VA + a * 4096, 3, pa | PAGE | AF | SH_INNER | AP(3) | ATTR(0) | GP);
  }
  extern char _snip[], generated[];
  flush_el1();
  u64 guarded = TEST_VA + ((u64)generated - (u64)_snip);
  static const struct {
    const char *name;
    u32 word;
  } pads[] = {{"nop", 0xd503201f}, {"bti", 0xd503241f}, {"bti.c", 0xd503245f}, {"bti.j", 0xd503249f}, {"bti.jc", 0xd50324df},
              {"paciasp", 0xd503233f}, {"pacibsp", 0xd503237f}, {"brk", 0xd4200000}, {"hlt", 0xd4400000}};
  for (unsigned p = 0; p < sizeof pads / sizeof pads[0]; p++) {
    for (u32 b = 1; b < 4; b++) {
      static const char *const types[] = {"", ".btype1", ".btype2", ".btype3"};
      WORDS(pads[p].word);
      TEST(join("bti.", pads[p].name, types[b], ".el1", NULL), EL1 | BTYPE(b), guarded);
    }
  }
  WORDS(0xd503201f);
  TEST("bti.nop.btype1.el0", EL0 | BTYPE(1), guarded);
  TEST("bti.unguarded", EL0 | BTYPE(1), (u64)generated);
  msr(sctlr_el1, SCTLR_ON | 1ull << 35 | 1ull << 36);
  isb();
  WORDS(0xd503233f);
  TEST("bti.bt.paciasp.btype3.el1", EL1 | BTYPE(3), guarded);
  TEST("bti.bt.paciasp.btype3.el0", EL0 | BTYPE(3), guarded);
  msr(sctlr_el1, SCTLR_ON);
  isb();
  // What indirect branches set.
  static const struct {
    const char *name;
    u32 word;
  } branches[] = {{"br.x1", 0xd61f0020}, {"br.x16", 0xd61f0200}, {"br.x17", 0xd61f0220}, {"blr.x1", 0xd63f0020}, {"ret.x1", 0xd65f0020}};
  for (unsigned i = 0; i < sizeof branches / sizeof branches[0]; i++) {
    // adr x1, .+20; mov x16, x1; mov x17, x1; branch; udf; nop
    WORDS(0x100000a1, 0xaa0103f0, 0xaa0103f1, branches[i].word, 1, 0xd503201f);
    TEST(join("btype.", branches[i].name, NULL), EL1, guarded);
    TEST(join("btype.", branches[i].name, ".unguarded", NULL), EL1, (u64)generated);
  }
  reset_controls();
}

static void pointer_authentication(void) {
  section("pointer authentication");
  msr(S3_0_C2_C1_0, 0x1234);
  msr(S3_0_C2_C1_1, 0x5678);
  u64 fail = CODE("mov x0, #0x1000\n movk x0, #0x1234, lsl #48\n mov x1, #5\n autia x0, x1\n mov x0, #1");
  u64 trip = CODE("mov x0, #0x1000\n mov x1, #5\n pacia x0, x1\n autia x0, x1");
  TEST("pauth.disabled", EL1, fail);
  msr(sctlr_el1, SCTLR_OFF | 1ull << 31 | 1 << 30 | 1 << 27 | 1 << 13);
  isb();
  TEST("pauth.trip.el1", EL1, trip);
  TEST("pauth.trip.el0", EL0, trip);
  TEST("pauth.autia.fail.el1", EL1, fail);
  TEST("pauth.autia.fail.el0", EL0, fail);
  TEST("pauth.autib.fail", EL1, CODE("mov x0, #0x1000\n movk x0, #0x1234, lsl #48\n mov x1, #5\n autib x0, x1\n mov x0, #1"));
  TEST("pauth.autda.fail", EL1, CODE("mov x0, #0x1000\n movk x0, #0x1234, lsl #48\n mov x1, #5\n autda x0, x1\n mov x0, #1"));
  TEST("pauth.autdb.fail", EL1, CODE("mov x0, #0x1000\n movk x0, #0x1234, lsl #48\n mov x1, #5\n autdb x0, x1\n mov x0, #1"));
  TEST("pauth.xpaci", EL1, CODE("mov x0, #0x1000\n movk x0, #0x1234, lsl #48\n xpaci x0"));
  TEST("pauth.xpacd", EL1, CODE("mov x0, #0x1000\n movk x0, #0x1280, lsl #48\n xpacd x0"));
  TEST("pauth.retaa.fail", EL1, CODE("mov x30, #0x1000\n movk x30, #0x1234, lsl #48\n retaa"));
  TEST("pauth.braa.fail", EL1, CODE("mov x0, #0x1000\n movk x0, #0x1234, lsl #48\n braaz x0"));
  HCR(0);
  msr(hcr_el2, 1ull << 31 | 1ull << 40); // API = 0
  isb();
  TEST("pauth.api0.pacia.el1", EL1, trip);
  TEST("pauth.api0.pacga.el1", EL1, CODE("pacga x0, x1, x2"));
  TEST("pauth.api0.xpaci.el1", EL1, CODE("xpaci x0"));
  TEST("pauth.api0.hint.el0", EL0, CODE("pacia1716"));
  TEST("pauth.api0.retaa.el0", EL0, CODE("adr x30, 1f\n retaa\n 1: nop"));
  msr(hcr_el2, 1ull << 31 | 1ull << 41); // APK = 0
  isb();
  TEST("pauth.apk0.read", EL1, WORDS(MRS(3, 0, 2, 1, 0)));
  TEST("pauth.apk0.write", EL1, WORDS(MSR(3, 0, 2, 3, 1)));
  reset_controls();
  TEST("pauth.key.el0", EL0, WORDS(MRS(3, 0, 2, 1, 0)));
  TEST("pauth.key.el1", EL1, WORDS(MRS(3, 0, 2, 1, 0)));
}

void test_exceptions(void) {
  generating();
  returns();
  alignment_of_pc_and_sp();
  pstate();
  branch_targets();
  pointer_authentication();
}
