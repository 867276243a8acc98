/* memory.c - lua_Alloc and ws_allocator are the same idea. */
#include "memory.h"

#define MEMORY_KEY "libws.memory"

typedef struct state_memory {
  lua_Alloc allocate;
  void *ctx;
} state_memory;

static void *reallocate(void *ctx, void *block, size_t old_size,
                        size_t new_size) {
  const state_memory *memory = ctx;
  return memory->allocate(memory->ctx, block, old_size, new_size);
}

/* One for each state, in the registry: a state runs all finalizers before it
 * frees what has none. */
ws_allocator lws_allocator(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, MEMORY_KEY);
  state_memory *memory = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (memory == NULL) {
    memory = lua_newuserdata(L, sizeof(*memory));
    memory->allocate = lua_getallocf(L, &memory->ctx);
    lua_setfield(L, LUA_REGISTRYINDEX, MEMORY_KEY);
  }
  return (ws_allocator){.reallocate = reallocate, .ctx = memory};
}

void *lws_resize(const ws_allocator *allocator, void *block, size_t old_size,
                 size_t new_size) {
  return allocator->reallocate(allocator->ctx, block, old_size, new_size);
}

/* Larger than what a collection frees while messages of 64 KiB come and go. */
#define SETTLING_BLOCK ((size_t)1024 * 1024)

/* Strings of messages lie at the top of the heap, and when the collector frees
 * them, glibc returns the pages, which costs up to ten times the message (Lua
 * 5.2 received 1.5 GB/s, and 13 with this). It keeps 128 KiB, or twice the
 * largest block that it has mapped and unmapped: here is one. */
void lws_settle_heap(lua_State *L) {
  void *ctx;
  const lua_Alloc allocate = lua_getallocf(L, &ctx);
  void *block = allocate(ctx, NULL, 0, SETTLING_BLOCK);
  if (block != NULL) allocate(ctx, block, SETTLING_BLOCK, 0);
}
