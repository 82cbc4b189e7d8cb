// Output on the PL011, and the end.

#include "matrix.h"

#include <stdarg.h>

enum { UART_DR = 0x00, UART_FR = 0x18, UART_CR = 0x30, FR_TXFF = 1 << 5 };

/** The compiler may call it to clear structures. */
void *memset(void *to, int value, __SIZE_TYPE__ n);
void *memset(void *to, int value, __SIZE_TYPE__ n) {
  for (char *p = to; n > 0; n--) *p++ = (char)value;
  return to;
}
void *memcpy(void *to, const void *from, __SIZE_TYPE__ n);
void *memcpy(void *to, const void *from, __SIZE_TYPE__ n) {
  char *t = to;
  for (const char *f = from; n > 0; n--) *t++ = *f++;
  return to;
}

static void put(char c) {
  while (read32(UART0 + UART_FR) & FR_TXFF) {}
  write32(UART0 + UART_DR, (unsigned char)c);
}

static void number(uint64_t v, unsigned base) {
  char digits[20];
  int n = 0;
  do digits[n++] = "0123456789abcdef"[v % base];
  while ((v /= base) != 0);
  while (n > 0) put(digits[--n]);
}

void say(const char *f, ...) {
  static bool started;
  if (!started) write32(UART0 + UART_CR, 0x301); // UART, transmitter and receiver on
  started = true;
  va_list args;
  va_start(args, f);
  for (; *f; f++) {
    if (*f == '\n') put('\r');
    if (*f != '%') {
      put(*f);
      continue;
    }
    bool wide = *++f == 'l';
    if (wide) f++;
    switch (*f) {
      case 's': for (const char *s = va_arg(args, const char *); *s; s++) put(*s); break;
      case 'u': number(va_arg(args, unsigned), 10); break;
      case 'x': number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), 16); break;
      default: put(*f); break;
    }
  }
  va_end(args);
}

void power_off(void) {
  enum { DATA_PIN0 = 0x004, DIR = 0x400 };
  write32(SECURE_GPIO + DATA_PIN0, 0);
  write32(SECURE_GPIO + DIR, 1);
  write32(SECURE_GPIO + DATA_PIN0, 1);
  for (;;) __asm__ volatile("wfi");
}
