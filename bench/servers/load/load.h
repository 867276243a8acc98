/* load.h - what the modes of the load generator share.
 *
 * The generator speaks RFC 6455 by its own few lines and not by libws, so that
 * it is the same for all servers, and does as little as a client can: frames
 * are built beforehand, many are sent by one call, and of what comes back only
 * the heads are read. It runs in one thread and ends the process when a server
 * does not do what it should. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOAD_MAX_IN_FLIGHT 16

/* What the messages are made of. */
typedef enum load_material {
  LOAD_BINARY,
  LOAD_TEXT,      /* JSON, which is ASCII. */
  LOAD_MULTIBYTE, /* Text of characters of one to four bytes. */
} load_material;

typedef struct load_options {
  uint16_t port;      /* On 127.0.0.1. */
  pid_t server;       /* Whose processor time and memory are looked at. */
  bool is_raw;        /* An echo of bytes: no handshake, no frames. */
  bool is_tls;        /* The certificate is not checked. */
  bool is_compressed; /* permessage-deflate. */
  load_material material;
  size_t size; /* Of each message, before compression. */
  size_t connections;
  size_t in_flight; /* For each connection; LOAD_MAX_IN_FLIGHT at most. */
  double warm_up;   /* Seconds before what is measured. */
  double seconds;   /* Which are measured. */
} load_options;

/* Each prints one JSON object on one line. */
void load_echo(const load_options *options);
void load_handshakes(const load_options *options);
void load_idle(const load_options *options);
void load_broadcast(const load_options *options);

/* Prints why and ends with status 1. */
_Noreturn void load_die(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Zeroed memory, or the end. */
void *load_alloc(size_t count, size_t size);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t load_now(void);

#endif
