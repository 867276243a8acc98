/* utf8.c - the check of UTF-8: short texts by words and characters, longer ones
 * by the best kernel that the CPU has.
 *
 * The vector kernels are one text, utf8_kernel.h, at each width. They work on
 * whole texts only; pieces are cut so that they get complete characters, and
 * the state between pieces is the business of step() alone. */
#include "proto/utf8.h"

#include <stdatomic.h>
#include <string.h>

#include "proto/cpu.h"

#if WS__CPU_X86
#include <immintrin.h>
#elif WS__CPU_NEON
#include <arm_neon.h>
#endif

/* -- Bytes and characters -------------------------------------------------- */

/* What has to follow: `left` bytes, the next of them from `low` to `high`, the
 * others from 80 to BF. */
#define EXPECT(left, low, high) \
  ((uint32_t)(left) | (uint32_t)(low) << 8 | (uint32_t)(high) << 16)

/* What has to follow a byte that is not ASCII at the start of a character, or 0
 * if it must not stand there. The lines are those of RFC 3629 section 4. */
static ws__utf8_state after_lead(uint8_t c) {
  if (c < 0xC2) return 0; /* A continuation, or overlong. */
  if (c < 0xE0) return EXPECT(1, 0x80, 0xBF);
  if (c == 0xE0) return EXPECT(2, 0xA0, 0xBF); /* Not overlong. */
  if (c == 0xED) return EXPECT(2, 0x80, 0x9F); /* Not a surrogate. */
  if (c < 0xF0) return EXPECT(2, 0x80, 0xBF);
  if (c == 0xF0) return EXPECT(3, 0x90, 0xBF); /* Not overlong. */
  if (c < 0xF4) return EXPECT(3, 0x80, 0xBF);
  if (c == 0xF4) return EXPECT(3, 0x80, 0x8F); /* Not above U+10FFFF. */
  return 0;
}

/* Takes one byte. Returns false if it must not stand here. */
static inline bool step(ws__utf8_state *state, uint8_t c) {
  if (*state == 0) {
    if (c < 0x80) return true;
    *state = after_lead(c);
    return *state != 0;
  }
  const uint32_t left = *state & 0xFF;
  const uint32_t low = *state >> 8 & 0xFF;
  const uint32_t high = *state >> 16;
  if (c < low || c > high) return false;
  *state = left > 1 ? EXPECT(left - 1, 0x80, 0xBF) : 0;
  return true;
}

/* How many bytes at the end, up to three, are a sequence of which more has to
 * come, going by their first byte alone. 0 if `data` is valid as a whole. */
static inline size_t unfinished(const uint8_t *data, size_t len) {
  if (len >= 1 && data[len - 1] >= 0xC0) return 1;
  if (len >= 2 && data[len - 2] >= 0xE0) return 2;
  if (len >= 3 && data[len - 3] >= 0xF0) return 3;
  return 0;
}

/* Whether the eight bytes at p are ASCII. */
static inline bool is_ascii8(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, sizeof(word));
  return (word & UINT64_C(0x8080808080808080)) == 0;
}

/* The length of the character at the front, or 0 if it is wrong or cut. */
static inline size_t first_size(const uint8_t *data, size_t len) {
  if (data[0] < 0x80) return 1;
  const ws__utf8_state expected = after_lead(data[0]);
  const size_t tails = expected & 0xFF;
  if (tails == 0 || tails >= len) return 0;
  if (data[1] < (expected >> 8 & 0xFF) || data[1] > expected >> 16) return 0;
  for (size_t i = 2; i <= tails; i++)
    if (data[i] < 0x80 || data[i] > 0xBF) return 0;
  return tails + 1;
}

/* -- Kernels --------------------------------------------------------------- */

static bool portable_is_valid(const uint8_t *data, size_t len) {
  while (len > 0) {
    const size_t size = len >= 8 && is_ascii8(data) ? 8 : first_size(data, len);
    if (size == 0) return false;
    data += size;
    len -= size;
  }
  return true;
}

#if WS__CPU_X86 || WS__CPU_NEON
/* What can be wrong with two neighbouring bytes, one bit for each kind. The
 * tables give for the high and the low four bits of the first byte and for the
 * high four of the second the kinds they allow; a pair is wrong in the ways
 * that all three allow. After Keiser and Lemire, "Validating UTF-8 in less than
 * one instruction per byte" (2021). A tail is a continuation byte, 80 to BF. */
