/* process.h - what the commands want of the operating system: signals, the
 * limit on descriptors, the clock. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "ws/ws.h"

/* From now on SIGINT and SIGTERM are counted and stop the loop, which also
 * makes its descriptor readable; with `wants_hangup` so does SIGHUP. */
void signals_catch(ws_loop *loop, bool wants_hangup);

/* Before the loop is freed. */
void signals_ignore(void);

/* How often SIGINT or SIGTERM came. */
int signals_interrupts(void);

/* Whether SIGHUP came since the last call. */
bool signals_take_hangup(void);

/* Allows as many open descriptors as the system lets this process have. */
void raise_descriptor_limit(void);

/* A monotonic clock. */
uint64_t clock_ns(void);

#endif
