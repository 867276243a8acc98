/* test_conn_limits.c - what a connection holds and how long it waits.
 *
 * Every byte is counted by the allocator: memory follows what has come, not
 * what was announced, and no state
 * waits for ever. */
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "driver.h"
#include "test.h"
#include "test_alloc.h"

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)

static const char deflate_offer[] = "permessage-deflate";

/* One connection with an allocator that counts. */
typedef struct bench {
  test_alloc alloc;
  ws_conn_options options;
  ws_conn_config *config;
  driver d;
  size_t idle; /* Held right after the handshake. */
} bench;

static void bench_init(bench *b) {
  memset(b, 0, sizeof(*b));
  test_alloc_init(&b->alloc);
  driver_options_init(&b->options);
  b->options.allocator = b->alloc.allocator;
}

static void bench_configure(bench *b, ws_role role) {
  assert_int_equal(ws_conn_config_new(role, &b->options, &b->config, NULL), 0);
}

static void bench_open(bench *b, ws_role role, driver_mode mode) {
  const bool compresses = b->options.compression == WS_COMPRESSION_ON;
  bench_configure(b, role);
  assert_true(driver_open(&b->d, role, b->config, &mode,
                          compresses ? deflate_offer : NULL, NULL, 0));
  b->idle = b->alloc.held;
  b->alloc.peak = b->alloc.held;
}

static void bench_free(bench *b) {
  driver_free(&b->d);
  ws_conn_config_free(b->config);
  assert_int_equal(b->alloc.held, 0);
}

static void feed(bench *b, const char *frame, size_t len) {
  driver_feed_frame(&b->d, (const uint8_t *)frame, len);
}

/* Runs a check for both roles. */
static void for_each_role(void (*check)(ws_role role)) {
  check(WS_ROLE_CLIENT);
  check(WS_ROLE_SERVER);
}

/* -- Messages ------------------------------------------------------------------ */

static void check_declared_length(ws_role role) {
  bench b;
  bench_init(&b);
  b.options.max_message = WS_UNLIMITED;
  bench_open(&b, role, (driver_mode){.fills_place = true});
  feed(&b, "\x82\x7f\0\0\x01\0\0\0\0\0x", 11); /* 2^40 bytes, one comes. */
  assert_int_equal(ws_conn_state(b.d.conn), WS_STATE_OPEN);
  uint8_t *place;
  size_t room;
  ws_conn_input(b.d.conn, &place, &room);
  assert_true(b.alloc.peak - b.idle <= 64 * KIB);
  bench_free(&b);
}

/* */
static void memory_follows_what_came_not_what_was_declared(void **state) {
  (void)state;
  for_each_role(check_declared_length);
}

static void check_whole_messages(ws_role role) {
  bench b;
  bench_init(&b);
  bench_open(&b, role, (driver_mode){.lent_size = 4096});
  const size_t calls = b.alloc.calls;
  char frame[2 + 125] = "\x81";
  memset(frame + 2, 'x', 125);
  for (size_t len = 0; len <= 125; len++) {
    frame[1] = (char)len;
    feed(&b, frame, 2 + len);
    assert_int_equal(ws_conn_send_text(b.d.conn, frame + 2, len), 0);
  }
  feed(&b, "\x89\x02hi", 4);
  assert_int_equal(b.d.events, 127);
  /* The send outside of a loan made a chunk each, nothing else did. */
  assert_int_equal(b.alloc.calls, calls + 126);
  bench_free(&b);
}

/* What design promises of the path of a message: no allocation for one that
 * arrives whole, nor for the answer to a ping in a lent buffer. */
static void a_message_that_arrives_whole_allocates_nothing(void **state) {
  (void)state;
  for_each_role(check_whole_messages);
}

