/* test_socket_close.c - how connections end: close(), the closing handshake and
 * its codes, the ends of transports, terminate() (sections J, K and S of the
 * behaviour table), for both roles against a raw peer. */
#include <stdio.h>

#include "raw_peer.h"

static int close_with_code(const net_end *end, uint16_t code) {
  return ws_socket_close(end->socket, code, NULL, 0);
}

/* Options with a deadline for closing that tests can wait for. */
static ws_conn_options quick(void) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.close_timeout = 50;
  return options;
}

/* -- Arguments ------------------------------------------------------------- */

static const uint16_t bad_codes[] = {1,    500,  999,  1001, 1005, 1006,
                                     1011, 1015, 2999, 5000, 65535};

/* Rows 190, 192, 196, 197, 199, 200, 230. */
static void arguments_of_close_are_checked(void **state) {
  net *n = *state;
  char reason[125];
  memset(reason, 'r', sizeof(reason));
  reason[123] = '\0';
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  for (size_t i = 0; i < COUNT(bad_codes); i++)
    assert_int_equal(close_with_code(end, bad_codes[i]), WS_ERR_INVALID_ACCESS);
  assert_int_equal(ws_socket_close(end->socket, 1000, reason, 124),
                   WS_ERR_SYNTAX);
  assert_int_equal(ws_socket_close(end->socket, 999, reason, 124),
                   WS_ERR_INVALID_ACCESS);
  assert_int_equal(ws_socket_close(end->socket, 1000, "\xC0", 1),
                   WS_ERR_INVALID_UTF8);
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_OPEN);
  assert_raw_silent(peer);
  assert_int_equal(ws_socket_close(end->socket, 1000, reason, 123), 0);
  assert_int_equal(close_with_code(end, 999), WS_ERR_INVALID_ACCESS);
  assert_raw_close(peer, 1000, reason);
}

/* Row 191. */
static void arguments_are_checked_while_connecting(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  const net_end *end = net_connect(n, listener->url, NULL);
  for (size_t i = 0; i < COUNT(bad_codes); i++)
    assert_int_equal(close_with_code(end, bad_codes[i]), WS_ERR_INVALID_ACCESS);
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CONNECTING);
}

/* Rows 202, 204, 205, 206, 215. */
static void codes_and_reasons_reach_the_peer_and_come_back(void **state) {
  net *n = *state;
  static const struct {
    uint16_t code;
    const char *reason;
    uint16_t wire_code;
    const char *log;
  } cases[] = {
      {0, "", 0, "close 1005 clean"},
      {1000, "Clean Close", 1000, "close 1000 clean Clean Close"},
      {3000, "x", 3000, "close 3000 clean x"},
      {4999, "", 4999, "close 4999 clean"},
      {0, "bye", 1000, "close 1000 clean bye"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    net_end *end;
    raw *peer;
    raw_open(n, NULL, NULL, &end, &peer);
    assert_int_equal(ws_socket_close(end->socket, cases[i].code,
                                     cases[i].reason, strlen(cases[i].reason)),
                     0);
    assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CLOSING);
    assert_raw_close(peer, cases[i].wire_code, cases[i].reason);
    assert_log(end, "");
    raw_send_close(peer, cases[i].wire_code, cases[i].reason);
    raw_close(peer);
    net_finish(n, end);
    assert_log(end, cases[i].log);
  }
}

/* Rows 230, 379: what a mirrored close() refuses has a door of its own. */
static void close_with_takes_every_code_of_the_wire(void **state) {
  net *n = *state;
  static const uint16_t codes[] = {1000, 1001, 1003, 1007, 1008,
                                   1011, 1012, 1013, 1014, 3000};
  for (size_t i = 0; i < COUNT(codes); i++) {
    net_end *end;
    raw *peer;
    raw_open(n, NULL, NULL, &end, &peer);
    assert_int_equal(ws_socket_close_with(end->socket, 1005, NULL, 0),
                     WS_ERR_INVALID_ACCESS);
    assert_int_equal(ws_socket_close_with(end->socket, codes[i], "why", 3), 0);
    assert_raw_close(peer, codes[i], "why");
    raw_close(peer);
    net_finish(n, end);
  }
}

/* -- The closing handshake ------------------------------------------------- */

/* Rows 138, 214. */
static void a_close_of_the_peer_is_answered(void **state) {
  net *n = *state;
  static const uint16_t codes[] = {0,    1000, 1001, 1002, 1003, 1007, 1008,
                                   1009, 1010, 1011, 1014, 3000, 4999};
  for (size_t i = 0; i < COUNT(codes); i++) {
    net_end *end;
    raw *peer;
    raw_open(n, NULL, NULL, &end, &peer);
    raw_send_close(peer, codes[i], "r");
    assert_raw_close(peer, codes[i], "r");
    raw_close(peer);
    net_finish(n, end);
    char expected[64];
    snprintf(expected, sizeof(expected), "close %u clean%s",
             codes[i] == 0 ? 1005 : codes[i], codes[i] == 0 ? "" : " r");
    assert_log(end, expected);
  }
}

