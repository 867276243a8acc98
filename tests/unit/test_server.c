/* test_server.c - servers, their threads and their listeners, where something
 * is missing halfway: descriptors, memory, the server itself, the threads. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/net.h"
#include "raw_peer.h"

/* -- What can be missing --------------------------------------------------- */

static bool
    has_no_memory; /* For calloc(), of which threads share the blocks. */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
  return has_no_memory ? NULL : __real_calloc(count, size);
}

/* What the name that ends in ".test" has for addresses; what else there is in
 * an addrinfo nobody asks for. */
static struct addrinfo answers[2];
static struct sockaddr_in answer_addrs[2];

static void answer_with(const char *first, const char *second) {
  const char *const hosts[] = {first, second};
  for (size_t i = 0; i < COUNT(answers); i++) {
    ws__addr addr;
    assert_true(ws__addr_from_ip(&addr, hosts[i], 0));
    answer_addrs[i] = addr.as.in;
    answers[i] =
        (struct addrinfo){.ai_addr = (struct sockaddr *)&answer_addrs[i],
                          .ai_addrlen = sizeof(answer_addrs[i])};
  }
  answers[0].ai_next = &answers[1];
}

int __real_getaddrinfo(const char *name, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found);
int __wrap_getaddrinfo(const char *name, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found);
int __wrap_getaddrinfo(const char *name, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found) {
  if (strcmp(name, "two.test") != 0) {
    return __real_getaddrinfo(name, service, hints, found);
  }
  *found = answers;
  return 0;
}

void __real_freeaddrinfo(struct addrinfo *found);
void __wrap_freeaddrinfo(struct addrinfo *found);
void __wrap_freeaddrinfo(struct addrinfo *found) {
  if (found != answers) __real_freeaddrinfo(found);
}

/* How often a port of 127.0.0.2 is still taken. */
static int taken;

int __real_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len) {
  struct sockaddr_in in;
  if (len == sizeof(in)) {
    memcpy(&in, addr, sizeof(in));
    if (taken > 0 && in.sin_addr.s_addr == htonl(0x7F000002)) {
      taken--;
      errno = EADDRINUSE;
      return -1;
    }
  }
  return __real_bind(fd, addr, len);
}

static struct rlimit unlimited;

/* Leaves room for `count` more descriptors. */
static void limit_descriptors(int count) {
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &unlimited), 0);
  struct rlimit limit = unlimited;
  const int next = dup(STDERR_FILENO);
  assert_true(next >= 0);
  close(next);
  limit.rlim_cur = (rlim_t)(next + count);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void limit_descriptors_no_more(void) {
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &unlimited), 0);
}

/* -- Threads --------------------------------------------------------------- */

/* The signals of the program are for its own threads. */
static void expect_no_signals(ws_socket *socket, const ws_event *event) {
  (void)event;
  sigset_t mask;
  bool is_deaf = pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 &&
                 sigismember(&mask, SIGINT) == 1 &&
                 sigismember(&mask, SIGUSR1) == 1;
  (void)ws_socket_send_text(socket, is_deaf ? "deaf" : "open", 4);
}

static ws_handlers handlers;

static ws_server_options with_workers(uint32_t workers) {
  ws_handlers_init(&handlers);
  ws_server_options options;
  ws_server_options_init(&options);
  options.workers = workers;
  options.handlers = &handlers;
  return options;
}

static void threads_take_no_signals(void **state) {
  net *n = *state;
  const ws_server_options options = with_workers(1);
  handlers.on_open = expect_no_signals;
  net_serve(n, &options);
  net_end *client = net_connect(n, n->url, NULL);
  NET_UNTIL(n, client->messages == 1);
  assert_last_message(client, "deaf", 4);
}

/* Those that ran already end, and what they leave behind finds nobody. */
static void a_server_whose_threads_cannot_all_be_made_is_none(void **state) {
  net *n = *state;
  const ws_server_options options = with_workers(16);
  for (int room = 0; room < 16; room += 5) {
    ws_server *server;
    ws_error error;
    limit_descriptors(room);
    const int result = ws_server_new(n->loop, &options, &server, &error);
    limit_descriptors_no_more();
    assert_int_equal(result, WS_ERR_SYSTEM);
    net_settle(n);
  }
  assert_false(ws_loop_is_alive(n->loop));
  assert_log(n, "");
}

static void workers_end_with_the_loop_also_without_memory(void **state) {
  (void)state;
  ws_loop *loop;
  ws_server *server;
  const ws_server_options options = with_workers(2);
  assert_int_equal(ws_loop_new(NULL, &loop, NULL), 0);
  assert_int_equal(ws_server_new(loop, &options, &server, NULL), 0);
  has_no_memory = true;
  ws_loop_free(loop);
  has_no_memory = false;
}

