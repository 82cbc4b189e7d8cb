// PL011 UART of QEMU's virt machine. Input waits in WFI: its interrupt is enabled up to the PE, and never taken.

#include "bench.h"

#define UART 0x09000000u
#define DISTRIBUTOR 0x08000000u
#define REDISTRIBUTOR 0x080a0000u
enum { DR = 0x00, FR = 0x18, LCR_H = 0x2c, CR = 0x30, IFLS = 0x34, IMSC = 0x38, ICR = 0x44 };
enum { FR_RXFE = 1 << 4, FR_TXFF = 1 << 5, INT_RX = 1 << 4, INT_RT = 1 << 6 };
enum { GICD_CTLR = 0x0, GICD_IGROUPR = 0x80, GICD_ISENABLER = 0x100, GICD_IPRIORITYR = 0x400, GICD_IROUTER = 0x6000, GICR_WAKER = 0x14 };
/** SPI 1. */
enum { UART_INTID = 33 };

static uint32_t read32(uint64_t a) { return *(volatile uint32_t *)a; }
static void write32(uint64_t a, uint32_t v) { *(volatile uint32_t *)a = v; }

static void gic_init(void) {
  write_sysreg(S3_0_C12_C12_5, 1); // ICC_SRE_EL1.SRE
  isb();
  write32(DISTRIBUTOR + GICD_CTLR, 0x12); // ARE, EnableGrp1
  write32(REDISTRIBUTOR + GICR_WAKER, read32(REDISTRIBUTOR + GICR_WAKER) & ~2u);
  while (read32(REDISTRIBUTOR + GICR_WAKER) & 4) {}
  write32(DISTRIBUTOR + GICD_IGROUPR + 4, 1u << (UART_INTID - 32));
  *(volatile uint8_t *)(uint64_t)(DISTRIBUTOR + GICD_IPRIORITYR + UART_INTID) = 0xa0;
  *(volatile uint64_t *)(uint64_t)(DISTRIBUTOR + GICD_IROUTER + 8 * UART_INTID) = read_sysreg(mpidr_el1) & 0xff00ffffff;
  write32(DISTRIBUTOR + GICD_ISENABLER + 4, 1u << (UART_INTID - 32));
  write_sysreg(S3_0_C4_C6_0, 0xff); // ICC_PMR_EL1: every priority passes
  write_sysreg(S3_0_C12_C12_7, 1);  // ICC_IGRPEN1_EL1
  isb();
}

void console_init(void) {
  gic_init();
  write32(UART + ICR, 0x7ff);
  write32(UART + LCR_H, 0x70); // 8 bits, FIFOs on
  write32(UART + CR, 0x301);   // UART, transmitter and receiver on
  write32(UART + IFLS, 0);     // interrupt when an eighth of the FIFO is full, or after a pause
  write32(UART + IMSC, INT_RX | INT_RT);
}

void put(char c) {
  if (c == '\n') put('\r');
  while (read32(UART + FR) & FR_TXFF) {}
  write32(UART + DR, (uint8_t)c);
}

char get(void) {
  while (read32(UART + FR) & FR_RXFE) {
    dsb();
    wfi(); // ends at an interrupt that is pending, though interrupts are masked
  }
  write32(UART + ICR, INT_RT);
  return (char)read32(UART + DR);
}

void say(const char *text) {
  while (*text) put(*text++);
}

void say_hex(uint64_t value, unsigned digits) {
  while (digits-- > 0) put("0123456789abcdef"[value >> 4 * digits & 15]);
}

void say_decimal(uint64_t value) {
  if (value >= 10) say_decimal(value / 10);
  put((char)('0' + value % 10));
}
