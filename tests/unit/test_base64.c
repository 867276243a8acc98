/* Base64, both ways and strictly. A-09: the encoder of the handshake key is a
 * target of its own. */
#include "test.h"

#include "proto/base64.h"

#include <stdlib.h>

#define KEY_SIZE      16
#define KEY_TEXT_SIZE 24

static void *copy_of(const void *data, size_t len) {
  void *copy = malloc(len + (len == 0));
  assert_non_null(copy);
  if (len > 0) memcpy(copy, data, len);
  return copy;
}

/* Decodes from and into blocks of exactly the size that is promised. */
static bool decode(const char *text, size_t text_len, uint8_t **out_data,
                   size_t *out_len) {
  char *copy = copy_of(text, text_len);
  const size_t max_len = text_len / 4 * 3;
  *out_data = malloc(max_len + (max_len == 0));
  assert_non_null(*out_data);
  const bool is_valid = ws__base64_decode(copy, text_len, *out_data, out_len);
  free(copy);
  return is_valid;
}

static bool is_accepted(const char *text, size_t text_len) {
  uint8_t *data;
  size_t len;
  const bool is_valid = decode(text, text_len, &data, &len);
  free(data);
  return is_valid;
}

static void assert_pair(const void *data, size_t len, const char *text) {
  const size_t text_len = WS__BASE64_SIZE(len);
  assert_int_equal(text_len, strlen(text));
  void *copy = copy_of(data, len);
  char *encoded = malloc(text_len + (text_len == 0));
  assert_non_null(encoded);
  ws__base64_encode(copy, len, encoded);
  assert_memory_equal(encoded, text, text_len);
  free(encoded);
  free(copy);

  uint8_t *decoded;
  size_t decoded_len;
  assert_true(decode(text, text_len, &decoded, &decoded_len));
  assert_int_equal(decoded_len, len);
  if (len > 0) assert_memory_equal(decoded, data, len);
  free(decoded);
}

static void vectors_of_rfc_4648(void **state) {
  (void)state;
  assert_pair("", 0, "");
  assert_pair("f", 1, "Zg==");
  assert_pair("fo", 2, "Zm8=");
  assert_pair("foo", 3, "Zm9v");
  assert_pair("foob", 4, "Zm9vYg==");
  assert_pair("fooba", 5, "Zm9vYmE=");
  assert_pair("foobar", 6, "Zm9vYmFy");
  assert_pair("\x14\xfb\x9c\x03\xd9\x7e", 6, "FPucA9l+");
  assert_pair("\x14\xfb\x9c\x03\xd9", 5, "FPucA9k=");
  assert_pair("\x14\xfb\x9c\x03", 4, "FPucAw==");
}

