/* test_socket_messages.c - messages in and out, for both roles against a raw
 * peer: what arrives, in which order, and what leaves (sections F, G, H and N
 * of the behaviour table). */
#include <dirent.h>
#include <stdlib.h>

#include "io/loop.h"
#include "raw_peer.h"

static void send_text(const net_end *end, const char *text) {
  assert_int_equal(ws_socket_send_text(end->socket, text, strlen(text)), 0);
}

/* The answer of an echo server. */
static void echo(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type != WS_EVENT_MESSAGE) return;
  assert_int_equal(ws_socket_send(end->socket, event->u.message.type,
                                  event->u.message.data, event->u.message.len,
                                  0),
                   0);
}

/* -- Receiving ------------------------------------------------------------- */

/* Rows 139, 141, 142, 144, 145, 146, and 382: what is listed by BOTH_ROLES runs
 * for a server, too. */
static void texts_and_bytes_arrive_as_they_are(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_frame(peer, 0x81, "\xC3\xA9", 2);
  raw_frame(peer, 0x81, "", 0);
  raw_frame(peer, 0x82, "", 0);
  raw_frame(peer, 0x81, "\xEF\xBB\xBFx", 4); /* The mark stays. */
  raw_frame(peer, 0x81, "a\0b", 3);
  raw_frame(peer, 0x81, "\xF0\x90\x91\xBE", 4);
  raw_frame(peer, 0x82, "\x00\xFF", 2);
  NET_UNTIL(n, end->messages == 7);
  assert_log(end, "text \\xC3\\xA9, text , binary, text \\xEF\\xBB\\xBFx, "
                  "text a\\x00b, text \\xF0\\x90\\x91\\xBE, binary 00 FF");
}

/* Row 153. */
static void messages_of_every_length_come_back(void **state) {
  net *n = *state;
  static const size_t sizes[] = {0,     1,     125,   126,    127,
                                 65535, 65536, 65537, 1000000};
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  n->on_event = echo;
  char *data = malloc(sizes[COUNT(sizes) - 1]);
  assert_non_null(data);
  for (size_t i = 0; i < sizes[COUNT(sizes) - 1]; i++)
    data[i] = (char)('a' + i % 26);
  for (size_t i = 0; i < COUNT(sizes); i++) {
    for (uint8_t first_byte = 0x81; first_byte <= 0x82; first_byte++) {
      raw_frame(peer, first_byte, data, sizes[i]);
      assert_raw_frame(peer, first_byte, data, sizes[i]);
      assert_last_message(end, data, sizes[i]);
    }
  }
  free(data);
}

/* Row 156. */
static void
a_message_in_tiny_fragments_with_pings_between_is_one(void **state) {
  net *n = *state;
  static const char text[] = "Hello, world";
  const size_t len = strlen(text);
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  for (size_t i = 0; i < len; i++) {
    const uint8_t fin = i == len - 1 ? 0x80 : 0;
    raw_frame(peer, fin | (i == 0 ? 1 : 0), &text[i], 1);
    if (fin != 0) break;
    raw_frame(peer, 0x89, &text[i], 1);
    assert_raw_frame(peer, 0x8A, &text[i], 1);
    assert_int_equal(end->messages, 0);
  }
  NET_UNTIL(n, end->messages == 1);
  assert_last_message(end, text, len);
}

/* Row 157. */
static void an_empty_first_fragment_does_no_harm(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_frame(peer, 0x01, "", 0);
  raw_frame(peer, 0x00, "ab", 2);
  raw_frame(peer, 0x80, "", 0);
  NET_UNTIL(n, end->messages == 1);
  assert_log(end, "text ab");
}

