/* loop.h - Loop: a ws_loop, what it keeps alive, and who drives it.
 *
 * The library lets one thread at a time use a loop. Here all its calls are made
 * with the GIL held but for the one that waits, so the rule is: while
 * `is_waiting`, no other thread touches the loop or what belongs to it; it
 * leaves an errand and wakes the loop instead.
 *
 * What Python objects the loop keeps alive it does through roots, a list that
 * the collector sees. */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include "event.h"
#include "thread.h"

/* Lives in an object that a loop can keep alive. Zeroed but for `object`, it is
 * in no list. */
typedef struct core_root core_root;

struct core_root {
  core_root *prev;
  core_root *next;
  PyObject *object; /* Referred to while it is in the list. */
  /* The loop has ended, and with it the handles of the object; may be NULL. */
  void (*on_end)(core_root *root);
};

/* What another thread left to do with a socket. */
typedef struct core_errand core_errand;
typedef void (*core_errand_fn)(ws_socket *socket);

/* uv_backend_timeout() of libuv: 0 if its loop has something to do at once. */
typedef int (*core_uv_timeout_fn)(const void *uv_loop);

struct core_loop {
  PyObject_HEAD
  PyObject *weakrefs;
  core_state *state;
  ws_loop *handle; /* NULL when closed. */
  core_root roots; /* The head of the list. */
  core_errand *errands;
  PyObject *posted; /* A list of callbacks, or NULL. */
  PyObject *sent;   /* A list of what send() shall call back, or NULL. */
  core_loop *prev;  /* In the list of the state. */
  core_loop *next;
  unsigned forks; /* When it was made. */

  /* The asyncio loop that drives it, or NULL. What shows whether callbacks wait
   * in it: the queue of those that are ready, or, of uvloop, what libuv says;
   * NULL if it shows neither. */
  PyObject *host;
  PyObject *host_ready;
  core_uv_timeout_fn host_uv_timeout;
  const void *host_uv;

  core_thread *thread; /* Of sockets with driver="thread"; NULL before. */

  /* An event to use again, which spares the collector much work. */
  core_message_event *spare;

  unsigned turn;       /* Counts them. */
  uint8_t hops;        /* Turns of the host waited for, while settling. */
  bool is_settling;    /* The next event waits for tasks of the last one. */
  bool is_waiting;     /* A thread waits in it without the GIL. */
  bool is_dispatching; /* Handlers are being called. */
  bool is_stopped;
  bool should_close; /* When the handler that called close() is done. */
};

/* The loop that objects made now belong to: that of the running asyncio loop,
 * otherwise the thread's own. */
core_loop *core_loop_current(core_state *state);

/* `object`, which must be a Loop, or with None the current one. */
core_loop *core_loop_choose(core_state *state, PyObject *object);

/* The thread that drives sockets for it, started when it is asked for first.
 * NULL with an exception. Borrowed. */
core_thread *core_loop_thread(core_loop *loop);

/* RuntimeError when the loop may not be used now, by this thread. */
int core_loop_check(core_loop *loop);

/* Keep an object alive, and no longer. Once, however often they are called. */
void core_loop_keep(core_loop *loop, core_root *root);
void core_loop_let_go(core_root *root);

/* Whether this is a forked child, and the loop its parent's. */
static inline bool core_loop_is_foreign(const core_loop *loop) {
  return loop->forks != loop->state->forks;
}

/* Whether anything may come that it has to run for. */
bool core_loop_is_alive(const core_loop *loop);

/* Whether the loop must not be touched, because another thread waits in it. */
static inline bool core_loop_is_away(const core_loop *loop) {
  return loop->is_waiting;
}

/* Calls `fn(socket)` now or, if the loop is away, soon and in its thread. */
int core_loop_do(core_loop *loop, core_errand_fn fn, ws_socket *socket);

/* Has the loop call `callback()` in a coming turn. Any thread. */
int core_loop_post(core_loop *loop, PyObject *callback);

/* Ends a wait that is under way in another thread, or the host's. */
void core_loop_wake(const core_loop *loop);

/* Milliseconds of the loop's clock. */
uint64_t core_loop_now(const core_loop *loop);

/* Do what other threads left. */
void core_loop_run_errands(core_loop *loop);
int core_loop_run_posted(core_loop *loop);

/* Closes it; all that belongs to it ends. */
void core_loop_end(core_loop *loop);

/* -- loop_run.c ------------------------------------------------------------ */

/* The methods wait(), dispatch() and run(). */
PyObject *core_loop_wait(PyObject *op, PyObject *const *args, Py_ssize_t nargs);
PyObject *core_loop_dispatch(PyObject *op, PyObject *unused);
PyObject *core_loop_run(PyObject *op, PyObject *unused);

/* Called by a host: when the descriptor is readable, and in each of its turns
 * while an event has to wait. */
PyObject *core_loop_on_readable(PyObject *op, PyObject *unused);
PyObject *core_loop_on_settle(PyObject *op, PyObject *unused);

/* -- timer.c --------------------------------------------------------------- */

/* Calls back for a timer, which is `arg`. */
int core_timer_ring(core_loop *loop, void *arg);

/* Loop.timer(). */
PyObject *core_loop_timer(PyObject *op, PyObject *args);

#endif
