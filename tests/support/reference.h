/* reference.h - a slow decoder of frames, written sentence by sentence from RFC
 * 6455 section 5 to be compared with the real one.
 *
 * It shares no code with the library, takes one byte after the other, and makes
 * no attempt at speed. No extensions. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdbool.h>

#include "transcript.h"

/* Writes to `log` what an endpoint has to report of `data` and the end of the
 * transport behind it, in the words of driver.h, but errors by their close code
 * alone: "event error 1002". `is_server` is the endpoint's role. */
void reference_decode(const uint8_t *data, size_t len, bool is_server,
                      uint64_t max_message, transcript *log);

/* Brings the log of a driver into these words: leaves of an error its close
 * code alone, "event error 1002" of "event error NAME 1002 peer". */
void reference_shorten(const char *log, transcript *out);

#endif
