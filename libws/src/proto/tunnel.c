/* tunnel.c - the way through a proxy.
 *
 * All that may have to be sent is written when the tunnel is made: for CONNECT
 * the request, for SOCKS5 the greeting, the credentials and the request. What
 * the proxy answers decides how much of it goes out.
 * Invariant: while something waits to be sent, a byte from the proxy is a
 * fault. */
#include "proto/tunnel.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/detail.h"
#include "proto/authority.h"
#include "proto/base64.h"
#include "proto/handshake.h"
#include "proto/ip.h"

/* RFC 1928. */
#define SOCKS_VERSION      5
#define SOCKS_CONNECT      1
#define SOCKS_METHOD_NONE  0
#define SOCKS_METHOD_LOGIN 2
#define SOCKS_METHOD_NO    0xff
#define SOCKS_IP4          1
#define SOCKS_NAME         3
#define SOCKS_IP6          4
#define SOCKS_MAX_NAME     255
#define SOCKS_PORT_SIZE    2

/* RFC 1929, which counts its own versions. */
#define LOGIN_VERSION 1

typedef enum stage {
  STAGE_ANSWER, /* To CONNECT. */
  STAGE_METHOD, /* SOCKS5: how to log in. */
  STAGE_LOGIN,  /* SOCKS5: whether the credentials are right. */
  STAGE_REPLY,  /* SOCKS5: whether the target is connected. */
  STAGE_DONE,
  STAGE_FAILED
} stage;

static int refuse(const char *text, const char **reason) {
  return ws__fail(WS_ERR_PROXY, text, reason);
}

/* -- Writing --------------------------------------------------------------- */

/* Appends to t->out; the first failure makes the rest do nothing. */
typedef struct writer {
  ws__tunnel *tunnel;
  int err;
} writer;

static void put(writer *w, const void *data, size_t len) {
  ws__tunnel *t = w->tunnel;
  if (w->err == 0) w->err = ws__buf_append(&t->out, t->allocator, data, len);
}

static void put_text(writer *w, const char *text) {
  put(w, text, strlen(text));
}

static void put_byte(writer *w, size_t value) {
  assert(value <= UINT8_MAX);
  put(w, &(uint8_t){(uint8_t)value}, 1);
}

/* -- CONNECT: the request -------------------------------------------------- */

/* authority-form = uri-host ":" port (RFC 9112 3.2.3). */
static void put_authority(writer *w, const char *host, uint16_t port) {
  const bool is_ip6 = strchr(host, ':') != NULL;
  char digits[sizeof(":65535")];
  snprintf(digits, sizeof(digits), ":%u", (unsigned)port);
  if (is_ip6) put_text(w, "[");
  put_text(w, host);
  if (is_ip6) put_text(w, "]");
  put_text(w, digits);
}

/* RFC 7617 2: base64 of user-id ":" password. */
static void put_basic(writer *w, const ws__proxy *proxy) {
  ws__buf *const out = &w->tunnel->out;
  const ws_allocator *allocator = w->tunnel->allocator;
  ws__buf plain = {0};
  int err = ws__buf_append_str(&plain, allocator, proxy->user);
  if (err == 0) err = ws__buf_append_str(&plain, allocator, ":");
  if (err == 0) err = ws__buf_append_str(&plain, allocator, proxy->password);
  const size_t text_len = WS__BASE64_SIZE(plain.len);
  if (err == 0) err = ws__buf_reserve(out, allocator, text_len);
  if (err == 0) {
    ws__base64_encode(plain.data, plain.len, (char *)out->data + out->len);
    out->len += text_len;
  }
  if (w->err == 0) w->err = err;
  ws__buf_free(&plain, allocator);
}

static size_t count_authorizations(const ws_header *headers, size_t count) {
  static const char name[] = "Proxy-Authorization";
  size_t found = 0;
  for (size_t i = 0; i < count; i++) {
    found += ws__http_equal(headers[i].name, headers[i].name_len, name,
                            sizeof(name) - 1);
  }
  return found;
}

/* "A client MUST send a Host header field [...] identical to that authority
 * component" (RFC 9112 3.2); a body would have no meaning (RFC 9110 9.3.6). */
