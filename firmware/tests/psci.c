// Return codes of PSCI and SMCCC calls.

#include "tests.h"

void test_psci(void) {
  section("PSCI and SMCCC");
  static const struct {
    const char *name;
    u64 function, a, b, c;
  } calls[] = {
    {"version", 0x84000000, 0, 0, 0}, {"migrate_info_type", 0x84000006, 0, 0, 0},
    {"migrate32", 0x84000005, 0, 0, 0}, {"migrate64", 0xc4000005, 0, 0, 0}, {"migrate_info_up_cpu", 0xc4000007, 0, 0, 0},
    {"affinity.0", 0xc4000004, 0, 0, 0}, {"affinity.1", 0xc4000004, 1, 0, 0}, {"affinity.none", 0xc4000004, 2, 0, 0}, {"affinity.reserved", 0xc4000004, 1ull << 31, 0, 0},
    {"affinity.level1", 0xc4000004, 0, 1, 0}, {"affinity.level4", 0xc4000004, 0, 4, 0}, {"affinity32.1", 0x84000004, 1, 0, 0},
    {"cpu_on.self", 0xc4000003, 0, 0x40200000, 0}, {"cpu_on.none", 0xc4000003, 0x100, 0x40200000, 0}, {"cpu_on.misaligned", 0xc4000003, 1, 0x40200002, 0},
    {"cpu_suspend.bad", 0xc4000001, 0x30000, 0, 0}, {"cpu_suspend32.bad", 0x84000001, 0xff000000, 0, 0},
    {"features.version", 0x8400000a, 0x84000000, 0, 0}, {"features.cpu_suspend", 0x8400000a, 0xc4000001, 0, 0}, {"features.cpu_on", 0x8400000a, 0xc4000003, 0, 0},
    {"features.cpu_off", 0x8400000a, 0x84000002, 0, 0}, {"features.affinity_info", 0x8400000a, 0xc4000004, 0, 0}, {"features.system_off", 0x8400000a, 0x84000008, 0, 0},
    {"features.system_reset", 0x8400000a, 0x84000009, 0, 0}, {"features.features", 0x8400000a, 0x8400000a, 0, 0}, {"features.smccc", 0x8400000a, 0x80000000, 0, 0},
    {"features.freeze", 0x8400000a, 0x8400000b, 0, 0}, {"features.suspend", 0x8400000a, 0xc400000e, 0, 0}, {"features.unknown", 0x8400000a, 0x8400001f, 0, 0}, {"features.migrate_type", 0x8400000a, 0x84000006, 0, 0},
    {"cpu_freeze", 0x8400000b, 0, 0, 0}, {"default_suspend", 0xc400000c, 0, 0, 0}, {"node_hw_state", 0xc400000d, 0, 0, 0}, {"set_suspend_mode", 0x8400000f, 1, 0, 0},
    {"stat_residency", 0xc4000010, 0, 0, 0}, {"stat_count", 0xc4000011, 0, 0, 0}, {"system_reset2.bad", 0xc4000012, 1, 0, 0}, {"mem_protect", 0x84000013, 0, 0, 0}, {"mem_protect_range", 0xc4000014, 0, 0, 0},
    {"unknown.psci", 0x8400001e, 0, 0, 0}, {"unknown.std", 0xc4001000, 0, 0, 0}, {"unknown.oem", 0x83000000, 0, 0, 0}, {"unknown.yielding", 0x00000001, 0, 0, 0},
    {"smccc.version", 0x80000000, 0, 0, 0}, {"smccc.arch_features", 0x80000001, 0x80000000, 0, 0}, {"smccc.arch_features.unknown", 0x80000001, 0x80001234, 0, 0},
    {"trng.version", 0x84000050, 0, 0, 0},
  };
  for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    u64 v = smc(calls[i].function, calls[i].a, calls[i].b, calls[i].c);
    line(join("psci.", calls[i].name, NULL), calls[i].function & 0x40000000 ? v : v & 0xffffffff);
  }
  // What a call leaves in the other registers (SMCCC 1.1 keeps X4 to X17).
  GO(EL2, CODE("mov x8, x0\n mov x0, #0x84000000\n mov x4, #4\n mov x5, #5\n mov x7, #7\n smc #0\n mov x3, #0"), 0);
  line("smccc.preserved", last.x[4], last.x[5], last.x[7]);
  GO(EL2, CODE("mov x0, #0x84000000\n smc #1\n mov x1, #0\n mov x2, #0"));
  line("smc.1", outcome(), last.x[0]);
}
