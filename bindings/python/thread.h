/* thread.h - a thread in C that drives sockets while Python is busy: it reads,
 * answers pings and keeps deadlines, and hands over what Python has to know.
 *
 * The thread has a ws_loop of its own and never touches Python. It holds the
 * lock while it has its turn, and waits without it; whoever holds the lock may
 * use that loop and its sockets meanwhile. Nobody may do anything else with the
 * lock held, such as calling Python.
 *
 * A socket for which more waits than Python may be behind is paused; see
 * core_line.
 *
 * Invariant: an event that came out of the loop is kept as a copy until it is
 * taken, so none is lost or out of order, and its socket is retained until the
 * one after it is taken. */
#ifndef CORE_THREAD_H
#define CORE_THREAD_H

#include "state.h"

typedef struct core_thread core_thread;

/* What is known of one socket of a thread. It lies in the object that is the
 * socket's user data. With the lock. */
typedef struct core_line {
  size_t waiting; /* Bytes of its events that were not taken. */
  bool is_full;   /* Paused by the thread, because too much waits; */
  bool is_paused; /* and by Python. */
} core_line;

/* Starts a thread for the loop `consumer`, which it wakes when there are events
 * and which must outlive it. RuntimeError or MemoryError on failure. */
int core_thread_start(core_state *state, ws_loop *consumer, core_thread **out);

/* Ends the thread and its loop: open sockets send Close 1001. Events that were
 * not taken are dropped. In a forked child, where there is no such thread,
 * nothing is touched. */
void core_thread_end(core_thread *thread, bool is_foreign);

/* References: a socket may outlive the thread, and needs its lock. GIL. */
core_thread *core_thread_retain(core_thread *thread);
void core_thread_release(core_thread *thread);

/* Pause and go on, for Python. With the lock. */
void core_line_pause(core_line *line, ws_socket *socket);
void core_line_resume(core_line *line, ws_socket *socket);

void core_thread_lock(core_thread *thread);
void core_thread_unlock(core_thread *thread);

/* The loop of the thread; NULL once it has ended. With the lock. */
ws_loop *core_thread_loop(const core_thread *thread);

/* Takes the next event; what it points to is valid until the next call. Returns
 * false when there is none. GIL. */
bool core_thread_next(core_thread *thread, ws_event *out_event);

/* Whether the thread wakes the consumer after each of its turns, which may have
 * written something, or for events only, as at first. GIL. */
void core_thread_tell_turns(core_thread *thread, bool should_tell);

/* Whether there are events to take, and whether any may ever come. GIL. */
bool core_thread_has_events(core_thread *thread);
bool core_thread_is_alive(core_thread *thread);

#endif
