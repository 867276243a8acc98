#include "loop.h"
#include "convert.h"
#include "errors.h"
#include "host.h"
#include "server.h"
#include "socket.h"

#include <limits.h>
#include <stddef.h>

/* How many turns of the host the next event waits at most until the tasks that
 * the last one scheduled have run, and those that they scheduled in turn. */
#define SETTLE_HOPS 4

/* How many when the host does not show whether there are any. */
#define SETTLE_HOPS_BLIND 2

struct core_errand {
  core_errand *next;
  core_errand_fn fn;
  ws_socket *socket; /* Retained. */
};

/* -- Roots ----------------------------------------------------------------- */

void core_loop_keep(core_loop *loop, core_root *root) {
  if (root->next != NULL || loop->handle == NULL) return;
  Py_INCREF(root->object);
  root->prev = loop->roots.prev;
  root->next = &loop->roots;
  root->prev->next = root->next->prev = root;
}

void core_loop_let_go(core_root *root) {
  if (root->next == NULL) return;
  root->prev->next = root->next;
  root->next->prev = root->prev;
  root->prev = root->next = NULL;
  Py_DECREF(root->object);
}

static void let_all_go(core_loop *self) {
  while (self->roots.next != &self->roots)
    core_loop_let_go(self->roots.next);
}

/* -- Errands --------------------------------------------------------------- */

/* Ends a wait that is under way in another thread, or the host's. */
static void wake(const core_loop *self) {
  /* Also says that a ws_loop_run() shall return; here is none. */
  if (self->handle != NULL) ws_loop_stop(self->handle);
}

int core_loop_do(core_loop *self, core_errand_fn fn, ws_socket *socket) {
  if (!core_loop_is_away(self)) {
    fn(socket);
    return 0;
  }
  core_errand *errand = PyMem_New(core_errand, 1);
  if (errand == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  *errand = (core_errand){.fn = fn, .socket = ws_socket_retain(socket)};
  core_errand **end = &self->errands;
  while (*end != NULL)
    end = &(*end)->next;
  *end = errand;
  wake(self);
  return 0;
}

int core_loop_post(core_loop *self, PyObject *callback) {
  if (self->handle == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the loop is closed");
    return -1;
  }
  if (self->posted == NULL) self->posted = PyList_New(0);
  if (self->posted == NULL || PyList_Append(self->posted, callback) < 0) {
    return -1;
  }
  wake(self);
  return 0;
}

static void run_errands(core_loop *self) {
  while (self->errands != NULL) {
    core_errand *errand = self->errands;
    self->errands = errand->next;
    errand->fn(errand->socket);
    ws_socket_release(errand->socket);
    PyMem_Free(errand);
  }
}

/* Calls back what post() left. */
static int run_posted(core_loop *self) {
  if (self->posted == NULL) return 0;
  PyObject *posted = self->posted;
  self->posted = NULL;
  int result = 0;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(posted) && result == 0; i++) {
    PyObject *callback = PyList_GET_ITEM(posted, i);
    PyObject *value = PyObject_CallNoArgs(callback);
    if (value == NULL) {
      result = core_host_report(self->state, self->host, callback);
    }
    Py_XDECREF(value);
  }
  Py_DECREF(posted);
  return result;
}

/* -- Life ------------------------------------------------------------------ */

