// Output on the PL011, runs of test code, and the state in which tests start.

#include "tests.h"

#include <stdarg.h>

#define UART 0x09000000ull

/** The compiler calls these. */
void *memset(void *to, int value, size_t n);
void *memset(void *to, int value, size_t n) {
  for (char *p = to; n > 0; n--) *p++ = (char)value;
  return to;
}
void *memcpy(void *to, const void *from, size_t n);
void *memcpy(void *to, const void *from, size_t n) {
  const char *f = from;
  for (char *p = to; n > 0; n--) *p++ = *f++;
  return to;
}

// ---- output ----------------------------------------------------------------------------------------------------------------------

static void put(char c) {
  while (read32(UART + 0x18) & 0x20) {}
  write32(UART, (unsigned char)c);
}

static void puts_(const char *s) {
  while (*s) put(*s++);
}

static void number(u64 v, unsigned base) {
  char digits[20];
  int n = 0;
  do digits[n++] = "0123456789abcdef"[v % base];
  while ((v /= base) != 0);
  while (n > 0) put(digits[--n]);
}

void say(const char *f, ...) {
  va_list args;
  va_start(args, f);
  for (; *f; f++) {
    if (*f != '%') {
      put(*f);
      continue;
    }
    switch (*++f) {
      case 's': puts_(va_arg(args, const char *)); break;
      case 'x': number(va_arg(args, u64), 16); break;
      case 'd': number(va_arg(args, unsigned), 10); break;
      default: put(*f); break;
    }
  }
  va_end(args);
}

void values(const char *name, const u64 *v, unsigned n) {
  say("%s:", name);
  for (unsigned i = 0; i < n; i++) say(" %x", v[i]);
  say("\n");
}

const char *join(const char *a, ...) {
  static char buffers[4][100]; // a name may be part of the next one
  static unsigned turn;
  char *buffer = buffers[turn++ & 3];
  unsigned n = 0;
  va_list args;
  va_start(args, a);
  for (const char *s = a; s; s = va_arg(args, const char *)) {
    while (*s && n < sizeof buffers[0] - 1) buffer[n++] = *s++;
  }
  va_end(args);
  buffer[n] = 0;
  return buffer;
}

void section(const char *title) { say("# %s\n", title); }

void monitor_fault(u64 esr, u64 elr, u64 far);
void monitor_fault(u64 esr, u64 elr, u64 far) {
  say("monitor fault: esr=%x elr=%x far=%x\n", esr, elr, far);
  smc(0x84000008, 0, 0, 0);
  for (;;) {}
}

// ---- runs ------------------------------------------------------------------------------------------------------------------------

extern char generated[], _snip[], _snip_end[], el1_vectors[];
struct run last;
u64 start_sp0, start_sp1;
u64 hcr_base;

u64 generate(const u32 *words) {
  u32 *to = (u32 *)generated;
  unsigned n = 0;
  for (; words[n]; n++) to[n] = words[n] == 1 ? 0 : words[n];
  to[n] = 0xd401e001; // svc #0xf00
  for (u64 a = (u64)generated; a < (u64)(to + n + 1); a += 64) {
    __asm__ volatile("dc cvau, %0\n dsb ish\n ic ivau, %0" : : "r"(a) : "memory");
  }
  dsb();
  isb();
  return (u64)generated;
}

struct run *go(u32 mode, u64 pc, const u64 *args, unsigned n) {
  last = (struct run){.pc = pc, .spsr = mode, .sp0 = start_sp0, .sp1 = start_sp1};
  for (unsigned i = 0; i < n; i++) last.x[i] = args[i];
  run_asm(&last);
  return &last;
}

/** The exception as software of its level sees it. */
struct seen {
  unsigned el;
  u64 vector, esr, far, elr, spsr;
};

static struct seen seen(void) {
  unsigned ec = (unsigned)(last.esr2 >> 26) & 63;
  unsigned imm = (unsigned)last.esr2 & 0xffff;
  if (last.vector == 0x400 && ec == 0x16 && imm >= 0x100 && imm < 0x110) {
    return (struct seen){1, (imm - 0x100) * 0x80, last.esr1, last.far1, last.elr1, last.spsr1};
  }
  return (struct seen){2, last.vector, last.esr2, last.far2, last.elr2, last.spsr2};
}

