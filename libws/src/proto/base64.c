/* base64.c - three bytes are four characters of six bits each. */
#include "proto/base64.h"

#define PADDING '='

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The six bits that `c` stands for, or -1. */
static int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

void ws__base64_encode(const void *data, size_t len, char *out_text) {
  const uint8_t *in = data;
  char *out = out_text;
  for (; len >= 3; len -= 3, in += 3) {
    *out++ = alphabet[in[0] >> 2];
    *out++ = alphabet[(in[0] & 0x03) << 4 | in[1] >> 4];
    *out++ = alphabet[(in[1] & 0x0f) << 2 | in[2] >> 6];
    *out++ = alphabet[in[2] & 0x3f];
  }
  if (len == 0) return;
  const unsigned second = len == 2 ? in[1] : 0;
  *out++ = alphabet[in[0] >> 2];
  *out++ = alphabet[(in[0] & 0x03u) << 4 | second >> 4];
  *out++ = len == 2 ? alphabet[(second & 0x0f) << 2] : PADDING;
  *out++ = PADDING;
}

bool ws__base64_decode(const char *text, size_t text_len, uint8_t *out_data,
                       size_t *out_len) {
  if (text_len % 4 != 0) return false;
  size_t len = text_len;
  while (len > 0 && text_len - len < 2 && text[len - 1] == PADDING)
    len--;

  uint8_t *out = out_data;
  uint32_t bits = 0;
  unsigned bit_count = 0;
  for (size_t i = 0; i < len; i++) {
    const int value = value_of(text[i]);
    if (value < 0) return false;
    bits = (bits << 6 | (uint32_t)value) & 0xffff;
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    *out++ = (uint8_t)(bits >> bit_count);
  }
  /* "Pad bits MUST be set to zero by conforming encoders" (RFC 4648 3.5); to
   * accept others would give one value many spellings. */
  if ((bits & ((1u << bit_count) - 1)) != 0) return false;
  *out_len = (size_t)(out - out_data);
  return true;
}
