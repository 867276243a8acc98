#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  OP_CONTINUATION = 0,
  OP_TEXT = 1,
  OP_BINARY = 2,
  OP_CLOSE = 8,
  OP_PING = 9,
  OP_PONG = 10
};

/* How decoding a frame came out; a close code when it failed. */
enum {
  GOES_ON = 0,
  IS_OVER = 1,
  ENDS_EARLY = 1006,
  PROTOCOL_ERROR = 1002,
  INVALID_DATA = 1007,
  TOO_BIG = 1009
};

/* The character in progress. */
typedef struct utf8 {
  unsigned have; /* Bytes of it so far. */
  unsigned need; /* Bytes of it in all. */
  uint32_t code_point;
} utf8;

typedef struct bytes {
  uint8_t *data;
  size_t len;
} bytes;

typedef struct decoder {
  const uint8_t *data;
  size_t len;
  bool is_server;
  uint64_t max_message;
  transcript *log;

  int message_opcode; /* Of the unfinished message, or 0. */
  bytes message;
  utf8 text;
} decoder;

typedef struct frame {
  bool is_final;
  int opcode;
  uint64_t len;
  bool is_masked;
  uint8_t key[4];
} frame;

static void put(bytes *b, uint8_t byte) {
  b->data = realloc(b->data, b->len + 1);
  if (b->data == NULL) abort();
  b->data[b->len++] = byte;
}

static void drop(bytes *b) {
  free(b->data);
  *b = (bytes){0};
}

static bool take(decoder *d, uint8_t *out_byte) {
  if (d->len == 0) return false;
  *out_byte = *d->data++;
  d->len--;
  return true;
}

/* -- RFC 3629 section 3 ---------------------------------------------------- */

static bool begin_character(utf8 *u, uint8_t byte) {
  u->have = 1;
  if (byte <= 0x7F) {
    u->need = 1;
    u->code_point = byte;
  } else if (byte >= 0xC0 && byte <= 0xDF) {
    u->need = 2;
    u->code_point = byte & 0x1F;
  } else if (byte >= 0xE0 && byte <= 0xEF) {
    u->need = 3;
    u->code_point = byte & 0x0F;
  } else if (byte >= 0xF0 && byte <= 0xF7) {
    u->need = 4;
    u->code_point = byte & 0x07;
  } else {
    return false;
  }
  return true;
}

/* Whether some end of the character in progress makes it valid: all that it can
 * become lies between `low` and `high`. */
static bool can_be_valid(const utf8 *u) {
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const unsigned bits = 6 * (u->need - u->have);
  const uint32_t low = u->code_point << bits;
  const uint32_t high = low | ((1u << bits) - 1);
  if (high < smallest[u->need] || low > 0x10FFFF) return false;
  return !(low >= 0xD800 && high <= 0xDFFF);
}

static bool check_utf8(utf8 *u, uint8_t byte) {
  if (u->have == u->need) {
    if (!begin_character(u, byte)) return false;
  } else {
    if (byte < 0x80 || byte > 0xBF) return false;
    u->code_point = u->code_point << 6 | (byte & 0x3F);
    u->have++;
  }
  return can_be_valid(u);
}

/* -- RFC 6455 section 5.2 -------------------------------------------------- */

static int read_first_byte(decoder *d, frame *f) {
  uint8_t byte;
  if (!take(d, &byte)) return ENDS_EARLY;
  f->is_final = (byte & 0x80) != 0;
  f->opcode = byte & 0x0F;
  if ((byte & 0x70) != 0) return PROTOCOL_ERROR;
  switch (f->opcode) {
  case OP_CONTINUATION:
  case OP_TEXT:
  case OP_BINARY: return GOES_ON;
  case OP_CLOSE:
  case OP_PING:
  case OP_PONG: return f->is_final ? GOES_ON : PROTOCOL_ERROR;
  }
  return PROTOCOL_ERROR;
}

static int read_length(decoder *d, frame *f) {
  uint8_t byte;
  if (!take(d, &byte)) return ENDS_EARLY;
  f->is_masked = (byte & 0x80) != 0;
  if (f->is_masked != d->is_server) return PROTOCOL_ERROR;
  f->len = byte & 0x7F;
  if (f->opcode >= OP_CLOSE && f->len > 125) return PROTOCOL_ERROR;
  if (f->len <= 125) return GOES_ON;

  const int size = f->len == 126 ? 2 : 8;
  f->len = 0;
  for (int i = 0; i < size; i++) {
    if (!take(d, &byte)) return ENDS_EARLY;
    if (size == 8 && i == 0 && byte >= 0x80) return PROTOCOL_ERROR;
    f->len = f->len * 256 + byte;
  }
  const uint64_t least = size == 2 ? 126 : 65536;
  return f->len >= least ? GOES_ON : PROTOCOL_ERROR;
}