static PyObject *loop_new(PyTypeObject *type, PyObject *args,
                          PyObject *kwargs) {
  (void)args, (void)kwargs;
  core_loop *self = (core_loop *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->state = core_state_of(type);
  self->roots.prev = self->roots.next = &self->roots;
  self->forks = self->state->forks;
  return (PyObject *)self;
}

static void enlist(core_loop *self) {
  self->next = self->state->loops;
  if (self->next != NULL) self->next->prev = self;
  self->state->loops = self;
}

static void delist(core_loop *self) {
  if (self->next != NULL) self->next->prev = self->prev;
  if (self->prev != NULL) {
    self->prev->next = self->next;
  } else {
    self->state->loops = self->next;
  }
  self->prev = self->next = NULL;
}

static int loop_init(PyObject *op, PyObject *args, PyObject *kwargs) {
  static char *keywords[] = {"backend", "receive_buffer", "send_buffer", NULL};
  core_loop *self = (core_loop *)op;
  ws_loop_options options;
  ws_loop_options_init(&options);
  unsigned receive_buffer = 0;
  unsigned send_buffer = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$zII:Loop", keywords,
                                   &options.backend, &receive_buffer,
                                   &send_buffer)) {
    return -1;
  }
  if (self->handle != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the loop has been made already");
    return -1;
  }
  options.receive_buffer = receive_buffer;
  options.send_buffer = send_buffer;
  ws_error error;
  const int err = ws_loop_new(&options, &self->handle, &error);
  if (err != 0) return core_raise(self->state, err, error.message);
  enlist(self);
  return 0;
}

static bool is_foreign(const core_loop *self) {
  return self->forks != self->state->forks;
}

/* The host does not watch any more. It may be closed. */
static void leave_host(core_loop *self) {
  int fd;
  if (self->host == NULL || ws_loop_fd(self->handle, &fd) != 0) return;
  PyObject *result = NULL;
  PyObject *number = PyLong_FromLong(fd);
  if (number != NULL) {
    result = PyObject_CallMethodOneArg(self->host,
                                       self->state->remove_reader_name, number);
    Py_DECREF(number);
  }
  if (result == NULL) PyErr_Clear();
  Py_XDECREF(result);
}

/* Ends the loop: tells the objects whose handles go with it, and lets go of
 * all.
 */
static void end_loop(core_loop *self) {
  if (self->handle == NULL) return;
  if (!is_foreign(self)) leave_host(self);
  for (core_root *r = self->roots.next; r != &self->roots; r = r->next) {
    if (r->on_end != NULL) r->on_end(r);
  }
  run_errands(self);
  ws_loop *handle = self->handle;
  self->handle = NULL;
  delist(self);
  ws_loop_free(handle);
  Py_CLEAR(self->posted);
  let_all_go(self);
}

static int loop_traverse(PyObject *op, visitproc visit, void *arg) {
  core_loop *self = (core_loop *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->host);
  Py_VISIT(self->host_ready);
  Py_VISIT(self->posted);
  Py_VISIT(self->spare);
  for (core_root *r = self->roots.next; r != NULL && r != &self->roots;
       r = r->next) {
    Py_VISIT(r->object);
  }
  return 0;
}

static int loop_clear(PyObject *op) {
  core_loop *self = (core_loop *)op;
  end_loop(self);
  Py_CLEAR(self->host);
  Py_CLEAR(self->host_ready);
  Py_CLEAR(self->posted);
  Py_CLEAR(self->spare);
  return 0;
}

static void loop_dealloc(PyObject *op) {
  PyObject_GC_UnTrack(op);
  if (((core_loop *)op)->weakrefs != NULL) PyObject_ClearWeakRefs(op);
  (void)loop_clear(op);
  core_free(op);
}

/* -- Which loop ------------------------------------------------------------ */

int core_loop_check(core_loop *self) {
  const char *text = NULL;
  if (is_foreign(self)) {
    text = "the loop belongs to the parent process";
  } else if (self->handle == NULL) {
    text = "the loop is closed";
  } else if (core_loop_is_away(self)) {
    text = "the loop is being run by another thread";
  }
  if (text == NULL) return 0;
  PyErr_SetString(PyExc_RuntimeError, text);
  return -1;
}

static bool is_usable(const core_loop *self) {
  return self->handle != NULL && !is_foreign(self);
}

