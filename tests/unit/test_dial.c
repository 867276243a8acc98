/* test_dial.c - races of connections on the loopback, in a time that the test
 * makes up. An address hangs when it is that of a listener whose backlog is
 * full; which addresses are tried, and with what success, can be seen and set
 * at connect(), which goes through this program. */
#include "io/dial.h"
#include "test.h"
#include "test_alloc.h"
#include "test_fault.h"

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
FAULT_WRAP(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *len),
           (fd, addr, len))

enum {
  MAX_ADDRS = 512
};

/* The ports that were connected to, in order, and the families that fail. */
static struct {
  uint16_t ports[MAX_ADDRS];
  size_t count;
  int ipv4_error;
  int ipv6_error;
} connects;

static int error_of(const ws__addr *addr) {
  return addr->as.any.sa_family == AF_INET6 ? connects.ipv6_error
                                            : connects.ipv4_error;
}

int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len) {
  if (fault_hits("connect")) return fault.answer;
  ws__addr copy = {.len = len};
  memcpy(&copy.as, addr, len);
  if (connects.count < MAX_ADDRS)
    connects.ports[connects.count++] = ws__addr_port(&copy);
  if (error_of(&copy) == 0) return __real_connect(fd, addr, len);
  errno = error_of(&copy);
  return -1;
}

/* -- Peers ----------------------------------------------------------------- */

#ifndef PATIENCE_MS
#define PATIENCE_MS 10000
#endif

/* A time like any other, far from 0. */
#define START 1000000

enum {
  CROWD = 6 /* More than a backlog of 0 takes. */
};

static ws__addr ip(const char *host, uint16_t port) {
  ws__addr addr;
  assert_true(ws__addr_from_ip(&addr, host, port));
  return addr;
}

static int listen_at(const char *host, int backlog, ws__addr *out_addr) {
  const ws__listen_options options = {.backlog = backlog};
  const ws__addr addr = ip(host, 0);
  int fd;
  assert_int_equal(ws__net_listen(&addr, &options, &fd, out_addr, NULL), 0);
  return fd;
}

/* Until then the system lets more in. */
static void wait_for_visitor(int listener) {
  struct pollfd entry = {.fd = listener, .events = POLLIN};
  assert_int_equal(poll(&entry, 1, PATIENCE_MS), 1);
}

/* A listener that does not answer. */
typedef struct dead_peer {
  ws__addr addr;
  int listener;
  int crowd[CROWD];
} dead_peer;

static void make_dead(dead_peer *peer, const char *host) {
  peer->listener = listen_at(host, 1, &peer->addr);
  assert_int_equal(listen(peer->listener, 0), 0);
  ws__addr to = peer->addr;
  if (strcmp(host, "0.0.0.0") == 0) to = ip("127.0.0.1", ws__addr_port(&to));
  for (int i = 0; i < CROWD; i++) {
    assert_int_equal(ws__net_connect(&to, &peer->crowd[i]), 0);
    if (i == 0) wait_for_visitor(peer->listener);
  }
  assert_int_equal(ws__net_connect_result(peer->crowd[CROWD - 1]), EINPROGRESS);
}

static void end_dead(const dead_peer *peer) {
  for (int i = 0; i < CROWD; i++)
    ws__net_close(peer->crowd[i]);
  ws__net_close(peer->listener);
}

/* Holds a port on which nobody listens. Returns the descriptor that does. */
static int make_closed(const char *host, ws__addr *out_addr) {
  *out_addr = ip(host, 0);
  const int fd = socket(out_addr->as.any.sa_family, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, &out_addr->as.any, out_addr->len), 0);
  assert_int_equal(ws__net_local_addr(fd, out_addr), 0);
  return fd;
}

static bool has_ipv6(void) {
  const ws__addr addr = ip("::1", 0);
  ws__addr local;
  int fd;
  const ws__listen_options options = {0};
  if (ws__net_listen(&addr, &options, &fd, &local, NULL) != 0) return false;
  ws__net_close(fd);
  return true;
}

/* -- Dialling -------------------------------------------------------------- */

static test_alloc alloc;

