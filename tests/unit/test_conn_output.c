/* test_conn_output.c - what sockets ask of a connection's output: messages made
 * for many, payload that is not copied, and bytes that leave while a handler of
 * the application runs. */
#include <stdlib.h>

#include "driver.h"
#include "proto/conn.h"
#include "test.h"
#include "test_alloc.h"

#define LARGE ((size_t)20000)

static test_alloc memory;

/* An open connection. */
typedef struct bench {
  driver d;
  ws_conn *conn;
  ws_conn_config *config;
} bench;

static bench bench_open(ws_role role, const char *extensions) {
  bench b = {0};
  test_alloc_init(&memory);
  ws_conn_options options;
  driver_options_init(&options);
  options.allocator = memory.allocator;
  options.compression =
      extensions != NULL ? WS_COMPRESSION_ON : WS_COMPRESSION_OFF;
  options.send_high_water = 1000;
  options.max_send_queue = 100000;
  assert_int_equal(ws_conn_config_new(role, &options, &b.config, NULL), 0);
  assert_true(driver_open(&b.d, role, b.config, &(driver_mode){0}, extensions,
                          NULL, 0));
  b.conn = b.d.conn;
  return b;
}

static void bench_free(bench *b) {
  driver_free(&b->d);
  ws_conn_config_free(b->config);
  assert_int_equal(memory.held, 0);
}

/* `len` letters, all the same. */
static const uint8_t *letters(char letter, size_t len) {
  static uint8_t data[2][LARGE];
  uint8_t *out = data[letter % 2];
  assert_true(len <= LARGE);
  memset(out, letter, len);
  return out;
}

static ws_message *new_message(const bench *b, char letter, size_t len,
                               unsigned flags) {
  ws_message *message;
  assert_int_equal(ws_message_new(b->config, WS_TEXT, letters(letter, len), len,
                                  flags, &message),
                   0);
  return message;
}

static uint64_t queued(const ws_conn *conn) {
  ws_conn_stats stats;
  ws_conn_get_stats(conn, &stats);
  return stats.bytes_queued;
}

static void assert_no_event(ws_conn *conn) {
  ws_conn_event event;
  assert_false(ws_conn_next_event(conn, &event));
}

static void assert_next(ws_conn *conn, ws_event_type type) {
  ws_conn_event event;
  assert_true(ws_conn_next_event(conn, &event));
  assert_int_equal(event.type, type);
}

/* -- Messages made for many ------------------------------------------------ */

static void a_large_message_for_many_is_not_copied(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  ws_message *message = new_message(&b, 'a', LARGE, 0);
  const size_t held = memory.held;
  assert_int_equal(ws_conn_send_message(b.conn, message), 0);
  assert_true(memory.held < held + 100);
  ws_slice slices[2];
  assert_int_equal(ws_conn_output(b.conn, slices, 2), 1);
  assert_ptr_equal(slices[0].data, message->plain.data);
  assert_int_equal(ws_conn_buffered_amount(b.conn), LARGE);
  assert_int_equal(queued(b.conn), LARGE + 4);
  ws_conn_stats stats;
  ws_conn_get_stats(b.conn, &stats);
  assert_int_equal(stats.messages_sent, 1);

  ws_message_free(message); /* The queue has its own reference. */
  ws_conn_consume(b.conn, LARGE + 4);
  assert_int_equal(ws_conn_buffered_amount(b.conn), 0);
  assert_next(b.conn, WS_EVENT_DRAIN);
  bench_free(&b);
}

static void a_small_message_for_many_is_copied(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  uint8_t lent[512];
  assert_int_equal(ws_conn_lend_output(b.conn, lent, sizeof(lent)), 0);
  ws_message *message = new_message(&b, 'a', 3, 0);
  const size_t calls = memory.calls;
  assert_int_equal(ws_conn_send_message(b.conn, message), 0);
  assert_int_equal(memory.calls, calls);
  assert_int_equal(atomic_load(&message->references), 1);
  ws_message_free(message);
  driver_settle(&b.d);
  driver_log_output(&b.d);
  assert_string_equal(transcript_text(&b.d.log), "out: 81 03 61 61 61\n");
  bench_free(&b);
}

