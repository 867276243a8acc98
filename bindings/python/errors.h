/* errors.h - exceptions: the browser's DOMException family for calls, and
 * WebSocketError with its kin for connections that failed. */
#ifndef CORE_ERRORS_H
#define CORE_ERRORS_H

#include "state.h"

/* Raises what a failed call of the library says; `text` may be NULL. Returns
 * -1. */
int core_raise(core_state *state, int err, const char *text);

/* Makes the exception that tells why a connection failed; `response` may be
 * NULL. */
PyObject *core_error_of_cause(core_state *state, const ws_cause *cause,
                              PyObject *response);

/* Makes a ConnectionClosedOK or ConnectionClosedError. `failure`, its cause,
 * may be NULL. */
PyObject *core_error_of_close(core_state *state, PyObject *code,
                              PyObject *reason, bool was_clean,
                              PyObject *failure);

#endif
