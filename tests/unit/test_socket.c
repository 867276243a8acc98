/* test_socket.c - the joints of a socket: where a connection, a transport, a
 * pause and a new attempt meet in an order that is rare on a real network. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef WS_HAVE_OPENSSL
#include "net_tls.h"
#endif
#include "raw_peer.h"

/* -- A write that fails while input waits ---------------------------------- */

enum {
  NUMBERS = 5000, /* More than the receive buffer takes at once. */
  LARGE = 65536   /* Written at once, not at the end of the turn. */
};

/* Answers each number, and checks that none is missing or wrong. */
static void answer_number(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type != WS_EVENT_MESSAGE) return;
  char expected[16];
  const int len = snprintf(expected, sizeof(expected), "%u", end->messages - 1);
  assert_last_message(end, expected, (size_t)len);
  ws_socket_send(end->socket, WS_TEXT, "ok", 2, 0);
}

/* The peer has gone, and its last words wait to be read. */
static void what_the_peer_said_survives_a_failed_write(void **state) {
  net *n = *state;
  static const char large[LARGE];
  static uint8_t all[NUMBERS * 16];
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  n->on_event = answer_number;
  size_t len = 0;
  for (int i = 0; i < NUMBERS; i++) {
    char number[16];
    const int digits = snprintf(number, sizeof(number), "%d", i);
    len += raw_make_frame(peer, all + len, 0x81, number, (size_t)digits);
  }
  raw_write(peer, all, len);
  raw_deliver(peer);
  raw_close(peer);
  /* It is answered by a reset, which the next write meets. */
  ws_socket_send_binary(end->socket, large, sizeof(large));
  net_finish(n, end);
  assert_int_equal(end->messages, NUMBERS);
}

static void pause_at_message(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type == WS_EVENT_MESSAGE) ws_socket_pause(end->socket);
}

/* A drain that the application waits for can no longer come. */
static void a_pause_ends_when_no_more_can_be_written(void **state) {
  net *n = *state;
  static const char large[LARGE];
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  n->on_event = pause_at_message;
  raw_text(peer, "one");
  raw_text(peer, "two");
  raw_text(peer, "three");
  raw_close(peer);
  for (int i = 0; i < 32; i++) /* More than the system takes. */
    ws_socket_send_binary(end->socket, large, sizeof(large));
  net_finish(n, end);
  assert_int_equal(end->messages, 3);
}

/* -- Failing while paused -------------------------------------------------- */

/* Nothing else would ever end the pause of one who waits to be told. */
static void a_paused_client_hears_that_it_failed(void **state) {
  net *n = *state;
  net_end *end = net_connect(n, raw_nowhere(n), NULL);
  ws_socket_pause(end->socket);
  net_finish(n, end);
  assert_log(end, "error CONNECT, close 1006 unclean");
}

/* -- Connecting anew ------------------------------------------------------- */

/* What the application has chosen holds for the next connection; a pause was
 * about the last one. */
static void a_new_connection_streams_as_before_and_is_not_paused(void **state) {
  net *n = *state;
  static const char large[4 * 1024 * 1024]; /* More than the system takes. */
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.send_timeout = 50;
  conn.send_high_water = sizeof(large) * 2; /* No drain. */
  conn.handshake_timeout = PATIENCE_MS;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  options.reconnect = true;
  options.reconnect_min = options.reconnect_max = 1;
  raw *listener = raw_listen(n);
  net_end *end = net_connect(n, listener->url, &options);
  raw *deaf = raw_accept(listener);
  raw_upgrade(deaf, NULL);
  NET_UNTIL(n, end->is_open);
  ws_socket_set_streaming(end->socket, true);
  ws_socket_send_binary(end->socket, large, sizeof(large));
  ws_socket_pause(end->socket);

  raw *peer = raw_accept(listener);
  raw_upgrade(peer, NULL);
  NET_UNTIL(n, end->is_open);
  raw_frame(peer, 0x01, "in ", 3);
  raw_frame(peer, 0x80, "parts", 5);
  NET_UNTIL(n, end->messages == 1);
  assert_log(end, "open, reconnect 1, open, text+ in , text parts");
}

/* -- Fork ------------------------------------------------------------------ */

#ifdef WS_HAVE_OPENSSL

/* Has a child end the loop of its parent. */
static void free_in_child(ws_loop *loop) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    ws_loop_free(loop);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
}

/* Neither end is told that TLS ends. */
static void a_child_says_nothing_over_tls(void **state) {
  net *n = *state;
  cert *self =
      cert_new(&(cert_spec){.common_name = "x", .alt_names = "IP:127.0.0.1"});
  net_serve_tls(n, NULL, net_tls_server(self));
  net_end *client =
      net_connect_tls(n, n->url, net_tls_client(self, NULL), NULL);
  NET_UNTIL(n, client->is_open);
  NET_UNTIL(n, net_accepted(n, 0) != NULL && net_accepted(n, 0)->is_open);
  net_end *server = net_accepted(n, 0);
  free_in_child(n->loop);
  ws_socket_send_text(client->socket, "still here", 10);
  ws_socket_send_text(server->socket, "so am I", 7);
  NET_UNTIL(n, server->messages == 1 && client->messages == 1);
  assert_log(client, "open, text so am I");
  assert_log(server, "open, text still here");
  cert_free(self);
}

#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_ROLES(what_the_peer_said_survives_a_failed_write),
      BOTH_ROLES(a_pause_ends_when_no_more_can_be_written),
      CASE(a_paused_client_hears_that_it_failed),
      CASE(a_new_connection_streams_as_before_and_is_not_paused),
#ifdef WS_HAVE_OPENSSL
      EACH_BACKEND(a_child_says_nothing_over_tls),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
