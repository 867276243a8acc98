/* server_open.c - the constructor of WebSocketServer, and where it listens. */
#include "errors.h"
#include "host.h"
#include "options.h"
#include "server.h"
#include "socket.h"
#include "tls.h"

#include <limits.h>

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
  return port != NULL ? core_option_u16(port, "port", &p->is.port) : 0;
}

/* Makes what a listener needs but its descriptor. */
static int prepare(core_state *state, place *p) {
  return core_tls_server_context(state, p->tls, &p->is.tls);
}

static int listen_at(core_server *self, place *p) {
  core_state *state = core_server_state(self);
  if (p->sock != NULL && core_take_fd(state, p->sock, &p->is.fd) < 0) {
    return -1;
  }
  ws_error error = {.message = ""};
  const int err = ws_server_listen(self->handle, &p->is, &error);
  return err != 0 ? core_raise(state, err, error.message) : 0;
}

PyObject *core_server_listen(PyObject *op, PyObject *args, PyObject *kwargs) {
  core_server *self = (core_server *)op;
  PyObject *host = NULL;
  PyObject *port = NULL;
  if (!PyArg_ParseTuple(args, "|OO:listen", &host, &port) ||
      core_server_check(self) < 0) {
    return NULL;
  }
  place p;
  init_place(&p);
  int result = set_address(&p, host, port);
  if (result == 0) result = core_options_set(kwargs, listen_options, &p, NULL);
  if (result == 0) result = prepare(core_server_state(self), &p);
  if (result == 0) result = listen_at(self, &p);
  Py_XDECREF(p.unix_path);
  if (result < 0) return NULL;
  Py_RETURN_NONE;
}

PyObject *core_server_adopt(PyObject *op, PyObject *args, PyObject *kwargs) {
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
  int result = core_server_check(self);
  if (result == 0) {
    result = core_tls_server_context(core_server_state(self), tls, &context);
  }
  if (result == 0) result = core_take_fd(core_server_state(self), sock, &fd);
  if (result == 0) {
    ws_socket *socket;
    ws_error error = {.message = ""};
    const int err = ws_server_adopt(self->handle, fd, context, data.buf,
                                    (size_t)data.len, &socket, &error);
    if (err != 0)
      result = core_raise(core_server_state(self), err, error.message);
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

static int set_on_connection(void *target, PyObject *value) {
  return core_server_set_hook(&((making *)target)->server->on_connection,
                              value);
}

static int set_on_upgrade(void *target, PyObject *value) {
  return core_server_set_hook(&((making *)target)->server->on_upgrade, value);
}

static int set_on_request(void *target, PyObject *value) {
  return core_server_set_hook(&((making *)target)->server->on_request, value);
}

static int set_on_error(void *target, PyObject *value) {
  return core_server_set_hook(&((making *)target)->server->on_error, value);
}

static int set_on_close(void *target, PyObject *value) {
  return core_server_set_hook(&((making *)target)->server->on_close, value);
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

/* Posted when the constructor could not listen: `pair` is the server and the
 * exception. */
static PyObject *tell_later(PyObject *pair, PyObject *unused) {
  (void)unused;
  core_server *self = (core_server *)PyTuple_GET_ITEM(pair, 0);
  if (core_server_tell_error(self, PyTuple_GET_ITEM(pair, 1)) < 0) return NULL;
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
    core_server_forget_hooks(self);
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

int core_server_init(PyObject *op, PyObject *args, PyObject *kwargs) {
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
