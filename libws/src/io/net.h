/* net.h - sockets and their addresses: the few calls of the system that the
 * rest of io/ is built on, without their differences between systems.
 *
 * Every descriptor that comes from here is a stream socket (TCP or Unix) that
 * does not block, is closed on exec and never raises SIGPIPE. Functions that
 * return int return 0 or the errno value of what failed. Nothing is allocated.
 * Any thread. */
#ifndef WS__NET_H
#define WS__NET_H

#include "base/detail.h"
#include "base/hidden.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

WS__HIDDEN_BEGIN

/* -- Addresses ------------------------------------------------------------- */

/* An address of any of the three families. The members of `as` lie over one
 * another; as.any.sa_family tells which is meant. */
typedef struct ws__addr {
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
  } as;
  socklen_t len;
} ws__addr;

/* Room for any address as text, the NUL included. */
#define WS__ADDR_TEXT_SIZE 128

/* Makes an address of an IP literal: "1.2.3.4", "::1", "[::1]", and with the
 * zone of a link-local one, by name or number, "fe80::1%eth0". False, and
 * nothing written, if `host` is no such thing. */
bool ws__addr_from_ip(ws__addr *out_addr, const char *host, uint16_t port);

/* Makes an address of the path of a Unix socket. Returns 0; EINVAL for an empty
 * path; ENAMETOOLONG, for the system has room for about 100 bytes only. */
int ws__addr_from_path(ws__addr *out_addr, const char *path);

/* Writes "1.2.3.4:80", "[::1]:80", "unix:/path", or "unix:" for the end of a
 * Unix connection that has no name. Returns `text`. */
const char *ws__addr_format(const ws__addr *addr,
                            char text[WS__ADDR_TEXT_SIZE]);

/* Writes the IP address alone: "1.2.3.4", "::1", "fe80::1%2"; "" for a Unix
 * socket. Returns `text`. */
const char *ws__addr_host(const ws__addr *addr, char text[WS__ADDR_TEXT_SIZE]);

/* The port, 0 for a Unix socket. */
uint16_t ws__addr_port(const ws__addr *addr);

/* Changes the port; does nothing to a Unix socket. */
void ws__addr_set_port(ws__addr *addr, uint16_t port);

/* What an errno value says to a person, like strerror() but for any thread.
 * Returns `text`. */
const char *ws__errno_text(int error, char text[WS__DETAIL_SIZE]);

/* -- Connecting ------------------------------------------------------------ */

/* Begins to connect, with TCP_NODELAY. When the socket becomes writable,
 * ws__net_connect_result() says how it went, also when it went at once. */
int ws__net_connect(const ws__addr *addr, int *out_fd);

/* Returns 0 when the socket is connected, EINPROGRESS while that is open, or
 * why it failed. A failure is told once. */
int ws__net_connect_result(int fd);

/* -- Listening ------------------------------------------------------------- */

/* Zeroed: the defaults. */
typedef struct ws__listen_options {
  int backlog;      /* 0 for the most the system names (SOMAXCONN). */
  bool reuse_port;  /* Several TCP listeners share the port, and the system
                     * spreads the connections over them. */
  mode_t unix_mode; /* Of the file of a Unix socket; 0 for what umask leaves. */
} ws__listen_options;

/* Listens. "::" takes IPv4 as well, any other IPv6 address takes IPv6 only,
 * whatever the system's own rule. TCP has SO_REUSEADDR and hands TCP_NODELAY on
 * to the connections. A Unix socket file on which nobody listens any more is
 * replaced; two servers that start at the same moment may take it from each
 * other. `*out_addr` is the address with its real port when 0 was asked for.
 * On failure `detail` names address and cause. */
int ws__net_listen(const ws__addr *addr, const ws__listen_options *options,
                   int *out_fd, ws__addr *out_addr, char *detail);

/* Removes the file of a Unix listener that ends; does nothing for TCP. To be
 * called before the listener is closed: afterwards the file could already be
 * that of a successor. */
void ws__net_unlink(const ws__addr *addr);

typedef enum ws__accept_status {
  WS__ACCEPT_OK,
  WS__ACCEPT_AGAIN,     /* No connection waits: wait for readability. */
  WS__ACCEPT_EXHAUSTED, /* No descriptors or memory left (errno): the connection
                         * still waits and the listener stays readable, so the
                         * caller has to look away for a while. */
  WS__ACCEPT_ERROR      /* The listener is broken (errno). */
} ws__accept_status;

/* Accepts a connection. Those that broke before they were accepted are passed
 * over. An IPv4 peer of an IPv6 listener has an IPv4 address here. */
ws__accept_status ws__net_accept(int listener, int *out_fd, ws__addr *out_peer);

/* -- Any socket ------------------------------------------------------------ */

/* Takes over a descriptor that was inherited or made elsewhere: checks that it
 * is a stream socket of one of our families and makes it like our own. Returns
 * 0; EBADF, ENOTSOCK, EPROTOTYPE (no stream) or EAFNOSUPPORT. It stays open and
 * the caller's whatever is returned. */
int ws__net_adopt(int fd, bool *out_is_listener);

/* Makes another descriptor for the same socket. */
int ws__net_share(int fd, int *out_fd);

/* The addresses of the two ends. */
int ws__net_local_addr(int fd, ws__addr *out_addr);
int ws__net_peer_addr(int fd, ws__addr *out_addr);

/* A piece to be written. The system could also read into an iovec; into one
 * that was made here nobody does. */
static inline struct iovec ws__net_piece(const void *data, size_t len) {
  struct iovec piece = {.iov_len = len};
  memcpy(&piece.iov_base, &data, sizeof(data));
  return piece;
}

/* How a transfer went. */
typedef enum ws__io {
  WS__IO_OK,    /* At least one byte, `*out_len` in all. */
  WS__IO_AGAIN, /* Nothing now: wait for readability or writability. */
  WS__IO_EOF,   /* The peer sends no more. */
  WS__IO_ERROR  /* errno says why. */
} ws__io;

/* Receive and send; `len` is not 0. Fewer bytes may be taken than were given;
 * with slices also because only the first ones are looked at. One slice costs
 * no more than its bytes would by themselves. */
ws__io ws__net_recv(int fd, void *data, size_t len, size_t *out_len);
ws__io ws__net_recvv(int fd, struct iovec *slices, size_t count,
                     size_t *out_len);
ws__io ws__net_send(int fd, const void *data, size_t len, size_t *out_len);
ws__io ws__net_sendv(int fd, struct iovec *slices, size_t count,
                     size_t *out_len);

/* Tells the peer that no more comes; receiving goes on. */
int ws__net_shutdown(int fd);

/* Closes a descriptor, if it is none below 0. Whatever close() says, it is
 * gone. errno stays. */
void ws__net_close(int fd);

WS__HIDDEN_END

#endif
