// memcpy: memory is copied, filled, cleared and compared, in every way that libraries use: pairs of X and of Q registers, structure
// loads, DC ZVA, addresses that are not aligned, and sizes of a few bytes.

#include "bench.h"

void copy_x(void *to, const void *from, uint64_t bytes);
void copy_q(void *to, const void *from, uint64_t bytes);
void copy_back(void *to, const void *from, uint64_t bytes);
void copy_ld1(void *to, const void *from, uint64_t bytes);
void copy_bytes(void *to, const void *from, uint64_t bytes);
void copy_any(void *to, const void *from, uint64_t bytes);
void fill(void *to, uint64_t bytes, uint32_t byte);
void zero(void *to, uint64_t bytes);

enum { BLOCK = 1 << 20, SHORT = 4096 };

/** Reads all of it. */
static uint64_t sum_of(uint64_t sum, const uint8_t *data, unsigned bytes) {
  const uint64_t *words = (const uint64_t *)data;
  uint64_t a = 0, b = 0;
  for (unsigned i = 0; i < bytes / 8; i += 4) {
    a += words[i] ^ words[i + 1];
    b = (b << 1 | b >> 63) + (words[i + 2] ^ words[i + 3]);
  }
  return mix(mix(sum, a), b);
}

static uint64_t first_difference(const uint8_t *a, const uint8_t *b, unsigned bytes) {
  unsigned i = 0;
  while (i < bytes && *(const uint64_t *)(a + i) == *(const uint64_t *)(b + i)) i += 8;
  return i;
}

/** Copies of 1 to 200 bytes at any alignment. */
static void short_copies(uint8_t *to, const uint8_t *from, uint32_t seed) {
  for (unsigned i = 0; i < SHORT; i++) {
    uint32_t r = next(&seed);
    unsigned size = r & 1 ? 1 + (r >> 1) % 24 : 1 + (r >> 1) % 200;
    copy_any(to + (r >> 12 & 0xffff), from + (r >> 9 & 0xffff), size);
  }
}

uint64_t job_memcpy(unsigned count) {
  uint8_t *a = arena, *b = arena + 2 * BLOCK, *c = arena + 4 * BLOCK;
  uint64_t sum = SUM_START;
  uint32_t seed = 12345;
  for (unsigned i = 0; i < 2 * BLOCK / 4; i++) ((uint32_t *)a)[i] = next(&seed);
  zero(b, 2 * BLOCK);
  zero(c, 2 * BLOCK);
  for (unsigned round = 0; round < count; round++) {
    unsigned shift = 1 + round % 15;
    copy_x(b, a, BLOCK);
    copy_q(c, b, BLOCK);
    copy_x(c + 64, a + shift, BLOCK / 2);        // loads that are not aligned
    copy_q(b + shift, a + 128, BLOCK / 2);       // stores that are not
    copy_q(b + BLOCK + shift, c + 3, BLOCK / 2); // both
    copy_ld1(c + BLOCK, b + 16, BLOCK / 2);
    copy_back(a + 256, a, BLOCK / 2);            // overlapping
    copy_bytes(c + 5, b + 9, BLOCK / 32);
    zero(b + BLOCK / 2, BLOCK);
    fill(c + BLOCK / 4, BLOCK / 2, round);
    short_copies(b, c, next(&seed));
    sum = mix(sum, first_difference(b, c, BLOCK));
    if (round % 8 == 0) sum = sum_of(sum_of(sum, b, 2 * BLOCK), c, 2 * BLOCK);
  }
  return sum_of(sum, a, 2 * BLOCK);
}
