/* Feeds any bytes to a server as a request head. However they are cut, the same
 * is read; what is parsed and written down again is parsed the same; what is
 * judged a good handshake is answered, and our client takes the answer. */
#include <string.h>

#include "budget.h"
#include "proto/handshake.h"

/* The buffer of the head doubles; "a:\r\n" makes a ws_header. Then the same
 * again for the head that is written down, and the list of subprotocols. */
#define HEAP_BASE     4096
#define HEAP_PER_BYTE 64

#define MAX_HEAD 4096

static const ws__http_limits limits = {MAX_HEAD, 1024, 40};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says how to run; the rest is the request. */
enum {
  DEFLATE = 1,
  SECURE = 2,
  LISTED_ORIGINS = 4,
  LISTED_HOSTS = 8,
  PIECES = 0xF0 /* How long each piece is; 0 for all at once. */
};

/* -- Reading --------------------------------------------------------------- */

typedef struct result {
  int err;
  size_t used;
  bool done;
} result;

/* Reads in pieces from blocks of exactly their size. */
static result read_head(ws__http_reader *reader, const ws_allocator *allocator,
                        const uint8_t *data, size_t size, size_t step) {
  result r = {0};
  while (r.err == 0 && !r.done && r.used < size) {
    const size_t len = size - r.used < step ? size - r.used : step;
    uint8_t *piece = malloc(len);
    require(piece != NULL, "the fuzzer has memory");
    memcpy(piece, data + r.used, len);
    size_t used;
    const char *reason = NULL;
    r.err = ws__http_read(reader, &limits, allocator, piece, len, &used,
                          &r.done, &reason);
    free(piece);
    require((r.err != 0) == (reason != NULL), "an error has a reason");
    require(r.err != 0 || used == len || r.done, "all is taken up to the end");
    if (r.err == 0) r.used += used;
  }
  require(reader->buf.len == r.used, "what was taken is kept, and no more");
  require(r.used <= limits.max_head, "max_head holds");
  return r;
}

/* -- Parsing --------------------------------------------------------------- */

static void check_text(const char *text, size_t len) {
  require(strlen(text) == len, "a string ends where its slice does");
  for (size_t i = 0; i < len; i++) {
    const uint8_t c = (uint8_t)text[i];
    require((c >= ' ' && c != 0x7F) || c == '\t', "no string has a control");
  }
}

static void check_head(const ws__http_head *head) {
  require(ws__http_is_token(head->method, strlen(head->method)),
          "a method is a token");
  require(ws__http_is_target(head->target), "a target is a target");
  require(head->header_count <= limits.max_headers, "max_headers holds");
  for (size_t i = 0; i < head->header_count; i++) {
    const ws_header *header = &head->headers[i];
    require(ws__http_is_header(header), "a header could be sent again");
    check_text(header->name, header->name_len);
    check_text(header->value, header->value_len);
  }
}

static void write_head(ws__buf *out, const ws_allocator *allocator,
                       const ws__http_head *head) {
  const char *version = head->minor == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n";
  int err = ws__buf_append_str(out, allocator, head->method);
  err |= ws__buf_append_str(out, allocator, " ");
  err |= ws__buf_append_str(out, allocator, head->target);
  err |= ws__buf_append_str(out, allocator, version);
  for (size_t i = 0; i < head->header_count; i++) {
    err |= ws__buf_append_str(out, allocator, head->headers[i].name);
    err |= ws__buf_append_str(out, allocator, ":");
    err |= ws__buf_append_str(out, allocator, head->headers[i].value);
    err |= ws__buf_append_str(out, allocator, "\r\n");
  }
  err |= ws__buf_append_str(out, allocator, "\r\n");
  require(err == 0, "the fuzzer has memory");
}

/* A head has one meaning: written down and parsed again it is the same. */
static void check_round_trip(const ws__http_head *head,
                             const ws_allocator *allocator) {
  ws__buf text = {0};
  ws__http_head again;
  const char *reason;
  write_head(&text, allocator, head);
  require(ws__http_parse_request(&again, allocator, (char *)text.data, text.len,
                                 &reason) == 0,
          "a parsed head can be parsed again");
  require(strcmp(head->method, again.method) == 0 &&
              strcmp(head->target, again.target) == 0 &&
              head->minor == again.minor &&
              head->header_count == again.header_count,
          "a head stays the same");
  for (size_t i = 0; i < head->header_count; i++) {
    require(strcmp(head->headers[i].name, again.headers[i].name) == 0 &&
                strcmp(head->headers[i].value, again.headers[i].value) == 0,
            "a header stays the same");
  }
  ws__http_head_free(&again, allocator);
  ws__buf_free(&text, allocator);
}

