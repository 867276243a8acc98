/* alloc.h - the only door to memory.
 *
 * Every byte of the core comes from a ws_allocator, which may be the
 * application's or a test's. Freeing hands the size back, so that a counting
 * allocator needs no headers and every holder has to know what it holds. */
#ifndef WS__ALLOC_H
#define WS__ALLOC_H

#include "base/hidden.h"
#include "ws/base.h"

WS__HIDDEN_BEGIN

/* The default: malloc, realloc and free. */
extern const ws_allocator ws__malloc;

/* Returns `size` bytes (not zeroed), or NULL. `size` must not be 0. */
void *ws__alloc(const ws_allocator *allocator, size_t size);

/* Like ws__alloc, zeroed. */
void *ws__alloc_zero(const ws_allocator *allocator, size_t size);

/* Changes the size of a block; `ptr` may be NULL when `old_size` is 0. Returns
 * NULL and leaves the block as it was when memory is short. `new_size` must not
 * be 0. */
void *ws__realloc(const ws_allocator *allocator, void *ptr, size_t old_size,
                  size_t new_size);

/* Releases a block of `size` bytes. NULL is fine. */
void ws__free(const ws_allocator *allocator, void *ptr, size_t size);

WS__HIDDEN_END

#endif