static int write_connect(ws__tunnel *t, const ws__proxy *proxy,
                         const char *host, uint16_t port,
                         const ws_header *headers, size_t header_count,
                         const char **reason) {
  int err = ws__handshake_check_headers(headers, header_count, reason);
  if (err != 0) return err;
  const size_t authorizations = count_authorizations(headers, header_count);
  if (authorizations > 1) {
    return ws__fail(WS_ERR_INVALID_ARGUMENT,
                    "Proxy-Authorization is given twice", reason);
  }

  writer w = {.tunnel = t};
  put_text(&w, "CONNECT ");
  put_authority(&w, host, port);
  put_text(&w, " HTTP/1.1\r\nHost: ");
  put_authority(&w, host, port);
  put_text(&w, "\r\n");
  if (proxy->user != NULL && authorizations == 0) {
    put_text(&w, "Proxy-Authorization: Basic ");
    put_basic(&w, proxy);
    put_text(&w, "\r\n");
  }
  for (size_t i = 0; i < header_count; i++) {
    put(&w, headers[i].name, headers[i].name_len);
    put_text(&w, ": ");
    put(&w, headers[i].value, headers[i].value_len);
    put_text(&w, "\r\n");
  }
  put_text(&w, "\r\n");
  t->ready = t->out.len;
  t->stage = STAGE_ANSWER;
  return w.err;
}

/* -- SOCKS5: the messages -------------------------------------------------- */

/* RFC 1928 3: the methods, the login only if there is something to log in
 * with. */
static void put_greeting(writer *w, bool can_log_in) {
  put_byte(w, SOCKS_VERSION);
  put_byte(w, can_log_in ? 2 : 1);
  put_byte(w, SOCKS_METHOD_NONE);
  if (can_log_in) put_byte(w, SOCKS_METHOD_LOGIN);
}

/* RFC 1929 2. That both have 1 to 255 bytes is the parser's business. */
static void put_login(writer *w, const ws__proxy *proxy) {
  put_byte(w, LOGIN_VERSION);
  put_byte(w, strlen(proxy->user));
  put_text(w, proxy->user);
  put_byte(w, strlen(proxy->password));
  put_text(w, proxy->password);
}

/* RFC 1928 4. */
static void put_request(writer *w, const char *host, const ws__ip *ip,
                        uint16_t port) {
  put_byte(w, SOCKS_VERSION);
  put_byte(w, SOCKS_CONNECT);
  put_byte(w, 0);
  if (ip->len == 0) {
    put_byte(w, SOCKS_NAME);
    put_byte(w, strlen(host));
    put_text(w, host);
  } else {
    put_byte(w, ip->len == WS__IP4_SIZE ? SOCKS_IP4 : SOCKS_IP6);
    put(w, ip->bytes, ip->len);
  }
  put_byte(w, port >> 8);
  put_byte(w, port & 0xff);
}

static int write_socks(ws__tunnel *t, const ws__proxy *proxy, const char *host,
                       const ws__ip *ip, uint16_t port, const char **reason) {
  if (ip->len == 0 && proxy->kind == WS__PROXY_SOCKS5) {
    return ws__fail(WS_ERR_INVALID_ARGUMENT,
                    "the target of socks5 must be an address", reason);
  }
  if (ip->len == 0 && strlen(host) > SOCKS_MAX_NAME) {
    return ws__fail(WS_ERR_INVALID_ARGUMENT,
                    "the target's name is longer than SOCKS5's 255 bytes",
                    reason);
  }
  writer w = {.tunnel = t};
  t->can_log_in = proxy->user != NULL;
  put_greeting(&w, t->can_log_in);
  t->ready = t->out.len;
  if (proxy->user != NULL) put_login(&w, proxy);
  t->request_at = t->out.len;
  put_request(&w, host, ip, port);
  t->stage = STAGE_METHOD;
  return w.err;
}

/* -- Making and sending ---------------------------------------------------- */

/* Whether the host can stand in a request: an address, or a name as RFC
 * 3986 has it. */
static bool is_host(const char *host, const ws__ip *ip) {
  ws__authority name;
  const size_t len = strlen(host);
  return ip->len != 0 || (ws__authority_parse(host, len, &name) &&
                          name.host_len == len && host[0] != '[');
}