/* Rows 148, 149: one segment with a message, a Close frame, a message. */
static void what_stands_behind_a_close_frame_is_not_looked_at(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  uint8_t data[64];
  size_t len = raw_make_frame(peer, data, 0x81, "a", 1);
  len += raw_make_frame(peer, data + len, 0x88, "\x03\xE8", 2);
  len += raw_make_frame(peer, data + len, 0x81, "b", 1);
  len += raw_make_frame(peer, data + len, 0x83, "c", 1);
  raw_write(peer, data, len);
  assert_raw_close(peer, 1000, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "text a, close 1000 clean");
}

/* Row 147. */
static void data_that_comes_after_our_close_is_dropped(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  assert_int_equal(ws_socket_close(end->socket, 1000, "", 0), 0);
  assert_raw_close(peer, 1000, "");
  raw_text(peer, "late");
  raw_send_close(peer, 1000, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "close 1000 clean");
}

static void close_at_message(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type == WS_EVENT_MESSAGE)
    assert_int_equal(ws_socket_close(end->socket, 0, NULL, 0), 0);
}

/* Row 228: five more messages have been read already. */
static void a_close_in_the_handler_drops_what_has_been_read(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  n->on_event = close_at_message;
  uint8_t data[128];
  size_t len = 0;
  for (int i = 0; i < 6; i++)
    len += raw_make_frame(peer, data + len, 0x81, "x", 1);
  raw_write(peer, data, len);
  assert_raw_close(peer, 0, "");
  raw_send_close(peer, 0, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "text x, close 1005 clean");
}

/* Whichever socket gets a message first closes the other one. */
static void close_other(net *n, net_end *end, const ws_event *event) {
  net_end **ends = n->arg;
  if (event->type != WS_EVENT_MESSAGE || end->messages > 1) return;
  net_end *other = ends[end == ends[0]];
  assert_int_equal(other->messages, 0);
  assert_int_equal(ws_socket_close(other->socket, 0, NULL, 0), 0);
}

/* Row 280. */
static void a_handler_can_close_another_socket_that_has_messages(void **state) {
  net *n = *state;
  net_end *ends[2];
  raw *peers[2];
  for (int i = 0; i < 2; i++)
    raw_open(n, NULL, NULL, &ends[i], &peers[i]);
  n->on_event = close_other;
  n->arg = ends;
  for (int i = 0; i < 2; i++) {
    raw_text(peers[i], "a");
    raw_text(peers[i], "b");
  }
  NET_UNTIL(n, ends[0]->messages + ends[1]->messages == 2);
  net_settle(n);
  assert_true(ends[0]->messages == 0 || ends[1]->messages == 0);
}

/* Row 278: two messages of one read are two events. */
static void one_pull_gives_one_message(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_text(peer, "a");
  raw_text(peer, "b");
  ws_event event;
  unsigned messages = 0;
  while (messages < 2) {
    assert_int_equal(ws_loop_wait(n->loop, PATIENCE_MS), 0);
    while (ws_loop_next(n->loop, &event)) {
      assert_int_equal(event.type, WS_EVENT_MESSAGE);
      assert_int_equal(event.u.message.len, 1);
      assert_int_equal(event.u.message.data[0], "ab"[messages++]);
      net_take(n, &event);
    }
  }
}

/* -- Sending --------------------------------------------------------------- */

/* Rows 160, 161, 162, 163. */
static void what_is_sent_arrives(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  send_text(end, "test");
  send_text(end, "");
  assert_int_equal(ws_socket_send_binary(end->socket, "\x00\x01", 2), 0);
  assert_int_equal(ws_socket_send_binary(end->socket, NULL, 0), 0);
  assert_raw_text(peer, "test");
  assert_raw_text(peer, "");
  assert_raw_frame(peer, 0x82, "\x00\x01", 2);
  assert_raw_frame(peer, 0x82, "", 0);
}

