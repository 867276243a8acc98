/* state.h - what one import of libws._core owns: its types, exceptions, names,
 * and the loops that live. There is nothing static that changes, so every
 * interpreter has a module of its own.
 *
 * Names: core_x() is used across files, a function without prefix is static.
 * Functions return a new reference unless they say "borrowed"; int results are
 * 0, or -1 with an exception set. */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <structmember.h>

#include "ws/ws.h"

/* Types. */
#define CORE_TYPES(X) \
  X(event)            \
  X(message_event)    \
  X(close_event)      \
  X(error_event)      \
  X(control_event)    \
  X(reconnect_event)  \
  X(request_event)    \
  X(response_event)   \
  X(event_target)     \
  X(listener)         \
  X(headers)          \
  X(request)          \
  X(response)         \
  X(tls_options)      \
  X(loop)             \
  X(timer)            \
  X(socket)           \
  X(constant)         \
  X(receiver)         \
  X(iterator)         \
  X(sent)             \
  X(server)           \
  X(connection)

/* Exceptions; errors.c says what they are. */
#define CORE_ERRORS(X) \
  X(dom_exception)     \
  X(invalid_state)     \
  X(syntax)            \
  X(invalid_access)    \
  X(security)          \
  X(abort)             \
  X(websocket)         \
  X(handshake)         \
  X(invalid_status)    \
  X(proxy)             \
  X(protocol)          \
  X(payload_too_big)   \
  X(network)           \
  X(tls)               \
  X(timeout)           \
  X(closed)            \
  X(closed_ok)         \
  X(closed_badly)

/* Interned strings, used as names and values that are made again and again. */
#define CORE_NAMES(X)       \
  X(__anext__)              \
  X(_dispatch)              \
  X(_get_running_loop)      \
  X(_libws_loop)            \
  X(_ready)                 \
  X(_settle)                \
  X(abort)                  \
  X(aborted)                \
  X(addEventListener)       \
  X(add_done_callback)      \
  X(add_reader)             \
  X(arraybuffer)            \
  X(attach)                 \
  X(binary)                 \
  X(blob)                   \
  X(call_exception_handler) \
  X(call_soon)              \
  X(close)                  \
  X(compress)               \
  X(create_future)          \
  X(detach)                 \
  X(done)                   \
  X(drain)                  \
  X(error)                  \
  X(fin)                    \
  X(geturl)                 \
  X(handleEvent)            \
  X(items)                  \
  X(message)                \
  X(next_event)             \
  X(open)                   \
  X(ping)                   \
  X(pong)                   \
  X(raw_items)              \
  X(reconnect)              \
  X(remove_reader)          \
  X(request)                \
  X(result)                 \
  X(set_result)             \
  X(start_task)             \
  X(throw)                  \
  X(upgrade)                \
  X(with_cookies)

typedef struct core_loop core_loop;

typedef struct core_state {
#define CORE_TYPE_FIELD(name) PyTypeObject *name##_type;
  CORE_TYPES(CORE_TYPE_FIELD)
#undef CORE_TYPE_FIELD
#define CORE_ERROR_FIELD(name) PyObject *name##_error;
  CORE_ERRORS(CORE_ERROR_FIELD)
#undef CORE_ERROR_FIELD
#define CORE_NAME_FIELD(name) PyObject *name##_name;
  CORE_NAMES(CORE_NAME_FIELD)
#undef CORE_NAME_FIELD
  PyObject *empty_text;
  PyObject *unexpected_name; /* "unexpected-response" */
  /* What send() of the shells returns when there is nothing to wait for. */
  PyObject *sent;
  /* Texts that handshakes share, each under itself. */
  PyObject *words;
  /* asyncio's, once asyncio has been imported; NULL before. */
  PyObject *get_running_loop;
  /* libws._host, once it is needed. */
  PyObject *host_module;
  /* All loops that are not closed, borrowed. */
  core_loop *loops;
  /* How often this process was forked since its ancestor imported the module.
   */
  unsigned forks;
  /* The one that Python handles signals in. */
  unsigned long main_thread;
} core_state;

/* The state of the module that `type`, or a base of it, was made by. Never
 * fails for types of the module. */
core_state *core_state_of(PyTypeObject *type);

static inline core_state *core_state_of_module(PyObject *module) {
  return PyModule_GetState(module);
}

/* Makes a type of the module and adds it under its name. */
int core_add_type(PyObject *module, PyType_Spec *spec, PyObject *bases,
                  PyTypeObject **out_type);

/* One for each file that has types or functions of the module. */
int core_add_errors(PyObject *module);
int core_add_events(PyObject *module);
int core_add_targets(PyObject *module);
int core_add_requests(PyObject *module);
int core_add_tls(PyObject *module);
int core_add_loops(PyObject *module);
int core_add_timers(PyObject *module);
int core_add_receivers(PyObject *module);
int core_add_sockets(PyObject *module);
int core_add_servers(PyObject *module);
int core_add_connections(PyObject *module);

/* Gives a type integer constants 0, 1 and so on that cannot be changed, neither
 * through the type nor through an object. */
int core_add_constants(core_state *state, PyTypeObject *type,
                       const char *const *names, long count);

/* tp_new for types whose objects only the module makes. */
PyObject *core_refuse_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);

/* Frees an object of a heap type, whose class it holds. */
static inline void core_free(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

#define CORE_METHOD(function) (PyCFunction)(void (*)(void))(function)

#endif
