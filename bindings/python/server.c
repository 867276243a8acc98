#include "server.h"
#include "convert.h"
#include "errors.h"
#include "host.h"
#include "options.h"
#include "request.h"
#include "socket.h"
#include "tls.h"

#include <stddef.h>

typedef struct core_server {
  PyObject_HEAD PyObject *weakrefs;
  core_root root;
  core_loop *loop;
  ws_server *handle; /* NULL before __init__ and when it has ended. */
  PyTypeObject *socket_class;
  core_strings protocols; /* That are spoken. */
  PyObject *folder;       /* The option root, or NULL. */
  uint64_t high_water;
  bool has_protocols;
  bool is_tracking;
  bool is_closing;
  /* Hooks; NULL for none. */
  PyObject *on_connection;
  PyObject *on_upgrade;
  PyObject *on_request;
  PyObject *on_error;
  PyObject *on_close;
} core_server;

static core_state *state_of(const core_server *self) {
  return self->loop->state;
}

/* RuntimeError before __init__, and when the loop cannot be used;
 * InvalidStateError when the server has ended. */
static int check(const core_server *self) {
  if (self->loop == NULL) {
    PyErr_SetString(PyExc_RuntimeError,
                    "WebSocketServer.__init__() was not called");
    return -1;
  }
  if (self->handle == NULL) {
    return core_raise(state_of(self), WS_ERR_INVALID_STATE,
                      "the server has ended");
  }
  return core_loop_check(self->loop);
}

static void forget_hooks(core_server *self) {
  Py_CLEAR(self->on_connection);
  Py_CLEAR(self->on_upgrade);
  Py_CLEAR(self->on_request);
  Py_CLEAR(self->on_error);
  Py_CLEAR(self->on_close);
}

/* -- Listening ------------------------------------------------------------- */

/* Where to listen; objects are borrowed. */
typedef struct place {
  ws_listen_options is;
  PyObject *tls;
  PyObject *sock;
  PyObject *unix_path; /* Owned. */
} place;

static int set_unix(void *target, PyObject *value) {
  place *p = target;
  if (value == Py_None) return 0;
  Py_XSETREF(p->unix_path, PyOS_FSPath(value));
  if (p->unix_path == NULL) return -1;
  return core_option_text(p->unix_path, "unix", &p->is.unix_path);
}

static int set_unix_mode(void *target, PyObject *value) {
  return core_option_u32(value, "unix_mode", &((place *)target)->is.unix_mode);
}

static int set_sock(void *target, PyObject *value) {
  ((place *)target)->sock = value != Py_None ? value : NULL;
  return 0;
}

static int set_tls(void *target, PyObject *value) {
  ((place *)target)->tls = value;
  return 0;
}

static int set_backlog(void *target, PyObject *value) {
  uint32_t backlog = 0;
  if (core_option_u32(value, "backlog", &backlog) < 0) return -1;
  ((place *)target)->is.backlog = backlog < INT_MAX ? (int)backlog : INT_MAX;
  return 0;
}

static int set_reuse_port(void *target, PyObject *value) {
  return core_option_bool(value, &((place *)target)->is.reuse_port);
}

static const core_option listen_options[] = {{"unix", set_unix},
                                             {"unix_mode", set_unix_mode},
                                             {"sock", set_sock},
                                             {"tls", set_tls},
                                             {"backlog", set_backlog},
                                             {"reuse_port", set_reuse_port},
                                             {0}};

static void init_place(place *p) {
  *p = (place){.tls = NULL};
  ws_listen_options_init(&p->is);
}

static int set_address(place *p, PyObject *host, PyObject *port) {
  if (host != NULL && core_option_text(host, "host", &p->is.host) < 0) {
    return -1;
  }
  uint32_t number = 0;
  if (port != NULL && core_option_u32(port, "port", &number) < 0) return -1;
  if (number > UINT16_MAX) {
    PyErr_SetString(PyExc_ValueError, "port must be 0 to 65535");
    return -1;
  }
  p->is.port = (uint16_t)number;
  return 0;
}

/* Makes what a listener needs but its descriptor. */
static int prepare(core_state *state, place *p) {
  return core_tls_server_context(state, p->tls, &p->is.tls);
}

static int listen_at(core_server *self, place *p) {
  core_state *state = state_of(self);
  if (p->sock != NULL && core_take_fd(state, p->sock, &p->is.fd) < 0) {
    return -1;
  }
  ws_error error = {.message = ""};
  const int err = ws_server_listen(self->handle, &p->is, &error);
  return err != 0 ? core_raise(state, err, error.message) : 0;
}

