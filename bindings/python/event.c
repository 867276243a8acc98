#include "event.h"

#include <stddef.h>
#include <time.h>

/* Characters or bytes of a message that its repr shows. */
#define MAX_SHOWN 40

uint64_t core_now(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail. */
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- Event ----------------------------------------------------------------- */

static int event_traverse(PyObject *op, visitproc visit, void *arg) {
  core_event *self = (core_event *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->target);
  Py_VISIT(self->current_target);
  return 0;
}

static int event_clear(PyObject *op) {
  core_event *self = (core_event *)op;
  Py_CLEAR(self->target);
  Py_CLEAR(self->current_target);
  return 0;
}

/* For all classes: tp_clear knows the fields of each. */
static void event_dealloc(PyObject *op) {
  PyObject_GC_UnTrack(op);
  Py_TYPE(op)->tp_clear(op);
  Py_XDECREF(((core_event *)op)->type);
  core_free(op);
}

/* -- Constructors ---------------------------------------------------------- */

/* Sets one member of an event from the init dictionary or a keyword. */
typedef struct init_field {
  const char *name;
  enum {
    FIELD_BOOL,
    FIELD_CODE,
    FIELD_TEXT,
    FIELD_OBJECT
  } kind;
  size_t offset;
} init_field;

static const init_field event_fields[] = {
    {"bubbles", FIELD_BOOL, offsetof(core_event, bubbles)},
    {"cancelable", FIELD_BOOL, offsetof(core_event, cancelable)},
    {"composed", FIELD_BOOL, offsetof(core_event, composed)},
    {0}};

static const init_field message_fields[] = {
    {"data", FIELD_OBJECT, offsetof(core_message_event, data)},
    {"origin", FIELD_TEXT, offsetof(core_message_event, origin)},
    {"lastEventId", FIELD_TEXT, offsetof(core_message_event, last_event_id)},
    {0}};

static const init_field close_fields[] = {
    {"wasClean", FIELD_BOOL, offsetof(core_close_event, was_clean)},
    {"code", FIELD_CODE, offsetof(core_close_event, code)},
    {"reason", FIELD_TEXT, offsetof(core_close_event, reason)},
    {0}};

static const init_field error_fields[] = {
    {"message", FIELD_TEXT, offsetof(core_error_event, message)},
    {"error", FIELD_OBJECT, offsetof(core_error_event, error)},
    {0}};

static int set_code(void *place, PyObject *value) {
  const long code = PyLong_AsLong(value);
  if (code == -1 && PyErr_Occurred()) return -1;
  if (code < 0 || code > UINT16_MAX) {
    PyErr_SetString(PyExc_ValueError, "code must be 0 to 65535");
    return -1;
  }
  *(unsigned short *)place = (unsigned short)code;
  return 0;
}

static int set_field(core_event *self, const init_field *field,
                     PyObject *value) {
  void *place = (char *)self + field->offset;
  switch (field->kind) {
  case FIELD_BOOL: {
    const int truth = PyObject_IsTrue(value);
    if (truth < 0) return -1;
    *(char *)place = (char)truth;
    return 0;
  }
  case FIELD_CODE: return set_code(place, value);
  case FIELD_TEXT:
    if (!PyUnicode_Check(value)) {
      PyErr_Format(PyExc_TypeError, "%s must be a str", field->name);
      return -1;
    }
    break;
  case FIELD_OBJECT: break;
  }
  Py_XSETREF(*(PyObject **)place, Py_NewRef(value));
  return 0;
}

static const init_field *find_field(const init_field *fields, PyObject *name) {
  for (; fields != NULL && fields->name != NULL; fields++) {
    if (PyUnicode_CompareWithASCIIString(name, fields->name) == 0) {
      return fields;
    }
  }
  return NULL;
}

/* Sets members from an init dictionary. As in Web IDL, members that the class
 * does not know are passed over in a dictionary; as in Python, they are an
 * error among keywords. */
static int set_fields(core_event *self, const init_field *own, PyObject *init,
                      bool is_strict) {
  PyObject *key;
  PyObject *value;
  Py_ssize_t at = 0;
  while (PyDict_Next(init, &at, &key, &value)) {
    if (!PyUnicode_Check(key)) continue;
    const init_field *field = find_field(own, key);
    if (field == NULL) field = find_field(event_fields, key);
    if (field == NULL && is_strict) {
      PyErr_Format(PyExc_TypeError, "%.100s() has no argument %R",
                   Py_TYPE(self)->tp_name, key);
      return -1;
    }
    if (field != NULL && set_field(self, field, value) < 0) return -1;
  }
  return 0;
}

/* The fields that are objects are never NULL once the constructor is done. */
static int construct(PyObject *op, const init_field *own, PyObject *args,
                     PyObject *kwargs) {
  core_event *self = (core_event *)op;
  PyObject *type;
  PyObject *init = Py_None;
  if (!PyArg_ParseTuple(args, "U|O:Event", &type, &init)) return -1;
  if (init != Py_None && !PyDict_Check(init)) {
    PyErr_Format(PyExc_TypeError, "init must be a dict or None, not %.100s",
                 Py_TYPE(init)->tp_name);
    return -1;
  }
  Py_XSETREF(self->type, Py_NewRef(type));
  self->time_stamp = (double)core_now();
  if (init != Py_None && set_fields(self, own, init, false) < 0) return -1;
  if (kwargs != NULL && set_fields(self, own, kwargs, true) < 0) return -1;
  return 0;
}

static PyObject *event_alloc(PyTypeObject *type) {
  PyObject *self = type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  ((core_event *)self)->type = Py_NewRef(core_state_of(type)->empty_text);
  ((core_event *)self)->target = Py_NewRef(Py_None);
  return self;
}

static PyObject *event_new(PyTypeObject *type, PyObject *args,
                           PyObject *kwargs) {
  (void)args, (void)kwargs;
  return event_alloc(type);
}

static int event_init(PyObject *self, PyObject *args, PyObject *kwargs) {
  return construct(self, NULL, args, kwargs);
}

/* -- Attributes and methods of Event --------------------------------------- */

static PyObject *or_none(PyObject *object) {
  return Py_NewRef(object != NULL ? object : Py_None);
}

static PyObject *event_current_target(PyObject *self, void *closure) {
  (void)closure;
  return or_none(((core_event *)self)->current_target);
}

static PyObject *event_phase(PyObject *self, void *closure) {
  (void)closure;
  return PyLong_FromLong(((core_event *)self)->is_dispatched
                             ? CORE_PHASE_AT_TARGET
                             : CORE_PHASE_NONE);
}

static PyObject *event_composed_path(PyObject *op, PyObject *unused) {
  (void)unused;
  core_event *self = (core_event *)op;
  if (self->current_target == NULL) return PyList_New(0);
  return Py_BuildValue("[O]", self->current_target);
}

static PyObject *event_prevent_default(PyObject *op, PyObject *unused) {
  (void)unused;
  core_event *self = (core_event *)op;
  if (self->cancelable) self->is_canceled = 1;
  Py_RETURN_NONE;
}

/* There is no tree to go up. */
static PyObject *event_stop_propagation(PyObject *self, PyObject *unused) {
  (void)self, (void)unused;
  Py_RETURN_NONE;
}

static PyObject *event_stop_immediate_propagation(PyObject *self,
                                                  PyObject *unused) {
  (void)unused;
  ((core_event *)self)->is_stopped = 1;
  Py_RETURN_NONE;
}

static PyObject *event_repr(PyObject *self) {
  return PyUnicode_FromFormat("<%s %R>", Py_TYPE(self)->tp_name,
                              ((core_event *)self)->type);
}

/* T_OBJECT_EX is what the interpreter reads without a call. */
static PyMemberDef event_members[] = {
    {"type", T_OBJECT_EX, offsetof(core_event, type), READONLY,
     "The name of the event."},
    {"target", T_OBJECT_EX, offsetof(core_event, target), READONLY,
     "Whose event it is."},
    {"timeStamp", T_DOUBLE, offsetof(core_event, time_stamp), READONLY,
     "When it was made, in milliseconds of a monotonic clock."},
    {"bubbles", T_BOOL, offsetof(core_event, bubbles), READONLY, NULL},
    {"cancelable", T_BOOL, offsetof(core_event, cancelable), READONLY,
     "Whether preventDefault() has an effect."},
    {"composed", T_BOOL, offsetof(core_event, composed), READONLY, NULL},
    {"defaultPrevented", T_BOOL, offsetof(core_event, is_canceled), READONLY,
     "Whether preventDefault() was called on a cancelable event."},
    {"isTrusted", T_BOOL, offsetof(core_event, is_trusted), READONLY,
     "Whether the library made it, and not dispatchEvent()."},
    {0}};

static PyGetSetDef event_getset[] = {
    {"currentTarget", event_current_target, NULL,
     "Whose listeners are called now, or None.", NULL},
    {"eventPhase", event_phase, NULL,
     "AT_TARGET while listeners are called, otherwise NONE.", NULL},
    {0}};

static PyMethodDef event_methods[] = {
    {"composedPath", event_composed_path, METH_NOARGS,
     "composedPath($self, /)\n--\n\nReturn the objects whose listeners are "
     "called."},
    {"preventDefault", event_prevent_default, METH_NOARGS,
     "preventDefault($self, /)\n--\n\nCancel the event if it is cancelable."},
    {"stopPropagation", event_stop_propagation, METH_NOARGS,
     "stopPropagation($self, /)\n--\n\nDo nothing: events do not travel."},
    {"stopImmediatePropagation", event_stop_immediate_propagation, METH_NOARGS,
     "stopImmediatePropagation($self, /)\n--\n\nDo not call further "
     "listeners."},
    {0}};

static PyType_Slot event_slots[] = {
    {Py_tp_doc,
     "Event(type, init=None, /, **kwargs)\n--\n\nAn event of the DOM."},
    {Py_tp_new, event_new},
    {Py_tp_init, event_init},
    {Py_tp_dealloc, event_dealloc},
    {Py_tp_traverse, event_traverse},
    {Py_tp_clear, event_clear},
    {Py_tp_repr, event_repr},
    {Py_tp_members, event_members},
    {Py_tp_getset, event_getset},
    {Py_tp_methods, event_methods},
    {0, NULL}};

/* -- MessageEvent ---------------------------------------------------------- */

static int message_traverse(PyObject *op, visitproc visit, void *arg) {
  Py_VISIT(((core_message_event *)op)->data);
  return event_traverse(op, visit, arg);
}

static int message_clear(PyObject *op) {
  core_message_event *self = (core_message_event *)op;
  Py_CLEAR(self->data);
  Py_CLEAR(self->origin);
  Py_CLEAR(self->last_event_id);
  return event_clear(op);
}

static int message_init(PyObject *op, PyObject *args, PyObject *kwargs) {
  core_message_event *self = (core_message_event *)op;
  core_state *state = core_state_of(Py_TYPE(op));
  Py_XSETREF(self->data, Py_NewRef(Py_None));
  Py_XSETREF(self->origin, Py_NewRef(state->empty_text));
  Py_XSETREF(self->last_event_id, Py_NewRef(state->empty_text));
  return construct(op, message_fields, args, kwargs);
}

static PyObject *message_source(PyObject *self, void *closure) {
  (void)self, (void)closure;
  Py_RETURN_NONE;
}

static PyObject *message_ports(PyObject *self, void *closure) {
  (void)self, (void)closure;
  return PyList_New(0);
}

static PyObject *message_last_event_id(PyObject *op, void *closure) {
  (void)closure;
  core_message_event *self = (core_message_event *)op;
  if (self->last_event_id != NULL) return Py_NewRef(self->last_event_id);
  return Py_NewRef(core_state_of(Py_TYPE(op))->empty_text);
}

/* As much of the data of a message as a line has room for, as its repr. */
static PyObject *shown_data(PyObject *data) {
  if (data == NULL) return PyUnicode_FromString("None");
  const bool has_parts =
      PyUnicode_Check(data) || PyBytes_Check(data) || PyByteArray_Check(data);
  if (!has_parts || PyObject_Size(data) <= MAX_SHOWN) {
    return PyObject_Repr(data);
  }
  PyObject *start = PySequence_GetSlice(data, 0, MAX_SHOWN);
  if (start == NULL) return NULL;
  PyObject *shown = PyUnicode_FromFormat("%R...", start);
  Py_DECREF(start);
  return shown;
}

static PyObject *message_repr(PyObject *op) {
  PyObject *shown = shown_data(((core_message_event *)op)->data);
  if (shown == NULL) return NULL;
  PyObject *repr = PyUnicode_FromFormat("<%s %R data=%U>", Py_TYPE(op)->tp_name,
                                        ((core_event *)op)->type, shown);
  Py_DECREF(shown);
  return repr;
}

static PyMemberDef message_members[] = {
    {"data", T_OBJECT_EX, offsetof(core_message_event, data), READONLY,
     "The message: str, bytes, or bytearray if binaryType is \"arraybuffer\"."},
    {"origin", T_OBJECT_EX, offsetof(core_message_event, origin), READONLY,
     "Where it comes from: scheme, host and port of the server, or the Origin "
     "of the client."},
    {0}};

static PyGetSetDef message_getset[] = {
    {"lastEventId", message_last_event_id, NULL, "Always \"\".", NULL},
    {"source", message_source, NULL, "Always None.", NULL},
    {"ports", message_ports, NULL, "Always empty.", NULL},
    {0}};

static PyType_Slot message_slots[] = {
    {Py_tp_doc, "MessageEvent(type, init=None, /, **kwargs)\n--\n\nA message."},
    {Py_tp_init, message_init},
    {Py_tp_repr, message_repr},
    {Py_tp_traverse, message_traverse},
    {Py_tp_clear, message_clear},
    {Py_tp_members, message_members},
    {Py_tp_getset, message_getset},
    {0, NULL}};

/* -- CloseEvent ------------------------------------------------------------ */

static int close_clear(PyObject *op) {
  Py_CLEAR(((core_close_event *)op)->reason);
  return event_clear(op);
}

static int close_init(PyObject *op, PyObject *args, PyObject *kwargs) {
  Py_XSETREF(((core_close_event *)op)->reason,
             Py_NewRef(core_state_of(Py_TYPE(op))->empty_text));
  return construct(op, close_fields, args, kwargs);
}

static PyObject *close_repr(PyObject *op) {
  const core_close_event *self = (core_close_event *)op;
  return PyUnicode_FromFormat("<%s %R code=%d reason=%R wasClean=%s>",
                              Py_TYPE(op)->tp_name, self->base.type,
                              (int)self->code,
                              self->reason != NULL ? self->reason : Py_None,
                              self->was_clean ? "True" : "False");
}

static PyMemberDef close_members[] = {
    {"code", T_USHORT, offsetof(core_close_event, code), READONLY,
     "The peer's close code, 1005 if it gave none, 1006 after a failure."},
    {"reason", T_OBJECT, offsetof(core_close_event, reason), READONLY,
     "The peer's reason."},
    {"wasClean", T_BOOL, offsetof(core_close_event, was_clean), READONLY,
     "Whether both sides agreed to close."},
    {0}};

static PyType_Slot close_slots[] = {
    {Py_tp_doc, "CloseEvent(type, init=None, /, **kwargs)\n--\n\nThe end of a "
                "connection."},
    {Py_tp_init, close_init},
    {Py_tp_repr, close_repr},
    {Py_tp_traverse, event_traverse},
    {Py_tp_clear, close_clear},
    {Py_tp_members, close_members},
    {0, NULL}};

/* -- ErrorEvent ------------------------------------------------------------ */

static int error_traverse(PyObject *op, visitproc visit, void *arg) {
  Py_VISIT(((core_error_event *)op)->error);
  return event_traverse(op, visit, arg);
}

static int error_clear(PyObject *op) {
  core_error_event *self = (core_error_event *)op;
  Py_CLEAR(self->message);
  Py_CLEAR(self->error);
  return event_clear(op);
}

static int error_init(PyObject *op, PyObject *args, PyObject *kwargs) {
  core_error_event *self = (core_error_event *)op;
  Py_XSETREF(self->message, Py_NewRef(core_state_of(Py_TYPE(op))->empty_text));
  Py_XSETREF(self->error, Py_NewRef(Py_None));
  return construct(op, error_fields, args, kwargs);
}

static PyObject *error_repr(PyObject *op) {
  const core_error_event *self = (core_error_event *)op;
  return PyUnicode_FromFormat("<%s %R message=%R>", Py_TYPE(op)->tp_name,
                              self->base.type,
                              self->message != NULL ? self->message : Py_None);
}

static PyMemberDef error_members[] = {
    {"message", T_OBJECT, offsetof(core_error_event, message), READONLY,
     "One line that says what was wrong."},
    {"error", T_OBJECT, offsetof(core_error_event, error), READONLY,
     "The same as an exception, a WebSocketError."},
    {0}};

static PyType_Slot error_slots[] = {
    {Py_tp_doc,
     "ErrorEvent(type, init=None, /, **kwargs)\n--\n\nWhy a connection fails."},
    {Py_tp_init, error_init},
    {Py_tp_repr, error_repr},
    {Py_tp_traverse, error_traverse},
    {Py_tp_clear, error_clear},
    {Py_tp_members, error_members},
    {0, NULL}};

/* -- Events that only the library makes ------------------------------------ */

static int control_clear(PyObject *op) {
  core_control_event *self = (core_control_event *)op;
  Py_CLEAR(self->data);
  Py_CLEAR(self->rtt);
  return event_clear(op);
}

static PyMemberDef control_members[] = {
    {"data", T_OBJECT, offsetof(core_control_event, data), READONLY,
     "What the ping or pong carries."},
    {"rtt", T_OBJECT, offsetof(core_control_event, rtt), READONLY,
     "Seconds since the ping left that this pong answers, or None."},
    {0}};

static PyType_Slot control_slots[] = {
    {Py_tp_doc, "A ping or pong of the peer."}, {Py_tp_new, core_refuse_new},
    {Py_tp_traverse, event_traverse},           {Py_tp_clear, control_clear},
    {Py_tp_members, control_members},           {0, NULL}};

static int reconnect_traverse(PyObject *op, visitproc visit, void *arg) {
  Py_VISIT(((core_reconnect_event *)op)->error);
  return event_traverse(op, visit, arg);
}

static int reconnect_clear(PyObject *op) {
  core_reconnect_event *self = (core_reconnect_event *)op;
  Py_CLEAR(self->reason);
  Py_CLEAR(self->error);
  return event_clear(op);
}

static PyMemberDef reconnect_members[] = {
    {"attempt", T_UINT, offsetof(core_reconnect_event, attempt), READONLY,
     "The coming attempt, counted from 1."},
    {"delay", T_DOUBLE, offsetof(core_reconnect_event, delay), READONLY,
     "Seconds until it."},
    {"code", T_USHORT, offsetof(core_reconnect_event, code), READONLY,
     "What the close event would have said."},
    {"reason", T_OBJECT, offsetof(core_reconnect_event, reason), READONLY,
     "What the close event would have said."},
    {"error", T_OBJECT, offsetof(core_reconnect_event, error), READONLY,
     "Why the connection was lost, a WebSocketError."},
    {0}};

static PyType_Slot reconnect_slots[] = {
    {Py_tp_doc, "A client lost its connection and will try again."},
    {Py_tp_new, core_refuse_new},
    {Py_tp_traverse, reconnect_traverse},
    {Py_tp_clear, reconnect_clear},
    {Py_tp_members, reconnect_members},
    {0, NULL}};

static int request_event_traverse(PyObject *op, visitproc visit, void *arg) {
  Py_VISIT(((core_request_event *)op)->request);
  return event_traverse(op, visit, arg);
}

static int request_event_clear(PyObject *op) {
  Py_CLEAR(((core_request_event *)op)->request);
  return event_clear(op);
}

static PyMemberDef request_event_members[] = {
    {"request", T_OBJECT, offsetof(core_request_event, request), READONLY,
     "What waits for an answer."},
    {0}};

static PyType_Slot request_event_slots[] = {
    {Py_tp_doc, "A request came to a Connection that is a server's."},
    {Py_tp_new, core_refuse_new},
    {Py_tp_traverse, request_event_traverse},
    {Py_tp_clear, request_event_clear},
    {Py_tp_members, request_event_members},
    {0, NULL}};

static int response_event_traverse(PyObject *op, visitproc visit, void *arg) {
  Py_VISIT(((core_response_event *)op)->response);
  return event_traverse(op, visit, arg);
}

static int response_event_clear(PyObject *op) {
  Py_CLEAR(((core_response_event *)op)->response);
  return event_clear(op);
}

static PyMemberDef response_event_members[] = {
    {"response", T_OBJECT, offsetof(core_response_event, response), READONLY,
     "What the server has answered the handshake."},
    {0}};

static PyType_Slot response_event_slots[] = {
    {Py_tp_doc, "A server answered the handshake of a client."},
    {Py_tp_new, core_refuse_new},
    {Py_tp_traverse, response_event_traverse},
    {Py_tp_clear, response_event_clear},
    {Py_tp_members, response_event_members},
    {0, NULL}};

/* -- Making events --------------------------------------------------------- */

/* An event that the library made. */
static PyObject *trusted(PyTypeObject *type, PyObject *name, uint64_t now) {
  core_event *self = (core_event *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->type = Py_NewRef(name);
  self->target = Py_NewRef(Py_None);
  self->time_stamp = (double)now;
  self->is_trusted = 1;
  return (PyObject *)self;
}

PyObject *core_event_new(core_state *state, PyObject *type, uint64_t now) {
  return trusted(state->event_type, type, now);
}

PyObject *core_message_event_new(core_state *state, PyObject *data,
                                 PyObject *origin, uint64_t now) {
  core_message_event *self = (core_message_event *)trusted(
      state->message_event_type, state->message_name, now);
  if (self == NULL) {
    Py_DECREF(data);
    return NULL;
  }
  self->data = data;
  self->origin = Py_NewRef(origin);
  return (PyObject *)self;
}

PyObject *core_close_event_new(core_state *state, uint16_t code,
                               PyObject *reason, bool was_clean, uint64_t now) {
  core_close_event *self = (core_close_event *)trusted(state->close_event_type,
                                                       state->close_name, now);
  if (self == NULL) return NULL;
  self->code = code;
  self->reason = Py_NewRef(reason);
  self->was_clean = was_clean;
  return (PyObject *)self;
}

PyObject *core_error_event_new(core_state *state, PyObject *error,
                               uint64_t now) {
  PyObject *message = PyObject_Str(error);
  if (message == NULL) return NULL;
  core_error_event *self = (core_error_event *)trusted(state->error_event_type,
                                                       state->error_name, now);
  if (self == NULL) {
    Py_DECREF(message);
    return NULL;
  }
  self->message = message;
  self->error = Py_NewRef(error);
  return (PyObject *)self;
}

PyObject *core_control_event_new(core_state *state, PyObject *type,
                                 const uint8_t *data, size_t len, uint32_t rtt,
                                 uint64_t now) {
  core_control_event *self =
      (core_control_event *)trusted(state->control_event_type, type, now);
  if (self == NULL) return NULL;
  self->data = PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)len);
  self->rtt = rtt == WS_NEVER ? Py_NewRef(Py_None)
                              : PyFloat_FromDouble((double)rtt / 1000);
  if (self->data == NULL || self->rtt == NULL) Py_CLEAR(self);
  return (PyObject *)self;
}

