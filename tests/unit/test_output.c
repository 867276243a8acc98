/* test_output.c - the send queue against a plain array of bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/output.h"
#include "test.h"
#include "test_alloc.h"

static test_alloc alloc;
static ws__output output;

static int set_up(void **state) {
  (void)state;
  test_alloc_init(&alloc);
  output = (ws__output){0};
  return 0;
}

static int nothing_is_held(void **state) {
  (void)state;
  ws__output_clear(&output, &alloc.allocator);
  return alloc.held == 0 ? 0 : 1;
}

static int add(const void *data, size_t len, uint64_t payload) {
  uint8_t *place = ws__output_reserve(&output, &alloc.allocator, len);
  if (place == NULL) return -1;
  memcpy(place, data, len);
  ws__output_commit(&output, len, payload);
  return 0;
}

/* Joins all slices. */
static size_t show(uint8_t *out, size_t max_slices) {
  ws_slice slices[64];
  const size_t count = ws__output_slices(&output, slices, max_slices);
  size_t len = 0;
  for (size_t i = 0; i < count; i++) {
    assert_true(slices[i].len > 0);
    memcpy(out + len, slices[i].data, slices[i].len);
    len += slices[i].len;
  }
  return len;
}

static void assert_shows(const char *expected) {
  uint8_t bytes[64];
  const size_t len = show(bytes, 64);
  assert_int_equal(len, strlen(expected));
  assert_memory_equal(bytes, expected, len);
  assert_int_equal(output.len, len);
}

static void small_frames_share_a_chunk(void **state) {
  (void)state;
  add("abc", 3, 1);
  add("de", 2, 2);
  ws_slice slices[2];
  assert_int_equal(ws__output_slices(&output, slices, 2), 1);
  assert_shows("abcde");
  assert_int_equal(output.payload, 3);
}

static void an_emptied_queue_holds_nothing(void **state) {
  (void)state;
  add("abc", 3, 3);
  assert_true(ws__output_held(&output) == alloc.held && alloc.held > 0);
  ws__output_consume(&output, &alloc.allocator, 3);
  assert_int_equal(alloc.held, 0);
  assert_int_equal(output.payload, 0);
  assert_shows("");
}

/* Row 181, 189: all of it until it is gone, then less, never more than waits.
 */
static void payload_shrinks_with_the_bytes(void **state) {
  (void)state;
  uint8_t bytes[1000] = {0};
  add(bytes, 1000, 990);
  assert_int_equal(output.payload, 990);
  ws__output_consume(&output, &alloc.allocator, 5);
  assert_int_equal(output.payload, 990);
  ws__output_consume(&output, &alloc.allocator, 495);
  assert_int_equal(output.payload, 500);
  ws__output_consume(&output, &alloc.allocator, 500);
  assert_int_equal(output.payload, 0);
}

/* Row 188: "does not reset to zero once the connection closes". */
static void clearing_keeps_the_payload_count(void **state) {
  (void)state;
  add("abc", 3, 2);
  ws__output_clear(&output, &alloc.allocator);
  assert_int_equal(output.payload, 2);
  assert_int_equal(output.len, 0);
  assert_int_equal(alloc.held, 0);
}

static void a_failed_reserve_changes_nothing(void **state) {
  (void)state;
  add("abc", 3, 3);
  alloc.fail_at = alloc.calls;
  static const uint8_t big[8192];
  assert_int_equal(add(big, sizeof(big), 1), -1);
  assert_shows("abc");
  assert_null(ws__output_reserve(&output, &alloc.allocator, SIZE_MAX));
}

static void a_lent_buffer_is_used_first(void **state) {
  (void)state;
  uint8_t buffer[256];
  assert_int_equal(ws__output_lend(&output, buffer, sizeof(buffer)), 0);
  add("abc", 3, 3);
  assert_int_equal(alloc.held, 0);
  assert_int_equal(ws__output_held(&output), 0);
  ws__output_consume(&output, &alloc.allocator, 3);
  add("de", 2, 2);
  assert_int_equal(alloc.held, 0);
  assert_shows("de");
  ws__output_consume(&output, &alloc.allocator, 2);
  assert_int_equal(ws__output_reclaim(&output, &alloc.allocator), 0);
  assert_int_equal(alloc.calls, 0);
}

