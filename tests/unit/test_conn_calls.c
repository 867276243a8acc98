/* test_conn_calls.c - what the table of frames cannot say: calls in unusual
 * order, empty arguments, pieces of messages, and what getters tell. */
#include <stdlib.h>
#include <zlib.h>

#include "driver.h"
#include "test.h"

/* A connection that is open, and the input it has borrowed. */
typedef struct bench {
  driver d;
  ws_conn_config *config;
  uint8_t *input;
} bench;

static bench bench_open(ws_role role) {
  bench b = {0};
  ws_conn_options options;
  driver_options_init(&options);
  options.send_high_water = 1000;
  assert_int_equal(ws_conn_config_new(role, &options, &b.config, NULL), 0);
  assert_true(
      driver_open(&b.d, role, b.config, &(driver_mode){0}, NULL, NULL, 0));
  return b;
}

static void bench_free(bench *b) {
  driver_free(&b->d);
  ws_conn_config_free(b->config);
  free(b->input);
}

/* Feeds without pulling an event. The frame is for a client. */
static int feed_only(bench *b, const char *bytes, size_t len) {
  free(b->input);
  b->input = malloc(len);
  assert_non_null(b->input);
  memcpy(b->input, bytes, len);
  return ws_conn_feed(b->d.conn, b->input, len);
}

static void assert_log(bench *b, const char *expected) {
  assert_string_equal(transcript_text(&b->d.log), expected);
}

static void what_was_fed_before_eof_comes_out_first(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  assert_int_equal(feed_only(&b, "\x81\x01x\x81\x01y", 6), 0);
  ws_conn_eof(b.d.conn);
  driver_settle(&b.d);
  assert_log(&b, "event message text: 78\n"
                 "event message text: 79\n"
                 "event error UNEXPECTED_EOF 0 transport\n"
                 "event close 1006 unclean:\n");
  bench_free(&b);
}

static void a_close_frame_fed_before_eof_makes_a_clean_end(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  assert_int_equal(feed_only(&b, "\x88\x02\x03\xe8", 4), 0);
  ws_conn_eof(b.d.conn);
  driver_settle(&b.d);
  assert_log(&b, "event close 1000 clean:\n");
  bench_free(&b);
}

static void input_that_is_borrowed_must_be_used_first(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  uint8_t more[] = {0x81, 0x01, 'z'};
  assert_int_equal(feed_only(&b, "\x81\x01x\x81\x01y", 6), 0);
  assert_int_equal(ws_conn_feed(b.d.conn, more, sizeof(more)),
                   WS_ERR_INVALID_STATE);
  ws_conn_event event;
  assert_true(ws_conn_next_event(b.d.conn, &event));
  assert_int_equal(ws_conn_feed(b.d.conn, more, sizeof(more)),
                   WS_ERR_INVALID_STATE);
  driver_settle(&b.d);
  assert_log(&b, "event message text: 79\n");
  bench_free(&b);
}

static void input_that_was_kept_can_be_added_to(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  assert_int_equal(feed_only(&b, "\x81\x01x\x81\x02y", 6), 0);
  assert_int_equal(ws_conn_keep_input(b.d.conn), 0);
  assert_int_equal(feed_only(&b, "z\x81\x01!", 4), 0);
  assert_int_equal(ws_conn_keep_input(b.d.conn), 0);
  memset(b.input, 0xFF, 4); /* It is ours again. */
  driver_settle(&b.d);
  assert_log(&b, "event message text: 78\n"
                 "event message text: 79 7a\n"
                 "event message text: 21\n");
  bench_free(&b);
}

