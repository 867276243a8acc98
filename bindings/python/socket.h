/* socket.h - WebSocket: the browser's object around a ws_socket.
 *
 * The handle is retained, so it is valid as long as the object; its user data
 * points back to the object, without a reference. The loop keeps the object
 * alive while it has listeners for what may still come (WHATWG WebSockets
 * section 7); an object that is collected closes its connection. */
#ifndef CORE_SOCKET_H
#define CORE_SOCKET_H

#include "convert.h"
#include "loop.h"
#include "queue.h"
#include "target.h"

typedef struct core_socket {
  core_target target;
  PyObject *dict;
  core_root root;
  core_loop *loop;
  ws_socket *handle;   /* NULL before __init__. */
  core_thread *thread; /* Which drives it instead of the loop, or NULL. */
  core_line line;      /* With its lock. */
  PyObject *origin;    /* Of messages; NULL until the first. */
  PyObject *request;   /* On a server; otherwise NULL. */
  PyObject *response;
  PyObject *failure;    /* The exception of the error event, or NULL. */
  PyObject *close_info; /* (code, reason, wasClean), or NULL. */
  core_queue *queue;    /* NULL while messages are events. */
  PyObject *waiter;     /* A callback, or a future; or NULL. */
  PyObject *drain_waiter;
  ws_sender *sender; /* For calls while another thread waits in the loop. */
  uint64_t high_water;
  uint8_t shown;     /* With a thread: the state that Python has heard of. */
  bool as_bytearray; /* binaryType is "arraybuffer". */
  bool is_refused;   /* Listeners have taken the response for the end. */
  bool has_ended;    /* The close event has come. */
  bool is_tracked;   /* The server keeps it alive. */
  bool is_streaming;
  bool has_paused; /* Because the queue was full. */
} core_socket;

/* The default of send_high_water in ws/conn.h. */
#define CORE_HIGH_WATER ((uint64_t)1024 * 1024)

static inline core_state *core_socket_state(const core_socket *self) {
  return self->loop->state;
}

/* Around every use of the handle: keep the thread off it. Between the two
 * nothing is called but the library, least of all Python. In a forked child
 * there is no such thread. */
static inline void core_socket_hold(const core_socket *self) {
  if (self->thread != NULL && !core_loop_is_foreign(self->loop)) {
    core_thread_lock(self->thread);
  }
}

static inline void core_socket_let_go(const core_socket *self) {
  if (self->thread != NULL && !core_loop_is_foreign(self->loop)) {
    core_thread_unlock(self->thread);
  }
}

/* Whether the handle must not be touched, because another thread waits in its
 * loop. */
static inline bool core_socket_is_away(const core_socket *self) {
  return self->thread == NULL && core_loop_is_away(self->loop);
}

/* The state as Python sees it. A thread may be ahead, but a state changes with
 * the event that tells of it. */
static inline ws_state core_socket_state_shown(const core_socket *self) {
  return self->thread != NULL && self->loop->thread != NULL
             ? (ws_state)self->shown
             : ws_socket_ready_state(self->handle);
}

/* Notes that the state has changed to `state`, if it has not got further. */
static inline void core_socket_show(core_socket *self, ws_state state) {
  if (self->shown < (uint8_t)state) self->shown = (uint8_t)state;
}

/* -- socket.c -------------------------------------------------------------- */

/* Joins the object and a socket of the library. Takes over the reference to the
 * loop; the socket is retained, and so is `thread` (may be NULL), whose lock
 * has to be held. */
void core_socket_join(core_socket *self, core_loop *loop, core_thread *thread,
                      ws_socket *handle);

/* Calls `fn(handle)` now, or soon by the thread that waits in the loop. */
int core_socket_do(core_socket *self, core_errand_fn fn);

/* Stop reading, and go on. */
int core_socket_pause(core_socket *self);
int core_socket_resume(core_socket *self);

/* Makes the object for a connection that a server has accepted. */
core_socket *core_socket_accept(core_loop *loop, PyTypeObject *type,
                                ws_socket *handle, PyObject *request,
                                bool is_tracked, uint64_t high_water);

/* Has the loop keep the object alive, or not, as its state asks for. */
void core_socket_update_root(core_socket *self);

/* -- socket_open.c --------------------------------------------------------- */

/* WebSocket.__init__(). */
int core_socket_init(PyObject *op, PyObject *args, PyObject *kwargs);

/* -- socket_events.c ------------------------------------------------------- */

/* Delivers an event of a socket. Returns whether a handler was called, or -1.
 */
int core_socket_deliver(core_loop *loop, const ws_event *event);

/* Dispatches what is queued to those who listen to messages now. */
int core_socket_hand_over(core_socket *self);

/* -- socket_calls.c -------------------------------------------------------- */

extern PyMethodDef core_socket_methods[];

/* Takes the next item of the queue, or NULL without exception. */
PyObject *core_socket_pop(core_socket *self);

/* Whether so much more may wait to be sent before a drain is due. */
bool core_socket_has_room(const core_socket *self, size_t len);

/* The ConnectionClosed that says how the socket ended. */
PyObject *core_socket_closed_error(core_socket *self);

/* Applies the keywords of send(): compress, fin, binary. */
int core_send_options(const core_state *state, core_payload *payload,
                      PyObject *const *values, PyObject *names);

/* The dict that stats() returns. */
PyObject *core_stats_dict(const ws_conn_stats *stats);

#endif
