/* authority.h - who is meant (Host) and who asks (Origin): the two headers a
 * server decides on before anything else. */
#ifndef WS__AUTHORITY_H
#define WS__AUTHORITY_H

#include "base/hidden.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

WS__HIDDEN_BEGIN

/* host [ ":" port ], as it stands in Host and Origin. */
typedef struct ws__authority {
  const char *host; /* A slice of the parsed text; IPv6 with its brackets. */
  size_t host_len;
  bool has_port;
  uint16_t port;
} ws__authority;

/* Parses `uri-host [ ":" port ]` (RFC 9110 7.2) with a host that is not empty.
 * Returns false for anything else. */
bool ws__authority_parse(const char *text, size_t len, ws__authority *out);

/* Whether an entry of the NULL-terminated `allowed` names the host. An entry
 * with a port is for that port alone, one without for all. Case is ignored. */
bool ws__host_is_allowed(const ws__authority *host, const char *const *allowed);

/* Whether the Origin is one of the NULL-terminated `allowed`: the whole of it,
 * ASCII case ignored, or "*" for any. */
bool ws__origin_is_allowed(const char *origin, size_t len,
                           const char *const *allowed);

/* Whether the Origin is that of a page of `host` itself: http or https, with
 * `is_secure` only https, the same host, and the same port, where the one that
 * is missing is the default of the Origin's scheme. So a TLS proxy in front of
 * a plain server does no harm. */
bool ws__origin_is_same(const char *origin, size_t len,
                        const ws__authority *host, bool is_secure);

WS__HIDDEN_END

#endif
