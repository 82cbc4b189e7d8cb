// neon: integer vectors over images of 256 by 256 pixels: widening multiply-add, saturating and halving arithmetic, shuffles by table and
// by permutation, reductions. Each step takes what the one before has made.

#include <arm_neon.h>

#include "bench.h"

enum { SIDE = 256, PIXELS = SIDE * SIDE };

/** RGBA to brightness, 16 pixels at once. */
static void to_gray(uint8_t *to, const uint8_t *rgba) {
  const uint8x8_t red = vdup_n_u8(77), green = vdup_n_u8(150), blue = vdup_n_u8(29);
  for (int i = 0; i < PIXELS; i += 16) {
    uint8x16x4_t p = vld4q_u8(rgba + 4 * i);
    uint16x8_t low = vmull_u8(vget_low_u8(p.val[0]), red), high = vmull_u8(vget_high_u8(p.val[0]), red);
    low = vmlal_u8(low, vget_low_u8(p.val[1]), green);
    high = vmlal_u8(high, vget_high_u8(p.val[1]), green);
    low = vmlal_u8(low, vget_low_u8(p.val[2]), blue);
    high = vmlal_u8(high, vget_high_u8(p.val[2]), blue);
    vst1q_u8(to + i, vcombine_u8(vrshrn_n_u16(low, 8), vrshrn_n_u16(high, 8)));
  }
}

/** Edges: absolute differences of neighbours, added with saturation. */
static void edges(uint8_t *to, const uint8_t *from) {
  for (int y = 1; y < SIDE - 1; y++)
    for (int x = 16; x < SIDE - 16; x += 16) {
      const uint8_t *p = from + y * SIDE + x;
      uint8x16_t middle = vld1q_u8(p), before = vld1q_u8(p - 16), after = vld1q_u8(p + 16);
      uint8x16_t left = vextq_u8(before, middle, 15), right = vextq_u8(middle, after, 1);
      uint8x16_t across = vabdq_u8(left, right), down = vabdq_u8(vld1q_u8(p - SIDE), vld1q_u8(p + SIDE));
      vst1q_u8(to + y * SIDE + x, vqaddq_u8(across, vhaddq_u8(down, vrhaddq_u8(left, right))));
    }
}

/** Two images become one: weight * a + (255 - weight) * b, rounded. */
static void blend(uint8_t *to, const uint8_t *a, const uint8_t *b, uint8_t weight) {
  const uint8x8_t wa = vdup_n_u8(weight), wb = vdup_n_u8((uint8_t)(255 - weight));
  for (int i = 0; i < PIXELS; i += 8) {
    uint16x8_t s = vmlal_u8(vmull_u8(vld1_u8(a + i), wa), vld1_u8(b + i), wb);
    vst1_u8(to + i, vqrshrn_n_u16(s, 8));
  }
}

/** Every nibble is looked up in a palette of 64 entries; what is above it stays. */
static void palette(uint8_t *to, const uint8_t *from, const uint8_t *table) {
  uint8x16x4_t t = vld1q_u8_x4(table);
  for (int i = 0; i < PIXELS; i += 16) {
    uint8x16_t v = vld1q_u8(from + i);
    vst1q_u8(to + i, vqtbx4q_u8(v, t, vandq_u8(v, vdupq_n_u8(0x7f))));
  }
}

/** Transposes blocks of 8 by 8. */
static void transpose(uint8_t *to, const uint8_t *from) {
  for (int y = 0; y < SIDE; y += 8)
    for (int x = 0; x < SIDE; x += 8) {
      uint8x8_t r[8];
      for (int i = 0; i < 8; i++) r[i] = vld1_u8(from + (y + i) * SIDE + x);
      for (int i = 0; i < 8; i += 2) {
        uint8x8x2_t t = vtrn_u8(r[i], r[i + 1]);
        r[i] = t.val[0], r[i + 1] = t.val[1];
      }
      for (int i = 0; i < 8; i += i % 4 == 1 ? 3 : 1) {
        uint16x4x2_t t = vtrn_u16(vreinterpret_u16_u8(r[i]), vreinterpret_u16_u8(r[i + 2]));
        r[i] = vreinterpret_u8_u16(t.val[0]), r[i + 2] = vreinterpret_u8_u16(t.val[1]);
      }
      for (int i = 0; i < 4; i++) {
        uint32x2x2_t t = vtrn_u32(vreinterpret_u32_u8(r[i]), vreinterpret_u32_u8(r[i + 4]));
        r[i] = vreinterpret_u8_u32(t.val[0]), r[i + 4] = vreinterpret_u8_u32(t.val[1]);
      }
      for (int i = 0; i < 8; i++) vst1_u8(to + (x + i) * SIDE + y, r[i]);
    }
}

