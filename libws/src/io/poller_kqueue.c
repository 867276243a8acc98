/* poller_kqueue.c - the back end of macOS and the BSDs.
 *
 * The kqueue is the shared descriptor: in it are the watched descriptors, a
 * pipe for wake-ups (EVFILT_USER is not everywhere), and, once somebody else
 * watches it, a timer for the deadline. */

/* kqueue is no part of POSIX. */
#undef _POSIX_C_SOURCE
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "io/poller_backend.h"

#if WS__HAVE_KQUEUE

#include "io/clock.h"
#include "io/fork.h"

/* The other headers of some systems do not include it themselves. */
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MS_PER_S  1000
#define NS_PER_MS 1000000

/* There is one timer, so any number will do. */
#define TIMER_ID 1

/* No timer runs longer, because systems differ in how long one may. One that
 * ends before the deadline is started again. */
#define LONGEST_TIMER_MS 86400000U

typedef struct kqueue_poller {
  ws__poller base;
  int queue;
  int wake[2];
  unsigned forks; /* When the queue was made. */
  bool has_timer; /* One is in the queue, running or run out. */
} kqueue_poller;

/* Makes changes in order, up to the first that fails. */
static int change(const kqueue_poller *p, const struct kevent *changes,
                  int count) {
  /* "When kevent() call fails with EINTR error, all changes in the changelist
   * have been applied." (kqueue(2) of FreeBSD) */
  const int result = kevent(p->queue, changes, count, NULL, 0, NULL);
  return result == 0 || errno == EINTR ? 0 : -1;
}

static void close_poller(ws__poller *base) {
  const kqueue_poller *p = (kqueue_poller *)base;
  /* "The queue is not inherited by a child created with fork(2)" (kqueue(2)):
   * there its number may be that of another file. */
  if (p->forks == ws__fork_count()) ws__poller_discard(p->queue);
  ws__poller_pipe_close(p->wake);
}

static int open_poller(ws__poller *base) {
  kqueue_poller *p = (kqueue_poller *)base;
  p->queue = -1;
  p->forks = ws__fork_count();
  if (ws__poller_pipe_open(p->wake) != 0) return -1;
  p->queue = kqueue();
  if (p->queue < 0) goto fail;
  if (fcntl(p->queue, F_SETFD, FD_CLOEXEC) == -1) goto fail;
  struct kevent wake;
  EV_SET(&wake, (uintptr_t)p->wake[WS__POLLER_PIPE_READ], EVFILT_READ, EV_ADD,
         0, 0, NULL);
  if (change(p, &wake, 1) != 0) goto fail;
  return 0;
fail:
  close_poller(base);
  return -1;
}

/* -- Descriptors ----------------------------------------------------------- */

/* Writes the changes that add or delete the filters of `bits`, and returns how
 * many these are. */
static int list_changes(struct kevent *out, ws__poller_node *node,
                        unsigned bits, unsigned short action) {
  const uintptr_t fd = (uintptr_t)node->fd;
  int count = 0;
  if (bits & WS__POLLER_READ) {
    EV_SET(&out[count++], fd, EVFILT_READ, action, 0, 0, node);
  }
  if (bits & WS__POLLER_WRITE) {
    EV_SET(&out[count++], fd, EVFILT_WRITE, action, 0, 0, node);
  }
  return count;
}

static int set_interest(ws__poller *base, ws__poller_node *node,
                        unsigned interest) {
  const kqueue_poller *p = (kqueue_poller *)base;
  struct kevent changes[2]; /* One for each filter. */
  const unsigned added = interest & ~(unsigned)node->interest;
  const unsigned removed = node->interest & ~interest;
  int count = list_changes(changes, node, added, EV_ADD);
  count += list_changes(changes + count, node, removed, EV_DELETE);
  if (change(p, changes, count) == 0) return 0;

  /* What was added before the change that failed goes again. */
  const int error = errno;
  count = list_changes(changes, node, added, EV_DELETE);
  for (int i = 0; i < count; i++)
    (void)change(p, &changes[i], 1);
  errno = error;
  return -1;
}

/* -- The deadline ---------------------------------------------------------- */

/* A fresh timer for what is left until the deadline. The old one goes first,
 * for not every system changes one that is running, or has run out. */
static int arm_deadline(ws__poller *base) {
  kqueue_poller *p = (kqueue_poller *)base;
  struct kevent timer;
  if (p->has_timer) {
    EV_SET(&timer, TIMER_ID, EVFILT_TIMER, EV_DELETE, 0, 0, NULL);
    if (change(p, &timer, 1) != 0) return -1;
    p->has_timer = false;
  }
  if (base->deadline == WS__POLLER_NEVER) return 0;

  const uint64_t now = ws__clock_ms();
  /* A timer of 0 means different things in different systems. */
  uint64_t left = base->deadline > now ? base->deadline - now : 1;
  if (left > LONGEST_TIMER_MS) left = LONGEST_TIMER_MS;
  EV_SET(&timer, TIMER_ID, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, (int)left,
         NULL);
  if (change(p, &timer, 1) != 0) return -1;
  p->has_timer = true;
  return 0;
}

static int share_fd(ws__poller *base) {
  return ((kqueue_poller *)base)->queue;
}

/* -- Waiting --------------------------------------------------------------- */

static int wait_ready(ws__poller *base, int timeout_ms) {
  kqueue_poller *p = (kqueue_poller *)base;
  struct kevent events[WS__POLLER_BATCH];
  const struct timespec timeout = {
      .tv_sec = timeout_ms / MS_PER_S,
      .tv_nsec = (long)(timeout_ms % MS_PER_S) * NS_PER_MS,
  };
  const int count = kevent(p->queue, NULL, 0, events, WS__POLLER_BATCH,
                           timeout_ms < 0 ? NULL : &timeout);
  if (count < 0) return -1;
  for (int i = 0; i < count; i++) {
    if (events[i].filter == EVFILT_TIMER) {
      /* It is gone from the queue. As long as the deadline is not set anew, the
       * descriptor has to become readable again. */
      p->has_timer = false;
      base->is_armed = false;
    } else if (events[i].udata == NULL) {
      ws__poller_pipe_drain(p->wake);
      ws__poller_woken(base);
    } else {
      /* A filter fires at end of file and after an error too. */
      ws__poller_report(base, (ws__poller_node *)events[i].udata,
                        events[i].filter == EVFILT_READ ? WS__POLLER_READ
                                                        : WS__POLLER_WRITE);
    }
  }
  return 0;
}

static int wake_up(ws__poller *base) {
  return ws__poller_pipe_wake(((kqueue_poller *)base)->wake);
}

const ws__poller_ops ws__poller_kqueue = {
    .name = "kqueue",
    .size = sizeof(kqueue_poller),
    .open = open_poller,
    .close = close_poller,
    .set = set_interest,
    .wait = wait_ready,
    .share = share_fd,
    .arm = arm_deadline,
    .wake = wake_up,
};

#endif
