// PL011 UART: polled output, input by interrupt into a small ring.

#include "hello.h"

enum { DR = 0x00, FR = 0x18, LCR_H = 0x2c, CR = 0x30, IFLS = 0x34, IMSC = 0x38, ICR = 0x44 };
enum { FR_BUSY = 1 << 3, FR_RXFE = 1 << 4, FR_TXFF = 1 << 5 };
enum { INT_RX = 1 << 4, INT_RT = 1 << 6 };

static volatile char ring[64];
static volatile unsigned head, tail;

void uart_init(void) {
  write32(board.uart + IMSC, 0);
  write32(board.uart + ICR, 0x7ff);
  write32(board.uart + LCR_H, 0x70); // 8 bits, FIFOs on
  write32(board.uart + CR, 0x301);   // UART, transmitter and receiver on
  write32(board.uart + IFLS, 0);     // interrupt when an eighth of the FIFO is full, or after a pause
  write32(board.uart + IMSC, INT_RX | INT_RT);
}

void uart_put(char c) {
  while (read32(board.uart + FR) & FR_TXFF) {}
  write32(board.uart + DR, (unsigned char)c);
}

void uart_interrupt(void) {
  while (!(read32(board.uart + FR) & FR_RXFE)) {
    char c = (char)read32(board.uart + DR);
    if (head - tail < sizeof ring) ring[head++ % sizeof ring] = c;
  }
  write32(board.uart + ICR, INT_RX | INT_RT);
}

char uart_get(void) {
  // Interrupts are masked here: one that comes between the test and the WFI ends the WFI at once.
  while (head == tail) {
    wfi();
    unmask_irq();
    isb();
    mask_irq();
  }
  return ring[tail++ % sizeof ring];
}
