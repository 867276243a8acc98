/* reader.h - tells where the messages of a server end, and that each is as long
 * as what it echoes.
 *
 * Only heads are looked at, except that `compares` has the bytes of the next
 * message compared too. Anything a server may not send ends the process. */
#ifndef LOAD_READER_H
#define LOAD_READER_H

#include "script.h"

typedef struct reader {
  const load_script *script;
  size_t frame;  /* Whose echo comes next. */
  bool compares; /* The bytes as well, of this message. */

  /* The head, as far as it has come. */
  uint8_t head[10];
  size_t head_have;

  /* The frame, once its head is there, and the message it belongs to. */
  bool is_in_payload;
  bool is_in_message;
  bool is_compressed;
  uint64_t left; /* Of the frame's payload. */
  uint64_t have; /* Of the message's. */
} reader;

void reader_init(reader *r, const load_script *script);

/* Returns how many messages these bytes completed. */
size_t reader_feed(reader *r, const uint8_t *bytes, size_t length);

/* How much of the unfinished message is there, from 0 to 1. */
double reader_fraction(const reader *r);

#endif
