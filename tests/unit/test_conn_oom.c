/* test_conn_oom.c - every allocation fails, once and from then on.
 *
 * The scenarios are all cases of tests/data/frames.txt, and handshakes of every
 * kind. Whatever fails, the connection ends with exactly one close event and at
 * most one error before it, or goes on; nothing leaks; and after a single
 * failure the next connection works (security.md 2.1). */
#include <stdio.h>
#include <stdlib.h>

#include "player.h"
#include "proto/conn.h"
#include "test.h"
#include "test_alloc.h"

/* -- The cases of the table ------------------------------------------------ */

typedef struct context {
  const vector_case *c;
  ws_role role;
  const driver_mode *mode;
  ws_conn_config *config;
  transcript expected;
  transcript actual;
} context;

/* The ways of handling bytes that ask for memory at other places; the cases
 * take them in turn. */
static const driver_mode modes[] = {
    {0},
    {.chunk = 1},
    {.is_streaming = true, .chunk = 3},
    {.keeps_input = true},
    {.lent_size = 80, .chunk = 5},
    {.fills_place = true, .chunk = 2},
};

static bool begins_with(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether a line may be there although it is not when memory lasts: because the
 * connection failed or did not open, or what would have ended it never left. */
static bool is_of_failure(const char *line) {
  return begins_with(line, "event error NO_MEMORY ") ||
         begins_with(line, "event error UNEXPECTED_EOF ") ||
         begins_with(line, "event close 1006 unclean:") ||
         begins_with(line, "did not open");
}

static const char *next_line(const char *line) {
  return strchr(line, '\n') + 1;
}

/* Whether two lines tell of the same event. That an error could not be told to
 * the peer makes it no other error. */
static bool is_same_event(const char *a, const char *b) {
  static const char error[] = "event error ";
  size_t len = (size_t)(next_line(a) - a);
  if (begins_with(a, error)) {
    len = strlen(error) + strcspn(a + strlen(error), " ");
  }
  return strncmp(a, b, len) == 0;
}

/* Failing memory may take events away, but must not change one or add one. */
static void check_plausible(const context *x) {
  const char *rest = transcript_text(&x->expected);
  const char *line = transcript_text(&x->actual);
  for (; *line != '\0'; line = next_line(line)) {
    /* Without what the call would have sent it is another case. */
    if (begins_with(line, "returns NO_MEMORY")) return;
    if (is_of_failure(line)) continue;
    while (*rest != '\0' && !is_same_event(line, rest))
      rest = next_line(rest);
    if (*rest == '\0') {
      fail_msg("%s\nwith memory:\n%swithout:\n%s", x->c->name,
               transcript_text(&x->expected), transcript_text(&x->actual));
    }
    rest = next_line(rest);
  }
}

static void play(context *x, transcript *log) {
  transcript_clear(log);
  player_torture(x->c, x->role, x->config, x->mode, log);
}

static void fail_each(context *x, bool keeps_failing) {
  test_alloc alloc;
  test_alloc_init(&alloc);
  x->config = player_config(x->c, x->role, &alloc.allocator);
  const size_t held = alloc.held;
  play(x, &x->expected);
  for (size_t n = 0;; n++) {
    alloc.calls = 0;
    alloc.fail_at = n;
    alloc.keep_failing = keeps_failing;
    play(x, &x->actual);
    assert_int_equal(alloc.held, held);
    check_plausible(x);
    if (alloc.calls <= n) break;
  }
  /* The last run had all its memory, and the same configuration. */
  assert_string_equal(transcript_text(&x->expected),
                      transcript_text(&x->actual));
  ws_conn_config_free(x->config);
  assert_int_equal(alloc.held, 0);
}

static void torture_cases(bool keeps_failing) {
  vector_table table;
  vector_table_read(&table, TEST_DATA_DIR "/frames.txt");
  for (size_t i = 0; i < 2 * table.count; i++) {
    context x = {.c = &table.cases[i / 2],
                 .role = i % 2 == 0 ? WS_ROLE_CLIENT : WS_ROLE_SERVER,
                 .mode = &modes[i / 2 % (sizeof(modes) / sizeof(modes[0]))]};
    if (!player_has_role(x.c, x.role)) continue;
    fail_each(&x, keeps_failing);
    transcript_free(&x.expected);
    transcript_free(&x.actual);
  }
  vector_table_free(&table);
}

static void every_case_survives_one_failed_allocation(void **state) {
  (void)state;
  torture_cases(false);
}

static void every_case_survives_failing_allocations(void **state) {
  (void)state;
  torture_cases(true);
}

/* -- Handshakes ------------------------------------------------------------ */

typedef void scenario(const ws_allocator *allocator);

static void fail_each_of(scenario *run) {
  for (int keeps_failing = 0; keeps_failing <= 1; keeps_failing++) {
    for (size_t n = 0;; n++) {
      test_alloc alloc;
      test_alloc_init(&alloc);
      alloc.fail_at = n;
      alloc.keep_failing = keeps_failing != 0;
      run(&alloc.allocator);
      assert_int_equal(alloc.held, 0);
      if (alloc.calls <= n) break;
    }
  }
}

/* What a handshake brought. */
typedef struct outcome {
  size_t errors;
  size_t closes;
  size_t opens;
} outcome;

static ws_conn *new_conn(ws_role role, const ws_allocator *allocator) {
  static const char *const origins[] = {"https://example.com", NULL};
  static const char *const hosts[] = {"example.com", "example.org:8080", NULL};
  ws_conn_options options;
  driver_options_init(&options);
  options.allocator = *allocator;
  options.compression = WS_COMPRESSION_ON;
  options.origins = origins;
  options.hosts = hosts;
  ws_conn_config *config = NULL;
  ws_conn *conn = NULL;
  const int err = ws_conn_config_new(role, &options, &config, NULL);
  if (err == 0) {
    if (ws_conn_new(config, 0, &conn) != 0) conn = NULL;
    ws_conn_config_free(config); /* The connection keeps it alive. */
  } else {
    assert_int_equal(err, WS_ERR_NO_MEMORY);
  }
  return conn;
}

/* `answer` is called with each request; it may try again after a failure. */
static void pull(ws_conn *conn, outcome *o, void (*answer)(ws_conn *conn)) {
  ws_conn_event event;
  while (ws_conn_next_event(conn, &event)) {
    assert_int_equal(o->closes, 0);
    if (event.type == WS_EVENT_REQUEST && answer != NULL) answer(conn);
    if (event.type == WS_EVENT_OPEN) o->opens++;
    if (event.type == WS_EVENT_ERROR) o->errors++;
    if (event.type == WS_EVENT_CLOSE) o->closes++;
  }
}

static void take_output(ws_conn *conn) {
  ws_slice slices[4];
  size_t count;
  while ((count = ws_conn_output(conn, slices, 4)) > 0) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
      len += slices[i].len;
    ws_conn_consume(conn, len);
  }
}