static PyObject *server_listen(PyObject *op, PyObject *args, PyObject *kwargs) {
  core_server *self = (core_server *)op;
  PyObject *host = NULL;
  PyObject *port = NULL;
  if (!PyArg_ParseTuple(args, "|OO:listen", &host, &port) || check(self) < 0) {
    return NULL;
  }
  place p;
  init_place(&p);
  int result = set_address(&p, host, port);
  if (result == 0) result = core_options_set(kwargs, listen_options, &p, NULL);
  if (result == 0) result = prepare(state_of(self), &p);
  if (result == 0) result = listen_at(self, &p);
  Py_XDECREF(p.unix_path);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *server_adopt(PyObject *op, PyObject *args, PyObject *kwargs) {
  static char *keywords[] = {"sock", "data", "tls", NULL};
  core_server *self = (core_server *)op;
  PyObject *sock;
  Py_buffer data = {.buf = NULL};
  PyObject *tls = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|y*$O:adopt", keywords,
                                   &sock, &data, &tls)) {
    return NULL;
  }
  ws_tls_context *context;
  int fd;
  int result = check(self);
  if (result == 0) {
    result = core_tls_server_context(state_of(self), tls, &context);
  }
  if (result == 0) result = core_take_fd(state_of(self), sock, &fd);
  if (result == 0) {
    ws_socket *socket;
    ws_error error = {.message = ""};
    const int err = ws_server_adopt(self->handle, fd, context, data.buf,
                                    (size_t)data.len, &socket, &error);
    if (err != 0) result = core_raise(state_of(self), err, error.message);
  }
  PyBuffer_Release(&data);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

/* -- Constructor ----------------------------------------------------------- */

/* The options as they are read. */
typedef struct making {
  core_server *server;
  ws_server_options is;
  core_conn_options conn;
  place place;
  PyObject *folder; /* Owned. */
  PyObject *loop;
  bool should_listen;
} making;

static int set_hook(PyObject **hook, PyObject *value) {
  if (value == Py_None) value = NULL;
  if (value != NULL && !PyCallable_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "a hook must be callable or None");
    return -1;
  }
  Py_XSETREF(*hook, Py_XNewRef(value));
  return 0;
}

static int set_on_connection(void *target, PyObject *value) {
  return set_hook(&((making *)target)->server->on_connection, value);
}

static int set_on_upgrade(void *target, PyObject *value) {
  return set_hook(&((making *)target)->server->on_upgrade, value);
}

static int set_on_request(void *target, PyObject *value) {
  return set_hook(&((making *)target)->server->on_request, value);
}

static int set_on_error(void *target, PyObject *value) {
  return set_hook(&((making *)target)->server->on_error, value);
}

static int set_on_close(void *target, PyObject *value) {
  return set_hook(&((making *)target)->server->on_close, value);
}

static int set_protocols(void *target, PyObject *value) {
  core_server *server = ((making *)target)->server;
  server->has_protocols = value != Py_None;
  core_strings_release(&server->protocols);
  return core_strings_get(value, "protocols", &server->protocols);
}

static int set_path(void *target, PyObject *value) {
  return core_option_text(value, "path", &((making *)target)->is.path);
}

static int set_root(void *target, PyObject *value) {
  making *m = target;
  if (value == Py_None) return 0;
  Py_XSETREF(m->folder, PyOS_FSPath(value));
  if (m->folder == NULL) return -1;
  return core_option_text(m->folder, "root", &m->is.root);
}

static int set_max_connections(void *target, PyObject *value) {
  return core_option_u32(value, "max_connections",
                         &((making *)target)->is.max_connections);
}

static int set_max_per_address(void *target, PyObject *value) {
  return core_option_u32(value, "max_connections_per_address",
                         &((making *)target)->is.max_connections_per_address);
}

static int set_socket_class(void *target, PyObject *value) {
  core_server *server = ((making *)target)->server;
  PyTypeObject *base = core_state_of(Py_TYPE(server))->socket_type;
  if (!PyType_Check(value) || !PyType_IsSubtype((PyTypeObject *)value, base)) {
    PyErr_SetString(PyExc_TypeError,
                    "socket_class must be WebSocket or a subclass of it");
    return -1;
  }
  Py_XSETREF(server->socket_class, (PyTypeObject *)Py_NewRef(value));
  return 0;
}

static int set_client_tracking(void *target, PyObject *value) {
  return core_option_bool(value, &((making *)target)->server->is_tracking);
}

static int set_loop(void *target, PyObject *value) {
  ((making *)target)->loop = value;
  return 0;
}

static int set_listen(void *target, PyObject *value) {
  return core_option_bool(value, &((making *)target)->should_listen);
}

static int set_place_unix(void *target, PyObject *value) {
  return set_unix(&((making *)target)->place, value);
}

static int set_place_unix_mode(void *target, PyObject *value) {
  return set_unix_mode(&((making *)target)->place, value);
}

