#include "options.h"

#include <stddef.h>

/* -- Values ---------------------------------------------------------------- */

int core_option_bool(PyObject *value, bool *out) {
  if (value == Py_None) return 0;
  const int truth = PyObject_IsTrue(value);
  if (truth < 0) return -1;
  *out = truth != 0;
  return 0;
}

/* A whole number from `least` to `most`. */
static int get_number(PyObject *value, const char *name, uint64_t least,
                      uint64_t most, uint64_t *out) {
  if (!PyIndex_Check(value)) {
    PyErr_Format(PyExc_TypeError, "%s must be an int, not %.100s", name,
                 Py_TYPE(value)->tp_name);
    return -1;
  }
  PyObject *number = PyNumber_Index(value);
  if (number == NULL) return -1;
  const unsigned long long result = PyLong_AsUnsignedLongLong(number);
  Py_DECREF(number);
  if (PyErr_Occurred()) {
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return -1;
    PyErr_Clear();
  } else if (result >= least && result <= most) {
    *out = result;
    return 0;
  }
  PyErr_Format(PyExc_ValueError, "%s must be %llu to %llu", name,
               (unsigned long long)least, (unsigned long long)most);
  return -1;
}

int core_option_u32(PyObject *value, const char *name, uint32_t *out) {
  if (value == Py_None) return 0;
  uint64_t number;
  if (get_number(value, name, 0, UINT32_MAX, &number) < 0) return -1;
  *out = (uint32_t)number;
  return 0;
}

int core_option_u16(PyObject *value, const char *name, uint16_t *out) {
  if (value == Py_None) return 0;
  uint64_t number;
  if (get_number(value, name, 0, UINT16_MAX, &number) < 0) return -1;
  *out = (uint16_t)number;
  return 0;
}

int core_option_text(PyObject *value, const char *name, const char **out) {
  if (value == Py_None) return 0;
  *out = core_c_string(value, name);
  return *out != NULL ? 0 : -1;
}

/* -- Options of connections ------------------------------------------------ */

typedef struct conn_option {
  const char *name;
  enum {
    LIMIT_64,   /* None: no limit. */
    LIMIT_32,   /* The same. */
    SECONDS,    /* None: never. */
    THRESHOLD,  /* 0 is meant. */
    SMALL,      /* uint8_t; the library knows the range. */
    FLAG,       /* bool */
    OPPOSITE,   /* bool, of the contrary. */
    COMPRESSION /* ws_compression */
  } kind;
  size_t offset;
} conn_option;

