/* output.h - the bytes that wait to be written, in chunks.
 *
 * Small frames are appended to the last chunk while it has room; a chunk is
 * freed when its last byte has been consumed, so an idle queue holds nothing. A
 * buffer that a caller lends is the chunk an empty queue begins with.
 *
 * Beside the bytes the queue knows the payload they stand for, for the
 * browser's bufferedAmount. That number outlives the bytes: it never shrinks
 * when a connection ends. */
#ifndef WS__OUTPUT_H
#define WS__OUTPUT_H

#include "base/alloc.h"
#include "ws/conn.h"

typedef struct ws__chunk {
  struct ws__chunk *next;
  size_t start;     /* First byte not yet consumed. */
  size_t end;       /* End of what was written. */
  size_t cap;       /* Size of `data`. */
  uint64_t payload; /* What its unconsumed bytes count for bufferedAmount. */
  uint8_t data[];
} ws__chunk;

/* A zeroed struct is an empty queue. */
typedef struct ws__output {
  ws__chunk *head;
  ws__chunk *tail;
  ws__chunk *lent;  /* In the caller's buffer; in the queue only as its head. */
  size_t len;       /* Bytes in all chunks. */
  uint64_t payload; /* bufferedAmount. */
} ws__output;

/* Returns room for `len` > 0 bytes behind those that wait, or NULL if memory is
 * short. What is written there becomes part of the queue by
 * ws__output_commit(), which must follow. */
uint8_t *ws__output_reserve(ws__output *output, const ws_allocator *allocator,
                            size_t len);

/* Adds `len` > 0 of the reserved bytes; they carry `payload` bytes of messages.
 */
void ws__output_commit(ws__output *output, size_t len, uint64_t payload);

/* ws_conn_output(). */
size_t ws__output_slices(const ws__output *output, ws_slice *slices,
                         size_t max);

/* Drops the first `len` bytes, which must be there. */
void ws__output_consume(ws__output *output, const ws_allocator *allocator,
                        size_t len);

/* Drops all bytes but not the payload count. */
void ws__output_clear(ws__output *output, const ws_allocator *allocator);

/* Takes `buffer` for the first chunk; one too small to be of use is ignored.
 * Returns 0, or WS_ERR_INVALID_STATE if bytes wait or a buffer is already
 * lent. */
int ws__output_lend(ws__output *output, uint8_t *buffer, size_t len);

/* Gives the lent buffer back, moving what waits in it. Returns 0 or
 * WS_ERR_NO_MEMORY, and then the queue has been cleared. */
int ws__output_reclaim(ws__output *output, const ws_allocator *allocator);

/* Memory held, lent buffers not counted. */
size_t ws__output_held(const ws__output *output);

#endif
