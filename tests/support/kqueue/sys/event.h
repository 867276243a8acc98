/* sys/event.h - a kqueue for systems that have none, to test poller_kqueue.c
 * on.
 *
 * It knows what that file uses and refuses everything else, and where systems
 * differ it is the strictest of them; see kqueue.c. */
#ifndef KQUEUE_SYS_EVENT_H
#define KQUEUE_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

#define EVFILT_READ  (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_TIMER (-7)

#define EV_ADD     0x0001U
#define EV_DELETE  0x0002U
#define EV_ONESHOT 0x0010U
#define EV_EOF     0x8000U

struct kevent {
  uintptr_t ident;
  short filter;
  unsigned short flags;
  unsigned fflags;
  int64_t data;
  void *udata;
};

#define EV_SET(event, ident_, filter_, flags_, fflags_, data_, udata_) \
  (*(event) = (struct kevent){.ident = (ident_),                       \
                              .filter = (filter_),                     \
                              .flags = (unsigned short)(flags_),       \
                              .fflags = (fflags_),                     \
                              .data = (data_),                         \
                              .udata = (udata_)})

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int change_count,
           struct kevent *events, int event_count,
           const struct timespec *timeout);

#endif
