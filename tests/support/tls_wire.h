/* tls_wire.h - TLS over a descriptor whose every call the test holds in its
 * hand: the program's own send(), recv() and their likes, which come before the
 * system's when it is linked, can cut, interrupt, block, fail and lie.
 *
 * For a program of one file, which includes this. */
#ifndef TLS_WIRE_H
#define TLS_WIRE_H

#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef struct wire {
  size_t most;     /* Most bytes at once; 0 for any number. */
  bool interrupts; /* Every other call. */
  size_t room;     /* When blocked, bytes that still go out. */
  bool is_blocked; /* Sends go nowhere. */
  int send_error;  /* If not 0, how sends fail. */
  int recv_error;  /* If not 0, how receives fail. */
  size_t lie;      /* Added to what was sent and received. */
  bool is_silent;  /* Sends say 0. */
  unsigned calls;
  unsigned sends;
  unsigned recvs;
  size_t sent; /* Bytes. */
  size_t received;
} wire;

/* One for each thread; only the first has any faults. Nothing here is static,
 * for a system may declare its calls inline. */
_Thread_local wire net;

bool is_interrupted(void);
bool is_interrupted(void) {
  if (!net.interrupts || net.calls++ % 2 != 0) return false;
  errno = EINTR;
  return true;
}

ssize_t send(int fd, const void *data, size_t len, int flags) {
  assert_true(flags & MSG_NOSIGNAL);
  if (is_interrupted()) return -1;
  net.sends++;
  if (net.is_silent) return 0;
  if ((net.is_blocked && net.room == 0) || net.send_error != 0) {
    errno = net.is_blocked ? EAGAIN : net.send_error;
    return -1;
  }
  if (net.is_blocked && len > net.room) len = net.room;
  if (net.most > 0 && len > net.most) len = net.most;
  const ssize_t n = sendto(fd, data, len, flags, NULL, 0);
  if (n <= 0) return n;
  if (net.is_blocked) net.room -= (size_t)n;
  net.sent += (size_t)n;
  return n + (ssize_t)net.lie;
}

ssize_t recv(int fd, void *buf, size_t len, int flags) {
  if (is_interrupted()) return -1;
  net.recvs++;
  if (net.recv_error != 0) {
    errno = net.recv_error;
    return -1;
  }
  if (net.most > 0 && len > net.most) len = net.most;
  const ssize_t n = recvfrom(fd, buf, len, flags, NULL, NULL);
  if (n <= 0) return n;
  net.received += (size_t)n;
  return n + (ssize_t)net.lie;
}

/* Slices go through one run of bytes. */
static inline size_t length_of(const struct msghdr *message) {
  size_t len = 0;
  for (size_t i = 0; i < (size_t)message->msg_iovlen; i++)
    len += message->msg_iov[i].iov_len;
  return len;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  uint8_t *bytes = malloc(length_of(message));
  size_t len = 0;
  for (size_t i = 0; i < (size_t)message->msg_iovlen; i++) {
    const struct iovec slice = message->msg_iov[i];
    memcpy(bytes + len, slice.iov_base, slice.iov_len);
    len += slice.iov_len;
  }
  const ssize_t n = send(fd, bytes, len, flags);
  free(bytes);
  return n;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  const size_t len = length_of(message);
  uint8_t *bytes = malloc(len);
  const ssize_t n = recv(fd, bytes, len, flags);
  size_t left = n > 0 && (size_t)n <= len ? (size_t)n : 0;
  for (size_t i = 0, at = 0; left > 0; i++) {
    const struct iovec slice = message->msg_iov[i];
    const size_t part = left < slice.iov_len ? left : slice.iov_len;
    memcpy(slice.iov_base, bytes + at, part);
    at += part;
    left -= part;
  }
  free(bytes);
  return n;
}

static inline int reset_wire(void **state) {
  (void)state;
  net = (wire){0};
  return 0;
}

#endif
