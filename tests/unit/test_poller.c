/* test_poller.c - what every back end of the poller does, by one list of tests.
 * How they fail is in test_poller_faults.c. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "poller_fixture.h"

#include "io/fork.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

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

/* In the child of a fork(). Returns whether no descriptor but the poller's own
 * was closed. A kqueue is not inherited; its number may be another file's. */
static bool destroy_in_child(fixture *f) {
  int fd = -1;
  const bool is_kqueue = strcmp(ws__poller_name(f->poller), "kqueue") == 0;
  if (is_kqueue) {
    if (ws__poller_fd(f->poller, &fd) != 0) return false;
    (void)close(fd); /* Already, where it is a real one. */
    if (dup2(STDERR_FILENO, fd) != fd) return false;
  }
  ws__poller_destroy(f->poller);
  return !is_kqueue || fcntl(fd, F_GETFD) != -1;
}

static void a_forked_child_may_destroy_it(void **state) {
  fixture *f = *state;
  pair p;
  open_pair(&p);
  watch(f, &p, READ);
  assert_int_equal(ws__fork_watch(), 0);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(LONG_MS / 1000);
    _exit(destroy_in_child(f) ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  send_byte(p.peer);
  expect_ready(f, &p, READ);
  close_pair(&p);
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

int main(void) {
  /* clang-format off */
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
      EACH(its_descriptors_are_closed_by_exec)
      EACH(a_forked_child_may_destroy_it)
      cmocka_unit_test(a_back_end_is_found_by_its_name),
      cmocka_unit_test(without_a_name_it_is_one_with_a_descriptor),
  };
  /* clang-format on */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