/* The copy has been used up, though nobody has pulled in vain since. */
static void input_can_be_kept_a_second_time(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  ws_conn_event event;
  assert_int_equal(feed_only(&b, "\x81\x01x", 3), 0);
  assert_int_equal(ws_conn_keep_input(b.d.conn), 0);
  assert_true(ws_conn_next_event(b.d.conn, &event));
  assert_memory_equal(event.u.message.data, "x", 1);
  assert_int_equal(feed_only(&b, "\x81\x01y", 3), 0);
  assert_int_equal(ws_conn_keep_input(b.d.conn), 0);
  memset(b.input, 0, 3); /* It is ours again. */
  assert_true(ws_conn_next_event(b.d.conn, &event));
  assert_int_equal(event.type, WS_EVENT_MESSAGE);
  assert_memory_equal(event.u.message.data, "y", 1);
  bench_free(&b);
}

static void while_paused_input_and_its_end_are_kept(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  ws_conn_set_paused(b.d.conn, true);
  assert_int_equal(feed_only(&b, "\x81\x01x\x81\x01y", 6), 0);
  ws_conn_eof(b.d.conn);
  driver_settle(&b.d);
  memset(b.input, 0, 6); /* It is ours again. */
  assert_log(&b, "");
  ws_conn_set_paused(b.d.conn, false);
  driver_settle(&b.d);
  assert_log(&b, "event message text: 78\n"
                 "event message text: 79\n"
                 "event error UNEXPECTED_EOF 0 transport\n"
                 "event close 1006 unclean:\n");
  bench_free(&b);
}

static void an_abort_forgets_the_input(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  assert_int_equal(feed_only(&b, "\x81\x01x", 3), 0);
  ws_conn_abort(b.d.conn, 0);
  assert_int_equal(ws_conn_state(b.d.conn), WS_STATE_CLOSING); /* Row 334. */
  driver_settle(&b.d);
  assert_log(&b, "event close 1006 unclean:\n");
  bench_free(&b);
}

/* The time that passes before the events are pulled is not the peer's fault. */
static void a_deadline_does_not_overtake_input_that_is_here(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  assert_int_equal(ws_conn_close(b.d.conn, 1000, NULL, 0), 0);
  driver_settle(&b.d);
  assert_int_equal(feed_only(&b, "\x88\x02\x03\xe8", 4), 0);
  ws_conn_tick(b.d.conn, b.d.now + 5000);
  ws_conn_eof(b.d.conn);
  driver_settle(&b.d);
  assert_log(&b, "event close 1000 clean:\n");
  bench_free(&b);
}

static void empty_arguments_may_be_null(void **state) {
  (void)state;
  for (int role = WS_ROLE_CLIENT; role <= WS_ROLE_SERVER; role++) {
    bench b = bench_open((ws_role)role);
    ws_conn *conn = b.d.conn;
    assert_int_equal(ws_conn_feed(conn, NULL, 0), 0);
    assert_int_equal(ws_conn_send(conn, WS_TEXT, NULL, 0, 0), 0);
    assert_int_equal(ws_conn_send_binary(conn, NULL, 0), 0);
    assert_int_equal(ws_conn_send_ping(conn, NULL, 0), 0);
    assert_int_equal(ws_conn_send_pong(conn, NULL, 0), 0);
    assert_int_equal(ws_conn_close(conn, 1000, NULL, 0), 0);
    driver_settle(&b.d);
    driver_log_output(&b.d);
    assert_log(&b, "out: 81 00 82 00 89 00 8a 00 88 02 03 e8\n");
    bench_free(&b);
  }
}

/* Row 158. */
static void nothing_can_be_sent_while_connecting(void **state) {
  (void)state;
  for (int role = WS_ROLE_CLIENT; role <= WS_ROLE_SERVER; role++) {
    bench b = bench_open((ws_role)role);
    ws_conn *conn = NULL;
    assert_int_equal(ws_conn_new(b.config, 0, &conn), 0);
    assert_int_equal(ws_conn_send_text(conn, "a", 1), WS_ERR_INVALID_STATE);
    assert_int_equal(ws_conn_send_text(conn, "\xFF", 1), WS_ERR_INVALID_STATE);
    assert_int_equal(ws_conn_send_binary(conn, NULL, 0), WS_ERR_INVALID_STATE);
    assert_int_equal(ws_conn_send_ping(conn, NULL, 0), WS_ERR_INVALID_STATE);
    assert_int_equal(ws_conn_send_pong(conn, NULL, 0), WS_ERR_INVALID_STATE);
    assert_int_equal(ws_conn_buffered_amount(conn), 0);
    assert_string_equal(ws_conn_protocol(conn), "");
    assert_string_equal(ws_conn_extensions(conn), "");
    ws_conn_free(conn);
    bench_free(&b);
  }
}

