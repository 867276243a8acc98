/* test_socket_open.c - which answers open a client's connection, and how it
 * fails before there is one (sections D and E of the behaviour table). */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raw_peer.h"

/* -- The answer ------------------------------------------------------------ */

#define SWITCH   "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE  "Upgrade: websocket\r\n"
#define CONNECT  "Connection: Upgrade\r\n"
#define ACCEPT   "Sec-WebSocket-Accept: @\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: "
#define DEFLATE  "Sec-WebSocket-Extensions: permessage-deflate"
#define END      "\r\n"

/* Writes an answer in which @ stands for the key that is right. */
static void answer(raw *peer, const char *text) {
  const char *key = strchr(text, '@');
  if (key == NULL) {
    raw_print(peer, "%s", text);
  } else {
    raw_print(peer, "%.*s%s%s", (int)(key - text), text, raw_accept_key(peer),
              key + 1);
  }
}

/* Rows 73, 74, 76, 77, 79, 80, 83, 85, 86, 90, 92, 96. */
static void wrong_answers_fail_the_connection(void **state) {
  net *n = *state;
  static const struct {
    const char *answer;
    ws_err error;
    uint16_t status;
  } cases[] = {
      {"FOO BAR BAZ" END END, WS_ERR_HTTP_SYNTAX, 0},
      {"HTTP/1.1 200 OK" END "Content-Length: 2" END END "hi",
       WS_ERR_UNEXPECTED_STATUS, 200},
      {"HTTP/1.1 204 None" END END, WS_ERR_UNEXPECTED_STATUS, 204},
      {"HTTP/1.1 400 Bad" END END, WS_ERR_UNEXPECTED_STATUS, 400},
      {"HTTP/1.1 401 Who" END "WWW-Authenticate: Basic" END END,
       WS_ERR_UNEXPECTED_STATUS, 401},
      {"HTTP/1.1 403 No" END END, WS_ERR_UNEXPECTED_STATUS, 403},
      {"HTTP/1.1 404 No" END END, WS_ERR_UNEXPECTED_STATUS, 404},
      {"HTTP/1.1 426 No" END END, WS_ERR_UNEXPECTED_STATUS, 426},
      {"HTTP/1.1 500 No" END END, WS_ERR_UNEXPECTED_STATUS, 500},
      {"HTTP/1.1 503 No" END END, WS_ERR_UNEXPECTED_STATUS, 503},
      {SWITCH CONNECT ACCEPT END, WS_ERR_INVALID_UPGRADE, 101},
      {SWITCH "Upgrade: h2c" END CONNECT ACCEPT END, WS_ERR_INVALID_UPGRADE,
       101},
      {SWITCH UPGRADE ACCEPT END, WS_ERR_INVALID_UPGRADE, 101},
      {SWITCH UPGRADE CONNECT END, WS_ERR_INVALID_ACCEPT, 101},
      {SWITCH UPGRADE CONNECT "Sec-WebSocket-Accept: "
                              "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" END END,
       WS_ERR_INVALID_ACCEPT, 101},
      {SWITCH UPGRADE CONNECT ACCEPT PROTOCOL "foobar" END END,
       WS_ERR_UNEXPECTED_SUBPROTOCOL, 101},
      {SWITCH UPGRADE CONNECT ACCEPT "Sec-WebSocket-Extensions: foo" END END,
       WS_ERR_UNEXPECTED_EXTENSION, 101},
      {SWITCH UPGRADE CONNECT ACCEPT DEFLATE
       "; server_max_window_bits=7" END END,
       WS_ERR_INVALID_EXTENSION_PARAMETER, 101},
      {SWITCH UPGRADE CONNECT ACCEPT DEFLATE
       "; server_max_window_bits=1000" END END,
       WS_ERR_INVALID_EXTENSION_PARAMETER, 101},
      {"HTTP/1.0 101 Old" END UPGRADE CONNECT ACCEPT END, WS_ERR_HTTP_VERSION,
       101},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    net_end *end;
    raw *peer = raw_visit(n, NULL, &end);
    answer(peer, cases[i].answer);
    raw_finish(peer);
    net_finish(n, end);
    char expected[80];
    snprintf(expected, sizeof(expected), "error %s, close 1006 unclean",
             ws_err_name(cases[i].error));
    assert_log(end, expected);
    assert_cause(end, cases[i].error, WS_SIDE_PEER, 0);
    assert_int_equal(end->cause.status, cases[i].status);
    assert_int_equal(end->cause.phase, WS_PHASE_HANDSHAKE);
    assert_raw_ended(peer);
    assert_false(raw_has_visitor(peer->listener)); /* No second try. */
  }
}

