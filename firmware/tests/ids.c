// Identification registers, one a line.

#include "tests.h"

void test_ids(void) {
  section("identification registers");
  static const struct {
    const char *name;
    u32 word;
  } regs[] = {
    {"pfr0", MRS(3, 0, 0, 4, 0)}, {"pfr1", MRS(3, 0, 0, 4, 1)}, {"pfr2", MRS(3, 0, 0, 4, 2)}, {"zfr0", MRS(3, 0, 0, 4, 4)}, {"smfr0", MRS(3, 0, 0, 4, 5)}, {"dfr0", MRS(3, 0, 0, 5, 0)},
    {"dfr1", MRS(3, 0, 0, 5, 1)}, {"afr0", MRS(3, 0, 0, 5, 4)}, {"isar0", MRS(3, 0, 0, 6, 0)}, {"isar1", MRS(3, 0, 0, 6, 1)}, {"isar2", MRS(3, 0, 0, 6, 2)}, {"isar3", MRS(3, 0, 0, 6, 3)},
    {"mmfr0", MRS(3, 0, 0, 7, 0)}, {"mmfr1", MRS(3, 0, 0, 7, 1)}, {"mmfr2", MRS(3, 0, 0, 7, 2)}, {"mmfr3", MRS(3, 0, 0, 7, 3)}, {"mmfr4", MRS(3, 0, 0, 7, 4)},
    {"midr", MRS(3, 0, 0, 0, 0)}, {"revidr", MRS(3, 0, 0, 0, 6)}, {"aidr", MRS(3, 1, 0, 0, 7)}, {"ctr", MRS(3, 3, 0, 0, 1)}, {"dczid", MRS(3, 3, 0, 0, 7)}, {"clidr", MRS(3, 1, 0, 0, 1)},
    {"mpidr", MRS(3, 0, 0, 0, 5)},
  };
  for (unsigned i = 0; i < sizeof regs / sizeof regs[0]; i++) {
    GO(EL2, WORDS(regs[i].word));
    line(join("id.", regs[i].name, NULL), last.x[0]);
  }
  // The virtual identification registers that EL1 sees.
  u64 vpidr = mrs(vpidr_el2), vmpidr = mrs(vmpidr_el2);
  msr(vpidr_el2, 0x12345678);
  msr(vmpidr_el2, 0x80000abc);
  isb();
  TEST("id.vpidr.el1", EL1, WORDS(MRS(3, 0, 0, 0, 0)));
  TEST("id.vmpidr.el1", EL1, WORDS(MRS(3, 0, 0, 0, 5)));
  msr(vpidr_el2, vpidr);
  msr(vmpidr_el2, vmpidr);
  // Every encoding of the ID space: which ones are UNDEFINED (bit set), by CRm.
  for (u32 m = 0; m < 8; m++) {
    u64 undefined[2] = {0, 0};
    for (u32 op = 0; op < 8; op++) {
      GO(EL1, WORDS(MRS(3, 0, 0, m, op)));
      if (!done()) undefined[0] |= 1ull << op;
      GO(EL0, WORDS(MRS(3, 0, 0, m, op)));
      if (!done()) undefined[1] |= 1ull << op;
    }
    char d[2] = {(char)('0' + m), 0};
    values(join("id.undefined.c", d, NULL), undefined, 2);
  }
}
