// What the programs of the labs are made with. Tables, GPT and the way into the four states are those of firmware/rme-matrix.
#pragma once

#include "matrix.h"

/** The page that the labs are about: its physical address. */
#define PAGE TARGET

/** The exercise; main() calls it with the MMU on at EL3. */
void lab(void);

/**
 * Builds all tables anew: `who` maps PAGE, in PA space `space`, and its granule has this GPI. With `where` something else than
 * OUTPUT, a translation table lies in the granule instead of the page itself. Granule protection checks are on afterwards.
 */
void open_page(const struct world *who, enum space space, enum where where, unsigned gpi);
/** Lets `who` make one access to the page and says what came of it. The tables are as open_page left them. */
void look(const struct world *who, enum access access);
/** Gives the granule another GPI; no TLB is told. */
void give_page(unsigned gpi);
/** Ends what open_page began: checks off. */
void close_page(void);

/** TLBI RPAOS: what TLBs know of the granule at `pa`, and of no other, goes. */
void tlbi_rpaos(uint64_t pa);
static inline void nothing(void) {}