PyObject *core_reconnect_event_new(core_state *state, const ws_event *event,
                                   PyObject *error, uint64_t now) {
  core_reconnect_event *self = (core_reconnect_event *)trusted(
      state->reconnect_event_type, state->reconnect_name, now);
  if (self == NULL) return NULL;
  self->attempt = event->reconnect.attempt;
  self->delay = (double)event->reconnect.delay / 1000;
  self->code = event->reconnect.close_code;
  self->error = Py_NewRef(error);
  self->reason = PyUnicode_FromString(event->reconnect.close_reason);
  if (self->reason == NULL) Py_CLEAR(self);
  return (PyObject *)self;
}

PyObject *core_request_event_new(core_state *state, PyObject *request,
                                 uint64_t now) {
  core_request_event *self = (core_request_event *)trusted(
      state->request_event_type, state->request_name, now);
  if (self == NULL) return NULL;
  self->request = Py_NewRef(request);
  return (PyObject *)self;
}

PyObject *core_response_event_new(core_state *state, PyObject *type,
                                  PyObject *response, uint64_t now) {
  core_response_event *self =
      (core_response_event *)trusted(state->response_event_type, type, now);
  if (self != NULL) self->response = Py_NewRef(response);
  return (PyObject *)self;
}

/* -- Adding the types ------------------------------------------------------ */

