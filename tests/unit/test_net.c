/* test_net.c - addresses, and sockets on the loopback. The system calls of
 * net.c go through this program (see test_fault.h).
 *
 * test_net_portable.c runs the same with what is for systems without accept4.
 */
#ifndef _GNU_SOURCE
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#endif
#include "io/net.h"
#include "test.h"
#include "test_fault.h"

#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

FAULT_WRAP(int, socket, (int family, int type, int protocol),
           (family, type, protocol))
FAULT_WRAP(int, setsockopt,
           (int fd, int level, int name, const void *value, socklen_t len),
           (fd, level, name, value, len))
FAULT_WRAP(int, getsockopt,
           (int fd, int level, int name, void *value, socklen_t *len),
           (fd, level, name, value, len))
FAULT_WRAP(int, connect, (int fd, const struct sockaddr *addr, socklen_t len),
           (fd, addr, len))
FAULT_WRAP(int, bind, (int fd, const struct sockaddr *addr, socklen_t len),
           (fd, addr, len))
FAULT_WRAP(int, listen, (int fd, int backlog), (fd, backlog))
FAULT_WRAP(int, getsockname, (int fd, struct sockaddr *addr, socklen_t *len),
           (fd, addr, len))
FAULT_WRAP(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *len),
           (fd, addr, len))
FAULT_WRAP(int, unlink, (const char *path), (path))
FAULT_WRAP(int, chmod, (const char *path, mode_t mode), (path, mode))
FAULT_WRAP(int, shutdown, (int fd, int how), (fd, how))
FAULT_WRAP(ssize_t, recv, (int fd, void *data, size_t len, int flags),
           (fd, data, len, flags))
FAULT_WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags),
           (fd, message, flags))
FAULT_WRAP(ssize_t, send, (int fd, const void *data, size_t len, int flags),
           (fd, data, len, flags))
FAULT_WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
           (fd, message, flags))

/* accept() and accept4() go by one name, so that a test need not know which of
 * them is in use. */
int __real_accept(int fd, struct sockaddr *addr, socklen_t *len);
int __wrap_accept(int fd, struct sockaddr *addr, socklen_t *len);
int __wrap_accept(int fd, struct sockaddr *addr, socklen_t *len) {
  return fault_hits("accept") ? fault.answer : __real_accept(fd, addr, len);
}

#ifdef SOCK_CLOEXEC
int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags) {
  return fault_hits("accept") ? fault.answer
                              : __real_accept4(fd, addr, len, flags);
}
#endif

/* Only what sets something fails; the test itself asks with fcntl(). */
int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...) {
  if (command == F_GETFD || command == F_GETFL)
    return __real_fcntl(fd, command);
  va_list args;
  va_start(args, command);
  const int value = va_arg(args, int);
  va_end(args);
  return fault_hits("fcntl") ? fault.answer : __real_fcntl(fd, command, value);
}

/* A close() that "fails" has closed all the same. */
static unsigned closes;
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
  closes++;
  const int answer = __real_close(fd);
  return fault_hits("close") ? fault.answer : answer;
}

/* -- Helpers --------------------------------------------------------------- */

/* Nothing here takes long; this only ends a test that would hang. */
#ifndef PATIENCE_MS
#define PATIENCE_MS 10000
#endif

static char folder[] = "/tmp/ws_test_net_XXXXXX";

static ws__addr ip(const char *host, uint16_t port) {
  ws__addr addr;
  assert_true(ws__addr_from_ip(&addr, host, port));
  return addr;
}

/* A path in the test's own folder. */
static ws__addr path_addr(const char *name) {
  char path[64];
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  ws__addr addr;
  assert_int_equal(ws__addr_from_path(&addr, path), 0);
  return addr;
}

static void assert_text(const ws__addr *addr, const char *expected) {
  char text[WS__ADDR_TEXT_SIZE];
  assert_string_equal(ws__addr_format(addr, text), expected);
}

static void assert_same_addr(const ws__addr *a, const ws__addr *b) {
  char text[WS__ADDR_TEXT_SIZE];
  assert_text(a, ws__addr_format(b, text));
}

static bool has_ipv6(void) {
  const ws__addr addr = ip("::1", 0);
  const int fd = socket(AF_INET6, SOCK_STREAM, 0);
  const bool is_there = fd >= 0 && bind(fd, &addr.as.any, addr.len) == 0;
  if (fd >= 0) close(fd);
  return is_there;
}

/* The addresses every kind of socket is tried on. */
enum {
  MAX_KINDS = 3
};
static size_t kinds(ws__addr out[MAX_KINDS]) {
  size_t count = 0;
  out[count++] = ip("127.0.0.1", 0);
  out[count++] = path_addr("socket");
  if (has_ipv6()) out[count++] = ip("::1", 0);
  return count;
}

static int wait_for(int fd, short events) {
  struct pollfd entry = {.fd = fd, .events = events};
  assert_int_equal(poll(&entry, 1, PATIENCE_MS), 1);
  return fd;
}

