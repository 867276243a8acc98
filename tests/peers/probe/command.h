/* command.h - the words of a command, and the payloads they stand for.
 *
 * A command is one line: words with blanks between, in which %XX stands for the
 * byte XX. Words are decoded in place and point into the line. */
#ifndef PROBE_COMMAND_H
#define PROBE_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "ws/ws.h"

#define MAX_WORDS 64

typedef struct probe_command {
  char *text[MAX_WORDS]; /* Each ends in NUL. */
  size_t len[MAX_WORDS];
  size_t count;
} probe_command;

/* Divides `line`. What is beyond MAX_WORDS is left out. */
void command_split(char *line, probe_command *out_command);

/* Returns word `i`, or "" if there are not so many. */
const char *command_get(const probe_command *command, size_t i);

/* Word `i` as a number; 0 if it is none. */
uint64_t command_number(const probe_command *command, size_t i);

/* A payload: the word itself, or for @N the first N bytes of a pattern that
 * repeats every 95 bytes in text and every 251 in binary messages, lengths that
 * show up bytes that went to the wrong place. `*out_memory` is to be freed.
 * Returns NULL when out of memory. */
const void *command_payload(const probe_command *command, size_t i,
                            ws_message_type type, size_t *out_len,
                            void **out_memory);

#endif /* PROBE_COMMAND_H */