/* Feeds the head, ends the transport, and expects the one end. */
static void finish(ws_conn *conn, const char *head,
                   void (*answer)(ws_conn *conn)) {
  outcome o = {0};
  const size_t len = strlen(head);
  uint8_t *bytes = malloc(len);
  assert_non_null(bytes);
  memcpy(bytes, head, len);
  assert_int_equal(ws_conn_feed(conn, bytes, len), 0);
  pull(conn, &o, answer);
  free(bytes);
  take_output(conn);
  pull(conn, &o, NULL);
  ws_conn_eof(conn);
  pull(conn, &o, NULL);
  take_output(conn);
  pull(conn, &o, NULL);
  assert_int_equal(o.closes, 1);
  assert_true(o.errors <= 1);
  ws_conn_free(conn);
}

static const char upgrade_request[] =
    "GET /chat HTTP/1.1\r\n"
    "Host: example.com\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Origin: https://example.com\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: chat, superchat\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "\r\n";

static const ws_header extra = {"X-Extra", 7, "1", 1};

/* After an error the request still waits, so a second try is allowed. */
static void accept_twice(ws_conn *conn) {
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  answer.protocol = "superchat";
  answer.headers = &extra;
  answer.header_count = 1;
  int err = ws_conn_accept(conn, &answer, NULL);
  if (err != 0) {
    assert_int_equal(err, WS_ERR_NO_MEMORY);
    err = ws_conn_accept(conn, &answer, NULL);
  }
  assert_true(err == 0 || err == WS_ERR_NO_MEMORY);
}

static void respond_twice(ws_conn *conn) {
  int err = ws_conn_respond(conn, 403, &extra, 1, "no", 2, NULL);
  if (err != 0) {
    assert_int_equal(err, WS_ERR_NO_MEMORY);
    err = ws_conn_respond(conn, 403, &extra, 1, "no", 2, NULL);
  }
  assert_true(err == 0 || err == WS_ERR_NO_MEMORY);
}

