/* test_poller.c - every back end of the poller, by one list of tests.
 *
 * Where the system has no kqueue, that back end runs on the one of
 * support/kqueue. On Linux the linker puts the functions of "Faults" between
 * the poller and the system (--wrap), so that calls can be counted and fail. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "base/list.h"
#include "io/clock.h"
#include "io/poller_backend.h"
#include "test.h"
#include "test_alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ  WS__POLLER_READ
#define WRITE WS__POLLER_WRITE

/* What must happen happens long before; only a failing test takes so long. */
#define LONG_MS 20000

/* -- Faults ---------------------------------------------------------------- */

/* Calls of the poller, from 0; those of the test itself are left alone while
 * `is_off`. */
static _Thread_local struct {
  bool is_off;
  size_t calls;
  size_t fail_at;
  int error;
} faults = {.fail_at = SIZE_MAX};

static void reset_faults(void) {
  faults.is_off = false;
  faults.calls = 0;
  faults.fail_at = SIZE_MAX;
  faults.error = EIO;
}

#ifdef TEST_WRAPS
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static bool is_failing(void) {
  if (faults.is_off || faults.calls++ != faults.fail_at) return false;
  errno = faults.error;
  return true;
}

/* Defines the function that stands before the system's `name`. What that calls
 * itself, as our kqueue does, is not counted. */
#define WRAP(type, name, parameters, arguments)  \
  type __real_##name parameters;                 \
  type __wrap_##name parameters;                 \
  type __wrap_##name parameters {                \
    if (is_failing()) return -1;                 \
    const bool was_off = faults.is_off;          \
    faults.is_off = true;                        \
    const type result = __real_##name arguments; \
    faults.is_off = was_off;                     \
    return result;                               \
  }

WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *event),
     (ep, op, fd, event))
WRAP(int, epoll_wait, (int ep, struct epoll_event *events, int max, int ms),
     (ep, events, max, ms))
WRAP(int, eventfd, (unsigned count, int flags), (count, flags))
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(int, timerfd_settime,
     (int fd, int flags, const struct itimerspec *when,
      struct itimerspec *out_old),
     (fd, flags, when, out_old))
WRAP(int, kqueue, (void), ())
WRAP(int, poll, (struct pollfd * fds, nfds_t count, int ms), (fds, count, ms))
WRAP(int, pipe2, (int ends[2], int flags), (ends, flags))
WRAP(int, fcntl, (int fd, int command, long argument), (fd, command, argument))
WRAP(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))

int __real_kevent(int queue, const struct kevent *changes, int change_count,
                  struct kevent *events, int event_count,
                  const struct timespec *timeout);
int __wrap_kevent(int queue, const struct kevent *changes, int change_count,
                  struct kevent *events, int event_count,
                  const struct timespec *timeout);
int __wrap_kevent(int queue, const struct kevent *changes, int change_count,
                  struct kevent *events, int event_count,
                  const struct timespec *timeout) {
  const bool is_failed = is_failing();
  const int error = errno;
  /* What is interrupted has made its changes; otherwise the last one fails. */
  if (is_failed && error != EINTR) change_count--;
  if (is_failed) event_count = 0;
  const bool was_off = faults.is_off;
  faults.is_off = true;
  const int result =
      __real_kevent(queue, changes, change_count, events, event_count, timeout);
  faults.is_off = was_off;
  if (!is_failed) return result;
  errno = error;
  return -1;
}
#endif

/* -- Helpers --------------------------------------------------------------- */

typedef struct fixture {
  const ws__poller_ops *ops;
  test_alloc alloc;
  ws__poller *poller;
} fixture;

/* The initial state of a test is where the pointer to its back end lies. */
static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  f->ops = *(const ws__poller_ops **)*state;
  test_alloc_init(&f->alloc);
  reset_faults();
  assert_int_equal(ws__poller_open(&f->alloc.allocator, f->ops, &f->poller), 0);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  ws__poller_destroy(f->poller);
  assert_int_equal(f->alloc.held, 0);
  free(f);
  return 0;
}

/* A connected pair of sockets that do not block; `node` watches the first. */
typedef struct pair {
  ws__poller_node node;
  int peer;
  unsigned seen;
} pair;

static void set_nonblocking(int fd) {
  assert_int_equal(fcntl(fd, F_SETFL, (long)O_NONBLOCK), 0);
}

static void open_pair(pair *p) {
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  set_nonblocking(ends[0]);
  set_nonblocking(ends[1]);
  *p = (pair){.node.fd = ends[0], .peer = ends[1]};
}

static void close_pair(pair *p) {
  close(p->node.fd);
  if (p->peer >= 0) close(p->peer);
}

static void send_byte(int fd) {
  assert_int_equal(write(fd, "x", 1), 1);
}

static void take_byte(int fd) {
  char byte;
  assert_int_equal(read(fd, &byte, 1), 1);
}

/* Writes until the kernel takes no more. */
static void fill(int fd) {
  char data[4096] = {0};
  while (write(fd, data, sizeof(data)) > 0) {}
  assert_int_equal(errno, EAGAIN);
}

static void watch(fixture *f, pair *p, unsigned interest) {
  assert_int_equal(ws__poller_set(f->poller, &p->node, interest), 0);
}

