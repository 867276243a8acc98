/* loop_run.c - how a Loop runs: waits, pulls events and has them delivered, by
 * itself or as the guest of an asyncio loop. */
#include "convert.h"
#include "errors.h"
#include "host.h"
#include "server.h"
#include "socket.h"

#include <limits.h>

/* How many turns of the host the next event waits at most until the tasks that
 * the last one scheduled have run, and those that they scheduled in turn. */
#define SETTLE_HOPS 4

/* How many when the host does not show whether there are any. */
#define SETTLE_HOPS_BLIND 2

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

static Py_ssize_t ready_count(const core_loop *self) {
  return self->host_ready != NULL ? PyObject_Size(self->host_ready) : 0;
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

/* Whether the next event has to wait, because the handler that was just called
 * made something run soon. An event is a task of its own (WHATWG WebSockets 4,
 * "queue a task"): what depends on it comes before the next one. */
static bool has_to_settle(const core_loop *self, Py_ssize_t ready_before) {
  if (self->host == NULL) return false;
  return self->host_ready == NULL || ready_count(self) > ready_before;
}

static int begin_settling(core_loop *self) {
  self->is_settling = true;
  self->hops = 0;
  return call_soon(self);
}

/* Pulls and delivers until the turn is over or something ends it early. */
static int pull(core_loop *self, size_t *count) {
  ws_event event;
  while (!self->is_stopped && !self->should_close && self->handle != NULL &&
         ws_loop_next(self->handle, &event)) {
    ++*count;
    const Py_ssize_t ready = ready_count(self);
    const int has_called = deliver(self, &event);
    if (has_called < 0) return -1;
    if (has_called > 0 && has_to_settle(self, ready)) {
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
  core_loop_run_errands(self);
  int result = core_loop_run_posted(self);
  if (result == 0) result = pull(self, count);
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
static PyObject *host_turn(core_loop *self) {
  if (self->handle == NULL || self->is_dispatching) Py_RETURN_NONE;
  if (core_loop_check(self) < 0) return NULL;
  const int err = ws_loop_wait(self->handle, 0);
  if (err != 0) {
    core_raise(self->state, err, NULL);
    return NULL;
  }
  size_t count = 0;
  if (dispatch(self, &count) < 0) return NULL;
  Py_RETURN_NONE;
}

/* Called by the host when the descriptor is readable, which it may also be
 * while an event has to wait. */
PyObject *core_loop_on_readable(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  if (self->is_settling) Py_RETURN_NONE;
  return host_turn(self);
}

/* Called by the host once in each of its turns while settling. */
PyObject *core_loop_on_settle(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  const int most = self->host_ready != NULL ? SETTLE_HOPS : SETTLE_HOPS_BLIND;
  const bool is_quiet = self->host_ready != NULL && ready_count(self) == 0;
  if (++self->hops < most && !is_quiet) {
    if (call_soon(self) < 0) return NULL;
    Py_RETURN_NONE;
  }
  self->is_settling = false;
  return host_turn(self);
}

/* -- Running --------------------------------------------------------------- */

static int wait_for(core_loop *self, int timeout_ms) {
  if (core_loop_check(self) < 0) return -1;
  if (self->is_dispatching) {
    PyErr_SetString(PyExc_RuntimeError,
                    "the loop cannot be run inside of a handler");
    return -1;
  }
  if (self->posted != NULL || self->errands != NULL) timeout_ms = 0;
  int err;
  if (timeout_ms == 0) {
    err = ws_loop_wait(self->handle, 0);
  } else {
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
         (ws_loop_is_alive(self->handle) || self->posted != NULL)) {
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
