// Firmware calls: PSCI power control and what else the firmware says of itself.

#include "hello.h"

enum {
  SMCCC_VERSION = 0x80000000,
  PSCI_VERSION = 0x84000000,
  PSCI_CPU_OFF = 0x84000002,
  PSCI_SYSTEM_OFF = 0x84000008,
  PSCI_SYSTEM_RESET = 0x84000009,
  TRNG_VERSION = 0x84000050,
};
#define PSCI_CPU_ON 0xc4000003u
#define PSCI_AFFINITY_INFO 0xc4000004u

extern char other_pe_entry[];
static char stacks[MAX_PES][4096] __attribute__((aligned(16)));
static struct other_pe others[MAX_PES];

int64_t firmware_call(uint32_t function, uint64_t a, uint64_t b, uint64_t c) {
  register uint64_t x0 __asm__("x0") = function;
  register uint64_t x1 __asm__("x1") = a;
  register uint64_t x2 __asm__("x2") = b;
  register uint64_t x3 __asm__("x3") = c;
  if (board.psci_by_smc)
    __asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
  else
    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
  return function & 0x40000000 ? (int64_t)x0 : (int32_t)x0;
}

static void version_of(const char *what, uint32_t function) {
  int64_t v = firmware_call(function, 0, 0, 0);
  if (v < 0) say("%s none", what);
  else say("%s %u.%u", what, (unsigned)(v >> 16 & 0x7fff), (unsigned)(v & 0xffff));
}

void psci_describe(void) {
  version_of("  Firmware    PSCI", PSCI_VERSION);
  version_of(", SMC calling convention", SMCCC_VERSION);
  version_of(", entropy service", TRNG_VERSION);
  say(", called by %s\n", board.psci_by_smc ? "SMC" : "HVC");
}

/** First C function of another PE. It must not print: the UART belongs to the first one. */
void other_pe_main(struct other_pe *pe) {
  pe->mpidr = read_sysreg(mpidr_el1);
  pe->el = current_el();
  dsb();
  pe->ran = 1;
  dsb();
  firmware_call(PSCI_CPU_OFF, 0, 0, 0);
}

static void start_pe(unsigned index) {
  struct other_pe *pe = &others[index];
  *pe = (struct other_pe){.stack = (uint64_t)(stacks[index] + sizeof stacks[index]), .index = index};
  dsb();
  int64_t result = firmware_call(PSCI_CPU_ON, board.mpidr[index], (uint64_t)other_pe_entry, (uint64_t)pe);
  if (result != 0) {
    say("  PE %u        PSCI CPU_ON failed: -%u\n", index, (unsigned)-result);
    return;
  }
  uint64_t patience = read_sysreg(cntfrq_el0);
  for (uint64_t start = read_sysreg(cntvct_el0); read_sysreg(cntvct_el0) - start < patience;) {
    if (pe->ran && firmware_call(PSCI_AFFINITY_INFO, board.mpidr[index], 0, 0) == 1) {
      say("  PE %u        started by PSCI CPU_ON: ran at EL%u with MPIDR 0x%lx, switched itself off\n", index, (unsigned)pe->el, pe->mpidr);
      return;
    }
  }
  say("  PE %u        %s within a second\n", index, pe->ran ? "did not switch itself off" : "did not start");
}

void start_other_pes(void) {
  uint64_t self = read_sysreg(mpidr_el1) & 0xff00ffffff;
  for (unsigned i = 0; i < board.pes; i++) if (board.mpidr[i] != self) start_pe(i);
  if (board.pes < 2) say("  PE 1        there is none (start the emulator with --smp 2)\n");
}

void power_off(void) {
  firmware_call(PSCI_SYSTEM_OFF, 0, 0, 0);
  for (;;) wfi();
}

void restart(void) {
  firmware_call(PSCI_SYSTEM_RESET, 0, 0, 0);
  for (;;) wfi();
}
