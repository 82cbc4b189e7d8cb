// What the parts of the program know of each other. See main.c for what it does.
#pragma once

#include <stdint.h>

#define read_sysreg(name) ({ uint64_t v_; __asm__ volatile("mrs %0, " #name : "=r"(v_)); v_; })
#define write_sysreg(name, value) ({ uint64_t v_ = (value); __asm__ volatile("msr " #name ", %0" : : "r"(v_) : "memory"); })
#define isb() __asm__ volatile("isb" : : : "memory")
#define dsb() __asm__ volatile("dsb sy" : : : "memory")
#define wfi() __asm__ volatile("wfi" : : : "memory")

// ---- head.S ---------------------------------------------------------------------------------------------------------------------

/** Did the machine start this program at EL2? Then firmware is called by SMC, else by HVC. */
extern uint64_t started_at_el2;

// ---- console.c ------------------------------------------------------------------------------------------------------------------

void console_init(void);
void put(char c);
void say(const char *text);
void say_hex(uint64_t value, unsigned digits);
void say_decimal(uint64_t value);
/** Waits for a character, in WFI. */
char get(void);

// ---- the jobs: `count` rounds; a checksum of all that was computed ------------------------------------------------------------------

uint64_t job_core(unsigned count);
uint64_t job_memcpy(unsigned count);
uint64_t job_neon(unsigned count);
uint64_t job_float(unsigned count);
uint64_t job_calls(unsigned count);

/** Memory that every job may use; what it finds there is of no meaning. 16-byte aligned. */
#define ARENA (8u << 20)
extern uint8_t arena[ARENA];

// ---- checksums and numbers that look random -------------------------------------------------------------------------------------------

/** FNV-1a over the bytes of a word, 8 at a time. */
static inline uint64_t mix(uint64_t sum, uint64_t word) {
  sum = (sum ^ word) * 0x100000001b3u;
  return sum ^ sum >> 29;
}
#define SUM_START 0xcbf29ce484222325u

/** Marsaglia's xorshift; *state is never 0. */
static inline uint32_t next(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}
