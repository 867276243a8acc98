/* measure.c - the clock, the core, the memory and the rounds. */

/* Pinning and the count of lost cores are Linux, the rules for memory glibc. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __linux__
#include <sched.h>
#include <sys/resource.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Short slices are seldom interrupted, long ones drown the clock's own cost. */
#define SLICE_NS 1e6
#define ROUNDS   31

#define QUICK_SLICE_NS 1e5
#define QUICK_ROUNDS   5

/* A slice that loses the core is done again, but not for ever. */
#define MAX_TRIES 8

static double slice_ns = SLICE_NS;
static size_t rounds = ROUNDS;
static size_t repeated;

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* How often the scheduler has taken the core from this thread. */
static long times_interrupted(void) {
#ifdef RUSAGE_THREAD
  struct rusage usage;
  if (getrusage(RUSAGE_THREAD, &usage) == 0) return usage.ru_nivcsw;
#endif
  return 0;
}

static void stay_on_this_core(void) {
#ifdef __linux__
  const int core = sched_getcpu();
  cpu_set_t set;
  CPU_ZERO(&set);
  if (core >= 0) CPU_SET((size_t)core, &set);
  (void)sched_setaffinity(0, sizeof(set), &set); /* Else it may wander. */
#endif
}

/* Long messages would come from the kernel and go back to it each, or not,
 * depending on what was freed before; and a page costs more than a copy. */
static void keep_memory(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 128 << 20);
#endif
}

void measure_init(bool is_quick) {
  if (is_quick) {
    slice_ns = QUICK_SLICE_NS;
    rounds = QUICK_ROUNDS;
  }
  stay_on_this_core();
  keep_memory();
}

static double time_slice(const contender *c) {
  const double begin = now_ns();
  c->run(c->ctx, c->times);
  return now_ns() - begin;
}

static double time_undisturbed_slice(const contender *c) {
  for (int tries = 1;; tries++) {
    const long before = times_interrupted();
    const double ns = time_slice(c);
    if (times_interrupted() == before || tries == MAX_TRIES) return ns;
    repeated++;
  }
}

/* Finds how many times fill a slice; that is the warm-up too. */
static void calibrate(contender *c) {
  c->times = 1;
  double ns = time_slice(c);
  while (ns < slice_ns / 2) {
    c->times *= 2;
    ns = time_slice(c);
  }
  const double fit = (double)c->times * slice_ns / ns;
  c->times = fit < 1 ? 1 : (size_t)fit;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a;
  const double y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(const double *values, size_t count) {
  double sorted[MEASURE_MAX_ROUNDS];
  memcpy(sorted, values, count * sizeof(*values));
  qsort(sorted, count, sizeof(*sorted), compare);
  return sorted[count / 2]; /* The number of rounds is odd. */
}

void measure(contender *group, size_t count) {
  for (size_t i = 0; i < count; i++)
    calibrate(&group[i]);

  for (size_t round = 0; round < rounds; round++) {
    for (size_t i = 0; i < count; i++) {
      contender *c = &group[i];
      const double units = c->units != 0 ? c->units : 1;
      c->samples[round] =
          time_undisturbed_slice(c) / ((double)c->times * units);
    }
  }
  for (size_t i = 0; i < count; i++)
    group[i].ns = median(group[i].samples, rounds);
}

double measure_ratio(const contender *a, const contender *b) {
  double ratios[MEASURE_MAX_ROUNDS];
  for (size_t round = 0; round < rounds; round++)
    ratios[round] = a->samples[round] / b->samples[round];
  return median(ratios, rounds);
}

size_t measure_repeated(void) {
  return repeated;
}