static void check_lost_output(ws_role role) {
  bench b;
  bench_init(&b);
  bench_open(&b, role, (driver_mode){0});
  ws_conn *conn = b.d.conn;
  uint8_t buffer[256];
  assert_int_equal(ws_conn_lend_output(conn, buffer, sizeof(buffer)), 0);
  assert_int_equal(ws_conn_send_text(conn, "hello", 5), 0);
  ws_conn_consume(conn, 1);
  b.alloc.fail_at = b.alloc.calls;
  assert_int_equal(ws_conn_reclaim_output(conn), WS_ERR_NO_MEMORY);
  ws_slice slice;
  assert_int_equal(ws_conn_output(conn, &slice, 1), 0);
  driver_settle(&b.d);
  assert_string_equal(transcript_text(&b.d.log),
                      "event error NO_MEMORY 0 local\n"
                      "event close 1006 unclean:\n");
  assert_int_equal(b.d.out_len, 0);
  bench_free(&b);
}

/* What follows a frame that was cut would be taken for its payload. */
static void nothing_follows_a_frame_that_was_lost_in_part(void **state) {
  (void)state;
  for_each_role(check_lost_output);
}

static void check_small_fragments(ws_role role) {
  bench b;
  bench_init(&b);
  b.options.max_fragments = WS_UNLIMITED;
  bench_open(&b, role, (driver_mode){0});
  feed(&b, "\x02\x01x", 3);
  for (size_t payload = 1; payload < 20000; payload++) {
    feed(&b, "\x00\x01x", 3);
    assert_true(b.alloc.held - b.idle <= 2 * payload + 4 * KIB);
  }
  feed(&b, "\x80\x00", 2);
  assert_int_equal(b.d.events, 1);
  assert_int_equal(b.alloc.held, b.idle);
  bench_free(&b);
}

/* */
static void fragments_of_one_byte_cost_twice_their_payload(void **state) {
  (void)state;
  for_each_role(check_small_fragments);
}

static void check_empty_fragments(ws_role role) {
  bench b;
  bench_init(&b);
  b.options.useless_burst = UINT32_MAX;
  b.options.max_fragments = WS_UNLIMITED;
  bench_open(&b, role, (driver_mode){0});
  feed(&b, "\x02\x00", 2);
  for (int i = 0; i < 20000; i++)
    feed(&b, "\x00\x00", 2);
  assert_true(b.alloc.peak - b.idle <= 4 * KIB);
  assert_int_equal(ws_conn_state(b.d.conn), WS_STATE_OPEN);
  bench_free(&b);
}

/* */
static void empty_fragments_cost_nothing(void **state) {
  (void)state;
  for_each_role(check_empty_fragments);
}

static void check_endless_continuations(ws_role role) {
  bench b;
  bench_init(&b);
  b.options.max_message = 64 * KIB;
  bench_open(&b, role, (driver_mode){0});
  char frame[1002] = "\x02\x7d";
  feed(&b, frame, 127);
  frame[0] = 0;
  for (int i = 0; i < 1000 && b.d.closes == 0; i++)
    feed(&b, frame, 127);
  driver_log_output(&b.d);
  assert_string_equal(transcript_text(&b.d.log),
                      "event error UNSUPPORTED_MESSAGE_LENGTH 1009 peer\n"
                      "event close 1006 unclean:\n"
                      "tells 1009\n");
  assert_true(b.alloc.peak - b.idle <= 2 * 64 * KIB + 4 * KIB);
  bench_free(&b);
}

/* */
static void endless_continuations_end_at_the_limit(void **state) {
  (void)state;
  for_each_role(check_endless_continuations);
}

/* Default options. Returns after how many frames the connection failed 1008. */
static size_t flood(ws_role role, const char *first, size_t first_len,
                    const char *frame, size_t len) {
  bench b;
  bench_init(&b);
  bench_open(&b, role, (driver_mode){0});
  feed(&b, first, first_len);
  size_t count = 0;
  for (; b.d.closes == 0 && count < 100000; count++)
    feed(&b, frame, len);
  assert_int_equal(b.d.errors, 1);
  assert_int_equal(b.d.told_code, WS_CLOSE_POLICY);
  bench_free(&b);
  return count;
}

static void check_floods(ws_role role) {
  assert_int_equal(flood(role, "\x02\x01x", 3, "\x00\x00", 2), 1001);
  assert_int_equal(flood(role, "\x82\x00", 2, "\x8a\x00", 2), 1001);
}

