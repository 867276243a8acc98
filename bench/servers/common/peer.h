/* peer.h - what the servers written in C and C++ share: the command line that
 * all peers have, a listening socket, and the line that says where. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct peer_options {
  uint16_t port; /* 0: any that is free. */
  bool has_compression;
  bool is_broadcast;    /* Messages go to all instead of back. */
  const char *tls_cert; /* NULL without TLS. */
  const char *tls_key;
} peer_options;

/* Ends the process if the command line is not understood. */
void peer_read_options(peer_options *options, int argc, char **argv);

/* A socket that listens on 127.0.0.1 and does not block. */
int peer_listen(uint16_t port);

/* Prints "listening on ws://127.0.0.1:PORT", which the benchmark waits for. */
void peer_announce(const peer_options *options, int port);

/* The port that a socket got. */
int peer_port(int fd);

/* Prints what failed, with errno, and ends the process. */
void peer_die(const char *what) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

#endif
