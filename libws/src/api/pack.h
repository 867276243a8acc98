/* pack.h - deep copies of options in one block: strings, lists of strings,
 * headers.
 *
 * The same function that copies is run twice, first over a pack without memory,
 * which only counts, then over one with as much as was counted. */
#ifndef WS__PACK_H
#define WS__PACK_H

#include "base/hidden.h"
#include "ws/base.h"

WS__HIDDEN_BEGIN

typedef struct ws__pack {
  uint8_t *block; /* NULL: only count. */
  size_t used;
} ws__pack;

/* Copies `len` bytes and a NUL. Like the others, returns NULL while counting.
 */
const char *ws__pack_bytes(ws__pack *pack, const char *bytes, size_t len);

/* Copies a string; NULL stays NULL. */
const char *ws__pack_string(ws__pack *pack, const char *string);

/* Copies a list of strings. */
const char *const *ws__pack_strings(ws__pack *pack, const char *const *strings,
                                    size_t count);

/* Copies headers; their strings end in NUL then. */
const ws_header *ws__pack_headers(ws__pack *pack, const ws_header *headers,
                                  size_t count);

WS__HIDDEN_END

#endif
