/* Encodes and decodes any bytes, into blocks of exactly the promised size: what
 * is encoded comes back, and what is decoded has no other spelling. */
#include "proto/base64.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *allocate(size_t size) {
  void *block = malloc(size + (size == 0));
  if (block == NULL) abort();
  return block;
}

static void check_round_trip(const uint8_t *data, size_t size) {
  const size_t text_len = WS__BASE64_SIZE(size);
  char *text = allocate(text_len);
  ws__base64_encode(data, size, text);

  uint8_t *decoded = allocate(text_len / 4 * 3);
  size_t decoded_len;
  if (!ws__base64_decode(text, text_len, decoded, &decoded_len)) abort();
  if (decoded_len != size) abort();
  if (size > 0 && memcmp(decoded, data, size) != 0) abort();
  free(decoded);
  free(text);
}

static void check_one_spelling(const char *text, size_t text_len) {
  uint8_t *decoded = allocate(text_len / 4 * 3);
  size_t len;
  if (ws__base64_decode(text, text_len, decoded, &len)) {
    if (WS__BASE64_SIZE(len) != text_len) abort();
    char *again = allocate(text_len);
    ws__base64_encode(decoded, len, again);
    if (text_len > 0 && memcmp(again, text, text_len) != 0) abort();
    free(again);
  }
  free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_round_trip(data, size);
  check_one_spelling((const char *)data, size);
  return 0;
}