static int listen_with(ws__addr addr, ws__listen_options options,
                       ws__addr *out_addr) {
  int fd;
  char detail[WS__DETAIL_SIZE] = "";
  const int error = ws__net_listen(&addr, &options, &fd, out_addr, detail);
  if (error != 0) print_error("%s\n", detail);
  assert_int_equal(error, 0);
  return fd;
}

static int listen_at(ws__addr addr, ws__addr *out_addr) {
  return listen_with(addr, (ws__listen_options){0}, out_addr);
}

static int connect_to(const ws__addr *addr) {
  int fd;
  assert_int_equal(ws__net_connect(addr, &fd), 0);
  assert_int_equal(ws__net_connect_result(wait_for(fd, POLLOUT)), 0);
  return fd;
}

static int accept_from(int listener, ws__addr *out_peer) {
  int fd;
  wait_for(listener, POLLIN);
  assert_int_equal(ws__net_accept(listener, &fd, out_peer), WS__ACCEPT_OK);
  return fd;
}

/* A connection: [0] and [1] are its ends. */
static void make_pair(int ends[2]) {
  ws__addr addr, peer;
  const int listener = listen_at(ip("127.0.0.1", 0), &addr);
  ends[0] = connect_to(&addr);
  ends[1] = accept_from(listener, &peer);
  ws__net_close(listener);
}

static void close_pair(const int ends[2]) {
  ws__net_close(ends[0]);
  ws__net_close(ends[1]);
}

static int option_of(int fd, int level, int name) {
  int value;
  socklen_t len = sizeof(value);
  assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
  return value;
}

