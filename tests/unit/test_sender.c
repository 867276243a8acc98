/* test_sender.c - a way to a socket for other threads: what becomes of a
 * message in each state of the socket, when memory is missing, and after the
 * socket and its loop have gone. tests/net/test_loop_threads.c has it at speed.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "raw_peer.h"

/* -- Memory, which threads share and so comes from malloc ------------------ */

static _Thread_local bool has_no_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
  return has_no_memory ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
  return has_no_memory ? NULL : __real_calloc(count, size);
}

/* -- Help ------------------------------------------------------------------ */

/* An open connection, with a way to this end of it. */
typedef struct way {
  net *n;
  net_end *end;
  raw *peer;
  ws_sender *sender;
} way;

static ws_sender *new_sender(const net_end *end) {
  ws_sender *sender;
  assert_int_equal(ws_sender_new(end->socket, &sender), 0);
  return sender;
}

static way open_way(void **state, const ws_conn_options *options,
                    const char *extensions) {
  way w = {.n = *state};
  raw_open(w.n, options, extensions, &w.end, &w.peer);
  w.sender = new_sender(w.end);
  return w;
}

static int send_text(ws_sender *sender, const char *text) {
  return ws_sender_send(sender, WS_TEXT, text, strlen(text), 0);
}

/* Whatever is on its way to the loop has come. */
static void take_letters(net *n) {
  net_turn(n, 0);
}

/* -- States ---------------------------------------------------------------- */

static void an_open_socket_sends_what_it_is_given(void **state) {
  const way w = open_way(state, NULL, NULL);
  assert_int_equal(send_text(w.sender, "text"), 0);
  assert_int_equal(ws_sender_send(w.sender, WS_BINARY, "\xFF\0", 2, 0), 0);
  assert_int_equal(ws_sender_send(w.sender, WS_BINARY, NULL, 0, 0), 0);
  assert_raw_text(w.peer, "text");
  assert_raw_frame(w.peer, 0x82, "\xFF\0", 2);
  assert_raw_frame(w.peer, 0x82, "", 0);
  assert_int_equal(ws_sender_close(w.sender, 4000, "done", 4), 0);
  assert_raw_close(w.peer, 4000, "done");
  ws_sender_free(w.sender);
}

static void flags_hold_as_for_the_socket(void **state) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.compression_threshold = 1;
  const way w = open_way(state, &options, "permessage-deflate");
  assert_int_equal(
      ws_sender_send(w.sender, WS_TEXT, "plain", 5, WS_SEND_UNCOMPRESSED), 0);
  assert_raw_frame(w.peer, 0x81, "plain", 5);
  assert_int_equal(send_text(w.sender, "deflated"), 0);
  assert_int_equal(raw_read_frame(w.peer).first_byte, 0xC1);
  assert_int_equal(ws_sender_send(w.sender, WS_TEXT, "x", 1, WS_SEND_FRAGMENT),
                   WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(ws_sender_send(w.sender, (ws_message_type)3, "x", 1, 0),
                   WS_ERR_INVALID_ARGUMENT);
  ws_sender_free(w.sender);
}

/* Nothing is lost that could not be sent when the loop got to it. */
static void what_comes_while_connecting_waits(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  ws_sender *sender = new_sender(end);
  assert_int_equal(send_text(sender, "early"), 0);
  take_letters(n);
  assert_int_equal(send_text(sender, "later"), 0);
  take_letters(n);
  raw_answer(peer, NULL);
  assert_raw_text(peer, "early");
  assert_raw_text(peer, "later");
  ws_sender_free(sender);
}

/* RFC 6455 5.4: fragments of messages must not be interleaved. */
static void what_comes_inside_a_message_waits_for_its_end(void **state) {
  const way w = open_way(state, NULL, NULL);
  assert_int_equal(
      ws_socket_send(w.end->socket, WS_TEXT, "be", 2, WS_SEND_FRAGMENT), 0);
  assert_int_equal(send_text(w.sender, "other"), 0);
  assert_int_equal(ws_sender_close(w.sender, 4000, "", 0), 0);
  assert_raw_frame(w.peer, 0x01, "be", 2);
  net_settle(w.n);
  assert_raw_silent(w.peer);
  assert_int_equal(ws_socket_send(w.end->socket, WS_TEXT, "gin", 3, 0), 0);
  assert_raw_frame(w.peer, 0x80, "gin", 3);
  assert_raw_text(w.peer, "other");
  assert_raw_close(w.peer, 4000, "");
  ws_sender_free(w.sender);
}