static int read_head(decoder *d, frame *f) {
  int result = read_first_byte(d, f);
  if (result == GOES_ON) result = read_length(d, f);
  if (result != GOES_ON) return result;
  for (int i = 0; i < 4 && f->is_masked; i++) {
    if (!take(d, &f->key[i])) return ENDS_EARLY;
  }
  return GOES_ON;
}

static int read_payload_byte(decoder *d, const frame *f, uint64_t index,
                             uint8_t *out_byte) {
  if (!take(d, out_byte)) return ENDS_EARLY;
  if (f->is_masked) *out_byte ^= f->key[index % 4];
  return GOES_ON;
}

/* -- Sections 5.4 to 5.6 --------------------------------------------------- */

static bool is_close_code(unsigned code) {
  if (code >= 3000 && code <= 4999) return true;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

static int report_close(decoder *d, const bytes *body) {
  unsigned code = 1005;
  if (body->len == 1) return PROTOCOL_ERROR;
  if (body->len >= 2) {
    code = body->data[0] * 256u + body->data[1];
    if (!is_close_code(code)) return PROTOCOL_ERROR;
    utf8 reason = {0};
    for (size_t i = 2; i < body->len; i++) {
      if (!check_utf8(&reason, body->data[i])) return INVALID_DATA;
    }
    if (reason.have != reason.need) return INVALID_DATA;
  }
  transcript_add(d->log, "event close %u clean", code);
  transcript_add_data(d->log, body->len > 2 ? body->data + 2 : NULL,
                      body->len > 2 ? body->len - 2 : 0);
  return IS_OVER;
}

static int read_control(decoder *d, const frame *f) {
  bytes body = {0};
  int result = GOES_ON;
  for (uint64_t i = 0; i < f->len && result == GOES_ON; i++) {
    uint8_t byte;
    result = read_payload_byte(d, f, i, &byte);
    if (result == GOES_ON) put(&body, byte);
  }
  if (result == GOES_ON && f->opcode == OP_CLOSE) {
    result = report_close(d, &body);
  } else if (result == GOES_ON) {
    transcript_add(d->log, "event %s", f->opcode == OP_PING ? "ping" : "pong");
    transcript_add_data(d->log, body.data, body.len);
  }
  drop(&body);
  return result;
}

static int read_data(decoder *d, const frame *f) {
  if ((f->opcode == OP_CONTINUATION) != (d->message_opcode != 0)) {
    return PROTOCOL_ERROR;
  }
  if (f->len > d->max_message - d->message.len) return TOO_BIG;
  if (f->opcode != OP_CONTINUATION) d->message_opcode = f->opcode;
  const bool is_text = d->message_opcode == OP_TEXT;

  for (uint64_t i = 0; i < f->len; i++) {
    uint8_t byte;
    if (read_payload_byte(d, f, i, &byte) != GOES_ON) return ENDS_EARLY;
    if (is_text && !check_utf8(&d->text, byte)) return INVALID_DATA;
    put(&d->message, byte);
  }
  if (!f->is_final) return GOES_ON;
  if (is_text && d->text.have != d->text.need) return INVALID_DATA;
  transcript_add(d->log, "event message %s", is_text ? "text" : "binary");
  transcript_add_data(d->log, d->message.data, d->message.len);
  drop(&d->message);
  d->text = (utf8){0};
  d->message_opcode = 0;
  return GOES_ON;
}

void reference_decode(const uint8_t *data, size_t len, bool is_server,
                      uint64_t max_message, transcript *log) {
  decoder d = {.data = data,
               .len = len,
               .is_server = is_server,
               .max_message = max_message,
               .log = log};
  int result;
  do {
    frame f = {0};
    result = read_head(&d, &f);
    if (result != GOES_ON) break;
    result = f.opcode >= OP_CLOSE ? read_control(&d, &f) : read_data(&d, &f);
  } while (result == GOES_ON);
  drop(&d.message);

  if (result == IS_OVER) return;
  /* Nobody is told 1006: it stands for a Close frame that never came. */
  transcript_add(log, "event error %d\nevent close 1006 unclean:\n",
                 result == ENDS_EARLY ? 0 : result);
}

void reference_shorten(const char *log, transcript *out) {
  while (*log != '\0') {
    const char *end = strchr(log, '\n') + 1;
    unsigned code;
    if (sscanf(log, "event error %*s %u", &code) == 1) {
      transcript_add(out, "event error %u\n", code);
    } else {
      transcript_add(out, "%.*s", (int)(end - log), log);
    }
    log = end;
  }
}
