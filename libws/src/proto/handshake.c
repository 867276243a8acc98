/* handshake.c - writes and judges the heads of the opening handshake, RFC 6455
 * sections 4.1 (client) and 4.2 (server). Each judgement is a list of steps in
 * the order of the RFC; the first that fails names the error. */
#include "proto/handshake.h"

#include <stdio.h>
#include <string.h>

#include "base/detail.h"
#include "proto/authority.h"
#include "proto/base64.h"
#include "proto/sha1.h"
#include "proto/subprotocol.h"

#define VERSION "13"

static bool value_is(const ws_header *header, const char *text) {
  return header->value_len == strlen(text) &&
         memcmp(header->value, text, header->value_len) == 0;
}

void ws__handshake_accept_key(const char key[WS__KEY_SIZE],
                              char out_accept[WS__ACCEPT_SIZE]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  char text[WS__KEY_SIZE + sizeof(guid) - 1];
  uint8_t digest[WS__SHA1_SIZE];
  memcpy(text, key, WS__KEY_SIZE);
  memcpy(text + WS__KEY_SIZE, guid, sizeof(guid) - 1);
  ws__sha1(text, sizeof(text), digest);
  ws__base64_encode(digest, sizeof(digest), out_accept);
}

/* -- Both roles ------------------------------------------------------------ */

/* Whether exactly one Upgrade header names websocket and Connection upgrade. */
static int check_upgrade(const ws__http_head *head, const char **reason) {
  const ws_header *upgrade;
  const size_t count = ws__http_count(head, "Upgrade", &upgrade);
  if (count != 1 || !ws__http_has_token(head, "Upgrade", "websocket")) {
    return ws__fail(WS_ERR_INVALID_UPGRADE,
                    count > 1 ? "Upgrade is repeated"
                              : "Upgrade does not name websocket",
                    reason);
  }
  if (!ws__http_has_token(head, "Connection", "upgrade")) {
    return ws__fail(WS_ERR_INVALID_UPGRADE, "Connection does not name Upgrade",
                    reason);
  }
  return 0;
}

/* Whether the head announces a body, which neither head of a handshake has.
 * What follows such a head could be read as frames by one and as a body by
 * another recipient. */
static bool has_body(const ws__http_head *head) {
  const ws_header *header = NULL;
  while ((header = ws__http_next(head, "Content-Length", header)) != NULL) {
    if (!value_is(header, "0")) return true;
  }
  return ws__http_next(head, "Transfer-Encoding", NULL) != NULL;
}

static bool has_name(const ws_header *header, const char *name) {
  return ws__http_equal(header->name, header->name_len, name, strlen(name));
}

/* Whether the library writes the header itself or its framing rests on it. */
static bool is_reserved(const ws_header *header) {
  static const char *const names[] = {"Host", "Connection", "Upgrade",
                                      "Content-Length", "Transfer-Encoding"};
  static const char prefix[] = "Sec-WebSocket-";
  const size_t prefix_len = sizeof(prefix) - 1;
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (has_name(header, names[i])) return true;
  }
  return header->name_len >= prefix_len &&
         ws__http_equal(header->name, prefix_len, prefix, prefix_len);
}

int ws__handshake_check_headers(const ws_header *headers, size_t count,
                                const char **reason) {
  for (size_t i = 0; i < count; i++) {
    if (!ws__http_is_token(headers[i].name, headers[i].name_len)) {
      return ws__fail(WS_ERR_INVALID_ARGUMENT, "a header name is not a token",
                      reason);
    }
    if (!ws__http_is_header(&headers[i])) {
      return ws__fail(WS_ERR_INVALID_ARGUMENT,
                      "a header value has a control character", reason);
    }
    if (is_reserved(&headers[i])) {
      return ws__fail(WS_ERR_INVALID_ARGUMENT,
                      "a header is reserved: Host, Connection, Upgrade, "
                      "Content-Length, Transfer-Encoding, Sec-WebSocket-*",
                      reason);
    }
  }
  return 0;
}

