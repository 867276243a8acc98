/* test_server_open.c - how a server opens connections: what it refuses by
 * itself, what it hands out to be decided on, now or later (section T of the
 * behaviour table). */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raw_peer.h"

static ws_header header(const char *name, const char *value) {
  return (ws_header){name, strlen(name), value, strlen(value)};
}

static ws_server_options defaults(void) {
  ws_server_options options;
  ws_server_options_init(&options);
  return options;
}

/* A server that hands out handshakes and plain requests. */
static void serve_wanting_all(net *n) {
  ws_server_options options = defaults();
  options.wants_upgrades = true;
  options.wants_requests = true;
  net_serve(n, &options);
}

/* Sends a handshake to the server of the test and waits until it is handed
 * out. */
static raw *ask(net *n, const char *target, const char *lines,
                net_end **out_end) {
  unsigned index = 0;
  while (net_accepted(n, index) != NULL)
    index++;
  raw *peer = raw_connect(n, n->port);
  raw_request(peer, target, lines);
  NET_UNTIL(n, net_accepted(n, index) != NULL);
  *out_end = net_accepted(n, index);
  return peer;
}

/* -- What a server decides by itself --------------------------------------- */

#define HOST    "Host: 127.0.0.1\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define GET     "GET / HTTP/1.1\r\n"
#define END     "\r\n"

/* Rows 361, 362, 363, 365, 366, 367, A-08, A-25, A-33, A-39, A-41. */
static void wrong_requests_are_refused_with_the_right_status(void **state) {
  net *n = *state;
  static const struct {
    const char *request;
    unsigned status;
  } cases[] = {
      {GET HOST END, 426},
      {"HEAD / HTTP/1.1" END HOST END, 426},
      {"POST / HTTP/1.1" END HOST UPGRADE KEY VERSION END, 405},
      {GET HOST "Connection: Upgrade" END KEY VERSION END, 400},
      {GET HOST "Upgrade: h2c" END "Connection: Upgrade" END KEY VERSION END,
       400},
      {GET HOST UPGRADE KEY END, 426},
      {GET HOST UPGRADE KEY "Sec-WebSocket-Version: 12" END END, 426},
      {GET HOST UPGRADE VERSION END, 400},
      {GET HOST UPGRADE VERSION "Sec-WebSocket-Key: c2hvcnQ=" END END, 400},
      {GET HOST UPGRADE KEY VERSION "Sec-WebSocket-Protocol: a,,b" END END,
       400},
      {GET HOST UPGRADE KEY VERSION "Sec-WebSocket-Protocol: a, a" END END,
       400},
      {GET HOST UPGRADE KEY VERSION "Sec-WebSocket-Extensions: ;" END END, 400},
      {GET HOST UPGRADE KEY VERSION "Content-Length: 5" END END, 400},
      {GET HOST UPGRADE KEY VERSION "Transfer-Encoding: chunked" END END, 400},
      {GET HOST UPGRADE KEY VERSION "Origin: https://evil.test" END END, 403},
      {GET HOST UPGRADE KEY VERSION "Origin: null" END END, 403},
      {GET UPGRADE KEY VERSION END, 400},
      {GET HOST HOST UPGRADE KEY VERSION END, 400},
      {"GET / HTTP/1.0" END HOST UPGRADE KEY VERSION END, 505},
      {"\x16\x03\x01\x02\r\n\r\n", 400}, /* A client that speaks TLS. */
  };
  net_serve(n, NULL);
  for (size_t i = 0; i < COUNT(cases); i++) {
    raw *peer = raw_connect(n, n->port);
    raw_print(peer, "%s", cases[i].request);
    const char *head = assert_raw_refused(peer, cases[i].status);
    if (cases[i].status == 426)
      assert_string_equal(raw_header(head, "Sec-WebSocket-Version"), "13");
    if (cases[i].status == 405)
      assert_string_equal(raw_header(head, "Allow"), "GET");
  }
}