static ws__dial *dial_new(const ws__addr *addrs, size_t count, uint64_t now) {
  /* An exact copy, gone when the race begins. */
  ws__addr *copy = malloc(count * sizeof(*copy));
  memcpy(copy, addrs, count * sizeof(*copy));
  ws__dial *dial = NULL;
  assert_int_equal(ws__dial_new(&alloc.allocator, copy, count, now, &dial), 0);
  free(copy);
  return dial;
}

static size_t count_fds(const ws__dial *dial) {
  int fds[WS__DIAL_RACES];
  return ws__dial_fds(dial, fds);
}

static int result_of(ws__dial *dial, char *detail) {
  int fd = -1;
  ws__addr addr;
  const int result = ws__dial_result(dial, &fd, &addr, detail);
  if (result == 0) ws__net_close(fd);
  return result;
}

static void assert_pending(ws__dial *dial) {
  assert_int_equal(result_of(dial, NULL), WS__DIAL_PENDING);
}

static void assert_won_by(ws__dial *dial, const ws__addr *expected) {
  char text[WS__ADDR_TEXT_SIZE], expected_text[WS__ADDR_TEXT_SIZE];
  ws__addr addr, peer;
  int fd;
  assert_int_equal(ws__dial_result(dial, &fd, &addr, NULL), 0);
  assert_string_equal(ws__addr_format(&addr, text),
                      ws__addr_format(expected, expected_text));
  assert_int_equal(ws__net_peer_addr(fd, &peer), 0);
  assert_string_equal(ws__addr_format(&peer, text), expected_text);
  assert_int_equal(ws__dial_deadline(dial), UINT64_MAX);
  assert_int_equal(count_fds(dial), 0);
  ws__net_close(fd);
}

/* Waits until some attempts are decided and says so. */
static void turn(ws__dial *dial, uint64_t now) {
  int fds[WS__DIAL_RACES];
  struct pollfd entries[WS__DIAL_RACES];
  const size_t count = ws__dial_fds(dial, fds);
  for (size_t i = 0; i < count; i++)
    entries[i] = (struct pollfd){.fd = fds[i], .events = POLLOUT};
  assert_true(poll(entries, (nfds_t)count, PATIENCE_MS) > 0);
  for (size_t i = 0; i < count; i++)
    if (entries[i].revents != 0) ws__dial_on_ready(dial, fds[i], now);
}

/* Goes on until the end, without any time passing. */
static int finish(ws__dial *dial, char *detail) {
  int result;
  while ((result = result_of(dial, detail)) == WS__DIAL_PENDING)
    turn(dial, START);
  return result;
}

static int descriptors_before;

static int set_up(void **state) {
  (void)state;
  fault_clear();
  memset(&connects, 0, sizeof(connects));
  test_alloc_init(&alloc);
  descriptors_before = count_descriptors();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  fault_clear();
  assert_int_equal(alloc.held, 0);
  assert_int_equal(count_descriptors(), descriptors_before);
  return 0;
}

/* -- One address ----------------------------------------------------------- */

static void a_single_address_is_connected_to(void **state) {
  (void)state;
  static const char *const hosts[] = {"127.0.0.1", "::1"};
  for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
    if (i == 1 && !has_ipv6()) continue;
    ws__addr addr;
    const int listener = listen_at(hosts[i], 0, &addr);
    ws__dial *dial = dial_new(&addr, 1, START);
    assert_int_equal(count_fds(dial), 1);
    assert_int_equal(ws__dial_deadline(dial), UINT64_MAX);
    turn(dial, START);
    assert_won_by(dial, &addr);
    ws__dial_free(dial);
    ws__net_close(listener);
  }
}

/* Row 351. */
static void a_unix_socket_is_connected_to(void **state) {
  (void)state;
  char folder[] = "/tmp/ws_test_dial_XXXXXX", path[64];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof(path), "%s/socket", folder);
  ws__addr addr, local;
  int listener;
  assert_int_equal(ws__addr_from_path(&addr, path), 0);
  assert_int_equal(
      ws__net_listen(&addr, &(ws__listen_options){0}, &listener, &local, NULL),
      0);
  ws__dial *dial = dial_new(&addr, 1, START);
  turn(dial, START);
  assert_won_by(dial, &addr);
  ws__dial_free(dial);
  ws__net_unlink(&addr);
  ws__net_close(listener);

  char detail[WS__DETAIL_SIZE], expected[WS__DETAIL_SIZE];
  dial = dial_new(&addr, 1, START);
  assert_int_equal(result_of(dial, detail), WS_ERR_CONNECT);
  snprintf(expected, sizeof(expected), "unix:%s: %s", path, strerror(ENOENT));
  assert_string_equal(detail, expected);
  ws__dial_free(dial);
  assert_int_equal(rmdir(folder), 0);
}

