/* socket_events.c - from what the library reports to what listeners, the queue
 * and those who wait get. */
#include "errors.h"
#include "host.h"
#include "receiver.h"
#include "request.h"
#include "socket.h"

/* Of the data that is kept for the next message. */
#define SPARE_BYTES 4096

static PyObject *host_of(const core_socket *self) {
  return self->loop->host;
}

/* Dispatches an event, whose reference it takes. NULL stands for an exception
 * that is set. Returns as core_socket_deliver(). */
static int dispatch(core_socket *self, core_kind kind, PyObject *event) {
  core_state *state = core_socket_state(self);
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

static PyObject *parse_origin(const core_socket *self) {
  core_socket_hold(self);
  const char *href = ws_socket_url(self->handle);
  core_socket_let_go(self);
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
    self->origin = parse_origin(self);
  } else {
    PyObject *header =
        core_request_header((core_request *)self->request, "Origin");
    self->origin = Py_NewRef(
        header != NULL ? header : core_socket_state(self)->empty_text);
  }
  return self->origin;
}

static PyObject *data_of(const core_socket *self, const ws_event *event) {
  return core_data_of_message(event->u.message.type, event->u.message.data,
                              event->u.message.len, self->as_bytearray);
}

/* The spare event's data if it can be used again, otherwise new. */
static PyObject *data_for(const core_socket *self, core_message_event *spare,
                          const ws_event *event) {
  PyObject *data = spare->data;
  spare->data = NULL;
  if (data != NULL && event->u.message.type == WS_BINARY &&
      !self->as_bytearray &&
      core_bytes_refill(data, event->u.message.data, event->u.message.len)) {
    return data;
  }
  Py_XDECREF(data);
  return data_of(self, event);
}

/* A new event around data, whose reference it takes. */
static PyObject *fresh_event(core_socket *self, PyObject *data) {
  PyObject *origin = data != NULL ? origin_of(self) : NULL;
  if (origin == NULL) {
    Py_XDECREF(data);
    return NULL;
  }
  return core_message_event_new(core_socket_state(self), data, origin,
                                core_loop_now(self->loop));
}

/* The event of a message: one that nobody has kept, if there is one. */
static PyObject *message_event(core_socket *self, const ws_event *from) {
  core_loop *loop = self->loop;
  PyObject *origin = origin_of(self);
  if (origin == NULL) return NULL;
  core_message_event *event = loop->spare;
  if (event == NULL) return fresh_event(self, data_of(self, from));
  loop->spare = NULL;
  event->data = data_for(self, event, from);
  if (event->data == NULL) {
    Py_DECREF(event);
    return NULL;
  }
  event->base.time_stamp = (double)core_loop_now(loop);
  event->base.is_trusted = 1;
  event->origin = Py_NewRef(origin);
  return (PyObject *)event;
}

/* Keeps an event for the next message if no handler has kept it, with its data
 * if that is small. Takes the reference. */
static void recycle(core_loop *loop, PyObject *op) {
  core_message_event *event = (core_message_event *)op;
  if (Py_REFCNT(op) != 1 || loop->spare != NULL || loop->handle == NULL) {
    Py_DECREF(op);
    return;
  }
  if (!PyBytes_CheckExact(event->data) ||
      PyBytes_GET_SIZE(event->data) > SPARE_BYTES) {
    Py_CLEAR(event->data);
  }
  Py_CLEAR(event->origin);
  Py_XSETREF(event->base.target, Py_NewRef(Py_None));
  loop->spare = event;
}

/* A message that cannot be handed over is lost, and so the connection is. */
static int lose_message(core_socket *self) {
  core_socket_hold(self);
  (void)ws_socket_close_with(self->handle, WS_CLOSE_INTERNAL_ERROR, "", 0);
  core_socket_let_go(self);
  return core_host_report(core_socket_state(self), host_of(self),
                          (PyObject *)self);
}

static int dispatch_message(core_socket *self, const ws_event *from) {
  PyObject *event = message_event(self, from);
  if (event == NULL) return lose_message(self);
  const int result =
      core_target_dispatch(core_socket_state(self), &self->target, CORE_MESSAGE,
                           event, host_of(self));
  recycle(self->loop, event);
  return result < 0 ? -1 : 1;
}

