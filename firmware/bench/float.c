// float: numbers of double precision one by one (planets, a set of complex numbers, linear equations, series), and vectors of four of single
// precision (matrices, normalized vectors). What depends on rounding depends on all of it, so one wrong last bit changes the checksum.

#include <arm_neon.h>

#include "bench.h"

static uint64_t bits(double d) {
  union { double d; uint64_t u; } v = {d};
  return v.u;
}

static double root(double d) {
  double r;
  __asm__("fsqrt %d0, %d1" : "=w"(r) : "w"(d));
  return r;
}

/** Between -1 and 1. */
static double any(uint32_t *seed) { return (double)(int32_t)next(seed) / 2147483648.0; }

// ---- bodies that attract each other ---------------------------------------------------------------------------------------------------------

enum { BODIES = 8 };
struct body { double at[3], speed[3], mass; };

static uint64_t planets(unsigned steps, uint32_t seed, uint64_t sum) {
  struct body b[BODIES];
  for (int i = 0; i < BODIES; i++) {
    for (int k = 0; k < 3; k++) b[i].at[k] = 10 * any(&seed), b[i].speed[k] = any(&seed);
    b[i].mass = 1 + any(&seed) / 2;
  }
  for (unsigned s = 0; s < steps; s++) {
    for (int i = 0; i < BODIES; i++)
      for (int j = i + 1; j < BODIES; j++) {
        double d[3], square = 0.01;
        for (int k = 0; k < 3; k++) d[k] = b[i].at[k] - b[j].at[k], square += d[k] * d[k];
        double pull = 0.001 / (square * root(square));
        for (int k = 0; k < 3; k++) b[i].speed[k] -= d[k] * b[j].mass * pull, b[j].speed[k] += d[k] * b[i].mass * pull;
      }
    for (int i = 0; i < BODIES; i++)
      for (int k = 0; k < 3; k++) b[i].at[k] += 0.001 * b[i].speed[k];
  }
  for (int i = 0; i < BODIES; i++) sum = mix(mix(sum, bits(b[i].at[0])), bits(b[i].speed[2]));
  return sum;
}

// ---- how soon z * z + c leaves the circle -----------------------------------------------------------------------------------------------------

static uint64_t escape(double shift, uint64_t sum) {
  uint64_t total = 0;
  for (int y = -16; y < 16; y++)
    for (int x = -16; x < 16; x++) {
      double re = x / 12.0 - 0.5 + shift, im = y / 14.0, a = 0, b = 0;
      int n = 0;
      while (n < 100 && a * a + b * b < 4) {
        double t = a * a - b * b + re;
        b = 2 * a * b + im;
        a = t;
        n++;
      }
      total += (uint64_t)n;
      if (n == 100) sum = mix(sum, bits(a));
    }
  return mix(sum, total);
}

// ---- linear equations ---------------------------------------------------------------------------------------------------------------------------

enum { UNKNOWNS = 24 };

static double absolute(double d) { return d < 0 ? -d : d; }

static uint64_t equations(uint32_t seed, uint64_t sum) {
  static double a[UNKNOWNS][UNKNOWNS + 1];
  for (int i = 0; i < UNKNOWNS; i++)
    for (int j = 0; j <= UNKNOWNS; j++) a[i][j] = any(&seed);
  for (int k = 0; k < UNKNOWNS; k++) {
    int best = k;
    for (int i = k + 1; i < UNKNOWNS; i++) if (absolute(a[i][k]) > absolute(a[best][k])) best = i;
    for (int j = k; j <= UNKNOWNS; j++) {
      double t = a[k][j];
      a[k][j] = a[best][j];
      a[best][j] = t;
    }
    for (int i = k + 1; i < UNKNOWNS; i++) {
      double f = a[i][k] / a[k][k];
      for (int j = k; j <= UNKNOWNS; j++) a[i][j] = __builtin_fma(-f, a[k][j], a[i][j]);
    }
  }
  for (int i = UNKNOWNS - 1; i >= 0; i--) {
    for (int j = i + 1; j < UNKNOWNS; j++) a[i][UNKNOWNS] -= a[i][j] * a[j][UNKNOWNS];
    a[i][UNKNOWNS] /= a[i][i];
    sum = mix(sum, bits(a[i][UNKNOWNS]));
  }
  return sum;
}

// ---- series: conversions and roundings --------------------------------------------------------------------------------------------------------------

