#include "socket.h"
#include "receiver.h"
#include "request.h"
#include "sent.h"

#include <stddef.h>

/* -- Life (WHATWG WebSockets 7) -------------------------------------------- */

/* What comes before the connection is open, and what is nothing of ours. */
#define HEARD_BEFORE (CORE_CUSTOM | CORE_OPEN | CORE_UPGRADE | CORE_UNEXPECTED)

/* Which listeners keep a socket alive, by its state. */
static bool is_heard(const core_socket *self) {
  const unsigned heard = self->target.heard;
  switch (core_socket_state_shown(self)) {
  case WS_STATE_CONNECTING: return (heard & ~(unsigned)CORE_CUSTOM) != 0;
  case WS_STATE_OPEN: return (heard & ~(unsigned)HEARD_BEFORE) != 0;
  case WS_STATE_CLOSING:
  case WS_STATE_CLOSED: break;
  }
  return (heard & (CORE_ERROR | CORE_CLOSE)) != 0;
}

void core_socket_update_root(core_socket *self) {
  if (self->handle == NULL) return;
  const bool is_wanted = self->waiter != NULL || self->drain_waiter != NULL ||
                         self->is_tracked || is_heard(self);
  if (is_wanted && !self->has_ended) {
    core_loop_keep(self->loop, &self->root);
  } else {
    core_loop_let_go(&self->root);
  }
}

static void on_heard(core_target *target) {
  core_socket_update_root((core_socket *)target);
}

