/* socket_open.c - the constructor of WebSocket: its arguments, all of them
 * checked before anything happens. */
#include "errors.h"
#include "host.h"
#include "options.h"
#include "socket.h"
#include "tls.h"

/* The options as they are read; objects are borrowed. */
typedef struct opening {
  core_state *state;
  ws_socket_options is;
  core_conn_options conn;
  core_strings protocols;
  core_header_list headers;
  core_header_list proxy_headers;
  PyObject *tls;
  PyObject *proxy_tls;
  PyObject *sock;
  PyObject *loop;
  PyObject *cookies; /* NULL for none. */
  bool wants_thread;
} opening;

static int set_headers(void *target, PyObject *value) {
  opening *o = target;
  core_header_list_release(&o->headers);
  return core_header_list_get(o->state, value, true, &o->headers);
}

static int set_proxy_headers(void *target, PyObject *value) {
  opening *o = target;
  core_header_list_release(&o->proxy_headers);
  return core_header_list_get(o->state, value, false, &o->proxy_headers);
}

static int set_cookies(void *target, PyObject *value) {
  ((opening *)target)->cookies = value != Py_None ? value : NULL;
  return 0;
}

static PyObject *pair_of(const ws_header *header) {
  PyObject *name =
      PyUnicode_DecodeLatin1(header->name, (Py_ssize_t)header->name_len, NULL);
  PyObject *value = PyUnicode_DecodeLatin1(header->value,
                                           (Py_ssize_t)header->value_len, NULL);
  return Py_BuildValue("(NN)", name, value);
}

static PyObject *pairs_of(const core_header_list *list) {
  PyObject *pairs = PyList_New((Py_ssize_t)list->count);
  for (size_t i = 0; pairs != NULL && i < list->count; i++) {
    PyObject *pair = pair_of(&list->items[i]);
    if (pair == NULL) Py_CLEAR(pairs);
    if (pair != NULL) PyList_SET_ITEM(pairs, (Py_ssize_t)i, pair);
  }
  return pairs;
}

/* Adds what there is of cookies for this URL to the headers. */
static int add_cookies(opening *o, PyObject *url) {
  if (o->cookies == NULL) return 0;
  PyObject *module = core_host_module(o->state);
  PyObject *pairs = module != NULL ? pairs_of(&o->headers) : NULL;
  if (pairs == NULL) return -1;
  PyObject *all = PyObject_CallMethodObjArgs(
      module, o->state->with_cookies_name, url, o->cookies, pairs, NULL);
  Py_DECREF(pairs);
  if (all == NULL) return -1;
  core_header_list_release(&o->headers);
  const int result = core_header_list_get(o->state, all, true, &o->headers);
  Py_DECREF(all);
  return result;
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

static int set_driver(void *target, PyObject *value) {
  if (value == Py_None) return 0;
  if (!PyUnicode_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "driver must be a str or None");
    return -1;
  }
  opening *o = target;
  o->wants_thread = PyUnicode_CompareWithASCIIString(value, "thread") == 0;
  if (o->wants_thread || PyUnicode_CompareWithASCIIString(value, "loop") == 0) {
    return 0;
  }
  PyErr_SetString(PyExc_ValueError, "driver must be \"loop\" or \"thread\"");
  return -1;
}

static const core_option client_options[] = {
    {"headers", set_headers},
    {"cookies", set_cookies},
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
    {"driver", set_driver},
    {0}};

static void release_opening(opening *o) {
  core_conn_options_release(&o->conn);
  core_strings_release(&o->protocols);
  core_header_list_release(&o->headers);
  core_header_list_release(&o->proxy_headers);
}

/* A str, or the string of an object that has one of its own. */
static PyObject *url_text(core_state *state, PyObject *url) {
  if (PyUnicode_Check(url)) return Py_NewRef(url);
  PyObject *method; /* urllib's results have it. */
  if (core_find_attribute(url, state->geturl_name, &method) < 0) return NULL;
  if (method != NULL) {
    PyObject *text = PyObject_CallNoArgs(method);
    Py_DECREF(method);
    return text;
  }
  const bool has_text = Py_TYPE(url)->tp_str != PyBaseObject_Type.tp_str;
  if (has_text && !PyObject_CheckBuffer(url) && !PyNumber_Check(url)) {
    return PyObject_Str(url);
  }
  PyErr_Format(PyExc_TypeError, "url must be a str, not %.100s",
               Py_TYPE(url)->tp_name);
  return NULL;
}

/* Refuses what geturl() may return beside a str. */
static PyObject *url_string(core_state *state, PyObject *url) {
  PyObject *text = url_text(state, url);
  if (text != NULL && !PyUnicode_Check(text)) {
    PyErr_SetString(PyExc_TypeError, "geturl() returned no str");
    Py_CLEAR(text);
  }
  return text;
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

/* Opens the socket of the library, in the loop or in its thread, and joins it
 * to the object, which gets the reference to the loop. */
static int open_in(core_socket *self, core_loop *loop, const core_text *url,
                   const opening *o) {
  core_thread *thread = o->wants_thread ? core_loop_thread(loop) : NULL;
  if (o->wants_thread && thread == NULL) return -1;
  ws_socket *handle;
  ws_error error = {.message = ""};
  if (thread != NULL) core_thread_lock(thread);
  const int err =
      ws_socket_open(thread != NULL ? core_thread_loop(thread) : loop->handle,
                     url->data, url->len, &o->is, &handle, &error);
  if (err == 0) core_socket_join(self, loop, thread, handle);
  if (thread != NULL) core_thread_unlock(thread);
  return err == 0 ? 0 : core_raise(o->state, err, error.message);
}

static int open_socket(core_state *state, core_socket *self, core_text *url,
                       opening *o) {
  core_loop *loop = core_loop_choose(state, o->loop);
  if (loop == NULL) return -1;
  if (complete_opening(state, o, is_secure_url(url)) < 0 ||
      open_in(self, loop, url, o) < 0) {
    Py_DECREF(loop);
    return -1;
  }
  const uint64_t high_water = o->conn.is.send_high_water;
  self->high_water = high_water != 0 ? high_water : CORE_HIGH_WATER;
  core_socket_update_root(self);
  return 0;
}

static int init_with(core_state *state, core_socket *self, PyObject *url,
                     opening *o) {
  PyObject *string = url_string(state, url);
  if (string == NULL) return -1;
  core_text text;
  int result = add_cookies(o, string);
  if (result == 0) result = core_text_get(string, &text);
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

int core_socket_init(PyObject *op, PyObject *args, PyObject *kwargs) {
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
  opening o = {.state = core_state_of(Py_TYPE(op))};
  ws_socket_options_init(&o.is);
  core_conn_options_init(&o.conn);
  int result = get_protocols(o.state, protocols, &o.protocols);
  if (result == 0) {
    result = core_options_set(options, client_options, &o, &o.conn);
  }
  if (result == 0) {
    result = core_options_set(kwargs, client_options, &o, &o.conn);
  }
  if (result == 0) result = init_with(o.state, self, url, &o);
  release_opening(&o);
  return result;
}
