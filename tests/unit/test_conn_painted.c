/* test_conn_painted.c - no byte goes out that nobody wrote: a whole
 * conversation is held again and again over memory that is painted with another
 * byte each time, and what is on the wire must not differ by a bit. */
#include <stdlib.h>

#include "test.h"
#include "ws/conn.h"

#define WIRE_MAX ((size_t)1 << 20)

/* -- Memory and chance ----------------------------------------------------- */

/* `ctx` is the byte that fresh memory is full of. */
static void *reallocate(void *ctx, void *ptr, size_t old_size,
                        size_t new_size) {
  uint8_t *block = NULL;
  if (new_size > 0) {
    block = malloc(new_size);
    assert_non_null(block);
    memset(block, *(const uint8_t *)ctx, new_size);
    const size_t kept = old_size < new_size ? old_size : new_size;
    if (ptr != NULL) memcpy(block, ptr, kept);
  }
  free(ptr);
  return block;
}

/* The same numbers in each conversation. */
static int count_up(void *ctx, void *out, size_t len) {
  uint8_t *next = ctx;
  uint8_t *bytes = out;
  for (size_t i = 0; i < len; i++)
    bytes[i] = (*next)++;
  return 0;
}

/* -- Conversations --------------------------------------------------------- */

typedef struct world {
  uint8_t paint;
  uint8_t chance;
  ws_conn *client;
  ws_conn *server;
  uint16_t refusal; /* The status of the server's answer, or 0. */
  size_t wire_len;
  uint8_t wire[WIRE_MAX]; /* What both ends have sent. */
} world;

static void handle(ws_conn *conn, const world *w, const ws_conn_event *event) {
  static const ws_header header = {"X-A", 3, "b", 1};
  ws_conn_answer answer;
  switch (event->type) {
  case WS_EVENT_REQUEST:
    if (w->refusal != 0) {
      assert_int_equal(
          ws_conn_respond(conn, w->refusal, &header, 1, "no", 2, NULL), 0);
      return;
    }
    ws_conn_answer_init(&answer);
    answer.protocol = "chat";
    answer.headers = &header;
    answer.header_count = 1;
    assert_int_equal(ws_conn_accept(conn, &answer, NULL), 0);
    return;
  case WS_EVENT_MESSAGE:
    if (ws_conn_role(conn) == WS_ROLE_SERVER) {
      assert_int_equal(ws_conn_send(conn, event->u.message.type,
                                    event->u.message.data, event->u.message.len,
                                    0),
                       0);
    }
    return;
  default: return;
  }
}

/* Carries all that waits from one end to the other. Returns whether there was
 * anything. */
static bool carry(world *w, ws_conn *from, ws_conn *to) {
  ws_slice slice;
  ws_conn_event event;
  if (ws_conn_output(from, &slice, 1) == 0) return false;
  assert_true(slice.len <= WIRE_MAX - w->wire_len);
  uint8_t *bytes = w->wire + w->wire_len;
  memcpy(bytes, slice.data, slice.len);
  w->wire_len += slice.len;
  uint8_t *copy = malloc(slice.len); /* Unmasking changes it. */
  assert_non_null(copy);
  memcpy(copy, bytes, slice.len);
  const size_t len = slice.len;
  ws_conn_consume(from, len);
  assert_int_equal(ws_conn_feed(to, copy, len), 0);
  while (ws_conn_next_event(to, &event))
    handle(to, w, &event);
  free(copy);
  while (ws_conn_next_event(from, &event))
    handle(from, w, &event);
  return true;
}

static void settle(world *w) {
  bool is_busy = true;
  while (is_busy) {
    is_busy = carry(w, w->client, w->server);
    is_busy = carry(w, w->server, w->client) || is_busy;
  }
}

