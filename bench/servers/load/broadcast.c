/* broadcast.c - one connection sends and --connections others receive what the
 * server hands on. Whether the sender gets its messages back too is the
 * server's choice; they are not counted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "client.h"
#include "window.h"

#define MAX_EVENTS  1024
#define PATIENCE_MS 10000

typedef struct broadcast {
  const load_options *options;
  int epoll;
  client sender;
  client *receivers;
  uint64_t delivered;
  uint64_t asked; /* Messages that the sender was to send. */
} broadcast;

static void watch(const broadcast *b, client *c) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                              .data.ptr = c};
  if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
    load_die("epoll: %s", strerror(errno));
}

/* A message is through when all have had as many. Counting them together lets a
 * fast receiver stand in for a slow one, by a few messages at most. */
static void keep_sending(broadcast *b) {
  const uint64_t through = b->delivered / b->options->connections;
  const uint64_t wanted = through + b->options->in_flight;
  if (wanted > b->asked) {
    client_ask(&b->sender, (size_t)(wanted - b->asked));
    b->asked = wanted;
  }
  client_flush(&b->sender);
}

static void on_ready(broadcast *b, client *c) {
  const size_t full = b->options->is_tls ? 1 : CLIENT_BUFFER_SIZE;
  size_t received;
  do {
    received = client_receive(c);
    const size_t count = reader_feed(&c->reader, client_buffer, received);
    if (c != &b->sender) b->delivered += count;
  } while (received >= full);
}

static void run(broadcast *b, window *w) {
  struct epoll_event events[MAX_EVENTS];
  for (;;) {
    keep_sending(b);
    const int ready = epoll_wait(b->epoll, events, MAX_EVENTS, PATIENCE_MS);
    if (ready == 0) load_die("nothing for %d s", PATIENCE_MS / 1000);
    for (int i = 0; i < ready; i++)
      on_ready(b, events[i].data.ptr);
    if (window_is_due(w, load_now()) &&
        !window_mark_end(w, (double)b->delivered))
      return;
  }
}

void load_broadcast(const load_options *options) {
  static broadcast b;
  const load_script *script = script_make(options);
  b.options = options;
  b.epoll = epoll_create1(0);
  b.receivers = load_alloc(options->connections, sizeof(*b.receivers));
  for (size_t i = 0; i < options->connections; i++) {
    client_open(&b.receivers[i], options, script);
    watch(&b, &b.receivers[i]);
  }
  client_open(&b.sender, options, script);
  watch(&b, &b.sender);

  window w;
  window_init(&w, options);
  run(&b, &w);

  window_print(&w);
  printf("}\n");
}
