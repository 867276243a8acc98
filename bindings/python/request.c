#include "request.h"
#include "convert.h"
#include "errors.h"

#include <stddef.h>

/* -- Headers --------------------------------------------------------------- */

typedef struct headers {
  PyObject_HEAD
  PyObject *pairs; /* A tuple of (name, value). */
} headers;

static PyObject *headers_of_pairs(PyTypeObject *type, PyObject *pairs) {
  if (pairs == NULL) return NULL;
  headers *self = (headers *)type->tp_alloc(type, 0);
  if (self == NULL) {
    Py_DECREF(pairs);
    return NULL;
  }
  self->pairs = pairs;
  return (PyObject *)self;
}

/* What stands in most handshakes is shared by all of them: otherwise it would
 * be a good part of what a connection that does nothing takes. */
static const char *const common_words[] = {"GET",
                                           "Host",
                                           "Connection",
                                           "Upgrade",
                                           "websocket",
                                           "13",
                                           "Origin",
                                           "User-Agent",
                                           "Cookie",
                                           "Cache-Control",
                                           "no-cache",
                                           "Pragma",
                                           "Accept-Encoding",
                                           "Accept-Language",
                                           "Sec-WebSocket-Key",
                                           "Sec-WebSocket-Version",
                                           "Sec-WebSocket-Extensions",
                                           "Sec-WebSocket-Protocol"};

static PyObject *dict_of_words(void) {
  PyObject *dict = PyDict_New();
  for (size_t i = 0; i < sizeof(common_words) / sizeof(common_words[0]); i++) {
    PyObject *word = core_latin1(common_words[i]);
    if (word == NULL || dict == NULL || PyDict_SetItem(dict, word, word) < 0) {
      Py_CLEAR(dict);
    }
    Py_XDECREF(word);
  }
  return dict;
}

/* The text, shared if it is a common one. */
static PyObject *text_of(const core_state *state, const char *text,
                         size_t len) {
  PyObject *own = PyUnicode_DecodeLatin1(text, (Py_ssize_t)len, NULL);
  PyObject *word =
      own != NULL ? PyDict_GetItemWithError(state->words, own) : NULL;
  if (word == NULL) return own; /* Hashing a str does not fail. */
  Py_DECREF(own);
  return Py_NewRef(word);
}

/* A tuple of pairs of str. */
static PyObject *pairs_of(const core_state *state, const ws_header *list,
                          size_t count) {
  PyObject *pairs = PyTuple_New((Py_ssize_t)count);
  for (size_t i = 0; pairs != NULL && i < count; i++) {
    PyObject *name = text_of(state, list[i].name, list[i].name_len);
    PyObject *value = text_of(state, list[i].value, list[i].value_len);
    PyObject *pair = Py_BuildValue("(NN)", name, value);
    if (pair == NULL) {
      Py_CLEAR(pairs);
    } else {
      PyTuple_SET_ITEM(pairs, (Py_ssize_t)i, pair);
    }
  }
  return pairs;
}

static PyObject *headers_of(core_state *state, const ws_header *list,
                            size_t count) {
  return headers_of_pairs(state->headers_type, pairs_of(state, list, count));
}

static PyObject *headers_new(PyTypeObject *type, PyObject *args,
                             PyObject *kwargs) {
  PyObject *input = NULL;
  if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
    PyErr_SetString(PyExc_TypeError, "Headers takes no keyword arguments");
    return NULL;
  }
  if (!PyArg_ParseTuple(args, "|O:Headers", &input)) return NULL;
  core_state *state = core_state_of(type);
  core_header_list list;
  if (core_header_list_get(state, input, false, &list) < 0) return NULL;
  PyObject *self =
      headers_of_pairs(type, pairs_of(state, list.items, list.count));
  core_header_list_release(&list);
  return self;
}

static void headers_dealloc(PyObject *op) {
  Py_XDECREF(((headers *)op)->pairs);
  core_free(op);
}

/* RFC 9110 5.1: names compare without regard to (ASCII) case. */
static bool is_same_name(PyObject *a, PyObject *b) {
  const Py_ssize_t len = PyUnicode_GET_LENGTH(a);
  if (PyUnicode_GET_LENGTH(b) != len) return false;
  for (Py_ssize_t i = 0; i < len; i++) {
    Py_UCS4 x = PyUnicode_READ_CHAR(a, i);
    Py_UCS4 y = PyUnicode_READ_CHAR(b, i);
    if (x >= 'A' && x <= 'Z') x += 'a' - 'A';
    if (y >= 'A' && y <= 'Z') y += 'a' - 'A';
    if (x != y) return false;
  }
  return true;
}

