/* test_http.c - heads and bodies of HTTP/1.1, each input whole, byte by byte
 * and cut at every place, from blocks of exactly its size. */
#include "test.h"
#include "test_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/http.h"
#include "ws/conn.h"

static const ws__http_limits generous = {1u << 30, 1u << 30, 1u << 20};

#define REQUEST_LINE "GET / HTTP/1.1\r\n"
#define STATUS_LINE  "HTTP/1.1 200 OK\r\n"

/* A block of exactly `len` bytes, so that a sanitizer sees any overrun. */
static char *exact_copy(const void *data, size_t len) {
  char *copy = malloc(len > 0 ? len : 1);
  assert_non_null(copy);
  memcpy(copy, data, len);
  return copy;
}

/* -- Running a head through reader and parser ------------------------------ */

typedef int parse_fn(ws__http_head *head, const ws_allocator *allocator,
                     char *data, size_t len, const char **reason);

/* What became of an input. */
typedef struct outcome {
  int err;
  const char *reason;
  size_t used; /* Bytes taken, up to the piece with the error. */
  bool done;
} outcome;

/* Feeds one piece. */
static void feed(ws__http_reader *reader, const ws__http_limits *limits,
                 const ws_allocator *allocator, const char *text, size_t len,
                 outcome *o) {
  char *piece = exact_copy(text, len);
  size_t used = 0;
  o->err = ws__http_read(reader, limits, allocator, (uint8_t *)piece, len,
                         &used, &o->done, &o->reason);
  if (o->err == 0) {
    assert_true(used == len || o->done);
    o->used += used;
  }
  free(piece);
}

/* Feeds `first` bytes, then pieces of `step`. */
static outcome read_cut(ws__http_reader *reader, const ws__http_limits *limits,
                        const ws_allocator *allocator, const char *text,
                        size_t len, size_t first, size_t step) {
  outcome o = {0};
  size_t at = 0;
  while (at < len && o.err == 0 && !o.done) {
    size_t piece = at == 0 && first > 0 ? first : step;
    if (piece > len - at) piece = len - at;
    feed(reader, limits, allocator, text + at, piece, &o);
    at += piece;
  }
  return o;
}

/* Reads and, if the head is whole, parses. `*head` and `*data` are the caller's
 * to free after success. */
static outcome run_cut(parse_fn *parse, const ws__http_limits *limits,
                       const ws_allocator *allocator, const char *text,
                       size_t len, size_t first, size_t step,
                       ws__http_head *head, char **data) {
  ws__http_reader reader = {0};
  outcome o = read_cut(&reader, limits, allocator, text, len, first, step);
  *head = (ws__http_head){0};
  *data = NULL;
  if (o.done) {
    assert_int_equal(reader.buf.len, o.used);
    assert_memory_equal(reader.buf.data, text, o.used);
    *data = exact_copy(reader.buf.data, reader.buf.len);
    o.err = parse(head, allocator, *data, reader.buf.len, &o.reason);
    if (o.err != 0) assert_null(head->headers);
  }
  ws__http_reader_free(&reader, allocator);
  return o;
}

static void drop(const ws_allocator *allocator, ws__http_head *head,
                 char *data) {
  ws__http_head_free(head, allocator);
  free(data);
}

/* All three ways; returns what they agree on. */
static outcome run_all_ways(parse_fn *parse, const ws__http_limits *limits,
                            const char *text, size_t len) {
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws__http_head head;
  char *data;
  const outcome whole =
      run_cut(parse, limits, &alloc.allocator, text, len, 0, len, &head, &data);
  drop(&alloc.allocator, &head, data);
  for (size_t cut = 0; cut < len; cut++) {
    const outcome o = run_cut(parse, limits, &alloc.allocator, text, len, cut,
                              cut == 0 ? 1 : len, &head, &data);
    drop(&alloc.allocator, &head, data);
    assert_int_equal(o.err, whole.err);
    assert_int_equal(o.done, whole.done);
    if (o.err == 0) assert_int_equal(o.used, whole.used);
    if (o.err != 0) assert_string_equal(o.reason, whole.reason);
  }
  assert_int_equal(alloc.held, 0);
  if (whole.err != 0) assert_non_null(whole.reason);
  return whole;
}

/* -- Good heads ------------------------------------------------------------ */

