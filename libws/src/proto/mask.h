/* mask.h - XOR of payload with the 4-byte masking key (RFC 6455 section 5.3).
 *
 * Any alignment, any length. `offset` is how many payload bytes of the frame
 * came before `data`: j of the RFC's transformed-octet-i = original-octet-i XOR
 * masking-key-octet-j, j = i MOD 4. The vector path is chosen once at run
 * time. */
#ifndef WS__MASK_H
#define WS__MASK_H

#include "base/hidden.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

WS__HIDDEN_BEGIN

/* Masks or unmasks in place. */
void ws__mask(uint8_t *data, size_t len, const uint8_t key[4], size_t offset);

/* Masks or unmasks from `src` to `dst`, which must not overlap. */
void ws__mask_copy(uint8_t *dst, const uint8_t *src, size_t len,
                   const uint8_t key[4], size_t offset);

/* -- The kernels behind them ----------------------------------------------- */

/* Shorter payloads do not go through a kernel. */
#define WS__MASK_KERNEL_MIN 32

/* Masks at least WS__MASK_KERNEL_MIN bytes from `src` to `dst`, which are the
 * same or do not overlap. `key` holds the four key octets in memory order, that
 * of src[0] first. */
typedef void ws__mask_fn(uint8_t *dst, const uint8_t *src, size_t len,
                         uint32_t key);

typedef struct ws__mask_kernel {
  const char *name;
  bool (*is_supported)(void); /* By this CPU. */
  ws__mask_fn *mask;
} ws__mask_kernel;

/* All that were compiled, the best first; the first that is supported is used.
 * The last one, "portable", always is. */
extern const ws__mask_kernel ws__mask_kernels[];
extern const size_t ws__mask_kernel_count;

WS__HIDDEN_END

#endif