/* Waits until something is ready and expects that to be this. */
static void expect_ready(fixture *f, pair *p, unsigned ready) {
  ws__poller_event event;
  assert_int_equal(ws__poller_wait(f->poller, LONG_MS), 0);
  assert_true(ws__poller_next(f->poller, &event));
  assert_ptr_equal(event.node, &p->node);
  assert_int_equal(event.ready, ready);
  assert_false(ws__poller_next(f->poller, &event));
}

static void expect_nothing(fixture *f) {
  ws__poller_event event;
  assert_int_equal(ws__poller_wait(f->poller, 0), 0);
  assert_false(ws__poller_next(f->poller, &event));
}

static bool is_readable(int fd, int timeout_ms) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  const int result = poll(&one, 1, timeout_ms);
  assert_true(result >= 0);
  return result == 1;
}

/* How many descriptors are open, of the first ones. */
static int count_open(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD, 0L) != -1;
  return count;
}

/* -- Readiness ------------------------------------------------------------- */

static void a_byte_makes_readable_until_it_is_read(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  watch(f, &p, READ);
  expect_nothing(f);
  send_byte(p.peer);
  expect_ready(f, &p, READ);
  expect_ready(f, &p, READ); /* Nobody has dealt with it. */
  take_byte(p.node.fd);
  expect_nothing(f);
  close_pair(&p);
}

static void room_makes_writable_until_it_is_full(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  watch(f, &p, WRITE);
  expect_ready(f, &p, WRITE);
  fill(p.node.fd);
  expect_nothing(f);
  char data[4096];
  while (read(p.peer, data, sizeof(data)) > 0) {}
  expect_ready(f, &p, WRITE);
  close_pair(&p);
}

static void readable_and_writable_come_as_one_event(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  watch(f, &p, READ | WRITE);
  expect_ready(f, &p, WRITE);
  send_byte(p.peer);
  expect_ready(f, &p, READ | WRITE);
  fill(p.node.fd);
  expect_ready(f, &p, READ);
  close_pair(&p);
}

static void only_what_is_waited_for_is_reported(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  send_byte(p.peer);
  static const unsigned steps[] = {READ,         WRITE, READ | WRITE, READ,
                                   READ | WRITE, WRITE, READ};
  for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
    watch(f, &p, steps[i]);
    assert_int_equal(p.node.interest, steps[i]);
    expect_ready(f, &p, steps[i]);
  }
  close_pair(&p);
}

static void what_is_removed_is_silent_until_it_is_added_again(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  send_byte(p.peer);
  for (int i = 0; i < 3; i++) {
    watch(f, &p, i == 1 ? READ | WRITE : READ);
    expect_ready(f, &p, i == 1 ? READ | WRITE : READ);
    watch(f, &p, 0);
    expect_nothing(f);
    watch(f, &p, 0);
  }
  close_pair(&p);
}

static void each_descriptor_is_known_by_its_own_node(void **state) {
  fixture *f = *state;
  pair pairs[3];
  for (int i = 0; i < 3; i++) {
    open_pair(&pairs[i]);
    watch(f, &pairs[i], READ);
  }
  /* In an order in which the places of poll(2) change hands. */
  for (int i = 0; i < 3; i++) {
    for (int k = i; k < 3; k++) {
      send_byte(pairs[k].peer);
      expect_ready(f, &pairs[k], READ);
      take_byte(pairs[k].node.fd);
    }
    watch(f, &pairs[i], 0);
  }
  expect_nothing(f);
  for (int i = 0; i < 3; i++)
    close_pair(&pairs[i]);
}

static void a_number_that_is_used_again_belongs_to_its_new_node(void **state) {
  fixture *f = *state;
  pair old, new;
  open_pair(&old);
  send_byte(old.peer);
  watch(f, &old, READ);
  expect_ready(f, &old, READ);
  watch(f, &old, 0);
  close_pair(&old);
  open_pair(&new);
  assert_int_equal(new.node.fd, old.node.fd);
  watch(f, &new, READ);
  expect_nothing(f);
  send_byte(new.peer);
  expect_ready(f, &new, READ);
  close_pair(&new);
}

/* -- The end of a peer ----------------------------------------------------- */

static void a_peer_that_closes_makes_readable(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  watch(f, &p, READ);
  close(p.peer);
  p.peer = -1;
  expect_ready(f, &p, READ);
  char byte;
  assert_int_equal(read(p.node.fd, &byte, 1), 0);
  close_pair(&p);
}

static void a_peer_that_closes_half_makes_readable_only(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  fill(p.node.fd);
  watch(f, &p, READ | WRITE);
  expect_nothing(f);
  assert_int_equal(shutdown(p.peer, SHUT_WR), 0);
  expect_ready(f, &p, READ);
  close_pair(&p);
}

static void a_hang_up_ends_the_wait_for_room(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  fill(p.node.fd);
  watch(f, &p, WRITE);
  expect_nothing(f);
  close(p.peer);
  p.peer = -1;
  expect_ready(f, &p, WRITE);
  watch(f, &p, READ | WRITE);
  expect_ready(f, &p, READ | WRITE);
  close_pair(&p);
}

/* A listener of the loopback; writes its address. */
static int listen_on_loopback(struct sockaddr_in *out_address) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  *out_address = (struct sockaddr_in){.sin_family = AF_INET};
  out_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof(*out_address);
  assert_int_equal(bind(fd, (struct sockaddr *)out_address, len), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)out_address, &len), 0);
  assert_int_equal(listen(fd, 1), 0);
  return fd;
}

