/* heap.c - see heap.h. A slot is moved by moving a hole to where it belongs,
 * which stores each slot once instead of swapping two. */
#include "base/heap.h"

#include <assert.h>

#define CAP_MIN 16

/* Doubled, it still fits `place` and a size in bytes. */
#define CAP_MAX                                  \
  (UINT32_MAX < SIZE_MAX / sizeof(ws__heap_slot) \
       ? UINT32_MAX / 2                          \
       : SIZE_MAX / 2 / sizeof(ws__heap_slot))

static void put(ws__heap *heap, size_t i, ws__heap_slot slot) {
  heap->slots[i] = slot;
  slot.node->place = (uint32_t)i + 1;
}

/* Both move a hole from `i` to where `slot` belongs and fill it. */

static void sift_up(ws__heap *heap, size_t i, ws__heap_slot slot) {
  while (i > 0) {
    const size_t parent = (i - 1) / 2;
    if (heap->slots[parent].key <= slot.key) break;
    put(heap, i, heap->slots[parent]);
    i = parent;
  }
  put(heap, i, slot);
}

static void sift_down(ws__heap *heap, size_t i, ws__heap_slot slot) {
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= heap->len) break;
    if (child + 1 < heap->len &&
        heap->slots[child + 1].key < heap->slots[child].key) {
      child++;
    }
    if (slot.key <= heap->slots[child].key) break;
    put(heap, i, heap->slots[child]);
    i = child;
  }
  put(heap, i, slot);
}

/* Fills the hole at `i`, which `old_key` has left. */
static void fill(ws__heap *heap, size_t i, uint64_t old_key,
                 ws__heap_slot slot) {
  if (slot.key < old_key) {
    sift_up(heap, i, slot);
  } else {
    sift_down(heap, i, slot);
  }
}

static int grow(ws__heap *heap, const ws_allocator *allocator) {
  if (heap->cap > CAP_MAX) return WS_ERR_NO_MEMORY;
  const size_t cap = heap->cap == 0 ? CAP_MIN : heap->cap * 2;
  ws__heap_slot *slots = ws__realloc(
      allocator, heap->slots, heap->cap * sizeof(*slots), cap * sizeof(*slots));
  if (slots == NULL) return WS_ERR_NO_MEMORY;
  heap->slots = slots;
  heap->cap = cap;
  return 0;
}

int ws__heap_insert(ws__heap *heap, const ws_allocator *allocator,
                    ws__heap_node *node, uint64_t key) {
  assert(!ws__heap_contains(node));
  if (heap->len == heap->cap) {
    const int err = grow(heap, allocator);
    if (err != 0) return err;
  }
  heap->len++;
  sift_up(heap, heap->len - 1, (ws__heap_slot){key, node});
  return 0;
}

void ws__heap_update(ws__heap *heap, ws__heap_node *node, uint64_t key) {
  assert(ws__heap_contains(node));
  const size_t i = node->place - 1;
  fill(heap, i, heap->slots[i].key, (ws__heap_slot){key, node});
}

void ws__heap_remove(ws__heap *heap, ws__heap_node *node) {
  if (!ws__heap_contains(node)) return;
  const size_t i = node->place - 1;
  node->place = 0;
  heap->len--;
  if (i == heap->len) return;
  fill(heap, i, heap->slots[i].key, heap->slots[heap->len]);
}

void ws__heap_free(ws__heap *heap, const ws_allocator *allocator) {
  ws__free(allocator, heap->slots, heap->cap * sizeof(*heap->slots));
  *heap = (ws__heap){0};
}