static size_t count_named(const ws_header *headers, size_t count,
                          const char *name) {
  size_t found = 0;
  for (size_t i = 0; i < count; i++)
    found += has_name(&headers[i], name);
  return found;
}

/* -- Writing --------------------------------------------------------------- */

/* Appends to a buffer; the first failure makes the rest do nothing. */
typedef struct writer {
  ws__buf *out;
  const ws_allocator *allocator;
  size_t start; /* Where the buffer ended before. */
  int err;
} writer;

static writer start_writing(ws__buf *out, const ws_allocator *allocator) {
  return (writer){.out = out, .allocator = allocator, .start = out->len};
}

static void put(writer *w, const void *data, size_t len) {
  if (w->err == 0) w->err = ws__buf_append(w->out, w->allocator, data, len);
}

static void put_text(writer *w, const char *text) {
  put(w, text, strlen(text));
}

static void put_field(writer *w, const char *name, const char *value) {
  put_text(w, name);
  put_text(w, ": ");
  put_text(w, value);
  put_text(w, "\r\n");
}

static void put_headers(writer *w, const ws_header *headers, size_t count) {
  for (size_t i = 0; i < count; i++) {
    put(w, headers[i].name, headers[i].name_len);
    put_text(w, ": ");
    put(w, headers[i].value, headers[i].value_len);
    put_text(w, "\r\n");
  }
}

/* Takes back what was written if not all of it could be. */
static int end_writing(writer *w) {
  if (w->err != 0) w->out->len = w->start;
  return w->err;
}

/* -- Client: the request (RFC 6455 4.1) ------------------------------------ */

static bool is_value(const char *text) {
  const ws_header header = {"x", 1, text, strlen(text)};
  return ws__http_is_header(&header);
}

static int check_url(const ws_url *url, const char **reason) {
  if (url == NULL || url->target == NULL || url->authority == NULL ||
      !ws__http_is_target(url->target) || !is_value(url->authority) ||
      (url->authorization != NULL && !is_value(url->authorization))) {
    return ws__fail(WS_ERR_INVALID_ARGUMENT, "url is not a parsed URL", reason);
  }
  return 0;
}

/* RFC 6455 4.1 item 10: tokens that "MUST all be unique strings"; as in
 * browsers also without regard to case. The list is the application's own and
 * short. */
static int check_protocols(const char *const *protocols, size_t count,
                           const char **reason) {
  for (size_t i = 0; i < count; i++) {
    const char *const name = protocols[i];
    if (name == NULL || !ws__http_is_token(name, strlen(name))) {
      return ws__fail(WS_ERR_SYNTAX, "a subprotocol is not a token", reason);
    }
    for (size_t j = 0; j < i; j++) {
      if (ws__http_equal(name, strlen(name), protocols[j],
                         strlen(protocols[j]))) {
        return ws__fail(WS_ERR_SYNTAX, "a subprotocol is repeated", reason);
      }
    }
  }
  return 0;
}

/* Who asks must be said once or not at all. */
static int check_identity(const ws_conn_request *request, const char **reason) {
  const ws_header *headers = request->headers;
  const size_t count = request->header_count;
  const bool has_origin = request->origin != NULL;
  if (has_origin && !is_value(request->origin)) {
    return ws__fail(WS_ERR_INVALID_ARGUMENT, "origin has a control character",
                    reason);
  }
  if (count_named(headers, count, "Origin") + has_origin > 1) {
    return ws__fail(WS_ERR_INVALID_ARGUMENT, "Origin is given twice", reason);
  }
  if (count_named(headers, count, "Authorization") > 1) {
    return ws__fail(WS_ERR_INVALID_ARGUMENT, "Authorization is given twice",
                    reason);
  }
  return 0;
}

