/* kqueue.c - a small kqueue over epoll, for tests on Linux.
 *
 * A filter is a note; the notes of a queue lie in one array. The queue's
 * descriptor is an epoll descriptor, which holds each descriptor once, for all
 * of its notes, and a timerfd. As with a real one, closing the descriptor is
 * all that is needed to release a queue: the program is to be linked with
 * --wrap=close.
 *
 * Stricter than any: a change of a timer that exists is refused, as is one of
 * no length; a note that fired once is gone; nothing is closed by exec. */
#define _GNU_SOURCE
#include <sys/event.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

int __wrap_close(int fd);
int __real_close(int fd);

#define MAX_QUEUES 8
#define MAX_EVENTS 256
#define TIMER_MARK UINT64_MAX

typedef struct queue {
  int epoll; /* The queue's descriptor; only meaningful if `is_open`. */
  int timer;
  bool is_open;
  struct kevent *notes;
  size_t count;
} queue;

static queue queues[MAX_QUEUES];

/* An assert that Release builds keep. */
static void require(bool is_true, const char *what) {
  if (is_true) return;
  fprintf(stderr, "kqueue.c: %s\n", what);
  abort();
}

static queue *find_queue(int fd) {
  for (size_t i = 0; i < MAX_QUEUES; i++) {
    if (queues[i].is_open && queues[i].epoll == fd) return &queues[i];
  }
  errno = EBADF;
  return NULL;
}

int kqueue(void) {
  queue *q = queues;
  while (q->is_open) {
    q++;
    require(q < queues + MAX_QUEUES, "too many queues");
  }
  q->epoll = epoll_create1(0);
  if (q->epoll < 0) return -1;
  q->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  if (q->timer < 0) {
    __real_close(q->epoll);
    return -1;
  }
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = TIMER_MARK}};
  require(epoll_ctl(q->epoll, EPOLL_CTL_ADD, q->timer, &event) == 0,
          "epoll_ctl");
  q->is_open = true;
  return q->epoll;
}

int __wrap_close(int fd) {
  const int kept = errno;
  queue *q = find_queue(fd);
  errno = kept;
  if (q != NULL) {
    __real_close(q->timer);
    free(q->notes);
    *q = (queue){0};
  }
  return __real_close(fd);
}

/* -- Notes ----------------------------------------------------------------- */

static struct kevent *find_note(queue *q, uintptr_t ident, short filter) {
  for (size_t i = 0; i < q->count; i++) {
    struct kevent *note = &q->notes[i];
    if (note->ident == ident && note->filter == filter) return note;
  }
  return NULL;
}

static void add_note(queue *q, const struct kevent *note) {
  q->notes = realloc(q->notes, (q->count + 1) * sizeof(*q->notes));
  require(q->notes != NULL, "out of memory");
  q->notes[q->count++] = *note;
}

static void remove_note(queue *q, struct kevent *note) {
  *note = q->notes[--q->count];
}

