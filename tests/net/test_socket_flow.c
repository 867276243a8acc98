/* test_socket_flow.c - how much waits, and what becomes of it: bufferedAmount
 * (section I of the behaviour table), a peer that does not read, a peer that is
 * too fast. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raw_peer.h"

/* More than the system keeps for a connection whose end does not read, in
 * pieces. */
enum {
  PIECE = 65536,
  FLOOD = 50 * PIECE
};

static uint64_t amount(const net_end *end) {
  return ws_socket_buffered_amount(end->socket);
}

static void send_zeros(const net_end *end, size_t len) {
  uint8_t *zeros = calloc(1, len);
  assert_non_null(zeros);
  assert_int_equal(ws_socket_send_binary(end->socket, zeros, len), 0);
  free(zeros);
}

/* Sends until the system takes no more and a megabyte waits, or it has been
 * given up. */
static void fill(net *n, const net_end *end) {
  while (!end->is_over && amount(end) < 1048576) {
    send_zeros(end, PIECE);
    net_settle(n);
  }
}

/* Reads the pieces that fill() has sent. */
static unsigned take_pieces(raw *peer, uint64_t messages) {
  unsigned taken = 0;
  for (; taken < messages; taken++)
    assert_int_equal(raw_read_frame(peer).len, PIECE);
  return taken;
}

static ws_conn_stats stats_of(const net_end *end) {
  ws_conn_stats stats;
  ws_socket_get_stats(end->socket, &stats);
  return stats;
}

/* -- bufferedAmount -------------------------------------------------------- */

/* Rows 179, 180, 181, 182, 189. */
static void the_amount_counts_payload_until_it_has_left(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  static const char yen[] = "\xC2\xA5\xC2\xA5\xC2\xA5\xC2\xA5\xC2\xA5\xC2\xA5";
  assert_int_equal(ws_socket_send_text(end->socket, yen, 12), 0);
  assert_int_equal(amount(end), 12);
  send_zeros(end, 10);
  assert_int_equal(amount(end), 22);
  send_zeros(end, 65000);
  assert_int_equal(amount(end), 65022);
  assert_int_equal(ws_socket_send_text(end->socket, "", 0), 0);
  assert_int_equal(amount(end), 65022);
  NET_UNTIL(n, amount(end) == 0);
}

static void send_and_look_again(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type != WS_EVENT_MESSAGE) return;
  assert_int_equal(ws_socket_send_text(end->socket, "hello", 5), 0);
  assert_int_equal(amount(end), 5);
  send_zeros(end, 300000);
  assert_int_equal(amount(end), 300005);
  send_zeros(end, 10);
  assert_int_equal(amount(end), 300015);
}

/* Row 183: it never drops while a handler runs, though bytes may have left. */
static void the_amount_does_not_drop_in_a_handler(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  n->on_event = send_and_look_again;
  raw_text(peer, "go");
  assert_raw_text(peer, "hello");
  assert_int_equal(raw_read_frame(peer).len, 300000);
  NET_UNTIL(n, amount(end) == 0);
}

/* Row 185. */
static void the_amount_is_that_before_compression(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.compression = WS_COMPRESSION_ON;
  net_end *end;
  raw *peer;
  raw_open(n, &options, "permessage-deflate", &end, &peer);
  send_zeros(end, 1048576);
  assert_int_equal(amount(end), 1048576);
  const raw_view frame = raw_read_frame(peer);
  assert_int_equal(frame.first_byte, 0xC2);
  assert_true(frame.len < 10000);
  NET_UNTIL(n, amount(end) == 0);
}

/* Row 186. */
static void control_frames_do_not_count(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  assert_int_equal(ws_socket_ping(end->socket, "ping", 4), 0);
  assert_int_equal(ws_socket_pong(end->socket, "pong", 4), 0);
  assert_int_equal(ws_socket_close(end->socket, 1000, "bye", 3), 0);
  assert_int_equal(amount(end), 0);
}

