/* poller_epoll.c - the back end of Linux.
 *
 * The epoll descriptor is the shared one: in it are the watched descriptors, an
 * eventfd for wake-ups, and, once somebody else watches it, a timerfd with the
 * deadline. Neither is ever read: the eventfd is edge-triggered, the timerfd is
 * set anew. */
#include "io/poller_backend.h"

#if WS__HAVE_EPOLL

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MS_PER_S  1000U
#define NS_PER_MS 1000000U

/* Seconds of the clock that no machine reaches, and every time_t can hold. */
#define FAR_SECONDS INT32_MAX

typedef struct epoll_poller {
  ws__poller base;
  int epoll;
  int wake;
  int timer; /* -1 until the descriptor is shared. */
} epoll_poller;

/* Adds a descriptor of our own, known by where its number is kept. */
static int add_own(const epoll_poller *p, int *fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.ptr = fd}};
  return epoll_ctl(p->epoll, EPOLL_CTL_ADD, *fd, &event);
}

static void close_poller(ws__poller *base) {
  epoll_poller *p = (epoll_poller *)base;
  ws__poller_discard(p->timer);
  ws__poller_discard(p->wake);
  ws__poller_discard(p->epoll);
}

static int open_poller(ws__poller *base) {
  epoll_poller *p = (epoll_poller *)base;
  p->epoll = p->wake = p->timer = -1;
  p->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (p->epoll < 0) goto fail;
  p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (p->wake < 0) goto fail;
  if (add_own(p, &p->wake, EPOLLIN | EPOLLET) != 0) goto fail;
  return 0;
fail:
  close_poller(base);
  return -1;
}

static int set_interest(ws__poller *base, ws__poller_node *node,
                        unsigned interest) {
  const epoll_poller *p = (epoll_poller *)base;
  struct epoll_event event = {.data = {.ptr = node}};
  if (interest & WS__POLLER_READ) event.events |= EPOLLIN;
  if (interest & WS__POLLER_WRITE) event.events |= EPOLLOUT;
  const int op = interest == 0         ? EPOLL_CTL_DEL
                 : node->interest == 0 ? EPOLL_CTL_ADD
                                       : EPOLL_CTL_MOD;
  return epoll_ctl(p->epoll, op, node->fd, &event);
}

static unsigned ready_of(uint32_t events) {
  unsigned ready = 0;
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) ready |= WS__POLLER_READ;
  if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) ready |= WS__POLLER_WRITE;
  return ready;
}

/* epoll_wait itself goes round: what did not fit comes first the next time. */
static int wait_ready(ws__poller *base, int timeout_ms) {
  epoll_poller *p = (epoll_poller *)base;
  struct epoll_event events[WS__POLLER_BATCH];
  const int count = epoll_wait(p->epoll, events, WS__POLLER_BATCH, timeout_ms);
  if (count < 0) return -1;
  for (int i = 0; i < count; i++) {
    void *what = events[i].data.ptr;
    if (what == &p->wake) {
      ws__poller_woken(base);
    } else if (what != &p->timer) {
      ws__poller_report(base, what, ready_of(events[i].events));
    }
  }
  return 0;
}

static int share_fd(ws__poller *base) {
  epoll_poller *p = (epoll_poller *)base;
  if (p->timer >= 0) return p->epoll;
  p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (p->timer < 0) return -1;
  if (add_own(p, &p->timer, EPOLLIN) == 0) return p->epoll;
  ws__poller_discard(p->timer);
  p->timer = -1;
  return -1;
}

static int arm_deadline(ws__poller *base) {
  const epoll_poller *p = (epoll_poller *)base;
  struct itimerspec when = {0}; /* Which means never. */
  const uint64_t seconds = base->deadline / MS_PER_S;
  if (seconds < FAR_SECONDS) {
    when.it_value.tv_sec = (time_t)seconds;
    when.it_value.tv_nsec = (long)(base->deadline % MS_PER_S * NS_PER_MS);
    /* 0 is a moment that has passed, too. */
    if (base->deadline == 0) when.it_value.tv_nsec = 1;
  }
  return timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static int wake_up(ws__poller *base) {
  const epoll_poller *p = (epoll_poller *)base;
  const uint64_t one = 1;
  ssize_t written;
  do {
    written = write(p->wake, &one, sizeof(one));
  } while (written < 0 && errno == EINTR);
  return written >= 0 ? 0 : -1;
}

const ws__poller_ops ws__poller_epoll = {
    .name = "epoll",
    .size = sizeof(epoll_poller),
    .open = open_poller,
    .close = close_poller,
    .set = set_interest,
    .wait = wait_ready,
    .share = share_fd,
    .arm = arm_deadline,
    .wake = wake_up,
};

#endif
