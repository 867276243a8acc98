/* raw_echo.c - the limit: an echo of bytes that knows no WebSocket. One recv
 * and one send for each connection that has something; nothing can do with
 * less.
 *
 * What does not fit the socket is kept, and the connection is not read from
 * before that is gone. With --broadcast the bytes go to all other connections
 * instead. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE /* accept4() */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/peer.h"

#define MAX_EVENTS  1024
#define BUFFER_SIZE (512 << 10)

typedef struct connection {
  int fd;
  uint8_t *kept; /* Which did not fit the socket, or NULL. */
  size_t kept_at;
  size_t kept_length;

  /* The list of all, which a broadcast walks. */
  struct connection *next;
  struct connection **previous_link;
} connection;

static peer_options options;
static int epoll;
static connection *all;
static uint8_t buffer[BUFFER_SIZE];

static void accept_one(int listener) {
  const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  if (fd < 0) return;
  connection *c = calloc(1, sizeof(*c));
  if (c == NULL) peer_die("calloc");
  c->fd = fd;
  c->next = all;
  c->previous_link = &all;
  if (all != NULL) all->previous_link = &c->next;
  all = c;

  const int on = 1;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
    peer_die("accept");
}

static void drop(connection *c) {
  *c->previous_link = c->next;
  if (c->next != NULL) c->next->previous_link = c->previous_link;
  close(c->fd);
  free(c->kept);
  free(c);
}

static void wait_for(connection *c, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) != 0) peer_die("epoll");
}

static void keep(connection *c, const uint8_t *bytes, size_t length) {
  /* A broadcast may come upon a connection that keeps something already. */
  uint8_t *kept = realloc(c->kept, c->kept_length + length);
  if (kept == NULL) peer_die("realloc");
  memcpy(kept + c->kept_length, bytes, length);
  c->kept = kept;
  c->kept_length += length;
  wait_for(c, EPOLLOUT);
}

/* Errors show when the connection is next read from. */
static void send_or_keep(connection *c, const uint8_t *bytes, size_t length) {
  size_t sent = 0;
  if (c->kept == NULL) {
    const ssize_t result = send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (result > 0) sent = (size_t)result;
    else if (result < 0 && errno != EAGAIN) return;
  }
  if (sent < length) keep(c, bytes + sent, length - sent);
}

static void on_room(connection *c) {
  const ssize_t sent = send(c->fd, c->kept + c->kept_at,
                            c->kept_length - c->kept_at, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN) drop(c);
    return;
  }
  c->kept_at += (size_t)sent;
  if (c->kept_at < c->kept_length) return;
  free(c->kept);
  c->kept = NULL;
  c->kept_at = c->kept_length = 0;
  wait_for(c, EPOLLIN);
}

static void on_bytes(connection *c) {
  const ssize_t received = recv(c->fd, buffer, sizeof(buffer), 0);
  if (received < 0 && errno == EAGAIN) return;
  if (received <= 0) {
    drop(c);
    return;
  }
  if (!options.is_broadcast) {
    send_or_keep(c, buffer, (size_t)received);
    return;
  }
  for (connection *other = all; other != NULL; other = other->next)
    if (other != c) send_or_keep(other, buffer, (size_t)received);
}

int main(int argc, char **argv) {
  peer_read_options(&options, argc, argv);
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
      if (c == NULL) accept_one(listener);
      else if (c->kept != NULL) on_room(c);
      else on_bytes(c);
    }
  }
}