static PyObject *name_at(const headers *self, Py_ssize_t index) {
  return PyTuple_GET_ITEM(PyTuple_GET_ITEM(self->pairs, index), 0);
}

static PyObject *value_at(const headers *self, Py_ssize_t index) {
  return PyTuple_GET_ITEM(PyTuple_GET_ITEM(self->pairs, index), 1);
}

static Py_ssize_t pair_count(const headers *self) {
  return PyTuple_GET_SIZE(self->pairs);
}

/* The index of the first pair of a name from `start` on, or -1. */
static Py_ssize_t find(const headers *self, PyObject *name, Py_ssize_t start) {
  if (!PyUnicode_Check(name)) return -1;
  for (Py_ssize_t i = start; i < pair_count(self); i++) {
    if (is_same_name(name_at(self, i), name)) return i;
  }
  return -1;
}

static PyObject *headers_get_item(PyObject *op, PyObject *name) {
  const headers *self = (headers *)op;
  const Py_ssize_t index = find(self, name, 0);
  if (index < 0) {
    PyErr_SetObject(PyExc_KeyError, name);
    return NULL;
  }
  return Py_NewRef(value_at(self, index));
}

static int headers_contains(PyObject *op, PyObject *name) {
  return find((headers *)op, name, 0) >= 0;
}

static PyObject *headers_get(PyObject *op, PyObject *args) {
  PyObject *name;
  PyObject *fallback = Py_None;
  if (!PyArg_ParseTuple(args, "O|O:get", &name, &fallback)) return NULL;
  const Py_ssize_t index = find((headers *)op, name, 0);
  return Py_NewRef(index < 0 ? fallback : value_at((headers *)op, index));
}

static PyObject *headers_get_all(PyObject *op, PyObject *name) {
  const headers *self = (headers *)op;
  PyObject *list = PyList_New(0);
  for (Py_ssize_t i = find(self, name, 0); list != NULL && i >= 0;
       i = find(self, name, i + 1)) {
    if (PyList_Append(list, value_at(self, i)) < 0) Py_CLEAR(list);
  }
  return list;
}

/* What is shown of the first pair of each name. */
typedef PyObject *(*part_fn)(const headers *self, Py_ssize_t index);

static PyObject *pair_at(const headers *self, Py_ssize_t index) {
  return PyTuple_GET_ITEM(self->pairs, index);
}

static PyObject *first_of_each(const headers *self, part_fn part) {
  PyObject *list = PyList_New(0);
  for (Py_ssize_t i = 0; list != NULL && i < pair_count(self); i++) {
    const bool is_first = find(self, name_at(self, i), 0) == i;
    if (is_first && PyList_Append(list, part(self, i)) < 0) Py_CLEAR(list);
  }
  return list;
}

static PyObject *headers_keys(PyObject *op, PyObject *unused) {
  (void)unused;
  return first_of_each((headers *)op, name_at);
}

static PyObject *headers_values(PyObject *op, PyObject *unused) {
  (void)unused;
  return first_of_each((headers *)op, value_at);
}

static PyObject *headers_items(PyObject *op, PyObject *unused) {
  (void)unused;
  return first_of_each((headers *)op, pair_at);
}

static PyObject *headers_raw_items(PyObject *op, PyObject *unused) {
  (void)unused;
  return PySequence_List(((headers *)op)->pairs);
}

static Py_ssize_t headers_len(PyObject *op) {
  const headers *self = (headers *)op;
  Py_ssize_t count = 0;
  for (Py_ssize_t i = 0; i < pair_count(self); i++)
    count += find(self, name_at(self, i), 0) == i;
  return count;
}

static PyObject *headers_iter(PyObject *op) {
  PyObject *keys = headers_keys(op, NULL);
  if (keys == NULL) return NULL;
  PyObject *iterator = PyObject_GetIter(keys);
  Py_DECREF(keys);
  return iterator;
}

static PyObject *headers_repr(PyObject *op) {
  PyObject *list = headers_raw_items(op, NULL);
  if (list == NULL) return NULL;
  PyObject *repr = PyUnicode_FromFormat("Headers(%R)", list);
  Py_DECREF(list);
  return repr;
}

