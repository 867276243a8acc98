/* ip.h - IP addresses from text to bytes, in the forms that mean the same
 * everywhere: no octal, hexadecimal or short IPv4, no zone behind IPv6. */
#ifndef WS__IP_H
#define WS__IP_H

#include "base/hidden.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

WS__HIDDEN_BEGIN

#define WS__IP4_SIZE 4
#define WS__IP6_SIZE 16

/* An address in network order; `len` is WS__IP4_SIZE or WS__IP6_SIZE, and 0 for
 * what is no address. */
typedef struct ws__ip {
  uint8_t len;
  uint8_t bytes[WS__IP6_SIZE];
} ws__ip;

/* Four decimal octets without leading zeros. After false `out` is undefined. */
bool ws__ip4_parse(const char *text, size_t len, uint8_t out[WS__IP4_SIZE]);

/* The forms of RFC 4291 2.2, without brackets. After false `out` is undefined.
 */
bool ws__ip6_parse(const char *text, size_t len, uint8_t out[WS__IP6_SIZE]);

/* Either of them. */
ws__ip ws__ip_parse(const char *text, size_t len);

/* Whether two addresses are of the same kind and equal in their first `bits`
 * bits, at most 8 * a->len. */
bool ws__ip_is_same_net(const ws__ip *a, const ws__ip *b, unsigned bits);

WS__HIDDEN_END

#endif