/* -- Judging --------------------------------------------------------------- */

static ws__server_rules rules_of(unsigned how) {
  static const char *const origins[] = {"https://a.example", "http://b", NULL};
  static const char *const hosts[] = {"a.example", "b:8080", "[::1]", NULL};
  return (ws__server_rules){
      .origins = (how & LISTED_ORIGINS) != 0 ? origins : NULL,
      .hosts = (how & LISTED_HOSTS) != 0 ? hosts : NULL,
      .is_secure = (how & SECURE) != 0,
      .deflate = {(how & DEFLATE) != 0, {12, 12, false, false}},
  };
}

/* Our client takes what our server answers. */
static void check_answer(const ws__upgrade *upgrade,
                         const ws_allocator *allocator) {
  const ws__deflate_offer offer = {true, {15, 15, false, false}};
  const char *protocol =
      upgrade->protocol_count > 0 ? upgrade->protocols[0] : NULL;
  ws__buf answer = {0};
  const char *reason;
  require(ws__handshake_write_accept(upgrade, protocol, NULL, 0, allocator,
                                     &answer, &reason) == 0,
          "a good handshake can be answered");

  ws__http_head head;
  ws__agreement agreement;
  require(ws__http_parse_response(&head, allocator, (char *)answer.data,
                                  answer.len, &reason) == 0,
          "an answer is a head");
  require(ws__handshake_check_response(&head, upgrade->key, upgrade->protocols,
                                       upgrade->protocol_count, &offer,
                                       &agreement, &reason) == 0,
          "an answer opens the connection");
  require(strcmp(agreement.protocol, protocol != NULL ? protocol : "") == 0,
          "both know the subprotocol");
  require(agreement.has_deflate == upgrade->has_deflate,
          "both know the extension");
  require(strcmp(agreement.extensions, upgrade->extensions) == 0,
          "both show the same extensions");
  ws__http_head_free(&head, allocator);
  ws__buf_free(&answer, allocator);
}

static void judge(const ws__http_head *head, unsigned how,
                  const ws_allocator *allocator) {
  const ws__server_rules rules = rules_of(how);
  ws__upgrade upgrade;
  const char *reason = NULL;
  const int err =
      ws__handshake_check_request(head, &rules, allocator, &upgrade, &reason);
  if (err != 0) {
    const uint16_t status = ws__handshake_status(err);
    require(reason != NULL && status >= 400 && status <= 505,
            "a refusal has a status and a reason");
    return;
  }
  if (upgrade.is_upgrade) {
    require(strcmp(head->method, "GET") == 0 && head->minor == 1,
            "an upgrade is an HTTP/1.1 GET");
    check_answer(&upgrade, allocator);
  }
  ws__upgrade_free(&upgrade, allocator);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  const unsigned how = data[0];
  const size_t step = (how & PIECES) == 0 ? size : (how & PIECES) >> 4;
  budget b;
  budget_begin(&b);
  const ws_allocator *allocator = &b.alloc.allocator;

  ws__http_reader whole = {0}, pieces = {0};
  const result r = read_head(&whole, allocator, data + 1, size - 1, size);
  const result p = read_head(&pieces, allocator, data + 1, size - 1, step);
  require(r.err == p.err && r.done == p.done &&
              (r.err != 0 || r.used == p.used),
          "the pieces make no difference");
  ws__http_reader_free(&pieces, allocator);

  if (r.done) {
    ws__http_head head;
    const char *reason = NULL;
    const int err = ws__http_parse_request(
        &head, allocator, (char *)whole.buf.data, whole.buf.len, &reason);
    require((err != 0) == (reason != NULL), "an error has a reason");
    if (err == 0) {
      check_head(&head);
      check_round_trip(&head, allocator);
      judge(&head, how, allocator);
      ws__http_head_free(&head, allocator);
    }
  }
  ws__http_reader_free(&whole, allocator);
  budget_end(&b, size, HEAP_BASE, HEAP_PER_BYTE);
  return 0;
}
