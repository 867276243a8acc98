/* test_socket_proxy_tls.c - TLS to a proxy, TLS through a proxy, and both, one
 * inside the other. A raw peer is the proxy and carries bytes on to a server of
 * the library. */
#include <stdio.h>

#include "net_tls.h"

static cert *root;       /* Trusted. */
static cert *leaf;       /* For 127.0.0.1. */
static cert *other_root; /* Not trusted. */

static int make_certificates(void **state) {
  (void)state;
  root = cert_new(&(cert_spec){.common_name = "Root", .is_ca = true});
  other_root = cert_new(&(cert_spec){.common_name = "Other", .is_ca = true});
  leaf = cert_new(&(cert_spec){
      .common_name = "leaf", .alt_names = "IP:127.0.0.1", .issuer = root});
  return 0;
}

static int free_certificates(void **state) {
  (void)state;
  cert_free(root);
  cert_free(other_root);
  cert_free(leaf);
  return 0;
}

static void echo(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type == WS_EVENT_MESSAGE && end->is_server)
    ws_socket_send(end->socket, event->u.message.type, event->u.message.data,
                   event->u.message.len, 0);
}

/* A client that goes through the proxy to the server of the test. What is on
 * this machine is reached through a proxy if an option says so. */
static net_end *connect_through(net *n, const raw *proxy, const char *scheme) {
  char text[64];
  snprintf(text, sizeof(text), "%s://127.0.0.1:%u", scheme, proxy->port);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.proxy = text;
  options.tls = net_tls_client(root, NULL);
  options.proxy_tls = net_tls_client(root, NULL);
  net_end *end = net_connect(n, n->url, &options);
  ws_tls_context_free(options.tls);
  ws_tls_context_free(options.proxy_tls);
  return end;
}

/* The proxy's side: takes the connection, and connects to the server. */
static void take_client(net *n, raw *proxy, bool is_secure, raw **out_client,
                        raw **out_server) {
  raw *client = raw_accept(proxy);
  if (is_secure) {
    ws_tls_context *context = net_tls_server(leaf);
    assert_true(raw_start_tls(client, context, NULL));
    ws_tls_context_free(context);
  }
  assert_memory_equal(raw_head(client), "CONNECT 127.0.0.1:", 18);
  raw_print(client, "HTTP/1.1 200 Connected\r\n\r\n");
  *out_client = client;
  *out_server = raw_connect(n, n->port);
}

/* Carries bytes both ways until the condition holds. */
#define CARRY_UNTIL(n, client, server, condition)                      \
  do {                                                                 \
    const uint64_t start_ = net_clock();                               \
    while (!(condition)) {                                             \
      if (net_clock() - start_ > PATIENCE_MS) net_fail(n, #condition); \
      bool has_moved = raw_forward(client, server);                    \
      has_moved |= raw_forward(server, client);                        \
      net_turn(n, has_moved ? 0 : 1);                                  \
    }                                                                  \
  } while (0)

/* Small and large messages, and a clean end, through a proxy. */
static void talk_through(net *n, const char *scheme, bool server_has_tls) {
  enum {
    LARGE = 300000
  };
  static char large[LARGE];
  memset(large, 'x', sizeof(large));
  n->on_event = echo;
  if (server_has_tls) net_serve_tls(n, NULL, net_tls_server(leaf));
  else net_serve(n, NULL);
  raw *proxy = raw_listen(n);
  net_end *end = connect_through(n, proxy, scheme);
  raw *client, *server;
  take_client(n, proxy, strcmp(scheme, "https") == 0, &client, &server);
  CARRY_UNTIL(n, client, server, end->is_open);
  ws_socket_send_text(end->socket, "small", 5);
  ws_socket_send_text(end->socket, large, sizeof(large));
  CARRY_UNTIL(n, client, server, end->messages == 2);
  assert_last_message(end, large, sizeof(large));
  assert_int_equal(ws_socket_tls_info(end->socket, NULL),
                   server_has_tls || strcmp(scheme, "https") == 0);
  ws_socket_close(end->socket, 1000, NULL, 0);
  CARRY_UNTIL(n, client, server, server->is_ended);
  raw_close(client);
  net_finish(n, end);
  assert_log(end, "open, text small, text of 300000, close 1000 clean");
}

static void a_plain_connection_through_a_plain_proxy(void **state) {
  talk_through(*state, "http", false);
}

static void a_secure_connection_through_a_plain_proxy(void **state) {
  talk_through(*state, "http", true);
}

static void a_plain_connection_through_a_secure_proxy(void **state) {
  talk_through(*state, "https", false);
}

static void a_secure_connection_through_a_secure_proxy(void **state) {
  talk_through(*state, "https", true);
}

/* Whose certificate it was that is no good. */
static void a_proxy_with_a_bad_certificate_is_named(void **state) {
  net *n = *state;
  cert *stranger = cert_new(&(cert_spec){
      .common_name = "x", .alt_names = "IP:127.0.0.1", .issuer = other_root});
  ws_tls_context *context = net_tls_server(stranger);
  cert_free(stranger);
  net_serve(n, NULL);
  raw *proxy = raw_listen(n);
  net_end *end = connect_through(n, proxy, "https");
  raw *peer = raw_accept(proxy);
  assert_false(raw_start_tls(peer, context, NULL));
  ws_tls_context_free(context);
  net_finish(n, end);
  assert_log(end, "error CERTIFICATE, close 1006 unclean");
  assert_non_null(strstr(end->cause_text, "proxy"));
}

static void
a_target_with_a_bad_certificate_is_refused_behind_a_proxy(void **state) {
  net *n = *state;
  cert *stranger = cert_new(&(cert_spec){
      .common_name = "x", .alt_names = "IP:127.0.0.1", .issuer = other_root});
  net_serve_tls(n, NULL, net_tls_server(stranger));
  cert_free(stranger);
  raw *proxy = raw_listen(n);
  net_end *end = connect_through(n, proxy, "https");
  raw *client, *server;
  take_client(n, proxy, true, &client, &server);
  CARRY_UNTIL(n, client, server, end->is_over);
  assert_log(end, "error CERTIFICATE, close 1006 unclean");
  assert_null(strstr(end->cause_text, "proxy"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(a_plain_connection_through_a_plain_proxy),
      CASE(a_secure_connection_through_a_plain_proxy),
      CASE(a_plain_connection_through_a_secure_proxy),
      CASE(a_secure_connection_through_a_secure_proxy),
      CASE(a_proxy_with_a_bad_certificate_is_named),
      CASE(a_target_with_a_bad_certificate_is_refused_behind_a_proxy),
  };
  return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
