/* alloc.c - calls the hook of an allocator, and checks what it is asked for. */
#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *malloc_reallocate(void *ctx, void *ptr, size_t old_size,
                               size_t new_size) {
  (void)ctx;
  (void)old_size;
  if (new_size == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_size);
}

const ws_allocator ws__malloc = {malloc_reallocate, NULL};

void *ws__alloc(const ws_allocator *allocator, size_t size) {
  return ws__realloc(allocator, NULL, 0, size);
}

void *ws__alloc_zero(const ws_allocator *allocator, size_t size) {
  void *ptr = ws__alloc(allocator, size);
  if (ptr != NULL) memset(ptr, 0, size);
  return ptr;
}

void *ws__realloc(const ws_allocator *allocator, void *ptr, size_t old_size,
                  size_t new_size) {
  assert(new_size != 0);
  assert((ptr == NULL) == (old_size == 0));
  return allocator->reallocate(allocator->ctx, ptr, old_size, new_size);
}

void ws__free(const ws_allocator *allocator, void *ptr, size_t size) {
  if (ptr != NULL) allocator->reallocate(allocator->ctx, ptr, size, 0);
}
