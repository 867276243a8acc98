/* server.h - WebSocketServer: listeners, the hooks that answer requests, and
 * the sockets of connections that were accepted. */
#ifndef CORE_SERVER_H
#define CORE_SERVER_H

#include "loop.h"

/* Deliver events of a server and of the sockets it has not opened yet. Return
 * whether a hook was called, or -1. */
int core_server_deliver(core_loop *loop, const ws_event *event);
int core_server_deliver_request(core_loop *loop, const ws_event *event);
int core_server_deliver_open(core_loop *loop, const ws_event *event);

/* publish(topic, data, *, compress, exclude), with topic None for all sockets.
 * `except` may be NULL. */
int core_server_publish(core_state *state, ws_server *server,
                        PyObject *const *args, Py_ssize_t nargs,
                        PyObject *names, const ws_socket *except);

#endif
