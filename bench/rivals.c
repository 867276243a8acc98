#include "rivals.h"

#include <string.h>

void rival_mask_bytes(uint8_t *dst, const uint8_t *src, size_t len,
                      const uint8_t key[4]) {
  for (size_t i = 0; i < len; i++)
    dst[i] = src[i] ^ key[i % 4];
}

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>

__attribute__((target("avx2"))) void rival_mask_avx2(uint8_t *dst,
                                                     const uint8_t *src,
                                                     size_t len,
                                                     const uint8_t key[4]) {
  int word;
  memcpy(&word, key, sizeof(word));
  const __m256i spread = _mm256_set1_epi32(word);
  size_t i = 0;
  for (; len - i >= sizeof(spread); i += sizeof(spread)) {
    const __m256i octets = _mm256_loadu_si256((const __m256i *)(src + i));
    _mm256_storeu_si256((__m256i *)(dst + i), _mm256_xor_si256(octets, spread));
  }
  for (; i < len; i++)
    dst[i] = src[i] ^ key[i % 4];
}

bool rival_has_avx2(void) {
  return __builtin_cpu_supports("avx2") != 0;
}
#else
void rival_mask_avx2(uint8_t *dst, const uint8_t *src, size_t len,
                     const uint8_t key[4]) {
  rival_mask_bytes(dst, src, len, key);
}

bool rival_has_avx2(void) {
  return false;
}
#endif
