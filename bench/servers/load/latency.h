/* latency.h - counts of durations, for percentiles.
 *
 * Each power of two is cut into 32 equal parts, so a percentile is exact to
 * three in a hundred, whether it is microseconds or seconds. */
#ifndef LOAD_LATENCY_H
#define LOAD_LATENCY_H

#include <stdint.h>

#define LATENCY_PARTS 32

typedef struct latency {
  uint64_t counts[64 * LATENCY_PARTS];
  uint64_t total;
} latency;

void latency_note(latency *l, uint64_t ns);

/* The duration that `share` of all, from 0 to 1, did not exceed; microseconds,
 * or 0 if there are none. */
double latency_us(const latency *l, double share);

#endif
