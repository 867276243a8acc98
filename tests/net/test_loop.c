/* test_loop.c - the loop itself: back ends, timers, tasks, stopping, foreign
 * loops, and its end with everything open. What other threads may do is in
 * test_loop_threads.c. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "raw_peer.h"

/* -- What every back end does ---------------------------------------------- */

static void echo(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type != WS_EVENT_MESSAGE || !end->is_server) return;
  ws_socket_send(end->socket, event->u.message.type, event->u.message.data,
                 event->u.message.len, WS_SEND_VALID_UTF8);
}

/* Messages small and large there and back, and a clean end. */
static void clients_and_servers_talk(void **state) {
  net *n = *state;
  static char large[500000];
  memset(large, 'l', sizeof(large));
  net_serve(n, NULL);
  n->on_event = echo;
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
  ws_socket_send_text(client->socket, "small", 5);
  ws_socket_send_binary(client->socket, large, sizeof(large));
  NET_UNTIL(n, client->messages == 2);
  assert_log(client, "text small, binary of 500000");
  assert_last_message(client, large, sizeof(large));
  assert_int_equal(ws_socket_close(client->socket, 1000, "bye", 3), 0);
  net_finish(n, client);
  net_finish(n, server);
  assert_log(client, "close 1000 clean bye");
}

/* Many connections at once, all of which have something to say. */
static void many_sockets_share_a_loop(void **state) {
  net *n = *state;
  enum {
    COUNT_OF = 50
  };
  net_end *clients[COUNT_OF], *server;
  net_serve(n, NULL);
  n->on_event = echo;
  for (int i = 0; i < COUNT_OF; i++)
    net_open_pair(n, NULL, &clients[i], &server);
  for (int round = 0; round < 5; round++)
    for (int i = 0; i < COUNT_OF; i++)
      ws_socket_send_text(clients[i]->socket, "hello", 5);
  for (int i = 0; i < COUNT_OF; i++)
    NET_UNTIL(n, clients[i]->messages == 5);
  ws_loop_stats stats;
  ws_loop_get_stats(n->loop, &stats);
  assert_int_equal(stats.sockets, 2 * COUNT_OF);
  assert_true(stats.bytes_received > 0 && stats.bytes_sent > 0);
  assert_true(stats.reads > 0 && stats.writes > 0);
}

static void an_unknown_back_end_is_refused(void **state) {
  (void)state;
  ws_loop_options options;
  ws_loop_options_init(&options);
  options.backend = "smoke signals";
  ws_loop *loop;
  ws_error error;
  assert_int_equal(ws_loop_new(&options, &loop, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "backend"));
  ws_loop_options_init(&options);
  options.receive_buffer = 4095;
  assert_int_equal(ws_loop_new(&options, &loop, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "receive_buffer"));
  options.receive_buffer = 4096;
  options.send_buffer = 4095;
  assert_int_equal(ws_loop_new(&options, &loop, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "send_buffer"));
  options.size--;
  assert_int_equal(ws_loop_new(&options, &loop, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "size"));
}

/* The smallest buffers, with messages far larger than they are. */
static void small_buffers_are_enough(void **state) {
  net *n = *state;
  ws_loop_free(n->loop);
  ws_loop_options options;
  ws_loop_options_init(&options);
  options.allocator = n->alloc.allocator;
  options.receive_buffer = 4096;
  options.send_buffer = 4096;
  assert_int_equal(ws_loop_new(&options, &n->loop, NULL), 0);
  if (ws_loop_fd(n->loop, &n->loop_fd) != 0) n->loop_fd = -1;
  clients_and_servers_talk(state);
}

/* What others had to wait for while one peer flooded. */
typedef struct rush {
  const net_end *flooded;
  net_end *other;
  uint64_t before_read;  /* Messages of the flood that came before, */
  uint64_t before_write; /* and those after which the other had written. */
} rush;

/* The first message of the flood gives the other one something to write. */
static void let_the_other_write(net *n, net_end *end, const ws_event *event) {
  rush *r = n->arg;
  if (event->type != WS_EVENT_MESSAGE) return;
  if (end == r->other) r->before_read = r->flooded->messages;
  if (end != r->flooded) return;
  if (end->messages == 1) {
    assert_int_equal(
        ws_socket_send_text(r->other->socket, "and I", strlen("and I")), 0);
  } else if (ws_socket_buffered_amount(r->other->socket) > 0) {
    r->before_write = end->messages;
  }
}