/* */
static void useless_frames_have_a_budget_by_default(void **state) {
  (void)state;
  for_each_role(check_floods);
}

/* What is held by a frame of 256 KiB but for its last byte. */
static size_t held_by_unfinished_frame(ws_role role, size_t chunk) {
  const size_t len = 256 * KIB;
  bench b;
  bench_init(&b);
  bench_open(&b, role, (driver_mode){.chunk = chunk});
  uint8_t *frame = calloc(1, 10 + len);
  assert_non_null(frame);
  memcpy(frame, "\x82\x7f\0\0\0\0\0\x04\0\0", 10);
  driver_feed_frame(&b.d, frame, 10 + len - 1);
  free(frame);
  const size_t held = b.alloc.held - b.idle;
  assert_int_equal(b.d.events, 0);
  assert_true(held <= 2 * len + 4 * KIB);
  bench_free(&b);
  return held;
}

static void check_small_reads(ws_role role) {
  assert_int_equal(held_by_unfinished_frame(role, 1),
                   held_by_unfinished_frame(role, 0));
}

/* */
static void small_reads_hold_no_more_than_a_large_one(void **state) {
  (void)state;
  for_each_role(check_small_reads);
}

static void check_idle(ws_role role) {
  bench b;
  bench_init(&b);
  bench_open(&b, role, (driver_mode){.chunk = 1});
  feed(&b, "\x01\x03Hel", 5);
  feed(&b, "\x89\x04ping", 6);
  feed(&b, "\x80\x02lo", 4);
  feed(&b, "\x8a\x04pong", 6);
  assert_int_equal(ws_conn_send_text(b.d.conn, "Hello", 5), 0);
  assert_int_equal(ws_conn_send(b.d.conn, WS_TEXT, "Hel", 3, WS_SEND_FRAGMENT),
                   0);
  assert_int_equal(ws_conn_send_text(b.d.conn, "lo", 2), 0);
  assert_int_equal(ws_conn_send_ping(b.d.conn, "p", 1), 0);
  driver_settle(&b.d);
  feed(&b, "\x8a\x01p", 3);
  assert_int_equal(b.alloc.held, b.idle);
  ws_conn_stats stats;
  ws_conn_get_stats(b.d.conn, &stats);
  assert_int_equal(stats.bytes_queued, 0);
  bench_free(&b);
}

static void an_idle_connection_holds_what_it_did_when_it_opened(void **state) {
  (void)state;
  for_each_role(check_idle);
}

/* -- Compression ----------------------------------------------------------------- */

/* A frame with `len` zeros, compressed. Returns its size. */
static size_t make_bomb(uint8_t **out_frame, size_t len) {
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY),
                   Z_OK);
  const size_t cap = len / 500 + 1024;
  uint8_t *frame = malloc(cap);
  uint8_t *zeros = calloc(1, MIB);
  assert_non_null(frame);
  assert_non_null(zeros);
  z.next_out = frame + 10;
  z.avail_out = (uInt)(cap - 10);
  for (size_t left = len; left > 0; left -= MIB) {
    z.next_in = zeros;
    z.avail_in = (uInt)MIB;
    assert_int_equal(deflate(&z, left > MIB ? Z_NO_FLUSH : Z_SYNC_FLUSH), Z_OK);
  }
  const size_t size = z.total_out - 4; /* Without 00 00 ff ff. */
  deflateEnd(&z);
  free(zeros);
  assert_true(size > 65535);
  frame[0] = 0xC2;
  frame[1] = 127;
  for (size_t i = 0; i < 8; i++) {
    frame[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
  }
  *out_frame = frame;
  return 10 + size;
}

