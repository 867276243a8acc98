/* mask.h - XOR of payload with the 4-byte masking key (RFC 6455 section 5.3).
 *
 * Any alignment, any length. `offset` is how many payload bytes of the frame
 * came before `data`: j of the RFC's transformed-octet-i = original-octet-i XOR
 * masking-key-octet-j, j = i MOD 4. The vector path is chosen once at run
 * time. */
#ifndef WS__MASK_H
#define WS__MASK_H

#include <stddef.h>
#include <stdint.h>

/* Masks or unmasks in place. */
void ws__mask(uint8_t *data, size_t len, const uint8_t key[4], size_t offset);

/* Masks or unmasks from `src` to `dst`, which must not overlap. */
void ws__mask_copy(uint8_t *dst, const uint8_t *src, size_t len,
                   const uint8_t key[4], size_t offset);

#endif
