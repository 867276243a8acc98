/* test_siphash.c - against vectors of the paper's authors. */
#include "base/siphash.h"
#include "test.h"

#include <stdlib.h>

/* The key is 00 01 .. 0F, and the data 00 01 .. as long as wanted. */
static const ws__siphash_key key = {UINT64_C(0x0706050403020100),
                                    UINT64_C(0x0F0E0D0C0B0A0908)};

static uint64_t hash_of(size_t len) {
  uint8_t *data = malloc(len + (len == 0)); /* Nothing behind it is read. */
  assert_non_null(data);
  for (size_t i = 0; i < len; i++)
    data[i] = (uint8_t)i;
  const uint64_t hash = ws__siphash(key, data, len);
  free(data);
  return hash;
}

static void the_vectors_hold(void **state) {
  (void)state;
  assert_true(hash_of(0) == UINT64_C(0x726FDB47DD0E0E31));
  assert_true(hash_of(1) == UINT64_C(0x74F839C593DC67FD));
  assert_true(hash_of(7) == UINT64_C(0xAB0200F58B01D137));
  assert_true(hash_of(8) == UINT64_C(0x93F5F5799A932462));
  assert_true(hash_of(15) == UINT64_C(0xA129CA6149BE45E5));
  assert_true(hash_of(63) == UINT64_C(0x958A324CEB064572));
}

static void keys_give_other_hashes(void **state) {
  (void)state;
  const ws__siphash_key other = {key.k0, key.k1 ^ 1};
  assert_true(ws__siphash(other, "name", 4) != ws__siphash(key, "name", 4));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_vectors_hold),
      cmocka_unit_test(keys_give_other_hashes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
