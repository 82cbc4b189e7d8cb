// The matrix: which checks are made. Each section varies a few dimensions fully and keeps the others where they matter least.

#include "matrix.h"

static const enum access data_and_code[] = {LOAD, STORE, FETCH, ATOMIC};

/** The GPI that lets only `pas` through. */
static unsigned gpi_of(enum space pas) { return GPI_SECURE | pas; }

/** Every state against every PA space it can reach, every GPI; all accesses by turns. */
void section_gpi(void) {
  for (unsigned gpi = 0; gpi < 16; gpi++)
    for (unsigned w = 0; w < WORLDS; w++)
      for (unsigned pas = 0; pas < 4; pas++) {
        if (!reaches(worlds[w], pas)) continue;
        struct check c = {.section = "gpi", .world = worlds[w], .pas = pas, .form = FORM_GRANULES, .gpi = gpi};
        c.access = data_and_code[(gpi + w + pas) % 3];
        run(&c);
      }
}

/** Every form of entry at every granule size, every GPI. */
void section_form(void) {
  static const struct world *const by_turns[] = {&root, &realm_el2, &ns_el1, &secure_el1, &ns_el2, &realm_el1};
  for (enum pgs pgs = PGS_4K; pgs <= PGS_16K; pgs++)
    for (enum form form = FORM_BLOCK; form <= FORM_512M; form++) {
      if (form == FORM_BLOCK && gpt_region_bits() == 39) continue; // the second region is the PCIe window of the board
      for (unsigned gpi = 0; gpi < 16; gpi++) {
        struct check c = {.section = "form", .pgs = pgs, .form = form, .gpi = gpi};
        c.world = by_turns[(gpi + form + pgs) % 6];
        c.pas = c.world->state;
        c.access = data_and_code[(gpi + pgs) % 4];
        if (c.access == ATOMIC && form == FORM_BLOCK && gpt_region_bits() > 30) c.access = LOAD; // no memory there
        run(&c);
      }
      // The GPI that fits, by the world that it fits.
      for (unsigned w = 0; w < 6; w++) {
        const struct world *world = by_turns[w];
        run(&(struct check){.section = "form-own", .world = world, .pas = world->state, .pgs = pgs, .form = form,
          .gpi = gpi_of(world->state), .access = STORE});
      }
    }
}

/** Every kind of access: let through, refused, refused with SCR_EL3.GPF, refused with HCR_EL2.GPF; and by a broken entry. */
void section_access(void) {
  for (unsigned w = 0; w < WORLDS; w++)
    for (unsigned pas = 0; pas < 4; pas++) {
      const struct world *world = worlds[w];
      if (!reaches(world, pas)) continue;
      for (enum access a = LOAD; a <= PREFETCH; a++) {
        struct check c = {.section = "access", .world = world, .pas = pas, .form = FORM_GRANULES, .access = a};
        // A granule of its own space only, whose neighbour is closed: an access across the boundary faults on its second part.
        c.gpi = gpi_of(pas);
        run(&c);
        c.gpi = gpi_of(pas ^ 3);
        run(&c);
        c.route = ROUTE_SCR;
        run(&c);
        if (pas != world->state) continue;
        c.route = ROUTE_HCR;
        run(&c);
        c.route = ROUTE_SCR | ROUTE_HCR;
        run(&c);
        c.route = ROUTE_ABORT;
        c.gpi = 2; // reserved
        run(&c);
      }
    }
}

