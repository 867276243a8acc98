/* test_handshake.c - the opening handshake of both roles, head by head. Every
 * head goes through the real parser, from a block of exactly its size. */
#include "test.h"
#include "test_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/handshake.h"

/* The example of RFC 6455 1.3. */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define FIELD(name, value) \
  { name, sizeof(name) - 1, value, sizeof(value) - 1 }

static const ws__deflate_offer no_deflate = {false, {15, 15, false, false}};
static const ws__deflate_offer deflate = {true, {15, 15, false, false}};

/* -- Heads ----------------------------------------------------------------- */

typedef struct parsed {
  ws__http_head head;
  char *data;
} parsed;

typedef int parse_fn(ws__http_head *head, const ws_allocator *allocator,
                     char *data, size_t len, const char **reason);

static parsed parse(parse_fn *parse_head, const void *text, size_t len) {
  parsed p;
  const char *reason = "";
  p.data = malloc(len);
  assert_non_null(p.data);
  memcpy(p.data, text, len);
  if (parse_head(&p.head, &ws__malloc, p.data, len, &reason) != 0) {
    fail_msg("%s: %.*s", reason, (int)len, (const char *)text);
  }
  return p;
}

static void drop(parsed *p) {
  ws__http_head_free(&p->head, &ws__malloc);
  free(p->data);
}

static void accept_keys_are_those_of_the_rfc(void **state) {
  (void)state;
  char accept[WS__ACCEPT_SIZE];
  ws__handshake_accept_key(KEY, accept);
  assert_memory_equal(accept, ACCEPT, WS__ACCEPT_SIZE);
}

/* -- Client: the request --------------------------------------------------- */

static const ws_url url = {.href = "ws://h:8080/a/b?c=d",
                           .origin = "ws://h:8080",
                           .host = "h",
                           .authority = "h:8080",
                           .target = "/a/b?c=d",
                           .port = 8080};

/* Returns the request as a string to free. */
static char *written_request(const ws_conn_request *request,
                             const ws__deflate_offer *offer) {
  ws__buf out = {0};
  const char *reason = "";
  if (ws__handshake_write_request(request, offer, KEY, &ws__malloc, &out,
                                  &reason) != 0) {
    fail_msg("%s", reason);
  }
  assert_int_equal(ws__buf_append(&out, &ws__malloc, "", 1), 0);
  return (char *)out.data;
}

static void a_request_has_exactly_what_is_needed(void **state) {
  (void)state;
  /* Rows 42, 60, 61, 63, 64, 66. */
  char *text = written_request(&(ws_conn_request){.url = &url}, &deflate);
  assert_string_equal(text, "GET /a/b?c=d HTTP/1.1\r\n"
                            "Host: h:8080\r\n"
                            "Upgrade: websocket\r\n"
                            "Connection: Upgrade\r\n"
                            "Sec-WebSocket-Key: " KEY "\r\n"
                            "Sec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Extensions: permessage-deflate; "
                            "client_max_window_bits\r\n"
                            "\r\n");
  free(text);
}

static void a_request_has_what_was_asked_for(void **state) {
  (void)state;
  /* Rows 44, 64, 66, 67. */
  static const char *const protocols[] = {"b", "a", "c"};
  static const ws_header headers[] = {FIELD("X-A", "1"), FIELD("Cookie", "a=b"),
                                      FIELD("X-A", ""),
                                      FIELD("X-B", "\ta \xE9 b")};
  ws_url with_user = url;
  with_user.authorization = "Basic Zm9vOmJhcg==";
  char *text = written_request(&(ws_conn_request){.url = &with_user,
                                                  .protocols = protocols,
                                                  .protocol_count = 3,
                                                  .headers = headers,
                                                  .header_count = 4,
                                                  .origin = "https://x"},
                               &no_deflate);
  assert_string_equal(text, "GET /a/b?c=d HTTP/1.1\r\n"
                            "Host: h:8080\r\n"
                            "Upgrade: websocket\r\n"
                            "Connection: Upgrade\r\n"
                            "Sec-WebSocket-Key: " KEY "\r\n"
                            "Sec-WebSocket-Version: 13\r\n"
                            "Origin: https://x\r\n"
                            "Sec-WebSocket-Protocol: b, a, c\r\n"
                            "Authorization: Basic Zm9vOmJhcg==\r\n"
                            "X-A: 1\r\n"
                            "Cookie: a=b\r\n"
                            "X-A: \r\n"
                            "X-B: \ta \xE9 b\r\n"
                            "\r\n");
  free(text);
}

static void one_protocol_is_a_list_of_one(void **state) {
  (void)state;
  /* Row 43. */
  static const char *const protocols[] = {"a"};
  char *text = written_request(&(ws_conn_request){.url = &url,
                                                  .protocols = protocols,
                                                  .protocol_count = 1},
                               &no_deflate);
  assert_non_null(strstr(text, "\r\nSec-WebSocket-Protocol: a\r\n"));
  free(text);
}

static void the_applications_authorization_wins(void **state) {
  (void)state;
  static const ws_header headers[] = {FIELD("authorization", "Bearer x")};
  ws_url with_user = url;
  with_user.authorization = "Basic Zm9vOmJhcg==";
  char *text = written_request(&(ws_conn_request){.url = &with_user,
                                                  .headers = headers,
                                                  .header_count = 1},
                               &no_deflate);
  assert_null(strstr(text, "Basic"));
  assert_non_null(strstr(text, "\r\nauthorization: Bearer x\r\n"));
  free(text);
}

/* The buffer keeps what it held, whatever goes wrong. */
static void assert_request_refused(const ws_conn_request *request, int err) {
  ws__buf out = {0};
  const char *reason = NULL;
  assert_int_equal(ws__buf_append_str(&out, &ws__malloc, "kept"), 0);
  assert_int_equal(ws__handshake_write_request(request, &deflate, KEY,
                                               &ws__malloc, &out, &reason),
                   err);
  assert_non_null(reason);
  assert_int_equal(out.len, 4);
  ws__buf_free(&out, &ws__malloc);
}

static void assert_protocols_refused(const char *a, const char *b) {
  const char *const protocols[] = {a, b};
  assert_request_refused(&(ws_conn_request){.url = &url,
                                            .protocols = protocols,
                                            .protocol_count = 2},
                         WS_ERR_SYNTAX);
}