static void a_reset_is_told_by_the_next_read(void **state) {
  fixture *f = *state;
  struct sockaddr_in address;
  const int listener = listen_on_loopback(&address);
  pair p = {.node.fd = socket(AF_INET, SOCK_STREAM, 0)};
  assert_int_equal(
      connect(p.node.fd, (struct sockaddr *)&address, sizeof(address)), 0);
  p.peer = accept(listener, NULL, NULL);
  assert_true(p.peer >= 0);
  watch(f, &p, READ);
  expect_nothing(f);
  const struct linger reset = {.l_onoff = 1, .l_linger = 0};
  setsockopt(p.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  close(p.peer);
  p.peer = -1;
  expect_ready(f, &p, READ);
  char byte;
  assert_int_equal(read(p.node.fd, &byte, 1), -1);
  assert_int_equal(errno, ECONNRESET);
  close_pair(&p);
  close(listener);
}

static void a_refused_connection_makes_writable(void **state) {
  fixture *f = *state;
  struct sockaddr_in address;
  close(listen_on_loopback(&address));
  pair p = {.node.fd = socket(AF_INET, SOCK_STREAM, 0), .peer = -1};
  set_nonblocking(p.node.fd);
  const int result =
      connect(p.node.fd, (struct sockaddr *)&address, sizeof(address));
  if (result == -1 && errno == EINPROGRESS) {
    watch(f, &p, WRITE);
    expect_ready(f, &p, WRITE);
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(p.node.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    assert_int_equal(error, ECONNREFUSED);
  } else {
    assert_int_equal(errno, ECONNREFUSED); /* Some systems know at once. */
  }
  close_pair(&p);
}

/* -- Many descriptors ------------------------------------------------------ */

#define MANY_PAIRS 2000

/* Opens as many pairs as the limits allow, up to MANY_PAIRS, most of them with
 * numbers that fd_set has no bit for. Returns how many. */
static size_t open_many(pair *pairs) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  size_t count = 0;
  int ends[2];
  while (count < MANY_PAIRS && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0) {
    pairs[count++] = (pair){.node.fd = ends[0], .peer = ends[1]};
  }
  /* Some are left for the test. */
  for (size_t spare = 0; count < MANY_PAIRS && spare < 8; spare++)
    close_pair(&pairs[--count]);
  assert_true(count > WS__POLLER_BATCH);
  return count;
}

/* Waits and takes until `count` nodes were seen at least once. Returns the
 * number of events that took. */
static size_t take_until_seen(fixture *f, size_t count) {
  size_t seen = 0, taken = 0;
  while (seen < count) {
    assert_int_equal(ws__poller_wait(f->poller, LONG_MS), 0);
    ws__poller_event event;
    const size_t before = taken;
    for (; ws__poller_next(f->poller, &event); taken++) {
      pair *p = WS__CONTAINER_OF(event.node, pair, node);
      assert_int_equal(event.ready, READ);
      seen += p->seen++ == 0;
    }
    assert_true(taken > before);
    assert_true(taken <= 2 * count + WS__POLLER_BATCH);
  }
  return taken;
}

static void of_more_ready_than_a_batch_holds_all_get_a_turn(void **state) {
  fixture *f = *state;
  pair *pairs = calloc(MANY_PAIRS, sizeof(*pairs));
  const size_t count = open_many(pairs);
  for (size_t i = 0; i < count; i++) {
    watch(f, &pairs[i], READ);
    send_byte(pairs[i].peer);
  }
  /* Nothing is read, so all stay ready; and still none waits twice as long as
   * it must. */
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < count; i++)
      pairs[i].seen = 0;
    assert_true(take_until_seen(f, count) <= 2 * count);
  }

  /* Every third only. */
  for (size_t i = 0; i < count; i++) {
    pairs[i].seen = 0;
    if (i % 3 != 0) watch(f, &pairs[i], 0);
  }
  take_until_seen(f, (count + 2) / 3);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(pairs[i].seen > 0, i % 3 == 0);
    take_byte(pairs[i].node.fd);
  }
  expect_nothing(f);
  for (size_t i = 0; i < count; i++) {
    watch(f, &pairs[i], 0);
    close_pair(&pairs[i]);
  }
  free(pairs);
}

/* -- Events that are out of date ------------------------------------------- */

static void of_two_ready_the_first_may_remove_and_free_the_other(void **state) {
  fixture *f = *state;
  pair *pairs[2];
  for (int i = 0; i < 2; i++) {
    pairs[i] = malloc(sizeof(pair));
    open_pair(pairs[i]);
    send_byte(pairs[i]->peer);
    watch(f, pairs[i], READ);
  }
  assert_int_equal(ws__poller_wait(f->poller, LONG_MS), 0);
  ws__poller_event event;
  assert_true(ws__poller_next(f->poller, &event));
  const int first = event.node == &pairs[1]->node;
  pair *other = pairs[!first];
  watch(f, other, 0);
  close_pair(other);
  free(other);
  assert_false(ws__poller_next(f->poller, &event));
  expect_ready(f, pairs[first], READ);
  close_pair(pairs[first]);
  free(pairs[first]);
}

