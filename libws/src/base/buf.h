/* buf.h - a growable run of bytes that one owner fills and empties.
 *
 * Invariant: data is NULL exactly when cap is 0; len <= cap. A zeroed struct is
 * an empty buffer. Growth doubles, so appending is linear over all, and what is
 * held is at most twice what was put in plus WS__BUF_MIN. */
#ifndef WS__BUF_H
#define WS__BUF_H

#include "base/alloc.h"
#include "base/hidden.h"

WS__HIDDEN_BEGIN

#define WS__BUF_MIN 256

/* No buffer is larger: what lies in it can be counted by a ptrdiff_t, and two
 * lengths can be added. */
#define WS__BUF_MAX (SIZE_MAX / 2)

typedef struct ws__buf {
  uint8_t *data;
  size_t len;
  size_t cap;
} ws__buf;

/* Makes room for `extra` more bytes. Returns 0 or WS_ERR_NO_MEMORY, and then
 * nothing has changed. */
int ws__buf_reserve(ws__buf *buf, const ws_allocator *allocator, size_t extra);

/* Makes the buffer hold exactly `cap` bytes, at least what is in it and not 0.
 * Returns 0 or WS_ERR_NO_MEMORY, also above WS__BUF_MAX, and then nothing has
 * changed. */
int ws__buf_resize(ws__buf *buf, const ws_allocator *allocator, size_t cap);

/* Appends `len` bytes. Returns 0 or WS_ERR_NO_MEMORY, and then nothing has
 * changed. */
int ws__buf_append(ws__buf *buf, const ws_allocator *allocator,
                   const void *data, size_t len);

/* Appends a string without its NUL. Returns as ws__buf_append. */
int ws__buf_append_str(ws__buf *buf, const ws_allocator *allocator,
                       const char *str);

/* Releases the memory and leaves an empty buffer. */
void ws__buf_free(ws__buf *buf, const ws_allocator *allocator);

WS__HIDDEN_END

#endif
