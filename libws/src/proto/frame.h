/* frame.h - heads of frames (RFC 6455 section 5.2), in and out.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     |F|R|R|R| opcode|M| length      | length, 2 bytes if it was 126,|
 *     |I|S|S|S|       |A| 0..125,     | 8 bytes if it was 127         |
 *     |N|V|V|V|       |S| 126 or 127  |                               |
 *     | |1|2|3|       |K|             |                               |
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     | masking key, 4 bytes if MASK  | payload ...                   |
 *     +-------------------------------+-------------------------------+
 *
 * Pure functions without state; conn keeps what spans two reads. */
#ifndef WS__FRAME_H
#define WS__FRAME_H

#include "base/hidden.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

WS__HIDDEN_BEGIN

/* Section 5.2; 3-7 and 11-15 are reserved. */
typedef enum ws__opcode {
  WS__OP_CONTINUATION = 0x0,
  WS__OP_TEXT = 0x1,
  WS__OP_BINARY = 0x2,
  WS__OP_CLOSE = 0x8,
  WS__OP_PING = 0x9,
  WS__OP_PONG = 0xA
} ws__opcode;

#define WS__FRAME_HEAD_MAX 14 /* 2 + 8 bytes of length + 4 of key. */

typedef struct ws__frame {
  uint64_t len;
  uint8_t key[4]; /* Set when masked. */
  uint8_t opcode; /* A ws__opcode. */
  bool is_final;
  bool has_rsv1;
} ws__frame;

static inline bool ws__opcode_is_control(uint8_t opcode) {
  return (opcode & 0x8) != 0;
}

/* Reads a head from the first `len` bytes of a frame. `from_client` says who
 * sent it, so whether it must be masked; `allows_rsv1` whether a compressed
 * message may start.
 * Returns 0, and `*out_size` is the size of the head, or 0 while bytes are
 * missing; or the ws_err of the first thing wrong, as soon as it can be known.
 */
int ws__frame_read(const uint8_t *data, size_t len, bool from_client,
                   bool allows_rsv1, ws__frame *out_frame, size_t *out_size);

/* The size of the head that ws__frame_write() makes. */
size_t ws__frame_head_size(uint64_t len, bool is_masked);

/* Writes a head, with the length in its shortest form; `key` is NULL for an
 * unmasked frame. `len` is at most 2^63 - 1. Returns the size of the head. */
size_t ws__frame_write(uint8_t *out, ws__opcode opcode, bool is_final,
                       bool has_rsv1, uint64_t len, const uint8_t key[4]);

WS__HIDDEN_END

#endif
