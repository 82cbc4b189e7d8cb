// Every group of tests in turn, then power off.

#include "tests.h"

u64 smc(u64 function, u64 a, u64 b, u64 c) {
  register u64 x0 __asm__("x0") = function;
  register u64 x1 __asm__("x1") = a;
  register u64 x2 __asm__("x2") = b;
  register u64 x3 __asm__("x3") = c;
  __asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
  return x0;
}

void tests_main(void);
void tests_main(void) {
  static void (*const groups[])(void) = {
    test_ids, test_exceptions, test_alignment, test_traps, test_stage1, test_permissions, test_tlbi, test_stage2, test_host, test_gic, test_virtual_gic, test_timers, test_psci,
  };
  write32(0x09000030, 0x301);
  for (unsigned i = 0; i < sizeof groups / sizeof groups[0]; i++) {
    reset_controls();
    groups[i]();
  }
  say("end\n");
  smc(0x84000008, 0, 0, 0);
}
