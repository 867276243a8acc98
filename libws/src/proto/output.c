/* output.c - the queue as a ring of chunks, known by its last one: behind it
 * stands the first, so that both ends are at hand. */
#include "proto/output.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

/* What a new chunk takes at least, with its head. Most queues get one small
 * frame and are empty again; where more come, several fit one chunk. */
#define FIRST_SIZE 512
#define NEXT_SIZE  4096

/* -- Chunks ---------------------------------------------------------------- */

static size_t waiting_in(const ws__chunk *chunk) {
  return chunk->end - chunk->start;
}

/* Room for more bytes behind those that wait. */
static size_t room_in(const ws__chunk *chunk) {
  return chunk->data == chunk->bytes ? chunk->cap - chunk->end : 0;
}

static ws__chunk *chunk_new(const ws_allocator *allocator, size_t len,
                            size_t min_size) {
  if (len > SIZE_MAX - sizeof(ws__chunk)) return NULL;
  size_t size = sizeof(ws__chunk) + len;
  if (size < min_size) size = min_size;

  ws__chunk *chunk = ws__alloc(allocator, size);
  if (chunk == NULL) return NULL;
  *chunk = (ws__chunk){.data = chunk->bytes, .cap = size - sizeof(ws__chunk)};
  return chunk;
}

/* A chunk for bytes that lie elsewhere; all of them wait. */
static ws__chunk *pointer_new(const ws_allocator *allocator,
                              ws__chunk_kind kind, ws_slice bytes,
                              uint64_t payload) {
  ws__chunk *chunk = ws__alloc(allocator, sizeof(*chunk));
  if (chunk == NULL) return NULL;
  *chunk = (ws__chunk){
      .data = bytes.data,
      .end = bytes.len,
      .cap = bytes.len,
      .payload = payload,
      .kind = kind,
  };
  return chunk;
}

static size_t chunk_held(const ws__chunk *chunk) {
  switch (chunk->kind) {
  case WS__CHUNK_OWN:
  case WS__CHUNK_COPIED: return sizeof(*chunk) + chunk->cap;
  case WS__CHUNK_SHARED:
  case WS__CHUNK_BORROWED: return sizeof(*chunk);
  case WS__CHUNK_LENT: break;
  }
  return 0;
}

static void chunk_free(const ws_allocator *allocator, ws__chunk *chunk) {
  switch (chunk->kind) {
  case WS__CHUNK_LENT: return; /* Not ours: it is reclaimed. */
  case WS__CHUNK_OWN: ws__free(allocator, chunk, chunk_held(chunk)); return;
  case WS__CHUNK_SHARED: ws_message_free(chunk->owner.message); break;
  case WS__CHUNK_COPIED:
    ws__free(allocator, chunk->owner.copy, chunk->cap);
    break;
  case WS__CHUNK_BORROWED: break;
  }
  ws__free(allocator, chunk, sizeof(*chunk));
}

/* -- The ring -------------------------------------------------------------- */

static ws__chunk *first(const ws__output *output) {
  return output->last->next;
}

/* The lent chunk, or NULL. */
static ws__chunk *find_loan(const ws__output *output) {
  if (output->last == NULL) return NULL;
  return first(output)->kind == WS__CHUNK_LENT ? first(output) : NULL;
}

/* What stands before the first chunk in which bytes wait; there is one. */
static ws__chunk *before_waiting(const ws__output *output) {
  ws__chunk *before = output->last;
  return waiting_in(before->next) > 0 ? before : before->next;
}

static void insert_after(ws__chunk *before, ws__chunk *chunk) {
  chunk->next = before->next;
  before->next = chunk;
}

static void drop_after(ws__output *output, const ws_allocator *allocator,
                       ws__chunk *before) {
  ws__chunk *chunk = before->next;
  before->next = chunk->next;
  if (chunk == output->last) output->last = chunk != before ? before : NULL;
  chunk_free(allocator, chunk);
}

/* A chunk that has stayed only for its count hands that on and goes. */
static void append(ws__output *output, const ws_allocator *allocator,
                   ws__chunk *chunk) {
  uint64_t early = 0;
  if (output->last != NULL && output->len == 0) {
    early = first(output)->early;
    ws__output_clear(output, allocator);
  }
  if (output->last != NULL) {
    insert_after(output->last, chunk);
  } else {
    chunk->next = chunk;
  }
  output->last = chunk;
  first(output)->early += early;
}

/* -- Bytes in -------------------------------------------------------------- */

bool ws__output_fits(const ws__output *output, size_t len) {
  return output->last != NULL && len <= room_in(output->last);
}

