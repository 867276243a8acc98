/* proxy.c - parses the URL of a proxy.
 *
 * The text is cut into slices from the left, and what they stand for is written
 * into one buffer that becomes the one block of the ws__proxy. */
#include "proto/proxy.h"

#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/detail.h"
#include "proto/authority.h"
#include "proto/http.h"
#include "proto/ip.h"
#include "proto/percent.h"

/* RFC 1929 2: UNAME and PASSWD have 1 to 255 bytes. */
#define MAX_SOCKS_CREDENTIAL 255

static const struct {
  const char *name;
  ws__proxy_kind kind;
} schemes[] = {
    {"http", WS__PROXY_HTTP},     {"https", WS__PROXY_HTTPS},
    {"socks5", WS__PROXY_SOCKS5}, {"socks5h", WS__PROXY_SOCKS5H},
    {"socks", WS__PROXY_SOCKS5H},
};

static const uint16_t default_ports[] = {
    [WS__PROXY_HTTP] = 80,
    [WS__PROXY_HTTPS] = 443,
    [WS__PROXY_SOCKS5] = 1080,
    [WS__PROXY_SOCKS5H] = 1080,
};

typedef struct slice {
  const char *ptr;
  size_t len;
} slice;

/* The text cut up, nothing decoded. */
typedef struct parts {
  ws__proxy_kind kind;
  bool has_user;
  slice user;
  slice password;
  slice host; /* Without brackets. */
  uint16_t port;
} parts;

/* One block, so that one free releases all. */
typedef struct proxy_block {
  ws__proxy proxy;
  const ws_allocator *allocator;
  size_t size;
  char strings[];
} proxy_block;

static int refuse(const char *text, const char **reason) {
  return ws__fail(WS_ERR_SYNTAX, text, reason);
}

/* -- Cutting the text ------------------------------------------------------ */

/* Takes what stands before the first `c`, and `c` itself. Returns false and
 * leaves all as it was if there is no `c`. */
static bool take_before(slice *rest, char c, slice *out) {
  const char *const at = rest->len > 0 ? memchr(rest->ptr, c, rest->len) : NULL;
  if (at == NULL) return false;
  *out = (slice){rest->ptr, (size_t)(at - rest->ptr)};
  *rest = (slice){at + 1, rest->len - out->len - 1};
  return true;
}

static int split_scheme(slice *rest, ws__proxy_kind *kind,
                        const char **reason) {
  slice scheme;
  slice behind = *rest;
  if (!take_before(&behind, ':', &scheme) || behind.len < 2 ||
      memcmp(behind.ptr, "//", 2) != 0) {
    return 0;
  }
  *rest = (slice){behind.ptr + 2, behind.len - 2};
  for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
    if (ws__http_equal(scheme.ptr, scheme.len, schemes[i].name,
                       strlen(schemes[i].name))) {
      *kind = schemes[i].kind;
      return 0;
    }
  }
  return refuse("the scheme of the proxy is not http, https, socks5 or socks5h",
                reason);
}

/* Takes the authority and judges what follows it. */
static int split_authority(slice *rest, slice *authority, const char **reason) {
  size_t len = 0;
  while (len < rest->len && strchr("/?#", rest->ptr[len]) == NULL)
    len++;
  *authority = (slice){rest->ptr, len};
  *rest = (slice){rest->ptr + len, rest->len - len};
  if (rest->len == 0 || (rest->len == 1 && rest->ptr[0] == '/')) return 0;
  return refuse("a proxy has no path, query or fragment", reason);
}

/* Cuts "user:password@" off: the last @ ends it, the first colon divides it. */
static void split_userinfo(slice *authority, parts *out) {
  slice userinfo = {authority->ptr, 0};
  slice part;
  while (take_before(authority, '@', &part))
    userinfo.len = (size_t)(part.ptr + part.len - userinfo.ptr);
  if (take_before(&userinfo, ':', &out->user)) out->password = userinfo;
  else out->user = userinfo;
  out->has_user = out->user.len > 0 || out->password.len > 0;
}

static int split_host(slice rest, parts *out, const char **reason) {
  ws__authority authority;
  if (rest.len == 0 || rest.ptr[0] == ':') {
    return refuse("the host of the proxy is missing", reason);
  }
  if (!ws__authority_parse(rest.ptr, rest.len, &authority)) {
    return refuse("the proxy is not a host and a port up to 65535", reason);
  }
  out->host = (slice){authority.host, authority.host_len};
  out->port = authority.has_port ? authority.port : default_ports[out->kind];
  if (memchr(out->host.ptr, '%', out->host.len) != NULL) {
    return refuse("the host of the proxy has a percent sign", reason);
  }
  if (out->host.ptr[0] != '[') return 0;

  out->host = (slice){out->host.ptr + 1, out->host.len - 2};
  if (ws__ip_parse(out->host.ptr, out->host.len).len != WS__IP6_SIZE) {
    return refuse("the host of the proxy in brackets is not an IPv6 address",
                  reason);
  }
  return 0;
}