/* Its threads are not in the child. */
static void a_child_does_not_wait_for_the_workers_of_its_parent(void **state) {
  net *n = *state;
  const ws_server_options options = with_workers(2);
  net_serve(n, &options);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(PATIENCE_MS / 1000);
    ws_loop_free(n->loop);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  net_end *client = net_connect(n, n->url, NULL);
  NET_UNTIL(n, client->is_open);
  assert_log(client, "open");
}

/* -- Publishing ------------------------------------------------------------ */

typedef struct publication {
  ws_server *server;
  const char *topic;
  int result;
} publication;

static void *publish(void *arg) {
  publication *p = arg;
  p->result =
      ws_server_publish(p->server, p->topic, WS_TEXT, "late", 4, 0, NULL);
  return NULL;
}

static int publish_in_thread(ws_server *server, const char *topic) {
  publication p = {.server = server, .topic = topic};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, publish, &p), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  return p.result;
}

static void publish_late(net *n, net_end *end, const ws_event *event) {
  (void)n, (void)end;
  if (event->type != WS_EVENT_SERVER_CLOSE) return;
  assert_int_equal(publish_in_thread(event->server, NULL), 0);
  assert_int_equal(publish_in_thread(event->server, "topic"), 0);
}

/* The server is gone when the loop comes to the message. */
static void what_is_published_to_the_end_is_for_nobody(void **state) {
  net *n = *state;
  n->on_event = publish_late;
  net_serve(n, NULL);
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
  ws_server_close(n->server, 0, NULL, 0, 0);
  NET_UNTIL(n, n->server == NULL);
  net_finish(n, client);
  assert_log(client, "close 1001 clean");
}

/* malloc() for one thread. */
typedef struct private_memory {
  pthread_t owner;
  bool is_violated;
} private_memory;

static void *private_reallocate(void *ctx, void *ptr, size_t old_size,
                                size_t new_size) {
  (void)old_size;
  private_memory *memory = ctx;
  if (!pthread_equal(memory->owner, pthread_self())) memory->is_violated = true;
  if (new_size > 0) return realloc(ptr, new_size);
  free(ptr);
  return NULL;
}

/* Any thread may publish; the allocator of a loop need not be for any. */
static void the_memory_of_a_loop_is_its_threads_own(void **state) {
  (void)state;
  private_memory memory = {.owner = pthread_self()};
  ws_loop_options options;
  ws_loop_options_init(&options);
  options.allocator = (ws_allocator){private_reallocate, &memory};
  ws_loop *loop;
  ws_server *server;
  assert_int_equal(ws_loop_new(&options, &loop, NULL), 0);
  assert_int_equal(ws_server_new(loop, NULL, &server, NULL), 0);
  assert_int_equal(publish_in_thread(server, NULL), 0);
  assert_int_equal(ws_loop_dispatch(loop, 0), 0);
  ws_loop_free(loop);
  assert_false(memory.is_violated);
}

/* -- Listening ------------------------------------------------------------- */

/* Whether we could listen there alone. */
static bool is_free(uint16_t port) {
  ws__addr addr;
  int fd;
  assert_true(ws__addr_from_ip(&addr, "127.0.0.1", port));
  if (ws__net_listen(&addr, &(ws__listen_options){0}, &fd, &addr, NULL) != 0) {
    return false;
  }
  ws__net_close(fd);
  return true;
}

/* A port on which nobody listens, below those that the system gives to
 * connections: it stays free. */
static uint16_t find_free_port(void) {
  uint16_t port = (uint16_t)(10240 + getpid() % 20000);
  while (!is_free(port))
    port++;
  return port;
}

/* With one descriptor fewer than there are workers. */
static void a_call_that_fails_leaves_nobody_listening(void **state) {
  net *n = *state;
  enum {
    WORKERS = 4
  };
  const ws_server_options options = with_workers(WORKERS);
  ws_server *server;
  ws_error error;
  assert_int_equal(ws_server_new(n->loop, &options, &server, NULL), 0);
  ws_listen_options where;
  ws_listen_options_init(&where);
  where.port = find_free_port();
  limit_descriptors(WORKERS - 1);
  int result = ws_server_listen(server, &where, &error);
  limit_descriptors_no_more();
  assert_int_equal(result, WS_ERR_SYSTEM);
  assert_non_null(strstr(error.message, "127.0.0.1:"));
  assert_true(is_free(where.port));
  assert_int_equal(ws_server_listener_count(server), 0);

  where.unix_path = net_path(n, "socket");
  limit_descriptors(WORKERS - 1);
  result = ws_server_listen(server, &where, &error);
  limit_descriptors_no_more();
  assert_int_equal(result, WS_ERR_SYSTEM);
  assert_string_not_equal(error.message, "");
  assert_int_equal(access(where.unix_path, F_OK), -1);
  assert_int_equal(ws_server_listener_count(server), 0);
}

