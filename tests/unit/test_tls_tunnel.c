/* test_tls_tunnel.c - TLS inside of TLS (ws__tls_flow_through), as a client has
 * it with a server behind a proxy that it speaks TLS with: one descriptor, two
 * layers, each with ends and failures of its own. */
#include "test.h"
#include "test_alloc.h"

#include "tls_pair.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROXY  "proxy.test"
#define SERVER "server.test"

enum {
  PORT = 443,
  LARGE = 1 << 20 /* More than any descriptor takes at once. */
};

static cert *root;
static cert *proxy_leaf;
static cert *server_leaf;

static int make_certificates(void **state) {
  (void)state;
  root = cert_new(&(cert_spec){.common_name = "Root", .is_ca = true});
  proxy_leaf = cert_new(&(cert_spec){
      .common_name = "proxy", .alt_names = "DNS:" PROXY, .issuer = root});
  server_leaf = cert_new(&(cert_spec){
      .common_name = "server", .alt_names = "DNS:" SERVER, .issuer = root});
  return 0;
}

static int free_certificates(void **state) {
  (void)state;
  cert_free(root);
  cert_free(proxy_leaf);
  cert_free(server_leaf);
  return 0;
}

/* -- Two layers ------------------------------------------------------------ */

typedef struct tunnel {
  test_alloc alloc;
  tls_pair pair;         /* The layer that the test has in its hands. */
  ws__tls *outer_client; /* What it flows through; it owns them. */
  ws__tls *outer_server;
} tunnel;

static void init_pair(tls_pair *pair, const test_alloc *alloc,
                      const cert *leaf) {
  const ws_tls_identity identity = tls_identity(leaf);
  const ws_tls_client_options client = {.ca.text = root->certificate};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  tls_pair_init(pair, &alloc->allocator, &client, &server);
}

/* Opens the outer layer and makes the inner one, to `host`, without its
 * handshake. */
static void set_up(tunnel *t, const char *host) {
  test_alloc_init(&t->alloc);
  tls_pair outer;
  init_pair(&outer, &t->alloc, proxy_leaf);
  tls_pair_open(&outer, PROXY);
  t->outer_client = outer.client;
  t->outer_server = outer.server;

  tls_pair *inner = &t->pair;
  init_pair(inner, &t->alloc, server_leaf);
  inner->client_fd = outer.client_fd;
  inner->server_fd = outer.server_fd;
  char detail[WS__DETAIL_SIZE];
  assert_int_equal(ws__tls_connect(inner->client_context, inner->allocator,
                                   inner->client_fd, host, PORT, &inner->client,
                                   detail),
                   0);
  assert_int_equal(ws__tls_accept(inner->server_context, inner->allocator,
                                  inner->server_fd, &inner->server, detail),
                   0);
  ws__tls_flow_through(inner->client, outer.client);
  ws__tls_flow_through(inner->server, outer.server);
  inner->client_status = inner->server_status = WS__TLS_WANT_READ;
  /* The connections keep what they need of these. */
  ws__tls_context_release(outer.client_context);
  ws__tls_context_release(outer.server_context);
}

static void set_up_open(tunnel *t) {
  set_up(t, SERVER);
  tls_pair_shake(&t->pair);
  assert_int_equal(t->pair.client_status, WS__TLS_OK);
  assert_int_equal(t->pair.server_status, WS__TLS_OK);
}

/* Nothing may be left of either layer. */
static void tear_down(tunnel *t) {
  tls_pair_free(&t->pair);
  assert_int_equal(t->alloc.held, 0);
}

static void assert_reads(ws__tls *tls, ws__tls_status expected) {
  uint8_t byte;
  size_t n;
  assert_int_equal(ws__tls_read(tls, &byte, 1, &n), expected);
}

/* -- Tests ----------------------------------------------------------------- */

static void both_layers_carry_in_both_directions(void **state) {
  (void)state;
  tunnel t;
  set_up_open(&t);
  assert_carried(t.pair.client, t.pair.server, "from the client");
  assert_carried(t.pair.server, t.pair.client, "from the server");
  tear_down(&t);
}

/* Each read of the outer layer brings part of the inner one's stream. */
static void much_arrives_in_order(void **state) {
  (void)state;
  tunnel t;
  set_up_open(&t);
  uint8_t *data = malloc(LARGE), *copy = malloc(LARGE);
  assert_true(data != NULL && copy != NULL);
  for (size_t i = 0; i < LARGE; i++)
    data[i] = (uint8_t)(i * 7 + i / 251);
  size_t sent = 0, got = 0;
  bool has_waited = false;
  while (got < LARGE) {
    const struct iovec rest = {data + sent, LARGE - sent};
    size_t n;
    if (sent < LARGE) {
      const ws__tls_status status = ws__tls_write(t.pair.client, &rest, 1, &n);
      assert_true(status == WS__TLS_OK || status == WS__TLS_WANT_WRITE);
      has_waited |= status == WS__TLS_WANT_WRITE;
      sent += n;
    }
    const ws__tls_status status =
        ws__tls_read(t.pair.server, copy + got, LARGE - got, &n);
    assert_true(status == WS__TLS_OK || status == WS__TLS_WANT_READ);
    got += n;
  }
  assert_true(has_waited);
  assert_memory_equal(copy, data, LARGE);
  assert_false(ws__tls_pending(t.pair.server));
  free(data);
  free(copy);
  tear_down(&t);
}

