/* test_client_reach.c - clients that end on the way to their transport: nothing
 * of the way may be left, and nothing be let go of twice. Names are looked up
 * by a getaddrinfo() that the test holds in its hand. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "io/net.h"
#include "raw_peer.h"

/* -- getaddrinfo ----------------------------------------------------------- */

/* While the gate is shut no lookup ends. All find 127.0.0.1, but for the name
 * of a host that has two addresses. */
#define TWO "two.test"

static struct {
  pthread_mutex_t lock;
  pthread_cond_t opened;
  bool is_open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true};

static void set_gate(bool is_open) {
  pthread_mutex_lock(&gate.lock);
  gate.is_open = is_open;
  pthread_cond_broadcast(&gate.opened);
  pthread_mutex_unlock(&gate.lock);
}

int __real_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out) {
  pthread_mutex_lock(&gate.lock);
  while (!gate.is_open)
    pthread_cond_wait(&gate.opened, &gate.lock);
  pthread_mutex_unlock(&gate.lock);
  if (strcmp(host, TWO) != 0) {
    return __real_getaddrinfo("127.0.0.1", service, hints, out);
  }
  struct addrinfo *second;
  int err = __real_getaddrinfo("127.0.0.3", service, hints, &second);
  if (err != 0) return err;
  err = __real_getaddrinfo("127.0.0.2", service, hints, out);
  if (err == 0) {
    (*out)->ai_next = second;
  } else {
    freeaddrinfo(second);
  }
  return err;
}

/* -- Descriptors ----------------------------------------------------------- */

enum {
  MAX_OWN = 64
};

/* What the application opens in its handlers; descriptors get the numbers that
 * have become free. */
typedef struct belongings {
  int fds[MAX_OWN];
  int count;
} belongings;

static void open_more(net *n, net_end *end, const ws_event *event) {
  (void)end;
  belongings *own = n->arg;
  if (event->type != WS_EVENT_CLOSE && event->type != WS_EVENT_RECONNECT) {
    return;
  }
  for (int i = 0; i < 4 && own->count < MAX_OWN; i++) {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    own->fds[own->count++] = fd;
  }
}

static void assert_untouched(net *n, const belongings *own) {
  n->on_event = NULL;
  n->arg = NULL;
  for (int i = 0; i < own->count; i++)
    assert_int_equal(close(own->fds[i]), 0);
}

/* -- The ways -------------------------------------------------------------- */

/* On a machine that is busy an attempt may end before it has got anywhere. */
static ws_socket_options impatient(ws_conn_options *conn, const char *proxy) {
  ws_conn_options_init(conn);
  conn->handshake_timeout = 30;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = conn;
  options.proxy = proxy;
  return options;
}

typedef enum leaving {
  CLOSE,
  TERMINATE,
  TIME_OUT,
  LEAVINGS
} leaving;

/* The proxy takes the connection and says nothing. */
static void a_descriptor_is_closed_once(void **state) {
  net *n = *state;
  belongings own = {.count = 0};
  n->on_event = open_more;
  n->arg = &own;
  for (int how = 0; how < LEAVINGS; how++) {
    raw *proxy = raw_listen(n);
    char text[64];
    snprintf(text, sizeof(text), "http://127.0.0.1:%u", proxy->port);
    ws_conn_options conn;
    ws_socket_options options = impatient(&conn, text);
    if (how != TIME_OUT) conn.handshake_timeout = WS_NEVER;
    net_end *end = net_connect(n, "ws://target.test/", &options);
    if (how != TIME_OUT) raw_head(raw_accept(proxy));
    if (how == CLOSE) ws_socket_close(end->socket, 0, NULL, 0);
    if (how == TERMINATE) ws_socket_terminate(end->socket);
    net_finish(n, end);
  }
  assert_untouched(n, &own);
}

/* Each attempt is given up at the proxy; the next one begins at the start. */
static void attempts_leave_nothing_to_the_next(void **state) {
  net *n = *state;
  belongings own = {.count = 0};
  n->on_event = open_more;
  n->arg = &own;
  raw *proxy = raw_listen(n);
  char text[64];
  snprintf(text, sizeof(text), "http://127.0.0.1:%u", proxy->port);
  ws_conn_options conn;
  ws_socket_options options = impatient(&conn, text);
  options.reconnect = true;
  options.reconnect_min = options.reconnect_max = 1;
  options.reconnect_attempts = 2;
  net_end *end = net_connect(n, "ws://target.test/", &options);
  net_finish(n, end);
  assert_log(end,
             "reconnect 1, reconnect 2, error HANDSHAKE_TIMEOUT, close 1006 "
             "unclean");
  assert_untouched(n, &own);
}

