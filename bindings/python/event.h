/* event.h - the events of the DOM and of the WebSocket standard.
 *
 * What each has beside core_event stands behind it, in a struct of its own. A
 * class whose fields are all plain is described by one table. */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "state.h"

/* The numbers of DOM's eventPhase. */
enum {
  CORE_PHASE_NONE = 0,
  CORE_PHASE_AT_TARGET = 2
};

typedef struct core_event {
  PyObject_HEAD
  PyObject *type;           /* str */
  PyObject *target;         /* Or None. */
  PyObject *current_target; /* NULL for None */
  double time_stamp;        /* Milliseconds, monotonic. */
  char bubbles;
  char cancelable;
  char composed;
  char is_trusted;
  char is_canceled;
  char is_dispatched; /* Being handed to listeners now. */
  char is_stopped;    /* stopImmediatePropagation() was called. */
} core_event;

typedef struct core_message_event {
  core_event base;
  PyObject *data;
  PyObject *origin;
  PyObject *last_event_id;
} core_message_event;

typedef struct core_close_event {
  core_event base;
  PyObject *reason;
  unsigned short code;
  char was_clean;
} core_close_event;

typedef struct core_error_event {
  core_event base;
  PyObject *message;
  PyObject *error;
} core_error_event;

typedef struct core_control_event {
  core_event base;
  PyObject *data;
  PyObject *rtt; /* float or None */
} core_control_event;

typedef struct core_reconnect_event {
  core_event base;
  PyObject *reason;
  PyObject *error;
  double delay; /* Seconds. */
  unsigned attempt;
  unsigned short code;
} core_reconnect_event;

typedef struct core_request_event {
  core_event base;
  PyObject *request;
} core_request_event;

typedef struct core_response_event {
  core_event base;
  PyObject *response;
} core_response_event;

/* Make events that the library caused, at `now`, of the loop's milliseconds.
 * References to objects are their own. */
PyObject *core_event_new(core_state *state, PyObject *type, uint64_t now);
/* Takes over the reference to the data, also when it fails. */
PyObject *core_message_event_new(core_state *state, PyObject *data,
                                 PyObject *origin, uint64_t now);
PyObject *core_close_event_new(core_state *state, uint16_t code,
                               PyObject *reason, bool was_clean, uint64_t now);
PyObject *core_error_event_new(core_state *state, PyObject *error,
                               uint64_t now);
PyObject *core_control_event_new(core_state *state, PyObject *type,
                                 const uint8_t *data, size_t len, uint32_t rtt,
                                 uint64_t now);
PyObject *core_reconnect_event_new(core_state *state, const ws_event *event,
                                   PyObject *error, uint64_t now);
PyObject *core_request_event_new(core_state *state, PyObject *request,
                                 uint64_t now);
PyObject *core_response_event_new(core_state *state, PyObject *type,
                                  PyObject *response, uint64_t now);

/* Milliseconds of the monotonic clock. */
uint64_t core_now(void);

#endif
