/* http.c - reads, parses and searches HTTP/1.1 heads (RFC 9112).
 *
 * The reader collects a head as it arrives and stops at the first byte no head
 * can have. The parser then walks the whole of it once and trusts nothing:
 * wherever it stands, the next byte is one the grammar allows there, or the
 * head is refused. */
#include "proto/http.h"

#include <string.h>

#include "base/ascii.h"
#include "base/detail.h"

/* -- Words of the grammar -------------------------------------------------- */

bool ws__http_is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* VCHAR of RFC 5234. */
static bool is_visible(char c) {
  return c != ' ' && ws__is_printable(c);
}

/* RFC 9110 5.5: what may stand in a field value, with blanks and obs-text. */
static bool is_text(char c) {
  return !ws__is_control(c) || c == '\t';
}

bool ws__http_is_token_char(char c) {
  return ws__is_letter(c) || ws__is_digit(c) ||
         (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool ws__http_is_token(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (!ws__http_is_token_char(text[i])) return false;
  }
  return len > 0;
}

/* `prefix` is in lower case. */
static bool starts_with(const char *text, const char *prefix) {
  for (; *prefix != '\0'; text++, prefix++) {
    if (ws__to_lower(*text) != *prefix) return false;
  }
  return true;
}

static bool is_origin_or_absolute_form(const char *target) {
  return target[0] == '/' || starts_with(target, "http://") ||
         starts_with(target, "https://");
}

bool ws__http_is_target(const char *text) {
  for (const char *at = text; *at != '\0'; at++) {
    if (!is_visible(*at)) return false;
  }
  return is_origin_or_absolute_form(text);
}

const char *ws__http_path(const char *target) {
  if (target[0] == '/') return target;
  const char *const authority = strchr(target, ':') + strlen("://");
  const char *const path = authority + strcspn(authority, "/?#");
  return path[0] == '/' ? path : "/";
}

bool ws__http_is_header(const ws_header *header) {
  for (size_t i = 0; i < header->value_len; i++) {
    if (!is_text(header->value[i])) return false;
  }
  return ws__http_is_token(header->name, header->name_len);
}

bool ws__http_equal(const char *a, size_t a_len, const char *b, size_t b_len) {
  if (a_len != b_len) return false;
  for (size_t i = 0; i < a_len; i++) {
    if (ws__to_lower(a[i]) != ws__to_lower(b[i])) return false;
  }
  return true;
}

/* -- Reading --------------------------------------------------------------- */

/* Takes LF: the end of a line if CR came before, of the head if it is empty. */
static int end_line(ws__http_reader *reader, const ws__http_limits *limits,
                    bool *done, const char **reason) {
  if (!reader->has_cr) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "LF without CR in the head", reason);
  }
  reader->has_cr = false;
  if (reader->line_len == 0) {
    /* RFC 9112 2.2 lets a server skip empty lines here; nothing needs it. */
    if (reader->lines == 0) {
      return ws__fail(WS_ERR_HTTP_SYNTAX, "the head starts with an empty line",
                      reason);
    }
    *done = true;
    return 0;
  }
  /* Line 0 is the request or status line, line n is field n. */
  if (reader->lines > limits->max_headers) {
    return ws__fail(WS_ERR_HTTP_TOO_LARGE,
                    "more header fields than max_headers", reason);
  }
  reader->lines++;
  reader->line_len = 0;
  return 0;
}

static int take_byte(ws__http_reader *reader, const ws__http_limits *limits,
                     char c, bool *done, const char **reason) {
  if (c == '\n') return end_line(reader, limits, done, reason);
  if (reader->has_cr) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "CR without LF in the head", reason);
  }
  if (c == '\r') {
    reader->has_cr = true;
    return 0;
  }
  if (!is_text(c)) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "control byte in the head", reason);
  }
  if (reader->line_len >= limits->max_line) {
    return ws__fail(WS_ERR_HTTP_TOO_LARGE,
                    "line of the head longer than max_head_line", reason);
  }
  reader->line_len++;
  return 0;
}

int ws__http_read(ws__http_reader *reader, const ws__http_limits *limits,
                  const ws_allocator *allocator, const uint8_t *data,
                  size_t len, size_t *used, bool *done, const char **reason) {
  size_t taken = 0;
  *used = 0;
  *done = false;
  while (taken < len && !*done) {
    if (reader->buf.len + taken >= limits->max_head) {
      return ws__fail(WS_ERR_HTTP_TOO_LARGE, "head longer than max_head",
                      reason);
    }
    const int err = take_byte(reader, limits, (char)data[taken], done, reason);
    if (err != 0) return err;
    taken++;
  }
  if (ws__buf_append(&reader->buf, allocator, data, taken) != 0) {
    return ws__fail(WS_ERR_NO_MEMORY, "out of memory for the head", reason);
  }
  *used = taken;
  return 0;
}