static void make_as_part_of_a_struct(const ws_allocator *allocator) {
  struct {
    int before;
    ws_conn conn;
  } socket = {.before = 1};
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.allocator = *allocator;
  ws_conn_config *config = NULL;
  if (ws_conn_config_new(WS_ROLE_SERVER, &options, &config, NULL) != 0) return;
  const int err = ws__conn_init(&socket.conn, config, 0);
  ws_conn_config_free(config);
  if (err == 0) {
    assert_int_equal(ws_conn_state(&socket.conn), WS_STATE_CONNECTING);
    ws__conn_deinit(&socket.conn);
  } else {
    assert_int_equal(err, WS_ERR_NO_MEMORY);
  }
  assert_int_equal(socket.before, 1);
}

static void a_connection_is_part_of_another_struct(void **state) {
  (void)state;
  fail_each_of(make_as_part_of_a_struct);
}

static void accept_upgrade(const ws_allocator *allocator) {
  ws_conn *conn = new_conn(WS_ROLE_SERVER, allocator);
  if (conn != NULL) finish(conn, upgrade_request, accept_twice);
}

static void a_server_accepts(void **state) {
  (void)state;
  fail_each_of(accept_upgrade);
}

static void respond_to_upgrade(const ws_allocator *allocator) {
  ws_conn *conn = new_conn(WS_ROLE_SERVER, allocator);
  if (conn != NULL) finish(conn, upgrade_request, respond_twice);
}

static void a_server_refuses(void **state) {
  (void)state;
  fail_each_of(respond_to_upgrade);
}

static void receive_nonsense(const ws_allocator *allocator) {
  ws_conn *conn = new_conn(WS_ROLE_SERVER, allocator);
  if (conn != NULL) finish(conn, "GET / HTTP/1.1\r\nHost : x\r\n\r\n", NULL);
}

static void a_server_gets_a_malformed_request(void **state) {
  (void)state;
  fail_each_of(receive_nonsense);
}

/* After an error nothing has been asked for, so a second try is allowed. */
static ws_conn *connect_client(const ws_allocator *allocator) {
  static const char address[] = "ws://foo:bar@example.com/chat";
  static const char *const protocols[] = {"chat", "superchat"};
  ws_conn *conn = new_conn(WS_ROLE_CLIENT, allocator);
  if (conn == NULL) return NULL;
  ws_url *url = NULL;
  int err = ws_url_parse(address, strlen(address), allocator, &url, NULL);
  if (err == 0) {
    ws_conn_request request;
    ws_conn_request_init(&request);
    request.url = url;
    request.protocols = protocols;
    request.protocol_count = 2;
    request.headers = &extra;
    request.header_count = 1;
    err = ws_conn_connect(conn, &request, NULL);
    if (err != 0) {
      assert_int_equal(err, WS_ERR_NO_MEMORY);
      err = ws_conn_connect(conn, &request, NULL);
    }
  }
  ws_url_free(url);
  assert_true(err == 0 || err == WS_ERR_NO_MEMORY);
  return conn;
}

static void connect_and_be_refused(const ws_allocator *allocator) {
  ws_conn *conn = connect_client(allocator);
  if (conn == NULL) return;
  finish(conn,
         "HTTP/1.1 404 Not Found\r\n"
         "Content-Type: text/plain\r\n"
         "Content-Length: 9\r\n"
         "\r\n"
         "not found",
         NULL);
}

static void a_client_is_refused(void **state) {
  (void)state;
  fail_each_of(connect_and_be_refused);
}

static void connect_and_get_a_bad_accept(const ws_allocator *allocator) {
  ws_conn *conn = connect_client(allocator);
  if (conn == NULL) return;
  finish(conn,
         "HTTP/1.1 101 Switching Protocols\r\n"
         "Upgrade: websocket\r\n"
         "Connection: Upgrade\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
         "\r\n",
         NULL);
}

static void a_client_gets_a_bad_accept(void **state) {
  (void)state;
  fail_each_of(connect_and_get_a_bad_accept);
}

static void connect_and_hear_nothing(const ws_allocator *allocator) {
  ws_conn *conn = connect_client(allocator);
  if (conn != NULL) finish(conn, "", NULL);
}

static void a_client_hears_nothing(void **state) {
  (void)state;
  fail_each_of(connect_and_hear_nothing);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_case_survives_one_failed_allocation),
      cmocka_unit_test(every_case_survives_failing_allocations),
      cmocka_unit_test(a_connection_is_part_of_another_struct),
      cmocka_unit_test(a_server_accepts),
      cmocka_unit_test(a_server_refuses),
      cmocka_unit_test(a_server_gets_a_malformed_request),
      cmocka_unit_test(a_client_is_refused),
      cmocka_unit_test(a_client_gets_a_bad_accept),
      cmocka_unit_test(a_client_hears_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