/* Brings what epoll watches in line with the notes of a descriptor. */
static int update_fd(queue *q, int fd) {
  struct epoll_event event = {.data = {.u64 = (uint64_t)fd}};
  if (find_note(q, (uintptr_t)fd, EVFILT_READ) != NULL) {
    event.events |= EPOLLIN | EPOLLRDHUP;
  }
  if (find_note(q, (uintptr_t)fd, EVFILT_WRITE) != NULL) {
    event.events |= EPOLLOUT;
  }
  if (event.events == 0) return epoll_ctl(q->epoll, EPOLL_CTL_DEL, fd, NULL);
  if (epoll_ctl(q->epoll, EPOLL_CTL_MOD, fd, &event) == 0) return 0;
  return epoll_ctl(q->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int set_timer(queue *q, int64_t ms) {
  struct itimerspec when = {0};
  when.it_value.tv_sec = ms / 1000;
  when.it_value.tv_nsec = ms % 1000 * 1000000;
  return timerfd_settime(q->timer, 0, &when, NULL);
}

/* -- Changes --------------------------------------------------------------- */

static int add(queue *q, const struct kevent *change) {
  struct kevent *old = find_note(q, change->ident, change->filter);
  if (change->filter == EVFILT_TIMER) {
    if (old != NULL || change->data < 1 || change->flags == EV_ADD) {
      errno = EINVAL;
      return -1;
    }
    add_note(q, change);
    return set_timer(q, change->data);
  }
  if (old != NULL) remove_note(q, old);
  add_note(q, change);
  if (update_fd(q, (int)change->ident) == 0) return 0;
  q->count--;
  return -1;
}

static int drop(queue *q, const struct kevent *change) {
  struct kevent *old = find_note(q, change->ident, change->filter);
  if (old == NULL) {
    errno = ENOENT;
    return -1;
  }
  remove_note(q, old);
  if (change->filter == EVFILT_TIMER) return set_timer(q, 0);
  return update_fd(q, (int)change->ident);
}

static int apply(queue *q, const struct kevent *change) {
  const bool is_known = change->filter == EVFILT_READ ||
                        change->filter == EVFILT_WRITE ||
                        change->filter == EVFILT_TIMER;
  if (is_known && change->fflags == 0) {
    if (change->flags == EV_ADD) return add(q, change);
    if (change->flags == (EV_ADD | EV_ONESHOT)) return add(q, change);
    if (change->flags == EV_DELETE) return drop(q, change);
  }
  errno = EINVAL;
  return -1;
}

/* -- Events ---------------------------------------------------------------- */

/* Writes the event of a note, if there is such a note. Returns how many. */
static int emit(queue *q, uintptr_t ident, short filter, bool is_eof,
                struct kevent *out) {
  const struct kevent *note = find_note(q, ident, filter);
  if (note == NULL) return 0;
  *out = *note;
  out->flags = is_eof ? EV_EOF : 0;
  return 1;
}

static int emit_timer(queue *q, struct kevent *out) {
  for (size_t i = 0; i < q->count; i++) {
    if (q->notes[i].filter != EVFILT_TIMER) continue;
    *out = q->notes[i];
    remove_note(q, &q->notes[i]);
    (void)set_timer(q, 0);
    return 1;
  }
  return 0;
}

static int emit_fd(queue *q, int fd, uint32_t events, struct kevent *out) {
  const bool is_broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  int count = 0;
  if (is_broken || (events & (EPOLLIN | EPOLLRDHUP))) {
    const bool is_eof = is_broken || (events & EPOLLRDHUP);
    count += emit(q, (uintptr_t)fd, EVFILT_READ, is_eof, out);
  }
  if (is_broken || (events & EPOLLOUT)) {
    count += emit(q, (uintptr_t)fd, EVFILT_WRITE, is_broken, out + count);
  }
  return count;
}

int kevent(int fd, const struct kevent *changes, int change_count,
           struct kevent *events, int event_count,
           const struct timespec *timeout) {
  queue *q = find_queue(fd);
  if (q == NULL) return -1;
  require(change_count == 0 || event_count == 0, "changes and events at once");
  for (int i = 0; i < change_count; i++) {
    if (apply(q, &changes[i]) != 0) return -1;
  }
  if (event_count == 0) return 0;

  /* Each descriptor may have two events, one for each filter. */
  struct epoll_event found[MAX_EVENTS];
  const int most = event_count / 2;
  require(most > 0 && most <= MAX_EVENTS, "number of events");
  const int timeout_ms =
      timeout == NULL
          ? -1
          : (int)(timeout->tv_sec * 1000 + timeout->tv_nsec / 1000000);
  const int ready = epoll_wait(fd, found, most, timeout_ms);
  int count = 0;
  for (int i = 0; i < ready; i++) {
    struct kevent *out = events + count;
    count += found[i].data.u64 == TIMER_MARK
                 ? emit_timer(q, out)
                 : emit_fd(q, (int)found[i].data.u64, found[i].events, out);
  }
  return ready < 0 ? -1 : count;
}