static int set_place_sock(void *target, PyObject *value) {
  return set_sock(&((making *)target)->place, value);
}

static int set_place_tls(void *target, PyObject *value) {
  return set_tls(&((making *)target)->place, value);
}

static int set_place_backlog(void *target, PyObject *value) {
  return set_backlog(&((making *)target)->place, value);
}

static int set_place_reuse_port(void *target, PyObject *value) {
  return set_reuse_port(&((making *)target)->place, value);
}

static const core_option server_options[] = {
    {"onconnection", set_on_connection},
    {"onupgrade", set_on_upgrade},
    {"onrequest", set_on_request},
    {"onerror", set_on_error},
    {"onclose", set_on_close},
    {"protocols", set_protocols},
    {"path", set_path},
    {"root", set_root},
    {"max_connections", set_max_connections},
    {"max_connections_per_address", set_max_per_address},
    {"socket_class", set_socket_class},
    {"client_tracking", set_client_tracking},
    {"loop", set_loop},
    {"listen", set_listen},
    {"unix", set_place_unix},
    {"unix_mode", set_place_unix_mode},
    {"sock", set_place_sock},
    {"tls", set_place_tls},
    {"backlog", set_place_backlog},
    {"reuse_port", set_place_reuse_port},
    {0}};

/* The server's own handlers answer every request, so that hooks may change. */
static int make_handle(core_server *self, making *m) {
  core_loop *loop = core_loop_choose(core_state_of(Py_TYPE(self)), m->loop);
  if (loop == NULL) return -1;
  m->is.conn = &m->conn.is;
  m->is.protocols = self->protocols.items;
  m->is.protocol_count = self->protocols.count;
  m->is.wants_upgrades = m->is.wants_requests = true;
  m->is.user_data = self;
  ws_error error = {.message = ""};
  const int err = ws_server_new(loop->handle, &m->is, &self->handle, &error);
  if (err != 0) {
    Py_DECREF(loop);
    return core_raise(core_state_of(Py_TYPE(self)), err, error.message);
  }
  self->loop = loop;
  self->folder = Py_XNewRef(m->folder);
  self->high_water = m->conn.is.send_high_water;
  core_loop_keep(loop, &self->root);
  return 0;
}

/* Calls onerror, or reports the error when there is none. */
static int tell_error(core_server *self, PyObject *error) {
  core_state *state = state_of(self);
  PyObject *host = self->loop->host;
  if (self->on_error == NULL) {
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    return core_host_report(state, host, (PyObject *)self);
  }
  PyObject *event =
      core_error_event_new(state, error, core_loop_now(self->loop));
  if (event == NULL) return core_host_report(state, host, (PyObject *)self);
  PyObject *hook = Py_NewRef(self->on_error);
  const int result = core_host_call(state, host, hook, event);
  Py_DECREF(hook);
  Py_DECREF(event);
  return result;
}

/* Posted when the constructor could not listen: `pair` is the server and the
 * exception. */