static void assert_ours(int fd) {
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void send_text(int fd, const char *text) {
  size_t sent;
  assert_int_equal(ws__net_send(fd, text, strlen(text), &sent), WS__IO_OK);
  assert_int_equal(sent, strlen(text));
}

static void assert_receives(int fd, const char *text) {
  char *data = malloc(strlen(text));
  size_t len;
  wait_for(fd, POLLIN);
  assert_int_equal(ws__net_recv(fd, data, strlen(text), &len), WS__IO_OK);
  assert_int_equal(len, strlen(text));
  assert_memory_equal(data, text, len);
  free(data);
}

/* Every test begins without a fault and ends with the descriptors it had. */
static int descriptors_before;

static int set_up(void **state) {
  (void)state;
  fault_clear();
  descriptors_before = count_descriptors();
  return 0;
}

static int check_descriptors(void **state) {
  (void)state;
  fault_clear();
  assert_int_equal(count_descriptors(), descriptors_before);
  return 0;
}

/* -- Addresses ------------------------------------------------------------- */

static void ip_literals_are_read_and_written(void **state) {
  (void)state;
  static const struct {
    const char *host;
    uint16_t port;
    const char *text;
  } cases[] = {
      {"1.2.3.4", 80, "1.2.3.4:80"},
      {"0.0.0.0", 0, "0.0.0.0:0"},
      {"255.255.255.255", 65535, "255.255.255.255:65535"},
      {"::1", 80, "[::1]:80"},
      {"[::1]", 80, "[::1]:80"},
      {"::", 0, "[::]:0"},
      {"2001:DB8:0:0:0:0:0:1", 443, "[2001:db8::1]:443"},
      {"::ffff:1.2.3.4", 80, "[::ffff:1.2.3.4]:80"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 1,
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1"},
      {"fe80::1%4294967295", 80, "[fe80::1%4294967295]:80"},
      {"[fe80::1%7]", 80, "[fe80::1%7]:80"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    const ws__addr addr = ip(cases[i].host, cases[i].port);
    assert_text(&addr, cases[i].text);
    assert_int_equal(ws__addr_port(&addr), cases[i].port);
  }
}

/* As a proxy or a certificate is asked for it. */
static void the_host_of_an_address_stands_alone(void **state) {
  (void)state;
  char text[WS__ADDR_TEXT_SIZE];
  static const struct {
    const char *host;
    const char *text;
  } cases[] = {
      {"1.2.3.4", "1.2.3.4"},
      {"[::1]", "::1"},
      {"2001:DB8::1", "2001:db8::1"},
      {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
      {"fe80::1%4294967295", "fe80::1%4294967295"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295",
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    const ws__addr addr = ip(cases[i].host, 80);
    assert_ptr_equal(ws__addr_host(&addr, text), text);
    assert_string_equal(text, cases[i].text);
  }
  const ws__addr path = path_addr("socket");
  assert_string_equal(ws__addr_host(&path, text), "");
  const ws__addr unknown = {0};
  assert_string_equal(ws__addr_host(&unknown, text), "");
}

static void what_is_no_ip_literal_is_left_alone(void **state) {
  (void)state;
  static const char *const hosts[] = {
      "",
      "localhost",
      "1.2.3",
      "1.2.3.4.5",
      "127.1",
      "0x7f000001",
      "2130706433",
      "256.1.1.1",
      "01.2.3.4",
      "1.2.3.4 ",
      "[1.2.3.4]",
      "[::1",
      "::1]",
      "[]",
      "[",
      ":",
      ":::",
      "1::2::3",
      "::1%",
      "::1%0",
      "::1%7x",
      "::1%no-if",
      "::1%4294967296",
      "1.2.3.4%7",
      "fe80::1%99999999999999999999",
      "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%interface-name-too-long",
  };
  for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
    ws__addr addr = {.len = 77};
    char *host = strdup(hosts[i]);
    assert_false(ws__addr_from_ip(&addr, host, 80));
    assert_int_equal(addr.len, 77);
    free(host);
  }
}

static void the_zone_may_be_the_name_of_an_interface(void **state) {
  (void)state;
  char name[IF_NAMESIZE], host[64];
  if (if_indextoname(1, name) == NULL) skip(); /* No loopback interface. */
  snprintf(host, sizeof(host), "fe80::1%%%s", name);
  const ws__addr addr = ip(host, 80);
  assert_text(&addr, "[fe80::1%1]:80");
}

static void a_unix_path_must_fit(void **state) {
  (void)state;
  ws__addr addr;
  enum {
    SIZE = sizeof(addr.as.un.sun_path)
  };
  assert_int_equal(ws__addr_from_path(&addr, ""), EINVAL);

  char path[SIZE + 1];
  memset(path, 'p', SIZE);
  path[SIZE] = '\0';
  assert_int_equal(ws__addr_from_path(&addr, path), ENAMETOOLONG);
  path[SIZE - 1] = '\0';
  assert_int_equal(ws__addr_from_path(&addr, path), 0);

  char expected[WS__ADDR_TEXT_SIZE];
  snprintf(expected, sizeof(expected), "unix:%s", path);
  assert_text(&addr, expected);
  assert_int_equal(ws__addr_port(&addr), 0);
  ws__addr_set_port(&addr, 80);
  assert_text(&addr, expected);
}

static void
addresses_from_the_system_are_written_whatever_they_are(void **state) {
  (void)state;
  ws__addr addr = {.len = sizeof(sa_family_t)};
  addr.as.any.sa_family = AF_UNIX;
  assert_text(&addr, "unix:"); /* The unnamed end of a connection. */

  /* A path that fills all room, without NUL; what lies behind is not read. */
  memset(&addr.as, 'x', sizeof(addr.as));
  addr.as.any.sa_family = AF_UNIX;
  addr.len = sizeof(addr.as.un);
  char text[WS__ADDR_TEXT_SIZE];
  ws__addr_format(&addr, text);
  assert_int_equal(strlen(text), strlen("unix:") + sizeof(addr.as.un.sun_path));

  addr.as.any.sa_family = AF_UNSPEC;
  assert_text(&addr, "unknown");
}

static void errno_values_have_words(void **state) {
  (void)state;
  char text[WS__DETAIL_SIZE];
  assert_string_equal(ws__errno_text(ECONNREFUSED, text),
                      strerror(ECONNREFUSED));
  assert_non_null(strstr(ws__errno_text(99999, text), "99999"));
}

/* -- Connections ----------------------------------------------------------- */

static void two_ends_of_each_kind_of_socket_talk(void **state) {
  (void)state;
  ws__addr addrs[MAX_KINDS];
  const size_t count = kinds(addrs);
  for (size_t i = 0; i < count; i++) {
    ws__addr addr, peer, other;
    const int listener = listen_at(addrs[i], &addr);
    const int client = connect_to(&addr);
    const int server = accept_from(listener, &peer);
    assert_ours(listener);
    assert_ours(client);
    assert_ours(server);

    assert_int_equal(ws__net_local_addr(client, &other), 0);
    assert_same_addr(&peer, &other);
    assert_int_equal(ws__net_peer_addr(client, &other), 0);
    assert_same_addr(&addr, &other);
    if (addr.as.any.sa_family != AF_UNIX) {
      assert_int_not_equal(ws__addr_port(&addr), 0);
      assert_true(option_of(client, IPPROTO_TCP, TCP_NODELAY));
      assert_true(option_of(server, IPPROTO_TCP, TCP_NODELAY));
    }

    send_text(client, "ping");
    assert_receives(server, "ping");
    send_text(server, "pong");
    assert_receives(client, "pong");
    ws__net_close(client);
    ws__net_close(server);
    ws__net_unlink(&addr);
    ws__net_close(listener);
  }
}

/* Row 97. */
static void a_closed_port_refuses(void **state) {
  (void)state;
  /* Bound but not listening: nobody else gets the port meanwhile. */
  ws__addr addr = ip("127.0.0.1", 0);
  const int holder = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(holder, &addr.as.any, addr.len), 0);
  assert_int_equal(ws__net_local_addr(holder, &addr), 0);

  int fd = -1;
  int error = ws__net_connect(&addr, &fd);
  if (error == 0) {
    error = ws__net_connect_result(wait_for(fd, POLLOUT));
    ws__net_close(fd);
  }
  assert_int_equal(error, ECONNREFUSED);
  close(holder);

  addr = path_addr("nobody");
  assert_int_equal(ws__net_connect(&addr, &fd), ENOENT);
}

static void an_undecided_connection_is_in_progress(void **state) {
  (void)state;
  /* What a backlog cannot take stays without an answer. */
  enum {
    CLIENTS = 8
  };
  ws__addr addr;
  const int listener = listen_with(ip("127.0.0.1", 0),
                                   (ws__listen_options){.backlog = 1}, &addr);
  int clients[CLIENTS];
  assert_int_equal(listen(listener, 0), 0);
  for (int i = 0; i < CLIENTS; i++) {
    assert_int_equal(ws__net_connect(&addr, &clients[i]), 0);
    if (i == 0) wait_for(listener, POLLIN);
  }
  assert_int_equal(ws__net_connect_result(wait_for(clients[0], POLLOUT)), 0);
  assert_int_equal(ws__net_connect_result(clients[CLIENTS - 1]), EINPROGRESS);
  for (int i = 0; i < CLIENTS; i++)
    ws__net_close(clients[i]);
  ws__net_close(listener);
}

static void an_interrupted_connect_goes_on(void **state) {
  (void)state;
  ws__addr addr;
  const int listener = listen_at(ip("127.0.0.1", 0), &addr);
  fault_set("connect", EINTR);
  int fd;
  assert_int_equal(ws__net_connect(&addr, &fd), 0);
  assert_int_equal(fault.hits, 1);
  ws__net_close(fd);
  ws__net_close(listener);
}

/* -- Listeners ------------------------------------------------------------- */

static void the_any_address_of_ipv6_takes_ipv4_as_ipv4(void **state) {
  (void)state;
  if (!has_ipv6()) skip();
  ws__addr addr, peer, local;
  const int listener = listen_at(ip("::", 0), &addr);
  const ws__addr ipv4 = ip("127.0.0.1", ws__addr_port(&addr));
  const int client = connect_to(&ipv4);
  const int server = accept_from(listener, &peer);
  assert_int_equal(ws__net_local_addr(client, &local), 0);
  assert_int_equal(peer.as.any.sa_family, AF_INET);
  assert_same_addr(&peer, &local);
  ws__net_close(server);
  ws__net_close(client);
  ws__net_close(listener);
}

static void other_ipv6_addresses_take_ipv6_only(void **state) {
  (void)state;
  if (!has_ipv6()) skip();
  ws__addr addr;
  int listener = listen_at(ip("::1", 0), &addr);
  assert_true(option_of(listener, IPPROTO_IPV6, IPV6_V6ONLY));
  ws__net_close(listener);
  listener = listen_at(ip("::", 0), &addr);
  assert_false(option_of(listener, IPPROTO_IPV6, IPV6_V6ONLY));
  ws__net_close(listener);
}

static void a_port_is_shared_only_when_asked_for(void **state) {
  (void)state;
  const ws__listen_options sharing = {.reuse_port = true};
  ws__addr addr, other;
  const int first = listen_with(ip("127.0.0.1", 0), sharing, &addr);
  const int second = listen_with(addr, sharing, &other);
  assert_same_addr(&addr, &other);

  int fd;
  char detail[WS__DETAIL_SIZE], expected[WS__DETAIL_SIZE];
  assert_int_equal(
      ws__net_listen(&addr, &(ws__listen_options){0}, &fd, &other, detail),
      EADDRINUSE);
  snprintf(expected, sizeof(expected), "127.0.0.1:%u: %s",
           (unsigned)ws__addr_port(&addr), strerror(EADDRINUSE));
  assert_string_equal(detail, expected);
  ws__net_close(first);
  ws__net_close(second);
}

static void a_port_can_be_taken_again_at_once(void **state) {
  (void)state;
  ws__addr addr, peer;
  int listener = listen_at(ip("127.0.0.1", 0), &addr);
  const int client = connect_to(&addr);
  /* The end that closes first leaves TIME_WAIT behind. */
  ws__net_close(accept_from(listener, &peer));
  ws__net_close(listener);
  ws__net_close(client);
  listener = listen_at(addr, &peer);
  ws__net_close(listener);
}

/* Row 351. */
static void the_file_of_a_dead_unix_listener_is_replaced(void **state) {
  (void)state;
  ws__addr addr;
  int listener = listen_at(path_addr("stale"), &addr);
  ws__net_close(listener); /* As a process that died leaves it. */
  assert_int_equal(access(addr.as.un.sun_path, F_OK), 0);

  fault_set("unlink", EACCES);
  int fd;
  char detail[WS__DETAIL_SIZE];
  assert_int_equal(
      ws__net_listen(&addr, &(ws__listen_options){0}, &fd, &addr, detail),
      EACCES);

  listener = listen_at(addr, &addr);
  ws__net_close(connect_to(&addr));
  ws__net_unlink(&addr);
  assert_int_not_equal(access(addr.as.un.sun_path, F_OK), 0);
  ws__net_close(listener);
}

static void what_is_no_dead_unix_listener_is_not_touched(void **state) {
  (void)state;
  const ws__listen_options options = {0};
  ws__addr addr, other;
  int fd;
  char detail[WS__DETAIL_SIZE];
  const int listener = listen_at(path_addr("live"), &addr);
  assert_int_equal(ws__net_listen(&addr, &options, &fd, &other, detail),
                   EADDRINUSE);
  ws__net_close(connect_to(&addr)); /* It still answers. */
  ws__net_unlink(&addr);
  ws__net_close(listener);

  const ws__addr file = path_addr("file");
  close(open(file.as.un.sun_path, O_CREAT | O_WRONLY, 0600));
  assert_int_equal(ws__net_listen(&file, &options, &fd, &other, detail),
                   EADDRINUSE);
  assert_int_equal(unlink(file.as.un.sun_path), 0);

  const ws__addr nowhere = path_addr("no/folder");
  assert_int_equal(ws__net_listen(&nowhere, &options, &fd, &other, detail),
                   ENOENT);
}

static void the_file_of_a_unix_listener_gets_its_mode(void **state) {
  (void)state;
  static const mode_t modes[] = {0600, 0666, 0777};
  for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
    ws__addr addr;
    const int listener = listen_with(
        path_addr("mode"), (ws__listen_options){.unix_mode = modes[i]}, &addr);
    struct stat file;
    assert_int_equal(stat(addr.as.un.sun_path, &file), 0);
    assert_int_equal(file.st_mode & 0777, modes[i]);
    ws__net_unlink(&addr);
    ws__net_close(listener);
  }
}

static void a_listener_that_fails_half_way_leaves_no_file(void **state) {
  (void)state;
  static const char *const calls[] = {"chmod", "listen", "getsockname"};
  const ws__addr addr = path_addr("half");
  const ws__listen_options options = {.unix_mode = 0600};
  for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
    fault_set(calls[i], EIO);
    int fd = -1;
    ws__addr local;
    char detail[WS__DETAIL_SIZE];
    assert_int_equal(ws__net_listen(&addr, &options, &fd, &local, detail), EIO);
    assert_int_equal(fault.hits, 1);
    assert_int_equal(fd, -1);
    assert_int_not_equal(access(addr.as.un.sun_path, F_OK), 0);
  }
}

/* -- Accepting ------------------------------------------------------------- */

static void connections_that_broke_before_are_passed_over(void **state) {
  (void)state;
  static const int errors[] = {EINTR,        ECONNABORTED, EPROTO,
                               EPERM,        ENETDOWN,     ENETUNREACH,
                               EHOSTUNREACH, ETIMEDOUT,    ENOPROTOOPT};
  ws__addr addr, peer;
  int fd;
  const int listener = listen_at(ip("127.0.0.1", 0), &addr);
  assert_int_equal(ws__net_accept(listener, &fd, &peer), WS__ACCEPT_AGAIN);
  for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
    const int client = connect_to(&addr);
    wait_for(listener, POLLIN);
    fault_set("accept", errors[i]);
    fault.times = 3;
    const int server = accept_from(listener, &peer);
    assert_int_equal(fault.hits, 3);
    ws__net_close(server);
    ws__net_close(client);
  }

  /* Not for ever. */
  fault_set("accept", ECONNABORTED);
  fault.times = UINT_MAX;
  assert_int_equal(ws__net_accept(listener, &fd, &peer), WS__ACCEPT_AGAIN);
  assert_true(fault.hits <= 100);
  ws__net_close(listener);
}