/* Row 109: the state between the Close frame and the end. */
static void a_client_is_closing_until_the_server_hangs_up(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_send_close(peer, 1000, "");
  assert_raw_close(peer, 1000, "");
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CLOSING);
  assert_log(end, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "close 1000 clean");
}

/* Row 220. */
static void a_server_hangs_up_first(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_send_close(peer, 1000, "");
  assert_raw_close(peer, 1000, "");
  assert_raw_ended(peer);
  net_finish(n, end);
  assert_log(end, "close 1000 clean");
}

/* Row 216. */
static void a_server_that_never_hangs_up_is_left(void **state) {
  net *n = *state;
  const ws_conn_options options = quick();
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  raw_send_close(peer, 4000, "kept");
  assert_raw_close(peer, 4000, "kept");
  net_finish(n, end);
  assert_log(end, "close 4000 clean kept");
  assert_raw_ended(peer);
}

/* Rows 217, 346. */
static void a_peer_that_never_answers_our_close_is_left(void **state) {
  net *n = *state;
  const ws_conn_options options = quick();
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  const uint64_t before = net_clock();
  assert_int_equal(close_with_code(end, 1000), 0);
  assert_raw_close(peer, 1000, "");
  net_finish(n, end);
  assert_true(net_clock() - before >= 50);
  assert_log(end, "error CLOSE_TIMEOUT, close 1006 unclean");
  assert_raw_ended(peer);
}

/* Row 218. */
static void a_peer_that_hangs_up_on_our_close_is_no_clean_end(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  assert_int_equal(ws_socket_close(end->socket, 4000, "because", 7), 0);
  assert_raw_close(peer, 4000, "because");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "error UNEXPECTED_EOF, close 1006 unclean");
  assert_int_equal(end->cause.phase, WS_PHASE_CLOSING);
}

/* Row 221. */
static void further_calls_of_close_do_nothing(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  for (uint16_t code = 4001; code <= 4003; code++)
    assert_int_equal(close_with_code(end, code), 0);
  assert_raw_close(peer, 4001, "");
  assert_raw_silent(peer);
  raw_send_close(peer, 4001, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "close 4001 clean");
}

static void close_again(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type != WS_EVENT_CLOSE && event->type != WS_EVENT_ERROR) return;
  assert_int_equal(close_with_code(end, 1000), 0);
  assert_int_equal(close_with_code(end, 999), WS_ERR_INVALID_ACCESS);
  ws_socket_terminate(end->socket);
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CLOSED);
}

/* Rows 192, 222, 336. */
static void calls_in_the_last_handlers_do_nothing(void **state) {
  net *n = *state;
  n->on_event = close_again;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_close(peer);
  net_finish(n, end);
  net_settle(n);
  assert_log(end, "error UNEXPECTED_EOF, close 1006 unclean");
}

static void close_when_open(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type == WS_EVENT_OPEN)
    assert_int_equal(close_with_code(end, 0), 0);
}

/* Row 227. */
static void a_close_may_be_the_first_act(void **state) {
  net *n = *state;
  n->on_event = close_when_open;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  assert_raw_close(peer, 0, "");
  raw_send_close(peer, 0, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "close 1005 clean");
}

/* -- While connecting ------------------------------------------------------ */

/* Rows 223, 224, 225. */
static void a_close_while_connecting_fails_the_connection(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  assert_int_equal(ws_socket_close(end->socket, 3000, "x", 1), 0);
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CLOSING);
  assert_log(end, "");
  raw_answer(peer, NULL); /* Too late. */
  net_finish(n, end);
  assert_log(end, "error ABORTED, close 1006 unclean");
  assert_cause(end, WS_ERR_ABORTED, WS_SIDE_LOCAL, 0);
  assert_raw_ended(peer);
}

/* Row 335. */
static void terminating_while_connecting_fails_the_connection(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  ws_socket_terminate(end->socket);
  assert_log(end, "");
  net_finish(n, end);
  assert_log(end, "error ABORTED, close 1006 unclean");
  assert_raw_ended(peer);
}