/* Half of the high water is the mark, in single steps. */
static void a_drain_event_comes_at_half_of_the_high_water(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_SERVER);
  const uint8_t data[1200] = {0};
  ws_conn *conn = b.d.conn;
  ws_conn_event event;
  assert_int_equal(ws_conn_send_binary(conn, data, sizeof(data)), 0);
  ws_conn_consume(conn, 4 + 699); /* 501 are left. */
  assert_false(ws_conn_next_event(conn, &event));
  ws_conn_consume(conn, 1);
  assert_true(ws_conn_next_event(conn, &event));
  assert_int_equal(event.type, WS_EVENT_DRAIN);
  ws_conn_consume(conn, 500);
  assert_false(ws_conn_next_event(conn, &event));
  bench_free(&b);
}

static void a_streamed_message_comes_as_it_arrives(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  ws_conn_set_streaming(b.d.conn, true);
  ws_conn_event event;
  assert_int_equal(feed_only(&b, "\x01\x05Hel", 5), 0);
  assert_true(ws_conn_next_event(b.d.conn, &event));
  assert_int_equal(event.u.message.len, 3);
  assert_true(event.u.message.is_first);
  assert_false(event.u.message.is_last);
  assert_false(ws_conn_next_event(b.d.conn, &event));

  assert_int_equal(feed_only(&b, "lo\x80\x01!", 5), 0);
  assert_true(ws_conn_next_event(b.d.conn, &event));
  assert_memory_equal(event.u.message.data, "lo", 2);
  assert_false(event.u.message.is_first);
  assert_false(event.u.message.is_last);
  assert_true(ws_conn_next_event(b.d.conn, &event));
  assert_memory_equal(event.u.message.data, "!", 1);
  assert_false(event.u.message.is_first);
  assert_true(event.u.message.is_last);
  assert_false(ws_conn_next_event(b.d.conn, &event));
  bench_free(&b);
}

/* "From the next message on." */
static void streaming_does_not_change_a_message_under_way(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  ws_conn_event event;
  assert_int_equal(feed_only(&b, "\x81\x05Hel", 5), 0);
  assert_false(ws_conn_next_event(b.d.conn, &event));
  ws_conn_set_streaming(b.d.conn, true);
  assert_int_equal(feed_only(&b, "lo\x81\x02y", 5), 0);
  assert_true(ws_conn_next_event(b.d.conn, &event));
  assert_int_equal(event.u.message.len, 5);
  assert_true(event.u.message.is_first && event.u.message.is_last);
  assert_true(ws_conn_next_event(b.d.conn, &event));
  assert_int_equal(event.u.message.len, 1);
  ws_conn_set_streaming(b.d.conn, false);
  assert_int_equal(feed_only(&b, "z", 1), 0);
  assert_true(ws_conn_next_event(b.d.conn, &event));
  assert_int_equal(event.u.message.len, 1);
  assert_true(event.u.message.is_last);
  bench_free(&b);
}

/* Puts a compressed message of `len` zeros in one frame for a client. */
static size_t compressed_zeros(size_t len, uint8_t *out, size_t cap) {
  uint8_t *zeros = calloc(1, len);
  assert_non_null(zeros);
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY),
                   Z_OK);
  z.next_in = zeros;
  z.avail_in = (uInt)len;
  z.next_out = out + 2;
  z.avail_out = (uInt)(cap - 2);
  assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
  const size_t size = cap - 2 - z.avail_out - 4; /* Without the tail. */
  deflateEnd(&z);
  free(zeros);
  assert_true(size <= 125);
  out[0] = 0xC2; /* FIN, RSV1, binary. */
  out[1] = (uint8_t)size;
  return 2 + size;
}