static void an_event_not_taken_yet_follows_the_interest(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  send_byte(p.peer);
  ws__poller_event event;

  watch(f, &p, READ | WRITE);
  assert_int_equal(ws__poller_wait(f->poller, LONG_MS), 0);
  watch(f, &p, READ);
  assert_true(ws__poller_next(f->poller, &event));
  assert_int_equal(event.ready, READ);

  assert_int_equal(ws__poller_wait(f->poller, LONG_MS), 0);
  watch(f, &p, WRITE);
  assert_false(ws__poller_next(f->poller, &event));

  /* Taken off and put on again: the event of before is gone all the same. */
  assert_int_equal(ws__poller_wait(f->poller, LONG_MS), 0);
  watch(f, &p, 0);
  watch(f, &p, WRITE);
  assert_false(ws__poller_next(f->poller, &event));
  expect_ready(f, &p, WRITE);
  close_pair(&p);
}

static void a_wait_keeps_the_events_that_are_not_taken_yet(void **state) {
  fixture *f = *state;
  pair pairs[2];
  for (int i = 0; i < 2; i++) {
    open_pair(&pairs[i]);
    send_byte(pairs[i].peer);
    watch(f, &pairs[i], READ);
  }
  ws__poller_event first, second;
  assert_int_equal(ws__poller_wait(f->poller, LONG_MS), 0);
  assert_true(ws__poller_next(f->poller, &first));
  assert_int_equal(ws__poller_wait(f->poller, LONG_MS), 0);
  assert_true(ws__poller_next(f->poller, &second));
  assert_ptr_not_equal(first.node, second.node);
  assert_false(ws__poller_next(f->poller, &second));
  close_pair(&pairs[0]);
  close_pair(&pairs[1]);
}

/* -- Time ------------------------------------------------------------------ */

/* Waits with nothing to happen but time, and returns when it ended. */
static uint64_t wait_out(fixture *f, int timeout_ms) {
  ws__poller_event event;
  assert_int_equal(ws__poller_wait(f->poller, timeout_ms), 0);
  assert_false(ws__poller_next(f->poller, &event));
  return ws__clock_ms();
}

static void arm(fixture *f, uint64_t deadline) {
  assert_int_equal(ws__poller_arm(f->poller, deadline), 0);
}

static void a_timeout_ends_the_wait_and_not_before(void **state) {
  fixture *f = *state;
  const uint64_t start = ws__clock_ms();
  assert_true(wait_out(f, 0) < start + LONG_MS);
  const uint64_t again = ws__clock_ms();
  const uint64_t end = wait_out(f, 30);
  assert_true(end >= again + 29); /* The clock cuts off parts. */
  assert_true(end < again + LONG_MS);
}

static void check_deadlines(fixture *f) {
  uint64_t start = ws__clock_ms();
  arm(f, start + 30);
  uint64_t end = wait_out(f, -1);
  assert_true(end >= start + 30);
  assert_true(end < start + LONG_MS);
  /* It has passed and stands, so no wait blocks. */
  assert_true(wait_out(f, -1) < start + LONG_MS);

  /* Later than it was, and not before. */
  start = ws__clock_ms();
  arm(f, start + 5);
  arm(f, start + 40);
  end = wait_out(f, -1);
  assert_true(end >= start + 40);
  assert_true(end < start + LONG_MS);

  /* Earlier than it was. */
  start = ws__clock_ms();
  arm(f, start + 10 * (uint64_t)LONG_MS);
  arm(f, start + 20);
  end = wait_out(f, -1);
  assert_true(end >= start + 20);
  assert_true(end < start + LONG_MS);

  /* The timeout first, then the deadline first. */
  start = ws__clock_ms();
  arm(f, start + 10 * (uint64_t)LONG_MS);
  assert_true(wait_out(f, 10) < start + LONG_MS);
  arm(f, start + 20);
  end = wait_out(f, 10 * LONG_MS);
  assert_true(end >= start + 20);
  assert_true(end < start + LONG_MS);

  /* Taken back. */
  start = ws__clock_ms();
  arm(f, start + 1);
  arm(f, WS__POLLER_NEVER);
  assert_true(wait_out(f, 30) >= start + 29);

  /* Long ago, and so far away that it never comes. */
  static const uint64_t past[] = {0, 1};
  for (size_t i = 0; i < 2; i++) {
    arm(f, past[i]);
    assert_true(wait_out(f, -1) < ws__clock_ms() + LONG_MS);
  }
  static const uint64_t far[] = {UINT64_MAX - 1, (uint64_t)INT64_MAX,
                                 (uint64_t)INT32_MAX * 1000,
                                 (uint64_t)INT32_MAX * 1000 - 1};
  for (size_t i = 0; i < sizeof(far) / sizeof(*far); i++) {
    start = ws__clock_ms();
    arm(f, far[i]);
    assert_true(wait_out(f, 5) >= start + 4);
  }
}

static void the_earlier_of_timeout_and_deadline_ends_the_wait(void **state) {
  check_deadlines(*state);
}

static void it_does_so_with_a_shared_descriptor_too(void **state) {
  fixture *f = *state;
  int fd;
  const int result = ws__poller_fd(f->poller, &fd);
  if (f->ops->share == NULL) {
    assert_int_equal(result, WS_ERR_INVALID_STATE);
    return;
  }
  assert_int_equal(result, 0);
  check_deadlines(f);
}

static void a_deadline_does_not_hide_what_is_ready(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  watch(f, &p, READ);
  send_byte(p.peer);
  arm(f, 0);
  expect_ready(f, &p, READ);
  expect_ready(f, &p, READ);
  close_pair(&p);
}

/* -- Waking ---------------------------------------------------------------- */