/* Rows 363, 367: what is unknown, or means the same, does no harm. */
static void right_requests_in_any_form_open_a_connection(void **state) {
  net *n = *state;
  static const char *const requests[] = {
      GET HOST UPGRADE KEY VERSION END,
      GET HOST "upgrade: WebSocket" END
               "connection: keep-alive, upgrade" END KEY VERSION END,
      GET HOST UPGRADE KEY VERSION "Sec-WebSocket-Extensions: foo" END END,
      GET HOST UPGRADE KEY VERSION "Origin: http://127.0.0.1" END END,
  };
  net_serve(n, NULL);
  for (unsigned i = 0; i < COUNT(requests); i++) {
    raw *peer = raw_connect(n, n->port);
    raw_print(peer, "%s", requests[i]);
    const char *head = assert_raw_upgraded(peer);
    assert_null(raw_header(head, "Sec-WebSocket-Extensions"));
    assert_null(raw_header(head, "Sec-WebSocket-Protocol"));
    NET_UNTIL(n, net_accepted(n, i) != NULL);
    assert_log(net_accepted(n, i), "open");
  }
}

/* Row 368. */
static void a_server_may_serve_one_path_only(void **state) {
  net *n = *state;
  static const struct {
    const char *target;
    unsigned status;
  } cases[] = {{"/chat", 101},
               {"/chat?room=1", 101},
               {"/", 404},
               {"/chat/", 404},
               {"/chats", 404},
               {"/CHAT", 404},
               {"http://127.0.0.1/chat?room=1", 101},
               {"http://127.0.0.1", 404}};
  ws_server_options options = defaults();
  options.path = "/chat";
  net_serve(n, &options);
  for (size_t i = 0; i < COUNT(cases); i++) {
    raw *peer = raw_connect(n, n->port);
    raw_request(peer, cases[i].target, NULL);
    if (cases[i].status == 101) assert_raw_upgraded(peer);
    else assert_raw_refused(peer, cases[i].status);
  }
}

/* Row 369. */
static void subprotocols_are_chosen_by_the_order_of_the_client(void **state) {
  net *n = *state;
  static const char *const spoken[] = {"a", "b"};
  static const struct {
    const char *lines;
    const char *chosen; /* With the list above, and without a list. */
    const char *first;
  } cases[] = {
      {"Sec-WebSocket-Protocol: b, a\r\n", "b", "b"},
      {"Sec-WebSocket-Protocol: x, a\r\n", "a", "x"},
      {"Sec-WebSocket-Protocol: x\r\n", NULL, "x"},
      {"", NULL, NULL},
  };
  for (int has_list = 0; has_list <= 1; has_list++) {
    ws_server_options options = defaults();
    options.protocols = has_list ? spoken : NULL;
    options.protocol_count = has_list ? COUNT(spoken) : 0;
    net_serve(n, &options);
    for (size_t i = 0; i < COUNT(cases); i++) {
      net_end *end;
      raw *peer = ask(n, "/", cases[i].lines, &end);
      const char *expected = has_list ? cases[i].chosen : cases[i].first;
      const char *chosen =
          raw_header(assert_raw_upgraded(peer), "Sec-WebSocket-Protocol");
      NET_UNTIL(n, end->is_open);
      if (expected == NULL) assert_null(chosen);
      else assert_string_equal(chosen, expected);
      assert_string_equal(ws_socket_protocol(end->socket),
                          expected != NULL ? expected : "");
    }
    ws_server_close(n->server, 0, NULL, 0, 1);
    NET_UNTIL(n, n->server == NULL);
  }
}

/* */
static void origins_and_hosts_are_held_against_lists(void **state) {
  net *n = *state;
  static const char *const origins[] = {"https://a.test", NULL};
  static const char *const hosts[] = {"127.0.0.1", NULL};
  static const struct {
    const char *request;
    unsigned status;
  } cases[] = {
      {GET HOST UPGRADE KEY VERSION "Origin: https://a.test" END END, 101},
      {GET HOST UPGRADE KEY VERSION "Origin: https://a.test.evil" END END, 403},
      {GET HOST UPGRADE KEY VERSION "Origin: http://a.test" END END, 403},
      {GET "Host: rebound.test" END UPGRADE KEY VERSION END, 403},
  };
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.origins = origins;
  conn.hosts = hosts;
  ws_server_options options = defaults();
  options.conn = &conn;
  net_serve(n, &options);
  for (size_t i = 0; i < COUNT(cases); i++) {
    raw *peer = raw_connect(n, n->port);
    raw_print(peer, "%s", cases[i].request);
    if (cases[i].status == 101) {
      assert_raw_upgraded(peer);
    } else {
      const char *head = raw_head(peer);
      char expected[16];
      snprintf(expected, sizeof(expected), "HTTP/1.1 %u", cases[i].status);
      assert_memory_equal(head, expected, strlen(expected));
    }
  }
}

