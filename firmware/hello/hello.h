// What the parts of the program know of each other. See main.c for what it does.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MAX_PES 8

// ---- machine registers ---------------------------------------------------------------------------------------------------------

#define read_sysreg(name) ({ uint64_t v_; __asm__ volatile("mrs %0, " #name : "=r"(v_)); v_; })
#define write_sysreg(name, value) ({ uint64_t v_ = (value); __asm__ volatile("msr " #name ", %0" : : "r"(v_) : "memory"); })
#define isb() __asm__ volatile("isb" : : : "memory")
#define dsb() __asm__ volatile("dsb sy" : : : "memory")
#define wfi() __asm__ volatile("wfi" : : : "memory")

static inline uint32_t read32(uint64_t a) { return *(volatile uint32_t *)a; }
static inline void write32(uint64_t a, uint32_t v) { *(volatile uint32_t *)a = v; }
static inline uint64_t read64(uint64_t a) { return *(volatile uint64_t *)a; }
static inline void write64(uint64_t a, uint64_t v) { *(volatile uint64_t *)a = v; }

/** 1 or 2. */
static inline unsigned current_el(void) { return (read_sysreg(CurrentEL) >> 2) & 3; }
static inline void unmask_irq(void) { __asm__ volatile("msr daifclr, #2" : : : "memory"); }
static inline void mask_irq(void) { __asm__ volatile("msr daifset, #2" : : : "memory"); }

// ---- fdt.c: the board, as the device tree describes it ----------------------------------------------------------------------------

struct board {
  bool from_tree; // false: there was no device tree, the fields hold what QEMU's virt machine has
  const char *model;
  const char *bootargs;
  uint64_t memory_base, memory_size;
  unsigned pes;
  uint64_t mpidr[MAX_PES]; // affinity fields
  uint64_t uart;
  unsigned uart_interrupt; // INTID
  uint64_t distributor, redistributors, redistributors_size;
  bool psci_by_smc; // else HVC
};

extern struct board board;
void read_board(const void *tree);

// ---- print.c ----------------------------------------------------------------------------------------------------------------------

/** %s, %c, %u (unsigned), %lu (64 bits), %x, %lx, %08x and the like, %%. Newlines become CR LF. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool same(const char *a, const char *b);

// ---- uart.c -----------------------------------------------------------------------------------------------------------------------

void uart_init(void);
void uart_put(char c);
/** Takes received characters from the UART; called by its interrupt. */
void uart_interrupt(void);
/** Waits for a character, in WFI. */
char uart_get(void);

// ---- gic.c ------------------------------------------------------------------------------------------------------------------------

void gic_init(void);
void gic_describe(void);
void gic_enable(unsigned intid);
/** Takes the pending interrupt: its INTID, 1023 when there is none. */
unsigned gic_acknowledge(void);
void gic_end(unsigned intid);

// ---- trap.c -----------------------------------------------------------------------------------------------------------------------

struct frame {
  uint64_t x[31];
  uint64_t elr, spsr;
};
void trap(struct frame *frame, unsigned vector);
/** Reads a word; false when the access faulted (then *esr tells why). */
bool try_read32(uint64_t address, uint32_t *value, uint64_t *esr);
/** Sets the timer of this Exception level, waits in WFI for its interrupt; the ticks that passed, 0 when none came. */
uint64_t timer_wait(uint64_t ticks);
unsigned timer_intid(void);

// ---- psci.c -----------------------------------------------------------------------------------------------------------------------

struct other_pe {
  uint64_t stack; // first: head.S reads it
  uint64_t index;
  volatile uint64_t mpidr, el, ran;
};
int64_t firmware_call(uint32_t function, uint64_t a, uint64_t b, uint64_t c);
void psci_describe(void);
void start_other_pes(void);
void other_pe_main(struct other_pe *pe);
void power_off(void);
void restart(void);

// ---- features.c -------------------------------------------------------------------------------------------------------------------

void describe_cpu(void);
void describe_features(void);
