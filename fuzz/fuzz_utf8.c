/* fuzz_utf8.c - the check of UTF-8: kernels against each other and against the
 * byte-at-a-time state machine, the whole against the text cut in pieces. */
#include <string.h>

#include "budget.h"
#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In front of the input, so that short ones reach the kernels too. */
#define PAD_SIZE WS__UTF8_KERNEL_MIN

static void check(bool claim) {
  require(claim, "all ways to check agree");
}

/* The verdict of the state machine alone: pieces of one byte never reach a
 * kernel. Gives the number of good bytes, that is up to the first that cannot
 * be, and whether all of it is valid. */
static size_t judge_by_bytes(const uint8_t *text, size_t len,
                             bool *out_is_valid) {
  ws__utf8_state state = 0;
  size_t good = 0;
  while (good < len && ws__utf8_check(&state, text + good, 1))
    good++;
  *out_is_valid = good == len && ws__utf8_is_complete(state);
  return good;
}

static void check_kernels(const uint8_t *text, size_t len, bool is_valid) {
  uint8_t *padded = malloc(PAD_SIZE + len);
  check(padded != NULL);
  memset(padded, 'a', PAD_SIZE);
  if (len > 0) memcpy(padded + PAD_SIZE, text, len);
  for (size_t i = 0; i < ws__utf8_kernel_count; i++) {
    const ws__utf8_kernel *kernel = &ws__utf8_kernels[i];
    if (!kernel->is_supported()) continue;
    check(kernel->is_valid(padded, PAD_SIZE + len) == is_valid);
    if (len >= WS__UTF8_KERNEL_MIN)
      check(kernel->is_valid(text, len) == is_valid);
  }
  free(padded);
}

/* However the text is cut, the piece with the first bad byte is refused and
 * none before it. The sizes of the pieces go round from `size` to 1. */
static void check_pieces(const uint8_t *text, size_t len, size_t size,
                         size_t good, bool is_valid) {
  ws__utf8_state state = 0;
  size_t at = 0;
  for (size_t next = size; at<len; next = next> 1 ? next - 1 : size) {
    const size_t piece = next < len - at ? next : len - at;
    const bool ok = ws__utf8_check(&state, text + at, piece);
    at += piece;
    check(ok == (at <= good));
    if (!ok) return;
  }
  check(ws__utf8_is_complete(state) == is_valid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  /* The first byte says how to cut. */
  const size_t piece_size = size > 0 ? (size_t)data[0] + 1 : 1;
  const uint8_t *text = size > 0 ? data + 1 : data;
  const size_t len = size > 0 ? size - 1 : 0;

  budget b;
  budget_begin(&b);
  bool is_valid;
  const size_t good = judge_by_bytes(text, len, &is_valid);
  check(ws__utf8_is_valid(text, len) == is_valid);
  check_kernels(text, len, is_valid);
  check_pieces(text, len, len > 0 ? len : 1, good, is_valid);
  check_pieces(text, len, piece_size, good, is_valid);
  budget_end(&b, size, 0, 0); /* It asks for no memory. */
  return 0;
}