static PyMethodDef headers_methods[] = {
    {"get", headers_get, METH_VARARGS,
     "get($self, name, default=None, /)\n--\n\nReturn the first value of a "
     "name."},
    {"get_all", headers_get_all, METH_O,
     "get_all($self, name, /)\n--\n\nReturn all values of a name."},
    {"keys", headers_keys, METH_NOARGS,
     "keys($self, /)\n--\n\nReturn the names."},
    {"values", headers_values, METH_NOARGS,
     "values($self, /)\n--\n\nReturn the first value of each name."},
    {"items", headers_items, METH_NOARGS,
     "items($self, /)\n--\n\nReturn each name with its first value."},
    {"raw_items", headers_raw_items, METH_NOARGS,
     "raw_items($self, /)\n--\n\nReturn all pairs as they came."},
    {0}};

/* It refers to strings alone, so the collector need not see it. */
static PyType_Slot headers_slots[] = {
    {Py_tp_doc, "Headers(headers=(), /)\n--\n\n"
                "Immutable HTTP headers, whose names compare without case."},
    {Py_tp_new, headers_new},
    {Py_tp_dealloc, headers_dealloc},
    {Py_tp_iter, headers_iter},
    {Py_tp_repr, headers_repr},
    {Py_tp_methods, headers_methods},
    {Py_mp_subscript, headers_get_item},
    {Py_mp_length, headers_len},
    {Py_sq_contains, headers_contains},
    {0, NULL}};

static PyType_Spec headers_spec = {.name = "libws.Headers",
                                   .basicsize = sizeof(headers),
                                   .flags = Py_TPFLAGS_DEFAULT,
                                   .slots = headers_slots};

/* -- Response -------------------------------------------------------------- */

typedef struct response {
  PyObject_HEAD
  PyObject *reason;
  PyObject *headers;
  PyObject *body;
  unsigned short status;
} response;

PyObject *core_response_of(core_state *state, const ws_response *from) {
  PyTypeObject *type = state->response_type;
  response *self = (response *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->status = from->status;
  self->reason = core_latin1(from->reason);
  self->headers = headers_of(state, from->headers, from->header_count);
  self->body = PyBytes_FromStringAndSize((const char *)from->body,
                                         (Py_ssize_t)from->body_len);
  if (self->reason == NULL || self->headers == NULL || self->body == NULL) {
    Py_CLEAR(self);
  }
  return (PyObject *)self;
}

/* The body as bytes, text in UTF-8. */
static PyObject *body_of(PyObject *object) {
  core_payload payload;
  if (core_payload_get(object, &payload) < 0) return NULL;
  PyObject *body =
      PyBytes_FromStringAndSize(payload.data, (Py_ssize_t)payload.len);
  core_payload_release(&payload);
  return body;
}

/* RFC 9110 15: three digits. */
static int check_status(int status) {
  if (status >= 100 && status <= 999) return 0;
  PyErr_SetString(PyExc_ValueError, "status must be 100 to 999");
  return -1;
}

static PyObject *response_new(PyTypeObject *type, PyObject *args,
                              PyObject *kwargs) {
  static char *keywords[] = {"status", "body", "headers", "reason", NULL};
  int status = 200;
  PyObject *body = NULL;
  PyObject *given = NULL;
  PyObject *reason = NULL;
  core_state *state = core_state_of(type);
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|iOOU:Response", keywords,
                                   &status, &body, &given, &reason) ||
      check_status(status) < 0) {
    return NULL;
  }
  response *self = (response *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->status = (unsigned short)status;
  self->reason = Py_NewRef(reason != NULL ? reason : state->empty_text);
  self->headers =
      given != NULL
          ? PyObject_CallOneArg((PyObject *)state->headers_type, given)
          : PyObject_CallNoArgs((PyObject *)state->headers_type);
  if (self->headers != NULL) {
    self->body = body != NULL ? body_of(body) : PyBytes_FromString("");
  }
  if (self->body == NULL) Py_CLEAR(self);
  return (PyObject *)self;
}

static void response_dealloc(PyObject *op) {
  response *self = (response *)op;
  Py_XDECREF(self->reason);
  Py_XDECREF(self->headers);
  Py_XDECREF(self->body);
  core_free(op);
}

static PyObject *response_repr(PyObject *op) {
  const response *self = (response *)op;
  return PyUnicode_FromFormat("<Response %d %U>", (int)self->status,
                              self->reason);
}

