// core: what small programs on small processors do. A linked list is searched and sorted, integer matrices are multiplied, a text is
// scanned by a state machine, and every part's result goes through a CRC that the next round depends on.

#include "bench.h"

// ---- CRC-16 (X25 polynomial, bit by bit) and CRC-32 (by table) ----------------------------------------------------------------------------

static uint16_t crc16(uint16_t crc, uint32_t word) {
  for (int bit = 0; bit < 32; bit++) {
    int low = (crc ^ word) & 1;
    crc >>= 1;
    word >>= 1;
    if (low) crc ^= 0x8408;
  }
  return crc;
}

static uint32_t crc_table[256];

static void make_crc_table(void) {
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t c = n;
    for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
    crc_table[n] = c;
  }
}

static uint32_t crc32(uint32_t crc, const uint8_t *data, unsigned size) {
  crc = ~crc;
  for (unsigned i = 0; i < size; i++) crc = crc_table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
  return ~crc;
}

// ---- linked list ------------------------------------------------------------------------------------------------------------------------

enum { NODES = 512 };

struct node {
  struct node *next;
  int32_t key, place;
};

/** A list whose nodes lie in memory in no order. */
static struct node *make_list(struct node *nodes, uint32_t seed) {
  struct node *head = 0;
  unsigned at = seed % NODES;
  for (int i = 0; i < NODES; i++) {
    at = (at + 197) % NODES; // prime to NODES
    nodes[at] = (struct node){head, (int32_t)(next(&seed) % 4096), i};
    head = &nodes[at];
  }
  return head;
}

static const struct node *find(const struct node *n, int32_t key) {
  while (n && n->key != key) n = n->next;
  return n;
}

static struct node *reverse(struct node *n) {
  struct node *done = 0;
  while (n) {
    struct node *rest = n->next;
    n->next = done;
    done = n;
    n = rest;
  }
  return done;
}

typedef int (*order)(const struct node *, const struct node *);
static int by_key(const struct node *a, const struct node *b) { return a->key != b->key ? a->key - b->key : a->place - b->place; }
static int by_place(const struct node *a, const struct node *b) { return a->place - b->place; }

static struct node *merge(struct node *a, struct node *b, order cmp) {
  struct node head, *tail = &head;
  while (a && b) {
    struct node **less = cmp(a, b) <= 0 ? &a : &b;
    tail->next = *less;
    tail = *less;
    *less = tail->next;
  }
  tail->next = a ? a : b;
  return head.next;
}

/** Merge sort, from runs of 1, 2, 4, ... nodes upwards. */
static struct node *sort(struct node *list, order cmp) {
  struct node *runs[16] = {0};
  while (list) {
    struct node *run = list;
    list = list->next;
    run->next = 0;
    int level = 0;
    for (; runs[level]; level++) {
      run = merge(runs[level], run, cmp);
      runs[level] = 0;
    }
    runs[level] = run;
  }
  struct node *all = 0;
  for (int level = 0; level < 16; level++) all = merge(runs[level], all, cmp);
  return all;
}

static uint16_t list_round(struct node *nodes, uint32_t seed, uint16_t crc) {
  struct node *list = make_list(nodes, seed);
  for (int i = 0; i < 24; i++) {
    const struct node *n = find(list, (int32_t)(next(&seed) % 4096));
    crc = crc16(crc, n ? (uint32_t)n->place : 0xffffu);
    if (i % 8 == 7) list = reverse(list);
  }
  list = sort(list, by_key);
  int index = 0;
  for (const struct node *n = list; n; n = n->next) if (index++ % 16 == 0) crc = crc16(crc, (uint32_t)n->key);
  list = sort(list, by_place);
  for (const struct node *n = list; n; n = n->next) if (index++ % 32 == 0) crc = crc16(crc, (uint32_t)n->key);
  return crc;
}

// ---- matrices -----------------------------------------------------------------------------------------------------------------------------

enum { N = 24 };
typedef int16_t small_matrix[N][N];
typedef int32_t large_matrix[N][N];

static void multiply(large_matrix to, const small_matrix a, const small_matrix b) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      int32_t sum = 0;
      for (int k = 0; k < N; k++) sum += a[i][k] * b[k][j];
      to[i][j] = sum;
    }
}

/** As multiply, with two fields of every product in place of the product. */
static void multiply_fields(large_matrix to, const small_matrix a, const small_matrix b) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      int32_t sum = 0;
      for (int k = 0; k < N; k++) {
        uint32_t p = (uint32_t)(a[i][k] * b[k][j]);
        sum += (int32_t)((p >> 2 & 15) * (p >> 5 & 127));
      }
      to[i][j] = sum;
    }
}

