/* test_socket_proxy.c - clients behind a proxy: CONNECT and SOCKS5, by option
 * and by environment, spoken by a raw peer. The bytes of a tunnel are tested in
 * unit/test_tunnel.c, the choice in unit/test_proxy.c. */
#include <stdio.h>
#include <stdlib.h>

#include "raw_peer.h"

/* Nobody ever comes to this address: only its proxy is connected to. */
#define TARGET "ws://target.test:8080/chat"

/* A proxy, and a client on its way through it. */
static net_end *connect_through(net *n, raw *proxy, const char *scheme,
                                const char *url) {
  char text[128];
  snprintf(text, sizeof(text), "%s127.0.0.1:%u", scheme, proxy->port);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.proxy = text;
  return net_connect(n, url, &options);
}

/* The tunnel stands: the peer goes on as the target. */
static void serve_as_target(net *n, raw *peer, net_end *end) {
  raw_take_request(peer);
  assert_memory_equal(peer->request, "GET /chat HTTP/1.1\r\n", 20);
  assert_string_equal(raw_header(peer->request, "Host"), "target.test:8080");
  assert_null(raw_header(peer->request, "Proxy-Authorization"));
  raw_answer(peer, NULL);
  raw_text(peer, "hi");
  NET_UNTIL(n, end->messages == 1);
  assert_log(end, "open, text hi");
}

/* -- CONNECT --------------------------------------------------------------- */

static void an_http_proxy_connects_to_the_target(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  net_end *end = connect_through(n, proxy, "http://user:pa%20ss@", TARGET);
  raw *peer = raw_accept(proxy);
  const char *head = raw_head(peer);
  assert_memory_equal(head, "CONNECT target.test:8080 HTTP/1.1\r\n", 35);
  assert_string_equal(raw_header(head, "Host"), "target.test:8080");
  assert_string_equal(raw_header(head, "Proxy-Authorization"),
                      "Basic dXNlcjpwYSBzcw==");
  raw_print(peer, "HTTP/1.1 200 Connected\r\n\r\n");
  serve_as_target(n, peer, end);
  char address[WS_ADDRESS_SIZE], expected[WS_ADDRESS_SIZE];
  snprintf(expected, sizeof(expected), "127.0.0.1:%u", proxy->port);
  assert_string_equal(ws_socket_peer_address(end->socket, address), expected);
}

static void headers_for_the_proxy_go_to_it_alone(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  const ws_header headers[] = {{"Proxy-Authorization", 19, "Bearer x", 8}};
  char text[64];
  snprintf(text, sizeof(text), "http://127.0.0.1:%u", proxy->port);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.proxy = text;
  options.proxy_headers = headers;
  options.proxy_header_count = COUNT(headers);
  net_end *end = net_connect(n, TARGET, &options);
  raw *peer = raw_accept(proxy);
  assert_string_equal(raw_header(raw_head(peer), "Proxy-Authorization"),
                      "Bearer x");
  raw_print(peer, "HTTP/1.1 200 Connected\r\n\r\n");
  serve_as_target(n, peer, end);
}

/* Whatever a proxy says instead: nothing of it passes for the target's. */
static void proxies_that_refuse_are_named(void **state) {
  net *n = *state;
  static const char *const answers[] = {
      "HTTP/1.1 407 Who Are You\r\nProxy-Authenticate: Basic\r\n\r\n",
      "HTTP/1.1 403 Forbidden\r\n\r\n",
      "HTTP/1.1 502 Bad Gateway\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Early\r\n\r\n",
      "SSH-2.0-OpenSSH\r\n\r\n",
  };
  for (size_t i = 0; i < COUNT(answers); i++) {
    raw *proxy = raw_listen(n);
    net_end *end = connect_through(n, proxy, "http://", TARGET);
    raw *peer = raw_accept(proxy);
    raw_head(peer);
    raw_print(peer, "%s", answers[i]);
    net_finish(n, end);
    assert_log(end, "error PROXY, close 1006 unclean");
    assert_int_equal(end->cause.side, WS_SIDE_TRANSPORT);
    assert_non_null(strstr(end->cause_text, "proxy"));
    assert_raw_ended(peer);
    assert_false(raw_has_visitor(proxy));
  }
}

static void proxies_that_fail_are_named(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  net_end *end = connect_through(n, proxy, "http://", TARGET);
  raw_close(raw_accept(proxy));
  net_finish(n, end);
  assert_log(end, "error PROXY, close 1006 unclean");
  raw_close(proxy);
  end = connect_through(n, proxy, "http://", TARGET);
  net_finish(n, end);
  assert_int_equal(end->last_type, WS_EVENT_CLOSE);
  assert_true(end->cause.err == WS_ERR_PROXY ||
              end->cause.err == WS_ERR_CONNECT);
}

static void a_silent_proxy_is_given_up(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.handshake_timeout = 50;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  char text[64];
  snprintf(text, sizeof(text), "http://127.0.0.1:%u", proxy->port);
  options.proxy = text;
  net_end *end = net_connect(n, TARGET, &options);
  net_finish(n, end);
  assert_log(end, "error HANDSHAKE_TIMEOUT, close 1006 unclean");
}