static void a_lack_of_descriptors_or_memory_is_told_apart(void **state) {
  (void)state;
  static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
  ws__addr addr, peer;
  const int listener = listen_at(ip("127.0.0.1", 0), &addr);
  const int client = connect_to(&addr);
  wait_for(listener, POLLIN);
  for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
    int fd;
    fault_set("accept", errors[i]);
    assert_int_equal(ws__net_accept(listener, &fd, &peer),
                     WS__ACCEPT_EXHAUSTED);
    assert_int_equal(errno, errors[i]);
  }
  ws__net_close(accept_from(listener, &peer));
  ws__net_close(client);
  ws__net_close(listener);
}

static void
a_connection_waits_while_the_process_has_no_descriptors(void **state) {
  (void)state;
#ifdef UNDER_VALGRIND /* It has the connection accepted, and closes it. */
  skip();
#endif
  ws__addr addr, peer;
  const int listener = listen_at(ip("127.0.0.1", 0), &addr);
  const int client = connect_to(&addr);
  wait_for(listener, POLLIN);

  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = 0;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  int fd, other_fd;
  const ws__accept_status status = ws__net_accept(listener, &fd, &peer);
  const int error = errno;
  const int connect_error = ws__net_connect(&addr, &other_fd);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

  assert_int_equal(status, WS__ACCEPT_EXHAUSTED);
  assert_int_equal(error, EMFILE);
  assert_int_equal(connect_error, EMFILE);
  ws__net_close(accept_from(listener, &peer));
  ws__net_close(client);
  ws__net_close(listener);
}

