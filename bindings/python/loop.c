#include "loop.h"
#include "convert.h"
#include "errors.h"
#include "host.h"

#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>

/* Messages that do not fit get memory of their own, which comes fresh from the
 * system each time; 100 KiB then cost more than twice as much. */
#define SEND_BUFFER (256U * 1024)

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

void core_loop_wake(const core_loop *self) {
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
  core_loop_wake(self);
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
  core_loop_wake(self);
  return 0;
}

void core_loop_run_errands(core_loop *self) {
  while (self->errands != NULL) {
    core_errand *errand = self->errands;
    self->errands = errand->next;
    errand->fn(errand->socket);
    ws_socket_release(errand->socket);
    PyMem_Free(errand);
  }
}

/* Calls back what post() left. */
int core_loop_run_posted(core_loop *self) {
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
  options.send_buffer = send_buffer != 0 ? send_buffer : SEND_BUFFER;
  ws_error error;
  const int err = ws_loop_new(&options, &self->handle, &error);
  if (err != 0) return core_raise(self->state, err, error.message);
  enlist(self);
  return 0;
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
void core_loop_end(core_loop *self) {
  if (self->handle == NULL) return;
  if (!core_loop_is_foreign(self)) leave_host(self);
  for (core_root *r = self->roots.next; r != &self->roots; r = r->next) {
    if (r->on_end != NULL) r->on_end(r);
  }
  core_loop_run_errands(self);
  if (self->thread != NULL) {
    core_thread_end(self->thread, core_loop_is_foreign(self));
    core_thread_release(self->thread);
    self->thread = NULL;
  }
  ws_loop *handle = self->handle;
  self->handle = NULL;
  delist(self);
  ws_loop_free(handle);
  Py_CLEAR(self->posted);
  Py_CLEAR(self->sent);
  let_all_go(self);
}

static int loop_traverse(PyObject *op, visitproc visit, void *arg) {
  core_loop *self = (core_loop *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->host);
  Py_VISIT(self->host_ready);
  Py_VISIT(self->posted);
  Py_VISIT(self->sent);
  Py_VISIT(self->spare);
  for (core_root *r = self->roots.next; r != NULL && r != &self->roots;
       r = r->next) {
    Py_VISIT(r->object);
  }
  return 0;
}

static int loop_clear(PyObject *op) {
  core_loop *self = (core_loop *)op;
  core_loop_end(self);
  Py_CLEAR(self->host);
  Py_CLEAR(self->host_ready);
  Py_CLEAR(self->posted);
  Py_CLEAR(self->sent);
  Py_CLEAR(self->spare);
  return 0;
}

static void loop_dealloc(PyObject *op) {
  PyObject_GC_UnTrack(op);
  if (((core_loop *)op)->weakrefs != NULL) PyObject_ClearWeakRefs(op);
  (void)loop_clear(op);
  core_free(op);
}

core_thread *core_loop_thread(core_loop *self) {
  if (self->thread == NULL &&
      core_thread_start(self->state, self->handle, &self->thread) < 0) {
    return NULL;
  }
  return self->thread;
}

bool core_loop_is_alive(const core_loop *self) {
  return ws_loop_is_alive(self->handle) ||
         (self->thread != NULL && core_thread_is_alive(self->thread));
}

/* -- Which loop ------------------------------------------------------------ */

int core_loop_check(core_loop *self) {
  const char *text = NULL;
  if (core_loop_is_foreign(self)) {
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
  return self->handle != NULL && !core_loop_is_foreign(self);
}

/* The thread's own loop, made when it is asked for first, or after a fork. */
static core_loop *loop_of_thread(core_state *state) {
  PyObject *key = state->_libws_loop_name;
  PyObject *dict = PyThreadState_GetDict();
  if (dict == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the thread has ended");
    return NULL;
  }
  PyObject *known = PyDict_GetItemWithError(dict, key);
  if (known == NULL && PyErr_Occurred()) return NULL;
  if (known != NULL && Py_IS_TYPE(known, state->loop_type) &&
      is_usable((core_loop *)known)) {
    return (core_loop *)Py_NewRef(known);
  }
  PyObject *loop = PyObject_CallNoArgs((PyObject *)state->loop_type);
  if (loop != NULL && PyDict_SetItem(dict, key, loop) < 0) Py_CLEAR(loop);
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

static PyObject *loop_stop(PyObject *op, PyObject *unused) {
  (void)unused;
  core_loop *self = (core_loop *)op;
  self->is_stopped = true;
  core_loop_wake(self);
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
    core_loop_end(self);
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

/* Finds libuv in a module that has been loaded, if it can be seen from outside,
 * and takes the uv_loop_t that is in a capsule. */
static int look_into_uv(core_loop *self, PyObject *file, PyObject *capsule) {
  PyObject *path;
  const void *uv = PyCapsule_GetPointer(capsule, NULL);
  if (uv == NULL || !PyUnicode_FSConverter(file, &path)) return -1;
  void *library = dlopen(PyBytes_AS_STRING(path), RTLD_LAZY | RTLD_NOLOAD);
  Py_DECREF(path);
  if (library == NULL) return 0;
  void *symbol = dlsym(library, "uv_backend_timeout");
  dlclose(library); /* Python keeps it. */
  memcpy(&self->host_uv_timeout, &symbol, sizeof(symbol));
  self->host_uv = uv;
  return 0;
}

/* Has the host watch our descriptor. */
static int add_reader(core_loop *self, PyObject *host) {
  int fd;
  const int err = ws_loop_fd(self->handle, &fd);
  if (err != 0) return core_raise(self->state, err, NULL);
  PyObject *method =
      PyObject_GetAttr((PyObject *)self, self->state->_dispatch_name);
  PyObject *number = PyLong_FromLong(fd);
  PyObject *result = NULL;
  if (method != NULL && number != NULL) {
    result = PyObject_CallMethodObjArgs(host, self->state->add_reader_name,
                                        number, method, NULL);
  }
  Py_XDECREF(method);
  Py_XDECREF(number);
  Py_XDECREF(result);
  return result != NULL ? 0 : -1;
}

static PyObject *loop_attach(PyObject *op, PyObject *args) {
  core_loop *self = (core_loop *)op;
  PyObject *host;
  PyObject *file = NULL;
  PyObject *capsule = NULL;
  if (!PyArg_ParseTuple(args, "O|OO:_attach", &host, &file, &capsule) ||
      core_loop_check(self) < 0) {
    return NULL;
  }
  if (self->host != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the loop is attached already");
    return NULL;
  }
  if (capsule != NULL && look_into_uv(self, file, capsule) < 0) return NULL;
  if (add_reader(self, host) < 0) return NULL;
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
  return PyBool_FromLong(self->handle != NULL && core_loop_is_alive(self));
}

static PyObject *loop_host(PyObject *op, void *closure) {
  (void)closure;
  const core_loop *self = (core_loop *)op;
  return Py_NewRef(self->host != NULL ? self->host : Py_None);
}

static PyMethodDef loop_methods[] = {
    {"wait", CORE_METHOD(core_loop_wait), METH_FASTCALL,
     "wait($self, timeout=None, /)\n--\n\n"
     "Wait until there may be events, at most `timeout` seconds. Other "
     "threads\n"
     "run meanwhile."},
    {"dispatch", core_loop_dispatch, METH_NOARGS,
     "dispatch($self, /)\n--\n\n"
     "Call the handlers for what wait() brought. Return the number of events."},
    {"run", core_loop_run, METH_NOARGS,
     "run($self, /)\n--\n\n"
     "Wait and dispatch until stop() is called, or no socket, server or timer\n"
     "is left."},
    {"stop", loop_stop, METH_NOARGS,
     "stop($self, /)\n--\n\nHave run() return. May be called by any thread."},
    {"post", loop_post, METH_O,
     "post($self, callback, /)\n--\n\n"
     "Have the loop call `callback()`. May be called by any thread."},
    {"timer", core_loop_timer, METH_VARARGS,
     "timer($self, delay, callback, /)\n--\n\n"
     "Return a Timer that calls `callback()` once, after `delay` seconds."},
    {"close", loop_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "End all that belongs to the loop; open sockets send Close 1001."},
    {"fileno", loop_fileno, METH_NOARGS,
     "fileno($self, /)\n--\n\n"
     "Return a descriptor that is readable when a turn is due."},
    {"stats", loop_stats, METH_NOARGS,
     "stats($self, /)\n--\n\nReturn a dict of what the loop has done."},
    {"__enter__", loop_enter, METH_NOARGS, "__enter__($self, /)\n--\n\n"},
    {"__exit__", loop_exit, METH_VARARGS,
     "__exit__($self, /, *args)\n--\n\nClose."},
    {"_attach", loop_attach, METH_VARARGS,
     "_attach($self, host, uv_library=None, uv_loop=None, /)\n--\n\n"
     "Have an asyncio loop drive this one. Of uvloop: the file that has "
     "libuv,\n"
     "and a capsule with its loop."},
    {"_dispatch", core_loop_on_readable, METH_NOARGS,
     "_dispatch($self, /)\n--\n\nOne turn, for a host loop."},
    {"_settle", core_loop_on_settle, METH_NOARGS,
     "_settle($self, /)\n--\n\nGo on with the turn when the host is quiet."},
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
  PyObject *result = core_loop_run((PyObject *)loop, unused);
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
    core_loop_end(loop);
    Py_DECREF(loop);
    loop = state->loops; /* Others may have gone with it. */
  }
  Py_RETURN_NONE;
}

static PyObject *note_fork(PyObject *module, PyObject *unused) {
  (void)unused;
  core_state *state = core_state_of_module(module);
  state->forks++;
  state->main_thread = PyThread_get_thread_ident();
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"get_loop", get_loop, METH_NOARGS,
     "get_loop($module, /)\n--\n\n"
     "Return this thread's own loop, which run() runs. Make it if need be."},
    {"run", run_here, METH_NOARGS,
     "run($module, /)\n--\n\n"
     "Drive the sockets of this thread until stop() is called or none is "
     "left."},
    {"stop", stop_here, METH_NOARGS,
     "stop($module, /)\n--\n\nHave run() return."},
    {"_close_loops", close_loops, METH_NOARGS,
     "_close_loops($module, /)\n--\n\nClose all loops, at exit."},
    {"_note_fork", note_fork, METH_NOARGS,
     "_note_fork($module, /)\n--\n\nIn a child: the loops belong to the "
     "parent."},
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

static int find_main_thread(core_state *state) {
  PyObject *threading = PyImport_ImportModule("threading");
  if (threading == NULL) return -1;
  PyObject *thread = PyObject_CallMethod(threading, "main_thread", NULL);
  PyObject *ident =
      thread != NULL ? PyObject_GetAttrString(thread, "ident") : NULL;
  if (ident != NULL) state->main_thread = PyLong_AsUnsignedLong(ident);
  Py_DECREF(threading);
  Py_XDECREF(thread);
  Py_XDECREF(ident);
  return PyErr_Occurred() ? -1 : 0;
}

int core_add_loops(PyObject *module) {
  core_state *state = core_state_of_module(module);
  if (find_main_thread(state) < 0 ||
      core_add_type(module, &loop_spec, NULL, &state->loop_type) < 0 ||
      PyModule_AddFunctions(module, functions) < 0 ||
      register_hook(module, "atexit", "register", NULL, "_close_loops") < 0) {
    return -1;
  }
  return register_hook(module, "os", "register_at_fork", "after_in_child",
                       "_note_fork");
}
