/* stream.c - see stream.h: what a call to TLS or to the system says, in the
 * same few words. */
#include "io/stream.h"
#include "io/net.h"

#include <assert.h>

ws__stream_status ws__stream_of_tls(ws__tls_status status) {
  switch (status) {
  case WS__TLS_OK: return WS__STREAM_OK;
  case WS__TLS_WANT_READ: return WS__STREAM_WANT_READ;
  case WS__TLS_WANT_WRITE: return WS__STREAM_WANT_WRITE;
  /* WebSocket says goodbye by a frame of its own; where that is missing the
   * connection is not clean, however TLS ended. */
  case WS__TLS_EOF:
  case WS__TLS_TRUNCATED: return WS__STREAM_EOF;
  case WS__TLS_FAILED: break;
  }
  return WS__STREAM_FAILED;
}

/* That of a plain call, which waits for `want`. */
static ws__stream_status of_io(ws__io io, ws__stream_status want) {
  switch (io) {
  case WS__IO_OK: return WS__STREAM_OK;
  case WS__IO_AGAIN: return want;
  case WS__IO_EOF: return WS__STREAM_EOF;
  case WS__IO_ERROR: break;
  }
  return WS__STREAM_FAILED;
}

ws__stream_status ws__stream_read(int fd, ws__tls *tls, void *buf, size_t len,
                                  size_t *out_n) {
  *out_n = 0;
  if (tls != NULL) return ws__stream_of_tls(ws__tls_read(tls, buf, len, out_n));
  return of_io(ws__net_recv(fd, buf, len, out_n), WS__STREAM_WANT_READ);
}

bool ws__stream_pending(ws__tls *tls) {
  return tls != NULL && ws__tls_pending(tls);
}

ws__stream_status ws__stream_write(int fd, ws__tls *tls, struct iovec *pieces,
                                   size_t count, size_t *out_n) {
  assert(count > 0 && count <= WS__STREAM_PIECES);
  *out_n = 0;
  if (tls != NULL) {
    return ws__stream_of_tls(ws__tls_write(tls, pieces, count, out_n));
  }
  return of_io(ws__net_sendv(fd, pieces, count, out_n), WS__STREAM_WANT_WRITE);
}

void ws__stream_close(int fd, ws__tls *tls) {
  ws__tls_free(tls);
  ws__net_close(fd);
}