static void check_bomb(ws_role role) {
  const size_t max = 128 * KIB;
  uint8_t *bomb;
  const size_t len = make_bomb(&bomb, 128 * MIB);
  static const driver_mode modes[] = {
      {0}, {.chunk = 1000}, {.is_streaming = true}, {.keeps_input = true}};
  for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
    bench b;
    bench_init(&b);
    b.options.max_message = max;
    b.options.compression = WS_COMPRESSION_ON;
    b.options.server_max_window_bits = 15;
    b.options.client_max_window_bits = 15;
    bench_open(&b, role, modes[i]);
    driver_feed_frame(&b.d, bomb, len);
    assert_int_equal(b.d.told_code, WS_CLOSE_TOO_BIG);
    assert_int_equal(b.d.closes, 1);
    assert_int_equal(b.d.events, 2);
    const size_t input = b.d.mode.keeps_input ? len + 4 : 0;
    assert_true(b.alloc.peak - b.idle <= max + 64 * KIB + input);
    bench_free(&b);
  }
  free(bomb);
}

/* */
static void a_bomb_is_never_expanded_beyond_the_limit(void **state) {
  (void)state;
  for_each_role(check_bomb);
}

/* -- Control frames and output ---------------------------------------------------- */

static void check_blocked_pings(ws_role role) {
  bench b;
  bench_init(&b);
  b.options.useless_burst = UINT32_MAX;
  bench_open(&b, role, (driver_mode){0});
  b.d.is_blocked = true;
  assert_int_equal(ws_conn_send_text(b.d.conn, "x", 1), 0);
  char ping[127] = "\x89\x7d";
  feed(&b, ping, sizeof(ping));
  const size_t before = b.alloc.held;
  b.alloc.peak = before;
  for (int i = 0; i < 50000; i++)
    feed(&b, ping, sizeof(ping));
  assert_true(b.alloc.peak - before <= 256);
  assert_int_equal(ws_conn_state(b.d.conn), WS_STATE_OPEN);
  bench_free(&b);
}

/* */
static void pings_with_blocked_output_hold_one_pong(void **state) {
  (void)state;
  for_each_role(check_blocked_pings);
}

static void check_pings_in_one_segment(ws_role role) {
  bench b;
  bench_init(&b);
  b.options.useless_burst = UINT32_MAX;
  bench_open(&b, role, (driver_mode){0});
  enum {
    COUNT = 8000,
    SIZE = 127
  };
  uint8_t *pings = calloc(COUNT, SIZE + 4);
  assert_non_null(pings);
  size_t len = 0;
  uint8_t ping[SIZE] = "\x89\x7d";
  for (int i = 0; i < COUNT; i++) {
    len += driver_frame(&b.d, pings + len, ping, SIZE);
  }
  driver_feed(&b.d, pings, len);
  free(pings);
  assert_int_equal(b.d.events, COUNT);
  assert_true(b.alloc.peak - b.idle <= 16 * KIB);
  bench_free(&b);
}

/* */
static void pings_in_one_segment_hold_a_bounded_number_of_pongs(void **state) {
  (void)state;
  for_each_role(check_pings_in_one_segment);
}

static void check_send_queue(ws_role role) {
  const size_t max = 256 * KIB;
  bench b;
  bench_init(&b);
  b.options.max_send_queue = max;
  bench_open(&b, role, (driver_mode){0});
  b.d.is_blocked = true;
  const char message[1000] = {0};
  int err = 0;
  for (int i = 0; i < 1000 && err == 0; i++) {
    err = ws_conn_send_binary(b.d.conn, message, sizeof(message));
    assert_true(b.alloc.held - b.idle <= 2 * max);
  }
  assert_int_equal(err, WS_ERR_SEND_QUEUE_FULL);
  driver_settle(&b.d);
  assert_int_equal(b.d.errors, 1);
  assert_int_equal(b.d.closes, 1);
  bench_free(&b);
}

/* Row 175. */
static void the_send_queue_is_bounded(void **state) {
  (void)state;
  for_each_role(check_send_queue);
}

static void check_after_failure(ws_role role) {
  bench b;
  bench_init(&b);
  b.options.max_message = 100;
  bench_open(&b, role, (driver_mode){0});
  feed(&b, "\x82\x7e\x00\xff", 4);
  assert_int_equal(b.d.told_code, WS_CLOSE_TOO_BIG);
  assert_int_equal(b.d.closes, 1);
  uint8_t *more = malloc(MIB);
  assert_non_null(more);
  for (size_t i = 0; i < MIB; i++)
    more[i] = (uint8_t)(i * 31);
  const size_t events = b.d.events;
  b.alloc.peak = b.alloc.held;
  driver_feed(&b.d, more, MIB);
  b.d.mode.chunk = 1000;
  driver_feed(&b.d, more, MIB);
  free(more);
  driver_eof(&b.d);
  assert_int_equal(b.d.events, events);
  assert_true(b.alloc.peak == b.alloc.held);
  bench_free(&b);
}

