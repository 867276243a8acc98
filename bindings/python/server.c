#include "server.h"
#include "errors.h"
#include "socket.h"

#include <stddef.h>

int core_server_check(const core_server *self) {
  if (self->loop == NULL) {
    PyErr_SetString(PyExc_RuntimeError,
                    "WebSocketServer.__init__() was not called");
    return -1;
  }
  if (self->handle == NULL) {
    return core_raise(core_server_state(self), WS_ERR_INVALID_STATE,
                      "the server has ended");
  }
  return core_loop_check(self->loop);
}

void core_server_forget_hooks(core_server *self) {
  Py_CLEAR(self->on_connection);
  Py_CLEAR(self->on_upgrade);
  Py_CLEAR(self->on_request);
  Py_CLEAR(self->on_error);
  Py_CLEAR(self->on_close);
}

int core_server_set_hook(PyObject **hook, PyObject *value) {
  if (value == Py_None) value = NULL;
  if (value != NULL && !PyCallable_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "a hook must be callable or None");
    return -1;
  }
  Py_XSETREF(*hook, Py_XNewRef(value));
  return 0;
}

/* -- Calls ----------------------------------------------------------------- */

static PyObject *server_close(PyObject *op, PyObject *args, PyObject *kwargs) {
  static char *keywords[] = {"code", "reason", "timeout", NULL};
  core_server *self = (core_server *)op;
  PyObject *code = NULL;
  PyObject *reason = NULL;
  PyObject *timeout = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO$O:close", keywords, &code,
                                   &reason, &timeout)) {
    return NULL;
  }
  if (self->loop != NULL && self->handle == NULL) Py_RETURN_NONE;
  uint64_t deadline = 0;
  if (core_server_check(self) < 0 ||
      (timeout != Py_None &&
       core_milliseconds(timeout, "timeout", &deadline) < 0)) {
    return NULL;
  }
  if (timeout != Py_None && deadline == 0) deadline = 1; /* 0: the default. */
  if (deadline > UINT32_MAX) deadline = UINT32_MAX;
  core_close how;
  if (core_close_get(core_server_state(self), code, reason, true, &how) < 0)
    return NULL;
  const int err = ws_server_close(self->handle, how.code, how.reason.data,
                                  how.reason.len, (uint32_t)deadline);
  core_text_release(&how.reason);
  if (err != 0) {
    core_raise(core_server_state(self), err, NULL);
    return NULL;
  }
  self->is_closing = true;
  Py_RETURN_NONE;
}

static PyObject *server_stop_listening(PyObject *op, PyObject *unused) {
  (void)unused;
  core_server *self = (core_server *)op;
  if (core_server_check(self) < 0) return NULL;
  ws_server_stop_listening(self->handle);
  Py_RETURN_NONE;
}

/* Keywords of publish() and broadcast(). */
static int set_publish_option(core_state *state, PyObject *name,
                              PyObject *value, unsigned *flags,
                              const ws_socket **except) {
  if (PyUnicode_Compare(name, state->compress_name) == 0) {
    const int truth = PyObject_IsTrue(value);
    if (truth < 0) return -1;
    if (!truth) *flags |= WS_SEND_UNCOMPRESSED;
    return 0;
  }
  const bool is_exclude =
      PyUnicode_CompareWithASCIIString(name, "exclude") == 0;
  if (is_exclude && value == Py_None) return 0;
  if (is_exclude && PyObject_TypeCheck(value, state->socket_type)) {
    *except = ((core_socket *)value)->handle;
    return 0;
  }
  if (is_exclude) {
    PyErr_SetString(PyExc_TypeError, "exclude must be a WebSocket or None");
  } else {
    PyErr_Format(PyExc_TypeError, "there is no argument %R", name);
  }
  return -1;
}

int core_server_publish(core_state *state, ws_server *server,
                        PyObject *const *args, Py_ssize_t nargs,
                        PyObject *names, const ws_socket *except) {
  const char *topic = NULL;
  if (args[0] != Py_None) {
    topic = core_c_string(args[0], "topic");
    if (topic == NULL) return -1;
  }
  unsigned flags = 0;
  const Py_ssize_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t i = 0; i < count; i++) {
    if (set_publish_option(state, PyTuple_GET_ITEM(names, i), args[nargs + i],
                           &flags, &except) < 0) {
      return -1;
    }
  }
  core_payload payload;
  if (core_payload_get(args[1], &payload) < 0) return -1;
  const int err = ws_server_publish(server, topic, payload.type, payload.data,
                                    payload.len, payload.flags | flags, except);
  core_payload_release(&payload);
  return err != 0 ? core_raise(state, err, NULL) : 0;
}

static PyObject *server_publish(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *names) {
  core_server *self = (core_server *)op;
  if (nargs != 2 || args[0] == Py_None) {
    PyErr_SetString(PyExc_TypeError, "publish() takes a topic and data");
    return NULL;
  }
  if (core_server_check(self) < 0 ||
      core_server_publish(core_server_state(self), self->handle, args, nargs,
                          names, NULL) < 0) {
    return NULL;
  }
  Py_RETURN_NONE;
}

