/* budget.h - what a fuzzed input may cost: heap and work in proportion to its
 * size. A breach ends the run like a crash, and so does a leak.
 *
 * Work is measured as processor time of the thread, with bounds far above what
 * any input takes under sanitizers but below what anything quadratic does. */
#ifndef FUZZ_BUDGET_H
#define FUZZ_BUDGET_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "test_alloc.h"

#define BUDGET_BASE_NS     200000000 /* 0.2 s */
#define BUDGET_NS_PER_BYTE 100000    /* 0.1 ms */

typedef struct budget {
  test_alloc alloc; /* Its `allocator` goes to the code under test. */
  struct timespec start;
} budget;

/* Stops the fuzzer at a broken promise. */
static inline void require(bool is_true, const char *what) {
  if (is_true) return;
  fprintf(stderr, "broken: %s\n", what);
  abort();
}

/* `b` must not move until budget_end(). */
static inline void budget_begin(budget *b) {
  test_alloc_init(&b->alloc);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b->start);
}

/* All memory must be back; never more than `base` + `per_byte` * `size` bytes
 * were held at once. */
static inline void budget_end(const budget *b, size_t size, size_t base,
                              size_t per_byte) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  const int64_t ns = (int64_t)(now.tv_sec - b->start.tv_sec) * 1000000000 +
                     (now.tv_nsec - b->start.tv_nsec);
  require(b->alloc.held == 0, "all memory is released");
  require(b->alloc.peak <= base + per_byte * size,
          "memory stays in proportion to the input");
  require(ns <= BUDGET_BASE_NS + BUDGET_NS_PER_BYTE * (int64_t)size,
          "work stays in proportion to the input");
}

#endif