static void a_broken_listener_is_an_error(void **state) {
  (void)state;
  int fd;
  ws__addr peer;
  assert_int_equal(ws__net_accept(-1, &fd, &peer), WS__ACCEPT_ERROR);
  assert_int_equal(errno, EBADF);
}

/* -- Transfers ------------------------------------------------------------- */

static void an_empty_socket_and_a_full_one_say_again(void **state) {
  (void)state;
  static char block[65536];
  int ends[2];
  make_pair(ends);
  size_t len;
  assert_int_equal(ws__net_recv(ends[1], block, sizeof(block), &len),
                   WS__IO_AGAIN);

  size_t sent = 0, received = 0;
  ws__io status;
  while ((status = ws__net_send(ends[0], block, sizeof(block), &len)) ==
         WS__IO_OK)
    sent += len;
  assert_int_equal(status, WS__IO_AGAIN);
  struct iovec slice = {block, sizeof(block)};
  assert_int_equal(ws__net_sendv(ends[0], &slice, 1, &len), WS__IO_AGAIN);
  assert_int_equal(ws__net_recvv(ends[0], &slice, 1, &len), WS__IO_AGAIN);

  assert_int_equal(ws__net_shutdown(ends[0]), 0);
  for (;;) {
    wait_for(ends[1], POLLIN);
    status = ws__net_recv(ends[1], block, sizeof(block), &len);
    if (status != WS__IO_OK) break;
    received += len;
  }
  assert_int_equal(status, WS__IO_EOF);
  assert_int_equal(received, sent);
  close_pair(ends);
}

