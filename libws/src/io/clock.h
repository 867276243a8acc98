/* clock.h - the time that deadlines are measured in.
 *
 * It runs evenly from some moment in the past and never goes back. What a
 * calendar shows is another matter: setting the date moves no deadline. */
#ifndef WS__CLOCK_H
#define WS__CLOCK_H

#include "base/hidden.h"

#include <stdint.h>

WS__HIDDEN_BEGIN

/* The full milliseconds, or the nanoseconds, that have gone by. Both count from
 * the same moment. Any thread, also in a signal handler. */
uint64_t ws__clock_ms(void);
uint64_t ws__clock_ns(void);

WS__HIDDEN_END

#endif