/* Rows 87, 88. */
static void a_server_must_choose_a_subprotocol_that_was_offered(void **state) {
  net *n = *state;
  static const struct {
    const char *line;
    const char *log;
  } cases[] = {
      {"", "error MISSING_SUBPROTOCOL, close 1006 unclean"},
      {PROTOCOL "foobar" END,
       "error UNEXPECTED_SUBPROTOCOL, close 1006 unclean"},
  };
  static const char *const protocols[] = {"FOOBAR"};
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.protocols = protocols;
  options.protocol_count = 1;
  for (size_t i = 0; i < COUNT(cases); i++) {
    net_end *end;
    raw *peer = raw_visit(n, &options, &end);
    raw_answer(peer, cases[i].line);
    net_finish(n, end);
    assert_log(end, cases[i].log);
  }
}

/* Row 91. */
static void
compression_that_was_not_offered_fails_the_connection(void **state) {
  net *n = *state;
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.compression = WS_COMPRESSION_OFF;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  net_end *end;
  raw *peer = raw_visit(n, &options, &end);
  raw_answer(peer, DEFLATE END);
  net_finish(n, end);
  assert_log(end, "error UNEXPECTED_EXTENSION, close 1006 unclean");
}

/* Rows 78, 81, 95. */
static void right_answers_in_any_form_open_the_connection(void **state) {
  net *n = *state;
  static const char *const answers[] = {
      SWITCH UPGRADE CONNECT ACCEPT END,
      SWITCH "upgrade: WebSocket" END "connection: upgrade" END ACCEPT END,
      SWITCH UPGRADE "Connection: keep-alive, Upgrade" END ACCEPT END,
      "HTTP/1.1 101 " END UPGRADE CONNECT ACCEPT "X: y" END END,
  };
  for (size_t i = 0; i < COUNT(answers); i++) {
    net_end *end;
    raw *peer = raw_visit(n, NULL, &end);
    answer(peer, answers[i]);
    NET_UNTIL(n, end->is_open);
    assert_log(end, "open");
  }
}

static uint64_t bytes_received(const net *n) {
  ws_loop_stats stats;
  ws_loop_get_stats(n->loop, &stats);
  return stats.bytes_received;
}

/* Row 95. */
static void an_answer_may_come_byte_by_byte(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  char text[256];
  snprintf(text, sizeof(text),
           SWITCH UPGRADE CONNECT "Sec-WebSocket-Accept: %s\r\n\r\n",
           raw_accept_key(peer));
  for (const char *byte = text; *byte != '\0'; byte++) {
    assert_log(end, "");
    const uint64_t before = bytes_received(n);
    raw_write(peer, byte, 1);
    NET_UNTIL(n, bytes_received(n) > before);
  }
  assert_log(end, "open");
}

static void close_when_open(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type == WS_EVENT_OPEN)
    assert_int_equal(ws_socket_close(end->socket, 0, NULL, 0), 0);
}

/* Row 93: a Close frame right behind the 101 counts, although the open handler
 * has closed. */
static void a_close_frame_behind_the_answer_comes_after_open(void **state) {
  net *n = *state;
  n->on_event = close_when_open;
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  answer(peer, SWITCH UPGRADE CONNECT ACCEPT END "\x88\x06\x03\xE9PASS");
  assert_raw_close(peer, 0, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "open, close 1001 clean PASS");
}

/* Rows 94, 281, 282. */
static void a_message_behind_the_answer_is_not_lost(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  answer(peer, SWITCH UPGRADE CONNECT ACCEPT END "\x81\x02hi");
  NET_UNTIL(n, end->messages == 1);
  assert_log(end, "open, text hi");
}