static PyObject *tell_later(PyObject *pair, PyObject *unused) {
  (void)unused;
  core_server *self = (core_server *)PyTuple_GET_ITEM(pair, 0);
  if (tell_error(self, PyTuple_GET_ITEM(pair, 1)) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyMethodDef tell_later_def = {"tell", tell_later, METH_NOARGS, NULL};

/* Has the error event come, for the exception that is taken. */
static int post_error(core_server *self, PyObject *error) {
  PyObject *pair = PyTuple_Pack(2, (PyObject *)self, error);
  PyObject *callback =
      pair != NULL ? PyCFunction_New(&tell_later_def, pair) : NULL;
  const int result =
      callback != NULL ? core_loop_post(self->loop, callback) : -1;
  Py_XDECREF(callback);
  Py_XDECREF(pair);
  return result;
}

/* The constructor could not listen: the server ends, and if the system was why,
 * its error event says so. For all else the exception stays. */
static int fail_to_listen(core_server *self) {
  self->is_closing = true;
  (void)ws_server_close(self->handle, 0, "", 0, 0);
  if (!PyErr_ExceptionMatches(PyExc_OSError)) {
    forget_hooks(self);
    return -1;
  }
  PyObject *error = core_take_exception();
  const int result = post_error(self, error);
  Py_DECREF(error);
  return result;
}

/* Exactly one of port, unix and sock says where to listen. */
static int check_places(const making *m, PyObject *port) {
  const int count = (port != Py_None) + (m->place.unix_path != NULL) +
                    (m->place.sock != NULL);
  if (count == (m->should_listen ? 1 : 0)) return 0;
  PyErr_SetString(PyExc_TypeError,
                  m->should_listen
                      ? "one of port, unix and sock has to be given"
                      : "listen=False does not go with port, unix or sock");
  return -1;
}

static int make_server(core_server *self, making *m, PyObject *host,
                       PyObject *port, PyObject *kwargs) {
  if (core_options_set(kwargs, server_options, m, &m->conn) < 0 ||
      check_places(m, port) < 0 || set_address(&m->place, host, port) < 0 ||
      prepare(core_state_of(Py_TYPE(self)), &m->place) < 0 ||
      make_handle(self, m) < 0) {
    return -1;
  }
  if (!m->should_listen || listen_at(self, &m->place) == 0) return 0;
  return fail_to_listen(self);
}

static int server_init(PyObject *op, PyObject *args, PyObject *kwargs) {
  core_server *self = (core_server *)op;
  PyObject *host = Py_None;
  PyObject *port = Py_None;
  if (!PyArg_ParseTuple(args, "|OO:WebSocketServer", &host, &port)) return -1;
  if (self->loop != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the server has been made already");
    return -1;
  }
  making m = {.server = self, .should_listen = true};
  ws_server_options_init(&m.is);
  core_conn_options_init(&m.conn);
  init_place(&m.place);
  const int result = make_server(self, &m, host, port, kwargs);
  core_conn_options_release(&m.conn);
  Py_XDECREF(m.place.unix_path);
  Py_XDECREF(m.folder);
  return result;
}

/* -- Requests -------------------------------------------------------------- */

/* The first subprotocol of the client's that is spoken here. */
static PyObject *choose_protocol(const core_server *self,
                                 const core_request *request) {
  const Py_ssize_t count = PyList_GET_SIZE(request->protocols);
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *offered = PyList_GET_ITEM(request->protocols, i);
    if (!self->has_protocols) return offered;
    for (size_t j = 0; j < self->protocols.count; j++) {
      if (PyUnicode_CompareWithASCIIString(offered, self->protocols.items[j]) ==
          0) {
        return offered;
      }
    }
  }
  return NULL;
}

/* Accepts with a subprotocol: NULL for the one that is spoken, "" for none. */
static int accept_with(const core_server *self, core_request *request,
                       PyObject *protocol) {
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  if (protocol == NULL) protocol = choose_protocol(self, request);
  if (protocol != NULL && PyUnicode_GET_LENGTH(protocol) > 0) {
    answer.protocol = core_c_string(protocol, "protocol");
    if (answer.protocol == NULL) return -1;
  }
  return core_request_accept(request, &answer);
}

/* Plain HTTP that nobody answers: a file, or RFC 9110's 426 Upgrade Required.
 */
static int answer_plainly(const core_server *self, core_request *request) {
  if (self->folder == NULL) return core_request_refuse(request, 426);
  return core_request_respond_file(request, self->folder);
}

/* Answers with what a hook has returned. */
static int answer_with(const core_server *self, core_request *request,
                       PyObject *result) {
  core_state *state = state_of(self);
  if (Py_IS_TYPE(result, state->response_type)) {
    return core_request_respond(request, result);
  }
  if (!request->is_upgrade && result == Py_None) {
    return answer_plainly(self, request);
  }
  if (request->is_upgrade) {
    if (result == Py_None || result == Py_True) {
      return accept_with(self, request, NULL);
    }
    if (result == Py_False) return core_request_refuse(request, 403);
    if (PyUnicode_Check(result)) return accept_with(self, request, result);
  }
  PyErr_Format(PyExc_TypeError, "a hook cannot answer with %.100s",
               Py_TYPE(result)->tp_name);
  return -1;
}

/* Reports an exception, and answers that there was one. */
static int answer_failure(core_server *self, core_request *request,
                          PyObject *hook) {
  const int result = core_host_report(state_of(self), self->loop->host, hook);
  if (result == 0 && request->handle != NULL &&
      core_request_refuse(request, 500) < 0) {
    PyErr_Clear();
  }
  return result;
}

/* Sees to it that a request is answered, when its hook has returned. */
static int settle(core_server *self, core_request *request, PyObject *hook,
                  PyObject *result) {
  const bool is_done =
      request->handle == NULL || (request->is_held && result == Py_None);
  if (is_done || answer_with(self, request, result) == 0) return 0;
  return answer_failure(self, request, hook);
}

/* Called by a task: the coroutine of a hook has ended. */
static PyObject *settle_task(PyObject *op, PyObject *task) {
  core_request *request = (core_request *)op;
  core_server *self = (core_server *)request->server;
  if (request->handle == NULL || self == NULL) Py_RETURN_NONE;
  PyObject *result =
      PyObject_CallMethodNoArgs(task, state_of(self)->result_name);
  if (result == NULL) {
    /* libws._host has reported it, or it was cancelled. */
    PyErr_Clear();
    if (core_request_refuse(request, 500) < 0) PyErr_Clear();
    Py_RETURN_NONE;
  }
  const int status = settle(self, request, op, result);
  Py_DECREF(result);
  if (status < 0) return NULL;
  Py_RETURN_NONE;
}

static PyMethodDef settle_task_def = {"settle", settle_task, METH_O, NULL};

/* Has the task answer at its end. Takes the coroutine. */
static int start_hook(core_server *self, core_request *request,
                      PyObject *coroutine) {
  core_state *state = state_of(self);
  PyObject *task = core_host_start(state, self->loop->host, coroutine);
  if (task == NULL) return -1;
  PyObject *callback = PyCFunction_New(&settle_task_def, (PyObject *)request);
  PyObject *result = NULL;
  if (callback != NULL) {
    result = PyObject_CallMethodOneArg(task, state->add_done_callback_name,
                                       callback);
  }
  Py_XDECREF(callback);
  Py_XDECREF(result);
  Py_DECREF(task);
  return result != NULL ? 0 : -1;
}

static int call_hook(core_server *self, core_request *request, PyObject *hook) {
  PyObject *result = PyObject_CallOneArg(hook, (PyObject *)request);
  if (result == NULL) return answer_failure(self, request, hook);
  if (PyCoro_CheckExact(result)) {
    if (start_hook(self, request, result) == 0) return 0;
    return answer_failure(self, request, hook);
  }
  const int status = settle(self, request, hook, result);
  Py_DECREF(result);
  return status;
}

static int answer(core_server *self, core_request *request) {
  PyObject *hook = request->is_upgrade ? self->on_upgrade : self->on_request;
  if (hook == NULL) {
    return settle(self, request, (PyObject *)self, Py_None) < 0 ? -1 : 0;
  }
  Py_INCREF(hook);
  const int result = call_hook(self, request, hook);
  Py_DECREF(hook);
  return result < 0 ? -1 : 1;
}

int core_server_deliver_request(core_loop *loop, const ws_event *event) {
  core_server *self = ws_server_user_data(event->server);
  core_request *request = (core_request *)core_request_new(
      loop->state, event->u.request, loop, (PyObject *)self, event->socket);
  if (request == NULL) {
    ws_socket_terminate(event->socket);
    return core_host_report(loop->state, loop->host, (PyObject *)self);
  }
  core_loop_keep(loop, &request->root);
  ws_socket_set_user_data(event->socket, request);
  Py_INCREF(self);
  const int result = answer(self, request);
  Py_DECREF(self);
  Py_DECREF(request);
  return result;
}

/* -- Connections ----------------------------------------------------------- */

/* Calls onconnection(socket, request). */
static int call_on_connection(core_server *self, core_socket *socket) {
  core_state *state = state_of(self);
  PyObject *hook = Py_NewRef(self->on_connection);
  PyObject *args[] = {(PyObject *)socket, socket->request};
  PyObject *result = PyObject_Vectorcall(hook, args, 2, NULL);
  if (result != NULL && PyCoro_CheckExact(result)) {
    result = core_host_start(state, self->loop->host, result);
  }
  int status = 0;
  if (result == NULL) status = core_host_report(state, self->loop->host, hook);
  Py_XDECREF(result);
  Py_DECREF(hook);
  return status;
}

/* A server's socket comes into being with its open event, which its listeners
 * get after onconnection has had the chance to add them. */
int core_server_deliver_open(core_loop *loop, const ws_event *event) {
  core_server *self = ws_server_user_data(event->server);
  core_request *request = ws_socket_user_data(event->socket);
  core_socket *socket = core_socket_accept(loop, self->socket_class,
                                           event->socket, (PyObject *)request,
                                           self->is_tracking, self->high_water);
  if (socket == NULL) {
    ws_socket_set_user_data(event->socket, NULL);
    ws_socket_terminate(event->socket);
    core_request_drop(request);
    return core_host_report(loop->state, loop->host, (PyObject *)self);
  }
  core_request_drop(request);
  Py_INCREF(self);
  int result = 0;
  if (self->on_connection != NULL) result = call_on_connection(self, socket);
  if (result == 0) result = core_socket_deliver(loop, event);
  Py_DECREF(self);
  Py_DECREF(socket);
  return result < 0 ? -1 : 1;
}

/* -- Events of the server -------------------------------------------------- */

static int deliver_error(core_server *self, const ws_event *event) {
  PyObject *error = core_error_of_cause(state_of(self), &event->u.error, NULL);
  if (error == NULL) {
    return core_host_report(state_of(self), self->loop->host, (PyObject *)self);
  }
  const int result = tell_error(self, error);
  Py_DECREF(error);
  return result;
}

static int deliver_close(core_server *self) {
  self->handle = NULL;
  core_loop_let_go(&self->root);
  if (self->on_close == NULL) return 0;
  PyObject *hook = Py_NewRef(self->on_close);
  PyObject *result = PyObject_CallNoArgs(hook);
  int status = 0;
  if (result == NULL) {
    status = core_host_report(state_of(self), self->loop->host, hook);
  }
  Py_XDECREF(result);
  Py_DECREF(hook);
  return status;
}

int core_server_deliver(core_loop *loop, const ws_event *event) {
  (void)loop;
  core_server *self = ws_server_user_data(event->server);
  Py_INCREF(self);
  const int result = event->type == WS_EVENT_SERVER_CLOSE
                         ? deliver_close(self)
                         : deliver_error(self, event);
  Py_DECREF(self);
  return result < 0 ? -1 : 1;
}

/* -- Calls ----------------------------------------------------------------- */

static PyObject *server_close(PyObject *op, PyObject *args, PyObject *kwargs) {
  static char *keywords[] = {"code", "reason", "timeout", NULL};
  core_server *self = (core_server *)op;
  PyObject *code = NULL;
  PyObject *reason = NULL;
  PyObject *timeout = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO$O:close", keywords, &code,
                                   &reason, &timeout)) {
    return NULL;
  }
  if (self->loop != NULL && self->handle == NULL) Py_RETURN_NONE;
  uint64_t deadline = 0;
  if (check(self) < 0 ||
      (timeout != Py_None &&
       core_milliseconds(timeout, "timeout", &deadline) < 0)) {
    return NULL;
  }
  if (timeout != Py_None && deadline == 0) deadline = 1; /* 0: the default. */
  if (deadline > UINT32_MAX) deadline = UINT32_MAX;
  core_close how;
  if (core_close_get(state_of(self), code, reason, true, &how) < 0) return NULL;
  const int err = ws_server_close(self->handle, how.code, how.reason.data,
                                  how.reason.len, (uint32_t)deadline);
  core_text_release(&how.reason);
  if (err != 0) {
    core_raise(state_of(self), err, NULL);
    return NULL;
  }
  self->is_closing = true;
  Py_RETURN_NONE;
}

