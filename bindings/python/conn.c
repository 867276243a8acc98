/* conn.c - Connection: the protocol without I/O, for those who bring their own
 * transport.
 *
 * Input is copied, since it is unmasked in place: to where an unfinished
 * message wants it, otherwise to a buffer that stays borrowed until all events
 * of it have been taken. Every call tells the connection the time. */
#include "convert.h"
#include "errors.h"
#include "event.h"
#include "options.h"
#include "request.h"
#include "socket.h"

#include <stddef.h>

/* What is kept of the input buffer between calls. */
#define KEEP_INPUT ((size_t)64 * 1024)

/* Slices of output that are copied at a time. */
#define SLICES 16

typedef struct connection {
  PyObject_HEAD
  PyObject *weakrefs;
  core_state *state;
  ws_conn *conn; /* NULL before __init__. */
  uint8_t *input;
  size_t input_size;
  PyObject *url;      /* Of a client, after connect(); or NULL. */
  PyObject *origin;   /* Of messages; NULL until connect() or the request. */
  PyObject *request;  /* Of a server, from its event on; or NULL. */
  PyObject *response; /* Of a client, from the open event on; or NULL. */
  bool is_streaming;
} connection;

/* -- Life ------------------------------------------------------------------ */

static int get_role(PyObject *text, ws_role *out) {
  if (PyUnicode_CompareWithASCIIString(text, "client") == 0) {
    *out = WS_ROLE_CLIENT;
  } else if (PyUnicode_CompareWithASCIIString(text, "server") == 0) {
    *out = WS_ROLE_SERVER;
  } else {
    PyErr_SetString(PyExc_ValueError, "role must be \"client\" or \"server\"");
    return -1;
  }
  return 0;
}

static int make_conn(connection *self, ws_role role, core_conn_options *o) {
  o->is.random = ws_random;
  ws_conn_config *config;
  const char *reason = NULL;
  int err = ws_conn_config_new(role, &o->is, &config, &reason);
  if (err != 0) return core_raise(self->state, err, reason);
  err = ws_conn_new(config, core_now(), &self->conn);
  ws_conn_config_free(config);
  return err != 0 ? core_raise(self->state, err, NULL) : 0;
}

static int conn_init(PyObject *op, PyObject *args, PyObject *kwargs) {
  connection *self = (connection *)op;
  PyObject *name;
  ws_role role;
  if (!PyArg_ParseTuple(args, "U:Connection", &name) ||
      get_role(name, &role) < 0) {
    return -1;
  }
  if (self->conn != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the connection has been made already");
    return -1;
  }
  self->state = core_state_of(Py_TYPE(op));
  core_conn_options options;
  core_conn_options_init(&options);
  int result = core_options_set(kwargs, NULL, NULL, &options);
  if (result == 0) result = make_conn(self, role, &options);
  core_conn_options_release(&options);
  return result;
}

static int conn_traverse(PyObject *op, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(((connection *)op)->request);
  return 0;
}

static int conn_clear(PyObject *op) {
  Py_CLEAR(((connection *)op)->request);
  return 0;
}

static void conn_dealloc(PyObject *op) {
  connection *self = (connection *)op;
  PyObject_GC_UnTrack(op);
  if (self->weakrefs != NULL) PyObject_ClearWeakRefs(op);
  (void)conn_clear(op);
  ws_conn_free(self->conn);
  PyMem_Free(self->input);
  Py_XDECREF(self->url);
  Py_XDECREF(self->origin);
  Py_XDECREF(self->response);
  core_free(op);
}

/* The connection, told the time; NULL with an exception before __init__. */
static ws_conn *begin(const connection *self) {
  if (self->conn == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "Connection.__init__() was not called");
    return NULL;
  }
  ws_conn_tick(self->conn, core_now());
  return self->conn;
}

static PyObject *none_or_raise(const connection *self, int err,
                               const char *reason) {
  if (err == 0) Py_RETURN_NONE;
  core_raise(self->state, err, reason);
  return NULL;
}

/* -- Handshake ------------------------------------------------------------- */

static int connect_to(connection *self, const ws_url *url,
                      ws_conn_request *request) {
  const char *reason = NULL;
  request->url = url;
  const int err = ws_conn_connect(self->conn, request, &reason);
  if (err != 0) return core_raise(self->state, err, reason);
  Py_XSETREF(self->url, PyUnicode_FromString(url->href));
  Py_XSETREF(self->origin, PyUnicode_FromString(url->origin));
  return self->url != NULL && self->origin != NULL ? 0 : -1;
}

