#include "receiver.h"

typedef struct receiver {
  PyObject_HEAD
  core_socket *socket;
  PyObject *future;  /* Being waited for, or NULL; */
  PyObject *waiting; /* and its iterator. */
  bool is_iteration; /* Ends with StopAsyncIteration if all is in order. */
} receiver;

/* -- Waiting --------------------------------------------------------------- */

static void stop_waiting(receiver *self) {
  core_socket *socket = self->socket;
  if (socket->waiter != NULL && socket->waiter == self->future) {
    Py_CLEAR(socket->waiter);
    core_socket_update_root(socket);
  }
  Py_CLEAR(self->waiting);
  Py_CLEAR(self->future);
}

static int begin_waiting(receiver *self) {
  core_socket *socket = self->socket;
  if (socket->loop->host == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "there is no asyncio loop to wait in");
    return -1;
  }
  if (socket->waiter != NULL) {
    PyErr_SetString(PyExc_RuntimeError,
                    "another task waits for the next message already");
    return -1;
  }
  self->future = PyObject_CallMethodNoArgs(
      socket->loop->host, socket->loop->state->create_future_name);
  if (self->future == NULL) return -1;
  const PyAsyncMethods *methods = Py_TYPE(self->future)->tp_as_async;
  if (methods == NULL || methods->am_await == NULL) {
    Py_CLEAR(self->future);
    PyErr_SetString(PyExc_TypeError, "create_future() made no awaitable");
    return -1;
  }
  self->waiting = methods->am_await(self->future);
  if (self->waiting == NULL) {
    Py_CLEAR(self->future);
    return -1;
  }
  socket->waiter = Py_NewRef(self->future);
  core_socket_update_root(socket);
  return 0;
}

int core_receiver_wake(core_state *state, PyObject *waiter) {
  if (PyCallable_Check(waiter)) {
    PyObject *result = PyObject_CallNoArgs(waiter);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
  }
  /* A future; it may have been cancelled. */
  PyObject *done = PyObject_CallMethodNoArgs(waiter, state->done_name);
  if (done == NULL) return -1;
  const int is_done = PyObject_IsTrue(done);
  Py_DECREF(done);
  if (is_done != 0) return is_done < 0 ? -1 : 0;
  PyObject *result =
      PyObject_CallMethodOneArg(waiter, state->set_result_name, Py_None);
  Py_XDECREF(result);
  return result != NULL ? 0 : -1;
}

/* -- The awaitable --------------------------------------------------------- */

/* The end of the queue, as an exception. */
static void raise_end(receiver *self) {
  PyObject *error = core_socket_closed_error(self->socket);
  if (error == NULL) return;
  const core_state *state = self->socket->loop->state;
  if (self->is_iteration &&
      Py_IS_TYPE(error, (PyTypeObject *)state->closed_ok_error)) {
    PyErr_SetNone(PyExc_StopAsyncIteration);
  } else {
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
  }
  Py_DECREF(error);
}

static PySendResult receiver_send(PyObject *op, PyObject *value,
                                  PyObject **out_result) {
  receiver *self = (receiver *)op;
  for (;;) {
    if (self->waiting != NULL) {
      const PySendResult step = PyIter_Send(self->waiting, value, out_result);
      if (step == PYGEN_NEXT) return step;
      stop_waiting(self);
      if (step == PYGEN_ERROR) return step;
      Py_DECREF(*out_result);
    }
    *out_result = core_socket_pop(self->socket);
    if (*out_result != NULL) return PYGEN_RETURN;
    if (PyErr_Occurred()) return PYGEN_ERROR;
    if (self->socket->has_ended || self->socket->loop->handle == NULL) {
      raise_end(self);
      return PYGEN_ERROR;
    }
    if (begin_waiting(self) < 0) return PYGEN_ERROR;
    value = Py_None;
  }
}

static PyObject *receiver_next(PyObject *op) {
  PyObject *result = NULL;
  switch (receiver_send(op, Py_None, &result)) {
  case PYGEN_NEXT: return result;
  case PYGEN_RETURN: {
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
    Py_DECREF(result);
    if (stop != NULL) PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    return NULL;
  }
  case PYGEN_ERROR: break;
  }
  return NULL;
}