static void half_a_connection_can_be_shut(void **state) {
  (void)state;
  int ends[2];
  make_pair(ends);
  send_text(ends[0], "last words");
  assert_int_equal(ws__net_shutdown(ends[0]), 0);
  assert_receives(ends[1], "last words");
  char byte;
  size_t len;
  wait_for(ends[1], POLLIN);
  assert_int_equal(ws__net_recv(ends[1], &byte, 1, &len), WS__IO_EOF);
  struct iovec slice = {&byte, 1};
  assert_int_equal(ws__net_recvv(ends[1], &slice, 1, &len), WS__IO_EOF);
  send_text(ends[1], "answer");
  assert_receives(ends[0], "answer");

  /* The default action of SIGPIPE would end this program. */
  assert_int_equal(ws__net_send(ends[0], "x", 1, &len), WS__IO_ERROR);
  assert_int_equal(errno, EPIPE);
  assert_int_equal(ws__net_sendv(ends[0], &slice, 1, &len), WS__IO_ERROR);
  assert_int_equal(errno, EPIPE);
  close_pair(ends);
}

static void a_reset_is_an_error_and_no_end(void **state) {
  (void)state;
  int ends[2];
  make_pair(ends);
  const struct linger reset = {.l_onoff = 1};
  assert_int_equal(
      setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
  ws__net_close(ends[0]);
  wait_for(ends[1], POLLIN);
  char byte;
  size_t len;
  assert_int_equal(ws__net_recv(ends[1], &byte, 1, &len), WS__IO_ERROR);
  assert_int_equal(errno, ECONNRESET);
  ws__net_close(ends[1]);
}

static void slices_arrive_in_order_however_many_there_are(void **state) {
  (void)state;
  enum {
    SLICES = 1500
  };
  int ends[2];
  make_pair(ends);
  uint8_t bytes[SLICES], got[SLICES];
  struct iovec slices[SLICES];
  for (size_t i = 0; i < SLICES; i++) {
    bytes[i] = (uint8_t)(i * 7 + i / 256);
    slices[i] = (struct iovec){&bytes[i], 1};
  }
  size_t sent = 0, received = 0, len;
  while (sent < SLICES) {
    assert_int_equal(ws__net_sendv(ends[0], slices + sent, SLICES - sent, &len),
                     WS__IO_OK);
    sent += len;
  }
  while (received < SLICES) {
    wait_for(ends[1], POLLIN);
    assert_int_equal(
        ws__net_recv(ends[1], got + received, SLICES - received, &len),
        WS__IO_OK);
    received += len;
  }
  assert_memory_equal(got, bytes, SLICES);
  close_pair(ends);
}

static void slices_are_filled_in_order(void **state) {
  (void)state;
  int ends[2];
  make_pair(ends);
  send_text(ends[0], "abcdefg");
  wait_for(ends[1], POLLIN);
  char got[3][4] = {"---", "---", "---"};
  struct iovec slices[3] = {{got[0], 3}, {got[1], 0}, {got[2], 3}};
  size_t len;
  assert_int_equal(ws__net_recvv(ends[1], slices, 3, &len), WS__IO_OK);
  assert_int_equal(len, 6);
  assert_string_equal(got[0], "abc");
  assert_string_equal(got[1], "---");
  assert_string_equal(got[2], "def");
  assert_int_equal(ws__net_recvv(ends[1], slices, 3, &len), WS__IO_OK);
  assert_int_equal(len, 1);
  assert_string_equal(got[0], "gbc");
  close_pair(ends);
}

static ws__io transfer(const char *call, int fd, size_t *out_len) {
  char data[4] = "abc";
  struct iovec slices[2] = {{data, 2}, {data + 2, 2}};
  if (strcmp(call, "recv") == 0)
    return ws__net_recv(fd, data, sizeof(data), out_len);
  if (strcmp(call, "send") == 0)
    return ws__net_send(fd, data, sizeof(data), out_len);
  if (strcmp(call, "recvmsg") == 0)
    return ws__net_recvv(fd, slices, 2, out_len);
  return ws__net_sendv(fd, slices, 2, out_len);
}

static const char *const transfers[] = {"recv", "recvmsg", "send", "sendmsg"};
#define TRANSFERS (sizeof(transfers) / sizeof(*transfers))

static void interrupted_transfers_are_begun_again(void **state) {
  (void)state;
  int ends[2];
  make_pair(ends);
  for (size_t i = 0; i < TRANSFERS; i++) {
    send_text(ends[1], "abcd");
    wait_for(ends[0], POLLIN);
    fault_set(transfers[i], EINTR);
    fault.times = 5;
    size_t len;
    assert_int_equal(transfer(transfers[i], ends[0], &len), WS__IO_OK);
    assert_int_equal(len, 4);
    assert_int_equal(fault.hits, 5);
  }
  close_pair(ends);
}

static void failed_transfers_keep_their_errno(void **state) {
  (void)state;
  static const int errors[] = {EIO,      ENOBUFS,   ENOMEM,      ENETDOWN,
                               ENOTCONN, ETIMEDOUT, EHOSTUNREACH};
  for (size_t i = 0; i < TRANSFERS; i++) {
    for (size_t e = 0; e < sizeof(errors) / sizeof(*errors); e++) {
      fault_set(transfers[i], errors[e]);
      size_t len;
      assert_int_equal(transfer(transfers[i], -1, &len), WS__IO_ERROR);
      assert_int_equal(errno, errors[e]);
    }
  }
}

/* */
static void counts_that_cannot_be_are_errors(void **state) {
  (void)state;
  static const int answers[] = {0, 5, INT_MAX};
  for (size_t i = 0; i < TRANSFERS; i++) {
    for (size_t a = 0; a < sizeof(answers) / sizeof(*answers); a++) {
      fault_set(transfers[i], 0);
      fault.answer = answers[a];
      size_t len = 77;
      const bool is_eof = answers[a] == 0 && transfers[i][0] == 'r';
      assert_int_equal(transfer(transfers[i], -1, &len),
                       is_eof ? WS__IO_EOF : WS__IO_ERROR);
      if (!is_eof) assert_int_equal(errno, EIO);
      assert_int_equal(len, 77);
    }
  }
}

/* -- Other people's descriptors -------------------------------------------- */

static void inherited_stream_sockets_become_like_our_own(void **state) {
  (void)state;
  bool is_listener = true;
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  assert_int_equal(ws__net_adopt(ends[0], &is_listener), 0);
  assert_false(is_listener);
  assert_ours(ends[0]);
  close_pair(ends);

  ws__addr addr = ip("127.0.0.1", 0), peer;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, &addr.as.any, addr.len), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(ws__net_adopt(listener, &is_listener), 0);
  assert_true(is_listener);
  assert_ours(listener);
  assert_int_equal(ws__net_local_addr(listener, &addr), 0);
  const int client = connect_to(&addr);
  const int server = accept_from(listener, &peer);
  assert_true(option_of(server, IPPROTO_TCP, TCP_NODELAY));
  ws__net_close(server);
  ws__net_close(client);
  ws__net_close(listener);
}