static PyObject *server_broadcast(PyObject *op, PyObject *const *args,
                                  Py_ssize_t nargs, PyObject *names) {
  core_server *self = (core_server *)op;
  const Py_ssize_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
  PyObject *all[4] = {Py_None};
  if (nargs != 1 || count > 2) {
    PyErr_SetString(PyExc_TypeError, "broadcast() takes data");
    return NULL;
  }
  /* The same arguments behind a topic that stands for all. */
  for (Py_ssize_t i = 0; i < nargs + count; i++)
    all[i + 1] = args[i];
  if (core_server_check(self) < 0 ||
      core_server_publish(core_server_state(self), self->handle, all, 2, names,
                          NULL) < 0) {
    return NULL;
  }
  Py_RETURN_NONE;
}

/* -- Attributes ------------------------------------------------------------ */

static PyObject *server_port(PyObject *op, void *closure) {
  (void)closure;
  const core_server *self = (core_server *)op;
  return PyLong_FromLong(self->handle != NULL ? ws_server_port(self->handle, 0)
                                              : 0);
}

static PyObject *server_urls(PyObject *op, void *closure) {
  (void)closure;
  const core_server *self = (core_server *)op;
  PyObject *list = PyList_New(0);
  const size_t count =
      self->handle != NULL ? ws_server_listener_count(self->handle) : 0;
  for (size_t i = 0; list != NULL && i < count; i++) {
    PyObject *url = PyUnicode_DecodeFSDefault(ws_server_url(self->handle, i));
    if (url == NULL || PyList_Append(list, url) < 0) Py_CLEAR(list);
    Py_XDECREF(url);
  }
  return list;
}

/* Adds the objects of open sockets to a set. */
static int add_clients(PyObject *set, ws_socket *const *sockets, size_t count) {
  for (size_t i = 0; i < count; i++) {
    PyObject *object = ws_socket_user_data(sockets[i]);
    if (object != NULL && PySet_Add(set, object) < 0) return -1;
  }
  return 0;
}

static PyObject *server_clients(PyObject *op, void *closure) {
  (void)closure;
  const core_server *self = (core_server *)op;
  PyObject *set = PySet_New(NULL);
  if (set == NULL || self->handle == NULL) return set;
  if (core_server_check(self) < 0) {
    Py_DECREF(set);
    return NULL;
  }
  const size_t count = ws_server_sockets(self->handle, NULL, 0);
  ws_socket **sockets = PyMem_New(ws_socket *, count + 1);
  if (sockets == NULL) {
    Py_DECREF(set);
    return PyErr_NoMemory();
  }
  (void)ws_server_sockets(self->handle, sockets, count);
  if (add_clients(set, sockets, count) < 0) Py_CLEAR(set);
  PyMem_Free(sockets);
  return set;
}

static PyObject *server_stats(PyObject *op, PyObject *unused) {
  (void)unused;
  const core_server *self = (core_server *)op;
  if (core_server_check(self) < 0) return NULL;
  ws_server_stats s;
  ws_server_get_stats(self->handle, &s);
  return Py_BuildValue("{sK sK sK sK sK}", "connections", s.connections,
                       "accepted", s.accepted, "refused", s.refused, "opened",
                       s.opened, "published", s.published);
}

static PyObject *server_closed(PyObject *op, void *closure) {
  (void)closure;
  return PyBool_FromLong(((core_server *)op)->handle == NULL);
}

static PyObject *server_loop(PyObject *op, void *closure) {
  (void)closure;
  core_loop *loop = ((core_server *)op)->loop;
  return Py_NewRef(loop != NULL ? (PyObject *)loop : Py_None);
}

static PyObject **hook_place(PyObject *op, void *closure) {
  return (PyObject **)((char *)op + (size_t)(uintptr_t)closure);
}

static PyObject *server_get_hook(PyObject *op, void *closure) {
  PyObject *hook = *hook_place(op, closure);
  return Py_NewRef(hook != NULL ? hook : Py_None);
}

static int server_set_hook(PyObject *op, PyObject *value, void *closure) {
  return core_server_set_hook(hook_place(op, closure),
                              value != NULL ? value : Py_None);
}

static PyObject *server_repr(PyObject *op) {
  PyObject *urls = server_urls(op, NULL);
  if (urls == NULL) return NULL;
  PyObject *repr = PyUnicode_FromFormat("<WebSocketServer %R>", urls);
  Py_DECREF(urls);
  return repr;
}

/* -- The type -------------------------------------------------------------- */

/* The loop has ended, and the handle with it. */
static void on_loop_end(core_root *root) {
  core_server *self = (core_server *)root->object;
  self->handle = NULL;
  self->is_closing = true;
}