typedef struct waker {
  ws__poller *poller;
  int plain; /* Written before the wake-up, read after the wait. */
  atomic_uint posted;
  unsigned count;
} waker;

static void *wake_once(void *arg) {
  waker *w = arg;
  w->plain = 1;
  ws__poller_wake(w->poller);
  return NULL;
}

static void another_thread_ends_the_wait(void **state) {
  fixture *f = *state;
  waker w = {.poller = f->poller};
  for (int i = 0; i < 100; i++) {
    w.plain = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_once, &w), 0);
    const uint64_t start = ws__clock_ms();
    assert_true(wait_out(f, LONG_MS) < start + LONG_MS);
    assert_int_equal(w.plain, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
  }
}

static void *post_many(void *arg) {
  waker *w = arg;
  for (unsigned i = 0; i < w->count; i++) {
    atomic_fetch_add_explicit(&w->posted, 1, memory_order_relaxed);
    ws__poller_wake(w->poller);
  }
  return NULL;
}

static void of_many_wake_ups_none_is_lost(void **state) {
  fixture *f = *state;
  enum {
    THREADS = 3,
    POSTS = 5000
  };
  waker w = {.poller = f->poller, .count = POSTS};
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, post_many, &w), 0);
  }
  /* Whoever waits after having looked is woken for what it has not seen. */
  while (atomic_load_explicit(&w.posted, memory_order_relaxed) <
         THREADS * POSTS) {
    const uint64_t start = ws__clock_ms();
    assert_true(wait_out(f, LONG_MS) < start + LONG_MS);
  }
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void many_wake_ups_before_a_wait_end_it_once(void **state) {
  fixture *f = *state;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 1000; i++)
      ws__poller_wake(f->poller);
    uint64_t start = ws__clock_ms();
    assert_true(wait_out(f, LONG_MS) < start + LONG_MS);
    start = ws__clock_ms();
    assert_true(wait_out(f, 10) >= start + 9);
  }
}

static void a_wake_up_does_not_hide_what_is_ready(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  watch(f, &p, READ);
  send_byte(p.peer);
  ws__poller_wake(f->poller);
  expect_ready(f, &p, READ);
  close_pair(&p);
}

static ws__poller *signal_target;

static void wake_on_signal(int number) {
  (void)number;
  ws__poller_wake(signal_target);
}

static void do_nothing_on_signal(int number) {
  (void)number;
}

static void handle_signal(void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler};
  assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void a_signal_handler_may_wake(void **state) {
  fixture *f = *state;
  signal_target = f->poller;
  handle_signal(wake_on_signal);
  errno = ENOTTY;
  assert_int_equal(raise(SIGUSR1), 0);
  assert_int_equal(errno, ENOTTY);
  const uint64_t start = ws__clock_ms();
  assert_true(wait_out(f, LONG_MS) < start + LONG_MS);
  handle_signal(SIG_DFL);
}

typedef struct signaller {
  pthread_t target;
  atomic_bool is_done;
} signaller;

/* Again and again, since the first may come before the wait. */
static void *send_signals(void *arg) {
  signaller *s = arg;
  while (!atomic_load(&s->is_done)) {
    pthread_kill(s->target, SIGUSR1);
    sched_yield();
  }
  return NULL;
}

static void a_signal_ends_the_wait_without_an_error(void **state) {
  fixture *f = *state;
  handle_signal(do_nothing_on_signal);
  signaller s = {.target = pthread_self()};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, send_signals, &s), 0);
  const uint64_t start = ws__clock_ms();
  assert_true(wait_out(f, LONG_MS) < start + LONG_MS);
  atomic_store(&s.is_done, true);
  assert_int_equal(pthread_join(thread, NULL), 0);
  handle_signal(SIG_DFL);
}

/* -- The shared descriptor ------------------------------------------------- */

/* The descriptor, or -1 if the back end has none and says so. */
static int share(fixture *f) {
  int fd = 0;
  const int result = ws__poller_fd(f->poller, &fd);
  if (f->ops->share != NULL) {
    assert_int_equal(result, 0);
    int again = -1;
    assert_int_equal(ws__poller_fd(f->poller, &again), 0);
    assert_int_equal(again, fd);
  } else {
    assert_int_equal(result, WS_ERR_INVALID_STATE);
    assert_int_equal(fd, -1);
  }
  return fd;
}

static void the_shared_descriptor_shows_what_is_ready(void **state) {
  fixture *f = *state;
  const int fd = share(f);
  if (fd < 0) return;
  pair p;
  open_pair(&p);
  watch(f, &p, READ);
  assert_false(is_readable(fd, 0));
  send_byte(p.peer);
  assert_true(is_readable(fd, LONG_MS));
  expect_ready(f, &p, READ);
  assert_true(is_readable(fd, 0)); /* Nobody has dealt with it. */
  take_byte(p.node.fd);
  assert_false(is_readable(fd, 0));
  watch(f, &p, READ | WRITE);
  assert_true(is_readable(fd, LONG_MS));
  watch(f, &p, 0);
  assert_false(is_readable(fd, 0));
  close_pair(&p);
}

static void the_shared_descriptor_shows_a_wake_up(void **state) {
  fixture *f = *state;
  const int fd = share(f);
  if (fd < 0) return;
  for (int i = 0; i < 3; i++) {
    assert_false(is_readable(fd, 0));
    ws__poller_wake(f->poller);
    ws__poller_wake(f->poller);
    assert_true(is_readable(fd, LONG_MS));
    expect_nothing(f);
  }
  assert_false(is_readable(fd, 0));
}

