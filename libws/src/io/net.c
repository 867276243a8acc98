/* net.c - sockets; see net.h. Addresses are in net_addr.c.
 *
 * This is the one file that knows how systems differ in making a descriptor
 * that does not block, is closed on exec and raises no SIGPIPE. */

/* accept4 and SO_NOSIGPIPE are no part of the POSIX that the build asks for. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#define _NETBSD_SOURCE
#include "io/net.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

/* Whether socket() and accept4() take flags. Without, another thread that forks
 * and executes between two calls of ours may pass a descriptor on. A test sets
 * this to 0 to run what is for other systems. */
#ifndef HAVE_SOCKET_FLAGS
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
#define HAVE_SOCKET_FLAGS 1
#else
#define HAVE_SOCKET_FLAGS 0
#endif
#endif

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS MSG_NOSIGNAL
#else
#define SEND_FLAGS 0 /* SO_NOSIGPIPE does it. */
#endif

/* What one transfer of slices passes on. POSIX lets a system refuse more than
 * 16, none of ours does under 1,024; longer lists gain nothing. */
#define MAX_SLICES 64

/* How many broken connections one ws__net_accept() passes over. */
#define MAX_BROKEN 64

/* -- Making a descriptor ours ---------------------------------------------- */

static int set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : errno;
}

static int get_option(int fd, int name, int *out_value) {
  socklen_t len = sizeof(*out_value);
  return getsockopt(fd, SOL_SOCKET, name, out_value, &len) == 0 ? 0 : errno;
}

static int set_flags(int fd) {
  const int status = fcntl(fd, F_GETFL);
  if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) != 0) return errno;
  return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : errno;
}

static int set_no_sigpipe(int fd) {
#ifdef SO_NOSIGPIPE
  return set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#else
  (void)fd;
  return 0;
#endif
}

static bool is_tcp(int family) {
  return family == AF_INET || family == AF_INET6;
}

/* Without it small frames wait for the acknowledgement of earlier ones. */
static int set_no_delay(int fd, int family) {
  return is_tcp(family) ? set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) : 0;
}

/* Completes what socket() or accept() answered. */
static int keep_descriptor(int fd, int *out_fd) {
  if (fd < 0) return errno;
  int error = HAVE_SOCKET_FLAGS ? 0 : set_flags(fd);
  if (error == 0) error = set_no_sigpipe(fd);
  if (error != 0) {
    ws__net_close(fd);
    return error;
  }
  *out_fd = fd;
  return 0;
}

static int open_socket(int family, int *out_fd) {
#if HAVE_SOCKET_FLAGS
  const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
#else
  const int type = SOCK_STREAM;
#endif
  return keep_descriptor(socket(family, type, 0), out_fd);
}

int ws__net_adopt(int fd, bool *out_is_listener) {
  int type;
  int error = get_option(fd, SO_TYPE, &type);
  if (error != 0) return error;
  if (type != SOCK_STREAM) return EPROTOTYPE;

  ws__addr local;
  error = ws__net_local_addr(fd, &local);
  if (error != 0) return error;
  const int family = local.as.any.sa_family;
  if (!is_tcp(family) && family != AF_UNIX) return EAFNOSUPPORT;

  int is_listener;
  error = get_option(fd, SO_ACCEPTCONN, &is_listener);
  if (error == 0) error = set_flags(fd);
  if (error == 0) error = set_no_sigpipe(fd);
  if (error != 0) return error;
  /* Some systems refuse this once the peer has gone; reading will tell. */
  (void)set_no_delay(fd, family);
  *out_is_listener = is_listener != 0;
  return 0;
}

/* -- Connecting ------------------------------------------------------------ */

static int begin_connect(int fd, const ws__addr *addr) {
  if (connect(fd, &addr->as.any, addr->len) == 0) return 0;
  /* "If connect() is interrupted by a signal that is caught [...] the
   * connection shall be established asynchronously" (POSIX). */
  return errno == EINPROGRESS || errno == EINTR ? 0 : errno;
}

int ws__net_connect(const ws__addr *addr, int *out_fd) {
  int fd = -1;
  int error = open_socket(addr->as.any.sa_family, &fd);
  if (error != 0) return error;
  error = set_no_delay(fd, addr->as.any.sa_family);
  if (error == 0) error = begin_connect(fd, addr);
  if (error != 0) {
    ws__net_close(fd);
    return error;
  }
  *out_fd = fd;
  return 0;
}

int ws__net_connect_result(int fd) {
  int failure;
  const int error = get_option(fd, SO_ERROR, &failure);
  if (error != 0) return error;
  if (failure != 0) return failure;
  /* No failure is no success yet: readiness may be spurious. */
  ws__addr peer;
  const int no_peer = ws__net_peer_addr(fd, &peer);
  return no_peer == ENOTCONN ? EINPROGRESS : no_peer;
}

/* -- Listening ------------------------------------------------------------- */