static void a_call_without_memory_leaves_nobody_listening(void **state) {
  net *n = *state;
  ws_server *server;
  assert_int_equal(ws_server_new(n->loop, NULL, &server, NULL), 0);
  ws_listen_options where;
  ws_listen_options_init(&where);
  where.port = find_free_port();
  has_no_memory = true;
  int result = ws_server_listen(server, &where, NULL);
  has_no_memory = false;
  assert_int_equal(result, WS_ERR_NO_MEMORY);
  assert_true(is_free(where.port));
  for (size_t fails = 0;; fails++) {
    n->alloc.calls = 0;
    n->alloc.fail_at = fails;
    result = ws_server_listen(server, &where, NULL);
    n->alloc.fail_at = SIZE_MAX;
    if (result == 0) break;
    assert_int_equal(result, WS_ERR_NO_MEMORY);
    assert_true(is_free(where.port));
    assert_int_equal(ws_server_listener_count(server), 0);
  }
  assert_int_equal(ws_server_port(server, 0), where.port);
}

static int listen_at_name(ws_server *server, uint16_t port) {
  ws_listen_options where;
  ws_listen_options_init(&where);
  where.host = "two.test";
  where.port = port;
  return ws_server_listen(server, &where, NULL);
}

/* The system chooses one that is free at the first address alone. */
static void a_free_port_is_free_at_all_addresses_of_a_name(void **state) {
  net *n = *state;
  ws_server *server;
  assert_int_equal(ws_server_new(n->loop, NULL, &server, NULL), 0);
  answer_with("127.0.0.1", "127.0.0.2");
  taken = 3;
  assert_int_equal(listen_at_name(server, 0), 0);
  assert_int_equal(taken, 0);
  assert_int_equal(ws_server_listener_count(server), 2);
  assert_int_equal(ws_server_port(server, 0), ws_server_port(server, 1));

  /* If there is never one, the call ends all the same. */
  taken = INT_MAX;
  assert_int_equal(listen_at_name(server, 0), WS_ERR_SYSTEM);
  taken = 1; /* Nor is a port that was asked for exchanged for another. */
  assert_int_equal(listen_at_name(server, find_free_port()), WS_ERR_SYSTEM);
  taken = 0;
  assert_int_equal(ws_server_listener_count(server), 2);
}

/* As /etc/hosts often has it. */
static void an_address_that_a_name_has_twice_is_listened_on_once(void **state) {
  net *n = *state;
  ws_server *server;
  assert_int_equal(ws_server_new(n->loop, NULL, &server, NULL), 0);
  answer_with("127.0.0.1", "127.0.0.1");
  assert_int_equal(listen_at_name(server, 0), 0);
  assert_int_equal(ws_server_listener_count(server), 1);
}

/* Whether it was of use or not. */
static void an_inherited_descriptor_is_taken_over_in_any_case(void **state) {
  net *n = *state;
  ws_server *server;
  assert_int_equal(ws_server_new(n->loop, NULL, &server, NULL), 0);
  ws_listen_options where;
  ws_listen_options_init(&where);
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  for (int i = 0; i < 2; i++) {
    where.fd = ends[i];
    if (i == 1) ws_server_close(server, 0, NULL, 0, 0);
    assert_int_equal(ws_server_listen(server, &where, NULL),
                     i == 0 ? WS_ERR_INVALID_ARGUMENT : WS_ERR_INVALID_STATE);
    assert_int_equal(fcntl(ends[i], F_GETFD), -1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(threads_take_no_signals),
      CASE(a_server_whose_threads_cannot_all_be_made_is_none),
      CASE(workers_end_with_the_loop_also_without_memory),
      CASE(a_child_does_not_wait_for_the_workers_of_its_parent),
      EACH_BACKEND(what_is_published_to_the_end_is_for_nobody),
      CASE(the_memory_of_a_loop_is_its_threads_own),
      CASE(a_call_that_fails_leaves_nobody_listening),
      CASE(a_call_without_memory_leaves_nobody_listening),
      CASE(a_free_port_is_free_at_all_addresses_of_a_name),
      CASE(an_address_that_a_name_has_twice_is_listened_on_once),
      CASE(an_inherited_descriptor_is_taken_over_in_any_case),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