/** A table of the translation in the granule: every table that can lie there, load and fetch, all routings, GPF and broken entry. */
void section_walk(void) {
  static const enum access accesses[] = {LOAD, FETCH, STORE};
  for (unsigned w = 0; w < WORLDS; w++)
    for (enum where where = S1_L0; where <= W_L3; where++)
      for (unsigned kind = 0; kind < 4; kind++)
        for (unsigned route = 0; route < 4; route++) {
          const struct world *world = worlds[w];
          struct check c = {.section = "walk", .world = world, .pas = world->state, .where = where, .form = FORM_GRANULES, .route = route};
          c.gpi = kind == 0 ? gpi_of(world->state) : kind == 1 ? GPI_NONE : kind == 2 ? gpi_of(world->state ^ 1) : 3;
          c.access = accesses[(route + kind) % 3];
          if (where >= S2_L1 && !has_stage2(world)) continue;
          if (world->el == 3 && (where == S1_L0 || route)) continue;
          // With its first table out of reach a state cannot even run its exception vectors.
          bool own_vectors = world->el == 2 ? !(route & ROUTE_SCR) : has_stage2(world) ? !route : !(route & ROUTE_SCR);
          if (where == S1_L0 && kind != 0 && kind != 3 && own_vectors) continue;
          if (kind == 3 && route) continue;
          run(&c);
        }
}

/** Hardware updates of the Access flag and of dirty state, with the output or the table in the granule. */
void section_update(void) {
  for (unsigned w = 0; w < WORLDS; w++) {
    const struct world *world = worlds[w];
    static const char *const names[] = {"update-s1-af", "update-s1-dirty", "update-s2-af", "update-s2-dirty"};
    struct check c = {.world = world, .pas = world->state, .form = FORM_GRANULES};
    for (unsigned kind = 0; kind < 4; kind++) {
      static const unsigned updates[] = {UPDATE_S1_AF, UPDATE_S1_AF | UPDATE_S1_DIRTY, UPDATE_S2_AF, UPDATE_S2_AF | UPDATE_S2_DIRTY};
      c.section = names[kind];
      c.update = updates[kind];
      if (kind >= 2 && !has_stage2(world)) continue;
      for (unsigned allowed = 0; allowed < 2; allowed++)
        for (unsigned a = 0; a < 2; a++)
          for (unsigned table = 0; table < 2; table++) {
            c.gpi = allowed ? gpi_of(world->state) : GPI_NONE;
            c.where = !table ? OUTPUT : kind < 2 ? S1_L3 : S2_L3;
            c.access = a ? STORE : LOAD;
            run(&c);
          }
    }
  }
}

/** AT: results in PAR_EL1, and what is reported as an exception instead. */
void section_at(void) {
  static const struct { enum access at; const struct world *w; } ats[] = {
    {AT_E1R, &ns_el1},    {AT_E1W, &ns_el1},    {AT_E0R, &ns_el1},     {AT_E1R, &realm_el1}, {AT_E0R, &realm_el1},
    {AT_E1R, &secure_el1}, {AT_E2R, &ns_el2},   {AT_E2W, &ns_el2},     {AT_E2R, &realm_el2}, {AT_E2W, &realm_el2},
    {AT_E2R, &secure_el2}, {AT_E2R, &ns_host},  {AT_E3R, &root},
  };
  for (unsigned i = 0; i < sizeof ats / sizeof *ats; i++)
    for (unsigned pas = 0; pas < 4; pas++) {
      const struct world *w = ats[i].w;
      if (!reaches(w, pas)) continue;
      struct check c = {.section = "at", .world = w, .pas = pas, .access = ats[i].at, .form = FORM_GRANULES};
      static const enum where places[] = {OUTPUT, S1_L1, S1_L2, S1_L3, S2_L2, S2_L3, W_L3};
      for (unsigned p = 0; p < 7; p++) {
        c.where = places[p];
        if (c.where >= S2_L1 && !has_stage2(w)) continue;
        if (c.where != OUTPUT && pas != w->state) continue;
        for (unsigned kind = 0; kind < 3; kind++) {
          c.gpi = kind == 0 ? gpi_of(c.where == OUTPUT ? pas : w->state) : kind == 1 ? GPI_NONE : 3;
          for (c.route = 0; c.route < 4; c.route++) {
            if (c.route && kind != 1) continue;
            if (c.route && w->el == 3) continue;
            run(&c);
          }
          c.route = 0;
        }
      }
    }
}


