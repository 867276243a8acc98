/* detail.h - one line for a person about what failed.
 *
 * An error code says what kind of thing went wrong; the detail names the thing:
 * an address, a file, the words of the system. Whoever fails writes it, at the
 * place that failed, into a buffer of its caller. */
#ifndef WS__DETAIL_H
#define WS__DETAIL_H

#include "base/hidden.h"
#include "ws/base.h"

/* The size of such a buffer, the NUL included. */
#define WS__DETAIL_SIZE WS_ERROR_SIZE

WS__HIDDEN_BEGIN

#ifdef __GNUC__
#define WS__PRINTF_LIKE(format_at, first_at) \
  __attribute__((format(printf, format_at, first_at)))
#else
#define WS__PRINTF_LIKE(format_at, first_at)
#endif

/* Writes a detail of at most WS__DETAIL_SIZE - 1 bytes; what is longer is cut.
 * Bytes that are not printable ASCII become '?', for a part of it may come from
 * the peer and all of it may end up in a log or on a terminal. `detail`
 * may be NULL, and may not be one of the arguments. */
void ws__detail_set(char *detail, const char *format, ...)
    WS__PRINTF_LIKE(2, 3);

/* Says in `*reason` by a static text why something fails. Returns `err`. */
static inline int ws__fail(int err, const char *text, const char **reason) {
  *reason = text;
  return err;
}

/* Reports an error to who called the library: `err` and `text`, or if that is
 * NULL or empty what ws_strerror() says. `out_error` may be NULL. Returns
 * `err`.
 */
int ws__report(ws_error *out_error, int err, const char *text);

/* The same of a call of the system that failed with `system_error` (errno). */
int ws__report_system(ws_error *out_error, int err, int system_error,
                      const char *text);

WS__HIDDEN_END

#endif
