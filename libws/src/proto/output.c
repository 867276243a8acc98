#include "proto/output.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

/* New chunks take this much with their head: several small frames fit one. */
#define CHUNK_SIZE 4096

static size_t chunk_size(const ws__chunk *chunk) {
  return sizeof(*chunk) + chunk->cap;
}

static ws__chunk *chunk_new(const ws_allocator *allocator, size_t len) {
  if (len > SIZE_MAX - sizeof(ws__chunk)) return NULL;
  size_t size = sizeof(ws__chunk) + len;
  if (size < CHUNK_SIZE) size = CHUNK_SIZE;

  ws__chunk *chunk = ws__alloc(allocator, size);
  if (chunk == NULL) return NULL;
  *chunk = (ws__chunk){.cap = size - sizeof(ws__chunk)};
  return chunk;
}

static void append_chunk(ws__output *output, ws__chunk *chunk) {
  if (output->tail == NULL) {
    output->head = chunk;
  } else {
    output->tail->next = chunk;
  }
  output->tail = chunk;
}

/* Unlinks the first chunk; one of ours is freed, a lent one is ready again. */
static void drop_head(ws__output *output, const ws_allocator *allocator) {
  ws__chunk *chunk = output->head;
  output->head = chunk->next;
  if (output->head == NULL) output->tail = NULL;

  if (chunk == output->lent) {
    *chunk = (ws__chunk){.cap = chunk->cap};
  } else {
    ws__free(allocator, chunk, chunk_size(chunk));
  }
}

uint8_t *ws__output_reserve(ws__output *output, const ws_allocator *allocator,
                            size_t len) {
  ws__chunk *chunk = output->tail != NULL ? output->tail : output->lent;
  if (chunk == NULL || len > chunk->cap - chunk->end) {
    chunk = chunk_new(allocator, len);
    if (chunk == NULL) return NULL;
  }
  if (chunk != output->tail) append_chunk(output, chunk);
  return chunk->data + chunk->end;
}

void ws__output_commit(ws__output *output, size_t len, uint64_t payload) {
  ws__chunk *chunk = output->tail;
  assert(len <= chunk->cap - chunk->end);
  chunk->end += len;
  chunk->payload += payload;
  output->len += len;
  output->payload += payload;
}

size_t ws__output_slices(const ws__output *output, ws_slice *slices,
                         size_t max) {
  size_t count = 0;
  for (const ws__chunk *chunk = output->head; chunk != NULL && count < max;
       chunk = chunk->next) {
    slices[count].data = chunk->data + chunk->start;
    slices[count].len = chunk->end - chunk->start;
    count++;
  }
  return count;
}

/* Counts messages that have left only in part by the bytes they still have in
 * the queue, which is exact but for the head of a frame. */
static void consume_from(ws__output *output, ws__chunk *chunk, size_t len) {
  chunk->start += len;
  output->len -= len;

  const size_t left = chunk->end - chunk->start;
  if (chunk->payload > left) {
    output->payload -= chunk->payload - left;
    chunk->payload = left;
  }
}

void ws__output_consume(ws__output *output, const ws_allocator *allocator,
                        size_t len) {
  assert(len <= output->len);
  while (len > 0) {
    ws__chunk *chunk = output->head;
    const size_t waiting = chunk->end - chunk->start;
    const size_t taken = len < waiting ? len : waiting;
    consume_from(output, chunk, taken);
    if (taken == waiting) drop_head(output, allocator);
    len -= taken;
  }
}

void ws__output_clear(ws__output *output, const ws_allocator *allocator) {
  while (output->head != NULL)
    drop_head(output, allocator);
  output->len = 0;
}

int ws__output_lend(ws__output *output, uint8_t *buffer, size_t len) {
  if (output->len > 0 || output->lent != NULL) return WS_ERR_INVALID_STATE;

  const size_t align = alignof(ws__chunk);
  const size_t skip = (align - (uintptr_t)buffer % align) % align;
  if (len <= skip + sizeof(ws__chunk)) return 0;

  ws__chunk *chunk = (ws__chunk *)(void *)(buffer + skip);
  *chunk = (ws__chunk){.cap = len - skip - sizeof(ws__chunk)};
  output->lent = chunk;
  return 0;
}

int ws__output_reclaim(ws__output *output, const ws_allocator *allocator) {
  ws__chunk *lent = output->lent;
  output->lent = NULL;
  if (lent == NULL || lent != output->head) return 0;

  const size_t waiting = lent->end - lent->start;
  ws__chunk *chunk = chunk_new(allocator, waiting);
  if (chunk == NULL) {
    output->lent = lent; /* It is not ours to free. */
    ws__output_clear(output, allocator);
    output->lent = NULL;
    return WS_ERR_NO_MEMORY;
  }
  memcpy(chunk->data, lent->data + lent->start, waiting);
  chunk->end = waiting;
  chunk->payload = lent->payload;
  chunk->next = lent->next;
  output->head = chunk;
  if (output->tail == lent) output->tail = chunk;
  return 0;
}

size_t ws__output_held(const ws__output *output) {
  size_t held = 0;
  for (const ws__chunk *chunk = output->head; chunk != NULL;
       chunk = chunk->next) {
    if (chunk != output->lent) held += chunk_size(chunk);
  }
  return held;
}