static PyObject *receiver_send_method(PyObject *op, PyObject *value) {
  (void)value; /* Only None makes sense, as for a future. */
  return receiver_next(op);
}

/* Raises what throw() was given: an exception, or a class and a value. */
static PyObject *raise_given(PyObject *args) {
  PyObject *type;
  PyObject *value = Py_None;
  PyObject *traceback = Py_None;
  if (!PyArg_ParseTuple(args, "O|OO:throw", &type, &value, &traceback)) {
    return NULL;
  }
  if (PyExceptionInstance_Check(type)) {
    PyErr_SetObject((PyObject *)Py_TYPE(type), type);
  } else {
    PyErr_SetObject(type, value);
  }
  return NULL;
}

static PyObject *receiver_throw(PyObject *op, PyObject *args) {
  receiver *self = (receiver *)op;
  if (self->waiting == NULL) return raise_given(args);
  PyObject *name = self->socket->loop->state->throw_name;
  PyObject *method = PyObject_GetAttr(self->waiting, name);
  PyObject *result = method != NULL ? PyObject_Call(method, args, NULL) : NULL;
  Py_XDECREF(method);
  if (result == NULL) stop_waiting(self);
  return result;
}

static PyObject *receiver_close(PyObject *op, PyObject *unused) {
  (void)unused;
  stop_waiting((receiver *)op);
  Py_RETURN_NONE;
}

/* -- The type -------------------------------------------------------------- */

PyObject *core_receiver_new(core_socket *socket, bool is_iteration) {
  receiver *self =
      PyObject_GC_New(receiver, socket->loop->state->receiver_type);
  if (self == NULL) return NULL;
  self->socket = (core_socket *)Py_NewRef((PyObject *)socket);
  self->future = self->waiting = NULL;
  self->is_iteration = is_iteration;
  PyObject_GC_Track(self);
  return (PyObject *)self;
}

static int receiver_traverse(PyObject *op, visitproc visit, void *arg) {
  receiver *self = (receiver *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->socket);
  Py_VISIT(self->future);
  Py_VISIT(self->waiting);
  return 0;
}

static int receiver_clear(PyObject *op) {
  stop_waiting((receiver *)op);
  return 0;
}

static void receiver_dealloc(PyObject *op) {
  PyObject_GC_UnTrack(op);
  stop_waiting((receiver *)op);
  Py_DECREF(((receiver *)op)->socket);
  core_free(op);
}

static PyMethodDef receiver_methods[] = {
    {"send", receiver_send_method, METH_O, NULL},
    {"throw", receiver_throw, METH_VARARGS, NULL},
    {"close", receiver_close, METH_NOARGS, NULL},
    {0}};

static PyType_Slot receiver_slots[] = {{Py_tp_doc, "Awaits the next message."},
                                       {Py_tp_new, core_refuse_new},
                                       {Py_tp_dealloc, receiver_dealloc},
                                       {Py_tp_traverse, receiver_traverse},
                                       {Py_tp_clear, receiver_clear},
                                       {Py_tp_iter, PyObject_SelfIter},
                                       {Py_tp_iternext, receiver_next},
                                       {Py_tp_methods, receiver_methods},
                                       {Py_am_await, PyObject_SelfIter},
                                       {Py_am_send, receiver_send},
                                       {0, NULL}};

static PyType_Spec receiver_spec = {
    .name = "libws._core._Receiver",
    .basicsize = sizeof(receiver),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = receiver_slots};

/* -- Iteration ------------------------------------------------------------- */

typedef struct iterator {
  PyObject_HEAD
  core_socket *socket;
  PyObject *other;
  PyObject *receiver; /* Is used again when nobody else has it any more. */
} iterator;

PyObject *core_iterator_new(core_socket *socket, PyObject *other) {
  iterator *self =
      PyObject_GC_New(iterator, socket->loop->state->iterator_type);
  if (self == NULL) return NULL;
  self->socket = (core_socket *)Py_NewRef((PyObject *)socket);
  self->other = Py_NewRef(other);
  self->receiver = NULL;
  PyObject_GC_Track(self);
  return (PyObject *)self;
}

