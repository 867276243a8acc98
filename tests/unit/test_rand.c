/* test_rand.c - ws_random() over a source that the test holds in its hand: this
 * program's own getrandom() (or getentropy()) comes before the system's when it
 * is linked, and can fail, be interrupted, give little or count. */
#undef _POSIX_C_SOURCE
#define _DEFAULT_SOURCE
#include "test.h"
#include "ws/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- The source ------------------------------------------------------------ */

typedef struct source {
  bool fails;
  bool interrupts;  /* Every other call. */
  size_t most;      /* Most bytes at once; 0 for any number. */
  bool counts;      /* Gives 0, 1, 2, ... as 32-bit numbers. */
  uint32_t counter; /* The next of them. */
  unsigned calls;
} source;

static source src;

/* Returns how many bytes it gave, or -1. */
static ssize_t give(uint8_t *out, size_t len) {
  src.calls++;
  if (src.fails) {
    errno = EIO;
    return -1;
  }
  if (src.interrupts && src.calls % 2 == 0) {
    errno = EINTR;
    return -1;
  }
  if (src.most > 0 && len > src.most) len = src.most;
  if (src.counts) {
    for (size_t i = 0; i + sizeof(src.counter) <= len;
         i += sizeof(src.counter)) {
      memcpy(out + i, &src.counter, sizeof(src.counter));
      src.counter++;
    }
    return (ssize_t)len;
  }
  const int fd = open("/dev/urandom", O_RDONLY);
  const ssize_t got = read(fd, out, len);
  close(fd);
  return got;
}

#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__)
ssize_t getrandom(void *out, size_t len, unsigned flags) {
  (void)flags;
  return give(out, len);
}
#else
int getentropy(void *out, size_t len) {
  return give(out, len) == (ssize_t)len ? 0 : -1;
}
#endif

/* Takes single bytes from the pool until the next must come from the source. */
static void empty_pool(void) {
  const unsigned calls = src.calls;
  src.fails = true;
  uint8_t byte;
  while (ws_random(NULL, &byte, 1) == 0) {
    assert_int_equal(src.calls, calls);
  }
  src.fails = false;
}

static int set_up(void **state) {
  (void)state;
  src = (source){0};
  empty_pool();
  return 0;
}

/* -- Keys ------------------------------------------------------------------ */

/* Two keys of 32 bits may be equal by chance: once in 4,000 runs of each test
 * here, three times in none. A key handed out twice shows hundreds. */
#define CHANCE 2

static uint32_t draw_key(void) {
  uint32_t key;
  assert_int_equal(ws_random(NULL, &key, sizeof(key)), 0);
  return key;
}

/* */
static void keys_are_uniform_in_each_byte_and_do_not_repeat(void **state) {
  (void)state;
  enum {
    KEYS = 1000000,
    VALUES = 256
  };
  static unsigned counts[sizeof(uint32_t)][VALUES];
  unsigned repeats = 0;
  uint32_t last = draw_key();
  for (int i = 0; i < KEYS; i++) {
    const uint32_t key = draw_key();
    repeats += key == last;
    last = key;
    uint8_t bytes[sizeof(key)];
    memcpy(bytes, &key, sizeof(key));
    for (size_t b = 0; b < sizeof(bytes); b++)
      counts[b][bytes[b]]++;
  }
  assert_true(repeats <= CHANCE);

  /* Chi-square of 255 degrees of freedom: mean 255, deviation 22.6. These
   * bounds are more than seven deviations away. */
  const double expected = (double)KEYS / VALUES;
  for (size_t b = 0; b < sizeof(uint32_t); b++) {
    double chi = 0;
    for (size_t v = 0; v < VALUES; v++) {
      const double off = (double)counts[b][v] - expected;
      chi += off * off / expected;
    }
    assert_true(chi > 90);
    assert_true(chi < 450);
  }
}

/* */
static void no_byte_of_the_source_is_handed_out_twice(void **state) {
  (void)state;
  enum {
    KEYS = 4096
  };
  static bool seen[2 * KEYS];
  memset(seen, 0, sizeof(seen));
  src.counts = true;
  for (int i = 0; i < KEYS; i++) {
    const uint32_t key = draw_key();
    assert_true(key < 2 * KEYS);
    assert_false(seen[key]);
    seen[key] = true;
  }
}

static void a_request_of_any_length_is_filled_and_stays_inside(void **state) {
  (void)state;
  enum {
    MAX = 5000
  };
  static const uint8_t zeros[MAX];
  for (size_t len = 0; len <= MAX; len = len < 300 ? len + 1 : len * 2) {
    uint8_t *out = calloc(1, len + 1);
    assert_int_equal(ws_random(NULL, out, len), 0);
    assert_int_equal(out[len], 0);
    if (len >= 16) assert_memory_not_equal(out, zeros, len);
    if (len >= 32) assert_memory_not_equal(out, out + len / 2, len / 2);
    free(out);
  }
}

static void many_keys_cost_one_call_of_the_source(void **state) {
  (void)state;
  const unsigned before = src.calls;
  for (int i = 0; i < 64; i++)
    draw_key();
  assert_int_equal(src.calls, before + 1);
}

/* -- Failures -------------------------------------------------------------- */

