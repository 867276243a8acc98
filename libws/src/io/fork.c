/* fork.c - counts forks by a handler that the system runs in each child. */
#include "io/fork.h"
#include "ws/base.h"

#include <pthread.h>
#include <stdatomic.h>

static pthread_once_t watch_once = PTHREAD_ONCE_INIT;
static int watch_result;
static atomic_uint count;

/* Runs in the child, in its only thread. */
static void count_fork(void) {
  atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

static void watch(void) {
  watch_result = pthread_atfork(NULL, NULL, count_fork);
}

int ws__fork_watch(void) {
  if (pthread_once(&watch_once, watch) != 0) return WS_ERR_NO_MEMORY;
  return watch_result == 0 ? 0 : WS_ERR_NO_MEMORY;
}

unsigned ws__fork_count(void) {
  return atomic_load_explicit(&count, memory_order_relaxed);
}