static uint64_t series(uint32_t seed, uint64_t sum) {
  double product = 1;
  for (int i = 0; i < 400; i++) {
    double x = 20 * any(&seed), turns = x * 0.15915494309189535;
    int64_t whole;
    __asm__("fcvtns %0, %d1" : "=r"(whole) : "w"(turns));
    double r = (turns - (double)whole) * 6.283185307179586, square = r * r, term = r, sine = 0;
    for (int n = 1; n < 16; n += 2) {
      sine += term;
      term = -term * square / ((n + 1) * (n + 2));
    }
    float single = (float)sine;
    sum = mix(sum, bits(sine) ^ (uint64_t)(int64_t)(1e6f * single));
    product = product * (1.5 + sine) / 1.4;
    if (product > 1e100 || product < 1e-100) product = 1;
  }
  return mix(sum, bits(product));
}

// ---- single precision, four at once -------------------------------------------------------------------------------------------------------------------

enum { N = 48 };

static uint64_t matrices(uint32_t seed, uint64_t sum) {
  static float a[N][N], b[N][N], c[N][N];
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) a[i][j] = (float)any(&seed), b[i][j] = (float)any(&seed);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j += 8) {
      float32x4_t s = vdupq_n_f32(0), t = s;
      for (int k = 0; k < N; k += 2) {
        float32x2_t v = vld1_f32(&a[i][k]);
        s = vfmaq_lane_f32(s, vld1q_f32(&b[k][j]), v, 0);
        t = vfmaq_lane_f32(t, vld1q_f32(&b[k][j + 4]), v, 0);
        s = vaddq_f32(s, vmulq_lane_f32(vld1q_f32(&b[k + 1][j]), v, 1));
        t = vfmsq_lane_f32(t, vld1q_f32(&b[k + 1][j + 4]), v, 1);
      }
      vst1q_f32(&c[i][j], s);
      vst1q_f32(&c[i][j + 4], t);
    }
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j += 2) sum = mix(sum, *(const uint64_t *)&c[i][j]);
  return sum;
}

/** Directions of unit length: by division and root, and by estimates that are made better. */
static uint64_t directions(uint32_t seed, uint64_t sum) {
  float32x4_t total = vdupq_n_f32(0);
  int32x4_t steps = vdupq_n_s32(0);
  for (int i = 0; i < 500; i++) {
    float in[12];
    for (int k = 0; k < 12; k++) in[k] = (float)(int32_t)(next(&seed) >> 8) - 8000000.0f;
    float32x4x3_t v = vld3q_f32(in);
    float32x4_t square = vmulq_f32(v.val[0], v.val[0]);
    square = vfmaq_f32(square, v.val[1], v.val[1]);
    square = vfmaq_f32(square, v.val[2], v.val[2]);
    float32x4_t length = vsqrtq_f32(square), one = vdivq_f32(v.val[0], length);
    float32x4_t e = vrsqrteq_f32(square);
    e = vmulq_f32(e, vrsqrtsq_f32(vmulq_f32(square, e), e));
    e = vmulq_f32(e, vrsqrtsq_f32(vmulq_f32(square, e), e));
    float32x4_t two = vmulq_f32(v.val[1], e);
    uint32x4_t which = vcgtq_f32(one, two);
    float32x4_t chosen = vbslq_f32(which, vmaxnmq_f32(one, two), vnegq_f32(vminq_f32(one, vabsq_f32(two))));
    total = vaddq_f32(total, chosen);
    steps = vaddq_s32(steps, vcvtnq_s32_f32(vmulq_n_f32(vsubq_f32(one, two), 4096)));
    total = vmulq_f32(total, vcvtq_n_f32_s32(vdupq_n_s32(250 + i % 11), 8));
  }
  uint32x4_t t = vreinterpretq_u32_f32(vpaddq_f32(total, vrev64q_f32(total)));
  sum = mix(mix(sum, vgetq_lane_u32(t, 0)), vgetq_lane_u32(t, 3));
  return mix(sum, (uint64_t)vaddlvq_s32(steps));
}

uint64_t job_float(unsigned count) {
  uint64_t sum = SUM_START;
  for (unsigned round = 1; round <= count; round++) {
    uint32_t seed = round * 2654435761u | 1;
    sum = planets(50, seed, sum);
    sum = escape(round % 32 / 64.0, sum);
    sum = equations(seed, sum);
    sum = series(seed, sum);
    sum = matrices(seed, sum);
    sum = directions(seed, sum);
  }
  return sum;
}
