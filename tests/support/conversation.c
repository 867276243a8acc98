#include "conversation.h"

#include <stdio.h>

#include "net_fixture.h"

enum {
  /* More than a chunk and, compressed, than a record of TLS; less than the
   * system takes. */
  LARGE = 60000,
  /* That come to the client: three echoes, and with each a publication and what
   * a sender sent. */
  MESSAGES = 9,
  HANG_MS = 100 /* How long to wait for an answer that may never come. */
};

static void fill(char *data) {
  uint32_t random = 1;
  for (size_t i = 0; i < LARGE; i++) {
    random = random * 1664525U + 1013904223U;
    data[i] = (char)(random >> 29); /* Can be compressed, but not to nothing. */
  }
}

/* -- The two sides --------------------------------------------------------- */

/* The failure of one call is no reason not to make the next one. */
static void speak(ws_socket *socket) {
  static char large[LARGE];
  fill(large);
  (void)ws_socket_ping(socket, "p", 1);
  (void)ws_socket_send_text(socket, "small", 5);
  (void)ws_socket_send_binary(socket, large, LARGE);
  (void)ws_socket_send(socket, WS_TEXT, "frag", 4, WS_SEND_FRAGMENT);
  (void)ws_socket_send(socket, WS_TEXT, "ment", 4, 0);
}

static void answer(const conversation *c, const ws_event *event) {
  ws_socket *socket = event->socket;
  (void)ws_socket_send(socket, event->u.message.type, event->u.message.data,
                       event->u.message.len, 0);
  (void)ws_socket_subscribe(socket, "topic");
  (void)ws_server_publish(c->server, "topic", WS_TEXT, "news", 4, 0, NULL);
  ws_sender *sender;
  if (ws_sender_new(socket, &sender) != 0) return;
  (void)ws_sender_send(sender, WS_TEXT, "sent", 4, 0);
  ws_sender_free(sender);
}

static void take_of_client(conversation *c, const ws_event *event) {
  switch (event->type) {
  case WS_EVENT_OPEN: speak(event->socket); return;
  case WS_EVENT_MESSAGE:
    if (++c->messages == MESSAGES)
      ws_socket_close(event->socket, WS_CLOSE_NORMAL, "done", 4);
    return;
  case WS_EVENT_ERROR: c->failure = event->u.error.err; return;
  case WS_EVENT_CLOSE:
    c->client = NULL;
    c->was_clean = event->u.close.was_clean;
    return;
  default: return;
  }
}

static void take_of_server(const conversation *c, const ws_event *event) {
  if (event->type == WS_EVENT_MESSAGE) answer(c, event);
  if (event->type == WS_EVENT_REQUEST &&
      ws_socket_accept(event->socket, NULL, NULL) != 0) {
    ws_socket_terminate(event->socket);
  }
}

/* One turn. A wait that fails is made again with the next one. */
static void turn(conversation *c, int timeout_ms) {
  if (ws_loop_wait(c->loop, timeout_ms) != 0) return;
  ws_event event;
  while (ws_loop_next(c->loop, &event)) {
    if (event.type == WS_EVENT_SERVER_CLOSE) c->server = NULL;
    if (event.socket == NULL) continue;
    if (ws_socket_role(event.socket) == WS_ROLE_CLIENT)
      take_of_client(c, &event);
    else take_of_server(c, &event);
  }
}

/* -- The story ------------------------------------------------------------- */

static ws_conn_options compressing(void) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.compression = WS_COMPRESSION_ON;
  return options;
}

static int make_loop(conversation *c) {
  ws_loop_options options;
  ws_loop_options_init(&options);
  options.allocator = c->allocator;
  options.backend = c->backend;
  ws_error error = {0};
  const int err = ws_loop_new(&options, &c->loop, &error);
  assert_int_equal(error.code, err);
  return err != 0 ? err : ws_timer_new(c->loop, 1, NULL, NULL, &c->timer);
}

static int make_server(conversation *c) {
  const ws_conn_options conn = compressing();
  ws_server_options options;
  ws_server_options_init(&options);
  options.conn = &conn;
  options.wants_upgrades = true;
  options.max_connections_per_address = 10;
  const int err = ws_server_new(c->loop, &options, &c->server, NULL);
  if (err != 0) return err;
  ws_listen_options where;
  ws_listen_options_init(&where);
  where.tls = c->server_tls;
  return ws_server_listen(c->server, &where, NULL);
}

static int make_client(conversation *c) {
  const ws_conn_options conn = compressing();
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  options.tls = c->client_tls;
  char url[64];
  const int len =
      snprintf(url, sizeof(url), "%s/path", ws_server_url(c->server, 0));
  return ws_socket_open(c->loop, url, (size_t)len, &options, &c->client, NULL);
}

bool conversation_begin(conversation *c) {
  c->failure = make_loop(c);
  if (c->failure == 0) c->failure = make_server(c);
  return c->failure == 0;
}

/* Whether to wait no longer. */
static bool is_hopeless(const conversation *c, uint64_t passed) {
  if (passed > PATIENCE_MS) fail_msg("there is no end");
  return passed >= HANG_MS && c->is_spoilt != NULL && c->is_spoilt();
}

bool conversation_hold(conversation *c) {
  const uint64_t started = net_clock();
  c->messages = 0;
  c->was_clean = false;
  c->failure = make_client(c);
  if (c->failure != 0) return false;
  while (c->client != NULL) {
    if (is_hopeless(c, net_clock() - started)) ws_socket_terminate(c->client);
    turn(c, HANG_MS);
  }
  return c->was_clean && c->messages == MESSAGES;
}

void conversation_end(conversation *c) {
  const uint64_t started = net_clock();
  if (c->server != NULL) ws_server_close(c->server, 0, NULL, 0, 1);
  while (c->server != NULL) {
    if (net_clock() - started > PATIENCE_MS) fail_msg("the server stays");
    turn(c, 10);
  }
  ws_loop_free(c->loop);
  c->loop = NULL;
}