/* What waits counts, and ends with the socket. */
static void what_waits_is_bounded(void **state) {
  net *n = *state;
  static const char text[1000];
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.max_send_queue = 4096;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  net_end *end;
  raw *peer = raw_visit(n, &options, &end);
  ws_sender *sender = new_sender(end);
  for (int i = 0; i < 3; i++) { /* Each costs a little more than its length. */
    assert_int_equal(ws_sender_send(sender, WS_BINARY, text, 1000, 0), 0);
    take_letters(n);
  }
  assert_int_equal(ws_sender_send(sender, WS_BINARY, text, 1000, 0),
                   WS_ERR_SEND_QUEUE_FULL);
  ws_socket_terminate(end->socket);
  net_finish(n, end);
  assert_raw_ended(peer);
  ws_sender_free(sender);
}

/* Row 223. */
static void a_close_while_connecting_ends_the_attempt(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = raw_visit(n, NULL, &end);
  ws_sender *sender = new_sender(end);
  assert_int_equal(ws_sender_close(sender, 1000, NULL, 0), 0);
  net_finish(n, end);
  assert_log(end, "error ABORTED, close 1006 unclean");
  assert_raw_ended(peer);
  ws_sender_free(sender);
}

/* Row 187: it counts, as in a browser. */
static void what_comes_while_closing_only_counts(void **state) {
  const way w = open_way(state, NULL, NULL);
  assert_int_equal(ws_sender_close(w.sender, 1000, NULL, 0), 0);
  assert_int_equal(ws_sender_close(w.sender, 1001, NULL, 0), 0);
  assert_int_equal(send_text(w.sender, "too late"), 0);
  take_letters(w.n);
  assert_raw_close(w.peer, 1000, "");
  assert_raw_silent(w.peer);
  assert_int_equal(ws_socket_buffered_amount(w.end->socket), 8);
  raw_send_close(w.peer, 1000, "");
  raw_finish(w.peer);
  net_finish(w.n, w.end);
  ws_sender_free(w.sender);
}

static void a_socket_that_has_ended_takes_nothing(void **state) {
  const way w = open_way(state, NULL, NULL);
  net_retain(w.end);
  ws_sender *other = new_sender(w.end);
  raw_close(w.peer);
  net_finish(w.n, w.end);
  net_settle(w.n);
  assert_int_equal(send_text(w.sender, "x"), WS_ERR_INVALID_STATE);
  assert_int_equal(ws_sender_close(other, 1000, NULL, 0), WS_ERR_INVALID_STATE);
  ws_sender *late;
  assert_int_equal(ws_sender_new(w.end->socket, &late), WS_ERR_INVALID_STATE);
  ws_sender_free(w.sender);
  ws_sender_free(other);
}

/* -- On the way ------------------------------------------------------------ */

static void a_letter_may_find_its_socket_gone(void **state) {
  const way w = open_way(state, NULL, NULL);
  ws_socket_terminate(w.end->socket);
  assert_int_equal(send_text(w.sender, "to nobody"), 0);
  ws_sender_free(w.sender); /* The letter holds on to what it needs. */
  net_finish(w.n, w.end);
  net_settle(w.n);
  assert_raw_ended(w.peer);
}

static void a_letter_may_find_its_loop_gone(void **state) {
  const way w = open_way(state, NULL, NULL);
  assert_int_equal(send_text(w.sender, "to nobody"), 0);
  ws_loop_free(w.n->loop);
  w.n->loop = NULL;
  assert_int_equal(send_text(w.sender, "x"), WS_ERR_INVALID_STATE);
  ws_sender_free(w.sender);
}

/* It is in the hands of the loop, which has not got to it. */
static void a_loop_may_end_within_a_turn(void **state) {
  const way w = open_way(state, NULL, NULL);
  assert_int_equal(send_text(w.sender, "to nobody"), 0);
  assert_int_equal(ws_loop_wait(w.n->loop, 0), 0);
  ws_loop_free(w.n->loop);
  w.n->loop = NULL;
  ws_sender_free(w.sender);
}

/* -- Bounds and memory ----------------------------------------------------- */

