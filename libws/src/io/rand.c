/* rand.c - ws_random(): the system's random source, pooled per thread.
 *
 * Drawing a mask key from the system for every frame would cost a call of the
 * kernel each. Invariant: a byte is handed out once; then it is gone from the
 * pool, and a forked child begins with an empty pool. */

/* Both sources are younger than the POSIX that the build asks for. */
#undef _POSIX_C_SOURCE
#define _DEFAULT_SOURCE
#include "ws/conn.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__)
#define HAVE_GETRANDOM 1
#else
#define HAVE_GETRANDOM 0
#endif

/* Large enough that the price of entering the kernel is small against that of
 * the bytes. */
#define POOL_SIZE 1024

/* Longer requests go past the pool. */
#define POOLED_MAX 64

/* The unused bytes are the first `left`. */
typedef struct pool {
  uint8_t bytes[POOL_SIZE];
  size_t left;
} pool;

static _Thread_local pool own_pool;

static pthread_once_t watch_forks_once = PTHREAD_ONCE_INIT;
static bool forks_are_watched;

/* Runs in a forked child, in the only thread it has: the one that forked. */
static void drop_pool(void) {
  memset(&own_pool, 0, sizeof(own_pool));
}

static void watch_forks(void) {
  forks_are_watched = pthread_atfork(NULL, NULL, drop_pool) == 0;
}

/* Has the system write some of the `len` bytes. Returns how many, or -1. */
static ssize_t draw_some(uint8_t *out, size_t len) {
#if HAVE_GETRANDOM
  return getrandom(out, len, 0);
#else
  const size_t most = 256; /* POSIX: GETENTROPY_MAX. */
  if (len > most) len = most;
  return getentropy(out, len) == 0 ? (ssize_t)len : -1;
#endif
}

static int draw(uint8_t *out, size_t len) {
  while (len > 0) {
    const ssize_t got = draw_some(out, len);
    if (got > 0) {
      out += got;
      len -= (size_t)got;
    } else if (got == 0 || errno != EINTR) {
      return -1;
    }
  }
  return 0;
}

/* Fills the pool. Fails if it could outlive a fork. */
static int refill(pool *p) {
  pthread_once(&watch_forks_once, watch_forks);
  p->left = 0;
  if (!forks_are_watched || draw(p->bytes, sizeof(p->bytes)) != 0) return -1;
  p->left = sizeof(p->bytes);
  return 0;
}

int ws_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  if (len > POOLED_MAX) return draw(out, len);

  pool *p = &own_pool;
  if (len > p->left && refill(p) != 0) return -1;
  p->left -= len;
  uint8_t *bytes = p->bytes + p->left;
  memcpy(out, bytes, len);
  memset(bytes, 0, len);
  return 0;
}