static int connect_to_text(connection *self, PyObject *text,
                           ws_conn_request *request) {
  core_text utf8;
  if (core_text_get(text, &utf8) < 0) return -1;
  ws_url *url;
  const char *reason = NULL;
  const int err = ws_url_parse(utf8.data, utf8.len, NULL, &url, &reason);
  core_text_release(&utf8);
  if (err != 0) return core_raise(self->state, err, reason);
  const int result = connect_to(self, url, request);
  ws_url_free(url);
  return result;
}

static PyObject *conn_connect(PyObject *op, PyObject *args, PyObject *kwargs) {
  static char *keywords[] = {"", "", "headers", "origin", NULL};
  connection *self = (connection *)op;
  PyObject *url;
  PyObject *protocols = NULL;
  PyObject *headers = NULL;
  PyObject *origin = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|O$OO:connect", keywords,
                                   &url, &protocols, &headers, &origin) ||
      begin(self) == NULL) {
    return NULL;
  }
  ws_conn_request request;
  ws_conn_request_init(&request);
  core_strings names = {.items = NULL};
  core_header_list list = {.items = NULL};
  int result = core_option_text(origin, "origin", &request.origin);
  if (result == 0) result = core_strings_get(protocols, "protocols", &names);
  if (result == 0)
    result = core_header_list_get(self->state, headers, true, &list);
  request.protocols = names.items;
  request.protocol_count = names.count;
  request.headers = list.items;
  request.header_count = list.count;
  if (result == 0) result = connect_to_text(self, url, &request);
  core_strings_release(&names);
  core_header_list_release(&list);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

static int accept_request(void *target, const ws_conn_answer *answer) {
  const connection *self = target;
  const char *reason = NULL;
  const int err = ws_conn_accept(self->conn, answer, &reason);
  return err != 0 ? core_raise(self->state, err, reason) : 0;
}

static int respond_to_request(void *target, uint16_t status,
                              const ws_header *headers, size_t header_count,
                              const void *body, size_t body_len) {
  const connection *self = target;
  const char *reason = NULL;
  const int err = ws_conn_respond(self->conn, status, headers, header_count,
                                  body, body_len, &reason);
  return err != 0 ? core_raise(self->state, err, reason) : 0;
}

static PyObject *conn_accept(PyObject *op, PyObject *args, PyObject *kwargs) {
  if (begin((connection *)op) == NULL) return NULL;
  return core_call_accept(args, kwargs, accept_request, op);
}

static PyObject *conn_respond(PyObject *op, PyObject *args, PyObject *kwargs) {
  if (begin((connection *)op) == NULL) return NULL;
  return core_call_respond(args, kwargs, respond_to_request, op);
}

/* -- Bytes in -------------------------------------------------------------- */

/* A place for `len` bytes. */
static uint8_t *input_place(connection *self, size_t len) {
  uint8_t *place;
  size_t room;
  ws_conn_input(self->conn, &place, &room);
  if (room >= len) return place;
  if (self->input_size < len) {
    place = PyMem_Realloc(self->input, len);
    if (place == NULL) {
      PyErr_NoMemory();
      return NULL;
    }
    self->input = place;
    self->input_size = len;
  }
  return self->input;
}

static int feed(connection *self, const void *data, size_t len) {
  /* What is left of earlier input gives its place free. */
  int err = ws_conn_keep_input(self->conn);
  if (err != 0) return core_raise(self->state, err, NULL);
  if (len == 0) return 0;
  uint8_t *place = input_place(self, len);
  if (place == NULL) return -1;
  memcpy(place, data, len);
  err = ws_conn_feed(self->conn, place, len);
  return err != 0 ? core_raise(self->state, err, NULL) : 0;
}