enum {
  LEAD_ALONE = 1 << 0, /* C0..FF, then no tail. */
  TAIL_ALONE = 1 << 1, /* ASCII, then a tail. */
  OVERLONG_2 = 1 << 2, /* C0, C1, then a tail. */
  OVERLONG_3 = 1 << 3, /* E0, then 80..9F. */
  SURROGATE = 1 << 4,  /* ED, then A0..BF. */
  FX_80_8F = 1 << 5,   /* F0: overlong; F5..FF: too large; then 80..8F. */
  TOO_LARGE = 1 << 6,  /* F4..FF, then 90..BF. */
  TWO_TAILS = 1 << 7,  /* Wrong unless a sequence of 3 or 4 wants it. */
};

static const uint8_t by_first_high[16] = {
    [0x0] = TAIL_ALONE,
    [0x1] = TAIL_ALONE,
    [0x2] = TAIL_ALONE,
    [0x3] = TAIL_ALONE,
    [0x4] = TAIL_ALONE,
    [0x5] = TAIL_ALONE,
    [0x6] = TAIL_ALONE,
    [0x7] = TAIL_ALONE,
    [0x8] = TWO_TAILS,
    [0x9] = TWO_TAILS,
    [0xA] = TWO_TAILS,
    [0xB] = TWO_TAILS,
    [0xC] = LEAD_ALONE | OVERLONG_2,
    [0xD] = LEAD_ALONE,
    [0xE] = LEAD_ALONE | OVERLONG_3 | SURROGATE,
    [0xF] = LEAD_ALONE | FX_80_8F | TOO_LARGE,
};

/* The kinds that do not depend on the low bits of the first byte. */
#define ANY_LOW (LEAD_ALONE | TAIL_ALONE | TWO_TAILS)
/* Those of F5..FF; E5..EF and the like are told apart by their high bits. */
#define F5_UP (ANY_LOW | FX_80_8F | TOO_LARGE)

static const uint8_t by_first_low[16] = {
    [0x0] = ANY_LOW | OVERLONG_2 | OVERLONG_3 | FX_80_8F,
    [0x1] = ANY_LOW | OVERLONG_2,
    [0x2] = ANY_LOW,
    [0x3] = ANY_LOW,
    [0x4] = ANY_LOW | TOO_LARGE,
    [0x5] = F5_UP,
    [0x6] = F5_UP,
    [0x7] = F5_UP,
    [0x8] = F5_UP,
    [0x9] = F5_UP,
    [0xA] = F5_UP,
    [0xB] = F5_UP,
    [0xC] = F5_UP,
    [0xD] = F5_UP | SURROGATE,
    [0xE] = F5_UP,
    [0xF] = F5_UP,
};

/* The kinds whose second byte may be any tail. */
#define ANY_TAIL (TAIL_ALONE | TWO_TAILS | OVERLONG_2)

static const uint8_t by_second_high[16] = {
    [0x0] = LEAD_ALONE,
    [0x1] = LEAD_ALONE,
    [0x2] = LEAD_ALONE,
    [0x3] = LEAD_ALONE,
    [0x4] = LEAD_ALONE,
    [0x5] = LEAD_ALONE,
    [0x6] = LEAD_ALONE,
    [0x7] = LEAD_ALONE,
    [0x8] = ANY_TAIL | OVERLONG_3 | FX_80_8F,
    [0x9] = ANY_TAIL | OVERLONG_3 | TOO_LARGE,
    [0xA] = ANY_TAIL | SURROGATE | TOO_LARGE,
    [0xB] = ANY_TAIL | SURROGATE | TOO_LARGE,
    [0xC] = LEAD_ALONE,
    [0xD] = LEAD_ALONE,
    [0xE] = LEAD_ALONE,
    [0xF] = LEAD_ALONE,
};
#endif

#if WS__CPU_X86
#define NAME(x) avx2_##x
#define TARGET  __attribute__((target("avx2")))
#define VEC     __m256i
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define FILL(c) _mm256_set1_epi8((char)(c))
#define TABLE(t) \
  _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(t)))
#define LOOKUP(t, v) _mm256_shuffle_epi8(t, v)
#define HIGH(v)      _mm256_and_si256(_mm256_srli_epi16(v, 4), FILL(0x0F))
#define LOW(v)       _mm256_and_si256(v, FILL(0x0F))
#define AND(a, b)    _mm256_and_si256(a, b)
#define OR(a, b)     _mm256_or_si256(a, b)
#define XOR(a, b)    _mm256_xor_si256(a, b)
#define MINUS(a, b)  _mm256_subs_epu8(a, b)
#define IS_ZERO(v)   (_mm256_testz_si256(v, v) != 0)
#define IS_ASCII(v)  (_mm256_movemask_epi8(v) == 0)
#include "proto/utf8_kernel.h"

