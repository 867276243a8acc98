/* test_ip.c - addresses from text, against what inet_pton says of them. */
#include "test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/ip.h"

#define RANDOM_TEXTS 200000

/* Parses from a block of exactly the text's size. */
static ws__ip parse(const char *text) {
  const size_t len = strlen(text);
  char *copy = malloc(len > 0 ? len : 1);
  assert_non_null(copy);
  memcpy(copy, text, len);
  const ws__ip ip = ws__ip_parse(copy, len);
  free(copy);
  return ip;
}

static void assert_as_inet_pton(const char *text) {
  const ws__ip ip = parse(text);
  uint8_t bytes[WS__IP6_SIZE];
  size_t len = 0;
  if (inet_pton(AF_INET, text, bytes) == 1) len = WS__IP4_SIZE;
  else if (inet_pton(AF_INET6, text, bytes) == 1) len = WS__IP6_SIZE;
  if (ip.len != len) fail_msg("'%s' gives %u bytes", text, (unsigned)ip.len);
  assert_memory_equal(ip.bytes, bytes, len);
}

static void forms_of_addresses_are_told_apart(void **state) {
  (void)state;
  static const char *const texts[] = {"0.0.0.0",
                                      "255.255.255.255",
                                      "1.2.3.4",
                                      "10.20.30.40",
                                      "1.2.3",
                                      "1.2.3.",
                                      "1.2.3.4.",
                                      "1.2.3.4.5",
                                      "256.1.1.1",
                                      "1.2.3.256",
                                      "01.2.3.4",
                                      "1.2.3.00",
                                      "1..2.3",
                                      ".1.2.3",
                                      "1.2.3.4 ",
                                      " 1.2.3.4",
                                      "+1.2.3.4",
                                      "0x1.2.3.4",
                                      "99999999999.1.1.1",
                                      "",
                                      ".",
                                      "::",
                                      "::1",
                                      "1::",
                                      "1::8",
                                      "1:2:3:4:5:6:7:8",
                                      "1:2:3:4:5:6:7::",
                                      "::2:3:4:5:6:7:8",
                                      "1:2:3:4:5:6:7",
                                      ":",
                                      ":::",
                                      "::1::",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4::5:6:7:8",
                                      ":1::2",
                                      "1::2:",
                                      "12345::",
                                      "ABCD:ef01::",
                                      "g::",
                                      "::1.2.3.4",
                                      "::ffff:1.2.3.4",
                                      "1:2:3:4:5:6:1.2.3.4",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "::1.2.3",
                                      "::1.2.3.4.5",
                                      "::1.2.3.4:1",
                                      "1.2::",
                                      "::01.2.3.4",
                                      "::256.2.3.4",
                                      "::.1.2.3",
                                      "[::1]",
                                      "::1%1",
                                      "::1/64"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
    assert_as_inet_pton(texts[i]);
}

static void random_texts_are_judged_as_inet_pton_does(void **state) {
  (void)state;
  static const char alphabet[] = "0012f.:::.";
  uint32_t seed = 1;
  for (size_t n = 0; n < RANDOM_TEXTS; n++) {
    char text[24] = "";
    seed = seed * 1664525 + 1013904223;
    const size_t len = seed >> 16 & 15;
    for (size_t i = 0; i < len; i++) {
      seed = seed * 1664525 + 1013904223;
      text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
    }
    assert_as_inet_pton(text);
  }
}

static void nets_are_compared_bit_by_bit(void **state) {
  (void)state;
  const ws__ip a = parse("10.1.128.0");
  const ws__ip b = parse("10.1.255.255");
  for (unsigned bits = 0; bits <= 32; bits++)
    assert_int_equal(ws__ip_is_same_net(&a, &b, bits), bits <= 17);

  const ws__ip c = parse("2001:db8::1");
  const ws__ip d = parse("2001:db8::2");
  for (unsigned bits = 0; bits <= 128; bits++)
    assert_int_equal(ws__ip_is_same_net(&c, &d, bits), bits <= 126);
  assert_true(ws__ip_is_same_net(&c, &c, 128));
  assert_false(ws__ip_is_same_net(&a, &c, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(forms_of_addresses_are_told_apart),
      cmocka_unit_test(random_texts_are_judged_as_inet_pton_does),
      cmocka_unit_test(nets_are_compared_bit_by_bit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