static PyObject *socket_new(PyTypeObject *type, PyObject *args,
                            PyObject *kwargs) {
  (void)args, (void)kwargs;
  core_socket *self = (core_socket *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->target.on_heard = on_heard;
  self->root.object = (PyObject *)self;
  return (PyObject *)self;
}

void core_socket_join(core_socket *self, core_loop *loop, core_thread *thread,
                      ws_socket *handle) {
  self->loop = loop;
  if (thread != NULL) self->thread = core_thread_retain(thread);
  self->handle = ws_socket_retain(handle);
  ws_socket_set_user_data(handle, self);
}

core_socket *core_socket_accept(core_loop *loop, PyTypeObject *type,
                                ws_socket *handle, PyObject *request,
                                bool is_tracked, uint64_t high_water) {
  core_socket *self = (core_socket *)socket_new(type, NULL, NULL);
  if (self == NULL) return NULL;
  core_socket_join(self, (core_loop *)Py_NewRef((PyObject *)loop), NULL,
                   handle);
  self->request = Py_NewRef(request);
  self->is_tracked = is_tracked;
  self->high_water = high_water != 0 ? high_water : CORE_HIGH_WATER;
  core_socket_update_root(self);
  return self;
}

static int socket_traverse(PyObject *op, visitproc visit, void *arg) {
  core_socket *self = (core_socket *)op;
  Py_VISIT(self->dict);
  Py_VISIT(self->loop);
  Py_VISIT(self->request);
  Py_VISIT(self->response);
  Py_VISIT(self->failure);
  Py_VISIT(self->waiter);
  Py_VISIT(self->drain_waiter);
  return core_target_traverse(&self->target, visit, arg);
}

/* The loop stays until the end: the connection is closed through it. */
static int socket_clear(PyObject *op) {
  core_socket *self = (core_socket *)op;
  core_target_clear(&self->target);
  Py_CLEAR(self->dict);
  Py_CLEAR(self->request);
  Py_CLEAR(self->response);
  Py_CLEAR(self->failure);
  Py_CLEAR(self->waiter);
  Py_CLEAR(self->drain_waiter);
  return 0;
}

/* "If a WebSocket object is garbage collected while its connection is still
 * open, the user agent must start the WebSocket closing handshake, with no
 * status code for the Close message" (WHATWG WebSockets 7). What was sent
 * before goes first. */
static void abandon(ws_socket *handle) {
  (void)ws_socket_close(handle, 0, "", 0);
}

int core_socket_do(core_socket *self, core_errand_fn fn) {
  if (core_socket_is_away(self)) {
    return core_loop_do(self->loop, fn, self->handle);
  }
  core_socket_hold(self);
  fn(self->handle);
  core_socket_let_go(self);
  return 0;
}

int core_socket_pause(core_socket *self) {
  if (self->thread == NULL) return core_socket_do(self, ws_socket_pause);
  core_socket_hold(self);
  core_line_pause(&self->line, self->handle);
  core_socket_let_go(self);
  return 0;
}

int core_socket_resume(core_socket *self) {
  if (self->thread == NULL) return core_socket_do(self, ws_socket_resume);
  core_socket_hold(self);
  core_line_resume(&self->line, self->handle);
  core_socket_let_go(self);
  return 0;
}

/* In a forked child the connection is the parent's, and what the thread was
 * doing at that moment is left as it was. */
static void leave_connection(core_socket *self) {
  ws_socket *handle = self->handle;
  if (handle == NULL) return;
  const bool is_foreign = core_loop_is_foreign(self->loop);
  if (is_foreign && self->thread != NULL) return;
  core_socket_hold(self);
  ws_socket_set_user_data(handle, NULL);
  core_socket_let_go(self);
  ws_sender_free(self->sender);
  if (!self->has_ended && !is_foreign && core_socket_do(self, abandon) < 0) {
    PyErr_Clear();
  }
  self->handle = NULL;
  core_socket_hold(self);
  ws_socket_release(handle);
  core_socket_let_go(self);
}

/* "A WebSocket object with an established connection that has data queued to be
 * transmitted to the network must not be garbage collected" (WHATWG WebSockets
 * 7). So it comes back to life until that is out. The connection of a thread
 * lives on by itself. */
static void socket_finalize(PyObject *op) {
  core_socket *self = (core_socket *)op;
  if (self->handle == NULL || self->has_ended || self->thread != NULL ||
      self->loop->handle == NULL || core_loop_is_foreign(self->loop) ||
      core_loop_is_away(self->loop) || !core_sent_is_due(self)) {
    return;
  }
  PyObject *type;
  PyObject *value;
  PyObject *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  if (core_sent_add(self, Py_None) < 0) PyErr_Clear();
  PyErr_Restore(type, value, traceback);
}

static void socket_dealloc(PyObject *op) {
  core_socket *self = (core_socket *)op;
  if (PyObject_CallFinalizerFromDealloc(op) < 0) return; /* It lives again. */
  PyObject_GC_UnTrack(op);
  if (self->target.weakrefs != NULL) PyObject_ClearWeakRefs(op);
  (void)socket_clear(op);
  leave_connection(self);
  core_queue_free(self->queue);
  Py_XDECREF(self->origin);
  Py_XDECREF(self->close_info);
  core_thread_release(self->thread);
  Py_XDECREF(self->loop);
  core_free(op);
}

/* -- Attributes ------------------------------------------------------------ */

static PyObject *socket_ready_state(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  if (self->handle == NULL) return PyLong_FromLong(WS_STATE_CONNECTING);
  return PyLong_FromLong(core_socket_state_shown(self));
}

static PyObject *socket_buffered_amount(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  if (self->handle == NULL) return PyLong_FromLong(0);
  core_socket_hold(self);
  const uint64_t amount = ws_socket_buffered_amount(self->handle);
  core_socket_let_go(self);
  return PyLong_FromUnsignedLongLong(amount);
}

/* Host and target of the request, as the client's URL must have been. */
static PyObject *url_of_request(const core_socket *self) {
  const core_request *request = (core_request *)self->request;
  PyObject *host = core_request_header(request, "Host");
  if (host == NULL) return Py_NewRef(core_socket_state(self)->empty_text);
  const bool is_secure = ws_socket_tls_info(self->handle, NULL);
  return PyUnicode_FromFormat("%s://%U%U", is_secure ? "wss" : "ws", host,
                              request->target);
}

static PyObject *socket_url(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  if (self->handle == NULL) return PyUnicode_FromString("");
  if (self->request != NULL) return url_of_request(self);
  core_socket_hold(self);
  const char *url = ws_socket_url(self->handle); /* Lives as long as it. */
  core_socket_let_go(self);
  return PyUnicode_FromString(url);
}

static PyObject *negotiated(PyObject *op,
                            const char *(*get)(const ws_socket *socket)) {
  const core_socket *self = (core_socket *)op;
  if (self->handle == NULL) return core_latin1("");
  core_socket_hold(self);
  const char *text = get(self->handle);
  core_socket_let_go(self);
  return core_latin1(text);
}

static PyObject *socket_protocol(PyObject *op, void *closure) {
  (void)closure;
  return negotiated(op, ws_socket_protocol);
}

static PyObject *socket_extensions(PyObject *op, void *closure) {
  (void)closure;
  return negotiated(op, ws_socket_extensions);
}

static PyObject *socket_get_binary_type(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  const core_state *state = core_state_of(Py_TYPE(op));
  return Py_NewRef(self->as_bytearray ? state->arraybuffer_name
                                      : state->blob_name);
}

/* Web IDL: an enumeration attribute passes over values it does not know. */
static int socket_set_binary_type(PyObject *op, PyObject *value,
                                  void *closure) {
  (void)closure;
  core_socket *self = (core_socket *)op;
  const core_state *state = core_state_of(Py_TYPE(op));
  if (value == NULL || !PyUnicode_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "binaryType must be a str");
    return -1;
  }
  if (PyUnicode_Compare(value, state->arraybuffer_name) == 0) {
    self->as_bytearray = true;
  } else if (PyUnicode_Compare(value, state->blob_name) == 0) {
    self->as_bytearray = false;
  }
  return 0;
}

