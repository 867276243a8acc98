/* test_mask.c - masking against the sentence of the RFC, octet by octet: the
 * two public functions and each kernel that this CPU can run. */
#include "proto/mask.h"

#include <stdlib.h>

#include "test.h"

/* Bytes before and after the payload that must stay as they are. */
#define GUARD      64
#define GUARD_BYTE 0xA5

#define MAX_LEN    300
#define ALIGNMENTS 64
#define OFFSETS    8

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};

static uint8_t plain_at(size_t i) {
  return (uint8_t)(i * 7 + i / 251);
}

/* RFC 6455 5.3: "transformed-octet-i = original-octet-i XOR
 * masking-key-octet-j", "j = i MOD 4". */
static uint8_t masked_at(size_t i, size_t offset) {
  return plain_at(i) ^ key[(i + offset) % 4];
}

/* The key as the kernels take it, that of payload byte `offset` first. */
static uint32_t key_word(size_t offset) {
  uint8_t octets[4];
  for (size_t j = 0; j < 4; j++)
    octets[j] = key[(j + offset) % 4];
  uint32_t word;
  memcpy(&word, octets, sizeof(word));
  return word;
}

/* What is tested: the public functions (NULL) or one kernel. */
static void run_in_place(const ws__mask_kernel *kernel, uint8_t *data,
                         size_t len, size_t offset) {
  if (kernel == NULL) ws__mask(data, len, key, offset);
  else kernel->mask(data, data, len, key_word(offset));
}

static void run_copy(const ws__mask_kernel *kernel, uint8_t *dst,
                     const uint8_t *src, size_t len, size_t offset) {
  if (kernel == NULL) ws__mask_copy(dst, src, len, key, offset);
  else kernel->mask(dst, src, len, key_word(offset));
}

static void assert_masked(const char *name, const uint8_t *data, size_t len,
                          size_t offset) {
  for (size_t i = 0; i < len; i++)
    if (data[i] != masked_at(i, offset))
      fail_msg("%s: byte %zu of %zu at offset %zu is wrong", name, i, len,
               offset);
}

static void assert_guards(const char *name, const uint8_t *area, size_t size,
                          const uint8_t *data, size_t len) {
  for (const uint8_t *p = area; p < area + size; p++)
    if ((p < data || p >= data + len) && *p != GUARD_BYTE)
      fail_msg("%s: a byte %td from the payload (%zu bytes) was written", name,
               p - data, len);
}

#define AREA_SIZE (GUARD + ALIGNMENTS + MAX_LEN + GUARD)

/* One length at each alignment and offset, in place and from a source that is
 * aligned otherwise. */
static void check_length(const ws__mask_kernel *kernel, const char *name,
                         size_t len) {
  static _Alignas(64) uint8_t dst_area[AREA_SIZE];
  static _Alignas(64) uint8_t src_area[AREA_SIZE];
  for (size_t align = 0; align < ALIGNMENTS; align++) {
    uint8_t *dst = dst_area + GUARD + align;
    uint8_t *src = src_area + GUARD + (align * 11 + len) % ALIGNMENTS;
    for (size_t i = 0; i < len; i++)
      src[i] = plain_at(i);
    for (size_t offset = 0; offset < OFFSETS; offset++) {
      memset(dst_area, GUARD_BYTE, sizeof(dst_area));
      memcpy(dst, src, len);
      run_in_place(kernel, dst, len, offset);
      assert_masked(name, dst, len, offset);
      assert_guards(name, dst_area, sizeof(dst_area), dst, len);

      memset(dst, GUARD_BYTE, len);
      run_copy(kernel, dst, src, len, offset);
      assert_masked(name, dst, len, offset);
      assert_guards(name, dst_area, sizeof(dst_area), dst, len);
    }
  }
}

static void every_length_alignment_and_offset_agrees(void **state) {
  (void)state;
  for (size_t len = 0; len <= MAX_LEN; len++)
    check_length(NULL, "ws__mask", len);
}

static void
every_kernel_agrees_on_every_length_alignment_and_offset(void **state) {
  (void)state;
  for (size_t n = 0; n < ws__mask_kernel_count; n++) {
    const ws__mask_kernel *kernel = &ws__mask_kernels[n];
    if (!kernel->is_supported()) continue;
    for (size_t len = WS__MASK_KERNEL_MIN; len <= MAX_LEN; len++)
      check_length(kernel, kernel->name, len);
  }
}

static uint8_t *new_plain(size_t len) {
  uint8_t *data = malloc(len);
  assert_true(data != NULL || len == 0);
  for (size_t i = 0; i < len; i++)
    data[i] = plain_at(i);
  return data;
}