/* A client in one state after the other, from resolving to closing. */
static net_end *reach(net *n, int state, raw **out_peer) {
  *out_peer = NULL;
  if (state == 0) return net_connect(n, "ws://localhost:1/", NULL);
  raw *listener = raw_listen(n);
  if (state == 1) return net_connect(n, listener->url, NULL);
  if (state == 2) { /* TLS has been begun. */
    char url[64];
    snprintf(url, sizeof(url), "wss://127.0.0.1:%u/", listener->port);
    ws_tls_client_options insecure;
    ws_tls_client_options_init(&insecure);
    insecure.insecure_no_verify = true;
    ws_socket_options options;
    ws_socket_options_init(&options);
    if (ws_tls_client_new(&insecure, &options.tls, NULL) != 0) return NULL;
    net_end *end = net_connect(n, url, &options);
    ws_tls_context_free(options.tls);
    *out_peer = raw_accept(listener);
    return end;
  }
  net_end *end;
  if (state <= 4) {
    *out_peer = raw_visit(n, NULL, &end);
    if (state == 4) raw_print(*out_peer, "HTTP/1.1 101 Swi"); /* Half of it. */
    net_settle(n);
    return end;
  }
  raw_open(n, NULL, NULL, &end, out_peer);
  if (state == 6) close_with_code(end, 1000);
  net_settle(n);
  return end;
}

/* closed, terminated, or left behind by its loop. */
static void a_client_can_be_left_in_every_state(void **state) {
  net *n = *state;
  enum {
    STATES = 7
  };
  for (int way = 0; way < 3; way++) {
    for (int i = 0; i < STATES; i++) {
      raw *peer;
      net_end *end = reach(n, i, &peer);
      if (end == NULL || way == 2) continue;
      const bool is_open = end->is_open;
      if (way == 0) ws_socket_close(end->socket, 1000, NULL, 0);
      else ws_socket_terminate(end->socket);
      if (is_open && way == 0) raw_close(peer);
      net_finish(n, end);
      if (!is_open) assert_log(end, "error ABORTED, close 1006 unclean");
    }
  }
}

/* -- Ends without a Close frame -------------------------------------------- */

/* Row 334. */
static void terminate_says_nothing_to_the_peer(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  ws_socket_terminate(end->socket);
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CLOSING);
  assert_log(end, "");
  net_finish(n, end);
  assert_log(end, "close 1006 unclean");
  assert_raw_ended(peer);
}

/* Rows 229, 247. */
static void the_end_of_the_transport_fails_the_connection(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_finish(peer); /* Half of it is enough. */
  net_finish(n, end);
  assert_log(end, "error UNEXPECTED_EOF, close 1006 unclean");
  assert_cause(end, WS_ERR_UNEXPECTED_EOF, WS_SIDE_TRANSPORT, 0);
  assert_int_equal(end->cause.phase, WS_PHASE_OPEN);

  raw_open(n, NULL, NULL, &end, &peer);
  raw_reset(peer);
  net_finish(n, end);
  assert_log(end, "error TRANSPORT, close 1006 unclean");
  assert_cause(end, WS_ERR_TRANSPORT, WS_SIDE_TRANSPORT, 0);
}

/* What came before the end is not lost. */
static void messages_before_the_end_of_the_transport_arrive(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_text(peer, "a");
  raw_text(peer, "b");
  raw_finish(peer);
  net_finish(n, end);
  assert_log(end, "text a, text b, error UNEXPECTED_EOF, close 1006 unclean");
}

/* A transport that ends in the middle of a frame, or of its head. */
static void the_end_inside_a_frame_fails_the_connection(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  uint8_t frame[32];
  const size_t len = raw_make_frame(peer, frame, 0x81, "hello", 5);
  for (size_t cut = 1; cut < len; cut++) {
    raw_write(peer, frame, cut);
    raw_finish(peer);
    net_finish(n, end);
    assert_log(end, "error UNEXPECTED_EOF, close 1006 unclean");
    raw_open(n, NULL, NULL, &end, &peer);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_ROLES(arguments_of_close_are_checked),
      CASE(arguments_are_checked_while_connecting),
      BOTH_ROLES(codes_and_reasons_reach_the_peer_and_come_back),
      BOTH_ROLES(close_with_takes_every_code_of_the_wire),
      BOTH_ROLES(a_close_of_the_peer_is_answered),
      CASE(a_client_is_closing_until_the_server_hangs_up),
      AS_SERVER(a_server_hangs_up_first),
      CASE(a_server_that_never_hangs_up_is_left),
      BOTH_ROLES(a_peer_that_never_answers_our_close_is_left),
      BOTH_ROLES(a_peer_that_hangs_up_on_our_close_is_no_clean_end),
      BOTH_ROLES(further_calls_of_close_do_nothing),
      BOTH_ROLES(calls_in_the_last_handlers_do_nothing),
      BOTH_ROLES(a_close_may_be_the_first_act),
      CASE(a_close_while_connecting_fails_the_connection),
      CASE(terminating_while_connecting_fails_the_connection),
      CASE(a_client_can_be_left_in_every_state),
      BOTH_ROLES(terminate_says_nothing_to_the_peer),
      BOTH_ROLES(the_end_of_the_transport_fails_the_connection),
      BOTH_ROLES(messages_before_the_end_of_the_transport_arrive),
      BOTH_ROLES(the_end_inside_a_frame_fails_the_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
