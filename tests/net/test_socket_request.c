/* test_socket_request.c - what a client may be asked for, and what it then
 * writes (sections A to C of the behaviour table). */
#include <stdio.h>

#include "proto/base64.h"
#include "raw_peer.h"

static ws_header header(const char *name, const char *value) {
  return (ws_header){name, strlen(name), value, strlen(value)};
}

static void assert_header(const raw *peer, const char *name,
                          const char *expected) {
  const char *value = raw_header(peer->request, name);
  if (expected == NULL) {
    assert_null(value);
  } else {
    assert_non_null(value);
    assert_string_equal(value, expected);
  }
}

/* -- What is written ------------------------------------------------------- */

/* Rows 42, 60, 61, 62, 63, 64, 66. */
static void the_request_is_that_of_a_browser(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  char url[160], host[32];
  snprintf(url, sizeof(url), "%sa/b?c=d", listener->url);
  snprintf(host, sizeof(host), "127.0.0.1:%u", listener->port);
  net_connect(n, url, NULL);
  raw *peer = raw_accept(listener);
  raw_take_request(peer);
  assert_memory_equal(peer->request, "GET /a/b?c=d HTTP/1.1\r\n", 23);
  assert_header(peer, "Host", host);
  assert_header(peer, "Upgrade", "websocket");
  assert_header(peer, "Connection", "Upgrade");
  assert_header(peer, "Sec-WebSocket-Version", "13");
  assert_header(peer, "Sec-WebSocket-Extensions",
                "permessage-deflate; client_max_window_bits; "
                "server_max_window_bits=12");
  assert_header(peer, "Origin", NULL);
  assert_header(peer, "Sec-WebSocket-Protocol", NULL);
  assert_header(peer, "Authorization", NULL);
  uint8_t key[18];
  size_t key_len;
  const char *text = raw_header(peer->request, "Sec-WebSocket-Key");
  assert_true(ws__base64_decode(text, strlen(text), key, &key_len));
  assert_int_equal(key_len, 16);
}

/* Row 62. */
static void each_connection_has_its_own_key(void **state) {
  net *n = *state;
  net_end *ends[2];
  const raw *one = raw_visit(n, NULL, &ends[0]);
  const raw *other = raw_visit(n, NULL, &ends[1]);
  char key[64];
  snprintf(key, sizeof(key), "%s",
           raw_header(one->request, "Sec-WebSocket-Key"));
  assert_string_not_equal(key, raw_header(other->request, "Sec-WebSocket-Key"));
}

/* Rows 43, 44, 64, 66, 67, 352. */
static void options_reach_the_request(void **state) {
  net *n = *state;
  static const char *const protocols[] = {"b", "a", "c"};
  const ws_header headers[] = {header("X-A", "1"), header("Cookie", "k=v")};
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.compression = WS_COMPRESSION_OFF;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  options.protocols = protocols;
  options.protocol_count = COUNT(protocols);
  options.headers = headers;
  options.header_count = COUNT(headers);
  options.origin = "https://x.test";
  net_end *end;
  raw *peer = raw_visit(n, &options, &end);
  assert_header(peer, "Sec-WebSocket-Protocol", "b, a, c");
  assert_header(peer, "Sec-WebSocket-Extensions", NULL);
  assert_header(peer, "X-A", "1");
  assert_header(peer, "Cookie", "k=v");
  assert_header(peer, "Origin", "https://x.test");
}

/* Rows 30, 31. */
static void user_and_password_of_the_url_are_sent(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  char url[160];
  snprintf(url, sizeof(url), "ws://u:p%%40x@127.0.0.1:%u/", listener->port);
  net_end *end = net_connect(n, url, NULL);
  assert_string_equal(ws_socket_url(end->socket), url);
  raw *peer = raw_accept(listener);
  raw_take_request(peer);
  assert_header(peer, "Authorization", "Basic dTpwQHg=");
}

/* Rows 5, 6, 16, 17. */
static void urls_are_taken_in_every_form(void **state) {
  net *n = *state;
  static const struct {
    const char *before, *after;
  } forms[] = {
      {"WS://127.0.0.1", "/"},    {"ws://LOCALHOST", "/"},
      {"http://127.0.0.1", "/"},  {"ws:127.0.0.1", ""},
      {"ws:\\\\127.0.0.1", "\\"}, {"  ws://127.1", "/ \n"},
  };
  raw *listener = raw_listen(n);
  for (size_t i = 0; i < COUNT(forms); i++) {
    char url[64];
    snprintf(url, sizeof(url), "%s:%u%s", forms[i].before, listener->port,
             forms[i].after);
    net_end *end = net_connect(n, url, NULL);
    raw_upgrade(raw_accept(listener), NULL);
    NET_UNTIL(n, end->is_open);
    assert_memory_equal(ws_socket_url(end->socket), "ws://", 5);
  }
}