/* A peer that floods gets no more of a turn than others do when they wait, and
 * what it has sent is not lost. */
static void a_turn_is_bounded_for_each_connection(void **state) {
  net *n = *state;
  enum {
    FRAMES = 5000,
    AT_MOST = 64
  };
  rush r = {.flooded = NULL};
  net_end *end;
  raw *peer, *other_peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_open(n, NULL, NULL, &r.other, &other_peer);
  static uint8_t flood[FRAMES * 8];
  size_t len = 0;
  for (int i = 0; i < FRAMES; i++)
    len += raw_make_frame(peer, flood + len, 0x81, "x", 1);
  raw_write(peer, flood, len);
  raw_text(other_peer, "me too");
  raw_deliver(peer);
  raw_deliver(other_peer);
  r.flooded = end;
  n->arg = &r;
  n->on_event = let_the_other_write;
  NET_UNTIL(n, end->messages == FRAMES);
  n->on_event = NULL;
  assert_int_equal(r.other->messages, 1);
  assert_in_range(r.before_read, 0, AT_MOST);
  assert_in_range(r.before_write, 1, AT_MOST);
  assert_raw_text(other_peer, "and I");
}

/* -- Timers ---------------------------------------------------------------- */

/* What rang, in order. */
static char rung[32];

static void ring(void *arg) {
  const size_t len = strlen(rung);
  rung[len] = *(const char *)arg;
  rung[len + 1] = '\0';
}

/* The argument that has ring() add this letter. */
static void *letter(char name) {
  static char letters[] = "abcdefghijklmnopqrstuvwxyz";
  return strchr(letters, name);
}

static ws_timer *timer(net *n, uint64_t delay, char name) {
  ws_timer *result;
  assert_int_equal(ws_timer_new(n->loop, delay, ring, letter(name), &result),
                   0);
  return result;
}

static void post(net *n, char name) {
  assert_int_equal(ws_loop_post(n->loop, ring, letter(name)), 0);
}

/* Within a turn, where the time of the loop stands still. */
static void set_three_timers(void *arg) {
  timer(arg, 12, 'c');
  timer(arg, 0, 'a');
  timer(arg, 6, 'b');
}

static void timers_ring_once_in_the_order_of_their_times(void **state) {
  net *n = *state;
  rung[0] = '\0';
  assert_int_equal(ws_loop_post(n->loop, set_three_timers, n), 0);
  net_turn(n, PATIENCE_MS);
  const uint64_t before = ws_loop_now(n->loop);
  NET_UNTIL(n, strlen(rung) == 3);
  assert_true(ws_loop_now(n->loop) - before >= 12);
  assert_string_equal(rung, "abc");
  net_turn(n, 20);
  assert_log(n, "task, timer, timer, timer");
}

static void a_timer_can_be_set_anew(void **state) {
  net *n = *state;
  rung[0] = '\0';
  ws_timer *early = timer(n, PATIENCE_MS, 'e');
  ws_timer *late = timer(n, 1, 'l');
  ws_timer *never = timer(n, 1, 'n');
  ws_timer_set(early, 0);
  ws_timer_set(late, 15);
  ws_timer_set(never, WS_NO_DEADLINE);
  NET_UNTIL(n, strlen(rung) == 2);
  assert_string_equal(rung, "el");
  ws_timer_set(early, 0); /* It has rung, and may again. */
  NET_UNTIL(n, strlen(rung) == 3);
  assert_string_equal(rung, "ele");
}

static void a_freed_timer_does_not_ring(void **state) {
  net *n = *state;
  rung[0] = '\0';
  ws_timer *freed = timer(n, 0, 'f');
  timer(n, 1, 'o');
  ws_timer_free(freed);
  ws_timer_free(NULL);
  NET_UNTIL(n, strlen(rung) == 1);
  assert_string_equal(rung, "o");
}

/* A timer that frees or sets itself, or another one that is due as well. */
typedef struct pair_of_timers {
  ws_timer *self;
  ws_timer *other;
  unsigned rings;
} pair_of_timers;

static void free_both(void *arg) {
  pair_of_timers *p = arg;
  p->rings++;
  ws_timer_free(p->self);
  ws_timer_free(p->other);
}

