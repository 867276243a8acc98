#include "convert.h"

#include <math.h>

/* -- Text ------------------------------------------------------------------ */

/* Through UTF-16, whose decoder joins pairs and replaces what is alone. */
static PyObject *encode_with_surrogates(PyObject *text) {
  PyObject *utf16 =
      PyUnicode_AsEncodedString(text, "utf-16-le", "surrogatepass");
  if (utf16 == NULL) return NULL;
  int little_endian = -1;
  PyObject *mended =
      PyUnicode_DecodeUTF16(PyBytes_AS_STRING(utf16), PyBytes_GET_SIZE(utf16),
                            "replace", &little_endian);
  Py_DECREF(utf16);
  if (mended == NULL) return NULL;
  PyObject *utf8 = PyUnicode_AsUTF8String(mended);
  Py_DECREF(mended);
  return utf8;
}

int core_text_get(PyObject *text, core_text *out) {
  if (PyUnicode_IS_COMPACT_ASCII(text)) {
    *out = (core_text){.data = PyUnicode_DATA(text),
                       .len = (size_t)PyUnicode_GET_LENGTH(text),
                       .owner = Py_NewRef(text)};
    return 0;
  }
  /* Not AsUTF8AndSize(): what that makes lives as long as the text. */
  PyObject *utf8 = PyUnicode_AsUTF8String(text);
  if (utf8 == NULL && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
    PyErr_Clear();
    utf8 = encode_with_surrogates(text);
  }
  if (utf8 == NULL) return -1;
  *out = (core_text){.data = PyBytes_AS_STRING(utf8),
                     .len = (size_t)PyBytes_GET_SIZE(utf8),
                     .owner = utf8};
  return 0;
}

void core_text_release(core_text *text) {
  Py_CLEAR(text->owner);
}

PyObject *core_latin1(const char *text) {
  return PyUnicode_DecodeLatin1(text, (Py_ssize_t)strlen(text), NULL);
}

const char *core_c_string(PyObject *text, const char *name) {
  if (!PyUnicode_Check(text)) {
    PyErr_Format(PyExc_TypeError, "%s must be a str, not %.100s", name,
                 Py_TYPE(text)->tp_name);
    return NULL;
  }
  Py_ssize_t len;
  const char *utf8 = PyUnicode_AsUTF8AndSize(text, &len);
  if (utf8 != NULL && strlen(utf8) != (size_t)len) {
    PyErr_Format(PyExc_ValueError, "%s has a NUL", name);
    return NULL;
  }
  return utf8;
}

/* -- Payloads -------------------------------------------------------------- */

static int get_view(PyObject *object, core_payload *out) {
  if (PyObject_GetBuffer(object, &out->view, PyBUF_SIMPLE) == 0) {
    out->has_view = true;
    out->data = out->view.buf;
    out->len = (size_t)out->view.len;
    return 0;
  }
  /* What is not contiguous is copied to be. */
  PyErr_Clear();
  PyObject *copy = PyBytes_FromObject(object);
  if (copy == NULL) return -1;
  out->text.owner = copy;
  out->data = PyBytes_AS_STRING(copy);
  out->len = (size_t)PyBytes_GET_SIZE(copy);
  return 0;
}

int core_payload_get(PyObject *object, core_payload *out) {
  out->text.owner = NULL;
  out->has_view = false;
  if (PyUnicode_Check(object)) {
    out->type = WS_TEXT;
    out->flags = WS_SEND_VALID_UTF8;
    if (core_text_get(object, &out->text) < 0) return -1;
    out->data = out->text.data;
    out->len = out->text.len;
    return 0;
  }
  out->type = WS_BINARY;
  out->flags = 0;
  if (PyBytes_CheckExact(object)) {
    out->text.owner = Py_NewRef(object);
    out->data = PyBytes_AS_STRING(object);
    out->len = (size_t)PyBytes_GET_SIZE(object);
    return 0;
  }
  if (PyObject_CheckBuffer(object)) return get_view(object, out);
  PyErr_Format(PyExc_TypeError, "data must be str or bytes-like, not %.100s",
               Py_TYPE(object)->tp_name);
  return -1;
}

void core_payload_release(core_payload *payload) {
  if (payload->has_view) PyBuffer_Release(&payload->view);
  payload->has_view = false;
  core_text_release(&payload->text);
}