/* The thread's own loop, made when it is asked for first, or after a fork. */
static core_loop *loop_of_thread(core_state *state) {
  static const char key[] = "libws._core.Loop";
  PyObject *dict = PyThreadState_GetDict();
  if (dict == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the thread has ended");
    return NULL;
  }
  PyObject *known = PyDict_GetItemString(dict, key);
  if (known != NULL && Py_IS_TYPE(known, state->loop_type) &&
      is_usable((core_loop *)known)) {
    return (core_loop *)Py_NewRef(known);
  }
  PyObject *loop = PyObject_CallNoArgs((PyObject *)state->loop_type);
  if (loop != NULL && PyDict_SetItemString(dict, key, loop) < 0) {
    Py_CLEAR(loop);
  }
  return (core_loop *)loop;
}

/* The loop inside of an asyncio loop. */
static core_loop *loop_of_host(core_state *state, PyObject *host) {
  PyObject *known = PyObject_GetAttr(host, state->_libws_loop_name);
  if (known != NULL) {
    if (Py_IS_TYPE(known, state->loop_type) && is_usable((core_loop *)known)) {
      return (core_loop *)known;
    }
    Py_DECREF(known);
  } else {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return NULL;
    PyErr_Clear();
  }
  PyObject *module = core_host_module(state);
  if (module == NULL) return NULL;
  return (core_loop *)PyObject_CallMethodOneArg(module, state->attach_name,
                                                host);
}

core_loop *core_loop_current(core_state *state) {
  PyObject *host;
  if (core_host_running(state, &host) < 0) return NULL;
  if (host == NULL) return loop_of_thread(state);
  core_loop *loop = loop_of_host(state, host);
  Py_DECREF(host);
  return loop;
}

core_loop *core_loop_choose(core_state *state, PyObject *object) {
  core_loop *loop;
  if (object == NULL || object == Py_None) {
    loop = core_loop_current(state);
  } else if (PyObject_TypeCheck(object, state->loop_type)) {
    loop = (core_loop *)Py_NewRef(object);
  } else {
    PyErr_Format(PyExc_TypeError, "loop must be a Loop or None, not %.100s",
                 Py_TYPE(object)->tp_name);
    return NULL;
  }
  if (loop != NULL && core_loop_check(loop) < 0) Py_CLEAR(loop);
  return loop;
}

uint64_t core_loop_now(const core_loop *self) {
  return self->handle != NULL ? ws_loop_now(self->handle) : core_now();
}

/* -- Timers ---------------------------------------------------------------- */

/* It has a handle, and the loop keeps it alive, while it is set. */
typedef struct core_timer {
  PyObject_HEAD core_root root;
  core_loop *loop;
  ws_timer *handle;
  PyObject *callback;
} core_timer;

static void timer_on_end(core_root *root) {
  ((core_timer *)root->object)->handle = NULL;
}

/* Never called by the library: ring() is, by the dispatcher. */
static void timer_task(void *arg) {
  (void)arg;
}

static int set_timer(core_timer *self, PyObject *delay) {
  uint64_t delay_ms;
  if (core_milliseconds(delay, "delay", &delay_ms) < 0 ||
      core_loop_check(self->loop) < 0) {
    return -1;
  }
  if (self->handle != NULL) {
    ws_timer_set(self->handle, delay_ms);
    return 0;
  }
  const int err = ws_timer_new(self->loop->handle, delay_ms, timer_task, self,
                               &self->handle);
  if (err != 0) return core_raise(self->loop->state, err, NULL);
  core_loop_keep(self->loop, &self->root);
  return 0;
}

static void unset_timer(core_timer *self) {
  ws_timer_free(self->handle);
  self->handle = NULL;
  core_loop_let_go(&self->root);
}

static int ring(core_loop *loop, core_timer *self) {
  Py_INCREF(self);
  unset_timer(self);
  PyObject *result = PyObject_CallNoArgs(self->callback);
  const int status = result != NULL ? 0
                                    : core_host_report(loop->state, loop->host,
                                                       self->callback);
  Py_XDECREF(result);
  Py_DECREF(self);
  return status;
}

