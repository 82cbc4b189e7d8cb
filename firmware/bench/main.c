// bench: jobs to be timed. It prints a shell's prompt and runs the job whose name it is given: `core`, or `core 20` for that many rounds.
// What a job computed is printed as a checksum, which is the same wherever the program runs. `exit` switches the machine off.
// It runs at EL1 with MMU and caches on, on QEMU's virt machine just as well:
//   qemu-system-aarch64 -M virt,gic-version=3,virtualization=on -cpu max -nographic -kernel bench.img

#include "bench.h"

uint8_t arena[ARENA] __attribute__((aligned(4096), section(".arena,\"aw\",%nobits//")));

struct job {
  const char *name, *what;
  uint64_t (*run)(unsigned count);
  unsigned count; // about a second on QEMU
};

// clang-format off
static const struct job jobs[] = {
  {"core",   "linked list, integer matrices, a scanner of text, CRC",     job_core,    2000},
  {"memcpy", "copies by X and Q registers, DC ZVA, unaligned, short",     job_memcpy,  200},
  {"neon",   "integer vectors: images, shuffles, saturating arithmetic",  job_neon,    200},
  {"float",  "scalar double and vectors of single precision",             job_float,   400},
  {"calls",  "indirect calls, recursion, a bytecode interpreter",         job_calls,   40},
};
// clang-format on
#define JOBS (sizeof jobs / sizeof jobs[0])

static void power_off(void) {
  register uint64_t x0 __asm__("x0") = 0x84000008; // PSCI SYSTEM_OFF
  if (started_at_el2) __asm__ volatile("smc #0" : "+r"(x0) : : "memory");
  else __asm__ volatile("hvc #0" : "+r"(x0) : : "memory");
  for (;;) wfi();
}

void trap(uint64_t kind, uint64_t esr, uint64_t elr, uint64_t far);
void trap(uint64_t kind, uint64_t esr, uint64_t elr, uint64_t far) {
  say("\nunexpected exception: vector ");
  say_decimal(kind);
  say(", ESR 0x");
  say_hex(esr, 8);
  say(", ELR 0x");
  say_hex(elr, 16);
  say(", FAR 0x");
  say_hex(far, 16);
  say("\n");
  power_off();
}

static void read_line(char *line, unsigned size) {
  unsigned n = 0;
  for (;;) {
    char c = get();
    if (c == '\r' || c == '\n') break;
    if (c < ' ' || c > '~' || n + 1 >= size) continue;
    line[n++] = c;
    put(c);
  }
  line[n] = 0;
  put('\n');
}

/** The number at the end of `line`, `otherwise` when there is none; what is before it stays in `line`. */
static unsigned split_count(char *line, unsigned otherwise) {
  while (*line && *line != ' ') line++;
  if (!*line) return otherwise;
  *line++ = 0;
  unsigned count = 0;
  while (*line >= '0' && *line <= '9') count = count * 10 + (unsigned)(*line++ - '0');
  return count;
}

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static void help(void) {
  for (unsigned i = 0; i < JOBS; i++) {
    say(jobs[i].name);
    say(" [");
    say_decimal(jobs[i].count);
    say("]: ");
    say(jobs[i].what);
    say("\n");
  }
  say("exit\n");
}

static void command(char *line) {
  unsigned count = split_count(line, 0);
  for (unsigned i = 0; i < JOBS; i++) {
    if (!same(line, jobs[i].name)) continue;
    if (count == 0) count = jobs[i].count;
    say(jobs[i].name);
    put(' ');
    say_decimal(count);
    say(": ");
    say_hex(jobs[i].run(count), 16);
    say("\n");
    return;
  }
  if (same(line, "exit")) power_off();
  if (line[0]) help();
}

void bench(void);
void bench(void) {
  console_init();
  say("bench\n");
  for (;;) {
    char line[64];
    say("~ # ");
    read_line(line, sizeof line);
    command(line);
  }
}