void ws__http_reader_free(ws__http_reader *reader,
                          const ws_allocator *allocator) {
  ws__buf_free(&reader->buf, allocator);
  *reader = (ws__http_reader){0};
}

/* -- Parsing --------------------------------------------------------------- */

/* The place of the parser. The bytes behind `at` are still as they came. */
typedef struct cursor {
  char *at;
  char *end;
} cursor;

/* The next byte; at the end NUL, which the grammar allows nowhere. */
static char peek(const cursor *c) {
  return c->at < c->end ? *c->at : '\0';
}

static bool take(cursor *c, char expected) {
  if (peek(c) != expected) return false;
  c->at++;
  return true;
}

static bool take_crlf(cursor *c) {
  return take(c, '\r') && take(c, '\n');
}

/* Takes all bytes of a kind and the delimiter behind them, which becomes the
 * NUL of the string. Returns NULL if there is no such byte or another
 * delimiter. */
static char *take_word(cursor *c, bool (*is_kind)(char), char delimiter) {
  char *const start = c->at;
  while (is_kind(peek(c)))
    c->at++;
  char *const end = c->at;
  if (end == start || !take(c, delimiter)) return NULL;
  *end = '\0';
  return start;
}

/* Takes text up to the end of its line, CRLF included, and leaves out the
 * blanks around it. Returns NULL if the line holds a byte that is no text. */
static char *take_line(cursor *c, size_t *out_len) {
  while (ws__http_is_blank(peek(c)))
    c->at++;
  char *const start = c->at;
  char *end = start;
  while (is_text(peek(c))) {
    if (!ws__http_is_blank(peek(c))) end = c->at + 1;
    c->at++;
  }
  if (!take_crlf(c)) return NULL;
  *end = '\0';
  *out_len = (size_t)(end - start);
  return start;
}

/* HTTP-version = "HTTP/" DIGIT "." DIGIT (RFC 9112 2.3), case-sensitive. */
static int take_version(cursor *c, uint8_t *out_minor, const char **reason) {
  static const char prefix[] = "HTTP/";
  for (const char *p = prefix; *p != '\0'; p++) {
    if (!take(c, *p)) {
      return ws__fail(WS_ERR_HTTP_SYNTAX, "this is not HTTP/1.1", reason);
    }
  }
  const char major = peek(c);
  if (!ws__is_digit(major) || !take(c, major) || !take(c, '.') ||
      !ws__is_digit(peek(c))) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "malformed HTTP version", reason);
  }
  *out_minor = (uint8_t)(peek(c) - '0');
  c->at++;
  if (major != '1' || *out_minor > 1) {
    return ws__fail(WS_ERR_HTTP_VERSION, "HTTP version is neither 1.0 nor 1.1",
                    reason);
  }
  return 0;
}

/* request-line = method SP request-target SP HTTP-version (RFC 9112 3). */
static int take_request_line(cursor *c, ws__http_head *head,
                             const char **reason) {
  head->method = take_word(c, ws__http_is_token_char, ' ');
  if (head->method == NULL) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "malformed request method", reason);
  }
  head->target = take_word(c, is_visible, ' ');
  if (head->target == NULL) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "malformed request target", reason);
  }
  const int err = take_version(c, &head->minor, reason);
  if (err != 0) return err;
  if (!take_crlf(c)) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "bytes behind the HTTP version",
                    reason);
  }
  if (!is_origin_or_absolute_form(head->target)) {
    return ws__fail(WS_ERR_HTTP_SYNTAX,
                    "request target is neither path nor URL", reason);
  }
  return 0;
}

/* status-line = HTTP-version SP status-code SP [ reason-phrase ], where "a
 * server MUST send the space [...] even when the reason-phrase is absent"
 * (RFC 9112 4). */
static int take_status_line(cursor *c, ws__http_head *head,
                            const char **reason) {
  const int err = take_version(c, &head->minor, reason);
  if (err != 0) return err;
  bool is_good = take(c, ' ') && peek(c) != '0';
  for (int i = 0; i < 3 && is_good; i++) {
    is_good = ws__is_digit(peek(c));
    if (is_good) head->status = (uint16_t)(head->status * 10 + *c->at++ - '0');
  }
  if (!is_good || !take(c, ' ')) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "malformed status code", reason);
  }
  size_t len;
  head->reason = take_line(c, &len);
  if (head->reason == NULL) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "malformed reason phrase", reason);
  }
  return 0;
}

/* field-line = field-name ":" OWS field-value OWS, where "no whitespace is
 * allowed between the field name and colon" (RFC 9112 5.1). */
