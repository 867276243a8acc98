/* extension.h - Sec-WebSocket-Extensions (RFC 6455 9.1) and the negotiation of
 * permessage-deflate (RFC 7692 7.1), the only extension there is.
 *
 * Every list is read to its end in one pass, whatever stands in it. A list that
 * breaks the grammar is an error on either side; a parameter that breaks RFC
 * 7692 declines one offer on the server and fails the connection on the
 * client. */
#ifndef WS__EXTENSION_H
#define WS__EXTENSION_H

#include "base/hidden.h"
#include "proto/deflate.h"
#include "proto/http.h"

WS__HIDDEN_BEGIN

/* Room for the longest element we write, with its NUL. */
#define WS__EXTENSION_SIZE 144

/* What is offered (client) or acceptable (server) of permessage-deflate. */
typedef struct ws__deflate_offer {
  bool is_enabled;
  ws__deflate_params params; /* Window bits are upper bounds. */
} ws__deflate_offer;

/* Client: writes the offer, "" when there is none to make. */
void ws__extension_write_offer(const ws__deflate_offer *offer,
                               char out_text[WS__EXTENSION_SIZE]);

/* Server: accepts the first of the client's offers that is legal, within the
 * bounds of `ours`, and writes the answer; "" and `*has_deflate` false when
 * there is none. `*params` is what the answer says, no more and no less.
 * Returns 0 or WS_ERR_INVALID_EXTENSIONS with `*reason` (static). */
int ws__extension_choose(const ws__http_head *head,
                         const ws__deflate_offer *ours, bool *has_deflate,
                         ws__deflate_params *params,
                         char out_answer[WS__EXTENSION_SIZE],
                         const char **reason);

/* Client: judges the server's answer to `offer`. Returns 0,
 * WS_ERR_INVALID_EXTENSIONS, WS_ERR_UNEXPECTED_EXTENSION or
 * WS_ERR_INVALID_EXTENSION_PARAMETER with `*reason` (static). */
int ws__extension_check(const ws__http_head *head,
                        const ws__deflate_offer *offer, bool *has_deflate,
                        ws__deflate_params *params, const char **reason);

WS__HIDDEN_END

#endif
