/* test_loop_threads.c - what other threads may do with a loop: post tasks, stop
 * it, send through a ws_sender; and servers whose workers are threads (row 177,
 * ThreadSanitizer sees what this cannot:
 *
 *     cmake -S . -B build/tsan -DWS_SANITIZE=thread
 *
 * Threads note what went wrong: cmocka's assertions are for its own. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raw_peer.h"

enum {
  THREADS = 4,
  ROUNDS = 500
};

static atomic_int failures;

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) {                                       \
      fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
      atomic_fetch_add(&failures, 1);                         \
    }                                                         \
  } while (0)

static void assert_no_failures(void) {
  assert_int_equal(atomic_exchange(&failures, 0), 0);
}

/* -- Tasks ----------------------------------------------------------------- */

typedef struct poster {
  pthread_t thread;
  ws_loop *loop;
  int done; /* Of the loop's thread alone. */
  struct step {
    struct poster *poster;
    int number;
  } steps[ROUNDS];
} poster;

static void take_step(void *arg) {
  const struct step *step = arg;
  CHECK(step->number == step->poster->done); /* In order. */
  step->poster->done++;
}

static void *post_all(void *arg) {
  poster *p = arg;
  for (int i = 0; i < ROUNDS; i++) {
    p->steps[i] = (struct step){p, i};
    CHECK(ws_loop_post(p->loop, take_step, &p->steps[i]) == 0);
  }
  return NULL;
}

static void tasks_of_threads_arrive_in_their_order(void **state) {
  net *n = *state;
  poster *posters = calloc(THREADS, sizeof(*posters));
  assert_non_null(posters);
  for (int i = 0; i < THREADS; i++) {
    posters[i].loop = n->loop;
    assert_int_equal(
        pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
  }
  for (int i = 0; i < THREADS; i++)
    NET_UNTIL(n, posters[i].done == ROUNDS);
  for (int i = 0; i < THREADS; i++)
    pthread_join(posters[i].thread, NULL);
  free(posters);
  assert_no_failures();
}

static void *stop_loop(void *loop) {
  ws_loop_stop(loop);
  return NULL;
}

/* Also when it comes before the loop has begun to wait. */
static void a_thread_can_stop_the_loop(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  for (int i = 0; i < 50; i++) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_loop, n->loop), 0);
    assert_int_equal(ws_loop_run(n->loop), 0);
    pthread_join(thread, NULL);
  }
}

/* -- Senders --------------------------------------------------------------- */

typedef struct speaker {
  pthread_t thread;
  ws_sender *sender;
  int name;
} speaker;

/* Sends "NAME NUMBER" and enough after it that a frame is not written at once
 * with others. */
static void *speak(void *arg) {
  const speaker *s = arg;
  for (int i = 0; i < ROUNDS; i++) {
    char text[1000];
    memset(text, '.', sizeof(text));
    const int len = snprintf(text, sizeof(text), "%d %d", s->name, i);
    text[len] = ' ';
    CHECK(ws_sender_send(s->sender, WS_TEXT, text, sizeof(text), 0) == 0);
  }
  ws_sender_free(s->sender);
  return NULL;
}

static void check_speech(net *n, net_end *end, const ws_event *event) {
  int *heard = n->arg;
  if (event->type != WS_EVENT_MESSAGE) return;
  int name, number;
  end->message[end->message_len] = '\0';
  assert_int_equal(sscanf((const char *)end->message, "%d %d", &name, &number),
                   2);
  assert_int_equal(number, heard[name]++);
}

/* Row 177. */
static void messages_of_threads_are_whole_and_in_order(void **state) {
  net *n = *state;
  int heard[THREADS] = {0};
  net_serve(n, NULL);
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
  n->on_event = check_speech;
  n->arg = heard;
  speaker speakers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    speakers[i].name = i;
    assert_int_equal(ws_sender_new(client->socket, &speakers[i].sender), 0);
    assert_int_equal(
        pthread_create(&speakers[i].thread, NULL, speak, &speakers[i]), 0);
  }
  NET_UNTIL(n, server->messages == THREADS * ROUNDS);
  for (int i = 0; i < THREADS; i++)
    pthread_join(speakers[i].thread, NULL);
  assert_no_failures();
}

