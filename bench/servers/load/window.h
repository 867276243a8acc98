/* window.h - the span of time that is measured, after one that is not.
 *
 * What a mode counts is handed over at every turn of its loop; the window keeps
 * the counts and both processes' processor time of its two ends. */
#ifndef LOAD_WINDOW_H
#define LOAD_WINDOW_H

#include "load.h"

typedef struct window_mark {
  uint64_t time;
  uint64_t server_cpu;
  uint64_t own_cpu;
  double count;
} window_mark;

typedef struct window {
  pid_t server;
  uint64_t opens_at;
  uint64_t closes_at;
  bool is_open;
  window_mark begin;
  window_mark end;
} window;

void window_init(window *w, const load_options *options);

/* Whether the next mark is due, with `now` from load_now(). */
static inline bool window_is_due(const window *w, uint64_t now) {
  return now >= (w->is_open ? w->closes_at : w->opens_at);
}

/* Marks an end of the window, where `count` things have been done in all.
 * Returns false if it was the last, so that it is time to stop. */
bool window_mark_end(window *w, double count);

/* Prints the rate of what was counted, the server's processor time for each and
 * how busy both sides were, as the first members of a JSON object, of which it
 * leaves the end to the caller. */
void window_print(const window *w);

#endif
