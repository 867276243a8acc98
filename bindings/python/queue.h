/* queue.h - messages that wait for somebody who pulls them: recv() and
 * iteration of the shells. Takes and gives in constant time, and says when it
 * is full, so that the socket can be paused. */
#ifndef CORE_QUEUE_H
#define CORE_QUEUE_H

#include "state.h"

typedef struct core_queue_item {
  PyObject *object;
  size_t len; /* Bytes of its payload. */
} core_queue_item;

/* A ring; the items are `count` from `first` on. Zeroed but for the bounds, it
 * is empty. */
typedef struct core_queue {
  core_queue_item *items;
  size_t capacity; /* A power of two, or 0. */
  size_t first;
  size_t count;
  size_t bytes;
  size_t max_count;
  size_t max_bytes;
  unsigned filled_in; /* The turn of the loop that has filled it. */
} core_queue;

/* Takes over the reference to the object, also when it fails. */
int core_queue_push(core_queue *queue, PyObject *object, size_t len);

/* Gives the oldest item, or NULL without exception. */
PyObject *core_queue_pop(core_queue *queue);

/* Gives all items as a list. */
PyObject *core_queue_pop_all(core_queue *queue);

/* Whether it holds as much as it should, and whether half of that is free. */
bool core_queue_is_full(const core_queue *queue);
bool core_queue_has_room(const core_queue *queue);

void core_queue_free(core_queue *queue);

#endif
