/* task.c - ws_loop_post(): a letter that becomes WS_EVENT_TASK. */
#include "base/list.h"
#include "io/loop.h"

#include <stdlib.h>

typedef struct task {
  ws__letter letter;
  ws_task_fn fn;
  void *arg;
} task;

static bool open_task(ws__letter *letter, ws_loop *loop, ws_event *out_event) {
  task *t = WS__CONTAINER_OF(letter, task, letter);
  if (loop != NULL) {
    *out_event =
        (ws_event){.type = WS_EVENT_TASK, .task = t->fn, .task_arg = t->arg};
  }
  free(t);
  return loop != NULL;
}

int ws_loop_post(ws_loop *loop, ws_task_fn fn, void *arg) {
  task *t = malloc(sizeof(*t));
  if (t == NULL) return WS_ERR_NO_MEMORY;
  *t = (task){.letter = {.open = open_task}, .fn = fn, .arg = arg};
  const int err = ws__inbox_put(loop->inbox, &t->letter);
  if (err != 0) free(t);
  return err;
}
