/* test_conn_pair.c - a client and a server of ours talk to each other.
 *
 * Messages of every size and kind, whole and in fragments, compressed under all
 * parameters (RFC 7692 7.1), must arrive as they were sent, in order, however
 * the transport cuts the bytes (rows 153, 165, 174, 176, 306, 309, 349). */
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"
#include "test.h"
#include "transcript.h"

#define MESSAGES    300
#define MAX_MESSAGE 70000

typedef struct end {
  ws_conn *conn;
  transcript sent;
  transcript received;
  bool is_closed;
} end;

typedef struct pair {
  end client;
  end server;
  uint64_t seed;
} pair;

static size_t below(pair *p, size_t limit) {
  p->seed ^= p->seed >> 12;
  p->seed ^= p->seed << 25;
  p->seed ^= p->seed >> 27;
  return (size_t)((p->seed * UINT64_C(2685821657736338717)) >> 33) % limit;
}

static void handle(end *e, const ws_conn_event *event) {
  switch (event->type) {
  case WS_EVENT_REQUEST:
    assert_int_equal(ws_conn_accept(e->conn, NULL, NULL), 0);
    return;
  case WS_EVENT_MESSAGE:
    driver_log_message(&e->received, event->u.message.type,
                       event->u.message.data, event->u.message.len);
    return;
  case WS_EVENT_CLOSE:
    assert_int_equal(event->u.close.code, WS_CLOSE_NORMAL);
    assert_true(event->u.close.was_clean);
    e->is_closed = true;
    return;
  case WS_EVENT_ERROR: fail_msg("%s", event->u.error.message); return;
  case WS_EVENT_OPEN:
  case WS_EVENT_PING:
  case WS_EVENT_PONG:
  case WS_EVENT_DRAIN: return;
  case WS_EVENT_RECONNECT:
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: fail_msg("event %d is none", (int)event->type);
  }
}

static void pull(end *e) {
  ws_conn_event event;
  while (ws_conn_next_event(e->conn, &event))
    handle(e, &event);
}

/* Carries some bytes from one end to the other. Returns whether there were
 * any. */
static bool carry(pair *p, end *from, end *to) {
  ws_slice slice;
  if (ws_conn_output(from->conn, &slice, 1) == 0) return false;
  size_t len = slice.len;
  if (below(p, 2) == 0) len = 1 + below(p, len);
  uint8_t *bytes = malloc(len);
  assert_non_null(bytes);
  memcpy(bytes, slice.data, len);
  ws_conn_consume(from->conn, len);
  assert_int_equal(ws_conn_feed(to->conn, bytes, len), 0);
  pull(to);
  free(bytes);
  pull(from);
  return true;
}

static void settle(pair *p) {
  bool any;
  do {
    any = carry(p, &p->client, &p->server);
    any = carry(p, &p->server, &p->client) || any;
  } while (any);
}

static ws_conn *new_conn(ws_role role, const ws_conn_options *options) {
  ws_conn_config *config;
  ws_conn *conn;
  assert_int_equal(ws_conn_config_new(role, options, &config, NULL), 0);
  assert_int_equal(ws_conn_new(config, 0, &conn), 0);
  ws_conn_config_free(config);
  return conn;
}

static void pair_open(pair *p, const ws_conn_options *client,
                      const ws_conn_options *server) {
  *p = (pair){.seed = 7};
  p->client.conn = new_conn(WS_ROLE_CLIENT, client);
  p->server.conn = new_conn(WS_ROLE_SERVER, server);
  ws_url *url;
  assert_int_equal(ws_url_parse("ws://h/", 7, NULL, &url, NULL), 0);
  ws_conn_request request;
  ws_conn_request_init(&request);
  request.url = url;
  assert_int_equal(ws_conn_connect(p->client.conn, &request, NULL), 0);
  ws_url_free(url);
  settle(p);
  assert_int_equal(ws_conn_state(p->client.conn), WS_STATE_OPEN);
  assert_int_equal(ws_conn_state(p->server.conn), WS_STATE_OPEN);
  assert_string_equal(ws_conn_extensions(p->client.conn),
                      ws_conn_extensions(p->server.conn));
}

static void end_free(end *e) {
  ws_conn_free(e->conn);
  transcript_free(&e->sent);
  transcript_free(&e->received);
}

static void pair_close(pair *p) {
  assert_int_equal(ws_conn_close(p->client.conn, 1000, "bye", 3), 0);
  settle(p);
  assert_true(p->server.is_closed);
  ws_conn_eof(p->client.conn);
  pull(&p->client);
  assert_true(p->client.is_closed);
  end_free(&p->client);
  end_free(&p->server);
}

/* Text that repeats itself, or bytes that do not. */
static void fill(pair *p, ws_message_type type, uint8_t *data, size_t len) {
  const size_t range = type == WS_TEXT ? 96 : 256;
  for (size_t i = 0; i < len; i++) {
    const bool repeats = i >= 20 && type == WS_TEXT && below(p, 8) != 0;
    data[i] = repeats ? data[i - 20] : (uint8_t)(32 + below(p, range));
  }
}

