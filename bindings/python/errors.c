#include "errors.h"

/* -- The classes ----------------------------------------------------------- */

/* The members of the DOMException family differ in two class attributes. */
typedef struct class_spec {
  PyObject **place;
  const char *name;
  const char *doc;
  PyObject *bases[2];
  const char *dom_name; /* NULL for what is no DOMException. */
  long dom_code;
} class_spec;

static int set_text(PyObject *dict, const char *key, const char *text) {
  PyObject *value = PyUnicode_FromString(text);
  if (value == NULL) return -1;
  const int result = PyDict_SetItemString(dict, key, value);
  Py_DECREF(value);
  return result;
}

static PyObject *class_attributes(const class_spec *spec) {
  PyObject *dict = PyDict_New();
  if (dict == NULL || spec->dom_name == NULL) return dict;
  PyObject *code = PyLong_FromLong(spec->dom_code);
  if (code == NULL || PyDict_SetItemString(dict, "code", code) < 0 ||
      set_text(dict, "name", spec->dom_name) < 0) {
    Py_CLEAR(dict);
  }
  Py_XDECREF(code);
  return dict;
}

static int add_class(PyObject *module, const class_spec *spec) {
  PyObject *bases = spec->bases[1] != NULL
                        ? PyTuple_Pack(2, spec->bases[0], spec->bases[1])
                        : PyTuple_Pack(1, spec->bases[0]);
  PyObject *dict = bases != NULL ? class_attributes(spec) : NULL;
  PyObject *full_name = PyUnicode_FromFormat("libws.%s", spec->name);
  if (dict != NULL && full_name != NULL) {
    *spec->place = PyErr_NewExceptionWithDoc(PyUnicode_AsUTF8(full_name),
                                             spec->doc, bases, dict);
  }
  Py_XDECREF(full_name);
  Py_XDECREF(dict);
  Py_XDECREF(bases);
  if (*spec->place == NULL) return -1;
  return PyModule_AddObjectRef(module, spec->name, *spec->place);
}

/* DOMException(message="", name="Error"). The class attributes `name` and
 * `code` of the subclasses are kept unless a name is given. */
static int dom_exception_init(PyObject *self, PyObject *args,
                              PyObject *kwargs) {
  PyObject *message = NULL;
  PyObject *name = NULL;
  if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
    PyErr_SetString(PyExc_TypeError, "DOMException takes no keyword arguments");
    return -1;
  }
  if (!PyArg_ParseTuple(args, "|UU:DOMException", &message, &name)) return -1;
  PyObject *only_message =
      message != NULL ? PyTuple_Pack(1, message) : PyTuple_New(0);
  if (only_message == NULL) return -1;
  const int result = PyObject_SetAttrString(self, "args", only_message);
  Py_DECREF(only_message);
  if (result < 0 || name == NULL) return result;
  return PyObject_SetAttrString(self, "name", name);
}

static PyObject *dom_exception_message(PyObject *self, void *closure) {
  (void)closure;
  PyObject *args = PyObject_GetAttrString(self, "args");
  if (args == NULL) return NULL;
  PyObject *message = PyTuple_Check(args) && PyTuple_GET_SIZE(args) > 0
                          ? PyObject_Str(PyTuple_GET_ITEM(args, 0))
                          : PyUnicode_FromString("");
  Py_DECREF(args);
  return message;
}

static PyGetSetDef dom_exception_getset[] = {
    {"message", dom_exception_message, NULL, "What was wrong.", NULL}, {0}};

static PyType_Slot dom_exception_slots[] = {
    {Py_tp_doc,
     "An error of the browser's API, with a name and a legacy code."},
    {Py_tp_init, dom_exception_init},
    {Py_tp_getset, dom_exception_getset},
    {0, NULL}};

/* The size is Exception's, so that subclasses may have a second base. */
static PyType_Spec dom_exception_spec = {.name = "libws.DOMException",
                                         .flags = Py_TPFLAGS_DEFAULT |
                                                  Py_TPFLAGS_BASETYPE,
                                         .slots = dom_exception_slots};