static void the_shared_descriptor_shows_that_a_deadline_passed(void **state) {
  fixture *f = *state;
  /* One that is armed before anybody watches. */
  uint64_t deadline = ws__clock_ms() + 10;
  arm(f, deadline);
  const int fd = share(f);
  if (fd < 0) return;
  assert_true(is_readable(fd, LONG_MS));
  assert_true(ws__clock_ms() >= deadline);
  for (int i = 0; i < 3; i++) {
    expect_nothing(f);
    assert_true(is_readable(fd, LONG_MS)); /* It still stands. */
  }
  arm(f, WS__POLLER_NEVER);
  assert_false(is_readable(fd, 0));

  /* Moved away, also when it has passed already, and not looked at in between.
   */
  arm(f, ws__clock_ms());
  assert_true(is_readable(fd, LONG_MS));
  arm(f, ws__clock_ms() + 10 * (uint64_t)LONG_MS);
  assert_false(is_readable(fd, 20));
  /* And near again. */
  deadline = ws__clock_ms() + 10;
  arm(f, deadline);
  assert_true(is_readable(fd, LONG_MS));
  assert_true(ws__clock_ms() >= deadline);
  arm(f, 0);
  assert_true(is_readable(fd, LONG_MS));
}

/* -- What it costs --------------------------------------------------------- */

#ifdef TEST_WRAPS
static void what_changes_nothing_costs_no_call(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  watch(f, &p, READ);
  faults.calls = 0;
  watch(f, &p, READ);
  arm(f, 1);
  arm(f, WS__POLLER_NEVER); /* Nobody else watches. */
  assert_int_equal(faults.calls, 0);
  if (share(f) >= 0) {
    arm(f, UINT64_MAX / 2);
    faults.calls = 0;
    arm(f, UINT64_MAX / 2);
    assert_int_equal(faults.calls, 0);
  }
  close_pair(&p);
}

static void a_wait_is_one_call(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  watch(f, &p, READ);
  arm(f, ws__clock_ms() + LONG_MS);
  send_byte(p.peer);
  for (int i = 0; i < 2; i++) {
    faults.calls = 0;
    expect_ready(f, &p, READ);
    assert_int_equal(faults.calls, 1);
    (void)share(f); /* With the deadline in the descriptor it is no more. */
  }
  close_pair(&p);
}

static void many_wake_ups_are_one_call(void **state) {
  fixture *f = *state;
  for (int round = 0; round < 2; round++) {
    faults.calls = 0;
    for (int i = 0; i < 100; i++)
      ws__poller_wake(f->poller);
    assert_int_equal(faults.calls, 1);
    expect_nothing(f);
  }
}
#endif

/* -- Failures -------------------------------------------------------------- */

/* Does everything there is to do. A call that fails is counted and made again,
 * and then has to succeed. Returns how many have failed. */
#define TRY(call)                                                            \
  do {                                                                       \
    int result = (call);                                                     \
    if (result != 0) {                                                       \
      assert_true(result == WS_ERR_NO_MEMORY || result == WS_ERR_TRANSPORT); \
      failures++;                                                            \
      result = (call);                                                       \
    }                                                                        \
    assert_int_equal(result, 0);                                             \
  } while (0)

static unsigned do_everything(const ws__poller_ops *ops, test_alloc *alloc) {
  enum {
    PAIRS = 40
  };
  unsigned failures = 0;
  pair pairs[PAIRS];
  faults.is_off = true;
  for (int i = 0; i < PAIRS; i++) {
    open_pair(&pairs[i]);
    send_byte(pairs[i].peer);
  }
  faults.is_off = false;

  ws__poller *poller = NULL;
  TRY(ws__poller_open(&alloc->allocator, ops, &poller));
  for (int i = 0; i < PAIRS; i++) {
    TRY(ws__poller_set(poller, &pairs[i].node, i % 2 ? READ | WRITE : READ));
    TRY(ws__poller_set(poller, &pairs[i].node, i % 3 ? READ : READ | WRITE));
  }
  TRY(ws__poller_wait(poller, 0));
  ws__poller_event event;
  while (ws__poller_next(poller, &event))
    WS__CONTAINER_OF(event.node, pair, node)->seen = 1;
  TRY(ws__poller_wait(poller, 0)); /* If the first one was interrupted. */
  while (ws__poller_next(poller, &event))
    WS__CONTAINER_OF(event.node, pair, node)->seen = 1;
  for (int i = 0; i < PAIRS; i++)
    assert_int_equal(pairs[i].seen, 1);

  if (ops->share != NULL) {
    int fd;
    TRY(ws__poller_fd(poller, &fd));
    TRY(ws__poller_arm(poller, UINT64_MAX / 2));
    TRY(ws__poller_arm(poller, 0));
    TRY(ws__poller_wait(poller, LONG_MS));
    while (ws__poller_next(poller, &event)) {}
    faults.is_off = true;
    assert_true(is_readable(fd, LONG_MS));
    faults.is_off = false;
    TRY(ws__poller_arm(poller, WS__POLLER_NEVER));
  }

  for (int i = 0; i < PAIRS; i++) {
    assert_int_equal(ws__poller_set(poller, &pairs[i].node, 0), 0);
    faults.is_off = true;
    close_pair(&pairs[i]);
    faults.is_off = false;
  }
  /* One that fails is one too few; the next then does it. */
  ws__poller_wake(poller);
  ws__poller_wake(poller);
  const uint64_t start = ws__clock_ms();
  TRY(ws__poller_wait(poller, LONG_MS));
  TRY(ws__poller_wait(poller, 0));
  assert_true(ws__clock_ms() < start + LONG_MS);
  ws__poller_wake(poller);
  ws__poller_wake(poller);
  TRY(ws__poller_wait(poller, LONG_MS));
  assert_true(ws__clock_ms() < start + LONG_MS);
  assert_false(ws__poller_next(poller, &event));
  ws__poller_destroy(poller);
  return failures;
}

