/* SHA-1 against the vectors of FIPS 180 and RFC 3174, and every padding. */
#include "test.h"

#include "proto/base64.h"
#include "proto/sha1.h"

#include <stdio.h>
#include <stdlib.h>

static void assert_digest(const uint8_t digest[WS__SHA1_SIZE],
                          const char *hex) {
  char text[2 * WS__SHA1_SIZE + 1];
  for (size_t i = 0; i < WS__SHA1_SIZE; i++) {
    snprintf(text + 2 * i, 3, "%02x", digest[i]);
  }
  assert_string_equal(text, hex);
}

/* Hashes `text` `count` times over, from a block of exactly its size. */
static void assert_sha1(const char *text, size_t count, const char *hex) {
  const size_t len = strlen(text);
  uint8_t *data = malloc(len * count + (len == 0));
  assert_non_null(data);
  for (size_t i = 0; i < count; i++)
    memcpy(data + i * len, text, len);
  uint8_t digest[WS__SHA1_SIZE];
  ws__sha1(data, len * count, digest);
  free(data);
  assert_digest(digest, hex);
}

static void vectors_of_fips_180_and_rfc_3174(void **state) {
  (void)state;
  assert_sha1("", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  assert_sha1("abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d");
  assert_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  assert_sha1("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
              "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
              1, "a49b2446a02c645bf419f995b67091253a04a259");
  assert_sha1("a", 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  assert_sha1(
      "0123456701234567012345670123456701234567012345670123456701234567", 10,
      "dea356a2cddd90c7a7ecedc5ebb563934f460452");
}

static void null_is_fine_when_there_is_nothing_to_hash(void **state) {
  (void)state;
  uint8_t digest[WS__SHA1_SIZE];
  ws__sha1(NULL, 0, digest);
  assert_digest(digest, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

static void lengths_around_the_padding(void **state) {
  (void)state;
  assert_sha1("a", 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a");
  assert_sha1("a", 56, "c2db330f6083854c99d4b5bfb6e8f29f201be699");
  assert_sha1("a", 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
  assert_sha1("a", 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
  assert_sha1("a", 119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56");
  assert_sha1("a", 120, "f34c1488385346a55709ba056ddd08280dd4c6d6");
  assert_sha1("a", 128, "ad5b3fdbcb526778c2839d2f151ea753995e26a0");
}

/* Python's hashlib made the expected value: the digest of the digests of the
 * messages of 0 to 200 bytes whose byte i is 7 * i + length. */
static void every_length_up_to_200(void **state) {
  (void)state;
  enum {
    LENGTHS = 201
  };
  uint8_t digests[LENGTHS * WS__SHA1_SIZE];
  for (size_t len = 0; len < LENGTHS; len++) {
    uint8_t *data = malloc(len + (len == 0));
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
      data[i] = (uint8_t)(7 * i + len);
    ws__sha1(data, len, digests + len * WS__SHA1_SIZE);
    free(data);
  }
  uint8_t digest[WS__SHA1_SIZE];
  ws__sha1(digests, sizeof(digests), digest);
  assert_digest(digest, "d0de06f4c5cb01efe13d538b17bbc0bd8144a1c2");
}

/* RFC 6455 section 1.3. */
static void accept_key_of_rfc_6455(void **state) {
  (void)state;
  static const char key[] =
      "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  uint8_t digest[WS__SHA1_SIZE];
  ws__sha1(key, strlen(key), digest);
  char text[WS__BASE64_SIZE(WS__SHA1_SIZE) + 1] = {0};
  ws__base64_encode(digest, sizeof(digest), text);
  assert_string_equal(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vectors_of_fips_180_and_rfc_3174),
      cmocka_unit_test(null_is_fine_when_there_is_nothing_to_hash),
      cmocka_unit_test(lengths_around_the_padding),
      cmocka_unit_test(every_length_up_to_200),
      cmocka_unit_test(accept_key_of_rfc_6455),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