static PyMemberDef response_members[] = {
    {"status", T_USHORT, offsetof(response, status), READONLY, "Such as 200."},
    {"reason", T_OBJECT, offsetof(response, reason), READONLY,
     "The phrase behind the status."},
    {"headers", T_OBJECT, offsetof(response, headers), READONLY, "Headers."},
    {"body", T_OBJECT, offsetof(response, body), READONLY,
     "Bytes; of a refusal what came of them."},
    {0}};

static PyType_Slot response_slots[] = {
    {Py_tp_doc, "Response(status=200, body=b\"\", headers=(), reason=\"\")\n"
                "--\n\nAn HTTP response."},
    {Py_tp_new, response_new},
    {Py_tp_dealloc, response_dealloc},
    {Py_tp_repr, response_repr},
    {Py_tp_members, response_members},
    {0, NULL}};

static PyType_Spec response_spec = {.name = "libws.Response",
                                    .basicsize = sizeof(response),
                                    .flags = Py_TPFLAGS_DEFAULT,
                                    .slots = response_slots};

/* -- Arguments of answers -------------------------------------------------- */

PyObject *core_call_accept(PyObject *args, PyObject *kwargs,
                           core_accept_fn accept, PyObject *target) {
  core_state *state = core_state_of(Py_TYPE(target));
  static char *keywords[] = {"protocol", "headers", "compression", NULL};
  PyObject *protocol = Py_None;
  PyObject *given = NULL;
  int compression = 1;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOp:accept", keywords,
                                   &protocol, &given, &compression)) {
    return NULL;
  }
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  answer.decline_compression = !compression;
  if (protocol != Py_None) {
    answer.protocol = core_c_string(protocol, "protocol");
    if (answer.protocol == NULL) return NULL;
  }
  core_header_list list;
  if (core_header_list_get(state, given, false, &list) < 0) return NULL;
  answer.headers = list.items;
  answer.header_count = list.count;
  const int result = accept(target, &answer);
  core_header_list_release(&list);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