/** A device reads and writes: every granule size, form and GPI; the bits of GPC2 that concern its PA space. */
void section_dma(void) {
  enum { NSPAD = 1 << 6, SPAD = 1 << 7, NSO = 1 << 19 };
  static const struct world device = {"device", NONSECURE, 0, false};
  static const struct { const char *label; unsigned gpi, gpccr; } more[] = {
    {"nso/nso", GPI_NSO, NSO}, {"nso/any", GPI_ANY, NSO}, {"nspad/any", GPI_ANY, NSPAD}, {"nspad/ns", GPI_NS, NSPAD}, {"spad/any", GPI_ANY, SPAD},
  };
  if (!device_find()) return;
  struct check c = {.section = "dma", .world = &device, .pas = NONSECURE};
  for (c.pgs = PGS_4K; c.pgs <= PGS_16K; c.pgs++)
    for (c.form = FORM_BLOCK; c.form <= FORM_512M; c.form++)
      for (c.gpi = 0; c.gpi < 16; c.gpi++)
        for (c.access = LOAD; c.access <= STORE; c.access++)
          if (c.form != FORM_BLOCK || gpt_region_bits() == 30) run_device(&c);
  if ((read_sysreg(id_aa64pfr0_el1) >> 52 & 15) < 2) return;
  c = (struct check){.section = "dma-gpc2", .world = &device, .pas = NONSECURE, .form = FORM_GRANULES};
  for (unsigned i = 0; i < sizeof more / sizeof *more; i++)
    for (c.access = LOAD; c.access <= STORE; c.access++) {
      c.label = more[i].label;
      c.gpi = more[i].gpi;
      c.gpccr = GPCCR_BASE | more[i].gpccr;
      run_device(&c);
    }
}

/** PA sizes: addresses above PPS, and addresses below it where nothing is. */
void section_size(void) {
  static const struct { const char *name; unsigned pps, bits; } sizes[] = {{"32", 0, 32}, {"36", 1, 36}, {"40", 2, 40}, {"42", 3, 42},
    {"44", 4, 44}};
  for (unsigned i = 0; i < 5; i++)
    for (unsigned w = 0; w < WORLDS; w++)
      for (unsigned pas = 0; pas < 4; pas++) {
        const struct world *world = worlds[w];
        if (!reaches(world, pas) || world->host || world->el == 0) continue;
        if ((read64(MAILBOX) & MAILBOX_QEMU) && sizes[i].bits <= gpt_region_bits()) continue;
        struct check c = {.section = "above-pps", .label = sizes[i].name, .world = world, .pas = pas, .form = FORM_GRANULES,
          .gpi = GPI_ANY};
        c.gpccr = (GPCCR_BASE & ~7u) | sizes[i].pps;
        c.output = (1ull << sizes[i].bits) + 0x432000;
        c.access = data_and_code[(w + pas + i) % 3];
        run(&c);
        c.route = ROUTE_SCR;
        run(&c);
      }
  for (unsigned w = 0; w < WORLDS; w++)
    for (unsigned pas = 0; pas < 4; pas++) {
      struct check c = {.section = "nothing-there", .label = "any", .world = worlds[w], .pas = pas, .form = FORM_GRANULES,
        .output = NOWHERE + 0x2000};
      if (!reaches(worlds[w], pas) || gpt_region_bits() > 30) continue;
      gpt_l0_entry(NOWHERE)[0] = GPI_ANY << 4 | 1;
      run(&c);
      c.label = "none";
      gpt_l0_entry(NOWHERE)[0] = GPI_NONE << 4 | 1;
      run(&c);
    }
}

// ---- malformed entries -----------------------------------------------------------------------------------------------------------------

static uint64_t raw_entry;
static void set_l0(const struct check *c) { *gpt_l0_entry(gpt_target(c->form)) = raw_entry; }
/** The same, and the table that the entry points to lets everything through, should it be used. */
static void set_l0_and_table(const struct check *c) {
  set_l0(c);
  volatile uint64_t *usual = gpt_l1_entry(c->pgs, TARGET);
  usual[((raw_entry & ~0xfffull) - GPT_L1) / 8] = GPI_ANY * 0x1111111111111111ull;
  *usual = 0;
}
static void set_l1(const struct check *c) { *gpt_l1_entry(c->pgs, gpt_target(c->form)) = raw_entry; }