static PyObject *conn_feed(PyObject *op, PyObject *data) {
  connection *self = (connection *)op;
  Py_buffer view;
  if (begin(self) == NULL ||
      PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
    return NULL;
  }
  const int result = feed(self, view.buf, (size_t)view.len);
  PyBuffer_Release(&view);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *conn_feed_eof(PyObject *op, PyObject *unused) {
  (void)unused;
  ws_conn *conn = begin((connection *)op);
  if (conn == NULL) return NULL;
  ws_conn_eof(conn);
  Py_RETURN_NONE;
}

/* -- Events out ------------------------------------------------------------ */

static PyObject *event_of_request(connection *self, const ws_request *from) {
  Py_XSETREF(self->request,
             core_request_new(self->state, from, NULL, NULL, NULL));
  if (self->request == NULL) return NULL;
  PyObject *origin =
      core_request_header((core_request *)self->request, "Origin");
  if (origin == NULL) origin = self->state->empty_text;
  Py_XSETREF(self->origin, Py_NewRef(origin));
  return core_request_event_new(self->state, self->request, core_now());
}

static PyObject *event_of_open(connection *self, const ws_response *from) {
  if (from != NULL) {
    Py_XSETREF(self->response, core_response_of(self->state, from));
    if (self->response == NULL) return NULL;
  }
  return core_event_new(self->state, self->state->open_name, core_now());
}

static PyObject *event_of_message(connection *self,
                                  const ws_event_data *event) {
  PyObject *data =
      self->is_streaming
          ? core_piece_of_message(event)
          : core_data_of_message(event->message.type, event->message.data,
                                 event->message.len, false);
  if (data == NULL) return NULL;
  PyObject *origin =
      self->origin != NULL ? self->origin : self->state->empty_text;
  return core_message_event_new(self->state, data, origin, core_now());
}

static PyObject *event_of_error(connection *self, const ws_cause *cause) {
  PyObject *response = NULL;
  if (cause->response != NULL) {
    response = core_response_of(self->state, cause->response);
    if (response == NULL) return NULL;
  }
  PyObject *error = core_error_of_cause(self->state, cause, response);
  Py_XDECREF(response);
  if (error == NULL) return NULL;
  PyObject *event = core_error_event_new(self->state, error, core_now());
  Py_DECREF(error);
  return event;
}

static PyObject *event_of_close(connection *self, const ws_event_data *event) {
  PyObject *reason = PyUnicode_DecodeUTF8(
      event->close.reason, (Py_ssize_t)event->close.reason_len, "replace");
  if (reason == NULL) return NULL;
  PyObject *result =
      core_close_event_new(self->state, event->close.code, reason,
                           event->close.was_clean, core_now());
  Py_DECREF(reason);
  return result;
}

static PyObject *event_of_control(connection *self, PyObject *name,
                                  const ws_event_data *event) {
  return core_control_event_new(self->state, name, event->control.data,
                                event->control.len, event->control.rtt,
                                core_now());
}

static PyObject *event_of(connection *self, const ws_conn_event *event) {
  const core_state *state = self->state;
  switch (event->type) {
  case WS_EVENT_REQUEST: return event_of_request(self, event->u.request);
  case WS_EVENT_OPEN: return event_of_open(self, event->u.open.response);
  case WS_EVENT_MESSAGE: return event_of_message(self, &event->u);
  case WS_EVENT_PING:
    return event_of_control(self, state->ping_name, &event->u);
  case WS_EVENT_PONG:
    return event_of_control(self, state->pong_name, &event->u);
  case WS_EVENT_DRAIN:
    return core_event_new(self->state, state->drain_name, core_now());
  case WS_EVENT_ERROR: return event_of_error(self, &event->u.error);
  case WS_EVENT_CLOSE: return event_of_close(self, &event->u);
  case WS_EVENT_RECONNECT:
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: break;
  }
  Py_RETURN_NONE; /* Those are of loops. */
}

static PyObject *conn_next_event(PyObject *op, PyObject *unused) {
  (void)unused;
  connection *self = (connection *)op;
  ws_conn *conn = begin(self);
  if (conn == NULL) return NULL;
  ws_conn_event event;
  if (ws_conn_next_event(conn, &event)) return event_of(self, &event);
  /* All input has been used. */
  if (self->input_size > KEEP_INPUT) {
    PyMem_Free(self->input);
    self->input = NULL;
    self->input_size = 0;
  }
  Py_RETURN_NONE;
}

static PyObject *conn_events(PyObject *op, PyObject *unused) {
  (void)unused;
  PyObject *name = core_state_of(Py_TYPE(op))->next_event_name;
  PyObject *method = PyObject_GetAttr(op, name);
  if (method == NULL) return NULL;
  PyObject *iterator = PyCallIter_New(method, Py_None);
  Py_DECREF(method);
  return iterator;
}

/* -- Bytes out ------------------------------------------------------------- */

/* Moves `len` bytes of output, which wait, to `out`. */
static void take_output(ws_conn *conn, char *out, size_t len) {
  while (len > 0) {
    ws_slice slices[SLICES];
    const size_t count = ws_conn_output(conn, slices, SLICES);
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < len; i++) {
      const size_t left = len - taken;
      const size_t part = slices[i].len < left ? slices[i].len : left;
      memcpy(out + taken, slices[i].data, part);
      taken += part;
    }
    ws_conn_consume(conn, taken);
    out += taken;
    len -= taken;
  }
}