static PyObject *or_none(PyObject *object) {
  return Py_NewRef(object != NULL ? object : Py_None);
}

static PyObject *socket_response(PyObject *op, void *closure) {
  (void)closure;
  return or_none(((core_socket *)op)->response);
}

static PyObject *socket_request(PyObject *op, void *closure) {
  (void)closure;
  return or_none(((core_socket *)op)->request);
}

static PyObject *socket_server(PyObject *op, void *closure) {
  (void)closure;
  const core_request *request = (core_request *)((core_socket *)op)->request;
  return or_none(request != NULL ? request->server : NULL);
}

static PyObject *socket_remote_address(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  char address[WS_ADDRESS_SIZE] = "";
  if (self->handle != NULL) {
    core_socket_hold(self);
    (void)ws_socket_peer_address(self->handle, address);
    core_socket_let_go(self);
  }
  return PyUnicode_DecodeFSDefault(address);
}

static PyObject *socket_get_loop(PyObject *op, void *closure) {
  (void)closure;
  return or_none((PyObject *)((core_socket *)op)->loop);
}

static PyObject *socket_queued(PyObject *op, void *closure) {
  (void)closure;
  const core_queue *queue = ((core_socket *)op)->queue;
  return PyLong_FromSize_t(queue != NULL ? queue->count : 0);
}

bool core_socket_has_room(const core_socket *self, size_t len) {
  ws_conn_stats stats;
  core_socket_hold(self);
  ws_socket_get_stats(self->handle, &stats);
  core_socket_let_go(self);
  return stats.bytes_queued <= self->high_water &&
         len <= self->high_water - stats.bytes_queued;
}

static PyObject *socket_is_full(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  if (self->handle == NULL || self->has_ended) Py_RETURN_FALSE;
  return PyBool_FromLong(!core_socket_has_room(self, 0));
}

static PyObject *socket_failure(PyObject *op, void *closure) {
  (void)closure;
  return or_none(((core_socket *)op)->failure);
}

static PyObject *socket_close_info(PyObject *op, void *closure) {
  (void)closure;
  return or_none(((core_socket *)op)->close_info);
}

/* The two places where somebody waits. */
static PyObject **waiter_place(PyObject *op, void *closure) {
  return (PyObject **)((char *)op + (size_t)(uintptr_t)closure);
}

static PyObject *socket_get_waiter(PyObject *op, void *closure) {
  return or_none(*waiter_place(op, closure));
}

static int socket_set_waiter(PyObject *op, PyObject *value, void *closure) {
  if (value == Py_None) value = NULL;
  if (value != NULL && !PyCallable_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "a waiter must be callable or None");
    return -1;
  }
  Py_XSETREF(*waiter_place(op, closure), Py_XNewRef(value));
  core_socket_update_root((core_socket *)op);
  return 0;
}

static PyObject *socket_repr(PyObject *op) {
  static const char *const states[] = {"CONNECTING", "OPEN", "CLOSING",
                                       "CLOSED"};
  const core_socket *self = (core_socket *)op;
  PyObject *url = socket_url(op, NULL);
  if (url == NULL) return NULL;
  const ws_state state = self->handle != NULL ? core_socket_state_shown(self)
                                              : WS_STATE_CONNECTING;
  PyObject *repr = PyUnicode_FromFormat("<%s %U %s>", Py_TYPE(op)->tp_name, url,
                                        states[state]);
  Py_DECREF(url);
  return repr;
}