#define OPTION(name, kind) \
  { #name, kind, offsetof(ws_conn_options, name) }

static const conn_option conn_options[] = {
    OPTION(max_message, LIMIT_64),
    OPTION(max_fragments, LIMIT_64),
    OPTION(max_send_queue, LIMIT_64),
    OPTION(send_high_water, LIMIT_64),
    OPTION(max_head, LIMIT_32),
    OPTION(max_head_line, LIMIT_32),
    OPTION(max_headers, LIMIT_32),
    OPTION(max_response_body, LIMIT_32),
    OPTION(useless_burst, LIMIT_32),
    OPTION(useless_rate, LIMIT_32),
    OPTION(handshake_timeout, SECONDS),
    OPTION(ping_interval, SECONDS),
    OPTION(ping_timeout, SECONDS),
    OPTION(message_timeout, SECONDS),
    OPTION(send_timeout, SECONDS),
    OPTION(close_timeout, SECONDS),
    OPTION(compression, COMPRESSION),
    OPTION(compression_threshold, THRESHOLD),
    OPTION(compression_level, SMALL),
    OPTION(compression_memory, SMALL),
    OPTION(server_max_window_bits, SMALL),
    OPTION(client_max_window_bits, SMALL),
    OPTION(server_no_context_takeover, FLAG),
    OPTION(client_no_context_takeover, FLAG),
    {"auto_pong", OPPOSITE, offsetof(ws_conn_options, no_auto_pong)},
};

/* Milliseconds of a deadline, at least one: 0 would mean the default. */
static int get_deadline(PyObject *value, const char *name, uint32_t *out) {
  uint64_t milliseconds;
  if (core_milliseconds(value, name, &milliseconds) < 0) return -1;
  if (milliseconds == 0 || milliseconds >= WS_NEVER) {
    PyErr_Format(PyExc_ValueError, "%s must be more than 0, or None for none",
                 name);
    return -1;
  }
  *out = (uint32_t)milliseconds;
  return 0;
}

static int get_compression(PyObject *value, ws_compression *out) {
  if (PyUnicode_Check(value) &&
      PyUnicode_CompareWithASCIIString(value, "deflate") == 0) {
    *out = WS_COMPRESSION_ON;
    return 0;
  }
  if (!PyBool_Check(value)) {
    PyErr_SetString(PyExc_ValueError,
                    "compression must be True, False, None or \"deflate\"");
    return -1;
  }
  *out = value == Py_True ? WS_COMPRESSION_ON : WS_COMPRESSION_OFF;
  return 0;
}

static int set_conn_option(ws_conn_options *options, const conn_option *option,
                           PyObject *value) {
  void *place = (char *)options + option->offset;
  const bool is_none = value == Py_None;
  const char *name = option->name;
  uint64_t number = 0;
  switch (option->kind) {
  case LIMIT_64:
    if (is_none) {
      number = WS_UNLIMITED;
    } else if (get_number(value, name, 1, INT64_MAX, &number) < 0) {
      return -1;
    }
    *(uint64_t *)place = number;
    return 0;
  case LIMIT_32:
    if (is_none) {
      number = UINT32_MAX;
    } else if (get_number(value, name, 1, UINT32_MAX, &number) < 0) {
      return -1;
    }
    *(uint32_t *)place = (uint32_t)number;
    return 0;
  case SECONDS:
    if (is_none) {
      *(uint32_t *)place = WS_NEVER;
      return 0;
    }
    return get_deadline(value, name, place);
  case THRESHOLD:
    if (is_none) return 0;
    if (get_number(value, name, 0, UINT32_MAX, &number) < 0) return -1;
    *(uint32_t *)place = number > 0 ? (uint32_t)number : 1;
    return 0;
  case SMALL:
    if (is_none) return 0;
    if (get_number(value, name, 1, UINT8_MAX, &number) < 0) return -1;
    *(uint8_t *)place = (uint8_t)number;
    return 0;
  case FLAG: return core_option_bool(value, place);
  case OPPOSITE: {
    bool is_set = true;
    if (core_option_bool(value, &is_set) < 0) return -1;
    *(bool *)place = !is_set;
    return 0;
  }
  case COMPRESSION: break;
  }
  return is_none ? 0 : get_compression(value, place);
}

void core_conn_options_init(core_conn_options *options) {
  *options = (core_conn_options){.origins = {.items = NULL}};
  ws_conn_options_init(&options->is);
}

void core_conn_options_release(core_conn_options *options) {
  core_strings_release(&options->origins);
  core_strings_release(&options->hosts);
}

/* A list of strings, kept in the options. */
static int set_list(core_strings *list, const char *const **place,
                    const char *name, PyObject *value) {
  core_strings_release(list);
  if (core_strings_get(value, name, list) < 0) return -1;
  *place = list->items;
  return 1;
}

int core_conn_options_set(core_conn_options *options, PyObject *name,
                          PyObject *value) {
  for (size_t i = 0; i < sizeof(conn_options) / sizeof(conn_options[0]); i++) {
    const conn_option *option = &conn_options[i];
    if (PyUnicode_CompareWithASCIIString(name, option->name) == 0) {
      return set_conn_option(&options->is, option, value) < 0 ? -1 : 1;
    }
  }
  if (PyUnicode_CompareWithASCIIString(name, "origins") == 0) {
    return set_list(&options->origins, &options->is.origins, "origins", value);
  }
  if (PyUnicode_CompareWithASCIIString(name, "hosts") == 0) {
    return set_list(&options->hosts, &options->is.hosts, "hosts", value);
  }
  return 0;
}

/* -- All options ----------------------------------------------------------- */

static int set_option(PyObject *name, PyObject *value, const core_option *own,
                      void *target, core_conn_options *conn) {
  if (!PyUnicode_Check(name)) {
    PyErr_SetString(PyExc_TypeError, "the name of an option must be a str");
    return -1;
  }
  for (; own != NULL && own->name != NULL; own++) {
    if (PyUnicode_CompareWithASCIIString(name, own->name) == 0) {
      return own->set(target, value);
    }
  }
  const int found = conn != NULL ? core_conn_options_set(conn, name, value) : 0;
  if (found == 0) {
    PyErr_Format(PyExc_TypeError, "there is no option %R", name);
    return -1;
  }
  return found < 0 ? -1 : 0;
}

int core_options_set(PyObject *dict, const core_option *own, void *target,
                     core_conn_options *conn) {
  if (dict == NULL || dict == Py_None) return 0;
  if (!PyDict_Check(dict)) {
    PyErr_Format(PyExc_TypeError, "options must be a dict or None, not %.100s",
                 Py_TYPE(dict)->tp_name);
    return -1;
  }
  PyObject *name;
  PyObject *value;
  Py_ssize_t at = 0;
  while (PyDict_Next(dict, &at, &name, &value)) {
    if (set_option(name, value, own, target, conn) < 0) return -1;
  }
  return 0;
}