#define NAME(x)      ssse3_##x
#define TARGET       __attribute__((target("ssse3")))
#define VEC          __m128i
#define LOAD(p)      _mm_loadu_si128((const __m128i *)(p))
#define FILL(c)      _mm_set1_epi8((char)(c))
#define TABLE(t)     LOAD(t)
#define LOOKUP(t, v) _mm_shuffle_epi8(t, v)
#define HIGH(v)      _mm_and_si128(_mm_srli_epi16(v, 4), FILL(0x0F))
#define LOW(v)       _mm_and_si128(v, FILL(0x0F))
#define AND(a, b)    _mm_and_si128(a, b)
#define OR(a, b)     _mm_or_si128(a, b)
#define XOR(a, b)    _mm_xor_si128(a, b)
#define MINUS(a, b)  _mm_subs_epu8(a, b)
#define IS_ZERO(v)   (_mm_movemask_epi8(_mm_cmpeq_epi8(v, FILL(0))) == 0xFFFF)
#define IS_ASCII(v)  (_mm_movemask_epi8(v) == 0)
#include "proto/utf8_kernel.h"

/* Texts too short for the wide vectors get the narrow ones, which every CPU
 * with AVX2 has. */
static bool avx2_or_ssse3_is_valid(const uint8_t *data, size_t len) {
  return len < sizeof(__m256i) + 3 ? ssse3_is_valid(data, len)
                                   : avx2_is_valid(data, len);
}
#elif WS__CPU_NEON
#define NAME(x) neon_##x
#define TARGET
#define VEC          uint8x16_t
#define LOAD(p)      vld1q_u8(p)
#define FILL(c)      vdupq_n_u8(c)
#define TABLE(t)     vld1q_u8(t)
#define LOOKUP(t, v) vqtbl1q_u8(t, v)
#define HIGH(v)      vshrq_n_u8(v, 4)
#define LOW(v)       vandq_u8(v, FILL(0x0F))
#define AND(a, b)    vandq_u8(a, b)
#define OR(a, b)     vorrq_u8(a, b)
#define XOR(a, b)    veorq_u8(a, b)
#define MINUS(a, b)  vqsubq_u8(a, b)
#define IS_ZERO(v)   (vmaxvq_u8(v) == 0)
#define IS_ASCII(v)  (vmaxvq_u8(v) < 0x80)
#include "proto/utf8_kernel.h"
#endif

const ws__utf8_kernel ws__utf8_kernels[] = {
#if WS__CPU_X86
    {"avx2", ws__cpu_has_avx2, avx2_or_ssse3_is_valid},
    {"ssse3", ws__cpu_has_ssse3, ssse3_is_valid},
#elif WS__CPU_NEON
    {"neon", ws__cpu_is_any, neon_is_valid},
#endif
    {"portable", ws__cpu_is_any, portable_is_valid},
};
const size_t ws__utf8_kernel_count =
    sizeof(ws__utf8_kernels) / sizeof(ws__utf8_kernels[0]);

/* -- Choice ---------------------------------------------------------------- */

static ws__utf8_fn choose_and_check;

/* Any thread may make the choice; all make the same one. */
static _Atomic(ws__utf8_fn *) chosen = choose_and_check;

static bool choose_and_check(const uint8_t *data, size_t len) {
  const ws__utf8_kernel *kernel = ws__utf8_kernels;
  while (!kernel->is_supported())
    kernel++;
  atomic_store_explicit(&chosen, kernel->is_valid, memory_order_relaxed);
  return kernel->is_valid(data, len);
}

/* -- Wholes and pieces ----------------------------------------------------- */

/* Less than WS__UTF8_KERNEL_MIN bytes. Words from both ends, which may overlap.
 */
static inline bool is_short_ascii(const uint8_t *data, size_t len) {
  if (len >= 8) {
    const size_t half = len >= 16 ? 8 : 0;
    return is_ascii8(data) && is_ascii8(data + half) &&
           is_ascii8(data + len - 8);
  }
  uint8_t all = 0;
  for (size_t i = 0; i < len; i++)
    all |= data[i];
  return all < 0x80;
}

bool ws__utf8_is_valid(const uint8_t *data, size_t len) {
  if (len >= WS__UTF8_KERNEL_MIN) {
    return atomic_load_explicit(&chosen, memory_order_relaxed)(data, len);
  }
  return is_short_ascii(data, len) || portable_is_valid(data, len);
}

bool ws__utf8_check(ws__utf8_state *state, const uint8_t *data, size_t len) {
  for (; *state != 0 && len > 0; data++, len--)
    if (!step(state, *data)) return false;

  /* A sequence that the end of the piece cuts goes into the state. */
  const size_t whole = len - unfinished(data, len);
  if (!ws__utf8_is_valid(data, whole)) return false;
  for (size_t i = whole; i < len; i++)
    if (!step(state, data[i])) return false;
  return true;
}
