/* ip.c - parses IP addresses. Every form is read from left to right once; what
 * follows a whole address makes it none. */
#include "proto/ip.h"

#include <string.h>

#include "base/ascii.h"

#define NO_GAP SIZE_MAX

/* -- IPv4 ------------------------------------------------------------------ */

/* Takes a number up to 255 without leading zeros. Returns how many digits it
 * has, 0 for none or another number. */
static size_t take_octet(const char *text, size_t len, uint8_t *out_octet) {
  unsigned value = 0;
  size_t digits = 0;
  while (digits < len && ws__is_digit(text[digits])) {
    if (digits > 0 && value == 0) return 0;
    value = value * 10 + (unsigned)(text[digits++] - '0');
    if (value > UINT8_MAX) return 0;
  }
  *out_octet = (uint8_t)value;
  return digits;
}

bool ws__ip4_parse(const char *text, size_t len, uint8_t out[WS__IP4_SIZE]) {
  size_t at = 0;
  for (size_t i = 0; i < WS__IP4_SIZE; i++) {
    if (i > 0 && (at == len || text[at++] != '.')) return false;
    const size_t digits = take_octet(text + at, len - at, &out[i]);
    if (digits == 0) return false;
    at += digits;
  }
  return at == len;
}

/* -- IPv6 ------------------------------------------------------------------ */

/* Takes up to four hexadecimal digits. Returns how many there were. */
static size_t take_piece(const char *text, size_t len, uint8_t out[2]) {
  unsigned value = 0;
  size_t digits = 0;
  while (digits < 4 && digits < len && ws__hex_value(text[digits]) >= 0)
    value = value << 4 | (unsigned)ws__hex_value(text[digits++]);
  out[0] = (uint8_t)(value >> 8);
  out[1] = (uint8_t)value;
  return digits;
}

/* Moves the bytes behind "::" to the end and puts zeros in between. */
static void open_gap(uint8_t bytes[WS__IP6_SIZE], size_t count, size_t gap) {
  const size_t size = WS__IP6_SIZE - count;
  memmove(&bytes[gap + size], &bytes[gap], count - gap);
  memset(&bytes[gap], 0, size);
}

bool ws__ip6_parse(const char *text, size_t len, uint8_t out[WS__IP6_SIZE]) {
  size_t count = 0;    /* Bytes written. */
  size_t gap = NO_GAP; /* The byte that "::" stands before. */
  size_t at = 0;
  if (len > 0 && text[0] == ':') {
    if (len == 1 || text[1] != ':') return false;
    gap = 0;
    at = 2;
  }
  while (at < len) {
    if (count == WS__IP6_SIZE) return false;
    if (text[at] == ':') { /* The second of two. */
      if (gap != NO_GAP) return false;
      gap = count;
      at++;
      continue;
    }
    const size_t digits = take_piece(text + at, len - at, &out[count]);
    if (digits == 0) return false;
    if (at + digits < len && text[at + digits] == '.') {
      if (count > WS__IP6_SIZE - WS__IP4_SIZE) return false;
      if (!ws__ip4_parse(text + at, len - at, &out[count])) return false;
      count += WS__IP4_SIZE;
      break;
    }
    count += 2;
    at += digits;
    if (at == len) break;
    if (text[at] != ':' || at + 1 == len) return false;
    at++;
  }
  if (gap == NO_GAP) return count == WS__IP6_SIZE;
  if (count == WS__IP6_SIZE) return false;
  open_gap(out, count, gap);
  return true;
}

/* -- Both ------------------------------------------------------------------ */

ws__ip ws__ip_parse(const char *text, size_t len) {
  ws__ip ip = {.len = WS__IP4_SIZE};
  if (ws__ip4_parse(text, len, ip.bytes)) return ip;
  ip.len = WS__IP6_SIZE;
  if (ws__ip6_parse(text, len, ip.bytes)) return ip;
  return (ws__ip){0};
}

bool ws__ip_is_same_net(const ws__ip *a, const ws__ip *b, unsigned bits) {
  const unsigned whole = bits / 8;
  const unsigned rest = bits % 8;
  if (a->len != b->len || memcmp(a->bytes, b->bytes, whole) != 0) return false;
  return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}
