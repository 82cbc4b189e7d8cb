// Lab first-gpf: one page, one granule, two states that want to read it. README.md has the exercise.

#include "lab.h"

// ---- change this line: GPI_NONE, GPI_SECURE, GPI_NS, GPI_ROOT, GPI_REALM or GPI_ANY ------------------------------------------------
#ifndef ANSWER
#define ANSWER GPI_ANY
#endif
// -------------------------------------------------------------------------------------------------------------------------------------

/** EL3 builds the tables with the answer in the granule's entry, then goes to the state and reads the page there. */
static void read_as(const struct world *who, enum space space) {
  open_page(who, space, OUTPUT, ANSWER);
  look(who, LOAD);
  close_page();
}

void lab(void) {
  say("The granule at 0x%x has GPI 0x%x.\n", PAGE, ANSWER);
  read_as(&realm_el2, REALM);
  read_as(&ns_el2, NONSECURE);
}
