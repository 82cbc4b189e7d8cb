// One check: tables and registers, the access in the state it is about, and the line that says what came of it.

#include "matrix.h"

/** What enter() needs and what it brings back; head.S knows the offsets. */
struct context {
  uint64_t elr, spsr, x[16], vector, esr, far;
};
_Static_assert(__builtin_offsetof(struct context, x) == CTX_X0 && __builtin_offsetof(struct context, far) == CTX_FAR, "layout.h");
void enter(struct context *);

const struct world root = {"root", ROOT, 3, false};
const struct world realm_el2 = {"realm-el2", REALM, 2, false}, realm_el1 = {"realm-el1", REALM, 1, false}, realm_el0 = {"realm-el0", REALM, 0, false};
const struct world realm_host = {"realm-el2h", REALM, 2, true};
const struct world ns_el2 = {"ns-el2", NONSECURE, 2, false}, ns_el1 = {"ns-el1", NONSECURE, 1, false}, ns_el0 = {"ns-el0", NONSECURE, 0, false};
const struct world ns_host = {"ns-el2h", NONSECURE, 2, true}, ns_host_el0 = {"ns-el0h", NONSECURE, 0, true};
const struct world secure_el2 = {"secure-el2", SECURE, 2, false}, secure_el1 = {"secure-el1", SECURE, 1, false}, secure_el0 = {"secure-el0", SECURE, 0, false};
const struct world *const worlds[] = {&root, &realm_el2, &realm_el1, &realm_el0, &realm_host, &ns_el2, &ns_el1, &ns_el0, &ns_host, &ns_host_el0,
                                      &secure_el2, &secure_el1, &secure_el0};

bool reaches(const struct world *w, enum space pas) {
  if (w->state == ROOT || w->state == pas) return true;
  return pas == NONSECURE; // Realm and Secure reach their own space and the Non-secure one
}

static const char *const spaces[] = {"secure", "ns", "root", "realm"};
static const char *const granule_names[] = {[PGS_4K] = "4k", [PGS_64K] = "64k", [PGS_16K] = "16k"};
static const char *const forms[] = {"block", "granules", "2m", "32m", "512m"};
static const char *const places[] = {"output", "s1-l0", "s1-l1", "s1-l2", "s1-l3", "s2-l1", "s2-l2", "s2-l3", "s2w-l2", "s2w-l3"};

/** An access: where its code begins, the instruction that makes it. */
#define STUB(name) extern char stub_##name[], try_##name[];
#define ROW(name, n) {n, stub_##name, try_##name}
STUB(load) STUB(store) STUB(fetch) STUB(atomic) STUB(pair) STUB(zva) STUB(unpriv) STUB(clean) STUB(prefetch)
STUB(at_e1r) STUB(at_e1w) STUB(at_e0r) STUB(at_e2r) STUB(at_e2w) STUB(at_e3r) STUB(at_s12r)
extern char shared_page[];
extern const uint64_t target_code[];
static const struct { const char *name, *code, *insn; } accesses[ACCESSES] = {
  [LOAD] = ROW(load, "load"),       [STORE] = ROW(store, "store"),    [FETCH] = ROW(fetch, "fetch"),     [ATOMIC] = ROW(atomic, "atomic"),
  [CROSS] = ROW(load, "load-cross"), [PAIR] = ROW(pair, "load-pair-cross"), [ZVA] = ROW(zva, "dc-zva"),   [UNPRIV] = ROW(unpriv, "ldtr"),
  [CLEAN] = ROW(clean, "dc-civac"), [PREFETCH] = ROW(prefetch, "prfm"), [AT_E1R] = ROW(at_e1r, "at-s1e1r"), [AT_E1W] = ROW(at_e1w, "at-s1e1w"),
  [AT_E0R] = ROW(at_e0r, "at-s1e0r"), [AT_E2R] = ROW(at_e2r, "at-s1e2r"), [AT_E2W] = ROW(at_e2w, "at-s1e2w"), [AT_E3R] = ROW(at_e3r, "at-s1e3r"),
  [AT_S12R] = ROW(at_s12r, "at-s12e1r"),
};

static unsigned done;
unsigned checks_done(void) { return done; }

