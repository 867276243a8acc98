/* heap.h - deadlines in order: a binary min-heap that can change or remove any
 * of its elements.
 *
 * The keys lie side by side in one array, so that finding a place touches no
 * element; an element knows its place in it. Insert, update and remove take
 * O(log n); only insert can fail.
 * Invariant: slots[i].key >= slots[(i - 1) / 2].key for i > 0, and
 * slots[i].node->place == i + 1. */
#ifndef WS__HEAP_H
#define WS__HEAP_H

#include "base/alloc.h"
#include "base/hidden.h"

WS__HIDDEN_BEGIN

/* Lives inside what has a deadline. Zeroed: in no heap. Must not move while it
 * is in one. */
typedef struct ws__heap_node {
  uint32_t place; /* Its slot, counted from 1; 0 for none. */
} ws__heap_node;

typedef struct ws__heap_slot {
  uint64_t key;
  ws__heap_node *node;
} ws__heap_slot;

/* Zeroed: an empty heap. */
typedef struct ws__heap {
  ws__heap_slot *slots;
  size_t len;
  size_t cap;
} ws__heap;

static inline bool ws__heap_contains(const ws__heap_node *node) {
  return node->place != 0;
}

/* The slot with the smallest key, or NULL. Valid until the heap changes. */
static inline const ws__heap_slot *ws__heap_min(const ws__heap *heap) {
  return heap->len > 0 ? &heap->slots[0] : NULL;
}

/* Adds a node that is in no heap. Returns 0 or WS_ERR_NO_MEMORY, and then
 * nothing has changed. */
int ws__heap_insert(ws__heap *heap, const ws_allocator *allocator,
                    ws__heap_node *node, uint64_t key);

/* Gives another key to a node that is in the heap. */
void ws__heap_update(ws__heap *heap, ws__heap_node *node, uint64_t key);

/* Takes a node out; does nothing if it is not in the heap. */
void ws__heap_remove(ws__heap *heap, ws__heap_node *node);

/* Releases the memory and leaves an empty heap. Nodes still in it are not
 * touched. */
void ws__heap_free(ws__heap *heap, const ws_allocator *allocator);

WS__HIDDEN_END

#endif