static bool is_sync(u64 vector) { return (vector & 0x180) == 0; }
static bool has_far(unsigned ec) { return ec == 0x20 || ec == 0x21 || ec == 0x22 || ec == 0x24 || ec == 0x25 || ec == 0x34 || ec == 0x35; }

bool done(void) {
  struct seen s = seen();
  return is_sync(s.vector) && (s.esr >> 26 & 63) == 0x15 && (s.esr & 0xffff) == 0xf00;
}

/** Addresses in the code section count from the start of the test, so that they do not move with the program. */
static void address(const char *what, u64 a) {
  bool in = a >= (u64)_snip && a < (u64)_snip_end;
  bool vectors = a >= (u64)el1_vectors && a < (u64)el1_vectors + 0x800;
  if (vectors) say(" %s=vectors+%x", what, a - (u64)el1_vectors);
  else if (in && last.pc >= (u64)_snip && last.pc < (u64)_snip_end) say(" %s=+%x", what, (a - last.pc) & 0xfffff);
  else say(" %s=%x", what, a);
}

u64 outcome(void) {
  struct seen s = seen();
  if (done()) return 0;
  if (!is_sync(s.vector)) return s.el << 16 | s.vector;
  return (u64)s.el << 16 | (s.esr >> 26 & 63) << 8 | (s.esr & 0xff);
}

// Bits of SPSR that only features of the other machine set: PM, TCO, ALLINT.
#define SPSR_SHOWN 0xfdffdfffull

void report(const char *name) {
  struct seen s = seen();
  unsigned ec = (unsigned)(s.esr >> 26) & 63;
  if (done()) {
    say("%s: ok x0=%x spsr=%x\n", name, last.x[0], s.spsr & SPSR_SHOWN);
    return;
  }
  say("%s: el%d vector=%x", name, s.el, s.vector);
  if (is_sync(s.vector)) say(" esr=%x", s.esr);
  if (is_sync(s.vector) && has_far(ec) && !(s.esr & 1 << 10)) address("far", s.far);
  unsigned status = (unsigned)s.esr & 63;
  bool walk = (s.esr & 0x80) != 0;
  bool translation = (status >= 4 && status <= 11) || status <= 3 || status == 0x29 || status == 0x2b;
  if (s.el == 2 && (ec == 0x24 || ec == 0x20) && (walk || translation)) say(" hpfar=%x", last.hpfar);
  address("elr", s.elr);
  say(" spsr=%x\n", s.spsr & SPSR_SHOWN);
}

// ---- controls --------------------------------------------------------------------------------------------------------------------

void reset_controls(void) {
  static u64 mdcr, hcrx;
  if (hcr_base == 0) {
    hcr_base = 1ull << 31 | 3ull << 40; // RW, APK, API
    mdcr = mrs(mdcr_el2);
    hcrx = mrs(S3_4_C1_C2_2);
  }
  msr(hcr_el2, hcr_base);
  isb();
  msr(S3_4_C1_C2_2, hcrx);
  msr(sctlr_el2, 0x30c50830);
  msr(sctlr_el1, SCTLR_OFF);
  msr(vbar_el1, (u64)el1_vectors);
  msr(cpacr_el1, 3 << 20);
  msr(cptr_el2, 0x22ff);
  msr(mdcr_el2, mdcr);
  msr(hstr_el2, 0);
  msr(cnthctl_el2, 3);
  msr(cntkctl_el1, 0);
  msr(cntvoff_el2, 0);
  msr(mdscr_el1, 0);
  msr(S3_4_C1_C1_4, 0); // HFGRTR_EL2
  msr(S3_4_C1_C1_5, 0); // HFGWTR_EL2
  msr(S3_4_C1_C1_6, 0); // HFGITR_EL2
  msr(S3_4_C3_C1_4, 0); // HDFGRTR_EL2
  msr(S3_4_C3_C1_5, 0); // HDFGWTR_EL2
  msr(vtcr_el2, 0x80000000);
  msr(vttbr_el2, 0);
  msr(tcr_el1, 0);
  msr(tcr_el2, 0x80800000);
  msr(mair_el1, MAIR_VALUE);
  msr(mair_el2, MAIR_VALUE);
  msr(tpidr_el1, 0);
  start_sp0 = DATA_PA + 0x8000;
  start_sp1 = DATA_PA + 0x9000;
  isb();
}
