/* ascii.h - the characters of ASCII, whatever the locale says. */
#ifndef WS__ASCII_H
#define WS__ASCII_H

#include <stdbool.h>

static inline bool ws__is_digit(char c) {
  return c >= '0' && c <= '9';
}

static inline char ws__to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool ws__is_letter(char c) {
  const char lower = ws__to_lower(c);
  return lower >= 'a' && lower <= 'z';
}

/* The value of a hexadecimal digit, or -1. */
static inline int ws__hex_value(char c) {
  if (ws__is_digit(c)) return c - '0';
  const char lower = ws__to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* C0 controls and DELETE. */
static inline bool ws__is_control(char c) {
  return (unsigned char)c < ' ' || c == 0x7f;
}

/* What a line of a log or a terminal shows as it is. */
static inline bool ws__is_printable(char c) {
  return c >= ' ' && c <= '~';
}

#endif