static void look_at_response(net *n, net_end *end, const ws_event *event) {
  (void)end;
  const ws_response *response = NULL;
  if (event->type == WS_EVENT_OPEN) response = event->u.open.response;
  if (event->type == WS_EVENT_ERROR) response = event->u.error.response;
  if (response == NULL) return;
  snprintf(n->arg, 128, "%u %s, X-A: %s, %.*s", response->status,
           response->reason,
           ws_header_find(response->headers, response->header_count, "x-a"),
           (int)response->body_len, (const char *)response->body);
}

/* Rows 70, 341, 342. */
static void the_response_can_be_read_in_the_event(void **state) {
  net *n = *state;
  char seen[128] = "";
  n->on_event = look_at_response;
  n->arg = seen;
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  answer(peer, "HTTP/1.1 403 No Way" END "X-A: 1" END
               "Content-Length: 4" END END "body");
  net_finish(n, end);
  assert_string_equal(seen, "403 No Way, X-A: 1, body");
  peer = raw_visit(n, NULL, &end);
  raw_answer(peer, "X-A: 2" END);
  NET_UNTIL(n, end->is_open);
  assert_string_equal(seen, "101 Switching Protocols, X-A: 2, ");
}

/* Row 98. */
static void a_head_without_end_is_given_up(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  const size_t held = n->alloc.held;
  n->alloc.peak = held;
  raw_print(peer, SWITCH);
  while (!end->is_over) {
    raw_print(peer, "X-Filler: %0512d" END, 0);
    net_turn(n, 0);
  }
  assert_log(end, "error HTTP_TOO_LARGE, close 1006 unclean");
  assert_true(n->alloc.peak - held <= (size_t)128 * 1024);
}

/* -- Subprotocols and attributes ------------------------------------------- */

/* Rows 56, 57, 58, 59, 100, 103, 111, 112, 113, 117. */
static void attributes_change_when_the_connection_opens(void **state) {
  net *n = *state;
  static const char *const protocols[] = {"echo", "other"};
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.protocols = protocols;
  options.protocol_count = 2;
  net_end *end;
  raw *peer = raw_visit(n, &options, &end);
  const ws_socket *socket = end->socket;
  assert_int_equal(WS_STATE_CONNECTING, 0);
  assert_int_equal(WS_STATE_OPEN, 1);
  assert_int_equal(WS_STATE_CLOSING, 2);
  assert_int_equal(WS_STATE_CLOSED, 3);
  assert_int_equal(ws_socket_ready_state(socket), WS_STATE_CONNECTING);
  assert_int_equal(ws_socket_role(socket), WS_ROLE_CLIENT);
  assert_int_equal(ws_socket_buffered_amount(socket), 0);
  assert_string_equal(ws_socket_protocol(socket), "");
  assert_string_equal(ws_socket_extensions(socket), "");
  assert_string_equal(ws_socket_url(socket), peer->listener->url);
  assert_null(ws_socket_server(socket));
  assert_ptr_equal(ws_socket_loop(socket), n->loop);
  raw_answer(peer, PROTOCOL "echo" END DEFLATE END);
  NET_UNTIL(n, end->is_open);
  assert_int_equal(ws_socket_ready_state(socket), WS_STATE_OPEN);
  assert_string_equal(ws_socket_protocol(socket), "echo");
  assert_string_equal(ws_socket_extensions(socket), "permessage-deflate");
  char address[WS_ADDRESS_SIZE], expected[WS_ADDRESS_SIZE];
  snprintf(expected, sizeof(expected), "127.0.0.1:%u", peer->listener->port);
  assert_string_equal(ws_socket_peer_address(socket, address), expected);
  assert_false(ws_socket_tls_info(socket, NULL));
}

/* -- Ways to fail before an answer ----------------------------------------- */

/* Row 97: whatever went wrong, the close event says the same. */
static void
all_that_goes_wrong_looks_the_same_in_the_close_event(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  net_end *end = net_connect(n, listener->url, NULL);
  raw *peer = raw_accept(listener);
  raw_finish(peer);
  net_finish(n, end);
  assert_log(end, "error UNEXPECTED_EOF, close 1006 unclean");
  assert_cause(end, WS_ERR_UNEXPECTED_EOF, WS_SIDE_TRANSPORT, 0);

  end = net_connect(n, listener->url, NULL);
  peer = raw_accept(listener);
  raw_head(peer);
  raw_reset(peer);
  net_finish(n, end);
  assert_log(end, "error TRANSPORT, close 1006 unclean");

  end = net_connect(n, raw_nowhere(n), NULL);
  net_finish(n, end);
  assert_log(end, "error CONNECT, close 1006 unclean");
  assert_cause(end, WS_ERR_CONNECT, WS_SIDE_TRANSPORT, 0);
  assert_non_null(strstr(end->cause_text, "127.0.0.1:"));
}