PyObject *core_call_respond(PyObject *args, PyObject *kwargs,
                            core_respond_fn respond, PyObject *target) {
  core_state *state = core_state_of(Py_TYPE(target));
  static char *keywords[] = {"status", "body", "headers", NULL};
  int status;
  PyObject *body = NULL;
  PyObject *given = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|OO:respond", keywords,
                                   &status, &body, &given) ||
      check_status(status) < 0) {
    return NULL;
  }
  core_header_list list;
  if (core_header_list_get(state, given, false, &list) < 0) return NULL;
  PyObject *bytes = body != NULL ? body_of(body) : PyBytes_FromString("");
  int result = -1;
  if (bytes != NULL) {
    result = respond(target, (uint16_t)status, list.items, list.count,
                     PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
  }
  core_header_list_release(&list);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

/* -- Request --------------------------------------------------------------- */

static PyObject *list_of(const char *const *texts, size_t count) {
  PyObject *list = PyList_New((Py_ssize_t)count);
  for (size_t i = 0; list != NULL && i < count; i++) {
    PyObject *text = core_latin1(texts[i]);
    if (text == NULL) {
      Py_CLEAR(list);
    } else {
      PyList_SET_ITEM(list, (Py_ssize_t)i, text);
    }
  }
  return list;
}

static void on_loop_end(core_root *root) {
  core_request_end((core_request *)root->object);
}

PyObject *core_request_new(core_state *state, const ws_request *from,
                           core_loop *loop, PyObject *server,
                           ws_socket *handle) {
  PyTypeObject *type = state->request_type;
  core_request *self = (core_request *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  char address[WS_ADDRESS_SIZE] = "";
  if (handle != NULL) (void)ws_socket_peer_address(handle, address);
  self->root = (core_root){.object = (PyObject *)self, .on_end = on_loop_end};
  self->is_upgrade = from->is_upgrade;
  self->method = text_of(state, from->method, strlen(from->method));
  self->target = core_latin1(from->target);
  self->headers = headers_of(state, from->headers, from->header_count);
  self->protocols = list_of(from->protocols, from->protocol_count);
  self->remote = PyUnicode_DecodeFSDefault(address);
  self->loop = (core_loop *)Py_XNewRef((PyObject *)loop);
  self->server = Py_XNewRef(server);
  if (self->method == NULL || self->target == NULL || self->headers == NULL ||
      self->protocols == NULL || self->remote == NULL) {
    Py_CLEAR(self);
  } else if (handle != NULL) {
    self->handle = ws_socket_retain(handle);
  }
  return (PyObject *)self;
}

void core_request_end(core_request *self) {
  ws_socket_release(self->handle);
  self->handle = NULL;
}

void core_request_drop(core_request *self) {
  core_request_end(self);
  core_loop_let_go(&self->root);
}

PyObject *core_request_header(const core_request *self, const char *name) {
  const headers *list = (headers *)self->headers;
  for (Py_ssize_t i = 0; i < pair_count(list); i++) {
    PyObject *text = name_at(list, i);
    if (PyUnicode_IS_ASCII(text) &&
        PyOS_stricmp((const char *)PyUnicode_DATA(text), name) == 0) {
      return value_at(list, i);
    }
  }
  return NULL;
}

/* Whether it can still be answered. */
static int check(core_request *self) {
  core_state *state = core_state_of(Py_TYPE(self));
  /* A client that has gone has ended its socket. */
  if (self->handle != NULL &&
      ws_socket_ready_state(self->handle) != WS_STATE_CONNECTING) {
    core_request_end(self);
  }
  if (self->handle == NULL) {
    return core_raise(state, WS_ERR_INVALID_STATE,
                      "the request has been answered, or its client is gone");
  }
  return core_loop_check(self->loop);
}

/* What an answer of the library came to. */
static int conclude(core_request *self, int err, const char *reason) {
  /* A server that is closing has said so to the client: that was the answer. */
  if (err == 0 || err == WS_ERR_INVALID_STATE) core_request_end(self);
  return err == 0 ? 0 : core_raise(self->loop->state, err, reason);
}

int core_request_accept(core_request *self, const ws_conn_answer *answer) {
  if (check(self) < 0) return -1;
  const char *reason = NULL;
  const int err = ws_socket_accept(self->handle, answer, &reason);
  return conclude(self, err, reason);
}

static int respond(core_request *self, uint16_t status, const ws_header *list,
                   size_t count, const void *body, size_t body_len) {
  if (check(self) < 0) return -1;
  const char *reason = NULL;
  const int err = ws_socket_respond(self->handle, status, list, count, body,
                                    body_len, &reason);
  return conclude(self, err, reason);
}

int core_request_refuse(core_request *self, uint16_t status) {
  return respond(self, status, NULL, 0, "", 0);
}

int core_request_respond(core_request *self, PyObject *op) {
  const response *answer = (response *)op;
  core_header_list list;
  if (core_header_list_get(self->loop->state, answer->headers, false, &list) <
      0)
    return -1;
  const int result = respond(self, answer->status, list.items, list.count,
                             PyBytes_AS_STRING(answer->body),
                             (size_t)PyBytes_GET_SIZE(answer->body));
  core_header_list_release(&list);
  return result;
}

int core_request_respond_file(core_request *self, PyObject *folder) {
  const char *root = core_c_string(folder, "root");
  if (root == NULL || check(self) < 0) return -1;
  return conclude(self, ws_socket_respond_file(self->handle, root), NULL);
}

static int accept_target(void *target, const ws_conn_answer *answer) {
  return core_request_accept(target, answer);
}

static int respond_target(void *target, uint16_t status, const ws_header *list,
                          size_t count, const void *body, size_t body_len) {
  return respond(target, status, list, count, body, body_len);
}

static PyObject *request_accept(PyObject *op, PyObject *args,
                                PyObject *kwargs) {
  return core_call_accept(args, kwargs, accept_target, op);
}

static PyObject *request_respond(PyObject *op, PyObject *args,
                                 PyObject *kwargs) {
  return core_call_respond(args, kwargs, respond_target, op);
}

static PyObject *request_respond_file(PyObject *op, PyObject *root) {
  PyObject *path = PyOS_FSPath(root);
  if (path == NULL) return NULL;
  const int result = core_request_respond_file((core_request *)op, path);
  Py_DECREF(path);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *request_hold(PyObject *op, PyObject *unused) {
  (void)unused;
  ((core_request *)op)->is_held = true;
  Py_RETURN_NONE;
}

static PyObject *request_path(PyObject *op, void *closure) {
  (void)closure;
  PyObject *target = ((core_request *)op)->target;
  const Py_ssize_t len = PyUnicode_GET_LENGTH(target);
  const Py_ssize_t mark = PyUnicode_FindChar(target, '?', 0, len, 1);
  return mark < 0 ? Py_NewRef(target) : PyUnicode_Substring(target, 0, mark);
}

static PyObject *request_answered(PyObject *op, void *closure) {
  (void)closure;
  const core_request *self = (core_request *)op;
  return PyBool_FromLong(self->handle == NULL ||
                         ws_socket_ready_state(self->handle) !=
                             WS_STATE_CONNECTING);
}

static PyObject *request_server(PyObject *op, void *closure) {
  (void)closure;
  PyObject *server = ((core_request *)op)->server;
  return Py_NewRef(server != NULL ? server : Py_None);
}

static PyObject *request_repr(PyObject *op) {
  const core_request *self = (core_request *)op;
  return PyUnicode_FromFormat("<Request %U %U>", self->method, self->target);
}

static int request_traverse(PyObject *op, visitproc visit, void *arg) {
  core_request *self = (core_request *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->dict);
  Py_VISIT(self->server);
  Py_VISIT(self->loop);
  return 0;
}

static int request_clear(PyObject *op) {
  Py_CLEAR(((core_request *)op)->dict);
  Py_CLEAR(((core_request *)op)->server);
  return 0;
}

static void request_dealloc(PyObject *op) {
  core_request *self = (core_request *)op;
  PyObject_GC_UnTrack(op);
  core_request_end(self);
  (void)request_clear(op);
  Py_XDECREF(self->method);
  Py_XDECREF(self->target);
  Py_XDECREF(self->headers);
  Py_XDECREF(self->protocols);
  Py_XDECREF(self->remote);
  Py_XDECREF(self->loop);
  core_free(op);
}

static PyMemberDef request_members[] = {
    {"method", T_OBJECT, offsetof(core_request, method), READONLY,
     "Such as \"GET\"."},
    {"target", T_OBJECT, offsetof(core_request, target), READONLY,
     "What is asked for, as it came: \"/chat?room=1\"."},
    {"headers", T_OBJECT, offsetof(core_request, headers), READONLY,
     "Headers."},
    {"protocols", T_OBJECT, offsetof(core_request, protocols), READONLY,
     "The subprotocols that the client offers, in its order."},
    {"remote", T_OBJECT, offsetof(core_request, remote), READONLY,
     "The address of the peer: \"1.2.3.4:80\", \"[::1]:80\" or "
     "\"unix:/path\"."},
    {"is_upgrade", T_BOOL, offsetof(core_request, is_upgrade), READONLY,
     "Whether it is a WebSocket handshake."},
    {"__dictoffset__", T_PYSSIZET, offsetof(core_request, dict), READONLY,
     NULL},
    {0}};

static PyGetSetDef request_getset[] = {
    {"path", request_path, NULL, "The target before its \"?\".", NULL},
    {"answered", request_answered, NULL,
     "Whether it has been answered, or the client is gone.", NULL},
    {"server", request_server, NULL, "The WebSocketServer, or None.", NULL},
    {0}};

static PyMethodDef request_methods[] = {
    {"accept", CORE_METHOD(request_accept), METH_VARARGS | METH_KEYWORDS,
     "accept($self, /, protocol=None, headers=(), compression=True)\n--\n\n"
     "Open the connection, with one of the subprotocols offered."},
    {"respond", CORE_METHOD(request_respond), METH_VARARGS | METH_KEYWORDS,
     "respond($self, /, status, body=b\"\", headers=())\n--\n\nAnswer with "
     "plain HTTP."},
    {"respond_file", request_respond_file, METH_O,
     "respond_file($self, root, /)\n--\n\n"
     "Answer with the file below the folder `root` that the target names."},
    {"hold", request_hold, METH_NOARGS,
     "hold($self, /)\n--\n\nThe answer comes after the hook has returned."},
    {0}};

static PyType_Slot request_slots[] = {
    {Py_tp_doc, "A request that a server got, and its answer."},
    {Py_tp_new, core_refuse_new},
    {Py_tp_dealloc, request_dealloc},
    {Py_tp_traverse, request_traverse},
    {Py_tp_clear, request_clear},
    {Py_tp_repr, request_repr},
    {Py_tp_members, request_members},
    {Py_tp_getset, request_getset},
    {Py_tp_methods, request_methods},
    {0, NULL}};

static PyType_Spec request_spec = {
    .name = "libws.Request",
    .basicsize = sizeof(core_request),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = request_slots};

int core_add_requests(PyObject *module) {
  core_state *state = core_state_of_module(module);
  state->words = dict_of_words();
  if (state->words == NULL ||
      core_add_type(module, &headers_spec, NULL, &state->headers_type) < 0 ||
      core_add_type(module, &response_spec, NULL, &state->response_type) < 0) {
    return -1;
  }
  return core_add_type(module, &request_spec, NULL, &state->request_type);
}