/* ws__output_reserve(), by a chunk of at least `min_size` if one is needed. */
static uint8_t *reserve(ws__output *output, const ws_allocator *allocator,
                        size_t len, size_t min_size) {
  if (!ws__output_fits(output, len)) {
    ws__chunk *chunk = chunk_new(allocator, len, min_size);
    if (chunk == NULL) return NULL;
    append(output, allocator, chunk);
  }
  return output->last->bytes + output->last->end;
}

uint8_t *ws__output_reserve(ws__output *output, const ws_allocator *allocator,
                            size_t len) {
  return reserve(output, allocator, len,
                 output->len == 0 ? FIRST_SIZE : NEXT_SIZE);
}

/* Counts what the last chunk holds more than before. */
static void extend_last(ws__output *output, size_t len, uint64_t payload) {
  output->last->end += len;
  output->last->payload += payload;
  output->len += len;
  output->payload += payload;
}

void ws__output_commit(ws__output *output, size_t len, uint64_t payload) {
  assert(len <= room_in(output->last));
  extend_last(output, len, payload);
}

static void append_pointer(ws__output *output, const ws_allocator *allocator,
                           ws__chunk *chunk) {
  append(output, allocator, chunk);
  output->len += chunk->end;
  output->payload += chunk->payload;
}

/* Whether a frame of `message` lies right behind what the last chunk holds. */
static bool continues(const ws__output *output, const ws_message *message,
                      ws_slice frame) {
  const ws__chunk *last = output->last;
  return last != NULL && last->kind == WS__CHUNK_SHARED &&
         last->owner.message == message->keeper &&
         last->data + last->end == frame.data;
}

int ws__output_share(ws__output *output, const ws_allocator *allocator,
                     const ws_message *message, ws_slice frame) {
  if (continues(output, message, frame)) {
    output->last->cap += frame.len;
    extend_last(output, frame.len, message->len);
    return 0;
  }
  ws__chunk *chunk =
      pointer_new(allocator, WS__CHUNK_SHARED, frame, message->len);
  if (chunk == NULL) return WS_ERR_NO_MEMORY;
  chunk->owner.message = ws_message_retain(message->keeper);
  append_pointer(output, allocator, chunk);
  return 0;
}

int ws__output_borrow(ws__output *output, const ws_allocator *allocator,
                      ws_slice head, ws_slice payload) {
  ws__chunk *chunk =
      pointer_new(allocator, WS__CHUNK_BORROWED, payload, payload.len);
  if (chunk == NULL) return WS_ERR_NO_MEMORY;
  uint8_t *place = reserve(output, allocator, head.len, 0);
  if (place == NULL) {
    chunk_free(allocator, chunk);
    return WS_ERR_NO_MEMORY;
  }
  memcpy(place, head.data, head.len);
  ws__output_commit(output, head.len, 0);
  append_pointer(output, allocator, chunk);
  return 0;
}

/* Copies what waits in a borrowed chunk. */
static int own(const ws_allocator *allocator, ws__chunk *chunk) {
  const size_t waiting = waiting_in(chunk);
  uint8_t *copy = ws__alloc(allocator, waiting);
  if (copy == NULL) return WS_ERR_NO_MEMORY;
  memcpy(copy, chunk->data + chunk->start, waiting);
  chunk->kind = WS__CHUNK_COPIED;
  chunk->owner.copy = copy;
  chunk->data = copy;
  chunk->start = 0;
  chunk->end = chunk->cap = waiting;
  return 0;
}

int ws__output_own(ws__output *output, const ws_allocator *allocator) {
  ws__chunk *chunk = output->last;
  if (chunk == NULL) return 0;
  do {
    chunk = chunk->next;
    const bool is_due =
        chunk->kind == WS__CHUNK_BORROWED && waiting_in(chunk) > 0;
    if (is_due && own(allocator, chunk) != 0) {
      ws__output_clear(output, allocator);
      return WS_ERR_NO_MEMORY;
    }
  } while (chunk != output->last);
  return 0;
}

/* -- Bytes out ------------------------------------------------------------- */

size_t ws__output_slices(const ws__output *output, ws_slice *slices,
                         size_t max) {
  if (output->len == 0 || max == 0) return 0;
  const ws__chunk *chunk = before_waiting(output);
  size_t count = 0;
  do {
    chunk = chunk->next;
    slices[count].data = chunk->data + chunk->start;
    slices[count].len = waiting_in(chunk);
    count++;
  } while (chunk != output->last && count < max);
  return count;
}

