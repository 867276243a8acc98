/* raw_tls_echo.c - the limit with TLS: an echo of bytes through OpenSSL. All
 * records that are there are read, and go back by one SSL_write. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE /* accept4() */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/peer.h"

#define MAX_EVENTS  1024
#define BUFFER_SIZE (512 << 10)

typedef struct connection {
  int fd;
  SSL *ssl;
} connection;

static int epoll;
static uint8_t buffer[BUFFER_SIZE];

static SSL_CTX *make_context(const peer_options *options) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  if (context == NULL || options->tls_cert == NULL ||
      SSL_CTX_use_certificate_chain_file(context, options->tls_cert) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, options->tls_key,
                                  SSL_FILETYPE_PEM) != 1)
    peer_die("TLS");
  SSL_CTX_set_read_ahead(context, 1);
  return context;
}

static void accept_one(int listener, SSL_CTX *context) {
  const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  if (fd < 0) return;
  const int on = 1;
  connection *c = calloc(1, sizeof(*c));
  if (c == NULL || (c->ssl = SSL_new(context)) == NULL) peer_die("accept");
  c->fd = fd;
  SSL_set_accept_state(c->ssl);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  /* The kernel has it now: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
  if (SSL_set_fd(c->ssl, fd) != 1 ||
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
    peer_die("accept");
}

static void drop(connection *c) {
  SSL_free(c->ssl);
  close(c->fd);
  free(c);
}

/* Reads all records that are there, as far as there is room. SSL_read does the
 * handshake too. Returns false if the connection has failed or ended. */
static bool read_records(connection *c, size_t *length) {
  *length = 0;
  do {
    size_t received = 0;
    const int result = SSL_read_ex(c->ssl, buffer + *length,
                                   sizeof(buffer) - *length, &received);
    if (result != 1)
      return SSL_get_error(c->ssl, result) == SSL_ERROR_WANT_READ;
    *length += received;
  } while (SSL_has_pending(c->ssl) && *length < sizeof(buffer));
  return true;
}

/* The load stays below what a socket takes, so there is no queue for what does
 * not fit: it would end the connection. */
static void on_bytes(connection *c) {
  size_t length;
  if (!read_records(c, &length) ||
      (length > 0 && SSL_write(c->ssl, buffer, (int)length) <= 0))
    drop(c);
}

int main(int argc, char **argv) {
  peer_options options;
  peer_read_options(&options, argc, argv);
  signal(SIGPIPE, SIG_IGN); /* OpenSSL has no MSG_NOSIGNAL. */
  SSL_CTX *context = make_context(&options);
  const int listener = peer_listen(options.port);
  epoll = epoll_create1(0);
  struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening) != 0)
    peer_die("epoll");
  peer_announce(&options, peer_port(listener));

  for (;;) {
    struct epoll_event events[MAX_EVENTS];
    const int ready = epoll_wait(epoll, events, MAX_EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      connection *c = events[i].data.ptr;
      if (c == NULL) accept_one(listener, context);
      else on_bytes(c);
    }
  }
}
