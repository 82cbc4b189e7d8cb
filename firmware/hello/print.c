// Formatted output.

#include "hello.h"

#include <stdarg.h>

/** The compiler calls it to clear structures. */
void *memset(void *to, int value, __SIZE_TYPE__ n);
void *memset(void *to, int value, __SIZE_TYPE__ n) {
  for (char *p = to; n > 0; n--) *p++ = (char)value;
  return to;
}

bool same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static void put(char c) {
  if (c == '\n') uart_put('\r');
  uart_put(c);
}

static void number(uint64_t v, unsigned base, int width, char fill) {
  char digits[20];
  int n = 0;
  do digits[n++] = "0123456789abcdef"[v % base];
  while ((v /= base) != 0);
  for (int i = n; i < width; i++) put(fill);
  while (n > 0) put(digits[--n]);
}

static void text(const char *s, int width) {
  int n = 0;
  for (; s[n]; n++) put(s[n]);
  for (; n < width; n++) put(' ');
}

void say(const char *f, ...) {
  va_list args;
  va_start(args, f);
  for (; *f; f++) {
    if (*f != '%') {
      put(*f);
      continue;
    }
    char fill = ' ';
    int width = 0;
    bool wide = false;
    f++;
    if (*f == '-') f++; // text is always left-aligned
    if (*f == '0') fill = *f++;
    for (; *f >= '0' && *f <= '9'; f++) width = width * 10 + (*f - '0');
    if (*f == 'l') wide = true, f++;
    switch (*f) {
      case 's': text(va_arg(args, const char *), width); break;
      case 'c': put((char)va_arg(args, int)); break;
      case 'u': number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), 10, width, fill); break;
      case 'x': number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), 16, width, fill); break;
      default: put(*f); break;
    }
  }
  va_end(args);
}
