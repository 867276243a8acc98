/* test_process.c - a loop as a citizen of its process: fork, exec, signals, and
 * descriptors that are many or few. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw_peer.h"

/* -- Fork ------------------------------------------------------------------ */

/* Runs in the child. Returns the line of what went wrong, 0 if nothing did. */
static int be_a_child(net *n, const net_end *end) {
#define CHECK(condition) \
  if (!(condition)) return __LINE__
  ws_event event;
  ws_loop *own;
  CHECK(ws_loop_wait(n->loop, 0) == WS_ERR_FORKED);
  CHECK(ws_loop_dispatch(n->loop, 0) == WS_ERR_FORKED);
  CHECK(ws_loop_run(n->loop) == WS_ERR_FORKED);
  CHECK(!ws_loop_next(n->loop, &event));
  CHECK(ws_socket_ready_state(end->socket) == WS_STATE_OPEN);
  ws_loop_free(n->loop);
  CHECK(ws_loop_new(NULL, &own, NULL) == 0);
  CHECK(ws_loop_wait(own, 0) == 0);
  ws_loop_free(own);
  return 0;
#undef CHECK
}

/* The parent's connections do not notice. */
static void a_child_cannot_use_the_loop_of_its_parent(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  net_serve(n, NULL);
  ws_timer *timer;
  assert_int_equal(ws_timer_new(n->loop, PATIENCE_MS, NULL, NULL, &timer), 0);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(be_a_child(n, end) & 0xFF);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);

  assert_raw_silent(peer);
  raw_text(peer, "still here");
  NET_UNTIL(n, end->messages == 1);
  ws_socket_send_text(end->socket, "so am I", 7);
  assert_raw_text(peer, "so am I");
  raw *late = raw_connect(n, n->port);
  raw_request(late, "/", NULL);
  assert_raw_upgraded(late);
}

/* -- Exec ------------------------------------------------------------------ */

/* Which descriptors are open. */
static void list_descriptors(bool out_open[256]) {
  for (int fd = 0; fd < 256; fd++)
    out_open[fd] = fcntl(fd, F_GETFD) != -1;
}

static void no_descriptor_outlives_an_exec(void **state) {
  net *n = *state;
  bool before[256], after[256];
  list_descriptors(before);
  if (n->loop_fd >= 0) before[n->loop_fd] = false;
  net_serve(n, NULL);
  ws_listen_options where;
  ws_listen_options_init(&where);
  where.unix_path = net_path(n, "socket");
  assert_int_equal(ws_server_listen(n->server, &where, NULL), 0);
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
  list_descriptors(after);
  int seen = 0;
  for (int fd = 0; fd < 256; fd++) {
    if (!after[fd] || before[fd]) continue;
    seen++;
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  assert_true(seen >= 4); /* Two listeners, two ends. */
}

/* -- Signals --------------------------------------------------------------- */

/* The default action of SIGPIPE, which the fixture sets, ends the process. */
static void writing_to_a_dead_peer_raises_no_signal(void **state) {
  net *n = *state;
  enum {
    SIZE = 100000
  };
  static const char data[SIZE];
  for (int i = 0; i < 3; i++) {
    net_end *end;
    raw *peer;
    raw_open(n, NULL, NULL, &end, &peer);
    raw_reset(peer);
    for (int sends = 0; sends < 10; sends++)
      ws_socket_send_binary(end->socket, data, i == 0 ? 1 : SIZE);
    net_finish(n, end);
  }
  struct sigaction action;
  assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
  assert_true(action.sa_handler == SIG_DFL);
}

static void count_signal(int number) {
  (void)number;
}

/* A signal that interrupts the wait is no failure. */
static void a_signal_does_not_end_the_wait_with_an_error(void **state) {
  net *n = *state;
  const struct sigaction action = {.sa_handler = count_signal};
  assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
  const struct itimerval soon = {.it_interval.tv_usec = 1000,
                                 .it_value.tv_usec = 1000};
  const struct itimerval never = {{0, 0}, {0, 0}};
  assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
  ws_timer *timer;
  assert_int_equal(ws_timer_new(n->loop, 20, NULL, NULL, &timer), 0);
  NET_UNTIL(n, n->log.len > 0);
  net_end *client, *server;
  net_serve(n, NULL);
  net_open_pair(n, NULL, &client, &server);
  /* One may still be on its way, so the handler stays. */
  assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
}

/* -- Descriptors ----------------------------------------------------------- */

enum {
  MANY = 1100
};

/* Numbers that select() could not watch. */
static void descriptors_may_have_large_numbers(void **state) {
  net *n = *state;
  struct rlimit before, limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = before;
  limit.rlim_cur = MANY + 64;
  if (before.rlim_max < limit.rlim_cur) skip(); /* Not allowed so many. */
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  static int fillers[MANY];
  int count = 0;
  do {
    fillers[count] = dup(STDERR_FILENO);
    assert_true(fillers[count] >= 0);
  } while (fillers[count++] < MANY);
  net_serve(n, NULL);
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
  ws_socket_send_text(client->socket, "far out", 7);
  NET_UNTIL(n, server->messages == 1);
  ws_socket_close(client->socket, 1000, NULL, 0);
  net_finish(n, client);
  net_finish(n, server);
  ws_server_close(n->server, 0, NULL, 0, 0);
  NET_UNTIL(n, n->server == NULL);
  while (count > 0)
    close(fillers[--count]);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* Without any descriptor left a client fails, and the next one does not. */
static void a_client_without_a_descriptor_fails(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = dup(STDERR_FILENO);
  close(next);
  none = before;
  none.rlim_cur = (rlim_t)next;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  net_end *end = net_connect(n, n->url, NULL);
  net_finish(n, end);
  ws_loop *loop = NULL;
  ws_error error = {0};
  const int result = ws_loop_new(NULL, &loop, &error);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_log(end, "error CONNECT, close 1006 unclean");
  assert_int_equal(result, WS_ERR_SYSTEM);
  assert_int_equal(error.code, WS_ERR_SYSTEM);
  assert_string_not_equal(error.message, "");
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      EACH_BACKEND(a_child_cannot_use_the_loop_of_its_parent),
      EACH_BACKEND(no_descriptor_outlives_an_exec),
      BOTH_ROLES(writing_to_a_dead_peer_raises_no_signal),
      EACH_BACKEND(a_signal_does_not_end_the_wait_with_an_error),
      EACH_BACKEND(descriptors_may_have_large_numbers),
      CASE(a_client_without_a_descriptor_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