static int check_own_request(const ws_conn_request *request,
                             const char **reason) {
  int err = check_url(request->url, reason);
  if (err == 0) {
    err = check_protocols(request->protocols, request->protocol_count, reason);
  }
  if (err == 0) {
    err = ws__handshake_check_headers(request->headers, request->header_count,
                                      reason);
  }
  if (err == 0) err = check_identity(request, reason);
  return err;
}

static void put_protocols(writer *w, const char *const *protocols,
                          size_t count) {
  if (count == 0) return;
  put_text(w, "Sec-WebSocket-Protocol: ");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) put_text(w, ", ");
    put_text(w, protocols[i]);
  }
  put_text(w, "\r\n");
}

/* What the application says of itself wins over what the URL says of it. */
static bool wants_url_authorization(const ws_conn_request *request) {
  return request->url->authorization != NULL &&
         count_named(request->headers, request->header_count,
                     "Authorization") == 0;
}

int ws__handshake_write_request(const ws_conn_request *request,
                                const ws__deflate_offer *offer,
                                const char key[WS__KEY_SIZE],
                                const ws_allocator *allocator, ws__buf *out,
                                const char **reason) {
  const int err = check_own_request(request, reason);
  if (err != 0) return err;

  char extensions[WS__EXTENSION_SIZE];
  ws__extension_write_offer(offer, extensions);

  writer w = start_writing(out, allocator);
  put_text(&w, "GET ");
  put_text(&w, request->url->target);
  put_text(&w, " HTTP/1.1\r\n");
  put_field(&w, "Host", request->url->authority);
  put_field(&w, "Upgrade", "websocket");
  put_field(&w, "Connection", "Upgrade");
  put_text(&w, "Sec-WebSocket-Key: ");
  put(&w, key, WS__KEY_SIZE);
  put_text(&w, "\r\n");
  put_field(&w, "Sec-WebSocket-Version", VERSION);
  if (request->origin != NULL) put_field(&w, "Origin", request->origin);
  put_protocols(&w, request->protocols, request->protocol_count);
  if (extensions[0] != '\0') {
    put_field(&w, "Sec-WebSocket-Extensions", extensions);
  }
  if (wants_url_authorization(request)) {
    put_field(&w, "Authorization", request->url->authorization);
  }
  put_headers(&w, request->headers, request->header_count);
  put_text(&w, "\r\n");
  if (end_writing(&w) == 0) return 0;
  return ws__fail(w.err, "out of memory for the request", reason);
}

/* -- Client: the response (RFC 6455 4.1, "the client MUST validate") ------- */

/* Items 2 and 3; for a client Upgrade is "websocket" and nothing else. */
static int check_response_upgrade(const ws__http_head *head,
                                  const char **reason) {
  const int err = check_upgrade(head, reason);
  if (err != 0) return err;
  const ws_header *upgrade = ws__http_next(head, "Upgrade", NULL);
  if (!ws__http_equal(upgrade->value, upgrade->value_len, "websocket",
                      strlen("websocket"))) {
    return ws__fail(WS_ERR_INVALID_UPGRADE, "Upgrade names more than websocket",
                    reason);
  }
  return 0;
}

/* Item 4. The value is no secret, so any comparison will do. */
static int check_accept(const ws__http_head *head, const char key[WS__KEY_SIZE],
                        const char **reason) {
  char expected[WS__ACCEPT_SIZE];
  ws__handshake_accept_key(key, expected);
  const ws_header *accept;
  if (ws__http_count(head, "Sec-WebSocket-Accept", &accept) != 1) {
    return ws__fail(WS_ERR_INVALID_ACCEPT,
                    "Sec-WebSocket-Accept is missing or repeated", reason);
  }
  if (accept->value_len != WS__ACCEPT_SIZE ||
      memcmp(accept->value, expected, WS__ACCEPT_SIZE) != 0) {
    return ws__fail(WS_ERR_INVALID_ACCEPT, "Sec-WebSocket-Accept is wrong",
                    reason);
  }
  return 0;
}

