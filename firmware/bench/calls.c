// calls: code that goes somewhere else all the time. Functions called through tables, recursion, and an interpreter of bytecode that goes
// from one operation to the next by an indirect branch each.

#include "bench.h"

#define NOINLINE __attribute__((noinline))

// ---- functions in tables ------------------------------------------------------------------------------------------------------------------

#define OPERATION(name, expression) \
  static NOINLINE uint64_t name(uint64_t a, uint64_t b) { return expression; }
OPERATION(op_add, a + b)
OPERATION(op_xor, a ^ b << 7)
OPERATION(op_multiply, a * (b | 1))
OPERATION(op_rotate, (a << 13 | a >> 51) - b)
OPERATION(op_or, (a | b) - (a & b) * 3)
OPERATION(op_shift, a ^ a >> (b & 31))
OPERATION(op_choose, a > b ? a - b : b - a)
OPERATION(op_reverse, __builtin_bswap64(a) + b)

typedef uint64_t (*operation)(uint64_t, uint64_t);
static const operation operations[8] = {op_add, op_xor, op_multiply, op_rotate, op_or, op_shift, op_choose, op_reverse};

static uint64_t through_table(unsigned rounds, uint32_t seed) {
  uint64_t a = seed;
  for (unsigned i = 0; i < rounds; i++) a = operations[next(&seed) & 7](a, i);
  return a;
}

/** Shapes: objects whose first word leads to their functions. */
struct shape;
struct shape_class {
  int64_t (*area)(const struct shape *);
  void (*grow)(struct shape *, int64_t);
};
struct shape { const struct shape_class *class; int64_t a, b; };

static int64_t box_area(const struct shape *s) { return s->a * s->b; }
static int64_t triangle_area(const struct shape *s) { return s->a * s->b / 2; }
static int64_t frame_area(const struct shape *s) { return s->a * s->b - (s->a - 2) * (s->b - 2); }
static void grow_both(struct shape *s, int64_t by) { s->a += by, s->b += by; }
static void grow_one(struct shape *s, int64_t by) { s->a = (s->a + by) & 0xffff; }
static const struct shape_class box = {box_area, grow_both}, triangle = {triangle_area, grow_one}, frame = {frame_area, grow_both};

static NOINLINE uint64_t shapes(unsigned rounds, uint32_t seed) {
  static const struct shape_class *const classes[3] = {&box, &triangle, &frame};
  struct shape *all = (struct shape *)arena;
  uint64_t total = 0;
  for (int i = 0; i < 300; i++) all[i] = (struct shape){classes[next(&seed) % 3], i, 300 - i};
  for (unsigned r = 0; r < rounds; r++)
    for (int i = 0; i < 300; i++) {
      total += (uint64_t)all[i].class->area(&all[i]);
      all[i].class->grow(&all[i], (int64_t)(total & 3));
    }
  return total;
}

// ---- recursion --------------------------------------------------------------------------------------------------------------------------------

static NOINLINE uint64_t fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

/** Ways to put `n` queens on the rows from `row` on. */
static NOINLINE unsigned queens(unsigned n, unsigned row, uint32_t columns, uint32_t left, uint32_t right) {
  if (row == n) return 1;
  unsigned ways = 0;
  for (uint32_t free = ((1u << n) - 1) & ~(columns | left | right); free; free &= free - 1) {
    uint32_t at = free & -free;
    ways += queens(n, row + 1, columns | at, (left | at) << 1, (right | at) >> 1);
  }
  return ways;
}

// ---- a machine with a stack ---------------------------------------------------------------------------------------------------------------------

enum code { PUSH, LOAD, STORE, ADD, SUB, MUL, LESS, DUP, JUMP, JUMP_ZERO, CALL, RETURN, STOP };
struct instruction { uint8_t code; int16_t operand; };

/** The sum of the primes below 250. Variables: 0 sum, 1 candidate, 2 divisor, 3 and 4 of the function. */
static const struct instruction primes[] = {
  [0] = {PUSH, 0}, {STORE, 0}, {PUSH, 2}, {STORE, 1},
  [4] = {LOAD, 1}, {PUSH, 250}, {LESS, 0}, {JUMP_ZERO, 34},                  // while candidate < 250
  [8] = {PUSH, 2}, {STORE, 2},
  [10] = {LOAD, 1}, {LOAD, 2}, {DUP, 0}, {MUL, 0}, {LESS, 0}, {JUMP_ZERO, 17}, {JUMP, 25}, // divisor * divisor > candidate: prime
  [17] = {LOAD, 1}, {LOAD, 2}, {CALL, 36}, {JUMP_ZERO, 29},                  // it divides: not prime
  [21] = {LOAD, 2}, {PUSH, 1}, {ADD, 0}, {JUMP, 9},
  [25] = {LOAD, 0}, {LOAD, 1}, {ADD, 0}, {STORE, 0},
  [29] = {LOAD, 1}, {PUSH, 1}, {ADD, 0}, {STORE, 1}, {JUMP, 4},
  [34] = {LOAD, 0}, {STOP, 0},
  [36] = {STORE, 4}, {STORE, 3},                                             // function: 3 mod 4, by subtraction
  [38] = {LOAD, 3}, {LOAD, 4}, {LESS, 0}, {JUMP_ZERO, 44}, {LOAD, 3}, {RETURN, 0},
  [44] = {LOAD, 3}, {LOAD, 4}, {SUB, 0}, {STORE, 3}, {JUMP, 38},
};

static NOINLINE int64_t run(const struct instruction *program, uint64_t *executed) {
  static const void *const labels[] = {&&push, &&load, &&store, &&add, &&sub, &&mul, &&less, &&dup, &&jump, &&jump_zero, &&call, &&ret, &&stop};
  int64_t stack[32], variables[8] = {0}, *top = stack;
  const struct instruction *returns[8], **back = returns, *at = program;
  uint64_t n = 0;
#define NEXT() do { n++; goto *labels[at->code]; } while (0)
  NEXT();
push: *top++ = at++->operand; NEXT();
load: *top++ = variables[at++->operand]; NEXT();
store: variables[at++->operand] = *--top; NEXT();
add: top--, top[-1] += *top, at++; NEXT();
sub: top--, top[-1] -= *top, at++; NEXT();
mul: top--, top[-1] *= *top, at++; NEXT();
less: top--, top[-1] = top[-1] < *top, at++; NEXT();
dup: *top = top[-1], top++, at++; NEXT();
jump: at = program + at->operand; NEXT();
jump_zero: at = *--top == 0 ? program + at->operand : at + 1; NEXT();
call: *back++ = at + 1, at = program + at->operand; NEXT();
ret: at = *--back; NEXT();
stop:
  *executed += n;
  return *--top;
}

uint64_t job_calls(unsigned count) {
  uint64_t sum = SUM_START;
  for (unsigned round = 1; round <= count; round++) {
    uint64_t executed = round;
    sum = mix(sum, through_table(20000, round * 2654435761u | 1));
    sum = mix(sum, shapes(60, round | 1));
    sum = mix(sum, fibonacci(18 + round % 3));
    sum = mix(sum, queens(7, 0, 0, 0, 0) + (round & 1 ? queens(6, 0, 0, 0, 0) : 0));
    for (int i = 0; i < 3; i++) sum = mix(sum, (uint64_t)run(primes, &executed));
    sum = mix(sum, executed);
  }
  return sum;
}