static void a_request_is_parsed_to_the_letter(void **state) {
  (void)state;
  static const char text[] = "GET /a/b?c=d HTTP/1.1\r\n"
                             "Host: h:8080\r\n"
                             "UPGRADE:websocket\r\n"
                             "x-blanks: \t a \t b \t \r\n"
                             "x-empty:\r\n"
                             "x-blank: \t\r\n"
                             "x-latin: \x80\xE9\xFF\r\n"
                             "x-colon: a:b\r\n"
                             "\r\n";
  static const char *const fields[][2] = {
      {"Host", "h:8080"}, {"UPGRADE", "websocket"}, {"x-blanks", "a \t b"},
      {"x-empty", ""},    {"x-blank", ""},          {"x-latin", "\x80\xE9\xFF"},
      {"x-colon", "a:b"},
  };
  ws__http_head head;
  char *data;
  const outcome o = run_cut(ws__http_parse_request, &generous, &ws__malloc,
                            text, sizeof(text) - 1, 0, 1, &head, &data);
  assert_int_equal(o.err, 0);
  assert_true(o.done);
  assert_string_equal(head.method, "GET");
  assert_string_equal(head.target, "/a/b?c=d");
  assert_int_equal(head.minor, 1);
  assert_int_equal(head.header_count, sizeof(fields) / sizeof(fields[0]));
  for (size_t i = 0; i < head.header_count; i++) {
    /* Both as strings and as slices. */
    assert_string_equal(head.headers[i].name, fields[i][0]);
    assert_int_equal(head.headers[i].name_len, strlen(fields[i][0]));
    assert_string_equal(head.headers[i].value, fields[i][1]);
    assert_int_equal(head.headers[i].value_len, strlen(fields[i][1]));
  }
  drop(&ws__malloc, &head, data);
}

static void a_response_is_parsed_to_the_letter(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint16_t status;
    uint8_t minor;
    const char *reason;
    size_t headers;
  } cases[] = {
      {"HTTP/1.1 101 Switching Protocols\r\na: b\r\n\r\n", 101, 1,
       "Switching Protocols", 1},
      {"HTTP/1.0 200 OK\r\n\r\n", 200, 0, "OK", 0},
      {"HTTP/1.1 100 \r\n\r\n", 100, 1, "", 0},
      {"HTTP/1.1 999 caf\xE9\r\n\r\n", 999, 1, "caf\xE9", 0},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ws__http_head head;
    char *data;
    const outcome o =
        run_cut(ws__http_parse_response, &generous, &ws__malloc, cases[i].text,
                strlen(cases[i].text), 0, 1, &head, &data);
    assert_int_equal(o.err, 0);
    assert_int_equal(head.status, cases[i].status);
    assert_int_equal(head.minor, cases[i].minor);
    assert_string_equal(head.reason, cases[i].reason);
    assert_int_equal(head.header_count, cases[i].headers);
    drop(&ws__malloc, &head, data);
  }
}

static void bytes_behind_the_head_are_left_to_the_caller(void **state) {
  (void)state;
  /* Rows 93 and 94: the first frame in the same segment. */
  static const char text[] = STATUS_LINE "a: b\r\n\r\n\x81\x01x\r\n\r\n";
  const outcome o =
      run_all_ways(ws__http_parse_response, &generous, text, sizeof(text) - 1);
  assert_int_equal(o.err, 0);
  assert_true(o.done);
  assert_int_equal(o.used, strlen(STATUS_LINE "a: b\r\n\r\n"));
}

/* -- Bad heads (table 2.2, A-39) ------------------------------------------- */

typedef struct bad_case {
  const char *text;
  int err;
} bad_case;

static void check_bad(parse_fn *parse, const bad_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const outcome o =
        run_all_ways(parse, &generous, cases[i].text, strlen(cases[i].text));
    if (o.err != cases[i].err) print_error("%s\n", cases[i].text);
    assert_int_equal(o.err, cases[i].err);
  }
}

