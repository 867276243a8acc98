/* memory.h - the memory of the C library comes from the allocator of the Lua
 * state, so that whoever bounds or counts that of a state bounds all of it. */
#ifndef LWS_MEMORY_H
#define LWS_MEMORY_H

#include "compat.h"
#include "ws/base.h"

LWS_HIDDEN_BEGIN

/* The allocator of the state. Valid until the state has collected everything,
 * so for longer than any userdata. */
ws_allocator lws_allocator(lua_State *L);

/* As realloc(), but for the old size. */
void *lws_resize(const ws_allocator *allocator, void *block, size_t old_size,
                 size_t new_size);

LWS_HIDDEN_END

#endif
