/* encode.c - see encode.h. */
#include "encode.h"

#define DUMP_WIDTH 16

/* -- UTF-8 ----------------------------------------------------------------- */

/* How many bytes a character has that begins with `first`, and the bits of it
 * that `first` holds. */
static size_t utf8_length(uint8_t first, uint32_t *out_bits) {
  if (first < 0x80) {
    *out_bits = first;
    return 1;
  }
  if (first >= 0xC2 && first < 0xE0) {
    *out_bits = first & 0x1F;
    return 2;
  }
  if (first >= 0xE0 && first < 0xF0) {
    *out_bits = first & 0x0F;
    return 3;
  }
  *out_bits = first & 0x07;
  return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

static bool is_shortest_scalar(uint32_t character, size_t length) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  return character >= least[length] && character <= 0x10FFFF &&
         !(character >= 0xD800 && character <= 0xDFFF);
}

size_t decode_utf8(const char *text, size_t len, uint32_t *out_character) {
  if (len == 0) return 0;
  uint32_t character;
  const size_t length = utf8_length((uint8_t)text[0], &character);
  if (length == 0 || length > len) return 0;
  for (size_t i = 1; i < length; i++) {
    const uint8_t byte = (uint8_t)text[i];
    if ((byte & 0xC0) != 0x80) return 0;
    character = character << 6 | (byte & 0x3F);
  }
  if (!is_shortest_scalar(character, length)) return 0;
  *out_character = character;
  return length;
}

void encode_utf8(buffer *out, uint32_t c) {
  if (c < 0x80) {
    buffer_append_char(out, (char)c);
  } else if (c < 0x800) {
    buffer_append_char(out, (char)(0xC0 | c >> 6));
    buffer_append_char(out, (char)(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    buffer_append_char(out, (char)(0xE0 | c >> 12));
    buffer_append_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
    buffer_append_char(out, (char)(0x80 | (c & 0x3F)));
  } else {
    buffer_append_char(out, (char)(0xF0 | c >> 18));
    buffer_append_char(out, (char)(0x80 | (c >> 12 & 0x3F)));
    buffer_append_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
    buffer_append_char(out, (char)(0x80 | (c & 0x3F)));
  }
}

/* -- For people ------------------------------------------------------------ */

bool is_steering(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C ||
         (c >= 0x200E && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

static void append_visible_character(buffer *out, const char *text,
                                     size_t length, uint32_t character) {
  if (character == '\t' || !is_steering(character)) {
    buffer_append(out, text, length);
  } else if (character < 0x80) {
    buffer_append_char(out, '^');
    buffer_append_char(out, (char)(character ^ 0x40));
  } else {
    buffer_printf(out, "<U+%04X>", (unsigned)character);
  }
}

void encode_visible(buffer *out, const char *text, size_t len) {
  while (len > 0) {
    uint32_t character;
    size_t length = decode_utf8(text, len, &character);
    if (length > 0) {
      append_visible_character(out, text, length, character);
    } else {
      buffer_printf(out, "<%02X>", (unsigned)(uint8_t)*text);
      length = 1;
    }
    text += length;
    len -= length;
  }
}

static void append_dump_line(buffer *out, size_t offset, const uint8_t *data,
                             size_t len) {
  buffer_printf(out, "%08zx ", offset);
  for (size_t i = 0; i < DUMP_WIDTH; i++) {
    if (i == DUMP_WIDTH / 2) buffer_append_char(out, ' ');
    if (i < len) buffer_printf(out, " %02x", data[i]);
    else buffer_append_text(out, "   ");
  }
  buffer_append_text(out, "  |");
  for (size_t i = 0; i < len; i++) {
    const bool is_printable = data[i] >= 0x20 && data[i] < 0x7F;
    buffer_append_char(out, is_printable ? (char)data[i] : '.');
  }
  buffer_append_text(out, "|\n");
}

void encode_hex_dump(buffer *out, const uint8_t *data, size_t len) {
  for (size_t at = 0; at < len; at += DUMP_WIDTH) {
    const size_t left = len - at;
    append_dump_line(out, at, data + at, left < DUMP_WIDTH ? left : DUMP_WIDTH);
  }
}

/* -- For programs ---------------------------------------------------------- */

void encode_base64(buffer *out, const uint8_t *data, size_t len) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t at = 0; at < len; at += 3) {
    const size_t left = len - at;
    const uint32_t bits = (uint32_t)data[at] << 16 |
                          (left > 1 ? (uint32_t)data[at + 1] << 8 : 0) |
                          (left > 2 ? data[at + 2] : 0);
    const char group[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                           left > 1 ? digits[bits >> 6 & 63] : '=',
                           left > 2 ? digits[bits & 63] : '='};
    buffer_append(out, group, sizeof(group));
  }
}

int decode_hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool decode_hex(buffer *out, const char *text, size_t len) {
  for (size_t at = 0; at < len;) {
    if (text[at] == ' ' || text[at] == '\t') {
      at++;
      continue;
    }
    const int high = decode_hex_digit(text[at]);
    const int low = at + 1 < len ? decode_hex_digit(text[at + 1]) : -1;
    if (high < 0 || low < 0) return false;
    buffer_append_char(out, (char)(high << 4 | low));
    at += 2;
  }
  return true;
}
