/* http.h - strict HTTP/1.1 heads, requests and responses, and nothing more.
 *
 * Only what RFC 9112 lets a sender produce is accepted: CRLF line ends, no
 * folding, no space before a colon, no control bytes. What a lenient parser
 * would guess at is how requests are smuggled. */
#ifndef WS__HTTP_H
#define WS__HTTP_H

#include "base/buf.h"
#include "base/hidden.h"
#include "ws/base.h"

WS__HIDDEN_BEGIN

typedef struct ws__http_limits {
  uint32_t max_head;    /* All of the head in bytes, the empty line included. */
  uint32_t max_line;    /* One line in bytes, without its CRLF. */
  uint32_t max_headers; /* Header fields. */
} ws__http_limits;

/* A parsed head. The strings stand in the bytes that were parsed, which end up
 * with NULs in them; only `headers` is memory of its own. All of them, names
 * and values too, end in NUL and hold no other control byte than tab. */
typedef struct ws__http_head {
  const char *method; /* Request. */
  const char *target; /* Request; see ws__http_is_target(). */
  const char *reason; /* Response; may be "". */
  uint16_t status;    /* Response, 100 to 999. */
  uint8_t minor;      /* HTTP/1.minor: 0 or 1. */
  ws_header *headers;
  size_t header_count;
} ws__http_head;

/* -- Reading --------------------------------------------------------------- */

/* Collects a head that comes in pieces. A zeroed struct is ready. Work is
 * linear in the bytes, however they are cut (no byte is looked at more than 3
 * times, parsing included). */
typedef struct ws__http_reader {
  ws__buf buf;       /* The head so far. */
  uint32_t line_len; /* Bytes of the line being read. */
  uint32_t lines;    /* Finished lines. */
  bool has_cr;       /* The last byte was CR. */
} ws__http_reader;

/* Takes bytes up to and including the end of the head; `*used` says how many
 * were taken, `*done` whether the head is complete in reader->buf. What is
 * certainly wrong is found at once, not at the end: bare CR or LF, a control
 * byte, an empty line where the first line should be, a limit exceeded.
 * Returns 0, WS_ERR_HTTP_SYNTAX, WS_ERR_HTTP_TOO_LARGE or WS_ERR_NO_MEMORY;
 * after an error `*reason` is a static string that names what was wrong and,
 * for a limit, the option to raise. */
int ws__http_read(ws__http_reader *reader, const ws__http_limits *limits,
                  const ws_allocator *allocator, const uint8_t *data,
                  size_t len, size_t *used, bool *done, const char **reason);

void ws__http_reader_free(ws__http_reader *reader,
                          const ws_allocator *allocator);

/* Parses a complete head in place. `head` keeps pointing into `data`. Any bytes
 * may be given; that they came through ws__http_read() is not relied on.
 * Returns 0, WS_ERR_HTTP_SYNTAX, WS_ERR_HTTP_VERSION (HTTP, but neither 1.0 nor
 * 1.1) or WS_ERR_NO_MEMORY, `*reason` as above; after an error `head` holds
 * nothing. */
int ws__http_parse_request(ws__http_head *head, const ws_allocator *allocator,
                           char *data, size_t len, const char **reason);
int ws__http_parse_response(ws__http_head *head, const ws_allocator *allocator,
                            char *data, size_t len, const char **reason);

void ws__http_head_free(ws__http_head *head, const ws_allocator *allocator);

/* -- Words of the grammar -------------------------------------------------- */

/* RFC 9110 5.6.2: a token is one or more tchar. */
bool ws__http_is_token_char(char c);
bool ws__http_is_token(const char *text, size_t len);

/* RFC 9110 5.6.3: the blanks of optional whitespace. */
bool ws__http_is_blank(char c);

/* Whether `text` can be a request target here: visible ASCII, either the
 * origin-form "/..." or the absolute-form "http://..." or "https://..." that
 * servers have to accept too (RFC 9112 3.2.2). The forms of CONNECT and
 * "OPTIONS *" have no use in a WebSocket server and are refused. */
bool ws__http_is_target(const char *text);

/* The path of a request target and what follows it, whichever its form; "/" for
 * one in absolute-form that has no path. */
const char *ws__http_path(const char *target);

/* Whether a header field may be sent: the name a token, the value free of
 * controls except tab (RFC 9110 5.5). */
bool ws__http_is_header(const ws_header *header);

/* Whether two texts are equal without regard to ASCII case. */
bool ws__http_equal(const char *a, size_t a_len, const char *b, size_t b_len);

/* -- Looking things up ----------------------------------------------------- */

/* The first header called `name` behind `after`, or from the start when that is
 * NULL. Returns NULL when there is none. Stepping through all of them costs one
 * pass over the head. */
const ws_header *ws__http_next(const ws__http_head *head, const char *name,
                               const ws_header *after);

/* How many headers are called `name`; `*out_first` gets the first, or NULL. */
size_t ws__http_count(const ws__http_head *head, const char *name,
                      const ws_header **out_first);

/* Whether one of the headers called `name` has `token` in its comma-separated
 * list, without regard to case (RFC 9110 5.6.1). */
bool ws__http_has_token(const ws__http_head *head, const char *name,
                        const char *token);

/* -- The body of a refusal ------------------------------------------------- */

/* The body of a response that refuses the handshake: by Content-Length, by
 * chunks, or up to the end of the connection (RFC 9112 6.3). Set up by
 * ws__http_body_start(). */
typedef struct ws__http_body {
  uint64_t left;   /* Bytes to come of the body or of the chunk. */
  uint32_t digits; /* Hexadecimal digits of the chunk size so far. */
  uint8_t state;
} ws__http_body;

/* Returns 0, or WS_ERR_HTTP_SYNTAX when the head contradicts itself or frames
 * the body in a way we do not know. `*done` is set for a body that cannot have
 * bytes. */
int ws__http_body_start(ws__http_body *body, const ws__http_head *head,
                        bool *done);

/* Takes bytes of the body and appends the content to `out`, at most up to `max`
 * bytes in `out`; `*done` is set at its end or when `max` is reached. Bytes
 * behind that (the trailers of a chunked body too) are left unread: the
 * connection ends with the body.
 * Returns 0, WS_ERR_HTTP_SYNTAX or WS_ERR_NO_MEMORY. */
int ws__http_body_read(ws__http_body *body, const ws_allocator *allocator,
                       const uint8_t *data, size_t len, size_t max,
                       ws__buf *out, bool *done);

WS__HIDDEN_END

#endif