static PyObject *conn_output(PyObject *op, PyObject *args) {
  Py_ssize_t most = PY_SSIZE_T_MAX;
  if (!PyArg_ParseTuple(args, "|n:output", &most)) return NULL;
  ws_conn *conn = begin((connection *)op);
  if (conn == NULL) return NULL;
  if (most < 0) most = PY_SSIZE_T_MAX;
  ws_conn_stats stats;
  ws_conn_get_stats(conn, &stats);
  if (stats.bytes_queued < (uint64_t)most) {
    most = (Py_ssize_t)stats.bytes_queued;
  }
  PyObject *bytes = PyBytes_FromStringAndSize(NULL, most);
  if (bytes != NULL) {
    take_output(conn, PyBytes_AS_STRING(bytes), (size_t)most);
  }
  return bytes;
}

/* -- Calls ----------------------------------------------------------------- */

/* Unlike a WebSocket, it raises all errors: there is nobody to tell later. */
static PyObject *conn_send(PyObject *op, PyObject *const *args,
                           Py_ssize_t nargs, PyObject *names) {
  connection *self = (connection *)op;
  if (nargs != 1) {
    PyErr_SetString(PyExc_TypeError, "send() takes one positional argument");
    return NULL;
  }
  core_payload payload;
  if (begin(self) == NULL || core_payload_get(args[0], &payload) < 0) {
    return NULL;
  }
  int result = core_send_options(self->state, &payload, args + nargs, names);
  if (result == 0) {
    const int err = ws_conn_send(self->conn, payload.type, payload.data,
                                 payload.len, payload.flags);
    if (err != 0) result = core_raise(self->state, err, NULL);
  }
  core_payload_release(&payload);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

typedef int (*control_fn)(ws_conn *conn, const void *data, size_t len);

static PyObject *send_control(connection *self, PyObject *args,
                              control_fn send) {
  PyObject *data = NULL;
  if (!PyArg_ParseTuple(args, "|O", &data) || begin(self) == NULL) return NULL;
  core_payload payload = {.data = ""};
  if (data != NULL && core_payload_get(data, &payload) < 0) return NULL;
  const int err = send(self->conn, payload.data, payload.len);
  core_payload_release(&payload);
  return none_or_raise(self, err, NULL);
}

static PyObject *conn_ping(PyObject *op, PyObject *args) {
  return send_control((connection *)op, args, ws_conn_send_ping);
}

static PyObject *conn_pong(PyObject *op, PyObject *args) {
  return send_control((connection *)op, args, ws_conn_send_pong);
}

static PyObject *close_method(connection *self, PyObject *args,
                              PyObject *kwargs, bool any_code) {
  static char *keywords[] = {"code", "reason", NULL};
  PyObject *code = NULL;
  PyObject *reason = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:close", keywords, &code,
                                   &reason) ||
      begin(self) == NULL) {
    return NULL;
  }
  core_close how;
  if (core_close_get(self->state, code, reason, any_code, &how) < 0) {
    return NULL;
  }
  const int err =
      ws_conn_close_with(self->conn, how.code, how.reason.data, how.reason.len);
  core_text_release(&how.reason);
  return none_or_raise(self, err, NULL);
}

static PyObject *conn_close(PyObject *op, PyObject *args, PyObject *kwargs) {
  return close_method((connection *)op, args, kwargs, false);
}

static PyObject *conn_close_with(PyObject *op, PyObject *args,
                                 PyObject *kwargs) {
  return close_method((connection *)op, args, kwargs, true);
}

static PyObject *conn_abort(PyObject *op, PyObject *args) {
  int has_failed = 0;
  if (!PyArg_ParseTuple(args, "|p:abort", &has_failed)) return NULL;
  ws_conn *conn = begin((connection *)op);
  if (conn == NULL) return NULL;
  ws_conn_abort(conn, has_failed ? WS_ERR_TRANSPORT : 0);
  Py_RETURN_NONE;
}

