/* http_body.c - the body of a response that refuses the handshake (RFC 9112 6
 * and 7.1). A state machine over the framing; content is copied in runs. */
#include "base/ascii.h"
#include "proto/http.h"

enum body_state {
  BODY_CONTENT,       /* `left` bytes, then the end. */
  BODY_CHUNK_SIZE,    /* Hexadecimal digits into `left`. */
  BODY_CHUNK_EXT,     /* Anything up to the CR; recipients ignore it. */
  BODY_CHUNK_SIZE_LF, /* The LF of the size line. */
  BODY_CHUNK_CONTENT, /* `left` bytes. */
  BODY_CHUNK_CR,      /* The CRLF behind them. */
  BODY_CHUNK_LF
};

/* What 64 bits hold. */
#define MAX_CHUNK_DIGITS 16

/* Content-Length = 1*DIGIT (RFC 9110 8.6). */
static bool parse_length(const ws_header *header, uint64_t *out_length) {
  uint64_t length = 0;
  for (size_t i = 0; i < header->value_len; i++) {
    const char c = header->value[i];
    if (!ws__is_digit(c)) return false;
    const uint64_t digit = (uint64_t)(c - '0');
    if (length > (UINT64_MAX - digit) / 10) return false;
    length = length * 10 + digit;
  }
  *out_length = length;
  return header->value_len > 0;
}

int ws__http_body_start(ws__http_body *body, const ws__http_head *head,
                        bool *done) {
  const ws_header *coding, *length;
  const size_t codings = ws__http_count(head, "Transfer-Encoding", &coding);
  const size_t lengths = ws__http_count(head, "Content-Length", &length);

  *body = (ws__http_body){.state = BODY_CONTENT};
  *done = false;
  /* "Any response with a 1xx, 204 or 304 status code is always terminated by
   * the first empty line after the header fields" (RFC 9112 6.3). */
  if (head->status < 200 || head->status == 204 || head->status == 304) {
    *done = true;
  } else if (codings > 0) {
    /* The two together, or the coding in HTTP/1.0, are the marks of smuggling
     * (RFC 9112 6.1); and we undo no other coding. */
    if (lengths > 0 || codings > 1 || head->minor == 0 ||
        !ws__http_equal(coding->value, coding->value_len, "chunked", 7)) {
      return WS_ERR_HTTP_SYNTAX;
    }
    body->state = BODY_CHUNK_SIZE;
  } else if (lengths > 0) {
    if (lengths > 1 || !parse_length(length, &body->left)) {
      return WS_ERR_HTTP_SYNTAX;
    }
    *done = body->left == 0;
  } else {
    body->left = UINT64_MAX; /* Up to the end of the connection. */
  }
  return 0;
}

/* Takes a byte of `chunk-size [ chunk-ext ] CRLF`, or of the CRLF behind the
 * content (RFC 9112 7.1). Returns false if it cannot stand there. */
static bool take_framing(ws__http_body *body, char c, bool *done) {
  switch ((enum body_state)body->state) {
  case BODY_CHUNK_SIZE: {
    const int digit = ws__hex_value(c);
    if (digit >= 0) {
      if (body->digits == MAX_CHUNK_DIGITS) return false;
      body->digits++;
      body->left = body->left << 4 | (uint64_t)digit;
      return true;
    }
    if (body->digits == 0) return false;
    if (c == ';') {
      body->state = BODY_CHUNK_EXT;
      return true;
    }
    body->state = BODY_CHUNK_SIZE_LF;
    return c == '\r';
  }
  case BODY_CHUNK_EXT:
    if (c == '\r') body->state = BODY_CHUNK_SIZE_LF;
    return c == '\r' || c == '\t' || !ws__is_control(c);
  case BODY_CHUNK_SIZE_LF:
    /* The last chunk has size 0. */
    *done = body->left == 0;
    body->state = BODY_CHUNK_CONTENT;
    return c == '\n';
  case BODY_CHUNK_CR: body->state = BODY_CHUNK_LF; return c == '\r';
  case BODY_CHUNK_LF:
    body->digits = 0;
    body->state = BODY_CHUNK_SIZE;
    return c == '\n';
  case BODY_CONTENT:
  case BODY_CHUNK_CONTENT: break; /* Not framing. */
  }
  return false;
}

/* How many of `len` bytes are content to be kept. */
static size_t content_run(const ws__http_body *body, size_t len, size_t room) {
  size_t run = len < room ? len : room;
  if (run > body->left) run = (size_t)body->left;
  return run;
}

static void end_run(ws__http_body *body, size_t run, bool *done) {
  body->left -= run;
  if (body->left > 0) return;
  if (body->state == BODY_CONTENT) *done = true;
  else body->state = BODY_CHUNK_CR;
}

int ws__http_body_read(ws__http_body *body, const ws_allocator *allocator,
                       const uint8_t *data, size_t len, size_t max,
                       ws__buf *out, bool *done) {
  *done = out->len >= max;
  while (len > 0 && !*done) {
    size_t taken = 1;
    if (body->state == BODY_CONTENT || body->state == BODY_CHUNK_CONTENT) {
      taken = content_run(body, len, max - out->len);
      const int err = ws__buf_append(out, allocator, data, taken);
      if (err != 0) return err;
      end_run(body, taken, done);
      if (out->len >= max) *done = true;
    } else if (!take_framing(body, (char)*data, done)) {
      return WS_ERR_HTTP_SYNTAX;
    }
    data += taken;
    len -= taken;
  }
  return 0;
}