PyObject *core_data_of_message(ws_message_type type, const uint8_t *data,
                               size_t len, bool as_bytearray) {
  if (type == WS_TEXT) {
    return PyUnicode_DecodeUTF8((const char *)data, (Py_ssize_t)len, NULL);
  }
  if (as_bytearray) {
    return PyByteArray_FromStringAndSize((const char *)data, (Py_ssize_t)len);
  }
  return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)len);
}

bool core_bytes_refill(PyObject *bytes, const uint8_t *data, size_t len) {
  if (!PyBytes_CheckExact(bytes) || Py_REFCNT(bytes) != 1 ||
      (size_t)PyBytes_GET_SIZE(bytes) != len) {
    return false;
  }
  memcpy(PyBytes_AS_STRING(bytes), data, len);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  ((PyBytesObject *)bytes)->ob_shash = -1; /* No more that of the content. */
#pragma GCC diagnostic pop
  return true;
}

PyObject *core_piece_of_message(const ws_event_data *event) {
  PyObject *data = PyBytes_FromStringAndSize((const char *)event->message.data,
                                             (Py_ssize_t)event->message.len);
  return Py_BuildValue("(NNNN)", data,
                       PyBool_FromLong(event->message.type == WS_TEXT),
                       PyBool_FromLong(event->message.is_first),
                       PyBool_FromLong(event->message.is_last));
}

/* -- Numbers and times ----------------------------------------------------- */

int core_milliseconds(PyObject *seconds, const char *name, uint64_t *out) {
  if (!PyNumber_Check(seconds)) {
    PyErr_Format(PyExc_TypeError, "%s must be a number of seconds, not %.100s",
                 name, Py_TYPE(seconds)->tp_name);
    return -1;
  }
  const double value = PyFloat_AsDouble(seconds);
  if (value == -1 && PyErr_Occurred()) return -1;
  /* A year of 2^48 milliseconds is beyond all clocks. */
  const double most = (double)(UINT64_C(1) << 48);
  if (!(value >= 0) || value * 1000 > most) {
    PyErr_Format(PyExc_ValueError, "%s must be a number of seconds", name);
    return -1;
  }
  *out = (uint64_t)ceil(value * 1000);
  return 0;
}

/* The number of a code, 0 for one that is too large or not finite. */
static int get_code(PyObject *code, long *out) {
  *out = 0;
  if (PyFloat_Check(code)) {
    const double value = PyFloat_AS_DOUBLE(code);
    if (!isfinite(value)) return 0;
    if (value != floor(value)) {
      PyErr_SetString(PyExc_TypeError, "code must be a whole number");
      return -1;
    }
    if (value >= 0 && value <= UINT16_MAX) *out = (long)value;
    return 0;
  }
  if (!PyLong_Check(code)) {
    PyErr_Format(PyExc_TypeError, "code must be an int or None, not %.100s",
                 Py_TYPE(code)->tp_name);
    return -1;
  }
  int overflow;
  const long value = PyLong_AsLongAndOverflow(code, &overflow);
  if (value == -1 && PyErr_Occurred()) return -1;
  if (overflow == 0 && value >= 0 && value <= UINT16_MAX) *out = value;
  return 0;
}

