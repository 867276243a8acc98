/* transcript.h - a growing text of what happened, one line per event.
 *
 * Tests compare what an engine did with what it should have done by comparing
 * two transcripts, which also makes a failure readable. */
#ifndef TRANSCRIPT_H
#define TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed, it is empty. `text` ends in NUL; NULL while nothing was added. */
typedef struct transcript {
  char *text;
  size_t len;
  size_t cap;
} transcript;

/* Adds formatted text. */
void transcript_add(transcript *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds ": " and the bytes in hexadecimal, or the length and a hash of many, and
 * ends the line. */
void transcript_add_data(transcript *t, const uint8_t *data, size_t len);

/* The text, "" when nothing was added. */
const char *transcript_text(const transcript *t);

/* Makes it empty again, keeping the memory. */
void transcript_clear(transcript *t);

void transcript_free(transcript *t);

#endif
