/* pack.c - while counting only `used` grows; while copying each piece goes to
 * where `used` stood, so that both runs lay out the block alike. */
#include "api/pack.h"

#include <stdalign.h>
#include <string.h>

/* Room for `size` bytes, or NULL while counting. */
static void *take(ws__pack *pack, size_t size, size_t align) {
  const size_t start = (pack->used + align - 1) / align * align;
  pack->used = start + size;
  return pack->block != NULL ? pack->block + start : NULL;
}

const char *ws__pack_bytes(ws__pack *pack, const char *bytes, size_t len) {
  char *copy = take(pack, len + 1, 1);
  if (copy == NULL) return NULL;
  if (len > 0) memcpy(copy, bytes, len);
  copy[len] = '\0';
  return copy;
}

const char *ws__pack_string(ws__pack *pack, const char *string) {
  return string != NULL ? ws__pack_bytes(pack, string, strlen(string)) : NULL;
}

const char *const *ws__pack_strings(ws__pack *pack, const char *const *strings,
                                    size_t count) {
  if (count == 0) return NULL;
  const char **copy = take(pack, count * sizeof(*copy), alignof(char *));
  for (size_t i = 0; i < count; i++) {
    const char *string = ws__pack_string(pack, strings[i]);
    if (copy != NULL) copy[i] = string;
  }
  return copy;
}

const ws_header *ws__pack_headers(ws__pack *pack, const ws_header *headers,
                                  size_t count) {
  if (count == 0) return NULL;
  ws_header *copy = take(pack, count * sizeof(*copy), alignof(ws_header));
  for (size_t i = 0; i < count; i++) {
    const ws_header *h = &headers[i];
    const char *name = ws__pack_bytes(pack, h->name, h->name_len);
    const char *value = ws__pack_bytes(pack, h->value, h->value_len);
    if (copy != NULL) {
      copy[i] = (ws_header){name, h->name_len, value, h->value_len};
    }
  }
  return copy;
}