static int take_header(cursor *c, ws_header *header, const char **reason) {
  if (ws__http_is_blank(peek(c))) {
    /* "A server that receives an obs-fold [...] MUST either reject the
     * message" or unfold it (RFC 9112 5.2). */
    return ws__fail(WS_ERR_HTTP_SYNTAX, "folded header line", reason);
  }
  const char *name = take_word(c, ws__http_is_token_char, ':');
  if (name == NULL) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "malformed header name", reason);
  }
  header->name = name;
  header->name_len = (size_t)(c->at - 1 - name);
  header->value = take_line(c, &header->value_len);
  if (header->value == NULL) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "malformed header value", reason);
  }
  return 0;
}

/* How many lines end behind the cursor. */
static size_t count_lines(const cursor *c) {
  size_t count = 0;
  for (const char *at = c->at; at < c->end; at++)
    count += *at == '\n';
  return count;
}

/* The field lines, the empty line, and nothing behind it. */
static int take_headers(cursor *c, ws__http_head *head,
                        const ws_allocator *allocator, const char **reason) {
  const size_t lines = count_lines(c); /* The empty one too. */
  if (lines > 1 && lines <= SIZE_MAX / sizeof(ws_header)) {
    head->headers = ws__alloc_zero(allocator, (lines - 1) * sizeof(ws_header));
    if (head->headers != NULL) head->header_count = lines - 1;
  }
  if (lines > 1 && head->headers == NULL) {
    return ws__fail(WS_ERR_NO_MEMORY, "out of memory for headers", reason);
  }
  for (size_t i = 0; i < head->header_count; i++) {
    const int err = take_header(c, &head->headers[i], reason);
    if (err != 0) return err;
  }
  if (!take_crlf(c) || c->at != c->end) {
    return ws__fail(WS_ERR_HTTP_SYNTAX, "the head does not end as it should",
                    reason);
  }
  return 0;
}

typedef int take_first_line_fn(cursor *c, ws__http_head *head,
                               const char **reason);

static int parse(ws__http_head *head, const ws_allocator *allocator, char *data,
                 size_t len, take_first_line_fn *take_first_line,
                 const char **reason) {
  cursor c = {data, data + len};
  *head = (ws__http_head){0};
  int err = take_first_line(&c, head, reason);
  if (err == 0) err = take_headers(&c, head, allocator, reason);
  if (err != 0) ws__http_head_free(head, allocator);
  return err;
}

int ws__http_parse_request(ws__http_head *head, const ws_allocator *allocator,
                           char *data, size_t len, const char **reason) {
  return parse(head, allocator, data, len, take_request_line, reason);
}

int ws__http_parse_response(ws__http_head *head, const ws_allocator *allocator,
                            char *data, size_t len, const char **reason) {
  return parse(head, allocator, data, len, take_status_line, reason);
}

void ws__http_head_free(ws__http_head *head, const ws_allocator *allocator) {
  ws__free(allocator, head->headers, head->header_count * sizeof(ws_header));
  *head = (ws__http_head){0};
}

/* -- Looking things up ----------------------------------------------------- */

const ws_header *ws__http_next(const ws__http_head *head, const char *name,
                               const ws_header *after) {
  const size_t name_len = strlen(name);
  size_t i = after == NULL ? 0 : (size_t)(after - head->headers) + 1;
  for (; i < head->header_count; i++) {
    const ws_header *header = &head->headers[i];
    if (ws__http_equal(header->name, header->name_len, name, name_len)) {
      return header;
    }
  }
  return NULL;
}

size_t ws__http_count(const ws__http_head *head, const char *name,
                      const ws_header **out_first) {
  const ws_header *header = ws__http_next(head, name, NULL);
  size_t count = 0;
  *out_first = header;
  for (; header != NULL; header = ws__http_next(head, name, header))
    count++;
  return count;
}

/* Whether the list between `at` and `end` has the element. Empty elements are
 * ignored, as RFC 9110 5.6.1.2 asks of recipients. */
static bool list_has(const char *at, const char *end, const char *token) {
  const size_t token_len = strlen(token);
  while (at < end) {
    const char *comma = memchr(at, ',', (size_t)(end - at));
    const char *const next = comma != NULL ? comma + 1 : end;
    const char *last = comma != NULL ? comma : end;
    while (at < last && ws__http_is_blank(*at))
      at++;
    while (at < last && ws__http_is_blank(last[-1]))
      last--;
    if (ws__http_equal(at, (size_t)(last - at), token, token_len)) return true;
    at = next;
  }
  return false;
}

bool ws__http_has_token(const ws__http_head *head, const char *name,
                        const char *token) {
  const ws_header *header = NULL;
  while ((header = ws__http_next(head, name, header)) != NULL) {
    if (list_has(header->value, header->value + header->value_len, token)) {
      return true;
    }
  }
  return false;
}

const char *ws_header_find(const ws_header *headers, size_t count,
                           const char *name) {
  const size_t name_len = strlen(name);
  for (size_t i = 0; i < count; i++) {
    if (ws__http_equal(headers[i].name, headers[i].name_len, name, name_len)) {
      return headers[i].value;
    }
  }
  return NULL;
}