/* Item 6, and the rule of the WebSockets standard that a client that asked for
 * subprotocols does not go on without one. */
static int check_protocol(const ws__http_head *head,
                          const char *const *protocols, size_t protocol_count,
                          const char **out_protocol, const char **reason) {
  const ws_header *header;
  *out_protocol = "";
  switch (ws__http_count(head, "Sec-WebSocket-Protocol", &header)) {
  case 0:
    if (protocol_count == 0) return 0;
    return ws__fail(WS_ERR_MISSING_SUBPROTOCOL,
                    "the server chose none of the subprotocols", reason);
  case 1: break;
  default:
    /* RFC 6455 11.3.4: it "MUST NOT appear more than once in an HTTP
     * response". */
    return ws__fail(WS_ERR_INVALID_SUBPROTOCOL,
                    "Sec-WebSocket-Protocol is repeated", reason);
  }
  if (!ws__subprotocol_is_among(header->value, protocols, protocol_count)) {
    return ws__fail(WS_ERR_UNEXPECTED_SUBPROTOCOL,
                    "the server chose a subprotocol that was not offered",
                    reason);
  }
  *out_protocol = header->value;
  return 0;
}

/* Item 5. A good answer is a single element, so one header has all of it. */
static int check_extensions(const ws__http_head *head,
                            const ws__deflate_offer *offer,
                            ws__agreement *out_agreement, const char **reason) {
  const ws_header *header =
      ws__http_next(head, "Sec-WebSocket-Extensions", NULL);
  out_agreement->extensions = header != NULL ? header->value : "";
  return ws__extension_check(head, offer, &out_agreement->has_deflate,
                             &out_agreement->deflate, reason);
}

int ws__handshake_check_response(const ws__http_head *head,
                                 const char key[WS__KEY_SIZE],
                                 const char *const *protocols,
                                 size_t protocol_count,
                                 const ws__deflate_offer *offer,
                                 ws__agreement *out_agreement,
                                 const char **reason) {
  *out_agreement = (ws__agreement){.protocol = "", .extensions = ""};
  if (head->status != 101) {
    return ws__fail(WS_ERR_UNEXPECTED_STATUS,
                    "the server did not answer with status 101", reason);
  }
  if (head->minor != 1) {
    return ws__fail(WS_ERR_HTTP_VERSION, "a 101 must be HTTP/1.1", reason);
  }
  if (has_body(head)) {
    /* "A server MUST NOT send a Transfer-Encoding header field in any response
     * with a status code of 1xx" (RFC 9112 6.1). */
    return ws__fail(WS_ERR_HTTP_SYNTAX, "a 101 must not have a body", reason);
  }
  int err = check_response_upgrade(head, reason);
  if (err == 0) err = check_accept(head, key, reason);
  if (err == 0) err = check_extensions(head, offer, out_agreement, reason);
  if (err == 0) {
    err = check_protocol(head, protocols, protocol_count,
                         &out_agreement->protocol, reason);
  }
  return err;
}

/* -- Server: the request (RFC 6455 4.2.1) ---------------------------------- */

uint16_t ws__handshake_status(int err) {
  switch (err) {
  case WS_ERR_HOST_NOT_ALLOWED:
  case WS_ERR_ORIGIN_NOT_ALLOWED: return 403;
  case WS_ERR_HTTP_METHOD: return 405;
  case WS_ERR_HANDSHAKE_TIMEOUT: return 408;
  case WS_ERR_INVALID_VERSION: return 426;
  case WS_ERR_HTTP_TOO_LARGE: return 431;
  case WS_ERR_NO_MEMORY: return 500;
  case WS_ERR_HTTP_VERSION: return 505;
  default: return 400;
  }
}

/* RFC 9112 3.2: in absolute-form the target names the host as well, and then a
 * client sends "a field value for Host that is identical". Where the two differ
 * a proxy may have decided on the one and we on the other. */
