/* poller_backend.h - what poller.c and its back ends share, and nobody else
 * includes.
 *
 * A back end is a const table of functions in the style of system calls: 0, or
 * -1 and errno. poller.c checks arguments, keeps the books and names the
 * errors. */
#ifndef WS__POLLER_BACKEND_H
#define WS__POLLER_BACKEND_H

#include "base/alloc.h"
#include "base/hidden.h"
#include "io/poller.h"

#include <stdatomic.h>

WS__HIDDEN_BEGIN

/* The tests bring a kqueue of their own where the system has none. */
#ifndef WS__HAVE_KQUEUE
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || \
    defined(__OpenBSD__) || defined(__DragonFly__)
#define WS__HAVE_KQUEUE 1
#else
#define WS__HAVE_KQUEUE 0
#endif
#endif

#if defined(__linux__)
#define WS__HAVE_EPOLL 1
#else
#define WS__HAVE_EPOLL 0
#endif

/* Most events of one wait: many enough that the call's own price does not
 * show. */
#define WS__POLLER_BATCH 256
_Static_assert(WS__POLLER_BATCH <= UINT16_MAX, "a slot fits into its field");

typedef struct ws__poller_ops {
  const char *name;
  size_t size; /* Of the struct that begins with a ws__poller. */

  /* Opens what the zeroed struct needs. Leaves nothing open if it fails. */
  int (*open)(ws__poller *poller);
  void (*close)(ws__poller *poller);

  /* Changes the interest from `node->interest` to another. If it fails, nothing
   * has changed; removing is taken to succeed. */
  int (*set)(ws__poller *poller, ws__poller_node *node, unsigned interest);

  /* Fills the batch by ws__poller_report(). */
  int (*wait)(ws__poller *poller, int timeout_ms);

  /* Returns the descriptor to watch, ready to be armed, or -1. NULL if there is
   * none. */
  int (*share)(ws__poller *poller);

  /* Puts `poller->deadline` into the shared descriptor. */
  int (*arm)(ws__poller *poller);

  /* Makes wait() find a wake-up. Any thread, also in a signal handler. */
  int (*wake)(ws__poller *poller);
} ws__poller_ops;

/* Invariant: batch[next..count) are events not handed out yet; each node stands
 * there at most once, at batch[node->slot]. */
struct ws__poller {
  const ws__poller_ops *ops;
  ws_allocator allocator;

  uint64_t deadline;
  bool is_shared; /* The deadline is kept in a shared descriptor too. */
  bool is_armed;  /* And it is there as it stands here. */

  size_t count;
  size_t next;
  ws__poller_event batch[WS__POLLER_BATCH];

  /* Any thread: a wake-up is on its way that wait() has not seen. */
  atomic_bool is_woken;
};

#if WS__HAVE_EPOLL
extern const ws__poller_ops ws__poller_epoll;
#endif
#if WS__HAVE_KQUEUE
extern const ws__poller_ops ws__poller_kqueue;
#endif
extern const ws__poller_ops ws__poller_poll;

/* ws__poller_create() with a back end in hand. */
int ws__poller_open(const ws_allocator *allocator, const ws__poller_ops *ops,
                    ws__poller **out_poller);

/* Adds to the batch what a node is ready for. The batch must have room. */
void ws__poller_report(ws__poller *poller, ws__poller_node *node,
                       unsigned ready);

/* To be called by wait() when it has found a wake-up and taken it back: from
 * now on another one makes itself felt again. */
void ws__poller_woken(ws__poller *poller);

/* Closes a descriptor, if it is none below 0, and leaves errno as it is. */
void ws__poller_discard(int fd);

/* -- A pipe to oneself -----------------------------------------------------
 *
 * The wake-up of the systems that have nothing better. Neither end blocks. */

#define WS__POLLER_PIPE_READ  0
#define WS__POLLER_PIPE_WRITE 1

/* On failure nothing is open. */
int ws__poller_pipe_open(int ends[2]);
void ws__poller_pipe_close(const int ends[2]);

/* Makes the read end readable. Safe in a signal handler. */
int ws__poller_pipe_wake(const int ends[2]);

/* Empties it. */
void ws__poller_pipe_drain(const int ends[2]);

WS__HIDDEN_END

#endif