struct entry {
  const char *name;
  uint64_t value;
};

static void run_entries(const char *section, const struct entry *entries, unsigned n, void (*change)(const struct check *), enum pgs pgs) {
  static const struct world *const by[] = {&root, &ns_el1, &realm_el2, &secure_el1, &realm_el0};
  static const enum access how[] = {LOAD, STORE, FETCH, LOAD, LOAD};
  for (unsigned i = 0; i < n; i++)
    for (unsigned w = 0; w < 5; w++) {
      raw_entry = entries[i].value;
      run(&(struct check){.section = section, .label = entries[i].name, .world = by[w], .pas = by[w]->state, .access = how[w], .pgs = pgs,
                          .form = FORM_GRANULES, .gpi = GPI_ANY, .change = change});
      if (w < 3) // the same on a walk
        run(&(struct check){.section = section, .label = entries[i].name, .world = by[w], .pas = by[w]->state, .access = how[w], .pgs = pgs,
                            .form = FORM_GRANULES, .gpi = GPI_ANY, .change = change, .where = S1_L3});
    }
}

void section_malformed(void) {
  static const struct entry level0[] = {
    {"type-0",           0x0},
    {"type-2",           0x2},
    {"type-4",           0xf4},
    {"type-5",           0xf5},
    {"type-7",           0xf7},
    {"type-8",           0xf8},
    {"type-9",           0xf9},
    {"type-f",           0xff},
    {"block-bit8",       0x1f1},
    {"block-bit9",       0x2f1},
    {"block-bit12",      0x10f1},
    {"block-bit63",      0x80000000000000f1},
    {"block-gpi-1",      0x11},
    {"block-gpi-3",      0x31},
    {"block-gpi-4",      0x41},
    {"block-gpi-7",      0x71},
    {"block-gpi-c",      0xc1},
    {"block-gpi-d",      0xd1},
    {"block-gpi-e",      0xe1},
    {"table-bit4",       GPT_L1 | 0x13},
    {"table-bit11",      GPT_L1 | 0x803},
    {"table-bit52",      GPT_L1 | 3 | 1ull << 52},
    {"table-bit63",      GPT_L1 | 3 | 1ull << 63},
    {"table-misaligned", (GPT_L1 + 0x1000) | 3},
    {"table-above-pps",  1ull << 40 | GPT_L1 | 3},
    {"table-above-pa",   1ull << 48 | GPT_L1 | 3},
    {"table-nowhere",    NOWHERE | 3},
  };
  static const struct entry level1[] = {
    {"contig-0",            0x0f1},
    {"contig-bit10",        0x5f1},
    {"contig-bit32",        0x1000001f1},
    {"contig-bit63",        0x80000000000001f1},
    {"contig-gpi-1",        0x111},
    {"contig-gpi-5",        0x151},
    {"contig-gpi-6",        0x161},
    {"contig-gpi-c",        0x1c1},
    {"contig-gpi-d",        0x1d1},
    {"contig-gpi-e",        0x1e1},
    {"contig-gpi-0-bits",   0x501},
    {"granule-15-reserved", 0xcfffffffffffffff},
    {"granule-0-reserved",  0xfffffffffffffff2},
    {"granule-0-is-3",      0xfffffffffffffff3},
    {"granule-7-reserved",  0xffffffff1fffffff},
    {"all-reserved",        0x4444444444444444},
    {"only-own-reserved",   0xfffffffffffff6ff},
    {"granule-9-nso",       0xffffffdfffffffff},
  };
  if (gpt_region_bits() == 30) run_entries("malformed-l0", level0, sizeof level0 / sizeof *level0, set_l0, PGS_4K);
  run_entries("malformed-l1", level1, sizeof level1 / sizeof *level1, set_l1, PGS_4K);
  if (gpt_region_bits() != 30) return;
  // The alignment of a level-1 table follows from the granule size: 128 KiB, 8 KiB and 32 KiB for regions of 1 GiB.
  static const struct entry aligned[] = {
    {"table+4k",   (GPT_L1 + 0x1000) | 3},
    {"table+8k",   (GPT_L1 + 0x2000) | 3},
    {"table+16k",  (GPT_L1 + 0x4000) | 3},
    {"table+32k",  (GPT_L1 + 0x8000) | 3},
    {"table+64k",  (GPT_L1 + 0x10000) | 3},
    {"table+128k", (GPT_L1 + 0x20000) | 3},
  };
  run_entries("alignment-4k", aligned, 6, set_l0_and_table, PGS_4K);
  run_entries("alignment-64k", aligned, 6, set_l0_and_table, PGS_64K);
  run_entries("alignment-16k", aligned, 6, set_l0_and_table, PGS_16K);
}