static bool target_names_host(const char *target, const ws_header *host) {
  if (target[0] == '/') return true;
  const char *const authority = strchr(target, ':') + strlen("://");
  return ws__http_equal(authority, strcspn(authority, "/?#"), host->value,
                        host->value_len);
}

/* "A server MUST respond with a 400 [...] to any HTTP/1.1 request message that
 * lacks a Host header field and to any request message that contains more than
 * one [...] or a Host header field with an invalid field value" (RFC 9112 3.2).
 */
static int check_host(const ws__http_head *head, const ws__server_rules *rules,
                      ws__authority *out_host, const char **reason) {
  const ws_header *header;
  const size_t count = ws__http_count(head, "Host", &header);
  *out_host = (ws__authority){0};
  if (count > 1) {
    return ws__fail(WS_ERR_INVALID_HOST, "Host is repeated", reason);
  }
  if (count == 0 && head->minor > 0) {
    return ws__fail(WS_ERR_INVALID_HOST, "Host is missing", reason);
  }
  if (count == 1 &&
      (!ws__authority_parse(header->value, header->value_len, out_host) ||
       !target_names_host(head->target, header))) {
    return ws__fail(WS_ERR_INVALID_HOST, "malformed Host", reason);
  }
  if (rules->hosts != NULL && !ws__host_is_allowed(out_host, rules->hosts)) {
    return ws__fail(WS_ERR_HOST_NOT_ALLOWED,
                    "Host is not one of the allowed hosts", reason);
  }
  return 0;
}

static bool wants_websocket(const ws__http_head *head) {
  return ws__http_has_token(head, "Upgrade", "websocket") ||
         ws__http_next(head, "Sec-WebSocket-Key", NULL) != NULL;
}

/* Items 1, 3 and 4: "An HTTP/1.1 or higher GET request" that asks to upgrade.
 */
static int check_request_form(const ws__http_head *head, const char **reason) {
  if (strcmp(head->method, "GET") != 0) {
    return ws__fail(WS_ERR_HTTP_METHOD, "the method of an upgrade must be GET",
                    reason);
  }
  if (head->minor != 1) {
    return ws__fail(WS_ERR_HTTP_VERSION, "an upgrade must be HTTP/1.1", reason);
  }
  if (has_body(head)) {
    return ws__fail(WS_ERR_HTTP_BODY, "an upgrade request must not have a body",
                    reason);
  }
  return check_upgrade(head, reason);
}

/* Item 6. */
static int check_version(const ws__http_head *head, const char **reason) {
  const ws_header *version;
  const size_t count = ws__http_count(head, "Sec-WebSocket-Version", &version);
  if (count > 1) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "Sec-WebSocket-Version is repeated",
                    reason);
  }
  if (count == 0 || !value_is(version, VERSION)) {
    return ws__fail(WS_ERR_INVALID_VERSION, "Sec-WebSocket-Version must be 13",
                    reason);
  }
  return 0;
}

/* Item 5: "a base64-encoded value that, when decoded, is 16 bytes in length".
 */
static int check_key(const ws__http_head *head, char out_key[WS__KEY_SIZE],
                     const char **reason) {
  uint8_t nonce[WS__KEY_SIZE / 4 * 3];
  size_t nonce_len;
  const ws_header *key;
  if (ws__http_count(head, "Sec-WebSocket-Key", &key) != 1) {
    return ws__fail(WS_ERR_INVALID_KEY,
                    "Sec-WebSocket-Key is missing or repeated", reason);
  }
  if (key->value_len != WS__KEY_SIZE ||
      !ws__base64_decode(key->value, key->value_len, nonce, &nonce_len) ||
      nonce_len != 16) {
    return ws__fail(WS_ERR_INVALID_KEY,
                    "Sec-WebSocket-Key must be 16 bytes in base64", reason);
  }
  memcpy(out_key, key->value, WS__KEY_SIZE);
  return 0;
}

/* Item 7. Browsers send Origin and let no page forge it, so this is what keeps
 * other sites from using a visitor's cookies (RFC 6455 10.2). */