/* The bound is for all senders of a socket, as it is the socket's. */
static void no_more_waits_than_may_in_the_queue(void **state) {
  static const char data[2000];
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.max_send_queue = sizeof(data);
  const way w = open_way(state, &options, NULL);
  ws_sender *other = new_sender(w.end);
  /* With what it costs to have it wait it is too much by itself. */
  assert_int_equal(ws_sender_send(w.sender, WS_BINARY, data, sizeof(data), 0),
                   WS_ERR_SEND_QUEUE_FULL);
  assert_int_equal(ws_sender_send(w.sender, WS_BINARY, data, 1500, 0), 0);
  assert_int_equal(ws_sender_send(other, WS_BINARY, data, 500, 0),
                   WS_ERR_SEND_QUEUE_FULL);
  assert_raw_frame(w.peer, 0x82, data, 1500);
  assert_int_equal(ws_sender_send(other, WS_BINARY, data, 500, 0), 0);
  assert_raw_frame(w.peer, 0x82, data, 500);
  ws_sender_free(w.sender);
  ws_sender_free(other);
}

static void without_memory_the_connection_goes_on(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  ws_sender *sender;
  has_no_memory = true;
  const int made = ws_sender_new(end->socket, &sender);
  has_no_memory = false;
  assert_int_equal(made, WS_ERR_NO_MEMORY);
  sender = new_sender(end);
  has_no_memory = true;
  const int sent = send_text(sender, "lost");
  const int closed = ws_sender_close(sender, 1000, NULL, 0);
  const int huge = ws_sender_send(sender, WS_BINARY, "", SIZE_MAX, 0);
  has_no_memory = false;
  assert_int_equal(sent, WS_ERR_NO_MEMORY);
  assert_int_equal(closed, WS_ERR_NO_MEMORY);
  assert_int_equal(huge, WS_ERR_NO_MEMORY);
  assert_int_equal(send_text(sender, "here"), 0);
  assert_raw_text(peer, "here");
  ws_sender_free(sender);
}

/* It was taken in, so that nobody could be told that it is missing. */
static void a_message_without_memory_fails_the_connection(void **state) {
  const way w = open_way(state, NULL, NULL);
  assert_int_equal(send_text(w.sender, "lost"), 0);
  w.n->alloc.fail_at = w.n->alloc.calls;
  net_finish(w.n, w.end);
  assert_log(w.end, "error NO_MEMORY, close 1006 unclean");
  ws_sender_free(w.sender);
}

/* -- Threads --------------------------------------------------------------- */

enum {
  THREADS = 4
};

/* Sends until the socket has gone; the queue may fill up meanwhile. */
static void *talk_to_the_end(void *arg) {
  ws_sender *sender = arg;
  int err;
  do {
    err = ws_sender_send(sender, WS_BINARY, "data", 4, 0);
  } while (err == 0 || err == WS_ERR_SEND_QUEUE_FULL);
  ws_sender_free(sender);
  return (void *)(intptr_t)err;
}

static void threads_talk_until_the_socket_ends(void **state) {
  net *n = *state;
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.max_send_queue = 2000;
  ws_server_options server_options;
  ws_server_options_init(&server_options);
  server_options.conn = &conn;
  net_serve(n, &server_options);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  net_end *client, *server;
  net_open_pair(n, &options, &client, &server);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    ws_sender *sender = new_sender(i % 2 == 0 ? client : server);
    assert_int_equal(pthread_create(&threads[i], NULL, talk_to_the_end, sender),
                     0);
  }
  NET_UNTIL(n, client->messages > 100 && server->messages > 100);
  ws_socket_terminate(client->socket);
  net_finish(n, client);
  net_finish(n, server);
  net_settle(n);
  for (int i = 0; i < THREADS; i++) {
    void *err;
    pthread_join(threads[i], &err);
    assert_int_equal((intptr_t)err, WS_ERR_INVALID_STATE);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_ROLES(an_open_socket_sends_what_it_is_given),
      CASE(flags_hold_as_for_the_socket),
      CASE(what_comes_while_connecting_waits),
      BOTH_ROLES(what_comes_inside_a_message_waits_for_its_end),
      CASE(what_waits_is_bounded),
      CASE(a_close_while_connecting_ends_the_attempt),
      BOTH_ROLES(what_comes_while_closing_only_counts),
      BOTH_ROLES(a_socket_that_has_ended_takes_nothing),
      BOTH_ROLES(a_letter_may_find_its_socket_gone),
      BOTH_ROLES(a_letter_may_find_its_loop_gone),
      BOTH_ROLES(a_loop_may_end_within_a_turn),
      BOTH_ROLES(no_more_waits_than_may_in_the_queue),
      BOTH_ROLES(without_memory_the_connection_goes_on),
      BOTH_ROLES(a_message_without_memory_fails_the_connection),
      CASE(threads_talk_until_the_socket_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
