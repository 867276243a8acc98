/* proxy.h - which proxy to use: its URL parsed, and the choice the environment
 * makes. How to get through it is tunnel.h. */
#ifndef WS__PROXY_H
#define WS__PROXY_H

#include "base/alloc.h"
#include "base/hidden.h"

WS__HIDDEN_BEGIN

typedef enum ws__proxy_kind {
  WS__PROXY_HTTP,  /* CONNECT. */
  WS__PROXY_HTTPS, /* CONNECT inside TLS to the proxy, which the caller does. */
  WS__PROXY_SOCKS5, /* The caller resolves the target's name. */
  WS__PROXY_SOCKS5H /* The proxy does. */
} ws__proxy_kind;

/* A parsed proxy URL, one allocation. No string has a control character. */
typedef struct ws__proxy {
  ws__proxy_kind kind;
  uint16_t port;        /* 80, 443 or 1080 if the URL has none. */
  const char *host;     /* A name or an address, IPv6 without its brackets. */
  const char *user;     /* Percent-decoded; NULL if the URL has none. */
  const char *password; /* "" if there is a user but no password. */
} ws__proxy;

/* Parses "SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/]", where SCHEME is http,
 * https, socks5, socks5h or socks, which is what desktops write for socks5h; a
 * text without "://" has the kind `default_kind`. International host names have
 * to be in their xn-- form.
 * Returns 0; WS_ERR_SYNTAX, and then `*reason` is a static string that names
 * what was wrong; WS_ERR_NO_MEMORY. `text` is not kept. */
int ws__proxy_parse(const char *text, size_t len, ws__proxy_kind default_kind,
                    const ws_allocator *allocator, ws__proxy **out_proxy,
                    const char **reason);

/* NULL is fine. */
void ws__proxy_free(ws__proxy *proxy);

/* -- The environment -------------------------------------------------------
 *
 * The first of these that is set and not empty names the proxy, the name in
 * lower case before the one in upper case:
 *
 *     ws:   ws_proxy   socks_proxy  https_proxy  http_proxy  all_proxy
 *     wss:  wss_proxy  socks_proxy  https_proxy              all_proxy
 *
 * That is what curl and Python's websockets have in common. Where they differ,
 * with ws and several proxies, RFC 6455 4.1 decides, which wants "a SOCKS5
 * proxy [...] if available, or failing that, to prefer the proxy configured for
 * HTTPS connections over the proxy configured for HTTP connections".
 * HTTP_PROXY in upper case is not read: in a CGI program it is the Proxy header
 * of a request ("httpoxy", CVE-2016-5385).
 *
 * no_proxy or NO_PROXY lists targets to reach directly, divided by commas or
 * blanks:
 *     *                      all
 *     example.com            the host and what ends in ".example.com"; a "." or
 *                            "*." in front makes no difference
 *     10.1.2.3  ::1  [::1]   the address
 *     10.0.0.0/8  fd00::/8   the net
 * A name or address may have a port, as in example.com:8080 or [::1]:8080, and
 * is then for that port alone. What is none of these matches nothing. Names are
 * compared as they stand; nothing is resolved.
 *
 * As in browsers, what is on this machine is never reached through a proxy from
 * the environment: localhost, what ends in ".localhost", 127.0.0.0/8, ::1. */

#define WS__PROXY_VARIABLES 13

/* The name of the variable `i`, counted from 0. */
const char *ws__proxy_variable(size_t i);

/* What the environment says: text for ws__proxy_parse(). */
typedef struct ws__proxy_choice {
  const char *variable; /* Its name, for error messages. */
  const char *text;     /* Its value, one of those given. */
  ws__proxy_kind default_kind;
} ws__proxy_choice;

/* Chooses the proxy for a target. `values[i]` is that of ws__proxy_variable(i),
 * NULL if it is not set; `host` is that of a ws_url. Returns false if the
 * target is to be reached directly. */
bool ws__proxy_choose(const char *const values[WS__PROXY_VARIABLES],
                      bool is_secure, const char *host, uint16_t port,
                      ws__proxy_choice *out_choice);

WS__HIDDEN_END

#endif
