/* Encodes and decodes any bytes, into blocks of exactly the promised size: what
 * is encoded comes back, and what is decoded has no other spelling. */
#include "proto/base64.h"

#include <string.h>

#include "budget.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *allocate(size_t size) {
  void *block = malloc(size + (size == 0));
  require(block != NULL, "memory for the fuzzer");
  return block;
}

static void check_round_trip(const uint8_t *data, size_t size) {
  const size_t text_len = WS__BASE64_SIZE(size);
  char *text = allocate(text_len);
  ws__base64_encode(data, size, text);

  uint8_t *decoded = allocate(text_len / 4 * 3);
  size_t decoded_len;
  require(ws__base64_decode(text, text_len, decoded, &decoded_len),
          "what was encoded can be decoded");
  require(decoded_len == size, "it comes back whole");
  require(size == 0 || memcmp(decoded, data, size) == 0, "it comes back");
  free(decoded);
  free(text);
}

static void check_one_spelling(const char *text, size_t text_len) {
  uint8_t *decoded = allocate(text_len / 4 * 3);
  size_t len;
  if (ws__base64_decode(text, text_len, decoded, &len)) {
    require(WS__BASE64_SIZE(len) == text_len, "the length is the only one");
    char *again = allocate(text_len);
    ws__base64_encode(decoded, len, again);
    require(text_len == 0 || memcmp(again, text, text_len) == 0,
            "there is no other spelling");
    free(again);
  }
  free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  budget b;
  budget_begin(&b);
  check_round_trip(data, size);
  check_one_spelling((const char *)data, size);
  budget_end(&b, size, 0, 0); /* It asks for no memory. */
  return 0;
}
