/* histogram.c - numbers below 64 have a bucket each; above, a bucket is told by
 * the place of the highest bit and the six bits behind it. */
#include "histogram.h"

#include <stddef.h>

#define PER_POWER (1u << HISTOGRAM_BITS)

static unsigned highest_bit(uint64_t number) {
  unsigned bit = 0;
  while (number >>= 1)
    bit++;
  return bit;
}

static size_t bucket_of(uint64_t number) {
  if (number < PER_POWER) return (size_t)number;
  const unsigned shift = highest_bit(number) - HISTOGRAM_BITS;
  const size_t place = (size_t)(number >> shift) - PER_POWER;
  return ((size_t)(shift + 1) << HISTOGRAM_BITS) + place;
}

/* The largest number of a bucket. */
static uint64_t end_of(size_t bucket) {
  if (bucket < PER_POWER) return bucket;
  const unsigned shift = (unsigned)(bucket >> HISTOGRAM_BITS) - 1;
  const uint64_t first = (uint64_t)(PER_POWER + bucket % PER_POWER) << shift;
  return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(histogram *h, uint64_t number) {
  h->buckets[bucket_of(number)]++;
  h->count++;
  if (number > h->max) h->max = number;
}

uint64_t histogram_quantile(const histogram *h, double part) {
  const double wanted = part * (double)h->count;
  uint64_t seen = 0;
  for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
    seen += h->buckets[i];
    if (seen > 0 && (double)seen >= wanted) {
      return end_of(i) < h->max ? end_of(i) : h->max;
    }
  }
  return h->max;
}