/** A filter of 8 taps along the lines, on signed 16-bit numbers with saturation. */
static void filter(int16_t *to, const int16_t *from, int count) {
  static const int16_t taps[8] = {-1200, 3100, 9000, 20000, 20000, 9000, 3100, -1200};
  int16x8_t t = vld1q_s16(taps);
  for (int i = 0; i + 16 <= count; i += 8) {
    int16x8_t a = vld1q_s16(from + i), b = vld1q_s16(from + i + 8);
    int32x4_t low = vmull_laneq_s16(vget_low_s16(a), t, 0), high = vmull_laneq_s16(vget_high_s16(a), t, 0);
#define TAP(n)                                             \
  do {                                                     \
    int16x8_t s = vextq_s16(a, b, n);                      \
    low = vmlal_laneq_s16(low, vget_low_s16(s), t, n);     \
    high = vmlal_high_laneq_s16(high, s, t, n);            \
  } while (0)
    TAP(1);
    TAP(2);
    TAP(3);
    TAP(4);
    TAP(5);
    TAP(6);
    TAP(7);
    int16x8_t r = vcombine_s16(vqrshrn_n_s32(low, 15), vqrshrn_n_s32(high, 15));
    vst1q_s16(to + i, vqsubq_s16(vqrdmulhq_n_s16(r, 29000), vshrq_n_s16(a, 3)));
  }
}

static uint32_t dot(const int16_t *a, const int16_t *b, int count) {
  int32x4_t s = vdupq_n_s32(0), d = vdupq_n_s32(0);
  for (int i = 0; i < count; i += 8) {
    int16x8_t x = vld1q_s16(a + i), y = vld1q_s16(b + i);
    s = vmlal_s16(s, vget_low_s16(x), vget_low_s16(y));
    s = vmlsl_high_s16(s, x, y);
    d = vqdmlal_s16(d, vget_low_s16(y), vget_high_s16(x));
    d = vpadalq_s16(d, vabdq_s16(x, y));
  }
  return (uint32_t)vaddvq_s32(vaddq_s32(s, vqshlq_n_s32(d, 1)));
}

/** Bytes to words and back, with the halves exchanged; largest, smallest and number of bits come out. */
static uint64_t shuffle(uint8_t *image) {
  uint8x16_t most = vdupq_n_u8(0), least = vdupq_n_u8(255);
  uint16x8_t bits = vdupq_n_u16(0);
  for (int i = 0; i < PIXELS; i += 32) {
    uint8x16_t a = vld1q_u8(image + i), b = vld1q_u8(image + i + 16);
    most = vmaxq_u8(most, a);
    least = vminq_u8(least, b);
    bits = vpadalq_u8(bits, vcntq_u8(veorq_u8(a, b)));
    uint8x16_t even = vuzp1q_u8(a, b), odd = vuzp2q_u8(a, b);
    uint8x16_t less = vcltq_u8(even, odd);
    even = vbslq_u8(less, vrev64q_u8(even), vrev16q_u8(odd));
    vst1q_u8(image + i, vzip1q_u8(odd, even));
    vst1q_u8(image + i + 16, vsriq_n_u8(vzip2q_u8(even, odd), a, 3));
  }
  return (uint64_t)vmaxvq_u8(most) << 40 | (uint64_t)vminvq_u8(least) << 32 | vaddlvq_u16(bits);
}

static uint64_t sum_of(uint64_t sum, const uint8_t *image) {
  for (int i = 0; i < PIXELS; i += 8) sum = mix(sum, *(const uint64_t *)(image + i));
  return sum;
}

uint64_t job_neon(unsigned count) {
  uint8_t *rgba = arena, *gray = arena + (1 << 20), *edge = arena + (2 << 20), *mixed = arena + (3 << 20), *turned = arena + (4 << 20);
  int16_t *wave = (int16_t *)(arena + (5 << 20)), *filtered = (int16_t *)(arena + (6 << 20));
  uint64_t sum = SUM_START;
  uint32_t seed = 777;
  for (int i = 0; i < PIXELS; i++) ((uint32_t *)rgba)[i] = next(&seed);
  for (int i = 0; i < PIXELS; i++) gray[i] = edge[i] = 0, wave[i] = (int16_t)next(&seed), filtered[i] = 0;
  for (unsigned round = 0; round < count; round++) {
    to_gray(gray, rgba);
    edges(edge, gray);
    blend(mixed, gray, edge, (uint8_t)(round * 37));
    palette(gray, mixed, rgba + 64 * (round & 63));
    transpose(turned, gray);
    filter(filtered, wave, PIXELS);
    sum = mix(sum, dot(wave, filtered, PIXELS));
    filter(wave, filtered, PIXELS);
    for (int i = 0; i < 64; i++) wave[next(&seed) % PIXELS] = (int16_t)seed; // the filter would calm it down
    sum = mix(sum, shuffle(turned));
    blend(rgba + (round & 3) * PIXELS, turned, edge, 128);
    if (round % 16 == 0) sum = sum_of(sum, turned);
  }
  return sum_of(sum_of(sum, turned), (const uint8_t *)wave);
}