static void a_client_masks_its_own_copy(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT, NULL);
  ws_message *message = new_message(&b, 'a', LARGE, 0);
  assert_int_equal(ws_conn_send_message(b.conn, message), 0);
  assert_int_equal(atomic_load(&message->references), 1);
  assert_memory_equal(message->plain.data + 4, letters('a', LARGE), LARGE);
  driver_settle(&b.d);
  assert_int_equal(b.d.out[1] >> 7, 1);
  assert_int_equal(b.d.out_len, 8 + LARGE);
  ws_message_free(message);
  bench_free(&b);
}

/* Takes the next message that was written, which is compressed or not, and
 * expects it to be `letter`, `len` times. */
static void assert_receives(bench *b, ws__deflate *peer, bool is_compressed,
                            char letter, size_t len) {
  ws__frame frame;
  size_t head;
  assert_int_equal(
      ws__frame_read(b->d.out, b->d.out_len, false, true, &frame, &head), 0);
  assert_true(frame.is_final);
  assert_int_equal(frame.has_rsv1, is_compressed);
  const uint8_t *payload = b->d.out + head;
  size_t payload_len = (size_t)frame.len;
  static uint8_t out[LARGE + 1];
  size_t out_len = payload_len;
  if (is_compressed) {
    bool done;
    assert_int_equal(ws__deflate_expand(peer, &payload, &payload_len, true, out,
                                        sizeof(out), &out_len, &done),
                     0);
    assert_true(done);
  } else {
    assert_true(out_len <= sizeof(out));
    memcpy(out, payload, out_len);
  }
  assert_int_equal(out_len, len);
  assert_memory_equal(out, letters(letter, len), len);
  b->d.out_len -= head + (size_t)frame.len;
  memmove(b->d.out, b->d.out + head + frame.len, b->d.out_len);
}

static ws__deflate *new_peer(uint8_t server_window) {
  const ws__deflate_params params = {.server_max_window_bits = server_window,
                                     .client_max_window_bits = 15};
  ws__deflate *peer;
  assert_int_equal(
      ws__deflate_new(&memory.allocator, &params, false, 1, 1, &peer), 0);
  return peer;
}

/* The peer's window goes on over all of them; our own compressor has not seen
 * the one in the middle. */
static void own_messages_and_those_for_many_may_alternate(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, "permessage-deflate");
  ws__deflate *peer = new_peer(12);
  ws_message *message = new_message(&b, 'b', LARGE, 0);
  for (int turn = 0; turn < 3; turn++) {
    assert_int_equal(ws_conn_send(b.conn, WS_TEXT, letters('a', 3000), 3000, 0),
                     0);
    assert_int_equal(ws_conn_send_message(b.conn, message), 0);
    assert_int_equal(ws_conn_buffered_amount(b.conn), 3000 + LARGE);
    driver_settle(&b.d);
    assert_receives(&b, peer, true, 'a', 3000);
    assert_int_equal(b.d.out_len, message->deflated.len);
    assert_memory_equal(b.d.out, message->deflated.data, b.d.out_len);
    assert_receives(&b, peer, true, 'b', LARGE);
  }
  assert_int_equal(b.d.out_len, 0);
  ws_message_free(message);
  ws__deflate_free(peer);
  bench_free(&b);
}

static void a_smaller_window_has_its_own_deflated_frame(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER,
                       "permessage-deflate; server_max_window_bits=9");
  ws__deflate *peer = new_peer(9);
  ws_message *message = new_message(&b, 'b', LARGE, 0);
  assert_int_equal(message->window_bits, 12);
  assert_int_equal(ws_conn_send_message(b.conn, message), 0);
  driver_settle(&b.d);
  assert_receives(&b, peer, true, 'b', LARGE);
  ws_message_free(message);
  ws__deflate_free(peer);
  bench_free(&b);
}

/* Short, or by wish. */
static void a_message_for_many_may_go_uncompressed(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, "permessage-deflate");
  ws_message *small = new_message(&b, 'a', 1023, 0);
  ws_message *plain = new_message(&b, 'b', LARGE, WS_SEND_UNCOMPRESSED);
  assert_int_equal(ws_conn_send_message(b.conn, small), 0);
  assert_int_equal(ws_conn_send_message(b.conn, plain), 0);
  driver_settle(&b.d);
  assert_receives(&b, NULL, false, 'a', 1023);
  assert_receives(&b, NULL, false, 'b', LARGE);
  ws_message_free(small);
  ws_message_free(plain);
  bench_free(&b);
}

