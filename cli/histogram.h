/* histogram.h - counts numbers by their size, to within one part in 64.
 *
 * Each power of two is divided into equal buckets, so that a few thousand of
 * them hold any number of measurements from nanoseconds to hours. */
#ifndef CLI_HISTOGRAM_H
#define CLI_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS    6 /* Buckets in a power of two, as a logarithm. */
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

/* Zeroed it is empty. */
typedef struct histogram {
  uint64_t count;
  uint64_t max;
  uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram;

void histogram_add(histogram *h, uint64_t number);

/* Returns a number that the given part of all (0 to 1) does not exceed, at most
 * one 64th above the least such; 0 if there is none. */
uint64_t histogram_quantile(const histogram *h, double part);

#endif
