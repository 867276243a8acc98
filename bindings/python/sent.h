/* sent.h - what waits until messages have been given to the system: callbacks
 * of send(), called with None then, or with the ConnectionClosed that kept them
 * from that; and sockets that are kept alive as long. */
#ifndef CORE_SENT_H
#define CORE_SENT_H

#include "socket.h"

/* Has `callback` called for what the socket was just given to send. With None
 * the socket is only kept alive. */
int core_sent_add(core_socket *socket, PyObject *callback);

/* Whether something waits. */
bool core_sent_is_due(const core_socket *socket);

/* Calls those of a loop whose time has come, after a turn. */
int core_sent_run(core_loop *loop);

#endif
