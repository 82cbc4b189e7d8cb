// Making an access in some state: who can make it, what its code is, and what came of it.

#include "matrix.h"

/** What enter() needs and what it brings back; head.S knows the offsets. */
struct context {
  uint64_t elr, spsr, x[16], vector, esr, far;
};
_Static_assert(__builtin_offsetof(struct context, x) == CTX_X0 && __builtin_offsetof(struct context, far) == CTX_FAR, "layout.h");
void enter(struct context *);

//                               name          state      EL host
const struct world root        = {"root",       ROOT,      3, false};
const struct world realm_el2   = {"realm-el2",  REALM,     2, false};
const struct world realm_el1   = {"realm-el1",  REALM,     1, false};
const struct world realm_el0   = {"realm-el0",  REALM,     0, false};
const struct world realm_host  = {"realm-el2h", REALM,     2, true};
const struct world ns_el2      = {"ns-el2",     NONSECURE, 2, false};
const struct world ns_el1      = {"ns-el1",     NONSECURE, 1, false};
const struct world ns_el0      = {"ns-el0",     NONSECURE, 0, false};
const struct world ns_host     = {"ns-el2h",    NONSECURE, 2, true};
const struct world ns_host_el0 = {"ns-el0h",    NONSECURE, 0, true};
const struct world secure_el2  = {"secure-el2", SECURE,    2, false};
const struct world secure_el1  = {"secure-el1", SECURE,    1, false};
const struct world secure_el0  = {"secure-el0", SECURE,    0, false};
const struct world *const worlds[] = {
  &root,   &realm_el2, &realm_el1, &realm_el0,   &realm_host, &ns_el2,     &ns_el1,
  &ns_el0, &ns_host,   &ns_host_el0, &secure_el2, &secure_el1, &secure_el0,
};

bool reaches(const struct world *w, enum space pas) {
  if (w->state == ROOT || w->state == pas) return true;
  return pas == NONSECURE; // Realm and Secure reach their own space and the Non-secure one
}

/** An access: where its code begins, the instruction that makes it. */
#define STUB(name) extern char stub_##name[], try_##name[];
#define ROW(name, n) {n, stub_##name, try_##name}
STUB(load) STUB(store) STUB(fetch) STUB(atomic) STUB(pair) STUB(zva) STUB(unpriv) STUB(clean) STUB(prefetch)
STUB(at_e1r) STUB(at_e1w) STUB(at_e0r) STUB(at_e2r) STUB(at_e2w) STUB(at_e3r) STUB(at_s12r)
extern char shared_page[];
static const struct { const char *name, *code, *insn; } accesses[ACCESSES] = {
  [LOAD] = ROW(load, "load"),
  [STORE] = ROW(store, "store"),
  [FETCH] = ROW(fetch, "fetch"),
  [ATOMIC] = ROW(atomic, "atomic"),
  [CROSS] = ROW(load, "load-cross"),
  [PAIR] = ROW(pair, "load-pair-cross"),
  [ZVA] = ROW(zva, "dc-zva"),
  [UNPRIV] = ROW(unpriv, "ldtr"),
  [CLEAN] = ROW(clean, "dc-civac"),
  [PREFETCH] = ROW(prefetch, "prfm"),
  [AT_E1R] = ROW(at_e1r, "at-s1e1r"),
  [AT_E1W] = ROW(at_e1w, "at-s1e1w"),
  [AT_E0R] = ROW(at_e0r, "at-s1e0r"),
  [AT_E2R] = ROW(at_e2r, "at-s1e2r"),
  [AT_E2W] = ROW(at_e2w, "at-s1e2w"),
  [AT_E3R] = ROW(at_e3r, "at-s1e3r"),
  [AT_S12R] = ROW(at_s12r, "at-s12e1r"),
};

const char *access_name(enum access a) { return accesses[a].name; }

static uint64_t in_shared(const char *p) { return VA_SHARED + (uint64_t)(p - shared_page); }
uint64_t access_insn(enum access a) { return in_shared(accesses[a].insn); }
static uint64_t address(enum access a) { return VA_TARGET + (a == CROSS ? 0xffc : a == PAIR ? 0xff8 : 0); }

struct outcome access_make(const struct world *w, enum access a) {
  enum { EC_SVC = 0x15, EC_SMC = 0x17 };
  static const unsigned modes[] = {0, 5, 9, 13}; // EL0t, EL1h, EL2h, EL3h
  static struct context x;
  write_sysreg(far_el1, 0);
  write_sysreg(far_el2, 0);
  write_sysreg(far_el3, 0);
  write_sysreg(hpfar_el2, 0);
  write_sysreg(MFAR_EL3, 0);
  x = (struct context){.elr = in_shared(accesses[a].code), .spsr = 0x3c0 | modes[w->el]};
  x.x[0] = STORED_VALUE;
  x.x[1] = address(a);
  x.x[9] = w->el == 0;
  isb();
  enter(&x);
  struct outcome o = {.value = x.x[0], .hpfar = read_sysreg(hpfar_el2), .mfar = read_sysreg(MFAR_EL3)};
  if (x.esr >> 26 != EC_SMC) {
    o.el = 3, o.vector = x.vector, o.esr = x.esr, o.elr = x.elr, o.far = x.far;
    return o;
  }
  unsigned from = x.esr & 0xffff; // SMC's immediate: 0 = the stub, else the Exception level whose vector it was
  if (from == 0 || x.x[11] >> 26 == EC_SVC) return o;
  o.el = from, o.vector = x.x[10], o.esr = x.x[11], o.elr = x.x[12], o.far = x.x[13];
  return o;
}