static PyObject *timer_set(PyObject *op, PyObject *delay) {
  if (set_timer((core_timer *)op, delay) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *timer_cancel(PyObject *op, PyObject *unused) {
  (void)unused;
  core_timer *self = (core_timer *)op;
  if (self->handle != NULL) {
    if (core_loop_check(self->loop) < 0) return NULL;
    unset_timer(self); /* The caller has a reference. */
  }
  Py_RETURN_NONE;
}

static int timer_traverse(PyObject *op, visitproc visit, void *arg) {
  core_timer *self = (core_timer *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->loop);
  Py_VISIT(self->callback);
  return 0;
}

static int timer_clear(PyObject *op) {
  Py_CLEAR(((core_timer *)op)->callback);
  return 0;
}

static void timer_dealloc(PyObject *op) {
  PyObject_GC_UnTrack(op);
  (void)timer_clear(op);
  Py_XDECREF(((core_timer *)op)->loop);
  core_free(op);
}

static PyMethodDef timer_methods[] = {
    {"set", timer_set, METH_O,
     "set(delay, /)\n--\n\nRing `delay` seconds from now, once."},
    {"cancel", timer_cancel, METH_NOARGS, "cancel()\n--\n\nDo not ring."},
    {0}};

static PyType_Slot timer_slots[] = {
    {Py_tp_doc, "Calls back after a time; made by Loop.timer()."},
    {Py_tp_new, core_refuse_new},
    {Py_tp_dealloc, timer_dealloc},
    {Py_tp_traverse, timer_traverse},
    {Py_tp_clear, timer_clear},
    {Py_tp_methods, timer_methods},
    {0, NULL}};

static PyType_Spec timer_spec = {
    .name = "libws.Timer",
    .basicsize = sizeof(core_timer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = timer_slots};

static PyObject *loop_timer(PyObject *op, PyObject *args) {
  core_loop *self = (core_loop *)op;
  PyObject *delay;
  PyObject *callback;
  if (!PyArg_ParseTuple(args, "OO:timer", &delay, &callback)) return NULL;
  PyTypeObject *type = self->state->timer_type;
  core_timer *timer = (core_timer *)type->tp_alloc(type, 0);
  if (timer == NULL) return NULL;
  timer->root =
      (core_root){.object = (PyObject *)timer, .on_end = timer_on_end};
  timer->loop = (core_loop *)Py_NewRef(op);
  timer->callback = Py_NewRef(callback);
  if (set_timer(timer, delay) < 0) Py_CLEAR(timer);
  return (PyObject *)timer;
}

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
  case WS_EVENT_TIMER: return ring(self, event->task_arg) < 0 ? -1 : 1;
  case WS_EVENT_TASK: break;
  }
  return 0;
}

static Py_ssize_t ready_count(const core_loop *self) {
  return self->host_ready != NULL ? PyObject_Size(self->host_ready) : 0;
}

/* Has the host call _settle() after its callbacks of now. */
static int call_soon(core_loop *self) {
  PyObject *method = PyObject_GetAttrString((PyObject *)self, "_settle");
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
  run_errands(self);
  int result = run_posted(self);
  if (result == 0) result = pull(self, count);
  self->is_dispatching = false;
  if (result < 0 && self->host != NULL && !self->is_settling) {
    resume_after_error(self);
  }
  if (self->should_close) end_loop(self);
  Py_DECREF(self);
  return result;
}

static PyObject *loop_dispatch(PyObject *op, PyObject *unused) {
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
static PyObject *loop_host_dispatch(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  if (self->is_settling) Py_RETURN_NONE;
  return host_turn(self);
}

/* Called by the host once in each of its turns while settling. */
static PyObject *loop_settle(PyObject *op, PyObject *unused) {
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
    Py_BEGIN_ALLOW_THREADS err = ws_loop_wait(self->handle, timeout_ms);
    Py_END_ALLOW_THREADS self->is_waiting = false;
  }
  if (err != 0) return core_raise(self->state, err, NULL);
  return PyErr_CheckSignals();
}

static PyObject *loop_wait(PyObject *op, PyObject *const *args,
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

static PyObject *loop_run(PyObject *op, PyObject *unused) {
  (void)unused;
  if (core_loop_check((core_loop *)op) < 0) return NULL;
  Py_INCREF(op);
  const int result = run((core_loop *)op);
  Py_DECREF(op);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *loop_stop(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  self->is_stopped = true;
  wake(self);
  Py_RETURN_NONE;
}

static PyObject *loop_post(PyObject *op, PyObject *callback) {
  if (core_loop_post((core_loop *)op, callback) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *loop_close(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  if (self->handle == NULL) Py_RETURN_NONE;
  if (core_loop_is_away(self)) {
    PyErr_SetString(PyExc_RuntimeError,
                    "the loop is being run by another thread");
    return NULL;
  }
  if (self->is_dispatching) {
    self->should_close = true;
  } else {
    end_loop(self);
  }
  Py_RETURN_NONE;
}

/* -- The host -------------------------------------------------------------- */

/* The queue of callbacks that asyncio's own loops have. Others show none. */
static PyObject *ready_queue(core_state *state, PyObject *host) {
  PyObject *ready = PyObject_GetAttr(host, state->_ready_name);
  if (ready == NULL || PyObject_Size(ready) < 0) {
    PyErr_Clear();
    Py_CLEAR(ready);
  }
  return ready;
}

static PyObject *loop_attach(PyObject *op, PyObject *host) {
  core_loop *self = (core_loop *)op;
  if (core_loop_check(self) < 0) return NULL;
  if (self->host != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the loop is attached already");
    return NULL;
  }
  int fd;
  const int err = ws_loop_fd(self->handle, &fd);
  if (err != 0) {
    core_raise(self->state, err, NULL);
    return NULL;
  }
  PyObject *method = PyObject_GetAttrString(op, "_dispatch");
  PyObject *number = PyLong_FromLong(fd);
  PyObject *result = NULL;
  if (method != NULL && number != NULL) {
    result = PyObject_CallMethodObjArgs(host, self->state->add_reader_name,
                                        number, method, NULL);
  }
  Py_XDECREF(method);
  Py_XDECREF(number);
  if (result == NULL) return NULL;
  Py_DECREF(result);
  self->host = Py_NewRef(host);
  self->host_ready = ready_queue(self->state, host);
  Py_RETURN_NONE;
}

/* -- The type -------------------------------------------------------------- */

static PyObject *loop_fileno(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  if (core_loop_check(self) < 0) return NULL;
  int fd;
  const int err = ws_loop_fd(self->handle, &fd);
  if (err != 0) {
    core_raise(self->state, err, NULL);
    return NULL;
  }
  return PyLong_FromLong(fd);
}

static PyObject *loop_stats(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  if (core_loop_check(self) < 0) return NULL;
  ws_loop_stats s;
  ws_loop_get_stats(self->handle, &s);
  return Py_BuildValue("{sK sK sK sK sK sK sK}", "sockets", s.sockets, "turns",
                       s.turns, "events", s.events, "bytes_received",
                       s.bytes_received, "bytes_sent", s.bytes_sent, "reads",
                       s.reads, "writes", s.writes);
}

static PyObject *loop_enter(PyObject *op, PyObject *unused) {
  (void)unused;
  return Py_NewRef(op);
}

static PyObject *loop_exit(PyObject *op, PyObject *args) {
  (void)args;
  return loop_close(op, NULL);
}

static PyObject *loop_closed(PyObject *op, void *closure) {
  (void)closure;
  return PyBool_FromLong(((core_loop *)op)->handle == NULL);
}

static PyObject *loop_alive(PyObject *op, void *closure) {
  (void)closure;
  const core_loop *self = (core_loop *)op;
  return PyBool_FromLong(self->handle != NULL &&
                         ws_loop_is_alive(self->handle));
}

static PyObject *loop_host(PyObject *op, void *closure) {
  (void)closure;
  const core_loop *self = (core_loop *)op;
  return Py_NewRef(self->host != NULL ? self->host : Py_None);
}

static PyMethodDef loop_methods[] = {
    {"wait", CORE_METHOD(loop_wait), METH_FASTCALL,
     "wait(timeout=None, /)\n--\n\n"
     "Wait until there may be events, at most `timeout` seconds. Other "
     "threads\n"
     "run meanwhile."},
    {"dispatch", loop_dispatch, METH_NOARGS,
     "dispatch()\n--\n\n"
     "Call the handlers for what wait() brought. Return the number of events."},
    {"run", loop_run, METH_NOARGS,
     "run()\n--\n\n"
     "Wait and dispatch until stop() is called, or no socket, server or timer\n"
     "is left."},
    {"stop", loop_stop, METH_NOARGS,
     "stop()\n--\n\nHave run() return. May be called by any thread."},
    {"post", loop_post, METH_O,
     "post(callback, /)\n--\n\n"
     "Have the loop call `callback()`. May be called by any thread."},
    {"timer", loop_timer, METH_VARARGS,
     "timer(delay, callback, /)\n--\n\n"
     "Return a Timer that calls `callback()` once, after `delay` seconds."},
    {"close", loop_close, METH_NOARGS,
     "close()\n--\n\n"
     "End all that belongs to the loop; open sockets send Close 1001."},
    {"fileno", loop_fileno, METH_NOARGS,
     "fileno()\n--\n\n"
     "Return a descriptor that is readable when a turn is due."},
    {"stats", loop_stats, METH_NOARGS,
     "stats()\n--\n\nReturn a dict of what the loop has done."},
    {"__enter__", loop_enter, METH_NOARGS, "__enter__()\n--\n\n"},
    {"__exit__", loop_exit, METH_VARARGS, "__exit__(*args)\n--\n\nClose."},
    {"_attach", loop_attach, METH_O,
     "_attach(host, /)\n--\n\nHave an asyncio loop drive this one."},
    {"_dispatch", loop_host_dispatch, METH_NOARGS,
     "_dispatch()\n--\n\nOne turn, for a host loop."},
    {"_settle", loop_settle, METH_NOARGS,
     "_settle()\n--\n\nGo on with the turn when the host is quiet."},
    {0}};

static PyGetSetDef loop_getset[] = {
    {"closed", loop_closed, NULL, "Whether close() was called.", NULL},
    {"alive", loop_alive, NULL,
     "Whether there is a socket, server or timer to wait for.", NULL},
    {"_host", loop_host, NULL, "The asyncio loop that drives it, or None.",
     NULL},
    {0}};

static PyMemberDef loop_members[] = {{"__weaklistoffset__", T_PYSSIZET,
                                      offsetof(core_loop, weakrefs), READONLY,
                                      NULL},
                                     {0}};

static PyType_Slot loop_slots[] = {
    {Py_tp_doc, "Loop(*, backend=None, receive_buffer=0, send_buffer=0)\n--\n\n"
                "Drives sockets, servers and timers, for one thread."},
    {Py_tp_new, loop_new},
    {Py_tp_init, loop_init},
    {Py_tp_dealloc, loop_dealloc},
    {Py_tp_traverse, loop_traverse},
    {Py_tp_clear, loop_clear},
    {Py_tp_methods, loop_methods},
    {Py_tp_getset, loop_getset},
    {Py_tp_members, loop_members},
    {0, NULL}};

static PyType_Spec loop_spec = {
    .name = "libws.Loop",
    .basicsize = sizeof(core_loop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = loop_slots};

/* -- Functions of the module ----------------------------------------------- */

static PyObject *get_loop(PyObject *module, PyObject *unused) {
  (void)unused;
  return (PyObject *)loop_of_thread(core_state_of_module(module));
}

static PyObject *run_here(PyObject *module, PyObject *unused) {
  core_state *state = core_state_of_module(module);
  PyObject *host;
  if (core_host_running(state, &host) < 0) return NULL;
  if (host != NULL) {
    Py_DECREF(host);
    PyErr_SetString(PyExc_RuntimeError,
                    "asyncio is running, and drives the sockets itself");
    return NULL;
  }
  core_loop *loop = loop_of_thread(state);
  if (loop == NULL) return NULL;
  PyObject *result = loop_run((PyObject *)loop, unused);
  Py_DECREF(loop);
  return result;
}

static PyObject *stop_here(PyObject *module, PyObject *unused) {
  core_loop *loop = loop_of_thread(core_state_of_module(module));
  if (loop == NULL) return NULL;
  PyObject *result = loop_stop((PyObject *)loop, unused);
  Py_DECREF(loop);
  return result;
}

/* At exit, while everything still works: peers hear that we go. */
static PyObject *close_loops(PyObject *module, PyObject *unused) {
  (void)unused;
  const core_state *state = core_state_of_module(module);
  core_loop *loop = state->loops;
  while (loop != NULL) {
    if (core_loop_is_away(loop) || loop->is_dispatching) {
      loop = loop->next;
      continue;
    }
    Py_INCREF(loop);
    end_loop(loop);
    Py_DECREF(loop);
    loop = state->loops; /* Others may have gone with it. */
  }
  Py_RETURN_NONE;
}

static PyObject *note_fork(PyObject *module, PyObject *unused) {
  (void)unused;
  core_state_of_module(module)->forks++;
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"get_loop", get_loop, METH_NOARGS,
     "get_loop()\n--\n\n"
     "Return this thread's own loop, which run() runs. Make it if need be."},
    {"run", run_here, METH_NOARGS,
     "run()\n--\n\n"
     "Drive the sockets of this thread until stop() is called or none is "
     "left."},
    {"stop", stop_here, METH_NOARGS, "stop()\n--\n\nHave run() return."},
    {"_close_loops", close_loops, METH_NOARGS,
     "_close_loops()\n--\n\nClose all loops, at exit."},
    {"_note_fork", note_fork, METH_NOARGS,
     "_note_fork()\n--\n\nIn a child: the loops belong to the parent."},
    {0}};

/* Calls `register(function, ...)` of a module for one of our functions. */
static int register_hook(PyObject *module, const char *where, const char *how,
                         const char *keyword, const char *function) {
  PyObject *target = PyImport_ImportModule(where);
  PyObject *call = target != NULL ? PyObject_GetAttrString(target, how) : NULL;
  PyObject *hook =
      call != NULL ? PyObject_GetAttrString(module, function) : NULL;
  PyObject *args = NULL;
  PyObject *kwargs = NULL;
  if (hook != NULL) {
    args = keyword != NULL ? PyTuple_New(0) : PyTuple_Pack(1, hook);
    kwargs = keyword != NULL ? Py_BuildValue("{sO}", keyword, hook) : NULL;
  }
  PyObject *result = args != NULL && (keyword == NULL || kwargs != NULL)
                         ? PyObject_Call(call, args, kwargs)
                         : NULL;
  Py_XDECREF(target);
  Py_XDECREF(call);
  Py_XDECREF(hook);
  Py_XDECREF(args);
  Py_XDECREF(kwargs);
  Py_XDECREF(result);
  return result != NULL ? 0 : -1;
}

int core_add_loops(PyObject *module) {
  core_state *state = core_state_of_module(module);
  if (core_add_type(module, &loop_spec, NULL, &state->loop_type) < 0 ||
      core_add_type(module, &timer_spec, NULL, &state->timer_type) < 0 ||
      PyModule_AddFunctions(module, functions) < 0 ||
      register_hook(module, "atexit", "register", NULL, "_close_loops") < 0) {
    return -1;
  }
  return register_hook(module, "os", "register_at_fork", "after_in_child",
                       "_note_fork");
}