static void bad_request_heads_are_refused(void **state) {
  (void)state;
  static const bad_case cases[] = {
      {"\r\n" REQUEST_LINE "\r\n", WS_ERR_HTTP_SYNTAX}, /* Empty line first. */
      {"GET / HTTP/1.1\n\n", WS_ERR_HTTP_SYNTAX},       /* Bare LF. */
      {"GET / HTTP/1.1\r\na: b\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET / HTTP/1.1\r\r\n\r\n", WS_ERR_HTTP_SYNTAX}, /* Bare CR. */
      {REQUEST_LINE "a: b\rc: d\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {REQUEST_LINE "a: \x01\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {REQUEST_LINE "a: \x7F\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {REQUEST_LINE "a: b\r\n c\r\n\r\n", WS_ERR_HTTP_SYNTAX}, /* obs-fold. */
      {REQUEST_LINE "a: b\r\n\tc: d\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {REQUEST_LINE " a: b\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {REQUEST_LINE "a : b\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {REQUEST_LINE "a\t: b\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {REQUEST_LINE "a\r\n\r\n", WS_ERR_HTTP_SYNTAX}, /* No colon. */
      {REQUEST_LINE ": b\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {REQUEST_LINE "a b: c\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {REQUEST_LINE "\xE9: c\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET  / HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET /  HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET / HTTP/1.1 \r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {" GET / HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET\t/ HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET /\r\n\r\n", WS_ERR_HTTP_SYNTAX}, /* HTTP/0.9. */
      {"GET\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"G@T / HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET /\xC3\xA9 HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET a HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"OPTIONS * HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"CONNECT h:80 HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET ftp://h/ HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET http:/h HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET / http/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET / HTTP/11\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET / HTTP/1.\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET / HTTP/1.10\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET / HTTP/+1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET / HTTPS/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"GET / HTTP/1.2\r\n\r\n", WS_ERR_HTTP_VERSION},
      {"GET / HTTP/0.9\r\n\r\n", WS_ERR_HTTP_VERSION},
      {"GET / HTTP/2.0\r\n\r\n", WS_ERR_HTTP_VERSION},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", WS_ERR_HTTP_VERSION},
      {"HTTP/1.1 200 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
  };
  check_bad(ws__http_parse_request, cases, sizeof(cases) / sizeof(cases[0]));
}

static void bad_response_heads_are_refused(void **state) {
  (void)state;
  static const bad_case cases[] = {
      {"FOO BAR BAZ\r\n\r\n", WS_ERR_HTTP_SYNTAX}, /* Row 73. */
      {"HTTP/1.1\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"HTTP/1.1 \r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"HTTP/1.1 101\r\n\r\n", WS_ERR_HTTP_SYNTAX}, /* The SP is missing. */
      {"HTTP/1.1 10 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"HTTP/1.1 1010 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"HTTP/1.1 099 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"HTTP/1.1 1x1 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"HTTP/1.1  101 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"HTTP/1.1\t101 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"HTTP/1.1 +11 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"ICY 200 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"http/1.1 101 OK\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"\r\n" STATUS_LINE "\r\n", WS_ERR_HTTP_SYNTAX},
      {STATUS_LINE "a: b\r\n c\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {STATUS_LINE "a : b\r\n\r\n", WS_ERR_HTTP_SYNTAX},
      {STATUS_LINE "a: b\n\r\n", WS_ERR_HTTP_SYNTAX},
      {"HTTP/1.2 101 OK\r\n\r\n", WS_ERR_HTTP_VERSION},
      {"HTTP/2.0 101 OK\r\n\r\n", WS_ERR_HTTP_VERSION},
  };
  check_bad(ws__http_parse_response, cases, sizeof(cases) / sizeof(cases[0]));
}

static void what_is_certainly_wrong_is_found_at_once(void **state) {
  (void)state;
  /* None of these heads is finished. */
  static const char *const texts[] = {
      "\r\n",
      "GET / HTTP/1.1\n",
      "GET / HTTP/1.1\rx",
      "\x16\x03\x01", /* A TLS client at a plain port. */
      "GET / HTTP/1.1\r\na: \x1B",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    const outcome o = run_all_ways(ws__http_parse_request, &generous, texts[i],
                                   strlen(texts[i]));
    assert_int_equal(o.err, WS_ERR_HTTP_SYNTAX);
  }
  /* NUL, too. */
  const outcome o =
      run_all_ways(ws__http_parse_request, &generous, "GET /\0", 6);
  assert_int_equal(o.err, WS_ERR_HTTP_SYNTAX);
}

static void an_unfinished_head_is_no_error(void **state) {
  (void)state;
  static const char text[] = REQUEST_LINE "Host: h\r\n\r\n";
  for (size_t len = 0; len < sizeof(text) - 1; len++) {
    const outcome o =
        run_all_ways(ws__http_parse_request, &generous, text, len);
    assert_int_equal(o.err, 0);
    assert_false(o.done);
    assert_int_equal(o.used, len);
  }
}

static void the_parser_refuses_every_unfinished_head(void **state) {
  (void)state;
  static const char text[] = REQUEST_LINE "Host: h\r\nb: c\r\n\r\n";
  for (size_t len = 0; len <= sizeof(text) - 1; len++) {
    const char *reason = NULL;
    ws__http_head head;
    char *data = exact_copy(text, len);
    const int err =
        ws__http_parse_request(&head, &ws__malloc, data, len, &reason);
    assert_int_equal(err, len == sizeof(text) - 1 ? 0 : WS_ERR_HTTP_SYNTAX);
    drop(&ws__malloc, &head, data);
  }
}

static void the_parser_refuses_bytes_behind_the_head(void **state) {
  (void)state;
  static const char *const texts[] = {
      REQUEST_LINE "\r\nx",
      REQUEST_LINE "\r\n\r\n",
      REQUEST_LINE "a: b\r\n\r\n ",
      REQUEST_LINE "a: b\r\n\r\nc: d\r\n",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    const char *reason = NULL;
    ws__http_head head;
    const size_t len = strlen(texts[i]);
    char *data = exact_copy(texts[i], len);
    assert_int_equal(
        ws__http_parse_request(&head, &ws__malloc, data, len, &reason),
        WS_ERR_HTTP_SYNTAX);
    free(data);
  }
}

/* -- Every byte at every place (A-31, A-32), against a slow rule ----------- */

static bool is_among(char c, const char *set) {
  return c != '\0' && strchr(set, c) != NULL;
}

#define DIGITS "0123456789"
#define ALPHA  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define TCHAR  "!#$%&'*+-.^_`|~" DIGITS ALPHA

static bool ref_is_token(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (!is_among(text[i], TCHAR)) return false;
  }
  return len > 0;
}

/* "HTTP/1.0" or "HTTP/1.1". */
static bool ref_is_version(const char *text, size_t len) {
  return len == 8 &&
         (memcmp(text, "HTTP/1.0", 8) == 0 || memcmp(text, "HTTP/1.1", 8) == 0);
}

static bool ref_is_request_line(const char *line, size_t len) {
  const char *const end = line + len;
  const char *const sp1 = memchr(line, ' ', len);
  if (sp1 == NULL) return false;
  const char *const target = sp1 + 1;
  const char *const sp2 = memchr(target, ' ', (size_t)(end - target));
  if (sp2 == NULL || sp2 == target || *target != '/') return false;
  for (const char *at = target; at < sp2; at++) {
    if (*at < '!' || *at > '~') return false;
  }
  return ref_is_token(line, (size_t)(sp1 - line)) &&
         ref_is_version(sp2 + 1, (size_t)(end - sp2 - 1));
}

static bool ref_is_status_line(const char *line, size_t len) {
  return len >= 13 && ref_is_version(line, 8) && line[8] == ' ' &&
         is_among(line[9], "123456789") && is_among(line[10], DIGITS) &&
         is_among(line[11], DIGITS) && line[12] == ' ';
}

static bool ref_is_field_line(const char *line, size_t len) {
  const char *const colon = memchr(line, ':', len);
  return colon != NULL && ref_is_token(line, (size_t)(colon - line));
}

static bool ref_has_control(const char *line, size_t len) {
  for (size_t i = 0; i < len; i++) {
    const uint8_t c = (uint8_t)line[i];
    if ((c < 0x20 && c != '\t') || c == 0x7F) return true;
  }
  return false;
}

static bool ref_is_head(const char *text, size_t len, bool is_request) {
  for (size_t lines = 0;; lines++) {
    size_t line = 0;
    while (line + 1 < len && !(text[line] == '\r' && text[line + 1] == '\n')) {
      line++;
    }
    if (line + 1 >= len || ref_has_control(text, line)) return false;
    if (line == 0) return lines > 0 && len == 2;
    bool is_good;
    if (lines > 0) is_good = ref_is_field_line(text, line);
    else if (is_request) is_good = ref_is_request_line(text, line);
    else is_good = ref_is_status_line(text, line);
    if (!is_good) return false;
    text += line + 2;
    len -= line + 2;
  }
}

/* The parser alone, which must not lean on the reader. */
static bool parser_accepts(parse_fn *parse, const char *text, size_t len) {
  ws__http_head head;
  const char *reason = NULL;
  char *data = exact_copy(text, len);
  const int err = parse(&head, &ws__malloc, data, len, &reason);
  drop(&ws__malloc, &head, data);
  return err == 0;
}

static void try_every_byte(parse_fn *parse, const char *good, bool is_request) {
  const size_t len = strlen(good);
  char *text = exact_copy(good, len);
  unsigned accepted = 0;
  for (size_t i = 0; i < len; i++) {
    for (unsigned byte = 0; byte < 256; byte++) {
      text[i] = (char)byte;
      assert_int_equal(parser_accepts(parse, text, len),
                       ref_is_head(text, len, is_request));
      for (size_t step = 1; step <= len; step += len - 1) {
        ws__http_head head;
        char *data;
        const outcome o = run_cut(parse, &generous, &ws__malloc, text, len, 0,
                                  step, &head, &data);
        const bool is_accepted = o.done && o.err == 0;
        assert_int_equal(is_accepted, ref_is_head(text, len, is_request));
        assert_true(o.err == 0 || o.err == WS_ERR_HTTP_SYNTAX ||
                    o.err == WS_ERR_HTTP_VERSION);
        accepted += is_accepted;
        drop(&ws__malloc, &head, data);
      }
    }
    text[i] = good[i];
  }
  assert_true(accepted > len);
  free(text);
}

static void every_byte_at_every_place_of_a_request(void **state) {
  (void)state;
  try_every_byte(ws__http_parse_request,
                 "GET /chat?x HTTP/1.1\r\nHost: h.example:8080\r\n"
                 "Origin:http://a\r\nSec-WebSocket-Protocol: a, b \r\n"
                 "Sec-WebSocket-Extensions: x; y=\"z\"\r\nA:\r\n\r\n",
                 true);
}

static void every_byte_at_every_place_of_a_response(void **state) {
  (void)state;
  try_every_byte(ws__http_parse_response,
                 "HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\n"
                 "Connection:Upgrade\r\nSec-WebSocket-Protocol: a\r\nA:\r\n"
                 "\r\n",
                 false);
}

/* -- Limits (A-25, A-34) --------------------------------------------------- */

static void check_limit(ws__http_limits limits, const char *text, int err,
                        const char *option) {
  const outcome o =
      run_all_ways(ws__http_parse_request, &limits, text, strlen(text));
  assert_int_equal(o.err, err);
  assert_int_equal(o.done, err == 0);
  if (err != 0) assert_non_null(strstr(o.reason, option));
}

static void max_head_counts_every_byte(void **state) {
  (void)state;
  static const char text[] = REQUEST_LINE "Host: example.com\r\n\r\n";
  const uint32_t len = sizeof(text) - 1;
  ws__http_limits limits = generous;
  limits.max_head = len + 1;
  check_limit(limits, text, 0, NULL);
  limits.max_head = len;
  check_limit(limits, text, 0, NULL);
  limits.max_head = len - 1;
  check_limit(limits, text, WS_ERR_HTTP_TOO_LARGE, "max_head");
}

static void max_line_counts_without_crlf(void **state) {
  (void)state;
  /* The first line, a field in the middle and the last are each the longest. */
  static const char *const texts[] = {
      "GET /aaaaaaaaaaaaa HTTP/1.1\r\nHost: h\r\n\r\n",
      REQUEST_LINE "Host: aaaaaaaaaaaaaaaaaaaaa\r\na: b\r\n\r\n",
      REQUEST_LINE "a: b\r\nHost: aaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    ws__http_limits limits = generous;
    limits.max_line = 28;
    check_limit(limits, texts[i], 0, NULL);
    limits.max_line = 27;
    check_limit(limits, texts[i], 0, NULL);
    limits.max_line = 26;
    check_limit(limits, texts[i], WS_ERR_HTTP_TOO_LARGE, "max_head_line");
  }
}

static void max_headers_counts_fields(void **state) {
  (void)state;
  static const char text[] = REQUEST_LINE "a: 1\r\nb: 2\r\nc: 3\r\n\r\n";
  ws__http_limits limits = generous;
  limits.max_headers = 4;
  check_limit(limits, text, 0, NULL);
  limits.max_headers = 3;
  check_limit(limits, text, 0, NULL);
  limits.max_headers = 2;
  check_limit(limits, text, WS_ERR_HTTP_TOO_LARGE, "max_headers");
  limits.max_headers = 0;
  check_limit(limits, REQUEST_LINE "\r\n", 0, NULL);
}

static void an_endless_head_is_bounded(void **state) {
  (void)state;
  /* Row 98: a line without end, and lines without end. */
  static const ws__http_limits limits = {16 * 1024, 8 * 1024, 100};
  static const struct {
    const char *unit;
    size_t most;
  } cases[] = {{"a", 8 * 1024}, {"a: b\r\n", 102 * 6}};
  for (size_t i = 0; i < 2; i++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    ws__http_reader reader = {0};
    outcome o = {0};
    while (o.err == 0) {
      feed(&reader, &limits, &alloc.allocator, cases[i].unit,
           strlen(cases[i].unit), &o);
      assert_true(o.used <= cases[i].most);
    }
    assert_int_equal(o.err, WS_ERR_HTTP_TOO_LARGE);
    assert_true(alloc.peak <= 2 * limits.max_head);
    ws__http_reader_free(&reader, &alloc.allocator);
  }
}

/* -- Work and memory ------------------------------------------------------- */

/* A-23, counted: a large head that comes byte by byte is moved only when its
 * buffer doubles, and parsing asks for memory once. */
static void a_large_head_byte_by_byte_costs_few_allocations(void **state) {
  (void)state;
  enum {
    fields = 50000
  };
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws__http_reader reader = {0};
  outcome o = {0};
  const char *line = REQUEST_LINE;
  for (size_t n = 0; n <= fields + 1; n++) {
    for (const char *at = line; *at != '\0'; at++) {
      feed(&reader, &generous, &alloc.allocator, at, 1, &o);
      assert_int_equal(o.err, 0);
    }
    line = n < fields ? "name: value \t \t \t\r\n" : "\r\n";
  }
  assert_true(o.done);
  assert_true(alloc.calls <= 14); /* 256 bytes, doubled to 1 MiB. */

  alloc.calls = 0;
  ws__http_head head;
  const char *reason;
  assert_int_equal(ws__http_parse_request(&head, &alloc.allocator,
                                          (char *)reader.buf.data,
                                          reader.buf.len, &reason),
                   0);
  assert_int_equal(head.header_count, fields);
  assert_int_equal(alloc.calls, 1);
  const ws_header *first;
  assert_int_equal(ws__http_count(&head, "name", &first), fields);
  ws__http_head_free(&head, &alloc.allocator);
  ws__http_reader_free(&reader, &alloc.allocator);
  assert_int_equal(alloc.held, 0);
}

static void every_failed_allocation_is_survived(void **state) {
  (void)state;
  char text[2048];
  int len = snprintf(text, sizeof(text), REQUEST_LINE);
  for (int i = 0; i < 100; i++) {
    len += snprintf(text + len, sizeof(text) - (size_t)len, "name: value\r\n");
  }
  len += snprintf(text + len, sizeof(text) - (size_t)len, "\r\n");
  for (size_t n = 0;; n++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    alloc.fail_at = n;
    ws__http_head head;
    char *data;
    const outcome o =
        run_cut(ws__http_parse_request, &generous, &alloc.allocator, text,
                (size_t)len, 0, 100, &head, &data);
    const bool has_failed = alloc.calls > n;
    assert_int_equal(o.err, has_failed ? WS_ERR_NO_MEMORY : 0);
    drop(&alloc.allocator, &head, data);
    assert_int_equal(alloc.held, 0);
    if (!has_failed) break;
  }
}

/* -- Words ----------------------------------------------------------------- */

static void tokens_are_tchars(void **state) {
  (void)state;
  for (unsigned byte = 0; byte < 256; byte++) {
    const char c = (char)byte;
    assert_int_equal(ws__http_is_token_char(c), is_among(c, TCHAR));
    assert_int_equal(ws__http_is_token(&c, 1), is_among(c, TCHAR));
  }
  assert_false(ws__http_is_token("", 0));
  assert_true(ws__http_is_token("a b", 1));
  assert_false(ws__http_is_token("a b", 3));
}

static void targets_are_paths_or_urls(void **state) {
  (void)state;
  assert_true(ws__http_is_target("/"));
  assert_true(ws__http_is_target("/a?b=%20"));
  assert_true(ws__http_is_target("http://h/"));
  assert_true(ws__http_is_target("HTTPS://h"));
  assert_false(ws__http_is_target(""));
  assert_false(ws__http_is_target("a"));
  assert_false(ws__http_is_target("*"));
  assert_false(ws__http_is_target("http:/"));
  assert_false(ws__http_is_target("/a b"));
  assert_false(ws__http_is_target("/a\r\nb"));
  assert_false(ws__http_is_target("/\xC3\xA9"));
}

static void headers_have_no_controls(void **state) {
  (void)state;
  for (unsigned byte = 0; byte < 256; byte++) {
    const char c = (char)byte;
    const ws_header header = {"a", 1, &c, 1};
    const bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7F;
    assert_int_equal(ws__http_is_header(&header), !is_control);
  }
  assert_true(ws__http_is_header(&(ws_header){"a", 1, "", 0}));
  assert_false(ws__http_is_header(&(ws_header){"", 0, "a", 1}));
  assert_false(ws__http_is_header(&(ws_header){"a:", 2, "a", 1}));
}

static void names_compare_without_case_in_ascii_only(void **state) {
  (void)state;
  assert_true(ws__http_equal("aZ", 2, "Az", 2));
  assert_false(ws__http_equal("a", 1, "ab", 2));
  assert_false(ws__http_equal("[", 1, "{", 1));
  assert_false(ws__http_equal("@", 1, "`", 1));
  assert_false(ws__http_equal("\xC0", 1, "\xE0", 1));
  assert_true(ws__http_equal("", 0, "", 0));
}

#define FIELD(name, value) \
  { name, sizeof(name) - 1, value, sizeof(value) - 1 }

static void headers_are_found_by_name(void **state) {
  (void)state;
  ws_header headers[] = {FIELD("a", "1"), FIELD("B", "2"), FIELD("A", "3"),
                         FIELD("ab", "4")};
  const ws__http_head head = {.headers = headers, .header_count = 4};
  const ws_header *first;
  assert_int_equal(ws__http_count(&head, "a", &first), 2);
  assert_ptr_equal(first, &headers[0]);
  assert_ptr_equal(ws__http_next(&head, "a", first), &headers[2]);
  assert_null(ws__http_next(&head, "a", &headers[2]));
  assert_int_equal(ws__http_count(&head, "c", &first), 0);
  assert_null(first);
  assert_string_equal(ws_header_find(headers, 4, "b"), "2");
  assert_null(ws_header_find(headers, 4, "c"));
  assert_null(ws_header_find(NULL, 0, "c"));
}

static void tokens_are_found_in_lists(void **state) {
  (void)state;
  static const struct {
    const char *value;
    bool has_upgrade;
  } cases[] = {
      {"upgrade", true},
      {"Upgrade", true},
      {"keep-alive, Upgrade", true},
      {"Upgrade , x", true},
      {",,\t upgrade\t,", true},
      {"x,upgrade", true},
      {"", false},
      {",", false},
      {"upgrades", false},
      {"xupgrade", false},
      {"up grade", false},
      {"upgrade x", false},
      {"upgrade;x", false},
      {"\"upgrade\"", false},
      {"upgrad", false},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const size_t len = strlen(cases[i].value);
    char *value = exact_copy(cases[i].value, len);
    ws_header headers[] = {FIELD("Connection", "close"),
                           {"connection", 10, value, len}};
    const ws__http_head head = {.headers = headers, .header_count = 2};
    assert_int_equal(ws__http_has_token(&head, "Connection", "upgrade"),
                     cases[i].has_upgrade);
    free(value);
  }
}

/* -- Bodies ---------------------------------------------------------------- */

typedef struct body_case {
  const char *head;
  const char *body;
  const char *content; /* What comes out, before an error too. */
  bool done;
  int err;
} body_case;

static const body_case body_cases[] = {
    {"HTTP/1.1 200 \r\nContent-Length: 5\r\n", "hello", "hello", true, 0},
    {"HTTP/1.1 200 \r\nContent-Length: 5\r\n", "hello, more", "hello", true, 0},
    {"HTTP/1.1 200 \r\ncontent-length: 005\r\n", "hello", "hello", true, 0},
    {"HTTP/1.1 200 \r\nContent-Length: 5\r\n", "hel", "hel", false, 0},
    {"HTTP/1.1 200 \r\nContent-Length: 0\r\n", "", "", true, 0},
    {"HTTP/1.1 200 \r\n", "hello", "hello", false, 0},
    {"HTTP/1.0 404 \r\n", "hello", "hello", false, 0},
    {"HTTP/1.1 204 \r\nContent-Length: 5\r\n", "", "", true, 0},
    {"HTTP/1.1 304 \r\nContent-Length: 5\r\n", "", "", true, 0},
    {"HTTP/1.1 100 \r\n", "", "", true, 0},
    {"HTTP/1.1 200 \r\nContent-Length: 18446744073709551615\r\n", "x", "x",
     false, 0},
    {"HTTP/1.1 200 \r\nContent-Length: 18446744073709551616\r\n", "", "", false,
     WS_ERR_HTTP_SYNTAX},
    {"HTTP/1.1 200 \r\nContent-Length: 99999999999999999999\r\n", "", "", false,
     WS_ERR_HTTP_SYNTAX},
    {"HTTP/1.1 200 \r\nContent-Length:\r\n", "", "", false, WS_ERR_HTTP_SYNTAX},
    {"HTTP/1.1 200 \r\nContent-Length: +5\r\n", "", "", false,
     WS_ERR_HTTP_SYNTAX},
    {"HTTP/1.1 200 \r\nContent-Length: 5, 5\r\n", "", "", false,
     WS_ERR_HTTP_SYNTAX},
    {"HTTP/1.1 200 \r\nContent-Length: 5\r\nContent-Length: 5\r\n", "", "",
     false, WS_ERR_HTTP_SYNTAX},
    {"HTTP/1.1 200 \r\nContent-Length: 0x5\r\n", "", "", false,
     WS_ERR_HTTP_SYNTAX},

#define CHUNKED "HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n"
    {CHUNKED, "5\r\nhello\r\n0\r\n\r\n", "hello", true, 0},
    {CHUNKED, "5\r\nhello\r\nA;x=y\r\n, how are \r\n3 ", "hello, how are ",
     false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "3\r\nabc\r\n00;last\r\nTrailer: x\r\n\r\n", "abc", true, 0},
    {CHUNKED, "0000000000000001\r\na\r\n0\r\n", "a", true, 0},
    {CHUNKED, "00000000000000001\r\na", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "ffffffffffffffff\r\na", "a", false, 0},
    {CHUNKED, "Ff\r\na", "a", false, 0},
    {CHUNKED, "\r\n", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "g\r\n", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, ";x\r\n", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "-1\r\n", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "0x1\r\n", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "1\nab", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "1\rab", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "1;\x01", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "1;a\nb", "", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "1\r\nab\r\n", "a", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "1\r\na\n", "a", false, WS_ERR_HTTP_SYNTAX},
    {CHUNKED, "1\r\na\rb", "a", false, WS_ERR_HTTP_SYNTAX},
    {"HTTP/1.1 200 \r\nTransfer-Encoding: gzip, chunked\r\n", "", "", false,
     WS_ERR_HTTP_SYNTAX},
    {"HTTP/1.0 200 \r\nTransfer-Encoding: chunked\r\n", "", "", false,
     WS_ERR_HTTP_SYNTAX},
    {CHUNKED "Transfer-Encoding: chunked\r\n", "", "", false,
     WS_ERR_HTTP_SYNTAX},
    {CHUNKED "Content-Length: 5\r\n", "", "", false, WS_ERR_HTTP_SYNTAX},
};

/* Reads a body in pieces; `out` gets the content. */
static int read_body(const body_case *c, size_t first, size_t step, size_t max,
                     const ws_allocator *allocator, ws__buf *out, bool *done) {
  char text[256];
  snprintf(text, sizeof(text), "%s\r\n", c->head);
  ws__http_head head;
  const char *reason;
  assert_int_equal(
      ws__http_parse_response(&head, &ws__malloc, text, strlen(text), &reason),
      0);
  ws__http_body body;
  int err = ws__http_body_start(&body, &head, done);
  ws__http_head_free(&head, &ws__malloc);
  const size_t len = strlen(c->body);
  size_t at = 0;
  while (at < len && err == 0 && !*done) {
    size_t piece = at == 0 && first > 0 ? first : step;
    if (piece > len - at) piece = len - at;
    char *data = exact_copy(c->body + at, piece);
    err = ws__http_body_read(&body, allocator, (uint8_t *)data, piece, max, out,
                             done);
    free(data);
    at += piece;
  }
  return err;
}

static void bodies_are_read_however_they_are_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(body_cases) / sizeof(body_cases[0]); i++) {
    const body_case *c = &body_cases[i];
    const size_t len = strlen(c->body);
    for (size_t cut = 0; cut <= len; cut++) {
      test_alloc alloc;
      test_alloc_init(&alloc);
      ws__buf out = {0};
      bool done = false;
      const int err = read_body(c, cut, cut == 0 ? 1 : len, 1000,
                                &alloc.allocator, &out, &done);
      if (err != c->err) print_error("%s\n%s\n", c->head, c->body);
      assert_int_equal(err, c->err);
      if (err == 0) assert_int_equal(done, c->done);
      assert_int_equal(out.len, strlen(c->content));
      if (out.len > 0) assert_memory_equal(out.data, c->content, out.len);
      ws__buf_free(&out, &alloc.allocator);
      assert_int_equal(alloc.held, 0);
    }
  }
}

static void a_body_is_kept_up_to_its_limit(void **state) {
  (void)state;
  static const body_case cases[] = {
      {"HTTP/1.1 200 \r\nContent-Length: 5\r\n", "hello", "hello", true, 0},
      {"HTTP/1.1 200 \r\n", "hello", "hello", true, 0},
      {CHUNKED, "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", true, 0},
  };
  for (size_t i = 0; i < 3; i++) {
    for (size_t max = 0; max <= 6; max++) {
      for (size_t step = 1; step <= 100; step += 99) {
        ws__buf out = {0};
        bool done = false;
        assert_int_equal(
            read_body(&cases[i], 0, step, max, &ws__malloc, &out, &done), 0);
        assert_int_equal(out.len, max < 5 ? max : 5);
        if (out.len > 0) assert_memory_equal(out.data, "hello", out.len);
        if (max <= 5) assert_true(done);
        ws__buf_free(&out, &ws__malloc);
      }
    }
  }
}

static void a_body_without_memory_fails(void **state) {
  (void)state;
  test_alloc alloc;
  test_alloc_init(&alloc);
  alloc.fail_at = 0;
  ws__buf out = {0};
  bool done = false;
  assert_int_equal(
      read_body(&body_cases[0], 0, 100, 1000, &alloc.allocator, &out, &done),
      WS_ERR_NO_MEMORY);
  assert_int_equal(alloc.held, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_request_is_parsed_to_the_letter),
      cmocka_unit_test(a_response_is_parsed_to_the_letter),
      cmocka_unit_test(bytes_behind_the_head_are_left_to_the_caller),
      cmocka_unit_test(bad_request_heads_are_refused),
      cmocka_unit_test(bad_response_heads_are_refused),
      cmocka_unit_test(what_is_certainly_wrong_is_found_at_once),
      cmocka_unit_test(an_unfinished_head_is_no_error),
      cmocka_unit_test(the_parser_refuses_every_unfinished_head),
      cmocka_unit_test(the_parser_refuses_bytes_behind_the_head),
      cmocka_unit_test(every_byte_at_every_place_of_a_request),
      cmocka_unit_test(every_byte_at_every_place_of_a_response),
      cmocka_unit_test(max_head_counts_every_byte),
      cmocka_unit_test(max_line_counts_without_crlf),
      cmocka_unit_test(max_headers_counts_fields),
      cmocka_unit_test(an_endless_head_is_bounded),
      cmocka_unit_test(a_large_head_byte_by_byte_costs_few_allocations),
      cmocka_unit_test(every_failed_allocation_is_survived),
      cmocka_unit_test(tokens_are_tchars),
      cmocka_unit_test(targets_are_paths_or_urls),
      cmocka_unit_test(headers_have_no_controls),
      cmocka_unit_test(names_compare_without_case_in_ascii_only),
      cmocka_unit_test(headers_are_found_by_name),
      cmocka_unit_test(tokens_are_found_in_lists),
      cmocka_unit_test(bodies_are_read_however_they_are_cut),
      cmocka_unit_test(a_body_is_kept_up_to_its_limit),
      cmocka_unit_test(a_body_without_memory_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