/* Takes bytes from a chunk. Returns the payload that has left with them:
 * messages that have left only in part count by the bytes they still have in
 * the queue, which is exact but for the head of a frame. */
static uint64_t take(ws__chunk *chunk, size_t len) {
  chunk->start += len;
  const size_t left = waiting_in(chunk);
  if (chunk->payload <= left) return 0;
  const uint64_t gone = chunk->payload - left;
  chunk->payload = left;
  return gone;
}

/* Takes the first `len` bytes. Returns the payload that has left with them, or
 * had left before with a chunk that is dropped. */
static uint64_t take_first(ws__output *output, const ws_allocator *allocator,
                           size_t len) {
  assert(len <= output->len);
  uint64_t gone = 0;
  output->len -= len;
  while (len > 0) {
    ws__chunk *before = before_waiting(output);
    ws__chunk *chunk = before->next;
    const size_t waiting = waiting_in(chunk);
    const size_t taken = len < waiting ? len : waiting;
    gone += take(chunk, taken);
    len -= taken;
    if (taken < waiting) break;
    if (chunk->data == chunk->bytes) chunk->start = chunk->end = 0;
    if (chunk != output->last && chunk->kind != WS__CHUNK_LENT) {
      gone += chunk->early;
      drop_after(output, allocator, before);
    }
  }
  return gone;
}

void ws__output_consume_early(ws__output *output, const ws_allocator *allocator,
                              size_t len) {
  const uint64_t gone = take_first(output, allocator, len);
  if (gone > 0) first(output)->early += gone;
}

void ws__output_settle(ws__output *output, const ws_allocator *allocator) {
  if (output->last == NULL) return;
  if (first(output)->early > 0) {
    output->payload -= first(output)->early;
    first(output)->early = 0;
  }
  if (output->len == 0 && output->last->kind != WS__CHUNK_LENT) {
    ws__output_clear(output, allocator);
  }
}

void ws__output_consume(ws__output *output, const ws_allocator *allocator,
                        size_t len) {
  output->payload -= take_first(output, allocator, len);
  ws__output_settle(output, allocator);
}

void ws__output_clear(ws__output *output, const ws_allocator *allocator) {
  ws__chunk *loan = find_loan(output);
  while (output->last != loan)
    drop_after(output, allocator, loan != NULL ? loan : output->last);
  if (loan != NULL) {
    loan->start = loan->end = 0;
    loan->payload = loan->early = 0;
  }
  output->len = 0;
}

/* -- Lent buffers ---------------------------------------------------------- */

int ws__output_lend(ws__output *output, uint8_t *buffer, size_t len) {
  if (output->last != NULL) return WS_ERR_INVALID_STATE;

  const size_t align = alignof(ws__chunk);
  const size_t skip = (align - (uintptr_t)buffer % align) % align;
  if (len <= skip + sizeof(ws__chunk)) return 0;

  ws__chunk *chunk = (ws__chunk *)(void *)(buffer + skip);
  *chunk = (ws__chunk){
      .next = chunk,
      .data = chunk->bytes,
      .cap = len - skip - sizeof(ws__chunk),
      .kind = WS__CHUNK_LENT,
  };
  output->last = chunk;
  return 0;
}

/* Copies what waits in the loan to a chunk behind it. */
static int copy_loan(ws__output *output, const ws_allocator *allocator,
                     ws__chunk *loan) {
  const size_t waiting = waiting_in(loan);
  ws__chunk *copy = chunk_new(allocator, waiting, NEXT_SIZE);
  if (copy == NULL) return WS_ERR_NO_MEMORY;
  memcpy(copy->bytes, loan->data + loan->start, waiting);
  copy->end = waiting;
  copy->payload = loan->payload;
  insert_after(loan, copy);
  if (output->last == loan) output->last = copy;
  return 0;
}

int ws__output_reclaim(ws__output *output, const ws_allocator *allocator) {
  ws__output_settle(output, allocator);
  ws__chunk *loan = find_loan(output);
  if (loan == NULL) return 0;

  int err = 0;
  if (waiting_in(loan) > 0) err = copy_loan(output, allocator, loan);
  if (err != 0) ws__output_clear(output, allocator);
  output->last->next = loan->next;
  if (output->last == loan) output->last = NULL;
  return err;
}

size_t ws__output_held(const ws__output *output) {
  if (output->last == NULL) return 0;
  size_t held = 0;
  const ws__chunk *chunk = output->last;
  do {
    chunk = chunk->next;
    held += chunk_held(chunk);
  } while (chunk != output->last);
  return held;
}