/* Row 147: what is left of a message is passed over, not taken for frames. */
static void closing_inside_a_streamed_message_drops_the_rest(void **state) {
  (void)state;
  bench b = {0};
  ws_conn_options options;
  driver_options_init(&options);
  options.compression = WS_COMPRESSION_ON;
  assert_int_equal(
      ws_conn_config_new(WS_ROLE_CLIENT, &options, &b.config, NULL), 0);
  assert_true(driver_open(&b.d, WS_ROLE_CLIENT, b.config, &(driver_mode){0},
                          "permessage-deflate", NULL, 0));
  ws_conn *conn = b.d.conn;
  ws_conn_set_streaming(conn, true);

  uint8_t bytes[256];
  size_t len = compressed_zeros(50000, bytes, 200);
  memcpy(bytes + len, "\x88\x02\x03\xe8", 4);
  len += 4;
  assert_int_equal(feed_only(&b, (const char *)bytes, len), 0);
  ws_conn_event event;
  assert_true(ws_conn_next_event(conn, &event));
  assert_int_equal(event.type, WS_EVENT_MESSAGE);
  assert_true(event.u.message.is_first && !event.u.message.is_last);
  assert_int_equal(ws_conn_close(conn, 1000, NULL, 0), 0);
  driver_settle(&b.d);
  driver_eof(&b.d);
  assert_log(&b, "event close 1000 clean:\n");
  bench_free(&b);
}

static void a_pong_tells_how_long_its_ping_has_been_away(void **state) {
  (void)state;
  bench b = bench_open(WS_ROLE_CLIENT);
  ws_conn_stats stats;
  ws_conn_get_stats(b.d.conn, &stats);
  assert_true(stats.rtt == WS_NEVER);
  assert_int_equal(ws_conn_send_ping(b.d.conn, "a", 1), 0);
  driver_tick(&b.d, 30);
  assert_int_equal(ws_conn_send_ping(b.d.conn, "b", 1), 0);
  driver_tick(&b.d, 12);

  /* The latest ping is the one that is timed; nobody asked for the last. */
  static const uint32_t expected[] = {WS_NEVER, 12, WS_NEVER};
  assert_int_equal(feed_only(&b,
                             "\x8a\x01"
                             "a\x8a\x01"
                             "b\x8a\x01"
                             "b",
                             9),
                   0);
  for (size_t i = 0; i < 3; i++) {
    ws_conn_event event;
    assert_true(ws_conn_next_event(b.d.conn, &event));
    assert_int_equal(event.type, WS_EVENT_PONG);
    assert_true(event.u.control.rtt == expected[i]);
  }
  ws_conn_get_stats(b.d.conn, &stats);
  assert_int_equal(stats.rtt, 12);
  bench_free(&b);
}

static void a_connection_may_be_freed_at_any_time(void **state) {
  (void)state;
  ws_conn_free(NULL);
  ws_conn_config_free(NULL);
  uint8_t lent[256];
  bench b = bench_open(WS_ROLE_SERVER);
  assert_int_equal(ws_conn_lend_output(b.d.conn, lent, sizeof(lent)), 0);
  assert_int_equal(ws_conn_lend_output(b.d.conn, lent, sizeof(lent)),
                   WS_ERR_INVALID_STATE);
  assert_int_equal(ws_conn_send_text(b.d.conn, "x", 1), 0);
  bench_free(&b); /* Output waits in the lent buffer. */

  b = bench_open(WS_ROLE_CLIENT);
  assert_int_equal(feed_only(&b, "\x01\x05Hel\x81", 6), 0);
  assert_int_equal(ws_conn_keep_input(b.d.conn), 0);
  bench_free(&b); /* Input waits. */
}

