/* loop_run.c - how a Loop runs: waits, pulls events and has them delivered, by
 * itself or as the guest of an asyncio loop. */
#include "convert.h"
#include "errors.h"
#include "host.h"
#include "sent.h"
#include "server.h"
#include "socket.h"

#include <limits.h>

/* How many turns of the host the next event waits at most until the tasks that
 * the last one scheduled have run, and those that they scheduled in turn. */
#define SETTLE_HOPS 4

/* How many when the host does not show when there are no more. */
#define SETTLE_HOPS_BLIND 2

/* Events of a turn that may have been cut short: what one socket has at most in
 * one. */
#define FULL_TURN 64

/* -- Dispatch -------------------------------------------------------------- */

/* Brings an event to its object. Returns whether a handler was called, or -1.
 */
static int deliver(core_loop *self, const ws_event *event) {
  switch (event->type) {
  case WS_EVENT_REQUEST: return core_server_deliver_request(self, event);
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE: return core_server_deliver(self, event);
  case WS_EVENT_OPEN:
    if (event->server != NULL) return core_server_deliver_open(self, event);
    return core_socket_deliver(self, event);
  case WS_EVENT_MESSAGE:
  case WS_EVENT_PING:
  case WS_EVENT_PONG:
  case WS_EVENT_DRAIN:
  case WS_EVENT_ERROR:
  case WS_EVENT_CLOSE:
  case WS_EVENT_RECONNECT: return core_socket_deliver(self, event);
  case WS_EVENT_TIMER:
    return core_timer_ring(self, event->task_arg) < 0 ? -1 : 1;
  case WS_EVENT_TASK: break;
  }
  return 0;
}

/* -- What the host has to do ----------------------------------------------- */

/* What the host had to do at some moment, to be compared with later. */
static Py_ssize_t host_work(const core_loop *self) {
  return self->host_ready != NULL ? PyObject_Size(self->host_ready) : 0;
}

/* Whether something was made to run soon since `before`. Also true when nobody
 * can tell. */
static bool has_new_work(const core_loop *self, Py_ssize_t before) {
  if (self->host_ready != NULL) return host_work(self) > before;
  if (self->host_uv_timeout != NULL) {
    return self->host_uv_timeout(self->host_uv) == 0;
  }
  return true;
}

/* Has the host call _settle() after its callbacks of now. */
static int call_soon(core_loop *self) {
  PyObject *method =
      PyObject_GetAttr((PyObject *)self, self->state->_settle_name);
  if (method == NULL) return -1;
  PyObject *handle = PyObject_CallMethodOneArg(
      self->host, self->state->call_soon_name, method);
  Py_DECREF(method);
  if (handle == NULL) return -1;
  Py_DECREF(handle);
  return 0;
}

static int begin_settling(core_loop *self) {
  self->is_settling = true;
  self->hops = 0;
  return call_soon(self);
}

/* The next event: of the loop or, when its turn is over, of the thread that
 * drives sockets for it. */
static bool next_event(core_loop *self, ws_event *event) {
  if (ws_loop_next(self->handle, event)) return true;
  return self->thread != NULL && core_thread_next(self->thread, event);
}

/* Pulls and delivers until the turn is over or something ends it early: an
 * event is a task of its own (WHATWG WebSockets 4, "queue a task"), so what a
 * handler made to run soon comes before the next event. */
static int pull(core_loop *self, size_t *count) {
  const bool is_guest = self->host != NULL;
  const Py_ssize_t before = is_guest ? host_work(self) : 0;
  ws_event event;
  while (!self->is_stopped && !self->should_close && self->handle != NULL &&
         next_event(self, &event)) {
    ++*count;
    const int has_called = deliver(self, &event);
    if (has_called < 0) return -1;
    if (has_called > 0 && is_guest && has_new_work(self, before)) {
      return begin_settling(self);
    }
  }
  return 0;
}

/* Keeps the exception that is set over the call of call_soon(). */
static void resume_after_error(core_loop *self) {
  PyObject *type;
  PyObject *value;
  PyObject *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  if (begin_settling(self) < 0) PyErr_Clear();
  PyErr_Restore(type, value, traceback);
}

static int dispatch(core_loop *self, size_t *count) {
  if (self->is_dispatching) {
    PyErr_SetString(PyExc_RuntimeError, "the loop is dispatching already");
    return -1;
  }
  Py_INCREF(self);
  self->is_dispatching = true;
  self->turn++;
  core_loop_run_errands(self);
  int result = core_loop_run_posted(self);
  if (result == 0) result = pull(self, count);
  if (result == 0) result = core_sent_run(self);
  self->is_dispatching = false;
  if (result < 0 && self->host != NULL && !self->is_settling) {
    resume_after_error(self);
  }
  if (self->should_close) core_loop_end(self);
  Py_DECREF(self);
  return result;
}

PyObject *core_loop_dispatch(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  size_t count = 0;
  if (core_loop_check(self) < 0 || dispatch(self, &count) < 0) return NULL;
  return PyLong_FromSize_t(count);
}