static void a_message_for_many_has_its_time(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  ws_message *message = new_message(&b, 'a', LARGE, 0);
  ws_conn *early;
  assert_int_equal(ws_conn_new(b.config, 0, &early), 0);
  assert_int_equal(ws_conn_send_message(early, message), WS_ERR_INVALID_STATE);
  ws_conn_free(early);

  assert_int_equal(ws_conn_send(b.conn, WS_TEXT, "a", 1, WS_SEND_FRAGMENT), 0);
  assert_int_equal(ws_conn_send_message(b.conn, message), WS_ERR_INVALID_STATE);
  assert_int_equal(ws_conn_send(b.conn, WS_TEXT, "b", 1, 0), 0);
  assert_int_equal(ws_conn_close(b.conn, 1000, NULL, 0), 0);
  assert_int_equal(ws_conn_send_message(b.conn, message), 0);
  assert_int_equal(ws_conn_buffered_amount(b.conn), 2 + LARGE); /* Row 187. */
  assert_int_equal(atomic_load(&message->references), 1);
  ws_message_free(message);
  bench_free(&b);
}

static void messages_for_many_count_in_the_send_queue(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  ws_message *message = new_message(&b, 'a', LARGE, 0);
  for (int i = 0; i < 4; i++)
    assert_int_equal(ws_conn_send_message(b.conn, message), 0);
  assert_int_equal(ws_conn_send_message(b.conn, message),
                   WS_ERR_SEND_QUEUE_FULL);
  assert_int_equal(ws_conn_buffered_amount(b.conn), 5 * LARGE);
  assert_int_equal(atomic_load(&message->references), 1);
  assert_next(b.conn, WS_EVENT_ERROR);
  assert_next(b.conn, WS_EVENT_CLOSE);
  ws_message_free(message);
  bench_free(&b);
}

static void without_memory_a_message_for_many_is_not_sent(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  ws_message *small = new_message(&b, 'a', 3, 0);
  ws_message *large = new_message(&b, 'a', LARGE, 0);
  memory.fail_at = memory.calls;
  memory.keep_failing = true;
  assert_int_equal(ws_conn_send_message(b.conn, small), WS_ERR_NO_MEMORY);
  assert_int_equal(ws_conn_send_message(b.conn, large), WS_ERR_NO_MEMORY);
  memory.fail_at = SIZE_MAX;
  assert_int_equal(ws_conn_state(b.conn), WS_STATE_OPEN);
  assert_int_equal(ws_conn_buffered_amount(b.conn), 0);
  assert_int_equal(queued(b.conn), 0);
  ws_message_free(small);
  ws_message_free(large);
  bench_free(&b);
}

/* -- Payload that is not copied -------------------------------------------- */

static void large_payload_of_a_server_can_be_borrowed(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  uint8_t *data = malloc(LARGE);
  assert_non_null(data);
  memcpy(data, letters('a', LARGE), LARGE);
  assert_int_equal(ws_conn_send_borrowed(b.conn, WS_TEXT, data, LARGE, 0), 0);
  ws_slice slices[3];
  assert_int_equal(ws_conn_output(b.conn, slices, 3), 2);
  assert_ptr_equal(slices[1].data, data);
  ws__conn_consume_early(b.conn, 4 + 5000);
  assert_int_equal(ws_conn_own_output(b.conn), 0);
  free(data);
  assert_int_equal(ws_conn_buffered_amount(b.conn), LARGE);
  ws__conn_settle(b.conn);
  assert_int_equal(ws_conn_buffered_amount(b.conn), LARGE - 5000);
  assert_int_equal(ws_conn_output(b.conn, slices, 3), 1);
  assert_int_equal(slices[0].len, LARGE - 5000);
  assert_memory_equal(slices[0].data, letters('a', LARGE), LARGE - 5000);
  bench_free(&b);
}

/* Whether the data may go away without ws_conn_own_output(). */
static void assert_copies(bench *b, size_t len, unsigned flags) {
  uint8_t *data = malloc(len);
  assert_non_null(data);
  memcpy(data, letters('a', len), len);
  assert_int_equal(ws_conn_send_borrowed(b->conn, WS_TEXT, data, len, flags),
                   0);
  free(data);
  driver_settle(&b->d);
  assert_true(b->d.out_len > 0);
}