/* The descriptor is empty; what was read of it lies in either layer. */
static void what_either_layer_holds_is_pending(void **state) {
  (void)state;
  tunnel t;
  set_up_open(&t);
  assert_false(ws__tls_pending(t.pair.server));
  /* Two records of the inner layer, which the outer one reads at once. */
  char text[] = "onetwo";
  const struct iovec texts[] = {{text, 3}, {text + 3, 3}};
  for (int i = 0; i < 2; i++) {
    size_t n;
    assert_int_equal(ws__tls_write(t.pair.client, &texts[i], 1, &n),
                     WS__TLS_OK);
  }
  for (int left = 6; left > 0; left--) {
    assert_reads(t.pair.server, WS__TLS_OK);
    assert_true(left == 1 || ws__tls_pending(t.pair.server));
  }
  assert_reads(t.pair.server, WS__TLS_WANT_READ);
  assert_false(ws__tls_pending(t.pair.server));
  tear_down(&t);
}

static void the_server_is_verified_and_not_the_proxy(void **state) {
  (void)state;
  tunnel t;
  set_up(&t, PROXY);
  tls_pair_shake(&t.pair);
  assert_int_equal(t.pair.client_status, WS__TLS_FAILED);
  assert_int_equal(ws__tls_error(t.pair.client), WS_ERR_CERTIFICATE);
  assert_string_equal(ws__tls_detail(t.pair.client),
                      "hostname mismatch: certificate is for " SERVER);
  assert_int_equal(ws__tls_error(t.outer_client), 0);
  tear_down(&t);
}

static void the_inner_end_is_an_end(void **state) {
  (void)state;
  tunnel t;
  set_up_open(&t);
  assert_int_equal(ws__tls_shutdown(t.pair.server), WS__TLS_OK);
  assert_reads(t.pair.client, WS__TLS_EOF);
  assert_reads(t.pair.client, WS__TLS_EOF);
  tear_down(&t);
}

/* The proxy can end the tunnel, but not speak for the server. */
static void the_outer_end_is_a_cut(void **state) {
  (void)state;
  tunnel t;
  set_up_open(&t);
  assert_int_equal(ws__tls_shutdown(t.outer_server), WS__TLS_OK);
  assert_reads(t.pair.client, WS__TLS_TRUNCATED);
  assert_true(ws__tls_pending(t.pair.client));
  tear_down(&t);
}

static void a_cut_of_the_descriptor_is_a_cut(void **state) {
  (void)state;
  tunnel t;
  set_up_open(&t);
  assert_int_equal(shutdown(t.pair.server_fd, SHUT_WR), 0);
  assert_reads(t.pair.client, WS__TLS_TRUNCATED);
  tear_down(&t);
}

static void a_handshake_that_the_proxy_cuts_fails(void **state) {
  (void)state;
  tunnel t;
  set_up(&t, SERVER);
  assert_int_equal(ws__tls_handshake(t.pair.client), WS__TLS_WANT_READ);
  assert_int_equal(ws__tls_shutdown(t.outer_server), WS__TLS_OK);
  const ws__tls_status status = ws__tls_handshake(t.pair.client);
  assert_true(status == WS__TLS_TRUNCATED || status == WS__TLS_FAILED);
  tear_down(&t);
}

/* What the proxy sends, in good TLS, is no TLS itself. */
static void rubbish_in_the_tunnel_is_an_error(void **state) {
  (void)state;
  tunnel t;
  set_up_open(&t);
  char text[] = "HTTP/1.1 502 Bad Gateway\r\n\r\n";
  const struct iovec rubbish = {text, strlen(text)};
  size_t n;
  assert_int_equal(ws__tls_write(t.outer_server, &rubbish, 1, &n), WS__TLS_OK);
  assert_reads(t.pair.client, WS__TLS_FAILED);
  assert_int_equal(ws__tls_error(t.pair.client), WS_ERR_TLS);
  assert_int_equal(ws__tls_error(t.outer_client), 0);
  tear_down(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_layers_carry_in_both_directions),
      cmocka_unit_test(much_arrives_in_order),
      cmocka_unit_test(what_either_layer_holds_is_pending),
      cmocka_unit_test(the_server_is_verified_and_not_the_proxy),
      cmocka_unit_test(the_inner_end_is_an_end),
      cmocka_unit_test(the_outer_end_is_a_cut),
      cmocka_unit_test(a_cut_of_the_descriptor_is_a_cut),
      cmocka_unit_test(a_handshake_that_the_proxy_cuts_fails),
      cmocka_unit_test(rubbish_in_the_tunnel_is_an_error),
  };
  return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