static void a_sender_outlives_its_socket_and_its_loop(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
  ws_sender *senders[2];
  assert_int_equal(ws_sender_new(client->socket, &senders[0]), 0);
  assert_int_equal(ws_sender_new(server->socket, &senders[1]), 0);
  assert_int_equal(ws_sender_close(senders[0], 1001, "done", 4), 0);
  net_finish(n, client);
  net_finish(n, server);
  net_settle(n);
  assert_log(server, "close 1001 clean done");
  for (int i = 0; i < 2; i++) {
    assert_int_equal(ws_sender_send(senders[i], WS_TEXT, "x", 1, 0),
                     WS_ERR_INVALID_STATE);
    assert_int_equal(ws_sender_close(senders[i], 1000, NULL, 0),
                     WS_ERR_INVALID_STATE);
  }
  net_open_pair(n, NULL, &client, &server);
  ws_sender *last;
  assert_int_equal(ws_sender_new(client->socket, &last), 0);
  assert_int_equal(ws_sender_send(last, WS_TEXT, "x", 1, 0), 0);
  ws_loop_free(n->loop);
  n->loop = NULL;
  assert_int_equal(ws_sender_send(last, WS_TEXT, "x", 1, 0),
                   WS_ERR_INVALID_STATE);
  ws_sender_free(last);
  ws_sender_free(senders[0]);
  ws_sender_free(senders[1]);
  ws_sender_free(NULL);
}

static void arguments_of_a_sender_are_checked(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
  ws_sender *sender;
  assert_int_equal(ws_sender_new(client->socket, &sender), 0);
  assert_int_equal(ws_sender_send(sender, WS_TEXT, "\xFF", 1, 0),
                   WS_ERR_INVALID_UTF8);
  assert_int_equal(ws_sender_close(sender, 999, NULL, 0),
                   WS_ERR_INVALID_ACCESS);
  assert_int_equal(ws_sender_close(sender, 1000, "\xFF", 1),
                   WS_ERR_INVALID_UTF8);
  char reason[124];
  memset(reason, 'r', sizeof(reason));
  assert_int_equal(ws_sender_close(sender, 1000, reason, sizeof(reason)),
                   WS_ERR_SYNTAX);
  ws_sender_free(sender);
}

/* What waits for the loop is bounded, and being full is no failure. */
static void a_sender_that_is_too_fast_is_told(void **state) {
  net *n = *state;
  enum {
    SIZE = 1000
  };
  static const char data[SIZE];
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.max_send_queue = (uint64_t)5 * SIZE;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  net_serve(n, NULL);
  net_end *client, *server;
  net_open_pair(n, &options, &client, &server);
  ws_sender *sender;
  assert_int_equal(ws_sender_new(client->socket, &sender), 0);
  unsigned sent = 0;
  while (ws_sender_send(sender, WS_BINARY, data, SIZE, 0) == 0)
    sent++;
  assert_in_range(sent, 4, 5);
  assert_int_equal(ws_sender_send(sender, WS_BINARY, data, SIZE, 0),
                   WS_ERR_SEND_QUEUE_FULL);
  NET_UNTIL(n, server->messages == sent);
  assert_int_equal(ws_sender_send(sender, WS_BINARY, data, SIZE, 0), 0);
  NET_UNTIL(n, server->messages == sent + 1);
  ws_sender_free(sender);
}

/* -- Workers --------------------------------------------------------------- */

enum {
  WORKERS = 3,
  CLIENTS = 30
};