/* Row 97. */
static void a_closed_port_is_named_with_its_error(void **state) {
  (void)state;
  ws__addr addr;
  const int holder = make_closed("127.0.0.1", &addr);
  ws__dial *dial = dial_new(&addr, 1, START);
  char detail[WS__DETAIL_SIZE], expected[WS__DETAIL_SIZE];
  assert_int_equal(finish(dial, detail), WS_ERR_CONNECT);
  snprintf(expected, sizeof(expected), "127.0.0.1:%u: %s",
           (unsigned)ws__addr_port(&addr), strerror(ECONNREFUSED));
  assert_string_equal(detail, expected);
  /* It stays so. */
  assert_int_equal(result_of(dial, NULL), WS_ERR_CONNECT);
  assert_int_equal(ws__dial_deadline(dial), UINT64_MAX);
  ws__dial_tick(dial, UINT64_MAX);
  assert_int_equal(result_of(dial, NULL), WS_ERR_CONNECT);
  ws__dial_free(dial);
  close(holder);
}

/* -- The order (RFC 8305 section 4) ---------------------------------------- */

static void families_take_turns_beginning_with_the_first(void **state) {
  (void)state;
  /* Letters are addresses; small ones are IPv6, capitals IPv4. */
  static const struct {
    const char *given;
    const char *tried;
  } cases[] = {
      {"a", "a"},
      {"A", "A"},
      {"ab", "ab"},
      {"aB", "aB"},
      {"Ab", "Ab"},
      {"abC", "aCb"},
      {"abcDE", "aDbEc"},
      {"ABCde", "AdBeC"},
      {"abcD", "aDbc"},
      {"aBCD", "aBCD"},
      {"aBcDeF", "aBcDeF"},
      {"abcdefG", "aGbcdef"},
      {"AbCDefg", "AbCeDfg"},
  };
  connects.ipv4_error = connects.ipv6_error = ENETUNREACH;
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    const size_t count = strlen(cases[i].given);
    ws__addr addrs[16];
    for (size_t n = 0; n < count; n++) {
      const char letter = cases[i].given[n];
      addrs[n] = ip(letter >= 'a' ? "::1" : "127.0.0.1", (uint16_t)letter);
    }
    connects.count = 0;
    ws__dial *dial = dial_new(addrs, count, START);
    assert_int_equal(connects.count, count);
    for (size_t n = 0; n < count; n++)
      assert_int_equal(connects.ports[n], cases[i].tried[n]);
    assert_int_equal(result_of(dial, NULL), WS_ERR_CONNECT);
    ws__dial_free(dial);
  }
}

static void all_of_500_addresses_are_tried(void **state) {
  (void)state;
  enum {
    COUNT = 500
  };
  static ws__addr addrs[COUNT];
  for (uint16_t i = 0; i < COUNT; i++)
    addrs[i] = ip(i % 3 == 0 ? "::1" : "127.0.0.1", (uint16_t)(i + 1));
  connects.ipv4_error = connects.ipv6_error = ENETUNREACH;
  ws__dial *dial = dial_new(addrs, COUNT, START);
  assert_int_equal(connects.count, COUNT);
  static bool seen[COUNT + 1];
  for (size_t i = 0; i < COUNT; i++) {
    assert_false(seen[connects.ports[i]]);
    seen[connects.ports[i]] = true;
  }
  char detail[WS__DETAIL_SIZE];
  assert_int_equal(result_of(dial, detail), WS_ERR_CONNECT);
  assert_non_null(strstr(detail, "(tried 500 of 500 addresses)"));
  ws__dial_free(dial);
}

/* -- The pace (RFC 8305 section 5) ----------------------------------------- */

