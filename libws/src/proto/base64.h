/* base64.h - base64 with the standard alphabet and padding (RFC 4648 4). */
#ifndef WS__BASE64_H
#define WS__BASE64_H

#include "base/hidden.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

WS__HIDDEN_BEGIN

/* The length of the encoded form of `len` bytes, without a NUL. */
#define WS__BASE64_SIZE(len) (((len) + 2) / 3 * 4)

/* Writes WS__BASE64_SIZE(len) characters and no NUL. */
void ws__base64_encode(const void *data, size_t len, char *out_text);

/* Decodes strictly: a multiple of 4 characters, padding only at the end and
 * required, unused bits zero, nothing else. Writes at most text_len / 4 * 3
 * bytes. Returns false if the text is anything else. */
bool ws__base64_decode(const char *text, size_t text_len, uint8_t *out_data,
                       size_t *out_len);

WS__HIDDEN_END

#endif