/* Rows 170, 172, 187: what is never sent counts, and goes on to. */
static void what_is_sent_after_close_counts_for_ever(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  net_retain(end);
  assert_int_equal(ws_socket_close(end->socket, 1000, "", 0), 0);
  assert_int_equal(ws_socket_send_text(end->socket, "12345", 5), 0);
  send_zeros(end, 3);
  assert_int_equal(amount(end), 8);
  assert_raw_close(peer, 1000, "");
  raw_send_close(peer, 1000, "");
  raw_close(peer);
  net_finish(n, end);
  net_settle(n);
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CLOSED);
  assert_int_equal(amount(end), 8);
  assert_int_equal(ws_socket_send_text(end->socket, "12345", 5), 0);
  assert_int_equal(amount(end), 13);
}

static uint64_t bytes_sent(const net *n) {
  ws_loop_stats stats;
  ws_loop_get_stats(n->loop, &stats);
  return stats.bytes_sent;
}

static void remember_amount(net *n, net_end *end, const ws_event *event) {
  uint64_t *seen = n->arg;
  if (event->type != WS_EVENT_ERROR && event->type != WS_EVENT_CLOSE) return;
  assert_true(amount(end) >= *seen);
  *seen = amount(end);
}

/* Row 188. */
static void the_amount_stays_when_the_connection_dies(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  net_retain(end);
  fill(n, end);
  uint64_t seen = 1;
  n->on_event = remember_amount;
  n->arg = &seen;
  const uint64_t waiting = amount(end), sent = bytes_sent(n);
  raw_reset(peer);
  net_finish(n, end);
  /* Some may have left before the peer was gone. */
  assert_true(seen + (bytes_sent(n) - sent) >= waiting);
  assert_int_equal(amount(end), seen);
}

/* -- A peer that does not read --------------------------------------------- */

/* Row 174. */
static void sending_to_a_slow_reader_never_blocks(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  for (unsigned i = 0; i < FLOOD / PIECE; i++)
    send_zeros(end, PIECE);
  assert_int_equal(amount(end), FLOOD);
  take_pieces(peer, FLOOD / PIECE);
  NET_UNTIL(n, amount(end) == 0);
  assert_false(end->is_over);
}

/* Row 320: the drain event comes once, when no more than half of the mark
 * waits. */
static void drain_comes_when_the_peer_reads_again(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.send_high_water = 100000;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  fill(n, end);
  net_settle(n);
  assert_log(end, "");
  while (stats_of(end).bytes_queued > 50000) {
    assert_log(end, "");
    raw_read_frame(peer);
    net_settle(n);
  }
  NET_UNTIL(n, end->last_type == WS_EVENT_DRAIN);
  assert_log(end, "drain");
  take_pieces(peer, 1);
  net_settle(n);
  assert_log(end, "");
}

/* Row 175. */
static void a_queue_that_is_full_fails_the_connection(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.max_send_queue = (uint64_t)4 * PIECE;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  uint8_t *piece = calloc(1, PIECE);
  assert_non_null(piece);
  int result;
  do {
    result = ws_socket_send_binary(end->socket, piece, PIECE);
    if (result == 0) net_settle(n);
  } while (result == 0);
  free(piece);
  assert_int_equal(result, WS_ERR_SEND_QUEUE_FULL);
  assert_log(end, "");
  net_finish(n, end);
  assert_log(end, "error SEND_QUEUE_FULL, close 1006 unclean");
  assert_int_equal(end->cause.side, WS_SIDE_LOCAL);
  assert_non_null(strstr(end->cause_text, "max_send_queue"));
}

/* A peer that takes nothing at all is given up. */
static void a_stuck_peer_is_left_after_the_send_timeout(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.send_timeout = 50;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  fill(n, end);
  net_finish(n, end);
  assert_log(end, "error SEND_TIMEOUT, close 1006 unclean");
}

/* Row 219: the peer's code counts, but it is no clean end. */
static void
a_close_of_the_peer_while_much_is_unsent_is_not_clean(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.close_timeout = 50;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  fill(n, end);
  raw_send_close(peer, 4567, "");
  net_finish(n, end);
  assert_non_null(strstr(transcript_text(&end->log), "unclean"));
}

/* pings that cannot be answered cost nothing. */
static void pings_to_a_blocked_connection_are_not_queued(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  fill(n, end);
  const uint64_t queued = stats_of(end).bytes_queued;
  for (int i = 0; i < 500; i++)
    raw_frame(peer, 0x89, "ping", 4);
  net_settle(n);
  assert_true(stats_of(end).bytes_queued <= queued + 16);
  assert_false(end->is_over);
}