static void every_digit_of_the_alphabet(void **state) {
  (void)state;
  static const uint8_t data[] = {
      0x00, 0x10, 0x83, 0x10, 0x51, 0x87, 0x20, 0x92, 0x8b, 0x30, 0xd3, 0x8f,
      0x41, 0x14, 0x93, 0x51, 0x55, 0x97, 0x61, 0x96, 0x9b, 0x71, 0xd7, 0x9f,
      0x82, 0x18, 0xa3, 0x92, 0x59, 0xa7, 0xa2, 0x9a, 0xab, 0xb2, 0xdb, 0xaf,
      0xc3, 0x1c, 0xb3, 0xd3, 0x5d, 0xb7, 0xe3, 0x9e, 0xbb, 0xf3, 0xdf, 0xbf};
  assert_pair(
      data, sizeof(data),
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

static void every_byte_survives_in_every_place(void **state) {
  (void)state;
  for (size_t len = 1; len <= 6; len++) {
    for (size_t place = 0; place < len; place++) {
      for (unsigned byte = 0; byte <= 0xff; byte++) {
        uint8_t data[6] = {0x5a, 0xa5, 0x00, 0xff, 0x81, 0x7e};
        data[place] = (uint8_t)byte;
        char text[WS__BASE64_SIZE(6)];
        ws__base64_encode(data, len, text);
        uint8_t *decoded;
        size_t decoded_len;
        assert_true(decode(text, WS__BASE64_SIZE(len), &decoded, &decoded_len));
        assert_int_equal(decoded_len, len);
        assert_memory_equal(decoded, data, len);
        free(decoded);
      }
    }
  }
}

/* Each text of four has 256 neighbours in each place; the ones that differ from
 * it and are accepted must decode to something else. */
static void no_two_texts_decode_to_the_same_bytes(void **state) {
  (void)state;
  static const char *const texts[] = {"AAAA", "AAA=", "AA==", "//8=", "+w=="};
  for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
    for (size_t place = 0; place < 4; place++) {
      for (unsigned byte = 0; byte <= 0xff; byte++) {
        char text[4];
        memcpy(text, texts[t], sizeof(text));
        text[place] = (char)byte;
        uint8_t *data;
        size_t len;
        if (decode(text, sizeof(text), &data, &len)) {
          char again[4];
          assert_int_equal(WS__BASE64_SIZE(len), sizeof(again));
          ws__base64_encode(data, len, again);
          assert_memory_equal(again, text, sizeof(text));
        }
        free(data);
      }
    }
  }
}

static void malformed_texts_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      /* Not a multiple of four. */
      "Z", "Zg", "Zg=", "Zm8", "Zm9vY", "Zm9vYg", "Zm9vYg=", "=", "==", "===",
      /* Padding that is too long, in the middle, or alone. */
      "Z===", "====", "Zg==Zg==", "Zm8=Zm8=", "Z=g=", "=Zg=", "Zm=v", "=m9v",
      "Zg==Zm9v", "Zm9v====",
      /* Bits that are not zero behind the last byte. */
      "Zh==", "Zv==", "Z/==", "Zm9=", "Zm+=", "Zm//Zm/=",
      /* Characters of other alphabets, white space, controls. */
      "Zm9-", "Zm9_", "Zm9,", "Zm9.", "Zm9 ", " Zm9", "Zm9\n", "Zm\r\n",
      "Zm\t9", "Zm9\x7f", "Zm9\x80", "\xc3\xa9Zm", "Zm9@", "Zm9[", "Zm9`",
      "Zm9{", "Zm9:"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    if (is_accepted(texts[i], strlen(texts[i]))) {
      fail_msg("%s is accepted", texts[i]);
    }
  }
  assert_false(is_accepted("Zm9\0", 4));
}

/* A-33: a key is 24 characters that decode to 16 bytes, and no other text is.
 */
static void only_24_characters_make_16_bytes(void **state) {
  (void)state;
  enum {
    MAX_LEN = 4096
  };
  char text[MAX_LEN];
  memset(text, 'A', sizeof(text));
  for (size_t len = 0; len <= MAX_LEN; len++) {
    for (size_t padding = 0; padding <= 2 && padding <= len; padding++) {
      memset(text + len - padding, '=', padding);
      uint8_t *data;
      size_t data_len = SIZE_MAX;
      const bool is_valid = decode(text, len, &data, &data_len);
      free(data);
      memset(text + len - padding, 'A', padding);
      assert_int_equal(is_valid, len % 4 == 0);
      if (!is_valid) continue;
      assert_int_equal(data_len, len / 4 * 3 - padding);
      assert_int_equal(data_len == KEY_SIZE,
                       len == KEY_TEXT_SIZE && padding == 2);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vectors_of_rfc_4648),
      cmocka_unit_test(every_digit_of_the_alphabet),
      cmocka_unit_test(every_byte_survives_in_every_place),
      cmocka_unit_test(no_two_texts_decode_to_the_same_bytes),
      cmocka_unit_test(malformed_texts_are_refused),
      cmocka_unit_test(only_24_characters_make_16_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