/* Row 38. */
static void a_name_that_does_not_exist_fails(void **state) {
  net *n = *state;
  net_end *end = net_connect(n, "ws://nobody.invalid/", NULL);
  net_finish(n, end);
  assert_log(end, "error RESOLVE, close 1006 unclean");
  assert_non_null(strstr(end->cause_text, "nobody.invalid"));
}

/* Row 37: port 0 fails, but not in the call. */
static void port_zero_fails_in_the_loop(void **state) {
  net *n = *state;
  net_end *end = net_connect(n, "ws://127.0.0.1:0/", NULL);
  assert_log(end, "");
  net_finish(n, end);
  assert_log(end, "error CONNECT, close 1006 unclean");
}

/* Rows 35, 36. */
static void bad_ports_are_blocked_when_that_is_asked_for(void **state) {
  net *n = *state;
  static const uint16_t ports[] = {1, 25, 6000, 6667, 10080};
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.block_bad_ports = true;
  for (size_t i = 0; i < COUNT(ports); i++) {
    char url[64];
    snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", ports[i]);
    net_end *end = net_connect(n, url, &options);
    net_finish(n, end);
    assert_log(end, "error BLOCKED_PORT, close 1006 unclean");
  }
  raw *listener = raw_listen(n); /* A port that is not bad. */
  net_end *end = net_connect(n, listener->url, &options);
  raw_upgrade(raw_accept(listener), NULL);
  NET_UNTIL(n, end->is_open);
}

/* Row 343. */
static void
a_silent_server_is_given_up_after_the_handshake_timeout(void **state) {
  net *n = *state;
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.handshake_timeout = 50;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  raw *listener = raw_listen(n);
  const uint64_t before = net_clock();
  net_end *end = net_connect(n, listener->url, &options);
  raw *peer = raw_accept(listener);
  net_finish(n, end);
  assert_true(net_clock() - before >= 50);
  assert_log(end, "error HANDSHAKE_TIMEOUT, close 1006 unclean");
  raw_read_to_end(peer);
}

/* Row 72. */
static void failures_delay_nobody(void **state) {
  net *n = *state;
  for (int i = 0; i < 3; i++) {
    net_end *end;
    raw *peer = raw_visit(n, NULL, &end);
    raw_close(peer);
    net_finish(n, end);
  }
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  raw_answer(peer, NULL);
  NET_UNTIL(n, end->is_open);
  raw_send_close(peer, 1000, "");
  assert_raw_close(peer, 1000, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "open, close 1000 clean");
}

/* Row 71: two handshakes with one host go on side by side. */
static void handshakes_do_not_wait_for_each_other(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  net_connect(n, listener->url, NULL);
  net_end *second = net_connect(n, listener->url, NULL);
  raw *first_peer = raw_accept(listener);
  raw *second_peer = raw_accept(listener);
  raw_head(first_peer); /* Not answered. */
  raw_upgrade(second_peer, NULL);
  raw_send_close(second_peer, 4001, "");
  NET_UNTIL(n, n->ends->is_open || second->is_open);
}

/* Rows 226, 276, 277. */
static void no_event_comes_before_the_loop_turns(void **state) {
  net *n = *state;
  net_end *end = net_connect(n, raw_nowhere(n), NULL);
  assert_log(end, "");
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CONNECTING);
  assert_int_equal(ws_socket_close(end->socket, 0, NULL, 0), 0);
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CLOSING);
  assert_log(end, "");
  net_finish(n, end);
  assert_log(end, "error ABORTED, close 1006 unclean");
}

/* -- Other transports ------------------------------------------------------ */

