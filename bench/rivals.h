/* rivals.h - the loops that masking is measured against.
 *
 * rivals.c is compiled at -O2 without the vectoriser: the byte loop is to be
 * what people write, not what a compiler makes of it, and the AVX2 loop is to
 * be exactly the instructions that it names. And with its functions on cache
 * lines: else the AVX2 loop takes twice as long where it happens to straddle
 * one. */
#ifndef BENCH_RIVALS_H
#define BENCH_RIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text of RFC 6455 section 5.3: one octet at a time. */
void rival_mask_bytes(uint8_t *dst, const uint8_t *src, size_t len,
                      const uint8_t key[4]);

/* The plain loop over vectors of 32 bytes, and single octets for the rest. */
void rival_mask_avx2(uint8_t *dst, const uint8_t *src, size_t len,
                     const uint8_t key[4]);

/* Whether the CPU can run rival_mask_avx2(). */
bool rival_has_avx2(void);

#endif
