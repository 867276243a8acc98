/* poller.c - what all back ends have in common: the batch, the deadline and the
 * rule that one wake-up is enough. */
#include "io/poller.h"
#include "io/clock.h"
#include "io/poller_backend.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* The best first. */
static const ws__poller_ops *const backends[] = {
#if WS__HAVE_EPOLL
    &ws__poller_epoll,
#endif
#if WS__HAVE_KQUEUE
    &ws__poller_kqueue,
#endif
    &ws__poller_poll,
};

/* The error for what errno says. */
static int system_error(void) {
  return errno == ENOMEM ? WS_ERR_NO_MEMORY : WS_ERR_SYSTEM;
}

void ws__poller_discard(int fd) {
  const int kept = errno;
  if (fd >= 0) close(fd);
  errno = kept;
}

/* -- Making ---------------------------------------------------------------- */

static const ws__poller_ops *find_backend(const char *name) {
  if (name == NULL) return backends[0];
  for (size_t i = 0; i < sizeof(backends) / sizeof(*backends); i++) {
    if (strcmp(backends[i]->name, name) == 0) return backends[i];
  }
  return NULL;
}

int ws__poller_create(const ws_allocator *allocator, const char *name,
                      ws__poller **out_poller) {
  const ws__poller_ops *ops = find_backend(name);
  if (ops == NULL) return WS_ERR_INVALID_ARGUMENT;
  return ws__poller_open(allocator, ops, out_poller);
}

int ws__poller_open(const ws_allocator *allocator, const ws__poller_ops *ops,
                    ws__poller **out_poller) {
  ws__poller *poller = ws__alloc_zero(allocator, ops->size);
  if (poller == NULL) return WS_ERR_NO_MEMORY;
  poller->ops = ops;
  poller->allocator = *allocator;
  poller->deadline = WS__POLLER_NEVER;
  atomic_init(&poller->is_woken, false);
  if (ops->open(poller) != 0) {
    const int err = system_error();
    ws__free(allocator, poller, ops->size);
    return err;
  }
  *out_poller = poller;
  return 0;
}

void ws__poller_destroy(ws__poller *poller) {
  if (poller == NULL) return;
  poller->ops->close(poller);
  const ws_allocator allocator = poller->allocator;
  ws__free(&allocator, poller, poller->ops->size);
}

const char *ws__poller_name(const ws__poller *poller) {
  return poller->ops->name;
}

/* -- The batch ------------------------------------------------------------- */

static bool is_in_batch(const ws__poller *poller, const ws__poller_node *node) {
  return node->slot < poller->count && poller->batch[node->slot].node == node;
}

void ws__poller_report(ws__poller *poller, ws__poller_node *node,
                       unsigned ready) {
  if (!is_in_batch(poller, node)) {
    assert(poller->count < WS__POLLER_BATCH);
    node->slot = (uint16_t)poller->count++;
    poller->batch[node->slot] = (ws__poller_event){node, 0};
  }
  poller->batch[node->slot].ready |= ready;
}

bool ws__poller_next(ws__poller *poller, ws__poller_event *out_event) {
  while (poller->next < poller->count) {
    const ws__poller_event event = poller->batch[poller->next++];
    /* What was removed since the wait is NULL, and may be gone. */
    if (event.node == NULL) continue;
    const unsigned ready = event.ready & event.node->interest;
    if (ready == 0) continue;
    *out_event = (ws__poller_event){event.node, ready};
    return true;
  }
  return false;
}

bool ws__poller_has_next(const ws__poller *poller) {
  return poller->next < poller->count;
}

int ws__poller_set(ws__poller *poller, ws__poller_node *node,
                   unsigned interest) {
  assert(node->fd >= 0);
  assert((interest & ~(WS__POLLER_READ | WS__POLLER_WRITE)) == 0);
  if (interest == node->interest) return 0;
  const int result = poller->ops->set(poller, node, interest);
  if (result != 0 && interest != 0) return system_error();
  if (interest == 0 && is_in_batch(poller, node)) {
    poller->batch[node->slot].node = NULL;
  }
  node->interest = (uint8_t)interest;
  return 0;
}

/* -- Waiting --------------------------------------------------------------- */

/* How long wait() may block: the timeout, cut short by the deadline. */
static int bounded_timeout(const ws__poller *poller, int timeout_ms) {
  if (timeout_ms == 0 || poller->deadline == WS__POLLER_NEVER) {
    return timeout_ms;
  }
  const uint64_t now = ws__clock_ms();
  if (poller->deadline <= now) return 0;
  const uint64_t left = poller->deadline - now;
  const int most = timeout_ms < 0 ? INT_MAX : timeout_ms;
  return left < (uint64_t)most ? (int)left : most;
}

/* Brings the deadline to the shared descriptor, if there is one. */
static int share_deadline(ws__poller *poller) {
  if (!poller->is_shared || poller->is_armed) return 0;
  if (poller->ops->arm(poller) != 0) return system_error();
  poller->is_armed = true;
  return 0;
}

int ws__poller_wait(ws__poller *poller, int timeout_ms) {
  if (ws__poller_has_next(poller)) return 0;
  poller->next = poller->count = 0;
  const int timeout = bounded_timeout(poller, timeout_ms);
  const int result = poller->ops->wait(poller, timeout);
  if (result != 0 && errno != EINTR) return system_error();
  /* A timer that ran out may be gone from the shared descriptor. If it cannot
   * be put back now, the next call tries again. */
  (void)share_deadline(poller);
  return 0;
}

int ws__poller_arm(ws__poller *poller, uint64_t deadline_ms) {
  if (deadline_ms != poller->deadline) poller->is_armed = false;
  poller->deadline = deadline_ms;
  return share_deadline(poller);
}

int ws__poller_fd(ws__poller *poller, int *out_fd) {
  *out_fd = -1;
  if (poller->ops->share == NULL) return WS_ERR_INVALID_STATE;
  const int fd = poller->ops->share(poller);
  if (fd < 0) return system_error();
  poller->is_shared = true;
  const int result = share_deadline(poller);
  if (result == 0) *out_fd = fd;
  return result;
}

/* -- Waking ---------------------------------------------------------------- */

/* One wake-up is enough until wait() has seen it: whoever finds the flag set
 * leaves it at that. The exchanges order what is done before wake() before what
 * follows on wait(). */
void ws__poller_wake(ws__poller *poller) {
  if (atomic_exchange(&poller->is_woken, true)) return;
  const int kept = errno; /* A signal handler has to leave it alone. */
  if (poller->ops->wake(poller) != 0) atomic_store(&poller->is_woken, false);
  errno = kept;
}

/* The wake-up has been taken back before, so that one that comes between is not
 * lost: it finds the flag set, but what it is about is visible from here on. */
void ws__poller_woken(ws__poller *poller) {
  (void)atomic_exchange(&poller->is_woken, false);
}