static int add_dom_exception(PyObject *module, core_state *state) {
  PyTypeObject *type;
  if (core_add_type(module, &dom_exception_spec, PyExc_Exception, &type) < 0) {
    return -1;
  }
  state->dom_exception_error = (PyObject *)type;
  PyObject *code = PyLong_FromLong(0);
  const int result =
      code != NULL ? PyObject_SetAttrString((PyObject *)type, "code", code)
                   : -1;
  Py_XDECREF(code);
  PyObject *name = PyUnicode_FromString("Error");
  const int named = name != NULL
                        ? PyObject_SetAttrString((PyObject *)type, "name", name)
                        : -1;
  Py_XDECREF(name);
  return result < 0 ? result : named;
}

static int add_classes(PyObject *module, const class_spec *specs,
                       size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (add_class(module, &specs[i]) < 0) return -1;
  }
  return 0;
}

static int add_dom_errors(PyObject *module, core_state *s) {
  if (add_dom_exception(module, s) < 0) return -1;
  PyObject *base = s->dom_exception_error;
  const class_spec specs[] = {
      {&s->invalid_state_error,
       "InvalidStateError",
       "The call is not possible in this state.",
       {base, PyExc_RuntimeError},
       "InvalidStateError",
       11},
      {&s->syntax_error,
       "SyntaxError",
       "A malformed URL, subprotocol or close reason. Not the builtin.",
       {base, PyExc_ValueError},
       "SyntaxError",
       12},
      {&s->invalid_access_error,
       "InvalidAccessError",
       "A close code that an application may not use.",
       {base, PyExc_ValueError},
       "InvalidAccessError",
       15},
      {&s->security_error,
       "SecurityError",
       "Not allowed for security.",
       {base, PyExc_PermissionError},
       "SecurityError",
       18},
      {&s->abort_error,
       "AbortError",
       "An AbortSignal ended it.",
       {base, NULL},
       "AbortError",
       20},
  };
  return add_classes(module, specs, sizeof(specs) / sizeof(specs[0]));
}

static int add_websocket_errors(PyObject *module, core_state *s) {
  const class_spec base[] = {{&s->websocket_error,
                              "WebSocketError",
                              "Why a connection failed or could not be made.",
                              {PyExc_Exception, NULL},
                              NULL,
                              0}};
  if (add_classes(module, base, 1) < 0) return -1;
  PyObject *error = s->websocket_error;
  const class_spec kinds[] = {
      {&s->handshake_error,
       "HandshakeError",
       "The opening handshake failed.",
       {error, NULL},
       NULL,
       0},
      {&s->protocol_error,
       "ProtocolError",
       "The peer broke the protocol.",
       {error, NULL},
       NULL,
       0},
      {&s->payload_too_big_error,
       "PayloadTooBig",
       "A message was longer than the limit (max_message, max_size).",
       {error, NULL},
       NULL,
       0},
      {&s->network_error,
       "NetworkError",
       "The name, the connection or the transport failed.",
       {error, PyExc_OSError},
       NULL,
       0},
      {&s->timeout_error,
       "ConnectionTimeout",
       "A deadline has passed.",
       {error, PyExc_TimeoutError},
       NULL,
       0},
      {&s->closed_error,
       "ConnectionClosed",
       "The connection has ended.",
       {error, NULL},
       NULL,
       0},
  };
  if (add_classes(module, kinds, sizeof(kinds) / sizeof(kinds[0])) < 0) {
    return -1;
  }
  const class_spec special[] = {
      {&s->invalid_status_error,
       "InvalidStatus",
       "The server answered with another status than 101.",
       {s->handshake_error, NULL},
       NULL,
       0},
      {&s->proxy_error,
       "ProxyError",
       "The proxy refused.",
       {s->handshake_error, NULL},
       NULL,
       0},
      {&s->tls_error,
       "TLSError",
       "TLS failed.",
       {s->network_error, NULL},
       NULL,
       0},
      {&s->closed_ok_error,
       "ConnectionClosedOK",
       "The connection was closed in good order.",
       {s->closed_error, NULL},
       NULL,
       0},
      {&s->closed_badly_error,
       "ConnectionClosedError",
       "The connection failed, or was closed because of an error.",
       {s->closed_error, NULL},
       NULL,
       0},
  };
  return add_classes(module, special, sizeof(special) / sizeof(special[0]));
}