static void set_again(void *arg) {
  pair_of_timers *p = arg;
  p->rings++;
  ws_timer_set(p->self, 0);
}

static void timers_may_be_changed_while_they_ring(void **state) {
  net *n = *state;
  pair_of_timers both = {0}, same = {0};
  assert_int_equal(ws_timer_new(n->loop, 0, free_both, &both, &both.self), 0);
  assert_int_equal(ws_timer_new(n->loop, 0, free_both, &both, &both.other), 0);
  assert_int_equal(ws_timer_new(n->loop, 0, set_again, &same, &same.self), 0);
  NET_UNTIL(n, same.rings >= 5);
  assert_int_equal(both.rings, 1);
}

/* A timer that is always due keeps nobody else from having a turn. */
static void a_busy_timer_does_not_starve_sockets(void **state) {
  net *n = *state;
  pair_of_timers busy = {0};
  assert_int_equal(ws_timer_new(n->loop, 0, set_again, &busy, &busy.self), 0);
  clients_and_servers_talk(state);
}

/* -- Tasks ----------------------------------------------------------------- */

static void post_another(void *arg) {
  post(arg, 'z');
}

static void tasks_run_in_the_order_of_the_calls(void **state) {
  net *n = *state;
  rung[0] = '\0';
  for (char name = 'a'; name <= 'c'; name++)
    post(n, name);
  assert_int_equal(ws_loop_post(n->loop, post_another, n), 0);
  assert_string_equal(rung, "");
  NET_UNTIL(n, strlen(rung) == 4);
  assert_string_equal(rung, "abcz");
}

/* -- Running and stopping -------------------------------------------------- */

static void stop_loop(void *arg) {
  ws_loop_stop(arg);
}

static void run_returns_when_nothing_is_left(void **state) {
  net *n = *state;
  assert_false(ws_loop_is_alive(n->loop));
  assert_int_equal(ws_loop_run(n->loop), 0);
  rung[0] = '\0';
  timer(n, 1, 't');
  assert_true(ws_loop_is_alive(n->loop));
  const char *url = raw_nowhere(n);
  ws_socket *socket;
  assert_int_equal(
      ws_socket_open(n->loop, url, strlen(url), NULL, &socket, NULL), 0);
  assert_int_equal(ws_loop_run(n->loop), 0);
  assert_string_equal(rung, "t");
  assert_false(ws_loop_is_alive(n->loop));
}

static void run_returns_when_it_is_stopped(void **state) {
  net *n = *state;
  ws_timer *once;
  rung[0] = '\0';
  assert_int_equal(ws_timer_new(n->loop, 1, stop_loop, n->loop, &once), 0);
  net_serve(n, NULL);
  assert_int_equal(ws_loop_run(n->loop), 0);
  ws_loop_stop(n->loop); /* The next one returns at once. */
  assert_int_equal(ws_loop_run(n->loop), 0);
  ws_timer_set(once, 1); /* And the one after it runs. */
  assert_int_equal(ws_loop_run(n->loop), 0);
}

/* What was not handled before the stop comes with the next turn. */
static void a_stop_loses_no_event(void **state) {
  net *n = *state;
  rung[0] = '\0';
  post(n, 'a');
  ws_loop_post(n->loop, stop_loop, n->loop);
  post(n, 'b');
  ws_timer *forever = timer(n, PATIENCE_MS, 'x');
  assert_int_equal(ws_loop_run(n->loop), 0);
  assert_string_equal(rung, "a");
  NET_UNTIL(n, strlen(rung) == 2);
  assert_string_equal(rung, "ab");
  ws_timer_free(forever);
}

static ws_loop *loop_of_signal;

static void on_signal(int number) {
  (void)number;
  ws_loop_stop(loop_of_signal);
}

static void raise_signal(void *arg) {
  (void)arg;
  raise(SIGUSR1);
}