/* What the handlers of the workers have seen. */
static struct {
  atomic_int opens, messages, closes, wrong_threads;
  pthread_mutex_t lock;
  pthread_t threads[WORKERS];
  int thread_count;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_thread(void) {
  pthread_mutex_lock(&seen.lock);
  int i = 0;
  while (i < seen.thread_count &&
         !pthread_equal(seen.threads[i], pthread_self()))
    i++;
  if (i == seen.thread_count) {
    CHECK(i < WORKERS);
    if (i < WORKERS) seen.threads[seen.thread_count++] = pthread_self();
  }
  pthread_mutex_unlock(&seen.lock);
}

static void worker_open(ws_socket *socket, const ws_event *event) {
  CHECK(event->u.open.request != NULL);
  CHECK(ws_socket_subscribe(socket, "news") == 0);
  note_thread();
  atomic_fetch_add(&seen.opens, 1);
}

/* Echoes; but "tell others" is told to all others. */
static void worker_message(ws_socket *socket, const ws_event *event) {
  const uint8_t *data = event->u.message.data;
  const size_t len = event->u.message.len;
  if (len == 11 && memcmp(data, "tell others", 11) == 0) {
    CHECK(ws_server_publish(ws_socket_server(socket), "news", WS_TEXT, data,
                            len, 0, socket) == 0);
  } else {
    CHECK(ws_socket_send(socket, event->u.message.type, data, len, 0) == 0);
  }
  atomic_fetch_add(&seen.messages, 1);
}

static void worker_close(ws_socket *socket, const ws_event *event) {
  (void)socket;
  (void)event;
  atomic_fetch_add(&seen.closes, 1);
}

static const ws_handlers worker_handlers = {.size = sizeof(ws_handlers),
                                            .on_open = worker_open,
                                            .on_message = worker_message,
                                            .on_close = worker_close};

/* A server with workers, and clients of it in the loop of the test. */
static void serve_by_workers(net *n, net_end *clients[CLIENTS]) {
  atomic_store(&seen.opens, 0);
  atomic_store(&seen.messages, 0);
  atomic_store(&seen.closes, 0);
  seen.thread_count = 0;
  ws_server_options options;
  ws_server_options_init(&options);
  options.workers = WORKERS;
  options.handlers = &worker_handlers;
  net_serve(n, &options);
  for (int i = 0; i < CLIENTS; i++)
    clients[i] = net_connect(n, n->url, NULL);
  for (int i = 0; i < CLIENTS; i++)
    NET_UNTIL(n, clients[i]->is_open);
  /* A client can be open before its server is. */
  NET_UNTIL(n, (net_turn(n, 1), atomic_load(&seen.opens) == CLIENTS));
}

static void workers_share_the_connections(void **state) {
  net *n = *state;
  net_end *clients[CLIENTS];
  serve_by_workers(n, clients);
  for (int i = 0; i < CLIENTS; i++)
    ws_socket_send_text(clients[i]->socket, "hello", 5);
  for (int i = 0; i < CLIENTS; i++)
    NET_UNTIL(n, clients[i]->messages == 1);
  /* All on one of three: once in 10^14 runs. */
  pthread_mutex_lock(&seen.lock);
  assert_in_range(seen.thread_count, 2, WORKERS);
  pthread_mutex_unlock(&seen.lock);
  ws_server_stats stats;
  ws_server_get_stats(n->server, &stats);
  assert_int_equal(stats.connections, CLIENTS);
  assert_int_equal(stats.opened, CLIENTS);
  ws_socket *socket;
  assert_int_equal(ws_server_sockets(n->server, &socket, 1), 0);
  assert_no_failures();
}

static void a_message_reaches_the_subscribers_of_all_workers(void **state) {
  net *n = *state;
  net_end *clients[CLIENTS];
  serve_by_workers(n, clients);
  assert_int_equal(
      ws_server_publish(n->server, "news", WS_TEXT, "from main", 9, 0, NULL),
      0);
  for (int i = 0; i < CLIENTS; i++)
    NET_UNTIL(n, clients[i]->messages == 1);
  ws_socket_send_text(clients[0]->socket, "tell others", 11);
  for (int i = 1; i < CLIENTS; i++)
    NET_UNTIL(n, clients[i]->messages == 2);
  assert_int_equal(
      ws_server_publish(n->server, NULL, WS_TEXT, "to all", 6, 0, NULL), 0);
  for (int i = 0; i < CLIENTS; i++) {
    NET_UNTIL(n, clients[i]->message_len == 6);
    assert_log(clients[i], i == 0 ? "open, text from main, text to all"
                                  : "open, text from main, text tell others, "
                                    "text to all");
  }
  assert_no_failures();
}

static void *publish_all(void *server) {
  for (int i = 0; i < ROUNDS; i++)
    CHECK(ws_server_publish(server, "news", WS_BINARY, &i, sizeof(i), 0,
                            NULL) == 0);
  return NULL;
}

static void any_thread_may_publish(void **state) {
  net *n = *state;
  net_end *clients[CLIENTS];
  serve_by_workers(n, clients);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, publish_all, n->server),
                     0);
  for (int i = 0; i < CLIENTS; i++)
    NET_UNTIL(n, clients[i]->messages == THREADS * ROUNDS);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_no_failures();
}

static void workers_close_in_good_order(void **state) {
  net *n = *state;
  net_end *clients[CLIENTS];
  serve_by_workers(n, clients);
  assert_int_equal(ws_server_close(n->server, 0, "bye", 3, 0), 0);
  NET_UNTIL(n, n->server == NULL);
  assert_int_equal(atomic_load(&seen.closes), CLIENTS);
  for (int i = 0; i < CLIENTS; i++) {
    net_finish(n, clients[i]);
    assert_log(clients[i], "open, close 1001 clean bye");
  }
  assert_log(n, "server-close");
}

/* A deadline for those who do not answer. */
static void workers_drop_who_does_not_answer(void **state) {
  net *n = *state;
  ws_server_options options;
  ws_server_options_init(&options);
  options.workers = WORKERS;
  options.handlers = &worker_handlers;
  net_serve(n, &options);
  raw *peer = raw_connect(n, n->port);
  raw_request(peer, "/", NULL);
  assert_raw_upgraded(peer);
  assert_int_equal(ws_server_close(n->server, 0, NULL, 0, 30), 0);
  NET_UNTIL(n, n->server == NULL);
  assert_raw_close(peer, 1001, "");
}

