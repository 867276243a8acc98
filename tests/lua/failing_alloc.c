/* failing_alloc.c - runs a script again and again, failing one allocation after
 * the other, in Lua as in the library, which takes its memory from Lua.
 *
 *     failing_alloc SCRIPT [STRIDE]
 *
 * The n-th allocation of the script fails, once or with all that follow.
 * Whatever the script makes of that, nothing may crash, and when the state is
 * closed, every block has to be given back. Ends when the script no longer
 * reaches the allocation. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct allocator {
  long blocks;
  long allowed;    /* Allocations until one fails; -1: none is counted. */
  bool is_lasting; /* All that follow fail too. */
  bool has_failed;
} allocator;

static bool shall_fail(allocator *a) {
  if (a->allowed < 0) return false;
  if (a->has_failed) return a->is_lasting;
  if (a->allowed > 0) {
    a->allowed--;
    return false;
  }
  a->has_failed = true;
  return true;
}

/* Lua relies on a block that shrinks, or is freed, not failing. */
static void *allocate(void *ctx, void *block, size_t old_size, size_t size) {
  allocator *a = ctx;
  if (block == NULL) old_size = 0; /* It is a type then. */
  if (size == 0) {
    if (block != NULL) a->blocks--;
    free(block);
    return NULL;
  }
  if (size > old_size && shall_fail(a)) return NULL;
  void *moved = realloc(block, size);
  if (moved != NULL && block == NULL) a->blocks++;
  return moved;
}

/* Returns whether the allocation was reached; exits if blocks were lost. */
static bool run(const char *script, long index, bool is_lasting) {
  allocator a = {.allowed = -1, .is_lasting = is_lasting};
  lua_State *L = lua_newstate(allocate, &a);
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  if (luaL_loadfile(L, script) != 0) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    exit(2);
  }
  a.allowed = index;
  const int result = lua_pcall(L, 0, 0, 0);
  a.allowed = -1;
  if (result != 0 && !a.has_failed) {
    fprintf(stderr, "without a failure: %s\n", lua_tostring(L, -1));
    exit(1);
  }
  lua_close(L);
  if (a.blocks != 0) {
    fprintf(stderr, "allocation %ld%s: %ld blocks were lost\n", index,
            is_lasting ? " and all after it" : "", a.blocks);
    exit(1);
  }
  return a.has_failed;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const long stride = argc > 2 ? atol(argv[2]) : 1;
  long count = 0;
  for (int is_lasting = 0; is_lasting <= 1; is_lasting++)
    for (long i = 0; run(argv[1], i, is_lasting); i += stride)
      count++;
  printf("ok 1 - %ld failing allocations\n1..1\n", count);
  return count > 0 ? 0 : 1;
}