static int split(slice rest, parts *out, const char **reason) {
  for (size_t i = 0; i < rest.len; i++) {
    if (rest.ptr[i] == ' ' || ws__is_control(rest.ptr[i])) {
      return refuse("the proxy has a space or control character", reason);
    }
  }
  slice authority;
  int err = split_scheme(&rest, &out->kind, reason);
  if (err == 0) err = split_authority(&rest, &authority, reason);
  if (err != 0) return err;
  split_userinfo(&authority, out);
  return split_host(authority, out, reason);
}

/* -- Credentials ----------------------------------------------------------- */

static bool has_control(const char *text) {
  for (; *text != '\0'; text++) {
    if (ws__is_control(*text)) return true;
  }
  return false;
}

/* Judges the decoded strings; the lengths tell whether they hold a NUL. */
static int check_credentials(ws__proxy_kind kind, const char *user,
                             size_t user_len, const char *password,
                             size_t password_len, const char **reason) {
  if (strlen(user) != user_len || strlen(password) != password_len ||
      has_control(user) || has_control(password)) {
    return refuse("the user name or password has a control character", reason);
  }
  if (kind == WS__PROXY_HTTP || kind == WS__PROXY_HTTPS) {
    /* "a user-id containing a colon character is invalid" (RFC 7617 2). */
    if (memchr(user, ':', user_len) == NULL) return 0;
    return refuse("a user name with a colon cannot be sent", reason);
  }
  if (user_len == 0 || user_len > MAX_SOCKS_CREDENTIAL || password_len == 0 ||
      password_len > MAX_SOCKS_CREDENTIAL) {
    return refuse("SOCKS5 needs a user name and a password of 1 to 255 bytes",
                  reason);
  }
  return 0;
}

/* -- The result ------------------------------------------------------------ */

/* Where the NUL-terminated strings begin in their buffer; the host at 0. */
typedef struct layout {
  size_t user;
  size_t password;
} layout;

static int write_strings(const parts *p, const ws_allocator *allocator,
                         ws__buf *out, layout *at) {
  int err = ws__buf_append(out, allocator, p->host.ptr, p->host.len);
  if (err == 0) err = ws__buf_append(out, allocator, "", 1);
  at->user = out->len;
  if (err == 0) {
    err = ws__percent_decode(out, allocator, p->user.ptr, p->user.len);
  }
  if (err == 0) err = ws__buf_append(out, allocator, "", 1);
  at->password = out->len;
  if (err == 0) {
    err = ws__percent_decode(out, allocator, p->password.ptr, p->password.len);
  }
  if (err == 0) err = ws__buf_append(out, allocator, "", 1);
  return err;
}

static int make_proxy(const parts *p, const ws__buf *strings, layout at,
                      const ws_allocator *allocator, ws__proxy **out_proxy) {
  const size_t size = sizeof(proxy_block) + strings->len;
  proxy_block *block = ws__alloc(allocator, size);
  if (block == NULL) return WS_ERR_NO_MEMORY;

  memcpy(block->strings, strings->data, strings->len);
  block->allocator = allocator;
  block->size = size;
  block->proxy = (ws__proxy){
      .kind = p->kind,
      .port = p->port,
      .host = block->strings,
      .user = p->has_user ? block->strings + at.user : NULL,
      .password = p->has_user ? block->strings + at.password : NULL,
  };
  *out_proxy = &block->proxy;
  return 0;
}

int ws__proxy_parse(const char *text, size_t len, ws__proxy_kind default_kind,
                    const ws_allocator *allocator, ws__proxy **out_proxy,
                    const char **reason) {
  parts p = {.kind = default_kind};
  int err = split((slice){text, len}, &p, reason);
  if (err != 0) return err;

  ws__buf strings = {0};
  layout at;
  err = write_strings(&p, allocator, &strings, &at);
  if (err == 0 && p.has_user) {
    const char *const start = (const char *)strings.data;
    err = check_credentials(p.kind, start + at.user, at.password - at.user - 1,
                            start + at.password, strings.len - at.password - 1,
                            reason);
  }
  if (err == 0) err = make_proxy(&p, &strings, at, allocator, out_proxy);
  ws__buf_free(&strings, allocator);
  return err;
}

void ws__proxy_free(ws__proxy *proxy) {
  if (proxy == NULL) return;
  proxy_block *block = (proxy_block *)proxy;
  ws__free(block->allocator, block, block->size);
}
