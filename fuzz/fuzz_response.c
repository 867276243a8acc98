/* Feeds any bytes to a client as the response to its request: a head, judged,
 * and behind a refusal the body. However they are cut, the same comes out. */
#include <string.h>

#include "budget.h"
#include "proto/handshake.h"
#include "proto/subprotocol.h"

/* Two readings at once, in buffers that double; "a:\r\n" makes a ws_header. */
#define HEAP_BASE     4096
#define HEAP_PER_BYTE 32

#define KEY      "dGhlIHNhbXBsZSBub25jZQ=="
#define MAX_BODY 600

static const ws__http_limits limits = {4096, 1024, 40};
static const char *const protocols[] = {"chat", "Chat2"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says how to run; the rest comes over the wire. */
enum {
  DEFLATE = 1,
  BOUNDED = 2,
  PROTOCOLS = 4,
  PIECES = 0xF0 /* How long each piece is; 0 for all at once. */
};

/* A client that waits for its answer. */
typedef struct client {
  const ws_allocator *allocator;
  unsigned how;
  ws__http_reader reader;
  ws__http_head head;
  ws__http_body body;
  ws__buf content;
  bool has_head;
  bool is_done;
  int err;
} client;

static ws__deflate_offer offer_of(unsigned how) {
  const uint8_t bits = (how & BOUNDED) != 0 ? 10 : 15;
  return (ws__deflate_offer){(how & DEFLATE) != 0, {bits, bits, false, false}};
}

static void check_agreement(const ws__agreement *agreement, unsigned how) {
  const ws__deflate_params *params = &agreement->deflate;
  if ((how & PROTOCOLS) != 0) {
    require(ws__subprotocol_is_among(agreement->protocol, protocols, 2),
            "the subprotocol is one of ours");
  } else {
    require(agreement->protocol[0] == '\0', "no subprotocol was asked for");
  }
  require(!agreement->has_deflate || (how & DEFLATE) != 0,
          "the extension was offered");
  require(agreement->has_deflate == (agreement->extensions[0] != '\0'),
          "the header names the extension");
  if (agreement->has_deflate) {
    require(params->server_max_window_bits >= 8 &&
                params->server_max_window_bits <= 15 &&
                params->client_max_window_bits >= 8 &&
                params->client_max_window_bits <=
                    ((how & BOUNDED) != 0 ? 10 : 15),
            "windows have a legal size");
  }
}

static void judge(client *c) {
  const ws__deflate_offer offer = offer_of(c->how);
  const size_t protocol_count = (c->how & PROTOCOLS) != 0 ? 2 : 0;
  ws__agreement agreement;
  const char *reason = NULL;
  c->err = ws__handshake_check_response(
      &c->head, KEY, protocols, protocol_count, &offer, &agreement, &reason);
  require((c->err != 0) == (reason != NULL), "an error has a reason");
  if (c->err == 0) {
    require(c->head.status == 101 && c->head.minor == 1,
            "only a 101 opens the connection");
    check_agreement(&agreement, c->how);
  }
  if (c->err != WS_ERR_UNEXPECTED_STATUS) {
    c->is_done = true;
    return;
  }
  if (ws__http_body_start(&c->body, &c->head, &c->is_done) != 0) {
    c->is_done = true;
  }
}

/* Returns how many bytes the head took. */
static size_t take_head(client *c, const uint8_t *data, size_t len) {
  size_t used = 0;
  const char *reason = NULL;
  c->err = ws__http_read(&c->reader, &limits, c->allocator, data, len, &used,
                         &c->has_head, &reason);
  if (c->err == 0 && c->has_head) {
    c->err = ws__http_parse_response(&c->head, c->allocator,
                                     (char *)c->reader.buf.data,
                                     c->reader.buf.len, &reason);
    if (c->err == 0) judge(c);
    else c->is_done = true;
  } else if (c->err != 0) {
    require(reason != NULL, "an error has a reason");
    c->is_done = true;
  }
  return used;
}

static void take_body(client *c, const uint8_t *data, size_t len) {
  const int err = ws__http_body_read(&c->body, c->allocator, data, len,
                                     MAX_BODY, &c->content, &c->is_done);
  require(c->content.len <= MAX_BODY, "the bound on the body holds");
  if (err == 0) return;
  c->err = err;
  c->is_done = true;
}

/* Feeds pieces from blocks of exactly their size. */
static void run(client *c, const uint8_t *data, size_t size, size_t step) {
  for (size_t at = 0; at < size && !c->is_done; at += step) {
    const size_t len = size - at < step ? size - at : step;
    uint8_t *piece = malloc(len);
    require(piece != NULL, "the fuzzer has memory");
    memcpy(piece, data + at, len);
    const size_t used = c->has_head ? 0 : take_head(c, piece, len);
    if (c->has_head && !c->is_done) take_body(c, piece + used, len - used);
    free(piece);
  }
}

static void end(client *c) {
  ws__http_head_free(&c->head, c->allocator);
  ws__http_reader_free(&c->reader, c->allocator);
  ws__buf_free(&c->content, c->allocator);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  const unsigned how = data[0];
  const size_t step = (how & PIECES) == 0 ? 1 : (how & PIECES) >> 4;
  budget b;
  budget_begin(&b);
  const ws_allocator *allocator = &b.alloc.allocator;

  client whole = {.allocator = allocator, .how = how};
  client pieces = {.allocator = allocator, .how = how};
  run(&whole, data + 1, size - 1, size);
  run(&pieces, data + 1, size - 1, step);
  require(whole.err == pieces.err && whole.has_head == pieces.has_head &&
              whole.is_done == pieces.is_done &&
              whole.content.len == pieces.content.len,
          "the pieces make no difference");
  require(whole.content.len == 0 ||
              memcmp(whole.content.data, pieces.content.data,
                     whole.content.len) == 0,
          "the content is the same");
  end(&whole);
  end(&pieces);
  budget_end(&b, size, HEAP_BASE, HEAP_PER_BYTE);
  return 0;
}