/* Row 165: small and large ones, in a turn of the loop and outside. */
static void what_was_sent_may_be_changed_afterwards(void **state) {
  net *n = *state;
  enum {
    LARGE = 300000
  };
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  uint8_t *data = malloc(LARGE), *expected = malloc(LARGE);
  assert_true(data != NULL && expected != NULL);
  memset(expected, 'x', LARGE);
  for (size_t len = 1; len <= LARGE; len = len * 60 + 1) {
    memset(data, 'x', len);
    assert_int_equal(ws_socket_send_binary(end->socket, data, len), 0);
    memset(data, 'y', len);
    assert_raw_frame(peer, 0x82, expected, len);
  }
  free(data);
  free(expected);
}

/* Row 168. */
static void text_that_is_not_utf8_is_refused_and_nothing_is_lost(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  assert_int_equal(ws_socket_send_text(end->socket, "\xC0\x80", 2),
                   WS_ERR_INVALID_UTF8);
  assert_int_equal(ws_socket_buffered_amount(end->socket), 0);
  send_text(end, "still here");
  assert_raw_text(peer, "still here");
}

static void send_from_handlers(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type == WS_EVENT_MESSAGE) {
    send_text(end, "2");
    send_text(end, "3");
  } else if (event->type == WS_EVENT_PING) {
    send_text(end, "4");
  }
}

/* Row 176. The pong was due before the ping's event. */
static void messages_leave_in_the_order_of_the_calls(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  n->on_event = send_from_handlers;
  raw_text(peer, "x");
  raw_frame(peer, 0x89, "p", 1);
  send_text(end, "1");
  static const char *const texts[] = {"1", "2", "3"};
  for (size_t i = 0; i < COUNT(texts); i++)
    assert_raw_text(peer, texts[i]);
  assert_raw_frame(peer, 0x8A, "p", 1);
  assert_raw_text(peer, "4");
}

/* Row 349. */
static void a_message_can_be_sent_in_fragments(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  ws_socket *socket = end->socket;
  assert_int_equal(ws_socket_send(socket, WS_TEXT, "a", 1, WS_SEND_FRAGMENT),
                   0);
  assert_int_equal(ws_socket_send(socket, WS_BINARY, "b", 1, 0),
                   WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(ws_socket_ping(socket, "p", 1), 0);
  assert_int_equal(ws_socket_send(socket, WS_TEXT, "b", 1, 0), 0);
  assert_raw_frame(peer, 0x01, "a", 1);
  assert_raw_frame(peer, 0x89, "p", 1);
  assert_raw_frame(peer, 0x80, "b", 1);
}

static void send_three_and_close(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type != WS_EVENT_MESSAGE) return;
  send_text(end, "1");
  send_text(end, "2");
  send_text(end, "3");
  assert_int_equal(ws_socket_close(end->socket, 1000, "", 0), 0);
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CLOSING);
}

/* Row 173. */
static void what_was_sent_before_close_goes_first(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  n->on_event = send_three_and_close;
  raw_text(peer, "go");
  assert_raw_text(peer, "1");
  assert_raw_text(peer, "2");
  assert_raw_text(peer, "3");
  assert_raw_close(peer, 1000, "");
}

/* Rows 158, 338. */
static void sending_before_open_is_refused(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  const net_end *end = net_connect(n, listener->url, NULL);
  ws_socket *socket = end->socket;
  assert_int_equal(ws_socket_send_text(socket, "a", 1), WS_ERR_INVALID_STATE);
  assert_int_equal(ws_socket_send_text(socket, "", 0), WS_ERR_INVALID_STATE);
  assert_int_equal(ws_socket_send_binary(socket, "a", 1), WS_ERR_INVALID_STATE);
  assert_int_equal(ws_socket_ping(socket, "a", 1), WS_ERR_INVALID_STATE);
  assert_int_equal(ws_socket_buffered_amount(socket), 0);
}

/* -- Messages made once ---------------------------------------------------- */

/* A prepared message goes to sockets of both roles, and may go before they are
 * done with it. */
