/* ws/url.h - WebSocket URLs as a browser's constructor takes them.
 *
 * Follows the WHATWG URL standard for the schemes ws and wss, with http and
 * https taken as their equals (WebSockets standard, constructor steps 1-7), and
 * npm ws's ws+unix:PATH:TARGET for Unix sockets. */
#ifndef WS_URL_H
#define WS_URL_H

#include "ws/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A parsed URL. One allocation that ws_url_free() releases; never changed after
 * parsing, so any number of threads may read it. All strings end in NUL. */
typedef struct ws_url {
  /* The URL serialised, what the `url` attribute shows: "ws://h:8080/". */
  const char *href;
  /* "ws://h:8080": scheme, host and a port that is not the default. */
  const char *origin;
  /* The name or address to connect to, in ASCII, IPv6 without its brackets;
   * "localhost" for a Unix socket. */
  const char *host;
  /* What the Host header carries: host, IPv6 in brackets, and a port that is
   * not the default (RFC 6455 section 4.1 item 4). */
  const char *authority;
  /* The request target: path and query, "/chat?room=1". */
  const char *target;
  /* "Basic ..." made from user name and password, percent-decoded (RFC 7617),
   * or NULL when the URL has neither. */
  const char *authorization;
  /* The path of the Unix socket, or NULL. */
  const char *unix_path;
  /* The port to connect to, the scheme's default filled in. */
  uint16_t port;
  /* Whether the connection must run over TLS (wss, https). */
  bool is_secure;
} ws_url;

/* Parses and normalises `text` (UTF-8, `len` bytes, borrowed for the call).
 * `allocator` makes the result and is borrowed until ws_url_free(); NULL for
 * malloc.
 * Returns 0; WS_ERR_SYNTAX when the text is no absolute URL, has another
 * scheme, an unacceptable host or port or a fragment (even an empty one), and
 * then `*out_reason`, if `out_reason` is not NULL, is a static string that names
 * what was wrong; WS_ERR_NO_MEMORY. Hosts that are not ASCII need a build with
 * libidn2 and are a WS_ERR_SYNTAX without. Any thread. Since 0.1. */
WS_API int ws_url_parse(const char *text, size_t len,
                        const ws_allocator *allocator, ws_url **out_url,
                        const char **out_reason);

/* Releases a URL. NULL is fine. Since 0.1. */
WS_API void ws_url_free(ws_url *url);

#ifdef __cplusplus
}
#endif

#endif /* WS_URL_H */
