/* buf.c - see buf.h. All arithmetic is checked against WS__BUF_MAX before it is
 * done, so that no sum can wrap. */
#include "base/buf.h"

#include <assert.h>
#include <string.h>

int ws__buf_reserve(ws__buf *buf, const ws_allocator *allocator, size_t extra) {
  if (extra <= buf->cap - buf->len) return 0;
  if (extra > WS__BUF_MAX - buf->len) return WS_ERR_NO_MEMORY;

  const size_t need = buf->len + extra;
  size_t cap = buf->cap < WS__BUF_MIN ? WS__BUF_MIN : buf->cap * 2;
  if (cap > WS__BUF_MAX) cap = WS__BUF_MAX;
  return ws__buf_resize(buf, allocator, cap < need ? need : cap);
}

int ws__buf_resize(ws__buf *buf, const ws_allocator *allocator, size_t cap) {
  assert(cap > 0 && cap >= buf->len);
  if (cap > WS__BUF_MAX) return WS_ERR_NO_MEMORY;
  uint8_t *data = ws__realloc(allocator, buf->data, buf->cap, cap);
  if (data == NULL) return WS_ERR_NO_MEMORY;
  buf->data = data;
  buf->cap = cap;
  return 0;
}

int ws__buf_append(ws__buf *buf, const ws_allocator *allocator,
                   const void *data, size_t len) {
  if (len == 0) return 0;
  const int err = ws__buf_reserve(buf, allocator, len);
  if (err != 0) return err;
  memcpy(buf->data + buf->len, data, len);
  buf->len += len;
  return 0;
}

int ws__buf_append_str(ws__buf *buf, const ws_allocator *allocator,
                       const char *str) {
  return ws__buf_append(buf, allocator, str, strlen(str));
}

void ws__buf_free(ws__buf *buf, const ws_allocator *allocator) {
  ws__free(allocator, buf->data, buf->cap);
  *buf = (ws__buf){0};
}
