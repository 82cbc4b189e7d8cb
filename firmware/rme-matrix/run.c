// One check: tables and registers, the access in the state it is about, and the line that says what came of it.

#include "matrix.h"

static const char *const spaces[] = {"secure", "ns", "root", "realm"};
static const char *const granule_names[] = {[PGS_4K] = "4k", [PGS_64K] = "64k", [PGS_16K] = "16k"};
static const char *const forms[] = {"block", "granules", "2m", "32m", "512m"};
static const char *const places[] = {"output", "s1-l0", "s1-l1", "s1-l2", "s1-l3", "s2-l1", "s2-l2", "s2-l3", "s2w-l2", "s2w-l3"};

static unsigned done;
unsigned checks_done(void) { return done; }

static uint64_t *output(const struct check *c) { return (uint64_t *)gpt_target(c->form); }
static bool output_is_memory(const struct check *c) {
  return !c->output && c->where == OUTPUT && !(c->form == FORM_BLOCK && gpt_region_bits() > 30);
}

static void say_name(const struct check *c, const char *moment) {
  done++;
  say("%s", c->section);
  if (c->label) say("/%s", c->label);
  else say("/%s/%s/%x", granule_names[c->pgs], forms[c->form], c->gpi);
  say("/%s", c->world->name);
  if (c->pas != c->world->state) say(">%s", spaces[c->pas]);
  if (c->where != OUTPUT) say("/%s", places[c->where]);
  say("/%s", access_name(c->access));
  if (c->route & ROUTE_SCR) say("/scr.gpf");
  if (c->route & ROUTE_HCR) say("/hcr.gpf");
  if (moment) say("/%s", moment);
  say(":");
}

static void say_exception(const struct check *c, const struct outcome *o) {
  say(" EL%u esr=%lx far=%lx", o->el, o->esr, o->far);
  if (o->hpfar) say(" hpfar=%lx", o->hpfar);
  if (o->mfar) say(" mfar=%lx", o->mfar);
  uint64_t insn = access_insn(c->access), elr = o->elr;
  if (elr == insn) say(" elr=insn");
  else if (elr >= VA_SHARED && elr < VA_SHARED + 4096) say(" elr=insn%s%x", elr < insn ? "-" : "+",
    (unsigned)(elr < insn ? insn - elr : elr - insn));
  else say(" elr=%lx", elr);
  if (o->vector != (o->el == c->world->el ? 4u : 8u)) say(" vector=%x", o->vector * 128);
}

extern const uint64_t target_code[];

static void say_success(const struct check *c, uint64_t x0) {
  if (c->access >= AT_E1R) {
    say(" par=%lx", x0);
    return;
  }
  uint64_t expected = c->access == FETCH ? 0x77 : c->access == CROSS ? 0x1111111111111111 : c->access == PAIR ? 0x1111111111111111
    : target_code[0];
  bool reads = c->access == LOAD || c->access == FETCH || c->access == ATOMIC || c->access == CROSS || c->access == PAIR || c->access == UNPRIV;
  say(" ok");
  if (reads && x0 != expected) say(" but value %lx", x0);
}

static void say_memory(const struct check *c, bool faulted) {
  if (!output_is_memory(c)) return;
  uint64_t now = *output(c), before = target_code[0];
  uint64_t expected = faulted ? before : c->access == STORE ? STORED_VALUE : c->access == ATOMIC ? before + STORED_VALUE
    : c->access == ZVA ? 0 : before;
  if (now != expected) say(" but memory %lx", now);
}

static void say_updates(const struct check *c) {
  for (unsigned stage = 1; stage <= 2; stage++) {
    if (!(c->update & (stage == 1 ? 5 : 10))) continue;
    uint64_t leaf = *tables_leaf(c, stage);
    say(" s%u:af=%u,%s=%u", stage, (unsigned)(leaf >> 10 & 1), stage == 1 ? "ap2" : "s2ap1", (unsigned)(leaf >> 7 & 1));
  }
}

void prepare(const struct check *c) {
  gpt_build(c->pgs, c->form, c->gpi);
  tables_build(c);
  tables_use(c);
  tlbi_translation();
  if (c->change) c->change(c);
  write_sysreg(GPTBR_EL3, (GPT_L0 >> 12) + c->gptbr);
  gpc_on((c->gpccr ? c->gpccr : GPCCR_BASE) | (uint64_t)c->pgs << 14);
}

void attempt(const struct check *c, const char *moment) {
  struct outcome o = access_make(c->world, c->access);
  // Says it with the checks off: the line then also has what became of memory.
  if (!moment) gpc_off();
  say_name(c, moment);
  if (o.el) say_exception(c, &o);
  else say_success(c, o.value);
  if (!moment) say_memory(c, o.el != 0);
  if (!moment) say_updates(c);
  say("\n");
}

void finish(void) { gpc_off(); }

static const struct check *of_device;
static void close_granule(void) { gpc_on((of_device->gpccr ? of_device->gpccr : GPCCR_BASE) | (uint64_t)of_device->pgs << 14); }

void run_device(const struct check *c) {
  uint64_t target = gpt_target(c->form);
  bool store = c->access == STORE;
  of_device = c;
  gpt_build(c->pgs, c->form, c->gpi);
  write_sysreg(GPTBR_EL3, GPT_L0 >> 12);
  bool done = device_transfer(store ? DEVICE_BUFFER : target, store ? target : DEVICE_BUFFER, close_granule, gpc_off);
  bool written = read64(store ? target : DEVICE_BUFFER) != DEVICE_PATTERN;
  say_name(c, 0);
  say(done ? " ok" : " refused");
  if (written != done) say(" but the buffer is %s", written ? "written" : "not written");
  say("\n");
}

/** Can there be a granule protection fault on a table walk at level 2 or 3? */
static bool deep_walk_fault(const struct check *c) {
  bool deep = c->where != OUTPUT && c->where != S1_L0 && c->where != S1_L1 && c->where != S2_L1;
  return deep && (c->change || c->gpi != (GPI_SECURE | c->world->state));
}

void run(const struct check *c) {
  if ((read64(MAILBOX) & MAILBOX_QEMU) && deep_walk_fault(c)) return;
  prepare(c);
  attempt(c, 0);
  finish();
}
