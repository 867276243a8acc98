/* server.h - the inside of a ws_server.
 *
 * A server consists of workers: one for each loop it runs in. Everything that
 * happens with a connection happens in its worker, on that loop's thread; what
 * workers share is immutable, atomic or under a lock.
 *
 *   server.c    options, threads, the orderly end, in the loop it was made in
 *   worker.c    connections of one loop: requests, publishing, closing
 *   listener.c  accepting
 *
 * Memory: a worker lives as long as one of its sockets is retained, or an order
 * to it has not been read. */
#ifndef WS__SERVER_H
#define WS__SERVER_H

#include "api/doorkeeper.h"
#include "api/socket.h"
#include "api/topic.h"
#include "base/hidden.h"
#include "base/list.h"
#include "io/net.h"

#include <pthread.h>

WS__HIDDEN_BEGIN

typedef struct ws__worker {
  ws__endpoint endpoint; /* Its loop and server; NULL when that has ended. */
  ws__source source;     /* For the deadline of closing. */
  ws__inbox *inbox;      /* Of its loop, which may end before it. */
  ws_allocator allocator;
  atomic_uint references; /* The server's, of sockets, and of orders to it. */
  uint32_t sockets;       /* In the loop. */
  bool is_done;           /* Has told the server that it has ended. */
  ws__list listeners;
  ws__topics topics;

  /* What was published last: to whom, only to be compared, and its run. */
  const ws__list *audience;
  ws_message *run; /* NULL if there is none yet. */

  /* Of one with a thread. Its end needs no memory: both letters are here. */
  pthread_t thread;
  ws__inbox *owner;      /* Of the server's loop. */
  ws__letter last_order; /* To it: to drop everything. */
  ws__letter farewell;   /* From it: that its loop has ended. */
} ws__worker;

/* The options that are kept, in one block with all they point to. */
typedef struct ws__server_options {
  ws_server_options is;
  size_t block_size;
} ws__server_options;

/* Where it listens, for people. */
typedef struct ws__place {
  struct ws__place *next;
  uint16_t port;
  char url[WS__ADDR_TEXT_SIZE + sizeof("ws+unix://")];
} ws__place;

struct ws_server {
  ws__source source; /* For its last event. */
  ws_loop *loop;
  ws__server_options *options;
  ws_conn_config *config;         /* Of plain connections, */
  ws_conn_config *secure_config;  /* of those over TLS, */
  ws_conn_config *message_config; /* and of messages, which any thread makes. */
  ws__place *places;
  ws__worker **workers;
  uint32_t worker_count;
  uint32_t working; /* Workers that have not ended yet. */

  /* ws_server_close(); not changed while workers run. */
  bool is_closing;
  bool is_told; /* SERVER_CLOSE has been handed out. */
  uint16_t close_code;
  char close_reason[WS_MAX_CLOSE_REASON + 1];

  /* Any thread. */
  ws__doorkeeper doorkeeper;
  atomic_uint_fast64_t accepted;
  atomic_uint_fast64_t refused;
  atomic_uint_fast64_t opened;
  atomic_uint_fast64_t published;
};

const ws_handlers *ws__server_handlers(const ws_server *server);

/* Whether the server has threads of its own. */
static inline bool ws__server_has_threads(const ws_server *server) {
  return server->options->is.workers > 0;
}

/* A worker has ended. On the server's thread. */
void ws__server_worker_done(ws_server *server);

/* -- worker.c -------------------------------------------------------------- */

/* Makes a worker in a loop. Returns 0 or WS_ERR_NO_MEMORY. */
int ws__worker_new(ws_server *server, ws_loop *loop, ws__worker **out_worker);

static inline ws__worker *ws__worker_retain(ws__worker *worker) {
  atomic_fetch_add(&worker->references, 1);
  return worker;
}

/* Gives up one reference. */
void ws__worker_release(ws__worker *worker);

static inline ws__worker *ws__worker_of(const ws_socket *socket) {
  return (ws__worker *)(void *)socket->endpoint;
}

/* Makes a socket over a connected descriptor, taken over in any case. */
int ws__worker_serve(ws__worker *worker, int fd, ws_tls_context *tls,
                     const ws__addr *peer, ws_socket **out_socket,
                     char *detail);

/* Sends a message to the subscribers of a topic, or with NULL to all. */
void ws__worker_publish(ws__worker *worker, const char *topic,
                        ws_message *message, const ws_socket *except);

/* Stops listening and closes all connections; those that are left after
 * `deadline_ms` (0: close_timeout) are dropped. */
void ws__worker_close(ws__worker *worker, uint32_t deadline_ms);

/* Drops everything at once, because the loop ends. */
void ws__worker_drop(ws__worker *worker);

/* -- listener.c ------------------------------------------------------------ */

typedef struct ws__listener {
  ws__source source;
  ws__letter letter; /* Takes it to its worker. */
  ws__list link;     /* In its worker, once employed; until then free to use. */
  ws__worker *worker;
  ws_tls_context *tls;
  ws__addr addr;
  bool owns_path;
  bool is_exhausted; /* Looks away; said so once. */
  int error;         /* errno to report in this turn, or 0. */
} ws__listener;

/* Makes a listener for a worker, of a listening descriptor, taken over. `tls`
 * is retained; `addr` is removed from the file system at the end if it is a
 * Unix socket's and `owns_path`. Returns NULL without memory; then the
 * descriptor is still the caller's. On the server's thread. */
ws__listener *ws__listener_new(ws__worker *worker, int fd, const ws__addr *addr,
                               bool owns_path, ws_tls_context *tls);

/* Has its worker accept from now on. */
void ws__listener_employ(ws__listener *listener);

/* Ends a listener, in whichever state. */
void ws__listener_free(ws__listener *listener);

/* Ends all listeners of a list. */
void ws__listeners_free(ws__list *listeners);

WS__HIDDEN_END

#endif