/* Heads that are too long, byte by byte, or never end. */
static void slow_and_long_heads_are_given_up(void **state) {
  net *n = *state;
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.handshake_timeout = 500; /* What they say comes first. */
  ws_server_options options = defaults();
  options.conn = &conn;
  net_serve(n, &options);
  raw *slow = raw_connect(n, n->port);
  raw_print(slow, GET HOST);
  raw *silent = raw_connect(n, n->port);
  raw *long_one = raw_connect(n, n->port);
  raw_print(long_one, GET HOST "X: %09000d", 0);
  assert_raw_refused(long_one, 431);
  assert_raw_refused(slow, 408);
  assert_raw_ended(silent);
}

/* -- What is handed out ---------------------------------------------------- */

static void look_at_request(net *n, net_end *end, const ws_event *event) {
  (void)end;
  const ws_request *request = NULL;
  if (event->type == WS_EVENT_REQUEST) request = event->u.request;
  if (event->type == WS_EVENT_OPEN) request = event->u.open.request;
  if (request == NULL) return;
  snprintf(n->arg, 128, "%s %s %d %s %zu %s", request->method, request->target,
           request->is_upgrade,
           ws_header_find(request->headers, request->header_count, "x-a"),
           request->protocol_count, request->protocols[0]);
}

/* Rows 359, 383. */
static void the_request_can_be_read_in_the_event(void **state) {
  net *n = *state;
  char seen[128] = "";
  n->on_event = look_at_request;
  n->arg = seen;
  serve_wanting_all(n);
  net_end *end;
  raw *peer =
      ask(n, "/chat?a=b", "X-A: 1\r\nSec-WebSocket-Protocol: p, q\r\n", &end);
  assert_string_equal(seen, "GET /chat?a=b 1 1 2 p");
  assert_log(end, "upgrade GET /chat?a=b");
  assert_int_equal(ws_socket_ready_state(end->socket), WS_STATE_CONNECTING);
  seen[0] = '\0';
  assert_int_equal(ws_socket_accept(end->socket, NULL, NULL), 0);
  assert_raw_upgraded(peer);
  NET_UNTIL(n, end->is_open);
  assert_string_equal(seen, "GET /chat?a=b 1 1 2 p");
  assert_string_equal(ws_socket_url(end->socket), "");
  assert_ptr_equal(ws_socket_server(end->socket), n->server);
  assert_ptr_equal(ws_socket_loop(end->socket), n->loop);
  assert_int_equal(ws_socket_role(end->socket), WS_ROLE_SERVER);
}

/* Row 360: nothing behind the request is looked at before the answer. */
static void data_behind_the_request_arrives_after_open(void **state) {
  net *n = *state;
  serve_wanting_all(n);
  raw *peer = raw_connect(n, n->port);
  raw_print(peer, "%s", GET HOST UPGRADE KEY VERSION END);
  raw_text(peer, "early");
  NET_UNTIL(n, net_accepted(n, 0) != NULL);
  net_end *end = net_accepted(n, 0);
  net_settle(n);
  assert_log(end, "upgrade GET /");
  assert_int_equal(ws_socket_accept(end->socket, NULL, NULL), 0);
  NET_UNTIL(n, end->messages == 1);
  assert_log(end, "open, text early");
}

