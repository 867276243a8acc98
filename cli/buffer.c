/* buffer.c - doubles as it grows, so that appending is linear over all. */
#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_CAPACITY 256
#define MAX_CAPACITY (SIZE_MAX / 2)

static size_t grown(size_t capacity, size_t needed) {
  if (capacity < MIN_CAPACITY) capacity = MIN_CAPACITY;
  while (capacity < needed)
    capacity *= 2;
  return capacity;
}

bool buffer_reserve(buffer *b, size_t extra) {
  if (b->has_failed) return false;
  if (extra <= b->capacity - b->len) return true;

  char *data = NULL;
  size_t capacity = 0;
  if (extra <= MAX_CAPACITY - b->len) {
    capacity = grown(b->capacity, b->len + extra);
    data = realloc(b->data, capacity);
  }
  if (data == NULL) {
    b->has_failed = true;
    return false;
  }
  b->data = data;
  b->capacity = capacity;
  return true;
}

void buffer_append(buffer *b, const void *data, size_t len) {
  if (len == 0 || !buffer_reserve(b, len)) return;
  memcpy(b->data + b->len, data, len);
  b->len += len;
}

void buffer_append_text(buffer *b, const char *text) {
  buffer_append(b, text, strlen(text));
}

void buffer_append_char(buffer *b, char c) {
  buffer_append(b, &c, 1);
}

void buffer_printf(buffer *b, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (len < 0 || !buffer_reserve(b, (size_t)len + 1)) {
    b->has_failed = true;
    return;
  }
  va_start(args, format);
  vsnprintf(b->data + b->len, (size_t)len + 1, format, args);
  va_end(args);
  b->len += (size_t)len;
}

void buffer_remove_front(buffer *b, size_t len) {
  b->len -= len;
  if (len > 0 && b->len > 0) memmove(b->data, b->data + len, b->len);
}

void buffer_clear(buffer *b) {
  b->len = 0;
  b->has_failed = false;
}

void buffer_free(buffer *b) {
  free(b->data);
  *b = (buffer){0};
}
