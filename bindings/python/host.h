/* host.h - the asyncio loop that a Loop is driven by, if there is one, and what
 * handlers leave behind: exceptions and coroutines.
 *
 * Invariant: an exception of a handler never reaches the protocol. Those that
 * are no Exception (KeyboardInterrupt, SystemExit) go up to whoever runs the
 * loop; functions that call handlers return -1 for these alone. */
#ifndef CORE_HOST_H
#define CORE_HOST_H

#include "state.h"

/* The asyncio loop that runs in this thread, or NULL in `*out_host`. */
int core_host_running(core_state *state, PyObject **out_host);

/* Imports libws._host, whose functions need Python. Borrowed. */
PyObject *core_host_module(core_state *state);

/* Takes the exception that is set, with its traceback. */
PyObject *core_take_exception(void);

/* Reports the exception that is set to the host's exception handler, or, with
 * `host` NULL, to sys.unraisablehook. `source` is whose handler raised it. */
int core_host_report(core_state *state, PyObject *host, PyObject *source);

/* Calls a handler and sees to its result: a coroutine becomes a task. `host`
 * may be NULL. */
int core_host_call(core_state *state, PyObject *host, PyObject *handler,
                   PyObject *argument);

/* Starts a coroutine, whose reference it takes. Returns the task, or NULL with
 * an exception, also when there is no host. */
PyObject *core_host_start(core_state *state, PyObject *host,
                          PyObject *coroutine);

#endif
