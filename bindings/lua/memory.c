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