static void every_allocation_may_fail(void **state) {
  fixture *f = *state;
  const int open_before = count_open();
  for (size_t n = 0;; n++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    alloc.fail_at = n;
    const unsigned failures = do_everything(f->ops, &alloc);
    assert_int_equal(alloc.held, 0);
    assert_int_equal(count_open(), open_before);
    assert_int_equal(failures, alloc.calls > n);
    if (alloc.calls <= n) break;
  }
}

#ifdef TEST_WRAPS
static void every_system_call_may_fail(void **state) {
  fixture *f = *state;
  const int open_before = count_open();
  static const int errors[] = {EIO, EMFILE, ENOMEM, EINTR};
  for (size_t e = 0; e < sizeof(errors) / sizeof(*errors); e++) {
    for (size_t n = 0;; n++) {
      test_alloc alloc;
      test_alloc_init(&alloc);
      reset_faults();
      faults.fail_at = n;
      faults.error = errors[e];
      do_everything(f->ops, &alloc);
      const bool has_failed = faults.calls > n;
      reset_faults();
      assert_int_equal(alloc.held, 0);
      assert_int_equal(count_open(), open_before);
      if (!has_failed) break;
    }
  }
}

/* Fails to set `interest`, and looks for what is left of that. */
static void fail_to_watch(fixture *f, pair *p, unsigned interest) {
  const unsigned before = p->node.interest;
  reset_faults();
  faults.fail_at = 0;
  errno = 0;
  assert_int_equal(ws__poller_set(f->poller, &p->node, interest),
                   WS_ERR_TRANSPORT);
  assert_int_equal(errno, EIO);
  reset_faults();
  assert_int_equal(p->node.interest, before);
}

static void what_failed_to_change_stays_as_it_was(void **state) {
  fixture *f = *state;
  const int fd = share(f);
  if (fd < 0) return; /* poll(2) makes no call to change something. */
  pair p;
  open_pair(&p);
  send_byte(p.peer);
  fail_to_watch(f, &p, READ | WRITE);
  assert_false(is_readable(fd, 0));
  watch(f, &p, READ);
  fail_to_watch(f, &p, READ | WRITE);
  expect_ready(f, &p, READ);
  take_byte(p.node.fd);
  assert_false(is_readable(fd, 0));
  fail_to_watch(f, &p, WRITE);
  assert_false(is_readable(fd, 0));
  send_byte(p.peer);
  expect_ready(f, &p, READ);
  watch(f, &p, READ | WRITE);
  expect_ready(f, &p, READ | WRITE);
  close_pair(&p);
}

#endif

static void what_is_no_descriptor_cannot_be_watched(void **state) {
  fixture *f = *state;
  if (f->ops == &ws__poller_poll) return; /* It sees that when it waits. */
  pair p = {.node.fd = dup(0)};
  close(p.node.fd);
  assert_int_equal(ws__poller_set(f->poller, &p.node, READ | WRITE),
                   WS_ERR_TRANSPORT);
  assert_int_equal(errno, EBADF);
  assert_int_equal(p.node.interest, 0);
  expect_nothing(f);
}

/* Leaves room for `spare` more descriptors, and returns the limit of before. */
static struct rlimit limit_descriptors(int spare) {
  struct rlimit before;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  struct rlimit tight = before;
  const int next = dup(0);
  assert_true(next >= 0);
  close(next);
  tight.rlim_cur = (rlim_t)(next + spare);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
  return before;
}

