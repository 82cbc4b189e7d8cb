// Lab four-views: four states look at one granule. README.md has the exercise.

#include "lab.h"

// ---- change this line: the space in which Root maps the page: SECURE, NONSECURE, ROOT or REALM ------------------------------------------
#ifndef ANSWER
#define ANSWER ROOT
#endif
// -------------------------------------------------------------------------------------------------------------------------------------

static void view(const struct world *who, enum space space, enum access access) {
  open_page(who, space, OUTPUT, GPI_REALM);
  look(who, access);
  close_page();
}

void lab(void) {
  say("The granule belongs to the Realm space.\n");
  view(&realm_el2, REALM, LOAD);
  view(&ns_el2, NONSECURE, LOAD);
  view(&secure_el2, SECURE, LOAD);
  view(&root, ANSWER, LOAD);
}
