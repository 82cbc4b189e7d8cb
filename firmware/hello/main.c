// hello: what rme-emu boots when it is given no kernel. It needs nothing but the machine itself: it tells on the console what machine
// it runs on, tries a timer interrupt and the other PEs, and then takes keys. It runs on QEMU's virt machine just as well:
//   qemu-system-aarch64 -M virt,gic-version=3,virtualization=on -cpu max -nographic -kernel hello.img

#include "hello.h"

static void show_machine(void) {
  uint64_t hz = read_sysreg(cntfrq_el0);
  say("  Machine     %s%s\n", board.model, board.from_tree ? "" : ": assuming QEMU's virt");
  if (board.bootargs[0]) say("  Arguments   %s\n", board.bootargs);
  describe_cpu();
  say("  Running at  EL%u, MPIDR 0x%lx\n", current_el(), read_sysreg(mpidr_el1));
  if (board.memory_size) say("  Memory      %lu MiB at 0x%lx\n", board.memory_size >> 20, board.memory_base);
  say("  PEs         %u\n", board.pes);
  gic_describe();
  say("  Counter     %lu.%03lu MHz\n", hz / 1000000, hz / 1000 % 1000);
  psci_describe();
}

static void try_timer(void) {
  uint64_t hz = read_sysreg(cntfrq_el0);
  uint64_t passed = timer_wait(hz / 10);
  if (!passed) {
    say("  Timer       no interrupt came\n");
    return;
  }
  uint64_t tenths = passed / (hz / 10000);
  say("  Timer       set to 100 ms: interrupt %u came after %lu.%lu ms\n", timer_intid(), tenths / 10, tenths % 10);
}

/** Reads a line and takes it as a hexadecimal number; false when it is none. */
static bool ask_hex(uint64_t *value) {
  unsigned digits = 0;
  *value = 0;
  for (;;) {
    char c = uart_get();
    unsigned digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
    if (c == '\r' || c == '\n') {
      say("\n");
      return digits > 0;
    }
    if ((c == 8 || c == 127) && digits > 0) {
      *value >>= 4;
      digits--;
      say("\b \b");
    } else if (digit < 16 && digits < 16) {
      *value = *value << 4 | digit;
      digits++;
      say("%c", c);
    }
  }
}

static char printable(unsigned c) { return c >= 0x20 && c < 0x7f ? (char)c : '.'; }

static void show_memory(void) {
  uint64_t at, esr;
  say("address: 0x");
  if (!ask_hex(&at)) return;
  at &= ~15ull;
  for (unsigned row = 0; row < 8; row++, at += 16) {
    uint32_t words[4];
    say("  %012lx ", at);
    for (unsigned i = 0; i < 4; i++) {
      if (!try_read32(at + 4 * i, &words[i], &esr)) {
        say(" a read there faults (Data Abort, ESR 0x%lx)\n", esr);
        return;
      }
      say(" %08x", words[i]);
    }
    say("  ");
    for (unsigned i = 0; i < 16; i++) say("%c", printable(words[i / 4] >> 8 * (i % 4) & 0xff));
    say("\n");
  }
}

static void help(void) {
  say("  i  this machine again\n"
      "  f  features of the CPU\n"
      "  t  wait for a timer interrupt\n"
      "  c  start the other PEs\n"
      "  m  look at memory\n"
      "  r  restart\n"
      "  q  power off\n");
}

static void command(char c) {
  switch (c) {
    case 'i': show_machine(); break;
    case 'f': describe_features(); break;
    case 't': try_timer(); break;
    case 'c': start_other_pes(); break;
    case 'm': show_memory(); break;
    case 'r': say("Restarting.\n"); restart(); break;
    case 'q': say("Good bye.\n"); power_off(); break;
    default: help(); break;
  }
}

void hello(const void *tree) {
  if (current_el() == 2) {
    write_sysreg(hcr_el2, read_sysreg(hcr_el2) | 1 << 4); // IMO: physical interrupts come to EL2
    isb();
  }
  read_board(tree);
  uart_init();
  gic_init();
  gic_enable(board.uart_interrupt);
  say("\nHello from a bare AArch64 machine.\n\n");
  show_machine();
  describe_features();
  try_timer();
  start_other_pes();
  say("\nType a key: i machine, f features, t timer, c other PEs, m memory, r restart, q power off.\n");
  for (;;) {
    say("hello> ");
    char c = uart_get();
    if (c == '\r' || c == '\n') {
      say("\n");
      continue;
    }
    say("%c\n", printable((unsigned char)c));
    command(c);
  }
}