/* One turn, or the rest of one. The GIL is kept: nothing is waited for. */
static int turn(core_loop *self, size_t *count) {
  const int err = ws_loop_wait(self->handle, 0);
  if (err != 0) return core_raise(self->state, err, NULL);
  return dispatch(self, count);
}

/* Whether the host, which has nothing else to do, is better not left between
 * turns: when the last one brought so much that it may have been cut short. */
static bool may_go_on(const core_loop *self, size_t count, uint64_t begin,
                      Py_ssize_t before) {
  return count >= FULL_TURN && self->handle != NULL && !self->is_settling &&
         ws_loop_now(self->handle) == begin && !has_new_work(self, before);
}

static PyObject *host_turns(core_loop *self) {
  if (self->handle == NULL || self->is_dispatching) Py_RETURN_NONE;
  if (core_loop_check(self) < 0) return NULL;
  const Py_ssize_t before = host_work(self);
  size_t count = 0;
  if (turn(self, &count) < 0) return NULL;
  const uint64_t begin = core_loop_now(self);
  while (may_go_on(self, count, begin, before)) {
    count = 0;
    if (turn(self, &count) < 0) return NULL;
  }
  Py_RETURN_NONE;
}

/* Called by the host when the descriptor is readable, which it may also be
 * while an event has to wait. */
PyObject *core_loop_on_readable(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  if (self->is_settling) Py_RETURN_NONE;
  return host_turns(self);
}

/* Called by the host once in each of its turns while settling. */
PyObject *core_loop_on_settle(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  const int most = self->host_ready != NULL ? SETTLE_HOPS : SETTLE_HOPS_BLIND;
  const bool is_quiet = self->host_ready != NULL && host_work(self) == 0;
  if (++self->hops < most && !is_quiet) {
    if (call_soon(self) < 0) return NULL;
    Py_RETURN_NONE;
  }
  self->is_settling = false;
  if (self->host_uv_timeout == NULL) return host_turns(self);
  /* While it calls back libuv always has something to do, so it could not be
   * told what handlers add. */
  core_loop_wake(self);
  Py_RETURN_NONE;
}

/* -- Running --------------------------------------------------------------- */

/* Whether there is something to do that the library knows nothing of. */
static bool has_something(const core_loop *self) {
  return self->posted != NULL || self->errands != NULL ||
         (self->thread != NULL && core_thread_has_events(self->thread));
}

/* A signal that comes after Python was asked for one, but before the wait,
 * would end no wait: where signals are handled none lasts longer than this. */
#define SIGNAL_MS 50

static int bounded(const core_loop *self, int timeout_ms) {
  if (PyThread_get_thread_ident() != self->state->main_thread) {
    return timeout_ms;
  }
  return timeout_ms < 0 || timeout_ms > SIGNAL_MS ? SIGNAL_MS : timeout_ms;
}

static int wait_for(core_loop *self, int timeout_ms) {
  if (core_loop_check(self) < 0) return -1;
  if (self->is_dispatching) {
    PyErr_SetString(PyExc_RuntimeError,
                    "the loop cannot be run inside of a handler");
    return -1;
  }
  if (has_something(self)) timeout_ms = 0;
  int err;
  if (timeout_ms == 0) {
    err = ws_loop_wait(self->handle, 0);
  } else {
    timeout_ms = bounded(self, timeout_ms);
    self->is_waiting = true;
    Py_BEGIN_ALLOW_THREADS
    err = ws_loop_wait(self->handle, timeout_ms);
    Py_END_ALLOW_THREADS
    self->is_waiting = false;
  }
  if (err != 0) return core_raise(self->state, err, NULL);
  return PyErr_CheckSignals();
}

PyObject *core_loop_wait(PyObject *op, PyObject *const *args,
                         Py_ssize_t nargs) {
  if (nargs > 1) {
    PyErr_SetString(PyExc_TypeError, "wait() takes one argument");
    return NULL;
  }
  int timeout_ms = -1;
  if (nargs == 1 && args[0] != Py_None) {
    uint64_t value;
    if (core_milliseconds(args[0], "timeout", &value) < 0) return NULL;
    timeout_ms = value < INT_MAX ? (int)value : INT_MAX;
  }
  if (wait_for((core_loop *)op, timeout_ms) < 0) return NULL;
  Py_RETURN_NONE;
}

static int run(core_loop *self) {
  self->is_stopped = false;
  int result = 0;
  while (result == 0 && !self->is_stopped && self->handle != NULL &&
         (core_loop_is_alive(self) || self->posted != NULL)) {
    result = wait_for(self, -1);
    size_t count = 0;
    if (result == 0) result = dispatch(self, &count);
  }
  self->is_stopped = false;
  return result;
}

PyObject *core_loop_run(PyObject *op, PyObject *unused) {
  (void)unused;
  if (core_loop_check((core_loop *)op) < 0) return NULL;
  Py_INCREF(op);
  const int result = run((core_loop *)op);
  Py_DECREF(op);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}