int ws__tunnel_init(ws__tunnel *t, const ws__proxy *proxy, const char *host,
                    uint16_t port, const ws_header *headers,
                    size_t header_count, const ws__http_limits *limits,
                    const ws_allocator *allocator, const char **reason) {
  *t = (ws__tunnel){.allocator = allocator, .limits = *limits};
  const ws__ip ip = ws__ip_parse(host, strlen(host));
  const bool is_http =
      proxy->kind == WS__PROXY_HTTP || proxy->kind == WS__PROXY_HTTPS;
  int err;
  if (!is_host(host, &ip)) {
    err = ws__fail(WS_ERR_INVALID_ARGUMENT, "the target is not a host", reason);
  } else if (is_http) {
    err = write_connect(t, proxy, host, port, headers, header_count, reason);
  } else {
    err = write_socks(t, proxy, host, &ip, port, reason);
  }
  if (err != 0) ws__tunnel_free(t);
  return err;
}

void ws__tunnel_free(ws__tunnel *t) {
  if (t->allocator == NULL) return;
  ws__http_head_free(&t->answer, t->allocator);
  ws__http_reader_free(&t->reader, t->allocator);
  ws__buf_free(&t->out, t->allocator);
  *t = (ws__tunnel){0};
}

const uint8_t *ws__tunnel_output(const ws__tunnel *t, size_t *out_len) {
  *out_len = t->ready - t->sent;
  return *out_len > 0 ? t->out.data + t->sent : NULL;
}

void ws__tunnel_consume(ws__tunnel *t, size_t len) {
  assert(len <= t->ready - t->sent);
  t->sent += len;
}

/* -- CONNECT: the answer --------------------------------------------------- */

/* Faults of the head are the proxy's. */
static int proxy_error(int err) {
  return err == WS_ERR_NO_MEMORY ? err : WS_ERR_PROXY;
}

/* "Any 2xx (Successful) response indicates that the sender [...] will switch to
 * tunnel mode immediately after the response header section", and "a client
 * MUST ignore any Content-Length or Transfer-Encoding header fields received in
 * a successful response to CONNECT" (RFC 9110 9.3.6). Interim responses are
 * refused: nothing that we send asks for one. */
static int check_answer(ws__tunnel *t, bool has_more, const char **reason) {
  const int err = ws__http_parse_response(&t->answer, t->allocator,
                                          (char *)t->reader.buf.data,
                                          t->reader.buf.len, reason);
  if (err != 0) return proxy_error(err);
  if (t->answer.status / 100 != 2) {
    return refuse("the proxy did not answer CONNECT with a 2xx", reason);
  }
  if (has_more) {
    return refuse("the proxy sent bytes behind its answer to CONNECT", reason);
  }
  t->stage = STAGE_DONE;
  return 0;
}

static int feed_http(ws__tunnel *t, const uint8_t *data, size_t len,
                     const char **reason) {
  size_t used;
  bool is_whole;
  if (len > 0 && t->sent < t->ready) {
    return refuse("the proxy spoke before it was asked", reason);
  }
  const int err = ws__http_read(&t->reader, &t->limits, t->allocator, data, len,
                                &used, &is_whole, reason);
  if (err != 0) return proxy_error(err);
  return is_whole ? check_answer(t, used < len, reason) : 0;
}

/* -- SOCKS5: the answers --------------------------------------------------- */

/* Releases what is to be sent up to `end` and awaits the answer to it. */
static void ask(ws__tunnel *t, stage next, size_t end) {
  t->stage = (uint8_t)next;
  t->ready = end;
  t->message_at = 0;
}

/* VER METHOD (RFC 1928 3). */
static int take_method(ws__tunnel *t, uint32_t at, uint8_t c,
                       const char **reason) {
  if (at == 0) {
    return c == SOCKS_VERSION ? 0 : refuse("this is not SOCKS5", reason);
  }
  if (c == SOCKS_METHOD_NO) {
    return refuse(t->can_log_in ? "the proxy takes neither a password nor none"
                                : "the proxy wants a user name and password",
                  reason);
  }
  if (c == SOCKS_METHOD_LOGIN && t->can_log_in) {
    ask(t, STAGE_LOGIN, t->request_at);
    return 0;
  }
  if (c != SOCKS_METHOD_NONE) {
    return refuse("the proxy chose a SOCKS5 method that was not offered",
                  reason);
  }
  t->sent = t->request_at;
  ask(t, STAGE_REPLY, t->out.len);
  return 0;
}

