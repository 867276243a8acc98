/* sha1.c - one pass over the whole blocks in place, then one or two blocks from
 * the stack for the rest, the padding and the length (FIPS 180-4 section 5.1).
 */
#include "proto/sha1.h"

#include <string.h>

#define BLOCK_SIZE  64
#define LENGTH_SIZE 8
#define STATE_WORDS 5
#define ROUNDS      80

static uint32_t rotate_left(uint32_t x, unsigned n) {
  return x << n | x >> (32 - n);
}

static uint32_t load_be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
         p[3];
}

static void store_be32(uint8_t *p, uint32_t x) {
  p[0] = (uint8_t)(x >> 24);
  p[1] = (uint8_t)(x >> 16);
  p[2] = (uint8_t)(x >> 8);
  p[3] = (uint8_t)x;
}

/* f and K of a round (FIPS 180-4 sections 4.1.1 and 4.2.1). */
static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d) {
  if (round < 20) return ((b & c) | (~b & d)) + 0x5a827999u;
  if (round < 40) return (b ^ c ^ d) + 0x6ed9eba1u;
  if (round < 60) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
  return (b ^ c ^ d) + 0xca62c1d6u;
}

/* FIPS 180-4 section 6.1.2. */
static void add_block(uint32_t state[STATE_WORDS], const uint8_t *block) {
  uint32_t w[ROUNDS];
  for (size_t t = 0; t < 16; t++)
    w[t] = load_be32(block + 4 * t);
  for (unsigned t = 16; t < ROUNDS; t++) {
    w[t] = rotate_left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  }

  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (unsigned t = 0; t < ROUNDS; t++) {
    const uint32_t next = rotate_left(a, 5) + mix(t, b, c, d) + e + w[t];
    e = d;
    d = c;
    c = rotate_left(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

void ws__sha1(const void *data, size_t len, uint8_t out_digest[WS__SHA1_SIZE]) {
  uint32_t state[STATE_WORDS] = {0x67452301u, 0xefcdab89u, 0x98badcfeu,
                                 0x10325476u, 0xc3d2e1f0u};
  const uint8_t *next = data;
  size_t left = len;
  for (; left >= BLOCK_SIZE; left -= BLOCK_SIZE, next += BLOCK_SIZE) {
    add_block(state, next);
  }

  uint8_t tail[2 * BLOCK_SIZE] = {0};
  const size_t tail_size =
      left + 1 + LENGTH_SIZE <= BLOCK_SIZE ? BLOCK_SIZE : 2 * BLOCK_SIZE;
  if (left > 0) memcpy(tail, next, left);
  tail[left] = 0x80;
  const uint64_t bits = (uint64_t)len * 8;
  store_be32(tail + tail_size - 8, (uint32_t)(bits >> 32));
  store_be32(tail + tail_size - 4, (uint32_t)bits);
  add_block(state, tail);
  if (tail_size > BLOCK_SIZE) add_block(state, tail + BLOCK_SIZE);

  for (size_t i = 0; i < STATE_WORDS; i++) {
    store_be32(out_digest + 4 * i, state[i]);
  }
}