static void a_signal_handler_may_stop_the_loop(void **state) {
  net *n = *state;
  loop_of_signal = n->loop;
  const struct sigaction action = {.sa_handler = on_signal};
  struct sigaction before;
  assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
  ws_timer *once;
  assert_int_equal(ws_timer_new(n->loop, 1, raise_signal, NULL, &once), 0);
  net_serve(n, NULL);
  assert_int_equal(ws_loop_run(n->loop), 0);
  assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

/* -- Handlers -------------------------------------------------------------- */

static char called[256];

static void note(const char *name) {
  const size_t len = strlen(called);
  snprintf(called + len, sizeof(called) - len, "%s ", name);
}

#define HANDLER(name)                                                 \
  static void name(ws_socket *socket, const ws_event *event) {        \
    assert_ptr_equal(event->socket, socket);                          \
    note(ws_socket_role(socket) == WS_ROLE_SERVER ? "server-" #name   \
                                                  : "client-" #name); \
  }

HANDLER(open)
HANDLER(pong)
HANDLER(error)

static void message(ws_socket *socket, const ws_event *event) {
  note(ws_socket_server(socket) != NULL ? "server-message" : "client-message");
  ws_socket_ping(socket, "p", 1);
  ws_socket_close(socket, 1000, NULL, 0);
  (void)event;
}

static void closed(ws_socket *socket, const ws_event *event) {
  assert_int_equal(event->u.close.code, 1000);
  note(ws_socket_server(socket) != NULL ? "server-close" : "client-close");
  if (ws_socket_server(socket) != NULL)
    ws_server_close(ws_socket_server(socket), 0, NULL, 0, 0);
}

static void say_hello(ws_socket *socket, const ws_event *event) {
  (void)event;
  assert_string_equal(ws_socket_user_data(socket), "mine");
  ws_socket_send_text(socket, "hello", 5);
}

static void server_closed(ws_server *server, const ws_event *event) {
  assert_ptr_equal(event->server, server);
  assert_string_equal(ws_server_user_data(server), "served");
  note("server-closed");
}

/* The style of a browser, from the first handler to the last. */
static void handlers_are_called_until_nothing_is_left(void **state) {
  net *n = *state;
  called[0] = '\0';
  char mine[] = "mine", served[] = "served";
  ws_handlers of_server, of_client;
  ws_handlers_init(&of_server);
  of_server.on_open = open;
  of_server.on_message = message;
  of_server.on_pong = pong;
  of_server.on_error = error;
  of_server.on_close = closed;
  of_server.on_server_close = server_closed;
  ws_handlers_init(&of_client);
  of_client.on_open = say_hello;
  of_client.on_error = error;
  of_client.on_close = closed;
  ws_server_options serving;
  ws_server_options_init(&serving);
  serving.handlers = &of_server;
  serving.user_data = served;
  net_serve(n, &serving);
  ws_socket_options connecting;
  ws_socket_options_init(&connecting);
  connecting.handlers = &of_client;
  connecting.user_data = mine;
  ws_socket *socket;
  assert_int_equal(ws_socket_open(n->loop, n->url, strlen(n->url), &connecting,
                                  &socket, NULL),
                   0);
  assert_int_equal(ws_loop_run(n->loop), 0);
  n->server = NULL;
  assert_non_null(strstr(called, "server-open server-message "));
  assert_non_null(strstr(called, "client-close "));
  assert_non_null(strstr(called, "server-close server-closed "));
  assert_null(strstr(called, "error"));
}

/* -- Foreign loops --------------------------------------------------------- */

static bool is_readable(int fd, int timeout) {
  struct pollfd watched = {.fd = fd, .events = POLLIN};
  assert_true(poll(&watched, 1, timeout) >= 0);
  return watched.revents != 0;
}

/* All that can happen in a loop makes its descriptor readable. */
static void the_descriptor_tells_of_everything(void **state) {
  net *n = *state;
  if (n->loop_fd < 0) {
    int fd;
    assert_int_equal(ws_loop_fd(n->loop, &fd), WS_ERR_INVALID_STATE);
    return;
  }
  net_settle(n);
  assert_false(is_readable(n->loop_fd, 0));
  rung[0] = '\0';
  timer(n, 5, 't'); /* A timer, */
  assert_true(is_readable(n->loop_fd, PATIENCE_MS));
  assert_int_equal(ws_loop_dispatch(n->loop, 0), 0);
  assert_string_equal(rung, "t");
  assert_false(is_readable(n->loop_fd, 0));
  post(n, 'p'); /* a task, */
  assert_true(is_readable(n->loop_fd, PATIENCE_MS));
  assert_int_equal(ws_loop_dispatch(n->loop, 0), 0);
  assert_string_equal(rung, "tp");
  net_end *end; /* a connection, */
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  net_settle(n);
  assert_false(is_readable(n->loop_fd, 0));
  raw_text(peer, "m"); /* input, */
  assert_true(is_readable(n->loop_fd, PATIENCE_MS));
  net_settle(n);
  assert_int_equal(end->messages, 1);
  ws_socket_send_text(end->socket, "out", 3); /* a call from outside. */
  assert_true(is_readable(n->loop_fd, PATIENCE_MS));
  ws_socket_terminate(end->socket);
  assert_true(is_readable(n->loop_fd, PATIENCE_MS));
  net_finish(n, end);
}

/* -- The end --------------------------------------------------------------- */

/* There is no loop any more that could be turned. */
static void assert_peer_was_told(const raw *peer) {
  uint8_t frame[8];
  struct pollfd watched = {.fd = peer->fd, .events = POLLIN};
  assert_int_equal(poll(&watched, 1, PATIENCE_MS), 1);
  assert_int_equal(recv(peer->fd, frame, sizeof(frame), 0), sizeof(frame));
  assert_int_equal(frame[0], 0x88);
  assert_int_equal(frame[1], 0x82);
  assert_int_equal((frame[2] ^ frame[6]) << 8 | (frame[3] ^ frame[7]),
                   WS_CLOSE_GOING_AWAY);
}

/* Rows 293, 294: with sockets in every state, servers, timers and tasks. */
static void a_loop_ends_with_everything_open(void **state) {
  net *n = *state;
  net_end *ends[3];
  raw *peer, *listener = raw_listen(n);
  net_connect(n, "ws://localhost:1/", NULL); /* Resolving. */
  net_connect(n, listener->url, NULL);       /* Connecting. */
  raw_visit(n, NULL, &ends[0]);              /* Waits for the answer. */
  raw_open(n, NULL, NULL, &ends[1], &peer);  /* Open. */
  ws_socket *kept = net_retain(ends[1]);
  net_serve(n, NULL);
  raw *visitor = raw_connect(n, n->port); /* In the handshake. */
  raw_print(visitor, "GET / HTTP/1.1\r\n");
  net_open_pair(n, NULL, &ends[0], &ends[2]);      /* Both ends. */
  ws_socket_close(ends[0]->socket, 1000, NULL, 0); /* Closing. */
  timer(n, 0, 'x');
  post(n, 'x');
  ws_loop_free(n->loop);
  n->loop = NULL;
  assert_int_equal(ws_socket_ready_state(kept), WS_STATE_CLOSED);
  assert_int_equal(ws_socket_send_text(kept, "a", 1), 0);
  assert_int_equal(ws_socket_buffered_amount(kept), 1);
  assert_peer_was_told(peer);
}

static void a_loop_can_end_before_its_first_turn(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  net_connect(n, n->url, NULL);
  timer(n, 0, 'x');
}

int main(void) {
  const struct CMUnitTest tests[] = {
      EACH_BACKEND(clients_and_servers_talk),
      EACH_BACKEND(many_sockets_share_a_loop),
      CASE(an_unknown_back_end_is_refused),
      CASE(small_buffers_are_enough),
      EACH_BACKEND(a_turn_is_bounded_for_each_connection),
      EACH_BACKEND(timers_ring_once_in_the_order_of_their_times),
      EACH_BACKEND(a_timer_can_be_set_anew),
      EACH_BACKEND(a_freed_timer_does_not_ring),
      EACH_BACKEND(timers_may_be_changed_while_they_ring),
      EACH_BACKEND(a_busy_timer_does_not_starve_sockets),
      EACH_BACKEND(tasks_run_in_the_order_of_the_calls),
      EACH_BACKEND(run_returns_when_nothing_is_left),
      EACH_BACKEND(run_returns_when_it_is_stopped),
      CASE(a_stop_loses_no_event),
      EACH_BACKEND(a_signal_handler_may_stop_the_loop),
      EACH_BACKEND(handlers_are_called_until_nothing_is_left),
      EACH_BACKEND(the_descriptor_tells_of_everything),
      EACH_BACKEND(a_loop_ends_with_everything_open),
      EACH_BACKEND(a_loop_can_end_before_its_first_turn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