int core_add_errors(PyObject *module) {
  core_state *state = core_state_of_module(module);
  if (add_dom_errors(module, state) < 0) return -1;
  return add_websocket_errors(module, state);
}

/* -- Failed calls ---------------------------------------------------------- */

static PyObject *class_of_call(core_state *state, int err) {
  switch (err) {
  case WS_ERR_INVALID_STATE: return state->invalid_state_error;
  case WS_ERR_SYNTAX: return state->syntax_error;
  case WS_ERR_INVALID_ACCESS: return state->invalid_access_error;
  case WS_ERR_INVALID_ARGUMENT: return PyExc_ValueError;
  case WS_ERR_INVALID_UTF8: return PyExc_TypeError;
  case WS_ERR_FORKED: return PyExc_RuntimeError;
  case WS_ERR_TLS:
  case WS_ERR_CERTIFICATE: return state->tls_error;
  default: return state->network_error;
  }
}

/* "WS_ERR_EXPECTED_MASK", the name that npm's ws has for the same. */
static PyObject *name_of(int err) {
  return PyUnicode_FromFormat("WS_ERR_%s", ws_err_name(err));
}

/* Raises a WebSocketError about a call. */
static void raise_with_code(PyObject *type, int err, const char *text) {
  PyObject *error = PyObject_CallFunction(type, "s", text);
  PyObject *code = error != NULL ? name_of(err) : NULL;
  if (code != NULL && PyObject_SetAttrString(error, "code", code) == 0) {
    PyErr_SetObject(type, error);
  }
  Py_XDECREF(code);
  Py_XDECREF(error);
}

int core_raise(core_state *state, int err, const char *text) {
  if (err == WS_ERR_NO_MEMORY) {
    PyErr_NoMemory();
    return -1;
  }
  if (text == NULL || text[0] == '\0') text = ws_strerror(err);
  PyObject *type = class_of_call(state, err);
  if (type == state->network_error || type == state->tls_error) {
    raise_with_code(type, err, text);
  } else {
    PyErr_SetString(type, text);
  }
  return -1;
}

/* -- Failed connections ---------------------------------------------------- */

static PyObject *class_of_cause(core_state *state, const ws_cause *cause) {
  switch (cause->err) {
  case WS_ERR_UNEXPECTED_STATUS:
  case WS_ERR_REDIRECT: return state->invalid_status_error;
  case WS_ERR_PROXY: return state->proxy_error;
  case WS_ERR_TLS:
  case WS_ERR_CERTIFICATE: return state->tls_error;
  case WS_ERR_SYSTEM:
  case WS_ERR_UNEXPECTED_EOF:
  case WS_ERR_TRANSPORT:
  case WS_ERR_RESOLVE:
  case WS_ERR_CONNECT: return state->network_error;
  case WS_ERR_HANDSHAKE_TIMEOUT:
  case WS_ERR_PING_TIMEOUT:
  case WS_ERR_MESSAGE_TIMEOUT:
  case WS_ERR_SEND_TIMEOUT:
  case WS_ERR_CLOSE_TIMEOUT: return state->timeout_error;
  case WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: return state->payload_too_big_error;
  default: break;
  }
  if (cause->phase == WS_PHASE_HANDSHAKE) return state->handshake_error;
  return cause->side == WS_SIDE_PEER ? state->protocol_error
                                     : state->websocket_error;
}

