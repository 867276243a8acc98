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
 * parsing, so any number of threads may read it. All strings end in NUL. None
 * has a control character, and but for `href` and `unix_path` of a Unix socket
 * all are ASCII without spaces: anything else was percent-encoded or refused
 * (only `authorization` has one space, after "Basic"). */
typedef struct ws_url {
  /* The URL serialised, what the `url` attribute shows: "ws://h:8080/". That of
   * a Unix socket is kept as it was given. */
  const char *href;
  /* "ws://h:8080": scheme, host and a port that is not the default. "null" for
   * a Unix socket, as the URL standard serialises an origin without host. */
  const char *origin;
  /* The name or address to connect to, in ASCII, IPv6 without its brackets;
   * "localhost" for a Unix socket. */
  const char *host;
  /* What the Host header carries: host, IPv6 in brackets, and a port that is
   * not the default (RFC 6455 section 4.1 item 4). */
  const char *authority;
  /* The request target: path and query, "/chat?room=1". Without the "?" when
   * the query is empty (RFC 6455 section 3). */
  const char *target;
  /* "Basic ..." made from user name and password, percent-decoded (RFC 7617),
   * or NULL when the URL has neither. */
  const char *authorization;
  /* The path of the Unix socket, or NULL. */
  const char *unix_path;
  /* The port to connect to, the scheme's default filled in; may be 0. Without
   * meaning for a Unix socket. */
  uint16_t port;
  /* Whether the connection must run over TLS (wss, https). */
  bool is_secure;
} ws_url;

/* Parses and normalises `text` (UTF-8, `len` bytes, borrowed for the call):
 * trims it, drops tabs and newlines, lower-cases scheme and host, resolves dot
 * segments, brings IP addresses to their one form, percent-encodes, and turns
 * http and https into ws and wss. A Unix socket is "ws+unix:PATH:TARGET": PATH
 * is taken literally up to the first colon, TARGET is normalised and "/" when
 * it is missing.
 *
 * Hosts that are not ASCII need a build with libidn2, which applies UTS 46 and
 * then IDNA 2008; that is stricter than a browser, which also takes emoji.
 * ASCII hosts, those with "xn--" labels too, are taken as they are.
 *
 * `allocator` makes the result and is borrowed until ws_url_free(); NULL for
 * malloc. (libidn2 asks malloc for its working memory.)
 * Returns 0; WS_ERR_SYNTAX when the text is not UTF-8 (JavaScript cannot
 * express that) or not an absolute URL, or has another scheme, an unacceptable
 * host or port or a fragment, even an empty one, and then `*out_reason`, if
 * `out_reason` is not NULL, is a static string that names what was wrong;
 * WS_ERR_NO_MEMORY. Any thread. Since 0.1. */
WS_API int ws_url_parse(const char *text, size_t len,
                        const ws_allocator *allocator, ws_url **out_url,
                        const char **out_reason);

/* Releases a URL. NULL is fine. Since 0.1. */
WS_API void ws_url_free(ws_url *url);

#ifdef __cplusplus
}
#endif

#endif /* WS_URL_H */
