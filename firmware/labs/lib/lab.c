// See lab.h.

#include "lab.h"

static const char *const states[] = {"Secure", "Non-secure", "Root", "Realm"};
static struct check now;

void open_page(const struct world *who, enum space space, enum where where, unsigned gpi) {
  now = (struct check){.world = who, .pas = space, .where = where, .form = FORM_GRANULES, .gpi = gpi};
  prepare(&now);
}

void give_page(unsigned gpi) {
  *gpt_l1_entry(now.pgs, PAGE) = gpt_granules(now.pgs, PAGE, gpi, GPI_ANY);
  dsb();
}

void close_page(void) { finish(); }

void tlbi_rpaos(uint64_t pa) {
  register uint64_t x0 __asm__("x0") = pa >> 12; // SIZE = 0: 4 KiB
  dsb();
  __asm__ volatile(".inst 0xd50e8460" : : "r"(x0) : "memory"); // TLBI RPAOS, x0
  dsb();
  isb();
}

static void say_status(unsigned status) {
  if (status == 0x28) say("granule protection fault on the access itself");
  else if (status >= 0x24 && status <= 0x27) say("granule protection fault on the table walk, level %u", status & 3);
  else if (status >= 0x0c && status <= 0x0f) say("permission fault, level %u", status & 3);
  else if (status == 0x10) say("synchronous External abort");
  else say("fault status 0x%x", status);
}

static void say_fault(const struct outcome *o) {
  static const char *const gpt[] = {[0] = "address size fault", [2] = "walk fault", [6] = "granule protection fault", [10] = "External abort"};
  unsigned ec = o->esr >> 26 & 63, gpcsc = o->esr >> 14 & 63;
  say(ec == 0x1e ? "granule protection check exception" : ec < 0x24 ? "Instruction Abort" : "Data Abort");
  say(" taken to EL%u: ", o->el);
  if (ec == 0x1e) say("GPT %s at level %u", gpt[(gpcsc >> 1) % 11], gpcsc & 1);
  else say_status(o->esr & 63);
  say("\n      ESR_EL%u = 0x%lx, FAR_EL%u = 0x%lx", o->el, o->esr, o->el, o->far);
  if (o->hpfar) say(", HPFAR_EL2 = 0x%lx", o->hpfar);
  if (o->mfar) say(", MFAR_EL3 = 0x%lx", o->mfar);
}

void look(const struct world *who, enum access access) {
  now.world = who;
  tables_use(&now);
  struct outcome o = access_make(who, access);
  say("  %s EL%u: %s: ", states[who->state], who->el, access_name(access));
  if (o.el) say_fault(&o);
  else if (access == LOAD) say("0x%lx", o.value);
  else say("done");
  say("\n");
}

void unexpected(uint64_t esr, uint64_t elr, uint64_t far);
void unexpected(uint64_t esr, uint64_t elr, uint64_t far) {
  gpc_off();
  say("\nunexpected exception at EL3: ESR_EL3 = 0x%lx, ELR_EL3 = 0x%lx, FAR_EL3 = 0x%lx\n", esr, elr, far);
  power_off();
}

int main(void) {
  mmu_on();
  lab();
  power_off();
}
