/* client.c - sockets, TLS and the upgrade from HTTP. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE /* memmem() */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server that says nothing for so long is stuck. */
#define PATIENCE_MS 10000

/* The example of RFC 6455, section 1.3: a key and what it is answered with. */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define REQUEST                   \
  "GET / HTTP/1.1\r\n"            \
  "Host: 127.0.0.1\r\n"           \
  "Connection: Upgrade\r\n"       \
  "Upgrade: websocket\r\n"        \
  "Sec-WebSocket-Version: 13\r\n" \
  "Sec-WebSocket-Key: " KEY "\r\n"
/* No context is kept, so that all servers have the same to do. */
#define REQUEST_DEFLATE                            \
  "Sec-WebSocket-Extensions: permessage-deflate; " \
  "client_no_context_takeover; server_no_context_takeover\r\n"

#define MAX_ANSWER 4096

uint8_t client_buffer[CLIENT_BUFFER_SIZE];

/* -- TCP and TLS --------------------------------------------------------------- */

int client_connect(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) load_die("socket: %s", strerror(errno));
  const struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons(port),
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
  if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
    load_die("connect: %s", strerror(errno));

  const int on = 1;
  const struct linger drop = {.l_onoff = 1, .l_linger = 0};
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &drop, sizeof(drop)) != 0 ||
      fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    load_die("socket options: %s", strerror(errno));
  return fd;
}

static void wait_for(const client *c, short events) {
  struct pollfd pollfd = {.fd = c->fd, .events = events};
  if (poll(&pollfd, 1, PATIENCE_MS) != 1)
    load_die("nothing from the server for %d s", PATIENCE_MS / 1000);
}

static _Noreturn void die_of_tls(const char *what) {
  load_die("%s: %s", what, ERR_reason_error_string(ERR_peek_last_error()));
}

/* One cipher for all servers, whatever they prefer. */
static SSL_CTX *tls_context(void) {
  static SSL_CTX *context;
  if (context != NULL) return context;
  context = SSL_CTX_new(TLS_client_method());
  if (context == NULL ||
      SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1)
    die_of_tls("TLS");
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  return context;
}

/* Whether a call of OpenSSL that returned `result` only wants to be called
 * again; waits for that if told to. */
static bool is_tls_blocked(const client *c, int result, bool waits) {
  switch (SSL_get_error(c->ssl, result)) {
  case SSL_ERROR_WANT_READ:
    if (waits) wait_for(c, POLLIN);
    return true;
  case SSL_ERROR_WANT_WRITE:
    if (waits) wait_for(c, POLLOUT);
    return true;
  default: return false;
  }
}

static void begin_tls(client *c) {
  c->ssl = SSL_new(tls_context());
  if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1) die_of_tls("TLS");
  int result;
  while ((result = SSL_connect(c->ssl)) != 1)
    if (!is_tls_blocked(c, result, true)) die_of_tls("TLS handshake");
}

/* Both return 0 if the call would block. */
static size_t send_some(client *c, const void *bytes, size_t length) {
  if (c->ssl != NULL) {
    size_t sent = 0;
    const int result = SSL_write_ex(c->ssl, bytes, length, &sent);
    if (result != 1 && !is_tls_blocked(c, result, false)) die_of_tls("send");
    return sent;
  }
  const ssize_t sent = send(c->fd, bytes, length, MSG_NOSIGNAL);
  if (sent >= 0) return (size_t)sent;
  if (errno != EAGAIN) load_die("send: %s", strerror(errno));
  return 0;
}

static size_t receive_some(client *c, void *buffer, size_t capacity) {
  if (c->ssl != NULL) {
    size_t received = 0;
    const int result = SSL_read_ex(c->ssl, buffer, capacity, &received);
    if (result != 1 && !is_tls_blocked(c, result, false)) die_of_tls("receive");
    return received;
  }
  const ssize_t received = recv(c->fd, buffer, capacity, 0);
  if (received > 0) return (size_t)received;
  if (received == 0) load_die("the server closed the connection");
  if (errno != EAGAIN) load_die("recv: %s", strerror(errno));
  return 0;
}

/* -- The opening handshake ------------------------------------------------------ */

const char *client_request(const load_options *options) {
  return options->is_compressed ? REQUEST REQUEST_DEFLATE "\r\n"
                                : REQUEST "\r\n";
}

bool client_check_answer(const load_options *options, const char *answer,
                         size_t length) {
  const size_t request = strlen(client_request(options));
  if (options->is_raw) return length == request;

  const char *end = memmem(answer, length, "\r\n\r\n", 4);
  if (end == NULL) return false;
  if (end + 4 != answer + length) load_die("bytes after the answer");
  static const char status[] = "HTTP/1.1 101 ";
  if (strncmp(answer, status, sizeof(status) - 1) != 0 ||
      memmem(answer, length, ACCEPT, sizeof(ACCEPT) - 1) == NULL)
    load_die("no upgrade: %.*s", (int)length, answer);
  const bool has_deflate =
      memmem(answer, length, "permessage-deflate", 18) != NULL;
  if (has_deflate != options->is_compressed)
    load_die(has_deflate ? "compression, which was not offered"
                         : "the server does not compress");
  return true;
}

static void upgrade(client *c, const load_options *options) {
  const char *request = client_request(options);
  /* So few bytes always fit a socket that is new. */
  if (send_some(c, request, strlen(request)) != strlen(request))
    load_die("cannot send the request");

  char answer[MAX_ANSWER];
  size_t length = 0;
  while (!client_check_answer(options, answer, length)) {
    if (length == sizeof(answer)) load_die("the answer is too long");
    const size_t received =
        receive_some(c, answer + length, sizeof(answer) - length);
    if (received == 0) wait_for(c, POLLIN);
    length += received;
  }
}

void client_open(client *c, const load_options *options,
                 const load_script *script) {
  *c = (client){.fd = client_connect(options->port), .script = script};
  reader_init(&c->reader, script);
  if (options->is_tls) begin_tls(c);
  if (!options->is_raw) upgrade(c, options);
}

void client_drop(client *c) {
  SSL_free(c->ssl);
  close(c->fd);
}

/* -- Frames --------------------------------------------------------------------- */

void client_ask(client *c, size_t count) {
  for (; count > 0; count--) {
    c->owed += c->script->frames[c->next_frame].length;
    if (++c->next_frame == c->script->count) c->next_frame = 0;
  }
}

void client_flush(client *c) {
  const load_script *script = c->script;
  while (c->owed > 0) {
    const size_t piece = c->owed < script->length ? c->owed : script->length;
    const size_t sent = send_some(c, script->bytes + c->send_at, piece);
    if (sent == 0) return;
    c->owed -= sent;
    c->send_at = (c->send_at + sent) % script->length;
    /* A socket that took less is full: it need not be asked again. TLS takes
     * one record a time. */
    if (sent < piece && c->ssl == NULL) return;
  }
}

size_t client_receive(client *c) {
  return receive_some(c, client_buffer, sizeof(client_buffer));
}

void client_echo_once(client *c) {
  client_ask(c, 1);
  for (;;) {
    client_flush(c);
    const size_t received = client_receive(c);
    if (reader_feed(&c->reader, client_buffer, received) > 0) return;
    if (received == 0) wait_for(c, c->owed > 0 ? POLLIN | POLLOUT : POLLIN);
  }
}
