/* test_conn_answer.c - how a server answers a request: at once or late, with a
 * choice of subprotocol and extension, or not at all. Rows 360, 369-373. */
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"
#include "test.h"

#define UPGRADE                                     \
  "GET /chat HTTP/1.1\r\n"                          \
  "Host: example.com\r\n"                           \
  "Upgrade: websocket\r\n"                          \
  "Connection: Upgrade\r\n"                         \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
  "Sec-WebSocket-Version: 13\r\n"                   \
  "Sec-WebSocket-Protocol: chat, superchat\r\n"     \
  "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"

/* FIN, text, masked with a key of zeros, "x". */
#define TEXT_X "\x81\x81\0\0\0\0x"

typedef struct bench {
  ws_conn *conn;
  uint8_t *input;
  const ws_request *request;
} bench;

/* Makes a server that gets `bytes` in one piece, up to its request event. */
static bench receive(const char *bytes, size_t len) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.compression = WS_COMPRESSION_ON;
  options.max_head = 1000;
  ws_conn_config *config = NULL;
  assert_int_equal(ws_conn_config_new(WS_ROLE_SERVER, &options, &config, NULL),
                   0);
  bench b = {.input = malloc(len)};
  assert_non_null(b.input);
  assert_int_equal(ws_conn_new(config, 0, &b.conn), 0);
  ws_conn_config_free(config);

  memcpy(b.input, bytes, len);
  assert_int_equal(ws_conn_feed(b.conn, b.input, len), 0);
  ws_conn_event event;
  assert_true(ws_conn_next_event(b.conn, &event));
  assert_int_equal(event.type, WS_EVENT_REQUEST);
  b.request = event.u.request;
  return b;
}

static void drop(bench *b) {
  ws_conn_free(b->conn);
  free(b->input);
}

static void assert_next(bench *b, ws_event_type type) {
  ws_conn_event event;
  assert_true(ws_conn_next_event(b->conn, &event));
  assert_int_equal(event.type, type);
}

static void assert_no_event(bench *b) {
  ws_conn_event event;
  assert_false(ws_conn_next_event(b->conn, &event));
}

/* Whether what waits to be written contains `text`. */
static bool writes(const bench *b, const char *text) {
  ws_slice slice;
  assert_int_equal(ws_conn_output(b->conn, &slice, 1), 1);
  char head[1024];
  assert_true(slice.len < sizeof(head));
  memcpy(head, slice.data, slice.len);
  head[slice.len] = '\0';
  return strstr(head, text) != NULL;
}

static void the_request_is_shown_as_it_came(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  assert_true(b.request->is_upgrade);
  assert_string_equal(b.request->method, "GET");
  assert_string_equal(b.request->target, "/chat");
  assert_int_equal(b.request->protocol_count, 2);
  assert_string_equal(b.request->protocols[1], "superchat");
  assert_string_equal(
      ws_header_find(b.request->headers, b.request->header_count, "host"),
      "example.com");
  assert_null(
      ws_header_find(b.request->headers, b.request->header_count, "Origin"));
  drop(&b);
}

static void without_an_answer_struct_there_is_no_subprotocol(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  assert_int_equal(ws_conn_accept(b.conn, NULL, NULL), 0);
  assert_int_equal(ws_conn_state(b.conn), WS_STATE_OPEN);
  assert_string_equal(ws_conn_protocol(b.conn), "");
  assert_false(writes(&b, "Sec-WebSocket-Protocol"));
  assert_true(writes(&b, "Sec-WebSocket-Extensions: permessage-deflate"));
  assert_memory_equal(ws_conn_extensions(b.conn), "permessage-deflate", 18);
  assert_next(&b, WS_EVENT_OPEN);
  drop(&b);
}

/* With what came behind it, and for no longer than the event. */
static void the_open_event_shows_the_request_that_was_accepted(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  assert_int_equal(ws_conn_accept(b.conn, NULL, NULL), 0);
  ws_conn_stats before;
  ws_conn_get_stats(b.conn, &before);
  ws_conn_event event;
  assert_true(ws_conn_next_event(b.conn, &event));
  assert_int_equal(event.type, WS_EVENT_OPEN);
  assert_ptr_equal(event.u.open.request, b.request);
  assert_string_equal(event.u.open.request->target, "/chat");
  assert_null(event.u.open.response);
  assert_no_event(&b);
  ws_conn_stats after;
  ws_conn_get_stats(b.conn, &after);
  assert_true(after.bytes_held < before.bytes_held);
  drop(&b);
}

