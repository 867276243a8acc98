/* socket.h - the inside of a ws_socket: a connection joined to a descriptor and
 * a loop. What makes it a client's or a server's is its endpoint.
 *
 *   socket.c        turns: bytes in, events, bytes out, the end
 *   socket_calls.c  what the application does with a socket
 *   socket_trace.c  what a trace is told */
#ifndef WS__SOCKET_H
#define WS__SOCKET_H

#include "api/sender.h"
#include "api/tap.h"
#include "base/detail.h"
#include "base/hidden.h"
#include "io/loop.h"
#include "io/stream.h"
#include "proto/conn.h"

WS__HIDDEN_BEGIN

/* What makes a socket a client's or a server's. */
typedef struct ws__endpoint_ops {
  /* Goes on towards a transport, in stage REACHING; `ready` as in begin(). NULL
   * for a server. */
  void (*reach)(ws_socket *socket, unsigned ready);
  /* Sees each event but messages before the application does. False: it is not
   * handed out. After CLOSE the socket has no transport any more. */
  bool (*filter)(ws_socket *socket, ws_event *event);
  /* The socket leaves the loop. Its memory stays while it is retained. */
  void (*leave)(ws_socket *socket);
  /* The memory of the socket is about to go. */
  void (*forget)(ws_socket *socket);
} ws__endpoint_ops;

/* What all sockets of one server in one loop have in common, or what one client
 * has. */
typedef struct ws__endpoint {
  const ws__endpoint_ops *ops;
  ws_loop *loop; /* NULL when the loop has ended. */
  ws_server *server;
  const ws_handlers *handlers; /* May be NULL. */
  bool is_closing;             /* No further handshake is accepted. */
} ws__endpoint;

typedef struct ws__client ws__client;
typedef struct ws__subscription ws__subscription;
typedef struct ws__guest ws__guest;

/* What only some sockets have; made when first needed. */
typedef struct ws__extra {
  ws__tls *tls; /* Around the transport. */
  ws__client *client;
  ws_sender *sender; /* The ways of other threads to this socket. */
  ws__subscription *subscriptions;
  ws__guest *guest; /* Where its address is counted. */
  ws__tap *tap;     /* For a trace. */
} ws__extra;

typedef enum ws__stage {
  WS__STAGE_REACHING, /* A client has no transport yet. */
  WS__STAGE_TLS,      /* TLS shakes hands. */
  WS__STAGE_FLOWING,  /* Bytes of the connection flow. */
  WS__STAGE_GONE      /* There is no transport any more. */
} ws__stage;

struct ws_socket {
  ws__source source; /* Its descriptor is the transport's. */
  ws__endpoint *endpoint;
  ws__extra *extra;
  void *user_data;
  uint32_t references; /* The loop's and those of ws_socket_retain(). */
  uint8_t stage;       /* ws__stage */

  bool is_paused : 1;
  bool is_ended : 1;         /* The CLOSE event has been handed out. */
  bool is_read_done : 1;     /* The peer sends no more. */
  bool is_read_full : 1;     /* The last read filled its place. */
  bool is_write_blocked : 1; /* The system takes no more for now. */
  bool is_write_broken : 1;  /* And never will again. */
  bool read_wants_write : 1; /* TLS has to write before it can read, */
  bool write_wants_read : 1; /* or the other way round. */
  bool has_kept : 1;         /* Input waits that no event was pulled of. */
  bool has_borrowed : 1;     /* Output may lie in the receive buffer. */
  bool should_linger : 1;    /* The peer was told why; it shall hear it. */
  bool is_failed : 1;        /* ws__socket_fail() was called. */
  bool wants_turn : 1;       /* Another one after this. */
  bool is_closed_by_app : 1; /* close() or terminate() was called. */

  /* The errno that the transport has failed with, or 0. No system knows errors
   * above 255. */
  uint8_t system_error;

  ws_conn conn;
};

/* -- socket.c -------------------------------------------------------------- */

