/* server.h - WebSocketServer: listeners, the hooks that answer requests, and
 * the sockets of connections that were accepted.
 *
 * The loop keeps a server alive from its constructor until all of it has ended;
 * that is also how long it has a handle. */
#ifndef CORE_SERVER_H
#define CORE_SERVER_H

#include "convert.h"
#include "loop.h"

typedef struct core_server {
  PyObject_HEAD
  PyObject *weakrefs;
  core_root root;
  core_loop *loop;   /* NULL before __init__. */
  ws_server *handle; /* NULL before __init__ and when it has ended. */
  PyTypeObject *socket_class;
  core_strings protocols; /* That are spoken, if `has_protocols`. */
  PyObject *folder;       /* The option root, or NULL. */
  uint64_t high_water;
  bool has_protocols;
  bool is_tracking; /* Open sockets are kept alive. */
  bool is_closing;
  /* Hooks; NULL for none. */
  PyObject *on_connection;
  PyObject *on_upgrade;
  PyObject *on_request;
  PyObject *on_error;
  PyObject *on_close;
} core_server;

static inline core_state *core_server_state(const core_server *self) {
  return self->loop->state;
}

/* -- server.c -------------------------------------------------------------- */

/* RuntimeError before __init__, and when the loop cannot be used;
 * InvalidStateError when the server has ended. */
int core_server_check(const core_server *self);

/* Sets a hook: a callable, or None for none. */
int core_server_set_hook(PyObject **hook, PyObject *value);
void core_server_forget_hooks(core_server *self);

/* publish(topic, data, *, compress, exclude), with topic None for all sockets.
 * `except` may be NULL. */
int core_server_publish(core_state *state, ws_server *server,
                        PyObject *const *args, Py_ssize_t nargs,
                        PyObject *names, const ws_socket *except);

/* -- server_open.c --------------------------------------------------------- */

/* WebSocketServer.__init__(), listen() and adopt(). */
int core_server_init(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *core_server_listen(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *core_server_adopt(PyObject *op, PyObject *args, PyObject *kwargs);

/* -- server_events.c ------------------------------------------------------- */

/* Deliver events of a server and of the sockets it has not opened yet. Return
 * whether a hook was called, or -1. */
int core_server_deliver(core_loop *loop, const ws_event *event);
int core_server_deliver_request(core_loop *loop, const ws_event *event);
int core_server_deliver_open(core_loop *loop, const ws_event *event);

/* Calls onerror, or reports the error when there is none. */
int core_server_tell_error(core_server *self, PyObject *error);

#endif
