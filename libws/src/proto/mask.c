/* mask.c - masking: short payloads by words right here, longer ones by the best
 * kernel that the CPU has. The kernels are one text, mask_kernel.h, at four
 * widths.
 *
 * A key is a 32-bit word in memory order, rotated so that its first octet meets
 * the first byte; it travels by value and so stays in a register, which a key
 * in memory that the payload might alias would not. */
#include "proto/mask.h"

#include <stdatomic.h>
#include <string.h>

#include "proto/cpu.h"

#if WS__CPU_X86
#include <immintrin.h>
#elif WS__CPU_NEON
#include <arm_neon.h>
#endif

/* The key for bytes that stand `offset` further on. */
static inline uint32_t rotate(uint32_t key, size_t offset) {
  const unsigned shift = 8 * (unsigned)(offset % 4);
  if (shift == 0) return key;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return key << shift | key >> (32 - shift);
#else
  return key >> shift | key << (32 - shift);
#endif
}

static inline uint64_t load64(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, sizeof(word));
  return word;
}

static inline void store64(uint8_t *p, uint64_t word) {
  memcpy(p, &word, sizeof(word));
}

static inline uint64_t spread64(uint32_t key) {
  return (uint64_t)key << 32 | key;
}

/* -- Kernels --------------------------------------------------------------- */

#if WS__CPU_X86
#define KERNEL      mask_avx2
#define TARGET      __attribute__((target("avx2")))
#define VEC         __m256i
#define LOAD(p)     _mm256_loadu_si256((const __m256i *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define XOR(a, b)   _mm256_xor_si256(a, b)
#define SPREAD(key) _mm256_set1_epi32((int)(key))
#include "proto/mask_kernel.h"

#define KERNEL      mask_sse2
#define TARGET      __attribute__((target("sse2")))
#define VEC         __m128i
#define LOAD(p)     _mm_loadu_si128((const __m128i *)(p))
#define STORE(p, v) _mm_storeu_si128((__m128i *)(p), v)
#define XOR(a, b)   _mm_xor_si128(a, b)
#define SPREAD(key) _mm_set1_epi32((int)(key))
#include "proto/mask_kernel.h"
#elif WS__CPU_NEON
#define KERNEL mask_neon
#define TARGET
#define VEC         uint8x16_t
#define LOAD(p)     vld1q_u8(p)
#define STORE(p, v) vst1q_u8(p, v)
#define XOR(a, b)   veorq_u8(a, b)
#define SPREAD(key) vreinterpretq_u8_u32(vdupq_n_u32(key))
#include "proto/mask_kernel.h"
#endif

#define KERNEL mask_portable
#define TARGET
#define VEC         uint64_t
#define LOAD(p)     load64(p)
#define STORE(p, v) store64(p, v)
#define XOR(a, b)   ((a) ^ (b))
#define SPREAD(key) spread64(key)
#include "proto/mask_kernel.h"

const ws__mask_kernel ws__mask_kernels[] = {
#if WS__CPU_X86
    {"avx2", ws__cpu_has_avx2, mask_avx2},
    {"sse2", ws__cpu_has_sse2, mask_sse2},
#elif WS__CPU_NEON
    {"neon", ws__cpu_is_any, mask_neon},
#endif
    {"portable", ws__cpu_is_any, mask_portable},
};
const size_t ws__mask_kernel_count =
    sizeof(ws__mask_kernels) / sizeof(ws__mask_kernels[0]);

/* -- Choice ---------------------------------------------------------------- */

static ws__mask_fn choose_and_mask;

/* Any thread may make the choice; all make the same one. */
static _Atomic(ws__mask_fn *) chosen = choose_and_mask;

static void choose_and_mask(uint8_t *dst, const uint8_t *src, size_t len,
                            uint32_t key) {
  const ws__mask_kernel *kernel = ws__mask_kernels;
  while (!kernel->is_supported())
    kernel++;
  atomic_store_explicit(&chosen, kernel->mask, memory_order_relaxed);
  kernel->mask(dst, src, len, key);
}

/* -- Short payloads -------------------------------------------------------- */

/* Less than WS__MASK_KERNEL_MIN bytes. Words from both ends, which may overlap:
 * everything is loaded before anything is stored, as in the kernels. */
static inline void mask_short(uint8_t *dst, const uint8_t *src, size_t len,
                              uint32_t key) {
  if (len >= 8) {
    const uint64_t first = spread64(key);
    const uint64_t last = spread64(rotate(key, len));
    const size_t half = len >= 16 ? 8 : 0;
    const uint64_t a = load64(src) ^ first;
    const uint64_t b = load64(src + half) ^ first;
    const uint64_t c = load64(src + len - 8 - half) ^ last;
    const uint64_t d = load64(src + len - 8) ^ last;
    store64(dst, a);
    store64(dst + half, b);
    store64(dst + len - 8 - half, c);
    store64(dst + len - 8, d);
    return;
  }
  uint8_t octets[4];
  memcpy(octets, &key, sizeof(octets));
  for (size_t i = 0; i < len; i++)
    dst[i] = src[i] ^ octets[i % 4];
}

static inline void mask(uint8_t *dst, const uint8_t *src, size_t len,
                        const uint8_t key[4], size_t offset) {
  uint32_t word;
  memcpy(&word, key, sizeof(word));
  word = rotate(word, offset);
  if (len < WS__MASK_KERNEL_MIN) mask_short(dst, src, len, word);
  else atomic_load_explicit(&chosen, memory_order_relaxed)(dst, src, len, word);
}

void ws__mask(uint8_t *data, size_t len, const uint8_t key[4], size_t offset) {
  mask(data, data, len, key, offset);
}

void ws__mask_copy(uint8_t *dst, const uint8_t *src, size_t len,
                   const uint8_t key[4], size_t offset) {
  mask(dst, src, len, key, offset);
}