/* RFC 6455 7.4.1 and 7.4.2: codes that may stand on the wire. */
static bool is_wire_code(long code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

/* Those that the browser's close() takes. */
static bool is_application_code(long code) {
  return code == WS_CLOSE_NORMAL || (code >= 3000 && code <= 4999);
}

static bool is_given(PyObject *object) {
  return object != NULL && object != Py_None;
}

int core_close_get(core_state *state, PyObject *code, PyObject *reason,
                   bool any_code, core_close *out) {
  *out = (core_close){.reason = {.data = ""}};
  long number = 0;
  if (is_given(code) && get_code(code, &number) < 0) return -1;
  if (is_given(reason) && !PyUnicode_Check(reason)) {
    PyErr_Format(PyExc_TypeError, "reason must be a str or None, not %.100s",
                 Py_TYPE(reason)->tp_name);
    return -1;
  }
  if (is_given(code) &&
      !(any_code ? is_wire_code(number) : is_application_code(number))) {
    PyErr_SetString(state->invalid_access_error,
                    any_code ? "close code must not be on the wire"
                             : ws_strerror(WS_ERR_INVALID_ACCESS));
    return -1;
  }
  out->code = (uint16_t)number;
  if (!is_given(reason)) return 0;
  if (core_text_get(reason, &out->reason) < 0) return -1;
  if (out->reason.len <= WS_MAX_CLOSE_REASON) return 0;
  core_text_release(&out->reason);
  PyErr_Format(state->syntax_error, "reason is longer than %d bytes",
               WS_MAX_CLOSE_REASON);
  return -1;
}

/* -- Attributes -------------------------------------------------------------- */

int core_find_attribute(PyObject *object, PyObject *name, PyObject **out) {
  *out = PyObject_GetAttr(object, name);
  if (*out != NULL) return 0;
  if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return -1;
  PyErr_Clear();
  return 0;
}

/* -- Lists ----------------------------------------------------------------- */

static bool is_iterable(PyObject *object) {
  return Py_TYPE(object)->tp_iter != NULL || PySequence_Check(object);
}

/* An iterable of strings as a list, a str as a list of one. */
static PyObject *list_of_strings(PyObject *object, const char *name) {
  if (PyUnicode_Check(object)) return Py_BuildValue("[O]", object);
  if (PyBytes_Check(object) || PyByteArray_Check(object) ||
      PyDict_Check(object) || !is_iterable(object)) {
    PyErr_Format(PyExc_TypeError,
                 "%s must be a str or an iterable of str, not %.100s", name,
                 Py_TYPE(object)->tp_name);
    return NULL;
  }
  return PySequence_List(object);
}

int core_strings_get(PyObject *object, const char *name, core_strings *out) {
  *out = (core_strings){.items = NULL};
  if (!is_given(object)) return 0;
  PyObject *list = list_of_strings(object, name);
  if (list == NULL) return -1;
  const Py_ssize_t count = PyList_GET_SIZE(list);
  const char **items = PyMem_New(const char *, (size_t)count + 1);
  if (items == NULL) {
    Py_DECREF(list);
    PyErr_NoMemory();
    return -1;
  }
  *out = (core_strings){.items = items, .count = (size_t)count, .owner = list};
  items[count] = NULL;
  for (Py_ssize_t i = 0; i < count; i++) {
    items[i] = core_c_string(PyList_GET_ITEM(list, i), name);
    if (items[i] == NULL) {
      core_strings_release(out);
      return -1;
    }
  }
  return 0;
}

void core_strings_release(core_strings *strings) {
  PyMem_Free((void *)strings->items);
  strings->items = NULL;
  Py_CLEAR(strings->owner);
}

/* Calls the first of the two methods that there is; NULL without exception when
 * there is none. */
static PyObject *call_items(core_state *state, PyObject *object) {
  PyObject *method;
  if (core_find_attribute(object, state->raw_items_name, &method) < 0) {
    return NULL;
  }
  if (method == NULL &&
      core_find_attribute(object, state->items_name, &method) < 0) {
    return NULL;
  }
  if (method == NULL) return NULL;
  PyObject *items = PyObject_CallNoArgs(method);
  Py_DECREF(method);
  return items;
}

static PyObject *refuse_headers(PyObject *object) {
  return PyErr_Format(
      PyExc_TypeError,
      "headers must be a mapping or an iterable of pairs, not %.100s",
      Py_TYPE(object)->tp_name);
}

/* A list of pairs from what applications write headers as. */
static PyObject *list_of_pairs(core_state *state, PyObject *object) {
  if (PyUnicode_Check(object) || PyBytes_Check(object)) {
    return refuse_headers(object);
  }
  PyObject *items = call_items(state, object);
  if (items == NULL && PyErr_Occurred()) return NULL;
  if (items == NULL && !is_iterable(object)) return refuse_headers(object);
  PyObject *list = PySequence_List(items != NULL ? items : object);
  Py_XDECREF(items);
  return list;
}

/* The bytes of a name or value. */
static PyObject *header_bytes(PyObject *text) {
  if (PyBytes_Check(text)) return Py_NewRef(text);
  if (PyUnicode_Check(text)) return PyUnicode_AsLatin1String(text);
  PyErr_Format(PyExc_TypeError, "a header must be a pair of str, not of %.100s",
               Py_TYPE(text)->tp_name);
  return NULL;
}

/* RFC 6455 4.1: what the handshake itself says in a request. */
static bool is_of_handshake(const ws_header *header) {
  static const char *const names[] = {"Host", "Connection", "Upgrade",
                                      "Content-Length", "Transfer-Encoding"};
  static const char prefix[] = "Sec-WebSocket-";
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (header->name_len == strlen(names[i]) &&
        PyOS_strnicmp(header->name, names[i], (Py_ssize_t)header->name_len) ==
            0) {
      return true;
    }
  }
  return header->name_len >= sizeof(prefix) - 1 &&
         PyOS_strnicmp(header->name, prefix, sizeof(prefix) - 1) == 0;
}

