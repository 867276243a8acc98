/* tunnel.h - has a proxy connect to the target: HTTP CONNECT (RFC 9110 9.3.6)
 * and SOCKS5 (RFC 1928, RFC 1929), as bytes in and bytes out.
 *
 *     ws__tunnel_init(...)
 *     until done or an error:
 *         write ws__tunnel_output(), then ws__tunnel_consume()
 *         read, then ws__tunnel_feed()
 *     ws__tunnel_free()
 *
 * When it is done the connection is the target's. The proxy speaks when it has
 * been asked and says no more than its answer; anything else is refused, so
 * that nothing of the proxy can pass for the target's. Credentials are sent at
 * most once. */
#ifndef WS__TUNNEL_H
#define WS__TUNNEL_H

#include "base/buf.h"
#include "base/hidden.h"
#include "proto/http.h"
#include "proto/proxy.h"

WS__HIDDEN_BEGIN

/* Zeroed: nothing to be freed. All is for tunnel.c alone but what says so. */
typedef struct ws__tunnel {
  const ws_allocator *allocator;
  uint8_t stage;

  ws__buf out;  /* All that may have to be sent, in the order of sending. */
  size_t sent;  /* So much of it has been consumed. */
  size_t ready; /* So much of it may be sent by now. */

  /* HTTP. */
  ws__http_limits limits;
  ws__http_reader reader;
  ws__http_head answer; /* May be read; the status is 0 before. */

  /* SOCKS5. */
  size_t request_at;    /* Where the request begins in `out`, */
  bool can_log_in;      /* and the credentials are in front of it. */
  bool has_name;        /* The address in the reply is a name. */
  bool is_out_of_reach; /* The proxy cannot get to the target; may be read. */
  uint32_t message_at;  /* Bytes read of the message that is coming. */
  uint32_t left;        /* Bytes to come of the address and port. */
} ws__tunnel;

/* Prepares the way through `proxy` to `host`, a name or an IP address (IPv6
 * without brackets), and `port`. For WS__PROXY_SOCKS5 it must be an address,
 * for that kind leaves no name to the proxy. `limits` are for the answer to
 * CONNECT, and `headers` go with it: none that ws__handshake_check_headers()
 * refuses; a Proxy-Authorization among them replaces that of the proxy's URL.
 * Nothing is kept of the arguments but `allocator`.
 * Returns 0; WS_ERR_INVALID_ARGUMENT with `*reason` (static); or
 * WS_ERR_NO_MEMORY. After an error there is nothing to free. */
int ws__tunnel_init(ws__tunnel *tunnel, const ws__proxy *proxy,
                    const char *host, uint16_t port, const ws_header *headers,
                    size_t header_count, const ws__http_limits *limits,
                    const ws_allocator *allocator, const char **reason);

/* What is to be written now; `*out_len` is 0 if there is nothing. Valid until
 * the next call. */
const uint8_t *ws__tunnel_output(const ws__tunnel *tunnel, size_t *out_len);

/* Says that the first `len` bytes of it have been written. */
void ws__tunnel_consume(ws__tunnel *tunnel, size_t len);

/* Takes all of the bytes the proxy has sent. `*done` is set when the target is
 * connected. That the proxy ends the connection before is WS_ERR_PROXY too, for
 * the caller to say.
 * Returns 0; WS_ERR_PROXY, with `*reason` (static), and if the proxy has
 * answered CONNECT with a status that is not 2xx, tunnel->answer has it;
 * WS_ERR_NO_MEMORY; WS_ERR_INVALID_STATE after the end or an error. */
int ws__tunnel_feed(ws__tunnel *tunnel, const uint8_t *data, size_t len,
                    bool *done, const char **reason);

void ws__tunnel_free(ws__tunnel *tunnel);

WS__HIDDEN_END

#endif
