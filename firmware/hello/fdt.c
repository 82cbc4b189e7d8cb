// Reads the flattened device tree far enough to know the board.

#include "hello.h"

enum { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4, MAX_DEPTH = 16, HEADER_WORDS = 10 };

// Until a device tree says otherwise: QEMU's virt machine.
struct board board = {
  .model = "(no device tree)",
  .bootargs = "",
  .memory_base = 0x40000000,
  .pes = 1,
  .uart = 0x09000000,
  .uart_interrupt = 33,
  .distributor = 0x08000000,
  .redistributors = 0x080a0000,
  .redistributors_size = 0xf60000,
  .psci_by_smc = true,
};

/** A property value. */
struct value {
  const uint8_t *data;
  uint32_t length;
};

/** What is remembered of a node while its properties go by. */
struct node {
  const char *name;
  unsigned address_cells, size_cells; // for its children
  struct value compatible, device_type, reg, interrupts, method, model, bootargs, status;
};

static uint32_t be32(const void *p) {
  const uint8_t *b = p;
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/** `cells` 32-bit cells at *at as one number; *at moves on. */
static uint64_t take(struct value *v, unsigned cells) {
  uint64_t n = 0;
  for (; cells > 0 && v->length >= 4; cells--, v->data += 4, v->length -= 4) n = n << 32 | be32(v->data);
  return n;
}

/** Is `s` one of the strings of the value? */
static bool has_string(struct value v, const char *s) {
  for (uint32_t at = 0; at < v.length;) {
    if (same((const char *)v.data + at, s)) return true;
    while (at < v.length && v.data[at]) at++;
    at++;
  }
  return false;
}

static bool starts_with(const char *s, const char *start) {
  while (*start) if (*s++ != *start++) return false;
  return true;
}

static void keep_property(struct node *n, const char *name, struct value v) {
  if (same(name, "compatible")) n->compatible = v;
  else if (same(name, "device_type")) n->device_type = v;
  else if (same(name, "reg")) n->reg = v;
  else if (same(name, "interrupts")) n->interrupts = v;
  else if (same(name, "method")) n->method = v;
  else if (same(name, "model")) n->model = v;
  else if (same(name, "bootargs")) n->bootargs = v;
  else if (same(name, "status")) n->status = v;
  else if (same(name, "#address-cells")) n->address_cells = (unsigned)take(&v, 1);
  else if (same(name, "#size-cells")) n->size_cells = (unsigned)take(&v, 1);
}

static void use_uart(struct node *n, const struct node *parent) {
  board.uart = take(&n->reg, parent->address_cells);
  bool spi = take(&n->interrupts, 1) == 0;
  board.uart_interrupt = (unsigned)take(&n->interrupts, 1) + (spi ? 32 : 16);
}

static void use_gic(struct node *n, const struct node *parent) {
  board.distributor = take(&n->reg, parent->address_cells);
  take(&n->reg, parent->size_cells);
  board.redistributors = take(&n->reg, parent->address_cells);
  board.redistributors_size = take(&n->reg, parent->size_cells);
}

/** All properties of the node are known. */
static void use_node(struct node *n, const struct node *parent, int depth) {
  static bool uart_known;
  if (n->status.length && !has_string(n->status, "okay")) return; // for example, what only Secure state may use
  if (depth == 0 && n->model.length) board.model = (const char *)n->model.data;
  if (same(n->name, "chosen") && n->bootargs.length) board.bootargs = (const char *)n->bootargs.data;
  if (has_string(n->device_type, "memory") && starts_with(n->name, "memory") && !board.memory_size) {
    board.memory_base = take(&n->reg, parent->address_cells);
    board.memory_size = take(&n->reg, parent->size_cells);
  }
  if (has_string(n->device_type, "cpu") && board.pes < MAX_PES) board.mpidr[board.pes++] = take(&n->reg, parent->address_cells);
  if (has_string(n->compatible, "arm,pl011") && !uart_known) use_uart(n, parent), uart_known = true;
  if (has_string(n->compatible, "arm,gic-v3")) use_gic(n, parent);
  if (same(n->name, "psci")) board.psci_by_smc = has_string(n->method, "smc");
}

void read_board(const void *tree) {
  if (!tree || ((uintptr_t)tree & 3) || be32(tree) != 0xd00dfeed) return;
  const uint8_t *base = tree;
  const uint8_t *at = base + be32(base + 8), *end = at + be32(base + 36);
  const char *strings = (const char *)base + be32(base + 12);
  static struct node stack[MAX_DEPTH];
  static const struct node outside = {.address_cells = 2, .size_cells = 1};
  int depth = -1;
  bool used = true; // has use_node been called for the innermost node?
  board.from_tree = true;
  board.pes = 0;
  while (at < end) {
    uint32_t token = be32(at);
    at += 4;
    if (token != PROP && token != NOP && depth >= 0 && !used) {
      use_node(&stack[depth], depth > 0 ? &stack[depth - 1] : &outside, depth);
      used = true;
    }
    if (token == BEGIN_NODE) {
      if (++depth == MAX_DEPTH) return;
      stack[depth] = (struct node){.name = (const char *)at, .address_cells = 2, .size_cells = 1};
      used = false;
      uint32_t length = 0;
      while (at[length]) length++;
      at += (length + 4) & ~3u;
    } else if (token == END_NODE) {
      depth--;
    } else if (token == PROP) {
      struct value v = {at + 8, be32(at)};
      if (depth >= 0 && !used) keep_property(&stack[depth], strings + be32(at + 4), v);
      at += 8 + ((v.length + 3) & ~3u);
    } else if (token != NOP) {
      return;
    }
  }
}