static void a_dead_ipv6_address_costs_250_milliseconds(void **state) {
  (void)state;
  if (!has_ipv6()) skip();
  dead_peer dead;
  make_dead(&dead, "::1");
  ws__addr addrs[2] = {dead.addr};
  const int listener = listen_at("127.0.0.1", 0, &addrs[1]);

  ws__dial *dial = dial_new(addrs, 2, START);
  assert_int_equal(count_fds(dial), 1);
  assert_int_equal(ws__dial_deadline(dial), START + 250);
  ws__dial_tick(dial, START + 249);
  assert_int_equal(count_fds(dial), 1);
  char detail[WS__DETAIL_SIZE], expected[WS__DETAIL_SIZE];
  assert_int_equal(result_of(dial, detail), WS__DIAL_PENDING);
  snprintf(expected, sizeof(expected),
           "[::1]:%u: no answer yet (tried 1 of 2 addresses)",
           (unsigned)ws__addr_port(&addrs[0]));
  assert_string_equal(detail, expected);

  ws__dial_tick(dial, START + 250);
  assert_int_equal(count_fds(dial), 2);
  assert_int_equal(ws__dial_deadline(dial), UINT64_MAX);
  turn(dial, START + 251);
  assert_won_by(dial, &addrs[1]);
  ws__dial_free(dial);
  ws__net_close(listener);
  end_dead(&dead);
}

static void after_a_refusal_the_next_begins_at_once(void **state) {
  (void)state;
  ws__addr addrs[3];
  dead_peer dead;
  make_dead(&dead, "127.0.0.1");
  const int holder = make_closed("127.0.0.1", &addrs[0]);
  addrs[1] = dead.addr;
  const int listener = listen_at("127.0.0.1", 0, &addrs[2]);
  ws__dial *dial = dial_new(addrs, 3, START);
  turn(dial, START + 10);
  assert_pending(dial);
  assert_int_equal(connects.ports[connects.count - 1],
                   ws__addr_port(&addrs[1]));
  /* And the next after that has its full delay. */
  assert_int_equal(ws__dial_deadline(dial), START + 10 + 250);
  ws__dial_tick(dial, START + 260);
  turn(dial, START + 260);
  assert_won_by(dial, &addrs[2]);
  ws__dial_free(dial);
  ws__net_close(listener);
  close(holder);
  end_dead(&dead);
}

static void addresses_without_a_route_cost_no_time(void **state) {
  (void)state;
  ws__addr addrs[4] = {ip("2001:db8::1", 80), ip("2001:db8::2", 80),
                       ip("2001:db8::3", 80)};
  const int listener = listen_at("127.0.0.1", 0, &addrs[3]);
  connects.ipv6_error = ENETUNREACH;
  ws__dial *dial = dial_new(addrs, 4, START);
  assert_int_equal(connects.count, 2); /* IPv6, and the IPv4 moved up. */
  turn(dial, START);
  assert_won_by(dial, &addrs[3]);
  ws__dial_free(dial);
  ws__net_close(listener);
}

static void a_late_tick_begins_one_attempt(void **state) {
  (void)state;
  const uint64_t year = UINT64_C(365) * 24 * 3600 * 1000;
  dead_peer dead;
  make_dead(&dead, "127.0.0.1");
  const ws__addr addrs[4] = {dead.addr, dead.addr, dead.addr, dead.addr};
  ws__dial *dial = dial_new(addrs, 4, START);
  ws__dial_tick(dial, START + year);
  assert_int_equal(count_fds(dial), 2);
  assert_int_equal(ws__dial_deadline(dial), START + year + 250);
  ws__dial_tick(dial, START + year);
  assert_int_equal(count_fds(dial), 2);
  ws__dial_free(dial);
  end_dead(&dead);
}

