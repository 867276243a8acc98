/* output.h - the bytes that wait to be written, in chunks.
 *
 * Small frames are appended to the last chunk while it has room; a chunk is
 * freed when its last byte has been consumed, so an idle queue holds nothing. A
 * buffer that a caller lends is the first chunk for as long as it is lent.
 * Large frames need not be copied: a chunk can point to one that is shared with
 * other queues, or to payload that is borrowed for the moment.
 *
 * Beside the bytes the queue knows the payload they stand for, for the
 * browser's bufferedAmount. That number outlives the bytes: it never shrinks
 * when a connection ends, and bytes that are consumed early stay in it until
 * that is settled. */
#ifndef WS__OUTPUT_H
#define WS__OUTPUT_H

#include "base/alloc.h"
#include "base/hidden.h"
#include "proto/message.h"

WS__HIDDEN_BEGIN

/* Where the bytes of a chunk lie. */
typedef enum ws__chunk_kind {
  WS__CHUNK_OWN,      /* Behind it. */
  WS__CHUNK_LENT,     /* Behind it, in the caller's buffer. First chunk only. */
  WS__CHUNK_SHARED,   /* In `message`. */
  WS__CHUNK_BORROWED, /* At the caller, for the moment. */
  WS__CHUNK_COPIED    /* In `copy`; they were borrowed. */
} ws__chunk_kind;

/* Bytes wait in every chunk, but for the lent one, and for the last one if all
 * has left early: it stays for its count. */
typedef struct ws__chunk {
  struct ws__chunk *next; /* In a ring: the first one follows the last. */
  const uint8_t *data;
  size_t start;     /* First byte of `data` not yet consumed. */
  size_t end;       /* End of what was written. */
  size_t cap;       /* Size of `data`. */
  uint64_t payload; /* What its unconsumed bytes count for bufferedAmount. */
  uint64_t early;   /* First chunk: payload that left early. */
  union {
    ws_message *message;
    uint8_t *copy;
  } owner;
  ws__chunk_kind kind;
  uint8_t bytes[];
} ws__chunk;

/* A zeroed struct is an empty queue. */
typedef struct ws__output {
  ws__chunk *last;  /* NULL if there is no chunk. */
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

/* Adds a frame of `message`, whose keeper it refers to. One that follows the
 * frame before it in a run makes one piece with it and needs no memory. Returns
 * 0 or WS_ERR_NO_MEMORY. */
int ws__output_share(ws__output *output, const ws_allocator *allocator,
                     const ws_message *message, ws_slice frame);

/* Adds a frame: a copy of its head, and its payload where it lies. That must
 * stay there until ws__output_own() has been called. Returns 0 or
 * WS_ERR_NO_MEMORY. */
int ws__output_borrow(ws__output *output, const ws_allocator *allocator,
                      ws_slice head, ws_slice payload);

/* Whether `len` more bytes need no memory. */
bool ws__output_fits(const ws__output *output, size_t len);

/* Copies what still waits of borrowed payload. Returns 0 or WS_ERR_NO_MEMORY,
 * and then the queue has been cleared. */
int ws__output_own(ws__output *output, const ws_allocator *allocator);

/* ws_conn_output(). */
size_t ws__output_slices(const ws__output *output, ws_slice *slices,
                         size_t max);

/* Drops the first `len` bytes, which must be there. */
void ws__output_consume(ws__output *output, const ws_allocator *allocator,
                        size_t len);

/* The same, but bufferedAmount follows only when that is settled. */
void ws__output_consume_early(ws__output *output, const ws_allocator *allocator,
                              size_t len);
void ws__output_settle(ws__output *output, const ws_allocator *allocator);

/* Drops all bytes but not the payload count. */
void ws__output_clear(ws__output *output, const ws_allocator *allocator);

/* Takes `buffer` for the first chunk; one too small to be of use is ignored.
 * Returns 0, or WS_ERR_INVALID_STATE if bytes wait or a buffer is already
 * lent. */
int ws__output_lend(ws__output *output, uint8_t *buffer, size_t len);

/* Settles, and gives the lent buffer back, moving what waits in it. Returns 0
 * or WS_ERR_NO_MEMORY, and then the queue has been cleared. */
int ws__output_reclaim(ws__output *output, const ws_allocator *allocator);

/* Memory held, but for what is lent, shared or borrowed. */
size_t ws__output_held(const ws__output *output);

WS__HIDDEN_END

#endif
