// Lab missing-tlbi: a page goes to the Realm world and back. README.md has the exercise.

#include "lab.h"

// ---- change this line: nothing(), tlbi_rpaos(PAGE), tlbi_rpaos(PAGE + 0x1000) or tlbi_paall() ---------------------------------------------
#ifndef ANSWER
#define ANSWER nothing()
#endif
// -------------------------------------------------------------------------------------------------------------------------------------

void lab(void) {
  say("The host owns the page and uses it.\n");
  open_page(&ns_el2, NONSECURE, OUTPUT, GPI_NS);
  look(&ns_el2, LOAD);

  say("Delegated: the entry of the granule says Realm now.\n");
  give_page(GPI_REALM);
  ANSWER;
  look(&realm_el2, STORE); // the secret of a realm: 0x5555
  look(&ns_el2, LOAD);     // the host is curious

  say("Wiped, undelegated: the host owns the page again.\n");
  look(&realm_el2, ZVA);
  give_page(GPI_NS);
  tlbi_paall();
  look(&ns_el2, LOAD);
  close_page();
}