static int check_origin(const ws__http_head *head,
                        const ws__server_rules *rules,
                        const ws__authority *host, const char **reason) {
  const ws_header *origin;
  const size_t count = ws__http_count(head, "Origin", &origin);
  if (count == 0) return 0;
  if (count > 1) {
    return ws__fail(WS_ERR_ORIGIN_NOT_ALLOWED, "Origin is repeated", reason);
  }
  const bool is_allowed =
      rules->origins != NULL
          ? ws__origin_is_allowed(origin->value, origin->value_len,
                                  rules->origins)
          : ws__origin_is_same(origin->value, origin->value_len, host,
                               rules->is_secure);
  if (is_allowed) return 0;
  return ws__fail(WS_ERR_ORIGIN_NOT_ALLOWED,
                  "Origin is not allowed; see the option origins", reason);
}

/* Items 8 and 9. Owns nothing after an error. */
static int read_offers(const ws__http_head *head, const ws__server_rules *rules,
                       const ws_allocator *allocator, ws__upgrade *upgrade,
                       const char **reason) {
  int err =
      ws__extension_choose(head, &rules->deflate, &upgrade->has_deflate,
                           &upgrade->deflate, upgrade->extensions, reason);
  if (err != 0) return err;
  ws__subprotocols list;
  err = ws__subprotocols_read(&list, head, allocator, reason);
  upgrade->protocols = list.names;
  upgrade->protocol_count = list.count;
  upgrade->protocol_size = list.size;
  return err;
}

static int check_request(const ws__http_head *head,
                         const ws__server_rules *rules,
                         const ws_allocator *allocator, ws__upgrade *upgrade,
                         const char **reason) {
  ws__authority host;
  int err = check_host(head, rules, &host, reason);
  if (err != 0 || !wants_websocket(head)) return err;

  upgrade->is_upgrade = true;
  err = check_request_form(head, reason);
  if (err == 0) err = check_version(head, reason);
  if (err == 0) err = check_key(head, upgrade->key, reason);
  if (err == 0) err = check_origin(head, rules, &host, reason);
  if (err == 0) err = read_offers(head, rules, allocator, upgrade, reason);
  return err;
}

int ws__handshake_check_request(const ws__http_head *head,
                                const ws__server_rules *rules,
                                const ws_allocator *allocator,
                                ws__upgrade *out_upgrade, const char **reason) {
  *out_upgrade = (ws__upgrade){0};
  return check_request(head, rules, allocator, out_upgrade, reason);
}

void ws__upgrade_free(ws__upgrade *upgrade, const ws_allocator *allocator) {
  ws__free(allocator, (void *)upgrade->protocols, upgrade->protocol_size);
  *upgrade = (ws__upgrade){0};
}

/* -- Server: the answer (RFC 6455 4.2.2) ----------------------------------- */

static void put_accept(writer *w, const ws__upgrade *upgrade,
                       const char *protocol) {
  char accept[WS__ACCEPT_SIZE];
  ws__handshake_accept_key(upgrade->key, accept);

  put_text(w, "HTTP/1.1 101 Switching Protocols\r\n");
  put_field(w, "Upgrade", "websocket");
  put_field(w, "Connection", "Upgrade");
  put_text(w, "Sec-WebSocket-Accept: ");
  put(w, accept, sizeof(accept));
  put_text(w, "\r\n");
  if (protocol != NULL) put_field(w, "Sec-WebSocket-Protocol", protocol);
  if (upgrade->has_deflate) {
    put_field(w, "Sec-WebSocket-Extensions", upgrade->extensions);
  }
}

