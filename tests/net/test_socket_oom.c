/* test_socket_oom.c - every allocation of a loop fails, once and from then on,
 * while a client and a server of it hold a whole conversation.
 *
 * Whatever fails: each call that says so has changed nothing, each socket ends
 * with one close event, nothing leaks, and after a single failure the next
 * conversation goes well (security: fault table, memory). */
#include <stdlib.h>

#include "net_fixture.h"
#include "test_fault.h"

#if WS_HAVE_OPENSSL
#include "net_tls.h"
#endif

enum {
  LARGE = 40000, /* More than a chunk, less than the socket takes. */
  HANG_MS = 100  /* When a call has failed, an answer may never come. */
};

static char large[LARGE];

/* One conversation: a loop, a server, clients one after the other. */
typedef struct talk {
  test_alloc alloc;
  ws_loop *loop;
  ws_server *server;
  ws_timer *timer;
  ws_tls_context *server_tls; /* NULL: none. */
  ws_tls_context *client_tls;
  unsigned messages; /* That came back to the client. */
  unsigned closes, opens;
  int last_error; /* Of an error event. */
  bool client_is_over;
} talk;

/* A call may fail for lack of memory and for nothing else. */
static bool works(const talk *t, int result) {
  if (result == 0) return true;
  assert_int_equal(result, WS_ERR_NO_MEMORY);
  assert_true(t->alloc.calls > t->alloc.fail_at);
  return false;
}

/* -- The conversation ------------------------------------------------------ */

static void on_client_open(ws_socket *socket) {
  /* The failure of one call is no reason not to make the next one. */
  ws_socket_ping(socket, "p", 1);
  ws_socket_send_text(socket, "small", 5);
  ws_socket_send_binary(socket, large, LARGE);
  ws_socket_send(socket, WS_TEXT, "frag", 4, WS_SEND_FRAGMENT);
  ws_socket_send(socket, WS_TEXT, "ment", 4, 0);
}

static void on_server_message(talk *t, const ws_event *event) {
  (void)ws_socket_subscribe(event->socket, "topic");
  (void)ws_socket_send(event->socket, event->u.message.type,
                       event->u.message.data, event->u.message.len, 0);
  (void)ws_server_publish(t->server, "topic", WS_TEXT, "news", 4, 0, NULL);
  ws_sender *sender;
  if (ws_sender_new(event->socket, &sender) == 0) {
    (void)ws_sender_send(sender, WS_TEXT, "sent", 4, 0);
    ws_sender_free(sender);
  }
}

static void take(talk *t, const ws_event *event) {
  const bool is_client =
      event->socket != NULL && ws_socket_role(event->socket) == WS_ROLE_CLIENT;
  switch (event->type) {
  case WS_EVENT_REQUEST:
    if (!works(t, ws_socket_accept(event->socket, NULL, NULL)))
      ws_socket_terminate(event->socket);
    return;
  case WS_EVENT_OPEN:
    t->opens++;
    if (is_client) on_client_open(event->socket);
    return;
  case WS_EVENT_MESSAGE:
    if (!is_client) {
      on_server_message(t, event);
    } else if (++t->messages == 9) {
      ws_socket_close(event->socket, 1000, "done", 4);
    }
    return;
  case WS_EVENT_ERROR: t->last_error = event->u.error.err; return;
  case WS_EVENT_CLOSE:
    t->closes++;
    t->client_is_over |= is_client;
    return;
  case WS_EVENT_SERVER_CLOSE: t->server = NULL; return;
  default: return;
  }
}

/* Turns until the client has ended, which it is made to after a while. */
static void converse(talk *t, ws_socket *client, uint64_t deadline_ms) {
  const uint64_t started = net_clock();
  t->client_is_over = false;
  t->messages = 0;
  while (!t->client_is_over) {
    const uint64_t passed = net_clock() - started;
    if (passed > PATIENCE_MS) fail_msg("there is no end");
    if (passed > deadline_ms) ws_socket_terminate(client);
    assert_int_equal(ws_loop_wait(t->loop, HANG_MS), 0);
    ws_event event;
    while (ws_loop_next(t->loop, &event))
      take(t, &event);
  }
}

