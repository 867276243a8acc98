/* handshake.h - the opening handshake of both roles (RFC 6455 section 4), with
 * the negotiation of subprotocols and permessage-deflate (RFC 7692 section 7).
 *
 * Pure: heads in, heads out. Nothing here knows of connections or events. */
#ifndef WS__HANDSHAKE_H
#define WS__HANDSHAKE_H

#include "base/buf.h"
#include "base/hidden.h"
#include "proto/deflate.h"
#include "proto/extension.h"
#include "proto/http.h"
#include "ws/conn.h"

WS__HIDDEN_BEGIN

#define WS__KEY_SIZE    24 /* Sec-WebSocket-Key: 16 bytes in base64. */
#define WS__ACCEPT_SIZE 28 /* Sec-WebSocket-Accept: 20 bytes in base64. */

/* RFC 6455 4.2.2 item 5.4: base64(SHA-1(key + GUID)). */
void ws__handshake_accept_key(const char key[WS__KEY_SIZE],
                              char out_accept[WS__ACCEPT_SIZE]);

/* Judges headers an application wants to add to a head of ours, of a proxy's
 * tunnel too: well-formed, and none that the library writes or that frames a
 * body. Returns 0 or WS_ERR_INVALID_ARGUMENT with `*reason` (static). */
int ws__handshake_check_headers(const ws_header *headers, size_t count,
                                const char **reason);

/* -- Client ---------------------------------------------------------------- */

/* Checks `request` and appends the request head to `out`. Everything is
 * checked, the strings of the URL too, so that nothing an application passes on
 * can add a line to the head. Returns 0, WS_ERR_SYNTAX (a subprotocol),
 * WS_ERR_INVALID_ARGUMENT or WS_ERR_NO_MEMORY, with `*reason` (static), and
 * then `out` is as it was. */
int ws__handshake_write_request(const ws_conn_request *request,
                                const ws__deflate_offer *offer,
                                const char key[WS__KEY_SIZE],
                                const ws_allocator *allocator, ws__buf *out,
                                const char **reason);

/* What a 101 agreed on. */
typedef struct ws__agreement {
  const char *protocol;   /* Stands in the head, or "". */
  const char *extensions; /* The header value; stands in the head, or "". */
  bool has_deflate;
  ws__deflate_params deflate;
} ws__agreement;

/* Judges the response to a request made with `key`, `protocols` and `offer`.
 * Returns 0, or the error that fails the connection and `*reason` (static). */
int ws__handshake_check_response(const ws__http_head *head,
                                 const char key[WS__KEY_SIZE],
                                 const char *const *protocols,
                                 size_t protocol_count,
                                 const ws__deflate_offer *offer,
                                 ws__agreement *out_agreement,
                                 const char **reason);

/* -- Server ---------------------------------------------------------------- */

typedef struct ws__server_rules {
  const char *const *origins; /* As in ws_conn_options; NULL: same origin. */
  const char *const *hosts;   /* As in ws_conn_options; NULL: any. */
  bool is_secure;
  ws__deflate_offer deflate;
} ws__server_rules;

/* What a request asks for. */
typedef struct ws__upgrade {
  bool is_upgrade;        /* False: plain HTTP, all else is unset. */
  char key[WS__KEY_SIZE]; /* Sec-WebSocket-Key. */
  const char **protocols; /* Offered, in order; NUL-terminated strings. */
  size_t protocol_count;
  size_t protocol_size; /* Of the block at `protocols`. */
  bool has_deflate;     /* An offer we can meet was found: */
  ws__deflate_params deflate;
  char extensions[WS__EXTENSION_SIZE]; /* The answer to it, or "". */
} ws__upgrade;

/* Judges a request. One that neither names websocket in Upgrade nor has a
 * Sec-WebSocket-Key is plain HTTP; of that only Host is judged.
 * Returns 0 (with is_upgrade true or false), or the error for which it is
 * refused and `*reason` (static); then there is nothing to free. */
int ws__handshake_check_request(const ws__http_head *head,
                                const ws__server_rules *rules,
                                const ws_allocator *allocator,
                                ws__upgrade *out_upgrade, const char **reason);

/* The HTTP status with which a server refuses a request for `err`. */
uint16_t ws__handshake_status(int err);

void ws__upgrade_free(ws__upgrade *upgrade, const ws_allocator *allocator);

/* Appends the 101 to `out`. `protocol` is NULL or one of those offered.
 * Returns 0, WS_ERR_INVALID_ARGUMENT or WS_ERR_NO_MEMORY, with `*reason`
 * (static), and then `out` is as it was. */
int ws__handshake_write_accept(const ws__upgrade *upgrade, const char *protocol,
                               const ws_header *headers, size_t header_count,
                               const ws_allocator *allocator, ws__buf *out,
                               const char **reason);

/* Appends a complete plain response that ends the connection, with or without
 * its body. Content-Length and Connection are added, with 405 the Allow and
 * with 426 the Upgrade and Sec-WebSocket-Version that RFC 9110 and RFC 6455 ask
 * for; 204 and 304 have neither body nor Content-Length. `status` is 200 to
 * 599. Returns as ws__handshake_write_accept(). */
int ws__handshake_write_response(uint16_t status, const ws_header *headers,
                                 size_t header_count, const void *body,
                                 size_t body_len, bool has_body,
                                 const ws_allocator *allocator, ws__buf *out,
                                 const char **reason);

WS__HIDDEN_END

#endif