static void only_so_many_attempts_run_at_once(void **state) {
  (void)state;
  enum {
    COUNT = WS__DIAL_RACES + 2
  };
  /* Each address of 127.0.0.0/8 is this machine. */
  dead_peer dead;
  make_dead(&dead, "0.0.0.0");
  ws__addr addrs[COUNT];
  for (int i = 0; i < COUNT; i++) {
    char host[32];
    snprintf(host, sizeof(host), "127.0.0.%d", i + 1);
    addrs[i] = ip(host, ws__addr_port(&dead.addr));
  }
  uint64_t now = START;
  ws__dial *dial = dial_new(addrs, COUNT, now);
  for (size_t i = 1; i < WS__DIAL_RACES; i++) {
    assert_int_equal(count_fds(dial), i);
    assert_int_equal(ws__dial_deadline(dial), now + 250);
    now += 250;
    ws__dial_tick(dial, now);
  }
  assert_int_equal(count_fds(dial), WS__DIAL_RACES);
  assert_int_equal(ws__dial_deadline(dial), UINT64_MAX);
  ws__dial_tick(dial, now + 10000);
  assert_int_equal(count_fds(dial), WS__DIAL_RACES);

  /* When one fails, the next has its place. */
  int fds[WS__DIAL_RACES];
  ws__dial_fds(dial, fds);
  fault_set("getsockopt", ETIMEDOUT);
  ws__dial_on_ready(dial, fds[3], now);
  assert_int_equal(count_fds(dial), WS__DIAL_RACES);
  assert_int_equal(connects.count, CROWD + WS__DIAL_RACES + 1);
  assert_pending(dial);
  ws__dial_free(dial);
  end_dead(&dead);
}

/* -- Who wins -------------------------------------------------------------- */

static void
the_first_that_is_ready_wins_and_the_others_are_closed(void **state) {
  (void)state;
  ws__addr addrs[2];
  const int first = listen_at("127.0.0.1", 0, &addrs[0]);
  const int second = listen_at("127.0.0.1", 0, &addrs[1]);
  ws__dial *dial = dial_new(addrs, 2, START);
  ws__dial_tick(dial, START + 250);
  int fds[WS__DIAL_RACES];
  assert_int_equal(ws__dial_fds(dial, fds), 2);
  struct pollfd entry = {.fd = fds[1], .events = POLLOUT};
  assert_int_equal(poll(&entry, 1, PATIENCE_MS), 1);
  ws__dial_on_ready(dial, fds[1], START + 251);
  /* That of the loser was on its way. */
  ws__dial_on_ready(dial, fds[0], START + 251);
  ws__dial_tick(dial, START + 10000);
  assert_won_by(dial, &addrs[1]);
  ws__dial_free(dial);
  ws__net_close(first);
  ws__net_close(second);
}

static void readiness_by_mistake_changes_nothing(void **state) {
  (void)state;
  dead_peer dead;
  make_dead(&dead, "127.0.0.1");
  ws__dial *dial = dial_new(&dead.addr, 1, START);
  int fds[WS__DIAL_RACES];
  assert_int_equal(ws__dial_fds(dial, fds), 1);
  ws__dial_on_ready(dial, fds[0], START);
  ws__dial_on_ready(dial, dead.listener, START); /* Not in the race. */
  ws__dial_on_ready(dial, -1, START);
  assert_pending(dial);
  assert_int_equal(count_fds(dial), 1);
  ws__dial_free(dial);
  end_dead(&dead);
}

static void a_race_can_be_ended_at_any_time(void **state) {
  (void)state;
  ws__addr addr;
  const int listener = listen_at("127.0.0.1", 0, &addr);
  dead_peer dead;
  make_dead(&dead, "127.0.0.1");
  const ws__addr addrs[2] = {dead.addr, addr};
  ws__dial_free(dial_new(addrs, 2, START));

  ws__dial *dial = dial_new(addrs, 2, START);
  ws__dial_tick(dial, START + 250);
  ws__dial_free(dial);

  dial = dial_new(addrs, 2, START);
  ws__dial_tick(dial, START + 250);
  turn(dial, START + 250);
  ws__dial_free(dial); /* Won, but not asked for. */

  ws__dial_free(NULL);
  end_dead(&dead);
  ws__net_close(listener);
}

/* -- Failures -------------------------------------------------------------- */

static void the_most_telling_error_is_reported(void **state) {
  (void)state;
  ws__addr closed;
  const int holder = make_closed("127.0.0.1", &closed);
  const ws__addr far = ip("2001:db8::1", 80);
  const ws__addr orders[2][2] = {{closed, far}, {far, closed}};
  char detail[WS__DETAIL_SIZE], expected[WS__DETAIL_SIZE];
  connects.ipv6_error = ENETUNREACH;
  snprintf(expected, sizeof(expected),
           "127.0.0.1:%u: %s (tried 2 of 2 addresses)",
           (unsigned)ws__addr_port(&closed), strerror(ECONNREFUSED));
  for (size_t i = 0; i < 2; i++) {
    ws__dial *dial = dial_new(orders[i], 2, START);
    assert_int_equal(finish(dial, detail), WS_ERR_CONNECT);
    assert_string_equal(detail, expected);
    ws__dial_free(dial);
  }

  connects.ipv4_error = EHOSTUNREACH;
  ws__dial *dial = dial_new(orders[1], 2, START);
  assert_int_equal(finish(dial, detail), WS_ERR_CONNECT);
  assert_non_null(strstr(detail, strerror(EHOSTUNREACH)));
  ws__dial_free(dial);
  close(holder);
}