static PyType_Spec spec(const char *name, size_t size, PyType_Slot *slots) {
  return (PyType_Spec){.name = name,
                       .basicsize = (int)size,
                       .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                Py_TPFLAGS_BASETYPE,
                       .slots = slots};
}

static int add_constants(PyTypeObject *type) {
  static const char *const names[] = {"NONE", "CAPTURING_PHASE", "AT_TARGET",
                                      "BUBBLING_PHASE"};
  for (long i = 0; i < 4; i++) {
    PyObject *value = PyLong_FromLong(i);
    if (value == NULL) return -1;
    const int result =
        PyObject_SetAttrString((PyObject *)type, names[i], value);
    Py_DECREF(value);
    if (result < 0) return -1;
  }
  return 0;
}

int core_add_events(PyObject *module) {
  core_state *state = core_state_of_module(module);
  PyType_Spec base = spec("libws.Event", sizeof(core_event), event_slots);
  if (core_add_type(module, &base, NULL, &state->event_type) < 0 ||
      add_constants(state->event_type) < 0) {
    return -1;
  }
  struct {
    PyType_Spec spec;
    PyTypeObject **place;
  } kinds[] = {
      {spec("libws.MessageEvent", sizeof(core_message_event), message_slots),
       &state->message_event_type},
      {spec("libws.CloseEvent", sizeof(core_close_event), close_slots),
       &state->close_event_type},
      {spec("libws.ErrorEvent", sizeof(core_error_event), error_slots),
       &state->error_event_type},
      {spec("libws.ControlEvent", sizeof(core_control_event), control_slots),
       &state->control_event_type},
      {spec("libws.ReconnectEvent", sizeof(core_reconnect_event),
            reconnect_slots),
       &state->reconnect_event_type},
      {spec("libws.RequestEvent", sizeof(core_request_event),
            request_event_slots),
       &state->request_event_type},
      {spec("libws.ResponseEvent", sizeof(core_response_event),
            response_event_slots),
       &state->response_event_type},
  };
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    if (core_add_type(module, &kinds[i].spec, (PyObject *)state->event_type,
                      kinds[i].place) < 0) {
      return -1;
    }
  }
  return 0;
}
