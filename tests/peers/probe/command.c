/* command.c - see command.h. Decoding never makes a word longer, so it is done
 * in place. */
#include "command.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PRINTABLE  ' '
#define PRINTABLE_PERIOD 95
#define BINARY_PERIOD    251

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Decodes a word in place and returns its length. */
static size_t decode(char *word) {
  char *to = word;
  for (const char *from = word; *from != '\0'; from++) {
    const int high = *from == '%' ? hex_digit(from[1]) : -1;
    const int low = high >= 0 ? hex_digit(from[2]) : -1;
    if (low < 0) {
      *to++ = *from;
    } else {
      *to++ = (char)(high * 16 + low);
      from += 2;
    }
  }
  *to = '\0';
  return (size_t)(to - word);
}

void command_split(char *line, probe_command *out_command) {
  out_command->count = 0;
  char *rest = NULL;
  for (char *word = strtok_r(line, " ", &rest);
       word != NULL && out_command->count < MAX_WORDS;
       word = strtok_r(NULL, " ", &rest)) {
    out_command->text[out_command->count] = word;
    out_command->len[out_command->count] = decode(word);
    out_command->count++;
  }
}

const char *command_get(const probe_command *command, size_t i) {
  return i < command->count ? command->text[i] : "";
}

uint64_t command_number(const probe_command *command, size_t i) {
  return strtoull(command_get(command, i), NULL, 10);
}

static void fill(uint8_t *data, size_t len, ws_message_type type) {
  for (size_t i = 0; i < len; i++) {
    data[i] = type == WS_TEXT
                  ? (uint8_t)(FIRST_PRINTABLE + i % PRINTABLE_PERIOD)
                  : (uint8_t)(i % BINARY_PERIOD);
  }
}

const void *command_payload(const probe_command *command, size_t i,
                            ws_message_type type, size_t *out_len,
                            void **out_memory) {
  const char *word = command_get(command, i);
  *out_memory = NULL;
  if (word[0] != '@') {
    *out_len = i < command->count ? command->len[i] : 0;
    return word;
  }
  const size_t len = strtoull(word + 1, NULL, 10);
  uint8_t *data = malloc(len > 0 ? len : 1);
  if (data == NULL) return NULL;
  fill(data, len, type);
  *out_len = len;
  *out_memory = data;
  return data;
}
