/* test_poller_faults.c - what every back end of the poller costs and how it
 * fails.
 *
 * On Linux the linker puts the functions of "Faults" between the poller and the
 * system (--wrap), so that calls can be counted and fail. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "poller_fixture.h"

#include <sys/resource.h>

/* -- Faults ---------------------------------------------------------------- */

/* Calls of the poller, from 0; those of the test itself are left alone while
 * `is_off`. */
static struct {
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

/* How many descriptors are open, of the first ones. */
static int count_open(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD, 0L) != -1;
  return count;
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
#define TRY(call)                                                         \
  do {                                                                    \
    int result = (call);                                                  \
    if (result != 0) {                                                    \
      assert_true(result == WS_ERR_NO_MEMORY || result == WS_ERR_SYSTEM); \
      failures++;                                                         \
      result = (call);                                                    \
    }                                                                     \
    assert_int_equal(result, 0);                                          \
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
                   WS_ERR_SYSTEM);
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
                   WS_ERR_SYSTEM);
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
      has_all = result != WS_ERR_SYSTEM;
      ws__poller_destroy(poller);
    }
    if (!has_all) {
      assert_int_equal(result, WS_ERR_SYSTEM);
      assert_int_equal(error, EMFILE);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(count_open(), open_before);
  }
}

int main(void) {
  /* clang-format off */
  const struct CMUnitTest tests[] = {
      EACH(every_allocation_may_fail)
      EACH(without_descriptors_left_it_is_an_error)
      EACH(what_is_no_descriptor_cannot_be_watched)
#ifdef TEST_WRAPS
      EACH(what_changes_nothing_costs_no_call)
      EACH(a_wait_is_one_call)
      EACH(many_wake_ups_are_one_call)
      EACH(every_system_call_may_fail)
      EACH(what_failed_to_change_stays_as_it_was)
#endif
  };
  /* clang-format on */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
