/* clock.c - the system's CLOCK_MONOTONIC. */
#include "io/clock.h"

#include <time.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

uint64_t ws__clock_ns(void) {
  /* Fails for a clock that the system does not have, and all have this one. */
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t ws__clock_ms(void) {
  return ws__clock_ns() / NS_PER_MS;
}