static void what_is_no_stream_socket_is_not_adopted(void **state) {
  (void)state;
  bool is_listener;
  int ends[2];
  assert_int_equal(ws__net_adopt(-1, &is_listener), EBADF);
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(ws__net_adopt(ends[0], &is_listener), ENOTSOCK);
  close_pair(ends);
  assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
  assert_int_equal(ws__net_adopt(ends[0], &is_listener), EPROTOTYPE);
  close_pair(ends);
}

/* For the workers of a server, of which each closes its own. */
static void
a_shared_socket_lives_until_both_descriptors_are_closed(void **state) {
  (void)state;
  ws__addr addr, peer;
  const int listener = listen_at(ip("127.0.0.1", 0), &addr);
  int copy = -1;
  assert_int_equal(ws__net_share(listener, &copy), 0);
  assert_int_not_equal(copy, listener);
  assert_ours(copy);
  ws__net_close(listener);
  const int client = connect_to(&addr);
  const int server = accept_from(copy, &peer);
  ws__net_close(client);
  ws__net_close(server);
  ws__net_close(copy);

  assert_int_equal(ws__net_share(copy, &copy), EBADF);
}

static void descriptors_over_1023_are_as_good_as_others(void **state) {
  (void)state;
  struct rlimit before, more;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  more = before;
  if (more.rlim_cur < 2048) more.rlim_cur = 2048;
  if (setrlimit(RLIMIT_NOFILE, &more) != 0) skip(); /* Not allowed so many. */
  int ends[2];
  bool is_listener;
  make_pair(ends);
  const int high = fcntl(ends[0], F_DUPFD, 1500);
  assert_true(high >= 1500);
  assert_int_equal(ws__net_adopt(high, &is_listener), 0);
  send_text(high, "high");
  assert_receives(ends[1], "high");
  ws__net_close(high);
  close_pair(ends);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* -- The rest -------------------------------------------------------------- */

static void close_is_called_once_and_leaves_errno_alone(void **state) {
  (void)state;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  fault_set("close", EINTR);
  closes = 0;
  errno = EDOM;
  ws__net_close(fd);
  assert_int_equal(closes, 1);
  assert_int_equal(errno, EDOM);
}

/* Does everything once. False as soon as something fails. */
static bool do_everything(const ws__addr *wanted) {
  int listener = -1, client = -1, server = -1;
  ws__addr addr, peer;
  size_t len;
  bool is_listener;
  char data[4] = {0};
  char detail[WS__DETAIL_SIZE];
  struct iovec slice = {data, sizeof(data)};
  const ws__listen_options options = {.reuse_port = true, .unix_mode = 0600};
  const bool is_ok =
      ws__net_listen(wanted, &options, &listener, &addr, detail) == 0 &&
      ws__net_connect(&addr, &client) == 0 &&
      ws__net_connect_result(wait_for(client, POLLOUT)) == 0 &&
      ws__net_accept(wait_for(listener, POLLIN), &server, &peer) ==
          WS__ACCEPT_OK &&
      ws__net_adopt(server, &is_listener) == 0 &&
      ws__net_local_addr(server, &peer) == 0 &&
      ws__net_peer_addr(server, &peer) == 0 &&
      ws__net_send(client, "12", 2, &len) == WS__IO_OK &&
      ws__net_sendv(client, &slice, 1, &len) == WS__IO_OK &&
      ws__net_recv(wait_for(server, POLLIN), data, 2, &len) == WS__IO_OK &&
      ws__net_shutdown(client) == 0;
  if (listener >= 0) ws__net_unlink(wanted);
  if (listener >= 0) ws__net_close(listener);
  if (client >= 0) ws__net_close(client);
  if (server >= 0) ws__net_close(server);
  return is_ok;
}

static void every_call_that_fails_is_told_and_cleaned_up_after(void **state) {
  (void)state;
  ws__addr addrs[MAX_KINDS];
  const size_t count = kinds(addrs);
  for (size_t i = 0; i < count; i++) {
    const int before = count_descriptors();
    unsigned failed = 0;
    for (unsigned n = 0;; n++) {
      fault_set(NULL, EIO);
      fault.skip = n;
      const bool is_ok = do_everything(&addrs[i]);
      const bool is_hit = fault.hits > 0;
      fault_clear();
      assert_int_equal(count_descriptors(), before);
      if (addrs[i].as.any.sa_family == AF_UNIX)
        (void)unlink(addrs[i].as.un.sun_path);
      failed += !is_ok;
      if (is_hit) continue;
      assert_true(is_ok);
      break;
    }
    assert_true(failed >= 15);
  }
}

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) != NULL ? 0 : -1;
}