/* On FreeBSD SO_REUSEPORT itself spreads nothing. */
static int set_reuse_port(int fd) {
#if defined(SO_REUSEPORT_LB)
  return set_option(fd, SOL_SOCKET, SO_REUSEPORT_LB, 1);
#elif defined(SO_REUSEPORT)
  return set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
#else
  (void)fd;
  return ENOPROTOOPT;
#endif
}

static int set_listener_options(int fd, const ws__addr *addr,
                                const ws__listen_options *options) {
  const int family = addr->as.any.sa_family;
  if (!is_tcp(family)) return 0;
  int error = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (error == 0 && options->reuse_port) error = set_reuse_port(fd);
  if (error == 0 && family == AF_INET6) {
    const bool is_any = IN6_IS_ADDR_UNSPECIFIED(&addr->as.in6.sin6_addr);
    error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !is_any);
  }
  /* Accepted connections inherit it, which saves a call for each. */
  if (error == 0) error = set_no_delay(fd, family);
  return error;
}

static int bind_to(int fd, const ws__addr *addr) {
  return bind(fd, &addr->as.any, addr->len) == 0 ? 0 : errno;
}

/* Whether a path is the socket of a listener that has gone. */
static bool is_stale(const ws__addr *addr) {
  struct stat file;
  if (lstat(addr->as.un.sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
    return false;
  int fd;
  const int error = ws__net_connect(addr, &fd);
  if (error == 0) ws__net_close(fd);
  return error == ECONNREFUSED;
}

static int bind_path(int fd, const ws__addr *addr, mode_t mode) {
  const char *path = addr->as.un.sun_path;
  int error = bind_to(fd, addr);
  if (error == EADDRINUSE && is_stale(addr)) {
    if (unlink(path) != 0) return errno;
    error = bind_to(fd, addr);
  }
  /* Nobody can connect before listen(), so the mode comes in time. */
  if (error == 0 && mode != 0 && chmod(path, mode) != 0) {
    error = errno;
    ws__net_unlink(addr);
  }
  return error;
}

static int listen_on(int fd, const ws__addr *addr,
                     const ws__listen_options *options, ws__addr *out_addr) {
  const bool is_path = addr->as.any.sa_family == AF_UNIX;
  int error = set_listener_options(fd, addr, options);
  if (error == 0) {
    error =
        is_path ? bind_path(fd, addr, options->unix_mode) : bind_to(fd, addr);
  }
  if (error != 0) return error;

  const int backlog = options->backlog > 0 ? options->backlog : SOMAXCONN;
  error = listen(fd, backlog) == 0 ? 0 : errno;
  if (error == 0) error = ws__net_local_addr(fd, out_addr);
  if (error != 0) ws__net_unlink(addr);
  return error;
}

int ws__net_listen(const ws__addr *addr, const ws__listen_options *options,
                   int *out_fd, ws__addr *out_addr, char *detail) {
  int fd = -1;
  int error = open_socket(addr->as.any.sa_family, &fd);
  if (error == 0) error = listen_on(fd, addr, options, out_addr);
  if (error == 0) {
    *out_fd = fd;
    return 0;
  }
  if (fd >= 0) ws__net_close(fd);
  char name[WS__ADDR_TEXT_SIZE], cause[WS__DETAIL_SIZE];
  ws__detail_set(detail, "%s: %s", ws__addr_format(addr, name),
                 ws__errno_text(error, cause));
  return error;
}

void ws__net_unlink(const ws__addr *addr) {
  if (addr->as.any.sa_family == AF_UNIX) (void)unlink(addr->as.un.sun_path);
}

/* -- Accepting ------------------------------------------------------------- */

/* ::ffff:1.2.3.4 to 1.2.3.4, so that one peer has one address. */
static void unmap_ipv4(ws__addr *addr) {
  const struct sockaddr_in6 in6 = addr->as.in6;
  if (in6.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
    return;
  *addr = (ws__addr){.len = sizeof(addr->as.in)};
  addr->as.in.sin_family = AF_INET;
  addr->as.in.sin_port = in6.sin6_port;
  memcpy(&addr->as.in.sin_addr, &in6.sin6_addr.s6_addr[12],
         sizeof(addr->as.in.sin_addr));
}

static int accept_one(int listener, int *out_fd, ws__addr *out_peer) {
  *out_peer = (ws__addr){.len = sizeof(out_peer->as)};
#if HAVE_SOCKET_FLAGS
  const int fd = accept4(listener, &out_peer->as.any, &out_peer->len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
  const int fd = accept(listener, &out_peer->as.any, &out_peer->len);
#endif
  unmap_ipv4(out_peer);
  return keep_descriptor(fd, out_fd);
}

/* Whether an error of accept() is that of the connection which it would have
 * been. Linux also "passes already-pending network errors on the new socket"
 * (accept(2)). */
static bool is_broken_connection(int error) {
  switch (error) {
  case EINTR:
  case ECONNABORTED:
  case EPROTO:
  case EPERM: /* Linux: a firewall rule. */
  case ENETDOWN:
  case ENETUNREACH:
  case EHOSTUNREACH:
  case ETIMEDOUT:
  case ENOPROTOOPT:
#ifdef EHOSTDOWN
  case EHOSTDOWN:
#endif
#ifdef ENONET
  case ENONET:
#endif
    return true;
  default: return false;
  }
}

static ws__accept_status accept_status(int error) {
  switch (error) {
  case EMFILE:
  case ENFILE:
  case ENOBUFS:
  case ENOMEM: return WS__ACCEPT_EXHAUSTED;
  default: return WS__ACCEPT_ERROR;
  }
}

ws__accept_status ws__net_accept(int listener, int *out_fd,
                                 ws__addr *out_peer) {
  for (int broken = 0; broken < MAX_BROKEN; broken++) {
    const int error = accept_one(listener, out_fd, out_peer);
    if (error == 0) return WS__ACCEPT_OK;
    if (error == EAGAIN || error == EWOULDBLOCK) return WS__ACCEPT_AGAIN;
    if (!is_broken_connection(error)) {
      errno = error;
      return accept_status(error);
    }
  }
  /* If more wait, the listener is still readable. */
  return WS__ACCEPT_AGAIN;
}

/* -- Any socket ------------------------------------------------------------ */

int ws__net_share(int fd, int *out_fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return errno;
  *out_fd = copy;
  return 0;
}

int ws__net_local_addr(int fd, ws__addr *out_addr) {
  *out_addr = (ws__addr){.len = sizeof(out_addr->as)};
  return getsockname(fd, &out_addr->as.any, &out_addr->len) == 0 ? 0 : errno;
}

int ws__net_peer_addr(int fd, ws__addr *out_addr) {
  *out_addr = (ws__addr){.len = sizeof(out_addr->as)};
  return getpeername(fd, &out_addr->as.any, &out_addr->len) == 0 ? 0 : errno;
}

/* What a transfer of at most `len` bytes means that the system answered with
 * `done`. Trusting a count that cannot be would send or show what lies behind
 * the buffer. */
static ws__io outcome(ssize_t done, size_t len, size_t *out_len) {
  if (done < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? WS__IO_AGAIN
                                                   : WS__IO_ERROR;
  if (done == 0 || (size_t)done > len) {
    errno = EIO;
    return WS__IO_ERROR;
  }
  *out_len = (size_t)done;
  return WS__IO_OK;
}

ws__io ws__net_recv(int fd, void *data, size_t len, size_t *out_len) {
  assert(len > 0);
  ssize_t done;
  do {
    done = recv(fd, data, len, 0);
  } while (done < 0 && errno == EINTR);
  return done == 0 ? WS__IO_EOF : outcome(done, len, out_len);
}

ws__io ws__net_send(int fd, const void *data, size_t len, size_t *out_len) {
  assert(len > 0);
  ssize_t done;
  do {
    done = send(fd, data, len, SEND_FLAGS);
  } while (done < 0 && errno == EINTR);
  return outcome(done, len, out_len);
}

/* What of the slices one transfer moves; `*out_len` bytes in all. */
static struct msghdr message_of(struct iovec *slices, size_t count,
                                size_t *out_len) {
  /* msg_iovlen is an int on some systems, a size_t on others: this fits both.
   */
  const uint8_t used = (uint8_t)(count < MAX_SLICES ? count : MAX_SLICES);
  *out_len = 0;
  for (size_t i = 0; i < used; i++)
    *out_len += slices[i].iov_len;
  assert(*out_len > 0);
  return (struct msghdr){.msg_iov = slices, .msg_iovlen = used};
}

ws__io ws__net_recvv(int fd, struct iovec *slices, size_t count,
                     size_t *out_len) {
  if (count == 1) {
    return ws__net_recv(fd, slices->iov_base, slices->iov_len, out_len);
  }
  size_t len;
  struct msghdr message = message_of(slices, count, &len);
  ssize_t done;
  do {
    done = recvmsg(fd, &message, 0);
  } while (done < 0 && errno == EINTR);
  return done == 0 ? WS__IO_EOF : outcome(done, len, out_len);
}

ws__io ws__net_sendv(int fd, struct iovec *slices, size_t count,
                     size_t *out_len) {
  if (count == 1) {
    return ws__net_send(fd, slices->iov_base, slices->iov_len, out_len);
  }
  size_t len;
  const struct msghdr message = message_of(slices, count, &len);
  ssize_t done;
  do {
    done = sendmsg(fd, &message, SEND_FLAGS);
  } while (done < 0 && errno == EINTR);
  return outcome(done, len, out_len);
}

int ws__net_shutdown(int fd) {
  return shutdown(fd, SHUT_WR) == 0 ? 0 : errno;
}

/* After EINTR the descriptor is closed on Linux and the BSDs, and its number
 * may by now be that of another thread's file. */
void ws__net_close(int fd) {
  if (fd < 0) return;
  const int saved = errno;
  (void)close(fd);
  errno = saved;
}