static uint16_t matrix_sum(const large_matrix m, int32_t limit, uint16_t crc) {
  int32_t part = 0, last = 0;
  uint32_t result = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      int32_t now = m[i][j];
      part += now;
      if (part > limit) {
        result += 10;
        part = 0;
      } else {
        result += now > last;
      }
      last = now;
    }
  return crc16(crc, result);
}

static uint16_t matrix_round(uint32_t seed, uint16_t crc) {
  static small_matrix a, b;
  static large_matrix c;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = (int16_t)(next(&seed) % 512 - 256);
      b[i][j] = (int16_t)(next(&seed) % 512 - 256);
    }
  multiply(c, a, b);
  crc = matrix_sum(c, 40000, crc);
  multiply_fields(c, a, b);
  crc = matrix_sum(c, 20000, crc);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) a[i][j] = (int16_t)(c[j][i] / (1 + (b[i][j] & 15))); // divisions, and columns
  multiply(c, a, b);
  return matrix_sum(c, 90000, crc);
}

// ---- scanner --------------------------------------------------------------------------------------------------------------------------------

enum { TEXT = 3000 };
enum state { START, WORD, INTEGER, HEX, FRACTION, EXPONENT, STRING, ESCAPE, COMMENT, WRONG, STATES };

static const char *const samples[] = {"count", "0x7fE1", "12", "+407", "-3.25", "6.02e+23", "\"a \\\"b\\\" c\"", "# to the end\n", "x_1", "9q", "1e-9", ";"};

static unsigned make_text(char *to, uint32_t seed) {
  unsigned n = 0;
  while (n < TEXT - 32) {
    for (const char *s = samples[next(&seed) % 12]; *s; s++) to[n++] = *s;
    to[n++] = next(&seed) % 7 == 0 ? '\n' : ' ';
  }
  return n;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static int is_space(char c) { return c == ' ' || c == '\n' || c == ';'; }

static enum state first_state(char c) {
  if (is_space(c)) return START;
  if (is_letter(c)) return WORD;
  if (is_digit(c) || c == '+' || c == '-') return INTEGER;
  return c == '"' ? STRING : c == '#' ? COMMENT : WRONG;
}

static enum state step(enum state s, char before, char c) {
  switch (s) {
    case START: return first_state(c);
    case WORD: return is_letter(c) || is_digit(c) ? WORD : is_space(c) ? START : WRONG;
    case INTEGER:
      if (is_digit(c)) return INTEGER;
      if (c == 'x' && before == '0') return HEX;
      return c == '.' ? FRACTION : c == 'e' ? EXPONENT : is_space(c) ? START : WRONG;
    case HEX: return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ? HEX : is_space(c) ? START : WRONG;
    case FRACTION: return is_digit(c) ? FRACTION : c == 'e' ? EXPONENT : is_space(c) ? START : WRONG;
    case EXPONENT: return is_digit(c) || (before == 'e' && (c == '+' || c == '-')) ? EXPONENT : is_space(c) ? START : WRONG;
    case STRING: return c == '\\' ? ESCAPE : c == '"' ? START : STRING;
    case ESCAPE: return STRING;
    case COMMENT: return c == '\n' ? START : COMMENT;
    default: return is_space(c) ? START : WRONG;
  }
}

static uint16_t text_round(char *text, uint32_t seed, uint16_t crc) {
  uint32_t visits[STATES] = {0}, changes[STATES] = {0};
  unsigned size = make_text(text, seed);
  enum state s = START;
  for (unsigned i = 0; i < size; i++) {
    enum state to = step(s, i ? text[i - 1] : ' ', text[i]);
    visits[to]++;
    changes[to] += to != s;
    s = to;
  }
  for (int i = 0; i < STATES; i++) crc = crc16(crc16(crc, visits[i]), changes[i]);
  return crc16(crc, crc32(crc, (const uint8_t *)text, size));
}

uint64_t job_core(unsigned count) {
  struct node *nodes = (struct node *)arena;
  char *text = (char *)(arena + (1 << 16));
  uint64_t sum = SUM_START;
  uint16_t crc = 0xffff;
  make_crc_table();
  for (unsigned round = 1; round <= count; round++) {
    uint32_t seed = round * 2654435761u ^ crc;
    if (!seed) seed = 1;
    crc = list_round(nodes, seed, crc);
    crc = matrix_round(seed, crc);
    crc = text_round(text, seed, crc);
    sum = mix(sum, crc);
  }
  return sum;
}
