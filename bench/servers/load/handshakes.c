/* handshakes.c - opens connections, waits for the upgrade and drops them, some
 * at a time (--connections). A raw server echoes the request instead. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "latency.h"
#include "window.h"

#define MAX_EVENTS  1024
#define PATIENCE_MS 10000
#define MAX_ANSWER  4096

typedef struct caller {
  int fd;
  uint64_t began_at;
  char answer[MAX_ANSWER];
  size_t length;
} caller;

typedef struct handshakes {
  const load_options *options;
  int epoll;
  latency latency;
  double count;
} handshakes;

static void call(const handshakes *h, caller *c) {
  const char *request = client_request(h->options);
  c->length = 0;
  c->began_at = load_now();
  c->fd = client_connect(h->options->port);
  if (send(c->fd, request, strlen(request), 0) != (ssize_t)strlen(request))
    load_die("cannot send the request");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
    load_die("epoll: %s", strerror(errno));
}

static void on_ready(handshakes *h, caller *c) {
  const ssize_t received =
      recv(c->fd, c->answer + c->length, sizeof(c->answer) - c->length, 0);
  if (received <= 0) load_die("the server dropped a handshake");
  c->length += (size_t)received;
  if (!client_check_answer(h->options, c->answer, c->length)) return;
  latency_note(&h->latency, load_now() - c->began_at);
  h->count++;
  close(c->fd);
  call(h, c);
}

static void run(handshakes *h, window *w) {
  struct epoll_event events[MAX_EVENTS];
  for (;;) {
    const int ready = epoll_wait(h->epoll, events, MAX_EVENTS, PATIENCE_MS);
    if (ready == 0) load_die("no answer for %d s", PATIENCE_MS / 1000);
    for (int i = 0; i < ready; i++)
      on_ready(h, events[i].data.ptr);
    if (!window_is_due(w, load_now())) continue;
    if (!window_mark_end(w, h->count)) return;
    h->latency = (latency){.total = 0};
  }
}

void load_handshakes(const load_options *options) {
  static handshakes h;
  if (options->is_tls) load_die("handshakes are counted without TLS");
  h.options = options;
  h.epoll = epoll_create1(0);
  caller *callers = load_alloc(options->connections, sizeof(*callers));
  window w;
  window_init(&w, options);
  for (size_t i = 0; i < options->connections; i++)
    call(&h, &callers[i]);
  run(&h, &w);

  window_print(&w);
  printf(", \"p50_us\": %.4g, \"p99_us\": %.4g, \"p999_us\": %.4g}\n",
         latency_us(&h.latency, 0.5), latency_us(&h.latency, 0.99),
         latency_us(&h.latency, 0.999));
}