/* A client can be closed, or lose its loop, in every step of the way. */
static void a_client_may_leave_on_its_way_through_a_proxy(void **state) {
  net *n = *state;
  for (int step = 0; step < 3; step++) {
    raw *proxy = raw_listen(n);
    net_end *end = connect_through(n, proxy, "http://", TARGET);
    raw *peer = step > 0 ? raw_accept(proxy) : NULL;
    if (step > 1) {
      raw_head(peer);
      raw_print(peer, "HTTP/1.1 200 ");
      net_settle(n);
    }
    ws_socket_close(end->socket, 0, NULL, 0);
    net_finish(n, end);
    assert_log(end, "error ABORTED, close 1006 unclean");
    if (peer != NULL && step > 1) assert_raw_ended(peer);
  }
  raw *proxy = raw_listen(n);
  connect_through(n, proxy, "http://", TARGET);
  raw_accept(proxy);
}

/* -- SOCKS5 ---------------------------------------------------------------- */

static void a_socks_proxy_connects_to_the_target(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  net_end *end = connect_through(n, proxy, "socks5h://u:pw@", TARGET);
  raw *peer = raw_accept(proxy);
  /* RFC 1928: version 5, methods "none" and "user and password". */
  const uint8_t *greeting = raw_read(peer, 4);
  assert_int_equal(greeting[0], 5);
  assert_int_equal(greeting[1], 2);
  raw_write(peer, BYTES(5, 2));
  assert_memory_equal(raw_read(peer, 6), "\x01\x01u\x02pw", 6);
  raw_write(peer, BYTES(1, 0));
  /* Connect to a name of 11 bytes, port 8080. */
  assert_memory_equal(raw_read(peer, 18),
                      "\x05\x01\x00\x03\x0Btarget.test"
                      "\x1F\x90",
                      18);
  raw_write(peer, BYTES(5, 0, 0, 1, 127, 0, 0, 1, 0, 80));
  serve_as_target(n, peer, end);
}

/* With socks5 the name is looked up here. */
static void a_socks5_proxy_gets_an_address(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  net_end *end = connect_through(n, proxy, "socks5://", "ws://127.0.0.2:81/");
  raw *peer = raw_accept(proxy);
  assert_memory_equal(raw_read(peer, 3), "\x05\x01\x00", 3);
  raw_write(peer, BYTES(5, 0));
  assert_memory_equal(raw_read(peer, 10),
                      "\x05\x01\x00\x01\x7F\x00\x00\x02\x00\x51", 10);
  raw_write(peer, BYTES(5, 5, 0, 1, 0, 0, 0, 0, 0, 0)); /* Refused. */
  net_finish(n, end);
  assert_log(end, "error PROXY, close 1006 unclean");
}

/* -- The environment ------------------------------------------------------- */

static void the_environment_names_the_proxy(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  char text[64];
  snprintf(text, sizeof(text), "http://127.0.0.1:%u", proxy->port);
  assert_int_equal(setenv("http_proxy", text, 1), 0);
  net_end *end = net_connect(n, TARGET, NULL);
  raw *peer = raw_accept(proxy);
  raw_head(peer);
  raw_print(peer, "HTTP/1.1 200 Connected\r\n\r\n");
  serve_as_target(n, peer, end);

  /* Not for what is on this machine, */
  raw *listener = raw_listen(n);
  end = net_connect(n, listener->url, NULL);
  raw_upgrade(raw_accept(listener), NULL);
  NET_UNTIL(n, end->is_open);

  /* nor for what no_proxy lists, nor against an option. */
  assert_int_equal(setenv("no_proxy", "target.test", 1), 0);
  end = net_connect(n, "ws://target.test:1/", NULL);
  net_finish(n, end);
  assert_int_equal(unsetenv("no_proxy"), 0);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.proxy = "";
  end = net_connect(n, "ws://target.test:1/", &options);
  net_finish(n, end);
  assert_false(raw_has_visitor(proxy));
}

static void a_proxy_that_cannot_be_used_is_named(void **state) {
  net *n = *state;
  static const char *const bad[] = {"ftp://h:1", "http://", "http://h:99999",
                                    "http://a b/"};
  ws_socket_options options;
  ws_socket_options_init(&options);
  for (size_t i = 0; i < COUNT(bad); i++) {
    ws_socket *socket;
    ws_error error = {0};
    options.proxy = bad[i];
    assert_int_equal(ws_socket_open(n->loop, TARGET, strlen(TARGET), &options,
                                    &socket, &error),
                     WS_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "proxy"));
  }
  assert_int_equal(setenv("all_proxy", "ftp://h:1", 1), 0);
  net_end *end = net_connect(n, TARGET, NULL);
  net_finish(n, end);
  assert_log(end, "error PROXY, close 1006 unclean");
  assert_non_null(strstr(end->cause_text, "all_proxy"));
}

/* A Unix socket needs no proxy. */
static void unix_sockets_are_reached_directly(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  raw *listener = raw_listen_unix(n, "socket");
  net_end *end = connect_through(n, proxy, "http://", listener->url);
  raw_upgrade(raw_accept(listener), NULL);
  NET_UNTIL(n, end->is_open);
  assert_false(raw_has_visitor(proxy));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(an_http_proxy_connects_to_the_target),
      CASE(headers_for_the_proxy_go_to_it_alone),
      CASE(proxies_that_refuse_are_named),
      CASE(proxies_that_fail_are_named),
      CASE(a_silent_proxy_is_given_up),
      CASE(a_client_may_leave_on_its_way_through_a_proxy),
      CASE(a_socks_proxy_connects_to_the_target),
      CASE(a_socks5_proxy_gets_an_address),
      CASE(the_environment_names_the_proxy),
      CASE(a_proxy_that_cannot_be_used_is_named),
      CASE(unix_sockets_are_reached_directly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