/* Wakes who waits in one of the two places. */
static int wake(core_socket *self, PyObject **place) {
  PyObject *waiter = *place;
  if (waiter == NULL) return 0;
  *place = NULL;
  core_socket_update_root(self);
  const int result = core_receiver_wake(core_socket_state(self), waiter);
  Py_DECREF(waiter);
  if (result == 0) return 0;
  return core_host_report(core_socket_state(self), host_of(self),
                          (PyObject *)self);
}

/* What the queue holds for a message or a piece of one. */
static PyObject *queue_item(const core_socket *self, const ws_event *event) {
  if (self->is_streaming) return core_piece_of_message(&event->u);
  return data_of(self, event);
}

/* Stops reading when the queue is full, but only the bytes count until the turn
 * is over in which it became so: whoever takes messages out comes after that,
 * and has often made room before there is anything to be stopped. */
static int pause_if_full(core_socket *self, bool was_full) {
  core_queue *queue = self->queue;
  if (!core_queue_is_full(queue) || self->has_paused) return 0;
  if (!was_full) queue->filled_in = self->loop->turn;
  if (queue->filled_in == self->loop->turn && queue->bytes < queue->max_bytes) {
    return 0;
  }
  self->has_paused = true;
  return core_socket_pause(self);
}

static int enqueue(core_socket *self, const ws_event *event) {
  const bool was_full = core_queue_is_full(self->queue);
  PyObject *item = queue_item(self, event);
  if (item == NULL ||
      core_queue_push(self->queue, item, event->u.message.len) < 0) {
    return lose_message(self);
  }
  if (pause_if_full(self, was_full) < 0) return -1;
  return wake(self, &self->waiter);
}

/* Listeners come before the queue, but get whole messages only. */
static bool is_queued(const core_socket *self) {
  return self->queue != NULL &&
         (self->is_streaming || !has_listener(self, CORE_MESSAGE));
}

static int deliver_message(core_socket *self, const ws_event *event) {
  if (is_queued(self)) return enqueue(self, event);
  return has_listener(self, CORE_MESSAGE) ? dispatch_message(self, event) : 0;
}

int core_socket_hand_over(core_socket *self) {
  PyObject *data;
  while (self->queue != NULL && !is_queued(self) &&
         (data = core_socket_pop(self)) != NULL) {
    if (dispatch(self, CORE_MESSAGE, fresh_event(self, data)) < 0) return -1;
  }
  return PyErr_Occurred() ? -1 : 0;
}

/* Dispatches what the server has answered to those who listen to that. */
static int dispatch_response(core_socket *self, core_kind kind, PyObject *name,
                             PyObject *response) {
  if (!has_listener(self, kind)) return 0;
  return dispatch(self, kind,
                  core_response_event_new(core_socket_state(self), name,
                                          response, core_loop_now(self->loop)));
}

static int dispatch_open(core_socket *self) {
  core_state *state = core_socket_state(self);
  if (!has_listener(self, CORE_OPEN)) return 0;
  return dispatch(
      self, CORE_OPEN,
      core_event_new(state, state->open_name, core_loop_now(self->loop)));
}

/* What has accepted the handshake of a client comes first. Returns as
 * core_socket_deliver(). */
static int deliver_response(core_socket *self, const ws_response *response) {
  core_state *state = core_socket_state(self);
  Py_XSETREF(self->response, core_response_of(state, response));
  if (self->response == NULL) return lose_message(self);
  return dispatch_response(self, CORE_UPGRADE, state->upgrade_name,
                           self->response);
}

static int deliver_open(core_socket *self, const ws_event *event) {
  core_socket_show(self, WS_STATE_OPEN);
  int result = 0;
  if (event->u.open.response != NULL) {
    result = deliver_response(self, event->u.open.response);
    if (result < 0) return -1;
  }
  core_socket_update_root(self);
  /* A listener to "upgrade" may have closed it: then it does not open. */
  if (result > 0 && core_socket_state_shown(self) != WS_STATE_OPEN) return 1;
  const int opened = dispatch_open(self);
  return opened != 0 ? opened : result;
}

