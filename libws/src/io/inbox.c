/* inbox.c - a list of letters under a lock. A flag beside it tells the loop
 * without the lock that the list is empty, as it nearly always is. */
#include "io/inbox.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Its address is another in each thread. */
static _Thread_local char own_mark;

struct ws__inbox {
  atomic_uint references;
  atomic_uintptr_t owner; /* The mark of the thread that takes, or 0. */
  /* Whether take() finds anything, without the lock. */
  atomic_bool is_full;

  pthread_mutex_t lock; /* Of what follows. */
  ws__letter *first;
  ws__letter **end; /* Where the next letter is hung up. */
  ws__inbox_wake_fn wake;
  void *ctx;
  bool is_closed;
};

int ws__inbox_new(ws__inbox_wake_fn wake, void *ctx, ws__inbox **out_inbox) {
  ws__inbox *inbox = calloc(1, sizeof(*inbox));
  if (inbox == NULL) return WS_ERR_NO_MEMORY;
  if (pthread_mutex_init(&inbox->lock, NULL) != 0) {
    free(inbox);
    return WS_ERR_NO_MEMORY;
  }
  atomic_init(&inbox->references, 1);
  atomic_init(&inbox->owner, 0);
  atomic_init(&inbox->is_full, false);
  inbox->end = &inbox->first;
  inbox->wake = wake;
  inbox->ctx = ctx;
  *out_inbox = inbox;
  return 0;
}

ws__inbox *ws__inbox_retain(ws__inbox *inbox) {
  atomic_fetch_add(&inbox->references, 1);
  return inbox;
}

void ws__inbox_release(ws__inbox *inbox) {
  if (inbox == NULL || atomic_fetch_sub(&inbox->references, 1) != 1) return;
  pthread_mutex_destroy(&inbox->lock);
  free(inbox);
}

int ws__inbox_put(ws__inbox *inbox, ws__letter *letter) {
  pthread_mutex_lock(&inbox->lock);
  const bool is_closed = inbox->is_closed;
  if (!is_closed) {
    letter->next = NULL;
    *inbox->end = letter;
    inbox->end = &letter->next;
    atomic_store(&inbox->is_full, true);
    /* Under the lock, so that the loop cannot end meanwhile. */
    inbox->wake(inbox->ctx);
  }
  pthread_mutex_unlock(&inbox->lock);
  return is_closed ? WS_ERR_INVALID_STATE : 0;
}

bool ws__inbox_is_mine(const ws__inbox *inbox) {
  return atomic_load_explicit(&inbox->owner, memory_order_relaxed) ==
         (uintptr_t)&own_mark;
}

ws__letter *ws__inbox_take(ws__inbox *inbox) {
  atomic_store_explicit(&inbox->owner, (uintptr_t)&own_mark,
                        memory_order_relaxed);
  if (!atomic_load(&inbox->is_full)) return NULL;
  pthread_mutex_lock(&inbox->lock);
  ws__letter *letters = inbox->first;
  inbox->first = NULL;
  inbox->end = &inbox->first;
  atomic_store(&inbox->is_full, false);
  pthread_mutex_unlock(&inbox->lock);
  return letters;
}

void ws__inbox_close(ws__inbox *inbox) {
  pthread_mutex_lock(&inbox->lock);
  inbox->is_closed = true;
  pthread_mutex_unlock(&inbox->lock);

  ws__letter *letter = ws__inbox_take(inbox);
  atomic_store_explicit(&inbox->owner, 0, memory_order_relaxed);
  while (letter != NULL) {
    ws__letter *next = letter->next;
    letter->open(letter, NULL, NULL);
    letter = next;
  }
}