/* */
static void a_failing_source_is_an_error_until_it_works_again(void **state) {
  (void)state;
  uint8_t large[4096];
  uint32_t key;
  src.fails = true;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(ws_random(NULL, &key, sizeof(key)), -1);
    assert_int_equal(ws_random(NULL, large, sizeof(large)), -1);
  }
  src.fails = false;
  assert_int_equal(ws_random(NULL, &key, sizeof(key)), 0);
  assert_int_equal(ws_random(NULL, large, sizeof(large)), 0);
}

static void interrupted_and_short_reads_are_gone_on_with(void **state) {
  (void)state;
#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__)
  enum {
    NUMBERS = 1000
  };
  uint32_t numbers[NUMBERS];
  src.counts = true;
  src.interrupts = true;
  src.most = 2 * sizeof(uint32_t);
  assert_int_equal(ws_random(NULL, numbers, sizeof(numbers)), 0);
  for (uint32_t i = 0; i < NUMBERS; i++)
    assert_int_equal(numbers[i], i);
  /* Through the pool too. */
  for (int i = 0; i < NUMBERS; i++)
    assert_true(draw_key() >= NUMBERS);
#else
  skip(); /* getentropy() gives all or fails. */
#endif
}

/* -- Forks and threads ----------------------------------------------------- */

#define SHARED_KEYS 1000

static int compare_keys(const void *a, const void *b) {
  uint32_t x, y;
  memcpy(&x, a, sizeof(x));
  memcpy(&y, b, sizeof(y));
  return x < y ? -1 : x > y;
}

/* How many keys of `a` are in `b` too. */
static unsigned count_shared(const uint32_t *a, uint32_t *b) {
  unsigned shared = 0;
  qsort(b, SHARED_KEYS, sizeof(*b), compare_keys);
  for (size_t i = 0; i < SHARED_KEYS; i++) {
    shared += bsearch(&a[i], b, SHARED_KEYS, sizeof(*b), compare_keys) != NULL;
  }
  return shared;
}

/* Fills `keys`; false if that failed. */
static bool draw_keys(uint32_t *keys) {
  bool is_ok = true;
  for (size_t i = 0; i < SHARED_KEYS; i++) {
    is_ok &= ws_random(NULL, &keys[i], sizeof(*keys)) == 0;
  }
  return is_ok;
}

/* Fills `keys` in a forked child; false if that failed. */
static bool draw_keys_in_child(uint32_t *keys, size_t size) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  const pid_t child = fork();
  if (child == 0) {
    /* Less than a pipe holds, so it never waits. */
    _exit(draw_keys(keys) && write(ends[1], keys, size) == (ssize_t)size ? 0
                                                                         : 1);
  }
  int status = 1;
  bool is_ok = child > 0 && waitpid(child, &status, 0) == child && status == 0;
  is_ok = is_ok && read(ends[0], keys, size) == (ssize_t)size;
  close(ends[0]);
  close(ends[1]);
  return is_ok;
}

/* How many keys this thread and two children of it have in common. Asserts
 * nothing, so that it can run in any thread. */
static unsigned count_shared_over_forks(void) {
  uint32_t mine[SHARED_KEYS], first[SHARED_KEYS], second[SHARED_KEYS];
  /* The first draw leaves a pool that is nearly full. */
  if (ws_random(NULL, mine, sizeof(*mine)) != 0 ||
      !draw_keys_in_child(first, sizeof(first)) ||
      !draw_keys_in_child(second, sizeof(second)) || !draw_keys(mine)) {
    return UINT_MAX;
  }
  return count_shared(mine, first) + count_shared(mine, second) +
         count_shared(first, second);
}

/* */
static void parent_and_child_of_a_fork_share_no_keys(void **state) {
  (void)state;
  assert_true(count_shared_over_forks() <= CHANCE);
}

static void *run_forks(void *out_shared) {
  *(unsigned *)out_shared = count_shared_over_forks();
  return NULL;
}

/* */
static void a_fork_in_another_thread_shares_no_keys_either(void **state) {
  (void)state;
  unsigned shared = UINT_MAX;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, run_forks, &shared), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_true(shared <= CHANCE);
}

static void *run_draw(void *keys) {
  return draw_keys(keys) ? keys : NULL;
}

static void threads_share_no_keys(void **state) {
  (void)state;
  uint32_t mine[SHARED_KEYS], theirs[SHARED_KEYS];
  draw_key();
  pthread_t thread;
  void *result;
  assert_int_equal(pthread_create(&thread, NULL, run_draw, theirs), 0);
  assert_int_equal(pthread_join(thread, &result), 0);
  assert_non_null(result);
  assert_true(draw_keys(mine));
  assert_true(count_shared(mine, theirs) <= CHANCE);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup(name, set_up)
  const struct CMUnitTest tests[] = {
      CASE(keys_are_uniform_in_each_byte_and_do_not_repeat),
      CASE(no_byte_of_the_source_is_handed_out_twice),
      CASE(a_request_of_any_length_is_filled_and_stays_inside),
      CASE(many_keys_cost_one_call_of_the_source),
      CASE(a_failing_source_is_an_error_until_it_works_again),
      CASE(interrupted_and_short_reads_are_gone_on_with),
      CASE(parent_and_child_of_a_fork_share_no_keys),
      CASE(a_fork_in_another_thread_shares_no_keys_either),
      CASE(threads_share_no_keys),
  };
#undef CASE
  return cmocka_run_group_tests(tests, NULL, NULL);
}
