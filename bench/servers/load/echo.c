/* echo.c - every connection keeps as many messages under way as it may: for
 * each that comes back the next one goes out, all by one send. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "client.h"
#include "latency.h"
#include "window.h"

#define MAX_EVENTS  1024
#define PATIENCE_MS 10000

typedef struct lane {
  client client;
  uint64_t sent_at[LOAD_MAX_IN_FLIGHT]; /* A ring, of those under way. */
  size_t oldest;
} lane;

typedef struct echo {
  const load_options *options;
  lane *lanes;
  int epoll;
  latency latency;
  double messages; /* Which came back whole. */
  double bytes;    /* Which came back. */
} echo;

/* Asks for `count` more, in the places of the ring that became free. */
static void ask(const echo *e, lane *l, size_t count, uint64_t now) {
  const size_t in_flight = e->options->in_flight;
  for (size_t i = 0; i < count; i++)
    l->sent_at[(l->oldest + in_flight - 1 - i) % in_flight] = now;
  client_ask(&l->client, count);
}

/* The oldest message of those that came back by one read stands for them all:
 * they mostly went out together too. */
static void on_echoes(echo *e, lane *l, size_t count) {
  const size_t in_flight = e->options->in_flight;
  if (count > in_flight) load_die("more echoes than messages");
  const uint64_t now = load_now();
  latency_note(&e->latency, now - l->sent_at[l->oldest]);
  l->oldest = (l->oldest + count) % in_flight;
  e->messages += (double)count;
  ask(e, l, count, now);
}

static void on_ready(echo *e, lane *l) {
  /* TLS hands out one record a time; of TCP, less than what there was room for
   * means that there is no more. */
  const size_t full = e->options->is_tls ? 1 : CLIENT_BUFFER_SIZE;
  size_t received;
  size_t count = 0;
  do {
    received = client_receive(&l->client);
    e->bytes += (double)received;
    count += reader_feed(&l->client.reader, client_buffer, received);
  } while (received >= full);
  if (count > 0) on_echoes(e, l, count);
  client_flush(&l->client);
}

static void open_lanes(echo *e, const load_script *script) {
  e->epoll = epoll_create1(0);
  for (size_t i = 0; i < e->options->connections; i++) {
    lane *l = &e->lanes[i];
    client_open(&l->client, e->options, script);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                .data.ptr = l};
    if (epoll_ctl(e->epoll, EPOLL_CTL_ADD, l->client.fd, &event) != 0)
      load_die("epoll: %s", strerror(errno));
  }
}

/* Large messages are far apart, so parts of them count too. */
static double messages_so_far(const echo *e) {
  double messages = e->messages;
  for (size_t i = 0; i < e->options->connections; i++)
    messages += reader_fraction(&e->lanes[i].client.reader);
  return messages;
}

static void run(echo *e, window *w) {
  struct epoll_event events[MAX_EVENTS];
  for (;;) {
    const int ready = epoll_wait(e->epoll, events, MAX_EVENTS, PATIENCE_MS);
    if (ready == 0) load_die("no echo for %d s", PATIENCE_MS / 1000);
    for (int i = 0; i < ready; i++)
      on_ready(e, events[i].data.ptr);
    if (!window_is_due(w, load_now())) continue;
    if (!window_mark_end(w, messages_so_far(e))) return;
    e->latency = (latency){.total = 0};
  }
}

void load_echo(const load_options *options) {
  static echo e;
  e.options = options;
  e.lanes = load_alloc(options->connections, sizeof(*e.lanes));
  open_lanes(&e, script_make(options));

  window w;
  window_init(&w, options);
  for (size_t i = 0; i < options->connections; i++) {
    ask(&e, &e.lanes[i], options->in_flight, load_now());
    client_flush(&e.lanes[i].client);
  }
  run(&e, &w);

  window_print(&w);
  printf(", \"echo_bytes\": %.6g, \"p50_us\": %.4g, \"p99_us\": %.4g, "
         "\"p999_us\": %.4g}\n",
         e.bytes / e.messages, latency_us(&e.latency, 0.5),
         latency_us(&e.latency, 0.99), latency_us(&e.latency, 0.999));
}