/* */
static void what_comes_after_the_end_is_ignored(void **state) {
  (void)state;
  for_each_role(check_after_failure);
}

/* -- Deadlines --------------------------------------------------------------------- */

/* a peer that does nothing more is waited for in a few steps of finite
 * length, each of which does something. */
static void expect_end_by_time(driver *d) {
  for (int steps = 0; d->closes == 0; steps++) {
    const uint64_t deadline = ws_conn_deadline(d->conn);
    assert_true(deadline != WS_NO_DEADLINE);
    assert_true(deadline > d->now);
    assert_true(steps < 5);
    /* Nothing happens before the time. */
    const size_t events = d->events;
    driver_tick(d, deadline - d->now - 1);
    assert_int_equal(d->events, events);
    assert_true(ws_conn_deadline(d->conn) == deadline);
    driver_tick(d, 1);
    assert_true(ws_conn_deadline(d->conn) != deadline);
  }
  assert_true(ws_conn_deadline(d->conn) == WS_NO_DEADLINE);
  assert_int_equal(ws_conn_state(d->conn), WS_STATE_CLOSED);
}

/* What brings an open connection into each state it can wait in. */
static void stay(bench *b) {
  (void)b;
}

static void begin_head(bench *b) {
  feed(b, "\x82", 1);
}

static void begin_payload(bench *b) {
  feed(b, "\x82\x05x", 3);
}

static void begin_message(bench *b) {
  feed(b, "\x02\x01x", 3);
}

static void begin_control_frame(bench *b) {
  feed(b, "\x89\x05x", 3);
}

static void block_output(bench *b) {
  b->d.is_blocked = true;
  assert_int_equal(ws_conn_send_text(b->d.conn, "x", 1), 0);
}

static void close_first(bench *b) {
  assert_int_equal(ws_conn_close(b->d.conn, 1000, NULL, 0), 0);
  driver_settle(&b->d);
}

static void close_blocked(bench *b) {
  b->d.is_blocked = true;
  close_first(b);
}

static void close_and_begin_payload(bench *b) {
  close_first(b);
  begin_payload(b);
}

static void answer_close_blocked(bench *b) {
  b->d.is_blocked = true;
  feed(b, "\x88\x02\x03\xe8", 4);
}

static void fail_blocked(bench *b) {
  b->d.is_blocked = true;
  feed(b, "\x83\x00", 2);
}

static void send_ping(bench *b) {
  assert_int_equal(ws_conn_send_ping(b->d.conn, "x", 1), 0);
  driver_settle(&b->d);
}

static void (*const waits[])(bench *b) = {
    stay,         begin_head,   begin_payload,        begin_message,
    block_output, close_first,  close_blocked,        close_and_begin_payload,
    send_ping,    fail_blocked, answer_close_blocked, begin_control_frame,
};

static void check_open_deadlines(ws_role role) {
  for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
    bench b;
    bench_init(&b);
    bench_open(&b, role, (driver_mode){0});
    waits[i](&b);
    expect_end_by_time(&b.d);
    bench_free(&b);
  }
}

/* */
static void no_open_or_closing_connection_waits_for_ever(void **state) {
  (void)state;
  for_each_role(check_open_deadlines);
}

/* Without the pings, which the peer might answer for ever, what remains of a
 * message or of unsent output still has its own time. */
static void check_deadlines_without_pings(ws_role role) {
  for (size_t i = 1; i < sizeof(waits) / sizeof(waits[0]); i++) {
    if (waits[i] == send_ping) continue; /* Idle is allowed then. */
    bench b;
    bench_init(&b);
    b.options.ping_interval = WS_NEVER;
    bench_open(&b, role, (driver_mode){0});
    waits[i](&b);
    expect_end_by_time(&b.d);
    bench_free(&b);
  }
}