static void without_descriptors_left_it_is_an_error(void **state) {
  fixture *f = *state;
  const int open_before = count_open();
  bool has_all = false;
  for (int spare = 0; !has_all; spare++) {
    assert_true(spare < 16);
    const struct rlimit before = limit_descriptors(spare);
    ws__poller *poller;
    int result = ws__poller_open(&f->alloc.allocator, f->ops, &poller);
    int error = errno;
    if (result == 0) {
      int fd;
      result = ws__poller_fd(poller, &fd);
      error = errno;
      has_all = result != WS_ERR_TRANSPORT;
      ws__poller_destroy(poller);
    }
    if (!has_all) {
      assert_int_equal(result, WS_ERR_TRANSPORT);
      assert_int_equal(error, EMFILE);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(count_open(), open_before);
  }
}

/* -- Making ---------------------------------------------------------------- */

static void its_descriptors_are_closed_by_exec(void **state) {
  fixture *f = *state;
  bool was_open[256];
  for (int fd = 0; fd < 256; fd++)
    was_open[fd] = fcntl(fd, F_GETFD, 0L) != -1;
  ws__poller *poller;
  assert_int_equal(ws__poller_open(&f->alloc.allocator, f->ops, &poller), 0);
  int shared;
  (void)ws__poller_fd(poller, &shared);
  int found = 0;
  for (int fd = 0; fd < 256; fd++) {
    const int flags = fcntl(fd, F_GETFD, 0L);
    if (was_open[fd] || flags == -1) continue;
    assert_true(flags & FD_CLOEXEC);
    found++;
  }
  assert_true(found >= 2);
  ws__poller_destroy(poller);
}

static void a_back_end_is_found_by_its_name(void **state) {
  (void)state;
  static const char *const names[] = {"epoll", "kqueue", "poll"};
  ws__poller *poller;
  int found = 0;
  for (size_t i = 0; i < 3; i++) {
    const int result = ws__poller_create(&ws__malloc, names[i], &poller);
    if (result != 0) {
      assert_int_equal(result, WS_ERR_INVALID_ARGUMENT);
      continue;
    }
    assert_string_equal(ws__poller_name(poller), names[i]);
    ws__poller_destroy(poller);
    found++;
  }
  assert_int_equal(found, 2); /* The system's own, and poll. */
  assert_int_equal(ws__poller_create(&ws__malloc, "", &poller),
                   WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(ws__poller_create(&ws__malloc, "select", &poller),
                   WS_ERR_INVALID_ARGUMENT);
}

static void without_a_name_it_is_one_with_a_descriptor(void **state) {
  (void)state;
  ws__poller *poller;
  assert_int_equal(ws__poller_create(&ws__malloc, NULL, &poller), 0);
  assert_string_not_equal(ws__poller_name(poller), "poll");
  int fd;
  assert_int_equal(ws__poller_fd(poller, &fd), 0);
  ws__poller_destroy(poller);
  ws__poller_destroy(NULL);
}

#if WS__HAVE_EPOLL
static const ws__poller_ops *epoll_ops = &ws__poller_epoll;
#define EPOLL_CASE(test) {"epoll: " #test, test, set_up, tear_down, &epoll_ops},
#else
#define EPOLL_CASE(test)
#endif
#if WS__HAVE_KQUEUE
static const ws__poller_ops *kqueue_ops = &ws__poller_kqueue;
#define KQUEUE_CASE(test) \
  {"kqueue: " #test, test, set_up, tear_down, &kqueue_ops},
#else
#define KQUEUE_CASE(test)
#endif
static const ws__poller_ops *poll_ops = &ws__poller_poll;
#define POLL_CASE(test) {"poll: " #test, test, set_up, tear_down, &poll_ops},

#ifdef TEST_WRAPS
#define WITH_WRAPS(test) EACH(test)
#else
#define WITH_WRAPS(test)
#endif

int main(void) {
/* clang-format off */
#define EACH(test) EPOLL_CASE(test) KQUEUE_CASE(test) POLL_CASE(test)
  const struct CMUnitTest tests[] = {
      EACH(a_byte_makes_readable_until_it_is_read)
      EACH(room_makes_writable_until_it_is_full)
      EACH(readable_and_writable_come_as_one_event)
      EACH(only_what_is_waited_for_is_reported)
      EACH(what_is_removed_is_silent_until_it_is_added_again)
      EACH(each_descriptor_is_known_by_its_own_node)
      EACH(a_number_that_is_used_again_belongs_to_its_new_node)
      EACH(a_peer_that_closes_makes_readable)
      EACH(a_peer_that_closes_half_makes_readable_only)
      EACH(a_hang_up_ends_the_wait_for_room)
      EACH(a_reset_is_told_by_the_next_read)
      EACH(a_refused_connection_makes_writable)
      EACH(of_more_ready_than_a_batch_holds_all_get_a_turn)
      EACH(of_two_ready_the_first_may_remove_and_free_the_other)
      EACH(an_event_not_taken_yet_follows_the_interest)
      EACH(a_wait_keeps_the_events_that_are_not_taken_yet)
      EACH(a_timeout_ends_the_wait_and_not_before)
      EACH(the_earlier_of_timeout_and_deadline_ends_the_wait)
      EACH(it_does_so_with_a_shared_descriptor_too)
      EACH(a_deadline_does_not_hide_what_is_ready)
      EACH(another_thread_ends_the_wait)
      EACH(of_many_wake_ups_none_is_lost)
      EACH(many_wake_ups_before_a_wait_end_it_once)
      EACH(a_wake_up_does_not_hide_what_is_ready)
      EACH(a_signal_handler_may_wake)
      EACH(a_signal_ends_the_wait_without_an_error)
      EACH(the_shared_descriptor_shows_what_is_ready)
      EACH(the_shared_descriptor_shows_a_wake_up)
      EACH(the_shared_descriptor_shows_that_a_deadline_passed)
      EACH(every_allocation_may_fail)
      EACH(without_descriptors_left_it_is_an_error)
      EACH(its_descriptors_are_closed_by_exec)
      EACH(what_is_no_descriptor_cannot_be_watched)
      WITH_WRAPS(what_changes_nothing_costs_no_call)
      WITH_WRAPS(a_wait_is_one_call)
      WITH_WRAPS(many_wake_ups_are_one_call)
      WITH_WRAPS(every_system_call_may_fail)
      WITH_WRAPS(what_failed_to_change_stays_as_it_was)
      cmocka_unit_test(a_back_end_is_found_by_its_name),
      cmocka_unit_test(without_a_name_it_is_one_with_a_descriptor),
  };
/* clang-format on */
#undef EACH
  return cmocka_run_group_tests(tests, NULL, NULL);
}