static PyObject *server_new(PyTypeObject *type, PyObject *args,
                            PyObject *kwargs) {
  (void)args, (void)kwargs;
  core_server *self = (core_server *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->root = (core_root){.object = (PyObject *)self, .on_end = on_loop_end};
  self->socket_class =
      (PyTypeObject *)Py_NewRef((PyObject *)core_state_of(type)->socket_type);
  self->is_tracking = true;
  return (PyObject *)self;
}

static int server_traverse(PyObject *op, visitproc visit, void *arg) {
  core_server *self = (core_server *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->loop);
  Py_VISIT(self->socket_class);
  Py_VISIT(self->on_connection);
  Py_VISIT(self->on_upgrade);
  Py_VISIT(self->on_request);
  Py_VISIT(self->on_error);
  Py_VISIT(self->on_close);
  return 0;
}

static int server_clear(PyObject *op) {
  core_server_forget_hooks((core_server *)op);
  return 0;
}

/* Its loop keeps a server until the handle is gone, so there is none here. */
static void server_dealloc(PyObject *op) {
  core_server *self = (core_server *)op;
  PyObject_GC_UnTrack(op);
  if (self->weakrefs != NULL) PyObject_ClearWeakRefs(op);
  (void)server_clear(op);
  core_strings_release(&self->protocols);
  Py_XDECREF(self->folder);
  Py_XDECREF(self->socket_class);
  Py_XDECREF(self->loop);
  core_free(op);
}

#define HOOK(name, field, doc)                   \
  {                                              \
    name, server_get_hook, server_set_hook, doc, \
        (void *)offsetof(core_server, field)     \
  }

static PyGetSetDef server_getset[] = {
    HOOK("onconnection", on_connection, "Called with each socket and request."),
    HOOK("onupgrade", on_upgrade, "Called with each handshake, to answer it."),
    HOOK("onrequest", on_request, "Called with plain HTTP, to answer it."),
    HOOK("onerror", on_error, "Called with an ErrorEvent of a listener."),
    HOOK("onclose", on_close, "Called when all has ended after close()."),
    {"port", server_port, NULL, "The port of the first listener.", NULL},
    {"urls", server_urls, NULL, "Where the listeners are.", NULL},
    {"clients", server_clients, NULL, "The sockets that are open.", NULL},
    {"closed", server_closed, NULL, "Whether all has ended.", NULL},
    {"_loop", server_loop, NULL, "The Loop.", NULL},
    {0}};

static PyMemberDef server_members[] = {
    {"closing", T_BOOL, offsetof(core_server, is_closing), READONLY,
     "Whether close() was called."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(core_server, weakrefs),
     READONLY, NULL},
    {0}};

static PyMethodDef server_methods[] = {
    {"listen", CORE_METHOD(core_server_listen), METH_VARARGS | METH_KEYWORDS,
     "listen($self, host=None, port=0, /, **options)\n--\n\n"
     "Listen at one more place: unix, unix_mode, sock, tls, backlog, "
     "reuse_port."},
    {"adopt", CORE_METHOD(core_server_adopt), METH_VARARGS | METH_KEYWORDS,
     "adopt($self, /, sock, data=b\"\", *, tls=None)\n--\n\n"
     "Serve a connection that was accepted elsewhere."},
    {"close", CORE_METHOD(server_close), METH_VARARGS | METH_KEYWORDS,
     "close($self, /, code=None, reason=None, *, timeout=None)\n--\n\n"
     "End in good order: 1001, or `code`, goes to every socket."},
    {"stop_listening", server_stop_listening, METH_NOARGS,
     "stop_listening($self, /)\n--\n\nTake no more connections."},
    {"publish", CORE_METHOD(server_publish), METH_FASTCALL | METH_KEYWORDS,
     "publish($self, topic, data, /, *, compress=True, exclude=None)\n--\n\n"
     "Send to all sockets that subscribe to a topic."},
    {"broadcast", CORE_METHOD(server_broadcast), METH_FASTCALL | METH_KEYWORDS,
     "broadcast($self, data, /, *, compress=True, exclude=None)\n--\n\n"
     "Send to all open sockets."},
    {"stats", server_stats, METH_NOARGS,
     "stats($self, /)\n--\n\nReturn a dict of what the server has done."},
    {0}};

static PyType_Slot server_slots[] = {
    {Py_tp_doc, "WebSocketServer(host=None, port=None, /, **options)\n--\n\n"
                "Accepts connections."},
    {Py_tp_new, server_new},
    {Py_tp_init, core_server_init},
    {Py_tp_dealloc, server_dealloc},
    {Py_tp_traverse, server_traverse},
    {Py_tp_clear, server_clear},
    {Py_tp_repr, server_repr},
    {Py_tp_getset, server_getset},
    {Py_tp_members, server_members},
    {Py_tp_methods, server_methods},
    {0, NULL}};

static PyType_Spec server_spec = {
    .name = "libws.WebSocketServer",
    .basicsize = sizeof(core_server),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = server_slots};

int core_add_servers(PyObject *module) {
  return core_add_type(module, &server_spec, NULL,
                       &core_state_of_module(module)->server_type);
}
