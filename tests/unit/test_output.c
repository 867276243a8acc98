/* test_output.c - the send queue, in the end against a plain array of bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/output.h"
#include "test.h"
#include "test_alloc.h"

static test_alloc alloc;
static ws__output output;
static uint8_t material[5000]; /* What is shared and borrowed. */
static ws_message *message;    /* Of all of `material`, from malloc. */

static int set_up(void **state) {
  (void)state;
  test_alloc_init(&alloc);
  output = (ws__output){0};
  for (size_t i = 0; i < sizeof(material); i++)
    material[i] = (uint8_t)(i * 7);
  ws_conn_config *config;
  int err = ws_conn_config_new(WS_ROLE_SERVER, NULL, &config, NULL);
  if (err != 0) return err;
  err = ws_message_new(config, WS_BINARY, material, sizeof(material), 0,
                       &message);
  ws_conn_config_free(config);
  return err;
}

static int nothing_is_held(void **state) {
  (void)state;
  ws__output_clear(&output, &alloc.allocator);
  const size_t references = atomic_load(&message->references);
  ws_message_free(message);
  return alloc.held == 0 && references == 1 ? 0 : 1;
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

static void consume(size_t len) {
  ws__output_consume(&output, &alloc.allocator, len);
}

static void consume_early(size_t len) {
  ws__output_consume_early(&output, &alloc.allocator, len);
}

static void settle(void) {
  ws__output_settle(&output, &alloc.allocator);
}

static int borrow(size_t len) {
  static const uint8_t head[] = {0x82, 0x7E, 0x00};
  return ws__output_borrow(&output, &alloc.allocator,
                           (ws_slice){head, sizeof(head)},
                           (ws_slice){material, len});
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
  consume(3);
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
  consume(5);
  assert_int_equal(output.payload, 990);
  consume(495);
  assert_int_equal(output.payload, 500);
  consume(500);
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
  consume(3);
  add("de", 2, 2);
  assert_int_equal(alloc.held, 0);
  assert_shows("de");
  consume(2);
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
  consume(2);
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
  consume(3);
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
      consume(8);
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

/* -- Chunks that point elsewhere ------------------------------------------- */

static void a_shared_frame_is_not_copied(void **state) {
  (void)state;
  add("abc", 3, 1);
  assert_int_equal(
      ws__output_share(&output, &alloc.allocator, message, message->plain), 0);
  add("de", 2, 2);
  ws_slice slices[3];
  assert_int_equal(ws__output_slices(&output, slices, 3), 3);
  assert_ptr_equal(slices[1].data, message->plain.data);
  assert_int_equal(slices[1].len, message->plain.len);
  assert_int_equal(output.len, 3 + message->plain.len + 2);
  assert_int_equal(output.payload, 1 + sizeof(material) + 2);
  assert_int_equal(ws__output_held(&output), alloc.held);

  consume(3 + message->plain.len - 1);
  assert_int_equal(atomic_load(&message->references), 2);
  assert_int_equal(output.payload, 1 + 2);
  consume(1);
  assert_int_equal(atomic_load(&message->references), 1);
  assert_shows("de");
}

static void a_shared_frame_outlives_its_maker(void **state) {
  (void)state;
  assert_int_equal(
      ws__output_share(&output, &alloc.allocator, message, message->plain), 0);
  ws_message_free(ws_message_retain(message));
  assert_int_equal(atomic_load(&message->references), 2);
  ws__output_clear(&output, &alloc.allocator);
  assert_int_equal(output.payload, sizeof(material));
}

/* Shares bytes of `material` that have been added to a run. */
static int share_of_run(ws_message *run, size_t len) {
  const ws_message whole = {.plain = {material, len}, .len = len};
  ws_message part;
  assert_true(ws__run_add(run, &whole, &part));
  return ws__output_share(&output, &alloc.allocator, &part, part.plain);
}

static void frames_of_a_run_are_one_piece(void **state) {
  (void)state;
  ws_message *run = ws__run_new(1000);
  assert_int_equal(share_of_run(run, 10), 0);
  const size_t calls = alloc.calls;
  assert_int_equal(share_of_run(run, 20), 0);
  assert_int_equal(share_of_run(run, 30), 0);
  assert_int_equal(alloc.calls, calls);
  assert_int_equal(atomic_load(&run->references), 2);
  ws_slice slices[2];
  assert_int_equal(ws__output_slices(&output, slices, 2), 1);
  assert_ptr_equal(slices[0].data, run->bytes);
  assert_int_equal(slices[0].len, 60);
  assert_int_equal(output.len, 60);
  assert_int_equal(output.payload, 60);

  consume_early(60); /* The chunk stays for its count, and goes on. */
  assert_int_equal(share_of_run(run, 5), 0);
  assert_int_equal(alloc.calls, calls);
  assert_int_equal(output.payload, 65);
  settle();
  assert_int_equal(output.payload, 5);
  consume(5);
  assert_int_equal(alloc.held, 0);
  assert_int_equal(atomic_load(&run->references), 1);
  ws_message_free(run);
}

static void frames_of_a_run_that_are_apart_are_not(void **state) {
  (void)state;
  ws_message *run = ws__run_new(1000);
  assert_int_equal(share_of_run(run, 10), 0);
  const ws_message other = {.plain = {material, 20}, .len = 20};
  ws_message missed;
  assert_true(ws__run_add(run, &other, &missed)); /* Not sent here. */
  assert_int_equal(share_of_run(run, 30), 0);
  add("own", 3, 3);
  assert_int_equal(share_of_run(run, 40), 0);
  ws_message_free(run);
  ws_slice slices[5];
  assert_int_equal(ws__output_slices(&output, slices, 5), 4);
  assert_int_equal(slices[0].len, 10);
  assert_int_equal(slices[1].len, 30);
  assert_memory_equal(slices[1].data, material, 30);
  assert_memory_equal(slices[2].data, "own", 3);
  assert_int_equal(slices[3].len, 40);
  consume(10 + 30 + 3 + 39);
  assert_int_equal(output.payload, 1);
}

static void borrowed_payload_that_leaves_is_never_copied(void **state) {
  (void)state;
  assert_int_equal(borrow(sizeof(material)), 0);
  ws_slice slices[3];
  assert_int_equal(ws__output_slices(&output, slices, 3), 2);
  assert_ptr_equal(slices[1].data, material);
  const size_t calls = alloc.calls;
  consume_early(3 + sizeof(material));
  assert_int_equal(ws__output_own(&output, &alloc.allocator), 0);
  assert_int_equal(alloc.calls, calls);
  settle();
  assert_int_equal(output.payload, 0);
}

static void borrowed_payload_that_stays_is_copied(void **state) {
  (void)state;
  assert_int_equal(ws__output_own(&output, &alloc.allocator), 0);
  assert_int_equal(borrow(sizeof(material)), 0);
  consume(3 + 4990);
  assert_int_equal(ws__output_own(&output, &alloc.allocator), 0);
  assert_int_equal(ws__output_own(&output, &alloc.allocator), 0);
  assert_int_equal(ws__output_held(&output), alloc.held);
  add("!", 1, 1);
  const uint8_t last = material[4999];
  material[4999] = 0; /* It is ours again. */
  uint8_t bytes[16];
  assert_int_equal(show(bytes, 3), 11);
  assert_int_equal(bytes[9], last);
  assert_int_equal(bytes[10], '!');
  assert_int_equal(output.payload, 11);
}

static void all_borrowed_payload_that_stays_is_copied(void **state) {
  (void)state;
  static const uint8_t heads[] = {'a', 'b', 'c'};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(ws__output_borrow(&output, &alloc.allocator,
                                       (ws_slice){heads + i, 1},
                                       (ws_slice){material + i, 1}),
                     0);
  }
  consume(3); /* All of the first, and the head of the second. */
  const uint8_t second = material[1], third = material[2];
  assert_int_equal(ws__output_own(&output, &alloc.allocator), 0);
  material[1] = material[2] = 0; /* It is ours again. */
  uint8_t bytes[8];
  assert_int_equal(show(bytes, 3), 3);
  assert_int_equal(bytes[0], second);
  assert_int_equal(bytes[1], 'c');
  assert_int_equal(bytes[2], third);
  material[1] = second;
  material[2] = third;
  ws__output_clear(&output, &alloc.allocator);
}

static void pointing_without_memory_changes_nothing(void **state) {
  (void)state;
  add("abc", 3, 3);
  for (alloc.calls = alloc.fail_at = 0; borrow(9) != 0; alloc.calls = 0) {
    assert_shows("abc");
    alloc.fail_at++;
  }
  assert_int_equal(output.len, 3 + 3 + 9);
  ws__output_clear(&output, &alloc.allocator);
  /* Its head needs a chunk too now. */
  for (alloc.calls = alloc.fail_at = 0; borrow(9) != 0; alloc.calls = 0) {
    assert_shows("");
    alloc.fail_at++;
  }
  assert_int_equal(alloc.fail_at, 2);
  ws__output_clear(&output, &alloc.allocator);
  alloc.calls = alloc.fail_at = 0;
  assert_int_equal(
      ws__output_share(&output, &alloc.allocator, message, message->plain),
      WS_ERR_NO_MEMORY);
  assert_shows("");
}

static void owning_without_memory_clears_the_queue(void **state) {
  (void)state;
  assert_int_equal(borrow(9), 0);
  alloc.fail_at = alloc.calls;
  assert_int_equal(ws__output_own(&output, &alloc.allocator), WS_ERR_NO_MEMORY);
  assert_shows("");
  assert_int_equal(output.payload, 9);
}

/* -- Bytes that leave early ------------------------------------------------ */

/* Row 183. */
static void what_leaves_early_is_counted_until_it_is_settled(void **state) {
  (void)state;
  add("abc", 3, 2);
  consume_early(3);
  assert_shows("");
  assert_int_equal(output.payload, 2);
  add("defg", 4, 3);
  assert_shows("defg");
  consume_early(2);
  assert_int_equal(output.payload, 5);
  settle();
  assert_int_equal(output.payload, 2);
  settle();
  assert_int_equal(output.payload, 2);
  consume(2);
  assert_int_equal(alloc.held, 0);
}

static void a_chunk_is_used_again_before_it_is_settled(void **state) {
  (void)state;
  for (size_t i = 0; i < 10000; i++) {
    add("abc", 3, 2);
    consume_early(3);
  }
  assert_int_equal(alloc.calls, 1);
  assert_int_equal(output.payload, 20000);
  settle();
  assert_int_equal(output.payload, 0);
}

static void large_frames_that_leave_early_do_not_pile_up(void **state) {
  (void)state;
  for (size_t i = 0; i < 100; i++) {
    add(material, sizeof(material), 4996);
    consume_early(sizeof(material));
    assert_int_equal(borrow(sizeof(material)), 0);
    consume_early(3 + sizeof(material));
    assert_int_equal(ws__output_own(&output, &alloc.allocator), 0);
  }
  assert_true(alloc.peak < 3 * sizeof(material));
  assert_int_equal(output.payload, 100 * (4996 + sizeof(material)));
  settle();
  assert_int_equal(output.payload, 0);
  assert_int_equal(alloc.held, 0);
}

static void reclaiming_settles(void **state) {
  (void)state;
  uint8_t buffer[256];
  assert_int_equal(ws__output_lend(&output, buffer, sizeof(buffer)), 0);
  add("abc", 3, 3);
  consume_early(3);
  add(material, sizeof(material), sizeof(material));
  consume_early(1);
  assert_int_equal(output.payload, 3 + sizeof(material));
  assert_int_equal(ws__output_reclaim(&output, &alloc.allocator), 0);
  assert_int_equal(output.payload, sizeof(material) - 1);
  memset(buffer, 0, sizeof(buffer));
  consume(sizeof(material) - 1);
}

/* -- All at random --------------------------------------------------------- */

/* The queue as one array. */
typedef struct model {
  uint8_t bytes[1 << 20];
  size_t start;
  size_t end;
  size_t early; /* Has left, is still counted. */
  ws_message *run;
  uint32_t seed;
} model;

static size_t draw(model *m, size_t limit) {
  m->seed = m->seed * 1664525u + 1013904223u;
  return (m->seed >> 8) % limit;
}

static void model_add(model *m, const uint8_t *data, size_t len) {
  memcpy(m->bytes + m->end, data, len);
  m->end += len;
}

static void add_to_run(model *m, const uint8_t *data, size_t len) {
  const ws_message whole = {.plain = {data, len}, .len = len};
  ws_message part;
  while (m->run == NULL || !ws__run_add(m->run, &whole, &part)) {
    ws_message_free(m->run);
    m->run = ws__run_new(sizeof(material));
  }
  assert_int_equal(
      ws__output_share(&output, &alloc.allocator, &part, part.plain), 0);
  model_add(m, data, len);
}

/* All bytes count as payload, so that the count is exact at every byte. */
static void add_some(model *m) {
  const size_t kind = draw(m, 12);
  const size_t len = 1 + draw(m, kind == 0 ? sizeof(material) : 600);
  const uint8_t *data = material + draw(m, sizeof(material) - len + 1);
  if (kind == 1) {
    const ws_slice frame = {material, sizeof(material)};
    assert_int_equal(
        ws__output_share(&output, &alloc.allocator, message, frame), 0);
    model_add(m, material, sizeof(material));
  } else if (kind < 6) {
    add_to_run(m, data, len);
  } else {
    assert_int_equal(add(data, len, len), 0);
    model_add(m, data, len);
  }
}

static void assert_is_model(const model *m) {
  static uint8_t shown[1 << 20];
  const size_t len = show(shown, 64);
  assert_int_equal(output.len, m->end - m->start);
  assert_true(len == output.len || len > 0);
  assert_memory_equal(shown, m->bytes + m->start, len);
  assert_int_equal(output.payload, m->early + output.len);
  assert_int_equal(ws__output_held(&output), alloc.held);
}
static void consume_some(model *m) {
  const size_t waiting = m->end - m->start;
  const size_t taken = draw(m, 3) == 0 ? waiting : draw(m, waiting + 1);
  m->start += taken;
  if (draw(m, 2) == 0) {
    consume_early(taken);
    m->early += taken;
  } else if (taken > 0) {
    consume(taken);
    m->early = 0;
  }
}

static void bytes_leave_in_the_order_they_came(void **state) {
  (void)state;
  static model m = {.seed = 1};
  uint8_t buffer[2000];
  while (m.end < sizeof(m.bytes) - 4 * sizeof(material)) {
    const bool is_lent = ws__output_lend(&output, buffer, sizeof(buffer)) == 0;
    for (size_t turns = draw(&m, 4); turns > 0; turns--) {
      add_some(&m);
      assert_is_model(&m);
      consume_some(&m);
      assert_is_model(&m);
    }
    if (!is_lent && draw(&m, 2) == 0) continue;
    assert_int_equal(ws__output_reclaim(&output, &alloc.allocator), 0);
    memset(buffer, 0, sizeof(buffer)); /* It is ours again. */
    m.early = 0;
    assert_is_model(&m);
  }
  ws_message_free(m.run);
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
      TEST(a_shared_frame_is_not_copied),
      TEST(a_shared_frame_outlives_its_maker),
      TEST(frames_of_a_run_are_one_piece),
      TEST(frames_of_a_run_that_are_apart_are_not),
      TEST(borrowed_payload_that_leaves_is_never_copied),
      TEST(borrowed_payload_that_stays_is_copied),
      TEST(all_borrowed_payload_that_stays_is_copied),
      TEST(pointing_without_memory_changes_nothing),
      TEST(owning_without_memory_clears_the_queue),
      TEST(what_leaves_early_is_counted_until_it_is_settled),
      TEST(a_chunk_is_used_again_before_it_is_settled),
      TEST(large_frames_that_leave_early_do_not_pile_up),
      TEST(reclaiming_settles),
      TEST(bytes_leave_in_the_order_they_came),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
