/* stream.h - bytes in and out of a connected descriptor, with TLS around them
 * or without. The one place where the two differ.
 *
 * Neither call blocks; what it waits for is its result. `tls` is NULL for a
 * plain connection, and otherwise has shaken hands. */
#ifndef WS__STREAM_H
#define WS__STREAM_H

#include "base/hidden.h"
#include "io/tls.h"

WS__HIDDEN_BEGIN

typedef enum ws__stream_status {
  WS__STREAM_OK,
  WS__STREAM_WANT_READ,  /* Call again when the descriptor is readable. */
  WS__STREAM_WANT_WRITE, /* Call again when it is writable. */
  WS__STREAM_EOF,        /* The peer sends no more, said or not. */
  WS__STREAM_FAILED      /* errno, or ws__tls_error(), says why. */
} ws__stream_status;

/* Most pieces of one write; more are not looked at. */
#define WS__STREAM_PIECES 64

/* Reads into `buf`. OK: `*out_n` bytes, at least one. `len` is not 0. */
ws__stream_status ws__stream_read(int fd, ws__tls *tls, void *buf, size_t len,
                                  size_t *out_n);

/* Whether ws__stream_read() has something to give that was taken from the
 * descriptor already. To be asked after each read that is OK. */
bool ws__stream_pending(ws__tls *tls);

/* Writes the pieces in order; `count` is at most WS__STREAM_PIECES. `*out_n`
 * bytes were taken, whatever the status; OK: at least one. What was not taken
 * must come first in the next call. */
ws__stream_status ws__stream_write(int fd, ws__tls *tls, struct iovec *pieces,
                                   size_t count, size_t *out_n);

/* The status of a TLS call, in the words of a stream. */
ws__stream_status ws__stream_of_tls(ws__tls_status status);

/* Closes: TLS first, then the descriptor. */
void ws__stream_close(int fd, ws__tls *tls);

WS__HIDDEN_END

#endif