int ws__handshake_write_accept(const ws__upgrade *upgrade, const char *protocol,
                               const ws_header *headers, size_t header_count,
                               const ws_allocator *allocator, ws__buf *out,
                               const char **reason) {
  if (protocol != NULL &&
      !ws__subprotocol_is_among(protocol, upgrade->protocols,
                                upgrade->protocol_count)) {
    return ws__fail(WS_ERR_INVALID_ARGUMENT,
                    "protocol: the client did not offer this one", reason);
  }
  const int err = ws__handshake_check_headers(headers, header_count, reason);
  if (err != 0) return err;

  writer w = start_writing(out, allocator);
  put_accept(&w, upgrade, protocol);
  put_headers(&w, headers, header_count);
  put_text(&w, "\r\n");
  if (end_writing(&w) == 0) return 0;
  return ws__fail(w.err, "out of memory for the response", reason);
}

static const char *phrase_of(uint16_t status) {
  switch (status) {
  case 200: return "OK";
  case 201: return "Created";
  case 202: return "Accepted";
  case 204: return "No Content";
  case 301: return "Moved Permanently";
  case 302: return "Found";
  case 303: return "See Other";
  case 304: return "Not Modified";
  case 307: return "Temporary Redirect";
  case 308: return "Permanent Redirect";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 406: return "Not Acceptable";
  case 408: return "Request Timeout";
  case 409: return "Conflict";
  case 410: return "Gone";
  case 413: return "Content Too Large";
  case 414: return "URI Too Long";
  case 421: return "Misdirected Request";
  case 426: return "Upgrade Required";
  case 429: return "Too Many Requests";
  case 431: return "Request Header Fields Too Large";
  case 500: return "Internal Server Error";
  case 501: return "Not Implemented";
  case 502: return "Bad Gateway";
  case 503: return "Service Unavailable";
  case 504: return "Gateway Timeout";
  case 505: return "HTTP Version Not Supported";
  default: return ""; /* Phrases are optional (RFC 9112 4). */
  }
}

static void put_status_line(writer *w, uint16_t status) {
  char line[sizeof("HTTP/1.1 65535 ")];
  snprintf(line, sizeof(line), "HTTP/1.1 %u ", (unsigned)status);
  put_text(w, line);
  put_text(w, phrase_of(status));
  put_text(w, "\r\n");
}

static void put_content_length(writer *w, size_t len) {
  char digits[24];
  snprintf(digits, sizeof(digits), "%zu", len);
  put_field(w, "Content-Length", digits);
}

/* What a status must come with, so that it says what the peer can do. */
static void put_status_fields(writer *w, uint16_t status, bool has_allow) {
  if (status == 426) {
    /* RFC 9110 15.5.22 and RFC 6455 4.4. */
    put_field(w, "Connection", "close, Upgrade");
    put_field(w, "Upgrade", "websocket");
    put_field(w, "Sec-WebSocket-Version", VERSION);
    return;
  }
  put_field(w, "Connection", "close");
  /* RFC 9110 15.5.6. */
  if (status == 405 && !has_allow) put_field(w, "Allow", "GET");
}

int ws__handshake_write_response(uint16_t status, const ws_header *headers,
                                 size_t header_count, const void *body,
                                 size_t body_len, bool has_body,
                                 const ws_allocator *allocator, ws__buf *out,
                                 const char **reason) {
  if (status < 200 || status > 599) {
    return ws__fail(WS_ERR_INVALID_ARGUMENT, "status: not 200 to 599", reason);
  }
  const int err = ws__handshake_check_headers(headers, header_count, reason);
  if (err != 0) return err;
  /* RFC 9110 8.6, 15.3.5 and 15.4.5. */
  const bool has_length = status != 204 && status != 304;

  writer w = start_writing(out, allocator);
  put_status_line(&w, status);
  put_status_fields(&w, status,
                    count_named(headers, header_count, "Allow") > 0);
  if (has_length) put_content_length(&w, body_len);
  put_headers(&w, headers, header_count);
  put_text(&w, "\r\n");
  if (has_length && has_body) put(&w, body, body_len);
  if (end_writing(&w) == 0) return 0;
  return ws__fail(w.err, "out of memory for the response", reason);
}
