// A realm that says what it sees: the Realm Services Interface, its configuration and measurement, memory shared with the host, a host
// call, a second PE. It prints through the emulated UART of either guest board and powers off.

#include <stdbool.h>
#include <stdint.h>

enum { PAGE = 4096, HASH_SHA_512 = 1, RIPAS_EMPTY = 0, RIPAS_RAM = 1, CHANGE_DESTROYED = 1 };

#define RSI_VERSION 0xc4000190u
#define RSI_MEASUREMENT_READ 0xc4000192u
#define RSI_REALM_CONFIG 0xc4000196u
#define RSI_IPA_STATE_SET 0xc4000197u
#define RSI_HOST_CALL 0xc4000199u
#define PSCI_CPU_ON 0xc4000003u
#define PSCI_SYSTEM_OFF 0x84000008u
#define SMCCC_VERSION 0x80000000u

uint64_t smc(uint64_t regs[9]);
extern __attribute__((visibility("hidden"))) char secondary_start[], second_stack_top[];

struct realm_config {
  uint64_t ipa_width;
  uint8_t hash;
  uint8_t pad[0x1f7];
  uint8_t rpv[64];
  uint8_t rest[PAGE - 0x240];
};

static struct realm_config config __attribute__((aligned(PAGE)));
static uint8_t shared_page[PAGE] __attribute__((aligned(PAGE)));
static uint64_t host_call[32] __attribute__((aligned(256)));
static volatile uint32_t second_is_up;

static volatile uint8_t *uart;
static bool pl011;
static uint64_t shared_bit;

static void put(char c) {
  if (pl011) *(volatile uint32_t *)uart = (uint8_t)c;
  else *uart = (uint8_t)c;
}
static void text(const char *s) {
  for (; *s; s++) put(*s);
}
static void hex(uint64_t v, int digits) {
  for (int i = digits - 1; i >= 0; i--) put("0123456789abcdef"[(v >> (4 * i)) & 15]);
}
static void decimal(uint64_t v) {
  if (v >= 10) decimal(v / 10);
  put((char)('0' + v % 10));
}
static void line(const char *what, uint64_t v) {
  text(what);
  text(" 0x");
  hex(v, 1 + (v > 0xf) + (v > 0xff) * 2 + (v > 0xffff) * 12);
  put('\n');
}

static uint64_t call(uint64_t regs[9], uint64_t fid, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  regs[0] = fid;
  regs[1] = a;
  regs[2] = b;
  regs[3] = c;
  regs[4] = d;
  for (int i = 5; i < 9; i++) regs[i] = 0;
  return smc(regs);
}

/** Answers the last status; stops early when the host rejects. */
static uint64_t set_ripas(uint64_t base, uint64_t top, unsigned ripas) {
  uint64_t r[9];
  while (base < top) {
    if (call(r, RSI_IPA_STATE_SET, base, top, ripas, CHANGE_DESTROYED)) return r[0];
    if (r[2]) return 0x100;
    base = r[1];
  }
  return 0;
}

static void print_measurement(void) {
  uint64_t r[9];
  line("measurement read:", call(r, RSI_MEASUREMENT_READ, 0, 0, 0, 0));
  text("RIM ");
  int words = config.hash == HASH_SHA_512 ? 8 : 4;
  for (int w = 0; w < words; w++)
    for (int b = 0; b < 8; b++) hex((r[1 + w] >> (8 * b)) & 0xff, 2);
  put('\n');
}

/** A page is shared, used through its alias, and taken back: then it is zero. */
static void share(void) {
  uint64_t at = (uint64_t)shared_page;
  shared_page[0] = 0x5a;
  line("share:", set_ripas(at, at + PAGE, RIPAS_EMPTY));
  volatile uint64_t *alias = (volatile uint64_t *)(at | shared_bit);
  line("shared page at first:", alias[0]);
  alias[0] = 0x1234;
  line("shared page:", alias[0]);
  line("take back:", set_ripas(at, at + PAGE, RIPAS_RAM));
  line("page taken back:", *(volatile uint64_t *)at);
}

void secondary_main(void) {
  text("second PE is up\n");
  second_is_up = 1;
  for (;;) __asm__ volatile("wfi");
}

void realm_main(uint64_t dtb) {
  uint64_t r[9];
  uint64_t version_status = call(r, RSI_VERSION, 0x10000, 0, 0, 0);
  uint64_t version = r[1];
  uint64_t config_status = call(r, RSI_REALM_CONFIG, (uint64_t)&config, 0, 0, 0);
  shared_bit = 1ull << (config.ipa_width - 1);
  pl011 = dtb < 0x80000000;
  uart = (volatile uint8_t *)((pl011 ? 0x09000000u : 0x01000000u) | shared_bit);

  text("realm-hello\n");
  line("RSI version status:", version_status);
  line("RSI version:", version);
  line("realm config status:", config_status);
  text("IPA width ");
  decimal(config.ipa_width);
  text(config.hash == HASH_SHA_512 ? ", SHA-512\n" : ", SHA-256\n");
  text("RPV ");
  for (int i = 0; i < 64; i++) hex(config.rpv[i], 2);
  put('\n');
  print_measurement();
  share();
  host_call[1] = SMCCC_VERSION;
  line("host call:", call(r, RSI_HOST_CALL, (uint64_t)host_call, 0, 0, 0));
  line("host says SMCCC", host_call[1]);
  uint64_t on = call(r, PSCI_CPU_ON, 1, (uint64_t)secondary_start, (uint64_t)second_stack_top, 0);
  line("CPU_ON:", on);
  if (on == 0)
    while (!second_is_up) {}
  text("off\n");
  call(r, PSCI_SYSTEM_OFF, 0, 0, 0, 0);
  for (;;) {}
}