static const char *name_of_side(ws_side side) {
  switch (side) {
  case WS_SIDE_LOCAL: return "local";
  case WS_SIDE_PEER: return "peer";
  case WS_SIDE_TRANSPORT: break;
  }
  return "transport";
}

static const char *name_of_phase(ws_phase phase) {
  switch (phase) {
  case WS_PHASE_HANDSHAKE: return "handshake";
  case WS_PHASE_OPEN: return "open";
  case WS_PHASE_CLOSING: break;
  }
  return "closing";
}

/* Sets attributes from a dict, whose reference it takes. */
static int set_attributes(PyObject *error, PyObject *attributes) {
  if (attributes == NULL) return -1;
  PyObject *key;
  PyObject *value;
  Py_ssize_t at = 0;
  int result = 0;
  while (result == 0 && PyDict_Next(attributes, &at, &key, &value))
    result = PyObject_SetAttr(error, key, value);
  Py_DECREF(attributes);
  return result;
}

/* A number, or None for 0. */
static PyObject *number_or_none(unsigned number) {
  if (number == 0) Py_RETURN_NONE;
  return PyLong_FromUnsignedLong(number);
}

/* An OSError says what the system said. */
static int set_errno(PyObject *error, int system_error) {
  if (system_error == 0 ||
      !PyObject_TypeCheck(error, (PyTypeObject *)PyExc_OSError)) {
    return 0;
  }
  PyObject *number = PyLong_FromLong(system_error);
  if (number == NULL) return -1;
  const int result = PyObject_SetAttrString(error, "errno", number);
  Py_DECREF(number);
  return result;
}

PyObject *core_error_of_cause(core_state *state, const ws_cause *cause,
                              PyObject *response) {
  PyObject *error =
      PyObject_CallFunction(class_of_cause(state, cause), "s", cause->message);
  if (error == NULL) return NULL;
  PyObject *attributes = Py_BuildValue(
      "{sN ss ss sN sN sO}", "code", name_of(cause->err), "side",
      name_of_side(cause->side), "phase", name_of_phase(cause->phase),
      "close_code", number_or_none(cause->close_code), "status",
      number_or_none(cause->status), "response",
      response != NULL ? response : Py_None);
  if (set_attributes(error, attributes) < 0 ||
      set_errno(error, cause->system_error) < 0) {
    Py_CLEAR(error);
  }
  return error;
}

/* Whether a close is good order: RFC 6455 7.4.1's normal and going away, or no
 * code at all. */
static bool is_orderly(long code, bool was_clean) {
  return was_clean && (code == WS_CLOSE_NORMAL || code == WS_CLOSE_GOING_AWAY ||
                       code == WS_CLOSE_NO_STATUS);
}

/* "1006: ping_timeout has passed": the peer's reason, or else our own. */
static PyObject *text_of_close(PyObject *code, PyObject *reason,
                               PyObject *failure) {
  if (PyUnicode_GET_LENGTH(reason) > 0) {
    return PyUnicode_FromFormat("%S: %U", code, reason);
  }
  if (failure != NULL) return PyUnicode_FromFormat("%S: %S", code, failure);
  return PyObject_Str(code);
}

PyObject *core_error_of_close(core_state *state, PyObject *code,
                              PyObject *reason, bool was_clean,
                              PyObject *failure) {
  PyObject *type = is_orderly(PyLong_AsLong(code), was_clean)
                       ? state->closed_ok_error
                       : state->closed_badly_error;
  PyObject *text = text_of_close(code, reason, failure);
  if (text == NULL) return NULL;
  PyObject *error = PyObject_CallOneArg(type, text);
  Py_DECREF(text);
  if (error == NULL) return NULL;
  PyObject *attributes =
      Py_BuildValue("{sO sO sO}", "code", code, "reason", reason, "wasClean",
                    was_clean ? Py_True : Py_False);
  if (set_attributes(error, attributes) < 0) {
    Py_DECREF(error);
    return NULL;
  }
  if (failure != NULL) {
    Py_INCREF(failure);
    PyException_SetCause(error, failure);
  }
  return error;
}
