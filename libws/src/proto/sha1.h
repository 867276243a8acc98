/* sha1.h - SHA-1 (FIPS 180-4) for Sec-WebSocket-Accept, its only use here.
 * The protocol asks for it; nothing rests on its strength (RFC 6455 10.8). */
#ifndef WS__SHA1_H
#define WS__SHA1_H

#include "base/hidden.h"

#include <stddef.h>
#include <stdint.h>

WS__HIDDEN_BEGIN

#define WS__SHA1_SIZE 20

void ws__sha1(const void *data, size_t len, uint8_t out_digest[WS__SHA1_SIZE]);

WS__HIDDEN_END

#endif