static void a_prepared_message_arrives_like_any_other(void **state) {
  net *n = *state;
  static char large[100000];
  memset(large, 'z', sizeof(large));
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  ws_message *messages[2];
  assert_int_equal(ws_message_new(NULL, WS_TEXT, "once", 4, 0, &messages[0]),
                   0);
  assert_int_equal(
      ws_message_new(NULL, WS_BINARY, large, sizeof(large), 0, &messages[1]),
      0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(ws_socket_send_message(end->socket, messages[i]), 0);
    assert_int_equal(ws_socket_send_message(end->socket, messages[i]), 0);
    ws_message_free(messages[i]);
  }
  assert_int_equal(ws_socket_buffered_amount(end->socket),
                   8 + 2 * sizeof(large));
  for (int i = 0; i < 2; i++)
    assert_raw_text(peer, "once");
  for (int i = 0; i < 2; i++)
    assert_raw_frame(peer, 0x82, large, sizeof(large));
}

/* -- Many ------------------------------------------------------------------ */

/* Row 285. */
static void nothing_is_left_of_many_connections(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  net_end *client, *server;
  size_t held = 0;
  int descriptors = 0;
  for (int i = 0; i < 200; i++) {
    net_open_pair(n, NULL, &client, &server);
    send_text(client, "hello");
    NET_UNTIL(n, server->messages == 1);
    assert_int_equal(ws_socket_close(client->socket, 1000, "", 0), 0);
    net_finish(n, client);
    net_finish(n, server);
    net_settle(n);
    if (i == 20) { /* By now everything has been made that is made once. */
      held = n->alloc.held;
      descriptors = net_descriptors();
    }
  }
  NET_UNTIL(n, n->alloc.held <= held);
  net_assert_descriptors(descriptors);
}

/* Threads of this process, where the system tells. */
static int count_threads(void) {
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL) return 0;
  int count = 0;
  while (readdir(tasks) != NULL)
    count++;
  closedir(tasks);
  return count;
}

/* what a message needs for itself is gone with it. */
static void messages_leave_no_thread_timer_or_memory(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
  send_text(client, "first");
  NET_UNTIL(n, server->messages == 1);
  net_settle(n);
  const int threads = count_threads();
  const size_t sources = n->loop->deadlines.len;
  const size_t held = n->alloc.held;
  for (unsigned i = 2; i <= 1000; i++) {
    send_text(client, "another");
    NET_UNTIL(n, server->messages == i);
    assert_int_equal(n->loop->deadlines.len, sources);
  }
  net_settle(n);
  assert_int_equal(count_threads(), threads);
  assert_int_equal(n->alloc.held, held);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_ROLES(texts_and_bytes_arrive_as_they_are),
      BOTH_ROLES(messages_of_every_length_come_back),
      BOTH_ROLES(a_message_in_tiny_fragments_with_pings_between_is_one),
      BOTH_ROLES(an_empty_first_fragment_does_no_harm),
      BOTH_ROLES(what_stands_behind_a_close_frame_is_not_looked_at),
      BOTH_ROLES(data_that_comes_after_our_close_is_dropped),
      BOTH_ROLES(a_close_in_the_handler_drops_what_has_been_read),
      BOTH_ROLES(a_handler_can_close_another_socket_that_has_messages),
      BOTH_ROLES(one_pull_gives_one_message),
      BOTH_ROLES(what_is_sent_arrives),
      BOTH_ROLES(what_was_sent_may_be_changed_afterwards),
      BOTH_ROLES(text_that_is_not_utf8_is_refused_and_nothing_is_lost),
      BOTH_ROLES(messages_leave_in_the_order_of_the_calls),
      BOTH_ROLES(a_message_can_be_sent_in_fragments),
      BOTH_ROLES(what_was_sent_before_close_goes_first),
      CASE(sending_before_open_is_refused),
      BOTH_ROLES(a_prepared_message_arrives_like_any_other),
      CASE(nothing_is_left_of_many_connections),
      CASE(messages_leave_no_thread_timer_or_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
