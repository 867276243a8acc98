/* target.h - EventTarget: listeners, and the attributes (onmessage and so on)
 * that are listeners with a slot of their own. */
#ifndef CORE_TARGET_H
#define CORE_TARGET_H

#include "event.h"

/* The events of a WebSocket, as bits; all others of any name are CUSTOM. */
typedef enum core_kind {
  CORE_CUSTOM = 1 << 0,
  CORE_OPEN = 1 << 1,
  CORE_MESSAGE = 1 << 2,
  CORE_ERROR = 1 << 3,
  CORE_CLOSE = 1 << 4,
  CORE_PING = 1 << 5,
  CORE_PONG = 1 << 6,
  CORE_DRAIN = 1 << 7,
  CORE_RECONNECT = 1 << 8,
  CORE_UPGRADE = 1 << 9,    /* A response that accepts, */
  CORE_UNEXPECTED = 1 << 10 /* or does not. */
} core_kind;

typedef struct core_target core_target;

struct core_target {
  PyObject_HEAD
  PyObject *weakrefs;
  PyObject *listeners; /* A list of listeners in their order, or NULL. */
  /* Called when `heard` has changed; NULL for a plain EventTarget. */
  void (*on_heard)(core_target *target);
  unsigned heard; /* Kinds that somebody listens to. */
  /* What to call with a message if exactly one function listens to messages,
   * and more than once; otherwise NULL. Borrowed from its listener. */
  PyObject *on_message;
};

/* For subclasses. */
int core_target_traverse(core_target *target, visitproc visit, void *arg);
void core_target_clear(core_target *target);

/* Hands an event to the listeners, as DOM's dispatch does. `host` may be NULL.
 */
int core_target_dispatch(core_state *state, core_target *target, core_kind kind,
                         PyObject *event, PyObject *host);

/* The value of a handler attribute such as onmessage, and setting it. For use
 * as getter and setter; the closure is the kind. */
PyObject *core_target_get_handler(PyObject *self, void *kind);
int core_target_set_handler(PyObject *self, PyObject *value, void *kind);

#endif
