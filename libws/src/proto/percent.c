/* percent.c - see percent.h. The result is never longer than the text. */
#include "proto/percent.h"

#include "base/ascii.h"

static bool is_escape(const char *text, size_t len) {
  return len >= 3 && text[0] == '%' && ws__hex_value(text[1]) >= 0 &&
         ws__hex_value(text[2]) >= 0;
}

int ws__percent_decode(ws__buf *buf, const ws_allocator *allocator,
                       const char *text, size_t len) {
  const int err = ws__buf_reserve(buf, allocator, len);
  if (err != 0) return err;
  for (size_t i = 0; i < len; i++) {
    uint8_t byte = (uint8_t)text[i];
    if (is_escape(text + i, len - i)) {
      byte = (uint8_t)(ws__hex_value(text[i + 1]) << 4 |
                       ws__hex_value(text[i + 2]));
      i += 2;
    }
    buf->data[buf->len++] = byte;
  }
  return 0;
}