/* -- The type -------------------------------------------------------------- */

#define HANDLER(name, kind, doc)                                 \
  {                                                              \
    name, core_target_get_handler, core_target_set_handler, doc, \
        (void *)(uintptr_t)(kind)                                \
  }

#define WAITER(name, field, doc)                     \
  {                                                  \
    name, socket_get_waiter, socket_set_waiter, doc, \
        (void *)offsetof(core_socket, field)         \
  }

static PyGetSetDef socket_getset[] = {
    {"url", socket_url, NULL, "The URL, normalised.", NULL},
    {"readyState", socket_ready_state, NULL,
     "CONNECTING, OPEN, CLOSING or CLOSED.", NULL},
    {"bufferedAmount", socket_buffered_amount, NULL,
     "Payload bytes of send() that wait to be taken by the system.", NULL},
    {"extensions", socket_extensions, NULL, "The extensions in use.", NULL},
    {"protocol", socket_protocol, NULL, "The subprotocol in use.", NULL},
    {"binaryType", socket_get_binary_type, socket_set_binary_type,
     "Binary messages are bytes with \"blob\", bytearray with \"arraybuffer\".",
     NULL},
    HANDLER("onopen", CORE_OPEN, "Called when the connection is open."),
    HANDLER("onmessage", CORE_MESSAGE, "Called with each MessageEvent."),
    HANDLER("onerror", CORE_ERROR, "Called if the connection fails."),
    HANDLER("onclose", CORE_CLOSE, "Called with the CloseEvent, last."),
    HANDLER("onping", CORE_PING, "Called with the peer's pings."),
    HANDLER("onpong", CORE_PONG, "Called with the peer's pongs."),
    HANDLER("ondrain", CORE_DRAIN,
            "Called when the send queue has room again."),
    HANDLER("onreconnect", CORE_RECONNECT,
            "Called when a client that reconnects lost its connection."),
    {"response", socket_response, NULL,
     "What the server answered a client, from the open event on.", NULL},
    {"request", socket_request, NULL,
     "What the client asked a server; None for a client.", NULL},
    {"server", socket_server, NULL, "The WebSocketServer, or None.", NULL},
    {"remoteAddress", socket_remote_address, NULL,
     "The address of the peer, \"\" without connection.", NULL},
    {"_loop", socket_get_loop, NULL, "The Loop.", NULL},
    {"_queued", socket_queued, NULL, "Items that wait for _pop().", NULL},
    {"_is_full", socket_is_full, NULL, "Whether a drain is due.", NULL},
    {"_failure", socket_failure, NULL, "What the error event told.", NULL},
    {"_close_info", socket_close_info, NULL, "What the close event told.",
     NULL},
    WAITER("_waiter", waiter, "Called once, when there is an item or the end."),
    WAITER("_drain_waiter", drain_waiter,
           "Called once, when the send queue has room or at the end."),
    {0}};

static PyMemberDef socket_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(core_socket, dict), READONLY, NULL},
    {0}};

static PyType_Slot socket_slots[] = {
    {Py_tp_doc, "WebSocket(url, protocols=None, options=None, /, **kwargs)\n"
                "--\n\nA connection, as in a browser."},
    {Py_tp_new, socket_new},
    {Py_tp_init, core_socket_init},
    {Py_tp_dealloc, socket_dealloc},
    {Py_tp_finalize, socket_finalize},
    {Py_tp_traverse, socket_traverse},
    {Py_tp_clear, socket_clear},
    {Py_tp_repr, socket_repr},
    {Py_tp_getset, socket_getset},
    {Py_tp_methods, core_socket_methods},
    {Py_tp_members, socket_members},
    {0, NULL}};

static PyType_Spec socket_spec = {
    .name = "libws.WebSocket",
    .basicsize = sizeof(core_socket),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = socket_slots};

int core_add_sockets(PyObject *module) {
  core_state *state = core_state_of_module(module);
  static const char *const names[] = {"CONNECTING", "OPEN", "CLOSING",
                                      "CLOSED"};
  if (core_add_type(module, &socket_spec, (PyObject *)state->event_target_type,
                    &state->socket_type) < 0) {
    return -1;
  }
  return core_add_constants(state, state->socket_type, names, 4);
}
