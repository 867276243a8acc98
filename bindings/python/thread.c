#include "thread.h"
#include "errors.h"
#include "parcel.h"
#include "socket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Bytes of a socket's events that wait for Python before it is paused, and how
 * few are left when it goes on. Whoever wants a thread means to be away, so
 * this is as much as a message may have by default. */
#define MAX_WAITING ((size_t)16 * 1024 * 1024)
#define FEW_WAITING (MAX_WAITING / 2)

/* How long it takes a rest when there is no memory, in milliseconds. */
#define REST_MS 10

struct core_thread {
  size_t references; /* GIL. */
  ws_loop *consumer;
  pthread_t thread;
  int fd; /* Of the loop. */
  atomic_bool is_stopping;
  atomic_bool tells_turns;

  pthread_mutex_t lock;
  /* With the lock. */
  ws_loop *loop; /* NULL once it has ended. */
  core_parcel *first;
  core_parcel **end; /* Where the next one is linked. */
  ws_event held;     /* One there was no memory for, */
  bool has_held;     /* if there is such. */

  core_parcel *taken; /* The one that Python has. GIL. */
};

/* -- What waits of one socket ---------------------------------------------- */

void core_line_pause(core_line *line, ws_socket *socket) {
  line->is_paused = true;
  ws_socket_pause(socket);
}

void core_line_resume(core_line *line, ws_socket *socket) {
  line->is_paused = false;
  if (!line->is_full) ws_socket_resume(socket);
}

/* NULL when the object has been collected. */
static core_line *line_of(ws_socket *socket) {
  core_socket *object = ws_socket_user_data(socket);
  return object != NULL ? &object->line : NULL;
}

static void count_in(ws_socket *socket, size_t size) {
  core_line *line = line_of(socket);
  if (line == NULL) return;
  line->waiting += size;
  if (line->waiting <= MAX_WAITING || line->is_full) return;
  line->is_full = true;
  ws_socket_pause(socket);
}

static void count_out(ws_socket *socket, size_t size) {
  core_line *line = line_of(socket);
  if (line == NULL) return;
  line->waiting -= size;
  if (!line->is_full || line->waiting > FEW_WAITING) return;
  line->is_full = false;
  if (!line->is_paused) ws_socket_resume(socket);
}

/* -- The thread ------------------------------------------------------------ */

/* Puts an event behind those that wait. Returns false without memory. */
static bool hand_over(core_thread *t, const ws_event *event) {
  if (event->socket == NULL)
    return true; /* Of a timer or task: none is made. */
  core_parcel *parcel = core_parcel_new(event);
  if (parcel == NULL) return false;
  (void)ws_socket_retain(event->socket);
  if (t->first == NULL) ws_loop_stop(t->consumer); /* Which wakes it. */
  *t->end = parcel;
  t->end = &parcel->next;
  count_in(event->socket, parcel->size);
  return true;
}

/* Takes events until the turn is over. Returns false when it has to rest. */
static bool take_turn(core_thread *t) {
  if (t->has_held && !hand_over(t, &t->held)) return false;
  t->has_held = false;
  (void)ws_loop_wait(t->loop, 0);
  ws_event event;
  while (ws_loop_next(t->loop, &event)) {
    if (hand_over(t, &event)) continue;
    /* It stays valid: nothing is pulled before it has been handed over. */
    t->held = event;
    t->has_held = true;
    return false;
  }
  return true;
}

static void *run(void *arg) {
  core_thread *t = arg;
  bool has_to_rest = false;
  while (!atomic_load(&t->is_stopping)) {
    struct pollfd waited = {.fd = t->fd, .events = POLLIN};
    (void)poll(&waited, has_to_rest ? 0 : 1, has_to_rest ? REST_MS : -1);
    pthread_mutex_lock(&t->lock);
    has_to_rest = !take_turn(t);
    pthread_mutex_unlock(&t->lock);
    if (atomic_load(&t->tells_turns)) ws_loop_stop(t->consumer);
  }
  return NULL;
}

/* Signals are for Python's threads. */
static int spawn(core_thread *t) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&t->thread, NULL, run, t);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

/* -- Life ------------------------------------------------------------------ */

static core_thread *make(core_state *state, ws_loop *consumer) {
  core_thread *t = calloc(1, sizeof(*t));
  if (t == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  t->references = 1;
  t->consumer = consumer;
  t->end = &t->first;
  atomic_init(&t->is_stopping, false);
  atomic_init(&t->tells_turns, false);
  ws_error error = {.message = ""};
  int err = ws_loop_new(NULL, &t->loop, &error);
  if (err == 0) err = ws_loop_fd(t->loop, &t->fd);
  if (err == 0 && pthread_mutex_init(&t->lock, NULL) != 0) {
    err = WS_ERR_NO_MEMORY;
  }
  if (err == 0) return t;
  core_raise(state, err, error.message);
  ws_loop_free(t->loop);
  free(t);
  return NULL;
}

int core_thread_start(core_state *state, ws_loop *consumer, core_thread **out) {
  core_thread *t = make(state, consumer);
  if (t == NULL) return -1;
  const int error = spawn(t);
  if (error != 0) {
    ws_loop_free(t->loop);
    t->loop = NULL;
    core_thread_release(t);
    errno = error;
    PyErr_SetFromErrno(PyExc_RuntimeError);
    return -1;
  }
  *out = t;
  return 0;
}

static void drop(core_parcel *parcel) {
  if (parcel == NULL) return;
  ws_socket_release(parcel->event.socket);
  free(parcel);
}

void core_thread_end(core_thread *t, bool is_foreign) {
  if (is_foreign) return;
  atomic_store(&t->is_stopping, true);
  ws_loop_stop(t->loop); /* Which wakes it. */
  pthread_join(t->thread, NULL);
  while (t->first != NULL) {
    core_parcel *parcel = t->first;
    t->first = parcel->next;
    drop(parcel);
  }
  t->end = &t->first;
  drop(t->taken);
  t->taken = NULL;
  ws_loop_free(t->loop);
  t->loop = NULL;
}

core_thread *core_thread_retain(core_thread *t) {
  t->references++;
  return t;
}

void core_thread_release(core_thread *t) {
  if (t == NULL || --t->references > 0) return;
  pthread_mutex_destroy(&t->lock);
  free(t);
}

void core_thread_lock(core_thread *t) {
  pthread_mutex_lock(&t->lock);
}

void core_thread_unlock(core_thread *t) {
  pthread_mutex_unlock(&t->lock);
}

void core_thread_tell_turns(core_thread *t, bool should_tell) {
  atomic_store(&t->tells_turns, should_tell);
}

ws_loop *core_thread_loop(const core_thread *t) {
  return t->loop;
}

/* -- Taking ---------------------------------------------------------------- */

bool core_thread_next(core_thread *t, ws_event *out_event) {
  core_thread_lock(t);
  drop(t->taken);
  t->taken = t->first;
  if (t->taken != NULL) {
    t->first = t->taken->next;
    if (t->first == NULL) t->end = &t->first;
    count_out(t->taken->event.socket, t->taken->size);
    *out_event = t->taken->event;
  }
  core_thread_unlock(t);
  return t->taken != NULL;
}

bool core_thread_has_events(core_thread *t) {
  core_thread_lock(t);
  const bool result = t->first != NULL;
  core_thread_unlock(t);
  return result;
}

bool core_thread_is_alive(core_thread *t) {
  core_thread_lock(t);
  const bool result = t->first != NULL || ws_loop_is_alive(t->loop);
  core_thread_unlock(t);
  return result;
}