/* Row 351. */
static void unix_sockets_are_connected_to(void **state) {
  net *n = *state;
  raw *listener = raw_listen_unix(n, "socket");
  char url[256];
  snprintf(url, sizeof(url), "%spath?q", listener->url);
  net_end *end = net_connect(n, url, NULL);
  raw *peer = raw_accept(listener);
  const char *head = raw_take_request(peer);
  assert_memory_equal(head, "GET /path?q HTTP/1.1\r\n", 22);
  assert_string_equal(raw_header(head, "Host"), "localhost");
  raw_answer(peer, NULL);
  NET_UNTIL(n, end->is_open);
  char address[WS_ADDRESS_SIZE];
  ws_socket_peer_address(end->socket, address);
  assert_memory_equal(address, "unix:/", 6);
}

static void a_descriptor_that_is_connected_already_is_used(void **state) {
  net *n = *state;
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  raw *peer = raw_adopt(n, ends[0]);
  peer->is_client = false;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.fd = ends[1];
  net_end *end = net_connect(n, "ws://h.test/x", &options);
  const char *head = raw_take_request(peer);
  assert_memory_equal(head, "GET /x HTTP/1.1\r\n", 17);
  assert_string_equal(raw_header(head, "Host"), "h.test");
  raw_answer(peer, NULL);
  NET_UNTIL(n, end->is_open);
  ws_socket_terminate(end->socket);
  net_finish(n, end);
  assert_raw_ended(peer);
}

static void a_descriptor_that_is_no_socket_is_refused(void **state) {
  net *n = *state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.fd = ends[0];
  ws_socket *socket;
  ws_error error = {0};
  assert_int_equal(
      ws_socket_open(n->loop, "ws://h/", 7, &options, &socket, &error),
      WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "fd"));
  close(ends[0]);
  close(ends[1]);
}

/* What is wrong is named, and nothing is left of the attempt. */
static void options_of_a_client_are_checked(void **state) {
  net *n = *state;
  ws_conn_options unset = {0};
  ws_socket_options defaults, wrong[6];
  ws_socket_options_init(&defaults);
  for (size_t i = 0; i < COUNT(wrong); i++)
    wrong[i] = defaults;
  wrong[0].size = 0;
  wrong[1].conn = &unset;
  wrong[2].reconnect = true;
  wrong[2].fd = dup(STDIN_FILENO); /* It is taken over even so. */
  wrong[3].reconnect_min = 2;
  wrong[3].reconnect_max = 1;
  wrong[4].proxy = "gopher://proxy/";
  wrong[5].reconnect_min = 30001; /* The default of the other is 30 s. */
  static const char *const named[] = {
      "size", "conn", "reconnect", "reconnect_min", "scheme", "reconnect_min"};
  for (size_t i = 0; i < COUNT(wrong); i++) {
    ws_socket *socket;
    ws_error error = {0};
    assert_int_equal(
        ws_socket_open(n->loop, "ws://h/", 7, &wrong[i], &socket, &error),
        WS_ERR_INVALID_ARGUMENT);
    if (strstr(error.message, named[i]) == NULL) {
      fail_msg("%s is not named: %s", named[i], error.message);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(wrong_answers_fail_the_connection),
      CASE(a_server_must_choose_a_subprotocol_that_was_offered),
      CASE(compression_that_was_not_offered_fails_the_connection),
      CASE(right_answers_in_any_form_open_the_connection),
      CASE(an_answer_may_come_byte_by_byte),
      CASE(a_close_frame_behind_the_answer_comes_after_open),
      CASE(a_message_behind_the_answer_is_not_lost),
      CASE(the_response_can_be_read_in_the_event),
      CASE(a_head_without_end_is_given_up),
      CASE(attributes_change_when_the_connection_opens),
      CASE(all_that_goes_wrong_looks_the_same_in_the_close_event),
      CASE(a_name_that_does_not_exist_fails),
      CASE(port_zero_fails_in_the_loop),
      CASE(bad_ports_are_blocked_when_that_is_asked_for),
      CASE(a_silent_server_is_given_up_after_the_handshake_timeout),
      CASE(failures_delay_nobody),
      CASE(handshakes_do_not_wait_for_each_other),
      CASE(no_event_comes_before_the_loop_turns),
      CASE(unix_sockets_are_connected_to),
      CASE(a_descriptor_that_is_connected_already_is_used),
      CASE(a_descriptor_that_is_no_socket_is_refused),
      CASE(options_of_a_client_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