/* -- A source of random bytes that fails (A-46) ---------------------------- */

static bool is_dry;

static int draw(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 0xA5, len);
  return is_dry ? -1 : 0;
}

/* No frame leaves without a mask: the connection fails. */
static void nothing_is_sent_without_random_bytes(void **state) {
  (void)state;
  bench b = {0};
  ws_conn_options options;
  driver_options_init(&options);
  options.random = draw;
  assert_int_equal(
      ws_conn_config_new(WS_ROLE_CLIENT, &options, &b.config, NULL), 0);
  assert_true(driver_open(&b.d, WS_ROLE_CLIENT, b.config, &(driver_mode){0},
                          NULL, NULL, 0));
  ws_conn *conn = b.d.conn;
  ws_slice slice;
  is_dry = true;
  assert_int_equal(ws_conn_send_text(conn, "x", 1), WS_ERR_RANDOM);
  assert_int_equal(ws_conn_output(conn, &slice, 1), 0);
  driver_settle(&b.d);
  assert_log(&b, "event error RANDOM 0 local\n"
                 "event close 1006 unclean:\n");
  bench_free(&b);
}

/* The key of the handshake is drawn when it is asked for again. */
static void nothing_is_asked_without_random_bytes(void **state) {
  (void)state;
  ws_conn_options options;
  driver_options_init(&options);
  options.random = draw;
  ws_conn_config *config;
  ws_conn *conn;
  assert_int_equal(ws_conn_config_new(WS_ROLE_CLIENT, &options, &config, NULL),
                   0);
  assert_int_equal(ws_conn_new(config, 0, &conn), 0);
  ws_conn_request request;
  ws_conn_request_init(&request);
  ws_url *url;
  assert_int_equal(ws_url_parse("ws://h/", 7, NULL, &url, NULL), 0);
  request.url = url;
  ws_slice slice;
  is_dry = true;
  assert_int_equal(ws_conn_connect(conn, &request, NULL), WS_ERR_RANDOM);
  assert_int_equal(ws_conn_output(conn, &slice, 1), 0);
  is_dry = false;
  const char *reason = NULL;
  request.size = 0;
  assert_int_equal(ws_conn_connect(conn, &request, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(reason, "size"));
  request.size = sizeof(request);
  assert_int_equal(ws_conn_connect(conn, &request, NULL), 0);
  assert_int_equal(ws_conn_output(conn, &slice, 1), 1);
  assert_int_equal(ws_conn_connect(conn, &request, NULL), WS_ERR_INVALID_STATE);
  ws_conn_free(conn);
  ws_conn_config_free(config);
  ws_url_free(url);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_fed_before_eof_comes_out_first),
      cmocka_unit_test(a_close_frame_fed_before_eof_makes_a_clean_end),
      cmocka_unit_test(input_that_is_borrowed_must_be_used_first),
      cmocka_unit_test(input_that_was_kept_can_be_added_to),
      cmocka_unit_test(input_can_be_kept_a_second_time),
      cmocka_unit_test(while_paused_input_and_its_end_are_kept),
      cmocka_unit_test(an_abort_forgets_the_input),
      cmocka_unit_test(a_deadline_does_not_overtake_input_that_is_here),
      cmocka_unit_test(empty_arguments_may_be_null),
      cmocka_unit_test(nothing_can_be_sent_while_connecting),
      cmocka_unit_test(a_drain_event_comes_at_half_of_the_high_water),
      cmocka_unit_test(a_streamed_message_comes_as_it_arrives),
      cmocka_unit_test(streaming_does_not_change_a_message_under_way),
      cmocka_unit_test(closing_inside_a_streamed_message_drops_the_rest),
      cmocka_unit_test(a_pong_tells_how_long_its_ping_has_been_away),
      cmocka_unit_test(a_connection_may_be_freed_at_any_time),
      cmocka_unit_test(nothing_is_sent_without_random_bytes),
      cmocka_unit_test(nothing_is_asked_without_random_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