static PyObject *set_paused(connection *self, bool is_paused) {
  ws_conn *conn = begin(self);
  if (conn == NULL) return NULL;
  ws_conn_set_paused(conn, is_paused);
  Py_RETURN_NONE;
}

static PyObject *conn_pause(PyObject *op, PyObject *unused) {
  (void)unused;
  return set_paused((connection *)op, true);
}

static PyObject *conn_resume(PyObject *op, PyObject *unused) {
  (void)unused;
  return set_paused((connection *)op, false);
}

static PyObject *conn_set_streaming(PyObject *op, PyObject *value) {
  connection *self = (connection *)op;
  const int truth = PyObject_IsTrue(value);
  ws_conn *conn = truth >= 0 ? begin(self) : NULL;
  if (conn == NULL) return NULL;
  self->is_streaming = truth != 0;
  ws_conn_set_streaming(conn, self->is_streaming);
  Py_RETURN_NONE;
}

static PyObject *conn_tick(PyObject *op, PyObject *unused) {
  (void)unused;
  if (begin((connection *)op) == NULL) return NULL;
  Py_RETURN_NONE;
}

static PyObject *conn_stats(PyObject *op, PyObject *unused) {
  (void)unused;
  const ws_conn *conn = begin((connection *)op);
  if (conn == NULL) return NULL;
  ws_conn_stats stats;
  ws_conn_get_stats(conn, &stats);
  return core_stats_dict(&stats);
}

/* -- Attributes ------------------------------------------------------------ */

static PyObject *conn_timeout(PyObject *op, void *closure) {
  (void)closure;
  const ws_conn *conn = begin((connection *)op);
  if (conn == NULL) return NULL;
  const uint64_t deadline = ws_conn_deadline(conn);
  if (deadline == WS_NO_DEADLINE) Py_RETURN_NONE;
  const uint64_t now = core_now();
  return PyFloat_FromDouble(deadline > now ? (double)(deadline - now) / 1000
                                           : 0);
}

static PyObject *conn_role(PyObject *op, void *closure) {
  (void)closure;
  const ws_conn *conn = begin((connection *)op);
  if (conn == NULL) return NULL;
  const bool is_client = ws_conn_role(conn) == WS_ROLE_CLIENT;
  return PyUnicode_FromString(is_client ? "client" : "server");
}

static PyObject *conn_ready_state(PyObject *op, void *closure) {
  (void)closure;
  const ws_conn *conn = begin((connection *)op);
  return conn != NULL ? PyLong_FromLong(ws_conn_state(conn)) : NULL;
}

static PyObject *conn_buffered_amount(PyObject *op, void *closure) {
  (void)closure;
  const ws_conn *conn = begin((connection *)op);
  if (conn == NULL) return NULL;
  return PyLong_FromUnsignedLongLong(ws_conn_buffered_amount(conn));
}

static PyObject *conn_protocol(PyObject *op, void *closure) {
  (void)closure;
  const ws_conn *conn = begin((connection *)op);
  return conn != NULL ? core_latin1(ws_conn_protocol(conn)) : NULL;
}

static PyObject *conn_extensions(PyObject *op, void *closure) {
  (void)closure;
  const ws_conn *conn = begin((connection *)op);
  return conn != NULL ? core_latin1(ws_conn_extensions(conn)) : NULL;
}

/* -- The type -------------------------------------------------------------- */

static PyGetSetDef conn_getset[] = {
    {"role", conn_role, NULL, "\"client\" or \"server\".", NULL},
    {"readyState", conn_ready_state, NULL,
     "CONNECTING, OPEN, CLOSING or CLOSED, as in WebSocket.", NULL},
    {"bufferedAmount", conn_buffered_amount, NULL,
     "Payload bytes of send() that output() has not given out.", NULL},
    {"protocol", conn_protocol, NULL, "The subprotocol in use.", NULL},
    {"extensions", conn_extensions, NULL, "The extensions in use.", NULL},
    {"timeout", conn_timeout, NULL,
     "Seconds until next_event() has something to do, or None.", NULL},
    {0}};

static PyMemberDef conn_members[] = {
    {"url", T_OBJECT, offsetof(connection, url), READONLY,
     "The URL of a client, normalised, after connect(); otherwise None."},
    {"request", T_OBJECT, offsetof(connection, request), READONLY,
     "The request that a server got, or None."},
    {"response", T_OBJECT, offsetof(connection, response), READONLY,
     "The response that opened a client's connection, or None."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(connection, weakrefs), READONLY,
     NULL},
    {0}};