/* How often the loop turns in 50 ms in which nothing can be done. The system
 * may still have taken some bytes: then there was something to do. */
static uint64_t idle_turns(net *n) {
  ws_loop_stats before, after;
  do {
    net_settle(n);
    ws_loop_get_stats(n->loop, &before);
    for (const uint64_t start = net_clock(); net_clock() - start < 50;)
      net_turn(n, 50);
    ws_loop_get_stats(n->loop, &after);
  } while (after.bytes_sent != before.bytes_sent);
  return after.turns - before.turns;
}

/* */
static void a_connection_that_is_blocked_makes_no_loop_spin(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  fill(n, end);
  raw_frame(peer, 0x89, "ping", 4);
  assert_in_range(idle_turns(n), 1, 5);
  ws_socket_pause(end->socket);
  raw_text(peer, "not read");
  assert_in_range(idle_turns(n), 1, 5);
}

/* -- A peer that is too fast ----------------------------------------------- */

/* Row 347. */
static void a_paused_socket_has_no_messages_until_it_goes_on(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  ws_socket_pause(end->socket);
  raw_text(peer, "a");
  raw_text(peer, "b");
  net_settle(n);
  assert_log(end, "");
  assert_int_equal(ws_socket_send_text(end->socket, "out", 3), 0);
  assert_raw_text(peer, "out"); /* Sending goes on. */
  ws_socket_resume(end->socket);
  NET_UNTIL(n, end->messages == 2);
  assert_log(end, "text a, text b");
}

static void pause_at_message(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type == WS_EVENT_MESSAGE) ws_socket_pause(end->socket);
}

/* What was read already waits, too. */
static void a_pause_in_the_handler_holds_back_what_has_been_read(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  n->on_event = pause_at_message;
  uint8_t data[64];
  size_t len = 0;
  for (int i = 0; i < 3; i++)
    len += raw_make_frame(peer, data + len, 0x81, "m", 1);
  raw_write(peer, data, len);
  for (unsigned i = 1; i <= 3; i++) {
    NET_UNTIL(n, end->messages == i);
    net_settle(n);
    assert_int_equal(end->messages, i);
    ws_socket_resume(end->socket);
  }
}

/* Writes what the system takes. Returns how much that was. */
static size_t write_until_blocked(net *n, const raw *peer, const uint8_t *data,
                                  size_t len) {
  size_t written = 0;
  while (written < len) {
    const ssize_t count =
        send(peer->fd, data + written, len - written, MSG_NOSIGNAL);
    if (count < 0) {
      assert_int_equal(errno, EAGAIN);
      struct pollfd watched = {.fd = peer->fd, .events = POLLOUT};
      net_settle(n);
      if (poll(&watched, 1, 50) == 0) break;
      continue;
    }
    written += (size_t)count;
  }
  return written;
}

/* Row 319: a paused socket makes the peer wait, whatever it sends. */
static void a_pause_reaches_the_peer_through_the_transport(void **state) {
  net *n = *state;
  enum {
    MESSAGES = 256,
    SIZE = 65536
  };
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  uint8_t *data = malloc((size_t)MESSAGES * (SIZE + 14));
  uint8_t *payload = calloc(1, SIZE);
  assert_true(data != NULL && payload != NULL);
  size_t len = 0;
  for (int i = 0; i < MESSAGES; i++)
    len += raw_make_frame(peer, data + len, 0x82, payload, SIZE);
  ws_socket_pause(end->socket);
  const size_t held = n->alloc.held;
  const size_t written = write_until_blocked(n, peer, data, len);
  assert_true(written < len);
  assert_true(n->alloc.held - held <= (size_t)1048576);
  assert_int_equal(end->messages, 0);
  ws_socket_resume(end->socket);
  raw_write(peer, data + written, len - written);
  NET_UNTIL(n, end->messages == MESSAGES);
  assert_int_equal(end->message_bytes, (size_t)MESSAGES * SIZE);
  free(data);
  free(payload);
}

/* A pause that ends in a close: the end is seen all the same. */
static void a_paused_socket_can_be_closed(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  ws_socket_pause(end->socket);
  assert_int_equal(ws_socket_close(end->socket, 1000, "", 0), 0);
  assert_raw_close(peer, 1000, "");
  ws_socket_resume(end->socket);
  raw_send_close(peer, 1000, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "close 1000 clean");
}

