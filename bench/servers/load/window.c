/* window.c - takes the marks and turns them into rates. */
#include "window.h"

#include <stdio.h>

#include "process.h"

void window_init(window *w, const load_options *options) {
  const uint64_t now = load_now();
  *w = (window){.server = options->server,
                .opens_at = now + (uint64_t)(options->warm_up * 1e9)};
  w->closes_at = w->opens_at + (uint64_t)(options->seconds * 1e9);
}

bool window_mark_end(window *w, double count) {
  window_mark *mark = w->is_open ? &w->end : &w->begin;
  *mark = (window_mark){.time = load_now(),
                        .server_cpu = process_cpu(w->server),
                        .own_cpu = process_cpu(0),
                        .count = count};
  w->is_open = !w->is_open;
  return w->is_open;
}

void window_print(const window *w) {
  const double ns = (double)(w->end.time - w->begin.time);
  const double server = (double)(w->end.server_cpu - w->begin.server_cpu);
  const double own = (double)(w->end.own_cpu - w->begin.own_cpu);
  const double count = w->end.count - w->begin.count;
  if (count <= 0) load_die("the server answered nothing in %.1f s", ns / 1e9);
  printf("{\"rate\": %.6g, \"server_ns\": %.6g, "
         "\"server_busy\": %.3f, \"client_busy\": %.3f",
         count / ns * 1e9, server / count, server / ns, own / ns);
}