static int deliver_control(core_socket *self, const ws_event *event,
                           core_kind kind, PyObject *name) {
  if (!has_listener(self, kind)) return 0;
  return dispatch(
      self, kind,
      core_control_event_new(core_socket_state(self), name,
                             event->u.control.data, event->u.control.len,
                             event->u.control.rtt, core_loop_now(self->loop)));
}

static int deliver_drain(core_socket *self) {
  core_state *state = core_socket_state(self);
  if (wake(self, &self->drain_waiter) < 0) return -1;
  if (!has_listener(self, CORE_DRAIN)) return 0;
  return dispatch(
      self, CORE_DRAIN,
      core_event_new(state, state->drain_name, core_loop_now(self->loop)));
}

/* The exception that tells of a failure. */
static PyObject *failure_of(core_socket *self, const ws_cause *cause) {
  core_state *state = core_socket_state(self);
  ws_cause told = *cause;
  if (self->queue != NULL && told.err == WS_ERR_UNSUPPORTED_MESSAGE_LENGTH) {
    told.message = "message exceeds max_size"; /* The shells' max_message. */
  }
  if (told.response == NULL) return core_error_of_cause(state, &told, NULL);
  PyObject *response = core_response_of(state, told.response);
  if (response == NULL) return NULL;
  PyObject *error = core_error_of_cause(state, &told, response);
  Py_DECREF(response);
  return error;
}

/* Whoever listens to responses that open nothing hears of them instead of the
 * error and the close event, as with npm's ws. */
static int deliver_refusal(core_socket *self, const ws_cause *cause) {
  core_state *state = core_socket_state(self);
  PyObject *response = core_response_of(state, cause->response);
  if (response == NULL) {
    return core_host_report(state, host_of(self), (PyObject *)self);
  }
  const int result = dispatch_response(self, CORE_UNEXPECTED,
                                       state->unexpected_name, response);
  Py_DECREF(response);
  return result;
}

static int deliver_error(core_socket *self, const ws_event *event) {
  core_socket_show(self, WS_STATE_CLOSED);
  Py_XSETREF(self->failure, failure_of(self, &event->u.error));
  if (self->failure == NULL) {
    return core_host_report(core_socket_state(self), host_of(self),
                            (PyObject *)self);
  }
  if (event->u.error.response != NULL && has_listener(self, CORE_UNEXPECTED)) {
    self->is_refused = true;
    return deliver_refusal(self, &event->u.error);
  }
  if (!has_listener(self, CORE_ERROR)) return 0;
  return dispatch(self, CORE_ERROR,
                  core_error_event_new(core_socket_state(self), self->failure,
                                       core_loop_now(self->loop)));
}

static int dispatch_close(core_socket *self, const ws_event *event) {
  if (!has_listener(self, CORE_CLOSE) || self->is_refused) return 0;
  PyObject *reason = PyTuple_GET_ITEM(self->close_info, 1);
  return dispatch(self, CORE_CLOSE,
                  core_close_event_new(
                      core_socket_state(self), event->u.close.code, reason,
                      event->u.close.was_clean, core_loop_now(self->loop)));
}

static int deliver_close(core_socket *self, const ws_event *event) {
  core_socket_show(self, WS_STATE_CLOSED);
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
    result = core_host_report(core_socket_state(self), host_of(self),
                              (PyObject *)self);
  }
  core_socket_update_root(self);
  return result;
}

static int deliver_reconnect(core_socket *self, const ws_event *event) {
  PyObject *error = failure_of(self, &event->u.error);
  if (error == NULL) {
    return core_host_report(core_socket_state(self), host_of(self),
                            (PyObject *)self);
  }
  Py_XSETREF(self->failure, error);
  self->shown = WS_STATE_CONNECTING;
  core_socket_update_root(self);
  if (!has_listener(self, CORE_RECONNECT)) return 0;
  return dispatch(self, CORE_RECONNECT,
                  core_reconnect_event_new(core_socket_state(self), event,
                                           error, core_loop_now(self->loop)));
}

static int deliver(core_socket *self, const ws_event *event) {
  const core_state *state = core_socket_state(self);
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
