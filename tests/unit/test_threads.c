/* test_threads.c - what the headers allow any thread to use at once: a
 * configuration, a URL, a message, the random source, and the choice of vector
 * kernels.
 *
 * Each thread opens connections of both roles from configurations that all
 * share, and lets them talk. ThreadSanitizer sees what this cannot:
 *
 *     cmake -S . -B build/tsan -DWS_SANITIZE=thread
 */
#include <pthread.h>
#include <stdlib.h>

#include "proto/mask.h"
#include "proto/utf8.h"
#include "test.h"
#include "ws/conn.h"
#include "ws/url.h"

#define THREADS 4
#define ROUNDS  50

/* Long enough for a kernel, and for compression. */
#define TEXT_SIZE 2000

typedef struct shared {
  ws_conn_config *client;
  ws_conn_config *server;
  ws_url *url;
  ws_message *message; /* Of TEXT_SIZE bytes. */
  pthread_barrier_t start;
} shared;

/* Threads note the line that failed: cmocka's assertions are for its own. */
#define CHECK(condition)               \
  do {                                 \
    if (!(condition)) return __LINE__; \
  } while (0)

/* -- What a thread does ---------------------------------------------------- */

static int mask_and_check_text(void) {
  static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};
  uint8_t text[TEXT_SIZE];
  memset(text, 'x', sizeof(text));
  ws__mask(text, sizeof(text), key, 0);
  CHECK(text[TEXT_SIZE - 1] == ('x' ^ key[3]));
  ws__mask(text, sizeof(text), key, 0);
  CHECK(ws__utf8_is_valid(text, sizeof(text)));
  text[TEXT_SIZE / 2] = 0xFF;
  CHECK(!ws__utf8_is_valid(text, sizeof(text)));
  return 0;
}

static int draw_bytes(void) {
  uint8_t bytes[100];
  for (size_t len = 0; len <= sizeof(bytes); len++)
    CHECK(ws_random(NULL, bytes, len) == 0);
  return 0;
}

static int parse_url(void) {
  ws_url *url;
  CHECK(ws_url_parse("wss://Host/a/../b", 17, NULL, &url, NULL) == 0);
  const bool is_right = strcmp(url->href, "wss://host/b") == 0;
  ws_url_free(url);
  CHECK(is_right);
  return 0;
}

/* Takes the events there are and counts the texts. */
static unsigned pull(ws_conn *conn) {
  unsigned texts = 0;
  ws_conn_event event;
  while (ws_conn_next_event(conn, &event)) {
    if (event.type == WS_EVENT_REQUEST) ws_conn_accept(conn, NULL, NULL);
    if (event.type == WS_EVENT_MESSAGE) {
      texts += event.u.message.len == TEXT_SIZE;
    }
  }
  return texts;
}

/* Carries all that waits from one end to the other, and counts the texts. */
static unsigned carry(ws_conn *from, ws_conn *to) {
  unsigned texts = 0;
  ws_slice slice;
  while (ws_conn_output(from, &slice, 1) > 0) {
    uint8_t *bytes = malloc(slice.len);
    if (bytes == NULL) break;
    memcpy(bytes, slice.data, slice.len);
    const size_t len = slice.len;
    ws_conn_consume(from, len);
    ws_conn_feed(to, bytes, len);
    texts += pull(to);
    free(bytes);
  }
  return texts;
}