static void check_progress(ws_role role) {
  bench b;
  bench_init(&b);
  b.options.ping_interval = WS_NEVER;
  bench_open(&b, role, (driver_mode){0});
  static uint8_t message[4 + 12000] = {0x82, 126, 12000 >> 8, 12000 & 0xFF};
  static uint8_t frame[sizeof(message) + 4];
  const size_t len = driver_frame(&b.d, frame, message, sizeof(message));

  /* A message in two reads makes progress, and is done. */
  driver_feed(&b.d, frame, 100);
  driver_feed(&b.d, frame + 100, len - 100);
  assert_int_equal(b.d.events, 1);

  /* The next has its own 60 s, which 16 KiB would extend, not less. */
  driver_feed(&b.d, frame, 100);
  driver_tick(&b.d, 50000);
  driver_feed(&b.d, frame + 100, 5000);
  driver_tick(&b.d, 9999);
  assert_int_equal(b.d.errors, 0);
  driver_tick(&b.d, 1);
  assert_int_equal(b.d.errors, 1);
  bench_free(&b);
}

static void progress_of_one_message_does_not_count_for_another(void **state) {
  (void)state;
  for_each_role(check_progress);
}

static void pings_are_not_the_only_deadline(void **state) {
  (void)state;
  for_each_role(check_deadlines_without_pings);
}

/* Feeds `head` to a connection that has not opened, and lets time pass. */
static void check_handshake_deadline(ws_role role, const char *head) {
  bench b;
  bench_init(&b);
  bench_configure(&b, role);
  driver *d = &b.d;
  d->role = role;
  assert_int_equal(ws_conn_new(b.config, d->now, &d->conn), 0);
  if (role == WS_ROLE_CLIENT) {
    ws_url *url;
    assert_int_equal(ws_url_parse("ws://h/", 7, NULL, &url, NULL), 0);
    ws_conn_request request;
    ws_conn_request_init(&request);
    request.url = url;
    assert_int_equal(ws_conn_connect(d->conn, &request, NULL), 0);
    ws_url_free(url);
  }
  driver_feed(d, (const uint8_t *)head, strlen(head));
  driver_settle(d);
  assert_true(ws_conn_deadline(d->conn) - d->now <= 30000);
  expect_end_by_time(d);
  bench_free(&b);
}

static void no_opening_connection_waits_for_ever(void **state) {
  (void)state;
  check_handshake_deadline(WS_ROLE_SERVER, "");
  check_handshake_deadline(WS_ROLE_SERVER, "GET / HTTP/1.1\r\nHo");
  check_handshake_deadline(WS_ROLE_CLIENT, "");
  check_handshake_deadline(WS_ROLE_CLIENT, "HTTP/1.1 101 S");
  check_handshake_deadline(WS_ROLE_CLIENT,
                           "HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nno");
}

/* Slow bytes do not move the handshake's deadline: it is a total. */
static void slow_bytes_do_not_extend_the_handshake(void **state) {
  (void)state;
  bench b;
  bench_init(&b);
  bench_configure(&b, WS_ROLE_SERVER);
  driver *d = &b.d;
  d->role = WS_ROLE_SERVER;
  assert_int_equal(ws_conn_new(b.config, 0, &d->conn), 0);
  const uint64_t deadline = ws_conn_deadline(d->conn);
  for (const char *c = "GET / HTTP/1.1\r\n"; *c != '\0'; c++) {
    driver_tick(d, 500);
    driver_feed(d, (const uint8_t *)c, 1);
    assert_true(ws_conn_deadline(d->conn) == deadline);
  }
  bench_free(&b);
}

