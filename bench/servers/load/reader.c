/* reader.c - RFC 6455 section 5, as a client reads it that knows the answer. */
#include "reader.h"

#include <string.h>

#define FIN               0x80
#define RSV1              0x40
#define RSV               0x70
#define OPCODE            0x0f
#define OPCODE_CONTINUE   0x0
#define OPCODE_CLOSE      0x8 /* From here on they are control frames. */
#define LENGTH            0x7f
#define MASKED            0x80
#define LENGTH_16         126
#define LENGTH_64         127
#define CLOSE_CODE_LENGTH 2

void reader_init(reader *r, const load_script *script) {
  *r = (reader){.script = script, .compares = !script->is_compressed};
}

static const script_frame *awaited(const reader *r) {
  return &r->script->frames[r->frame];
}

static size_t head_length(uint8_t second) {
  switch (second & LENGTH) {
  case LENGTH_16: return 4;
  case LENGTH_64: return 10;
  default: return 2;
  }
}

static uint64_t payload_length(const reader *r) {
  const size_t head = head_length(r->head[1]);
  if (head == 2) return r->head[1];
  uint64_t length = 0;
  for (size_t i = 2; i < head; i++)
    length = length << 8 | r->head[i];
  return length;
}

static bool is_control(const reader *r) {
  return (r->head[0] & OPCODE) >= OPCODE_CLOSE;
}

/* Judges the first byte of a data frame, which may begin or go on with a
 * message, and notes whether that is compressed. */
static void begin_data_frame(reader *r) {
  const uint8_t first = r->head[0];
  const uint8_t opcode = r->is_in_message ? OPCODE_CONTINUE : r->script->opcode;
  if ((first & OPCODE) != opcode)
    load_die("opcode %d instead of %d", first & OPCODE, opcode);
  if (!r->is_in_message) r->is_compressed = (first & RSV1) != 0;
  else if ((first & RSV1) != 0) load_die("RSV1 on a continuation");
  if (r->is_compressed && !r->script->is_compressed)
    load_die("a compressed message, which was not agreed on");
  r->is_in_message = true;
}

static void begin_frame(reader *r) {
  if ((r->head[1] & MASKED) != 0) load_die("a masked frame");
  if ((r->head[0] & RSV & ~RSV1) != 0) load_die("RSV2 or RSV3");
  r->left = payload_length(r);
  r->is_in_payload = true;
  if (!is_control(r)) begin_data_frame(r);
}

/* Makes the head `need` bytes long; returns false if there are too few. */
static bool gather(reader *r, const uint8_t **at, const uint8_t *end,
                   size_t need) {
  for (; r->head_have < need; r->head_have++) {
    if (*at == end) return false;
    r->head[r->head_have] = *(*at)++;
  }
  return true;
}

/* Takes the head from *at on; returns false if more bytes are needed. */
static bool take_head(reader *r, const uint8_t **at, const uint8_t *end) {
  if (!gather(r, at, end, 2) || !gather(r, at, end, head_length(r->head[1])))
    return false;
  r->head_have = 0;
  begin_frame(r);
  return true;
}

static void take_control(const reader *r, const uint8_t *bytes, size_t length) {
  if ((r->head[0] & OPCODE) != OPCODE_CLOSE) return;
  if (length < CLOSE_CODE_LENGTH) load_die("the server closed");
  load_die("the server closed: %d", bytes[0] << 8 | bytes[1]);
}

static void take_data(reader *r, const uint8_t *bytes, size_t length) {
  const script_frame *echo = awaited(r);
  if (!r->is_compressed && length > echo->echo_length - r->have)
    load_die("a message of more than %zu bytes", echo->echo_length);
  if (r->compares && memcmp(bytes, echo->echo + r->have, length) != 0)
    load_die("a message other than what was sent");
  r->have += length;
}

/* Returns true at the end of a message. */
static bool end_frame(reader *r) {
  r->is_in_payload = false;
  if (!r->script->is_raw && (is_control(r) || (r->head[0] & FIN) == 0))
    return false;
  if (!r->is_compressed && r->have != awaited(r)->echo_length)
    load_die("a message of %llu bytes instead of %zu",
             (unsigned long long)r->have, awaited(r)->echo_length);
  if (++r->frame == r->script->count) r->frame = 0;
  r->have = 0;
  r->is_in_message = false;
  r->compares = false;
  return true;
}

/* Without frames, messages follow each other with nothing in between. */
static void begin_raw(reader *r) {
  r->left = awaited(r)->echo_length;
  r->is_in_payload = true;
}

size_t reader_feed(reader *r, const uint8_t *bytes, size_t length) {
  const uint8_t *at = bytes;
  const uint8_t *end = bytes + length;
  size_t messages = 0;
  for (;;) {
    if (!r->is_in_payload) {
      if (r->script->is_raw) begin_raw(r);
      else if (!take_head(r, &at, end)) return messages;
    }
    size_t piece = (size_t)(end - at);
    if (piece > r->left) piece = (size_t)r->left;
    if (!r->script->is_raw && is_control(r)) take_control(r, at, piece);
    else take_data(r, at, piece);
    r->left -= piece;
    at += piece;
    if (r->left > 0) return messages;
    messages += end_frame(r);
  }
}

double reader_fraction(const reader *r) {
  if (r->is_compressed) return 0;
  return (double)r->have / (double)awaited(r)->echo_length;
}
