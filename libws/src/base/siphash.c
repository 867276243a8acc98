/* siphash.c - in the words of the paper: the state v, mixed by rounds. */
#include "base/siphash.h"

typedef struct state {
  uint64_t v0, v1, v2, v3;
} state;

static inline uint64_t rotate(uint64_t word, unsigned bits) {
  return word << bits | word >> (64 - bits);
}

static inline void mix(state *s, int rounds) {
  while (rounds-- > 0) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
  }
}

static inline void take(state *s, uint64_t word) {
  s->v3 ^= word;
  mix(s, 2);
  s->v0 ^= word;
}

/* Up to eight bytes, the first one lowest. */
static inline uint64_t read_word(const uint8_t *bytes, size_t count) {
  uint64_t word = 0;
  for (size_t i = 0; i < count; i++)
    word |= (uint64_t)bytes[i] << (8 * i);
  return word;
}

uint64_t ws__siphash(ws__siphash_key key, const void *data, size_t len) {
  state s = {
      .v0 = key.k0 ^ UINT64_C(0x736f6d6570736575),
      .v1 = key.k1 ^ UINT64_C(0x646f72616e646f6d),
      .v2 = key.k0 ^ UINT64_C(0x6c7967656e657261),
      .v3 = key.k1 ^ UINT64_C(0x7465646279746573),
  };
  const uint8_t *bytes = data;
  size_t left = len;
  for (; left >= 8; left -= 8, bytes += 8)
    take(&s, read_word(bytes, 8));
  /* What is left, and the length above it. */
  take(&s, read_word(bytes, left) | (uint64_t)len << 56);
  s.v2 ^= 0xff;
  mix(&s, 4);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
