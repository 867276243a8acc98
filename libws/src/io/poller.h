/* poller.h - waits for many descriptors, a deadline and other threads at once.
 *
 * One interface over epoll, kqueue and poll(2). It is pulled: wait() collects
 * what is ready, next() hands it out one by one and never blocks:
 *
 *     ws__poller_arm(poller, deadline);
 *     ws__poller_wait(poller, -1);
 *     while (ws__poller_next(poller, &event)) ...
 *
 * Readiness is level-triggered: what was not dealt with is reported again. It
 * may be spurious, so descriptors must not block.
 *
 * All calls belong to one thread, but for ws__poller_wake(). Every descriptor
 * is closed by exec; a forked child may destroy its copy of the poller and
 * nothing else, because the kernel's part is shared with the parent. Forks are
 * to be counted by then (io/fork.h). */
#ifndef WS__POLLER_H
#define WS__POLLER_H

#include "base/hidden.h"
#include "ws/base.h"

WS__HIDDEN_BEGIN

typedef struct ws__poller ws__poller;

/* What to wait for, and what is ready. An error and a hang-up count as both, so
 * that the next read or write tells. */
#define WS__POLLER_READ  1U
#define WS__POLLER_WRITE 2U

/* The deadline that never comes; the value of WS_NO_DEADLINE. */
#define WS__POLLER_NEVER UINT64_MAX

/* Lives inside what owns a descriptor (see WS__CONTAINER_OF). Zeroed and given
 * its `fd`, it is not watched. While it is watched it must not move, and the
 * descriptor must stay open. The other fields are the poller's. */
typedef struct ws__poller_node {
  int fd;
  uint8_t interest; /* What is waited for now; may be read. */
  uint16_t slot;    /* Where in the batch it stands, if it is in it. */
  uint32_t place;   /* Where poll(2)'s back end keeps it. */
} ws__poller_node;

typedef struct ws__poller_event {
  ws__poller_node *node;
  unsigned ready; /* Never 0, and nothing that is not waited for. */
} ws__poller_event;

/* Makes a poller: by name ("epoll", "kqueue", "poll"), or with NULL the best
 * one of this system. Returns 0, WS_ERR_INVALID_ARGUMENT for a name that is
 * unknown here, WS_ERR_NO_MEMORY, or WS_ERR_SYSTEM when the system refuses,
 * with the reason in errno (EMFILE, say). */
int ws__poller_create(const ws_allocator *allocator, const char *name,
                      ws__poller **out_poller);

/* Releases it. The descriptors under watch stay open. NULL is fine. */
void ws__poller_destroy(ws__poller *poller);

/* Which of them it is, such as "epoll". */
const char *ws__poller_name(const ws__poller *poller);

/* Sets what to wait for on a descriptor: some of WS__POLLER_READ and _WRITE, or
 * 0 to watch it no longer. An event of it that was not handed out yet is
 * reduced to that; with 0 the node is forgotten and may be freed. Costs nothing
 * when it changes nothing. Setting 0 always succeeds, and has to come before
 * the descriptor is closed. Returns 0, or WS_ERR_NO_MEMORY or WS_ERR_SYSTEM
 * (with errno), and then nothing has changed. */
int ws__poller_set(ws__poller *poller, ws__poller_node *node,
                   unsigned interest);

/* Sets when to stop waiting, in ws__clock_ms()'s time; WS__POLLER_NEVER takes
 * it back. It stays until it is set anew: once it has passed, no wait blocks.
 * Costs nothing when it changes nothing, and no system call before
 * ws__poller_fd() was called. Returns 0 or WS_ERR_SYSTEM (with errno); even
 * then wait() keeps to it, and the next call tries again. */
int ws__poller_arm(ws__poller *poller, uint64_t deadline_ms);

/* Waits until something is ready, the deadline has passed, ws__poller_wake() is
 * called or a signal handled, at most `timeout_ms` (-1: for ever, 0: only
 * look). Returns at once while there are events left to take. One system call,
 * and one more after a wake-up on some systems. Returns 0, with events or
 * without, or WS_ERR_SYSTEM (with errno). */
int ws__poller_wait(ws__poller *poller, int timeout_ms);

/* Takes one event of the last wait(); each node has at most one. False when
 * none is left. */
bool ws__poller_next(ws__poller *poller, ws__poller_event *out_event);

/* Whether events of the last wait() are left; none of them may be worth it. */
bool ws__poller_has_next(const ws__poller *poller);

/* Gives the one descriptor another event loop can watch in place of all: it is
 * readable when wait() would not block. Valid as long as the poller; not to be
 * read from. From the first call on the deadline is kept inside it too. Returns
 * 0, WS_ERR_SYSTEM (with errno), or WS_ERR_INVALID_STATE if there is no such
 * descriptor, as with poll(2); then `*out_fd` is -1. */
int ws__poller_fd(ws__poller *poller, int *out_fd);

/* Ends the wait() under way, or the next one. Many calls before it count as
 * one; what the caller did before is visible after. Any thread, also in a
 * signal handler; the poller must live until it returns. */
void ws__poller_wake(ws__poller *poller);

WS__HIDDEN_END

#endif