static void end_transport(const world *w, ws_conn *conn) {
  ws_conn_event event;
  ws_conn_eof(conn);
  while (ws_conn_next_event(conn, &event))
    handle(conn, w, &event);
  assert_int_equal(ws_conn_state(conn), WS_STATE_CLOSED);
  ws_conn_free(conn);
}

static ws_conn *make(world *w, ws_role role, ws_compression compression) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.allocator = (ws_allocator){reallocate, &w->paint};
  options.random = count_up;
  options.random_ctx = &w->chance;
  options.compression = compression;
  ws_conn_config *config;
  ws_conn *conn;
  assert_int_equal(ws_conn_config_new(role, &options, &config, NULL), 0);
  assert_int_equal(ws_conn_new(config, 0, &conn), 0);
  ws_conn_config_free(config);
  return conn;
}

static void request(const world *w) {
  static const char text[] = "ws://user:pass@h.example/chat?a=b";
  static const char *const protocols[] = {"chat", "other"};
  static const ws_header header = {"Cookie", 6, "c=d", 3};
  ws_url *url;
  assert_int_equal(ws_url_parse(text, sizeof(text) - 1, NULL, &url, NULL), 0);
  ws_conn_request r;
  ws_conn_request_init(&r);
  r.url = url;
  r.protocols = protocols;
  r.protocol_count = 2;
  r.headers = &header;
  r.header_count = 1;
  r.origin = "http://h.example";
  assert_int_equal(ws_conn_connect(w->client, &r, NULL), 0);
  ws_url_free(url);
}

static void send(const world *w, size_t len, unsigned flags) {
  uint8_t *data = malloc(len + 1);
  assert_non_null(data);
  for (size_t i = 0; i < len; i++)
    data[i] = (uint8_t)(i % 96 + ' ');
  assert_int_equal(ws_conn_send(w->client, WS_TEXT, data, len, flags), 0);
  free(data);
}

/* All that an open connection can send. */
static void talk(world *w) {
  static const size_t lens[] = {0, 1, 125, 126, 2000, 65535, 65536, 100000};
  for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
    send(w, lens[i], 0);
    send(w, lens[i], WS_SEND_UNCOMPRESSED);
    settle(w);
  }
  send(w, 10, WS_SEND_FRAGMENT);
  send(w, 3000, 0);
  assert_int_equal(ws_conn_send_ping(w->client, "ping", 4), 0);
  assert_int_equal(ws_conn_send_pong(w->server, NULL, 0), 0);
  settle(w);
  assert_int_equal(ws_conn_close(w->client, 4000, "bye", 3), 0);
  settle(w);
}

static void converse(world *w, uint8_t paint, uint16_t refusal,
                     ws_compression compression) {
  *w = (world){.paint = paint, .refusal = refusal};
  w->client = make(w, WS_ROLE_CLIENT, compression);
  w->server = make(w, WS_ROLE_SERVER, compression);
  request(w);
  settle(w);
  if (refusal == 0) talk(w);
  end_transport(w, w->client);
  end_transport(w, w->server);
}

static void assert_paint_is_not_seen(uint16_t refusal,
                                     ws_compression compression) {
  static world first, other;
  static const uint8_t paints[] = {0x5A, 0xFF};
  converse(&first, 0, refusal, compression);
  for (size_t i = 0; i < sizeof(paints); i++) {
    converse(&other, paints[i], refusal, compression);
    assert_int_equal(other.wire_len, first.wire_len);
    assert_memory_equal(other.wire, first.wire, first.wire_len);
  }
}

static void what_is_sent_does_not_depend_on_old_memory(void **state) {
  (void)state;
  assert_paint_is_not_seen(0, WS_COMPRESSION_OFF);
  assert_paint_is_not_seen(0, WS_COMPRESSION_ON);
}

static void nor_does_a_refusal(void **state) {
  (void)state;
  assert_paint_is_not_seen(403, WS_COMPRESSION_OFF);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_sent_does_not_depend_on_old_memory),
      cmocka_unit_test(nor_does_a_refusal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
