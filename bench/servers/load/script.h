/* script.h - the frames that every connection sends, in turn and over again,
 * built before the clock runs.
 *
 * There are several, of different contents, so that a server cannot live off
 * having seen the last one. They stand one behind the other, and the whole a
 * second time, so that however many frames are due, from whichever on, they are
 * bytes in a row. */
#ifndef LOAD_SCRIPT_H
#define LOAD_SCRIPT_H

#include "load.h"

typedef struct script_frame {
  size_t length; /* Of the frame: head, masking key and payload. */

  /* What is to come back. */
  const uint8_t *echo;
  size_t echo_length;
} script_frame;

typedef struct load_script {
  const uint8_t *bytes;
  size_t length; /* Of all frames once; `bytes` are twice that. */

  const script_frame *frames;
  size_t count;

  bool is_raw;        /* The echo is the frame itself, and not framed. */
  bool is_compressed; /* The echo may be compressed: then of any length. */
  uint8_t opcode;
} load_script;

/* Lives as long as the process. */
const load_script *script_make(const load_options *options);

#endif