/* The loop goes, and its workers with it, whatever they are doing. */
static void a_loop_ends_with_its_workers(void **state) {
  net *n = *state;
  net_end *clients[CLIENTS];
  serve_by_workers(n, clients);
  for (int i = 0; i < CLIENTS; i++)
    ws_socket_send_text(clients[i]->socket, "hello", 5);
  net_turn(n, 0);
}

static void workers_share_a_unix_socket_and_an_inherited_one(void **state) {
  net *n = *state;
  const raw *inherited = raw_listen(n);
  ws_server_options options;
  ws_server_options_init(&options);
  options.workers = WORKERS;
  options.handlers = &worker_handlers;
  atomic_store(&seen.opens, 0);
  ws_listen_options where;
  ws_listen_options_init(&where);
  where.unix_path = net_path(n, "socket");
  net_serve_at(n, &options, &where);
  ws_listen_options_init(&where);
  where.fd = dup(inherited->fd);
  assert_int_equal(ws_server_listen(n->server, &where, NULL), 0);
  char url[256];
  snprintf(url, sizeof(url), "%s:/", ws_server_url(n->server, 0));
  const char *const urls[] = {url, inherited->url};
  for (int i = 0; i < 20; i++) {
    const net_end *client = net_connect(n, urls[i % 2], NULL);
    NET_UNTIL(n, client->is_open);
  }
  assert_no_failures();
}

static void connections_are_bounded_over_all_workers(void **state) {
  net *n = *state;
  ws_server_options options;
  ws_server_options_init(&options);
  options.workers = WORKERS;
  options.handlers = &worker_handlers;
  options.max_connections = 5;
  net_serve(n, &options);
  unsigned open = 0;
  for (int i = 0; i < 10; i++) {
    const net_end *client = net_connect(n, n->url, NULL);
    NET_UNTIL(n, client->is_open || client->is_over);
    open += client->is_open;
  }
  assert_int_equal(open, 5);
}

/* Its connections are in threads that the caller has no part in. */
static void a_server_of_workers_adopts_nothing(void **state) {
  net *n = *state;
  ws_server_options options;
  ws_server_options_init(&options);
  options.workers = WORKERS;
  options.handlers = &worker_handlers;
  net_serve(n, &options);
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  ws_socket *socket;
  ws_error error;
  assert_int_equal(
      ws_server_adopt(n->server, ends[0], NULL, NULL, 0, &socket, &error),
      WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "workers"));
  close(ends[1]);
}

/* A client leaves while its workers, threads and the server talk to it. */
static void everything_at_once(void **state) {
  net *n = *state;
  net_end *clients[CLIENTS];
  serve_by_workers(n, clients);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, publish_all, n->server), 0);
  for (int i = 0; i < CLIENTS; i++) {
    ws_socket_send_text(clients[i]->socket, "tell others", 11);
    if (i % 3 == 0) ws_socket_terminate(clients[i]->socket);
    if (i % 3 == 1) ws_socket_close(clients[i]->socket, 1000, NULL, 0);
    net_turn(n, 0);
  }
  pthread_join(thread, NULL);
  assert_int_equal(ws_server_close(n->server, 0, NULL, 0, 0), 0);
  NET_UNTIL(n, n->server == NULL);
  assert_int_equal(atomic_load(&seen.closes), CLIENTS);
  for (int i = 0; i < CLIENTS; i++)
    net_finish(n, clients[i]);
  assert_no_failures();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      EACH_BACKEND(tasks_of_threads_arrive_in_their_order),
      EACH_BACKEND(a_thread_can_stop_the_loop),
      CASE(messages_of_threads_are_whole_and_in_order),
      CASE(a_sender_outlives_its_socket_and_its_loop),
      CASE(arguments_of_a_sender_are_checked),
      CASE(a_sender_that_is_too_fast_is_told),
      EACH_BACKEND(workers_share_the_connections),
      CASE(a_message_reaches_the_subscribers_of_all_workers),
      CASE(any_thread_may_publish),
      CASE(workers_close_in_good_order),
      CASE(workers_drop_who_does_not_answer),
      CASE(a_loop_ends_with_its_workers),
      CASE(workers_share_a_unix_socket_and_an_inherited_one),
      CASE(connections_are_bounded_over_all_workers),
      CASE(a_server_of_workers_adopts_nothing),
      EACH_BACKEND(everything_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