// ---- maintenance -----------------------------------------------------------------------------------------------------------------------

static void set_granule(const struct check *c, unsigned gpi) {
  *gpt_l1_entry(c->pgs, TARGET) = gpt_granules(c->pgs, TARGET, gpi, GPI_ANY);
  dsb();
}

/** TLBI RPAOS (last false) or RPALOS of `size` (0 = 4K ... 9 = 512G) at `pa`. */
static void tlbi_range(bool last, uint64_t pa, uint64_t size) {
  register uint64_t x0 __asm__("x0") = size << 44 | pa >> 12;
  dsb();
  if (last) __asm__ volatile(".inst 0xd50e84e0" : : "r"(x0) : "memory");
  else __asm__ volatile(".inst 0xd50e8460" : : "r"(x0) : "memory");
  dsb();
  isb();
}
static void tlbi_paallos(void) {
  dsb();
  __asm__ volatile(".inst 0xd50e819f" : : : "memory");
  dsb();
  isb();
}

/** Used, then closed: the line "stale" shows whether the old permission still holds (an implementation may), "after" must fault. */
static void used_then_closed(struct check *c, void (*invalidate)(unsigned), unsigned n) {
  prepare(c);
  set_granule(c, gpi_of(c->pas));
  tlbi_paall();
  attempt(c, "before");
  set_granule(c, GPI_NONE);
  attempt(c, "stale");
  invalidate(n);
  attempt(c, "after");
  set_granule(c, GPI_ANY);
  tlbi_paall();
  attempt(c, "open");
  finish();
}

static void by_paall(unsigned n) { if (n) tlbi_paallos(); else tlbi_paall(); }
static const uint64_t range_bytes[] = {1ull << 12, 1ull << 16, 1ull << 14, 1ull << 21, 1ull << 25, 1ull << 29, 1ull << 30, 1ull << 34,
  1ull << 36, 1ull << 39};
static void by_rpaos(unsigned size) { tlbi_range(false, TARGET & ~(range_bytes[size] - 1), size); }
static void by_rpalos(unsigned size) { tlbi_range(true, TARGET & ~(range_bytes[size] - 1), size); }

void section_tlbi(void) {
  static const char *const sizes[] = {"4k", "64k", "16k", "2m", "32m", "512m", "1g", "16g", "64g", "512g"};
  static const struct world *const by[] = {&root, &realm_el2, &realm_el1, &ns_el2, &ns_el1, &ns_el0, &secure_el2, &secure_el1};
  for (unsigned w = 0; w < 8; w++) {
    struct check c = {.section = "tlbi-paall", .label = "all", .world = by[w], .pas = by[w]->state, .form = FORM_GRANULES, .gpi = GPI_ANY};
    for (enum access a = LOAD; a <= FETCH; a++) {
      c.access = a;
      c.section = "tlbi-paall";
      used_then_closed(&c, by_paall, 0);
      c.section = "tlbi-paallos";
      used_then_closed(&c, by_paall, 1);
    }
  }
  for (unsigned size = 0; size < 10; size++)
    for (unsigned last = 0; last < 2; last++) {
      const struct world *world = by[(size + last) % 8];
      struct check c = {.section = last ? "tlbi-rpalos" : "tlbi-rpaos", .label = sizes[size], .world = world, .pas = world->state,
        .form = FORM_GRANULES, .gpi = GPI_ANY};
      c.access = data_and_code[size % 3];
      used_then_closed(&c, last ? by_rpalos : by_rpaos, size);
    }
}

