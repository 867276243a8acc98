/* siphash.h - SipHash-2-4 (Aumasson and Bernstein, 2012): a hash under a secret
 * key, for tables whose names strangers choose. Who does not know the key
 * cannot find many names that fall into one bucket. */
#ifndef WS__SIPHASH_H
#define WS__SIPHASH_H

#include "base/hidden.h"

#include <stddef.h>
#include <stdint.h>

WS__HIDDEN_BEGIN

typedef struct ws__siphash_key {
  uint64_t k0, k1;
} ws__siphash_key;

uint64_t ws__siphash(ws__siphash_key key, const void *data, size_t len);

WS__HIDDEN_END

#endif
