/* buffer.h - text that grows, for lines read and lines written.
 *
 * A zeroed struct is an empty buffer. When memory runs out the buffer keeps
 * what it has, `has_failed` stays set and later appends do nothing, so that a
 * writer checks once, at the end. */
#ifndef CLI_BUFFER_H
#define CLI_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "printf_like.h"

typedef struct buffer {
  char *data;
  size_t len;
  size_t capacity;
  bool has_failed;
} buffer;

/* Makes room for `extra` more bytes behind `len`. Returns whether there is. */
bool buffer_reserve(buffer *b, size_t extra);

void buffer_append(buffer *b, const void *data, size_t len);
void buffer_append_text(buffer *b, const char *text);
void buffer_append_char(buffer *b, char c);

void buffer_printf(buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Takes the first `len` bytes away. */
void buffer_remove_front(buffer *b, size_t len);

/* Empties it, and forgives it a failure; the memory stays. */
void buffer_clear(buffer *b);

void buffer_free(buffer *b);

#endif