static size_t pick_length(pair *p) {
  static const size_t edges[] = {0, 1, 125, 126, 127, 65535, 65536, 65537};
  if (below(p, 20) == 0)
    return edges[below(p, sizeof(edges) / sizeof(edges[0]))];
  return below(p, below(p, 10) == 0 ? 20000 : 300);
}

/* Sends the message in up to four parts. */
static void send_message(pair *p, end *e, ws_message_type type,
                         const uint8_t *data, size_t len) {
  const unsigned kept = below(p, 5) == 0 ? WS_SEND_UNCOMPRESSED : 0;
  size_t at = 0;
  for (size_t parts = below(p, 2) * below(p, 4); parts > 0; parts--) {
    const size_t part = below(p, len - at + 1);
    assert_int_equal(
        ws_conn_send(e->conn, type, data + at, part, WS_SEND_FRAGMENT | kept),
        0);
    if (below(p, 3) == 0) {
      assert_int_equal(ws_conn_send_ping(e->conn, data, part % 126), 0);
    }
    if (below(p, 3) == 0) settle(p);
    at += part;
  }
  assert_int_equal(ws_conn_send(e->conn, type, data + at, len - at, kept), 0);
  driver_log_message(&e->sent, type, data, len);
}

static void talk(const ws_conn_options *client, const ws_conn_options *server,
                 bool compresses) {
  pair p;
  pair_open(&p, client, server);
  assert_int_equal(ws_conn_extensions(p.client.conn)[0] != '\0', compresses);
  uint8_t *data = malloc(MAX_MESSAGE);
  assert_non_null(data);
  for (int i = 0; i < MESSAGES; i++) {
    end *e = below(&p, 2) == 0 ? &p.client : &p.server;
    const ws_message_type type = below(&p, 2) == 0 ? WS_TEXT : WS_BINARY;
    const size_t len = pick_length(&p);
    fill(&p, type, data, len);
    send_message(&p, e, type, data, len);
    memset(data, 0xFF, len); /* Row 165: it was copied. */
    if (below(&p, 4) != 0) settle(&p);
  }
  free(data);
  settle(&p);
  assert_string_equal(transcript_text(&p.server.received),
                      transcript_text(&p.client.sent));
  assert_string_equal(transcript_text(&p.client.received),
                      transcript_text(&p.server.sent));
  assert_int_equal(ws_conn_buffered_amount(p.client.conn), 0);
  assert_int_equal(ws_conn_buffered_amount(p.server.conn), 0);
  pair_close(&p);
}

static void options_init(ws_conn_options *options, ws_compression compression) {
  driver_options_init(options);
  options->compression = compression;
  options->compression_threshold = 1;
}

static void messages_arrive_without_compression(void **state) {
  (void)state;
  ws_conn_options client;
  ws_conn_options server;
  options_init(&client, WS_COMPRESSION_OFF);
  options_init(&server, WS_COMPRESSION_OFF);
  talk(&client, &server, false);
}

static void messages_arrive_when_only_one_side_compresses(void **state) {
  (void)state;
  ws_conn_options client;
  ws_conn_options server;
  options_init(&client, WS_COMPRESSION_ON);
  options_init(&server, WS_COMPRESSION_DEFAULT); /* Row 310: declines. */
  talk(&client, &server, false);
}

/* Every window that each side may ask for. */
static void messages_arrive_with_every_window(void **state) {
  (void)state;
  for (uint8_t bits = 8; bits <= 15; bits++) {
    ws_conn_options client;
    ws_conn_options server;
    options_init(&client, WS_COMPRESSION_ON);
    options_init(&server, WS_COMPRESSION_ON);
    client.client_max_window_bits = bits;
    client.server_max_window_bits = (uint8_t)(23 - bits);
    talk(&client, &server, true);
    options_init(&client, WS_COMPRESSION_ON);
    server.client_max_window_bits = bits;
    server.server_max_window_bits = (uint8_t)(23 - bits);
    talk(&client, &server, true);
  }
}

static void messages_arrive_with_every_context_takeover(void **state) {
  (void)state;
  for (unsigned bits = 0; bits < 16; bits++) {
    ws_conn_options client;
    ws_conn_options server;
    options_init(&client, WS_COMPRESSION_ON);
    options_init(&server, WS_COMPRESSION_ON);
    client.client_no_context_takeover = bits & 1;
    client.server_no_context_takeover = bits & 2;
    server.client_no_context_takeover = bits & 4;
    server.server_no_context_takeover = bits & 8;
    talk(&client, &server, true);
  }
}

static void messages_arrive_at_every_level(void **state) {
  (void)state;
  for (uint8_t level = 1; level <= 9; level++) {
    ws_conn_options client;
    ws_conn_options server;
    options_init(&client, WS_COMPRESSION_ON);
    options_init(&server, WS_COMPRESSION_ON);
    client.compression_level = level;
    client.compression_memory = (uint8_t)(10 - level);
    server.compression_memory = level;
    talk(&client, &server, true);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(messages_arrive_without_compression),
      cmocka_unit_test(messages_arrive_when_only_one_side_compresses),
      cmocka_unit_test(messages_arrive_with_every_window),
      cmocka_unit_test(messages_arrive_with_every_context_takeover),
      cmocka_unit_test(messages_arrive_at_every_level),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
