/* poller_fixture.h - what the tests of the poller share: one poller of each
 * back end in turn, and pairs of sockets for it to watch.
 *
 * Where the system has no kqueue, that back end runs on the one of kqueue/. */
#ifndef POLLER_FIXTURE_H
#define POLLER_FIXTURE_H

#include "base/list.h"
#include "io/clock.h"
#include "io/poller_backend.h"
#include "test.h"
#include "test_alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ  WS__POLLER_READ
#define WRITE WS__POLLER_WRITE

/* What must happen happens long before; only a failing test takes so long. */
#define LONG_MS 20000

typedef struct fixture {
  const ws__poller_ops *ops;
  test_alloc alloc;
  ws__poller *poller;
} fixture;

/* The initial state of a test is where the pointer to its back end lies. */
static inline int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  f->ops = *(const ws__poller_ops **)*state;
  test_alloc_init(&f->alloc);
  assert_int_equal(ws__poller_open(&f->alloc.allocator, f->ops, &f->poller), 0);
  *state = f;
  return 0;
}

static inline int tear_down(void **state) {
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

static inline void set_nonblocking(int fd) {
  assert_int_equal(fcntl(fd, F_SETFL, (long)O_NONBLOCK), 0);
}

static inline void open_pair(pair *p) {
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  set_nonblocking(ends[0]);
  set_nonblocking(ends[1]);
  *p = (pair){.node.fd = ends[0], .peer = ends[1]};
}

static inline void close_pair(pair *p) {
  close(p->node.fd);
  if (p->peer >= 0) close(p->peer);
}

static inline void send_byte(int fd) {
  assert_int_equal(write(fd, "x", 1), 1);
}

static inline void take_byte(int fd) {
  char byte;
  assert_int_equal(read(fd, &byte, 1), 1);
}

/* Writes until the kernel takes no more. */
static inline void fill(int fd) {
  char data[4096] = {0};
  while (write(fd, data, sizeof(data)) > 0) {}
  assert_int_equal(errno, EAGAIN);
}

static inline void watch(fixture *f, pair *p, unsigned interest) {
  assert_int_equal(ws__poller_set(f->poller, &p->node, interest), 0);
}

/* Waits until something is ready and expects that to be this. */
static inline void expect_ready(fixture *f, pair *p, unsigned ready) {
  ws__poller_event event;
  assert_int_equal(ws__poller_wait(f->poller, LONG_MS), 0);
  assert_true(ws__poller_next(f->poller, &event));
  assert_ptr_equal(event.node, &p->node);
  assert_int_equal(event.ready, ready);
  assert_false(ws__poller_next(f->poller, &event));
}

static inline void expect_nothing(fixture *f) {
  ws__poller_event event;
  assert_int_equal(ws__poller_wait(f->poller, 0), 0);
  assert_false(ws__poller_next(f->poller, &event));
}

static inline bool is_readable(int fd, int timeout_ms) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  const int result = poll(&one, 1, timeout_ms);
  assert_true(result >= 0);
  return result == 1;
}

static inline void arm(fixture *f, uint64_t deadline) {
  assert_int_equal(ws__poller_arm(f->poller, deadline), 0);
}

/* The descriptor, or -1 if the back end has none and says so. */
static inline int share(fixture *f) {
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

/* -- A case for each back end ------------------------------------------------ */

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

/* Elements of a list of tests, each with its comma. */
#define EACH(test) EPOLL_CASE(test) KQUEUE_CASE(test) POLL_CASE(test)

#endif