static int talk(const shared *s, ws_conn *client, ws_conn *server) {
  ws_conn_request request;
  ws_conn_request_init(&request);
  request.url = s->url;
  CHECK(ws_conn_connect(client, &request, NULL) == 0);
  carry(client, server);
  carry(server, client);
  CHECK(ws_conn_state(client) == WS_STATE_OPEN);
  CHECK(ws_conn_state(server) == WS_STATE_OPEN);

  char text[TEXT_SIZE];
  memset(text, 'x', sizeof(text));
  CHECK(ws_conn_send(client, WS_TEXT, text, sizeof(text), 0) == 0);
  CHECK(ws_conn_send(server, WS_TEXT, text, sizeof(text), 0) == 0);
  CHECK(ws_conn_send_message(client, s->message) == 0);
  CHECK(ws_conn_send_message(server, s->message) == 0);
  CHECK(carry(client, server) == 2);
  CHECK(carry(server, client) == 2);
  ws_message_free(ws_message_retain(s->message));
  CHECK(ws_conn_close(client, WS_CLOSE_NORMAL, NULL, 0) == 0);
  carry(client, server);
  carry(server, client);
  CHECK(ws_conn_state(server) != WS_STATE_OPEN);
  return 0;
}

static int open_and_talk(const shared *s) {
  ws_conn *client = NULL;
  ws_conn *server = NULL;
  int line = __LINE__;
  if (ws_conn_new(s->client, 0, &client) == 0 &&
      ws_conn_new(s->server, 0, &server) == 0) {
    line = talk(s, client, server);
  }
  ws_conn_free(client);
  ws_conn_free(server);
  return line;
}

typedef struct worker {
  pthread_t thread;
  shared *shared;
  int line; /* That failed, or 0. */
} worker;

static void *work(void *arg) {
  worker *w = arg;
  pthread_barrier_wait(&w->shared->start);
  w->line = mask_and_check_text();
  for (int i = 0; i < ROUNDS && w->line == 0; i++) {
    w->line = draw_bytes();
    if (w->line == 0) w->line = parse_url();
    if (w->line == 0) w->line = open_and_talk(w->shared);
  }
  return NULL;
}

/* -- The test -------------------------------------------------------------- */

static ws_conn_config *new_config(ws_role role) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.random = ws_random;
  options.compression = WS_COMPRESSION_ON;
  ws_conn_config *config;
  assert_int_equal(ws_conn_config_new(role, &options, &config, NULL), 0);
  return config;
}

static void
threads_share_configurations_urls_messages_and_kernels(void **state) {
  (void)state;
  shared s = {
      .client = new_config(WS_ROLE_CLIENT),
      .server = new_config(WS_ROLE_SERVER),
  };
  assert_int_equal(ws_url_parse("ws://h/", 7, NULL, &s.url, NULL), 0);
  char text[TEXT_SIZE];
  memset(text, 'y', sizeof(text));
  assert_int_equal(
      ws_message_new(s.server, WS_TEXT, text, sizeof(text), 0, &s.message), 0);
  assert_int_equal(pthread_barrier_init(&s.start, NULL, THREADS), 0);

  worker workers[THREADS];
  for (size_t i = 0; i < THREADS; i++) {
    workers[i] = (worker){.shared = &s};
    assert_int_equal(
        pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal(workers[i].line, 0);

  pthread_barrier_destroy(&s.start);
  ws_url_free(s.url);
  ws_message_free(s.message);
  ws_conn_config_free(s.client);
  ws_conn_config_free(s.server);
}

static void *free_conn(void *conn) {
  ws_conn_free(conn);
  return NULL;
}

/* Whoever comes last frees the configuration, in whichever thread. */
static void the_last_reference_may_go_in_any_thread(void **state) {
  (void)state;
  for (int i = 0; i < ROUNDS; i++) {
    ws_conn_config *config = new_config(WS_ROLE_CLIENT);
    ws_conn *conns[2];
    pthread_t threads[2];
    for (size_t c = 0; c < 2; c++)
      assert_int_equal(ws_conn_new(config, 0, &conns[c]), 0);
    for (size_t c = 0; c < 2; c++) {
      assert_int_equal(pthread_create(&threads[c], NULL, free_conn, conns[c]),
                       0);
    }
    ws_conn_config_free(config);
    for (size_t c = 0; c < 2; c++)
      assert_int_equal(pthread_join(threads[c], NULL), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(threads_share_configurations_urls_messages_and_kernels),
      cmocka_unit_test(the_last_reference_may_go_in_any_thread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