/* The stamps are 32 bits wide; time is not (security.md 2.1, clock jumps). */
/* What waits for the peer has to wait for the application first. */
static void check_pause(ws_role role) {
  bench b;
  bench_init(&b);
  b.options.ping_interval = 100000;
  bench_open(&b, role, (driver_mode){0});
  feed(&b, "\x02\x01x", 3);
  const uint64_t patience = ws_conn_deadline(b.d.conn) - b.d.now;
  driver_tick(&b.d, patience - 1);
  ws_conn_set_paused(b.d.conn, true);
  assert_true(ws_conn_deadline(b.d.conn) == WS_NO_DEADLINE);
  driver_tick(&b.d, 1000000);
  ws_conn_set_paused(b.d.conn, false);
  assert_true(ws_conn_deadline(b.d.conn) == b.d.now + patience);
  driver_tick(&b.d, patience - 1);
  assert_int_equal(b.d.errors, 0);
  driver_tick(&b.d, 1);
  assert_int_equal(b.d.errors, 1);
  bench_free(&b);
}

static void deadlines_of_the_peer_stand_still_while_paused(void **state) {
  (void)state;
  for_each_role(check_pause);
}

/* A pause does not give more time for what is not input. */
static void the_deadline_of_the_handshake_goes_on_while_paused(void **state) {
  (void)state;
  bench b;
  bench_init(&b);
  bench_configure(&b, WS_ROLE_SERVER);
  assert_int_equal(ws_conn_new(b.config, 1000, &b.d.conn), 0);
  const uint64_t deadline = ws_conn_deadline(b.d.conn);
  ws_conn_tick(b.d.conn, 2000);
  ws_conn_set_paused(b.d.conn, true);
  assert_true(ws_conn_deadline(b.d.conn) == deadline);
  ws_conn_set_paused(b.d.conn, false);
  assert_true(ws_conn_deadline(b.d.conn) == deadline);
  bench_free(&b);
}

static void time_beyond_32_bits_is_no_trouble(void **state) {
  (void)state;
  static const uint64_t starts[] = {UINT32_MAX - 10000, UINT32_MAX,
                                    UINT64_C(1) << 40};
  for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
    bench b;
    bench_init(&b);
    bench_open(&b, WS_ROLE_SERVER, (driver_mode){0});
    b.d.now = starts[i];
    ws_conn_tick(b.d.conn, b.d.now);
    driver_settle(&b.d);
    for (int hours = 0; hours < 24 && b.d.closes == 0; hours++) {
      feed(&b, "\x82\x00", 2);
      driver_tick(&b.d, 15000);
    }
    assert_int_equal(b.d.closes, 0);
    expect_end_by_time(&b.d);
    bench_free(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_follows_what_came_not_what_was_declared),
      cmocka_unit_test(a_message_that_arrives_whole_allocates_nothing),
      cmocka_unit_test(nothing_follows_a_frame_that_was_lost_in_part),
      cmocka_unit_test(fragments_of_one_byte_cost_twice_their_payload),
      cmocka_unit_test(empty_fragments_cost_nothing),
      cmocka_unit_test(endless_continuations_end_at_the_limit),
      cmocka_unit_test(useless_frames_have_a_budget_by_default),
      cmocka_unit_test(small_reads_hold_no_more_than_a_large_one),
      cmocka_unit_test(an_idle_connection_holds_what_it_did_when_it_opened),
      cmocka_unit_test(a_bomb_is_never_expanded_beyond_the_limit),
      cmocka_unit_test(pings_with_blocked_output_hold_one_pong),
      cmocka_unit_test(pings_in_one_segment_hold_a_bounded_number_of_pongs),
      cmocka_unit_test(the_send_queue_is_bounded),
      cmocka_unit_test(what_comes_after_the_end_is_ignored),
      cmocka_unit_test(no_open_or_closing_connection_waits_for_ever),
      cmocka_unit_test(progress_of_one_message_does_not_count_for_another),
      cmocka_unit_test(pings_are_not_the_only_deadline),
      cmocka_unit_test(no_opening_connection_waits_for_ever),
      cmocka_unit_test(slow_bytes_do_not_extend_the_handshake),
      cmocka_unit_test(deadlines_of_the_peer_stand_still_while_paused),
      cmocka_unit_test(the_deadline_of_the_handshake_goes_on_while_paused),
      cmocka_unit_test(time_beyond_32_bits_is_no_trouble),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