static uint64_t in_shared(const char *p) { return VA_SHARED + (uint64_t)(p - shared_page); }
static uint64_t address(const struct check *c) {
  return c->access == CROSS ? VA_TARGET + 0xffc : c->access == PAIR ? VA_TARGET + 0xff8 : VA_TARGET;
}
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
  say("/%s", accesses[c->access].name);
  if (c->route & ROUTE_SCR) say("/scr.gpf");
  if (c->route & ROUTE_HCR) say("/hcr.gpf");
  if (moment) say("/%s", moment);
  say(":");
}

static void say_exception(const struct check *c, unsigned el, unsigned vector, uint64_t esr, uint64_t elr, uint64_t far) {
  uint64_t hpfar = read_sysreg(hpfar_el2), mfar = read_sysreg(MFAR_EL3);
  say(" EL%u esr=%lx far=%lx", el, esr, far);
  if (hpfar) say(" hpfar=%lx", hpfar);
  if (mfar) say(" mfar=%lx", mfar);
  uint64_t insn = in_shared(accesses[c->access].insn);
  if (elr == insn) say(" elr=insn");
  else if (elr >= VA_SHARED && elr < VA_SHARED + 4096) say(" elr=insn%s%x", elr < insn ? "-" : "+", (unsigned)(elr < insn ? insn - elr : elr - insn));
  else say(" elr=%lx", elr);
  if (vector != (el == c->world->el ? 4u : 8u)) say(" vector=%x", vector * 128);
}

/** The way back was SMC from the stub, or SVC from EL0: no fault. */
static void say_success(const struct check *c, uint64_t x0) {
  if (c->access >= AT_E1R) {
    say(" par=%lx", x0);
    return;
  }
  uint64_t expected = c->access == FETCH ? 0x77 : c->access == CROSS ? 0x1111111111111111 : c->access == PAIR ? 0x1111111111111111 : target_code[0];
  bool reads = c->access == LOAD || c->access == FETCH || c->access == ATOMIC || c->access == CROSS || c->access == PAIR || c->access == UNPRIV;
  say(" ok");
  if (reads && x0 != expected) say(" but value %lx", x0);
}

static void say_memory(const struct check *c, bool faulted) {
  if (!output_is_memory(c)) return;
  uint64_t now = *output(c), before = target_code[0];
  uint64_t expected = faulted ? before : c->access == STORE ? 0x5555 : c->access == ATOMIC ? before + 0x5555 : c->access == ZVA ? 0 : before;
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
  if (c->change) c->change(c);
  write_sysreg(GPTBR_EL3, (GPT_L0 >> 12) + c->gptbr);
  gpc_on((c->gpccr ? c->gpccr : GPCCR_BASE) | (uint64_t)c->pgs << 14);
}

/** The access and its result, raw. */
static void make_access(const struct check *c, struct context *x) {
  static const unsigned modes[] = {0, 5, 9, 13}; // EL0t, EL1h, EL2h, EL3h
  write_sysreg(far_el1, 0);
  write_sysreg(far_el2, 0);
  write_sysreg(far_el3, 0);
  write_sysreg(hpfar_el2, 0);
  write_sysreg(MFAR_EL3, 0);
  *x = (struct context){.elr = in_shared(accesses[c->access].code), .spsr = 0x3c0 | modes[c->world->el]};
  x->x[0] = 0x5555;
  x->x[1] = address(c);
  x->x[9] = c->world->el == 0;
  isb();
  enter(x);
}

static bool say_result(const struct check *c, const struct context *x) {
  enum { EC_SVC = 0x15, EC_SMC = 0x17 };
  if (x->esr >> 26 != EC_SMC) {
    say_exception(c, 3, x->vector, x->esr, x->elr, x->far);
    return true;
  }
  unsigned from = x->esr & 0xffff; // SMC's immediate: 0 = the stub, else the Exception level whose vector it was
  if (from == 0 || x->x[11] >> 26 == EC_SVC) {
    say_success(c, x->x[0]);
    return false;
  }
  say_exception(c, from, x->x[10], x->x[11], x->x[12], x->x[13]);
  return true;
}

void attempt(const struct check *c, const char *moment) {
  static struct context x;
  make_access(c, &x);
  // Says it with the checks off: the line then also has what became of memory.
  if (!moment) gpc_off();
  say_name(c, moment);
  bool faulted = say_result(c, &x);
  if (!moment) say_memory(c, faulted);
  if (!moment) say_updates(c);
  say("\n");
}

void finish(const struct check *c) {
  (void)c;
  gpc_off();
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
  finish(c);
}
