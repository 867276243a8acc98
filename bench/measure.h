/* measure.h - how long things take, one beside the other.
 *
 * What is compared runs in turns within one group: a slice of the first, a
 * slice of the second, and so on, for many rounds. A slow moment of the machine
 * then falls on all of them alike, and the medians over the rounds, of times
 * and of ratios, leave it out. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

#define MEASURE_MAX_ROUNDS 64

/* One way of doing something. Set the first three; measure() sets the rest. */
typedef struct contender {
  void (*run)(void *ctx, size_t times); /* Does it `times` times. */
  void *ctx;
  double units; /* Operations in one time; 0 is 1. */

  double ns; /* Of one operation, the median. */
  size_t times;
  double samples[MEASURE_MAX_ROUNDS];
} contender;

/* Once, before anything is measured: stays on the core it is on and keeps the
 * memory it has got. */
void measure_init(bool is_quick);

/* Times a group. */
void measure(contender *group, size_t count);

/* How many times as long `a` takes as `b`: the median over the rounds. Both are
 * of one group. */
double measure_ratio(const contender *a, const contender *b);

/* How many slices lost the core on the way and were done again. */
size_t measure_repeated(void);

/* Makes the compiler believe that `p` and all memory are read and written. */
static inline void measure_keep(void *p) {
  __asm__ volatile("" : : "r"(p) : "memory");
}

#endif
