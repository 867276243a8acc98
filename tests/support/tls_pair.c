#include "tls_pair.h"

#include "test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Makes room for a server that sends tickets before it is done, as a client
 * that waits for an answer does. */
static void read_tickets(tls_pair *pair) {
  uint8_t byte;
  size_t n;
  assert_int_equal(ws__tls_read(pair->client, &byte, 1, &n), WS__TLS_WANT_READ);
}

/* More than any handshake of single bytes needs. */
enum {
  TURNS_MAX = 1000000,
  PORT = 443
};

ws_tls_identity tls_identity(const cert *c) {
  return (ws_tls_identity){.certificate.text = c->certificate,
                           .key.text = c->key};
}

void tls_pair_init(tls_pair *pair, const ws_allocator *allocator,
                   const ws_tls_client_options *client,
                   const ws_tls_server_options *server) {
  *pair = (tls_pair){.allocator = allocator, .client_fd = -1, .server_fd = -1};
  char detail[WS__DETAIL_SIZE] = "";
  if (ws__tls_client_context(allocator, client, &pair->client_context,
                             detail) != 0 ||
      ws__tls_server_context(allocator, server, &pair->server_context,
                             detail) != 0) {
    fail_msg("context: %s", detail);
  }
}

void tls_pair_connect(tls_pair *pair, const char *host) {
  tls_pair_disconnect(pair);
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  pair->client_fd = fds[0];
  pair->server_fd = fds[1];
  for (int i = 0; i < 2; i++)
    assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
  char detail[WS__DETAIL_SIZE];
  assert_int_equal(ws__tls_connect(pair->client_context, pair->allocator,
                                   fds[0], host, PORT, &pair->client, detail),
                   0);
  assert_int_equal(ws__tls_accept(pair->server_context, pair->allocator, fds[1],
                                  &pair->server, detail),
                   0);
  pair->client_status = WS__TLS_WANT_READ;
  pair->server_status = WS__TLS_WANT_READ;
}

static bool is_waiting(ws__tls_status status) {
  return status == WS__TLS_WANT_READ || status == WS__TLS_WANT_WRITE;
}

void tls_pair_shake(tls_pair *pair) {
  for (int turn = 0; turn < TURNS_MAX; turn++) {
    if (!is_waiting(pair->client_status) && !is_waiting(pair->server_status)) {
      return;
    }
    if (is_waiting(pair->client_status)) {
      pair->client_status = ws__tls_handshake(pair->client);
    }
    if (is_waiting(pair->server_status)) {
      pair->server_status = ws__tls_handshake(pair->server);
    }
    if (pair->client_status == WS__TLS_OK &&
        pair->server_status == WS__TLS_WANT_WRITE) {
      read_tickets(pair);
    }
  }
  fail_msg("a handshake that does not end");
}

void tls_pair_open(tls_pair *pair, const char *host) {
  tls_pair_connect(pair, host);
  tls_pair_shake(pair);
  if (pair->client_status != WS__TLS_OK || pair->server_status != WS__TLS_OK) {
    fail_msg("client: %s; server: %s", ws__tls_detail(pair->client),
             ws__tls_detail(pair->server));
  }
}

void tls_pair_end_client(tls_pair *pair) {
  ws__tls_free(pair->client);
  pair->client = NULL;
  if (pair->client_fd >= 0) close(pair->client_fd);
  pair->client_fd = -1;
}

void tls_pair_end_server(tls_pair *pair) {
  ws__tls_free(pair->server);
  pair->server = NULL;
  if (pair->server_fd >= 0) close(pair->server_fd);
  pair->server_fd = -1;
}

void tls_pair_disconnect(tls_pair *pair) {
  tls_pair_end_client(pair);
  tls_pair_end_server(pair);
}

void tls_pair_free(tls_pair *pair) {
  tls_pair_disconnect(pair);
  ws__tls_context_release(pair->client_context);
  ws__tls_context_release(pair->server_context);
}

void assert_carried(ws__tls *from, ws__tls *to, const char *text) {
  const size_t len = strlen(text);
  char buf[256];
  assert_true(len <= sizeof(buf));
  size_t sent = 0, got = 0;
  for (int turn = 0; turn < TURNS_MAX && got < len; turn++) {
    const struct iovec rest = {(void *)(uintptr_t)(text + sent), len - sent};
    size_t n;
    ws__tls_status status = ws__tls_write(from, &rest, 1, &n);
    assert_true(status == WS__TLS_OK || status == WS__TLS_WANT_WRITE);
    sent += n;
    status = ws__tls_read(to, buf + got, sizeof(buf) - got, &n);
    assert_true(status == WS__TLS_OK || status == WS__TLS_WANT_READ);
    got += n;
  }
  assert_int_equal(got, len);
  assert_memory_equal(buf, text, len);
}