static PyObject *server_stop_listening(PyObject *op, PyObject *unused) {
  (void)unused;
  core_server *self = (core_server *)op;
  if (check(self) < 0) return NULL;
  ws_server_stop_listening(self->handle);
  Py_RETURN_NONE;
}

/* Keywords of publish() and broadcast(). */
static int set_publish_option(core_state *state, PyObject *name,
                              PyObject *value, unsigned *flags,
                              const ws_socket **except) {
  if (PyUnicode_Compare(name, state->compress_name) == 0) {
    const int truth = PyObject_IsTrue(value);
    if (truth < 0) return -1;
    if (!truth) *flags |= WS_SEND_UNCOMPRESSED;
    return 0;
  }
  const bool is_exclude =
      PyUnicode_CompareWithASCIIString(name, "exclude") == 0;
  if (is_exclude && value == Py_None) return 0;
  if (is_exclude && PyObject_TypeCheck(value, state->socket_type)) {
    *except = ((core_socket *)value)->handle;
    return 0;
  }
  if (is_exclude) {
    PyErr_SetString(PyExc_TypeError, "exclude must be a WebSocket or None");
  } else {
    PyErr_Format(PyExc_TypeError, "there is no argument %R", name);
  }
  return -1;
}

int core_server_publish(core_state *state, ws_server *server,
                        PyObject *const *args, Py_ssize_t nargs,
                        PyObject *names, const ws_socket *except) {
  const char *topic = NULL;
  if (args[0] != Py_None) {
    topic = core_c_string(args[0], "topic");
    if (topic == NULL) return -1;
  }
  unsigned flags = 0;
  const Py_ssize_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t i = 0; i < count; i++) {
    if (set_publish_option(state, PyTuple_GET_ITEM(names, i), args[nargs + i],
                           &flags, &except) < 0) {
      return -1;
    }
  }
  core_payload payload;
  if (core_payload_get(args[1], &payload) < 0) return -1;
  const int err = ws_server_publish(server, topic, payload.type, payload.data,
                                    payload.len, payload.flags | flags, except);
  core_payload_release(&payload);
  return err != 0 ? core_raise(state, err, NULL) : 0;
}

