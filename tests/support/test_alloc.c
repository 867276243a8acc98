#include "test_alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In front of each block; keeps malloc's alignment. */
typedef union block_head {
  size_t size;
  max_align_t align;
} block_head;

static void *reallocate(void *ctx, void *ptr, size_t old_size,
                        size_t new_size) {
  test_alloc *alloc = ctx;
  block_head *old = ptr != NULL ? (block_head *)ptr - 1 : NULL;
  if ((old != NULL ? old->size : 0) != old_size) {
    fprintf(stderr, "a block is handed back with the wrong size %zu\n",
            old_size);
    abort();
  }
  if (new_size == 0) {
    alloc->held -= old_size;
    free(old);
    return NULL;
  }

  const size_t call = alloc->calls++;
  if (call == alloc->fail_at ||
      (alloc->keep_failing && call > alloc->fail_at)) {
    return NULL;
  }
  /* Always a new place: whoever keeps an old pointer is found out. */
  block_head *head = malloc(sizeof(*head) + new_size);
  if (head == NULL) return NULL;
  head->size = new_size;
  memset(head + 1, 0xA5, new_size);
  if (old != NULL) {
    memcpy(head + 1, ptr, old_size < new_size ? old_size : new_size);
    free(old);
  }
  alloc->held += new_size - old_size;
  if (alloc->held > alloc->peak) alloc->peak = alloc->held;
  return head + 1;
}

void test_alloc_init(test_alloc *alloc) {
  *alloc = (test_alloc){.fail_at = SIZE_MAX};
  alloc->allocator = (ws_allocator){reallocate, alloc};
}
