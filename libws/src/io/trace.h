/* trace.h - where the lines go that LIBWS_TRACE asks for.
 *
 * Each line leaves by one call, so that loops in several threads may share one
 * file. What cannot be written is lost: a trace never changes what happens.
 */
#ifndef WS__TRACE_H
#define WS__TRACE_H

#include "base/detail.h"
#include "base/hidden.h"

WS__HIDDEN_BEGIN

/* The longest line; what is longer is cut. */
#define WS__TRACE_LINE_SIZE 1024

typedef struct ws__trace {
  int fd; /* -1: nobody wants to know. */
  bool is_ours;
} ws__trace;

static inline bool ws__trace_is_on(const ws__trace *trace) {
  return trace->fd >= 0;
}

/* Begins a trace: to `fd`, which is borrowed, or if that is -1 to where the
 * environment says, if it does. Returns 0, or the errno of the file that it
 * names, with `detail`; then it is off. */
int ws__trace_open(ws__trace *trace, int fd, char *detail);

void ws__trace_close(ws__trace *trace);

/* A number for what lines are about; no other has it in this process. */
unsigned ws__trace_number(void);

/* Writes "TIME #number mark text". Bytes that are not printable ASCII become
 * */
void ws__trace_line(const ws__trace *trace, unsigned number, char mark,
                    const char *format, ...) WS__PRINTF_LIKE(4, 5);

WS__HIDDEN_END

#endif
