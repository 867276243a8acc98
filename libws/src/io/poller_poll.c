/* poller_poll.c - the back end of every POSIX system.
 *
 * The kernel keeps nothing between two calls, so there is no descriptor to
 * share, and a wait costs as much as there are descriptors.
 * Invariant: nodes[i] watches fds[i] and nodes[i]->place == i for 0 < i <
 * count; place 0 is the wake-up pipe. */
#include "io/poller_backend.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define WAKE_PLACE 0
#define MIN_CAP    16

typedef struct poll_poller {
  ws__poller base;
  int wake[2];
  size_t count;
  size_t cap;
  size_t start; /* Where the next wait looks first: all get their turn. */
  /* Both arrays lie in one block, which begins with `nodes`. */
  ws__poller_node **nodes;
  struct pollfd *fds;
} poll_poller;

/* -- The arrays ------------------------------------------------------------ */

static size_t block_size(size_t cap) {
  return cap * (sizeof(ws__poller_node *) + sizeof(struct pollfd));
}

/* Makes room for one more. */
static int reserve(poll_poller *p) {
  if (p->count < p->cap) return 0;
  const size_t cap = p->cap > 0 ? 2 * p->cap : MIN_CAP;
  ws__poller_node **nodes = ws__alloc(&p->base.allocator, block_size(cap));
  if (nodes == NULL) {
    errno = ENOMEM;
    return -1;
  }
  struct pollfd *fds = (struct pollfd *)(void *)(nodes + cap);
  if (p->count > 0) {
    memcpy(nodes, p->nodes, p->count * sizeof(*nodes));
    memcpy(fds, p->fds, p->count * sizeof(*fds));
  }
  ws__free(&p->base.allocator, p->nodes, block_size(p->cap));
  p->nodes = nodes;
  p->fds = fds;
  p->cap = cap;
  return 0;
}

static short events_of(unsigned interest) {
  int events = 0;
  if (interest & WS__POLLER_READ) events |= POLLIN;
  if (interest & WS__POLLER_WRITE) events |= POLLOUT;
  return (short)events;
}

/* Takes the next place; there must be room. Returns it. */
static size_t append(poll_poller *p, ws__poller_node *node, int fd,
                     unsigned interest) {
  p->nodes[p->count] = node;
  p->fds[p->count] = (struct pollfd){.fd = fd, .events = events_of(interest)};
  return p->count++;
}

/* Fills the place of a node with the last one. */
static void remove_node(poll_poller *p, const ws__poller_node *node) {
  p->count--;
  p->nodes[node->place] = p->nodes[p->count];
  p->fds[node->place] = p->fds[p->count];
  p->nodes[node->place]->place = node->place;
}

static int set_interest(ws__poller *base, ws__poller_node *node,
                        unsigned interest) {
  poll_poller *p = (poll_poller *)base;
  if (interest == 0) {
    remove_node(p, node);
  } else if (node->interest != 0) {
    p->fds[node->place].events = events_of(interest);
  } else {
    if (reserve(p) != 0) return -1;
    node->place = (uint32_t)append(p, node, node->fd, interest);
  }
  return 0;
}

/* -- Opening, waiting, waking ---------------------------------------------- */

static int open_poller(ws__poller *base) {
  poll_poller *p = (poll_poller *)base;
  if (ws__poller_pipe_open(p->wake) != 0) return -1;
  if (reserve(p) != 0) {
    ws__poller_pipe_close(p->wake);
    errno = ENOMEM;
    return -1;
  }
  (void)append(p, NULL, p->wake[WS__POLLER_PIPE_READ], WS__POLLER_READ);
  return 0;
}

static void close_poller(ws__poller *base) {
  poll_poller *p = (poll_poller *)base;
  ws__poller_pipe_close(p->wake);
  ws__free(&base->allocator, p->nodes, block_size(p->cap));
}

static unsigned ready_of(int events) {
  const int broken = POLLERR | POLLHUP | POLLNVAL;
  unsigned ready = 0;
  if (events & (POLLIN | broken)) ready |= WS__POLLER_READ;
  if (events & (POLLOUT | broken)) ready |= WS__POLLER_WRITE;
  return ready;
}

/* Reports from `start` on, once around, as many as the batch takes. */
static void report_all(poll_poller *p) {
  for (size_t seen = 0; seen < p->count; seen++) {
    if (p->start >= p->count) p->start = 0;
    if (p->base.count == WS__POLLER_BATCH) return;
    const size_t i = p->start++;
    if (i != WAKE_PLACE && p->fds[i].revents != 0) {
      ws__poller_report(&p->base, p->nodes[i], ready_of(p->fds[i].revents));
    }
  }
}

static int wait_ready(ws__poller *base, int timeout_ms) {
  poll_poller *p = (poll_poller *)base;
  const int ready = poll(p->fds, (nfds_t)p->count, timeout_ms);
  if (ready < 0) return -1;
  if (ready == 0) return 0;
  if (p->fds[WAKE_PLACE].revents != 0) {
    ws__poller_pipe_drain(p->wake);
    ws__poller_woken(base);
  }
  report_all(p);
  return 0;
}

static int wake_up(ws__poller *base) {
  return ws__poller_pipe_wake(((poll_poller *)base)->wake);
}

const ws__poller_ops ws__poller_poll = {
    .name = "poll",
    .size = sizeof(poll_poller),
    .open = open_poller,
    .close = close_poller,
    .set = set_interest,
    .wait = wait_ready,
    .share = NULL, /* Nor, then, a descriptor to arm. */
    .arm = NULL,
    .wake = wake_up,
};
