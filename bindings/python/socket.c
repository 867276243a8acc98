#include "socket.h"
#include "convert.h"
#include "errors.h"
#include "host.h"
#include "options.h"
#include "receiver.h"
#include "request.h"
#include "server.h"
#include "tls.h"

#include <stddef.h>

/* The default of send_high_water in ws/conn.h. */
#define HIGH_WATER ((uint64_t)1024 * 1024)

/* Bounds of the queue when _start_queue() names none. */
#define QUEUE_MESSAGES 16
#define QUEUE_BYTES    ((size_t)1024 * 1024)

static core_state *state_of(const core_socket *self) {
  return self->loop->state;
}

/* -- Life (WHATWG WebSockets 7) -------------------------------------------- */

/* Which listeners keep a socket alive, by its state. */
static bool is_heard(const core_socket *self) {
  const unsigned heard = self->target.heard;
  switch (ws_socket_ready_state(self->handle)) {
  case WS_STATE_CONNECTING: return (heard & ~(unsigned)CORE_CUSTOM) != 0;
  case WS_STATE_OPEN:
    return (heard & ~(unsigned)(CORE_CUSTOM | CORE_OPEN)) != 0;
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

/* Joins the object and a socket of the library; takes over the reference to the
 * loop and the socket as it is. */
static void join(core_socket *self, core_loop *loop, ws_socket *handle) {
  self->loop = loop;
  self->handle = ws_socket_retain(handle);
  ws_socket_set_user_data(handle, self);
}

core_socket *core_socket_accept(core_loop *loop, PyTypeObject *type,
                                ws_socket *handle, PyObject *request,
                                bool is_tracked, uint64_t high_water) {
  core_socket *self = (core_socket *)socket_new(type, NULL, NULL);
  if (self == NULL) return NULL;
  join(self, (core_loop *)Py_NewRef((PyObject *)loop), handle);
  self->request = Py_NewRef(request);
  self->is_tracked = is_tracked;
  self->high_water = high_water != 0 ? high_water : HIGH_WATER;
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

static void leave_connection(core_socket *self) {
  ws_socket *handle = self->handle;
  if (handle == NULL) return;
  ws_socket_set_user_data(handle, NULL);
  ws_sender_free(self->sender);
  if (!self->has_ended && self->loop->forks == state_of(self)->forks &&
      core_loop_do(self->loop, abandon, handle) < 0) {
    PyErr_Clear();
  }
  self->handle = NULL;
  ws_socket_release(handle);
}

static void socket_dealloc(PyObject *op) {
  core_socket *self = (core_socket *)op;
  PyObject_GC_UnTrack(op);
  if (self->target.weakrefs != NULL) PyObject_ClearWeakRefs(op);
  (void)socket_clear(op);
  leave_connection(self);
  core_queue_free(self->queue);
  Py_XDECREF(self->origin);
  Py_XDECREF(self->close_info);
  Py_XDECREF(self->loop);
  core_free(op);
}

/* -- Constructor ----------------------------------------------------------- */

/* The options as they are read; objects are borrowed. */
typedef struct opening {
  ws_socket_options is;
  core_conn_options conn;
  core_strings protocols;
  core_header_list headers;
  core_header_list proxy_headers;
  PyObject *tls;
  PyObject *proxy_tls;
  PyObject *sock;
  PyObject *loop;
} opening;

static int set_headers(void *target, PyObject *value) {
  opening *o = target;
  core_header_list_release(&o->headers);
  return core_header_list_get(value, true, &o->headers);
}

static int set_proxy_headers(void *target, PyObject *value) {
  opening *o = target;
  core_header_list_release(&o->proxy_headers);
  return core_header_list_get(value, false, &o->proxy_headers);
}

static int set_origin(void *target, PyObject *value) {
  return core_option_text(value, "origin", &((opening *)target)->is.origin);
}

static int set_tls(void *target, PyObject *value) {
  ((opening *)target)->tls = value;
  return 0;
}

static int set_server_name(void *target, PyObject *value) {
  return core_option_text(value, "server_name",
                          &((opening *)target)->is.server_name);
}

/* The library: NULL for what the environment says, "" for none. */
static int set_proxy(void *target, PyObject *value) {
  opening *o = target;
  if (value == Py_True) return 0;
  if (value == Py_False) {
    o->is.proxy = "";
    return 0;
  }
  return core_option_text(value, "proxy", &o->is.proxy);
}

static int set_proxy_tls(void *target, PyObject *value) {
  ((opening *)target)->proxy_tls = value;
  return 0;
}

static int set_sock(void *target, PyObject *value) {
  ((opening *)target)->sock = value != Py_None ? value : NULL;
  return 0;
}

static int set_max_redirects(void *target, PyObject *value) {
  return core_option_u32(value, "max_redirects",
                         &((opening *)target)->is.max_redirects);
}

static int set_block_bad_ports(void *target, PyObject *value) {
  return core_option_bool(value, &((opening *)target)->is.block_bad_ports);
}

static int set_reconnect(void *target, PyObject *value) {
  return core_option_bool(value, &((opening *)target)->is.reconnect);
}

static int get_delay(PyObject *value, const char *name, uint32_t *out) {
  uint64_t milliseconds;
  if (value == Py_None) return 0;
  if (core_milliseconds(value, name, &milliseconds) < 0) return -1;
  *out = milliseconds < UINT32_MAX ? (uint32_t)milliseconds : UINT32_MAX;
  return 0;
}

static int set_reconnect_min(void *target, PyObject *value) {
  return get_delay(value, "reconnect_min",
                   &((opening *)target)->is.reconnect_min);
}

static int set_reconnect_max(void *target, PyObject *value) {
  return get_delay(value, "reconnect_max",
                   &((opening *)target)->is.reconnect_max);
}

static int set_reconnect_attempts(void *target, PyObject *value) {
  return core_option_u32(value, "reconnect_attempts",
                         &((opening *)target)->is.reconnect_attempts);
}

static int set_loop(void *target, PyObject *value) {
  ((opening *)target)->loop = value;
  return 0;
}

static const core_option client_options[] = {
    {"headers", set_headers},
    {"origin", set_origin},
    {"tls", set_tls},
    {"server_name", set_server_name},
    {"proxy", set_proxy},
    {"proxy_headers", set_proxy_headers},
    {"proxy_tls", set_proxy_tls},
    {"sock", set_sock},
    {"max_redirects", set_max_redirects},
    {"block_bad_ports", set_block_bad_ports},
    {"reconnect", set_reconnect},
    {"reconnect_min", set_reconnect_min},
    {"reconnect_max", set_reconnect_max},
    {"reconnect_attempts", set_reconnect_attempts},
    {"loop", set_loop},
    {0}};

static void release_opening(opening *o) {
  core_conn_options_release(&o->conn);
  core_strings_release(&o->protocols);
  core_header_list_release(&o->headers);
  core_header_list_release(&o->proxy_headers);
}

/* A str, or the string of an object that has one of its own. */
static PyObject *url_text(PyObject *url) {
  if (PyUnicode_Check(url)) return Py_NewRef(url);
  if (PyObject_HasAttrString(url, "geturl")) { /* urllib's results. */
    return PyObject_CallMethod(url, "geturl", NULL);
  }
  const bool has_text = Py_TYPE(url)->tp_str != PyBaseObject_Type.tp_str;
  if (has_text && !PyObject_CheckBuffer(url) && !PyNumber_Check(url)) {
    return PyObject_Str(url);
  }
  PyErr_Format(PyExc_TypeError, "url must be a str, not %.100s",
               Py_TYPE(url)->tp_name);
  return NULL;
}

/* What needs the state: contexts and the descriptor. */
static int complete_opening(core_state *state, opening *o, bool is_secure) {
  bool is_refused;
  if (core_tls_client_context(state, o->tls, &o->is.tls, &is_refused) < 0) {
    return -1;
  }
  if (is_refused && is_secure) {
    PyErr_SetString(PyExc_ValueError, "tls=False does not go with wss");
    return -1;
  }
  if (core_tls_client_context(state, o->proxy_tls, &o->is.proxy_tls,
                              &is_refused) < 0) {
    return -1;
  }
  o->is.conn = &o->conn.is;
  o->is.protocols = o->protocols.items;
  o->is.protocol_count = o->protocols.count;
  o->is.headers = o->headers.items;
  o->is.header_count = o->headers.count;
  o->is.proxy_headers = o->proxy_headers.items;
  o->is.proxy_header_count = o->proxy_headers.count;
  return o->sock != NULL ? core_take_fd(state, o->sock, &o->is.fd) : 0;
}

static bool is_secure_url(const core_text *url) {
  return (url->len > 4 && PyOS_strnicmp(url->data, "wss:", 4) == 0) ||
         (url->len > 6 && PyOS_strnicmp(url->data, "https:", 6) == 0);
}

/* Opens the socket of the library and joins it to the object. */
static int open_socket(core_state *state, core_socket *self, core_text *url,
                       opening *o) {
  core_loop *loop = core_loop_choose(state, o->loop);
  if (loop == NULL) return -1;
  if (complete_opening(state, o, is_secure_url(url)) < 0) {
    Py_DECREF(loop);
    return -1;
  }
  ws_socket *handle;
  ws_error error = {.message = ""};
  const int err = ws_socket_open(loop->handle, url->data, url->len, &o->is,
                                 &handle, &error);
  if (err != 0) {
    Py_DECREF(loop);
    return core_raise(state, err, error.message);
  }
  const uint64_t high_water = o->conn.is.send_high_water;
  self->high_water = high_water != 0 ? high_water : HIGH_WATER;
  join(self, loop, handle);
  core_socket_update_root(self);
  return 0;
}

static int init_with(core_state *state, core_socket *self, PyObject *url,
                     opening *o) {
  PyObject *string = url_text(url);
  if (string == NULL) return -1;
  core_text text;
  int result = core_text_get(string, &text);
  Py_DECREF(string);
  if (result < 0) return -1;
  result = open_socket(state, self, &text, o);
  core_text_release(&text);
  return result;
}

/* What cannot be a C string is no token either. */
static int get_protocols(core_state *state, PyObject *protocols,
                         core_strings *out) {
  if (core_strings_get(protocols, "protocols", out) == 0) return 0;
  if (PyErr_ExceptionMatches(PyExc_ValueError)) {
    PyErr_SetString(state->syntax_error, "a subprotocol is not a token");
  }
  return -1;
}

static int socket_init(PyObject *op, PyObject *args, PyObject *kwargs) {
  core_socket *self = (core_socket *)op;
  PyObject *url;
  PyObject *protocols = NULL;
  PyObject *options = NULL;
  if (!PyArg_ParseTuple(args, "O|OO:WebSocket", &url, &protocols, &options)) {
    return -1;
  }
  if (self->handle != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the socket has been opened already");
    return -1;
  }
  opening o = {.tls = NULL};
  ws_socket_options_init(&o.is);
  core_conn_options_init(&o.conn);
  core_state *state = core_state_of(Py_TYPE(op));
  int result = get_protocols(state, protocols, &o.protocols);
  if (result == 0) {
    result = core_options_set(options, client_options, &o, &o.conn);
  }
  if (result == 0) {
    result = core_options_set(kwargs, client_options, &o, &o.conn);
  }
  if (result == 0) result = init_with(state, self, url, &o);
  release_opening(&o);
  return result;
}

/* -- Events ---------------------------------------------------------------- */

static PyObject *host_of(const core_socket *self) {
  return self->loop->host;
}

/* Dispatches an event, whose reference it takes. NULL stands for an exception
 * that is set. Returns as core_socket_deliver(). */
static int dispatch(core_socket *self, core_kind kind, PyObject *event) {
  core_state *state = state_of(self);
  if (event == NULL) {
    return core_host_report(state, host_of(self), (PyObject *)self);
  }
  const int result =
      core_target_dispatch(state, &self->target, kind, event, host_of(self));
  Py_DECREF(event);
  return result < 0 ? -1 : 1;
}

static bool has_listener(const core_socket *self, core_kind kind) {
  return (self->target.heard & (unsigned)kind) != 0;
}

static PyObject *parse_origin(ws_socket *handle) {
  const char *href = ws_socket_url(handle);
  ws_url *url;
  const int err = ws_url_parse(href, strlen(href), NULL, &url, NULL);
  if (err == WS_ERR_NO_MEMORY) return PyErr_NoMemory();
  if (err != 0) return PyUnicode_FromString("");
  PyObject *origin = PyUnicode_FromString(url->origin);
  ws_url_free(url);
  return origin;
}

/* The origin of messages: the server's, or what the client said. Borrowed. */
static PyObject *origin_of(core_socket *self) {
  if (self->origin != NULL) return self->origin;
  if (self->request == NULL) {
    self->origin = parse_origin(self->handle);
  } else {
    PyObject *header =
        core_request_header((core_request *)self->request, "Origin");
    self->origin =
        Py_NewRef(header != NULL ? header : state_of(self)->empty_text);
  }
  return self->origin;
}

/* An event around `data`: one that nobody has kept, if there is one. */
static PyObject *message_event(core_socket *self, PyObject *data) {
  core_loop *loop = self->loop;
  PyObject *origin = origin_of(self);
  if (origin == NULL) return NULL;
  core_message_event *event = loop->spare;
  if (event == NULL) {
    return core_message_event_new(loop->state, data, origin,
                                  core_loop_now(loop));
  }
  loop->spare = NULL;
  event->base.time_stamp = (double)core_loop_now(loop);
  event->base.is_trusted = 1;
  event->data = Py_NewRef(data);
  event->origin = Py_NewRef(origin);
  return (PyObject *)event;
}

/* Keeps an event for the next message if no handler has kept it. Takes the
 * reference. */
static void recycle(core_loop *loop, PyObject *op) {
  core_message_event *event = (core_message_event *)op;
  if (Py_REFCNT(op) != 1 || loop->spare != NULL || loop->handle == NULL) {
    Py_DECREF(op);
    return;
  }
  Py_CLEAR(event->data);
  Py_CLEAR(event->origin);
  Py_CLEAR(event->base.target);
  loop->spare = event;
}

/* A message that cannot be handed over is lost, and so the connection is. */
static int lose_message(core_socket *self) {
  (void)ws_socket_close_with(self->handle, WS_CLOSE_INTERNAL_ERROR, "", 0);
  return core_host_report(state_of(self), host_of(self), (PyObject *)self);
}

static int dispatch_message(core_socket *self, PyObject *data) {
  PyObject *event = message_event(self, data);
  if (event == NULL) return lose_message(self);
  const int result = core_target_dispatch(state_of(self), &self->target,
                                          CORE_MESSAGE, event, host_of(self));
  recycle(self->loop, event);
  return result < 0 ? -1 : 1;
}

/* Wakes who waits in one of the two places. */
static int wake(core_socket *self, PyObject **place) {
  PyObject *waiter = *place;
  if (waiter == NULL) return 0;
  *place = NULL;
  core_socket_update_root(self);
  const int result = core_receiver_wake(state_of(self), waiter);
  Py_DECREF(waiter);
  if (result == 0) return 0;
  return core_host_report(state_of(self), host_of(self), (PyObject *)self);
}

/* What the queue holds for a message or a piece of one. */
static PyObject *queue_item(const core_socket *self, const ws_event *event) {
  if (self->is_streaming) return core_piece_of_message(&event->u);
  return core_data_of_message(event->u.message.type, event->u.message.data,
                              event->u.message.len, self->as_bytearray);
}

static int enqueue(core_socket *self, const ws_event *event) {
  PyObject *item = queue_item(self, event);
  if (item == NULL ||
      core_queue_push(self->queue, item, event->u.message.len) < 0) {
    return lose_message(self);
  }
  if (core_queue_is_full(self->queue) && !self->has_paused) {
    self->has_paused = true;
    ws_socket_pause(self->handle);
  }
  return wake(self, &self->waiter);
}

static int deliver_message(core_socket *self, const ws_event *event) {
  if (self->queue != NULL) return enqueue(self, event);
  if (!has_listener(self, CORE_MESSAGE)) return 0;
  PyObject *data =
      core_data_of_message(event->u.message.type, event->u.message.data,
                           event->u.message.len, self->as_bytearray);
  if (data == NULL) return lose_message(self);
  const int result = dispatch_message(self, data);
  Py_DECREF(data);
  return result;
}

static int deliver_open(core_socket *self, const ws_event *event) {
  core_state *state = state_of(self);
  const ws_response *response = event->u.open.response;
  if (response != NULL) {
    Py_XSETREF(self->response, core_response_of(state, response));
    if (self->response == NULL) return lose_message(self);
  }
  core_socket_update_root(self);
  if (!has_listener(self, CORE_OPEN)) return 0;
  return dispatch(
      self, CORE_OPEN,
      core_event_new(state, state->open_name, core_loop_now(self->loop)));
}

static int deliver_control(core_socket *self, const ws_event *event,
                           core_kind kind, PyObject *name) {
  if (!has_listener(self, kind)) return 0;
  return dispatch(
      self, kind,
      core_control_event_new(state_of(self), name, event->u.control.data,
                             event->u.control.len, event->u.control.rtt,
                             core_loop_now(self->loop)));
}

static int deliver_drain(core_socket *self) {
  core_state *state = state_of(self);
  if (wake(self, &self->drain_waiter) < 0) return -1;
  if (!has_listener(self, CORE_DRAIN)) return 0;
  return dispatch(
      self, CORE_DRAIN,
      core_event_new(state, state->drain_name, core_loop_now(self->loop)));
}

/* The exception that tells of a failure. */
static PyObject *failure_of(core_socket *self, const ws_cause *cause) {
  core_state *state = state_of(self);
  if (cause->response == NULL) return core_error_of_cause(state, cause, NULL);
  PyObject *response = core_response_of(state, cause->response);
  if (response == NULL) return NULL;
  PyObject *error = core_error_of_cause(state, cause, response);
  Py_DECREF(response);
  return error;
}

static int deliver_error(core_socket *self, const ws_event *event) {
  Py_XSETREF(self->failure, failure_of(self, &event->u.error));
  if (self->failure == NULL) {
    return core_host_report(state_of(self), host_of(self), (PyObject *)self);
  }
  if (!has_listener(self, CORE_ERROR)) return 0;
  return dispatch(self, CORE_ERROR,
                  core_error_event_new(state_of(self), self->failure,
                                       core_loop_now(self->loop)));
}

static int dispatch_close(core_socket *self, const ws_event *event) {
  if (!has_listener(self, CORE_CLOSE)) return 0;
  PyObject *reason = PyTuple_GET_ITEM(self->close_info, 1);
  return dispatch(self, CORE_CLOSE,
                  core_close_event_new(state_of(self), event->u.close.code,
                                       reason, event->u.close.was_clean,
                                       core_loop_now(self->loop)));
}

static int deliver_close(core_socket *self, const ws_event *event) {
  PyObject *reason = PyUnicode_DecodeUTF8(
      event->u.close.reason, (Py_ssize_t)event->u.close.reason_len, "replace");
  Py_XSETREF(self->close_info,
             Py_BuildValue("(HNO)", event->u.close.code, reason,
                           event->u.close.was_clean ? Py_True : Py_False));
  self->has_ended = true;
  ws_sender_free(self->sender);
  self->sender = NULL;
  int result = -1;
  if (self->close_info != NULL) {
    result = wake(self, &self->waiter);
    if (result == 0) result = wake(self, &self->drain_waiter);
    if (result == 0) result = dispatch_close(self, event);
  } else {
    result = core_host_report(state_of(self), host_of(self), (PyObject *)self);
  }
  core_socket_update_root(self);
  return result;
}

static int deliver_reconnect(core_socket *self, const ws_event *event) {
  PyObject *error = failure_of(self, &event->u.error);
  if (error == NULL) {
    return core_host_report(state_of(self), host_of(self), (PyObject *)self);
  }
  Py_XSETREF(self->failure, error);
  core_socket_update_root(self);
  if (!has_listener(self, CORE_RECONNECT)) return 0;
  return dispatch(self, CORE_RECONNECT,
                  core_reconnect_event_new(state_of(self), event, error,
                                           core_loop_now(self->loop)));
}

static int deliver(core_socket *self, const ws_event *event) {
  const core_state *state = state_of(self);
  switch (event->type) {
  case WS_EVENT_MESSAGE: return deliver_message(self, event);
  case WS_EVENT_OPEN: return deliver_open(self, event);
  case WS_EVENT_PING:
    return deliver_control(self, event, CORE_PING, state->ping_name);
  case WS_EVENT_PONG:
    return deliver_control(self, event, CORE_PONG, state->pong_name);
  case WS_EVENT_DRAIN: return deliver_drain(self);
  case WS_EVENT_ERROR: return deliver_error(self, event);
  case WS_EVENT_CLOSE: return deliver_close(self, event);
  case WS_EVENT_RECONNECT: return deliver_reconnect(self, event);
  case WS_EVENT_REQUEST:
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: break;
  }
  return 0;
}

int core_socket_deliver(core_loop *loop, const ws_event *event) {
  PyObject *object = ws_socket_user_data(event->socket);
  if (object == NULL) return 0; /* It has been collected. */
  if (Py_IS_TYPE(object, loop->state->request_type)) {
    /* A server's, whose handshake has come to nothing. */
    if (event->type == WS_EVENT_CLOSE) {
      core_request_drop((core_request *)object);
    }
    return 0;
  }
  core_socket *self = (core_socket *)object;
  Py_INCREF(self);
  const int result = deliver(self, event);
  Py_DECREF(self);
  return result;
}

/* -- Calls ----------------------------------------------------------------- */

/* RuntimeError before __init__ and in a forked child. */
static int check(const core_socket *self) {
  if (self->handle == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "WebSocket.__init__() was not called");
    return -1;
  }
  if (self->loop->forks != state_of(self)->forks) {
    PyErr_SetString(PyExc_RuntimeError,
                    "the socket belongs to the parent process");
    return -1;
  }
  return 0;
}

/* As check(), for what needs the loop itself. */
static int check_here(const core_socket *self) {
  if (check(self) < 0) return -1;
  return self->loop->handle != NULL ? core_loop_check(self->loop) : 0;
}

/* While another thread waits in the loop it touches no socket, so the way past
 * it can be made then. */
static ws_sender *sender_of(core_socket *self) {
  if (self->sender == NULL && ws_sender_new(self->handle, &self->sender) != 0) {
    self->sender = NULL;
  }
  return self->sender;
}

static int send_from_elsewhere(core_socket *self, const core_payload *payload) {
  if (ws_socket_ready_state(self->handle) == WS_STATE_CONNECTING) {
    return WS_ERR_INVALID_STATE;
  }
  if ((payload->flags & WS_SEND_FRAGMENT) != 0) {
    return WS_ERR_INVALID_ARGUMENT; /* Threads would mix their fragments. */
  }
  ws_sender *sender = sender_of(self);
  if (sender == NULL) return 0; /* It has ended. */
  const int err = ws_sender_send(sender, payload->type, payload->data,
                                 payload->len, payload->flags);
  return err == WS_ERR_INVALID_STATE ? 0 : err;
}

/* Errors that fail the connection come as events, as in a browser. */
static int raise_of_send(core_state *state, int err) {
  switch (err) {
  case 0:
  case WS_ERR_RANDOM: return 0;
  case WS_ERR_SEND_QUEUE_FULL: return 0;
  case WS_ERR_INVALID_ARGUMENT:
    return core_raise(state, err, "a message of the other type is unfinished");
  case WS_ERR_INVALID_STATE:
    return core_raise(state, err, "the socket is not open yet");
  default: return core_raise(state, err, NULL);
  }
}

static int transmit(core_socket *self, const core_payload *payload) {
  const int err =
      core_loop_is_away(self->loop)
          ? send_from_elsewhere(self, payload)
          : ws_socket_send(self->handle, payload->type, payload->data,
                           payload->len, payload->flags);
  return err != 0 ? raise_of_send(state_of(self), err) : 0;
}

/* Applies one keyword of send(). */
static int set_send_option(const core_state *state, core_payload *payload,
                           PyObject *name, PyObject *value) {
  const int truth = PyObject_IsTrue(value);
  if (truth < 0) return -1;
  if (PyUnicode_Compare(name, state->compress_name) == 0) {
    if (!truth) payload->flags |= WS_SEND_UNCOMPRESSED;
  } else if (PyUnicode_Compare(name, state->fin_name) == 0) {
    if (!truth) payload->flags |= WS_SEND_FRAGMENT;
  } else if (PyUnicode_Compare(name, state->binary_name) == 0) {
    if (value != Py_None) payload->type = truth ? WS_BINARY : WS_TEXT;
  } else {
    PyErr_Format(PyExc_TypeError, "send() has no argument %R", name);
    return -1;
  }
  return 0;
}

int core_send_options(const core_state *state, core_payload *payload,
                      PyObject *const *values, PyObject *names) {
  const Py_ssize_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t i = 0; i < count; i++) {
    if (set_send_option(state, payload, PyTuple_GET_ITEM(names, i), values[i]) <
        0) {
      return -1;
    }
  }
  return 0;
}

static PyObject *socket_send(PyObject *op, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *names) {
  core_socket *self = (core_socket *)op;
  if (nargs != 1) {
    PyErr_SetString(PyExc_TypeError, "send() takes one positional argument");
    return NULL;
  }
  if (check(self) < 0) return NULL;
  core_payload payload;
  if (core_payload_get(args[0], &payload) < 0) return NULL;
  int result = core_send_options(state_of(self), &payload, args + nargs, names);
  if (result == 0) result = transmit(self, &payload);
  core_payload_release(&payload);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

static int close_with(core_socket *self, const core_close *how) {
  const char *reason = how->reason.data;
  const size_t len = how->reason.len;
  int err = 0;
  if (core_loop_is_away(self->loop)) {
    ws_sender *sender = sender_of(self);
    if (sender != NULL) {
      err = ws_sender_close(sender, how->code, reason, len);
    }
    if (err == WS_ERR_INVALID_STATE) err = 0; /* It has ended. */
  } else {
    err = ws_socket_close_with(self->handle, how->code, reason, len);
  }
  if (err != 0) return core_raise(state_of(self), err, NULL);
  core_socket_update_root(self);
  return 0;
}

static PyObject *close_method(core_socket *self, PyObject *args,
                              PyObject *kwargs, bool any_code) {
  static char *keywords[] = {"code", "reason", NULL};
  PyObject *code = NULL;
  PyObject *reason = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:close", keywords, &code,
                                   &reason) ||
      check(self) < 0) {
    return NULL;
  }
  core_close how;
  if (core_close_get(state_of(self), code, reason, any_code, &how) < 0) {
    return NULL;
  }
  const int result = close_with(self, &how);
  core_text_release(&how.reason);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *socket_close(PyObject *op, PyObject *args, PyObject *kwargs) {
  return close_method((core_socket *)op, args, kwargs, false);
}

static PyObject *socket_close_with(PyObject *op, PyObject *args,
                                   PyObject *kwargs) {
  return close_method((core_socket *)op, args, kwargs, true);
}

/* Does what needs no answer, now or by the loop's thread. */
static PyObject *order(core_socket *self, core_errand_fn fn) {
  if (check(self) < 0 || core_loop_do(self->loop, fn, self->handle) < 0) {
    return NULL;
  }
  core_socket_update_root(self);
  Py_RETURN_NONE;
}

static PyObject *socket_terminate(PyObject *op, PyObject *unused) {
  (void)unused;
  return order((core_socket *)op, ws_socket_terminate);
}

static PyObject *socket_pause(PyObject *op, PyObject *unused) {
  (void)unused;
  return order((core_socket *)op, ws_socket_pause);
}

static PyObject *socket_resume(PyObject *op, PyObject *unused) {
  (void)unused;
  return order((core_socket *)op, ws_socket_resume);
}

typedef int (*control_fn)(ws_socket *socket, const void *data, size_t len);

static PyObject *send_control(core_socket *self, PyObject *args,
                              control_fn send) {
  PyObject *data = NULL;
  if (!PyArg_ParseTuple(args, "|O", &data) || check_here(self) < 0) return NULL;
  core_payload payload = {.data = ""};
  if (data != NULL && core_payload_get(data, &payload) < 0) return NULL;
  const int err = send(self->handle, payload.data, payload.len);
  core_payload_release(&payload);
  if (err == WS_ERR_INVALID_ARGUMENT) {
    PyErr_Format(PyExc_ValueError, "data is longer than %d bytes",
                 WS_MAX_CONTROL_PAYLOAD);
    return NULL;
  }
  if (raise_of_send(state_of(self), err) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *socket_ping(PyObject *op, PyObject *args) {
  return send_control((core_socket *)op, args, ws_socket_ping);
}

static PyObject *socket_pong(PyObject *op, PyObject *args) {
  return send_control((core_socket *)op, args, ws_socket_pong);
}

static PyObject *socket_set_request_headers(PyObject *op, PyObject *headers) {
  core_socket *self = (core_socket *)op;
  core_header_list list;
  if (check_here(self) < 0 || core_header_list_get(headers, true, &list) < 0) {
    return NULL;
  }
  ws_error error = {.message = ""};
  const int err = ws_socket_set_request_headers(self->handle, list.items,
                                                list.count, &error);
  core_header_list_release(&list);
  if (err != 0) {
    core_raise(state_of(self), err, error.message);
    return NULL;
  }
  Py_RETURN_NONE;
}

/* -- Topics ---------------------------------------------------------------- */

typedef int (*topic_fn)(ws_socket *socket, const char *topic);

static PyObject *with_topic(core_socket *self, PyObject *topic, topic_fn fn) {
  const char *name = core_c_string(topic, "topic");
  if (name == NULL || check_here(self) < 0) return NULL;
  const int err = fn(self->handle, name);
  if (err != 0) {
    core_raise(state_of(self), err, NULL);
    return NULL;
  }
  Py_RETURN_NONE;
}

static PyObject *socket_subscribe(PyObject *op, PyObject *topic) {
  return with_topic((core_socket *)op, topic, ws_socket_subscribe);
}

static PyObject *socket_unsubscribe(PyObject *op, PyObject *topic) {
  return with_topic((core_socket *)op, topic, ws_socket_unsubscribe);
}

static PyObject *socket_publish(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *names) {
  core_socket *self = (core_socket *)op;
  if (nargs != 2) {
    PyErr_SetString(PyExc_TypeError, "publish() takes a topic and data");
    return NULL;
  }
  if (check_here(self) < 0) return NULL;
  ws_server *server = ws_socket_server(self->handle);
  if (server == NULL) {
    core_raise(state_of(self), WS_ERR_INVALID_STATE,
               "the socket has no server");
    return NULL;
  }
  if (core_server_publish(state_of(self), server, args, nargs, names,
                          self->handle) < 0) {
    return NULL;
  }
  Py_RETURN_NONE;
}

/* -- Receiving by pulling -------------------------------------------------- */

/* The queue, or NULL with an exception. */
static core_queue *queue_of(const core_socket *self) {
  if (self->queue == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "_start_queue() was not called");
  }
  return self->queue;
}

/* Goes on reading when enough has been taken out of the queue. */
static int resume_if_room(core_socket *self) {
  if (!self->has_paused || !core_queue_has_room(self->queue)) return 0;
  self->has_paused = false;
  return core_loop_do(self->loop, ws_socket_resume, self->handle);
}

PyObject *core_socket_pop(core_socket *self) {
  core_queue *queue = queue_of(self);
  PyObject *item = queue != NULL ? core_queue_pop(queue) : NULL;
  if (item != NULL && resume_if_room(self) < 0) Py_CLEAR(item);
  return item;
}

/* A bound of the queue: None for none. */
static int get_bound(PyObject *value, size_t *out) {
  if (value == NULL) return 0;
  if (value == Py_None) {
    *out = SIZE_MAX;
    return 0;
  }
  *out = PyLong_AsSize_t(value);
  if (*out == (size_t)-1 && PyErr_Occurred()) return -1;
  return 0;
}

static PyObject *socket_start_queue(PyObject *op, PyObject *args) {
  core_socket *self = (core_socket *)op;
  PyObject *max_count = NULL;
  PyObject *max_bytes = NULL;
  int is_streaming = 0;
  if (!PyArg_ParseTuple(args, "|OOp:_start_queue", &max_count, &max_bytes,
                        &is_streaming) ||
      check_here(self) < 0) {
    return NULL;
  }
  size_t count = QUEUE_MESSAGES;
  size_t bytes = QUEUE_BYTES;
  if (get_bound(max_count, &count) < 0 || get_bound(max_bytes, &bytes) < 0) {
    return NULL;
  }
  if (self->queue == NULL) {
    self->queue = PyMem_Calloc(1, sizeof(*self->queue));
    if (self->queue == NULL) return PyErr_NoMemory();
  }
  self->queue->max_count = count;
  self->queue->max_bytes = bytes;
  self->is_streaming = is_streaming != 0;
  ws_socket_set_streaming(self->handle, self->is_streaming);
  Py_RETURN_NONE;
}

static PyObject *socket_pop(PyObject *op, PyObject *unused) {
  (void)unused;
  PyObject *item = core_socket_pop((core_socket *)op);
  if (item != NULL || PyErr_Occurred()) return item;
  Py_RETURN_NONE;
}

static PyObject *socket_pop_all(PyObject *op, PyObject *unused) {
  (void)unused;
  core_socket *self = (core_socket *)op;
  core_queue *queue = queue_of(self);
  PyObject *list = queue != NULL ? core_queue_pop_all(queue) : NULL;
  if (list != NULL && resume_if_room(self) < 0) Py_CLEAR(list);
  return list;
}

static PyObject *receive(core_socket *self, bool is_iteration) {
  if (check(self) < 0) return NULL;
  return core_receiver_new(self, is_iteration);
}

static PyObject *socket_recv(PyObject *op, PyObject *unused) {
  (void)unused;
  return receive((core_socket *)op, false);
}

static PyObject *socket_anext(PyObject *op, PyObject *unused) {
  (void)unused;
  return receive((core_socket *)op, true);
}

PyObject *core_socket_closed_error(core_socket *self) {
  core_state *state = state_of(self);
  if (self->close_info != NULL) {
    return core_error_of_close(state, PyTuple_GET_ITEM(self->close_info, 0),
                               PyTuple_GET_ITEM(self->close_info, 1),
                               PyTuple_GET_ITEM(self->close_info, 2) == Py_True,
                               self->failure);
  }
  /* The loop ended before the connection did. */
  PyObject *code = PyLong_FromLong(WS_CLOSE_ABNORMAL);
  if (code == NULL) return NULL;
  PyObject *error =
      core_error_of_close(state, code, state->empty_text, false, self->failure);
  Py_DECREF(code);
  return error;
}

static PyObject *socket_closed_error(PyObject *op, PyObject *unused) {
  (void)unused;
  if (check((core_socket *)op) < 0) return NULL;
  return core_socket_closed_error((core_socket *)op);
}

/* -- Attributes ------------------------------------------------------------ */

static PyObject *socket_ready_state(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  if (self->handle == NULL) return PyLong_FromLong(WS_STATE_CONNECTING);
  return PyLong_FromLong(ws_socket_ready_state(self->handle));
}

static PyObject *socket_buffered_amount(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  if (self->handle == NULL) return PyLong_FromLong(0);
  return PyLong_FromUnsignedLongLong(ws_socket_buffered_amount(self->handle));
}

/* Host and target of the request, as the client's URL must have been. */
static PyObject *url_of_request(const core_socket *self) {
  const core_request *request = (core_request *)self->request;
  PyObject *host = core_request_header(request, "Host");
  if (host == NULL) return Py_NewRef(state_of(self)->empty_text);
  const bool is_secure = ws_socket_tls_info(self->handle, NULL);
  return PyUnicode_FromFormat("%s://%U%U", is_secure ? "wss" : "ws", host,
                              request->target);
}

static PyObject *socket_url(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  if (self->handle == NULL) return PyUnicode_FromString("");
  if (self->request != NULL) return url_of_request(self);
  return PyUnicode_FromString(ws_socket_url(self->handle));
}

static PyObject *socket_protocol(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  return core_latin1(self->handle != NULL ? ws_socket_protocol(self->handle)
                                          : "");
}

static PyObject *socket_extensions(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  return core_latin1(self->handle != NULL ? ws_socket_extensions(self->handle)
                                          : "");
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
    (void)ws_socket_peer_address(self->handle, address);
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

static PyObject *socket_is_full(PyObject *op, void *closure) {
  (void)closure;
  const core_socket *self = (core_socket *)op;
  if (self->handle == NULL || self->has_ended) Py_RETURN_FALSE;
  ws_conn_stats stats;
  ws_socket_get_stats(self->handle, &stats);
  return PyBool_FromLong(stats.bytes_queued > self->high_water);
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

PyObject *core_stats_dict(const ws_conn_stats *s) {
  PyObject *rtt = s->rtt == WS_NEVER ? Py_NewRef(Py_None)
                                     : PyFloat_FromDouble(s->rtt / 1000.0);
  return Py_BuildValue(
      "{sK sK sK sK sK sK sN}", "bytes_received", s->bytes_received,
      "bytes_sent", s->bytes_sent, "messages_received", s->messages_received,
      "messages_sent", s->messages_sent, "bytes_queued", s->bytes_queued,
      "bytes_held", s->bytes_held, "rtt", rtt);
}

static PyObject *socket_stats(PyObject *op, PyObject *unused) {
  (void)unused;
  const core_socket *self = (core_socket *)op;
  if (check(self) < 0) return NULL;
  ws_conn_stats stats;
  ws_socket_get_stats(self->handle, &stats);
  return core_stats_dict(&stats);
}

static PyObject *socket_tls_info(PyObject *op, PyObject *unused) {
  (void)unused;
  const core_socket *self = (core_socket *)op;
  ws_tls_info info;
  if (check(self) < 0) return NULL;
  if (!ws_socket_tls_info(self->handle, &info)) Py_RETURN_NONE;
  return Py_BuildValue("{ss ss ss ss ss sN}", "version", info.version, "cipher",
                       info.cipher, "protocol", info.protocol, "server_name",
                       info.server_name, "peer_subject", info.peer_subject,
                       "is_resumed", PyBool_FromLong(info.is_resumed));
}

static PyObject *socket_repr(PyObject *op) {
  static const char *const states[] = {"CONNECTING", "OPEN", "CLOSING",
                                       "CLOSED"};
  const core_socket *self = (core_socket *)op;
  PyObject *url = socket_url(op, NULL);
  if (url == NULL) return NULL;
  const ws_state state = self->handle != NULL
                             ? ws_socket_ready_state(self->handle)
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

static PyMethodDef socket_methods[] = {
    {"send", CORE_METHOD(socket_send), METH_FASTCALL | METH_KEYWORDS,
     "send(data, /, *, compress=True, fin=True, binary=None)\n--\n\n"
     "Send a message: str as text, bytes-like as binary."},
    {"close", CORE_METHOD(socket_close), METH_VARARGS | METH_KEYWORDS,
     "close(code=None, reason=None)\n--\n\n"
     "Close the connection; `code` is 1000 or 3000 to 4999."},
    {"closeWith", CORE_METHOD(socket_close_with), METH_VARARGS | METH_KEYWORDS,
     "closeWith(code=None, reason=None)\n--\n\n"
     "Close with any code that may be on the wire, such as 1001 or 1011."},
    {"terminate", socket_terminate, METH_NOARGS,
     "terminate()\n--\n\nEnd the connection at once."},
    {"ping", socket_ping, METH_VARARGS,
     "ping(data=b\"\", /)\n--\n\nSend a ping of at most 125 bytes."},
    {"pong", socket_pong, METH_VARARGS,
     "pong(data=b\"\", /)\n--\n\nSend a pong that nobody asked for."},
    {"pause", socket_pause, METH_NOARGS,
     "pause()\n--\n\nStop reading, so that the peer has to wait."},
    {"resume", socket_resume, METH_NOARGS, "resume()\n--\n\nGo on reading."},
    {"stats", socket_stats, METH_NOARGS,
     "stats()\n--\n\nReturn a dict with the account of the connection."},
    {"tlsInfo", socket_tls_info, METH_NOARGS,
     "tlsInfo()\n--\n\nReturn a dict about TLS, or None."},
    {"setRequestHeaders", socket_set_request_headers, METH_O,
     "setRequestHeaders(headers, /)\n--\n\n"
     "Replace the headers for the attempts to come of a client that "
     "reconnects."},
    {"subscribe", socket_subscribe, METH_O,
     "subscribe(topic, /)\n--\n\nGet what is published to a topic."},
    {"unsubscribe", socket_unsubscribe, METH_O,
     "unsubscribe(topic, /)\n--\n\nTake back subscribe()."},
    {"publish", CORE_METHOD(socket_publish), METH_FASTCALL | METH_KEYWORDS,
     "publish(topic, data, /, *, compress=True)\n--\n\n"
     "Send to all other sockets that subscribe to a topic."},
    {"_start_queue", socket_start_queue, METH_VARARGS,
     "_start_queue(max_messages=16, max_bytes=1048576, streaming=False, /)\n"
     "--\n\nQueue messages instead of dispatching them."},
    {"_pop", socket_pop, METH_NOARGS,
     "_pop()\n--\n\nReturn the oldest item, or None."},
    {"_pop_all", socket_pop_all, METH_NOARGS,
     "_pop_all()\n--\n\nReturn all items."},
    {"_recv", socket_recv, METH_NOARGS,
     "_recv()\n--\n\nReturn an awaitable for the next item."},
    {"_anext", socket_anext, METH_NOARGS,
     "_anext()\n--\n\nThe same, for asynchronous iteration."},
    {"_closed_error", socket_closed_error, METH_NOARGS,
     "_closed_error()\n--\n\nReturn the ConnectionClosed for what has ended."},
    {0}};

static PyMemberDef socket_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(core_socket, dict), READONLY, NULL},
    {0}};

static PyType_Slot socket_slots[] = {
    {Py_tp_doc, "WebSocket(url, protocols=None, options=None, /, **options)\n"
                "--\n\nA connection, as in a browser."},
    {Py_tp_new, socket_new},
    {Py_tp_init, socket_init},
    {Py_tp_dealloc, socket_dealloc},
    {Py_tp_traverse, socket_traverse},
    {Py_tp_clear, socket_clear},
    {Py_tp_repr, socket_repr},
    {Py_tp_getset, socket_getset},
    {Py_tp_methods, socket_methods},
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
