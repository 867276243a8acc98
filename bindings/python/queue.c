#include "queue.h"

#define FIRST_CAPACITY 8

/* The item at a distance from the oldest. */
static core_queue_item *item_at(const core_queue *queue, size_t index) {
  return &queue->items[(queue->first + index) & (queue->capacity - 1)];
}

static int grow(core_queue *queue) {
  const size_t capacity =
      queue->capacity > 0 ? queue->capacity * 2 : FIRST_CAPACITY;
  core_queue_item *items = PyMem_New(core_queue_item, capacity);
  if (items == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  for (size_t i = 0; i < queue->count; i++)
    items[i] = *item_at(queue, i);
  PyMem_Free(queue->items);
  queue->items = items;
  queue->capacity = capacity;
  queue->first = 0;
  return 0;
}

int core_queue_push(core_queue *queue, PyObject *object, size_t len) {
  if (queue->count == queue->capacity && grow(queue) < 0) {
    Py_DECREF(object);
    return -1;
  }
  *item_at(queue, queue->count) = (core_queue_item){object, len};
  queue->count++;
  queue->bytes += len;
  return 0;
}

PyObject *core_queue_pop(core_queue *queue) {
  if (queue->count == 0) return NULL;
  const core_queue_item item = queue->items[queue->first];
  queue->first = (queue->first + 1) & (queue->capacity - 1);
  queue->count--;
  queue->bytes -= item.len;
  return item.object;
}

PyObject *core_queue_pop_all(core_queue *queue) {
  PyObject *list = PyList_New((Py_ssize_t)queue->count);
  if (list == NULL) return NULL;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++)
    PyList_SET_ITEM(list, i, core_queue_pop(queue));
  return list;
}

bool core_queue_is_full(const core_queue *queue) {
  return queue->count >= queue->max_count || queue->bytes >= queue->max_bytes;
}

bool core_queue_has_room(const core_queue *queue) {
  return queue->count <= queue->max_count / 2 &&
         queue->bytes <= queue->max_bytes / 2;
}

void core_queue_free(core_queue *queue) {
  if (queue == NULL) return;
  for (PyObject *object; (object = core_queue_pop(queue)) != NULL;)
    Py_DECREF(object);
  PyMem_Free(queue->items);
  PyMem_Free(queue);
}
