/* frame.c - reads and writes the heads of frames. Reading goes byte by byte in
 * the order of the wire, so that what is wrong is known with the first byte
 * that makes it so. */
#include "proto/frame.h"

#include <string.h>

#include "ws/base.h"

enum {
  FIN = 0x80,
  RSV1 = 0x40,
  RSV2_3 = 0x30,
  OPCODE = 0x0F,
  MASK = 0x80,
  LENGTH = 0x7F
};

/* Section 5.2: "the minimal number of bytes MUST be used to encode the length".
 * What 7 bits hold, 125 at most, needs no more bytes; 126 and 127 announce 2
 * and 8. A control frame has no more than 125 (section 5.5). */
enum {
  MAX_LENGTH_7 = 125,
  LENGTH_16 = 126,
  LENGTH_64 = 127
};
#define MAX_LENGTH_16 UINT64_C(0xFFFF)

static int check_first_byte(uint8_t byte, bool allows_rsv1) {
  /* "MUST be 0 unless an extension is negotiated that defines meanings". */
  if ((byte & RSV2_3) != 0) return WS_ERR_UNEXPECTED_RSV_2_3;
  const bool has_rsv1 = (byte & RSV1) != 0;

  switch (byte & OPCODE) {
  case WS__OP_TEXT:
  case WS__OP_BINARY:
    return has_rsv1 && !allows_rsv1 ? WS_ERR_UNEXPECTED_RSV_1 : 0;
  case WS__OP_CONTINUATION:
    /* RFC 7692 section 6.1: RSV1 stands on the first fragment only. */
    return has_rsv1 ? WS_ERR_UNEXPECTED_RSV_1 : 0;
  case WS__OP_CLOSE:
  case WS__OP_PING:
  case WS__OP_PONG:
    if (has_rsv1) return WS_ERR_UNEXPECTED_RSV_1;
    /* Section 5.5: control frames "MUST NOT be fragmented". */
    return (byte & FIN) == 0 ? WS_ERR_EXPECTED_FIN : 0;
  }
  return WS_ERR_INVALID_OPCODE;
}

static int check_second_byte(uint8_t byte, bool is_control, bool from_client) {
  /* Section 5.1: a server "MUST close the connection upon receiving a frame
   * that is not masked", a client "if it detects a masked frame". */
  const bool is_masked = (byte & MASK) != 0;
  if (from_client && !is_masked) return WS_ERR_EXPECTED_MASK;
  if (!from_client && is_masked) return WS_ERR_UNEXPECTED_MASK;
  if (is_control && (byte & LENGTH) > MAX_LENGTH_7) {
    return WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH;
  }
  return 0;
}

static uint64_t read_big_endian(const uint8_t *data, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++)
    value = value << 8 | data[i];
  return value;
}

static void write_big_endian(uint8_t *out, uint64_t value, size_t size) {
  for (size_t i = size; i > 0; i--, value >>= 8)
    out[i - 1] = (uint8_t)value;
}

/* How many bytes the length takes behind the first two. */
static size_t extended_size(uint8_t length) {
  return length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
}

static int check_length(uint64_t len, size_t size) {
  if (len > INT64_MAX) return WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH;
  if (size > 0 && len <= (size == 2 ? MAX_LENGTH_7 : MAX_LENGTH_16)) {
    return WS_ERR_NON_MINIMAL_LENGTH;
  }
  return 0;
}

int ws__frame_read(const uint8_t *data, size_t len, bool from_client,
                   bool allows_rsv1, ws__frame *out_frame, size_t *out_size) {
  *out_size = 0;
  if (len < 1) return 0;
  int err = check_first_byte(data[0], allows_rsv1);
  if (err != 0) return err;
  const uint8_t opcode = data[0] & OPCODE;

  if (len < 2) return 0;
  err = check_second_byte(data[1], ws__opcode_is_control(opcode), from_client);
  if (err != 0) return err;

  const uint8_t length = data[1] & LENGTH;
  const size_t extended = extended_size(length);
  if (len < 2 + extended) {
    /* The top bit of eight is known to be wrong before the others are here. */
    const bool has_top_bit = extended == 8 && len > 2 && data[2] >> 7 != 0;
    return has_top_bit ? WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH : 0;
  }
  const uint64_t payload =
      extended > 0 ? read_big_endian(data + 2, extended) : length;
  err = check_length(payload, extended);
  if (err != 0) return err;

  const size_t size = 2 + extended + (from_client ? sizeof(out_frame->key) : 0);
  if (len < size) return 0;
  if (from_client) memcpy(out_frame->key, data + 2 + extended, 4);
  out_frame->len = payload;
  out_frame->opcode = opcode;
  out_frame->is_final = (data[0] & FIN) != 0;
  out_frame->has_rsv1 = (data[0] & RSV1) != 0;
  *out_size = size;
  return 0;
}

static uint8_t shortest_length(uint64_t len) {
  if (len <= MAX_LENGTH_7) return (uint8_t)len;
  return len <= MAX_LENGTH_16 ? LENGTH_16 : LENGTH_64;
}

size_t ws__frame_head_size(uint64_t len, bool is_masked) {
  return 2 + extended_size(shortest_length(len)) + (is_masked ? 4 : 0);
}

size_t ws__frame_write(uint8_t *out, ws__opcode opcode, bool is_final,
                       bool has_rsv1, uint64_t len, const uint8_t key[4]) {
  const uint8_t length = shortest_length(len);
  const size_t extended = extended_size(length);
  out[0] = (uint8_t)(opcode | (is_final ? FIN : 0) | (has_rsv1 ? RSV1 : 0));
  out[1] = (uint8_t)(length | (key != NULL ? MASK : 0));
  write_big_endian(out + 2, len, extended);
  if (key == NULL) return 2 + extended;
  memcpy(out + 2 + extended, key, 4);
  return 2 + extended + 4;
}