/* Fails if a test has left a file. */
static int remove_folder(void **state) {
  (void)state;
  (void)unlink(path_addr("socket").as.un.sun_path);
  return rmdir(folder);
}

int main(void) {
#define CASE(name) \
  cmocka_unit_test_setup_teardown(name, set_up, check_descriptors)
  const struct CMUnitTest tests[] = {
      CASE(ip_literals_are_read_and_written),
      CASE(the_host_of_an_address_stands_alone),
      CASE(what_is_no_ip_literal_is_left_alone),
      CASE(the_zone_may_be_the_name_of_an_interface),
      CASE(a_unix_path_must_fit),
      CASE(addresses_from_the_system_are_written_whatever_they_are),
      CASE(errno_values_have_words),
      CASE(two_ends_of_each_kind_of_socket_talk),
      CASE(a_closed_port_refuses),
      CASE(an_undecided_connection_is_in_progress),
      CASE(an_interrupted_connect_goes_on),
      CASE(the_any_address_of_ipv6_takes_ipv4_as_ipv4),
      CASE(other_ipv6_addresses_take_ipv6_only),
      CASE(a_port_is_shared_only_when_asked_for),
      CASE(a_port_can_be_taken_again_at_once),
      CASE(the_file_of_a_dead_unix_listener_is_replaced),
      CASE(what_is_no_dead_unix_listener_is_not_touched),
      CASE(the_file_of_a_unix_listener_gets_its_mode),
      CASE(a_listener_that_fails_half_way_leaves_no_file),
      CASE(connections_that_broke_before_are_passed_over),
      CASE(a_lack_of_descriptors_or_memory_is_told_apart),
      CASE(a_connection_waits_while_the_process_has_no_descriptors),
      CASE(a_broken_listener_is_an_error),
      CASE(an_empty_socket_and_a_full_one_say_again),
      CASE(half_a_connection_can_be_shut),
      CASE(a_reset_is_an_error_and_no_end),
      CASE(slices_arrive_in_order_however_many_there_are),
      CASE(slices_are_filled_in_order),
      CASE(interrupted_transfers_are_begun_again),
      CASE(failed_transfers_keep_their_errno),
      CASE(counts_that_cannot_be_are_errors),
      CASE(inherited_stream_sockets_become_like_our_own),
      CASE(what_is_no_stream_socket_is_not_adopted),
      CASE(a_shared_socket_lives_until_both_descriptors_are_closed),
      CASE(descriptors_over_1023_are_as_good_as_others),
      CASE(close_is_called_once_and_leaves_errno_alone),
      CASE(every_call_that_fails_is_told_and_cleaned_up_after),
  };
#undef CASE
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
