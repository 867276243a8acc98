/* tls_pair.h - a TLS client and a TLS server at the ends of a socket pair, in
 * one thread, driven until both have an answer. */
#ifndef TLS_PAIR_H
#define TLS_PAIR_H

#include "io/tls.h"

#include "certs.h"

typedef struct tls_pair {
  const ws_allocator *allocator;
  ws_tls_context *client_context;
  ws_tls_context *server_context;
  int client_fd;
  int server_fd;
  ws__tls *client;
  ws__tls *server;
  ws__tls_status client_status; /* How the handshakes ended. */
  ws__tls_status server_status;
} tls_pair;

/* A PEM text and its key as an identity. */
ws_tls_identity tls_identity(const cert *c);

/* Makes the contexts. */
void tls_pair_init(tls_pair *pair, const ws_allocator *allocator,
                   const ws_tls_client_options *client,
                   const ws_tls_server_options *server);

/* Makes a new connection to `host`, without a handshake. Ends the old one. */
void tls_pair_connect(tls_pair *pair, const char *host);

/* Both ends by turns, until neither waits. */
void tls_pair_shake(tls_pair *pair);

/* All of it, and asserts that it went well. */
void tls_pair_open(tls_pair *pair, const char *host);

/* Ends the connection: both, or one side and its descriptor. */
void tls_pair_disconnect(tls_pair *pair);
void tls_pair_end_client(tls_pair *pair);
void tls_pair_end_server(tls_pair *pair);

/* Everything. */
void tls_pair_free(tls_pair *pair);

/* Writes a string at one end and reads it at the other. */
void assert_carried(ws__tls *from, ws__tls *to, const char *text);

#endif
