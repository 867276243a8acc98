/* timer.c - ws_timer: a source with a deadline and nothing else. */
#include "io/loop.h"

struct ws_timer {
  ws__source source;
  ws_loop *loop;
  ws_task_fn task;
  void *arg;
  bool is_set; /* Holds the loop. */
  bool is_due; /* Rings in this turn. */
};

static void hold(ws_timer *timer, bool is_set) {
  if (is_set && !timer->is_set) timer->loop->holders++;
  if (!is_set && timer->is_set) timer->loop->holders--;
  timer->is_set = is_set;
}

static void begin(ws__source *source, unsigned ready) {
  (void)ready;
  ws_timer *timer = (ws_timer *)source;
  timer->is_due = true;
  hold(timer, false);
}

static bool next(ws__source *source, ws_event *out_event) {
  ws_timer *timer = (ws_timer *)source;
  if (!timer->is_due) return false;
  timer->is_due = false;
  *out_event = (ws_event){
      .type = WS_EVENT_TIMER,
      .timer = timer,
      .task = timer->task,
      .task_arg = timer->arg,
  };
  return true;
}

static void drop(ws__source *source) {
  ws_timer_free((ws_timer *)source);
}

static const ws__source_ops ops = {.begin = begin, .next = next, .drop = drop};

int ws_timer_new(ws_loop *loop, uint64_t delay_ms, ws_task_fn task, void *arg,
                 ws_timer **out_timer) {
  ws_timer *timer = ws__alloc_zero(&loop->allocator, sizeof(*timer));
  if (timer == NULL) return WS_ERR_NO_MEMORY;
  timer->source.ops = &ops;
  timer->source.node.fd = -1;
  timer->loop = loop;
  timer->task = task;
  timer->arg = arg;
  if (ws__loop_add(loop, &timer->source) != 0) {
    ws__free(&loop->allocator, timer, sizeof(*timer));
    return WS_ERR_NO_MEMORY;
  }
  ws_timer_set(timer, delay_ms);
  *out_timer = timer;
  return 0;
}

void ws_timer_set(ws_timer *timer, uint64_t delay_ms) {
  ws_loop *loop = timer->loop;
  ws__loop_refresh(loop);
  timer->is_due = false;
  const bool is_never = delay_ms >= WS_NO_DEADLINE - loop->now;
  hold(timer, !is_never);
  ws__loop_set_deadline(loop, &timer->source,
                        is_never ? WS_NO_DEADLINE : loop->now + delay_ms);
}

void ws_timer_free(ws_timer *timer) {
  if (timer == NULL) return;
  ws_loop *loop = timer->loop;
  hold(timer, false);
  ws__loop_remove(loop, &timer->source);
  ws__free(&loop->allocator, timer, sizeof(*timer));
}