static PyObject *iterator_next(PyObject *op) {
  iterator *self = (iterator *)op;
  core_socket *socket = self->socket;
  if (socket->is_streaming) {
    return PyObject_CallMethodNoArgs(self->other,
                                     socket->loop->state->__anext___name);
  }
  if (self->receiver != NULL && Py_REFCNT(self->receiver) == 1 &&
      ((receiver *)self->receiver)->waiting == NULL) {
    return Py_NewRef(self->receiver);
  }
  PyObject *fresh = core_receiver_new(socket, true);
  Py_XSETREF(self->receiver, Py_XNewRef(fresh));
  return fresh;
}

static int iterator_traverse(PyObject *op, visitproc visit, void *arg) {
  iterator *self = (iterator *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->socket);
  Py_VISIT(self->other);
  Py_VISIT(self->receiver);
  return 0;
}

/* Cycles go through `other`; the socket stays valid until the end. */
static int iterator_clear(PyObject *op) {
  Py_CLEAR(((iterator *)op)->other);
  Py_CLEAR(((iterator *)op)->receiver);
  return 0;
}

static void iterator_dealloc(PyObject *op) {
  PyObject_GC_UnTrack(op);
  (void)iterator_clear(op);
  Py_DECREF(((iterator *)op)->socket);
  core_free(op);
}

static PyType_Slot iterator_slots[] = {
    {Py_tp_doc, "Iterates over messages."}, {Py_tp_new, core_refuse_new},
    {Py_tp_dealloc, iterator_dealloc},      {Py_tp_traverse, iterator_traverse},
    {Py_tp_clear, iterator_clear},          {Py_am_aiter, PyObject_SelfIter},
    {Py_am_anext, iterator_next},           {0, NULL}};

static PyType_Spec iterator_spec = {
    .name = "libws._core._Iterator",
    .basicsize = sizeof(iterator),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = iterator_slots};

/* -- What has been sent ---------------------------------------------------- */

static PySendResult sent_send(PyObject *op, PyObject *value,
                              PyObject **out_result) {
  (void)op;
  (void)value;
  *out_result = Py_NewRef(Py_None);
  return PYGEN_RETURN;
}

static PyObject *sent_next(PyObject *op) {
  (void)op;
  return NULL; /* Which is StopIteration. */
}

static PyObject *sent_send_method(PyObject *op, PyObject *value) {
  (void)op;
  (void)value;
  PyErr_SetNone(PyExc_StopIteration);
  return NULL;
}

static PyObject *sent_throw(PyObject *op, PyObject *args) {
  (void)op;
  return raise_given(args);
}

static PyObject *sent_close(PyObject *op, PyObject *unused) {
  (void)op;
  (void)unused;
  Py_RETURN_NONE;
}

static int sent_traverse(PyObject *op, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(op));
  return 0;
}

static void sent_dealloc(PyObject *op) {
  PyObject_GC_UnTrack(op);
  core_free(op);
}

static PyMethodDef sent_methods[] = {{"send", sent_send_method, METH_O, NULL},
                                     {"throw", sent_throw, METH_VARARGS, NULL},
                                     {"close", sent_close, METH_NOARGS, NULL},
                                     {0}};

static PyType_Slot sent_slots[] = {
    {Py_tp_doc, "An awaitable that waits for nothing, again and again."},
    {Py_tp_new, core_refuse_new},
    {Py_tp_dealloc, sent_dealloc},
    {Py_tp_traverse, sent_traverse},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, sent_next},
    {Py_tp_methods, sent_methods},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, sent_send},
    {0, NULL}};

static PyType_Spec sent_spec = {
    .name = "libws._core._Sent",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = sent_slots};

static int add_sent(PyObject *module, core_state *state) {
  if (core_add_type(module, &sent_spec, NULL, &state->sent_type) < 0) return -1;
  state->sent = (PyObject *)PyObject_GC_New(PyObject, state->sent_type);
  if (state->sent == NULL) return -1;
  PyObject_GC_Track(state->sent);
  return 0;
}

int core_add_receivers(PyObject *module) {
  core_state *state = core_state_of_module(module);
  if (core_add_type(module, &receiver_spec, NULL, &state->receiver_type) < 0 ||
      core_add_type(module, &iterator_spec, NULL, &state->iterator_type) < 0) {
    return -1;
  }
  return add_sent(module, state);
}
