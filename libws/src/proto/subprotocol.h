/* subprotocol.h - the list in Sec-WebSocket-Protocol (RFC 6455 11.3.4). */
#ifndef WS__SUBPROTOCOL_H
#define WS__SUBPROTOCOL_H

#include "base/hidden.h"
#include "proto/http.h"

WS__HIDDEN_BEGIN

/* The subprotocols a request offers, in order, as strings that end in NUL. A
 * zeroed struct is an empty list. */
typedef struct ws__subprotocols {
  const char **names; /* One block of `size` bytes holds all. */
  size_t count;
  size_t size;
} ws__subprotocols;

/* Reads what a request offers: tokens, none twice, over any number of headers.
 * Returns 0, WS_ERR_INVALID_SUBPROTOCOL or WS_ERR_NO_MEMORY with `*reason`
 * (static), and then the list is empty. */
int ws__subprotocols_read(ws__subprotocols *list, const ws__http_head *head,
                          const ws_allocator *allocator, const char **reason);

void ws__subprotocols_free(ws__subprotocols *list,
                           const ws_allocator *allocator);

/* Whether exactly `name` is among `count` names. */
bool ws__subprotocol_is_among(const char *name, const char *const *names,
                              size_t count);

WS__HIDDEN_END

#endif