/* Rows 370, 373. */
static void an_answer_chooses_the_subprotocol_and_adds_headers(void **state) {
  net *n = *state;
  serve_wanting_all(n);
  net_end *end;
  raw *peer = ask(n, "/", "Sec-WebSocket-Protocol: a, b\r\n", &end);
  const ws_header headers[] = {header("X-Session", "17")};
  const ws_header bad[] = {header("Upgrade", "h2c")};
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  const char *reason = NULL;
  answer.protocol = "c"; /* Not offered. */
  assert_int_equal(ws_socket_accept(end->socket, &answer, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(reason);
  answer.protocol = "b";
  answer.headers = bad;
  answer.header_count = 1;
  assert_int_equal(ws_socket_accept(end->socket, &answer, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  answer.headers = headers;
  assert_int_equal(ws_socket_accept(end->socket, &answer, &reason), 0);
  assert_int_equal(ws_socket_accept(end->socket, &answer, &reason),
                   WS_ERR_INVALID_STATE);
  const char *head = assert_raw_upgraded(peer);
  assert_string_equal(raw_header(head, "X-Session"), "17");
  assert_string_equal(raw_header(head, "Sec-WebSocket-Protocol"), "b");
}

/* Rows 371, 342: at once, and in a later turn. */
static void a_handshake_is_refused_with_status_headers_and_body(void **state) {
  net *n = *state;
  serve_wanting_all(n);
  const ws_header headers[] = {header("X-Why", "no"),
                               header("Content-Type", "text/plain")};
  for (int is_late = 0; is_late <= 1; is_late++) {
    net_end *end;
    raw *peer = ask(n, "/", NULL, &end);
    if (is_late) assert_raw_silent(peer);
    assert_int_equal(
        ws_socket_respond(end->socket, 403, headers, 2, "go away", 7, NULL), 0);
    const char *head = assert_raw_refused(peer, 403);
    assert_string_equal(raw_header(head, "X-Why"), "no");
    assert_string_equal(raw_header(head, "Content-Length"), "7");
    assert_memory_equal(raw_read(peer, 7), "go away", 7);
    assert_raw_ended(peer);
    net_finish(n, end);
    assert_false(end->is_open);
  }
}

/* Row 372. */
static void a_client_may_leave_while_its_answer_is_waited_for(void **state) {
  net *n = *state;
  serve_wanting_all(n);
  for (int is_reset = 0; is_reset <= 1; is_reset++) {
    net_end *end;
    raw *peer = ask(n, "/", NULL, &end);
    net_retain(end);
    if (is_reset) raw_reset(peer);
    else raw_close(peer);
    net_finish(n, end);
    assert_log(end, is_reset
                        ? "upgrade GET /, error TRANSPORT, close 1006 unclean"
                        : "upgrade GET /, error UNEXPECTED_EOF, close 1006 "
                          "unclean");
    assert_int_equal(ws_socket_accept(end->socket, NULL, NULL),
                     WS_ERR_INVALID_STATE);
    assert_int_equal(
        ws_socket_respond(end->socket, 403, NULL, 0, NULL, 0, NULL),
        WS_ERR_INVALID_STATE);
  }
}

/* An answer that never comes: the client is not kept for ever. */
static void a_request_that_is_never_answered_has_a_deadline(void **state) {
  net *n = *state;
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.handshake_timeout = 50;
  ws_server_options options = defaults();
  options.conn = &conn;
  options.wants_upgrades = true;
  net_serve(n, &options);
  net_end *end;
  raw *peer = ask(n, "/", NULL, &end);
  net_finish(n, end);
  assert_log(end, "upgrade GET /, error HANDSHAKE_TIMEOUT, close 1006 unclean");
  assert_raw_ended(peer);
}

static void refuse_or_drop(net *n, net_end *end, const ws_event *event) {
  const int *act = n->arg;
  if (event->type != WS_EVENT_REQUEST) return;
  if (*act == 0) ws_socket_close(end->socket, 1000, NULL, 0);
  if (*act == 1) ws_socket_terminate(end->socket);
}

/* */
static void close_and_terminate_in_the_request_end_it(void **state) {
  net *n = *state;
  serve_wanting_all(n);
  n->on_event = refuse_or_drop;
  for (int act = 0; act <= 1; act++) {
    n->arg = &act;
    net_end *end;
    raw *peer = ask(n, "/", NULL, &end);
    net_finish(n, end);
    assert_log(end, "upgrade GET /, error ABORTED, close 1006 unclean");
    raw_close(peer);
  }
}

/* -- Plain HTTP ------------------------------------------------------------ */

static void plain_requests_are_answered_by_the_application(void **state) {
  net *n = *state;
  serve_wanting_all(n);
  static const char page[] = "<!doctype html><title>x</title>";
  const ws_header type[] = {header("Content-Type", "text/html")};
  static const char *const methods[] = {"GET", "HEAD", "POST"};
  for (unsigned i = 0; i < COUNT(methods); i++) {
    raw *peer = raw_connect(n, n->port);
    raw_print(peer, "%s /page HTTP/1.1\r\n" HOST "\r\n", methods[i]);
    NET_UNTIL(n, net_accepted(n, i) != NULL);
    net_end *end = net_accepted(n, i);
    assert_int_equal(ws_socket_accept(end->socket, NULL, NULL),
                     WS_ERR_INVALID_STATE);
    assert_int_equal(ws_socket_respond(end->socket, 200, type, 1, page,
                                       sizeof(page) - 1, NULL),
                     0);
    const char *head = assert_raw_refused(peer, 200);
    assert_string_equal(raw_header(head, "Content-Length"), "31");
    if (i != 1) assert_memory_equal(raw_read(peer, 31), page, 31);
    assert_raw_ended(peer);
    net_finish(n, end);
  }
}

/* A page that is larger than what the system takes at once. */
static void a_large_page_arrives_whole(void **state) {
  net *n = *state;
  enum {
    SIZE = 8000000
  };
  static uint8_t page[SIZE];
  for (size_t i = 0; i < SIZE; i++)
    page[i] = (uint8_t)(i * 2654435761U >> 24);
  serve_wanting_all(n);
  raw *peer = raw_connect(n, n->port);
  raw_print(peer, GET HOST END);
  NET_UNTIL(n, net_accepted(n, 0) != NULL);
  net_end *end = net_accepted(n, 0);
  assert_int_equal(
      ws_socket_respond(end->socket, 200, NULL, 0, page, sizeof(page), NULL),
      0);
  assert_raw_refused(peer, 200);
  assert_memory_equal(raw_read(peer, SIZE), page, SIZE);
  assert_raw_ended(peer);
  net_finish(n, end);
}

/* -- Connections from elsewhere -------------------------------------------- */

/* Row 374. */
static void a_connection_that_was_accepted_elsewhere_is_served(void **state) {
  net *n = *state;
  static const char head[] = GET HOST UPGRADE KEY VERSION END;
  const size_t len = strlen(head);
  net_serve(n, NULL);
  for (size_t cut = 0; cut <= len; cut += len / 3) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    raw *peer = raw_adopt(n, ends[0]);
    raw_print(peer, "%s", head + cut);
    ws_socket *socket;
    ws_error error = {0};
    assert_int_equal(
        ws_server_adopt(n->server, ends[1], NULL, head, cut, &socket, &error),
        0);
    assert_ptr_equal(ws_socket_server(socket), n->server);
    assert_raw_upgraded(peer);
    raw_text(peer, "hi");
    raw_send_close(peer, 1000, "");
    assert_raw_close(peer, 1000, "");
  }
}

/* It is taken over even so: closed. */
static void what_cannot_be_adopted_is_closed(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  ws_socket *socket;
  ws_error error;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(
      ws_server_adopt(n->server, ends[0], NULL, NULL, 0, &socket, &error),
      WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "fd"));
  assert_int_equal(fcntl(ends[0], F_GETFD), -1);
  close(ends[1]);

  const raw *listener = raw_listen(n);
  const int copy = dup(listener->fd);
  assert_int_equal(
      ws_server_adopt(n->server, copy, NULL, NULL, 0, &socket, &error),
      WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(fcntl(copy, F_GETFD), -1);
  assert_int_equal(
      ws_server_adopt(n->server, -1, NULL, NULL, 0, &socket, &error),
      WS_ERR_INVALID_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(wrong_requests_are_refused_with_the_right_status),
      CASE(right_requests_in_any_form_open_a_connection),
      CASE(a_server_may_serve_one_path_only),
      CASE(subprotocols_are_chosen_by_the_order_of_the_client),
      CASE(origins_and_hosts_are_held_against_lists),
      CASE(slow_and_long_heads_are_given_up),
      CASE(the_request_can_be_read_in_the_event),
      CASE(data_behind_the_request_arrives_after_open),
      CASE(an_answer_chooses_the_subprotocol_and_adds_headers),
      CASE(a_handshake_is_refused_with_status_headers_and_body),
      CASE(a_client_may_leave_while_its_answer_is_waited_for),
      CASE(a_request_that_is_never_answered_has_a_deadline),
      CASE(close_and_terminate_in_the_request_end_it),
      CASE(plain_requests_are_answered_by_the_application),
      CASE(a_large_page_arrives_whole),
      CASE(a_connection_that_was_accepted_elsewhere_is_served),
      CASE(what_cannot_be_adopted_is_closed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