/* nothing is touched beyond the payload, neither read nor written;
 * the sanitizer sees it because each block has exactly the size. */
static void check_exact_block(const ws__mask_kernel *kernel, const char *name,
                              size_t len) {
  uint8_t *src = new_plain(len);
  uint8_t *dst = new_plain(len);
  run_copy(kernel, dst, src, len, len);
  assert_masked(name, dst, len, len);
  run_in_place(kernel, src, len, 1);
  assert_masked(name, src, len, 1);
  free(src);
  free(dst);
}

static const size_t big_lengths[] = {1023,  1024,      1025,    4095,
                                     65539, (1 << 20), 1048609, 3000001};
#define BIG_COUNT (sizeof(big_lengths) / sizeof(big_lengths[0]))

static void nothing_beyond_the_payload_is_touched(void **state) {
  (void)state;
  for (size_t len = 0; len <= MAX_LEN; len++)
    check_exact_block(NULL, "ws__mask", len);
  for (size_t n = 0; n < ws__mask_kernel_count; n++) {
    const ws__mask_kernel *kernel = &ws__mask_kernels[n];
    if (!kernel->is_supported()) continue;
    for (size_t len = WS__MASK_KERNEL_MIN; len <= MAX_LEN; len++)
      check_exact_block(kernel, kernel->name, len);
  }
}

static void long_payloads_agree(void **state) {
  (void)state;
  for (size_t i = 0; i < BIG_COUNT; i++) {
    check_exact_block(NULL, "ws__mask", big_lengths[i]);
    for (size_t n = 0; n < ws__mask_kernel_count; n++)
      if (ws__mask_kernels[n].is_supported())
        check_exact_block(&ws__mask_kernels[n], ws__mask_kernels[n].name,
                          big_lengths[i]);
  }
}

static void a_payload_in_two_pieces_is_masked_as_one(void **state) {
  (void)state;
  for (size_t len = 0; len <= 150; len++) {
    for (size_t cut = 0; cut <= len; cut++) {
      uint8_t *data = new_plain(len);
      ws__mask(data, cut, key, 0);
      ws__mask(data + cut, len - cut, key, cut);
      assert_masked("pieces", data, len, 0);
      free(data);
    }
  }
}

static void masking_twice_gives_the_payload_back(void **state) {
  (void)state;
  uint8_t data[] = "The same algorithm applies regardless of the direction";
  ws__mask(data, sizeof(data), key, 3);
  ws__mask(data, sizeof(data), key, 3);
  assert_string_equal(data,
                      "The same algorithm applies regardless of the direction");
}

/* The example of RFC 6455 5.7: "A single-frame masked text message". */
static void the_example_of_the_rfc_is_hello(void **state) {
  (void)state;
  uint8_t data[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
  ws__mask(data, sizeof(data), (const uint8_t[4]){0x37, 0xfa, 0x21, 0x3d}, 0);
  assert_memory_equal(data, "Hello", 5);
}

static void the_offset_may_be_as_large_as_a_size(void **state) {
  (void)state;
  uint8_t *data = new_plain(100);
  ws__mask(data, 100, key, SIZE_MAX); /* SIZE_MAX MOD 4 is 3. */
  assert_masked("offset", data, 100, 3);
  free(data);
}

static void no_bytes_at_no_address_are_fine(void **state) {
  (void)state;
  ws__mask(NULL, 0, key, 2);
  ws__mask_copy(NULL, NULL, 0, key, 2);
}

static void the_last_kernel_is_portable_and_always_supported(void **state) {
  (void)state;
  const ws__mask_kernel *last = &ws__mask_kernels[ws__mask_kernel_count - 1];
  assert_string_equal(last->name, "portable");
  assert_true(last->is_supported());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_length_alignment_and_offset_agrees),
      cmocka_unit_test(
          every_kernel_agrees_on_every_length_alignment_and_offset),
      cmocka_unit_test(nothing_beyond_the_payload_is_touched),
      cmocka_unit_test(long_payloads_agree),
      cmocka_unit_test(a_payload_in_two_pieces_is_masked_as_one),
      cmocka_unit_test(masking_twice_gives_the_payload_back),
      cmocka_unit_test(the_example_of_the_rfc_is_hello),
      cmocka_unit_test(the_offset_may_be_as_large_as_a_size),
      cmocka_unit_test(no_bytes_at_no_address_are_fine),
      cmocka_unit_test(the_last_kernel_is_portable_and_always_supported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