static PyObject *server_publish(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *names) {
  core_server *self = (core_server *)op;
  if (nargs != 2 || args[0] == Py_None) {
    PyErr_SetString(PyExc_TypeError, "publish() takes a topic and data");
    return NULL;
  }
  if (check(self) < 0 || core_server_publish(state_of(self), self->handle, args,
                                             nargs, names, NULL) < 0) {
    return NULL;
  }
  Py_RETURN_NONE;
}

static PyObject *server_broadcast(PyObject *op, PyObject *const *args,
                                  Py_ssize_t nargs, PyObject *names) {
  core_server *self = (core_server *)op;
  const Py_ssize_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
  PyObject *all[4] = {Py_None};
  if (nargs != 1 || count > 2) {
    PyErr_SetString(PyExc_TypeError, "broadcast() takes data");
    return NULL;
  }
  /* The same arguments behind a topic that stands for all. */
  for (Py_ssize_t i = 0; i < nargs + count; i++)
    all[i + 1] = args[i];
  if (check(self) < 0 || core_server_publish(state_of(self), self->handle, all,
                                             2, names, NULL) < 0) {
    return NULL;
  }
  Py_RETURN_NONE;
}

/* -- Attributes ------------------------------------------------------------ */

static PyObject *server_port(PyObject *op, void *closure) {
  (void)closure;
  const core_server *self = (core_server *)op;
  return PyLong_FromLong(self->handle != NULL ? ws_server_port(self->handle, 0)
                                              : 0);
}

