/* latency.c - a logarithmic histogram. */
#include "latency.h"

#include <stddef.h>

#define PARTS_BITS 5 /* LATENCY_PARTS is two to the power of it. */

/* Below LATENCY_PARTS each number has a slot of its own; above, the highest bit
 * chooses the row and the PARTS_BITS after it the part. */
static size_t slot_of(uint64_t ns) {
  if (ns < LATENCY_PARTS) return (size_t)ns;
  const size_t shift = 63u - (unsigned)__builtin_clzll(ns) - PARTS_BITS;
  return (size_t)((shift + 1) * LATENCY_PARTS + (ns >> shift) - LATENCY_PARTS);
}

static double slot_middle(size_t slot) {
  if (slot < LATENCY_PARTS) return (double)slot;
  const size_t shift = slot / LATENCY_PARTS - 1;
  const size_t part = slot % LATENCY_PARTS + LATENCY_PARTS;
  return ((double)part + 0.5) * (double)(UINT64_C(1) << shift);
}

void latency_note(latency *l, uint64_t ns) {
  l->counts[slot_of(ns)]++;
  l->total++;
}

double latency_us(const latency *l, double share) {
  const double wanted = share * (double)l->total;
  uint64_t seen = 0;
  for (size_t i = 0; i < sizeof(l->counts) / sizeof(l->counts[0]); i++) {
    seen += l->counts[i];
    if (seen > 0 && (double)seen >= wanted) return slot_middle(i) / 1000;
  }
  return 0;
}