static void a_paused_socket_can_be_terminated(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  ws_socket_pause(end->socket);
  raw_text(peer, "never seen");
  net_settle(n);
  ws_socket_terminate(end->socket);
  net_finish(n, end);
  assert_log(end, "close 1006 unclean");
}

/* Row 347: no effect before there is a connection. */
static void pausing_a_socket_that_is_not_open_does_not_stop_it(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  net_end *end = net_connect(n, listener->url, NULL);
  ws_socket_pause(end->socket);
  raw *peer = raw_accept(listener);
  raw_upgrade(peer, NULL);
  NET_UNTIL(n, end->is_open);
}

/* A large message in pieces needs no memory for the whole of it. */
static void a_streamed_message_comes_in_pieces(void **state) {
  net *n = *state;
  enum {
    SIZE = 1000000
  };
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  ws_socket_set_streaming(end->socket, true);
  const size_t held = n->alloc.held;
  n->alloc.peak = held;
  uint8_t *payload = calloc(1, SIZE);
  assert_non_null(payload);
  raw_frame(peer, 0x82, payload, SIZE);
  free(payload);
  NET_UNTIL(n, end->messages == 1);
  assert_int_equal(end->message_bytes, SIZE);
  assert_true(n->alloc.peak - held <= (size_t)64 * 1024);
}

/* -- Echoes ---------------------------------------------------------------- */

enum {
  ECHO = 8192,
  ECHOES = 800 /* More than the system keeps. */
};

static void echo(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type != WS_EVENT_MESSAGE) return;
  assert_int_equal(ws_socket_send(end->socket, event->u.message.type,
                                  event->u.message.data, event->u.message.len,
                                  0),
                   0);
}

/* What is sent on from where it was read must outlive that place when the
 * system takes no more. */
static void an_echo_is_right_though_its_reader_is_late(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.send_timeout = WS_NEVER; /* However late. */
  options.ping_interval = WS_NEVER;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  n->on_event = echo;
  static uint8_t payload[ECHO];
  for (unsigned i = 0; i < ECHOES; i++) {
    memset(payload, (int)(i % 251), sizeof(payload));
    raw_frame(peer, 0x82, payload, sizeof(payload));
  }
  NET_UNTIL(n, stats_of(end).messages_received == ECHOES);
  assert_true(amount(end) > 0);
  for (unsigned i = 0; i < ECHOES; i++) {
    memset(payload, (int)(i % 251), sizeof(payload));
    const raw_view frame = raw_read_frame(peer);
    assert_int_equal(frame.len, ECHO);
    assert_memory_equal(frame.payload, payload, ECHO);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_ROLES(the_amount_counts_payload_until_it_has_left),
      BOTH_ROLES(the_amount_does_not_drop_in_a_handler),
      BOTH_ROLES(the_amount_is_that_before_compression),
      BOTH_ROLES(control_frames_do_not_count),
      BOTH_ROLES(what_is_sent_after_close_counts_for_ever),
      BOTH_ROLES(the_amount_stays_when_the_connection_dies),
      BOTH_ROLES(sending_to_a_slow_reader_never_blocks),
      BOTH_ROLES(drain_comes_when_the_peer_reads_again),
      BOTH_ROLES(a_queue_that_is_full_fails_the_connection),
      BOTH_ROLES(a_stuck_peer_is_left_after_the_send_timeout),
      BOTH_ROLES(a_close_of_the_peer_while_much_is_unsent_is_not_clean),
      BOTH_ROLES(pings_to_a_blocked_connection_are_not_queued),
      BOTH_ROLES(a_connection_that_is_blocked_makes_no_loop_spin),
      BOTH_ROLES(a_paused_socket_has_no_messages_until_it_goes_on),
      BOTH_ROLES(a_pause_in_the_handler_holds_back_what_has_been_read),
      BOTH_ROLES(a_pause_reaches_the_peer_through_the_transport),
      BOTH_ROLES(a_paused_socket_can_be_closed),
      BOTH_ROLES(a_paused_socket_can_be_terminated),
      CASE(pausing_a_socket_that_is_not_open_does_not_stop_it),
      BOTH_ROLES(a_streamed_message_comes_in_pieces),
      BOTH_ROLES(an_echo_is_right_though_its_reader_is_late),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