static PyObject *server_urls(PyObject *op, void *closure) {
  (void)closure;
  const core_server *self = (core_server *)op;
  PyObject *list = PyList_New(0);
  const size_t count =
      self->handle != NULL ? ws_server_listener_count(self->handle) : 0;
  for (size_t i = 0; list != NULL && i < count; i++) {
    PyObject *url = PyUnicode_DecodeFSDefault(ws_server_url(self->handle, i));
    if (url == NULL || PyList_Append(list, url) < 0) Py_CLEAR(list);
    Py_XDECREF(url);
  }
  return list;
}

/* Adds the objects of open sockets to a set. */
static int add_clients(PyObject *set, ws_socket *const *sockets, size_t count) {
  for (size_t i = 0; i < count; i++) {
    PyObject *object = ws_socket_user_data(sockets[i]);
    if (object != NULL && PySet_Add(set, object) < 0) return -1;
  }
  return 0;
}

static PyObject *server_clients(PyObject *op, void *closure) {
  (void)closure;
  const core_server *self = (core_server *)op;
  PyObject *set = PySet_New(NULL);
  if (set == NULL || self->handle == NULL) return set;
  if (check(self) < 0) {
    Py_DECREF(set);
    return NULL;
  }
  const size_t count = ws_server_sockets(self->handle, NULL, 0);
  ws_socket **sockets = PyMem_New(ws_socket *, count + 1);
  if (sockets == NULL) {
    Py_DECREF(set);
    return PyErr_NoMemory();
  }
  (void)ws_server_sockets(self->handle, sockets, count);
  if (add_clients(set, sockets, count) < 0) Py_CLEAR(set);
  PyMem_Free(sockets);
  return set;
}

static PyObject *server_stats(PyObject *op, PyObject *unused) {
  (void)unused;
  const core_server *self = (core_server *)op;
  if (check(self) < 0) return NULL;
  ws_server_stats s;
  ws_server_get_stats(self->handle, &s);
  return Py_BuildValue("{sK sK sK sK sK}", "connections", s.connections,
                       "accepted", s.accepted, "refused", s.refused, "opened",
                       s.opened, "published", s.published);
}

static PyObject *server_closed(PyObject *op, void *closure) {
  (void)closure;
  return PyBool_FromLong(((core_server *)op)->handle == NULL);
}

static PyObject *server_loop(PyObject *op, void *closure) {
  (void)closure;
  core_loop *loop = ((core_server *)op)->loop;
  return Py_NewRef(loop != NULL ? (PyObject *)loop : Py_None);
}

static PyObject **hook_place(PyObject *op, void *closure) {
  return (PyObject **)((char *)op + (size_t)(uintptr_t)closure);
}

static PyObject *server_get_hook(PyObject *op, void *closure) {
  PyObject *hook = *hook_place(op, closure);
  return Py_NewRef(hook != NULL ? hook : Py_None);
}

static int server_set_hook(PyObject *op, PyObject *value, void *closure) {
  return set_hook(hook_place(op, closure), value != NULL ? value : Py_None);
}

static PyObject *server_repr(PyObject *op) {
  PyObject *urls = server_urls(op, NULL);
  if (urls == NULL) return NULL;
  PyObject *repr = PyUnicode_FromFormat("<WebSocketServer %R>", urls);
  Py_DECREF(urls);
  return repr;
}

/* -- The type -------------------------------------------------------------- */

/* The loop has ended, and the handle with it. */
static void on_loop_end(core_root *root) {
  core_server *self = (core_server *)root->object;
  self->handle = NULL;
  self->is_closing = true;
}