/* -- What is refused ------------------------------------------------------- */

/* Rows 67, 68, A-38. */
static void what_must_not_stand_in_a_head_is_refused_by_the_call(void **state) {
  net *n = *state;
  static const struct {
    ws_header header;
    int error;
  } cases[] = {
      {{"X", 1, "a\r\nb", 4}, WS_ERR_INVALID_ARGUMENT},
      {{"X", 1, "a\nb", 3}, WS_ERR_INVALID_ARGUMENT},
      {{"X", 1, "a\0b", 3}, WS_ERR_INVALID_ARGUMENT},
      {{"X\r\nY", 4, "a", 1}, WS_ERR_INVALID_ARGUMENT},
      {{"X Y", 3, "a", 1}, WS_ERR_INVALID_ARGUMENT},
      {{"", 0, "a", 1}, WS_ERR_INVALID_ARGUMENT},
      {{"Host", 4, "a", 1}, WS_ERR_INVALID_ARGUMENT},
      {{"upgrade", 7, "a", 1}, WS_ERR_INVALID_ARGUMENT},
      {{"Connection", 10, "a", 1}, WS_ERR_INVALID_ARGUMENT},
      {{"Sec-WebSocket-Key", 17, "a", 1}, WS_ERR_INVALID_ARGUMENT},
  };
  raw *listener = raw_listen(n);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.header_count = 1;
  for (size_t i = 0; i < COUNT(cases); i++) {
    ws_socket *socket;
    ws_error error = {0};
    options.headers = &cases[i].header;
    assert_int_equal(ws_socket_open(n->loop, listener->url,
                                    strlen(listener->url), &options, &socket,
                                    &error),
                     cases[i].error);
    assert_int_equal(error.code, cases[i].error);
    assert_string_not_equal(error.message, "");
  }
  options.header_count = 0;
  options.origin = "https://x\r\nX: y";
  ws_socket *socket;
  assert_int_equal(ws_socket_open(n->loop, listener->url, strlen(listener->url),
                                  &options, &socket, NULL),
                   WS_ERR_INVALID_ARGUMENT);
  net_settle(n);
  assert_false(raw_has_visitor(listener));
  assert_false(ws_loop_is_alive(n->loop));
}

/* Rows 10, 13, 14, 18, 20, 45, 46, 53. */
static void bad_urls_and_subprotocols_are_refused_by_the_call(void **state) {
  net *n = *state;
  static const char *const urls[] = {
      "",           "test",      "//h/x",         "ftp://h/",
      "ws://h:80a", "ws://a<b/", "ws://h:65536/", "ws://h/#f",
      "ws://h/#",   "ws://%/",   "ws+unix:",      "wsx://h/",
  };
  ws_socket *socket;
  for (size_t i = 0; i < COUNT(urls); i++) {
    ws_error error = {0};
    assert_int_equal(ws_socket_open(n->loop, urls[i], strlen(urls[i]), NULL,
                                    &socket, &error),
                     WS_ERR_SYNTAX);
    assert_int_equal(error.code, WS_ERR_SYNTAX);
    assert_string_not_equal(error.message, "");
  }
  static const char *const protocols[][2] = {
      {"", "a"}, {"ec ho", "a"}, {"a", "a"}, {"echo", "eCho"}, {"a,b", "c"}};
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.protocol_count = 2;
  for (size_t i = 0; i < COUNT(protocols); i++) {
    options.protocols = protocols[i];
    assert_int_equal(
        ws_socket_open(n->loop, "ws://h/", 7, &options, &socket, NULL),
        WS_ERR_SYNTAX);
  }
  assert_null(n->ends);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(the_request_is_that_of_a_browser),
      CASE(each_connection_has_its_own_key),
      CASE(options_reach_the_request),
      CASE(user_and_password_of_the_url_are_sent),
      CASE(urls_are_taken_in_every_form),
      CASE(what_must_not_stand_in_a_head_is_refused_by_the_call),
      CASE(bad_urls_and_subprotocols_are_refused_by_the_call),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