/* Lookups that end long after their attempts find nobody. */
static void late_answers_are_for_nobody(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  char url[64];
  snprintf(url, sizeof(url), "ws://slow.test:%u/", n->port);
  ws_conn_options conn;
  ws_socket_options options = impatient(&conn, "");
  options.reconnect = true;
  options.reconnect_min = options.reconnect_max = 1;
  set_gate(false);
  net_end *end = net_connect(n, url, &options);
  net_end *other = net_connect(n, url, &options);
  NET_UNTIL(n, strstr(transcript_text(&end->log), "reconnect 2") != NULL);
  NET_UNTIL(n, strstr(transcript_text(&other->log), "reconnect 2") != NULL);
  ws_socket_close(other->socket, 0, NULL, 0);
  net_finish(n, other);
  set_gate(true);
  NET_UNTIL(n, end->is_open);
}

/* A listener whose backlog is full answers nobody. */
static raw *listen_but_never_answer(net *n, int crowd[], size_t count) {
  raw *listener = raw_listen(n);
  assert_int_equal(listen(listener->fd, 0), 0);
  ws__addr addr;
  assert_true(ws__addr_from_ip(&addr, "127.0.0.1", listener->port));
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(ws__net_connect(&addr, &crowd[i]), 0);
    if (i == 0) net_wait_for(n, listener->fd, POLLIN);
  }
  assert_int_equal(ws__net_connect_result(crowd[count - 1]), EINPROGRESS);
  return listener;
}

static void hanging_attempts_are_given_up(void **state) {
  net *n = *state;
  int crowd[4];
  raw *listener = listen_but_never_answer(n, crowd, COUNT(crowd));
  belongings own = {.count = 0};
  n->on_event = open_more;
  n->arg = &own;
  ws_conn_options conn;
  ws_socket_options options = impatient(&conn, "");
  options.reconnect = true;
  options.reconnect_min = options.reconnect_max = 1;
  options.reconnect_attempts = 2;
  char url[64];
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", listener->port);
  const int descriptors = net_descriptors();
  net_end *end = net_connect(n, url, &options);
  net_finish(n, end);
  assert_log(end,
             "reconnect 1, reconnect 2, error HANDSHAKE_TIMEOUT, close 1006 "
             "unclean");
  assert_untouched(n, &own);
  net_assert_descriptors(descriptors);
  for (size_t i = 0; i < COUNT(crowd); i++)
    close(crowd[i]);
}

/* -- A SOCKS5 proxy, and a target with two addresses ----------------------- */

static net_end *connect_to_two(net *n, const raw *proxy) {
  char text[64];
  snprintf(text, sizeof(text), "socks5://127.0.0.1:%u", proxy->port);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.proxy = text;
  return net_connect(n, "ws://" TWO ":81/", &options);
}

/* Takes the request to connect to 127.0.0.`last`, and answers it. */
static raw *take_socks_request(raw *proxy, uint8_t last, uint8_t code) {
  raw *peer = raw_accept(proxy);
  assert_memory_equal(raw_read(peer, 3), "\x05\x01\x00", 3);
  raw_write(peer, BYTES(5, 0));
  const uint8_t request[] = {5, 1, 0, 1, 127, 0, 0, last, 0, 81};
  assert_memory_equal(raw_read(peer, sizeof(request)), request,
                      sizeof(request));
  raw_write(peer, BYTES(5, code, 0, 1, 0, 0, 0, 0, 0, 0));
  return peer;
}

enum {
  SUCCEEDED = 0,
  NOT_ALLOWED = 2,
  UNREACHABLE = 4,
  REFUSED = 5
};

static void
a_socks5_proxy_is_asked_for_one_address_after_the_other(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  net_end *end = connect_to_two(n, proxy);
  assert_raw_ended(take_socks_request(proxy, 2, REFUSED));
  raw_upgrade(take_socks_request(proxy, 3, SUCCEEDED), NULL);
  NET_UNTIL(n, end->is_open);
  assert_log(end, "open");
}

static void the_answer_for_the_last_address_counts(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  net_end *end = connect_to_two(n, proxy);
  take_socks_request(proxy, 2, UNREACHABLE);
  take_socks_request(proxy, 3, REFUSED);
  net_finish(n, end);
  assert_log(end, "error PROXY, close 1006 unclean");
  assert_non_null(strstr(end->cause_text, "connection refused"));
}

/* What the proxy does not want, it is asked for once. */
static void a_socks5_proxy_that_forbids_is_believed(void **state) {
  net *n = *state;
  raw *proxy = raw_listen(n);
  net_end *end = connect_to_two(n, proxy);
  take_socks_request(proxy, 2, NOT_ALLOWED);
  net_finish(n, end);
  assert_log(end, "error PROXY, close 1006 unclean");
  assert_non_null(strstr(end->cause_text, "not allowed"));
  assert_false(raw_has_visitor(proxy));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(a_descriptor_is_closed_once),
      CASE(attempts_leave_nothing_to_the_next),
      EACH_BACKEND(late_answers_are_for_nobody),
      EACH_BACKEND(hanging_attempts_are_given_up),
      CASE(a_socks5_proxy_is_asked_for_one_address_after_the_other),
      CASE(the_answer_for_the_last_address_counts),
      CASE(a_socks5_proxy_that_forbids_is_believed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
