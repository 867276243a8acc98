/* socket_calls.c - the methods of WebSocket. While another thread waits in the
 * loop, send() and close() go past it by a ws_sender, orders that need no
 * answer are left for the loop, and all else is refused. */
#include "errors.h"
#include "receiver.h"
#include "sent.h"
#include "server.h"
#include "socket.h"

/* Bounds of the queue when _start_queue() names none. */
#define QUEUE_MESSAGES 16
#define QUEUE_BYTES    ((size_t)1024 * 1024)

/* RuntimeError before __init__ and in a forked child. */
static int check(const core_socket *self) {
  if (self->handle == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "WebSocket.__init__() was not called");
    return -1;
  }
  if (self->loop->forks != core_socket_state(self)->forks) {
    PyErr_SetString(PyExc_RuntimeError,
                    "the socket belongs to the parent process");
    return -1;
  }
  return 0;
}

/* As check(), for what needs the loop itself. */
static int check_here(const core_socket *self) {
  if (check(self) < 0) return -1;
  const bool is_in_loop = self->loop->handle != NULL && self->thread == NULL;
  return is_in_loop ? core_loop_check(self->loop) : 0;
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

static int send_here(core_socket *self, const core_payload *payload) {
  if (core_socket_state_shown(self) == WS_STATE_CONNECTING) {
    return WS_ERR_INVALID_STATE;
  }
  core_socket_hold(self);
  const int err = ws_socket_send(self->handle, payload->type, payload->data,
                                 payload->len, payload->flags);
  core_socket_let_go(self);
  return err;
}

static int transmit(core_socket *self, const core_payload *payload) {
  const int err = core_socket_is_away(self) ? send_from_elsewhere(self, payload)
                                            : send_here(self, payload);
  return err != 0 ? raise_of_send(core_socket_state(self), err) : 0;
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

/* Whether send() may have this callback. */
static int check_callback(const core_socket *self, PyObject *callback) {
  if (callback == Py_None) return 0;
  if (!PyCallable_Check(callback)) {
    PyErr_SetString(PyExc_TypeError, "callback must be callable or None");
    return -1;
  }
  return check_here(self);
}

static PyObject *socket_send(PyObject *op, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *names) {
  core_socket *self = (core_socket *)op;
  if (nargs != 1 && nargs != 2) {
    PyErr_SetString(PyExc_TypeError, "send() takes data and a callback");
    return NULL;
  }
  PyObject *callback = nargs == 2 ? args[1] : Py_None;
  if (check(self) < 0 || check_callback(self, callback) < 0) return NULL;
  core_payload payload;
  if (core_payload_get(args[0], &payload) < 0) return NULL;
  int result =
      core_send_options(core_socket_state(self), &payload, args + nargs, names);
  if (result == 0) result = transmit(self, &payload);
  core_payload_release(&payload);
  if (result == 0 && callback != Py_None) {
    result = core_sent_add(self, callback);
  }
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

/* What needs no look from the shells: text or bytes, for a socket that is open
 * and has room. Returns 1 if it was sent, 0 if not. */
static int send_if_simple(core_socket *self, PyObject *data) {
  if (!PyUnicode_Check(data) && !PyBytes_CheckExact(data)) return 0;
  if (core_socket_state_shown(self) != WS_STATE_OPEN) return 0;
  core_payload payload;
  if (core_payload_get(data, &payload) < 0) return -1;
  int result = core_socket_has_room(self, payload.len);
  if (result > 0 && transmit(self, &payload) < 0) result = -1;
  core_payload_release(&payload);
  return result;
}

static PyObject *socket_post(PyObject *op, PyObject *data) {
  core_socket *self = (core_socket *)op;
  const int result = check(self) < 0 ? -1 : send_if_simple(self, data);
  if (result < 0) return NULL;
  if (result == 0) Py_RETURN_NONE;
  return Py_NewRef(core_socket_state(self)->sent);
}

static int close_with(core_socket *self, const core_close *how) {
  const char *reason = how->reason.data;
  const size_t len = how->reason.len;
  int err = 0;
  if (core_socket_is_away(self)) {
    ws_sender *sender = sender_of(self);
    if (sender != NULL) {
      err = ws_sender_close(sender, how->code, reason, len);
    }
    if (err == WS_ERR_INVALID_STATE) err = 0; /* It has ended. */
  } else {
    core_socket_hold(self);
    err = ws_socket_close_with(self->handle, how->code, reason, len);
    core_socket_let_go(self);
  }
  if (err == 0) core_socket_show(self, WS_STATE_CLOSING);
  if (err != 0) return core_raise(core_socket_state(self), err, NULL);
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
  if (core_close_get(core_socket_state(self), code, reason, any_code, &how) <
      0) {
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
  if (check(self) < 0 || core_socket_do(self, fn) < 0) return NULL;
  core_socket_update_root(self);
  Py_RETURN_NONE;
}

static PyObject *socket_terminate(PyObject *op, PyObject *unused) {
  (void)unused;
  PyObject *result = order((core_socket *)op, ws_socket_terminate);
  if (result != NULL) core_socket_show((core_socket *)op, WS_STATE_CLOSING);
  return result;
}

static PyObject *socket_pause(PyObject *op, PyObject *unused) {
  (void)unused;
  if (check((core_socket *)op) < 0 ||
      core_socket_pause((core_socket *)op) < 0) {
    return NULL;
  }
  Py_RETURN_NONE;
}

static PyObject *socket_resume(PyObject *op, PyObject *unused) {
  (void)unused;
  if (check((core_socket *)op) < 0 ||
      core_socket_resume((core_socket *)op) < 0) {
    return NULL;
  }
  Py_RETURN_NONE;
}

typedef int (*control_fn)(ws_socket *socket, const void *data, size_t len);

static PyObject *send_control(core_socket *self, PyObject *args,
                              control_fn send) {
  PyObject *data = NULL;
  if (!PyArg_ParseTuple(args, "|O", &data) || check_here(self) < 0) return NULL;
  core_payload payload = {.data = ""};
  if (data != NULL && core_payload_get(data, &payload) < 0) return NULL;
  core_socket_hold(self);
  const int err = send(self->handle, payload.data, payload.len);
  core_socket_let_go(self);
  core_payload_release(&payload);
  if (err == WS_ERR_INVALID_ARGUMENT) {
    PyErr_Format(PyExc_ValueError, "data is longer than %d bytes",
                 WS_MAX_CONTROL_PAYLOAD);
    return NULL;
  }
  if (raise_of_send(core_socket_state(self), err) < 0) return NULL;
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
  if (check_here(self) < 0 ||
      core_header_list_get(core_socket_state(self), headers, true, &list) < 0) {
    return NULL;
  }
  ws_error error = {.message = ""};
  core_socket_hold(self);
  const int err = ws_socket_set_request_headers(self->handle, list.items,
                                                list.count, &error);
  core_socket_let_go(self);
  core_header_list_release(&list);
  if (err != 0) {
    core_raise(core_socket_state(self), err, error.message);
    return NULL;
  }
  Py_RETURN_NONE;
}

/* -- Topics ---------------------------------------------------------------- */

typedef int (*topic_fn)(ws_socket *socket, const char *topic);

static PyObject *with_topic(core_socket *self, PyObject *topic, topic_fn fn) {
  const char *name = core_c_string(topic, "topic");
  if (name == NULL || check_here(self) < 0) return NULL;
  core_socket_hold(self);
  const int err = fn(self->handle, name);
  core_socket_let_go(self);
  if (err != 0) {
    core_raise(core_socket_state(self), err, NULL);
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
    core_raise(core_socket_state(self), WS_ERR_INVALID_STATE,
               "the socket has no server");
    return NULL;
  }
  if (core_server_publish(core_socket_state(self), server, args, nargs, names,
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
  return core_socket_resume(self);
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
  core_socket_hold(self);
  ws_socket_set_streaming(self->handle, self->is_streaming);
  core_socket_let_go(self);
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

static PyObject *socket_hand_over(PyObject *op, PyObject *unused) {
  (void)unused;
  if (check_here((core_socket *)op) < 0 ||
      core_socket_hand_over((core_socket *)op) < 0) {
    return NULL;
  }
  Py_RETURN_NONE;
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

static PyObject *socket_iterate(PyObject *op, PyObject *other) {
  core_socket *self = (core_socket *)op;
  if (check(self) < 0) return NULL;
  return core_iterator_new(self, other);
}

PyObject *core_socket_closed_error(core_socket *self) {
  core_state *state = core_socket_state(self);
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

/* -- Account ------ */

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
  core_socket_hold(self);
  ws_socket_get_stats(self->handle, &stats);
  core_socket_let_go(self);
  return core_stats_dict(&stats);
}

static PyObject *socket_tls_info(PyObject *op, PyObject *unused) {
  (void)unused;
  const core_socket *self = (core_socket *)op;
  ws_tls_info info;
  if (check(self) < 0) return NULL;
  core_socket_hold(self);
  const bool has_tls = ws_socket_tls_info(self->handle, &info);
  core_socket_let_go(self);
  if (!has_tls) Py_RETURN_NONE;
  return Py_BuildValue("{ss ss ss ss ss sN}", "version", info.version, "cipher",
                       info.cipher, "protocol", info.protocol, "server_name",
                       info.server_name, "peer_subject", info.peer_subject,
                       "is_resumed", PyBool_FromLong(info.is_resumed));
}

/* -- The table ------ */

PyMethodDef core_socket_methods[] = {
    {"send", CORE_METHOD(socket_send), METH_FASTCALL | METH_KEYWORDS,
     "send($self, data, callback=None, /, *, compress=True, fin=True,\n"
     "     binary=None)\n--\n\n"
     "Send a message: str as text, bytes-like as binary. callback(None) is\n"
     "called when the system has taken it, callback(error) if that cannot be."},
    {"close", CORE_METHOD(socket_close), METH_VARARGS | METH_KEYWORDS,
     "close($self, /, code=None, reason=None)\n--\n\n"
     "Close the connection; `code` is 1000 or 3000 to 4999."},
    {"closeWith", CORE_METHOD(socket_close_with), METH_VARARGS | METH_KEYWORDS,
     "closeWith($self, /, code=None, reason=None)\n--\n\n"
     "Close with any code that may be on the wire, such as 1001 or 1011."},
    {"terminate", socket_terminate, METH_NOARGS,
     "terminate($self, /)\n--\n\nEnd the connection at once."},
    {"ping", socket_ping, METH_VARARGS,
     "ping($self, data=b\"\", /)\n--\n\nSend a ping of at most 125 bytes."},
    {"pong", socket_pong, METH_VARARGS,
     "pong($self, data=b\"\", /)\n--\n\nSend a pong that nobody asked for."},
    {"pause", socket_pause, METH_NOARGS,
     "pause($self, /)\n--\n\nStop reading, so that the peer has to wait."},
    {"resume", socket_resume, METH_NOARGS,
     "resume($self, /)\n--\n\nGo on reading."},
    {"stats", socket_stats, METH_NOARGS,
     "stats($self, /)\n--\n\nReturn a dict with the account of the "
     "connection."},
    {"tlsInfo", socket_tls_info, METH_NOARGS,
     "tlsInfo($self, /)\n--\n\nReturn a dict about TLS, or None."},
    {"setRequestHeaders", socket_set_request_headers, METH_O,
     "setRequestHeaders($self, headers, /)\n--\n\n"
     "Replace the headers for the attempts to come of a client that "
     "reconnects."},
    {"subscribe", socket_subscribe, METH_O,
     "subscribe($self, topic, /)\n--\n\nGet what is published to a topic."},
    {"unsubscribe", socket_unsubscribe, METH_O,
     "unsubscribe($self, topic, /)\n--\n\nTake back subscribe()."},
    {"publish", CORE_METHOD(socket_publish), METH_FASTCALL | METH_KEYWORDS,
     "publish($self, topic, data, /, *, compress=True)\n--\n\n"
     "Send to all other sockets that subscribe to a topic."},
    {"_post", socket_post, METH_O,
     "_post($self, data, /)\n--\n\n"
     "Send, and return what may be awaited; or None, and send nothing, if "
     "there "
     "is something to be looked at or waited for."},
    {"_start_queue", socket_start_queue, METH_VARARGS,
     "_start_queue($self, max_messages=16, max_bytes=1048576, streaming=False, "
     "/)\n"
     "--\n\nQueue messages instead of dispatching them."},
    {"_pop", socket_pop, METH_NOARGS,
     "_pop($self, /)\n--\n\nReturn the oldest item, or None."},
    {"_pop_all", socket_pop_all, METH_NOARGS,
     "_pop_all($self, /)\n--\n\nReturn all items."},
    {"_hand_over", socket_hand_over, METH_NOARGS,
     "_hand_over($self, /)\n--\n\n"
     "Dispatch what is queued to those who listen to messages now."},
    {"_recv", socket_recv, METH_NOARGS,
     "_recv($self, /)\n--\n\nReturn an awaitable for the next item."},
    {"_anext", socket_anext, METH_NOARGS,
     "_anext($self, /)\n--\n\nThe same, for asynchronous iteration."},
    {"_iterate", socket_iterate, METH_O,
     "_iterate($self, other, /)\n--\n\n"
     "Return an asynchronous iterator over the items; while messages come in\n"
     "pieces, it is `other` that is asked for them."},
    {"_closed_error", socket_closed_error, METH_NOARGS,
     "_closed_error($self, /)\n--\n\nReturn the ConnectionClosed for what has "
     "ended."},
    {0}};