/* Makes a socket without a transport (`fd` -1) or over a connected descriptor,
 * which it takes over, with TLS around it if `tls` is not NULL. It is in the
 * loop and alive. Returns 0 or WS_ERR_NO_MEMORY; then the descriptor is still
 * the caller's. */
int ws__socket_new(ws__endpoint *endpoint, ws_conn_config *config, int fd,
                   ws__tls *tls, ws_socket **out_socket);

/* Frees a socket that nobody has seen; its endpoint is not told. */
void ws__socket_discard(ws_socket *socket);

/* Gives a socket in stage REACHING its transport, taken over. */
void ws__socket_attach(ws_socket *socket, int fd, ws__tls *tls);

/* Closes the transport and begins anew with a fresh connection, REACHING.
 * Returns 0, or WS_ERR_NO_MEMORY, and then nothing has changed. */
int ws__socket_restart(ws_socket *socket, ws_conn_config *config);

/* Fails the connection with `err` because of what lies below it.
 * `system_error` is the errno that was the cause, or 0; `detail`, which may be
 * NULL, says more to a person. */
void ws__socket_fail(ws_socket *socket, int err, int system_error,
                     const char *detail);

/* Writes now what can be written, while user code runs: bufferedAmount stays as
 * it is until the socket's next turn. */
void ws__socket_flush_early(ws_socket *socket);

/* Hands in bytes that were read from the transport before. Copied. */
void ws__socket_give(ws_socket *socket, const void *data, size_t len);

/* Returns the extra struct, made if need be; NULL without memory. */
ws__extra *ws__socket_extra(ws_socket *socket);

/* Takes the socket out of the loop and gives up the loop's reference. */
void ws__socket_end(ws_socket *socket);

/* Answers a request with a line of plain text. Returns as ws_socket_respond().
 */
int ws__socket_respond_text(ws_socket *socket, uint16_t status,
                            const char *text);

/* Answers a request of a server that is closing with 503. */
void ws__socket_turn_away(ws_socket *socket);

/* Goes through the sockets of an endpoint that are in its loop, from the place
 * `*at` on, at first SIZE_MAX. Returns NULL at the end. None may leave the loop
 * meanwhile but the one just returned, and then some may be missed. */
ws_socket *ws__socket_iterate(const ws__endpoint *endpoint, size_t *at);

/* Before and after a call of the application on a socket's connection: tells
 * the time, and sees to it that what the call caused happens. */
void ws__socket_enter(ws_socket *socket);
void ws__socket_leave(ws_socket *socket);

/* -- socket_trace.c -------------------------------------------------------- */

/* Tell the trace of what was read, of the first `len` bytes of pieces that were
 * written, of a transport that there is now, of TLS that has shaken hands, of
 * the last events, and that all begins anew. */
void ws__socket_trace_input(ws_socket *socket, const void *data, size_t len);
void ws__socket_trace_output(ws_socket *socket, const struct iovec *pieces,
                             size_t len);
void ws__socket_trace_transport(ws_socket *socket);
void ws__socket_trace_tls(ws_socket *socket);
void ws__socket_trace_error(ws_socket *socket, const ws_cause *cause);
void ws__socket_trace_close(ws_socket *socket, const ws_event_data *data);
void ws__socket_trace_restart(const ws_socket *socket);

/* -- Looking inside ------------------------------------------------------- */

static inline ws_loop *ws__socket_loop(const ws_socket *socket) {
  return socket->endpoint->loop;
}

static inline ws__tls *ws__socket_tls(const ws_socket *socket) {
  return socket->extra != NULL ? socket->extra->tls : NULL;
}

static inline ws__client *ws__socket_client(const ws_socket *socket) {
  return socket->extra != NULL ? socket->extra->client : NULL;
}

static inline bool ws__socket_is_traced(const ws_socket *socket) {
  return ws__trace_is_on(&ws__socket_loop(socket)->trace);
}

static inline ws_socket *ws__socket_of_source(ws__source *source) {
  return (ws_socket *)source;
}

WS__HIDDEN_END

#endif