static PyObject *server_new(PyTypeObject *type, PyObject *args,
                            PyObject *kwargs) {
  (void)args, (void)kwargs;
  core_server *self = (core_server *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->root = (core_root){.object = (PyObject *)self, .on_end = on_loop_end};
  self->socket_class =
      (PyTypeObject *)Py_NewRef((PyObject *)core_state_of(type)->socket_type);
  self->is_tracking = true;
  return (PyObject *)self;
}

static int server_traverse(PyObject *op, visitproc visit, void *arg) {
  core_server *self = (core_server *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->loop);
  Py_VISIT(self->socket_class);
  Py_VISIT(self->on_connection);
  Py_VISIT(self->on_upgrade);
  Py_VISIT(self->on_request);
  Py_VISIT(self->on_error);
  Py_VISIT(self->on_close);
  return 0;
}

static int server_clear(PyObject *op) {
  forget_hooks((core_server *)op);
  return 0;
}

/* Its loop keeps a server until the handle is gone, so there is none here. */
static void server_dealloc(PyObject *op) {
  core_server *self = (core_server *)op;
  PyObject_GC_UnTrack(op);
  if (self->weakrefs != NULL) PyObject_ClearWeakRefs(op);
  (void)server_clear(op);
  core_strings_release(&self->protocols);
  Py_XDECREF(self->folder);
  Py_XDECREF(self->socket_class);
  Py_XDECREF(self->loop);
  core_free(op);
}

#define HOOK(name, field, doc)                   \
  {                                              \
    name, server_get_hook, server_set_hook, doc, \
        (void *)offsetof(core_server, field)     \
  }

static PyGetSetDef server_getset[] = {
    HOOK("onconnection", on_connection, "Called with each socket and request."),
    HOOK("onupgrade", on_upgrade, "Called with each handshake, to answer it."),
    HOOK("onrequest", on_request, "Called with plain HTTP, to answer it."),
    HOOK("onerror", on_error, "Called with an ErrorEvent of a listener."),
    HOOK("onclose", on_close, "Called when all has ended after close()."),
    {"port", server_port, NULL, "The port of the first listener.", NULL},
    {"urls", server_urls, NULL, "Where the listeners are.", NULL},
    {"clients", server_clients, NULL, "The sockets that are open.", NULL},
    {"closed", server_closed, NULL, "Whether all has ended.", NULL},
    {"_loop", server_loop, NULL, "The Loop.", NULL},
    {0}};

static PyMemberDef server_members[] = {
    {"closing", T_BOOL, offsetof(core_server, is_closing), READONLY,
     "Whether close() was called."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(core_server, weakrefs),
     READONLY, NULL},
    {0}};

static PyMethodDef server_methods[] = {
    {"listen", CORE_METHOD(server_listen), METH_VARARGS | METH_KEYWORDS,
     "listen(host=None, port=0, /, **options)\n--\n\n"
     "Listen at one more place: unix, unix_mode, sock, tls, backlog, "
     "reuse_port."},
    {"adopt", CORE_METHOD(server_adopt), METH_VARARGS | METH_KEYWORDS,
     "adopt(sock, data=b\"\", *, tls=None)\n--\n\n"
     "Serve a connection that was accepted elsewhere."},
    {"close", CORE_METHOD(server_close), METH_VARARGS | METH_KEYWORDS,
     "close(code=None, reason=None, *, timeout=None)\n--\n\n"
     "End in good order: 1001, or `code`, goes to every socket."},
    {"stop_listening", server_stop_listening, METH_NOARGS,
     "stop_listening()\n--\n\nTake no more connections."},
    {"publish", CORE_METHOD(server_publish), METH_FASTCALL | METH_KEYWORDS,
     "publish(topic, data, /, *, compress=True, exclude=None)\n--\n\n"
     "Send to all sockets that subscribe to a topic."},
    {"broadcast", CORE_METHOD(server_broadcast), METH_FASTCALL | METH_KEYWORDS,
     "broadcast(data, /, *, compress=True, exclude=None)\n--\n\n"
     "Send to all open sockets."},
    {"stats", server_stats, METH_NOARGS,
     "stats()\n--\n\nReturn a dict of what the server has done."},
    {0}};

static PyType_Slot server_slots[] = {
    {Py_tp_doc, "WebSocketServer(host=None, port=None, /, **options)\n--\n\n"
                "Accepts connections."},
    {Py_tp_new, server_new},
    {Py_tp_init, server_init},
    {Py_tp_dealloc, server_dealloc},
    {Py_tp_traverse, server_traverse},
    {Py_tp_clear, server_clear},
    {Py_tp_repr, server_repr},
    {Py_tp_getset, server_getset},
    {Py_tp_members, server_members},
    {Py_tp_methods, server_methods},
    {0, NULL}};

static PyType_Spec server_spec = {
    .name = "libws.WebSocketServer",
    .basicsize = sizeof(core_server),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = server_slots};

int core_add_servers(PyObject *module) {
  return core_add_type(module, &server_spec, NULL,
                       &core_state_of_module(module)->server_type);
}
