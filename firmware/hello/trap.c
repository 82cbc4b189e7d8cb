// Exceptions of this Exception level: interrupts of timer and UART; faults of try_read32 are expected, others are reported.

#include "hello.h"

static volatile bool fault_expected, faulted;
static volatile uint64_t fault_esr;
static volatile bool timer_fired;

// The timer that belongs to the Exception level: CNTHP at EL2 (PPI 26), CNTV at EL1 (PPI 27).
enum { TIMER_ENABLE = 1, TIMER_IMASK = 2 };
unsigned timer_intid(void) { return current_el() == 2 ? 26 : 27; }

static void timer_set(uint64_t ticks, uint64_t control) {
  if (current_el() == 2) {
    write_sysreg(cnthp_cval_el2, read_sysreg(cntpct_el0) + ticks);
    write_sysreg(cnthp_ctl_el2, control);
  } else {
    write_sysreg(cntv_cval_el0, read_sysreg(cntvct_el0) + ticks);
    write_sysreg(cntv_ctl_el0, control);
  }
  isb();
}

static uint64_t now(void) {
  isb();
  return current_el() == 2 ? read_sysreg(cntpct_el0) : read_sysreg(cntvct_el0);
}

uint64_t timer_wait(uint64_t ticks) {
  timer_fired = false;
  gic_enable(timer_intid());
  uint64_t start = now();
  timer_set(ticks, TIMER_ENABLE);
  while (!timer_fired && now() - start < 4 * ticks) {
    wfi(); // interrupts are masked: one that is pending ends the wait
    unmask_irq();
    isb();
    mask_irq();
  }
  uint64_t passed = now() - start;
  timer_set(0, 0);
  return timer_fired ? passed : 0;
}

static void interrupt(void) {
  for (;;) {
    unsigned intid = gic_acknowledge();
    if (intid >= 1020) return;
    if (intid == timer_intid()) {
      timer_set(0, TIMER_IMASK);
      timer_fired = true;
    } else if (intid == board.uart_interrupt) {
      uart_interrupt();
    }
    gic_end(intid);
  }
}

void trap(struct frame *frame, unsigned vector) {
  if (vector % 4 == 1) {
    interrupt();
    return;
  }
  uint64_t esr = current_el() == 2 ? read_sysreg(esr_el2) : read_sysreg(esr_el1);
  uint64_t far = current_el() == 2 ? read_sysreg(far_el2) : read_sysreg(far_el1);
  if (fault_expected && (esr >> 26 & 63) == 0x25) { // Data Abort from the same level
    faulted = true;
    fault_esr = esr;
    frame->elr += 4;
    return;
  }
  static bool reported;
  if (reported) for (;;) wfi(); // the report itself failed
  reported = true;
  say("\n*** unexpected exception (vector %u): ESR %lx, FAR %lx, ELR %lx, SPSR %lx\n", vector, esr, far, frame->elr, frame->spsr);
  power_off();
}

bool try_read32(uint64_t address, uint32_t *value, uint64_t *esr) {
  faulted = false;
  fault_expected = true;
  *value = read32(address);
  dsb();
  isb();
  fault_expected = false;
  *esr = fault_esr;
  return !faulted;
}
