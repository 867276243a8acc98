/* test_cli_encode.c - bytes for terminals and for programs. */
#include "test.h"

#include <stdio.h>

#include "encode.h"

static void assert_holds(buffer *out, const char *expected) {
  assert_false(out->has_failed);
  buffer_append_char(out, '\0');
  assert_string_equal(out->data, expected);
  buffer_free(out);
}

static void assert_visible(const char *text, size_t len, const char *expected) {
  buffer out = {0};
  encode_visible(&out, text, len);
  assert_holds(&out, expected);
}

static void plain_text_stays_as_it_is(void **state) {
  (void)state;
  assert_visible("", 0, "");
  assert_visible("Hi\tthere", 8, "Hi\tthere");
  assert_visible("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9,
                 "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
}

static void what_steers_a_terminal_is_made_visible(void **state) {
  (void)state;
  assert_visible("\x1b[2J", 4, "^[[2J");
  assert_visible("a\nb\r\0\x7F", 6, "a^Jb^M^@^?");
  assert_visible("\xC2\x9B"
                 "2J",
                 4, "<U+009B>2J"); /* C1: CSI in one character. */
  assert_visible("\xE2\x80\xAE"
                 "abc",
                 6, "<U+202E>abc");
  assert_visible("\xE2\x81\xA6", 3, "<U+2066>");
  assert_visible("\xD8\x9C", 2, "<U+061C>");
}

static void what_is_no_utf8_is_shown_as_bytes(void **state) {
  (void)state;
  assert_visible("\xFF", 1, "<FF>");
  assert_visible("a\xC3", 2, "a<C3>");
  assert_visible("\xE2\x82", 2, "<E2><82>");
  assert_visible("\xC0\x80", 2, "<C0><80>");                 /* Overlong. */
  assert_visible("\xED\xA0\x80", 3, "<ED><A0><80>");         /* A surrogate. */
  assert_visible("\xF4\x90\x80\x80", 4, "<F4><90><80><80>"); /* Too large. */
}

static void every_character_is_read_back(void **state) {
  (void)state;
  for (uint32_t c = 0; c < 0x110000; c++) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    buffer out = {0};
    uint32_t read = 0;
    encode_utf8(&out, c);
    assert_int_equal(decode_utf8(out.data, out.len, &read), out.len);
    assert_int_equal(read, c);
    buffer_free(&out);
  }
}

static void a_dump_shows_where_hex_and_ascii(void **state) {
  (void)state;
  uint8_t bytes[18];
  for (size_t i = 0; i < sizeof(bytes); i++)
    bytes[i] = (uint8_t)(0x3A + i);
  bytes[1] = 0;
  bytes[2] = 0x7F;
  buffer out = {0};
  encode_hex_dump(&out, bytes, sizeof(bytes));
  assert_holds(&out,
               "00000000  3a 00 7f 3d 3e 3f 40 41  42 43 44 45 46 47 48 49"
               "  |:..=>?@ABCDEFGHI|\n"
               "00000010  4a 4b                                           "
               "  |JK|\n");
  buffer nothing = {0};
  encode_hex_dump(&nothing, bytes, 0);
  assert_holds(&nothing, "");
}

/* RFC 4648 section 10. */
static void base64_has_padding(void **state) {
  (void)state;
  static const char *const expected[] = {
      "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (size_t len = 0; len <= 6; len++) {
    buffer out = {0};
    encode_base64(&out, (const uint8_t *)"foobar", len);
    assert_holds(&out, expected[len]);
  }
  buffer out = {0};
  encode_base64(&out, (const uint8_t *)"\xFB\xFF\xBF", 3);
  assert_holds(&out, "+/+/");
}

static void hex_is_read_in_pairs(void **state) {
  (void)state;
  buffer out = {0};
  assert_true(decode_hex(&out, "48 65\t6C6c 6f", 13));
  assert_holds(&out, "Hello");
  assert_true(decode_hex(&out, "", 0));
  assert_int_equal(out.len, 0);
  static const char *const wrong[] = {"4", "4g", "g4", "4 8", "0x48", "48,"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    assert_false(decode_hex(&out, wrong[i], strlen(wrong[i])));
    buffer_free(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_text_stays_as_it_is),
      cmocka_unit_test(what_steers_a_terminal_is_made_visible),
      cmocka_unit_test(what_is_no_utf8_is_shown_as_bytes),
      cmocka_unit_test(every_character_is_read_back),
      cmocka_unit_test(a_dump_shows_where_hex_and_ascii),
      cmocka_unit_test(base64_has_padding),
      cmocka_unit_test(hex_is_read_in_pairs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
