/* test_frame.c - heads of frames, every first and second byte, every length
 * form and every way to cut them short. Rows 237, 239-243. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/frame.h"
#include "test.h"
#include "ws/base.h"

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};

/* Reads a head from a block of exactly its size. */
static int read_exactly(const uint8_t *bytes, size_t len, bool from_client,
                        bool allows_rsv1, ws__frame *frame, size_t *size) {
  uint8_t *block = malloc(len > 0 ? len : 1);
  assert_non_null(block);
  memcpy(block, bytes, len);
  const int err =
      ws__frame_read(block, len, from_client, allows_rsv1, frame, size);
  free(block);
  return err;
}

/* What RFC 6455 section 5.2 and RFC 7692 section 6 say of a first byte, as a
 * table of the legal ones. */
static bool is_legal_first_byte(unsigned byte, bool allows_rsv1) {
  static const uint8_t legal[] = {0x00, 0x01, 0x02, 0x80, 0x81,
                                  0x82, 0x88, 0x89, 0x8A};
  static const uint8_t legal_with_rsv1[] = {0x41, 0x42, 0xC1, 0xC2};
  if (memchr(legal, (int)byte, sizeof(legal)) != NULL) return true;
  return allows_rsv1 &&
         memchr(legal_with_rsv1, (int)byte, sizeof(legal_with_rsv1)) != NULL;
}

static void every_first_byte_is_legal_or_named(void **state) {
  (void)state;
  for (int allows = 0; allows < 2; allows++) {
    for (unsigned byte = 0; byte < 256; byte++) {
      const uint8_t head[1] = {(uint8_t)byte};
      ws__frame frame;
      size_t size = 99;
      const int err = read_exactly(head, 1, true, allows != 0, &frame, &size);
      assert_int_equal(size, 0);
      if (is_legal_first_byte(byte, allows != 0)) {
        assert_int_equal(err, 0);
      } else if ((byte & 0x30) != 0) {
        assert_int_equal(err, WS_ERR_UNEXPECTED_RSV_2_3);
      } else if ((byte & 0x07) > 2) {
        assert_int_equal(err, WS_ERR_INVALID_OPCODE);
      } else if ((byte & 0x40) != 0) {
        assert_int_equal(err, WS_ERR_UNEXPECTED_RSV_1);
      } else {
        assert_int_equal(err, WS_ERR_EXPECTED_FIN);
      }
    }
  }
}

/* Row 239, 240, 241: known before the length and the payload have come. */
static void every_second_byte_is_judged_at_once(void **state) {
  (void)state;
  static const uint8_t firsts[] = {0x82, 0x89};
  for (int from_client = 0; from_client < 2; from_client++) {
    for (size_t i = 0; i < sizeof(firsts); i++) {
      for (unsigned byte = 0; byte < 256; byte++) {
        const uint8_t head[2] = {firsts[i], (uint8_t)byte};
        ws__frame frame;
        size_t size;
        const int err =
            read_exactly(head, 2, from_client != 0, false, &frame, &size);
        const bool is_masked = byte >= 128;
        if (is_masked != (from_client != 0)) {
          assert_int_equal(err, is_masked ? WS_ERR_UNEXPECTED_MASK
                                          : WS_ERR_EXPECTED_MASK);
        } else if (firsts[i] == 0x89 && (byte & 0x7F) > 125) {
          assert_int_equal(err, WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH);
        } else {
          assert_int_equal(err, 0);
          const bool is_whole = !is_masked && (byte & 0x7F) < 126;
          assert_int_equal(size, is_whole ? 2 : 0);
        }
      }
    }
  }
}

typedef struct length_case {
  const char *name;
  uint8_t bytes[9]; /* The second byte and what follows it. */
  size_t size;
  int err;
  uint64_t len;
} length_case;

