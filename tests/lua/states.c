/* states.c - several Lua states in one process: each runs a script in a thread
 * of its own, all at the same time, and what one does is nothing to the others.
 *
 *     states SCRIPT [COUNT] */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_STATES 64
#define ROUNDS     5

static const char *script;

static bool run(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return false;
  luaL_openlibs(L);
  const bool is_well =
      luaL_loadfile(L, script) == 0 && lua_pcall(L, 0, 0, 0) == 0;
  if (!is_well) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return is_well;
}

/* Modules are loaded and unloaded again and again, also while others use them.
 */
static void *run_rounds(void *out_is_well) {
  bool *is_well = out_is_well;
  *is_well = true;
  for (int i = 0; i < ROUNDS && *is_well; i++)
    *is_well = run();
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  script = argv[1];
  const int count = argc > 2 ? atoi(argv[2]) : 4;
  if (count < 1 || count > MAX_STATES) return 2;
  pthread_t threads[MAX_STATES];
  bool are_well[MAX_STATES];
  bool is_well = true;
  for (int i = 0; i < count; i++)
    if (pthread_create(&threads[i], NULL, run_rounds, &are_well[i]) != 0)
      return 2;
  for (int i = 0; i < count; i++) {
    pthread_join(threads[i], NULL);
    is_well = is_well && are_well[i];
  }
  printf("%s 1 - %d states at once\n1..1\n", is_well ? "ok" : "not ok", count);
  return is_well ? 0 : 1;
}
