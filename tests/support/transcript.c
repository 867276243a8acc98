#include "transcript.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Longer data is shown by its length and hash. */
#define MAX_SHOWN 200

static void reserve(transcript *t, size_t extra) {
  if (t->cap - t->len > extra) return;
  t->cap = (t->len + extra) * 2 + 256;
  t->text = realloc(t->text, t->cap);
  if (t->text == NULL) abort();
}

void transcript_add(transcript *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  va_list again;
  va_copy(again, args);
  const int size = vsnprintf(NULL, 0, format, args);
  reserve(t, (size_t)size + 1);
  vsnprintf(t->text + t->len, (size_t)size + 1, format, again);
  t->len += (size_t)size;
  va_end(again);
  va_end(args);
}

/* FNV-1a. */
static uint64_t hash(const uint8_t *data, size_t len) {
  uint64_t h = UINT64_C(0xCBF29CE484222325);
  for (size_t i = 0; i < len; i++) {
    h = (h ^ data[i]) * UINT64_C(0x100000001B3);
  }
  return h;
}

void transcript_add_data(transcript *t, const uint8_t *data, size_t len) {
  static const char digits[] = "0123456789abcdef";
  if (len > MAX_SHOWN) {
    transcript_add(t, ": %zu bytes with hash %016llx\n", len,
                   (unsigned long long)hash(data, len));
    return;
  }
  reserve(t, 2 + 3 * len + 1);
  char *out = t->text + t->len;
  *out++ = ':';
  for (size_t i = 0; i < len; i++) {
    *out++ = ' ';
    *out++ = digits[data[i] >> 4];
    *out++ = digits[data[i] & 15];
  }
  *out++ = '\n';
  *out = '\0';
  t->len = (size_t)(out - t->text);
}

const char *transcript_text(const transcript *t) {
  return t->text != NULL ? t->text : "";
}

void transcript_clear(transcript *t) {
  t->len = 0;
  if (t->text != NULL) t->text[0] = '\0';
}

void transcript_free(transcript *t) {
  free(t->text);
  *t = (transcript){0};
}