static const length_case lengths[] = {
    {"0", {0}, 1, 0, 0},
    {"125", {125}, 1, 0, 125},
    {"126", {126, 0, 126}, 3, 0, 126},
    {"65535", {126, 0xFF, 0xFF}, 3, 0, 65535},
    {"65536", {127, 0, 0, 0, 0, 0, 1, 0, 0}, 9, 0, 65536},
    {"2^31 - 1", {127, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF}, 9, 0, INT32_MAX},
    {"2^32 - 1", {127, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}, 9, 0, UINT32_MAX},
    {"2^32", {127, 0, 0, 0, 1, 0, 0, 0, 0}, 9, 0, UINT64_C(1) << 32},
    {"2^63 - 1",
     {127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
     9,
     0,
     INT64_MAX},
    {"0 in two", {126, 0, 0}, 3, WS_ERR_NON_MINIMAL_LENGTH, 0},
    {"125 in two", {126, 0, 125}, 3, WS_ERR_NON_MINIMAL_LENGTH, 0},
    {"0 in eight",
     {127, 0, 0, 0, 0, 0, 0, 0, 0},
     9,
     WS_ERR_NON_MINIMAL_LENGTH,
     0},
    {"65535 in eight",
     {127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF},
     9,
     WS_ERR_NON_MINIMAL_LENGTH,
     0},
    {"2^63",
     {127, 0x80, 0, 0, 0, 0, 0, 0, 0},
     9,
     WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH,
     0},
    {"2^64 - 1",
     {127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
     9,
     WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH,
     0},
};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

/* How many bytes it takes to know that a length is wrong: a top bit shows in
 * the first of eight, a long form when it is complete. */
static size_t bytes_to_judge(const length_case *c) {
  return c->err == WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH ? 3 : 1 + c->size;
}

static void check_length(const length_case *c, bool from_client) {
  uint8_t head[WS__FRAME_HEAD_MAX] = {0x82};
  memcpy(head + 1, c->bytes, c->size);
  size_t whole = 1 + c->size;
  if (from_client) {
    head[1] |= 0x80;
    memcpy(head + whole, key, 4);
    whole += 4;
  }
  for (size_t len = 0; len <= whole; len++) {
    ws__frame frame;
    size_t size;
    const int err = read_exactly(head, len, from_client, false, &frame, &size);
    const bool is_judged = c->err != 0 && len >= bytes_to_judge(c);
    assert_int_equal(err, is_judged ? c->err : 0);
    assert_int_equal(size, err == 0 && len == whole ? len : 0);
    if (size == 0) continue;
    assert_true(frame.len == c->len);
    assert_int_equal(frame.opcode, WS__OP_BINARY);
    assert_true(frame.is_final);
    assert_false(frame.has_rsv1);
    if (from_client) assert_memory_equal(frame.key, key, 4);
  }
}

static void lengths_are_read_as_soon_as_they_can_be(void **state) {
  (void)state;
  for (size_t i = 0; i < LENGTHS; i++) {
    check_length(&lengths[i], false);
    check_length(&lengths[i], true);
  }
}

static void bytes_behind_a_head_are_left_alone(void **state) {
  (void)state;
  const uint8_t bytes[] = {0x81, 0x05, 'H', 'e', 'l', 'l', 'o'};
  ws__frame frame;
  size_t size;
  assert_int_equal(
      read_exactly(bytes, sizeof(bytes), false, false, &frame, &size), 0);
  assert_int_equal(size, 2);
  assert_true(frame.len == 5);
}

static void fin_and_rsv1_are_told(void **state) {
  (void)state;
  const uint8_t bytes[] = {0x41, 0x00};
  ws__frame frame;
  size_t size;
  assert_int_equal(read_exactly(bytes, 2, false, true, &frame, &size), 0);
  assert_int_equal(size, 2);
  assert_false(frame.is_final);
  assert_true(frame.has_rsv1);
  assert_int_equal(frame.opcode, WS__OP_TEXT);
}

static void what_is_written_is_what_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < LENGTHS; i++) {
    const length_case *c = &lengths[i];
    for (int masked = 0; c->err == 0 && masked < 2; masked++) {
      uint8_t head[WS__FRAME_HEAD_MAX];
      const size_t written = ws__frame_write(head, WS__OP_TEXT, false, true,
                                             c->len, masked ? key : NULL);
      assert_int_equal(written, ws__frame_head_size(c->len, masked != 0));
      assert_int_equal(written, 1 + c->size + (masked ? 4 : 0));
      assert_int_equal(head[0], 0x41);
      assert_int_equal(head[1], c->bytes[0] | (masked ? 0x80 : 0));
      assert_memory_equal(head + 2, c->bytes + 1, c->size - 1);

      ws__frame frame;
      size_t size;
      assert_int_equal(
          read_exactly(head, written, masked != 0, true, &frame, &size), 0);
      assert_int_equal(size, written);
      assert_true(frame.len == c->len);
      assert_false(frame.is_final);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_first_byte_is_legal_or_named),
      cmocka_unit_test(every_second_byte_is_judged_at_once),
      cmocka_unit_test(lengths_are_read_as_soon_as_they_can_be),
      cmocka_unit_test(bytes_behind_a_head_are_left_alone),
      cmocka_unit_test(fin_and_rsv1_are_told),
      cmocka_unit_test(what_is_written_is_what_is_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