/* -- Making and ending ----------------------------------------------------- */

static ws_conn_options compressing(void) {
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.compression = WS_COMPRESSION_ON;
  return conn;
}

static bool make_server(talk *t) {
  const ws_conn_options conn = compressing();
  ws_server_options options;
  ws_server_options_init(&options);
  options.conn = &conn;
  options.wants_upgrades = true;
  options.max_connections_per_address = 10;
  if (!works(t, ws_server_new(t->loop, &options, &t->server, NULL)))
    return false;
  ws_listen_options where;
  ws_listen_options_init(&where);
  where.tls = t->server_tls;
  return works(t, ws_server_listen(t->server, &where, NULL));
}

static bool begin(talk *t) {
  ws_loop_options options;
  ws_loop_options_init(&options);
  options.allocator = t->alloc.allocator;
  ws_error error = {0};
  const int result = ws_loop_new(&options, &t->loop, &error);
  if (!works(t, result)) assert_int_equal(error.code, WS_ERR_NO_MEMORY);
  return result == 0 &&
         works(t, ws_timer_new(t->loop, 1, NULL, NULL, &t->timer)) &&
         make_server(t);
}

static ws_socket *connect_client(talk *t) {
  const ws_conn_options conn = compressing();
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  options.tls = t->client_tls;
  char url[64];
  strcpy(url, ws_server_url(t->server, 0));
  strcat(url, "/path");
  ws_socket *client;
  const int result =
      ws_socket_open(t->loop, url, strlen(url), &options, &client, NULL);
  return works(t, result) ? client : NULL;
}

/* With the server closed in good order, if there still is one. */
static void end(talk *t) {
  if (t->server != NULL) ws_server_close(t->server, 0, NULL, 0, 1);
  const uint64_t started = net_clock();
  while (t->server != NULL) {
    if (net_clock() - started > PATIENCE_MS) fail_msg("the server stays");
    assert_int_equal(ws_loop_wait(t->loop, 10), 0);
    ws_event event;
    while (ws_loop_next(t->loop, &event))
      take(t, &event);
  }
  ws_loop_free(t->loop);
  assert_int_equal(t->alloc.held, 0);
}

/* -- Failing --------------------------------------------------------------- */

/* One run with the n-th allocation failing. Returns whether it was reached. */
static bool run(size_t n, bool keeps_failing, ws_tls_context *server_tls,
                ws_tls_context *client_tls) {
  talk t = {.server_tls = server_tls, .client_tls = client_tls};
  test_alloc_init(&t.alloc);
  t.alloc.fail_at = n;
  t.alloc.keep_failing = keeps_failing;
  ws_socket *client = begin(&t) ? connect_client(&t) : NULL;
  if (client != NULL) converse(&t, client, HANG_MS);
  const bool is_reached = t.alloc.calls > n;
  if (client != NULL && !keeps_failing) {
    /* Others are unharmed. */
    t.alloc.fail_at = SIZE_MAX;
    client = connect_client(&t);
    assert_non_null(client);
    converse(&t, client, PATIENCE_MS / 2);
    assert_int_equal(t.messages, 9);
  }
  end(&t);
  return is_reached;
}

static void fail_each(ws_tls_context *server_tls, ws_tls_context *client_tls) {
  for (size_t i = 0; i < LARGE; i++)
    large[i] = (char)(i * 2654435761U >> 24);
  for (int keeps_failing = 0; keeps_failing <= 1; keeps_failing++) {
    const int descriptors = count_descriptors();
    for (size_t n = 0; run(n, keeps_failing != 0, server_tls, client_tls); n++)
      assert_int_equal(count_descriptors(), descriptors);
  }
}

static void a_conversation_survives_every_failed_allocation(void **state) {
  (void)state;
  fail_each(NULL, NULL);
}

#if WS_HAVE_OPENSSL
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
#if WS_HAVE_OPENSSL
    cmocka_unit_test(the_same_over_tls),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