static void what_cannot_be_borrowed_is_copied(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT, NULL);
  assert_copies(&b, LARGE, 0);
  bench_free(&b);

  b = bench_open(WS_ROLE_SERVER, "permessage-deflate");
  assert_copies(&b, LARGE, 0);
  bench_free(&b);

  b = bench_open(WS_ROLE_SERVER, NULL);
  assert_copies(&b, 4095, 0);
  assert_copies(&b, LARGE, WS_SEND_FRAGMENT);
  assert_copies(&b, LARGE, 0);
  bench_free(&b);
}

static void borrowed_text_is_checked(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  uint8_t data[5000] = {0};
  data[4999] = 0xFF;
  assert_int_equal(
      ws_conn_send_borrowed(b.conn, WS_TEXT, data, sizeof(data), 0),
      WS_ERR_INVALID_UTF8);
  assert_int_equal(queued(b.conn), 0);
  bench_free(&b);
}

/* Without memory nothing is sent that cannot be finished. */
static void
borrowed_payload_that_cannot_be_copied_ends_the_connection(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  const uint8_t *data = letters('a', LARGE);
  assert_int_equal(ws_conn_send_borrowed(b.conn, WS_TEXT, data, LARGE, 0), 0);
  ws__conn_consume_early(b.conn, 10);
  memory.fail_at = memory.calls;
  assert_int_equal(ws_conn_own_output(b.conn), WS_ERR_NO_MEMORY);
  ws__conn_settle(b.conn);
  assert_int_equal(queued(b.conn), 0);
  ws_conn_event event;
  assert_true(ws_conn_next_event(b.conn, &event));
  assert_int_equal(event.type, WS_EVENT_ERROR);
  assert_int_equal(event.u.error.err, WS_ERR_NO_MEMORY);
  assert_int_equal(event.u.error.close_code, 0);
  assert_next(b.conn, WS_EVENT_CLOSE);
  assert_int_equal(ws_conn_buffered_amount(b.conn), LARGE); /* Row 188. */
  bench_free(&b);
}

/* -- Bytes that leave inside a handler ------------------------------------- */

/* Rows 181, 183 and 189. */
static void the_buffered_amount_drops_when_the_handler_is_over(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  assert_int_equal(ws_conn_send_text(b.conn, "hello", 5), 0);
  ws__conn_consume_early(b.conn, 7);
  assert_int_equal(queued(b.conn), 0);
  assert_int_equal(ws_conn_buffered_amount(b.conn), 5);
  assert_int_equal(ws_conn_send_text(b.conn, "more", 4), 0);
  assert_int_equal(ws_conn_buffered_amount(b.conn), 9);
  ws__conn_settle(b.conn);
  assert_int_equal(ws_conn_buffered_amount(b.conn), 4);
  ws_conn_consume(b.conn, 6);
  assert_int_equal(ws_conn_buffered_amount(b.conn), 0);
  ws_conn_stats stats;
  ws_conn_get_stats(b.conn, &stats);
  assert_true(stats.bytes_sent >= 7 + 6);
  bench_free(&b);
}

static void what_output_causes_waits_for_the_end_of_the_handler(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER, NULL);
  assert_int_equal(ws_conn_send_binary(b.conn, letters('a', 2000), 2000), 0);
  ws__conn_consume_early(b.conn, 2004);
  assert_no_event(b.conn);
  ws__conn_settle(b.conn);
  assert_next(b.conn, WS_EVENT_DRAIN);
  ws__conn_settle(b.conn);
  assert_no_event(b.conn);
  bench_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_large_message_for_many_is_not_copied),
      cmocka_unit_test(a_small_message_for_many_is_copied),
      cmocka_unit_test(a_client_masks_its_own_copy),
      cmocka_unit_test(own_messages_and_those_for_many_may_alternate),
      cmocka_unit_test(a_smaller_window_has_its_own_deflated_frame),
      cmocka_unit_test(a_message_for_many_may_go_uncompressed),
      cmocka_unit_test(a_message_for_many_has_its_time),
      cmocka_unit_test(messages_for_many_count_in_the_send_queue),
      cmocka_unit_test(without_memory_a_message_for_many_is_not_sent),
      cmocka_unit_test(large_payload_of_a_server_can_be_borrowed),
      cmocka_unit_test(what_cannot_be_borrowed_is_copied),
      cmocka_unit_test(borrowed_text_is_checked),
      cmocka_unit_test(
          borrowed_payload_that_cannot_be_copied_ends_the_connection),
      cmocka_unit_test(the_buffered_amount_drops_when_the_handler_is_over),
      cmocka_unit_test(what_output_causes_waits_for_the_end_of_the_handler),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