// ---- FEAT_RME_GPC2, FEAT_RME_GPC3 ----------------------------------------------------------------------------------------------------------

enum { RLPAD = 1 << 5, NSPAD = 1 << 6, SPAD = 1 << 7, NSO = 1 << 19, APPSAA = 1 << 24, GPCBW_ON = 1 << 29 };

static void every_world(struct check *c) {
  for (unsigned w = 0; w < WORLDS; w++)
    for (unsigned pas = 0; pas < 4; pas++) {
      if (!reaches(worlds[w], pas)) continue;
      c->world = worlds[w];
      c->pas = pas;
      run(c);
    }
}

void section_gpc2(void) {
  struct check c = {.form = FORM_GRANULES, .gpi = GPI_NSO, .gpccr = GPCCR_BASE | NSO};
  c.section = "nso";
  for (c.access = LOAD; c.access <= FETCH; c.access++) every_world(&c);
  c.access = LOAD;
  c.form = FORM_2M;
  every_world(&c);
  c.form = FORM_GRANULES;
  c.gpi = GPI_ANY;
  static const struct { const char *name, *reserved; unsigned bit; } pads[] = {
    {"rlpad/any", "rlpad/reserved", RLPAD}, {"nspad/any", "nspad/reserved", NSPAD}, {"spad/any", "spad/reserved", SPAD},
  };
  for (unsigned i = 0; i < 3; i++) {
    c.section = "space-disabled";
    c.gpccr = GPCCR_BASE | pads[i].bit;
    for (unsigned w = 0; w < WORLDS; w++)
      for (unsigned pas = 0; pas < 4; pas++) {
        // A state whose own space is off cannot fetch; only EL3 and other spaces are looked at.
        enum space off = i == 0 ? REALM : i == 1 ? NONSECURE : SECURE;
        if (!reaches(worlds[w], pas) || worlds[w]->state == off) continue;
        c.world = worlds[w];
        c.pas = pas;
        c.label = pads[i].name;
        c.gpi = GPI_ANY;
        run(&c);
        c.label = pads[i].reserved; // the space is looked at before the table
        c.gpi = 2;
        run(&c);
      }
  }
  c.section = "appsaa";
  c.label = "40";
  c.gpi = GPI_ANY;
  c.gpccr = GPCCR_BASE | APPSAA;
  c.output = (1ull << 40) + 0x432000;
  every_world(&c);
}

static uint64_t bypass;
static void set_bypass(const struct check *c) {
  (void)c;
  write_sysreg(GPCBW_EL3, bypass);
}

void section_gpc3(void) {
  // The window: 1 GiB at the target's region (no stride), at another place, every 1 TiB, and 2 GiB from 2 GiB on.
  static const struct { const char *none, *reserved; uint64_t gpcbw; } windows[] = {
    {"1g/none", "1g/reserved", 16ull << 32 | 2},
    {"elsewhere/none", "elsewhere/reserved", 16ull << 32 | 3},
    {"1g-each-1t/none", "1g-each-1t/reserved", 2},
    {"2g/none", "2g/reserved", 1ull << 37 | 16ull << 32 | 2},
  };
  for (unsigned i = 0; i < 4; i++) {
    struct check c = {.section = "bypass", .label = windows[i].none, .form = FORM_GRANULES, .gpi = GPI_NONE,
      .gpccr = GPCCR_BASE | GPCBW_ON, .change = set_bypass};
    bypass = windows[i].gpcbw;
    every_world(&c);
    c.label = windows[i].reserved;
    c.gpi = 2;
    c.access = STORE;
    every_world(&c);
  }
  struct check off = {.section = "bypass", .label = "off/none", .form = FORM_GRANULES, .gpi = GPI_NONE, .change = set_bypass};
  every_world(&off);
}
