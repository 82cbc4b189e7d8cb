// Lab walk-vs-output: the same read, and four places where a granule can be missing. README.md has the exercise.

#include "lab.h"

// ---- change this line: OUTPUT, S1_L1, S1_L2, S1_L3, S2_L2 or S2_L3 --------------------------------------------------------------------
#ifndef ANSWER
#define ANSWER OUTPUT
#endif
// -------------------------------------------------------------------------------------------------------------------------------------

void lab(void) {
  static const char *const names[] = {
    [OUTPUT] = "the page itself",
    [S1_L1] = "its stage 1 table of level 1",
    [S1_L2] = "its stage 1 table of level 2",
    [S1_L3] = "its stage 1 table of level 3",
    [S2_L2] = "its stage 2 table of level 2",
    [S2_L3] = "its stage 2 table of level 3",
  };
  say("Non-secure EL1 reads a page; %s has been delegated to the Realm world.\n", names[ANSWER]);
  open_page(&ns_el1, NONSECURE, ANSWER, GPI_REALM);
  look(&ns_el1, LOAD);
  close_page();
}