static void protocols_that_are_no_tokens_are_refused(void **state) {
  (void)state;
  /* Rows 45 to 54. */
  assert_protocols_refused("", "x");
  assert_protocols_refused("x", "");
  assert_protocols_refused("x", NULL);
  assert_protocols_refused("ec ho", "x");
  assert_protocols_refused("foobar, foobar", "x");
  assert_protocols_refused("echo", "echo");
  assert_protocols_refused("echo", "eCho");
  unsigned refused = 0;
  for (unsigned byte = 1; byte < 256; byte++) {
    const char name[] = {'a', (char)byte, 'b', '\0'};
    if (ws__http_is_token_char((char)byte)) continue;
    assert_protocols_refused(name, "x");
    refused++;
  }
  /* 19 separators, 33 controls less NUL, 128 bytes that are not ASCII. */
  assert_int_equal(refused, 19 + 32 - 1 + 128);
}

static void assert_header_refused(ws_header header) {
  const ws_header headers[] = {FIELD("X-A", "1"), header};
  assert_request_refused(
      &(ws_conn_request){.url = &url, .headers = headers, .header_count = 2},
      WS_ERR_INVALID_ARGUMENT);

  ws__buf out = {0};
  const char *reason;
  assert_int_equal(ws__handshake_write_accept(&(ws__upgrade){.key = KEY}, NULL,
                                              headers, 2, &ws__malloc, &out,
                                              &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(ws__handshake_write_response(200, headers, 2, "", 0, true,
                                                &ws__malloc, &out, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(out.len, 0);
  assert_non_null(reason);
}

static void headers_that_would_break_a_head_are_refused(void **state) {
  (void)state;
  /* Row 67, A-38. */
  assert_header_refused((ws_header)FIELD("", "a"));
  assert_header_refused((ws_header)FIELD("X A", "a"));
  assert_header_refused((ws_header)FIELD("X:", "a"));
  assert_header_refused((ws_header)FIELD("X\r\nY", "a"));
  assert_header_refused((ws_header)FIELD("X\0", "a"));
  assert_header_refused((ws_header)FIELD("\xE9", "a"));
  assert_header_refused((ws_header)FIELD("X", "a\r\nY: b"));
  assert_header_refused((ws_header)FIELD("X", "a\nY: b"));
  assert_header_refused((ws_header)FIELD("X", "\r"));
  assert_header_refused((ws_header)FIELD("X", "a\0"));
  assert_header_refused((ws_header)FIELD("X", "\x1B[m"));
  assert_header_refused((ws_header)FIELD("X", "\x7F"));
}

static void reserved_headers_are_refused(void **state) {
  (void)state;
  /* Row 68. */
  assert_header_refused((ws_header)FIELD("Host", "a"));
  assert_header_refused((ws_header)FIELD("hOST", "a"));
  assert_header_refused((ws_header)FIELD("Connection", "close"));
  assert_header_refused((ws_header)FIELD("Upgrade", "a"));
  assert_header_refused((ws_header)FIELD("Content-Length", "0"));
  assert_header_refused((ws_header)FIELD("Transfer-Encoding", "chunked"));
  assert_header_refused((ws_header)FIELD("Sec-WebSocket-Key", "a"));
  assert_header_refused((ws_header)FIELD("sec-websocket-", "a"));
  assert_header_refused((ws_header)FIELD("Sec-WebSocket-New", "a"));
}

static void nobody_says_twice_who_he_is(void **state) {
  (void)state;
  static const ws_header headers[] = {
      FIELD("Origin", "https://a"), FIELD("origin", "https://b"),
      FIELD("Authorization", "a"), FIELD("Authorization", "b")};
  assert_request_refused(
      &(ws_conn_request){.url = &url, .headers = headers, .header_count = 2},
      WS_ERR_INVALID_ARGUMENT);
  assert_request_refused(&(ws_conn_request){.url = &url,
                                            .headers = headers,
                                            .header_count = 1,
                                            .origin = "https://a"},
                         WS_ERR_INVALID_ARGUMENT);
  assert_request_refused(&(ws_conn_request){.url = &url,
                                            .headers = headers + 2,
                                            .header_count = 2},
                         WS_ERR_INVALID_ARGUMENT);
}

static void a_line_break_comes_in_nowhere(void **state) {
  (void)state;
  /* the origin, and a URL that is not from ws_url_parse(). */
  assert_request_refused(
      &(ws_conn_request){.url = &url, .origin = "https://x\r\nA: b"},
      WS_ERR_INVALID_ARGUMENT);
  assert_request_refused(&(ws_conn_request){0}, WS_ERR_INVALID_ARGUMENT);
  static const char *const bad[] = {"/a\r\nA: b", "/ b", "a", ""};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    ws_url other = url;
    other.target = bad[i];
    assert_request_refused(&(ws_conn_request){.url = &other},
                           WS_ERR_INVALID_ARGUMENT);
  }
  ws_url other = url;
  other.authority = "h\r\nA: b";
  assert_request_refused(&(ws_conn_request){.url = &other},
                         WS_ERR_INVALID_ARGUMENT);
  other = url;
  other.authorization = "Basic x\nA: b";
  assert_request_refused(&(ws_conn_request){.url = &other},
                         WS_ERR_INVALID_ARGUMENT);
}

/* -- Client: the response -------------------------------------------------- */

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"
#define U      "Upgrade: websocket\r\n"
#define C      "Connection: Upgrade\r\n"
#define A      "Sec-WebSocket-Accept: " ACCEPT "\r\n"

typedef struct response_case {
  const char *text; /* Without the empty line. */
  int err;
} response_case;

static int judge(const char *text, const char *const *protocols,
                 size_t protocol_count, const ws__deflate_offer *offer,
                 ws__agreement *agreement, parsed *p) {
  char buffer[1024];
  const int len = snprintf(buffer, sizeof(buffer), "%s\r\n", text);
  *p = parse(ws__http_parse_response, buffer, (size_t)len);
  const char *reason = NULL;
  const int err = ws__handshake_check_response(
      &p->head, KEY, protocols, protocol_count, offer, agreement, &reason);
  assert_int_equal(err != 0, reason != NULL);
  return err;
}

static void check_responses(const response_case *cases, size_t count,
                            const char *const *protocols,
                            size_t protocol_count) {
  for (size_t i = 0; i < count; i++) {
    parsed p;
    ws__agreement agreement;
    const int err = judge(cases[i].text, protocols, protocol_count, &no_deflate,
                          &agreement, &p);
    if (err != cases[i].err) print_error("%s", cases[i].text);
    assert_int_equal(err, cases[i].err);
    drop(&p);
  }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void responses_are_judged(void **state) {
  (void)state;
  static const response_case cases[] = {
      {SWITCH U C A, 0},
      {"HTTP/1.1 101 \r\n" U C A, 0},
      {"HTTP/1.1 101 Web Socket Protocol Handshake\r\n" A C U, 0},
      /* Row 74 to 76. */
      {"HTTP/1.1 200 OK\r\n" U C A, WS_ERR_UNEXPECTED_STATUS},
      {"HTTP/1.1 100 Continue\r\n" U C A, WS_ERR_UNEXPECTED_STATUS},
      {"HTTP/1.1 102 \r\n" U C A, WS_ERR_UNEXPECTED_STATUS},
      {"HTTP/1.1 204 \r\n" U C A, WS_ERR_UNEXPECTED_STATUS},
      {"HTTP/1.1 301 \r\nLocation: ws://h/\r\n" U C A,
       WS_ERR_UNEXPECTED_STATUS},
      {"HTTP/1.1 401 \r\nWWW-Authenticate: Basic\r\n" U C A,
       WS_ERR_UNEXPECTED_STATUS},
      {"HTTP/1.1 407 \r\n" U C A, WS_ERR_UNEXPECTED_STATUS},
      {"HTTP/1.1 503 \r\n" U C A, WS_ERR_UNEXPECTED_STATUS},
      /* Row 96. */
      {"HTTP/1.0 101 \r\n" U C A, WS_ERR_HTTP_VERSION},
      /* Rows 77 to 79. */
      {SWITCH C A, WS_ERR_INVALID_UPGRADE},
      {SWITCH "Upgrade: WebSocket\r\n" C A, 0},
      {SWITCH "Upgrade: h2c\r\n" C A, WS_ERR_INVALID_UPGRADE},
      {SWITCH "Upgrade:\r\n" C A, WS_ERR_INVALID_UPGRADE},
      {SWITCH "Upgrade: websocket, h2c\r\n" C A, WS_ERR_INVALID_UPGRADE},
      {SWITCH "Upgrade: websocket/13\r\n" C A, WS_ERR_INVALID_UPGRADE},
      {SWITCH U U C A, WS_ERR_INVALID_UPGRADE},
      /* Rows 80 and 81. */
      {SWITCH U A, WS_ERR_INVALID_UPGRADE},
      {SWITCH U "Connection: close\r\n" A, WS_ERR_INVALID_UPGRADE},
      {SWITCH U "Connection: keep-alive, Upgrade\r\n" A, 0},
      {SWITCH U "Connection: keep-alive\r\nConnection: upgrade\r\n" A, 0},
      /* Rows 83 and 85. */
      {SWITCH U C, WS_ERR_INVALID_ACCEPT},
      {SWITCH U C "Sec-WebSocket-Accept:\r\n", WS_ERR_INVALID_ACCEPT},
      {SWITCH U C "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n",
       WS_ERR_INVALID_ACCEPT},
      {SWITCH U C "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n",
       WS_ERR_INVALID_ACCEPT},
      {SWITCH U C "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=A\r\n",
       WS_ERR_INVALID_ACCEPT},
      {SWITCH U C "Sec-WebSocket-Accept: " KEY "\r\n", WS_ERR_INVALID_ACCEPT},
      {SWITCH U C A A, WS_ERR_INVALID_ACCEPT},
      {SWITCH U C "Sec-WebSocket-Accept:\t" ACCEPT " \r\n", 0},
      /* Table 2.2: a 101 has no body. */
      {SWITCH U C A "Transfer-Encoding: chunked\r\n", WS_ERR_HTTP_SYNTAX},
      {SWITCH U C A "Transfer-Encoding: identity\r\n", WS_ERR_HTTP_SYNTAX},
      {SWITCH U C A "Content-Length: 5\r\n", WS_ERR_HTTP_SYNTAX},
      {SWITCH U C A "Content-Length: x\r\n", WS_ERR_HTTP_SYNTAX},
      {SWITCH U C A "Content-Length: 0\r\nContent-Length: 1\r\n",
       WS_ERR_HTTP_SYNTAX},
      {SWITCH U C A "Content-Length: 0\r\n", 0},
      /* Row 86. */
      {SWITCH U C A "Sec-WebSocket-Protocol: foobar\r\n",
       WS_ERR_UNEXPECTED_SUBPROTOCOL},
      {SWITCH U C A "Sec-WebSocket-Protocol:\r\n",
       WS_ERR_UNEXPECTED_SUBPROTOCOL},
      /* Rows 90 and 91. */
      {SWITCH U C A "Sec-WebSocket-Extensions: foo\r\n",
       WS_ERR_UNEXPECTED_EXTENSION},
      {SWITCH U C A "Sec-WebSocket-Extensions: permessage-deflate\r\n",
       WS_ERR_UNEXPECTED_EXTENSION},
      {SWITCH U C A "Sec-WebSocket-Extensions:\r\n", WS_ERR_INVALID_EXTENSIONS},
  };
  check_responses(cases, COUNT(cases), NULL, 0);
}

static void the_servers_subprotocol_must_be_one_of_ours(void **state) {
  (void)state;
  static const char *const protocols[] = {"foobar", "FOO"};
  static const response_case cases[] = {
      {SWITCH U C A "Sec-WebSocket-Protocol: foobar\r\n", 0},
      {SWITCH U C A "sec-websocket-protocol:\tFOO \r\n", 0},
      /* Row 87. */
      {SWITCH U C A "Sec-WebSocket-Protocol: FOOBAR\r\n",
       WS_ERR_UNEXPECTED_SUBPROTOCOL},
      {SWITCH U C A "Sec-WebSocket-Protocol: foo\r\n",
       WS_ERR_UNEXPECTED_SUBPROTOCOL},
      {SWITCH U C A "Sec-WebSocket-Protocol: fooba\r\n",
       WS_ERR_UNEXPECTED_SUBPROTOCOL},
      {SWITCH U C A "Sec-WebSocket-Protocol: foobar, FOO\r\n",
       WS_ERR_UNEXPECTED_SUBPROTOCOL},
      {SWITCH U C A "Sec-WebSocket-Protocol:\r\n",
       WS_ERR_UNEXPECTED_SUBPROTOCOL},
      {SWITCH U C A "Sec-WebSocket-Protocol: foobar\r\n"
                    "Sec-WebSocket-Protocol: foobar\r\n",
       WS_ERR_INVALID_SUBPROTOCOL},
      /* Row 88. */
      {SWITCH U C A, WS_ERR_MISSING_SUBPROTOCOL},
  };
  check_responses(cases, COUNT(cases), protocols, COUNT(protocols));
}

static void an_agreement_says_what_the_head_says(void **state) {
  (void)state;
  static const char *const protocols[] = {"a", "b"};
  parsed p;
  ws__agreement agreement;
  assert_int_equal(judge(SWITCH U C A "Sec-WebSocket-Protocol: b\r\n"
                                      "Sec-WebSocket-Extensions: "
                                      "permessage-deflate ;"
                                      "client_max_window_bits=\"10\" \r\n",
                         protocols, 2, &deflate, &agreement, &p),
                   0);
  assert_string_equal(agreement.protocol, "b");
  assert_string_equal(agreement.extensions,
                      "permessage-deflate ;client_max_window_bits=\"10\"");
  assert_true(agreement.has_deflate);
  assert_int_equal(agreement.deflate.client_max_window_bits, 10);
  assert_int_equal(agreement.deflate.server_max_window_bits, 15);
  drop(&p);

  assert_int_equal(judge(SWITCH U C A, NULL, 0, &deflate, &agreement, &p), 0);
  assert_string_equal(agreement.protocol, "");
  assert_string_equal(agreement.extensions, "");
  assert_false(agreement.has_deflate);
  drop(&p);
}

/* -- Server: the request --------------------------------------------------- */

#define GET "GET /chat HTTP/1.1\r\n"
#define H   "Host: h.example\r\n"
#define K   "Sec-WebSocket-Key: " KEY "\r\n"
#define V   "Sec-WebSocket-Version: 13\r\n"

static const ws__server_rules default_rules = {.deflate = {
                                                   false,
                                                   {15, 15, false, false},
                                               }};

typedef struct request_case {
  const char *text; /* Without the empty line. */
  int err;
  uint16_t status;
} request_case;

/* What became of a request. */
typedef struct verdict {
  int err;
  uint16_t status;
  bool is_upgrade;
} verdict;

static verdict judge_request(const char *text, const ws__server_rules *rules) {
  const size_t size = strlen(text) + 3;
  char *buffer = malloc(size);
  assert_non_null(buffer);
  const int len = snprintf(buffer, size, "%s\r\n", text);
  parsed p = parse(ws__http_parse_request, buffer, (size_t)len);
  free(buffer);
  test_alloc alloc;
  test_alloc_init(&alloc);
  verdict v = {0};
  const char *reason = NULL;
  ws__upgrade upgrade;
  v.err = ws__handshake_check_request(&p.head, rules, &alloc.allocator,
                                      &upgrade, &reason);
  if (v.err != 0) v.status = ws__handshake_status(v.err);
  assert_int_equal(v.err != 0, reason != NULL);
  if (v.err == 0) {
    v.is_upgrade = upgrade.is_upgrade;
    ws__upgrade_free(&upgrade, &alloc.allocator);
  }
  assert_int_equal(alloc.held, 0);
  drop(&p);
  return v;
}

static void check_requests(const request_case *cases, size_t count,
                           const ws__server_rules *rules) {
  for (size_t i = 0; i < count; i++) {
    const verdict v = judge_request(cases[i].text, rules);
    if (v.err != cases[i].err || v.status != cases[i].status) {
      print_error("%s", cases[i].text);
    }
    assert_int_equal(v.err, cases[i].err);
    assert_int_equal(v.status, cases[i].status);
    if (v.err == 0) assert_true(v.is_upgrade);
  }
}

static void requests_are_judged(void **state) {
  (void)state;
  static const request_case cases[] = {
      {GET H U C K V, 0, 0},
      {GET V K C U H, 0, 0},
      {"GET http://h.example/chat HTTP/1.1\r\n" H U C K V, 0, 0},
      /* Row 362. */
      {"POST / HTTP/1.1\r\n" H U C K V, WS_ERR_HTTP_METHOD, 405},
      {"get / HTTP/1.1\r\n" H U C K V, WS_ERR_HTTP_METHOD, 405},
      {"HEAD / HTTP/1.1\r\n" H U C K V, WS_ERR_HTTP_METHOD, 405},
      {"GETT / HTTP/1.1\r\n" H U C K V, WS_ERR_HTTP_METHOD, 405},
      {"GET / HTTP/1.0\r\n" H U C K V, WS_ERR_HTTP_VERSION, 505},
      /* Row 363. */
      {GET H C K V, WS_ERR_INVALID_UPGRADE, 400},
      {GET H "Upgrade: h2c\r\n" C K V, WS_ERR_INVALID_UPGRADE, 400},
      {GET H "Upgrade:\r\n" C K V, WS_ERR_INVALID_UPGRADE, 400},
      {GET H U U C K V, WS_ERR_INVALID_UPGRADE, 400},
      {GET H "Upgrade: h2c, WebSocket\r\n" C K V, 0, 0},
      {GET H U K V, WS_ERR_INVALID_UPGRADE, 400},
      {GET H U "Connection: close\r\n" K V, WS_ERR_INVALID_UPGRADE, 400},
      {GET H U "Connection: keep-alive, upgrade\r\n" K V, 0, 0},
      {GET H U "Connection: keep-alive\r\n" C K V, 0, 0},
      /* Row 365, A-39. */
      {GET H U C K, WS_ERR_INVALID_VERSION, 426},
      {GET H U C K "Sec-WebSocket-Version: 12\r\n", WS_ERR_INVALID_VERSION,
       426},
      {GET H U C K "Sec-WebSocket-Version: 8\r\n", WS_ERR_INVALID_VERSION, 426},
      {GET H U C K "Sec-WebSocket-Version: 013\r\n", WS_ERR_INVALID_VERSION,
       426},
      {GET H U C K "Sec-WebSocket-Version: 13, 8\r\n", WS_ERR_INVALID_VERSION,
       426},
      {GET H U C K "Sec-WebSocket-Version:\r\n", WS_ERR_INVALID_VERSION, 426},
      {GET H U C K V V, WS_ERR_HTTP_SYNTAX, 400},
      /* */
      {GET H U C V, WS_ERR_INVALID_KEY, 400},
      {GET H U C V K K, WS_ERR_INVALID_KEY, 400},
      {GET H U C V "Sec-WebSocket-Key:\r\n", WS_ERR_INVALID_KEY, 400},
      {GET H U C V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n",
       WS_ERR_INVALID_KEY, 400},
      {GET H U C V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===\r\n",
       WS_ERR_INVALID_KEY, 400},
      {GET H U C V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWE=\r\n",
       WS_ERR_INVALID_KEY, 400}, /* 17 bytes. */
      {GET H U C V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWFh\r\n",
       WS_ERR_INVALID_KEY, 400}, /* 18 bytes. */
      {GET H U C V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n",
       WS_ERR_INVALID_KEY, 400}, /* Spare bits are set. */
      {GET H U C V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==\r\n",
       WS_ERR_INVALID_KEY, 400},
      {GET H U C V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\xE9Q==\r\n",
       WS_ERR_INVALID_KEY, 400},
      /* no body. */
      {GET H U C K V "Content-Length: 1\r\n", WS_ERR_HTTP_BODY, 400},
      {GET H U C K V "Content-Length: 0\r\n", 0, 0},
      {GET H U C K V "Content-Length: 00\r\n", WS_ERR_HTTP_BODY, 400},
      {GET H U C K V "Content-Length: 0\r\nContent-Length: 5\r\n",
       WS_ERR_HTTP_BODY, 400},
      {GET H U C K V "Content-Length:\r\n", WS_ERR_HTTP_BODY, 400},
      {GET H U C K V "Transfer-Encoding: chunked\r\n", WS_ERR_HTTP_BODY, 400},
      {GET H U C K V "Transfer-Encoding:\r\n", WS_ERR_HTTP_BODY, 400},
      /* one good Host. */
      {GET U C K V, WS_ERR_INVALID_HOST, 400},
      {GET H H U C K V, WS_ERR_INVALID_HOST, 400},
      {GET "Host:\r\n" U C K V, WS_ERR_INVALID_HOST, 400},
      {GET "Host: a b\r\n" U C K V, WS_ERR_INVALID_HOST, 400},
      {GET "Host: a, b\r\n" U C K V, WS_ERR_INVALID_HOST, 400},
      {GET "Host: h:70000\r\n" U C K V, WS_ERR_INVALID_HOST, 400},
      {GET "Host: u@h\r\n" U C K V, WS_ERR_INVALID_HOST, 400},
      {GET "Host: h/a\r\n" U C K V, WS_ERR_INVALID_HOST, 400},
      {GET "Host: \xFF\r\n" U C K V, WS_ERR_INVALID_HOST, 400},
      {GET "Host: [::1]:8080\r\n" U C K V, 0, 0},
      /* A target that names a host names the same. */
      {"GET http://evil/chat HTTP/1.1\r\n" H U C K V, WS_ERR_INVALID_HOST, 400},
      {"GET http://h.example.evil HTTP/1.1\r\n" H U C K V, WS_ERR_INVALID_HOST,
       400},
      {"GET http://u@h.example/ HTTP/1.1\r\n" H U C K V, WS_ERR_INVALID_HOST,
       400},
      {"GET HTTPS://H.example?a HTTP/1.1\r\n" H U C K V, 0, 0},
      /* A-41; the rule itself is in test_authority.c. */
      {GET H U C K V "Origin: http://h.example\r\n", 0, 0},
      {GET H U C K V "Origin: https://h.example\r\n", 0, 0},
      {GET H U C K V "Origin: http://evil.example\r\n",
       WS_ERR_ORIGIN_NOT_ALLOWED, 403},
      {GET H U C K V "Origin: null\r\n", WS_ERR_ORIGIN_NOT_ALLOWED, 403},
      {GET H U C K V "Origin:\r\n", WS_ERR_ORIGIN_NOT_ALLOWED, 403},
      {GET H U C K V "Origin: http://h.example\r\n"
                     "Origin: http://h.example\r\n",
       WS_ERR_ORIGIN_NOT_ALLOWED, 403},
      /* Row 366. */
      {GET H U C K V "Sec-WebSocket-Protocol: a, b\r\n", 0, 0},
      {GET H U C K V "Sec-WebSocket-Protocol: a, A\r\n", 0, 0},
      {GET H U C K V "Sec-WebSocket-Protocol: a,,b\r\n",
       WS_ERR_INVALID_SUBPROTOCOL, 400},
      {GET H U C K V "Sec-WebSocket-Protocol: a, a\r\n",
       WS_ERR_INVALID_SUBPROTOCOL, 400},
      {GET H U C K V "Sec-WebSocket-Protocol: a, b\r\n"
                     "Sec-WebSocket-Protocol: c, a\r\n",
       WS_ERR_INVALID_SUBPROTOCOL, 400},
      {GET H U C K V "Sec-WebSocket-Protocol:\r\n", WS_ERR_INVALID_SUBPROTOCOL,
       400},
      {GET H U C K V "Sec-WebSocket-Protocol: a,\r\n",
       WS_ERR_INVALID_SUBPROTOCOL, 400},
      {GET H U C K V "Sec-WebSocket-Protocol: ,a\r\n",
       WS_ERR_INVALID_SUBPROTOCOL, 400},
      {GET H U C K V "Sec-WebSocket-Protocol: a b\r\n",
       WS_ERR_INVALID_SUBPROTOCOL, 400},
      {GET H U C K V "Sec-WebSocket-Protocol: a;b\r\n",
       WS_ERR_INVALID_SUBPROTOCOL, 400},
      {GET H U C K V "Sec-WebSocket-Protocol: \"a\"\r\n",
       WS_ERR_INVALID_SUBPROTOCOL, 400},
      {GET H U C K V "Sec-WebSocket-Protocol: a, \xE9\r\n",
       WS_ERR_INVALID_SUBPROTOCOL, 400},
      /* Row 367. */
      {GET H U C K V "Sec-WebSocket-Extensions: a;;\r\n",
       WS_ERR_INVALID_EXTENSIONS, 400},
      {GET H U C K V "Sec-WebSocket-Extensions: \x80\r\n",
       WS_ERR_INVALID_EXTENSIONS, 400},
      {GET H U C K V "Sec-WebSocket-Extensions: unknown; a=b\r\n", 0, 0},
  };
  check_requests(cases, COUNT(cases), &default_rules);
}

static void over_tls_only_https_is_the_same_origin(void **state) {
  (void)state;
  static const request_case cases[] = {
      {GET H U C K V "Origin: https://h.example\r\n", 0, 0},
      {GET H U C K V "Origin: http://h.example\r\n", WS_ERR_ORIGIN_NOT_ALLOWED,
       403},
  };
  ws__server_rules rules = default_rules;
  rules.is_secure = true;
  check_requests(cases, COUNT(cases), &rules);
}

static void a_list_of_origins_is_the_whole_rule(void **state) {
  (void)state;
  static const char *const origins[] = {"https://a.example", NULL};
  static const char *const any[] = {"*", NULL};
  static const request_case cases[] = {
      {GET H U C K V, 0, 0},
      {GET H U C K V "Origin: https://A.example\r\n", 0, 0},
      {GET H U C K V "Origin: http://h.example\r\n", WS_ERR_ORIGIN_NOT_ALLOWED,
       403},
      {GET H U C K V "Origin: null\r\n", WS_ERR_ORIGIN_NOT_ALLOWED, 403},
  };
  static const request_case cases_any[] = {
      {GET H U C K V "Origin: null\r\n", 0, 0},
      {GET H U C K V "Origin: a\r\nOrigin: b\r\n", WS_ERR_ORIGIN_NOT_ALLOWED,
       403},
  };
  ws__server_rules rules = default_rules;
  rules.origins = origins;
  check_requests(cases, COUNT(cases), &rules);
  rules.origins = any;
  check_requests(cases_any, COUNT(cases_any), &rules);
}

static void a_list_of_hosts_keeps_others_out(void **state) {
  (void)state;
  /* a name that was rebound to our address is not ours. */
  static const char *const hosts[] = {"h.example", "localhost:8080", NULL};
  static const request_case cases[] = {
      {GET H U C K V, 0, 0},
      {GET "Host: localhost:8080\r\n" U C K V, 0, 0},
      {GET "Host: localhost\r\n" U C K V, WS_ERR_HOST_NOT_ALLOWED, 403},
      {GET "Host: evil.example\r\n" U C K V "Origin: http://evil.example\r\n",
       WS_ERR_HOST_NOT_ALLOWED, 403},
      /* Plain HTTP, too, and HTTP/1.0 that names no host. */
      {GET "Host: evil.example\r\n", WS_ERR_HOST_NOT_ALLOWED, 403},
      {"GET / HTTP/1.0\r\n", WS_ERR_HOST_NOT_ALLOWED, 403},
  };
  ws__server_rules rules = default_rules;
  rules.hosts = hosts;
  check_requests(cases, COUNT(cases), &rules);
}

static void plain_http_is_no_upgrade(void **state) {
  (void)state;
  /* Row 361: the connection answers these 426, or the application does. */
  static const char *const texts[] = {
      GET H,
      "GET / HTTP/1.0\r\n",
      "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n",
      GET H "Upgrade: h2c\r\nConnection: Upgrade\r\n",
      GET H "Sec-WebSocket-Protocol: ,\r\n",
      GET H "Origin: http://evil.example\r\n",
  };
  for (size_t i = 0; i < COUNT(texts); i++) {
    const verdict v = judge_request(texts[i], &default_rules);
    assert_int_equal(v.err, 0);
    assert_false(v.is_upgrade);
  }
  assert_int_equal(judge_request(GET, &default_rules).err, WS_ERR_INVALID_HOST);
}

static void keys_of_every_length_are_judged(void **state) {
  (void)state;
  /* */
  for (int len = 0; len <= 4096; len++) {
    static char text[5000];
    snprintf(text, sizeof(text), GET H U C V "Sec-WebSocket-Key: %.*s\r\n", len,
             "");
    char *at = text + strlen(text) - 2;
    memset(at, 'A', (size_t)len);
    if (len == WS__KEY_SIZE) memcpy(at + len - 2, "==", 2);
    strcpy(at + len, "\r\n");
    const verdict v = judge_request(text, &default_rules);
    assert_int_equal(v.err, len == WS__KEY_SIZE ? 0 : WS_ERR_INVALID_KEY);
  }
}

/* -- Server: offers -------------------------------------------------------- */

/* Judges a request that must be good; both are the caller's to free. */
static parsed upgrade_of(const char *text, const ws__server_rules *rules,
                         ws__upgrade *upgrade) {
  char buffer[1024];
  const int len = snprintf(buffer, sizeof(buffer), "%s\r\n", text);
  parsed p = parse(ws__http_parse_request, buffer, (size_t)len);
  const char *reason;
  assert_int_equal(ws__handshake_check_request(&p.head, rules, &ws__malloc,
                                               upgrade, &reason),
                   0);
  assert_true(upgrade->is_upgrade);
  assert_memory_equal(upgrade->key, KEY, WS__KEY_SIZE);
  return p;
}

static void subprotocols_keep_their_order(void **state) {
  (void)state;
  /* Row 369. */
  static const char *const expected[] = {"b", "a", "zebra", "A", "x.y-z"};
  ws__upgrade upgrade;
  parsed p =
      upgrade_of(GET H U C K V "Sec-WebSocket-Protocol: b,a\t,  zebra\r\n"
                               "sec-websocket-protocol: A\r\n"
                               "Sec-WebSocket-Protocol: x.y-z\r\n",
                 &default_rules, &upgrade);
  assert_int_equal(upgrade.protocol_count, COUNT(expected));
  for (size_t i = 0; i < COUNT(expected); i++) {
    assert_string_equal(upgrade.protocols[i], expected[i]);
  }
  ws__upgrade_free(&upgrade, &ws__malloc);
  drop(&p);
}

/* Writes the `n`th of some distinct names in an order without order. */
static size_t write_name(char *out, unsigned n) {
  return (size_t)sprintf(out, "p%x", (n * 2654435761u) & 0xFFFFFFu);
}

/* two hundred thousand names, with and without one that is twice there;
 * comparing each with each would not come to an end. */
static void many_subprotocols_are_sorted_not_compared_in_pairs(void **state) {
  (void)state;
  enum {
    names = 200000,
    per_line = 1000
  };
  char *text = malloc(names * 10 + 64 * (names / per_line) + 1024);
  assert_non_null(text);
  char *at = text + sprintf(text, GET H U C K V);
  for (unsigned n = 0; n < names; n++) {
    if (n % per_line == 0) at += sprintf(at, "Sec-WebSocket-Protocol: ");
    at += write_name(at, n);
    at += sprintf(at, "%s", n % per_line == per_line - 1 ? "\r\n" : ",");
  }
  *at = '\0';
  assert_int_equal(judge_request(text, &default_rules).err, 0);
  at += sprintf(at, "Sec-WebSocket-Protocol: ");
  at += write_name(at, names / 2);
  strcpy(at, "\r\n");
  assert_int_equal(judge_request(text, &default_rules).err,
                   WS_ERR_INVALID_SUBPROTOCOL);
  free(text);
}

/* Every arrangement of small lists: duplicates are found wherever they are. */
static void duplicates_are_found_at_every_place(void **state) {
  (void)state;
  for (unsigned n = 0; n < 6 * 6 * 6 * 6 * 6; n++) {
    char text[512];
    unsigned seen = 0, rest = n;
    bool has_duplicate = false;
    char *at = text + sprintf(text, GET H U C K V "Sec-WebSocket-Protocol: ");
    for (int i = 0; i < 5; i++, rest /= 6) {
      at += sprintf(at, "%s%c", i > 0 ? "," : "", (int)('a' + rest % 6));
      has_duplicate |= (seen >> rest % 6 & 1) != 0;
      seen |= 1u << rest % 6;
    }
    strcpy(at, "\r\n");
    assert_int_equal(judge_request(text, &default_rules).err,
                     has_duplicate ? WS_ERR_INVALID_SUBPROTOCOL : 0);
  }
}

/* -- Server: the answer ---------------------------------------------------- */

static void an_answer_has_exactly_what_is_needed(void **state) {
  (void)state;
  ws__upgrade upgrade;
  parsed p = upgrade_of(GET H U C K V, &default_rules, &upgrade);
  ws__buf out = {0};
  const char *reason;
  assert_int_equal(ws__handshake_write_accept(&upgrade, NULL, NULL, 0,
                                              &ws__malloc, &out, &reason),
                   0);
  static const char expected[] = SWITCH U C A "\r\n";
  assert_int_equal(out.len, sizeof(expected) - 1);
  assert_memory_equal(out.data, expected, out.len);
  assert_string_equal(upgrade.extensions, "");
  ws__buf_free(&out, &ws__malloc);
  ws__upgrade_free(&upgrade, &ws__malloc);
  drop(&p);
}

static const char full_request[] =
    GET H U C K V "Sec-WebSocket-Protocol: a, b\r\n"
                  "Sec-WebSocket-Extensions: permessage-deflate; "
                  "client_max_window_bits\r\n";

static ws__server_rules deflating_rules(void) {
  ws__server_rules rules = default_rules;
  rules.deflate = (ws__deflate_offer){true, {12, 12, false, false}};
  return rules;
}

static void an_answer_has_what_was_chosen(void **state) {
  (void)state;
  /* Rows 369, 373. */
  const ws__server_rules rules = deflating_rules();
  ws__upgrade upgrade;
  parsed p = upgrade_of(full_request, &rules, &upgrade);
  static const ws_header headers[] = {FIELD("Set-Cookie", "a=b"),
                                      FIELD("Set-Cookie", "c=d")};
  ws__buf out = {0};
  const char *reason;
  assert_int_equal(ws__handshake_write_accept(&upgrade, "b", headers, 2,
                                              &ws__malloc, &out, &reason),
                   0);
#define AGREED \
  "permessage-deflate; client_max_window_bits=12; server_max_window_bits=12"
  static const char expected[] =
      SWITCH U C A "Sec-WebSocket-Protocol: b\r\n"
                   "Sec-WebSocket-Extensions: " AGREED "\r\n"
                   "Set-Cookie: a=b\r\n"
                   "Set-Cookie: c=d\r\n"
                   "\r\n";
  assert_int_equal(out.len, sizeof(expected) - 1);
  assert_memory_equal(out.data, expected, out.len);
  assert_string_equal(upgrade.extensions, AGREED);
  assert_true(upgrade.has_deflate);
  assert_int_equal(upgrade.deflate.client_max_window_bits, 12);
  ws__buf_free(&out, &ws__malloc);
  ws__upgrade_free(&upgrade, &ws__malloc);
  drop(&p);
}

static void a_subprotocol_that_was_not_offered_is_never_sent(void **state) {
  (void)state;
  /* Row 370. */
  static const char *const names[] = {"c", "A", "", "a, b", "a\r\nX: y"};
  ws__upgrade upgrade;
  parsed p = upgrade_of(full_request, &default_rules, &upgrade);
  for (size_t i = 0; i < COUNT(names); i++) {
    ws__buf out = {0};
    const char *reason;
    assert_int_equal(ws__handshake_write_accept(&upgrade, names[i], NULL, 0,
                                                &ws__malloc, &out, &reason),
                     WS_ERR_INVALID_ARGUMENT);
    assert_int_equal(out.len, 0);
  }
  ws__upgrade_free(&upgrade, &ws__malloc);
  drop(&p);
}

static void plain_responses_are_complete(void **state) {
  (void)state;
  static const ws_header type[] = {FIELD("Content-Type", "text/plain")};
  static const ws_header allow[] = {FIELD("Allow", "GET, HEAD")};
  static const struct {
    uint16_t status;
    const ws_header *headers;
    size_t header_count;
    const char *body;
    bool has_body;
    const char *text;
  } cases[] = {
      {200, type, 1, "hello", true,
       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n"
       "Content-Type: text/plain\r\n\r\nhello"},
      /* The answer to HEAD. */
      {200, NULL, 0, "hello", false,
       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"},
      {204, NULL, 0, "hello", true,
       "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"},
      {304, NULL, 0, "", true,
       "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"},
      {403, NULL, 0, "", true,
       "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n"
       "Content-Length: 0\r\n\r\n"},
      {405, NULL, 0, "", true,
       "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"
       "Allow: GET\r\nContent-Length: 0\r\n\r\n"},
      {405, allow, 1, "", true,
       "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"
       "Content-Length: 0\r\nAllow: GET, HEAD\r\n\r\n"},
      /* Rows 361 and 365. */
      {426, NULL, 0, "", true,
       "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\n"
       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
       "Content-Length: 0\r\n\r\n"},
      {599, NULL, 0, "", true,
       "HTTP/1.1 599 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    ws__buf out = {0};
    const char *reason;
    assert_int_equal(
        ws__handshake_write_response(cases[i].status, cases[i].headers,
                                     cases[i].header_count, cases[i].body,
                                     strlen(cases[i].body), cases[i].has_body,
                                     &ws__malloc, &out, &reason),
        0);
    assert_int_equal(ws__buf_append(&out, &ws__malloc, "", 1), 0);
    assert_string_equal((char *)out.data, cases[i].text);
    ws__buf_free(&out, &ws__malloc);
  }
}

/* Every status from 200 to 599 makes a head our own parser takes. */
static void only_final_statuses_are_written(void **state) {
  (void)state;
  for (unsigned status = 0; status <= UINT16_MAX; status++) {
    ws__buf out = {0};
    const char *reason;
    const int err = ws__handshake_write_response(
        (uint16_t)status, NULL, 0, "", 0, true, &ws__malloc, &out, &reason);
    const bool is_final = status >= 200 && status <= 599;
    assert_int_equal(err, is_final ? 0 : WS_ERR_INVALID_ARGUMENT);
    if (is_final) {
      parsed p = parse(ws__http_parse_response, out.data, out.len);
      assert_int_equal(p.head.status, status);
      drop(&p);
    }
    ws__buf_free(&out, &ws__malloc);
  }
}

/* -- Both together --------------------------------------------------------- */

/* One handshake from request to agreement, memory from `allocator`. Buffers
 * that fail keep what they held. */
static int whole_handshake(const ws_allocator *allocator) {
  static const char *const protocols[] = {"a", "b"};
  static const ws_header headers[] = {FIELD("X-A", "1")};
  static const ws_conn_request request = {.url = &url,
                                          .protocols = protocols,
                                          .protocol_count = 2,
                                          .headers = headers,
                                          .header_count = 1,
                                          .origin = "http://h:8080"};
  const ws__server_rules rules = deflating_rules();
  const char *reason = NULL;
  ws__buf out = {0}, answer = {0};
  ws__http_head head = {0}, response = {0};
  ws__upgrade upgrade = {0};
  ws__agreement agreement;

  int err = ws__handshake_write_request(&request, &deflate, KEY, allocator,
                                        &out, &reason);
  if (err != 0) assert_int_equal(out.len, 0);
  if (err == 0) {
    err = ws__http_parse_request(&head, allocator, (char *)out.data, out.len,
                                 &reason);
  }
  if (err == 0) {
    err = ws__handshake_check_request(&head, &rules, allocator, &upgrade,
                                      &reason);
    if (err != 0) assert_int_equal(ws__handshake_status(err), 500);
  }
  if (err != 0) assert_non_null(reason);
  if (err == 0) {
    err = ws__handshake_write_accept(&upgrade, "a", headers, 1, allocator,
                                     &answer, &reason);
    if (err != 0) assert_int_equal(answer.len, 0);
  }
  if (err == 0) {
    err = ws__http_parse_response(&response, allocator, (char *)answer.data,
                                  answer.len, &reason);
  }
  if (err == 0) {
    err = ws__handshake_check_response(&response, KEY, protocols, 2, &deflate,
                                       &agreement, &reason);
  }
  if (err == 0) {
    assert_string_equal(agreement.protocol, "a");
    assert_string_equal(agreement.extensions, upgrade.extensions);
    assert_true(agreement.has_deflate);
  }
  ws__http_head_free(&head, allocator);
  ws__http_head_free(&response, allocator);
  ws__upgrade_free(&upgrade, allocator);
  ws__buf_free(&out, allocator);
  ws__buf_free(&answer, allocator);
  return err;
}

static void every_failed_allocation_is_survived(void **state) {
  (void)state;
  for (size_t n = 0;; n++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    alloc.fail_at = n;
    const int err = whole_handshake(&alloc.allocator);
    const bool has_failed = alloc.calls > n;
    assert_int_equal(err, has_failed ? WS_ERR_NO_MEMORY : 0);
    assert_int_equal(alloc.held, 0);
    if (!has_failed) break;
  }
}

static void a_response_without_memory_leaves_nothing_behind(void **state) {
  (void)state;
  static const char body[1024] = {0};
  for (size_t n = 0;; n++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    alloc.fail_at = n;
    ws__buf out = {0};
    const char *reason = NULL;
    const int err =
        ws__handshake_write_response(200, NULL, 0, body, sizeof(body), true,
                                     &alloc.allocator, &out, &reason);
    const bool has_failed = alloc.calls > n;
    assert_int_equal(err, has_failed ? WS_ERR_NO_MEMORY : 0);
    if (has_failed) assert_non_null(reason);
    if (has_failed) assert_int_equal(out.len, 0);
    ws__buf_free(&out, &alloc.allocator);
    assert_int_equal(alloc.held, 0);
    if (!has_failed) break;
  }
}

/* each byte at each place of a request and its answer. Whatever the head
 * parser lets pass is judged, and what is accepted is still what it was. */
static void every_byte_at_every_place(void **state) {
  (void)state;
  static const char *const protocols[] = {"a", "b"};
  static const char good_answer[] =
      SWITCH U C A "Sec-WebSocket-Protocol: b\r\n"
                   "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
  const ws__server_rules rules = deflating_rules();
  char good_request[512];
  const size_t request_len =
      (size_t)snprintf(good_request, sizeof(good_request),
                       "%sOrigin: http://h.example\r\n\r\n", full_request);
  unsigned opened = 0;
  for (size_t i = 0; i < request_len; i++) {
    for (unsigned byte = 0; byte < 256; byte++) {
      char *text = malloc(request_len);
      assert_non_null(text);
      memcpy(text, good_request, request_len);
      text[i] = (char)byte;
      ws__http_head head;
      const char *reason = NULL;
      int err = ws__http_parse_request(&head, &ws__malloc, text, request_len,
                                       &reason);
      ws__upgrade upgrade = {0};
      if (err == 0) {
        err = ws__handshake_check_request(&head, &rules, &ws__malloc, &upgrade,
                                          &reason);
        ws__http_head_free(&head, &ws__malloc);
      }
      if (err != 0) assert_non_null(reason);
      const uint16_t status = ws__handshake_status(err);
      if (err != 0) assert_true(status >= 400 && status < 506);
      if (err == 0 && upgrade.is_upgrade) opened++;
      ws__upgrade_free(&upgrade, &ws__malloc);
      free(text);
    }
  }
  assert_true(opened > request_len);

  const size_t answer_len = sizeof(good_answer) - 1;
  opened = 0;
  for (size_t i = 0; i < answer_len; i++) {
    for (unsigned byte = 0; byte < 256; byte++) {
      char *text = malloc(answer_len);
      assert_non_null(text);
      memcpy(text, good_answer, answer_len);
      text[i] = (char)byte;
      ws__http_head head;
      ws__agreement agreement;
      const char *reason = NULL;
      if (ws__http_parse_response(&head, &ws__malloc, text, answer_len,
                                  &reason) == 0) {
        if (ws__handshake_check_response(&head, KEY, protocols, 2, &deflate,
                                         &agreement, &reason) == 0) {
          assert_true(strcmp(agreement.protocol, "a") == 0 ||
                      strcmp(agreement.protocol, "b") == 0);
          opened++;
        }
        ws__http_head_free(&head, &ws__malloc);
      }
      free(text);
    }
  }
  assert_true(opened > answer_len);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accept_keys_are_those_of_the_rfc),
      cmocka_unit_test(a_request_has_exactly_what_is_needed),
      cmocka_unit_test(a_request_has_what_was_asked_for),
      cmocka_unit_test(one_protocol_is_a_list_of_one),
      cmocka_unit_test(the_applications_authorization_wins),
      cmocka_unit_test(protocols_that_are_no_tokens_are_refused),
      cmocka_unit_test(headers_that_would_break_a_head_are_refused),
      cmocka_unit_test(reserved_headers_are_refused),
      cmocka_unit_test(nobody_says_twice_who_he_is),
      cmocka_unit_test(a_line_break_comes_in_nowhere),
      cmocka_unit_test(responses_are_judged),
      cmocka_unit_test(the_servers_subprotocol_must_be_one_of_ours),
      cmocka_unit_test(an_agreement_says_what_the_head_says),
      cmocka_unit_test(requests_are_judged),
      cmocka_unit_test(over_tls_only_https_is_the_same_origin),
      cmocka_unit_test(a_list_of_origins_is_the_whole_rule),
      cmocka_unit_test(a_list_of_hosts_keeps_others_out),
      cmocka_unit_test(plain_http_is_no_upgrade),
      cmocka_unit_test(keys_of_every_length_are_judged),
      cmocka_unit_test(subprotocols_keep_their_order),
      cmocka_unit_test(many_subprotocols_are_sorted_not_compared_in_pairs),
      cmocka_unit_test(duplicates_are_found_at_every_place),
      cmocka_unit_test(an_answer_has_exactly_what_is_needed),
      cmocka_unit_test(an_answer_has_what_was_chosen),
      cmocka_unit_test(a_subprotocol_that_was_not_offered_is_never_sent),
      cmocka_unit_test(plain_responses_are_complete),
      cmocka_unit_test(only_final_statuses_are_written),
      cmocka_unit_test(every_failed_allocation_is_survived),
      cmocka_unit_test(a_response_without_memory_leaves_nothing_behind),
      cmocka_unit_test(every_byte_at_every_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