/* VER STATUS (RFC 1929 2). */
static int take_login(ws__tunnel *t, uint32_t at, uint8_t c,
                      const char **reason) {
  if (at == 0) {
    return c == LOGIN_VERSION
               ? 0
               : refuse("malformed SOCKS5 answer to the password", reason);
  }
  if (c != 0) {
    return refuse("the proxy does not accept the user name and password",
                  reason);
  }
  ask(t, STAGE_REPLY, t->out.len);
  return 0;
}

/* RFC 1928 6. */
static const char *reply_text(uint8_t code) {
  switch (code) {
  case 1: return "the proxy says: general SOCKS server failure";
  case 2: return "the proxy says: connection not allowed by ruleset";
  case 3: return "the proxy says: network unreachable";
  case 4: return "the proxy says: host unreachable";
  case 5: return "the proxy says: connection refused";
  case 6: return "the proxy says: TTL expired";
  case 7: return "the proxy says: command not supported";
  case 8: return "the proxy says: address type not supported";
  default: return "the proxy says: unassigned SOCKS5 reply code";
  }
}

/* Whether another address of the target may do better. */
static bool is_out_of_reach(uint8_t code) {
  switch (code) {
  case 1: /* General failure, which some say for all that follow. */
  case 3: /* Network unreachable. */
  case 4: /* Host unreachable. */
  case 5: /* Connection refused. */
  case 6: /* TTL expired. */
  case 8: /* Address type not supported. */ return true;
  default: return false;
  }
}

/* ATYP says how long BND.ADDR is; of a name it is the first byte that does. */
static int take_address_type(ws__tunnel *t, uint8_t c, const char **reason) {
  switch (c) {
  case SOCKS_IP4: t->left = WS__IP4_SIZE; break;
  case SOCKS_IP6: t->left = WS__IP6_SIZE; break;
  case SOCKS_NAME: t->left = 1; break;
  default: return refuse("unknown address type in the SOCKS5 reply", reason);
  }
  t->has_name = c == SOCKS_NAME;
  t->left += SOCKS_PORT_SIZE;
  return 0;
}

/* VER REP RSV ATYP BND.ADDR BND.PORT (RFC 1928 6). The address is the proxy's
 * own and of no use. */
static int take_reply(ws__tunnel *t, uint32_t at, uint8_t c,
                      const char **reason) {
  switch (at) {
  case 0: return c == SOCKS_VERSION ? 0 : refuse("this is not SOCKS5", reason);
  case 1:
    t->is_out_of_reach = is_out_of_reach(c);
    return c == 0 ? 0 : refuse(reply_text(c), reason);
  case 2:
    return c == 0 ? 0 : refuse("reserved byte set in the SOCKS5 reply", reason);
  case 3: return take_address_type(t, c, reason);
  case 4:
    if (t->has_name && c == 0) {
      return refuse("empty name in the SOCKS5 reply", reason);
    }
    if (t->has_name) t->left += c;
    break;
  }
  if (--t->left == 0) t->stage = STAGE_DONE;
  return 0;
}

static int take_byte(ws__tunnel *t, uint8_t c, const char **reason) {
  const uint32_t at = t->message_at++;
  if (t->stage == STAGE_METHOD) return take_method(t, at, c, reason);
  if (t->stage == STAGE_LOGIN) return take_login(t, at, c, reason);
  if (t->stage == STAGE_REPLY) return take_reply(t, at, c, reason);
  return refuse("the proxy sent bytes behind its SOCKS5 reply", reason);
}

static int feed_socks(ws__tunnel *t, const uint8_t *data, size_t len,
                      const char **reason) {
  int err = 0;
  for (size_t i = 0; i < len && err == 0; i++) {
    err = t->sent < t->ready
              ? refuse("the proxy spoke before it was asked", reason)
              : take_byte(t, data[i], reason);
  }
  return err;
}

/* -- Both ------------------------------------------------------------------ */

int ws__tunnel_feed(ws__tunnel *t, const uint8_t *data, size_t len, bool *done,
                    const char **reason) {
  *done = false;
  if (t->stage == STAGE_DONE || t->stage == STAGE_FAILED) {
    return ws__fail(WS_ERR_INVALID_STATE, "the tunnel has ended", reason);
  }
  const int err = t->stage == STAGE_ANSWER ? feed_http(t, data, len, reason)
                                           : feed_socks(t, data, len, reason);
  if (err != 0) t->stage = STAGE_FAILED;
  *done = t->stage == STAGE_DONE;
  return err;
}
