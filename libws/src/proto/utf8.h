/* utf8.h - is this UTF-8 (RFC 3629)? Whole or in pieces, at vector speed.
 *
 * Overlong forms, surrogates and code points above U+10FFFF are invalid. The
 * vector path is chosen once at run time; the portable path is always there and
 * gives the same answers. */
#ifndef WS__UTF8_H
#define WS__UTF8_H

#include "base/hidden.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

WS__HIDDEN_BEGIN

/* The state between two pieces: the unfinished sequence at the end of what was
 * seen. Zero is the start, and again the state after complete characters. */
typedef uint32_t ws__utf8_state;

/* Checks the next piece. Returns false as soon as the bytes so far cannot be
 * the start of valid UTF-8, also when the offending sequence is unfinished
 * (RFC 6455 section 8.1); `*state` is then of no further use. */
bool ws__utf8_check(ws__utf8_state *state, const uint8_t *data, size_t len);

/* Whether the text seen ends with a complete character. */
static inline bool ws__utf8_is_complete(ws__utf8_state state) {
  return state == 0;
}

/* Whether `data` as a whole is valid. */
bool ws__utf8_is_valid(const uint8_t *data, size_t len);

/* -- The kernels behind them ----------------------------------------------- */

/* Shorter texts do not go through a kernel: one vector, and the three bytes
 * that a kernel wants to stand before each vector. */
#define WS__UTF8_KERNEL_MIN (16 + 3)

/* Whether `data` as a whole is valid; at least WS__UTF8_KERNEL_MIN bytes. */
typedef bool ws__utf8_fn(const uint8_t *data, size_t len);

typedef struct ws__utf8_kernel {
  const char *name;
  bool (*is_supported)(void); /* By this CPU. */
  ws__utf8_fn *is_valid;
} ws__utf8_kernel;

/* All that were compiled, the best first; the first that is supported is used.
 * The last one, "portable", always is. */
extern const ws__utf8_kernel ws__utf8_kernels[];
extern const size_t ws__utf8_kernel_count;

WS__HIDDEN_END

#endif