static void without_descriptors_there_is_no_connection(void **state) {
  (void)state;
  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = 0;
  const ws__addr addrs[2] = {ip("127.0.0.1", 80), ip("::1", 80)};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  ws__dial *dial = dial_new(addrs, 2, START);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  char detail[WS__DETAIL_SIZE];
  assert_int_equal(result_of(dial, detail), WS_ERR_CONNECT);
  assert_non_null(strstr(detail, strerror(EMFILE)));
  assert_int_equal(ws__dial_system_error(dial), EMFILE);
  ws__dial_free(dial);
}

static void every_call_may_fail_once(void **state) {
  (void)state;
  ws__addr addrs[3];
  const int holder = make_closed("127.0.0.1", &addrs[0]);
  const int first = listen_at("127.0.0.1", 0, &addrs[1]);
  const int second = listen_at("127.0.0.1", 0, &addrs[2]);
  const int before = count_descriptors();
  for (unsigned n = 0;; n++) {
    fault_set(NULL, EIO);
    fault.skip = n;
    ws__dial *dial = dial_new(addrs, 3, START);
    const int result = finish(dial, NULL);
    const bool is_hit = fault.hits > 0;
    fault_clear();
    /* There is always one more address. */
    assert_int_equal(result, 0);
    ws__dial_free(dial);
    assert_int_equal(count_descriptors(), before);
    if (!is_hit) break;
  }
  for (unsigned n = 0;; n++) {
    char detail[WS__DETAIL_SIZE] = "";
    fault_set(NULL, EIO);
    fault.skip = n;
    ws__dial *dial = dial_new(&addrs[1], 1, START);
    const int result = finish(dial, detail);
    const bool is_hit = fault.hits > 0;
    fault_clear();
    ws__dial_free(dial);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(result, is_hit ? WS_ERR_CONNECT : 0);
    if (!is_hit) break;
    assert_non_null(strstr(detail, strerror(EIO)));
  }
  close(holder);
  ws__net_close(first);
  ws__net_close(second);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  const ws__addr addr = ip("127.0.0.1", 80);
  ws__dial *dial = NULL;
  alloc.fail_at = 0;
  assert_int_equal(ws__dial_new(&alloc.allocator, &addr, 1, START, &dial),
                   WS_ERR_NO_MEMORY);
  assert_null(dial);
  assert_int_equal(ws__dial_new(&alloc.allocator, &addr,
                                SIZE_MAX / sizeof(addr), START, &dial),
                   WS_ERR_NO_MEMORY);
  connects.ipv4_error = ENETUNREACH;
  assert_int_equal(ws__dial_new(&alloc.allocator, &addr, 1, START, &dial), 0);
  assert_int_equal(alloc.calls, 2); /* There is only one to fail. */
  ws__dial_free(dial);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(a_single_address_is_connected_to),
      CASE(a_unix_socket_is_connected_to),
      CASE(a_closed_port_is_named_with_its_error),
      CASE(families_take_turns_beginning_with_the_first),
      CASE(all_of_500_addresses_are_tried),
      CASE(a_dead_ipv6_address_costs_250_milliseconds),
      CASE(after_a_refusal_the_next_begins_at_once),
      CASE(addresses_without_a_route_cost_no_time),
      CASE(a_late_tick_begins_one_attempt),
      CASE(only_so_many_attempts_run_at_once),
      CASE(the_first_that_is_ready_wins_and_the_others_are_closed),
      CASE(readiness_by_mistake_changes_nothing),
      CASE(a_race_can_be_ended_at_any_time),
      CASE(the_most_telling_error_is_reported),
      CASE(without_descriptors_there_is_no_connection),
      CASE(every_call_may_fail_once),
      CASE(every_allocation_may_fail),
  };
#undef CASE
  return cmocka_run_group_tests(tests, NULL, NULL);
}
