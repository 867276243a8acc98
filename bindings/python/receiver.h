/* receiver.h - what WebSocket._recv() and _anext() return: an awaitable that
 * gives the next item of the queue at once if there is one, and otherwise waits
 * on a future of the host. */
#ifndef CORE_RECEIVER_H
#define CORE_RECEIVER_H

#include "socket.h"

PyObject *core_receiver_new(core_socket *socket, bool is_iteration);

/* An asynchronous iterator over the items. `other` is whose __anext__() is
 * called instead while messages come in pieces. */
PyObject *core_iterator_new(core_socket *socket, PyObject *other);

/* Wakes who waits, if somebody does. */
int core_receiver_wake(core_state *state, PyObject *waiter);

#endif
