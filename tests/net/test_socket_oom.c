/* test_socket_oom.c - every allocation of a loop fails, once and from then on,
 * in the course of a whole conversation.
 *
 * Whatever fails: the calls say that there was no memory, each socket ends, and
 * nothing leaks; and after a single failure the next conversation goes well
 * (security: fault table, memory). */
#include "conversation.h"
#include "net_fixture.h"

#ifdef WS_HAVE_OPENSSL
#include "net_tls.h"
#endif

static test_alloc alloc;

static bool has_failed(void) {
  return alloc.calls > alloc.fail_at;
}

/* One run with the n-th allocation failing. Returns whether it was reached. */
static bool run(size_t n, bool keeps_failing, ws_tls_context *server_tls,
                ws_tls_context *client_tls) {
  test_alloc_init(&alloc);
  alloc.fail_at = n;
  alloc.keep_failing = keeps_failing;
  conversation c = {.allocator = alloc.allocator,
                    .server_tls = server_tls,
                    .client_tls = client_tls,
                    .is_spoilt = has_failed};
  const bool has_begun = conversation_begin(&c);
  if (has_begun) assert_true(conversation_hold(&c) || has_failed());
  else assert_int_equal(c.failure, WS_ERR_NO_MEMORY);
  const bool is_reached = has_failed();
  if (has_begun && !keeps_failing) { /* Others are unharmed. */
    alloc.fail_at = SIZE_MAX;
    assert_true(conversation_hold(&c));
  }
  conversation_end(&c);
  assert_int_equal(alloc.held, 0);
  return is_reached;
}

static void fail_each(ws_tls_context *server_tls, ws_tls_context *client_tls) {
  for (int keeps_failing = 0; keeps_failing <= 1; keeps_failing++) {
    const int descriptors = net_descriptors();
    for (size_t n = 0; run(n, keeps_failing != 0, server_tls, client_tls); n++)
      net_assert_descriptors(descriptors);
  }
}

static void a_conversation_survives_every_failed_allocation(void **state) {
  (void)state;
  fail_each(NULL, NULL);
}

#ifdef WS_HAVE_OPENSSL
static void the_same_over_tls(void **state) {
  (void)state;
  cert *self =
      cert_new(&(cert_spec){.common_name = "x", .alt_names = "IP:127.0.0.1"});
  ws_tls_context *server = net_tls_server(self);
  ws_tls_context *client = net_tls_client(self, NULL);
  fail_each(server, client);
  ws_tls_context_free(server);
  ws_tls_context_free(client);
  cert_free(self);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_conversation_survives_every_failed_allocation),
#ifdef WS_HAVE_OPENSSL
      cmocka_unit_test(the_same_over_tls),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