static void an_answer_chooses(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  static const ws_header cookie = {"Set-Cookie", 10, "a=b", 3};
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  answer.protocol = "superchat";
  answer.headers = &cookie;
  answer.header_count = 1;
  answer.decline_compression = true;
  assert_int_equal(ws_conn_accept(b.conn, &answer, NULL), 0);
  assert_string_equal(ws_conn_protocol(b.conn), "superchat");
  assert_string_equal(ws_conn_extensions(b.conn), "");
  assert_true(writes(&b, "\r\nSec-WebSocket-Protocol: superchat\r\n"));
  assert_true(writes(&b, "\r\nSet-Cookie: a=b\r\n"));
  assert_false(writes(&b, "Sec-WebSocket-Extensions"));
  drop(&b);
}

/* Row 370: never sent, and the request can still be answered. */
static void a_wrong_answer_is_named_and_changes_nothing(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  const char *reason = NULL;
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  answer.protocol = "Chat";
  assert_int_equal(ws_conn_accept(b.conn, &answer, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_string_equal(reason, "protocol: the client did not offer this one");

  static const ws_header upgrade = {"Upgrade", 7, "x", 1};
  answer.protocol = NULL;
  answer.headers = &upgrade;
  answer.header_count = 1;
  assert_int_equal(ws_conn_accept(b.conn, &answer, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_memory_equal(reason, "a header is reserved", 20);

  answer.size = 0;
  assert_int_equal(ws_conn_accept(b.conn, &answer, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_memory_equal(reason, "size:", 5);
  assert_int_equal(ws_conn_respond(b.conn, 199, NULL, 0, NULL, 0, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_memory_equal(reason, "status:", 7);
  assert_int_equal(ws_conn_respond(b.conn, 200, &upgrade, 1, NULL, 0, NULL),
                   WS_ERR_INVALID_ARGUMENT);

  assert_int_equal(ws_conn_state(b.conn), WS_STATE_CONNECTING);
  assert_int_equal(ws_conn_output(b.conn, &(ws_slice){0}, 1), 0);
  assert_int_equal(ws_conn_accept(b.conn, NULL, NULL), 0);
  drop(&b);
}

static void a_request_is_answered_once(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  assert_int_equal(ws_conn_accept(b.conn, NULL, NULL), 0);
  const char *reason = NULL;
  assert_int_equal(ws_conn_accept(b.conn, NULL, &reason), WS_ERR_INVALID_STATE);
  assert_string_equal(reason, ws_strerror(WS_ERR_INVALID_STATE));
  assert_int_equal(ws_conn_respond(b.conn, 404, NULL, 0, NULL, 0, NULL),
                   WS_ERR_INVALID_STATE);
  drop(&b);
}

/* Row 371: refused with any status, headers and body; no error event. */
static void a_refusal_ends_the_connection(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  static const ws_header retry = {"Retry-After", 11, "9", 1};
  assert_int_equal(ws_conn_respond(b.conn, 503, &retry, 1, "busy", 4, NULL), 0);
  assert_true(writes(&b, "HTTP/1.1 503 Service Unavailable\r\n"));
  assert_true(writes(&b, "Retry-After: 9\r\n"));
  assert_true(writes(&b, "\r\n\r\nbusy"));
  assert_no_event(&b);
  ws_slice slice;
  ws_conn_output(b.conn, &slice, 1);
  ws_conn_consume(b.conn, slice.len);
  ws_conn_event event;
  assert_true(ws_conn_next_event(b.conn, &event));
  assert_int_equal(event.type, WS_EVENT_CLOSE);
  assert_int_equal(event.u.close.code, WS_CLOSE_ABNORMAL);
  assert_false(event.u.close.was_clean);
  assert_no_event(&b);
  drop(&b);
}

static void plain_http_cannot_be_accepted(void **state) {
  (void)state;
  static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  bench b = receive(get, sizeof(get) - 1);
  assert_false(b.request->is_upgrade);
  assert_int_equal(ws_conn_accept(b.conn, NULL, NULL), WS_ERR_INVALID_STATE);
  assert_int_equal(ws_conn_respond(b.conn, 200, NULL, 0, "hi", 2, NULL), 0);
  assert_true(writes(&b, "Content-Length: 2\r\n"));
  drop(&b);
}

static void head_gets_no_body(void **state) {
  (void)state;
  static const char head[] = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
  bench b = receive(head, sizeof(head) - 1);
  assert_int_equal(ws_conn_respond(b.conn, 200, NULL, 0, "hello", 5, NULL), 0);
  assert_true(writes(&b, "Content-Length: 5\r\n"));
  assert_false(writes(&b, "hello"));
  drop(&b);
}

/* Row 360: what came behind the request waits for a late answer. */
static void what_came_early_is_delivered_after_the_answer(void **state) {
  (void)state;
  static const char bytes[] = UPGRADE TEXT_X;
  bench b = receive(bytes, sizeof(bytes) - 1);
  assert_no_event(&b);
  memset(b.input, 0, sizeof(bytes) - 1); /* Ours again. */
  assert_int_equal(ws_conn_accept(b.conn, NULL, NULL), 0);
  assert_next(&b, WS_EVENT_OPEN);
  assert_next(&b, WS_EVENT_MESSAGE);
  assert_no_event(&b);
  drop(&b);
}

/* */
static void too_much_that_came_early_ends_the_connection(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  uint8_t junk[1001] = {0};
  assert_int_equal(ws_conn_feed(b.conn, junk, 1000), 0);
  assert_no_event(&b);
  assert_int_equal(ws_conn_feed(b.conn, junk, 1), 0);
  ws_conn_event event;
  assert_true(ws_conn_next_event(b.conn, &event));
  assert_int_equal(event.type, WS_EVENT_ERROR);
  assert_int_equal(event.u.error.err, WS_ERR_HTTP_TOO_LARGE);
  assert_non_null(strstr(event.u.error.message, "max_head"));
  assert_next(&b, WS_EVENT_CLOSE);
  assert_int_equal(ws_conn_accept(b.conn, NULL, NULL), WS_ERR_INVALID_STATE);
  drop(&b);
}

/* Row 372. */
static void a_client_that_leaves_is_not_accepted(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  ws_conn_eof(b.conn);
  assert_next(&b, WS_EVENT_ERROR);
  assert_next(&b, WS_EVENT_CLOSE);
  assert_int_equal(ws_conn_accept(b.conn, NULL, NULL), WS_ERR_INVALID_STATE);
  assert_int_equal(ws_conn_respond(b.conn, 404, NULL, 0, NULL, 0, NULL),
                   WS_ERR_INVALID_STATE);
  drop(&b);
}

static void an_answer_that_is_overdue_ends_the_connection(void **state) {
  (void)state;
  bench b = receive(UPGRADE, sizeof(UPGRADE) - 1);
  assert_int_equal(ws_conn_deadline(b.conn), 10000);
  ws_conn_tick(b.conn, 9999);
  assert_no_event(&b);
  ws_conn_tick(b.conn, 10000);
  assert_next(&b, WS_EVENT_ERROR);
  assert_next(&b, WS_EVENT_CLOSE);
  assert_int_equal(ws_conn_deadline(b.conn), WS_NO_DEADLINE);
  drop(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_request_is_shown_as_it_came),
      cmocka_unit_test(without_an_answer_struct_there_is_no_subprotocol),
      cmocka_unit_test(the_open_event_shows_the_request_that_was_accepted),
      cmocka_unit_test(an_answer_chooses),
      cmocka_unit_test(a_wrong_answer_is_named_and_changes_nothing),
      cmocka_unit_test(a_request_is_answered_once),
      cmocka_unit_test(a_refusal_ends_the_connection),
      cmocka_unit_test(plain_http_cannot_be_accepted),
      cmocka_unit_test(head_gets_no_body),
      cmocka_unit_test(what_came_early_is_delivered_after_the_answer),
      cmocka_unit_test(too_much_that_came_early_ends_the_connection),
      cmocka_unit_test(a_client_that_leaves_is_not_accepted),
      cmocka_unit_test(an_answer_that_is_overdue_ends_the_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