/* Converts one pair; the bytes it points to are added to `owner`. */
static int get_header(PyObject *pair, PyObject *owner, ws_header *out) {
  PyObject *fast = PySequence_Fast(pair, "a header must be a pair of str");
  if (fast == NULL) return -1;
  int result = -1;
  if (PySequence_Fast_GET_SIZE(fast) != 2) {
    PyErr_SetString(PyExc_TypeError, "a header must be a pair of str");
  } else {
    PyObject *name = header_bytes(PySequence_Fast_GET_ITEM(fast, 0));
    PyObject *value =
        name != NULL ? header_bytes(PySequence_Fast_GET_ITEM(fast, 1)) : NULL;
    if (value != NULL) {
      *out = (ws_header){
          PyBytes_AS_STRING(name), (size_t)PyBytes_GET_SIZE(name),
          PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value)};
      result = PyList_Append(owner, name) < 0 || PyList_Append(owner, value) < 0
                   ? -1
                   : 0;
    }
    Py_XDECREF(name);
    Py_XDECREF(value);
  }
  Py_DECREF(fast);
  return result;
}

static int get_headers(PyObject *pairs, bool is_request,
                       core_header_list *out) {
  const Py_ssize_t count = PyList_GET_SIZE(pairs);
  out->items = PyMem_New(ws_header, (size_t)count + 1);
  out->owner = PyList_New(0);
  if (out->items == NULL || out->owner == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    ws_header *header = &out->items[out->count];
    if (get_header(PyList_GET_ITEM(pairs, i), out->owner, header) < 0) {
      return -1;
    }
    if (is_request && is_of_handshake(header)) {
      PyErr_Format(PyExc_TypeError,
                   "the header %.100s is made by the handshake", header->name);
      return -1;
    }
    out->count++;
  }
  return 0;
}

int core_header_list_get(core_state *state, PyObject *object, bool is_request,
                         core_header_list *out) {
  *out = (core_header_list){.items = NULL};
  if (!is_given(object)) return 0;
  PyObject *pairs = list_of_pairs(state, object);
  if (pairs == NULL) return -1;
  const int result = get_headers(pairs, is_request, out);
  Py_DECREF(pairs);
  if (result < 0) core_header_list_release(out);
  return result;
}

void core_header_list_release(core_header_list *list) {
  PyMem_Free(list->items);
  list->items = NULL;
  list->count = 0;
  Py_CLEAR(list->owner);
}

/* -- Sockets --------------------------------------------------------------- */

/* The descriptor as an int. */
static PyObject *detach(core_state *state, PyObject *socket) {
  if (PyLong_Check(socket)) return Py_NewRef(socket);
  PyObject *method;
  if (core_find_attribute(socket, state->detach_name, &method) < 0) return NULL;
  if (method == NULL) {
    return PyErr_Format(PyExc_TypeError,
                        "sock must be a socket or a descriptor, not %.100s",
                        Py_TYPE(socket)->tp_name);
  }
  PyObject *number = PyObject_CallNoArgs(method);
  Py_DECREF(method);
  return number;
}

int core_take_fd(core_state *state, PyObject *socket, int *out_fd) {
  PyObject *number = detach(state, socket);
  if (number == NULL) return -1;
  const long fd = PyLong_AsLong(number);
  Py_DECREF(number);
  if (fd == -1 && PyErr_Occurred()) return -1;
  if (fd < 0 || fd > INT_MAX) {
    PyErr_SetString(PyExc_ValueError, "sock is not an open socket");
    return -1;
  }
  *out_fd = (int)fd;
  return 0;
}
