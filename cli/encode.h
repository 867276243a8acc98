/* encode.h - bytes as people and other programs can read them. */
#ifndef CLI_ENCODE_H
#define CLI_ENCODE_H

#include <stdint.h>

#include "buffer.h"

/* Whether a character is no sign to be read but does something to the text or
 * the terminal: controls, separators of lines, and the marks that turn the
 * direction of writing ("Trojan Source"). */
bool is_steering(uint32_t character);

/* Appends UTF-8 text so that it stays on its line and cannot steer a terminal:
 * steering characters of ASCII, but for tabs, as "^[", those beyond it as
 * "<U+202E>". What is no UTF-8 comes as "<FF>". */
void encode_visible(buffer *out, const char *text, size_t len);

/* Appends lines of 16 bytes: where, hexadecimal, ASCII. */
void encode_hex_dump(buffer *out, const uint8_t *data, size_t len);

/* Appends base64 with padding (RFC 4648 section 4). */
void encode_base64(buffer *out, const uint8_t *data, size_t len);

/* Appends the bytes that pairs of hexadecimal digits stand for; blanks may
 * stand between pairs. Returns false if `text` is anything else. */
bool decode_hex(buffer *out, const char *text, size_t len);

/* Returns the value of a hexadecimal digit, -1 for any other character. */
int decode_hex_digit(char c);

/* Appends a character (a Unicode scalar value) as UTF-8. */
void encode_utf8(buffer *out, uint32_t character);

/* Reads one character of UTF-8. Returns its length, and 0 if there is none. */
size_t decode_utf8(const char *text, size_t len, uint32_t *out_character);

#endif