static void what_a_lent_buffer_cannot_take_follows_it(void **state) {
  (void)state;
  uint8_t buffer[128];
  uint8_t big[sizeof(buffer)];
  memset(big, 'x', sizeof(big));
  assert_int_equal(ws__output_lend(&output, buffer, sizeof(buffer)), 0);
  add("abc", 3, 3);
  add(big, sizeof(big), sizeof(big));
  assert_true(alloc.held > 0);
  ws__output_consume(&output, &alloc.allocator, 2);
  assert_int_equal(ws__output_reclaim(&output, &alloc.allocator), 0);
  memset(buffer, 0, sizeof(buffer));
  uint8_t bytes[200];
  assert_int_equal(show(bytes, 64), 1 + sizeof(big));
  assert_int_equal(bytes[0], 'c');
  assert_memory_equal(bytes + 1, big, sizeof(big));
  assert_int_equal(output.payload, 1 + sizeof(big));
}

static void a_buffer_can_be_lent_only_to_an_empty_queue(void **state) {
  (void)state;
  uint8_t buffer[256];
  add("abc", 3, 3);
  assert_int_equal(ws__output_lend(&output, buffer, sizeof(buffer)),
                   WS_ERR_INVALID_STATE);
  ws__output_consume(&output, &alloc.allocator, 3);
  assert_int_equal(ws__output_lend(&output, buffer, sizeof(buffer)), 0);
  assert_int_equal(ws__output_lend(&output, buffer, sizeof(buffer)),
                   WS_ERR_INVALID_STATE);
  assert_int_equal(ws__output_reclaim(&output, &alloc.allocator), 0);
}

static void a_buffer_of_any_size_and_alignment_may_be_lent(void **state) {
  (void)state;
  for (size_t len = 0; len < 120; len++) {
    for (size_t offset = 0; offset < 9; offset++) {
      uint8_t *block = malloc(offset + len + 1);
      assert_int_equal(ws__output_lend(&output, block + offset, len), 0);
      assert_int_equal(add("abcdefgh", 8, 8), 0);
      assert_shows("abcdefgh");
      assert_int_equal(ws__output_reclaim(&output, &alloc.allocator), 0);
      free(block);
      assert_shows("abcdefgh");
      ws__output_consume(&output, &alloc.allocator, 8);
    }
  }
}

static void reclaiming_without_memory_clears_the_queue(void **state) {
  (void)state;
  uint8_t buffer[256];
  assert_int_equal(ws__output_lend(&output, buffer, sizeof(buffer)), 0);
  add("abc", 3, 3);
  alloc.fail_at = alloc.calls;
  assert_int_equal(ws__output_reclaim(&output, &alloc.allocator),
                   WS_ERR_NO_MEMORY);
  assert_shows("");
  assert_int_equal(output.payload, 3);
  alloc.fail_at = SIZE_MAX;
  assert_int_equal(add("de", 2, 2), 0);
  assert_shows("de");
}

/* Random sizes in, random sizes out, against an array. */
static void bytes_leave_in_the_order_they_came(void **state) {
  (void)state;
  static uint8_t model[1 << 20];
  static uint8_t shown[1 << 20];
  size_t start = 0;
  size_t end = 0;
  uint32_t seed = 1;
  while (end < sizeof(model) - 10000) {
    seed = seed * 1664525u + 1013904223u;
    const size_t size = 1 + (seed >> 8) % ((seed >> 28) == 0 ? 9000 : 600);
    for (size_t i = 0; i < size; i++)
      model[end + i] = (uint8_t)(seed + i);
    assert_int_equal(add(model + end, size, size), 0);
    end += size;

    const size_t len = show(shown, 64);
    assert_true(len > 0 && len <= end - start);
    assert_memory_equal(shown, model + start, len);
    const size_t taken = (seed >> 4) % (len + 1);
    ws__output_consume(&output, &alloc.allocator, taken);
    start += taken;
    assert_int_equal(output.len, end - start);
    assert_int_equal(output.payload, end - start);
    assert_int_equal(ws__output_held(&output), alloc.held);
  }
}

#define TEST(name) \
  cmocka_unit_test_setup_teardown(name, set_up, nothing_is_held)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(small_frames_share_a_chunk),
      TEST(an_emptied_queue_holds_nothing),
      TEST(payload_shrinks_with_the_bytes),
      TEST(clearing_keeps_the_payload_count),
      TEST(a_failed_reserve_changes_nothing),
      TEST(a_lent_buffer_is_used_first),
      TEST(what_a_lent_buffer_cannot_take_follows_it),
      TEST(a_buffer_can_be_lent_only_to_an_empty_queue),
      TEST(a_buffer_of_any_size_and_alignment_may_be_lent),
      TEST(reclaiming_without_memory_clears_the_queue),
      TEST(bytes_leave_in_the_order_they_came),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
