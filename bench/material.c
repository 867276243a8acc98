#include "material.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/mask.h"

#define CACHE_LINE ((size_t)64)
#define PAGE       4096

void must(bool claim, const char *text) {
  if (claim) return;
  fprintf(stderr, "bench_proto: not so: %s\n", text);
  exit(1);
}

/* Stands on the cache line before a block. */
typedef union block_head {
  void *whole; /* What is to be freed. */
  uint8_t line[CACHE_LINE];
} block_head;

void *allocate(size_t size) {
  /* Seven lines further each time: round the page, and never close. */
  static size_t start;
  start = (start + 7 * CACHE_LINE) % PAGE;

  void *whole = NULL;
  const size_t total = start + sizeof(block_head) + size;
  must(posix_memalign(&whole, PAGE, total) == 0, "there is memory");
  memset(whole, 0, total);
  block_head *head = (block_head *)((uint8_t *)whole + start);
  head->whole = whole;
  return head + 1;
}

void deallocate(void *block) {
  if (block != NULL) free(((block_head *)block - 1)->whole);
}

const char *size_name(size_t size) {
  static char names[4][32];
  static unsigned next;
  char *name = names[next++ % 4];
  if (size >= 1 << 20) snprintf(name, sizeof(names[0]), "%zu MiB", size >> 20);
  else if (size >= 1 << 10)
    snprintf(name, sizeof(names[0]), "%zu KiB", size >> 10);
  else snprintf(name, sizeof(names[0]), "%zu B", size);
  return name;
}

/* xorshift: the same numbers in every run. `*state` is not 0. */
static uint32_t next_random(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

/* -- Texts ----------------------------------------------------------------- */

const char *const script_names[SCRIPT_COUNT] = {
    "ASCII", "2-byte", "3-byte", "4-byte", "mixed",
};

/* Writes one character of `size` bytes. Each lead is the neighbour of one that
 * takes any continuation, so that flipping lowest bits leaves it valid. */
static void write_character(uint32_t random, uint8_t *out, size_t size) {
  static const uint8_t leads[] = {0, 0, 0xC4, 0xE4};
  const uint8_t bits[] = {random & 0x3F, random >> 6 & 0x3F};
  switch (size) {
  case 1: out[0] = (uint8_t)('a' + random % 24); return;
  case 2:
  case 3: out[0] = (uint8_t)(leads[size] | (random >> 12 & 3)); break;
  case 4:
    out[0] = 0xF0;
    out[1] = 0x9E | (random >> 12 & 1);
    break;
  }
  out[size - 1] = 0x80 | bits[0];
  if (size > 2) out[size - 2] = 0x80 | bits[1];
}

void write_text(script kind, uint8_t *out, size_t len) {
  uint32_t state = 1;
  size_t i = 0;
  while (i < len) {
    const uint32_t random = next_random(&state);
    size_t size = kind == SCRIPT_MIXED ? 1 + random % 4 : 1 + (size_t)kind;
    if (random >> 28 == 0) size = 1; /* As between words. */
    if (size > len - i) size = 1;
    write_character(random >> 4, out + i, size);
    i += size;
  }
}

void write_json(uint32_t seed, char *out, size_t len) {
  static const char *const names[] = {"anna",  "bjorn", "chen",  "dmitri",
                                      "elena", "farid", "grace", "hugo"};
  static const char *const words[] = {
      "order",   "filled", "price", "moved",   "waiting", "for",  "the",
      "market",  "to",     "open",  "limit",   "reached", "with", "partial",
      "balance", "update", "new",   "session", "ended"};
  const size_t name_count = sizeof(names) / sizeof(names[0]);
  const size_t word_count = sizeof(words) / sizeof(words[0]);
  uint32_t state = seed * 2654435761u + 1;

  memset(out, ' ', len); /* What no record fits in any more. */
  size_t i = 0;
  for (;;) {
    char record[256];
    const uint32_t a = next_random(&state);
    const uint32_t b = next_random(&state);
    const uint32_t c = next_random(&state);
    const int size = snprintf(
        record, sizeof(record),
        "%s{\"id\":%u,\"user\":\"%s\",\"time\":16%08u,\"price\":%u.%02u,"
        "\"size\":%u,\"active\":%s,\"note\":\"%s %s %s %s\"}",
        i == 0 ? "[" : ",", 100000 + a % 900000, names[b % name_count],
        c % 100000000, a >> 20, b % 100, c % 500, (b & 256) ? "true" : "false",
        words[a % word_count], words[b % word_count], words[c % word_count],
        words[(a ^ c) % word_count]);
    if ((size_t)size + 1 > len - i) break;
    memcpy(out + i, record, (size_t)size);
    i += (size_t)size;
  }
  out[len - 1] = ']';
}

/* -- Connections ----------------------------------------------------------- */

const uint8_t bench_key[4] = {1, 1, 1, 1};

size_t write_frame(uint8_t *out, ws_message_type type, const uint8_t *payload,
                   size_t len, bool from_client) {
  const size_t head = ws__frame_write(out, (ws__opcode)type, true, false, len,
                                      from_client ? bench_key : NULL);
  if (from_client) ws__mask_copy(out + head, payload, len, bench_key, 0);
  else memcpy(out + head, payload, len);
  return head + len;
}

ws_conn_config *make_config(ws_role role, const ws_conn_options *options) {
  ws_conn_options filled;
  ws_conn_options_init(&filled);
  if (options != NULL) filled = *options;
  if (filled.random == NULL) filled.random = ws_random;
  ws_conn_config *config;
  must(ws_conn_config_new(role, &filled, &config, NULL) == 0,
       "the options are fine");
  return config;
}

static ws_conn *make_conn(ws_role role, const ws_conn_options *options) {
  ws_conn_config *config = make_config(role, options);
  ws_conn *conn;
  must(ws_conn_new(config, 0, &conn) == 0, "a connection is made");
  ws_conn_config_free(config);
  return conn;
}

/* Carries what waits in `from` to `to`, which accepts a request. */
static void carry(ws_conn *from, ws_conn *to) {
  uint8_t bytes[4096];
  ws_slice slice;
  must(ws_conn_output(from, &slice, 1) == 1 && slice.len <= sizeof(bytes),
       "a head waits");
  const size_t len = slice.len;
  memcpy(bytes, slice.data, len);
  ws_conn_consume(from, len);

  ws_conn_event event;
  must(ws_conn_feed(to, bytes, len) == 0, "the head is taken");
  while (ws_conn_next_event(to, &event)) {
    if (event.type != WS_EVENT_REQUEST) continue;
    must(ws_conn_accept(to, NULL, NULL) == 0, "the request is accepted");
  }
}

pair open_pair(const ws_conn_options *options) {
  pair p = {.client = make_conn(WS_ROLE_CLIENT, options),
            .server = make_conn(WS_ROLE_SERVER, options)};
  static const char address[] = "ws://example.com/";
  ws_url *url;
  must(ws_url_parse(address, strlen(address), NULL, &url, NULL) == 0,
       "the URL is fine");
  ws_conn_request request;
  ws_conn_request_init(&request);
  request.url = url;
  must(ws_conn_connect(p.client, &request, NULL) == 0, "a request is made");
  ws_url_free(url);

  carry(p.client, p.server);
  carry(p.server, p.client);
  must(ws_conn_state(p.client) == WS_STATE_OPEN &&
           ws_conn_state(p.server) == WS_STATE_OPEN,
       "both are open");
  return p;
}

void close_pair(pair *p) {
  ws_conn_free(p->client);
  ws_conn_free(p->server);
  *p = (pair){0};
}