static PyMethodDef conn_methods[] = {
    {"connect", CORE_METHOD(conn_connect), METH_VARARGS | METH_KEYWORDS,
     "connect($self, url, protocols=None, /, *, headers=None, "
     "origin=None)\n--\n\n"
     "Make the request of a client."},
    {"accept", CORE_METHOD(conn_accept), METH_VARARGS | METH_KEYWORDS,
     "accept($self, /, protocol=None, headers=(), compression=True)\n--\n\n"
     "Accept the handshake that the request event brought."},
    {"respond", CORE_METHOD(conn_respond), METH_VARARGS | METH_KEYWORDS,
     "respond($self, /, status, body=b\"\", headers=())\n--\n\n"
     "Answer the request with plain HTTP."},
    {"feed", conn_feed, METH_O,
     "feed($self, data, /)\n--\n\nHand in bytes from the peer."},
    {"feed_eof", conn_feed_eof, METH_NOARGS,
     "feed_eof($self, /)\n--\n\nSay that the peer will send no more."},
    {"next_event", conn_next_event, METH_NOARGS,
     "next_event($self, /)\n--\n\nReturn the next event, or None."},
    {"events", conn_events, METH_NOARGS,
     "events($self, /)\n--\n\nReturn an iterator over the events there are."},
    {"output", conn_output, METH_VARARGS,
     "output($self, max_size=-1, /)\n--\n\nTake out bytes for the peer."},
    {"tick", conn_tick, METH_NOARGS,
     "tick($self, /)\n--\n\nTell the time, when `timeout` has passed."},
    {"send", CORE_METHOD(conn_send), METH_FASTCALL | METH_KEYWORDS,
     "send($self, data, /, *, compress=True, fin=True, binary=None)\n--\n\n"
     "Send a message: str as text, bytes-like as binary."},
    {"ping", conn_ping, METH_VARARGS,
     "ping($self, data=b\"\", /)\n--\n\nSend a ping of at most 125 bytes."},
    {"pong", conn_pong, METH_VARARGS,
     "pong($self, data=b\"\", /)\n--\n\nSend a pong."},
    {"close", CORE_METHOD(conn_close), METH_VARARGS | METH_KEYWORDS,
     "close($self, /, code=None, reason=None)\n--\n\n"
     "Close the connection; `code` is 1000 or 3000 to 4999."},
    {"closeWith", CORE_METHOD(conn_close_with), METH_VARARGS | METH_KEYWORDS,
     "closeWith($self, /, code=None, reason=None)\n--\n\n"
     "Close with any code that may be on the wire."},
    {"abort", conn_abort, METH_VARARGS,
     "abort($self, failed=False, /)\n--\n\n"
     "End the connection, because the transport failed or nobody wants it."},
    {"pause", conn_pause, METH_NOARGS,
     "pause($self, /)\n--\n\nStop the events that input causes."},
    {"resume", conn_resume, METH_NOARGS,
     "resume($self, /)\n--\n\nGo on with them."},
    {"set_streaming", conn_set_streaming, METH_O,
     "set_streaming($self, streaming, /)\n--\n\n"
     "Have messages come in pieces: (data, is_text, is_first, is_last)."},
    {"stats", conn_stats, METH_NOARGS,
     "stats($self, /)\n--\n\nReturn a dict with the account of the "
     "connection."},
    {0}};

static PyType_Slot conn_slots[] = {{Py_tp_doc,
                                    "Connection(role, /, **options)\n--\n\n"
                                    "One end of a connection, without I/O."},
                                   {Py_tp_new, PyType_GenericNew},
                                   {Py_tp_init, conn_init},
                                   {Py_tp_dealloc, conn_dealloc},
                                   {Py_tp_traverse, conn_traverse},
                                   {Py_tp_clear, conn_clear},
                                   {Py_tp_getset, conn_getset},
                                   {Py_tp_members, conn_members},
                                   {Py_tp_methods, conn_methods},
                                   {0, NULL}};

static PyType_Spec conn_spec = {
    .name = "libws.Connection",
    .basicsize = sizeof(connection),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = conn_slots};

int core_add_connections(PyObject *module) {
  return core_add_type(module, &conn_spec, NULL,
                       &core_state_of_module(module)->connection_type);
}
